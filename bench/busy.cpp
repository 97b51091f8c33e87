// SPDX-License-Identifier: MIT

/// @file
/// What other processes on the machine cost: the same work at rest and beside three busy processes
/// per core, in turns, and what a fair share of the cores would give.
///
///   busy [--rounds N] [DEPARTMENTS ARGUMENTS...]
///
/// Measured are a decision (p50, p99), decoding with a language model, and a whole run of the
/// program DEPARTMENTS, whose serial part of S seconds and parallel part of P seconds of CPU time
/// take, in a fair share,
///
///   S / share(1) + P / share(n)     share(k): cores that k threads get which never wait
///
/// The table and the last line, a JSON object, hold the medians over the rounds.

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "anyssr/core/random.hpp"
#include "anyssr/core/threads.hpp"
#include "anyssr/router/analytic_router.hpp"
#include "llama_bench/model.hpp"

namespace {

using namespace anyssr;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

/// Processes that never wait, stopped but for the loaded turns.
class BusyProcesses {
 public:
  explicit BusyProcesses(int count) {
    for (int i = 0; i < count; ++i) {
      const pid_t child = fork();
      if (child < 0) throw std::runtime_error("cannot start a busy process");
      if (child == 0) spin(getppid());
      children_.push_back(child);
    }
    tell(SIGSTOP);
  }
  BusyProcesses(const BusyProcesses&) = delete;
  BusyProcesses& operator=(const BusyProcesses&) = delete;
  ~BusyProcesses() {
    tell(SIGKILL);
    for (const pid_t child : children_) waitpid(child, nullptr, 0);
  }
  void go_on() { tell(SIGCONT); }
  void rest() { tell(SIGSTOP); }

