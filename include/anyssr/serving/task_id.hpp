// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// What a task is known by inside the process. Its name may change, and may be given to another
/// task once it is free; its id never is.

#include <atomic>
#include <compare>
#include <cstdint>

#include "anyssr/core/abi.hpp"

namespace anyssr::inline ANYSSR_ABI {

class TaskId {
 public:
  /// An id that no task of this process has or ever had. No result depends on its number.
  [[nodiscard]] static TaskId fresh() noexcept {
    static std::atomic<std::uint64_t> last{0};
    return TaskId(++last);
  }
  friend auto operator<=>(const TaskId&, const TaskId&) noexcept = default;

 private:
  explicit TaskId(std::uint64_t number) noexcept : number_(number) {}
  std::uint64_t number_;
};

}  // namespace anyssr::inline ANYSSR_ABI
