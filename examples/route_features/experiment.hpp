// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The run of `route_features`: options, and what it measures.

#include <anyssr/core/types.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "support/warnings.hpp"

namespace route_features {

/// Warnings of this program.
inline constexpr support::Warner warn("route_features");

struct Options {
  std::string train;                ///< safetensors: features n x D, labels n
  std::string test;                 ///< the same
  std::string expansion = "none";   ///< none, dense:d, hadamard:d
  std::string activation = "relu";  ///< of the expansion
  std::string ridge = "auto";       ///< lambda, absolute; auto: by cross-validation
  std::string shift = "auto";       ///< of features that stand far from zero: auto, none
  std::string form = "information";
  std::string scalar = "float";
  std::string weights;  ///< file for weights, scores and predictions; empty: none
  std::int64_t batch = 512;
  std::uint64_t seed = 0;
  int threads = 0;
  bool balanced = false;
  bool quiet = false;
};

struct Results {
  double accuracy = 0;        ///< share of test rows routed right
  double macro_accuracy = 0;  ///< mean over tasks
  double seconds_learn = 0;   ///< expansion, sums, choice of the ridge, solve
  double seconds_route = 0;   ///< expansion, scores, choice, of all test rows
  double ridge = 0;           ///< lambda as it was solved with
  anyssr::Index moved = 0;  ///< feature columns that were far from zero; their mean was subtracted
  std::vector<std::string> warnings;
  double balance = 1;  ///< of it: factor tasks / rows of balanced tasks
  anyssr::Index rows = 0;
  anyssr::Index test_rows = 0;
  anyssr::Index tasks = 0;
  anyssr::Index feature_dim = 0;
  anyssr::Index dim = 0;
  std::size_t router_bytes = 0;
  std::size_t peak_bytes = 0;            ///< of the process
  std::string status;                    ///< covariance form: accurate, doubtful, broken
  double condition = 0;                  ///< covariance form: upper estimate
  std::vector<std::int64_t> labels;      ///< of the tasks, ascending
  std::vector<double> task_accuracy;     ///< one per task
  std::vector<anyssr::Index> task_rows;  ///< one per task
};

/// Reads both files, learns, routes, and writes options.weights.
/// @throws anyssr::Error
Results run_float(const Options& options);
Results run_double(const Options& options);

}  // namespace route_features
