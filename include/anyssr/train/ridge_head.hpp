// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Ridge regression in closed form, once for all rows, and the classification head made of it. With
/// X (n x d) the feature blocks side by side, none of them copied into one matrix:
///
///   primal (n >= d)  W = (X^T X + lambda I)^-1 X^T Y      l_i = x_i (X^T X + lambda I)^-1 x_i^T
///                    held out  y_i - (y_i - x_i W) / (1 - l_i)
///   dual (n < d)     K = X X^T + lambda I,  A = K^-1 Y,   W = X^T A
///                    held out  y_i - a_i / (K^-1)_ii
///
/// The held-out scores are those of n fits, each without its own row (leave-one-out): exact, in
/// closed form. All arithmetic is in double. Both Grams add up over blocks, and K of sparse rows
/// costs only the pairs of rows that share a column.

#include <algorithm>
#include <cmath>
#include <concepts>
#include <limits>
#include <span>
#include <utility>

#include "anyssr/core/concepts.hpp"
#include "anyssr/core/error.hpp"
#include "anyssr/core/threads.hpp"
#include "anyssr/linalg/cholesky.hpp"
#include "anyssr/linalg/product.hpp"
#include "anyssr/linalg/second_moment.hpp"
#include "anyssr/linalg/temperature.hpp"
#include "anyssr/lora/adapter.hpp"

