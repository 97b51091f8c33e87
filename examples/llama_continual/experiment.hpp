// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The run of `llama_continual`: options, what it measures, and the answers to prompts typed in.

#include <anyssr/learner/learner_options.hpp>
#include <anyssr/metrics/confusion.hpp>
#include <anyssr/metrics/continual.hpp>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "llama_continual/data.hpp"
#include "support/warnings.hpp"

namespace llama_continual {

/// Warnings of this program.
inline constexpr support::Warner warn("llama_continual");

/// Pooled hidden states want random features: chosen on training data alone, where this expansion
/// and ridge routed held-out prompts best once their template words were taken out.
inline anyssr::LearnerOptions default_learner() {
  anyssr::LearnerOptions options;
  options.router.expansion = {.kind = anyssr::ExpansionKind::dense, .dim = 2048};
  options.router.rls.ridge = 0.03;
  return options;
}

struct Options {
  std::string model;
  std::string save;                ///< folder of a new checkpoint; empty: none
  std::string load;                ///< folder of a checkpoint to answer from; empty: none
  std::vector<std::string> strip;  ///< words that a second router does not see; empty: none
  anyssr::LearnerOptions learner = default_learner();
  double blend_below = 0;            ///< confidence of the prompts that are blended; 0: none
  anyssr::Index shallow_layers = 4;  ///< k
  anyssr::Index max_tokens = 64;     ///< of an answer to a prompt typed in
  int threads = 0;
  bool recompute_activations = false;
  bool quiet = false;
};

/// Of one task, after the last.
struct TaskFigures {
  double oracle_accuracy = 0;  ///< its own adapter given
  double rouge_l = 0;          ///< mean f1 of the answers, as routed
  double learn_seconds = 0;
  double train_per_second = 0;  ///< tokens; 0: an adapter was taken over
  std::vector<double> losses;   ///< mean training loss of each epoch
  std::size_t adapter_bytes = 0;
  anyssr::Index adapter_parameters = 0;
};

/// Test prompts of which the router is unsure, answered once by the best adapter and once by the
/// two best, weighted by their confidences.
struct BlendFigures {
  anyssr::Index prompts = 0;
  anyssr::Index right_alone = 0;
  anyssr::Index right_blended = 0;
};

/// A test item and what came out.
struct Sample {
  std::string task;
  std::string routed;
  std::string prompt;
  std::string expected;
  std::string answer;
  double confidence = 0;
  bool is_right = false;
};

/// What a run measures. An answer is right where greedy decoding gives it to the token and then the
/// end of the text.
struct Results {
  explicit Results(anyssr::Index count) : accuracy(count), confusion(count) {}

  anyssr::AccuracyMatrix accuracy;
  anyssr::ConfusionMatrix confusion;                ///< of routing, after the last task
  std::optional<anyssr::ConfusionMatrix> stripped;  ///< of the router that sees stripped prompts
  std::optional<BlendFigures> blend;                ///< with Options::blend_below
  std::vector<TaskFigures> tasks;
  std::vector<Sample> samples;   ///< a few of each task
  double oracle_accuracy = 0;    ///< mean over tasks
  double tokens_per_second = 0;  ///< read and written, of the test items after the last task
  /// Row: a task's adapter, column: test prompts of another task. Root mean squared change that it
  /// would make there, over that on its own prompts.
  std::vector<std::vector<double>> interference;
  /// With --subspace complement, of a later adapter on earlier prompts: the same at most; else 0.
  std::vector<std::vector<double>> interference_bound;
  double total_seconds = 0;
  std::size_t router_bytes = 0;
  std::size_t peak_bytes = 0;  ///< of the process
};

/// Answers one prompt in words, the routing decision first.
using Answerer = std::function<std::string(const std::string&)>;

/// Learns the tasks one after another and measures after each.
/// @param stripped  the tasks with Options::strip taken out, where it is not empty
/// @param answer    set to a function that goes on answering after the run
/// @throws anyssr::Error
Results run(const std::vector<Task>& tasks, const std::vector<Task>& stripped,
            const support::TextTokens& tokens, const Options& options, Answerer& answer);

/// Answers from the checkpoint of Options::load, whose tasks are printed; learns nothing.
/// @throws anyssr::Error
Answerer load(const support::TextTokens& tokens, const Options& options);

}  // namespace llama_continual
