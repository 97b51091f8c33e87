// SPDX-License-Identifier: MIT
#include "anyssr/router/routing_policy.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <vector>

#include "router/labelled_rows.hpp"

using namespace anyssr;
using namespace anyssr::test;

namespace {

constexpr double no_number = std::numeric_limits<double>::quiet_NaN();
constexpr double no_limit = std::numeric_limits<double>::infinity();

AnalyticRouter<double> policy_router(NoveltyMode novelty = NoveltyMode::diagonal) {
  return router_of(labelled_tasks<double>({60, 60, 60}),
                   {.rls = labelled_rls, .novelty = {.mode = novelty}});
}

/// A decision for task 0 before task 1, as a router could have made it.
RoutingDecision sure_of_first(double confidence, double margin, double novelty = -0.5) {
  RoutingDecision decision;
  decision.task = 0;
  decision.runner_up = 1;
  decision.margin = margin;
  decision.confidence = confidence;
  decision.scores = Eigen::Vector3d(1.5, 1.5 - margin, -0.2);
  decision.novelty = novelty;
  return decision;
}

RoutingOutcome outcome_of(const RoutingPolicy& policy, RoutingDecision decision) {
  static const AnalyticRouter<double> router = policy_router();
  PolicyTable(policy, *router.table()).apply(decision);
  return decision.outcome;
}

std::string refused_policy(const RoutingPolicy& policy) {
  return message_of<ArgumentError>([&] { expect_policy(policy); });
}

/// P(X <= errors) of n tries that each fail with that probability, as a plain sum.
double slow_binomial(Index errors, Index n, double probability) {
  double sum = 0;
  double term = std::pow(1 - probability, static_cast<double>(n));
  for (Index k = 0; k <= errors; ++k) {
    sum += term;
    term *=
        static_cast<double>(n - k) / static_cast<double>(k + 1) * probability / (1 - probability);
  }
  return sum;
}

/// The least confidence seen from which on few enough are wrong, by trying each.
std::optional<FittedThreshold> slow_fit(const std::vector<double>& confidences,
                                        const std::vector<std::uint8_t>& correct, double max_risk,
                                        std::optional<double> level) {
  std::optional<FittedThreshold> best;
  for (const double threshold : confidences) {
    Index accepted = 0;
    Index errors = 0;
    for (std::size_t i = 0; i < confidences.size(); ++i) {
      if (confidences[i] < threshold) continue;
      ++accepted;
      errors += correct[i] == 1 ? 0 : 1;
    }
    const auto n = static_cast<double>(confidences.size());
    const double risk = static_cast<double>(errors) / static_cast<double>(accepted);
    if (risk > max_risk) continue;
    if (level && slow_binomial(errors, accepted, max_risk) > 1 - *level) continue;
    if (best && best->min_confidence <= threshold) continue;
    best = {threshold, 1 - static_cast<double>(accepted) / n, risk};
  }
  return best;
}

}  // namespace

TEST_CASE("the default policy routes every query", "[router]") {
  CHECK(outcome_of({}, sure_of_first(0, 0, 1e300)) == RoutingOutcome::routed);
}

TEST_CASE("a confidence below its threshold goes to review", "[router]") {
  const RoutingPolicy policy{.min_confidence = 0.8};
  CHECK(outcome_of(policy, sure_of_first(0.8, 0.1)) == RoutingOutcome::routed);
  CHECK(outcome_of(policy, sure_of_first(0.799, 0.1)) == RoutingOutcome::review);
}

TEST_CASE("the only task needs no margin", "[router]") {
  RoutingDecision decision = sure_of_first(1, -0.5);  // its score, where there is no runner-up
  decision.runner_up = -1;
  CHECK(outcome_of({}, decision) == RoutingOutcome::routed);
  CHECK(outcome_of({.min_margin = 0.1}, decision) == RoutingOutcome::review);
}

TEST_CASE("a margin below its threshold goes to review", "[router]") {
  const RoutingPolicy policy{.min_margin = 0.25};
  CHECK(outcome_of(policy, sure_of_first(0.9, 0.25)) == RoutingOutcome::routed);
  CHECK(outcome_of(policy, sure_of_first(0.9, 0.249)) == RoutingOutcome::review);
}

