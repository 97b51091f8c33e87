// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// One run.

#include <unistd.h>

#include <algorithm>
#include <anyssr/backbone/llama/llama_backbone.hpp>
#include <anyssr/io/peft_adapter_reader.hpp>
#include <anyssr/learner/continual_learner.hpp>
#include <anyssr/lora/adapter_response.hpp>
#include <anyssr/metrics/text_score.hpp>
#include <anyssr/store.hpp>
#include <cstdio>
#include <memory>
#include <sstream>
#include <utility>

#include "llama_continual/experiment.hpp"
#include "support/command_line.hpp"
#include "support/messages.hpp"
#include "support/output_file.hpp"
#include "support/shown.hpp"

namespace llama_continual {

using namespace anyssr;

template <class S>
using LlamaLearner = ContinualLearner<LlamaBackbone<S>>;

template <class S>
LlamaBackbone<S> read_backbone(const Options& options) {
  return LlamaBackbone<S>(std::filesystem::path(options.model),
                          {.shallow_layers = options.shallow_layers,
                           .threads = options.threads,
                           .recompute_activations = options.recompute_activations},
                          {.warn = warn});
}

inline void warn_of(const std::string& what, const std::vector<std::string>& warnings) {
  for (const std::string& warning : warnings) warn(what + ": " + warning);
}

/// Task, confidence, scores and answer, a line each.
template <class S>
std::string describe(const LlamaLearner<S>& learner, const support::TextTokens& tokens, Index most,
                     const std::string& text) {
  const support::Tokens prompt = tokens.encode_prompt(text);
  const auto prediction = learner.predict(std::span(&prompt, 1), {.max_tokens = most}).front();
  const auto tasks = learner.tasks();
  std::ostringstream words;
  words.precision(3);
  words << std::fixed << "task        " << support::shown(prediction.task) << "\nconfidence  "
        << prediction.decision.confidence << "\nscores     ";
  for (std::size_t t = 0; t < tasks.size(); ++t) {
    words << " " << support::shown(tasks[t].name) << " "
          << prediction.decision.scores[static_cast<Index>(t)];
  }
  const support::Tokens& ids = prediction.output.tokens;
  words << "\nanswer      "
        << support::printable(tokens.decode(ids).value_or(support::ids_text(ids))) << "\n";
  return words.str();
}

template <class S>
Answerer make_answerer(std::shared_ptr<const LlamaLearner<S>> learner,
                       const support::TextTokens& tokens, const Options& options) {
  return [learner = std::move(learner), tokens, most = options.max_tokens](
             const std::string& text) { return describe<S>(*learner, tokens, most, text); };
}

/// A learner as --save kept it, under the same model; prints its tasks.
template <class S>
Answerer load_answerer(const support::TextTokens& tokens, const Options& options) {
  LoadReport report;
  auto learner = std::make_shared<const LlamaLearner<S>>(load<LlamaLearner<S>>(
      options.load, read_backbone<S>(options), {.threads = options.threads}, &report));
  warn_of(options.load, report.warnings);
  for (const TaskSummary& task : options.quiet ? std::vector<TaskSummary>{} : learner->tasks()) {
    std::printf("%s %6ld prompts, adapter of %zu bytes\n",
                support::in_columns(task.name, 16).c_str(), static_cast<long>(task.rows),
                task.adapter_bytes);
  }
  std::fflush(stdout);
  return make_answerer<S>(std::move(learner), tokens, options);
}

template <class S>
class Run {
  using Learner = LlamaLearner<S>;
  using Tokens = support::Tokens;

 public:
  Run(const std::vector<Task>& tasks, const support::TextTokens& tokens, const Options& options)
      : tasks_(tasks), tokens_(tokens), options_(options) {
    support::expect(options.save.empty() || !has_checkpoint(options.save), "--save: ", options.save,
                    " holds a checkpoint already, expected a new folder");
    if (!options.save.empty()) {
      support::expect_unused_folder("--save", options.save, "a new folder");
    }
    learner_ = std::make_shared<Learner>(read_backbone<S>(options), options.learner);
    for (const Task& task : tasks) {  // what cannot be learned is found before others are
      if (task.adapter.empty()) {
        (void)learner_->backbone().make_adapter({}, options.learner.adapter, 0);
      } else {
        const auto read =
            read_peft_adapter<S>(task.adapter, {.sites = learner_->backbone().sites()});
        Learner::check_adapter(learner_->backbone(), read.adapter);
      }
      for (const Item& item : task.test) {
        // one token more than the longest answer is wrong whatever it is
        const auto needed = static_cast<Index>(item.answer.ids.size()) + 1;
        longest_answer_ = std::max(longest_answer_, needed);
      }
    }
    // what is refused leaves no folder behind
    if (!options.save.empty()) writer_ = std::make_unique<CheckpointWriter>(options.save);
  }

