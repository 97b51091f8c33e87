// SPDX-License-Identifier: MIT
#include "anyssr/rls/recursive_least_squares.hpp"

#include <Eigen/LU>
#include <cmath>
#include <limits>
#include <vector>

#include "support/catch.hpp"
#include "support/numeric.hpp"

using namespace anyssr;
using namespace anyssr::test;

namespace {

const RlsOptions absolute_half{.ridge = 0.5, .ridge_scale = RidgeScale::absolute, .threads = 1};

/// State of a regression that a failed call must leave as it was.
template <class S>
struct State {
  explicit State(const RecursiveLeastSquares<S>& rls)
      : second_moment(rls.second_moment()),
        cross(rls.cross_correlation()),
        energy(rls.target_energy()),
        rows(rls.rows()) {}
  bool operator==(const State& other) const {
    return second_moment == other.second_moment && cross.cols() == other.cross.cols() &&
           cross == other.cross && energy == other.energy && rows == other.rows;
  }
  Matrix<S> second_moment;
  Matrix<S> cross;
  Eigen::VectorXd energy;
  Index rows;
};

/// Feeds the rows of x and y in the given order, cut into batches of random sizes.
template <class S>
void feed(RecursiveLeastSquares<S>& rls, const Matrix<S>& x, const Matrix<S>& y,
          const std::vector<Index>& order, RandomStream& random) {
  const Index n = x.rows();
  for (Index begin = 0; begin < n;) {
    const Index count = std::min<Index>(n - begin, 1 + random.below(17));
    Matrix<S> xs(count, x.cols());
    Matrix<S> ys(count, y.cols());
    for (Index i = 0; i < count; ++i) {
      xs.row(i) = x.row(order[static_cast<std::size_t>(begin + i)]);
      ys.row(i) = y.row(order[static_cast<std::size_t>(begin + i)]);
    }
    rls.update(xs, ys);
    begin += count;
  }
}

}  // namespace

TEMPLATE_TEST_CASE("learning in any order and batches equals one joint fit", "[rls][property]",
                   float, double) {
  using S = TestType;
  const unsigned seed = GENERATE(range(1U, 13U));
  CAPTURE(seed);
  RandomStream random(seed);
  const Index n = 40 + random.below(100);
  const Index d = 5 + random.below(40);
  const auto [x, y] = random_regression<S>(n, d, 3, seed);
  RecursiveLeastSquares<S> rls(d, absolute_half);
  feed<S>(rls, x, y, random_permutation(n, random), random);
  CHECK(rls.rows() == n);
  // The condition number of X^T X + 0.5 I stays below about 1e4 here.
  const double tolerance = std::is_same_v<S, double> ? 1e-9 : round_off<S>(2e3);
  CHECK(relative_error(rls.weights(), joint_fit(x, y, 0.5)) < tolerance);
  const Eigen::MatrixXd wide = x.template cast<double>();
  CHECK(relative_error(rls.predict(x), wide * joint_fit(x, y, 0.5)) < tolerance);
}

TEMPLATE_TEST_CASE("sparse rows and both storage orders give what dense rows give",
                   "[rls][property]", float, double) {
  using S = TestType;
  const SparseRows<S> sparse = random_sparse<S>(60, 30, 0.2, 7);
  const Matrix<S> dense = sparse;
  const RowMajorMatrix<S> row_major = dense;
  const Matrix<S> y = random_normal<S>(60, 4, 8);
  const RowMajorMatrix<S> y_row_major = y;
  RecursiveLeastSquares<S> a(30, absolute_half);
  RecursiveLeastSquares<S> b(30, absolute_half);
  RecursiveLeastSquares<S> c(30, absolute_half);
  a.update(sparse, y);
  b.update(row_major, y_row_major);
  c.update(S(2) * dense.topRows(25) - dense.topRows(25), y.topRows(25));
  c.update(dense.bottomRows(35), y_row_major.bottomRows(35));
  const Eigen::MatrixXd joint = joint_fit(dense, y, 0.5);
  CHECK(relative_error(a.weights(), joint) < round_off<S>(500));
  CHECK(relative_error(b.weights(), joint) < round_off<S>(500));
  CHECK(relative_error(c.weights(), joint) < round_off<S>(500));
  CHECK(relative_error(a.leverage(sparse), b.leverage(dense)) < round_off<S>(500));
  CHECK(relative_error(a.predict(sparse), b.predict(row_major)) < round_off<S>(500));
}

TEMPLATE_TEST_CASE("a column that comes later counts as zero before", "[rls][property]", float,
                   double) {
  using S = TestType;
  const auto [x, y] = random_regression<S>(50, 12, 3, 11);
  Matrix<S> late = y;
  late.col(2).head(20).setZero();
  RecursiveLeastSquares<S> rls(12, absolute_half);
  rls.update(x.topRows(20), y.topRows(20).leftCols(2));
  rls.update(x.bottomRows(30), y.bottomRows(30));
  CHECK(relative_error(rls.weights(), joint_fit(x, late, 0.5)) < round_off<S>(1e3));
}

