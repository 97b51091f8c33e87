// SPDX-License-Identifier: MIT
#include "anyssr/serving/decision_record.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "support/catch.hpp"
#include "support/numeric.hpp"
#include "support/small_learner.hpp"

using namespace anyssr;
using namespace anyssr::test;

namespace {

using ServedPoint = RowVector<double>;
using ServedHooks = PointLearner<double>::Hooks;

PointLearner<double> serving_learner(Index tasks,
                                     const LearnerOptions& options = small_learner_options()) {
  auto learner = small_learner<double>(options);
  learn_small_tasks<double>(learner, 0, tasks);
  return learner;
}

/// Fresh queries, eight of each task.
std::vector<ServedPoint> served_queries(Index tasks) {
  std::vector<ServedPoint> queries;
  for (Index t = 0; t < tasks; ++t) {
    const auto fresh = point_task<double>(t, 8, small_dim, 5, 50);
    queries.insert(queries.end(), fresh.inputs.begin(), fresh.inputs.end());
  }
  return queries;
}

/// A policy under which every query is unsure.
RoutingPolicy unsure_policy() { return {.name = "unsure", .min_margin = 1000}; }
/// A policy under which every query is of no task.
RoutingPolicy foreign_policy(FallbackKind kind, std::string task = {}) {
  return {
      .name = "foreign", .max_novelty = -1000, .fallback = kind, .default_task = std::move(task)};
}

/// What an event says, beyond its call.
struct KeptRoute {
  explicit KeptRoute(const RouteEvent& event)
      : query(event.query),
        task(event.task),
        outcome(event.outcome),
        policy(event.policy),
        input(event.input),
        changes(event.changes),
        digest(event.router_digest),
        confidence(event.confidence),
        margin(event.margin),
        novelty(event.novelty) {
    for (const ScoredTask& scored : event.top) top.emplace_back(scored.task, scored.score);
  }
  std::string query, task, outcome, policy, input;
  std::uint64_t changes, digest;
  double confidence, margin;
  std::optional<double> novelty;
  std::vector<std::pair<std::string, double>> top;
};

/// A sink that keeps route events.
AuditSink keep_routes(std::vector<KeptRoute>& kept) {
  return [&kept](const AuditEvent& event) {
    if (const auto* route = std::get_if<RouteEvent>(&event)) kept.emplace_back(*route);
  };
}

}  // namespace

TEST_CASE("a routed query is answered by the adapter of its task", "[learner][serving]") {
  const auto learner = serving_learner(3);
  const auto queries = served_queries(3);
  for (const auto& prediction : learner.predict(queries)) {
    CHECK(prediction.decision.outcome == RoutingOutcome::routed);
  }
  const auto alone = learner.predict(std::span(&queries[0], 1)).front();
  CHECK((alone.output == learner.predict_as(alone.task, std::span(&queries[0], 1)).front()));
}

TEST_CASE("a blend answers as both adapters do by their probabilities", "[learner][serving]") {
  auto learner = serving_learner(3);
  RoutingPolicy policy = unsure_policy();
  policy.blend = true;
  policy.blend_confidence = 0;
  learner.set_policy(policy);
  const auto queries = served_queries(3);
  const double b = learner.router().table()->temperature();
  const auto snapshot = learner.snapshot();
  for (const auto& query : queries) {
    const auto prediction = learner.predict(std::span(&query, 1)).front();
    REQUIRE(prediction.decision.outcome == RoutingOutcome::blend);
    std::vector<std::pair<double, std::string>> parts;
    for (Index t = 0; t < 3; ++t) {
      parts.emplace_back(std::exp(b * prediction.decision.scores(t)),
                         learner.tasks()[static_cast<std::size_t>(t)].name);
    }
    std::sort(parts.rbegin(), parts.rend());
    const double both = parts[0].first + parts[1].first;
    const auto first = snapshot.adapter(parts[0].second);
    const auto second = snapshot.adapter(parts[1].second);
    std::vector<AdapterMix<double>> mix(1);
    mix[0].add(first.get(), parts[0].first / both);
    mix[0].add(second.get(), parts[1].first / both);
    const auto& backbone = learner.backbone();
    const auto expected = backbone.forward(backbone.trunk(std::span(&query, 1)), mix).front();
    CHECK(relative_error(prediction.output, expected) < round_off<double>(1e4));
  }
}