  Results run(const std::vector<Task>& stripped, Answerer& answer) {
    const anyssr::Stopwatch clock;
    Results results(static_cast<Index>(tasks_.size()));
    for (std::size_t t = 0; t < tasks_.size(); ++t) {
      results.tasks.push_back(learn(tasks_[t]));
      if (writer_) warn_of(options_.save, writer_->save(*learner_).warnings);
      measure(t, results);
      if (!options_.quiet) print_row(t, results);
    }
    const std::string unsound = learner_->router().feature_condition().warning();
    if (!unsound.empty()) warn_of("the router", {unsound});
    measure_oracle(results);
    measure_interference(results);
    if (options_.blend_below > 0) results.blend = measure_blend();
    if (!stripped.empty()) results.stripped = route_stripped(stripped);
    results.router_bytes = learner_->storage().router_bytes;
    results.total_seconds = clock.seconds();
    results.peak_bytes = support::peak_bytes();
    answer = make_answerer<S>(learner_, tokens_, options_);
    return results;
  }

 private:
  /// Prompts that are answered together: their keys and values are in memory at once.
  static constexpr std::size_t piece = 32;
  static constexpr std::size_t samples_each = 4;
  static constexpr std::size_t measured_prompts = 100;  // of a task, for interference

  /// Calls body(first, prompts) for one piece after another.
  template <class Body>
  static void for_each_piece(const std::vector<Tokens>& prompts, const Body& body) {
    for (std::size_t first = 0; first < prompts.size(); first += piece) {
      body(first, std::span(prompts).subspan(first, std::min(piece, prompts.size() - first)));
    }
  }

  [[nodiscard]] bool is_watched() const { return !options_.quiet && isatty(fileno(stderr)) != 0; }

  /// The line under way, where a person is looking.
  bool show(const Task& task, const Progress& progress) const {
    if (is_watched() && progress.stage == "train") {
      std::fprintf(stderr, "\r%s step %ld of %ld   loss %.3f   %.0f tokens/s   %.0f s left  ",
                   support::in_columns(task.name, 20).c_str(), static_cast<long>(progress.done),
                   static_cast<long>(progress.total), progress.loss, progress.per_second,
                   progress.seconds_left);
    }
    return true;
  }

  TaskFigures learn(const Task& task) {
    const anyssr::Stopwatch clock;
    spans_before_.push_back(learner_->subspaces());
    const std::vector<Tokens> prompts = prompts_of(task.train);
    TaskFigures figures;
    if (task.adapter.empty()) {
      const std::vector<Tokens> answers = answers_of(task.train);
      const TaskReport report =
          learner_->learn_task(task.name, prompts, answers,
                               {.progress = [&](const Progress& p) { return show(task, p); }});
      figures.train_per_second = report.training.per_second;
      figures.losses = report.training.losses;
      if (is_watched()) std::fprintf(stderr, "\r%80s\r", "");
    } else {
      auto read =
          read_peft_adapter<S>(task.adapter, {.sites = learner_->backbone().sites(), .warn = warn});
      learner_->adopt_task(task.name, std::move(read.adapter), prompts);
    }
    const TaskSummary summary = learner_->tasks().back();
    figures.adapter_bytes = summary.adapter_bytes;
    figures.adapter_parameters = summary.adapter_parameters;
    figures.learn_seconds = clock.seconds();
    return figures;
  }

