// SPDX-License-Identifier: MIT
#include "anyssr/rls/row_buffer.hpp"

#include "support/catch.hpp"
#include "support/numeric.hpp"

using namespace anyssr;
using namespace anyssr::test;

TEST_CASE("the buffer holds an eighth of d rows between 256 and 1024", "[rls]") {
  CHECK(detail::RowBuffer<float>(1).capacity() == 256);
  CHECK(detail::RowBuffer<float>(2048).capacity() == 256);
  CHECK(detail::RowBuffer<float>(2056).capacity() == 257);
  CHECK(detail::RowBuffer<float>(8192).capacity() == 1024);
  CHECK(detail::RowBuffer<float>(100000).capacity() == 1024);
  CHECK(detail::RowBuffer<float>(100000).bytes() == 0);  // memory comes with the first row
}

TEMPLATE_TEST_CASE("rows leave the buffer in order and times the roots of their weights", "[rls]",
                   float, double) {
  using S = TestType;
  const bool weighted = GENERATE(false, true);
  const Index n = 600;
  const Matrix<S> x = random_normal<S>(n, 3, 1);
  Matrix<S> y = random_normal<S>(n, 2, 2);
  y.col(1).setZero();
  std::vector<double> weights(weighted ? n : 0);
  for (std::size_t i = 0; i < weights.size(); ++i) weights[i] = i % 2 == 0 ? 4.0 : 0.25;
  const std::vector<Index> columns{6, 2};
  const BatchOptions options{.columns = columns, .row_weights = weights};
  const detail::Batch<S> batch(x, y, options, 3);
  detail::RowBuffer<S> buffer(3);
  buffer.reserve(static_cast<std::size_t>(y.size()));
  Matrix<S> seen(n, 3);
  Matrix<S> targets = Matrix<S>::Zero(n, 7);
  Index count = 0;
  const auto take = [&] {
    seen.middleRows(count, buffer.size()) = buffer.rows();
    for (const auto& entry : buffer.entries()) {
      targets(count + entry.row, entry.column) = entry.value;
    }
    count += buffer.size();
    buffer.clear();
  };
  buffer.gather(x, y, batch, take);
  CHECK(count == 512);
  CHECK(buffer.size() == n - 512);
  CHECK_FALSE(buffer.is_empty());
  CHECK(buffer.bytes() >= 256 * 3 * sizeof(S));
  take();
  CHECK(buffer.is_empty());
  REQUIRE(count == n);
  Vector<S> roots = Vector<S>::Ones(n);
  for (Index i = 0; weighted && i < n; ++i) roots(i) = i % 2 == 0 ? S(2) : S(0.5);
  CHECK((seen == roots.asDiagonal() * x));
  CHECK((targets.col(6) == roots.asDiagonal() * y.col(0)));
  targets.col(6).setZero();
  CHECK(targets.isZero(0));
}
