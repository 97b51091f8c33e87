// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// One run in one scalar. Each scalar is compiled in a file of its own, side by side.

#include <unistd.h>

#include <algorithm>
#include <anyssr/backbone/text_hashing.hpp>
#include <anyssr/core/stopwatch.hpp>
#include <anyssr/learner/continual_learner.hpp>
#include <anyssr/metrics/calibration.hpp>
#include <anyssr/metrics/ranking.hpp>
#include <cstdio>
#include <memory>
#include <span>
#include <sstream>

#include "departments/experiment.hpp"
#include "departments/keeper.hpp"
#include "support/command_line.hpp"
#include "support/messages.hpp"
#include "support/shown.hpp"

namespace departments {

using namespace anyssr;

inline LearnerOptions learner_options(const Options& options) {
  LearnerOptions result;
  result.router.expansion =
      support::parse_expansion(options.expansion, options.activation, options.seed);
  result.router.rls.ridge = options.ridge;
  result.router.rls.ridge_scale = RidgeScale::absolute;  // hashed rows have norm 1
  result.router.rls.threads = options.threads;
  result.adapter.lora.rank = static_cast<Index>(options.rank);
  result.adapter.lora.alpha = static_cast<double>(std::max<std::int64_t>(1, options.rank));
  result.subspace = parse_subspace_choice(options.subspace, "--subspace");
  result.lift.seed = options.seed;
  result.seed = options.seed;
  return result;
}

inline const Split& measured_split(const Department& department, const Options& options) {
  return options.measured == "val" ? department.val : department.test;
}

inline double median(std::vector<double> values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

template <class S>
TextHashingBackbone<S> hashed_words(const Options& options) {
  return TextHashingBackbone<S>({.dim = static_cast<Index>(options.dim), .seed = options.seed});
}

template <class Ground>
class Run {
  using Base = typename Ground::Backbone;
  using S = typename Base::Scalar;
  using Learner = ContinualLearner<Base>;
  using Backbone = typename Learner::Adaptable;

 public:
  Run(Questions& questions, const Options& options, Base backbone)
      : questions_(questions), options_(options) {
    learner_ = std::make_shared<Learner>(backbone, learner_options(options));
    (void)learner_->backbone().make_adapter(std::span(questions.departments.front().train.labels),
                                            learner_->options().adapter, 0);
    if (!options.ask.empty()) expect_answerable(options.ask);
    if (options.state.empty()) return;
    state_ = open_keeper<Ground>(options);  // what is refused before leaves no folder behind
    learner_.reset();                       // two at once may be large
    auto known = state_->load(backbone);
    learner_ = known ? std::make_shared<Learner>(std::move(*known))
                     : std::make_shared<Learner>(std::move(backbone), learner_options(options));
  }

  Results run(Answerer& answer) {
    const anyssr::Stopwatch clock;
    const auto all = static_cast<Index>(questions_.departments.size());
    const Index known = select_departments();
    Results results(count());
    results.known_before = known;
    if (known > 0) measure_known(known, all, results);
    for (Index t = known; t < count(); ++t) learn(t, all, results);
    measure_at_the_end(results);
    const std::string unsound = learner_->router().feature_condition().warning();
    if (!unsound.empty()) warn("the router: " + unsound);
    compare_with_joint(results);
    measure_ablation(results);
    const StorageReport storage = learner_->storage();
    results.adapter_bytes = storage.adapter_bytes;
    results.router_bytes = storage.router_bytes;
    results.total_seconds = clock.seconds();
    results.peak_bytes = support::peak_bytes();
    add_digests(results);
    // the state stays locked as long as somebody is answered
    answer = [learner = learner_, questions = questions_, state = state_](const std::string& text) {
      return describe(*learner, questions, text);
    };
    return results;
  }

 private:
  /// A question that cannot be answered is refused before anything is learned.
  void expect_answerable(const std::string& question) const {
    try {
      (void)learner_->backbone().trunk(std::span(&question, 1));
    } catch (const Error& error) {
      throw ArgumentError(std::string("--ask: ") + error.what());
    }
  }

  [[nodiscard]] Index count() const { return static_cast<Index>(questions_.departments.size()); }
  [[nodiscard]] const Department& department(Index t) const {
    return questions_.departments[static_cast<std::size_t>(t)];
  }
  [[nodiscard]] const Split& measured(Index t) const {
    return measured_split(department(t), options_);
  }

  /// Keeps the departments that are known already, those first, and those that this run learns.
  /// @return how many are known
  Index select_departments() {
    std::vector<std::string> names;
    const std::vector<TaskSummary> tasks = learner_->tasks();
    for (const TaskSummary& task : tasks) names.push_back(task.name);
    put_first(questions_, names);
    if (state_) state_->expect_same_questions(tasks, questions_);
    const std::size_t fresh = questions_.departments.size() - tasks.size();
    const std::size_t learned =
        options_.learn < 0 ? fresh : std::min(fresh, static_cast<std::size_t>(options_.learn));
    expect_any(tasks.size() + learned > 0, options_);
    questions_.departments.resize(tasks.size() + learned);
    return static_cast<Index>(tasks.size());
  }

  /// The line under way, where a person is looking.
  bool show(const Department& task, const Progress& progress) const {
    if (!options_.quiet && isatty(fileno(stderr)) != 0 && progress.stage == "train") {
      std::fprintf(stderr, "\r%s training step %ld of %ld ",
                   support::in_columns(task.name, 24).c_str(), static_cast<long>(progress.done),
                   static_cast<long>(progress.total));
    }
    return true;
  }

  void learn(Index t, Index all, Results& results) {
    const Department& task = department(t);
    const TaskReport report =
        learner_->learn_task(task.name, task.train.texts, task.train.labels,
                             {.metadata = {{"labels", label_list(task)}},
                              .progress = [&](const Progress& p) { return show(task, p); }});
    if (state_) state_->save(*learner_);
    results.learn_seconds.push_back(report.seconds);
    const double mean = measure(t, results);
    if (options_.quiet) return;
    if (isatty(fileno(stderr)) != 0) std::fprintf(stderr, "\r");
    std::printf("%3ld/%ld  %s %6ld rows %7.2f s   accuracy so far %.3f\n", static_cast<long>(t + 1),
                static_cast<long>(all), support::in_columns(task.name, 24).c_str(),
                static_cast<long>(report.rows), report.seconds, mean);
    std::fflush(stdout);
  }

  /// The last row of the accuracies that the runs before could have measured.
  void measure_known(Index known, Index all, Results& results) const {
    const double mean = measure(known - 1, results);
    if (options_.quiet) return;
    for (Index t = 0; t < known; ++t) {
      std::printf("%3ld/%ld  %s %6ld rows, known already", static_cast<long>(t + 1),
                  static_cast<long>(all), support::in_columns(department(t).name, 24).c_str(),
                  static_cast<long>(department(t).train.texts.size()));
      if (t + 1 == known) std::printf("   accuracy so far %.3f", mean);
      std::printf("\n");
    }
    std::fflush(stdout);
  }

  /// Asks about every department up to t, which was learned last.
  /// @return mean accuracy
  double measure(Index t, Results& results) const {
    double sum = 0;
    for (Index j = 0; j <= t; ++j) {
      results.accuracy.set(t, j, accuracy(j));
      sum += results.accuracy(t, j);
    }
    return sum / static_cast<double>(t + 1);
  }

  /// Share of a department's measured questions whose department and label both come out right.
  [[nodiscard]] double accuracy(Index t) const {
    const Split& split = measured(t);
    const auto predictions = learner_->predict(split.texts);
    Index right = 0;
    for (std::size_t i = 0; i < predictions.size(); ++i) {
      const bool is_right = predictions[i].decision.task == t &&
                            learner_->backbone().is_correct(predictions[i].output, split.labels[i]);
      right += is_right ? 1 : 0;
    }
    return static_cast<double>(right) / static_cast<double>(predictions.size());
  }

  void measure_at_the_end(Results& results) {
    std::vector<double> confidences;
    std::vector<std::uint8_t> routed_right;
    double oracle = 0;
    for (Index t = 0; t < count(); ++t) {
      const Split& split = measured(t);
      const auto trunk = learner_->backbone().trunk(split.texts);
      trunks_.push_back(trunk);
      decisions_.push_back(decide(learner_->router(), trunk));
      for (const RoutingDecision& decision : decisions_.back()) {
        confidences.push_back(decision.confidence);
        routed_right.push_back(decision.task == t ? 1 : 0);
        results.confusion.add(t, decision.task);
      }
      const std::vector<Index> given(split.texts.size(), t);
      oracle += end_to_end(t, given, adapters());
    }
    results.oracle_accuracy = oracle / static_cast<double>(count());
    results.calibration_error = expected_calibration_error(confidences, routed_right);
    results.inside_confidence = median(confidences);
    if (!questions_.outside.empty()) {
      std::vector<double> outside;
      for (const auto& decision : learner_->snapshot().decide(questions_.outside)) {
        outside.push_back(decision.confidence);
      }
      results.outside_auroc = auroc(confidences, outside);
      results.outside_confidence = median(outside);
    }
    std::vector<double> microseconds;
    const Split& split = measured(0);
    for (std::size_t i = 0; i < std::min<std::size_t>(200, split.texts.size()); ++i) {
      const anyssr::Stopwatch clock;
      (void)learner_->predict(std::span(&split.texts[i], 1));
      microseconds.push_back(1e6 * clock.seconds());
    }
    results.query_microseconds = median(microseconds);
  }

  [[nodiscard]] std::vector<RoutingDecision> decide(const AnalyticRouter<S>& router,
                                                    const typename Backbone::Trunk& trunk) const {
    RoutingWorkspace<S> workspace;
    std::vector<RoutingDecision> decisions;
    router.decide(learner_->backbone().features(trunk), workspace, decisions);
    return decisions;
  }

  [[nodiscard]] std::vector<Adapter<S>> adapters() const {
    std::vector<Adapter<S>> result;
    const auto snapshot = learner_->snapshot();
    for (const auto& handle : snapshot.handles()) result.push_back(*handle->get());
    return result;
  }

  /// Accuracy on department t when its questions are answered by the adapters of `tasks`.
  [[nodiscard]] double end_to_end(Index t, const std::vector<Index>& tasks,
                                  const std::vector<Adapter<S>>& adapters) const {
    std::vector<AdapterMix<S>> mixes;
    for (const Index task : tasks) mixes.emplace_back(adapters[static_cast<std::size_t>(task)]);
    const auto outputs = learner_->backbone().forward(trunks_[static_cast<std::size_t>(t)], mixes);
    Index right = 0;
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      const bool is_right =
          tasks[i] == t && learner_->backbone().is_correct(outputs[i], measured(t).labels[i]);
      right += is_right ? 1 : 0;
    }
    return static_cast<double>(right) / static_cast<double>(outputs.size());
  }

  [[nodiscard]] double average_end_to_end(
      const std::vector<std::vector<RoutingDecision>>& decisions,
      const std::vector<Adapter<S>>& adapters) const {
    double sum = 0;
    for (Index t = 0; t < count(); ++t) {
      std::vector<Index> tasks;
      for (const auto& decision : decisions[static_cast<std::size_t>(t)])
        tasks.push_back(decision.task);
      sum += end_to_end(t, tasks, adapters);
    }
    return sum / static_cast<double>(count());
  }

  /// One router that sees the rows of all departments in one batch.
  void compare_with_joint(Results& results) const {
    std::vector<std::string> names;
    std::vector<std::string> texts;
    std::vector<Index> task_of_row;
    std::vector<Index> labels;
    for (Index t = 0; t < count(); ++t) {
      const Split& split = department(t).train;
      names.push_back(department(t).name);
      texts.insert(texts.end(), split.texts.begin(), split.texts.end());
      labels.insert(labels.end(), split.labels.begin(), split.labels.end());
      task_of_row.insert(task_of_row.end(), split.texts.size(), t);
    }
    AnalyticRouter<S> joint(learner_->backbone().feature_dim(), learner_->options().router);
    joint.learn_together(std::span<const std::string>(names), learner_->backbone().features(texts),
                         task_of_row, labels);
    std::vector<std::vector<RoutingDecision>> decisions;
    for (Index t = 0; t < count(); ++t) {
      decisions.push_back(decide(joint, trunks_[static_cast<std::size_t>(t)]));
      for (std::size_t i = 0; i < decisions.back().size(); ++i) {
        ++results.decisions;
        const bool changed =
            decisions.back()[i].task != decisions_[static_cast<std::size_t>(t)][i].task;
        results.decisions_changed += changed ? 1 : 0;
      }
    }
    results.joint_accuracy = average_end_to_end(decisions, adapters());
  }

  /// The same routing with other adapters: parts of the learned ones, and heads trained without
  /// LoRA.
  void measure_ablation(Results& results) const {
    std::vector<Adapter<S>> ridge_head = adapters();
    std::vector<Adapter<S>> lora = adapters();
    std::vector<Adapter<S>> trained_head;
    for (Index t = 0; t < count(); ++t) {
      ridge_head[static_cast<std::size_t>(t)].heads.erase(std::string(Backbone::trained_head));
      lora[static_cast<std::size_t>(t)].heads.erase(std::string(Backbone::closed_form_head));
      const Split& split = department(t).train;
      const std::span<const Index> targets(split.labels);
      Adapter<S> adapter = learner_->backbone().make_adapter(targets, {.lora = {.rank = 0}}, 0);
      TrainOptions train = learner_->options().train;
      train.seed = hash_bytes(department(t).name, learner_->options().seed);
      train_adapter(learner_->backbone(), learner_->backbone().trunk(split.texts), targets, adapter,
                    train);
      trained_head.push_back(std::move(adapter));
    }
    results.ablation["ridge_head"] = average_end_to_end(decisions_, ridge_head);
    results.ablation["trained_head"] = average_end_to_end(decisions_, trained_head);
    results.ablation["lora"] = average_end_to_end(decisions_, lora);
    results.ablation["default"] = average_end_to_end(decisions_, adapters());
  }

  /// A hash of the bits of both sums and of all adapters: equal runs give equal ones.
  void add_digests(Results& results) const {
    const auto& regression = learner_->router().regression();
    const auto add = [&](const S* numbers, Index size) {
      const auto* bytes = reinterpret_cast<const char*>(numbers);
      results.sums_digest =
          hash_bytes({bytes, static_cast<std::size_t>(size) * sizeof(S)}, results.sums_digest);
    };
    const Matrix<S>& moment = regression.lower_second_moment();
    for (Index j = 0; j < moment.cols(); ++j) add(&moment(j, j), moment.rows() - j);
    const Matrix<S>& cross = regression.cross_correlation();
    for (Index j = 0; j < cross.cols(); ++j) add(&cross(0, j), cross.rows());
    const auto snapshot = learner_->snapshot();
    for (const auto& handle : snapshot.handles()) {
      results.adapter_digests.push_back(handle->info().digest);
      results.sums_digest = mix_bits(results.sums_digest ^ handle->info().digest);
    }
  }

  static std::string describe(const Learner& learner, const Questions& questions,
                              const std::string& text) {
    const auto prediction = learner.predict(std::span(&text, 1)).front();
    const Department& chosen =
        questions.departments[static_cast<std::size_t>(prediction.decision.task)];
    Index label = 0;
    prediction.output.maxCoeff(&label);
    std::ostringstream words;
    words.precision(2);
    words << std::fixed << "department  " << support::shown(prediction.task) << "\nintent      "
          << support::shown(chosen.labels[static_cast<std::size_t>(label)]) << "\nconfidence  "
          << prediction.decision.confidence << "\nrunner-up   ";
    const Index second = prediction.decision.runner_up;
    words << (second < 0
                  ? "none"
                  : support::shown(questions.departments[static_cast<std::size_t>(second)].name))
          << "\n";
    return words.str();
  }

  Questions& questions_;
  const Options& options_;
  std::shared_ptr<Keeper<Ground>> state_;  // null without --state
  std::shared_ptr<Learner> learner_;
  std::vector<typename Backbone::Trunk> trunks_;  // of the measured questions, one per department
  std::vector<std::vector<RoutingDecision>> decisions_;  // of the learner after the last task
};

}  // namespace departments
