// SPDX-License-Identifier: MIT
// What holds for both forms.
#include "anyssr/rls/recursive_least_squares.hpp"

#include "support/catch.hpp"
#include "support/regression.hpp"

using namespace anyssr;
using namespace anyssr::test;

namespace {

/// The rows in random order.
template <class S>
Rows<S> shuffled(const Rows<S>& rows, std::uint64_t seed) {
  RandomStream random(seed, 21);
  return rows.select(random_permutation(rows.size(), random));
}

/// How a batch stands in memory.
enum class Storage { columns, rows, sparse_features, sparse_both, mixed };

template <class Rls, class S = typename Rls::Scalar>
std::uint64_t update(Rls& rls, const Rows<S>& batch, Storage storage) {
  const BatchOptions options = batch.options();
  if (storage == Storage::rows) {
    return rls.update(RowMajorMatrix<S>(batch.x), RowMajorMatrix<S>(batch.y), options);
  }
  if (storage == Storage::sparse_features) {
    return rls.update(to_sparse<S>(batch.x), batch.y, options);
  }
  if (storage == Storage::sparse_both) {
    return rls.update(to_sparse<S>(batch.x), to_sparse<S>(batch.y), options);
  }
  return update(rls, batch);
}

/// Learns all rows, in one storage or each in turn.
/// @return the sum of the digests
template <class Rls, class S = typename Rls::Scalar>
std::uint64_t feed(Rls& rls, const Rows<S>& rows, Index size, Storage storage) {
  std::uint64_t digest = 0;
  int number = 0;
  for_each_batch(rows, size, [&](const Rows<S>& batch) {
    const Storage now = storage == Storage::mixed ? static_cast<Storage>(number++ % 4) : storage;
    digest += update(rls, batch, now);
  });
  return digest;
}

}  // namespace

TEMPLATE_TEST_CASE("learning in any order and batches equals one joint fit", "[rls][property]",
                   InformationFloat, InformationDouble, CovarianceFloat, CovarianceDouble) {
  using S = typename TestType::Scalar;
  const unsigned seed = GENERATE(range(1U, 13U));
  const Index size = GENERATE(1, 7, 64, 300, 1000);  // the buffer holds 256 rows
  const double ridge = GENERATE(0.5, 20.0);
  CAPTURE(seed, size, ridge);
  const auto rows = random_shape<S>(700, seed);
  TestType rls(rows.x.cols(), absolute(ridge));
  const auto storage = static_cast<Storage>((seed + static_cast<unsigned>(size)) % 5);
  feed(rls, shuffled(rows, seed), size, storage);
  REQUIRE(rls.rows() == rows.size());
  REQUIRE(rls.targets() == rows.y.cols());
  const Eigen::MatrixXd joint = rows.joint(ridge);
  const double most = tolerance<TestType>(rows, ridge);
  CHECK(relative_error(rls.weights(), joint) < most);
  CHECK(relative_error(rls.predict(rows.x), rows.x.template cast<double>() * joint) < most);
  const Eigen::VectorXd energy = rows.scaled(rows.y).colwise().squaredNorm();
  CHECK(relative_error(rls.target_energy(), energy) < round_off<S>(100));
}