TEST_CASE("a novelty above its threshold falls back", "[router]") {
  const RoutingPolicy policy{.max_novelty = -0.1};
  CHECK(outcome_of(policy, sure_of_first(0.9, 1, -0.1)) == RoutingOutcome::routed);
  CHECK(outcome_of(policy, sure_of_first(0.9, 1, -0.09)) == RoutingOutcome::fallback);
  RoutingDecision silent = sure_of_first(0.9, 1);
  silent.novelty.reset();
  CHECK(outcome_of(policy, silent) == RoutingOutcome::routed);
}

TEST_CASE("more candidates than allowed go to review", "[router]") {
  const AnalyticRouter<double> router = policy_router();
  const double threshold = router.table()->candidate_threshold(0.9);
  REQUIRE(std::isfinite(threshold));
  const Index allowed = GENERATE(1, 2, 3);
  const PolicyTable table({.coverage = 0.9, .max_candidates = allowed}, *router.table());
  CHECK(table.candidate_threshold() == threshold);
  for (Index reaching = 0; reaching <= 3; ++reaching) {  // at the threshold is among them
    CAPTURE(allowed, reaching);
    RoutingDecision decision = sure_of_first(0.9, 1);
    for (Index t = 0; t < 3; ++t) decision.scores(t) = t < reaching ? threshold : threshold - 1e-9;
    table.apply(decision);
    CHECK((decision.outcome == RoutingOutcome::routed) ==
          (std::max<Index>(1, reaching) <= allowed));
  }
}

TEST_CASE("archived tasks are no candidates", "[router]") {
  const PolicyTable table({.coverage = 0.9}, *policy_router().table());
  RoutingDecision decision = sure_of_first(0.9, 1);
  decision.scores.setConstant(-no_limit);
  decision.scores(0) = 2;
  table.apply(decision);
  CHECK(decision.outcome == RoutingOutcome::routed);
  CHECK(candidates(decision, -no_limit) == std::vector<Index>{0});
}

TEST_CASE("two tasks that are sure together blend", "[router]") {
  const AnalyticRouter<double> router = policy_router();
  const double b = router.table()->temperature();
  const double margin = 0.1;
  const double confidence = 0.5;
  const double both = confidence * (1 + std::exp(-b * margin));
  RoutingPolicy policy{.min_confidence = 0.8, .blend = true, .blend_confidence = both - 1e-9};
  const auto outcome = [&](RoutingDecision decision) {
    PolicyTable(policy, *router.table()).apply(decision);
    return decision.outcome;
  };
  CHECK(outcome(sure_of_first(confidence, margin)) == RoutingOutcome::blend);
  policy.blend_confidence = both + 1e-9;
  CHECK(outcome(sure_of_first(confidence, margin)) == RoutingOutcome::review);
  policy.blend_confidence = 0;
  CHECK(outcome(sure_of_first(0.8, margin)) == RoutingOutcome::routed);
  RoutingDecision alone = sure_of_first(confidence, margin);
  alone.runner_up = -1;
  CHECK(outcome(alone) == RoutingOutcome::review);
  policy.blend = false;
  CHECK(outcome(sure_of_first(confidence, margin)) == RoutingOutcome::review);
}

TEST_CASE("fallback comes before blend and review", "[router]") {
  const RoutingPolicy policy{.min_confidence = 0.99,
                             .max_novelty = 0,
                             .coverage = 0.9,
                             .blend = GENERATE(false, true),
                             .blend_confidence = 0};
  CHECK(outcome_of(policy, sure_of_first(0.2, 0.1, 0.5)) == RoutingOutcome::fallback);
}

TEST_CASE("blend comes before review whatever asked for it", "[router]") {
  const RoutingPolicy policy = GENERATE(
      RoutingPolicy{.min_confidence = 0.99, .blend = true, .blend_confidence = 0},
      RoutingPolicy{.min_margin = 5, .blend = true, .blend_confidence = 0},
      RoutingPolicy{.coverage = 0.9, .max_candidates = 1, .blend = true, .blend_confidence = 0});
  RoutingDecision decision = sure_of_first(0.9, 0.01);
  decision.scores.setConstant(100);  // all of them candidates
  CHECK(outcome_of(policy, decision) == RoutingOutcome::blend);
}

