// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Seconds since a moment, for reports.

#include <chrono>

#include "anyssr/core/abi.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// Runs from its construction on, by the steady clock.
class Stopwatch {
 public:
  [[nodiscard]] double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace anyssr::inline ANYSSR_ABI