TEMPLATE_TEST_CASE("any storage and any expression gives what dense columns give",
                   "[rls][property]", InformationFloat, CovarianceDouble) {
  using S = typename TestType::Scalar;
  Rows<S> rows{Matrix<S>(random_sparse<S>(60, 30, 0.2, 7)), random_normal<S>(60, 4, 8)};
  rows.y = (rows.y.array() > S(0)).template cast<S>() * rows.y.array();  // sparse targets
  const Eigen::MatrixXd joint = rows.joint(0.5);
  const double most = tolerance<TestType>(rows, 0.5);
  for (const Storage storage :
       {Storage::columns, Storage::rows, Storage::sparse_features, Storage::sparse_both}) {
    TestType rls(30, absolute(0.5));
    feed(rls, rows, 60, storage);
    CHECK(relative_error(rls.weights(), joint) < most);
  }
  TestType expressions(30, absolute(0.5));
  expressions.update(S(2) * rows.x.topRows(25) - rows.x.topRows(25), S(1) * rows.y.topRows(25));
  const SparseRows<S> sparse = to_sparse<S>(rows.x);
  expressions.update(sparse.middleRows(25, 20), rows.y.middleRows(25, 20));
  const Matrix<S> turned = rows.x.bottomRows(15).transpose();
  expressions.update(turned.transpose(), RowMajorMatrix<S>(rows.y.bottomRows(15)));
  CHECK(relative_error(expressions.weights(), joint) < most);
  CHECK(relative_error(expressions.predict(sparse), expressions.predict(rows.x)) < most);
  CHECK(relative_error(expressions.leverage(sparse), expressions.leverage(rows.x)) < most);
}

TEMPLATE_TEST_CASE("a column that comes later counts as zero before", "[rls][property]",
                   InformationFloat, InformationDouble, CovarianceFloat, CovarianceDouble) {
  using S = typename TestType::Scalar;
  const Index first = GENERATE(20, 270);  // below and above what the buffer holds
  CAPTURE(first);
  const auto rows = random_rows<S>(300, 12, 3, 11);
  Rows<S> late = rows;
  late.y.col(2).head(first).setZero();
  TestType rls(12, absolute(0.5));
  update(rls, Rows<S>{rows.x.topRows(first), rows.y.topLeftCorner(first, 2)});
  CHECK(rls.targets() == 2);
  update(rls, rows.middle(first, 300 - first));
  CHECK(relative_error(rls.weights(), late.joint(0.5)) < tolerance<TestType>(late, 0.5));
  rls.reserve_targets(5);
  rls.reserve_targets(4);  // fewer than there are: nothing happens
  CHECK(rls.targets() == 5);
  CHECK(rls.weights().cols() == 5);
  CHECK((rls.weights().rightCols(2).array() == S(0)).all());
  CHECK(rls.target_energy().tail(2).isZero(0));
}

TEMPLATE_TEST_CASE("targets go to the columns that the batch names", "[rls]", InformationFloat,
                   InformationDouble, CovarianceFloat, CovarianceDouble) {
  using S = typename TestType::Scalar;
  const Index n = GENERATE(50, 300);
  const auto rows = random_rows<S>(n, 12, 2, 12);
  Rows<S> expected{rows.x, Matrix<S>::Zero(n, 5)};
  expected.y.col(4) = rows.y.col(0);
  expected.y.col(1) = rows.y.col(1);
  const std::vector<Index> columns{4, 1};
  const BatchOptions options{.columns = columns, .row_weights = {}};
  TestType dense(12, absolute(0.5));
  TestType sparse(12, absolute(0.5));
  TestType plain(12, absolute(0.5));
  const std::uint64_t digest = dense.update(rows.x, rows.y, options);
  CHECK(sparse.update(to_sparse<S>(rows.x), to_sparse<S>(rows.y), options) == digest);
  CHECK(plain.update(expected.x, expected.y) == digest);
  REQUIRE(dense.targets() == 5);
  const Eigen::MatrixXd joint = expected.joint(0.5);
  const double most = tolerance<TestType>(expected, 0.5);
  CHECK(relative_error(dense.weights(), joint) < most);
  CHECK(relative_error(sparse.weights(), joint) < most);
  const Eigen::VectorXd energy = expected.scaled(expected.y).colwise().squaredNorm();
  CHECK(relative_error(dense.target_energy(), energy) < round_off<S>(100));
}

