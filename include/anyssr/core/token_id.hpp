// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "anyssr/core/abi.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// A token of a language model's vocabulary, counted from 0.
using TokenId = std::int32_t;

}  // namespace anyssr::inline ANYSSR_ABI
