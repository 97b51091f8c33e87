// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Humans say to which tasks queries belong.

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "anyssr/core/types.hpp"

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

namespace detail {

/// The rows of one task that corrections learn or unlearn.
template <class Input>
struct CorrectedTask {
  std::vector<Input> inputs = {};
  std::vector<Index> labels = {};    ///< empty for a task without labels
  std::vector<Index> observed = {};  ///< for the inspector, as learn_task and extend_task do
};

}  // namespace detail

}  // namespace anyssr::inline ANYSSR_ABI
