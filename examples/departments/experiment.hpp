// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The run of `departments`: options, what it measures, and the answers to questions typed in.

#include <anyssr/metrics/confusion.hpp>
#include <anyssr/metrics/continual.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "departments/questions.hpp"
#include "departments/text_model.hpp"
#include "support/warnings.hpp"

namespace departments {

/// Warnings of this program.
inline constexpr support::Warner warn("departments");

struct Options {
  std::string scalar = "float";
  std::string expansion = "none";   ///< none, dense:d, hadamard:d
  std::string activation = "relu";  ///< of the expansion
  std::string subspace = "own";     ///< none, own, complement
  std::string measured = "test";    ///< split on which accuracy is measured: test or val
  std::string ask;                  ///< question that is answered after the run; empty: none
  std::string state;                ///< folder to go on from and to save to; empty: none
  TextModelOptions model;           ///< beside hashed words
  std::int64_t dim = 4096;          ///< buckets of the hashed features
  std::int64_t rank = 16;           ///< of the LoRA module; 0: a head only
  std::int64_t learn = -1;          ///< departments to learn in this run; below 0: all
  double ridge = 0.3;               ///< of the router, absolute: rows have norm 1
  std::uint64_t seed = 0;
  int threads = 0;
  bool recover = false;  ///< go on from an older state where the newest is damaged
  bool quiet = false;
};

/// What a run measures. Accuracies count a question right where task and label both are.
struct Results {
  explicit Results(anyssr::Index tasks) : accuracy(tasks), confusion(tasks) {}

  /// Row i: after task i. Rows of earlier runs are not set, but for the last of these.
  anyssr::AccuracyMatrix accuracy;
  anyssr::ConfusionMatrix confusion;    ///< of routing, after the last task
  double joint_accuracy = 0;            ///< of the router that saw all rows at once
  anyssr::Index decisions = 0;          ///< questions decided after the last task
  anyssr::Index decisions_changed = 0;  ///< of these: task differs from the joint router's
  double oracle_accuracy = 0;           ///< the right task given
  double calibration_error = 0;
  double outside_auroc = -1;      ///< confidence, own against outside questions; -1: no such
  double outside_confidence = 0;  ///< median
  double inside_confidence = 0;   ///< median
  std::map<std::string, double> ablation;  ///< end-to-end accuracy by kind of adapter
  std::vector<double> learn_seconds;
  double total_seconds = 0;
  double query_microseconds = 0;   ///< median, one question at a time, text to answer
  anyssr::Index known_before = 0;  ///< departments that the state knew already
  std::uint64_t sums_digest = 0;   ///< of all bits of the router's sums and of the adapters
  std::vector<std::uint64_t> adapter_digests;
  std::vector<std::size_t> adapter_bytes;
  std::size_t router_bytes = 0;
  std::size_t peak_bytes = 0;  ///< of the process
};

/// Answers one question in words.
using Answerer = std::function<std::string(const std::string&)>;

/// Learns the departments one after another and measures after each.
/// @param questions  left with the departments that are known at the end, in the learner's order
/// @param answer  set to a function that goes on answering after the run
/// @throws anyssr::Error
Results run_float(Questions& questions, const Options& options, Answerer& answer);
Results run_double(Questions& questions, const Options& options, Answerer& answer);
/// The same with Options::model, in float.
Results run_with_model(Questions& questions, const Options& options, Answerer& answer);

/// What is learned on (keeper.hpp): hashed words, or Options::model.
struct WordsInFloat;
struct WordsInDouble;
struct ModelInFloat;

/// Opens the folder of `--state` for a learner on that (keeper.hpp).
template <class Ground>
class Keeper;
template <class Ground>
std::shared_ptr<Keeper<Ground>> open_keeper(const Options& options);
template <>
std::shared_ptr<Keeper<WordsInFloat>> open_keeper(const Options& options);
template <>
std::shared_ptr<Keeper<WordsInDouble>> open_keeper(const Options& options);
template <>
std::shared_ptr<Keeper<ModelInFloat>> open_keeper(const Options& options);

/// `departments` is what the demo takes, in float and without storage. Where the options ask for
/// more, it goes on as departments_complete, which stands beside it, before anything is read.
/// @param argv  of main
/// @throws anyssr::ArgumentError  that program is not built
void go_on_where_complete(const Options& options, char** argv);

}  // namespace departments
