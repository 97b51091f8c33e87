// SPDX-License-Identifier: MIT
#include "operations/report.hpp"

#include <anyssr/core/version.hpp>
#include <cmath>
#include <cstdio>
#include <utility>

#include "support/messages.hpp"
#include "support/output_file.hpp"
#include "support/shown.hpp"

namespace operations {

using anyssr::bytes_text;
using anyssr::Json;
using support::concat;

namespace {

void print_confidence(const Results& results) {
  std::printf("\nrouting accuracy                              %.4f\n", results.routing_accuracy);
  std::printf("calibration error after the last department   %.4f\n", results.ece);
  if (!results.outside_novelty.empty()) {
    std::printf(
        "questions of no department by novelty         AUROC %.4f, %.4f taken in where 0.95 "
        "of the known are\n",
        results.novelty_auroc, results.novelty_fpr95);
  }
  std::printf("\ncandidates   hold the right one   by its score   mean number\n");
  for (const CoverageFigures& figures : results.coverage) {
    std::printf("%9.0f %%               %.4f         %.4f %13.3f\n", 100 * figures.promised,
                figures.coverage, figures.raw, figures.set_size);
  }
  std::printf("\nanswered, the surest   wrong department\n");
  for (std::size_t i = 0; i < results.risk_at.size(); ++i) {
    std::printf("%18.0f %%             %.4f\n", 100 * answered_shares[i], results.risk_at[i]);
  }
}

void print_outcomes(const Results& results) {
  std::printf("\npolicy '%s': confidence from %.3f, novelty up to %.3f, one candidate at %.2f\n",
              results.policy.name.c_str(), results.policy.min_confidence,
              results.policy.max_novelty, results.policy.coverage);
  if (!results.fitted) {
    std::printf("  no validation questions are sure enough for that risk: people decide on all\n");
  }
  std::printf("%-10s %9s %9s %12s %12s\n", "outcome", "of known", "wrong", "share wrong",
              "of none");
  for (const OutcomeCounts& counts : results.outcomes) {
    const auto known = static_cast<double>(counts.known);
    std::printf("%-10s %9ld %9ld %12.4f %12ld\n", counts.outcome.c_str(),
                static_cast<long>(counts.known), static_cast<long>(counts.wrong),
                known == 0 ? 0 : static_cast<double>(counts.wrong) / known,
                static_cast<long>(counts.outside));
  }
  const BlendFigures& blend = results.blend;
  std::printf(
      "%ld known questions lie between two departments: right by the best adapter %ld, by "
      "both blended %ld\n",
      static_cast<long>(blend.questions), static_cast<long>(blend.right_alone),
      static_cast<long>(blend.right_blended));
}

void print_changes(const Results& results) {
  const CorrectionFigures& correction = results.correction;
  std::printf("\n%ld corrections in %.2f s, between '%s' and '%s'\n",
              static_cast<long>(correction.corrected), correction.seconds,
              support::shown(correction.first).c_str(), support::shown(correction.second).c_str());
  std::printf("  routed right, the pair     %.4f before, %.4f after\n", correction.pair_before,
              correction.pair_after);
  if (results.tasks.size() > 2) {
    std::printf("  routed right, all others   %.4f before, %.4f after\n", correction.others_before,
                correction.others_after);
  }
  const TrialFigures& trial = results.trial;
  std::printf("the pair merged: accuracy %.4f before, %.4f merged; undone, all decisions are %s\n",
              trial.accuracy_before, trial.accuracy_merged,
              trial.undone ? "as before" : "NOT AS BEFORE");
  std::printf("'%s' archived: it got %ld of its %ld questions; restored, its decisions are %s\n",
              support::shown(trial.archived).c_str(), static_cast<long>(trial.went_on),
              static_cast<long>(trial.questions), trial.restored ? "as before" : "NOT AS BEFORE");
  const BudgetFigures& budget = results.budget;
  std::printf("LoRA modules from %s to %s: accuracy %.4f before, %.4f after\n",
              bytes_text(static_cast<double>(budget.bytes_before)).c_str(),
              bytes_text(static_cast<double>(budget.bytes_after)).c_str(), budget.accuracy_before,
              budget.accuracy_after);
}

Json outcomes_json(const Results& results) {
  Json outcomes = Json::object();
  for (const OutcomeCounts& counts : results.outcomes) {
    outcomes[counts.outcome] = {
        {"known", counts.known}, {"wrong", counts.wrong}, {"outside", counts.outside}};
  }
  return outcomes;
}

Json forecast_json(const Results& results) {
  Json forecast = Json::array();
  for (const anyssr::StorageForecast& f : results.forecast) {
    const CostForecast cost = forecast_cost(f, results.costs);
    forecast.push_back({{"tasks", f.tasks},
                        {"memory_bytes", f.total().memory},
                        {"disk_bytes", f.total().disk},
                        {"cost_a_month", cost.total()}});
  }
  return forecast;
}

/// `key`: the promise in per cent.
template <class Value>
Json by_coverage(const Results& results, const Value& value) {
  Json json = Json::object();
  for (const CoverageFigures& figures : results.coverage) {
    json[concat(std::lround(100 * figures.promised))] = value(figures);
  }
  return json;
}

Json changes_json(const Results& results) {
  const CorrectionFigures& correction = results.correction;
  const TrialFigures& trial = results.trial;
  const bool has_others = results.tasks.size() > 2;
  return {{"pair", {correction.first, correction.second}},
          {"corrections", correction.corrected},
          {"correction_seconds", correction.seconds},
          {"pair_accuracy_before", correction.pair_before},
          {"pair_accuracy_after", correction.pair_after},
          {"others_accuracy_before", has_others ? Json(correction.others_before) : Json()},
          {"others_accuracy_after", has_others ? Json(correction.others_after) : Json()},
          {"merge_accuracy_before", trial.accuracy_before},
          {"merge_accuracy_after", trial.accuracy_merged},
          {"merge_undone", trial.undone},
          {"archived", trial.archived},
          {"archived_chosen", trial.went_on},
          {"archive_restored", trial.restored},
          {"bytes_before", results.budget.bytes_before},
          {"bytes_after", results.budget.bytes_after},
          {"accuracy_before", results.budget.accuracy_before},
          {"accuracy_after", results.budget.accuracy_after}};
}

}  // namespace

std::string drift_sentence(const Results& results) {
  const anyssr::Drift& drift = results.watched.learned_to_now;
  if (!drift.tested) {
    return concat("Too few questions were asked to say whether they are like those learned (",
                  drift.rows_now, ").");
  }
  const std::string rows = concat(" (", drift.rows_now, " questions asked, ", drift.rows_before,
                                  " learned; p = ", anyssr::number_text(drift.p), ").");
  if (drift.alarm) {
    return concat(
        "What is asked is no longer what was learned: look at new kinds of questions, "
        "and teach them",
        rows);
  }
  return "What is asked is like what was learned: no drift that would matter" + rows;
}

void print_report(const Results& results) {
  print_confidence(results);
  print_outcomes(results);
  print_changes(results);
  std::printf("\n%s\n%s", anyssr::to_text(results.forecast).c_str(),
              costs_text(results.forecast, results.costs).c_str());
  std::printf("\n%s\n", drift_sentence(results).c_str());
  for (const anyssr::BalanceWarning& warning : results.watched.warnings) {
    std::printf("warning: %s\n", support::shown(warning.text).c_str());
  }
  std::printf("waiting for review                            %zu\n", results.waiting_count);
  std::printf(
      "audit log                                     %llu lines, %s\n",
      static_cast<unsigned long long>(results.log_lines),
      results.log_verified ? "intact and complete" : support::shown(results.log_problem).c_str());
  std::printf("seconds                                       %.1f\n", results.total_seconds);
}

void write_json(const std::string& path, const Options& options, const Results& results) {
  const bool has_outside = !results.outside_novelty.empty();
  Json risk = Json::object();
  for (std::size_t i = 0; i < results.risk_at.size(); ++i) {
    risk[concat(std::lround(100 * answered_shares[i]))] = results.risk_at[i];
  }
  Json json{{"tasks", results.tasks},
            {"routing_accuracy", results.routing_accuracy},
            {"ece", results.ece},
            {"ece_after_each_task", results.ece_after_each_task},
            {"novelty_auroc", has_outside ? Json(results.novelty_auroc) : Json(nullptr)},
            {"novelty_fpr95", has_outside ? Json(results.novelty_fpr95) : Json(nullptr)},
            {"coverage", by_coverage(results, [](const CoverageFigures& f) { return f.coverage; })},
            {"coverage_raw", by_coverage(results, [](const CoverageFigures& f) { return f.raw; })},
            {"set_size", by_coverage(results, [](const CoverageFigures& f) { return f.set_size; })},
            {"risk_at", std::move(risk)},
            {"policy",
             {{"min_confidence", results.policy.min_confidence},
              {"max_novelty", results.policy.max_novelty},
              {"coverage", results.policy.coverage}}},
            {"outcomes", outcomes_json(results)},
            {"waiting", results.waiting_count},
            {"blend",
             {{"questions", results.blend.questions},
              {"right_alone", results.blend.right_alone},
              {"right_blended", results.blend.right_blended}}},
            {"forecast", forecast_json(results)},
            {"drift", results.watched.learned_to_now.alarm},
            {"drift_text", drift_sentence(results)},
            {"log_lines", results.log_lines},
            {"log_verified", results.log_verified},
            {"total_seconds", results.total_seconds},
            {"measured_on", options.measured},
            {"max_risk", options.max_risk},
            {"seed", options.seed},
            {"version", ANYSSR_VERSION_STRING}};
  json.update(changes_json(results));
  support::write_json(path, json);
}

}  // namespace operations
