// SPDX-License-Identifier: MIT
#include "operations/page.hpp"

#include <algorithm>
#include <anyssr/core/version.hpp>

#include "operations/charts.hpp"
#include "operations/report.hpp"
#include "support/html.hpp"
#include "support/output_file.hpp"
#include "support/page_shell.hpp"
#include "support/page_text.hpp"

namespace operations {

using anyssr::bytes_text;
using anyssr::fixed_text;
using support::card;
using support::cell;
using support::chart;
using support::escaped;
using support::grouped;
using support::heading;
using support::headline;
using support::number;
using support::percent;
using support::shortened;
using support::table;
using support::text_cell;

namespace {

/// Sums over known questions and those of no department.
struct Served {
  explicit Served(const Results& results) {
    for (const OutcomeCounts& counts : results.outcomes) {
      known += counts.known;
      outside += counts.outside;
      if (counts.outcome == "routed") routed = counts;
      if (counts.outcome == "review") review = counts;
    }
  }
  [[nodiscard]] static double share(Index part, Index all) {
    return all == 0 ? 0 : static_cast<double>(part) / static_cast<double>(all);
  }
  Index known = 0;
  Index outside = 0;
  OutcomeCounts routed;
  OutcomeCounts review;
};

std::string headlines(const Options& options, const Results& results) {
  const Served served(results);
  std::string heads = "<div class=\"heads\">\n";
  heads += headline(percent(results.routing_accuracy),
                    "of the known questions go to the right department if all are routed");
  heads +=
      headline(percent(Served::share(served.routed.known, served.known)),
               "of the known questions are routed without a person; of these " +
                   percent(Served::share(served.routed.wrong, served.routed.known)) +
                   " to a wrong department (limit asked for: " + percent(options.max_risk) + ")");
  if (served.outside > 0) {
    heads += headline(
        percent(Served::share(served.outside - served.routed.outside, served.outside)),
        "of the questions that belong to no department are caught before a department gets them");
  }
  heads += headline(number(100 * results.ece, 1) + "&nbsp;points",
                    "between how sure the router says it is and how often it is right, on average");
  heads += headline(bytes_text(static_cast<double>(results.budget.bytes_after)),
                    "hold the LoRA modules of all departments after consolidation (" +
                        bytes_text(static_cast<double>(results.budget.bytes_before)) +
                        " before); accuracy " + percent(results.budget.accuracy_after) + " (" +
                        percent(results.budget.accuracy_before) + " before)");
  heads +=
      headline(grouped(static_cast<std::size_t>(results.log_lines)),
               results.log_verified
                   ? "lines in the audit log, checked digest by digest: intact and complete"
                   : "<span class=\"bad\">lines in the audit log: " + escaped(results.log_problem) +
                         "</span>");
  return heads + "</div>\n";
}

std::string outcomes_card(const Results& results) {
  std::string rows =
      heading({"outcome", "known questions", "of these, wrong department", "of no department"});
  for (const OutcomeCounts& counts : results.outcomes) {
    rows += "<tr>" + text_cell(counts.outcome) +
            cell(grouped(static_cast<std::size_t>(counts.known))) +
            cell(grouped(static_cast<std::size_t>(counts.wrong)) + " (" +
                 percent(Served::share(counts.wrong, counts.known)) + ")") +
            cell(grouped(static_cast<std::size_t>(counts.outside))) + "</tr>\n";
  }
  return card("What became of the questions",
              "Routed: a department answers. Review: a person decides. Fallback: treated as of no "
              "department. The wrong ones under review and fallback did no harm.",
              chart(outcomes_chart(results)) + table(rows));
}

std::string coverage_card(const Results& results) {
  std::string rows =
      heading({"promise", "right one in the set", "by its own score", "mean set size"});
  for (const CoverageFigures& figures : results.coverage) {
    rows += "<tr><td class=\"text\">" + percent(figures.promised, 0) + "</td>" +
            cell(percent(figures.coverage)) + cell(percent(figures.raw)) +
            cell(number(figures.set_size, 2)) + "</tr>\n";
  }
  return card("Short lists that hold the right department",
              "Instead of one department the router can name a few, so that the right one is among "
              "them as often as promised. A list of more than one goes to a person.",
              table(rows));
}

std::string changes_card(const Results& results) {
  const CorrectionFigures& correction = results.correction;
  const TrialFigures& trial = results.trial;
  const BudgetFigures& budget = results.budget;
  const std::string pair = correction.first + " and " + correction.second;
  std::string rows = heading({"change", "measure", "before", "after"}, 2);
  const auto add = [&](const std::string& change, const std::string& measure,
                       const std::string& before, const std::string& after) {
    rows +=
        "<tr>" + text_cell(change) + text_cell(measure) + cell(before) + cell(after) + "</tr>\n";
  };
  add(std::to_string(correction.corrected) + " corrections between " + pair,
      "routed right, these two", percent(correction.pair_before), percent(correction.pair_after));
  if (results.tasks.size() > 2) {
    add("", "routed right, all others", percent(correction.others_before),
        percent(correction.others_after));
  }
  add("merge of " + pair, "department and intent right", percent(trial.accuracy_before),
      percent(trial.accuracy_merged));
  add("merge undone", "all decisions", "", trial.undone ? "as before" : "changed");
  add("archive of " + trial.archived, "its questions that it gets",
      std::to_string(trial.questions) + " asked", std::to_string(trial.went_on));
  add("archived department restored", "its decisions", "",
      trial.restored ? "as before" : "changed");
  add("LoRA modules to half of their bytes", "department and intent right",
      percent(budget.accuracy_before), percent(budget.accuracy_after));
  return card("Changes while in service",
              "Corrections by people take effect at once (" + std::to_string(correction.corrected) +
                  " took " + number(correction.seconds, 1) +
                  "&nbsp;s here); no other department's adapter changes, and merges and archives "
                  "can be taken back.",
              table(rows));
}

std::string forecast_card(const Results& results) {
  std::string rows = heading({"departments", "memory", "disk", "a full model each",
                              "stored questions", "storage a month", "reviews a month"});
  for (const anyssr::StorageForecast& f : results.forecast) {
    const CostForecast cost = forecast_cost(f, results.costs);
    rows += "<tr><td class=\"text\">" + grouped(static_cast<std::size_t>(f.tasks)) + "</td>" +
            cell(bytes_text(f.total().memory)) + cell(bytes_text(f.total().disk)) +
            cell(bytes_text(f.full_copies.disk)) + cell(bytes_text(f.replay.disk)) +
            cell(fixed_text(cost.total() - cost.reviews)) + cell(fixed_text(cost.reviews)) +
            "</tr>\n";
  }
  const CostModel& costs = results.costs;
  const std::string prices =
      "Prices are examples in a currency of yours: " + number(costs.disk_gb_month, 2) +
      " a GB and month on disk, " + number(costs.memory_gb_month, 2) + " in memory, " +
      number(costs.review_cost, 2) + " a review; " + grouped(10000) +
      " questions a day, of which " + percent(costs.review_share) +
      " go to review as measured here. The log is that of one year.";
  return card(
      "Storage and cost, as the number of departments grows",
      "From the sizes of this run: router, adapters, heads and log, beside a full copy of "
      "the model each and beside keeping all training questions.",
      chart(storage_chart(results)) + table(rows) + "<p class=\"soft\">" + prices + "</p>\n",
      "card wide");
}

std::string review_card(const Results& results) {
  std::string rows = heading(
      {"request", "question", "proposed", "may also be", "speaks for it", "confidence", "novelty"},
      5);
  for (const WaitingQuestion& waiting : results.waiting) {
    std::string others;
    for (const std::string& name : waiting.candidates) {
      if (name != waiting.proposed) others += (others.empty() ? "" : ", ") + name;
    }
    std::string reasons;
    for (const std::string& word : waiting.reasons) {
      reasons += (reasons.empty() ? "" : "; ") + word;
    }
    rows += "<tr>" + text_cell(waiting.id) + "<td class=\"text question\">" +
            escaped(shortened(waiting.text, 140)) + "</td>" + text_cell(waiting.proposed) +
            text_cell(shortened(others, 80)) + text_cell(shortened(reasons, 80)) +
            cell(percent(waiting.confidence)) + cell(number(waiting.novelty, 2)) + "</tr>\n";
  }
  return card("Review queue",
              results.waiting.empty()
                  ? "No question waits for a person."
                  : grouped(results.waiting_count) + " questions wait for a person; the first " +
                        std::to_string(results.waiting.size()) + " of them.",
              table(rows), "card wide");
}

std::string drift_card(const Results& results) {
  return card("Are the questions still of the kind that was learned?",
              escaped(drift_sentence(results)),
              "<details><summary>All that the inspector says</summary><pre>" +
                  escaped(anyssr::to_text(results.watched), true) + "</pre></details>\n",
              "card wide");
}

std::string footer(const Options& options, const Results& results) {
  return "<footer>Measured on " + grouped(results.inside_novelty.size()) + " questions of split " +
         escaped(options.measured) + " and " + grouped(results.outside_novelty.size()) +
         " of no department; thresholds fitted on validation questions. " +
         std::to_string(options.dim) + " features, ridge " + number(options.ridge, 2) + ", seed " +
         std::to_string(options.seed) + ", anyssr " ANYSSR_VERSION_STRING ", " +
         number(results.total_seconds, 0) + "&nbsp;seconds in all.</footer>\n";
}

}  // namespace

void write_page(const std::string& path, const Options& options, const Results& results) {
  std::string page =
      "<h1>How questions find their department</h1>\n<p class=\"soft\">" +
      std::to_string(results.tasks.size()) +
      " departments, learned one after another by one frozen model, and a day of questions "
      "among which some belong nowhere.</p>\n";
  page += headlines(options, results);
  page += "<div class=\"grid\">\n";
  page += outcomes_card(results);
  page += card("Does a confidence mean what it says?",
               "Of the questions routed with a confidence of 80&nbsp;%, 80&nbsp;% should be right: "
               "bars on the line are perfect.",
               chart(reliability_chart(results)) + chart(counts_chart(results)));
  page += card("What answering less buys",
               "If only the surest questions are routed and people take the others, fewer of those "
               "routed are wrong.",
               chart(risk_chart(options, results)) + risk_table(results));
  page +=
      card("Are foreign questions noticed?",
           results.outside_novelty.empty()
               ? "The data has no questions of no department."
               : "A question unlike all that was learned has a high novelty. A foreign question "
                 "is the more novel one of two in " +
                     percent(results.novelty_auroc) + " of the cases.",
           chart(novelty_chart(results)));
  page += card("Which departments resemble each other?",
               "How much the router takes two departments for one, from their mean scores: near 0 "
               "it tells them apart, near 1 it cannot.",
               chart(similarity_chart(results)));
  page += card("Calibration while departments are added",
               "Average distance between confidence and share of right answers, on the questions "
               "of all departments learned so far.",
               chart(calibration_chart(results)));
  page += coverage_card(results) + changes_card(results) + forecast_card(results) +
          review_card(results) + drift_card(results);
  page += "</div>\n" + footer(options, results);
  support::write_file(path, support::page_of("Routing of questions: report", page));
}

}  // namespace operations
