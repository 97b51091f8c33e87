// SPDX-License-Identifier: MIT
#include "anyssr/linalg/product.hpp"

#include <tuple>

#include "anyssr/linalg/shared_product.hpp"
#include "support/catch.hpp"
#include "support/numeric.hpp"

using namespace anyssr;
using namespace anyssr::test;

namespace {

/// a b + c by the definition, in double.
template <class A, class B, class C>
Matrix<double> sum_by_loops(const A& a, const B& b, const C& c, double factor) {
  Matrix<double> sum(a.rows(), b.cols());
  for (Index i = 0; i < a.rows(); ++i) {
    for (Index j = 0; j < b.cols(); ++j) {
      double dot = 0;
      for (Index k = 0; k < a.cols(); ++k) {
        dot += static_cast<double>(a(i, k)) * static_cast<double>(b(k, j));
      }
      sum(i, j) = static_cast<double>(c(i, j)) + factor * dot;
    }
  }
  return sum;
}

template <class C>
double error_of(const C& c, const Matrix<double>& expected) {
  REQUIRE(c.rows() == expected.rows());
  REQUIRE(c.cols() == expected.cols());
  if (expected.size() == 0) return 0;
  return (c.template cast<double>() - expected).cwiseAbs().maxCoeff();
}

/// All three operations into `c`, a view or a matrix that has its size.
template <class C, class A, class B>
void expect_products(C&& c, const A& a, const B& b) {
  using S = typename std::remove_cvref_t<C>::Scalar;
  const double bound = (sizeof(S) == 4 ? 1e-5 : 1e-13) * static_cast<double>(a.cols() + 1);
  const Matrix<S> before = Matrix<S>::Random(a.rows(), b.cols());
  const Matrix<S> nothing = Matrix<S>::Zero(a.rows(), b.cols());
  c = before;
  detail::set_product(c, a, b);
  CHECK(error_of(c, sum_by_loops(a, b, nothing, 1)) <= bound);
  c = before;
  detail::add_product(c, a, b);
  CHECK(error_of(c, sum_by_loops(a, b, before, 1)) <= bound);
  c = before;
  detail::subtract_product(c, a, b);
  CHECK(error_of(c, sum_by_loops(a, b, before, -1)) <= bound);
}

/// Into columns and rows, matrices and blocks.
template <class S, class A, class B>
void expect_products_everywhere(const A& a, const B& b) {
  Matrix<S> by_columns(a.rows(), b.cols());
  RowMajorMatrix<S> by_rows(a.rows(), b.cols());
  Matrix<S> wide_columns = Matrix<S>::Constant(a.rows() + 3, b.cols() + 2, 7);
  RowMajorMatrix<S> wide_rows = wide_columns;
  expect_products(by_columns, a, b);
  expect_products(by_rows, a, b);
  expect_products(wide_columns.block(1, 2, a.rows(), b.cols()), a, b);
  expect_products(wide_rows.block(1, 2, a.rows(), b.cols()), a, b);
  CHECK((wide_columns.row(0).array() == 7).all());
  CHECK((wide_columns.leftCols(2).array() == 7).all());
  CHECK((wide_rows.bottomRows(2).array() == 7).all());
}

}  // namespace

TEMPLATE_TEST_CASE("products of views are those of the numbers they show", "[linalg]", float,
                   double) {
  using S = TestType;
  // a single row, column or inner number, sizes below and above Eigen's kernels' thresholds
  for (const auto& [rows, depth, cols] :
       {std::tuple{1, 40, 30}, {40, 30, 1}, {1, 1, 1}, {3, 4, 5}, {37, 1, 29}, {33, 50, 41}}) {
    const Matrix<S> a = Matrix<S>::Random(rows, depth);
    const Matrix<S> b = Matrix<S>::Random(depth, cols);
    const RowMajorMatrix<S> a_rows = a;
    const RowMajorMatrix<S> b_rows = b;
    const Matrix<S> a_transposed = a.transpose();
    RowMajorMatrix<S> b_inside = RowMajorMatrix<S>::Random(depth + 2, cols + 5);
    b_inside.block(1, 3, depth, cols) = b;
    expect_products_everywhere<S>(a, b);
    expect_products_everywhere<S>(a_rows, b);
    expect_products_everywhere<S>(a, b_rows);
    expect_products_everywhere<S>(a_transposed.transpose(), b_inside.block(1, 3, depth, cols));
    expect_products_everywhere<S>(a_rows.row(0), b);
    expect_products_everywhere<S>(a, b.col(0));
    // a row of a column-major matrix has gaps, an expression no memory: both go to Eigen
    expect_products_everywhere<S>(a.row(0), b);
    expect_products_everywhere<S>(S(2) * a, b_rows);
  }
}