namespace anyssr::inline ANYSSR_ABI {

struct RidgeHeadOptions {
  double ridge = 1;         ///< above 0; larger is smoother
  bool is_relative = true;  ///< lambda = ridge * (sum of squares of X) / d, else lambda = ridge
  bool held_out = true;     ///< compute held-out scores; a head without them has temperature 1
  int threads = 0;          ///< 0: the cores that this process may use; same bits for any number
};

/// What ridge regression gives.
struct RidgeFit {
  Eigen::MatrixXd weights;   ///< W, d x c; rows in the order of the blocks
  Eigen::MatrixXd held_out;  ///< leave-one-out scores, n x c; empty where not asked for
  double ridge = 0;          ///< lambda as it was used
};

namespace detail {

inline constexpr Index ridge_chunk = 256;  // rows or columns that are widened to double at a time

/// Something that the fit can read many times: sparse rows in double, a dense matrix as it is, an
/// expression evaluated.
template <class X>
[[nodiscard]] decltype(auto) plain_block(const X& x) {
  if constexpr (SparseFeatures<X>) {
    return SparseRows<double>(x.template cast<double>());
  } else if constexpr ((X::Flags & Eigen::DirectAccessBit) != 0) {
    return (x);
  } else {
    return typename X::PlainObject(x);
  }
}

template <class X>
[[nodiscard]] double sum_of_squares(const X& x) {
  if constexpr (SparseFeatures<X>) {
    return x.squaredNorm();
  } else {
    double sum = 0;
    for (Index c = 0; c < x.cols(); ++c) sum += x.col(c).template cast<double>().squaredNorm();
    return sum;
  }
}

/// Lower triangle of K += X X^T of a dense block.
template <class X>
void add_row_products(const Eigen::MatrixBase<X>& x, Eigen::MatrixXd& gram, int threads) {
  for (Index c = 0; c < x.cols(); c += ridge_chunk) {
    const Index width = std::min(ridge_chunk, x.cols() - c);
    const Eigen::MatrixXd chunk = x.derived().middleCols(c, width).template cast<double>();
    accumulate_second_moment(chunk.transpose(), gram, threads);
  }
}

/// Lower triangle of K += X X^T of sparse rows, by the list of rows that each column has. A column
/// of K has one owner.
inline void add_row_products(const SparseRows<double>& x, Eigen::MatrixXd& gram, int threads) {
  const Eigen::SparseMatrix<double> columns = x;
  const int* begins = columns.outerIndexPtr();
  const int* rows = columns.innerIndexPtr();
  const double* values = columns.valuePtr();
  const auto add_column = [&](Index i) {
    double* products = gram.col(i).data();
    for (SparseRows<double>::InnerIterator it(x, i); it; ++it) {
      const double value = it.value();
      for (int p = begins[it.col() + 1] - 1; p >= begins[it.col()] && rows[p] >= i; --p) {
        products[rows[p]] += value * values[p];
      }
    }
  };
  constexpr Index chunk = 16;  // the first columns are the longest
  parallel_for(x.rows() < ridge_chunk ? 1 : threads, (x.rows() + chunk - 1) / chunk, [&](Index c) {
    for (Index i = c * chunk; i < std::min(x.rows(), (c + 1) * chunk); ++i) add_column(i);
  });
}

/// X^T A.
template <class X>
void multiply_transposed(const X& x, const Eigen::MatrixXd& a, Eigen::Ref<Eigen::MatrixXd> result) {
  if constexpr (SparseFeatures<X>) {
    const RowMajorMatrix<double> rows = a;
    const auto product = product_of<RowMajorMatrix<double>>(x.transpose(), rows);
    result = product;
  } else {
    for (Index c = 0; c < x.cols(); c += ridge_chunk) {
      const Index width = std::min(ridge_chunk, x.cols() - c);
      const Eigen::MatrixXd chunk = x.middleCols(c, width).template cast<double>();
      set_product(result.middleRows(c, width), chunk.transpose(), a);
    }
  }
}

/// Rows begin.. of a block, dense and in double; `result` comes zeroed.
template <class X>
void copy_rows(const X& x, Index begin, Eigen::Ref<Eigen::MatrixXd> result) {
  if constexpr (SparseFeatures<X>) {
    for (Index i = 0; i < result.rows(); ++i) {
      for (SparseRows<double>::InnerIterator it(x, begin + i); it; ++it) {
        result(i, it.col()) = it.value();
      }
    }
  } else {
    result = x.middleRows(begin, result.rows()).template cast<double>();
  }
}

/// Calls f(block, column of its first feature) for each block.
template <class F, class... Blocks>
void for_each_feature_block(const F& f, const Blocks&... blocks) {
  Index begin = 0;
  const auto visit = [&](const auto& block) {
    f(block, begin);
    begin += block.cols();
  };
  (visit(blocks), ...);
}

/// K + lambda I, or X^T X + lambda I, factored.
template <std::same_as<double> R>
class FactoredGram {
 public:
  /// @param gram  its lower triangle is read
  FactoredGram(Matrix<R> gram, double ridge, int threads)
      : square_(std::move(gram)), threads_(threads) {
    expect<NumericalError>(factor_shifted(square_, ridge, diagonal_, threads_),
                           "the Gram matrix is not positive definite at lambda = ", ridge,
                           ", expected a larger ridge");
  }
  void solve(Matrix<R>& z) const {
    solve_forward(z);
    solve_backward(square_, diagonal_, z, threads_);
  }
  /// z <- U^-T z, whose squared norms of columns are z^T (U^T U)^-1 z.
  void solve_forward(Matrix<R>& z) const { anyssr::solve_forward(square_, diagonal_, z, threads_); }
  [[nodiscard]] Vector<R> inverse_diagonal() const {
    return anyssr::inverse_diagonal(square_, diagonal_, threads_);
  }

