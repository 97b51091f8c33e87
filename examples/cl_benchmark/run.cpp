// SPDX-License-Identifier: MIT
#include <algorithm>
#include <anyssr/core/stopwatch.hpp>
#include <memory>
#include <utility>

#include "cl_benchmark/at_once.hpp"
#include "cl_benchmark/experiment.hpp"
#include "cl_benchmark/merges.hpp"
#include "cl_benchmark/method_names.hpp"
#include "cl_benchmark/run_plans.hpp"
#include "cl_benchmark/run_state.hpp"
#include "support/command_line.hpp"
#include "support/process_costs.hpp"

namespace cl_benchmark {

using anyssr::Index;
using anyssr::Stopwatch;

namespace {

/// One method in one run.
class Trial {
 public:
  Trial(const Encoded& encoded, Method& method)
      : encoded_(encoded), method_(method), result_(count()) {}

  MethodRun run(const std::string& name, ProgressLine& progress) {
    method_.get_adapters(encoded_);
    if (method_.answers_ahead()) {
      for (Index t = 0; t < count(); ++t) result_.untrained.push_back(accuracy_on(t));
    }
    for (Index t = 0; t < count(); ++t) {
      if (method_.answers_ahead() && t > 0) result_.accuracy.set(t - 1, t, accuracy_on(t));
      learn(task(t));
      if (encoded_.second_visit && t + 1 == count()) learn_more(*encoded_.second_visit);
      const bool answers = !method_.learns_at_the_end() || t + 1 == count();
      progress.done(name, task(t).task->name, answers ? measure(t) : 0);
    }
    result_.retained_data_bytes = method_.retained_data_bytes();
    ask_one_by_one();
    return std::move(result_);
  }

 private:
  [[nodiscard]] Index count() const { return static_cast<Index>(encoded_.tasks.size()); }
  [[nodiscard]] const EncodedTask& task(Index t) const {
    return encoded_.tasks[static_cast<std::size_t>(t)];
  }

  void learn(const EncodedTask& task) {
    result_.learn_seconds.push_back(0);
    result_.learn_cpu_seconds.push_back(0);
    result_.learn_peak_bytes.push_back(0);
    result_.stored_bytes.push_back(0);
    measure_learning([&] { method_.learn(task); });
  }
  /// Its costs are counted with those of the last task.
  void learn_more(const EncodedTask& task) {
    const Index place = encoded_.place_of(task.task->name);
    measure_learning([&] { method_.learn_more(place, task); });
  }
  template <class Learn>
  void measure_learning(const Learn& learn) {
    const support::PeakMemory peak;
    const double cpu = support::cpu_seconds();
    const Stopwatch clock;
    learn();
    result_.learn_seconds.back() += clock.seconds();
    result_.learn_cpu_seconds.back() += support::cpu_seconds() - cpu;
    result_.learn_peak_bytes.back() = std::max(result_.learn_peak_bytes.back(), peak.bytes());
    result_.stored_bytes.back() = method_.stored_bytes();
  }

  [[nodiscard]] static double share_right(const EncodedRows& rows,
                                          const std::vector<Answer>& answers) {
    Index right = 0;
    for (std::size_t i = 0; i < answers.size(); ++i) {
      right += answers[i].answer == rows.answers[i] ? 1 : 0;
    }
    return static_cast<double>(right) / static_cast<double>(answers.size());
  }

  [[nodiscard]] double accuracy_on(Index t) {
    return share_right(task(t).test, method_.answer(task(t).test.trunk, t));
  }

  /// Asks about every task up to t, which was learned last.
  /// @return mean accuracy
  double measure(Index t) {
    double sum = 0;
    for (Index j = 0; j <= t; ++j) {
      const std::vector<Answer> answers = method_.answer(task(j).test.trunk, j);
      for (const Answer& answer : answers) {
        if (t + 1 < count() || answer.task < 0) continue;
        result_.confusion.add(j, answer.task);
        result_.routes = true;
      }
      const double accuracy = share_right(task(j).test, answers);
      result_.accuracy.set(t, j, accuracy);
      sum += accuracy;
    }
    return sum / static_cast<double>(t + 1);
  }

