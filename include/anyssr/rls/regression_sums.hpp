// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The sums of ridge regression and how rows enter and leave them:
///
///   S = sum_i s_i x_i^T x_i        C = sum_i s_i x_i^T y_i        E = sum_i s_i y_i^2
///
/// Small batches are gathered in a buffer and enter as blocks; whoever reads S or C flushes first.
/// Source: ACIL, arXiv 2205.14922; the blocks are ours.

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "anyssr/linalg/cholesky.hpp"
#include "anyssr/linalg/product.hpp"
#include "anyssr/linalg/second_moment.hpp"
#include "anyssr/rls/regression_state.hpp"
#include "anyssr/rls/row_buffer.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

/// Refuses a list of new columns that does not say for each of `targets` columns where it goes.
inline void expect_new_columns(std::span<const Index> to, Index targets, Index count) {
  expect(count >= 0, "count is ", count, ", expected 0 or more");
  expect<ShapeError>(static_cast<Index>(to.size()) == targets, "to has ", to.size(),
                     " entries, expected ", targets, ", one per column of the targets");
  for (std::size_t j = 0; j < to.size(); ++j) {
    expect(to[j] >= -1 && to[j] < count, "to holds ", to[j], " for column ", j,
           ", expected -1 (dropped) or a column below ", count);
  }
}

/// S in the lower triangle of a square whose strict upper triangle is free for others.
template <RealScalar S>
class RegressionSums {
 public:
  RegressionSums(Index dim, int threads);

  /// Goes on from a checked state.
  RegressionSums(RegressionState<S> state, int threads);

  [[nodiscard]] Index dim() const noexcept { return square_.rows(); }
  [[nodiscard]] Index targets() const noexcept { return cross_correlation_.cols(); }
  [[nodiscard]] Index rows() const noexcept { return rows_; }
  [[nodiscard]] const Eigen::VectorXd& target_energy() const noexcept { return target_energy_; }
  [[nodiscard]] const std::vector<std::uint64_t>& digest_keys() const noexcept {
    return digest_keys_;
  }
  /// At least tr(S).
  [[nodiscard]] double trace_bound() const noexcept { return bounds_.trace; }
  [[nodiscard]] const RegressionBounds& bounds() const noexcept { return bounds_; }
  /// Rows that S and C do not hold yet.
  [[nodiscard]] Index buffered() const noexcept { return buffer_.size(); }
  /// Changes whenever S does.
  [[nodiscard]] std::uint64_t version() const noexcept { return version_; }

  /// Without the buffered rows: flush first.
  [[nodiscard]] Matrix<S>& square() noexcept { return square_; }
  [[nodiscard]] const Matrix<S>& square() const noexcept { return square_; }
  [[nodiscard]] const Matrix<S>& cross_correlation() const noexcept { return cross_correlation_; }
  [[nodiscard]] double trace() const;

  void reserve_targets(Index count);

  /// Adds a checked batch.
  template <class X, class Y>
  void add(const X& x, const Y& y, const Batch<S>& batch);

  /// Takes a checked batch out. The buffer must be empty.
  template <class X, class Y>
  void subtract(const X& x, const Y& y, const Batch<S>& batch);

  /// Refuses sums that no rows can have after a subtraction, and clears what is left where no row
  /// is. Uses the strict upper triangle.
  void expect_possible(const RegressionSums& before);

  /// Adds the sums of other rows. Both buffers must be empty.
  /// @param columns  target column here of each of its columns; empty: 0, 1, 2, ...
  void merge(const RegressionSums& other, std::span<const Index> columns);

  /// Refuses sums that cannot be among these. Counts rows that wait in a buffer too.
  void expect_removable(const RegressionSums& other, std::span<const Index> columns) const;

  /// Takes the sums of rows that were merged out again. Both buffers must be empty; expect_possible
  /// comes next.
  /// @param columns  target column here of each of its columns, below targets(); empty: 0, 1, ...
  void unmerge(const RegressionSums& other, std::span<const Index> columns);

  /// Moves, adds up and drops columns of C and E. The buffer must be empty; S stays.
  /// @param to  new column of each column, within 0..count - 1, or -1: dropped
  /// @throws NonFiniteError  where columns add up to infinity, before any state changes
  void recombine_targets(std::span<const Index> to, Index count);

