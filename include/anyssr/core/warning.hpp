// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Warnings: what may be a mistake and harms no number, such as a key of a config that has no
/// effect. The caller says where they go; the library prints nothing and keeps no global state.

#include <functional>
#include <string>

#include "anyssr/core/error.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// Called with one sentence per warning, which names the file and the key, on the thread of the
/// call that finds it. Empty: warnings are dropped.
using WarningSink = std::function<void(const std::string& message)>;

namespace detail {

template <class... Parts>
void warn(const WarningSink& sink, const Parts&... parts) {
  if (sink) sink(concat(parts...));
}

}  // namespace detail
}  // namespace anyssr::inline ANYSSR_ABI