TEST_CASE("a blend asks that both together are sure", "[learner][serving]") {
  auto learner = serving_learner(3);
  RoutingPolicy policy = unsure_policy();
  policy.blend = true;
  policy.blend_confidence = 0.9;
  learner.set_policy(policy);
  const double b = learner.router().table()->temperature();
  std::vector<ServedPoint> queries = served_queries(3);
  for (std::size_t i = 0; i < 8; ++i) {  // between all three tasks
    queries.emplace_back((queries[i] + queries[i + 8] + queries[i + 16]) / 3);
  }
  std::set<RoutingOutcome> seen;
  for (const auto& prediction : learner.predict(queries)) {
    Vector<double> p = (b * prediction.decision.scores.array()).exp();
    p /= p.sum();
    std::sort(p.data(), p.data() + p.size());
    const bool sure = p(1) + p(2) >= 0.9;
    CHECK(prediction.decision.outcome == (sure ? RoutingOutcome::blend : RoutingOutcome::review));
    seen.insert(prediction.decision.outcome);
  }
  CHECK(seen.size() == 2);
}

TEST_CASE("a query of no task is answered by whom the policy says", "[learner][serving]") {
  auto learner = serving_learner(3);
  const auto queries = served_queries(3);
  std::size_t asked = 0;
  SECTION("the base model") {
    learner.set_policy(foreign_policy(FallbackKind::base_model));
    const auto& backbone = learner.backbone();
    const std::vector<AdapterMix<double>> none(queries.size());
    const auto expected = backbone.forward(backbone.trunk(queries), none);
    const auto predictions = learner.predict(queries);
    for (std::size_t i = 0; i < queries.size(); ++i) {
      CHECK((predictions[i].output == expected[i]));
    }
  }
  SECTION("a default task") {
    learner.set_policy(foreign_policy(FallbackKind::default_task, "task-1"));
    const auto expected = learner.predict_as("task-1", queries);
    const auto predictions = learner.predict(queries);
    for (std::size_t i = 0; i < queries.size(); ++i) {
      CHECK((predictions[i].output == expected[i]));
    }
  }
  SECTION("a function of the caller") {
    learner.set_policy(foreign_policy(FallbackKind::caller));
    learner.set_hooks({.fallback = [&](const ServedPoint& query, const RoutingDecision& decision) {
      ++asked;
      CHECK(decision.outcome == RoutingOutcome::fallback);
      return Vector<double>(7 * query.transpose());
    }});
    const auto predictions = learner.predict(queries);
    CHECK(asked == queries.size());
    for (std::size_t i = 0; i < queries.size(); ++i) {
      CHECK((predictions[i].output == 7 * queries[i].transpose()));
    }
  }
  SECTION("the base model where the caller gave no function") {
    learner.set_policy(foreign_policy(FallbackKind::caller));
    for (const auto& prediction : learner.predict(queries)) CHECK(prediction.output.size() == 0);
  }
  for (const auto& prediction : learner.predict(queries)) {
    CHECK(prediction.decision.outcome == RoutingOutcome::fallback);
  }
}

TEST_CASE("novelty above that of the policy alone falls back", "[learner][serving]") {
  auto learner = serving_learner(3);
  const auto queries = served_queries(3);
  std::vector<double> novelties;
  for (const auto& decision : learner.snapshot().decide(queries)) {
    REQUIRE(decision.novelty.has_value());
    novelties.push_back(*decision.novelty);
  }
  std::vector<double> sorted = novelties;
  std::sort(sorted.begin(), sorted.end());
  learner.set_policy({.max_novelty = sorted[11]});
  const auto predictions = learner.predict(queries);
  for (std::size_t i = 0; i < queries.size(); ++i) {
    CHECK((predictions[i].decision.outcome == RoutingOutcome::fallback) ==
          (novelties[i] > sorted[11]));
  }
}