  /// The buffered rows enter S and C.
  void flush();

  /// The same; then calls f with the rows, k x d, which it may overwrite.
  template <class F>
  void flush_through(const F& f) {
    move_block(Sign::add);
    f(buffer_.rows());
    buffer_.clear();
  }

  [[nodiscard]] std::size_t bytes() const noexcept;

 private:
  void expect_nothing(double slack, double energy_slack);
  template <class X, class Y>
  [[nodiscard]] bool takes_whole(const X& x, const Batch<S>& batch) const;
  void move_block(Sign sign);
  template <class X, class Y, class Column>
  void add_products(const X& x, const Y& y, const Column& column, Sign sign);
  template <class Y>
  void add_sparse(const SparseRows<S>& x, const Y& y, const Batch<S>& batch, Sign sign);
  template <class Y>
  void add_energy(const Y& y, const Batch<S>& batch, Sign sign);

  Matrix<S> square_;                        // lower: S with its diagonal
  Matrix<S> cross_correlation_;             // C, d x T
  Eigen::VectorXd target_energy_;           // E, T, in double
  RowBuffer<S> buffer_;                     // rows that S and C do not hold yet
  std::vector<std::uint64_t> digest_keys_;  // d
  int threads_;
  RegressionBounds bounds_;  // of all rows, those in the buffer too
  Index rows_ = 0;
  std::uint64_t version_ = 0;
};

template <RealScalar S>
RegressionSums<S>::RegressionSums(Index dim, int threads)
    : square_(Matrix<S>::Zero(dim, dim)),
      cross_correlation_(dim, 0),
      buffer_(dim),
      digest_keys_(RowDigest<S>::digest_keys(dim)),
      threads_(threads) {}

template <RealScalar S>
RegressionSums<S>::RegressionSums(RegressionState<S> state, int threads)
    : square_(std::move(state.second_moment)),
      cross_correlation_(std::move(state.cross_correlation)),
      target_energy_(std::move(state.target_energy)),
      buffer_(square_.rows()),
      digest_keys_(RowDigest<S>::digest_keys(square_.rows())),
      threads_(threads),
      bounds_(state.bounds),
      rows_(state.rows) {}

template <RealScalar S>
double RegressionSums<S>::trace() const {
  return square_.diagonal().template cast<double>().sum();
}

template <RealScalar S>
std::size_t RegressionSums<S>::bytes() const noexcept {
  return static_cast<std::size_t>(square_.size() + cross_correlation_.size()) * sizeof(S) +
         buffer_.bytes() + static_cast<std::size_t>(target_energy_.size()) * sizeof(double) +
         digest_keys_.size() * sizeof(std::uint64_t);
}

template <RealScalar S>
void RegressionSums<S>::reserve_targets(Index count) {
  const Index before = targets();
  if (count <= before) return;
  Eigen::VectorXd energy = Eigen::VectorXd::Zero(count);
  energy.head(before) = target_energy_;
  cross_correlation_.conservativeResize(Eigen::NoChange, count);
  cross_correlation_.rightCols(count - before).setZero();
  target_energy_.swap(energy);
}

template <RealScalar S>
template <class X, class Y>
void RegressionSums<S>::add(const X& x, const Y& y, const Batch<S>& batch) {
  reserve_targets(batch.columns_needed(y.cols()));
  if constexpr (SparseFeatures<X>) {
    add_sparse(x, y, batch, Sign::add);
  } else if (takes_whole<X, Y>(x, batch)) {
    if constexpr (DenseFeatures<Y>) {
      accumulate_second_moment(x, square_, threads_);
      add_products(
          x, y, [&](Index j) { return batch.column(j); }, Sign::add);
      ++version_;
    }
  } else {
    buffer_.reserve(static_cast<std::size_t>(stored_entries(y)));
    buffer_.gather(x, y, batch, [this] { flush(); });
  }
  bounds_.trace += batch.feature_energy();
  add_energy(y, batch, Sign::add);
  rows_ += x.rows();
}