TEST_CASE("a task's own thresholds replace the others for it alone", "[router]") {
  RoutingPolicy policy{.min_confidence = 0.5, .min_margin = 0.1};
  policy.tasks["task-0"] = {.min_confidence = 0.9};
  policy.tasks["task-2"] = {.min_confidence = 1};
  CHECK(outcome_of(policy, sure_of_first(0.89, 1)) == RoutingOutcome::review);
  CHECK(outcome_of(policy, sure_of_first(0.9, 0)) == RoutingOutcome::routed);  // its margin is 0
  RoutingDecision second = sure_of_first(0.6, 0.1);
  std::swap(second.task, second.runner_up);
  CHECK(outcome_of(policy, second) == RoutingOutcome::routed);
  second.margin = 0.09;
  CHECK(outcome_of(policy, second) == RoutingOutcome::review);
}

TEST_CASE("a policy over real decisions agrees with its rules", "[router][property]") {
  const AnalyticRouter<double> router = policy_router();
  const RoutingPolicy policy{.min_confidence = 0.7,
                             .min_margin = 0.05,
                             .max_novelty = 0.2,
                             .coverage = 0.9,
                             .blend = true,
                             .blend_confidence = 0.9};
  const PolicyTable table(policy, *router.table());
  std::vector<int> seen(4, 0);
  for (auto decision : decisions_of(router, random_normal<double>(400, labelled_dim, 3))) {
    const Eigen::ArrayXd odds =
        (router.table()->temperature() * (decision.scores.array() - decision.scores.maxCoeff()))
            .exp();
    const Eigen::ArrayXd share = odds / odds.sum();
    const auto set = candidates(decision, router.table()->candidate_threshold(0.9));
    RoutingOutcome expected = RoutingOutcome::review;
    if (*decision.novelty > 0.2) {
      expected = RoutingOutcome::fallback;
    } else if (share.maxCoeff() >= 0.7 && decision.margin >= 0.05 && set.size() == 1) {
      expected = RoutingOutcome::routed;
    } else if (share(decision.task) + share(decision.runner_up) >= 0.9) {
      expected = RoutingOutcome::blend;
    }
    table.apply(decision);
    CHECK(decision.outcome == expected);
    ++seen[static_cast<std::size_t>(expected)];
  }
  CAPTURE(seen);
  CHECK(*std::min_element(seen.begin(), seen.end()) > 0);  // each rule was met
}

TEST_CASE("the runner-up's confidence is that of the softmax", "[router][property]") {
  const AnalyticRouter<double> router = policy_router();
  const PolicyTable table({}, *router.table());
  for (const auto& decision : decisions_of(router, random_normal<double>(20, labelled_dim, 4))) {
    const Eigen::ArrayXd odds = (router.table()->temperature() * decision.scores.array()).exp();
    const double expected = odds(decision.runner_up) / odds.sum();
    CHECK(std::abs(table.runner_up_confidence(decision) - expected) < 1e-12);
  }
  const AnalyticRouter<double> alone = router_of(labelled_tasks<double>({9}));
  const PolicyTable of_one({}, *alone.table());
  const auto decision = decisions_of(alone, random_normal<double>(1, labelled_dim, 5)).front();
  CHECK(of_one.runner_up_confidence(decision) == 0);
}

TEST_CASE("candidates stand best first and are never none", "[router]") {
  RoutingDecision decision;
  decision.task = 2;
  decision.runner_up = 0;
  decision.scores = Vector<double>(5);
  decision.scores << 0.7, 0.2, 0.9, -no_limit, 0.7;
  CHECK(candidates(decision, no_limit) == std::vector<Index>{2});
  CHECK(candidates(decision, 1) == std::vector<Index>{2});
  CHECK(candidates(decision, 0.7) == std::vector<Index>{2, 0, 4});
  CHECK(candidates(decision, -no_limit) == std::vector<Index>{2, 0, 4, 1});
}

