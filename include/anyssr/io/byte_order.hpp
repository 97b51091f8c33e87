// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Numbers in files are little-endian: a big-endian host turns them round after reading and before
/// writing, any other host does nothing.

#include <algorithm>
#include <bit>
#include <cstddef>
#include <span>
#include <type_traits>

#include "anyssr/core/abi.hpp"

namespace anyssr::inline ANYSSR_ABI {
namespace detail {

template <class T>
concept Swappable = std::is_arithmetic_v<T>;

/// From the file's byte order to the host's, and back: the same step.
/// @tparam Host  another than this machine's only in tests
template <std::endian Host = std::endian::native, Swappable T>
void swap_if_big_endian(std::span<T> values) noexcept {
  static_assert(Host == std::endian::little || Host == std::endian::big);
  if constexpr (Host == std::endian::big) {
    const std::span<std::byte> bytes = std::as_writable_bytes(values);
    for (std::size_t at = 0; at < bytes.size(); at += sizeof(T)) {
      std::ranges::reverse(bytes.subspan(at, sizeof(T)));
    }
  }
}

}  // namespace detail
}  // namespace anyssr::inline ANYSSR_ABI