TEST_CASE("a query for review gets a proposal and waits with the two best tasks",
          "[learner][serving]") {
  auto learner = serving_learner(4);
  const auto queue = std::make_shared<ReviewQueue<ServedPoint>>();
  learner.set_hooks({.reviews = queue});
  learner.set_policy(unsure_policy());
  const auto queries = served_queries(4);
  std::vector<std::string> ids;
  for (std::size_t i = 0; i < queries.size(); ++i) ids.push_back("q" + std::to_string(i));
  const auto predictions = learner.predict(queries, {}, {.ids = ids});
  const auto items = queue->list();
  REQUIRE(items.size() == queries.size());
  for (std::size_t i = 0; i < items.size(); ++i) {
    const RoutingDecision& decision = predictions[i].decision;
    CHECK(decision.outcome == RoutingOutcome::review);
    CHECK(predictions[i].output.size() == 2);
    CHECK(items[i].request == i + 1);
    CHECK(items[i].query == ids[i]);
    CHECK((items[i].input == queries[i]));
    CHECK(items[i].task == predictions[i].task);
    CHECK(items[i].confidence == decision.confidence);
    CHECK(items[i].margin == decision.margin);
    CHECK(items[i].novelty == decision.novelty);
    std::vector<std::pair<double, std::string>> scores;
    for (Index t = 0; t < 4; ++t) {
      scores.emplace_back(decision.scores(t), "task-" + std::to_string(t));
    }
    std::sort(scores.rbegin(), scores.rend());
    CHECK(items[i].candidates == std::vector<std::string>{scores[0].second, scores[1].second});
  }
  const auto alone = learner.predict(std::span(&queries[3], 1)).front();
  CHECK((alone.output == learner.predict_as(alone.task, std::span(&queries[3], 1)).front()));
}

TEST_CASE("a policy of coverage sends to review what has too many candidates",
          "[learner][serving]") {
  auto learner = serving_learner(3);
  const auto twin = point_task<double>(0, 24, small_dim, 5, 90);  // of task-0, by its distribution
  learner.learn_task("task-3", twin.inputs, twin.labels);
  const auto queue = std::make_shared<ReviewQueue<ServedPoint>>();
  learner.set_hooks({.reviews = queue});
  learner.set_policy({.coverage = 0.9});
  const std::vector<ServedPoint> queries = served_queries(3);
  const double threshold = learner.router().table()->candidate_threshold(0.9);
  REQUIRE(std::isfinite(threshold));
  const auto predictions = learner.predict(queries);
  std::size_t at = 0;
  const auto items = queue->list();
  for (const auto& prediction : predictions) {
    std::vector<std::pair<double, std::string>> in;
    for (Index t = 0; t < 4; ++t) {
      const double score = prediction.decision.scores(t);
      const std::string name = "task-" + std::to_string(t);
      if (score >= threshold || name == prediction.task) in.emplace_back(-score, name);
    }
    CHECK((prediction.decision.outcome == RoutingOutcome::review) == (in.size() > 1));
    if (in.size() <= 1) continue;
    std::sort(in.begin(), in.end());
    std::vector<std::string> names;
    for (const auto& [score, name] : in) names.push_back(name);
    REQUIRE(at < items.size());
    CHECK(items[at++].candidates == names);
  }
  CHECK(at == items.size());
  CHECK(at > 0);
  CHECK(at < queries.size());
}

TEST_CASE("a task asks for more than the rest where the policy says so", "[learner][serving]") {
  auto learner = serving_learner(3);
  RoutingPolicy policy;
  policy.tasks["task-1"] = {.min_confidence = 0, .min_margin = 1000};
  learner.set_policy(policy);
  std::set<std::string> reviewed;
  for (const auto& prediction : learner.predict(served_queries(3))) {
    if (prediction.decision.outcome == RoutingOutcome::review) reviewed.insert(prediction.task);
  }
  CHECK(reviewed == std::set<std::string>{"task-1"});
}

TEST_CASE("use is counted by chosen task", "[learner][serving]") {
  auto learner = serving_learner(3);
  const auto queries = served_queries(3);
  CHECK(learner.usage().empty());
  const double start = detail::seconds_now();
  std::map<std::string, std::pair<std::uint64_t, double>> expected;
  const auto add = [&](std::span<const ServedPoint> some) {
    for (const auto& prediction : learner.predict(some)) {
      ++expected[prediction.task].first;
      expected[prediction.task].second += prediction.decision.confidence;
    }
  };
  add(queries);
  auto routed = expected;
  learner.set_policy(unsure_policy());
  add(std::span(queries).first(11));
  (void)learner.predict_as("task-0", queries);  // no routing: no use
  (void)learner.snapshot().decide(queries);
  const double end = detail::seconds_now();
  const auto usage = learner.usage();
  REQUIRE(usage.size() == expected.size());
  for (const auto& [task, sums] : expected) {
    const TaskUsage& counted = usage.at(task);
    CHECK(counted.count == sums.first);
    CHECK(counted.answered == routed[task].first);
    CHECK(std::abs(counted.mean_confidence() - sums.second / static_cast<double>(sums.first)) <
          round_off<double>(100));
    CHECK(counted.last_use >= start);
    CHECK(counted.last_use <= end);
  }
  CHECK(TaskUsage{}.mean_confidence() == 0);
}

