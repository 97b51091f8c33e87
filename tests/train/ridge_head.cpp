// SPDX-License-Identifier: MIT
#include "anyssr/train/ridge_head.hpp"

#include <vector>

#include "support/catch.hpp"
#include "support/numeric.hpp"

namespace {

using namespace anyssr;
using namespace anyssr::test;

template <class S>
struct Problem {
  Matrix<S> h;
  SparseRows<S> x;
  std::vector<Index> labels;
  Eigen::MatrixXd joined;   // [h, x] in double
  Eigen::MatrixXd targets;  // one-hot

  Problem(Index n, Index h_dim, Index x_dim, Index classes, std::uint64_t seed)
      : h(random_normal<S>(n, h_dim, seed, 1)), x(random_sparse<S>(n, x_dim, 0.3, seed)) {
    joined.resize(n, h_dim + x_dim);
    joined << h.template cast<double>(), Matrix<S>(x).template cast<double>();
    targets = Eigen::MatrixXd::Zero(n, classes);
    RandomStream random(seed, 3);
    for (Index i = 0; i < n; ++i) {
      labels.push_back(static_cast<Index>(random.below(static_cast<std::uint32_t>(classes))));
      targets(i, labels.back()) = 1;
      // A trace of the label in the first columns, so that there is something to learn.
      h(i, labels.back() % h_dim) += S(1);
      joined(i, labels.back() % h_dim) = static_cast<double>(h(i, labels.back() % h_dim));
    }
  }
};

/// Scores of every row by a fit on all other rows.
Eigen::MatrixXd scores_left_out(const Eigen::MatrixXd& x, const Eigen::MatrixXd& y, double ridge) {
  Eigen::MatrixXd scores(y.rows(), y.cols());
  for (Index i = 0; i < x.rows(); ++i) {
    Eigen::MatrixXd others = x;
    Eigen::MatrixXd targets = y;
    others.row(i).setZero();  // a row of zeros adds nothing to either sum
    targets.row(i).setZero();
    scores.row(i) = x.row(i) * joint_fit(others, targets, ridge);
  }
  return scores;
}

}  // namespace

TEMPLATE_TEST_CASE("one and two blocks give the joint fit in primal and dual form",
                   "[train][property]", float, double) {
  const Index n = GENERATE(9, 21, 300);  // dual, as many rows as columns, primal
  CAPTURE(n);
  const Problem<TestType> problem(n, 6, 15, 3, 4);
  const RidgeHeadOptions options{.ridge = 0.7, .is_relative = false};
  const Eigen::MatrixXd expected = joint_fit(problem.joined, problem.targets, 0.7);
  const double tolerance = round_off<double>(2000);
  const RidgeFit two = fit_ridge(problem.h, problem.x, problem.targets, options);
  CHECK(two.ridge == 0.7);
  CHECK(relative_error(two.weights, expected) < tolerance);
  const Matrix<TestType> joined = problem.joined.template cast<TestType>();
  const RidgeFit dense = fit_ridge(joined, problem.targets, options);
  CHECK(relative_error(dense.weights, expected) < tolerance);
  const SparseRows<TestType> sparse = to_sparse(joined);
  CHECK(relative_error(fit_ridge(sparse, problem.targets, options).weights, expected) < tolerance);
  const RowMajorMatrix<TestType> rows = joined;
  CHECK(relative_error(fit_ridge(rows.leftCols(6), problem.x, problem.targets, options).weights,
                       expected) < tolerance);
  const Matrix<TestType> doubled = 2 * joined;
  CHECK(relative_error(fit_ridge(doubled * TestType(0.5), problem.targets, options).weights,
                       expected) < tolerance);
}

TEST_CASE("held-out scores equal leaving each row out for real", "[train][property]") {
  const Index n = GENERATE(12, 40);
  const double ridge = GENERATE(0.01, 3.0);
  CAPTURE(n, ridge);
  const Problem<double> problem(n, 4, 12, 3, 5);
  const RidgeHeadOptions options{.ridge = ridge, .is_relative = false};
  const RidgeFit fit = fit_ridge(problem.h, problem.x, problem.targets, options);
  const Eigen::MatrixXd expected = scores_left_out(problem.joined, problem.targets, ridge);
  CHECK(relative_error(fit.held_out, expected) < 1e-9);
}

TEST_CASE("forms agree across the chunk size", "[train][property]") {
  // More rows than two chunks, more columns than one, on both sides of n = d.
  const Problem<double> problem(560, 300, 250, 2, 6);
  const RidgeHeadOptions options{.ridge = 2, .is_relative = false};
  const RidgeFit primal = fit_ridge(problem.h, problem.x, problem.targets, options);
  const Eigen::MatrixXd gram =
      problem.joined.transpose() * problem.joined + 2 * Eigen::MatrixXd::Identity(550, 550);
  const Eigen::MatrixXd expected = solution_of(gram, problem.joined.transpose() * problem.targets);
  CHECK(relative_error(primal.weights, expected) < 1e-10);
  // Eleven columns of zeros make it wider than tall: the same fit in dual form.
  Matrix<double> padded = Matrix<double>::Zero(560, 311);
  padded.leftCols(300) = problem.h;
  const RidgeFit dual = fit_ridge(padded, problem.x, problem.targets, options);
  CHECK(relative_error(dual.weights.topRows(300), primal.weights.topRows(300)) < 1e-10);
  CHECK(relative_error(dual.weights.bottomRows(250), primal.weights.bottomRows(250)) < 1e-10);
  CHECK(relative_error(dual.held_out, primal.held_out) < 1e-10);
}

