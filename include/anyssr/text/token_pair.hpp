// SPDX-License-Identifier: MIT
#pragma once

#include <vector>

#include "anyssr/core/token_id.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// The ids of two texts, with the text that each belongs to.
struct TokenPair {
  std::vector<TokenId> ids;
  std::vector<TokenId> types;  ///< one per id, by the tokenizer's template: mostly 0 and 1
};

}  // namespace anyssr::inline ANYSSR_ABI
