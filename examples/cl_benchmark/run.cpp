// SPDX-License-Identifier: MIT
#include <algorithm>
#include <anyssr/core/stopwatch.hpp>
#include <cstdio>
#include <memory>
#include <utility>

#include "cl_benchmark/experiment.hpp"
#include "support/command_line.hpp"
#include "support/shown.hpp"

namespace cl_benchmark {

using anyssr::Index;
using anyssr::Stopwatch;

namespace {

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  return *middle;
}

/// Tells how far the run is, and about how long it will take.
class ProgressLine {
 public:
  ProgressLine(bool quiet, std::size_t steps) : quiet_(quiet), steps_(steps) {}

  void done(const std::string& method, const Task& task, double accuracy) {
    ++done_;
    if (quiet_) return;
    const double rest =
        clock_.seconds() / static_cast<double>(done_) * static_cast<double>(steps_ - done_);
    std::printf("%4zu/%zu  %-16s %s   accuracy so far %.3f   about %.0f s left\n", done_, steps_,
                method.c_str(), support::in_columns(task.name, 16).c_str(), accuracy, rest);
    std::fflush(stdout);
  }

 private:
  bool quiet_;
  std::size_t steps_;
  std::size_t done_ = 0;
  Stopwatch clock_;
};

/// One method in one run.
class Trial {
 public:
  Trial(const Benchmark& benchmark, Method& method)
      : benchmark_(benchmark), method_(method), result_(count()) {}

  MethodRun run(const std::string& name, ProgressLine& progress) {
    for (Index t = 0; t < count(); ++t) {
      const Stopwatch clock;
      method_.learn(task(t));
      result_.learn_seconds.push_back(clock.seconds());
      result_.stored_bytes.push_back(method_.stored_bytes());
      const bool answers = !method_.learns_at_the_end() || t + 1 == count();
      progress.done(name, task(t), answers ? measure(t) : 0);
    }
    result_.retained_data_bytes = method_.retained_data_bytes();
    measure_queries();
    return std::move(result_);
  }

 private:
  [[nodiscard]] Index count() const { return static_cast<Index>(benchmark_.tasks.size()); }
  [[nodiscard]] const Task& task(Index t) const {
    return benchmark_.tasks[static_cast<std::size_t>(t)];
  }

  /// Asks about every task up to t, which was learned last.
  /// @return mean accuracy
  double measure(Index t) {
    double sum = 0;
    for (Index j = 0; j <= t; ++j) {
      const Rows& rows = task(j).test;
      const std::vector<Answer> answers = method_.answer(rows.texts, j);
      Index right = 0;
      for (std::size_t i = 0; i < answers.size(); ++i) {
        right += answers[i].answer == rows.answers[i] ? 1 : 0;
        if (t + 1 == count() && answers[i].task >= 0) {
          result_.confusion.add(j, answers[i].task);
          result_.routes = true;
        }
      }
      const double accuracy = static_cast<double>(right) / static_cast<double>(answers.size());
      result_.accuracy.set(t, j, accuracy);
      sum += accuracy;
    }
    return sum / static_cast<double>(t + 1);
  }

  void measure_queries() {
    std::vector<double> microseconds;
    const std::vector<std::string>& texts = task(0).test.texts;
    for (std::size_t i = 0; i < std::min<std::size_t>(200, texts.size()); ++i) {
      const Stopwatch clock;
      (void)method_.answer(std::span(&texts[i], 1), 0);
      microseconds.push_back(1e6 * clock.seconds());
    }
    result_.query_microseconds = median(std::move(microseconds));
  }

  const Benchmark& benchmark_;
  Method& method_;
  MethodRun result_;
};

}  // namespace

Results run(const Benchmark& benchmark, const Options& options) {
  const Stopwatch clock;
  Results results;
  const auto seeds = static_cast<std::size_t>(options.seeds);
  ProgressLine progress(options.quiet, seeds * options.methods.size() * benchmark.tasks.size());
  for (std::size_t s = 0; s < seeds; ++s) {
    MethodSettings settings = options.settings;
    settings.seed += s;
    MethodFactory factory(benchmark, settings);
    std::vector<std::unique_ptr<Method>> methods;  // all of them, so that none is refused later
    for (const std::string& name : options.methods) methods.push_back(factory.make(name));
    for (std::size_t m = 0; m < methods.size(); ++m) {
      const std::string& name = options.methods[m];
      results.runs[name].push_back(Trial(benchmark, *methods[m]).run(name, progress));
      methods[m].reset();
    }
  }
  results.seconds = clock.seconds();
  results.peak_bytes = support::peak_bytes();
  return results;
}

}  // namespace cl_benchmark