TEST_CASE("any number of threads gives a ridge fit the same bits", "[train][property]") {
  const Index n = GENERATE(600, 650);  // dual and primal
  CAPTURE(n);
  const Problem<double> problem(n, 340, 300, 2, 10);
  const auto fit = [&](int threads) {
    return fit_ridge(problem.h, problem.x, problem.targets, {.threads = threads});
  };
  const RidgeFit one = fit(1);
  const RidgeFit three = fit(3);
  CHECK((one.weights == three.weights));
  CHECK((one.held_out == three.held_out));
}

TEMPLATE_TEST_CASE("a ridge head scores by the joint fit and its fitted temperature",
                   "[train][property]", float, double) {
  const Index n = GENERATE(14, 120);
  CAPTURE(n);
  const Problem<TestType> problem(n, 6, 15, 4, 7);
  const Head<TestType> head =
      fit_ridge_head(problem.h, problem.x, problem.labels, 4, {.ridge = 0.5});
  CHECK_FALSE(head.trained);
  CHECK(head.bias.isZero(0));
  CHECK(head.bias.size() == 4);
  const double lambda = 0.5 * problem.joined.squaredNorm() / 21;
  const Eigen::MatrixXd expected = joint_fit(problem.joined, problem.targets, lambda);
  CHECK(relative_error(head.weights, expected) < round_off<TestType>(20) + 1e-12);
  const double b =
      fit_temperature(scores_left_out(problem.joined, problem.targets, lambda), problem.labels);
  CHECK(std::abs(head.temperature / b - 1) < 1e-6);
  const Head<TestType> plain =
      fit_ridge_head(problem.h, problem.labels, 4, {.ridge = 0.5, .held_out = false});
  CHECK(plain.temperature == 1);
  CHECK(plain.in_dim() == 6);
}

TEST_CASE("a class without rows has weights of zero", "[train][property]") {
  const Problem<double> problem(20, 4, 9, 2, 8);
  const Head<double> head = fit_ridge_head(problem.h, problem.x, problem.labels, 3);
  CHECK(head.weights.col(2).isZero(0));
  CHECK(head.weights.col(1).norm() > 0);
}

TEST_CASE("one row and features of zero are fitted", "[train][property]") {
  const std::vector<Index> label{1};
  const Head<double> one =
      fit_ridge_head(Matrix<double>::Ones(1, 3), label, 2, {.ridge = 3, .is_relative = false});
  CHECK(std::abs(one.weights(0, 1) - 1.0 / 6) < 1e-15);
  CHECK(one.temperature == 1);
  const Head<double> zero = fit_ridge_head(Matrix<double>::Zero(1, 3), label, 2);
  CHECK(zero.weights.isZero(0));
}

TEST_CASE("a ridge head refuses bad arguments", "[train][error]") {
  const Problem<double> problem(8, 3, 5, 2, 9);
  const auto fit = [&](const Matrix<double>& h, Index classes, const RidgeHeadOptions& options) {
    (void)fit_ridge_head(h, problem.x, problem.labels, classes, options);
  };
  CHECK(message_of<ArgumentError>([&] { fit(problem.h, 1, {}); }).substr(0, 11) == "labels hold");
  CHECK(message_of<ArgumentError>([&] { fit(problem.h, 0, {}); }) ==
        "classes is 0, expected at least 1");
  CHECK(message_of<ArgumentError>([&] { fit(problem.h, 2, {.ridge = -1}); }) ==
        "ridge is -1, expected a finite number above 0");
  CHECK(contains(message_of<ArgumentError>([&] { fit(problem.h, 2, {.threads = -1}); }),
                 "threads is -1"));
  CHECK(message_of<ShapeError>([&] { fit(problem.h.topRows(7), 2, {}); }) ==
        "features are 7 x 3, expected 8 rows");
  Matrix<double> bad = problem.h;
  bad(4, 1) = std::numeric_limits<double>::infinity();
  CHECK(message_of<NonFiniteError>([&] { fit(bad, 2, {}); }) ==
        "features hold NaN or infinity at row 4, column 1, expected finite numbers");
  SparseRows<double> bad_rows = problem.x;
  bad_rows.valuePtr()[0] = std::numeric_limits<double>::quiet_NaN();
  CHECK(contains(
      message_of<NonFiniteError>([&] { (void)fit_ridge_head(bad_rows, problem.labels, 2); }),
      "features hold NaN or infinity at row 0"));
  CHECK(message_of<ShapeError>([&] {
          (void)fit_ridge_head(Matrix<double>(0, 3), std::vector<Index>{}, 2);
        }) == "targets are 0 x 2, expected at least one row and one column");
  const Matrix<double> huge = Matrix<double>::Constant(8, 3, 1e200);
  CHECK(contains(message_of<NumericalError>([&] { fit(huge, 2, {}); }), "larger ridge"));
}
