// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The element types of safetensors files, and which C++ type reads each.
///
///   number   F64 F32 F16 BF16                     converted to float or double
///   integer  I64 U64 I32 U32 I16 U16 I8 U8 BOOL   integer access only
///   opaque   C64 F8_* F6_* F4                     sizes checked, bytes handed out

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "anyssr/core/concepts.hpp"
#include "anyssr/core/enum_names.hpp"
#include "anyssr/core/error.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// Names as in the files.
enum class Dtype : std::uint8_t {
  F64,
  F32,
  F16,
  BF16,
  I64,
  U64,
  I32,
  U32,
  I16,
  U16,
  I8,
  U8,
  BOOL,
  C64,
  F8_E4M3,
  F8_E5M2,
  F8_E8M0,
  F8_E4M3FNUZ,
  F8_E5M2FNUZ,
  F6_E2M3,
  F6_E3M2,
  F4,
};

enum class DtypeKind : std::uint8_t {
  number,   ///< converted to float or double
  integer,  ///< read as integers only
  opaque,   ///< bytes only
};

namespace detail {
template <>
inline constexpr DtypeKind last_enumerator<DtypeKind> = DtypeKind::opaque;
}  // namespace detail

/// @throws ArgumentError  for a value that is no enumerator
[[nodiscard]] constexpr std::string_view to_string(DtypeKind kind) {
  switch (kind) {
    case DtypeKind::number:
      return "number";
    case DtypeKind::integer:
      return "integer";
    case DtypeKind::opaque:
      return "opaque";
  }
  detail::raise_no_enumerator("kind", kind);
}

namespace detail {

struct DtypeRow {
  std::string_view name;
  std::uint8_t bits;
  DtypeKind kind;
};

/// In the order of the enumeration.
inline constexpr std::array<DtypeRow, 22> dtype_table{{
    {"F64", 64, DtypeKind::number},        {"F32", 32, DtypeKind::number},
    {"F16", 16, DtypeKind::number},        {"BF16", 16, DtypeKind::number},
    {"I64", 64, DtypeKind::integer},       {"U64", 64, DtypeKind::integer},
    {"I32", 32, DtypeKind::integer},       {"U32", 32, DtypeKind::integer},
    {"I16", 16, DtypeKind::integer},       {"U16", 16, DtypeKind::integer},
    {"I8", 8, DtypeKind::integer},         {"U8", 8, DtypeKind::integer},
    {"BOOL", 8, DtypeKind::integer},       {"C64", 64, DtypeKind::opaque},
    {"F8_E4M3", 8, DtypeKind::opaque},     {"F8_E5M2", 8, DtypeKind::opaque},
    {"F8_E8M0", 8, DtypeKind::opaque},     {"F8_E4M3FNUZ", 8, DtypeKind::opaque},
    {"F8_E5M2FNUZ", 8, DtypeKind::opaque}, {"F6_E2M3", 6, DtypeKind::opaque},
    {"F6_E3M2", 6, DtypeKind::opaque},     {"F4", 4, DtypeKind::opaque},
}};

[[nodiscard]] constexpr const DtypeRow& row_of(Dtype dtype) noexcept {
  return dtype_table[static_cast<std::size_t>(dtype)];
}

/// The elements that a shape counts.
struct TensorSize {
  std::uint64_t elements = 0;
  std::uint64_t bits = 0;
};

/// Left to right; nothing at the first step that overflows 64 bits, even if a later 0 follows.
[[nodiscard]] inline std::optional<TensorSize> tensor_size(Dtype dtype,
                                                           std::span<const std::uint64_t> shape) {
  constexpr std::uint64_t most = std::numeric_limits<std::uint64_t>::max();
  TensorSize size{.elements = 1, .bits = 0};
  for (const std::uint64_t dimension : shape) {
    if (dimension != 0 && size.elements > most / dimension) return std::nullopt;
    size.elements *= dimension;
  }
  if (size.elements > most / row_of(dtype).bits) return std::nullopt;
  size.bits = size.elements * row_of(dtype).bits;
  return size;
}

/// "[4, 8]"
[[nodiscard]] inline std::string shape_text(std::span<const std::uint64_t> shape) {
  std::string text = "[";
  for (const std::uint64_t dimension : shape) {
    if (text.size() > 1) text += ", ";
    text += std::to_string(dimension);
  }
  return text + "]";
}

inline constexpr std::size_t max_dimensions = 64;

}  // namespace detail

[[nodiscard]] constexpr std::string_view to_string(Dtype dtype) noexcept {
  return detail::row_of(dtype).name;
}
/// Bits of one element: 4, 6, 8, 16, 32 or 64.
[[nodiscard]] constexpr unsigned bits_of(Dtype dtype) noexcept {
  return detail::row_of(dtype).bits;
}
[[nodiscard]] constexpr DtypeKind kind_of(Dtype dtype) noexcept {
  return detail::row_of(dtype).kind;
}

/// The type of that name, in the very letters of the files.
[[nodiscard]] constexpr std::optional<Dtype> find_dtype(std::string_view name) noexcept {
  for (std::size_t i = 0; i < detail::dtype_table.size(); ++i) {
    if (detail::dtype_table[i].name == name) return static_cast<Dtype>(i);
  }
  return std::nullopt;
}

/// The narrowest type that holds every number of both: F32 of F16 and BF16, neither of which holds
/// the other.
/// @param left, right  of DtypeKind::number
[[nodiscard]] constexpr Dtype common_dtype(Dtype left, Dtype right) noexcept {
  if (left == right) return left;
  if (bits_of(left) == bits_of(right)) return Dtype::F32;
  return bits_of(left) > bits_of(right) ? left : right;
}

/// "F64, F32, ..." of one kind or of all, for messages.
[[nodiscard]] inline std::string dtype_names(std::optional<DtypeKind> kind = std::nullopt) {
  std::string names;
  for (const detail::DtypeRow& row : detail::dtype_table) {
    if (kind && row.kind != *kind) continue;
    names += (names.empty() ? "" : ", ") + std::string(row.name);
  }
  return names;
}

/// The integer types of C++, without bool and characters.
template <class T>
concept IntegerScalar = std::same_as<T, signed char> || std::same_as<T, unsigned char> ||
    std::same_as<T, short> || std::same_as<T, unsigned short> || std::same_as<T, int> ||
    std::same_as<T, unsigned> || std::same_as<T, long> || std::same_as<T, unsigned long> ||
    std::same_as<T, long long> || std::same_as<T, unsigned long long>;

/// What a tensor can be written from.
template <class T>
concept TensorScalar = RealScalar<T> || IntegerScalar<T> || std::same_as<T, bool>;

/// The type of file element that holds every T and no more.
template <TensorScalar T>
[[nodiscard]] constexpr Dtype dtype_of() noexcept {
  if constexpr (std::same_as<T, bool>) return Dtype::BOOL;
  if constexpr (std::same_as<T, double>) return Dtype::F64;
  if constexpr (std::same_as<T, float>) return Dtype::F32;
  constexpr bool is_signed = std::numeric_limits<T>::is_signed;
  if constexpr (sizeof(T) == 8) return is_signed ? Dtype::I64 : Dtype::U64;
  if constexpr (sizeof(T) == 4) return is_signed ? Dtype::I32 : Dtype::U32;
  if constexpr (sizeof(T) == 2) return is_signed ? Dtype::I16 : Dtype::U16;
  return is_signed ? Dtype::I8 : Dtype::U8;
}

}  // namespace anyssr::inline ANYSSR_ABI