TEST_CASE("the sink gets one event a query with its best tasks in order", "[learner][serving]") {
  auto learner = serving_learner(7);
  std::vector<KeptRoute> kept;
  learner.set_hooks({.audit = keep_routes(kept), .to_bytes = [](const ServedPoint& query) {
                       return std::to_string(query(0));
                     }});
  learner.set_policy({.name = "mine"});
  const auto queries = served_queries(7);
  std::vector<std::string> ids;
  for (std::size_t i = 0; i < queries.size(); ++i) ids.push_back("request " + std::to_string(i));
  const auto predictions = learner.predict(queries, {}, {.ids = ids});
  REQUIRE(kept.size() == queries.size());
  for (std::size_t i = 0; i < kept.size(); ++i) {
    const RoutingDecision& decision = predictions[i].decision;
    std::vector<std::pair<double, std::string>> order;
    for (Index t = 0; t < 7; ++t) {
      order.emplace_back(decision.scores(t), "task-" + std::to_string(t));
    }
    std::sort(order.rbegin(), order.rend());
    REQUIRE(kept[i].top.size() == 5);
    for (std::size_t k = 0; k < 5; ++k) {
      CHECK(kept[i].top[k].first == order[k].second);
      CHECK(kept[i].top[k].second == order[k].first);
    }
    CHECK(kept[i].query == ids[i]);
    CHECK(kept[i].task == predictions[i].task);
    CHECK(kept[i].outcome == "routed");
    CHECK(kept[i].policy == "mine");
    CHECK(kept[i].input == std::to_string(queries[i](0)));
    CHECK(kept[i].changes == learner.snapshot().changes());
    CHECK(kept[i].digest != 0);
    CHECK(kept[i].digest == kept[0].digest);
    CHECK(kept[i].confidence == decision.confidence);
    CHECK(kept[i].margin == decision.margin);
    CHECK(kept[i].novelty == decision.novelty);
  }
}

TEST_CASE("the sink names the task that answers and no archived one", "[learner][serving]") {
  auto learner = serving_learner(3);
  learner.archive_task("task-2");
  std::vector<KeptRoute> kept;
  learner.set_hooks({.audit = keep_routes(kept)});
  const auto queries = served_queries(3);
  const auto one = std::span(queries).first(1);
  learner.set_policy(foreign_policy(FallbackKind::base_model));
  (void)learner.predict(one);
  learner.set_policy(foreign_policy(FallbackKind::default_task, "task-1"));
  (void)learner.predict(one);
  learner.set_policy(unsure_policy());
  const auto proposal = learner.predict(one).front();
  REQUIRE(kept.size() == 3);
  CHECK(kept[0].outcome == "fallback");
  CHECK(kept[0].task.empty());
  CHECK(kept[1].task == "task-1");
  CHECK(kept[2].outcome == "review");
  CHECK(kept[2].task == proposal.task);
  for (const KeptRoute& route : kept) {
    CHECK(route.query.empty());
    CHECK(route.input.empty());
    REQUIRE(route.top.size() == 2);
    for (const auto& [task, score] : route.top) CHECK(task != "task-2");
  }
}

TEST_CASE("a hook that throws leaves nothing counted", "[learner][serving][error]") {
  auto learner = serving_learner(3);
  const auto queries = served_queries(3);
  const auto reviews = std::make_shared<ReviewQueue<ServedPoint>>();
  std::vector<KeptRoute> kept;
  int calls = 0;
  learner.set_policy({.min_confidence = 1});
  learner.set_hooks({.audit = keep_routes(kept),
                     .reviews = reviews,
                     .to_bytes = [&](const ServedPoint&) -> std::string {
                       if (++calls == 3) throw std::runtime_error("no bytes");
                       return "x";
                     }});
  CHECK_THROWS_AS(learner.predict(queries), std::runtime_error);
  CHECK(learner.usage().empty());
  CHECK(reviews->list().empty());
  CHECK(kept.empty());
}

