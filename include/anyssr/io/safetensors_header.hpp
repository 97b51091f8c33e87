// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// What the header of a safetensors file says: which tensors the file holds, of what type and
/// shape, and where.
///
///   {"__metadata__": {"format": "pt"},
///    "weights": {"dtype": "F32", "shape": [4, 8], "data_offsets": [0, 128]}}

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "anyssr/io/dtype.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// What the header says of one tensor.
struct TensorInfo {
  std::string name;
  Dtype dtype = Dtype::F32;
  std::vector<std::uint64_t> shape;  ///< [] is a scalar; a dimension 0 holds no bytes
  std::uint64_t begin = 0;           ///< first byte, counted from the start of the data
  std::uint64_t end = 0;             ///< one past the last byte

  [[nodiscard]] std::uint64_t bytes() const noexcept { return end - begin; }
  [[nodiscard]] std::uint64_t elements() const noexcept { return bytes() * 8 / bits_of(dtype); }
};

struct SafetensorsHeader {
  std::vector<TensorInfo> tensors;              ///< in the order of their bytes
  std::vector<std::size_t> by_name;             ///< numbers of `tensors`, sorted by name
  std::map<std::string, std::string> metadata;  ///< `__metadata__`

  /// Null where there is none of that name.  Cost: O(log tensors).
  [[nodiscard]] const TensorInfo* find(std::string_view name) const {
    const auto found = std::lower_bound(
        by_name.begin(), by_name.end(), name,
        [&](std::size_t i, std::string_view wanted) { return tensors[i].name < wanted; });
    if (found == by_name.end() || tensors[*found].name != name) return nullptr;
    return &tensors[*found];
  }
};

namespace detail {

inline constexpr std::string_view metadata_key = "__metadata__";
inline constexpr std::uint64_t max_header_bytes = 100'000'000;

}  // namespace detail
}  // namespace anyssr::inline ANYSSR_ABI
