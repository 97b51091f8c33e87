// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// What the router says of one query.
/// Source: ours.

#include <cstdint>
#include <optional>
#include <string_view>

#include "anyssr/core/enum_names.hpp"
#include "anyssr/core/types.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// What becomes of a query.
enum class RoutingOutcome : std::uint8_t {
  routed,    ///< the adapter of the chosen task answers
  blend,     ///< the two best adapters answer together
  fallback,  ///< the base model, a default task or the caller answers
  review     ///< a human decides
};

namespace detail {
template <>
inline constexpr RoutingOutcome last_enumerator<RoutingOutcome> = RoutingOutcome::review;
}  // namespace detail

/// @throws ArgumentError  for a value that is no enumerator
[[nodiscard]] constexpr std::string_view to_string(RoutingOutcome outcome) {
  switch (outcome) {
    case RoutingOutcome::routed:
      return "routed";
    case RoutingOutcome::blend:
      return "blend";
    case RoutingOutcome::fallback:
      return "fallback";
    case RoutingOutcome::review:
      return "review";
  }
  detail::raise_no_enumerator("outcome", outcome);
}

/// A decision about one query. It is meant to be used again for the next query: `scores` keeps its
/// memory.
struct RoutingDecision {
  Index task = -1;       ///< row of the task table; -1 before the first decision
  Index runner_up = -1;  ///< second best task; -1 where there is one task only
  Vector<double> scores =
      {};                 ///< one a task; near 1 + label_weight for the query's owner, else near 0
  double margin = 0;      ///< best score minus second best (0 stands for a missing second)
  double confidence = 0;  ///< calibrated probability that `task` is right, 0..1
  std::optional<double> novelty =
      {};  ///< larger is less like anything learned; set where it was asked for
  RoutingOutcome outcome = RoutingOutcome::routed;
};

}  // namespace anyssr::inline ANYSSR_ABI
