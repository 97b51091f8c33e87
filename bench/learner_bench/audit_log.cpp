// SPDX-License-Identifier: MIT

/// @file
/// What an audit log costs the thread that predicts: lines a second, and the time of one append,
/// median and p99; beside it a write(2) of the same bytes without a chain. A log is read through
/// and verified, too.

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <anyssr/core/stopwatch.hpp>
#include <anyssr/io/audit_log.hpp>
#include <anyssr/io/audit_verification.hpp>
#include <array>
#include <string>
#include <vector>

#include "support/bench_folder.hpp"
#include "support/fixture.hpp"

namespace {

using namespace anyssr;
using bench::BenchFolder;

constexpr std::array<ScoredTask, 2> top{
    {{.task = "billing", .score = 0.8812345}, {.task = "cards", .score = 0.4712345}}};

RouteEvent event(std::uint64_t number) {
  return {.changes = 7,
          .query = "q-17",
          .task = "billing",
          .outcome = "routed",
          .confidence = 0.9312345 + 1e-9 * static_cast<double>(number % 1000),
          .margin = 0.41,
          .top = top,
          .policy = "default"};
}

void report_times(benchmark::State& state, std::vector<double>& microseconds) {
  std::sort(microseconds.begin(), microseconds.end());
  const auto at = [&](double share) {
    return microseconds[static_cast<std::size_t>(share *
                                                 static_cast<double>(microseconds.size() - 1))];
  };
  state.counters["p50_us"] = at(0.5);
  state.counters["p99_us"] = at(0.99);
}

void audit_append(benchmark::State& state) {
  const BenchFolder folder;
  const AuditLog log(folder.path());
  std::uint64_t lines = 0;
  for (auto _ : state) log.append(event(lines++));
  bench::set_rows(state, 1);
  bench::check(log.failed_writes() == 0, log.last_error());
  const AuditVerification found = verify_audit_log(folder.path(), log.head());
  bench::check(found.ok() && found.lines == lines, "the log is not intact");
}

void audit_append_times(benchmark::State& state) {
  const BenchFolder folder;
  const AuditLog log(folder.path());
  std::vector<double> microseconds;
  microseconds.reserve(1 << 20);
  for (auto _ : state) {
    const Stopwatch clock;
    log.append(event(microseconds.size()));
    microseconds.push_back(1e6 * clock.seconds());
  }
  bench::check(log.failed_writes() == 0, log.last_error());
  report_times(state, microseconds);
  bench::set_rows(state, 1);
}

/// What any log would cost at least.
void plain_write(benchmark::State& state) {
  const BenchFolder folder;
  detail::AuditLineBuilder builder("", false);
  builder.build({}, event(1));
  const std::string line(builder.line());
  const detail::FileDescriptor file(
      ::open((folder.path() / "plain").c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666));
  std::vector<double> microseconds;
  microseconds.reserve(1 << 20);
  for (auto _ : state) {
    const Stopwatch clock;
    const ssize_t sent = ::write(file.number(), line.data(), line.size());
    microseconds.push_back(1e6 * clock.seconds());
    bench::check(sent == static_cast<ssize_t>(line.size()), "not written");
  }
  report_times(state, microseconds);
  state.counters["bytes"] = static_cast<double>(line.size());
  bench::set_rows(state, 1);
}

void audit_verify(benchmark::State& state) {
  constexpr Index lines = 100'000;
  const BenchFolder folder;
  const AuditLog log(folder.path());
  for (Index i = 0; i < lines; ++i) log.append(event(static_cast<std::uint64_t>(i)));
  for (auto _ : state) {
    bench::check(verify_audit_log(folder.path(), log.head()).ok(), "the log is not intact");
  }
  bench::set_rows(state, lines);
}

BENCHMARK(audit_append)->UseRealTime()->MinTime(1);
BENCHMARK(audit_append_times)->UseRealTime()->MinTime(1);
BENCHMARK(plain_write)->UseRealTime()->MinTime(1);
BENCHMARK(audit_verify)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace
