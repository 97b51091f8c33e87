// SPDX-License-Identifier: MIT
// What a router can do without old rows: unlearn, merge, another ridge, balanced tasks, a suggested
// label weight. Each against a joint fit in double.

#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "anyssr/router/analytic_router.hpp"
#include "support/catch.hpp"
#include "support/numeric.hpp"

using namespace anyssr;
using namespace anyssr::test;

namespace {

constexpr Index changed_dim = 14;
const RlsOptions absolute{.ridge = 0.7, .ridge_scale = RidgeScale::absolute, .threads = 1};

/// Rows of one task with two labels, around centres of their own.
template <class S>
struct ChangedRows {
  std::string name;
  Matrix<S> x;
  std::vector<Index> labels;

  ChangedRows(Index task, Index rows, std::uint64_t sample = 0)
      : name("task-" + std::to_string(task)), x(rows, changed_dim) {
    const auto stream = static_cast<std::uint64_t>(10 * task);
    const Matrix<S> centres = random_normal<S>(2, changed_dim, 5, stream);
    const Matrix<S> noise = random_normal<S>(rows, changed_dim, 6 + sample, stream + 1);
    for (Index i = 0; i < rows; ++i) {
      labels.push_back(i % 2);
      x.row(i) = centres.row(i % 2) + S(0.4) * noise.row(i);
    }
  }
  [[nodiscard]] ChangedRows part(Index begin, Index count) const {
    ChangedRows result = *this;
    result.x = x.middleRows(begin, count);
    result.labels.assign(labels.begin() + begin, labels.begin() + begin + count);
    return result;
  }
};

template <class S>
using Tasks = std::vector<ChangedRows<S>>;

/// Joint ridge regression of tasks in the column order of the router, by QR in double.
/// @param weights  s_i of the rows of each task
template <class S>
Eigen::MatrixXd joint(const AnalyticRouter<S>& router, const Tasks<S>& tasks, double ridge,
                      const std::vector<double>& weights) {
  Index rows = 0;
  for (const auto& task : tasks) rows += task.x.rows();
  Eigen::MatrixXd x(rows, changed_dim);
  Eigen::MatrixXd y = Eigen::MatrixXd::Zero(rows, router.regression().targets());
  Index at = 0;
  for (std::size_t k = 0; k < tasks.size(); ++k) {
    const double root = std::sqrt(weights[k]);
    const RoutedTask& routed =
        router.tasks()[static_cast<std::size_t>(*router.find(tasks[k].name))];
    for (Index i = 0; i < tasks[k].x.rows(); ++i, ++at) {
      x.row(at) = root * tasks[k].x.row(i).template cast<double>();
      y(at, routed.column) = root;
      if (routed.label_columns.empty()) continue;
      y(at, routed.label_columns[static_cast<std::size_t>(
                tasks[k].labels[static_cast<std::size_t>(i)])]) = root;
    }
  }
  return joint_fit(x, y, ridge);
}

template <class S>
double tolerance() {
  return std::is_same_v<S, double> ? 1e-9 : round_off<S>(2e3);
}

template <class S>
void check_joint(const AnalyticRouter<S>& router, const Tasks<S>& tasks, double ridge) {
  const std::vector<double> ones(tasks.size(), 1.0);
  CHECK(relative_error(router.regression().weights(), joint(router, tasks, ridge, ones)) <
        tolerance<S>());
  CHECK(relative_error(router.table()->weights(), router.regression().weights()) == 0);
}

/// What a refused change must leave as it was.
template <class S>
struct Before {
  explicit Before(const AnalyticRouter<S>& router)
      : table(router.table()),
        second_moment(router.regression().second_moment()),
        cross(router.regression().cross_correlation()),
        rows(router.regression().rows()),
        ridge(router.regression().ridge()) {}
  [[nodiscard]] bool operator==(const Before& other) const {
    return table == other.table && second_moment == other.second_moment && cross == other.cross &&
           rows == other.rows && ridge == other.ridge;
  }
  std::shared_ptr<const RoutingTable<S>> table;
  Matrix<S> second_moment;
  Matrix<S> cross;
  Index rows;
  double ridge;
};

}  // namespace

