// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Ridge regression that learns in batches and ends where one joint fit would end:
///
///   S = sum_i s_i x_i^T x_i        second moment, d x d; the ridge is never in it
///   C = sum_i s_i x_i^T y_i        cross-correlation, d x T
///   W = (S + lambda I)^-1 C        weights, d x T
///
/// It keeps the two sums only: no batch is stored or seen twice, and their order does not matter.
/// lambda can change at any time without data. Source: Any-SSR, arXiv 2503.13575 (router training),
/// and ACIL, arXiv 2205.14922; here in the information form: the sums are kept, and solved when
/// asked.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>

#include "anyssr/core/concepts.hpp"
#include "anyssr/core/error.hpp"
#include "anyssr/linalg/cholesky.hpp"
#include "anyssr/linalg/second_moment.hpp"

namespace anyssr::inline v0 {

/// Form that keeps S and C and solves when asked: batches cost n d^2, a solve d^3 / 3.
struct Information {};

template <class F>
concept RlsForm = std::same_as<F, Information>;

enum class RidgeScale : std::uint8_t {
  relative,  ///< lambda = ridge * tr(S) / d at the time of the solve: independent of scale and
             ///< order
  absolute   ///< lambda = ridge
};

struct RlsOptions {
  double ridge = 1e-3;  ///< > 0; larger is smoother and better conditioned
  RidgeScale ridge_scale = RidgeScale::relative;
  int threads = 0;  ///< 0: the hardware's
};

/// What belongs to one batch.
struct BatchOptions {
  /// Target column of each column of y, in any order, no two equal; empty: 0, 1, 2, ...
  std::span<const Index> columns = {};
  /// s_i > 0, one a row; empty: all 1
  std::span<const double> row_weights = {};
};

template <RealScalar S, RlsForm Form = Information>
class RecursiveLeastSquares {
 public:
  using Scalar = S;

  /// @param dim  d, width of a row, at least 1
  /// @throws ArgumentError  for a dimension or option out of range
  explicit RecursiveLeastSquares(Index dim, const RlsOptions& options = {}) : options_(options) {
    detail::expect(dim >= 1, "dim is ", dim, ", expected at least 1");
    detail::expect_positive("ridge", options.ridge);
    options_.threads = resolve_threads(options.threads);
    square_ = Matrix<S>::Zero(dim, dim);
    cross_correlation_.resize(dim, 0);
  }

  [[nodiscard]] Index dim() const noexcept { return square_.rows(); }
  [[nodiscard]] Index targets() const noexcept { return cross_correlation_.cols(); }
  [[nodiscard]] Index rows() const noexcept { return rows_; }
  [[nodiscard]] const RlsOptions& options() const noexcept { return options_; }

  /// lambda as the solve uses it. Where every row so far was zero, a relative ridge stands for
  /// itself.
  [[nodiscard]] double ridge() const noexcept {
    const double trace = second_moment_trace();
    const bool absolute = options_.ridge_scale == RidgeScale::absolute || trace <= 0;
    return absolute ? options_.ridge : options_.ridge * trace / static_cast<double>(dim());
  }

  /// Adds zero columns on the right until there are `count`.  Cost: O(d count).
  void reserve_targets(Index count) {
    if (count <= targets()) return;
    Matrix<S> wider = Matrix<S>::Zero(dim(), count);
    wider.leftCols(targets()) = cross_correlation_;
    Eigen::VectorXd energy = Eigen::VectorXd::Zero(count);
    energy.head(targets()) = target_energy_;
    cross_correlation_.swap(wider);
    target_energy_.swap(energy);
    weights_current_ = false;
  }

  /// Adds a batch: S += sum s_i x_i^T x_i, C += sum s_i x_i^T y_i.
  /// @param x  n x d, one row a sample, any storage order, not copied (but for row weights)
  /// @param y  n x m targets; a new column counts as zero in the batches before it
  /// @throws ShapeError, NonFiniteError, ArgumentError  before any state changes; numbers so large
  /// that
  ///         the sums would overflow count as not finite
  /// Cost: O(n d^2) time, no memory beyond the state.
  template <class X, class Y>
  void update(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
              const BatchOptions& batch = {}) {
    static_assert(std::is_same_v<typename X::Scalar, S> && std::is_same_v<typename Y::Scalar, S>,
                  "x and y have another scalar than the regression: cast them");
    check(x.derived(), y.derived(), batch);
    const Matrix<S> targets = y;
    prepare(targets, batch);
    if (batch.row_weights.empty()) {
      if constexpr ((X::Flags & Eigen::DirectAccessBit) != 0) {
        accumulate(x.derived(), targets, batch);
      } else {
        accumulate(x.derived().eval(), targets, batch);
      }
      return;
    }
    const Vector<S> root = weight_vector(batch).cwiseSqrt();
    const Matrix<S> scaled_x = root.asDiagonal() * x.derived();
    const Matrix<S> scaled_y = root.asDiagonal() * targets;
    accumulate(scaled_x, scaled_y, batch);
  }

