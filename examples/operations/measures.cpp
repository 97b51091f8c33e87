// SPDX-License-Identifier: MIT
#include "operations/measures.hpp"

#include <algorithm>
#include <anyssr/router/routing_policy.hpp>
#include <cmath>
#include <utility>

namespace operations {

using anyssr::RoutingDecision;

namespace {

/// Moves rows of split train to val. @return how many
Index hold_out(departments::Department& department, const std::vector<bool>& is_held_out) {
  departments::Split train;
  for (std::size_t i = 0; i < is_held_out.size(); ++i) {
    departments::Split& to = is_held_out[i] ? department.val : train;
    to.texts.push_back(std::move(department.train.texts[i]));
    to.labels.push_back(department.train.labels[i]);
  }
  department.train = std::move(train);
  return static_cast<Index>(department.val.texts.size());
}

}  // namespace

Index hold_out_validation(departments::Questions& questions) {
  constexpr Index every = 5;
  Index moved = 0;
  for (departments::Department& department : questions.departments) {
    if (!department.val.texts.empty()) continue;
    const std::vector<Index>& labels = department.train.labels;
    std::vector<bool> is_held_out(labels.size(), false);
    std::vector<Index> seen(department.labels.size(), 0);
    bool is_any = false;
    std::size_t spare = labels.size();  // the last row of an intent that has another one
    for (std::size_t i = 0; i < labels.size(); ++i) {
      const Index count = ++seen[static_cast<std::size_t>(labels[i])];
      is_held_out[i] = count % every == 0;
      is_any = is_any || is_held_out[i];
      if (count > 1) spare = i;
    }
    if (!is_any && spare < labels.size()) is_held_out[spare] = true;
    moved += hold_out(department, is_held_out);
  }
  return moved;
}

void Judged::add(const departments::Department& department, const departments::Split& split,
                 Index task) {
  for (std::size_t i = 0; i < split.texts.size(); ++i) {
    texts.push_back(split.texts[i]);
    ids.push_back(department.name + "/" + std::to_string(i + 1));
    tasks.push_back(task);
    labels.push_back(split.labels[i]);
  }
}

std::vector<double> Judged::confidences() const {
  std::vector<double> result;
  for (const RoutingDecision& decision : decisions) result.push_back(decision.confidence);
  return result;
}

std::vector<double> Judged::novelties() const {
  std::vector<double> result;
  for (const RoutingDecision& decision : decisions) result.push_back(decision.novelty.value_or(0));
  return result;
}

std::vector<std::uint8_t> Judged::correct() const {
  std::vector<std::uint8_t> result;
  for (std::size_t i = 0; i < size(); ++i) result.push_back(is_right(i) ? 1 : 0);
  return result;
}

bool are_equal(const std::vector<RoutingDecision>& left,
               const std::vector<RoutingDecision>& right) {
  // scores are the same bits; confidence adds them up in the order of the tasks, which may differ
  return std::equal(left.begin(), left.end(), right.begin(), right.end(),
                    [](const RoutingDecision& a, const RoutingDecision& b) {
                      return a.task == b.task && a.scores == b.scores && a.novelty == b.novelty &&
                             a.outcome == b.outcome;
                    });
}

CoverageFigures coverage_of(const Judged& judged, double promised, double threshold) {
  CoverageFigures figures{.promised = promised};
  for (std::size_t i = 0; i < judged.size(); ++i) {
    const RoutingDecision& decision = judged.decisions[i];
    const std::vector<Index> set = anyssr::candidates(decision, threshold);
    const bool is_in = std::find(set.begin(), set.end(), judged.tasks[i]) != set.end();
    figures.coverage += is_in ? 1 : 0;
    figures.raw += decision.scores(judged.tasks[i]) >= threshold ? 1 : 0;
    figures.set_size += static_cast<double>(set.size());
  }
  const auto count = static_cast<double>(judged.size());
  figures.coverage /= count;
  figures.raw /= count;
  figures.set_size /= count;
  return figures;
}

Pair most_confused_pair(const Judged& judged, Index tasks) {
  anyssr::ConfusionMatrix confusion(tasks);
  for (std::size_t i = 0; i < judged.size(); ++i) {
    confusion.add(judged.tasks[i], judged.decisions[i].task);
  }
  Pair worst;
  for (Index i = 0; i < tasks; ++i) {
    for (Index j = i + 1; j < tasks; ++j) {
      const Index count = confusion.count(i, j) + confusion.count(j, i);
      if (count > worst.confused) worst = {i, j, count};
    }
  }
  return worst;
}

std::vector<std::size_t> worth_correcting(const Judged& judged, const Pair& pair,
                                          std::size_t most) {
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < judged.size(); ++i) {
    if (judged.tasks[i] == pair.first || judged.tasks[i] == pair.second) order.push_back(i);
  }
  // by how far the right one of the pair is before the other
  const auto rank = [&](std::size_t i) {
    const auto& scores = judged.decisions[i].scores;
    const Index own = judged.tasks[i];
    const Index other = own == pair.first ? pair.second : pair.first;
    return std::pair(scores(own) - scores(other), i);
  };
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return rank(a) < rank(b); });
  order.resize(std::min(order.size(), most));
  return order;
}

void add_confidence_figures(const Judged& judged, std::vector<double> outside, Results& results) {
  const std::vector<double> confidences = judged.confidences();
  const std::vector<std::uint8_t> correct = judged.correct();
  results.routing_accuracy = judged.accuracy();
  results.reliability = anyssr::reliability_bins(confidences, correct);
  results.ece = anyssr::expected_calibration_error(confidences, correct);
  const anyssr::RiskCoverage risk = anyssr::risk_coverage(confidences, correct);
  results.risk_curve = risk.curve();
  for (const double share : answered_shares) results.risk_at.push_back(risk.risk_at(share));
  results.inside_novelty = judged.novelties();
  results.outside_novelty = std::move(outside);
  if (results.outside_novelty.empty()) return;
  const auto negated = [](std::vector<double> values) {
    for (double& value : values) value = -value;
    return values;
  };
  const std::vector<double> known = negated(results.inside_novelty);
  const std::vector<double> foreign = negated(results.outside_novelty);
  results.novelty_auroc = anyssr::auroc(known, foreign);
  results.novelty_fpr95 = anyssr::false_positive_rate_at(known, foreign);
}

}  // namespace operations
