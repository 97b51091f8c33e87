// SPDX-License-Identifier: MIT
#include "anyssr/core/row_digest.hpp"

#include <limits>

#include "support/catch.hpp"
#include "support/numeric.hpp"

using namespace anyssr;
using namespace anyssr::test;

namespace {

template <class X>
auto features_of(const X& x) {
  using S = typename X::Scalar;
  const std::vector<std::uint64_t> keys = detail::RowDigest<S>::digest_keys(x.cols());
  detail::RowDigest<S> digest(x.rows(), keys);
  digest.add_features(x);
  return digest.value();
}

/// Digest of whole rows; no weights: all 1.
template <class S>
std::uint64_t digest_of(const Matrix<S>& x, const Matrix<S>& y,
                        const std::vector<double>& weights = {}) {
  const std::vector<std::uint64_t> keys = detail::RowDigest<S>::digest_keys(x.cols());
  detail::RowDigest<S> digest(x.rows(), keys);
  digest.add_features(x);
  for (Index i = 0; i < x.rows(); ++i) {
    for (Index j = 0; j < y.cols(); ++j) digest.add_target(i, j, y(i, j));
    if (!weights.empty()) digest.add_weight(i, weights[static_cast<std::size_t>(i)]);
  }
  return digest.value();
}

}  // namespace

TEMPLATE_TEST_CASE("a digest depends neither on order nor on batches", "[core][property]", float,
                   double) {
  using S = TestType;
  const unsigned seed = GENERATE(range(1U, 6U));
  const Matrix<S> x = random_normal<S>(40, 9, seed, 1);
  const Matrix<S> y = random_normal<S>(40, 3, seed, 2);
  const std::uint64_t digest = digest_of<S>(x, y);
  CHECK(digest_of<S>(x.colwise().reverse(), y.colwise().reverse()) == digest);
  RandomStream random(seed, 3);
  const auto cut = static_cast<Index>(random.below(41));
  CHECK(digest_of<S>(x.topRows(cut), y.topRows(cut)) +
            digest_of<S>(x.bottomRows(40 - cut), y.bottomRows(40 - cut)) ==
        digest);
  CHECK(digest_of<S>(Matrix<S>(0, 9), Matrix<S>(0, 3)) == 0);
}

TEMPLATE_TEST_CASE("a digest does not depend on storage", "[core][property]", float, double) {
  using S = TestType;
  const SparseRows<S> sparse = random_sparse<S>(30, 12, 0.3, 5);
  const Matrix<S> dense = sparse;
  const std::uint64_t digest = features_of(dense);
  CHECK(features_of(sparse) == digest);
  CHECK(features_of(RowMajorMatrix<S>(dense)) == digest);
  CHECK(features_of(Matrix<S>::Zero(1, 12).eval()) == features_of(SparseRows<S>(1, 12)));

  SparseRows<S> zeros_stored = sparse;
  for (Index j = 0; j < 12; ++j) {
    zeros_stored.coeffRef(3, j) += S(0);
    if (zeros_stored.coeff(4, j) == S(0)) zeros_stored.coeffRef(4, j) = -S(0);
  }
  CHECK(zeros_stored.nonZeros() > sparse.nonZeros());
  CHECK(features_of(zeros_stored) == digest);
  Matrix<S> negative_zeros = dense;
  for (S& entry : negative_zeros.reshaped()) {
    if (entry == S(0)) entry = -S(0);
  }
  CHECK(features_of(negative_zeros) == digest);
}

TEMPLATE_TEST_CASE("a digest changes with every value and its place", "[core][property]", float,
                   double) {
  using S = TestType;
  const Matrix<S> x = random_normal<S>(6, 5, 6);
  const Matrix<S> y = random_normal<S>(6, 2, 7);
  const std::vector<double> weights{1, 2, 0.5, 3, 1, 1};
  const std::uint64_t digest = digest_of<S>(x, y, weights);
  for (Index i = 0; i < 6; ++i) {
    CAPTURE(i);
    for (Index j = 0; j < 5; ++j) {
      Matrix<S> other = x;
      other(i, j) = std::nextafter(x(i, j), S(9));  // one unit in the last place
      CHECK(digest_of<S>(other, y, weights) != digest);
      other(i, j) = -x(i, j);
      CHECK(digest_of<S>(other, y, weights) != digest);
    }
    for (Index j = 0; j < 2; ++j) {
      Matrix<S> other = y;
      other(i, j) = std::nextafter(y(i, j), S(9));
      CHECK(digest_of<S>(x, other, weights) != digest);
    }
    std::vector<double> other = weights;
    other[static_cast<std::size_t>(i)] *= 1 + std::numeric_limits<double>::epsilon();
    CHECK(digest_of<S>(x, y, other) != digest);
  }
  Matrix<S> swapped = x;
  swapped.col(0).swap(swapped.col(1));
  CHECK(digest_of<S>(swapped, y, weights) != digest);
  swapped = x;
  std::swap(swapped(0, 3), swapped(1, 3));  // between rows
  CHECK(digest_of<S>(swapped, y, weights) != digest);
  Matrix<S> moved = Matrix<S>::Zero(6, 3);
  moved.rightCols(2) = y;
  CHECK(digest_of<S>(x, moved, weights) != digest);
  CHECK(digest_of<S>(x.topRows(5), y.topRows(5), weights) != digest);
}

TEST_CASE("a weight of 1 counts as none", "[core]") {
  const Matrix<double> x = random_normal<double>(6, 5, 8);
  const Matrix<double> y = random_normal<double>(6, 2, 9);
  CHECK(digest_of<double>(x, y, std::vector<double>(6, 1.0)) == digest_of<double>(x, y));
  CHECK(digest_of<double>(x, y, std::vector<double>(6, 2.0)) != digest_of<double>(x, y));
}

TEST_CASE("the digest of given rows never changes", "[core][golden]") {
  // Computed from the formula of the header in Python (integers modulo 2^64, struct for the bits).
  Matrix<float> x(2, 3);
  x << 1, -2, 0.5F, 0, 4, 0;
  Matrix<float> y(2, 2);
  y << 1, 0, 0, -1;
  CHECK(digest_of<float>(x, y, {1, 0.5}) == 0xC0E7ED771647A00AU);
  CHECK(digest_of<double>(x.cast<double>(), y.cast<double>(), {1, 0.5}) == 0x0B94782A0C0AFCE4U);
}