TEMPLATE_TEST_CASE("targets go to the columns that the batch names", "[rls]", float, double) {
  using S = TestType;
  const auto [x, y] = random_regression<S>(50, 12, 2, 12);
  Matrix<S> expected = Matrix<S>::Zero(50, 5);
  expected.col(4) = y.col(0);
  expected.col(1) = y.col(1);
  const std::vector<Index> columns{4, 1};
  const SparseRows<S> sparse = to_sparse<S>(x);
  RecursiveLeastSquares<S> dense_rls(12, absolute_half);
  RecursiveLeastSquares<S> sparse_rls(12, absolute_half);
  dense_rls.update(x, y, {.columns = columns, .row_weights = {}});
  sparse_rls.update(sparse, y, {.columns = columns, .row_weights = {}});
  REQUIRE(dense_rls.targets() == 5);
  CHECK(relative_error(dense_rls.weights(), joint_fit(x, expected, 0.5)) < round_off<S>(1e3));
  CHECK(relative_error(sparse_rls.weights(), joint_fit(x, expected, 0.5)) < round_off<S>(1e3));
  CHECK(
      relative_error(dense_rls.target_energy(),
                     expected.template cast<double>().colwise().squaredNorm().transpose().eval()) <
      round_off<double>(1e3));
}

TEMPLATE_TEST_CASE("a row weight of k equals the row given k times", "[rls][property]", float,
                   double) {
  using S = TestType;
  const auto [x, y] = random_regression<S>(30, 8, 2, 13);
  std::vector<double> weights(30);
  Matrix<S> repeated_x(0, 8);
  Matrix<S> repeated_y(0, 2);
  for (Index i = 0; i < 30; ++i) {
    const Index times = 1 + i % 3;
    weights[static_cast<std::size_t>(i)] = static_cast<double>(times);
    const Index at = repeated_x.rows();
    repeated_x.conservativeResize(at + times, 8);
    repeated_y.conservativeResize(at + times, 2);
    repeated_x.bottomRows(times).rowwise() = x.row(i);
    repeated_y.bottomRows(times).rowwise() = y.row(i);
  }
  const Eigen::MatrixXd joint = joint_fit(repeated_x, repeated_y, 0.5);
  RecursiveLeastSquares<S> dense(8, absolute_half);
  RecursiveLeastSquares<S> sparse(8, absolute_half);
  dense.update(x, y, {.columns = {}, .row_weights = weights});
  sparse.update(to_sparse<S>(x), y, {.columns = {}, .row_weights = weights});
  CHECK(relative_error(dense.weights(), joint) < round_off<S>(1e3));
  CHECK(relative_error(sparse.weights(), joint) < round_off<S>(1e3));
  const double energy = repeated_y.col(0).template cast<double>().squaredNorm();
  CHECK(std::abs(dense.target_energy()(0) - energy) < round_off<S>(100) * energy);
  CHECK(std::abs(sparse.target_energy()(0) - energy) < round_off<S>(100) * energy);
}

TEMPLATE_TEST_CASE("leverage is the diagonal of the hat matrix", "[rls]", float, double) {
  using S = TestType;
  const auto [x, y] = random_regression<S>(300, 20, 1, 14);
  RecursiveLeastSquares<S> rls(20, absolute_half);
  rls.update(x, y);
  const Eigen::MatrixXd wide = x.template cast<double>();
  Eigen::MatrixXd gram = wide.transpose() * wide;
  gram.diagonal().array() += 0.5;
  const Eigen::VectorXd hat = (wide * gram.inverse() * wide.transpose()).diagonal();
  CHECK(relative_error(rls.leverage(x), hat) < round_off<S>(1e3));
}

TEST_CASE("a relative ridge is a share of the mean diagonal of the second moment", "[rls]") {
  const auto [x, y] = random_regression<double>(40, 10, 2, 15);
  RecursiveLeastSquares<double> rls(10, {.ridge = 0.01});
  CHECK(rls.ridge() == 0.01);  // nothing seen: stands for itself
  rls.update(x, y);
  const double lambda = 0.01 * x.squaredNorm() / 10;
  CHECK(std::abs(rls.ridge() - lambda) < 1e-12 * lambda);
  CHECK(relative_error(rls.weights(), joint_fit(x, y, lambda)) < 1e-9);
}

TEST_CASE("any number of threads gives the same bits", "[rls]") {
  const auto [x, y] = random_regression<float>(900, 1100, 3, 16);
  RecursiveLeastSquares<float> one(1100, {.ridge = 0.1, .threads = 1});
  RecursiveLeastSquares<float> three(1100, {.ridge = 0.1, .threads = 3});
  one.update(x, y);
  three.update(x, y);
  CHECK((one.second_moment() == three.second_moment()));
  CHECK((one.weights() == three.weights()));
}