  /// Asks about every task up to t, which was learned last; after the last one with all details.
  void measure(std::size_t t, Results& results) const {
    const bool is_last = t + 1 == tasks_.size();
    double seconds = 0;
    double tokens = 0;
    for (std::size_t j = 0; j <= t; ++j) {
      const Task& task = tasks_[j];
      Index right = 0;
      double rouge = 0;
      for_each_piece(prompts_of(task.test), [&](std::size_t first, const auto& prompts) {
        const anyssr::Stopwatch clock;
        const auto predictions = learner_->predict(prompts, {.max_tokens = longest_answer_});
        seconds += clock.seconds();
        for (std::size_t i = 0; i < predictions.size(); ++i) {
          const Item& item = task.test[first + i];
          const auto& prediction = predictions[i];
          const bool is_right = learner_->backbone().is_correct(prediction.output, item.answer.ids);
          right += is_right ? 1 : 0;
          tokens += static_cast<double>(item.prompt.ids.size() + prediction.output.tokens.size());
          if (!is_last) continue;
          results.confusion.add(static_cast<Index>(j), prediction.decision.task);
          rouge += score(item.answer, prediction.output.tokens);
          if (first + i < samples_each) {
            results.samples.push_back(sample(task, item, prediction, is_right));
          }
        }
      });
      const auto count = static_cast<double>(task.test.size());
      results.accuracy.set(static_cast<Index>(t), static_cast<Index>(j),
                           static_cast<double>(right) / count);
      if (is_last) results.tasks[j].rouge_l = rouge / count;
    }
    if (is_last) results.tokens_per_second = tokens / std::max(seconds, 1e-9);
  }

  /// ROUGE-L by words, or by tokens where there is no text.
  [[nodiscard]] double score(const Text& expected, const Tokens& answer) const {
    const std::optional<std::string> text = expected.is_ids ? std::nullopt : tokens_.decode(answer);
    if (text) return rouge_l(std::string_view(*text), std::string_view(expected.text)).f1;
    return rouge_l(std::span(answer), std::span(expected.ids)).f1;
  }

  [[nodiscard]] std::string shown(const Tokens& ids) const {
    return tokens_.decode(ids).value_or(support::ids_text(ids));
  }
  [[nodiscard]] static std::string shown(const Text& text) {
    return text.is_ids ? support::ids_text(text.ids) : text.text;
  }

  [[nodiscard]] Sample sample(const Task& task, const Item& item,
                              const Prediction<LlamaOutput>& prediction, bool is_right) const {
    return {.task = task.name,
            .routed = prediction.task,
            .prompt = shown(item.prompt),
            .expected = shown(item.answer),
            .answer = shown(prediction.output.tokens),
            .confidence = prediction.decision.confidence,
            .is_right = is_right};
  }

  /// Each task under its own adapter, without routing.
  void measure_oracle(Results& results) const {
    for (std::size_t t = 0; t < tasks_.size(); ++t) {
      const Task& task = tasks_[t];
      Index right = 0;
      for_each_piece(prompts_of(task.test), [&](std::size_t first, const auto& prompts) {
        const auto outputs =
            learner_->predict_as(task.name, prompts, {.max_tokens = longest_answer_});
        for (std::size_t i = 0; i < outputs.size(); ++i) {
          const Tokens& expected = task.test[first + i].answer.ids;
          right += learner_->backbone().is_correct(outputs[i], expected) ? 1 : 0;
        }
      });
      const double accuracy = static_cast<double>(right) / static_cast<double>(task.test.size());
      results.tasks[t].oracle_accuracy = accuracy;
      results.oracle_accuracy += accuracy / static_cast<double>(tasks_.size());
    }
  }

  /// The learner's policy is the default one before and after.
  [[nodiscard]] BlendFigures measure_blend() {
    BlendFigures figures;
    for (const Task& task : tasks_) {
      std::vector<Tokens> prompts;
      std::vector<Tokens> answers;
      for_each_piece(prompts_of(task.test), [&](std::size_t first, const auto& all) {
        const auto decisions = learner_->snapshot().decide(all);
        for (std::size_t i = 0; i < decisions.size(); ++i) {
          const RoutingDecision& decision = decisions[i];
          if (decision.runner_up < 0 || decision.confidence >= options_.blend_below) continue;
          prompts.push_back(all[i]);
          answers.push_back(task.test[first + i].answer.ids);
        }
      });
      figures.prompts += static_cast<Index>(prompts.size());
      figures.right_alone += count_right(prompts, answers);
      learner_->set_policy(
          {.min_confidence = options_.blend_below, .blend = true, .blend_confidence = 0});
      figures.right_blended += count_right(prompts, answers);
      learner_->set_policy({});
    }
    return figures;
  }

