// SPDX-License-Identifier: MIT
// What the router promises on real queries: CLINC150, hashed words.

#include "support/clinc150.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "anyssr/backbone/text_hashing.hpp"
#include "anyssr/metrics/calibration.hpp"
#include "anyssr/metrics/confusion.hpp"
#include "anyssr/metrics/ranking.hpp"
#include "anyssr/metrics/risk_coverage.hpp"
#include "anyssr/router/analytic_router.hpp"
#include "anyssr/router/routing_policy.hpp"
#include "support/catch.hpp"

using namespace anyssr;
using namespace anyssr::test;

namespace {

constexpr Index buckets = 4096;
constexpr RlsOptions real_data_rls{.ridge = 0.3, .ridge_scale = RidgeScale::absolute};

/// A router that learned the rows, and features to measure it on.
class Measured {
 public:
  Measured(const Clinc150& data, const ClincSplit& train, std::uint64_t seed,
           const RouterOptions& options)
      : router_(buckets, options), test_(data.test) {
    const TextHashingBackbone<float> backbone({.dim = buckets, .seed = seed});
    router_.learn_together(std::span<const std::string>(data.names), backbone.features(train.texts),
                           train.tasks, train.labels);
    features_ = backbone.features(test_.texts);
  }
  [[nodiscard]] AnalyticRouter<float>& router() { return router_; }

  /// Mean over tasks of the share routed right; CLINC150 has as many test rows of each.
  [[nodiscard]] double accuracy() const {
    RoutingWorkspace<float> workspace;
    std::vector<RoutingDecision> decisions;
    router_.decide(features_, workspace, decisions);
    ConfusionMatrix confusion(10);
    for (std::size_t i = 0; i < decisions.size(); ++i) {
      confusion.add(test_.tasks[i], decisions[i].task);
    }
    return confusion.accuracy();
  }

 private:
  AnalyticRouter<float> router_;
  const ClincSplit& test_;
  SparseRows<float> features_;
};

constexpr Index wide_buckets = 8192;

/// Decisions on queries whose tasks are known.
struct JudgedDecisions {
  std::vector<RoutingDecision> decisions;
  std::vector<Index> truth;

  template <class X>
  JudgedDecisions(const RoutingTable<float>& table, const X& features, std::vector<Index> tasks)
      : truth(std::move(tasks)) {
    RoutingWorkspace<float> workspace;
    table.decide(features, workspace, decisions);
  }
  [[nodiscard]] std::vector<double> confidences() const {
    std::vector<double> result;
    for (const RoutingDecision& decision : decisions) result.push_back(decision.confidence);
    return result;
  }
  [[nodiscard]] std::vector<std::uint8_t> correct() const {
    std::vector<std::uint8_t> result;
    for (std::size_t i = 0; i < truth.size(); ++i) {
      result.push_back(decisions[i].task == truth[i] ? 1 : 0);
    }
    return result;
  }
  /// Share routed right of the queries of two tasks, or of all others.
  [[nodiscard]] double right(Index first, Index second, bool of_both) const {
    double count = 0;
    double right = 0;
    for (std::size_t i = 0; i < truth.size(); ++i) {
      if ((truth[i] == first || truth[i] == second) != of_both) continue;
      count += 1;
      right += decisions[i].task == truth[i] ? 1 : 0;
    }
    return right / count;
  }
  /// As positives of a detector: how little novel each is.
  [[nodiscard]] std::vector<double> familiarity() const {
    std::vector<double> result;
    for (const RoutingDecision& decision : decisions) result.push_back(-decision.novelty.value());
    return result;
  }
};

/// What candidate sets do at a coverage that was asked for.
struct CandidateFigures {
  double covered = 0;    // share of queries with the right task among the candidates
  double raw = 0;        // share whose right task reaches the threshold by itself
  double mean_size = 0;  // candidates a query