TEMPLATE_TEST_CASE("unlearned rows are gone as if they had never come", "[router][property]", float,
                   double) {
  using S = TestType;
  AnalyticRouter<S> router(changed_dim, {.rls = absolute});
  const ChangedRows<S> a(0, 40);
  const ChangedRows<S> b(1, 30);
  router.learn(a.name, a.x, a.labels);
  const std::uint64_t digest = router.learn(b.name, b.x.topRows(20), b.part(0, 20).labels);
  const std::uint64_t more = router.extend(b.name, b.x.bottomRows(10), b.part(20, 10).labels);
  CHECK(digest != more);
  router.unlearn(b.name, b.x.bottomRows(10), b.part(20, 10).labels, more);
  CHECK(router.tasks()[1].rows == 20);
  check_joint<S>(router, {a, b.part(0, 20)}, 0.7);
  router.unlearn(a.name, a.x.topRows(15), a.part(0, 15).labels);
  check_joint<S>(router, {a.part(15, 25), b.part(0, 20)}, 0.7);

  const Before<S> before(router);
  const auto refused = [&](const auto& action) {
    const std::string message = message_of<Error>(action);
    CHECK(Before<S>(router) == before);
    return message;
  };
  CHECK(contains(refused([&] { router.unlearn("who", a.x, a.labels); }), "task 'who' is unknown"));
  CHECK(contains(refused([&] { router.unlearn(b.name, b.x, b.labels); }),
                 "the rows to remove from task 'task-1' are 30, expected at most 20"));
  CHECK(contains(
      refused([&] { router.unlearn(b.name, b.x.topRows(20), b.part(0, 20).labels, digest + 1); }),
      "they are not the rows that were learned"));
  CHECK(contains(refused([&] {
                   router.unlearn(b.name, Matrix<S>(S(50) * a.x.topRows(4)), a.part(0, 4).labels);
                 }),
                 "were never learned"));
  CHECK(contains(refused([&] {
                   router.unlearn(b.name, b.x.topRows(2), std::vector<Index>{0, 7});
                 }),
                 "never learned label 7"));
  CHECK(contains(refused([&] { router.unlearn(b.name, b.x.topRows(2)); }), "with labels"));
  Matrix<S> bad = b.x.topRows(2);
  bad(1, 3) = std::numeric_limits<S>::quiet_NaN();
  CHECK(contains(refused([&] { router.unlearn(b.name, bad, b.part(0, 2).labels); }),
                 "NaN or infinity at row 1, column 3"));
}

TEMPLATE_TEST_CASE("merged routers equal one that learned everything", "[router][property]", float,
                   double) {
  using S = TestType;
  const RouterOptions options{.expansion = {.kind = ExpansionKind::identity}, .rls = absolute};
  const ChangedRows<S> a(0, 24);
  const ChangedRows<S> b(1, 30);
  const ChangedRows<S> c(2, 18);
  AnalyticRouter<S> left(changed_dim, options);
  AnalyticRouter<S> right(changed_dim, options);
  left.learn(a.name, a.x, a.labels);
  left.learn(b.name, b.x.topRows(13), b.part(0, 13).labels);
  right.learn(c.name, c.x, c.labels);
  right.learn(b.name, b.x.bottomRows(17), b.part(13, 17).labels);
  left.merge(right);
  REQUIRE(left.tasks().size() == 3);
  CHECK(left.tasks()[1].rows == 30);
  CHECK(left.find("task-2") == 2);
  check_joint<S>(left, {a, b, c}, 0.7);
  left.learn("later", c.x.topRows(4), c.part(0, 4).labels);  // goes on learning
  CHECK(left.tasks().size() == 4);
}

TEST_CASE("routers of another seed or width or weighting are not merged", "[router][error]") {
  const auto make = [](std::uint64_t seed, Index width, bool balanced, Activation activation) {
    AnalyticRouter<double> router(changed_dim, {.expansion = {.kind = ExpansionKind::dense,
                                                              .dim = width,
                                                              .activation = activation,
                                                              .seed = seed},
                                                .rls = absolute,
                                                .balanced = balanced});
    const ChangedRows<double> rows(0, 20);
    router.learn(rows.name, rows.x, rows.labels, seed == 7 ? 25 : 0);
    return router;
  };
  AnalyticRouter<double> router = make(1, 32, false, Activation::relu);
  const Before<double> before(router);
  const auto refused = [&](const AnalyticRouter<double>& other) {
    const std::string message = message_of<Error>([&] { router.merge(other); });
    CHECK(Before<double>(router) == before);
    return message;
  };
  CHECK(contains(refused(make(2, 32, false, Activation::relu)), "seed 2, expected"));
  CHECK(contains(refused(make(1, 33, false, Activation::relu)), "14 to 33"));
  CHECK(contains(refused(make(1, 32, false, Activation::gelu)), "another expansion"));
  CHECK(contains(refused(make(1, 32, true, Activation::relu)),
                 "the router to merge is balanced, expected the same as here"));
  AnalyticRouter<double> balanced = make(7, 32, true, Activation::relu);  // declared 25 rows
  AnalyticRouter<double> same_seed(changed_dim, balanced.options());
  const ChangedRows<double> rows(0, 20);
  same_seed.learn(rows.name, rows.x, rows.labels);
  CHECK(contains(message_of<TaskError>([&] { balanced.merge(same_seed); }),
                 "declare the same number of rows in both"));
}

TEMPLATE_TEST_CASE("another ridge needs no data", "[router][property]", float, double) {
  using S = TestType;
  const Tasks<S> tasks{ChangedRows<S>(0, 40), ChangedRows<S>(1, 25)};
  AnalyticRouter<S> router(changed_dim, {.rls = absolute});
  for (const auto& task : tasks) router.learn(task.name, task.x, task.labels);
  router.set_ridge(5);
  CHECK(router.options().rls.ridge == 5);
  check_joint<S>(router, tasks, 5);
  const ChangedRows<S> third(2, 12);
  router.learn(third.name, third.x, third.labels);  // the new ridge stays
  check_joint<S>(router, {tasks[0], tasks[1], third}, 5);
  const Before<S> before(router);
  CHECK(contains(message_of<ArgumentError>([&] { router.set_ridge(0); }), "ridge is 0"));
  CHECK(contains(message_of<ArgumentError>([&] {
                   (void)router.select_ridge(std::vector<double>{1, -1});
                 }),
                 "ridge is -1"));
  CHECK(Before<S>(router) == before);
}

TEMPLATE_TEST_CASE("a balanced router is the joint fit with weights of one over n",
                   "[router][property]", float, double) {
  using S = TestType;
  const bool relative = GENERATE(false, true);
  const bool reverse = GENERATE(false, true);
  CAPTURE(relative, reverse);
  Tasks<S> tasks{ChangedRows<S>(0, 60), ChangedRows<S>(1, 9), ChangedRows<S>(2, 20)};
  if (reverse) std::swap(tasks[0], tasks[2]);
  RlsOptions rls = absolute;
  if (relative) rls.ridge_scale = RidgeScale::relative;
  AnalyticRouter<S> router(changed_dim, {.rls = rls, .balanced = true});
  std::vector<double> weights;
  double trace = 0;
  Index rows = 0;
  for (const auto& task : tasks) {
    const Index half = task.x.rows() / 2;
    const auto first = task.part(0, half);
    const auto second = task.part(half, task.x.rows() - half);
    router.learn(task.name, first.x, first.labels, task.x.rows());
    router.extend(task.name, second.x, second.labels);
    weights.push_back(1 / static_cast<double>(task.x.rows()));
    trace += weights.back() * task.x.template cast<double>().squaredNorm();
    rows += task.x.rows();
  }
  const double scale = relative ? trace / changed_dim : 3.0 / static_cast<double>(rows);
  CHECK(std::abs(router.regression().ridge() - 0.7 * scale) < 1e-5 * scale);
  CHECK(relative_error(router.regression().weights(), joint(router, tasks, 0.7 * scale, weights)) <
        tolerance<S>());
  const std::vector<double> candidates{0.01, 0.1, 1};
  const RidgeSelection selection = router.select_ridge(candidates);
  CHECK(selection.candidates[1].ridge == 0.1);
  CHECK(std::abs(selection.candidates[1].lambda - 0.1 * scale) < 1e-5 * scale);
  CHECK(std::find(candidates.begin(), candidates.end(), selection.ridge) != candidates.end());

  const Before<S> before(router);
  CHECK(contains(message_of<TaskError>([&] {
                   router.extend(tasks[1].name, tasks[1].x.topRows(1), std::vector<Index>{0});
                 }),
                 "would have 10 rows, expected at most the 9 it was declared with"));
  CHECK(Before<S>(router) == before);
  router.unlearn(tasks[0].name, tasks[0].x.topRows(5), tasks[0].part(0, 5).labels);
  CHECK(router.tasks()[0].rows == tasks[0].x.rows() - 5);
}