  /// The same for row-major sparse rows.  Cost: the squared count of nonzeros a row.
  template <class Y>
  void update(const SparseRows<S>& x, const Eigen::MatrixBase<Y>& y,
              const BatchOptions& batch = {}) {
    check(x, y.derived(), batch);
    const Matrix<S> targets = y;
    prepare(targets, batch);
    const Vector<S> weights = weight_vector(batch);
    accumulate_second_moment(x, batch.row_weights.empty() ? nullptr : weights.data(), square_);
    for (Index j = 0; j < targets.cols(); ++j) {
      auto column = cross_correlation_.col(target_column(batch, j));
      for (Index i = 0; i < x.rows(); ++i) {
        if (targets(i, j) == S(0)) continue;
        const S scale = batch.row_weights.empty() ? targets(i, j) : weights(i) * targets(i, j);
        for (typename SparseRows<S>::InnerIterator it(x, i); it; ++it) {
          column(it.index()) += scale * it.value();
        }
      }
    }
    finish(targets, batch);
  }

  /// W, d x T, of everything seen so far. Solved once a state: asking again costs nothing.
  /// @throws NumericalError  where S + lambda I is not positive definite in this scalar
  /// Cost: one Cholesky, d^3 / 3, and 2 d^2 T flops.
  [[nodiscard]] const Matrix<S>& weights() const {
    if (!weights_current_) {
      factor();
      weights_ = cross_correlation_;
      solve_forward(square_, factor_diagonal_, weights_, options_.threads);
      solve_backward(square_, factor_diagonal_, weights_, options_.threads);
      weights_current_ = true;
    }
    return weights_;
  }

  /// X W, n x T.
  template <FeatureMatrix<S> X>
  [[nodiscard]] Matrix<S> predict(const X& x) const {
    detail::expect_cols("features", x, dim());
    return x * weights();
  }

  /// h_i (S + lambda I)^-1 h_i^T, one number a row: large where a row is unlike all rows seen.
  /// Cost: one triangular solve, n d^2 flops, in chunks of 256 rows.
  template <FeatureMatrix<S> X>
  [[nodiscard]] Vector<S> leverage(const X& x) const {
    detail::expect_cols("features", x, dim());
    factor();
    constexpr Index chunk = 256;
    Vector<S> result(x.rows());
    for (Index begin = 0; begin < x.rows(); begin += chunk) {
      const Index count = std::min(chunk, x.rows() - begin);
      Matrix<S> z = x.middleRows(begin, count).transpose();
      solve_forward(square_, factor_diagonal_, z, options_.threads);
      result.segment(begin, count) = z.colwise().squaredNorm().transpose();
    }
    return result;
  }

  /// Factors S + lambda I now, if rows came since the last time.
  /// @throws NumericalError  where it is not positive definite in this scalar
  void factor() const {
    if (factor_current_) return;
    const S lambda = static_cast<S>(ridge());
    if (!factor_shifted(square_, lambda, factor_diagonal_, options_.threads)) {
      detail::raise<NumericalError>("the Gram matrix is not positive definite at ridge ", ridge(),
                                    " in ", sizeof(S) == 4 ? "float" : "double",
                                    ": raise the ridge", sizeof(S) == 4 ? " or use double" : "");
    }
    factor_current_ = true;
  }

  /// S as a full symmetric d x d matrix (a copy).
  [[nodiscard]] Matrix<S> second_moment() const {
    return square_.template selfadjointView<Eigen::Lower>();
  }
  [[nodiscard]] const Matrix<S>& cross_correlation() const noexcept { return cross_correlation_; }

  /// sum_i s_i y_i^2, one number a column, in double: with W and C it gives the residual sum of
  /// squares.
  [[nodiscard]] const Eigen::VectorXd& target_energy() const noexcept { return target_energy_; }

  /// Bytes of the state: S and the factor in one square, C, W and the diagonals.
  [[nodiscard]] std::size_t bytes() const noexcept {
    const Index numbers =
        square_.size() + factor_diagonal_.size() + cross_correlation_.size() + weights_.size();
    return static_cast<std::size_t>(numbers) * sizeof(S) +
           static_cast<std::size_t>(target_energy_.size()) * sizeof(double);
  }

 private:
  [[nodiscard]] double second_moment_trace() const noexcept {
    return square_.diagonal().template cast<double>().sum();
  }

  [[nodiscard]] static Index target_column(const BatchOptions& batch, Index j) noexcept {
    return batch.columns.empty() ? j : batch.columns[static_cast<std::size_t>(j)];
  }

  [[nodiscard]] static Vector<S> weight_vector(const BatchOptions& batch) {
    return Eigen::Map<const Eigen::VectorXd>(batch.row_weights.data(),
                                             static_cast<Index>(batch.row_weights.size()))
        .template cast<S>();
  }

