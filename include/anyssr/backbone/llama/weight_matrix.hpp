// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The frozen weight W (out x in) of a linear layer, kept in the type of its file and widened where
/// it is used. A BF16 weight of N numbers takes 2 N bytes. Its products: weight_product.hpp.

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>

#include "anyssr/backbone/llama/weight_kernels.hpp"
#include "anyssr/core/concepts.hpp"
#include "anyssr/core/error.hpp"
#include "anyssr/io/byte_order.hpp"
#include "anyssr/io/dtype.hpp"
#include "anyssr/io/half.hpp"

namespace anyssr::inline ANYSSR_ABI {

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
    const std::array shape{static_cast<std::uint64_t>(rows), static_cast<std::uint64_t>(cols)};
    const std::optional<detail::TensorSize> expected = detail::tensor_size(dtype, shape);
    if (!expected || bytes.size() != expected->bits / 8) {
      detail::raise<ShapeError>("weight has ", bytes.size(), " bytes, expected ", rows, " x ", cols,
                                " ", to_string(dtype));
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
    visit([&](const auto* numbers) { detail::widen(numbers + i * cols_, cols_, out); });
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
      if constexpr (RealScalar<T>) {
        finite = detail::are_finite(numbers, rows_ * cols_);
      } else {
        for (Index i = 0; finite && i < rows_ * cols_; ++i) {
          finite = (numbers[i].bits & T::exponent) != T::exponent;
        }
      }
    });
    return finite;
  }

  /// Calls body with a pointer to the numbers: double, float, detail::F16Bits or detail::Bf16Bits.
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

 private:
  static void check(Dtype dtype, Index rows, Index cols) {
    detail::expect(kind_of(dtype) == DtypeKind::number, "weight is of type ", to_string(dtype),
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

  Dtype dtype_ = Dtype::F32;
  Index rows_ = 0;
  Index cols_ = 0;
  const std::byte* data_ = nullptr;    // rows_ * cols_ numbers of dtype_
  std::shared_ptr<const void> owner_;  // of data_
};

}  // namespace anyssr::inline ANYSSR_ABI