TEMPLATE_TEST_CASE("products of sparse rows and without numbers are right too", "[linalg]", float,
                   double) {
  using S = TestType;
  const Matrix<S> mask = (Matrix<S>::Random(20, 30).array() > S(0.6)).template cast<S>();
  const Matrix<S> dense = Matrix<S>::Random(20, 30).cwiseProduct(mask);
  const SparseRows<S> sparse = dense.sparseView();
  const Matrix<S> right = Matrix<S>::Random(30, 7);
  const Matrix<S> left = Matrix<S>::Random(20, 7);
  const auto set = detail::product_of<RowMajorMatrix<S>>(sparse, right);
  CHECK(error_of(set, sum_by_loops(dense, right, Matrix<S>::Zero(20, 7), 1)) <= 1e-5);
  Matrix<S> sum = Matrix<S>::Random(7, 30);
  const Matrix<S> before = sum;
  detail::add_product(sum, left.transpose(), sparse);
  CHECK(error_of(sum, sum_by_loops(left.transpose(), dense, before, 1)) <= 1e-5);

  const auto no_depth = detail::product_of<Matrix<S>>(Matrix<S>(4, 0), Matrix<S>(0, 3));
  CHECK(error_of(no_depth, Matrix<double>::Zero(4, 3)) == 0);
  const auto no_rows = detail::product_of<RowMajorMatrix<S>>(Matrix<S>(0, 4), Matrix<S>(4, 3));
  CHECK(no_rows.rows() == 0);
  CHECK(no_rows.cols() == 3);
}

TEMPLATE_TEST_CASE("a triangle of a product leaves the other half alone", "[linalg]", float,
                   double) {
  using S = TestType;
  const Matrix<S> a = Matrix<S>::Random(70, 45);
  const RowMajorMatrix<S> b = RowMajorMatrix<S>::Random(45, 70);
  const Matrix<S> before = Matrix<S>::Random(70, 70);
  const Matrix<double> sum = sum_by_loops(a, b, before, -1);
  Matrix<double> lower = before.template cast<double>();
  lower.triangularView<Eigen::Lower>() = sum;
  Matrix<double> upper = before.template cast<double>();
  upper.triangularView<Eigen::Upper>() = sum;
  Matrix<S> c = before;
  detail::add_triangle_of_product<Eigen::Lower>(c, a, b, Sign::subtract);
  CHECK(error_of(c, lower) <= 1e-3);
  CHECK((c.template triangularView<Eigen::StrictlyUpper>().toDenseMatrix() ==
         before.template triangularView<Eigen::StrictlyUpper>().toDenseMatrix()));
  c = before;
  detail::add_triangle_of_product<Eigen::Upper>(c, a, b, Sign::subtract);
  CHECK(error_of(c, upper) <= 1e-3);
}

TEMPLATE_TEST_CASE("a product in tiles is right and the same for any number of threads", "[linalg]",
                   float, double) {
  using S = TestType;
  for (const auto& [rows, depth, cols] :
       {std::tuple{150, 700, 600}, {2, 51000, 520}, {260, 800, 250}, {1, 100, 90}, {40, 30, 20}}) {
    CAPTURE(rows, depth, cols);
    const RowMajorMatrix<S> a = RowMajorMatrix<S>::Random(rows, depth);
    const RowMajorMatrix<S> b = RowMajorMatrix<S>::Random(depth, cols);
    RowMajorMatrix<S> alone;
    detail::set_shared_product(alone, a, b, 1);
    const Matrix<double> expected = sum_by_loops(a, b, RowMajorMatrix<S>::Zero(rows, cols), 1);
    CHECK(error_of(alone, expected) <= (sizeof(S) == 4 ? 1e-5 : 1e-13) * depth);
    for (const int threads : {2, 3, 8}) {
      Matrix<S> shared(1, 1);
      detail::set_shared_product(shared, a, Matrix<S>(b), threads);
      CHECK(error_of(shared, expected) <= (sizeof(S) == 4 ? 1e-5 : 1e-13) * depth);
      RowMajorMatrix<S> same;
      detail::set_shared_product(same, a, b, threads);
      CHECK((same == alone));
    }
  }
  const SparseRows<S> sparse = Matrix<S>::Identity(300, 900).sparseView();
  const Matrix<S> b = Matrix<S>::Random(900, 400);
  RowMajorMatrix<S> top;
  detail::set_shared_product(top, sparse, b, 2);
  CHECK((top == b.topRows(300)));
}
