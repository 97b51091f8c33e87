// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The frozen weight W (out x in) of a linear layer, kept in the type of its file and widened where
/// it is used, and its products with rows of activations:
///
///   Y = X W^T        dX += dY W
///
/// A BF16 weight of N numbers takes 2 N bytes. One owner a tile of Y and a fixed order inside: the
/// same bits for any number of threads.

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <utility>

#include "anyssr/core/concepts.hpp"
#include "anyssr/core/error.hpp"
#include "anyssr/core/threads.hpp"
#include "anyssr/io/byte_order.hpp"
#include "anyssr/io/dtype.hpp"
#include "anyssr/io/half.hpp"

namespace anyssr::inline v0 {
namespace detail {

/// Numbers of 16 bits as they stand in memory.
struct F16Bits {
  std::uint16_t bits;
  [[nodiscard]] float value() const noexcept { return from_f16(bits); }
};
struct Bf16Bits {
  std::uint16_t bits;
  [[nodiscard]] float value() const noexcept { return from_bf16(bits); }
};

template <class T, RealScalar S>
[[nodiscard]] S widened(T number) noexcept {
  if constexpr (std::is_class_v<T>) {
    return static_cast<S>(number.value());
  } else {
    return static_cast<S>(number);
  }
}

}  // namespace detail

/// A frozen matrix of F64, F32, F16 or BF16. Copies share the numbers.
class WeightMatrix {
 public:
  WeightMatrix() = default;

  /// @param bytes  rows x cols numbers, row-major, little-endian; used in place where they are
  ///               aligned for their type and the host is little-endian, else copied
  /// @param owner  keeps `bytes` alive
  /// @throws ArgumentError  for another type of number or a negative size
  /// @throws ShapeError     where `bytes` has another size
  WeightMatrix(Dtype dtype, Index rows, Index cols, std::span<const std::byte> bytes,
               std::shared_ptr<const void> owner)
      : dtype_(dtype), rows_(rows), cols_(cols) {
    check(dtype, rows, cols);
    if (bytes.size() != this->bytes()) {
      detail::raise<ShapeError>("weight has ", bytes.size(), " bytes, expected ", this->bytes(),
                                " of ", rows, " x ", cols, " ", name_of(dtype));
    }
    const std::size_t size = bits_of(dtype) / 8;
    const bool is_aligned = reinterpret_cast<std::uintptr_t>(bytes.data()) % size == 0;
    if (is_aligned && std::endian::native == std::endian::little) {
      data_ = bytes.data();
      owner_ = std::move(owner);
      return;
    }
    std::byte* const copy = allocate();
    std::copy(bytes.begin(), bytes.end(), copy);
    if constexpr (std::endian::native == std::endian::big) {
      for (std::size_t at = 0; at < bytes.size(); at += size) {
        std::reverse(copy + at, copy + at + size);
      }
    }
  }

  /// Rounds `values` to `dtype` in memory of its own.
  /// @throws ArgumentError  for another type of number
  template <RealScalar S>
  [[nodiscard]] static WeightMatrix of(const RowMajorMatrix<S>& values, Dtype dtype) {
    check(dtype, values.rows(), values.cols());
    WeightMatrix made;
    made.dtype_ = dtype;
    made.rows_ = values.rows();
    made.cols_ = values.cols();
    std::byte* to = made.allocate();
    const auto put = [&](auto number) {
      std::memcpy(to, &number, sizeof(number));
      to += sizeof(number);
    };
    for (Index i = 0; i < values.size(); ++i) {
      const S value = values.data()[i];
      if (dtype == Dtype::F64) put(static_cast<double>(value));
      if (dtype == Dtype::F32) put(static_cast<float>(value));
      if (dtype == Dtype::F16) put(to_f16(value));
      if (dtype == Dtype::BF16) put(to_bf16(value));
    }
    return made;
  }

  [[nodiscard]] Index rows() const noexcept { return rows_; }
  [[nodiscard]] Index cols() const noexcept { return cols_; }
  [[nodiscard]] Dtype dtype() const noexcept { return dtype_; }
  [[nodiscard]] bool empty() const noexcept { return rows_ == 0 || cols_ == 0; }
  [[nodiscard]] std::size_t bytes() const noexcept {
    return static_cast<std::size_t>(rows_ * cols_) * (bits_of(dtype_) / 8);
  }
  /// The numbers in the host's byte order, aligned for their type.
  [[nodiscard]] std::span<const std::byte> data() const noexcept { return {data_, bytes()}; }

  /// Row i, widened, to cols() numbers at `out`.
  /// @throws ArgumentError  where there is no such row
  template <RealScalar S>
  void row(Index i, S* out) const {
    detail::expect(i >= 0 && i < rows_, "row is ", i, ", expected 0..", rows_ - 1);
    visit([&](const auto* numbers) {
      using T = std::remove_cvref_t<decltype(*numbers)>;
      for (Index j = 0; j < cols_; ++j) out[j] = detail::widened<T, S>(numbers[i * cols_ + j]);
    });
  }

