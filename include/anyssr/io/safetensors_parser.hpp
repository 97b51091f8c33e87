// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// From the bytes of a safetensors header to what it says. What passes describes the data without a
/// gap, an overlap or a byte too many.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "anyssr/core/error.hpp"
#include "anyssr/io/guarded_json.hpp"
#include "anyssr/io/safetensors_events.hpp"
#include "anyssr/io/safetensors_header.hpp"
#include "anyssr/io/utf8.hpp"

namespace anyssr::inline ANYSSR_ABI {
namespace detail {

/// UTF-8, the first byte and NUL: what the parser would not see. Positions count from 1.
inline void expect_header_bytes(std::string_view text, std::string_view file) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  expect<FormatError>(first != std::string_view::npos, file, ": the header has ", text.size(),
                      " bytes and no JSON in them, expected '{'");
  if (text[first] != '{') {
    raise<FormatError>(file, ": the header begins with byte ", byte_text(text[first]),
                       ", expected '{' (0x7B)");
  }
  const std::size_t nul = text.find('\0');
  expect<FormatError>(nul == std::string_view::npos, file, ": a NUL byte at byte ", nul + 1,
                      " of the header");
  const std::size_t broken = find_invalid_utf8(text);
  if (broken == std::string_view::npos) return;
  raise<FormatError>(file, ": byte ", byte_text(text[broken]), " at byte ", broken + 1,
                     " of the header, expected UTF-8");
}

/// Fills by_name and refuses a name that stands there twice.
inline void index_names(SafetensorsHeader& header, std::string_view file) {
  const std::vector<TensorInfo>& tensors = header.tensors;
  std::vector<std::size_t>& order = header.by_name;
  order.resize(tensors.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return tensors[a].name < tensors[b].name; });
  const auto twice = std::adjacent_find(order.begin(), order.end(), [&](auto a, auto b) {
    return tensors[a].name == tensors[b].name;
  });
  if (twice == order.end()) return;
  raise<FormatError>(file, ": header: the key ", in_quotes(tensors[*twice].name),
                     " stands there twice");
}

/// Refuses holes, overlaps and bytes of no tensor. Tensors come in the order of their bytes.
inline void expect_no_gap(const std::vector<TensorInfo>& tensors, std::uint64_t data_bytes,
                          std::string_view file) {
  const auto place = [](const TensorInfo& tensor) {
    return concat(in_quotes(tensor.name), " at [", tensor.begin, ", ", tensor.end, "]");
  };
  std::uint64_t end = 0;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    if (tensors[i].begin != end) {
      raise<FormatError>(file, ": ", place(tensors[i]),
                         i == 0 ? " comes first" : " comes after " + place(tensors[i - 1]),
                         ", expected to begin at ", end);
    }
    end = tensors[i].end;
  }
  expect<FormatError>(end == data_bytes, file, ": the tensors end at byte ", end,
                      " of the data, expected ", data_bytes, ", where the file ends");
}

}  // namespace detail

/// @param text        the header, padding included
/// @param data_bytes  bytes of the file behind the header
/// @param file        for the messages
/// @throws FormatError  where it breaks a rule of the format
/// Cost: O(n log n) time in the bytes of the header, memory in proportion to them.
[[nodiscard]] inline SafetensorsHeader parse_safetensors_header(std::string_view text,
                                                                std::uint64_t data_bytes,
                                                                std::string_view file) {
  detail::expect_header_bytes(text, file);
  SafetensorsHeader header;
  detail::SafetensorsEvents events(file, text, header);
  (void)Json::sax_parse(text, &events);  // throws or is true
  std::sort(header.tensors.begin(), header.tensors.end(),
            [](const TensorInfo& a, const TensorInfo& b) {
              return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
            });
  detail::index_names(header, file);
  detail::expect_no_gap(header.tensors, data_bytes, file);
  return header;
}

}  // namespace anyssr::inline ANYSSR_ABI