TEMPLATE_TEST_CASE("a row weight of k equals the row given k times", "[rls][property]",
                   InformationFloat, InformationDouble, CovarianceFloat, CovarianceDouble) {
  using S = typename TestType::Scalar;
  Rows<S> rows = random_rows<S>(30, 8, 2, 13);
  std::vector<Index> repeated;
  for (Index i = 0; i < 30; ++i) {
    rows.weights.push_back(static_cast<double>(1 + i % 3));
    for (Index k = 0; k < 1 + i % 3; ++k) repeated.push_back(i);
  }
  Rows<S> unweighted = rows.select(repeated);
  unweighted.weights.clear();
  const Eigen::MatrixXd joint = unweighted.joint(0.5);
  for (const Storage storage : {Storage::columns, Storage::sparse_both}) {
    TestType rls(8, absolute(0.5));
    update(rls, rows, storage);
    CHECK(relative_error(rls.weights(), joint) < tolerance<TestType>(rows, 0.5));
    const Eigen::VectorXd energy = unweighted.scaled(unweighted.y).colwise().squaredNorm();
    CHECK(relative_error(rls.target_energy(), energy) < round_off<S>(100));
  }
}

TEMPLATE_TEST_CASE("rows taken out again leave what was before", "[rls][property]",
                   InformationFloat, InformationDouble, CovarianceFloat, CovarianceDouble) {
  using S = typename TestType::Scalar;
  const unsigned seed = GENERATE(range(30U, 40U));
  const Index removed = GENERATE(1, 20, 300);  // 300: more than a buffer and than one step holds
  CAPTURE(seed, removed);
  Rows<S> rows = random_shape<S>(40, seed);
  const Rows<S> all = random_rows<S>(rows.size() + removed, rows.x.cols(), rows.y.cols(), seed);
  Rows<S> more = all.middle(0, removed);
  if (!rows.weights.empty()) more.weights.assign(static_cast<std::size_t>(removed), 0.75);
  TestType rls(rows.x.cols(), absolute(2));
  std::uint64_t digest = feed(rls, more.middle(0, removed / 2), 1000);
  update(rls, rows);
  digest += feed(rls, more.middle(removed / 2, removed - removed / 2), 8);
  const BatchOptions options = more.options();
  if (seed % 2 == 0) {
    rls.downdate(more.x, more.y, options, digest);
  } else {
    rls.downdate(to_sparse<S>(more.x), to_sparse<S>(more.y), options);
  }
  CHECK(rls.rows() == rows.size());
  // Round-off of all the rows stays behind in the Gram matrix of few.
  const double most =
      (is_covariance<TestType> ? 40 : 4) * tolerance<RecursiveLeastSquares<S, Covariance>>(all, 2);
  CHECK(relative_error(rls.weights(), rows.joint(2)) < most);
  const Eigen::VectorXd energy = rows.scaled(rows.y).colwise().squaredNorm();
  CHECK((rls.target_energy() - energy).norm() < round_off<S>(100) * all.y.squaredNorm());
}

TEMPLATE_TEST_CASE("taking out every row leaves exactly nothing", "[rls]", InformationFloat,
                   InformationDouble, CovarianceFloat, CovarianceDouble) {
  using S = typename TestType::Scalar;
  const bool keep_sums = GENERATE(false, true);
  Rows<S> rows = random_rows<S>(40, 9, 2, 16);
  rows.weights.assign(40, 0.3);
  TestType rls(9, absolute(0.5, keep_sums));
  const std::uint64_t digest = feed(rls, rows, 17);
  rls.downdate(rows.x, rows.y, rows.options(), digest);
  TestType fresh(9, absolute(0.5, keep_sums));
  fresh.reserve_targets(2);
  CHECK((State<S>(rls) == State<S>(fresh)));
  update(rls, rows);
  CHECK(relative_error(rls.weights(), rows.joint(0.5)) < tolerance<TestType>(rows, 0.5));
}

