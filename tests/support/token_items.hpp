// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Items of a task of token ids: prompts of a few tokens, each answered by the first of them.

#include <nlohmann/json.hpp>
#include <string>

namespace anyssr::test {

/// JSON lines of {"prompt", "answer"}; tasks with other tokens are told apart by them.
/// @param first  the least token of the task, which is the answer
inline std::string token_items(int first, int count) {
  std::string lines;
  for (int i = 0; i < count; ++i) {
    nlohmann::json prompt{1};
    for (int j = 0; j < 3 + i % 3; ++j) prompt.push_back(first + (i + j * (1 + i / 4)) % 4);
    lines += nlohmann::json{{"prompt", prompt}, {"answer", {first}}}.dump() + "\n";
  }
  return lines;
}

}  // namespace anyssr::test
