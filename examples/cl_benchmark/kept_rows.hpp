// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Which rows of a task are kept for later.

#include <anyssr/core/random.hpp>
#include <map>
#include <vector>

namespace cl_benchmark {

/// At most `most` rows of each answer, drawn at random.
[[nodiscard]] inline std::vector<anyssr::Index> rows_to_keep(
    const std::vector<anyssr::Index>& answers, anyssr::Index most, anyssr::RandomStream& random) {
  std::map<anyssr::Index, anyssr::Index> counts;
  std::vector<anyssr::Index> kept;
  const auto rows = static_cast<anyssr::Index>(answers.size());
  for (const anyssr::Index row : anyssr::random_permutation(rows, random)) {
    if (++counts[answers[static_cast<std::size_t>(row)]] <= most) kept.push_back(row);
  }
  return kept;
}

}  // namespace cl_benchmark