  /// The whole matrix, widened.
  template <RealScalar S>
  [[nodiscard]] RowMajorMatrix<S> dense() const {
    RowMajorMatrix<S> all(rows_, cols_);
    for (Index i = 0; i < rows_; ++i) row(i, all.row(i).data());
    return all;
  }

  /// Whether no number is NaN or infinite.
  [[nodiscard]] bool is_finite() const {
    bool finite = true;
    visit([&](const auto* numbers) {
      using T = std::remove_cvref_t<decltype(*numbers)>;
      for (Index i = 0; i < rows_ * cols_; ++i) {
        finite = finite && std::isfinite(detail::widened<T, double>(numbers[i]));
      }
    });
    return finite;
  }

 private:
  static void check(Dtype dtype, Index rows, Index cols) {
    detail::expect(kind_of(dtype) == DtypeKind::number, "weight is of type ", name_of(dtype),
                   ", expected ", dtype_names(DtypeKind::number));
    detail::expect(rows >= 0 && cols >= 0, "weight is ", rows, " x ", cols,
                   ", expected no negative size");
  }
  [[nodiscard]] std::byte* allocate() {
    const std::shared_ptr<std::byte[]> own(new std::byte[bytes()]);  // aligned for any number
    data_ = own.get();
    owner_ = own;
    return own.get();
  }
  template <class Body>
  void visit(const Body& body) const {
    switch (dtype_) {
      case Dtype::F64:
        return body(reinterpret_cast<const double*>(data_));
      case Dtype::F32:
        return body(reinterpret_cast<const float*>(data_));
      case Dtype::F16:
        return body(reinterpret_cast<const detail::F16Bits*>(data_));
      default:
        return body(reinterpret_cast<const detail::Bf16Bits*>(data_));
    }
  }

  Dtype dtype_ = Dtype::F32;
  Index rows_ = 0;
  Index cols_ = 0;
  const std::byte* data_ = nullptr;    // rows_ * cols_ numbers of dtype_
  std::shared_ptr<const void> owner_;  // of data_
};

namespace detail {

template <class X, class Y>
void expect_product(std::string_view in_name, const X& in, std::string_view out_name, const Y& out,
                    Index in_cols, Index out_cols) {
  expect_cols(in_name, in, in_cols);
  if (out.rows() != in.rows() || out.cols() != out_cols) {
    raise<ShapeError>(out_name, " are ", out.rows(), " x ", out.cols(), ", expected ", in.rows(),
                      " x ", out_cols);
  }
}

}  // namespace detail

/// Y = X W^T, or Y += X W^T where `add`.
/// @param x  n x w.cols()
/// @param y  n x w.rows(), no part of x
/// @param threads  0: the hardware's
/// @throws ShapeError  before y changes
template <RealScalar S>
void multiply(const Eigen::Ref<const RowMajorMatrix<S>>& x, const WeightMatrix& w,
              Eigen::Ref<RowMajorMatrix<S>> y, int threads, bool add = false) {
  detail::expect_product("x", x, "y", y, w.cols(), w.rows());
  (void)resolve_threads(threads);
  if (!add) y.setZero();
  y.noalias() += x * w.dense<S>().transpose();
}

/// Y_i = X W_i^T for several weights in one parallel region.
/// @param y  one a weight, n x w[i]->rows()
/// @throws ShapeError  before any y changes
template <RealScalar S>
void multiply_all(const Eigen::Ref<const RowMajorMatrix<S>>& x,
                  std::span<const WeightMatrix* const> w,
                  std::span<Eigen::Ref<RowMajorMatrix<S>>> y, int threads) {
  detail::expect<ShapeError>(w.size() == y.size(), "y are ", y.size(), " matrices, expected ",
                             w.size(), ", one a weight");
  for (std::size_t i = 0; i < w.size(); ++i) {
    detail::expect_product("x", x, "y", y[i], w[i]->cols(), w[i]->rows());
  }
  for (std::size_t i = 0; i < w.size(); ++i) multiply<S>(x, *w[i], y[i], threads);
}

/// dX += dY W.
/// @param dy  n x w.rows()
/// @param dx  n x w.cols()
/// @throws ShapeError  before dx changes
template <RealScalar S>
void multiply_back(const Eigen::Ref<const RowMajorMatrix<S>>& dy, const WeightMatrix& w,
                   Eigen::Ref<RowMajorMatrix<S>> dx, int threads) {
  detail::expect_product("dy", dy, "dx", dx, w.rows(), w.cols());
  (void)resolve_threads(threads);
  dx.noalias() += dy * w.dense<S>();
}

}  // namespace anyssr::inline v0