TEST_CASE("the default task of a fallback is an active task of the table", "[router][error]") {
  AnalyticRouter<double> router = policy_router();
  RoutingPolicy policy{.fallback = FallbackKind::default_task, .default_task = "task-1"};
  CHECK(PolicyTable(policy, *router.table()).default_task() == 1);
  router.set_active("task-1", false);
  const auto refused = [&] {
    return message_of<TaskError>([&] { (void)PolicyTable(policy, *router.table()); });
  };
  CHECK(refused() == "the default task of the policy is 'task-1', expected an active task");
  policy.default_task = "";
  CHECK(refused() == "the default task of the policy is '', expected an active task");
  CHECK(contains(
      message_of<TaskError>([&] { (void)PolicyTable(policy, *AnalyticRouter<double>(4).table()); }),
      "expected an active task"));
  policy.fallback = FallbackKind::base_model;
  CHECK(PolicyTable(policy, *router.table()).default_task() == -1);
}

TEST_CASE("thresholds of an unknown task are refused", "[router][error]") {
  AnalyticRouter<double> router = policy_router();
  const RoutingPolicy policy{.tasks = {{"task-0", {.min_confidence = 0.5}}, {"taks-1", {}}}};
  CHECK(message_of<TaskError>([&] { (void)PolicyTable(policy, *router.table()); }) ==
        "the policy has thresholds of task 'taks-1', which is unknown: learn it first");
  router.rename("task-1", "taks-1");
  CHECK(PolicyTable(policy, *router.table()).policy().tasks.size() == 2);
}

TEST_CASE("a policy on novelty needs a router that measures it", "[router][error]") {
  const AnalyticRouter<double> router = policy_router(NoveltyMode::none);
  CHECK(message_of<ArgumentError>([&] {
          (void)PolicyTable({.max_novelty = 0.5}, *router.table());
        }) == "max_novelty of the policy is 0.5, and RouterOptions::novelty measures none");
  CHECK(PolicyTable({}, *router.table()).policy().name == "default");
}

TEST_CASE("thresholds out of range are refused by name", "[router][error]") {
  CHECK(refused_policy({.min_confidence = 1.5}) ==
        "min_confidence of the policy is 1.5, expected 0 to 1");
  CHECK(contains(refused_policy({.min_confidence = no_number}), "min_confidence of the policy"));
  CHECK(contains(refused_policy({.blend_confidence = -0.1}),
                 "blend_confidence of the policy is -0.1, expected 0 to 1"));
  CHECK(contains(refused_policy({.coverage = 1}),
                 "coverage of the policy is 1, expected 0 (none) or above, below 1"));
  CHECK(contains(refused_policy({.coverage = no_number}), "coverage of the policy"));
  CHECK(contains(refused_policy({.min_margin = -1}),
                 "min_margin of the policy is -1, expected a finite number, at least 0"));
  CHECK(contains(refused_policy({.min_margin = no_limit}), "min_margin of the policy is inf"));
  CHECK(refused_policy({.max_novelty = no_number}) ==
        "max_novelty of the policy is nan, expected a number, or infinity for none");
  CHECK(contains(refused_policy({.max_candidates = 0}),
                 "max_candidates of the policy is 0, expected at least 1"));
  CHECK(contains(refused_policy({.tasks = {{"a", {.min_confidence = 2}}}}),
                 "min_confidence of task 'a' is 2, expected 0 to 1"));
  CHECK(contains(refused_policy({.tasks = {{"a", {.min_margin = -2}}}}),
                 "min_margin of task 'a' is -2, expected a finite number"));
  CHECK(refused_policy({.min_confidence = 1, .coverage = 0.5}) == "nothing was thrown");
}

TEST_CASE("a table refuses the policy that its check refuses", "[router][error]") {
  const AnalyticRouter<double> router = policy_router();
  CHECK(contains(message_of<ArgumentError>(
                     [&] { (void)PolicyTable({.min_confidence = -1}, *router.table()); }),
                 "min_confidence of the policy is -1"));
}