TEST_CASE("many block columns still give the joint fit", "[rls]") {
  const auto [x, y] =
      random_regression<double>(500, 421, 2, 17);  // 421 = 3 tiles of 128 and a rest
  RecursiveLeastSquares<double> rls(421, absolute_half);
  rls.update(x, y);
  const Eigen::MatrixXd gram = x.transpose() * x + 0.5 * Eigen::MatrixXd::Identity(421, 421);
  const Eigen::MatrixXd joint = gram.partialPivLu().solve(x.transpose() * y);
  CHECK(relative_error(rls.weights(), joint) < 1e-9);
}

TEST_CASE("asking twice changes no bit and asking between batches only round-off", "[rls]") {
  const auto [x, y] = random_regression<double>(60, 10, 2, 18);
  RecursiveLeastSquares<double> asked(10, absolute_half);
  RecursiveLeastSquares<double> quiet(10, absolute_half);
  for (Index i = 0; i < 60; i += 20) {
    asked.update(x.middleRows(i, 20), y.middleRows(i, 20));
    quiet.update(x.middleRows(i, 20), y.middleRows(i, 20));
    const Eigen::MatrixXd first = asked.weights();
    CHECK((asked.weights() == first));
  }
  CHECK(relative_error(asked.weights(), quiet.weights()) < round_off<double>(1e3));
  CHECK(asked.bytes() >= sizeof(double) * (100 + 2 * 20));
}

TEMPLATE_TEST_CASE("bad input is refused by name and leaves the state as it was", "[rls][error]",
                   float, double) {
  using S = TestType;
  const auto [x, y] = random_regression<S>(10, 4, 2, 19);
  RecursiveLeastSquares<S> rls(4, absolute_half);
  rls.update(x, y);
  const State<S> before(rls);
  const auto refused = [&](const Matrix<S>& xs, const Matrix<S>& ys,
                           const BatchOptions& batch = {}) {
    const std::string dense = message_of<Error>([&] { rls.update(xs, ys, batch); });
    const std::string sparse = message_of<Error>([&] {
      const SparseRows<S> rows = xs.sparseView();
      rls.update(rows, ys, batch);
    });
    CHECK(dense == sparse);
    CHECK((State<S>(rls) == before));
    return dense;
  };
  CHECK(refused(Matrix<S>::Ones(10, 3), y) == "features are 10 x 3, expected n x 4");
  CHECK(refused(Matrix<S>(0, 4), Matrix<S>(0, 2)) == "features have no rows, expected at least 1");
  CHECK(refused(x, y.topRows(9)) == "targets are 9 x 2, expected 10 rows");
  Matrix<S> bad = x;
  bad(3, 2) = std::numeric_limits<S>::quiet_NaN();
  CHECK(refused(bad, y) ==
        "features hold NaN or infinity at row 3, column 2, expected finite numbers");
  bad(3, 2) = std::numeric_limits<S>::max();
  CHECK(contains(refused(bad, y), "so large that their sums overflow"));
  bad = y;
  bad(9, 1) = std::numeric_limits<S>::infinity();
  CHECK(refused(x, bad) ==
        "targets hold NaN or infinity at row 9, column 1, expected finite numbers");
  const std::vector<Index> twice{1, 1};
  CHECK(refused(x, y, {.columns = twice, .row_weights = {}}) ==
        "columns hold 1 twice, expected each once");
  const std::vector<Index> three{0, 1, 2};
  CHECK(contains(refused(x, y, {.columns = three, .row_weights = {}}), "columns have 3 entries"));
  std::vector<double> weights(10, 1.0);
  weights[4] = 0;
  CHECK(contains(refused(x, y, {.columns = {}, .row_weights = weights}), "row weight is 0"));
  weights.pop_back();
  CHECK(contains(refused(x, y, {.columns = {}, .row_weights = weights}),
                 "row weights have 9 entries"));
  CHECK(contains(message_of<ShapeError>([&] { (void)rls.predict(Matrix<S>(2, 5)); }), "2 x 5"));
  CHECK(contains(message_of<ShapeError>([&] { (void)rls.leverage(Matrix<S>(2, 5)); }), "2 x 5"));
}

TEST_CASE("options out of range are refused", "[rls][error]") {
  using Rls = RecursiveLeastSquares<float>;
  CHECK(message_of<ArgumentError>([] { Rls(0); }) == "dim is 0, expected at least 1");
  CHECK(message_of<ArgumentError>([] { Rls(3, {.ridge = 0}); }) ==
        "ridge is 0, expected a finite number above 0");
  CHECK(
      contains(message_of<ArgumentError>([] { Rls(3, {.ridge = std::nan("")}); }), "ridge is nan"));
  CHECK(contains(message_of<ArgumentError>([] { Rls(3, {.threads = -1}); }), "threads is -1"));
}

TEST_CASE("a ridge too small for float is reported and a larger one is advised", "[rls][error]") {
  Matrix<float> x = random_normal<float>(3, 60, 20);
  x *= 100.0F;
  RecursiveLeastSquares<float> rls(60, {.ridge = 1e-30, .ridge_scale = RidgeScale::absolute});
  rls.update(x, Matrix<float>::Ones(3, 1));
  CHECK(contains(message_of<NumericalError>([&] { (void)rls.weights(); }),
                 "raise the ridge or use double"));
}