TEMPLATE_TEST_CASE("held-out scores are those of a regression without the row",
                   "[router][property]", float, double) {
  using S = TestType;
  const bool balanced = GENERATE(false, true);
  CAPTURE(balanced);
  const Tasks<S> tasks{ChangedRows<S>(0, 18), ChangedRows<S>(1, 12)};
  AnalyticRouter<S> router(changed_dim, {.rls = absolute, .balanced = balanced});
  for (const auto& task : tasks) router.learn(task.name, task.x, task.labels);
  const std::vector<Index> rows(12, 1);
  const SparseRows<S> targets = detail::router_targets<S>(router.tasks(), rows, tasks[1].labels, 6);
  const std::vector<double> row_weights(12, balanced ? 1.0 / 12 : 1.0);
  const HeldOutScores scores =
      held_out_scores(router.regression(), router.tasks(), tasks[1].x, targets, row_weights);
  const std::vector<double> weights{balanced ? 1.0 / 18 : 1.0, row_weights[0]};
  const double ridge = balanced ? 0.7 * 2 / 30 : 0.7;
  for (Index i = 0; i < 12; ++i) {
    Tasks<S> without = tasks;
    without[1].x.row(i).swap(without[1].x.row(11));
    std::swap(without[1].labels[static_cast<std::size_t>(i)], without[1].labels[11]);
    without[1] = without[1].part(0, 11);
    const Eigen::RowVectorXd raw =
        tasks[1].x.row(i).template cast<double>() * joint(router, without, ridge, weights);
    for (Index t = 0; t < 2; ++t) {
      const RoutedTask& task = router.tasks()[static_cast<std::size_t>(t)];
      const double best = std::max(raw(task.label_columns[0]), raw(task.label_columns[1]));
      CHECK(std::abs(scores.own(t, i) - raw(task.column)) < tolerance<S>());
      CHECK(std::abs(scores.best_label(t, i) - best) < tolerance<S>());
    }
  }
}

TEST_CASE("the suggested label weight is the one that routes most held-out rows", "[router]") {
  AnalyticRouter<double> router(changed_dim, {.rls = absolute, .label_weight = 0.75});
  CHECK(router.suggest_label_weight() == 0.75);  // nothing measured yet
  for (Index t = 0; t < 5; ++t) {
    const ChangedRows<double> rows(t, 40);
    router.learn(rows.name, rows.x, rows.labels);
  }
  const LabelWeightCounts& counts = router.label_weight_counts();
  CHECK(counts.rows == 160);  // the first task had no rival
  const auto most = std::max_element(counts.right.begin(), counts.right.end());
  CHECK(router.suggest_label_weight() ==
        label_weight_grid[static_cast<std::size_t>(most - counts.right.begin())]);
  CHECK(router.options().label_weight == 0.75);
}