template <RealScalar S>
template <class X, class Y>
void RegressionSums<S>::subtract(const X& x, const Y& y, const Batch<S>& batch) {
  if constexpr (SparseFeatures<X>) {
    add_sparse(x, y, batch, Sign::subtract);
  } else {
    const auto take_out = [this] {
      move_block(Sign::subtract);
      buffer_.clear();
    };
    buffer_.reserve(static_cast<std::size_t>(stored_entries(y)));
    buffer_.gather(x, y, batch, take_out);
    if (!buffer_.is_empty()) take_out();
  }
  add_energy(y, batch, Sign::subtract);
  rows_ -= x.rows();
}

template <RealScalar S>
void RegressionSums<S>::expect_possible(const RegressionSums& before) {
  // Rows that go leave round-off behind, and of the largest sums that there were.
  bounds_.largest_trace = std::max(bounds_.largest_trace, before.trace());
  bounds_.largest_energy = std::max(bounds_.largest_energy, before.target_energy_.sum());
  const double slack =
      64 * static_cast<double>(std::numeric_limits<S>::epsilon()) * bounds_.largest_trace;
  const double energy_slack =
      1024 * std::numeric_limits<double>::epsilon() * bounds_.largest_energy;
  if (rows_ == 0) return expect_nothing(slack, energy_slack);
  const bool energies_hold = (target_energy_.array() >= -energy_slack).all();
  Vector<S> diagonal;
  expect(energies_hold && factor_shifted(square_, static_cast<S>(slack), diagonal, threads_),
         "the rows to remove were never learned: what is left without them is ",
         energies_hold ? "no second moment of rows (it has a negative eigenvalue)"
                       : "a negative sum of squared targets",
         "; nothing was removed");
  target_energy_ = target_energy_.cwiseMax(0);
  bounds_.trace = trace() + slack;
}

/// Refuses sums that are not those of no rows, and clears them.
template <RealScalar S>
void RegressionSums<S>::expect_nothing(double slack, double energy_slack) {
  const double most = static_cast<double>(
      square_.template triangularView<Eigen::Lower>().toDenseMatrix().cwiseAbs().maxCoeff());
  expect(most <= slack && (target_energy_.array().abs() <= energy_slack).all(),
         "the rows to remove were never learned: as many rows are left as 0, but not their sums; "
         "nothing was removed");
  square_.setZero();
  cross_correlation_.setZero();
  target_energy_.setZero();
  bounds_ = {};
}

template <RealScalar S>
void RegressionSums<S>::merge(const RegressionSums& other, std::span<const Index> columns) {
  reserve_targets(columns_needed(columns, other.targets()));
  square_.template triangularView<Eigen::Lower>() += other.square_;
  for (Index j = 0; j < other.targets(); ++j) {
    const Index column = columns.empty() ? j : columns[static_cast<std::size_t>(j)];
    cross_correlation_.col(column) += other.cross_correlation_.col(j);
    target_energy_(column) += other.target_energy_(j);
  }
  bounds_.trace += other.bounds_.trace;
  bounds_.largest_trace += other.bounds_.largest_trace;
  bounds_.largest_energy += other.bounds_.largest_energy;
  rows_ += other.rows_;
  ++version_;
}

template <RealScalar S>
void RegressionSums<S>::expect_removable(const RegressionSums& other,
                                         std::span<const Index> columns) const {
  expect<ShapeError>(other.dim() == dim(), "the regression to unmerge has dim ", other.dim(),
                     ", expected ", dim());
  expect_distinct_columns(columns, other.targets());
  const Index needed = columns_needed(columns, other.targets());
  expect<ShapeError>(needed <= targets(), "the targets to remove reach column ", needed - 1,
                     ", expected 0..", targets() - 1);
  expect(other.rows_ <= rows_, "the rows to remove are ", other.rows_, ", expected at most ", rows_,
         ", as many as were learned");
}

template <RealScalar S>
void RegressionSums<S>::unmerge(const RegressionSums& other, std::span<const Index> columns) {
  square_.template triangularView<Eigen::Lower>() -= other.square_;
  for (Index j = 0; j < other.targets(); ++j) {
    const Index column = columns.empty() ? j : columns[static_cast<std::size_t>(j)];
    cross_correlation_.col(column) -= other.cross_correlation_.col(j);
    target_energy_(column) -= other.target_energy_(j);
  }
  // What rows that went before left behind in the other sums is as large as those rows were.
  bounds_.largest_trace = std::max(bounds_.largest_trace, other.bounds_.largest_trace);
  bounds_.largest_energy = std::max(bounds_.largest_energy, other.bounds_.largest_energy);
  rows_ -= other.rows_;
  ++version_;
}

