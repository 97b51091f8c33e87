// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// How fast all threads together read memory that is in no cache.

#include <algorithm>
#include <cstddef>

#include "anyssr/core/threads.hpp"
#include "anyssr/core/types.hpp"

namespace bench {

/// A buffer far larger than caches, to be summed.
class ReadBuffer {
 public:
  explicit ReadBuffer(std::size_t bytes)
      : numbers_(anyssr::Vector<float>::Ones(static_cast<Eigen::Index>(bytes / sizeof(float)))) {}
  [[nodiscard]] std::size_t bytes() const {
    return static_cast<std::size_t>(numbers_.size()) * sizeof(float);
  }

  /// Reads all of it once, in slices that threads take one after another.
  /// @return its sum, so that no compiler leaves the reading out
  [[nodiscard]] float read() const {
    constexpr Eigen::Index slice = Eigen::Index{1} << 18;  // of 1 MiB
    const Eigen::Index count = (numbers_.size() + slice - 1) / slice;
    anyssr::Vector<float> sums(count);
    anyssr::parallel_for(0, count, [&](Eigen::Index i) {
      const Eigen::Index begin = i * slice;
      sums[i] = numbers_.segment(begin, std::min(slice, numbers_.size() - begin)).sum();
    });
    return sums.sum();
  }

 private:
  anyssr::Vector<float> numbers_;
};

}  // namespace bench
