// SPDX-License-Identifier: MIT
#include "anyssr/learner/refactoring.hpp"

#include <atomic>
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/numeric.hpp"
#include "support/small_learner.hpp"

using namespace anyssr;
using namespace anyssr::test;

namespace {

/// Tasks 0 .. count - 1, and "twin": other rows of the distribution of task-0.
template <class S>
PointLearner<S> twin_learner(Index count, const LearnerOptions& options = small_learner_options()) {
  auto learner = small_learner<S>(options);
  learn_small_tasks<S>(learner, 0, count);
  const auto twin = point_task<S>(0, 30, small_dim, 5, 90);
  learner.learn_task("twin", twin.inputs, twin.labels);
  return learner;
}

template <class S>
Matrix<double> lift_change(const PointLearner<S>& learner, std::string_view task) {
  return learner.snapshot().adapter(task)->modules.at("lift").delta().template cast<double>();
}

/// Mean squared cosine between the row spaces of two matrices, by their singular vectors.
double row_space_overlap(const Matrix<double>& a, const Matrix<double>& b) {
  const auto rows_of = [](const Matrix<double>& x) {
    const SingularVectors svd = singular_vectors_of(x);
    Index rank = 0;
    while (rank < svd.values.size() && svd.values(rank) > 1e-5 * svd.values(0)) {
      ++rank;
    }
    return Matrix<double>(svd.v.leftCols(rank));
  };
  const Matrix<double> u = rows_of(a);
  const Matrix<double> v = rows_of(b);
  return (u.transpose() * v).squaredNorm() / static_cast<double>(std::min(u.cols(), v.cols()));
}

/// A learner that was asked for its first `asked` tasks, six times each.
PointLearner<double> asked_learner(Index count, Index asked) {
  auto learner = small_learner<double>();
  learn_small_tasks<double>(learner, 0, count);
  for (Index t = 0; t < asked; ++t) {
    const auto fresh = point_task<double>(t, 6, small_dim, 5, 50);
    for (const auto& prediction : learner.predict(fresh.inputs)) {
      REQUIRE(prediction.task == fresh.name);
    }
  }
  return learner;
}

double in_days(double days) { return detail::seconds_now() + 86400 * days; }

using KindsAndTasks = std::vector<std::pair<SuggestionKind, std::string>>;

KindsAndTasks kinds_of(const std::vector<Suggestion>& suggestions) {
  KindsAndTasks result;
  for (const Suggestion& suggestion : suggestions) {
    for (const std::string& task : suggestion.tasks) result.emplace_back(suggestion.kind, task);
  }
  return result;
}

}  // namespace

TEMPLATE_TEST_CASE("confusion is the mean score of rows elsewhere over that at home",
                   "[learner][property]", float, double) {
  auto learner = small_learner<TestType>();
  const std::vector<Index> rows{24, 40, 31};
  Eigen::MatrixXd x(95, small_dim);
  Eigen::MatrixXd y = Eigen::MatrixXd::Zero(95, 3);
  std::vector<Index> owner;
  for (Index t = 0; t < 3; ++t) {
    const auto task = point_task<TestType>(t, rows[static_cast<std::size_t>(t)], small_dim, 5);
    learner.learn_task(task.name, task.inputs, task.labels);
    for (const auto& input : task.inputs) {
      const auto at = static_cast<Index>(owner.size());
      x.row(at) = input.template cast<double>();
      y(at, t) = 1;
      owner.push_back(t);
    }
  }
  const Eigen::MatrixXd scores = x * joint_fit(x, y, 0.3);
  Eigen::MatrixXd mean = Eigen::MatrixXd::Zero(3, 3);
  for (std::size_t i = 0; i < owner.size(); ++i) {
    mean.row(owner[i]) += scores.row(static_cast<Index>(i)) /
                          static_cast<double>(rows[static_cast<std::size_t>(owner[i])]);
  }
  const auto pairs = task_pairs(learner);
  REQUIRE(pairs.size() == 3);
  for (std::size_t k = 0; k < 3; ++k) {
    const Index a = *learner.router().find(pairs[k].first);
    const Index b = *learner.router().find(pairs[k].second);
    CHECK(a < b);
    const double expected = (mean(a, b) + mean(b, a)) / (mean(a, a) + mean(b, b));
    CHECK(std::abs(pairs[k].confusion - expected) < round_off<TestType>(1e4));
    if (k > 0) CHECK(pairs[k].confusion <= pairs[k - 1].confusion);
  }
}

TEMPLATE_TEST_CASE("adapters of a pair are compared as their full changes are",
                   "[learner][property]", float, double) {
  const auto learner = twin_learner<TestType>(3);
  for (const TaskPair& pair : task_pairs(learner)) {
    const Matrix<double> a = lift_change(learner, pair.first);
    const Matrix<double> b = lift_change(learner, pair.second);
    const double cosine = a.cwiseProduct(b).sum() / (a.norm() * b.norm());
    CHECK(std::abs(pair.adapter_similarity - cosine) < round_off<TestType>(1e3));
    CHECK(std::abs(pair.subspace_overlap - row_space_overlap(a, b)) < round_off<TestType>(1e4));
  }
}

TEST_CASE("two tasks of one distribution are the most confused pair", "[learner]") {
  const auto learner = twin_learner<double>(5);
  const auto pairs = task_pairs(learner);
  REQUIRE(pairs.size() == 15);
  CHECK(pairs[0].first == "task-0");
  CHECK(pairs[0].second == "twin");
  CHECK(pairs[0].confusion > 0.6);
  CHECK(pairs[1].confusion < 0.3);
}

TEST_CASE("few tasks have no pairs", "[learner]") {
  auto learner = small_learner<double>();
  CHECK(task_pairs(learner).empty());
  CHECK(suggest_refactoring(learner).empty());
  learn_small_tasks<double>(learner, 0, 1);
  CHECK(task_pairs(learner).empty());
}

TEST_CASE("pairs of a merge that waits count both columns", "[learner]") {
  auto learner = twin_learner<double>(3);
  learner.merge_tasks("task-0", "task-1", "both");
  const auto waiting = task_pairs(learner);
  learner.commit_merge("both");
  const auto committed = task_pairs(learner);
  REQUIRE(waiting.size() == committed.size());
  for (std::size_t k = 0; k < waiting.size(); ++k) {
    CHECK(waiting[k].second == committed[k].second);
    CHECK(std::abs(waiting[k].confusion - committed[k].confusion) < round_off<double>(1e5));
  }
}

TEST_CASE("adapters on disk are compared with two of them in memory", "[learner]") {
  const auto source = twin_learner<double>(4);
  const auto& router = source.router();
  std::atomic<int> alive{0};
  int most = 0;
  const auto learner = PointLearner<double>::restore(
      PointBackbone<double>(small_dim), source.options(), [&](const auto&) {
        const auto& sums = router.regression();
        LearnerState<double> state{
            .router = {.tasks = router.tasks(),
                       .regression = {sums.second_moment(), sums.cross_correlation(),
                                      sums.target_energy(), sums.rows(), sums.bounds()},
                       .temperature = router.table()->temperature()}};
        const auto handles = source.snapshot().handles();
        for (const auto& handle : handles) {
          state.handles.push_back(std::make_shared<const AdapterHandle<double>>(
              handle->info(), [&, handle]() -> AdapterHandle<double>::Pointer {
                most = std::max(most, ++alive);
                return {new Adapter<double>(*handle->get()), [&](const Adapter<double>* adapter) {
                          --alive;
                          delete adapter;
                        }};
              }));
        }
        return state;
      });
  const auto pairs = task_pairs(learner);
  CHECK(most == 2);
  CHECK(alive == 0);
  const auto expected = task_pairs(source);
  REQUIRE(pairs.size() == expected.size());
  for (std::size_t k = 0; k < pairs.size(); ++k) {
    CHECK(pairs[k].second == expected[k].second);
    CHECK(pairs[k].adapter_similarity == expected[k].adapter_similarity);
  }
}

TEST_CASE("twins are suggested to merge with the numbers that say so", "[learner]") {
  auto learner = twin_learner<double>(4);
  const auto suggestions = suggest_merges(learner);
  REQUIRE(suggestions.size() == 1);
  CHECK(suggestions[0].kind == SuggestionKind::merge);
  CHECK(to_string(suggestions[0].kind) == "merge");
  CHECK(suggestions[0].tasks == std::vector<std::string>{"task-0", "twin"});
  const TaskPair pair = task_pairs(learner).front();
  CHECK(suggestions[0].reason ==
        "'task-0' and 'twin': mean score of each one's rows at the other is " +
            fixed_text(pair.confusion) + " of their own, adapters' cosine " +
            fixed_text(pair.adapter_similarity) + ", overlap of what they read " +
            fixed_text(pair.subspace_overlap));
  learner.merge_tasks("task-0", "twin", "task-0");
  CHECK(suggest_merges(learner).empty());
}

TEST_CASE("every criterion of a merge counts", "[learner]") {
  const auto learner = twin_learner<double>(3);
  const TaskPair pair = task_pairs(learner).front();
  const auto count = [&](const MergeCriteria& criteria) {
    return suggest_merges(learner, criteria).size();
  };
  CHECK(count({.min_confusion = pair.confusion}) == 1);
  CHECK(count({.min_confusion = pair.confusion + 1e-9}) == 0);
  CHECK(count({.min_similarity = pair.adapter_similarity}) == 1);
  CHECK(count({.min_similarity = pair.adapter_similarity + 1e-9}) == 0);
  CHECK(count({.min_overlap = pair.subspace_overlap}) == 1);
  CHECK(count({.min_overlap = std::min(1.0, pair.subspace_overlap + 1e-9)}) == 0);
  CHECK(count({.most = 0}) == 0);
  CHECK(count({.min_confusion = -10, .most = 1}) == 1);
  CHECK(count({.min_confusion = -10}) == 2);  // four tasks, each in one of them
}

TEST_CASE("only what can be merged is suggested", "[learner]") {
  auto learner = twin_learner<double>(3);
  REQUIRE(suggest_merges(learner).size() == 1);
  SECTION("no frozen task") { learner.freeze_task("twin"); }
  SECTION("no archived task") { learner.archive_task("twin"); }
  SECTION("no task that waits for a merge") { learner.merge_tasks("twin", "task-2", "pair"); }
  SECTION("no task without labels beside one with") {
    const Adapter<double> adapter = *learner.snapshot().adapter("twin");
    learner.remove_task("twin");
    learner.adopt_task("twin", adapter, point_task<double>(0, 30, small_dim, 5, 90).inputs);
  }
  SECTION("no two tasks that the policy names") {
    learner.set_policy({.tasks = {{"task-0", {.min_margin = 1}}}});
    CHECK(suggest_merges(learner).size() == 1);  // it can be merged under that name
    learner.set_policy({.tasks = {{"task-0", {.min_margin = 1}}, {"twin", {.min_margin = 1}}}});
  }
  SECTION("nothing in a balanced router") {
    LearnerOptions options = small_learner_options();
    options.router.balanced = true;
    learner = twin_learner<double>(3, options);
    CHECK(task_pairs(learner).front().second == "twin");
  }
  CHECK(suggest_merges(learner).empty());
}

TEST_CASE("tasks that nobody asks for are suggested to go", "[learner]") {
  auto learner = asked_learner(4, 2);
  const auto more = point_task<double>(2, 9, small_dim, 5, 70);
  learner.extend_task("task-2", more.inputs, more.labels);
  const auto suggestions = suggest_discards(learner, {.min_decisions = 12});
  CHECK(kinds_of(suggestions) ==
        KindsAndTasks{{SuggestionKind::discard, "task-3"}, {SuggestionKind::discard, "task-2"}});
  CHECK(suggestions[1].reason ==
        "'task-2': never chosen in 12 decisions; it learned 33 rows, its "
        "adapter is " +
            std::to_string(learner.tasks()[2].adapter_bytes) + " bytes");
  CHECK(suggest_discards(learner, {.min_decisions = 13}).empty());
  CHECK(kinds_of(suggest_discards(learner, {.min_decisions = 1, .keep = {"task-3"}})) ==
        KindsAndTasks{{SuggestionKind::discard, "task-2"}});
}

TEST_CASE("a task asked for little and long ago is suggested to go", "[learner]") {
  const auto learner = asked_learner(2, 2);
  const DiscardCriteria criteria{
      .unused_seconds = 10 * 86400.0, .max_count = 6, .now = in_days(9.9), .min_decisions = 0};
  CHECK(suggest_discards(learner, criteria).empty());
  DiscardCriteria later = criteria;
  later.now = in_days(10.1);
  const auto suggestions = suggest_discards(learner, later);
  REQUIRE(suggestions.size() == 2);
  CHECK(contains(suggestions[0].reason,
                 "'task-0': chosen 6 times, last 10.10 days ago, in 12 decisions"));
  later.max_count = 5;
  CHECK(suggest_discards(learner, later).empty());
}

TEST_CASE("what must stay is not suggested to go", "[learner]") {
  auto learner = asked_learner(3, 1);
  const DiscardCriteria criteria{.min_decisions = 1};
  REQUIRE(suggest_discards(learner, criteria).size() == 2);
  SECTION("a frozen task") { learner.freeze_task("task-1"); }
  SECTION("an archived task") { learner.archive_task("task-1"); }
  SECTION("a task with thresholds in the policy") {
    learner.set_policy({.tasks = {{"task-1", {.min_margin = 1}}}});
  }
  SECTION("the default task of the policy") {
    learner.set_policy({.fallback = FallbackKind::default_task, .default_task = "task-1"});
  }
  CHECK(kinds_of(suggest_discards(learner, criteria)) ==
        KindsAndTasks{{SuggestionKind::discard, "task-2"}});
}

TEST_CASE("a refactoring names each task once and the strongest reason first", "[learner]") {
  auto learner = asked_learner(4, 3);
  const auto twin = point_task<double>(0, 30, small_dim, 5, 90);
  learner.learn_task("twin", twin.inputs, twin.labels);
  RefactoringCriteria criteria;
  criteria.discard = {.now = in_days(31), .min_decisions = 1};
  // task-1 was used lately by this clock, at no confidence that suffices.
  SECTION("when use is long ago") {
    CHECK(kinds_of(suggest_refactoring(learner, criteria)) ==
          KindsAndTasks{{SuggestionKind::merge, "task-0"},
                        {SuggestionKind::merge, "twin"},
                        {SuggestionKind::discard, "task-3"},
                        {SuggestionKind::archive, "task-1"},
                        {SuggestionKind::archive, "task-2"}});
    CHECK(suggest_refactoring(learner, criteria).back().reason ==
          "'task-2': chosen 6 times, last 31.00 days ago");
  }
  SECTION("when use is of today") {
    criteria.discard.now = in_days(1);
    CHECK(kinds_of(suggest_refactoring(learner, criteria)) ==
          KindsAndTasks{{SuggestionKind::merge, "task-0"},
                        {SuggestionKind::merge, "twin"},
                        {SuggestionKind::discard, "task-3"}});
  }
}

TEST_CASE("an adapter whose task is chosen unsurely is suggested for replacement", "[learner]") {
  auto learner = asked_learner(3, 3);
  RefactoringCriteria criteria;
  const double mean = learner.usage().at("task-1").mean_confidence();
  criteria.min_count = 6;
  criteria.min_mean_confidence = 0;
  CHECK(suggest_refactoring(learner, criteria).empty());
  criteria.min_mean_confidence = 1;
  const auto suggestions = suggest_refactoring(learner, criteria);
  REQUIRE(suggestions.size() == 3);
  CHECK(suggestions[1].kind == SuggestionKind::replace_adapter);
  CHECK(to_string(suggestions[1].kind) == "replace_adapter");
  CHECK(suggestions[1].reason == "'task-1': mean confidence of 6 decisions is " + fixed_text(mean) +
                                     ", its adapter answered 1.00 of them; it learned 24 rows");
  criteria.min_count = 7;
  CHECK(suggest_refactoring(learner, criteria).empty());
}

TEST_CASE("an adapter that seldom answers is suggested for replacement", "[learner]") {
  auto learner = asked_learner(3, 3);
  learner.set_policy({.min_margin = 1000});
  const auto fresh = point_task<double>(1, 7, small_dim, 5, 50);
  (void)learner.predict(fresh.inputs);  // all to review
  RefactoringCriteria criteria;
  criteria.min_count = 13;
  criteria.min_mean_confidence = 0;
  const auto suggestions = suggest_refactoring(learner, criteria);
  REQUIRE(suggestions.size() == 1);
  CHECK(suggestions[0].tasks == std::vector<std::string>{"task-1"});
  CHECK(contains(suggestions[0].reason, "its adapter answered 0.46 of them"));
  criteria.min_answered = 0.4;
  CHECK(suggest_refactoring(learner, criteria).empty());
}

TEST_CASE("suggestions change nothing", "[learner]") {
  auto learner = twin_learner<float>(3);
  const Learned<float> before(learner);
  CHECK(!suggest_refactoring(learner).empty());
  CHECK((Learned<float>(learner) == before));
}

TEST_CASE("criteria out of range are refused", "[learner][error]") {
  const auto learner = asked_learner(2, 0);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const auto merge = [&](const MergeCriteria& criteria) {
    return message_of<ArgumentError>([&] { (void)suggest_merges(learner, criteria); });
  };
  CHECK(merge({.min_confusion = nan}) == "min_confusion is nan, expected a finite number");
  CHECK(merge({.min_similarity = -2}) == "min_similarity is -2, expected -1 to 1");
  CHECK(merge({.min_overlap = 1.5}) == "min_overlap is 1.5, expected 0 to 1");
  CHECK(merge({.most = -1}) == "most is -1, expected 0 or more");
  const auto discard = [&](const DiscardCriteria& criteria) {
    return message_of<ArgumentError>([&] { (void)suggest_discards(learner, criteria); });
  };
  CHECK(discard({.unused_seconds = -1}) ==
        "unused_seconds is -1, expected a finite number of seconds, at least 0");
  CHECK(contains(discard({.now = nan}), "now is nan"));
  const auto all = [&](const RefactoringCriteria& criteria) {
    return message_of<ArgumentError>([&] { (void)suggest_refactoring(learner, criteria); });
  };
  CHECK(contains(all({.merge = {.most = -1}}), "most is -1"));
  CHECK(contains(all({.discard = {.now = -1}}), "now is -1"));
  CHECK(contains(all({.archive_seconds = -5}), "archive_seconds is -5"));
  CHECK(contains(all({.min_mean_confidence = 2}), "min_mean_confidence is 2"));
  CHECK(contains(all({.min_answered = nan}), "min_answered is nan"));
}
