// SPDX-License-Identifier: MIT
#include "anyssr/rls/batch.hpp"

#include "support/catch.hpp"
#include "support/numeric.hpp"

using namespace anyssr;
using namespace anyssr::test;

static_assert(detail::is_direct<Matrix<float>>);
static_assert(detail::is_direct<RowMajorMatrix<float>>);
static_assert(detail::is_direct<SparseRows<float>>);
static_assert(detail::is_direct<Eigen::Block<const Matrix<float>>>);
static_assert(!detail::is_direct<decltype(2.0F * Matrix<float>())>);
static_assert(!detail::is_direct<Eigen::SparseMatrix<float, Eigen::RowMajor, std::int64_t>>);

TEST_CASE("targets are visited in order and without zeros", "[rls]") {
  Matrix<double> y(2, 4);
  y << 0, 3, 0, -4, 0, 0, 0, 0;
  SparseRows<double> sparse = to_sparse<double>(y);
  sparse.coeffRef(0, 2) = 0;  // a zero that is stored
  std::vector<std::pair<Index, double>> dense_seen;
  std::vector<std::pair<Index, double>> sparse_seen;
  for (Index i = 0; i < 2; ++i) {
    detail::for_each_target(y, i, [&](Index j, double v) { dense_seen.emplace_back(j, v); });
    detail::for_each_target(sparse, i, [&](Index j, double v) { sparse_seen.emplace_back(j, v); });
  }
  CHECK(dense_seen == std::vector<std::pair<Index, double>>{{1, 3}, {3, -4}});
  CHECK(sparse_seen == dense_seen);
  CHECK(detail::stored_entries(y) == 8);
  CHECK(detail::stored_entries(sparse) == 3);
}

TEST_CASE("a squared norm is summed in double and shows what is not finite", "[rls]") {
  Matrix<float> x = Matrix<float>::Constant(2, 3, 1e25F);
  CHECK(std::abs(detail::squared_norm(x) - 6e50) < 1e-6 * 6e50);
  CHECK(std::abs(detail::squared_norm(to_sparse<float>(x)) - 6e50) < 1e-6 * 6e50);
  x(1, 2) = std::numeric_limits<float>::quiet_NaN();
  CHECK_FALSE(std::isfinite(detail::squared_norm(x)));
  CHECK_FALSE(std::isfinite(detail::squared_norm(to_sparse<float>(x))));
  x(1, 2) = -std::numeric_limits<float>::infinity();
  CHECK_FALSE(std::isfinite(detail::squared_norm(x)));
}

TEST_CASE("compact targets hold the columns that the rows touch", "[rls]") {
  const std::vector<detail::TargetEntry<double>> entries{{0, 7, 2.0}, {1, 3, 4.0}, {2, 7, -1.0}};
  const detail::CompactTargets<double> compact(4, 9, entries);
  CHECK(compact.columns == std::vector<Index>{7, 3});
  Matrix<double> expected(4, 2);
  expected << 2, 0, 0, 4, -1, 0, 0, 0;
  CHECK(compact.values == expected);
  const detail::CompactTargets<double> none(4, 9, {});
  CHECK(none.columns.empty());
  CHECK(none.values.rows() == 4);
}

TEST_CASE("a batch knows its columns and weights and bounds its energy", "[rls]") {
  const Matrix<double> x = random_normal<double>(3, 5, 1);
  const Matrix<double> y = random_normal<double>(3, 2, 2);
  const std::vector<Index> columns{4, 0};
  const std::vector<double> weights{4.0, 0.25, 1.0};
  const BatchOptions options{.columns = columns, .row_weights = weights};
  const detail::Batch<double> batch(x, y, options, 5);
  CHECK(batch.rows() == 3);
  CHECK(batch.column(0) == 4);
  CHECK(batch.columns_needed(2) == 5);
  CHECK(batch.weighted());
  CHECK(batch.weight(1) == 0.25);
  CHECK(batch.root_weights() == Eigen::Vector3d(2.0, 0.5, 1.0));
  double energy = 0;
  for (Index i = 0; i < 3; ++i) energy += batch.weight(i) * x.row(i).squaredNorm();
  CHECK(batch.feature_energy() >= energy);
  const BatchOptions none;
  const detail::Batch<double> plain(x, y, none, 5);
  CHECK_FALSE(plain.weighted());
  CHECK(plain.weight(2) == 1.0);
  CHECK(plain.column(1) == 1);
  CHECK(plain.columns_needed(2) == 2);
}