TEST_CASE("the fitted confidence is the least that keeps the risk", "[router][property]") {
  const unsigned seed = GENERATE(range(1U, 9U));
  const double max_risk = GENERATE(0.0, 0.05, 0.2, 1.0);
  const bool with_level = GENERATE(false, true);
  CAPTURE(seed, max_risk, with_level);
  RandomStream random(seed, 7);
  std::vector<double> confidences;
  std::vector<std::uint8_t> correct;
  for (int i = 0; i < 120; ++i) {  // many equal ones
    confidences.push_back(std::round(40 * random.uniform()) / 40);
    correct.push_back(random.uniform() < 0.5 + confidences.back() / 2 ? 1 : 0);
  }
  std::optional<double> level;
  if (with_level && max_risk < 1) level = 0.9;
  const auto fitted = fit_confidence(confidences, correct, max_risk, level);
  const auto expected = slow_fit(confidences, correct, max_risk, level);
  REQUIRE(fitted.has_value() == expected.has_value());
  if (!fitted) return;
  CHECK(fitted->min_confidence == expected->min_confidence);
  CHECK(std::abs(fitted->deferred - expected->deferred) < 1e-12);
  CHECK(std::abs(fitted->risk - expected->risk) < 1e-12);
}

TEST_CASE("no confidence is fitted where the surest rows are wrong too often", "[router]") {
  const std::vector<double> confidences{0.9, 0.9, 0.2};
  CHECK_FALSE(fit_confidence(confidences, std::vector<std::uint8_t>{0, 1, 1}, 0.3).has_value());
}

TEST_CASE("confidences to fit are shares", "[router][error]") {
  const std::vector<std::uint8_t> correct{1, 0};
  const auto refused = [&](const std::vector<double>& confidences) {
    return message_of<ArgumentError>([&] { (void)fit_confidence(confidences, correct, 0.1); });
  };
  CHECK(refused({0.5, 1.2}) == "a confidence is 1.2, expected 0 to 1");
  CHECK(contains(refused({0.5, no_number}), "a confidence is"));
  CHECK(contains(refused({}), "empty"));
  CHECK(contains(message_of<ArgumentError>([&] {
                   (void)fit_confidence(std::vector<double>{0.1, 0.2}, correct, -1);
                 }),
                 "max_risk is -1"));
}

TEST_CASE("the fitted novelty is the least that few enough exceed", "[router][property]") {
  const std::size_t count = GENERATE(1U, 7U, 10U, 100U);
  CAPTURE(count);
  RandomStream random(5, count);
  std::vector<double> novelties;
  for (std::size_t i = 0; i < count; ++i) novelties.push_back(random.uniform() - 1);
  for (int percent = 0; percent < 100; ++percent) {
    const double flagged = percent / 100.0;
    double expected = no_limit;
    for (const double threshold : novelties) {
      const auto above = std::count_if(novelties.begin(), novelties.end(),
                                       [&](double novelty) { return novelty > threshold; });
      if (static_cast<double>(above) / static_cast<double>(count) <= flagged) {
        expected = std::min(expected, threshold);
      }
    }
    CAPTURE(flagged);
    CHECK(fit_novelty(novelties, flagged) == expected);
  }
  CHECK(fit_novelty(novelties, 1) == *std::min_element(novelties.begin(), novelties.end()));
}

TEST_CASE("novelties to fit are finite and a share of them is flagged", "[router][error]") {
  CHECK(contains(message_of<ArgumentError>([] { (void)fit_novelty({}, 0.1); }),
                 "novelties are empty, expected at least 1"));
  const std::vector<double> one{0.5};
  CHECK(contains(message_of<ArgumentError>([&] { (void)fit_novelty(one, 1.5); }),
                 "flagged is 1.5, expected 0 to 1"));
  CHECK(contains(message_of<ArgumentError>([&] { (void)fit_novelty(one, no_number); }), "flagged"));
  const std::vector<double> bad{0.5, no_limit};
  CHECK(contains(message_of<NonFiniteError>([&] { (void)fit_novelty(bad, 0.1); }),
                 "novelties hold inf, expected finite numbers"));
}