 private:
  [[noreturn]] static void spin(pid_t parent) {
    for (;;) {
      for (volatile int i = 0; i < 100'000'000; i = i + 1) {
      }
      if (getppid() != parent) _exit(0);
    }
  }
  void tell(int signal) {
    for (const pid_t child : children_) kill(child, signal);
  }
  std::vector<pid_t> children_;
};

double cpu_seconds(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

/// Cores that `count` threads get which never wait.
double share(int count) {
  std::atomic<bool> stop{false};
  std::vector<double> used(static_cast<std::size_t>(count));
  const auto begin = Clock::now();
  std::vector<std::jthread> threads;
  for (int t = 0; t < count; ++t) {
    threads.emplace_back([&, t] {
      while (!stop) {
      }
      used[static_cast<std::size_t>(t)] = cpu_seconds(CLOCK_THREAD_CPUTIME_ID);
    });
  }
  std::this_thread::sleep_for(std::chrono::seconds(2));
  stop = true;
  threads.clear();
  double sum = 0;
  for (const double seconds : used) sum += seconds;
  return sum / seconds_since(begin);
}

class Decisions {
 public:
  Decisions() : router_(features, {.label_columns = false, .calibration_rows = 128}) {
    const RowMajorMatrix<float> means = random_normal<float, Eigen::RowMajor>(tasks, features, 1);
    std::vector<std::string> names;
    std::vector<Index> task_of_row;
    for (Index t = 0; t < tasks; ++t) {
      names.push_back("task-" + std::to_string(t));
      task_of_row.insert(task_of_row.end(), 4, t);
    }
    RowMajorMatrix<float> rows =
        0.3F * random_normal<float, Eigen::RowMajor>(4 * tasks, features, 2);
    for (Index i = 0; i < rows.rows(); ++i) rows.row(i) += means.row(i / 4);
    router_.learn_together(std::span<const std::string>(names), rows, task_of_row);
    query_ = means.topRows(1);
  }

  /// p50 and p99 in microseconds.
  [[nodiscard]] std::pair<double, double> measure() {
    std::vector<double> times;
    const auto begin = Clock::now();
    while (seconds_since(begin) < 3) {
      const auto start = Clock::now();
      router_.decide(query_, workspace_, decisions_);
      times.push_back(1e6 * seconds_since(start));
      if (decisions_[0].task != 0) throw std::runtime_error("wrong answer: a decision");
    }
    std::sort(times.begin(), times.end());
    return {times[times.size() / 2], times[times.size() * 99 / 100]};
  }

 private:
  static constexpr Index features = 4096;
  static constexpr Index tasks = 100;
  AnalyticRouter<float> router_;
  RowMajorMatrix<float> query_;
  RoutingWorkspace<float> workspace_;
  std::vector<RoutingDecision> decisions_;
};

/// Tokens a second of one sequence.
double decode() {
  const LlamaModel<float>& model = bench::model(Dtype::F32);
  constexpr Index count = 96;
  KeyValueCache<float> cache(model.config().layers, count, model.config().kv_dim());
  auto table = model.rotary();
  table.grow(count);
  detail::LlamaActivations<float> space;
  const std::vector<TokenId> ids = bench::tokens(count);
  RowMajorMatrix<float> x;
  float sum = 0;
  const auto begin = Clock::now();
  for (Index i = 0; i < count; ++i) {
    detail::LlamaBatch<float> batch;
    batch.add(1, i, &cache);
    model.embed(std::span(ids).subspan(static_cast<std::size_t>(i), 1), x);
    model.run_layers(0, model.config().layers, table, batch, x, space);
    sum += model.logits(x)(0, 0);
  }
  if (!(sum == sum)) throw std::runtime_error("wrong answer: decoding");
  return static_cast<double>(count) / seconds_since(begin);
}

struct Run {
  double real = 0;
  double cpu = 0;
};

Run run_program(std::vector<char*> arguments) {
  arguments.push_back(nullptr);
  const auto begin = Clock::now();
  const pid_t child = fork();
  if (child == 0) {
    const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    dup2(nowhere, STDOUT_FILENO);
    execv(arguments[0], arguments.data());
    _exit(127);
  }
  int status = 0;
  rusage usage{};
  if (child < 0 || wait4(child, &status, 0, &usage) != child || status != 0) {
    throw std::runtime_error(std::string(arguments[0]) + " failed");
  }
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return {seconds_since(begin), seconds(usage.ru_utime) + seconds(usage.ru_stime)};
}

/// Figures by name, one a round.
class Figures {
 public:
  void add(const std::string& name, double value) { values_[name].push_back(value); }
  [[nodiscard]] double median(const std::string& name) {
    std::vector<double>& values = values_[name];
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
  }

 private:
  std::map<std::string, std::vector<double>> values_;
};

void measure(const std::string& when, Decisions& decisions, const std::vector<char*>& program,
             Figures& figures) {
  const auto [p50, p99] = decisions.measure();
  figures.add("p50 " + when, p50);
  figures.add("p99 " + when, p99);
  figures.add("decode " + when, decode());
  figures.add("share " + when, share(1));
  figures.add("shares " + when, share(usable_processors()));
  if (!program.empty()) {
    const Run run = run_program(program);
    figures.add("real " + when, run.real);
    figures.add("cpu " + when, run.cpu);
  }
}

void print(Figures& figures, bool has_program) {
  const auto rest = [&](const std::string& name) { return figures.median(name + " at rest"); };
  const auto busy = [&](const std::string& name) { return figures.median(name + " busy"); };
  const double cores = usable_processors();
  const double fair_decode = rest("decode") * busy("shares") / cores;
  std::printf("%-34s %10s %10s %10s\n", "", "at rest", "busy", "fair");
  std::printf("%-34s %10.1f %10.1f\n", "decision p50, microseconds", rest("p50"), busy("p50"));
  std::printf("%-34s %10.1f %10.1f\n", "decision p99, microseconds", rest("p99"), busy("p99"));
  std::printf("%-34s %10.1f %10.1f %10.1f\n", "decoding, tokens per second", rest("decode"),
              busy("decode"), fair_decode);
  std::printf("%-34s %10.2f %10.2f\n", "cores for one thread", rest("share"), busy("share"));
  std::printf("%-34s %10.2f %10.2f\n", "cores for as many as there are", rest("shares"),
              busy("shares"));
  double whole = 0;
  if (has_program) {
    const double parallel =
        cores < 2 ? 0 : std::max(0.0, rest("cpu") - rest("real")) * cores / (cores - 1);
    const double fair = (rest("cpu") - parallel) / busy("share") + parallel / busy("shares");
    whole = busy("real") / fair;
    std::printf("%-34s %10.2f %10.2f %10.2f\n", "departments, seconds", rest("real"), busy("real"),
                fair);
    std::printf("%-34s %10.2f %10.2f\n", "departments, CPU seconds", rest("cpu"), busy("cpu"));
  }
  std::printf("{\"decision_p50_busy\": %.3f, \"decode_busy_vs_fair\": %.3f",
              busy("p50") / rest("p50"), busy("decode") / fair_decode);
  if (has_program) std::printf(", \"departments_busy_vs_fair\": %.3f", whole);
  std::printf("}\n");
}

int measure_all(int rounds, const std::vector<char*>& program) {
  BusyProcesses others(3 * usable_processors());
  Decisions decisions;
  Figures figures;
  for (int round = 0; round < rounds; ++round) {
    measure("at rest", decisions, program, figures);
    others.go_on();
    measure("busy", decisions, program, figures);
    others.rest();
    std::fprintf(stderr, "round %d of %d\n", round + 1, rounds);
  }
  print(figures, !program.empty());
  return EXIT_SUCCESS;
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<char*> program(argv + 1, argv + argc);
  int rounds = 3;
  if (program.size() >= 2 && std::string_view(program[0]) == "--rounds") {
    const std::string_view text = program[1];
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), rounds);
    if (error != std::errc() || end != text.data() + text.size() || rounds < 1) {
      std::fprintf(stderr, "--rounds is %s, expected a number from 1 on\n", program[1]);
      return EXIT_FAILURE;
    }
    program.erase(program.begin(), program.begin() + 2);
  }
  try {
    return measure_all(rounds, program);
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "busy: %s\n", failure.what());
    return EXIT_FAILURE;
  }
}