  void ask_one_by_one() {
    std::vector<std::size_t> counts;
    for (const EncodedTask& task : encoded_.tasks) counts.push_back(task.test.answers.size());
    const auto ask = [&](std::size_t t, std::size_t i) {
      (void)method_.ask(encoded_.tasks[t].task->test.texts[i], static_cast<Index>(t));
    };
    measure_questions(counts, ask, result_);
  }

  const Encoded& encoded_;
  Method& method_;
  MethodRun result_;
};

/// What every method did in one run, and what else is found out in the first of an order or of all.
class PlanRunner {
 public:
  PlanRunner(const Benchmark& benchmark, const Options& options, const RunPlan& plan,
             RunState& state)
      : benchmark_(benchmark), options_(options), plan_(plan), state_(state) {
    benchmark_.tasks = in_order(benchmark, plan.order);
    settings_ = options.settings;
    settings_.seed = plan.seed;
  }

  void run(bool is_first, bool is_new_order, Results& results, ProgressLine& progress) {
    for (const std::string& name : in_order_of_learning(options_.methods)) {
      std::optional<MethodRun> done = state_.find(name, plan_);
      if (done) {
        progress.skip(benchmark_.tasks.size());
      } else {
        done.emplace(learn(name, progress));
        if (name == "anyssr") compare_at_once(is_new_order, *done);
        state_.keep(name, plan_, *done);
      }
      results.runs[name].push_back(*std::move(done));
    }
    fill_at_once(results);
    if (is_first && std::ranges::count(options_.methods, "anyssr") > 0) find_merges(results);
  }

 private:
  /// `anyssr` learns first: other methods use the adapters that it has learned.
  [[nodiscard]] static std::vector<std::string> in_order_of_learning(
      std::vector<std::string> methods) {
    std::stable_partition(methods.begin(), methods.end(),
                          [](const auto& name) { return name == "anyssr"; });
    return methods;
  }
  void prepare() {
    if (encoded_) return;
    encoded_.emplace(encode(benchmark_, settings_));
    factory_.emplace(*encoded_, settings_);
  }
  MethodRun learn(const std::string& name, ProgressLine& progress) {
    prepare();
    const std::unique_ptr<Method> method = factory_->make(name);
    return Trial(*encoded_, *method).run(name, progress);
  }
  void compare_at_once(bool is_new_order, MethodRun& run) {
    run.at_once = accuracies_at_once(*encoded_, *factory_->routed(), settings_);
    if (is_new_order) run.changed_decisions = count_changed_decisions(*encoded_, settings_);
  }
  void find_merges(Results& results) {
    if (const auto kept = state_.find_merges(plan_)) {
      results.merges = *kept;
      return;
    }
    prepare();
    const std::shared_ptr<RoutedLearner> learner = factory_->routed();
    for (const EncodedTask& task : encoded_->tasks) learner->learn(task);
    if (encoded_->second_visit) learner->extend(*encoded_->second_visit);
    results.merges = merge_findings(*encoded_, *learner, options_.merged, settings_);
    state_.keep_merges(plan_, results.merges);
  }

  Benchmark benchmark_;
  const Options& options_;
  const RunPlan& plan_;
  RunState& state_;
  MethodSettings settings_;
  std::optional<Encoded> encoded_;
  std::optional<MethodFactory> factory_;
};

}  // namespace

Results run(const Benchmark& benchmark, const Options& options) {
  const Stopwatch clock;
  for (const std::string& name : options.methods) expect_method(name);
  Results results;
  results.plans = plans_of(benchmark, options);
  RunState state(options.state, benchmark, options);
  ProgressLine progress(options.quiet,
                        results.plans.size() * options.methods.size() * benchmark.tasks.size());
  for (std::size_t i = 0; i < results.plans.size(); ++i) {
    const bool is_new_order = i == 0 || results.plans[i].order != results.plans[i - 1].order;
    PlanRunner(benchmark, options, results.plans[i], state)
        .run(i == 0, is_new_order, results, progress);
  }
  results.seconds = clock.seconds();
  results.peak_bytes = support::peak_bytes();
  return results;
}

}  // namespace cl_benchmark