  CandidateFigures(const JudgedDecisions& judged, double threshold) {
    for (std::size_t i = 0; i < judged.truth.size(); ++i) {
      const RoutingDecision& decision = judged.decisions[i];
      const std::vector<Index> set = candidates(decision, threshold);
      covered += static_cast<double>(std::count(set.begin(), set.end(), judged.truth[i]));
      raw += decision.scores(judged.truth[i]) >= threshold ? 1 : 0;
      mean_size += static_cast<double>(set.size());
    }
    for (double* figure : {&covered, &raw, &mean_size}) {
      *figure /= static_cast<double>(judged.truth.size());
    }
  }
};

ClincSplit every_nth(const ClincSplit& split, std::size_t n) {
  ClincSplit kept;
  for (std::size_t i = 0; i < split.texts.size(); i += n) kept.add(split, i);
  return kept;
}

/// Test queries of the first tasks.
ClincSplit first_tasks(const ClincSplit& split, Index count) {
  ClincSplit kept;
  for (std::size_t i = 0; i < split.texts.size(); ++i) {
    if (split.tasks[i] >= count) continue;
    kept.add(split, i);
  }
  return kept;
}

std::pair<Index, Index> most_confused(const JudgedDecisions& judged) {
  ConfusionMatrix confusion(10);
  for (std::size_t i = 0; i < judged.truth.size(); ++i) {
    confusion.add(judged.truth[i], judged.decisions[i].task);
  }
  std::pair<Index, Index> worst{0, 1};
  const auto count = [&](Index i, Index j) {
    return confusion.count(i, j) + confusion.count(j, i);
  };
  for (Index i = 0; i < 10; ++i) {
    for (Index j = i + 1; j < 10; ++j) {
      if (count(i, j) > count(worst.first, worst.second)) worst = {i, j};
    }
  }
  return worst;
}

/// The queries of two tasks that score least for their own against the other.
std::vector<std::size_t> by_margin(const JudgedDecisions& judged, Index first, Index second,
                                   std::size_t most) {
  std::vector<std::pair<double, std::size_t>> margins;
  for (std::size_t i = 0; i < judged.truth.size(); ++i) {
    const Index own = judged.truth[i];
    if (own != first && own != second) continue;
    const auto& scores = judged.decisions[i].scores;
    margins.emplace_back(scores(own) - scores(own == first ? second : first), i);
  }
  std::sort(margins.begin(), margins.end());
  std::vector<std::size_t> order;
  for (std::size_t k = 0; k < most; ++k) order.push_back(margins[k].second);
  return order;
}

void check_candidates(const RoutingTable<float>& table, const JudgedDecisions& judged) {
  for (const auto& [coverage, size] : {std::pair{0.90, 1.02}, {0.95, 1.06}, {0.99, 1.55}}) {
    const CandidateFigures figures(judged, table.candidate_threshold(coverage));
    CAPTURE(coverage, figures.covered, figures.raw, figures.mean_size);
    CHECK(figures.covered >= coverage - 0.01);
    CHECK(std::abs(figures.raw - coverage) <= 0.02);
    CHECK(figures.mean_size <= size);
  }
}

}  // namespace

TEST_CASE("confidence and candidates keep their word as CLINC150 comes task by task", "[router]") {
  const auto data = find_clinc150();
  if (!data) return;
  const TextHashingBackbone<float> backbone({.dim = wide_buckets});
  AnalyticRouter<float> router(wide_buckets, {.rls = real_data_rls});
  for (Index t = 0; t < 10; ++t) {
    const ClincSplit rows = data->train.of_task(t);
    router.learn(data->names[static_cast<std::size_t>(t)], backbone.features(rows.texts),
                 rows.labels);
    const ClincSplit seen = first_tasks(data->test, t + 1);
    const JudgedDecisions judged(*router.table(), backbone.features(seen.texts), seen.tasks);
    const double error = expected_calibration_error(judged.confidences(), judged.correct());
    CAPTURE(t, error);
    CHECK(error <= (t == 9 ? 0.02 : 0.03));
    if (t < 9) continue;
    check_candidates(*router.table(), judged);
    const RiskCoverage risks = risk_coverage(judged.confidences(), judged.correct());
    CAPTURE(risks.risk_at(0.9), risks.risk_at(1));
    CHECK(risks.risk_at(0.9) <= risks.risk_at(1) / 4);
  }
}