TEST_CASE("hooks change no answer", "[learner][serving]") {
  auto learner = serving_learner(3);
  const auto queries = served_queries(3);
  const auto before = learner.predict(queries);
  const std::uint64_t changes = learner.snapshot().changes();
  std::vector<KeptRoute> kept;
  learner.set_hooks(
      {.audit = keep_routes(kept),
       .reviews = std::make_shared<ReviewQueue<ServedPoint>>(),
       .fallback = [](const ServedPoint&, const RoutingDecision&) { return Vector<double>(); },
       .to_bytes = [](const ServedPoint&) { return std::string("x"); }});
  const auto after = learner.predict(queries);
  CHECK(kept.size() == queries.size());
  CHECK(learner.snapshot().changes() == changes);
  for (std::size_t i = 0; i < queries.size(); ++i) {
    CHECK(before[i].task == after[i].task);
    CHECK((before[i].decision.scores == after[i].decision.scores));
    CHECK((before[i].output == after[i].output));
  }
}

TEST_CASE("a bad policy is refused and the one of before stays", "[learner][error]") {
  auto learner = serving_learner(2);
  learner.set_policy({.name = "good", .min_margin = 1000});
  const Learned<double> before(learner);
  const auto refused = [&](const RoutingPolicy& policy) {
    const std::string message = message_of<Error>([&] { learner.set_policy(policy); });
    CHECK((Learned<double>(learner) == before));
    CHECK(learner.policy().name == "good");
    CHECK(learner.snapshot().policy().name == "good");
    const auto decision = learner.snapshot().decide(served_queries(1)).front();
    CHECK(decision.outcome == RoutingOutcome::review);
    return message;
  };
  CHECK(refused({.min_confidence = 1.5}) == "min_confidence of the policy is 1.5, expected 0 to 1");
  CHECK(contains(refused({.min_margin = -1}), "min_margin of the policy is -1"));
  CHECK(contains(refused({.max_novelty = std::nan("")}),
                 "max_novelty of the policy is nan, expected a number, or infinity for none"));
  CHECK(contains(refused({.coverage = 1}), "coverage of the policy is 1, expected 0 (none)"));
  CHECK(contains(refused({.max_candidates = 0}), "max_candidates of the policy is 0"));
  CHECK(contains(refused({.blend_confidence = std::nan("")}), "blend_confidence of the policy"));
  CHECK(contains(refused({.tasks = {{"task-1", {.min_confidence = 2}}}}),
                 "min_confidence of task 'task-1' is 2"));
  CHECK(refused(foreign_policy(FallbackKind::default_task, "nobody")) ==
        "the default task of the policy is 'nobody', expected an active task");
  learner.archive_task("task-1");
  CHECK(contains(message_of<TaskError>([&] {
                   learner.set_policy(foreign_policy(FallbackKind::default_task, "task-1"));
                 }),
                 "expected an active task"));
}

TEST_CASE("a policy that asks for what is not measured or learned is refused", "[learner][error]") {
  LearnerOptions options = small_learner_options();
  options.router.novelty.mode = NoveltyMode::none;
  auto learner = small_learner<double>(options);
  CHECK(message_of<ArgumentError>([&] { learner.set_policy({.max_novelty = 0.5}); }) ==
        "max_novelty of the policy is 0.5, and RouterOptions::novelty measures none");
  CHECK(contains(message_of<TaskError>([&] {
                   learner.set_policy(
                       {.fallback = FallbackKind::default_task, .default_task = "task-0"});
                 }),
                 "the default task of the policy is 'task-0', expected an active task"));
  learn_small_tasks<double>(learner, 0, 1);  // an accepted one would have stood in its way
  learner.set_policy({.fallback = FallbackKind::default_task, .default_task = "task-0"});
  CHECK(learner.tasks().size() == 1);
}

TEST_CASE("a wrong number of ids is refused before anything is counted", "[learner][error]") {
  auto learner = serving_learner(2);
  std::vector<KeptRoute> kept;
  learner.set_hooks({.audit = keep_routes(kept)});
  const auto queries = served_queries(2);
  const std::vector<std::string> ids{"a", "b"};
  CHECK(message_of<ShapeError>([&] {
          (void)learner.predict(std::span(queries).first(3), {}, {.ids = ids});
        }) == "ids have 2 entries, expected 3, one a row");
  CHECK(kept.empty());
  CHECK(learner.usage().empty());
}

