// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// What the applications share of their command lines and reports.

#include <sys/resource.h>

#include <anyssr/core/error.hpp>
#include <anyssr/subspace/expansion.hpp>
#include <cstdint>
#include <optional>
#include <string>

#include "support/numbers.hpp"

namespace support {

/// "none", "dense:8192" or "hadamard:8192".
inline anyssr::ExpansionOptions parse_expansion(const std::string& text,
                                                const std::string& activation, std::uint64_t seed) {
  anyssr::ExpansionOptions result{.kind = anyssr::ExpansionKind::identity};
  result.activation = anyssr::parse_activation(activation);
  result.seed = seed;
  if (text == "none") return result;
  const std::size_t colon = text.find(':');
  const std::string kind = text.substr(0, colon);
  const auto dim =
      parse_whole<anyssr::Index>(colon == std::string::npos ? "" : text.substr(colon + 1));
  constexpr anyssr::Index most = anyssr::Index{1} << 24;
  if (!dim || *dim < 1 || *dim > most || (kind != "dense" && kind != "hadamard")) {
    throw anyssr::ArgumentError("--expansion is '" + text +
                                "', expected none, dense:D or hadamard:D with D from 1 to " +
                                std::to_string(most));
  }
  result.dim = *dim;
  result.kind = anyssr::parse_expansion_kind(kind);
  return result;
}

/// Refuses a scalar that no run is compiled for.
inline void expect_scalar(const std::string& name) {
  if (name != "float" && name != "double") {
    throw anyssr::ArgumentError("--scalar is '" + name + "', expected float or double");
  }
}

/// Most memory that this process has held so far.
inline std::size_t peak_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::size_t>(usage.ru_maxrss) * 1024;
}

}  // namespace support