 private:
  Matrix<R> square_;
  Vector<R> diagonal_;
  int threads_;
};

template <std::same_as<double> R, class... Blocks>
void fit_dual(const Matrix<R>& y, const RidgeHeadOptions& options, RidgeFit& fit,
              const Blocks&... blocks) {
  const Index n = y.rows();
  Matrix<R> gram = Matrix<R>::Zero(n, n);
  (add_row_products(blocks, gram, options.threads), ...);
  const FactoredGram<R> factored(std::move(gram), fit.ridge, options.threads);
  Matrix<R> dual = y;
  factored.solve(dual);
  for_each_feature_block(
      [&](const auto& x, Index begin) {
        multiply_transposed(x, dual, fit.weights.middleRows(begin, x.cols()));
      },
      blocks...);
  if (!options.held_out) return;
  const Vector<R> scale = factored.inverse_diagonal().cwiseInverse();
  fit.held_out = y - scale.asDiagonal() * dual;
}

template <std::same_as<double> R, class... Blocks>
void fit_primal(const Matrix<R>& y, const RidgeHeadOptions& options, RidgeFit& fit,
                const Blocks&... blocks) {
  const Index d = fit.weights.rows();
  const auto for_each_chunk = [&](const auto& body) {
    for (Index begin = 0; begin < y.rows(); begin += ridge_chunk) {
      Matrix<R> rows = Matrix<R>::Zero(std::min(ridge_chunk, y.rows() - begin), d);
      for_each_feature_block(
          [&](const auto& x, Index col) { copy_rows(x, begin, rows.middleCols(col, x.cols())); },
          blocks...);
      body(begin, rows);
    }
  };
  Matrix<R> gram = Matrix<R>::Zero(d, d);
  Matrix<R> right = Matrix<R>::Zero(d, y.cols());
  for_each_chunk([&](Index begin, const Matrix<R>& rows) {
    accumulate_second_moment(rows, gram, options.threads);
    add_product(right, rows.transpose(), y.middleRows(begin, rows.rows()));
  });
  const FactoredGram<R> factored(std::move(gram), fit.ridge, options.threads);
  factored.solve(right);
  fit.weights = right;
  if (!options.held_out) return;
  fit.held_out.resize(y.rows(), y.cols());
  for_each_chunk([&](Index begin, const Matrix<R>& rows) {
    const Matrix<R> targets = y.middleRows(begin, rows.rows());
    Matrix<R> half = rows.transpose();
    factored.solve_forward(half);
    // A leverage is below 1 by the ridge; rounding may take the last bit of that.
    const Vector<R> kept = (1 - half.colwise().squaredNorm().transpose().array())
                               .max(std::numeric_limits<double>::epsilon());
    Matrix<R> residual = targets;
    subtract_product(residual, rows, fit.weights);
    fit.held_out.middleRows(begin, rows.rows()) =
        targets - kept.cwiseInverse().asDiagonal() * residual;
  });
}

template <class... Blocks>
[[nodiscard]] RidgeFit fit_ridge_blocks(const Eigen::MatrixXd& y, const RidgeHeadOptions& options,
                                        const Blocks&... blocks) {
  const Index d = (blocks.cols() + ...);
  expect_positive("ridge", options.ridge);
  static_cast<void>(resolve_threads(options.threads));
  expect<ShapeError>(y.rows() >= 1 && y.cols() >= 1, "targets are ", y.rows(), " x ", y.cols(),
                     ", expected at least one row and one column");
  expect<ShapeError>(d >= 1, "features are n x 0, expected at least one column");
  (expect_rows("features", blocks, y.rows()), ...);
  (expect_finite("features", blocks), ...);
  expect_finite("targets", y);
  const double squares = (sum_of_squares(blocks) + ...);
  RidgeFit fit;
  fit.ridge = options.is_relative && squares > 0 ? options.ridge * squares / static_cast<double>(d)
                                                 : options.ridge;
  fit.weights.resize(d, y.cols());
  if (y.rows() < d) {
    fit_dual(y, options, fit, blocks...);
  } else {
    fit_primal(y, options, fit, blocks...);
  }
  expect<NumericalError>(is_finite(fit.weights) && is_finite(fit.held_out),
                         "ridge regression overflows at lambda = ", fit.ridge,
                         ", expected a larger ridge or smaller features");
  return fit;
}

template <RealScalar S, class... Blocks>
[[nodiscard]] Head<S> fit_ridge_head_blocks(std::span<const Index> labels, Index classes,
                                            const RidgeHeadOptions& options,
                                            const Blocks&... blocks) {
  expect(classes >= 1, "classes is ", classes, ", expected at least 1");
  expect_labels(labels, static_cast<Index>(labels.size()), classes);
  Eigen::MatrixXd y = Eigen::MatrixXd::Zero(static_cast<Index>(labels.size()), classes);
  for (Index i = 0; i < y.rows(); ++i) y(i, labels[static_cast<std::size_t>(i)]) = 1;
  const RidgeFit fit = fit_ridge_blocks(y, options, blocks...);
  Head<S> head{fit.weights.template cast<S>(), RowVector<S>::Zero(classes), 1, false};
  if (options.held_out) head.temperature = fit_temperature(fit.held_out, labels);
  expect<NumericalError>(head.is_finite(),
                         "the head's weights overflow its scalar at lambda = ", fit.ridge,
                         ", expected a larger ridge or larger features");
  return head;
}

}  // namespace detail

/// Ridge regression on one block of features, or on two side by side, [h, x].
/// @param x  n x D, dense of either order or row-major sparse
/// @param y  n x c targets
/// @throws ShapeError, NonFiniteError, ArgumentError; NumericalError where the Gram matrix cannot
///         be factored or numbers overflow
/// Cost: n D^2 + D^3 / 3 where n >= D, else n^3 / 3 and the products of rows; twice that with
/// held-out scores.
template <class X, DenseFeatures Y>
requires FeatureMatrix<X, typename X::Scalar>
[[nodiscard]] RidgeFit fit_ridge(const X& x, const Y& y, const RidgeHeadOptions& options = {}) {
  return detail::fit_ridge_blocks(y.template cast<double>(), options, detail::plain_block(x));
}
template <class H, FeatureMatrix<typename H::Scalar> X, DenseFeatures Y>
requires FeatureMatrix<H, typename H::Scalar>
[[nodiscard]] RidgeFit fit_ridge(const H& h, const X& x, const Y& y,
                                 const RidgeHeadOptions& options = {}) {
  return detail::fit_ridge_blocks(y.template cast<double>(), options, detail::plain_block(h),
                                  detail::plain_block(x));
}

/// A classification head: ridge regression on one-hot targets, with the temperature fitted on the
/// held-out scores (fit_temperature). bias is 0 and trained is false.
/// @param x        n x D, dense of either order or row-major sparse; n at least 1
/// @param labels   n, each in 0..classes-1; a class may have no row
/// @return weights D x classes in the scalar of x
/// @throws as fit_ridge does
template <class X>
requires FeatureMatrix<X, typename X::Scalar>
[[nodiscard]] Head<typename X::Scalar> fit_ridge_head(const X& x, std::span<const Index> labels,
                                                      Index classes,
                                                      const RidgeHeadOptions& options = {}) {
  return detail::fit_ridge_head_blocks<typename X::Scalar>(labels, classes, options,
                                                           detail::plain_block(x));
}

/// The same on two blocks side by side, [h, x], without copying them into one matrix.
/// @return weights (H + D) x classes, those of h first; head.logits(h, x) reads them
template <class H, FeatureMatrix<typename H::Scalar> X>
requires FeatureMatrix<H, typename H::Scalar>
[[nodiscard]] Head<typename H::Scalar> fit_ridge_head(const H& h, const X& x,
                                                      std::span<const Index> labels, Index classes,
                                                      const RidgeHeadOptions& options = {}) {
  return detail::fit_ridge_head_blocks<typename H::Scalar>(
      labels, classes, options, detail::plain_block(h), detail::plain_block(x));
}

}  // namespace anyssr::inline ANYSSR_ABI

#ifdef ANYSSR_COMPILED
#include "anyssr/instantiate/ridge_heads.hpp"
#endif
