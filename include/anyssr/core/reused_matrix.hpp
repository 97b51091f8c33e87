// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Memory that passes of different sizes share. A plain matrix gives its memory back with every
/// change of size; large blocks then go back to the system and come again as pages to be cleared,
/// which cost a training step two thirds of its time.

#include <memory>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

#include "anyssr/core/types.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

/// A row-major matrix whose memory only grows. Its numbers are not kept by `resize`.
template <class S>
class ReusedMatrix : public Eigen::Map<RowMajorMatrix<S>, Eigen::AlignedMax> {
 public:
  using Base = Eigen::Map<RowMajorMatrix<S>, Eigen::AlignedMax>;

  ReusedMatrix() : Base(nullptr, 0, 0) {}
  ReusedMatrix(ReusedMatrix&& other) noexcept : Base(nullptr, 0, 0) { swap(other); }
  ReusedMatrix& operator=(ReusedMatrix&& other) noexcept {
    swap(other);
    return *this;
  }
  ReusedMatrix(const ReusedMatrix&) = delete;
  ReusedMatrix& operator=(const ReusedMatrix&) = delete;
  ~ReusedMatrix() = default;

  using Base::operator=;

  /// For templates that ask for Eigen's own types.
  [[nodiscard]] Base& map() noexcept { return *this; }
  [[nodiscard]] const Base& map() const noexcept { return *this; }

  void resize(Index rows, Index cols) {
    if (rows * cols > memory_.size()) {
      memory_.resize(0);  // the old block goes before the new one comes
      memory_.resize(rows * cols + rows * cols / 8);
    }
    seat(rows, cols);
  }

  /// Takes the size and the numbers of x, which is no part of it.
  template <class X>
  void assign(const Eigen::MatrixBase<X>& x) {
    resize(x.rows(), x.cols());
    this->noalias() = x;
  }
  void assign_zero(Index rows, Index cols) {
    resize(rows, cols);
    this->setZero();
  }

 private:
  void seat(Index rows, Index cols) {
    new (static_cast<Base*>(this)) Base(memory_.data(), rows, cols);
  }

  void swap(ReusedMatrix& other) noexcept {
    memory_.swap(other.memory_);
    const Index rows = this->rows();
    const Index cols = this->cols();
    seat(other.rows(), other.cols());
    other.seat(rows, cols);
  }

  Vector<S> memory_;
};

/// Workspaces that calls take and give back: as many as calls that ran at once.
template <class T>
class Pool {
 public:
  Pool() = default;
  Pool(const Pool& /*other*/) noexcept {}
  Pool& operator=(const Pool& /*other*/) noexcept { return *this; }

  /// Calls f(workspace).
  template <class F>
  decltype(auto) with(const F& f) {
    Lease lease{*this, take()};
    return f(*lease.item);
  }

 private:
  struct Lease {
    Pool& pool;
    std::unique_ptr<T> item;
    ~Lease() {
      const std::scoped_lock lock(pool.mutex_);
      pool.free_.push_back(std::move(item));  // room was made when it was taken
    }
  };

  [[nodiscard]] std::unique_ptr<T> take() {
    const std::scoped_lock lock(mutex_);
    ++made_;
    free_.reserve(made_);
    if (free_.empty()) return std::make_unique<T>();
    --made_;
    std::unique_ptr<T> item = std::move(free_.back());
    free_.pop_back();
    return item;
  }

  std::mutex mutex_;
  std::vector<std::unique_ptr<T>> free_;
  std::size_t made_ = 0;
};

}  // namespace anyssr::inline ANYSSR_ABI::detail
