// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Humans say to which tasks queries belong.

#include <optional>
#include <string>
#include <utility>

#include "anyssr/core/abi.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// A human's word on one query.
template <class Input, class Target>
struct Correction {
  Input query;
  std::string right_task;
  std::optional<Target> target = {};  ///< as for learn_task; none: the label that the task gives
  std::optional<std::pair<std::string, Target>> learned_as =
      {};               ///< the task and target with which the query was learned, if it was
  std::string id = {};  ///< the caller's id of the request, for the audit log
};

}  // namespace anyssr::inline ANYSSR_ABI