TEST_CASE("copies of a learner count for themselves", "[learner][serving]") {
  LearnerOptions options = small_learner_options();
  options.inspector = InspectorOptions{};
  auto learner = serving_learner(2, options);
  const auto queries = served_queries(2);
  (void)learner.predict(queries);
  auto copy = learner;
  const auto at_copy = copy.usage();
  (void)learner.predict(queries);
  CHECK(copy.usage().at("task-0").count == at_copy.at("task-0").count);
  CHECK(learner.usage().at("task-0").count == 2 * at_copy.at("task-0").count);
  (void)copy.predict(queries);
  (void)copy.predict(queries);
  CHECK(copy.usage().at("task-0").count == 3 * at_copy.at("task-0").count);
  CHECK(learner.usage().at("task-0").count == 2 * at_copy.at("task-0").count);
  copy.remove_task("task-0");
  CHECK(learner.inspector()->state().learned.count("task-0") == 1);
  CHECK(copy.inspector()->state().learned.count("task-0") == 0);
}

TEST_CASE("the inspector sees what is learned and asked", "[learner][serving]") {
  LearnerOptions options = small_learner_options();
  options.inspector = InspectorOptions{};
  auto learner = serving_learner(3, options);
  const auto more = point_task<double>(0, 6, small_dim, 5, 70);
  learner.extend_task("task-0", more.inputs, more.labels);
  const auto queries = served_queries(3);
  std::map<std::string, Index> chosen;
  for (const auto& prediction : learner.predict(queries)) ++chosen[prediction.task];
  const auto state = learner.inspector()->state();
  CHECK(state.learned.at("task-0").features.rows == 30);
  CHECK(state.learned.at("task-0").labels == std::map<Index, Index>{{0, 15}, {1, 15}});
  CHECK(state.learned.at("task-2").features.rows == 24);
  std::map<std::string, Index> asked;
  for (const QueryWindow& window : state.windows) {
    for (const auto& [task, count] : window.tasks) asked[task] += count;
  }
  CHECK(asked == chosen);
  learner.observe_outcomes({{"region", {"eu", "us", "eu"}}}, std::vector<std::uint8_t>{1, 0, 0});
  CHECK(learner.inspector()->state().groups.at("region").at("eu").total == 2);
}

TEST_CASE("the inspector follows corrections", "[learner][serving]") {
  LearnerOptions options = small_learner_options();
  options.inspector = InspectorOptions{};
  auto learner = serving_learner(3, options);
  const auto first = small_task<double>(0);
  const auto fresh = point_task<double>(1, 4, small_dim, 5, 70);
  learner.correct(first.inputs[4], "task-1", Index{1},
                  std::pair{std::string("task-0"), first.labels[4]});
  learner.correct(fresh.inputs[0], "task-1", Index{0});
  DataInspector expected(small_dim);
  const auto observe = [&](const std::string& task, auto inputs, std::vector<Index> labels) {
    Matrix<double> rows(static_cast<Index>(inputs.size()), small_dim);
    for (std::size_t i = 0; i < inputs.size(); ++i) rows.row(static_cast<Index>(i)) = inputs[i];
    expected.observe_learned(task, rows, labels);
  };
  auto inputs = first.inputs;
  auto labels = first.labels;
  inputs.erase(inputs.begin() + 4);
  labels.erase(labels.begin() + 4);
  observe("task-0", inputs, labels);
  const auto second = small_task<double>(1);
  observe("task-1", second.inputs, second.labels);
  observe("task-1", std::vector{first.inputs[4], fresh.inputs[0]}, {1, 0});
  for (const std::string task : {"task-0", "task-1"}) {
    CAPTURE(task);
    const auto state = learner.inspector()->state();
    const LearnedSums& sums = state.learned.at(task);
    const LearnedSums& wanted = expected.state().learned.at(task);
    CHECK(sums.features.rows == wanted.features.rows);
    CHECK(sums.labels == wanted.labels);
    CHECK(relative_error(sums.features.mean, wanted.features.mean) < 1e-13);
    CHECK(relative_error(sums.features.m2, wanted.features.m2) < 1e-12);
  }
}