TEMPLATE_TEST_CASE("leverage is the diagonal of the hat matrix", "[rls]", InformationFloat,
                   InformationDouble, CovarianceFloat, CovarianceDouble) {
  using S = typename TestType::Scalar;
  const auto rows = random_rows<S>(600, 20, 1, 14);  // more than one chunk of 512 or 256
  TestType rls(20, absolute(0.5));
  feed(rls, rows, 90);
  const Eigen::MatrixXd wide = rows.x.template cast<double>();
  Eigen::MatrixXd gram = wide.transpose() * wide;
  gram.diagonal().array() += 0.5;
  const Eigen::VectorXd hat = (wide * inverse_of(gram) * wide.transpose()).diagonal();
  CHECK(relative_error(rls.leverage(rows.x), hat) < tolerance<TestType>(rows, 0.5));
}

TEMPLATE_TEST_CASE("any number of threads gives the same bits", "[rls]", InformationFloat,
                   CovarianceFloat) {
  const auto rows = random_rows<float>(300, 600, 3, 16);  // enough work to be shared out
  TestType one(600, absolute(0.5));
  RlsOptions options = absolute(0.5);
  options.threads = 3;
  TestType three(600, options);
  update(one, rows);
  update(three, rows);
  CHECK((State<float>(one) == State<float>(three)));
  CHECK((one.leverage(rows.x) == three.leverage(rows.x)));
}

TEMPLATE_TEST_CASE("a copy is a regression of its own", "[rls]", InformationFloat,
                   CovarianceFloat) {
  const auto rows = random_rows<float>(300, 10, 2, 18);
  TestType rls(10, absolute(0.5, true));
  feed(rls, rows.middle(0, 280), 40);
  TestType copy = rls;
  const State<float> before(rls);
  update(copy, rows.middle(280, 20));
  CHECK((State<float>(rls) == before));
  update(rls, rows.middle(280, 20));
  CHECK((State<float>(rls) == State<float>(copy)));
  const TestType moved = std::move(copy);
  CHECK((State<float>(rls) == State<float>(moved)));
}

TEMPLATE_TEST_CASE("no digest depends on the form or the batches", "[rls]", float, double) {
  using S = TestType;
  const auto rows = random_shape<S>(400, 22);
  RecursiveLeastSquares<S> information(rows.x.cols(), absolute(0.5));
  RecursiveLeastSquares<S, Covariance> covariance(rows.x.cols(), absolute(0.5));
  const std::uint64_t digest = feed(information, rows, 1000);
  CHECK(feed(information, shuffled(rows, 22), 13, Storage::mixed) == digest);
  CHECK(feed(covariance, rows, 50, Storage::mixed) == digest);
}

TEMPLATE_TEST_CASE("a row of a matrix in either order is learned like a matrix of one row", "[rls]",
                   InformationFloat, InformationDouble, CovarianceFloat, CovarianceDouble) {
  using S = typename TestType::Scalar;
  const Matrix<S> x = random_normal<S>(20, 6, 1);
  const Matrix<S> y = random_normal<S>(20, 2, 2);
  const RowMajorMatrix<S> x_by_rows = x;
  TestType expected(6, absolute(0.5));
  TestType by_columns(6, absolute(0.5));
  TestType by_rows(6, absolute(0.5));
  for (Index i = 0; i < x.rows(); ++i) {
    const std::uint64_t digest = expected.update(Matrix<S>(x.row(i)), Matrix<S>(y.row(i)));
    CHECK(by_columns.update(x.row(i), y.row(i)) == digest);
    CHECK(by_rows.update(x_by_rows.row(i), y.row(i)) == digest);
  }
  expected.downdate(Matrix<S>(x.row(3)), Matrix<S>(y.row(3)));
  by_columns.downdate(x.row(3), y.row(3));
  by_rows.downdate(x_by_rows.row(3), y.row(3));
  CHECK(by_columns.weights() == expected.weights());
  CHECK(by_rows.weights() == expected.weights());
}
