// SPDX-License-Identifier: MIT
#include "anyssr/core/finite.hpp"

#include <cmath>
#include <limits>
#include <vector>

#include "support/catch.hpp"
#include "support/numeric.hpp"

using namespace anyssr;
using namespace anyssr::test;

namespace {

template <class S>
std::vector<S> bad_numbers() {
  using Limits = std::numeric_limits<S>;
  return {Limits::quiet_NaN(), -Limits::quiet_NaN(), Limits::signaling_NaN(), Limits::infinity(),
          -Limits::infinity()};
}

}  // namespace

TEMPLATE_TEST_CASE("numbers are told from NaN and infinity as by the standard library",
                   "[core][property]", float, double) {
  using Limits = std::numeric_limits<TestType>;
  std::vector<TestType> numbers = bad_numbers<TestType>();
  for (const TestType number : {TestType(0), TestType(1), Limits::max(), Limits::min(),
                                Limits::denorm_min(), TestType(1.5)}) {
    numbers.push_back(number);
    numbers.push_back(-number);
  }
  for (const TestType number : numbers) {
    CAPTURE(number);
    CHECK(detail::is_finite(number) == std::isfinite(number));
    CHECK(detail::is_nan(number) == std::isnan(number));
  }
  CHECK(detail::is_within(TestType(1), 0, 1));
  CHECK_FALSE(detail::is_within(TestType(1.5), 0, 1));
  CHECK_FALSE(detail::is_within(Limits::quiet_NaN(), 0, 1));
}

TEMPLATE_TEST_CASE("one number that is not finite is found at every place of every expression",
                   "[core][property]", float, double) {
  const Matrix<TestType> good = random_normal<TestType>(5, 7, 1);
  CHECK(detail::is_finite(good));
  CHECK(detail::is_finite(Matrix<TestType>(0, 3)));
  for (const TestType bad : bad_numbers<TestType>()) {
    for (Index i = 0; i < good.rows(); ++i) {
      for (Index j = 0; j < good.cols(); ++j) {
        CAPTURE(bad, i, j);
        Matrix<TestType> x = good;
        x(i, j) = bad;
        const RowMajorMatrix<TestType> by_rows = x;
        const SparseRows<TestType> sparse = by_rows.sparseView();
        CHECK_FALSE(detail::is_finite(x));
        CHECK_FALSE(detail::is_finite(by_rows));
        CHECK_FALSE(detail::is_finite(sparse));
        CHECK_FALSE(detail::is_finite(sparse.transpose()));
        CHECK_FALSE(detail::is_finite(x + good));
        CHECK(detail::is_finite(x.row(i)) == false);
        CHECK(detail::is_finite(x.row((i + 1) % 5)));
        CHECK(detail::is_finite(by_rows.col((j + 1) % 7)));
        CHECK(detail::is_finite(x.topLeftCorner(i, 7)));
        CHECK(detail::is_finite(x.topRows(5).rightCols(6 - j)));
        CHECK(detail::is_finite(x.diagonal()) == (i != j));
      }
    }
  }
}