template <RealScalar S>
void RegressionSums<S>::recombine_targets(std::span<const Index> to, Index count) {
  Matrix<S> cross_correlation = Matrix<S>::Zero(dim(), count);
  Eigen::VectorXd energy = Eigen::VectorXd::Zero(count);
  for (Index j = 0; j < targets(); ++j) {
    const Index column = to[static_cast<std::size_t>(j)];
    if (column < 0) continue;
    cross_correlation.col(column) += cross_correlation_.col(j);
    energy(column) += target_energy_(j);
  }
  expect_finite("cross-correlations that add up", cross_correlation);
  cross_correlation_.swap(cross_correlation);
  target_energy_.swap(energy);
}

template <RealScalar S>
void RegressionSums<S>::flush() {
  if (buffer_.is_empty()) return;
  move_block(Sign::add);
  buffer_.clear();
}

/// Large dense batches need no copy.
template <RealScalar S>
template <class X, class Y>
bool RegressionSums<S>::takes_whole(const X& x, const Batch<S>& batch) const {
  return DenseFeatures<Y> && x.rows() >= buffer_.capacity() && !batch.weighted();
}

/// S and C take or give the buffered rows; who calls clears the buffer.
template <RealScalar S>
void RegressionSums<S>::move_block(Sign sign) {
  const CompactTargets<S> compact(buffer_.size(), targets(), buffer_.entries());
  accumulate_second_moment(buffer_.rows(), square_, threads_, sign);
  add_products(
      buffer_.rows(), compact.values,
      [&](Index j) { return compact.columns[static_cast<std::size_t>(j)]; }, sign);
  ++version_;
}

/// C.col(column(j)) += sign X^T y_j
template <RealScalar S>
template <class X, class Y, class Column>
void RegressionSums<S>::add_products(const X& x, const Y& y, const Column& column, Sign sign) {
  if (y.cols() == 0) return;
  const double flops = 2 * static_cast<double>(x.size()) * static_cast<double>(y.cols());
  constexpr Index tile = 256;
  parallel_for(team_for(flops, threads_), (dim() + tile - 1) / tile, [&](Index t) {
    const Index begin = t * tile;
    const Index count = std::min(tile, dim() - begin);
    const auto products = product_of<Matrix<S>>(x.middleCols(begin, count).transpose(), y);
    for (Index j = 0; j < y.cols(); ++j) {
      cross_correlation_.col(column(j)).segment(begin, count) +=
          static_cast<S>(sign) * products.col(j);
    }
  });
}

template <RealScalar S>
template <class Y>
void RegressionSums<S>::add_sparse(const SparseRows<S>& x, const Y& y, const Batch<S>& batch,
                                   Sign sign) {
  Vector<S> weights;
  if (batch.weighted()) weights = batch.root_weights().cwiseAbs2();
  accumulate_second_moment(x, batch.weighted() ? weights.data() : nullptr, square_, threads_, sign);
  for (Index i = 0; i < x.rows(); ++i) {
    const S weight = static_cast<S>(sign) * (batch.weighted() ? weights(i) : S(1));
    for_each_target(y, i, [&](Index j, S value) {
      auto column = cross_correlation_.col(batch.column(j));
      for (typename SparseRows<S>::InnerIterator it(x, i); it; ++it) {
        column(it.index()) += weight * value * it.value();
      }
    });
  }
  ++version_;
}

template <RealScalar S>
template <class Y>
void RegressionSums<S>::add_energy(const Y& y, const Batch<S>& batch, Sign sign) {
  for (Index i = 0; i < y.rows(); ++i) {
    const double weight = static_cast<double>(sign) * batch.weight(i);
    for_each_target(y, i, [&](Index j, S value) {
      target_energy_(batch.column(j)) +=
          weight * static_cast<double>(value) * static_cast<double>(value);
    });
  }
}

}  // namespace anyssr::inline ANYSSR_ABI::detail