TEST_CASE("novelty tells queries that are out of scope on CLINC150", "[router]") {
  const auto data = find_clinc150();
  if (!data) return;
  const TextHashingBackbone<float> backbone({.dim = wide_buckets});
  const SparseRows<float> known = backbone.features(data->test.texts);
  const SparseRows<float> foreign = backbone.features(data->oos_test);
  const auto mode = GENERATE(NoveltyMode::leverage, NoveltyMode::diagonal);
  AnalyticRouter<float> router(wide_buckets, {.rls = real_data_rls, .novelty = {.mode = mode}});
  router.learn_together(std::span<const std::string>(data->names),
                        backbone.features(data->train.texts), data->train.tasks,
                        data->train.labels);
  const JudgedDecisions in_scope(*router.table(), known, data->test.tasks);
  const JudgedDecisions out_of_scope(*router.table(), foreign, std::vector<Index>(1000, -1));
  const double area = auroc(in_scope.familiarity(), out_of_scope.familiarity());
  const double false_positives =
      false_positive_rate_at(in_scope.familiarity(), out_of_scope.familiarity());
  const bool exact = mode == NoveltyMode::leverage;
  CAPTURE(exact, area, false_positives);
  CHECK(area >= (exact ? 0.960 : 0.955));
  CHECK(false_positives <= 0.17);
}

TEST_CASE("corrections of a confused pair on CLINC150 help it and harm no other", "[router]") {
  const auto data = find_clinc150();
  if (!data) return;
  const auto seed = GENERATE(as<std::uint64_t>(), 0, 1, 2);
  const TextHashingBackbone<float> backbone({.dim = buckets, .seed = seed});
  AnalyticRouter<float> router(buckets,
                               {.rls = real_data_rls, .novelty = {.mode = NoveltyMode::none}});
  const ClincSplit rows = every_nth(data->train, 10);  // as of a service that is young
  router.learn_together(std::span<const std::string>(data->names), backbone.features(rows.texts),
                        rows.tasks, rows.labels);
  const JudgedDecisions open(*router.table(), backbone.features(data->val.texts), data->val.tasks);
  const auto queries = backbone.features(data->test.texts);
  const JudgedDecisions before(*router.table(), queries, data->test.tasks);
  const auto [first, second] = most_confused(open);
  for (const Index task : {first, second}) {
    ClincSplit corrected;
    for (const std::size_t i : by_margin(open, first, second, 50)) {
      if (open.truth[i] == task) corrected.add(data->val, i);
    }
    REQUIRE(!corrected.texts.empty());
    router.extend(data->names[static_cast<std::size_t>(task)], backbone.features(corrected.texts),
                  corrected.labels);
  }
  const JudgedDecisions after(*router.table(), queries, data->test.tasks);
  CAPTURE(seed, before.right(first, second, true), after.right(first, second, true));
  CHECK(after.right(first, second, true) >= before.right(first, second, true) + 0.001);
  CHECK(after.right(first, second, false) >= before.right(first, second, false) - 0.003);
}

TEST_CASE("label columns route better than task columns alone on CLINC150", "[router]") {
  const auto data = find_clinc150();
  if (!data) return;
  for (const std::uint64_t seed : {0U, 1U, 2U}) {
    CAPTURE(seed);
    Measured with(*data, data->train, seed, {.rls = real_data_rls});
    const Measured without(*data, data->train, seed,
                           {.rls = real_data_rls, .label_columns = false});
    CHECK(with.accuracy() >= without.accuracy() + 0.002);
    CHECK(with.accuracy() > 0.965);
    CHECK(with.router().suggest_label_weight() > 0);
  }
}

TEST_CASE("cross-validation chooses a ridge near the best on CLINC150", "[router]") {
  const auto data = find_clinc150();
  if (!data) return;
  Measured measured(*data, data->train, 0, {.rls = real_data_rls});
  const std::vector<double> grid{0.01, 0.03, 0.1, 0.3, 1, 3, 10};
  const double choice = measured.router().select_ridge(grid).ridge;
  double best = 0;
  for (const double candidate : grid) {
    measured.router().set_ridge(candidate);
    best = std::max(best, measured.accuracy());
  }
  measured.router().set_ridge(choice);
  CAPTURE(choice, best);
  CHECK(measured.accuracy() >= best - 0.003);
}

TEST_CASE("balanced tasks route better where CLINC150 is cut to unequal sizes", "[router]") {
  const auto data = find_clinc150();
  if (!data) return;
  const ClincSplit few = data->train.halved_by_task();
  const Measured plain(*data, few, 0, {.rls = real_data_rls});
  const Measured balanced(*data, few, 0, {.rls = real_data_rls, .balanced = true});
  CHECK(balanced.accuracy() >= plain.accuracy());
}