TEST_CASE("rows that the inspector cannot count are not learned", "[learner][error]") {
  LearnerOptions options = small_learner_options();
  options.inspector = InspectorOptions{};
  auto learner = serving_learner(2, options);
  const auto saved = learner.router().table();
  const auto rows = small_task<double>(2);
  auto inputs = rows.inputs;
  inputs[3](0) = 1e150;
  const auto refused = [&](const auto& learn) {
    CHECK(contains(message_of<NonFiniteError>(learn), "features have a norm of 1e+150 at row "));
    CHECK(learner.router().table() == saved);
    CHECK(learner.tasks().size() == 2);
    CHECK(learner.inspector()->state().learned.size() == 2);
  };
  refused([&] { learner.extend_task("task-0", inputs, rows.labels); });
  refused([&] { learner.adopt_task("adopted", *learner.snapshot().adapter("task-0"), inputs); });
  refused([&] { learner.correct(inputs[3], "task-0", Index{0}); });
  refused([&] {
    learner.correct(inputs[3], "task-0", Index{0}, std::pair{std::string("task-1"), Index{0}});
  });
}

TEST_CASE("the inspector follows the names of tasks", "[learner][serving]") {
  LearnerOptions options = small_learner_options();
  options.inspector = InspectorOptions{};
  auto learner = serving_learner(4, options);
  const auto queries = served_queries(4);
  (void)learner.predict(queries);
  learner.rename_task("task-1", "b");
  CHECK(learner.inspector()->state().learned.count("task-1") == 0);
  CHECK(learner.inspector()->state().learned.at("b").features.rows == 24);
  learner.merge_tasks("task-0", "b", "both");
  learner.commit_merge("both");
  learner.rename_task("task-2", "b");  // a name that a task had which is gone
  learner.remove_task("both");         // of which the inspector saw no row under this name
  learner.remove_task("b");
  CHECK(learner.tasks().size() == 1);
  const auto state = learner.inspector()->state();
  for (const QueryWindow& window : state.windows) {
    Index sum = 0;
    for (const auto& [task, count] : window.tasks) sum += count;
    CHECK(sum == window.features.rows);
  }
}

TEST_CASE("outcomes without an inspector are refused", "[learner][error]") {
  auto learner = serving_learner(1);
  CHECK(!learner.inspector().has_value());
  CHECK(message_of<ArgumentError>([&] {
          learner.observe_outcomes({}, std::vector<std::uint8_t>{1});
        }) == "nothing is watched: set LearnerOptions::inspector");
}

TEST_CASE("threads predict while policies hooks and tasks change", "[learner][threads]") {
  LearnerOptions options = small_learner_options();
  options.inspector = InspectorOptions{};
  auto learner = serving_learner(3, options);
  const auto queries = served_queries(3);
  std::atomic<std::uint64_t> told{0};
  std::atomic<std::size_t> mixed{0};
  std::atomic<std::size_t> answered{0};
  std::atomic<bool> stop{false};
  std::vector<std::jthread> threads;
  for (int k = 0; k < 4; ++k) {
    threads.emplace_back([&] {
      while (!stop || answered < 50) {
        const auto predictions = learner.predict(queries);
        for (const auto& prediction : predictions) {  // one policy a call
          const bool same = prediction.decision.outcome == predictions[0].decision.outcome;
          mixed += same ? 0 : 1;
        }
        answered += predictions.size();
      }
    });
  }
  const ServedHooks hooks{.audit = [&](const AuditEvent&) { ++told; },
                          .reviews = std::make_shared<ReviewQueue<ServedPoint>>(100)};
  for (int round = 0; round < 20; ++round) {
    learner.set_policy(round % 2 == 0 ? unsure_policy() : RoutingPolicy{});
    learner.set_hooks(round % 4 < 2 ? hooks : ServedHooks{});
    if (round % 5 == 0) learner.archive_task("task-2");
    if (round % 5 == 1) learner.restore_task("task-2");
  }
  stop = true;
  threads.clear();  // joins
  CHECK(mixed == 0);
  std::uint64_t used = 0;
  for (const auto& [task, usage] : learner.usage()) used += usage.count;
  CHECK(used == answered);
  CHECK(told <= used + 20);
  CHECK(hooks.reviews->size() <= 100);
}