  template <class X, class Y>
  void check(const X& x, const Y& y, const BatchOptions& batch) const {
    detail::expect_cols("features", x, dim());
    detail::expect<ShapeError>(x.rows() > 0, "features have no rows, expected at least 1");
    detail::expect_rows("targets", y, x.rows());
    detail::expect_finite("features", x);
    detail::expect_finite("targets", y);
    if (!batch.columns.empty()) {
      detail::expect<ShapeError>(static_cast<Index>(batch.columns.size()) == y.cols(),
                                 "columns have ", batch.columns.size(), " entries, expected ",
                                 y.cols(), ", one a column of the targets");
      for (std::size_t j = 0; j < batch.columns.size(); ++j) {
        const auto before = batch.columns.first(j);
        detail::expect(batch.columns[j] >= 0, "columns hold ", batch.columns[j],
                       ", expected 0 or more");
        detail::expect(std::find(before.begin(), before.end(), batch.columns[j]) == before.end(),
                       "columns hold ", batch.columns[j], " twice, expected each once");
      }
    }
    double largest_weight = 1;
    if (!batch.row_weights.empty()) {
      detail::expect_count("row weights", batch.row_weights.size(), x.rows());
      for (const double weight : batch.row_weights) detail::expect_positive("row weight", weight);
      largest_weight = *std::max_element(batch.row_weights.begin(), batch.row_weights.end());
    }
    // Every entry of S is at most tr(S), every entry of C at most sqrt(tr(S) energy): two sums
    // decide whether anything could overflow.
    const double limit = static_cast<double>(std::numeric_limits<S>::max()) / 4;
    const double trace = second_moment_trace() + largest_weight * squared_norm(x);
    const double energy = target_energy_.sum() + largest_weight * squared_norm(y);
    detail::expect<NonFiniteError>(
        trace < limit && energy < limit,
        "features or targets are so large that their sums overflow (squared "
        "norms ",
        trace, " and ", energy, ", expected below ", limit, ")");
  }

  template <class X>
  [[nodiscard]] static double squared_norm(const X& x) {
    if constexpr (SparseFeatures<X>) {
      double sum = 0;
      for (Index i = 0; i < x.outerSize(); ++i) {
        for (typename X::InnerIterator it(x, i); it; ++it) {
          sum += static_cast<double>(it.value()) * static_cast<double>(it.value());
        }
      }
      return sum;
    } else {
      return x.template cast<double>().squaredNorm();
    }
  }

  /// Widens C where the batch brings new columns: the last step that may throw.
  void prepare(const Matrix<S>& y, const BatchOptions& batch) {
    Index count = y.cols();
    for (const Index column : batch.columns) count = std::max(count, column + 1);
    reserve_targets(count);
  }

  template <class X>
  void accumulate(const X& x, const Matrix<S>& y, const BatchOptions& batch) {
    Matrix<S> products(dim(), y.cols());
    accumulate_second_moment(x, square_, options_.threads);
    const Index tile = detail::triangle_tile;
    const bool small = static_cast<double>(x.size()) * static_cast<double>(y.cols()) < 1e8;
    parallel_for(small ? 1 : options_.threads, (dim() + tile - 1) / tile, [&](Index t) {
      const Index count = std::min(tile, dim() - t * tile);
      products.middleRows(t * tile, count).noalias() =
          x.middleCols(t * tile, count).transpose() * y;
    });
    for (Index j = 0; j < y.cols(); ++j) {
      cross_correlation_.col(target_column(batch, j)) += products.col(j);
    }
    finish(y, batch, true);
  }

  /// @param scaled  y holds sqrt(s_i) y_i already
  void finish(const Matrix<S>& y, const BatchOptions& batch, bool scaled = false) noexcept {
    for (Index j = 0; j < y.cols(); ++j) {
      double energy = 0;
      for (Index i = 0; i < y.rows(); ++i) {
        const double value = static_cast<double>(y(i, j));
        const bool weighted = !scaled && !batch.row_weights.empty();
        energy += value * value * (weighted ? batch.row_weights[static_cast<std::size_t>(i)] : 1.0);
      }
      target_energy_(target_column(batch, j)) += energy;
    }
    rows_ += y.rows();
    factor_current_ = false;
    weights_current_ = false;
  }

  RlsOptions options_;
  mutable Matrix<S> square_;  // lower: S with its diagonal; strict upper: U, S + lambda I = U^T U
  mutable Vector<S> factor_diagonal_;  // diagonal of U
  Matrix<S> cross_correlation_;        // d x T
  Eigen::VectorXd target_energy_;      // T
  mutable Matrix<S> weights_;          // d x T while weights_current_
  Index rows_ = 0;
  mutable bool factor_current_ = false;
  mutable bool weights_current_ = false;
};

}  // namespace anyssr::inline v0
