// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The run of `operations`: its options and all that it measures.

#include <anyssr/metrics/calibration.hpp>
#include <anyssr/metrics/inspector_report.hpp>
#include <anyssr/metrics/risk_coverage.hpp>
#include <anyssr/router/routing_policy.hpp>
#include <anyssr/store/storage_forecast.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "departments/questions.hpp"
#include "operations/costs.hpp"
#include "support/warnings.hpp"

namespace operations {

/// Warnings of this program.
inline constexpr support::Warner warn("operations");

using anyssr::Index;

struct Options {
  std::string measured = "test";  ///< split on which everything is measured: test or val
  std::string log;                ///< folder of the audit log; empty: a temporary one
  std::int64_t dim = 4096;        ///< buckets of the hashed features
  double ridge = 0.3;             ///< of the router, absolute: rows have norm 1
  double max_risk = 0.01;         ///< share of wrong departments that may be routed, 0..1
  std::uint64_t seed = 0;
  int threads = 0;
  bool quiet = false;
};

/// Candidates that are promised to hold the right department.
struct CoverageFigures {
  double promised = 0;  ///< share of questions
  double coverage = 0;  ///< the right one is among the candidates
  double raw = 0;       ///< its score reaches the threshold: the best is not put in for free
  double set_size = 0;  ///< mean number of candidates
};

/// What became of questions by one outcome.
struct OutcomeCounts {
  std::string outcome;
  Index known = 0;    ///< questions of a department
  Index wrong = 0;    ///< of these: of another one than the router's choice
  Index outside = 0;  ///< questions of no department
};

/// A question that waits for a person.
struct WaitingQuestion {
  std::string id;
  std::string text;
  std::string proposed;
  std::vector<std::string> candidates;  ///< best first
  double confidence = 0;
  double novelty = 0;
  std::vector<std::string> reasons = {};  ///< words that speak for the proposed department most
};

/// Questions of which one department is unsure and the two best together are sure: would both
/// adapters answer better than the first alone?
struct BlendFigures {
  Index questions = 0;
  Index right_alone = 0;    ///< department and intent
  Index right_blended = 0;  ///< likewise
};

/// Before and after people corrected questions of the pair that is confused most.
struct CorrectionFigures {
  std::string first;
  std::string second;
  Index confused = 0;   ///< validation questions of one that went to the other
  Index corrected = 0;  ///< validation questions that were taught
  double pair_before = 0;
  double pair_after = 0;
  double others_before = 0;
  double others_after = 0;
  double seconds = 0;  ///< of all corrections, taught at once
};

/// Changes that were made and taken back.
struct TrialFigures {
  double accuracy_before = 0;
  double accuracy_merged = 0;
  double merge_error = 0;  ///< of the merged modules, relative
  bool undone = false;     ///< decisions after the merge was undone are those before, bit for bit
  std::string archived;
  Index questions = 0;    ///< measured questions of the archived department
  Index went_on = 0;      ///< of these, those that it got while archived
  bool restored = false;  ///< decisions after it was restored are those before, bit for bit
};

/// LoRA modules brought to half of their bytes.
struct BudgetFigures {
  std::size_t bytes_before = 0;
  std::size_t bytes_after = 0;
  double accuracy_before = 0;  ///< department and intent right
  double accuracy_after = 0;
};

/// Asked for in tables and in the JSON.
inline constexpr double promised_coverages[] = {0.90, 0.95, 0.99};
inline constexpr double answered_shares[] = {1.00, 0.95, 0.90, 0.80};

struct Results {
  std::vector<std::string> tasks;
  double routing_accuracy = 0;

  std::vector<double> ece_after_each_task;
  std::vector<anyssr::ReliabilityBin> reliability;
  double ece = 0;

  std::vector<double> inside_novelty;
  std::vector<double> outside_novelty;  ///< empty: the data has no such questions
  double novelty_auroc = 0;
  double novelty_fpr95 = 0;

  std::vector<CoverageFigures> coverage;  ///< one a promised_coverages
  std::vector<double> risk_at;            ///< one a answered_shares
  std::vector<anyssr::RiskPoint> risk_curve;

  anyssr::RoutingPolicy policy;
  std::optional<anyssr::FittedThreshold> fitted;  ///< none: nothing is sure enough
  std::vector<OutcomeCounts> outcomes;            ///< routed, review, fallback
  std::vector<WaitingQuestion> waiting;           ///< the first of them
  std::size_t waiting_count = 0;
  BlendFigures blend;

  std::vector<std::vector<double>> similarity;  ///< how much two departments are one, 0..1
  CorrectionFigures correction;
  TrialFigures trial;
  BudgetFigures budget;

  anyssr::StorageShape shape;
  CostModel costs;
  std::vector<anyssr::StorageForecast> forecast;
  anyssr::InspectorReport watched;

  std::uint64_t log_lines = 0;
  bool log_verified = false;
  std::string log_problem;  ///< empty: none
  double total_seconds = 0;
};

/// Where a department has no validation questions, every fifth training question of each intent
/// becomes one, or the last one of an intent that has two where none has five: no policy should be
/// fitted on what was learned.
/// @return how many
Index hold_out_validation(departments::Questions& questions);

/// Learns, serves, corrects, merges, archives and consolidates.
/// @throws anyssr::Error
Results run(const departments::Questions& questions, const Options& options);

}  // namespace operations
