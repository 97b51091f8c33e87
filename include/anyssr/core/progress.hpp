// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Progress and cancellation of long work: a callback that is told how far the work is and that may
/// stop it.

#include <functional>
#include <string_view>

#include "anyssr/core/error.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// How far a piece of work is.
struct Progress {
  std::string_view stage;   ///< "features", "train", "router", ...; valid during the call only
  Index done = 0;           ///< steps done, 0..total
  Index total = 0;          ///< steps in all
  double loss = 0;          ///< current mean training loss; 0 where there is none
  double seconds_left = 0;  ///< estimate from the steps so far; 0 where unknown
  double per_second = 0;    ///< work a second (a language model: tokens); 0 where unknown
};

/// Called between steps. Returning false cancels the work: it throws Cancelled and changes nothing.
using ProgressCallback = std::function<bool(const Progress&)>;

namespace detail {

inline void report(const ProgressCallback& callback, const Progress& progress) {
  if (callback && !callback(progress)) {
    raise<Cancelled>("cancelled by the progress callback in stage '", progress.stage, "' after ",
                     progress.done, " of ", progress.total, " steps; nothing was changed");
  }
}

}  // namespace detail
}  // namespace anyssr::inline ANYSSR_ABI
