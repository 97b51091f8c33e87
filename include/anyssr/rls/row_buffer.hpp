// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Rows on their way into the sums, gathered into blocks: a block costs as little a row as a large
/// batch, whoever adds one row at a time.
/// Source: ours.

#include <algorithm>
#include <vector>

#include "anyssr/rls/batch.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

/// Bounded; takes its memory with the first row.
template <RealScalar S>
class RowBuffer {
 public:
  explicit RowBuffer(Index dim) noexcept : dim_(dim) {}

  /// About an eighth of d^2 numbers at most, enough rows for the products to run at full speed.
  [[nodiscard]] Index capacity() const noexcept { return std::clamp<Index>(dim_ / 8, 256, 1024); }
  [[nodiscard]] Index size() const noexcept { return size_; }
  [[nodiscard]] bool is_empty() const noexcept { return size_ == 0; }

  /// Takes memory before rows come, so that gathering them allocates nothing.
  /// @param entries  targets that are not 0 in the rows to come, at most
  void reserve(std::size_t entries) {
    // One more cache line a row: with a power of two, rows would share few cache sets.
    if (rows_.size() == 0) rows_.resize(capacity(), dim_ + 64 / Index{sizeof(S)});
    const std::size_t needed = entries_.size() + entries;
    if (needed > entries_.capacity()) entries_.reserve(std::max(needed, 2 * entries_.size()));
  }

  /// Adds the rows of a batch, times the roots of their weights.
  /// @param full  called when the buffer is full; must clear it
  template <class X, class Y, class Full>
  void gather(const X& x, const Y& y, const Batch<S>& batch, const Full& full) {
    for (Index i = 0; i < x.rows(); ++i) {
      if (batch.weighted()) {
        const S root = static_cast<S>(std::sqrt(batch.weight(i)));
        rows_.row(size_).head(dim_) = root * x.row(i);
        for_each_target(y, i, [&](Index j, S value) {
          entries_.push_back({size_, batch.column(j), root * value});
        });
      } else {
        rows_.row(size_).head(dim_) = x.row(i);
        for_each_target(y, i, [&](Index j, S value) {
          entries_.push_back({size_, batch.column(j), value});
        });
      }
      if (++size_ == capacity()) full();
    }
  }

  /// size() x d; the caller may use the memory before clear().
  [[nodiscard]] auto rows() noexcept { return rows_.topLeftCorner(size_, dim_); }
  [[nodiscard]] const std::vector<TargetEntry<S>>& entries() const noexcept { return entries_; }

  void clear() noexcept {
    size_ = 0;
    entries_.clear();
  }

  [[nodiscard]] std::size_t bytes() const noexcept {
    return static_cast<std::size_t>(rows_.size()) * sizeof(S) +
           entries_.capacity() * sizeof(TargetEntry<S>);
  }

 private:
  Index dim_;
  Index size_ = 0;
  RowMajorMatrix<S> rows_;  // capacity x (d and a cache line), or empty
  std::vector<TargetEntry<S>> entries_;
};

}  // namespace anyssr::inline ANYSSR_ABI::detail