  [[nodiscard]] Index count_right(const std::vector<Tokens>& prompts,
                                  const std::vector<Tokens>& answers) const {
    Index right = 0;
    for_each_piece(prompts, [&](std::size_t first, const auto& some) {
      const auto predictions = learner_->predict(some, {.max_tokens = longest_answer_});
      for (std::size_t i = 0; i < predictions.size(); ++i) {
        right += learner_->backbone().is_correct(predictions[i].output, answers[first + i]) ? 1 : 0;
      }
    });
    return right;
  }

  /// Each adapter on the site inputs of every task's test prompts.
  void measure_interference(Results& results) const {
    const std::size_t count = tasks_.size();
    const LlamaBackbone<S>& backbone = learner_->backbone();
    const auto snapshot = learner_->snapshot();
    results.interference.assign(count, std::vector<double>(count));
    results.interference_bound = results.interference;
    for (std::size_t j = 0; j < count; ++j) {
      const std::vector<Tokens> prompts = prompts_of(tasks_[j].test);
      const auto trunk =
          backbone.trunk(std::span(prompts).first(std::min(prompts.size(), measured_prompts)));
      for (std::size_t i = 0; i < count; ++i) {
        const auto adapter = snapshot.adapter(tasks_[i].name);
        results.interference[i][j] = adapter_response(backbone, trunk, *adapter);
        if (options_.learner.subspace != SubspaceChoice::complement || i <= j) continue;
        results.interference_bound[i][j] =
            spans_before_[i].response_bound(backbone, trunk, *adapter);
      }
    }
    for (std::size_t i = 0; i < count; ++i) {
      const double own = std::max(results.interference[i][i], 1e-300);
      for (double& value : results.interference[i]) value /= own;
      for (double& value : results.interference_bound[i]) value /= own;
    }
  }

  [[nodiscard]] RowMajorMatrix<S> features(const std::vector<Item>& items) const {
    const LlamaBackbone<S>& backbone = learner_->backbone();
    RowMajorMatrix<S> all(static_cast<Index>(items.size()), backbone.feature_dim());
    for_each_piece(prompts_of(items), [&](std::size_t first, const auto& prompts) {
      all.middleRows(static_cast<Index>(first), static_cast<Index>(prompts.size())) =
          backbone.features(prompts);
    });
    return all;
  }

  /// A second router, of the same options, that learns and decides without the template's words.
  [[nodiscard]] ConfusionMatrix route_stripped(const std::vector<Task>& stripped) const {
    AnalyticRouter<S> router(learner_->backbone().feature_dim(), learner_->options().router);
    for (const Task& task : stripped) router.learn(task.name, features(task.train));
    ConfusionMatrix confusion(static_cast<Index>(stripped.size()));
    RoutingWorkspace<S> workspace;
    std::vector<RoutingDecision> decisions;
    for (std::size_t t = 0; t < stripped.size(); ++t) {
      router.decide(features(stripped[t].test), workspace, decisions);
      for (const auto& decision : decisions) confusion.add(static_cast<Index>(t), decision.task);
    }
    return confusion;
  }

  void print_row(std::size_t t, const Results& results) const {
    const Task& task = tasks_[t];
    const TaskFigures& figures = results.tasks[t];
    std::printf("%2zu/%zu  %s %6zu prompts, adapter %-10s %7.1f s   accuracy", t + 1, tasks_.size(),
                support::in_columns(task.name, 16).c_str(), task.train.size(),
                task.adapter.empty() ? "trained" : "taken over", figures.learn_seconds);
    for (const double accuracy : results.accuracy.row(static_cast<Index>(t))) {
      std::printf("  %.3f", accuracy);
    }
    std::printf("\n");
    std::fflush(stdout);
  }

  const std::vector<Task>& tasks_;
  const support::TextTokens& tokens_;
  const Options& options_;
  std::shared_ptr<Learner> learner_;
  std::unique_ptr<CheckpointWriter> writer_;    // null without --save
  std::vector<TaskSubspaces<S>> spans_before_;  // each task; empty but for the choice complement
  Index longest_answer_ = 1;                    // with its end
};

}  // namespace llama_continual
