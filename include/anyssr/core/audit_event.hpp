// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// What an operator may have to answer for: each decision about a query and each change of the
/// learner, as plain values that live as long as the call that hands them over. Whoever keeps them
/// (io/audit_log.hpp, or a callable of the user's) is an AuditSink.

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string_view>
#include <variant>

#include "anyssr/core/types.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// A task and its score, largest first in a list.
struct ScoredTask {
  std::string_view task;
  double score = 0;
};

/// A decision about one query.
struct RouteEvent {
  std::uint64_t changes = 0;             ///< of the learner (Snapshot::changes)
  std::uint64_t router_digest = 0;       ///< of the weights that decided; 0: not known
  std::string_view query = {};           ///< the caller's id of the request; empty: none
  std::string_view task = {};            ///< empty: none was chosen
  std::string_view outcome = {};         ///< routed, blend, fallback or review
  double confidence = 0;                 ///< 0..1
  double margin = 0;                     ///< best score minus second best
  std::optional<double> novelty = {};    ///< where it was asked for
  std::span<const ScoredTask> top = {};  ///< at most 5
  std::string_view policy = {};          ///< name of the policy that decided
  std::string_view input = {};           ///< the query as bytes, for a digest; empty: none
};

/// A change of the learner. Fields that an event does not have stay empty.
struct ChangeEvent {
  /// learn, extend, remove, archive, restore, rename, freeze, unfreeze, replace, correct, confirm,
  /// consolidate, merge_tasks, commit, undo, absorb, set_ridge; or a word of the caller's
  std::string_view event = {};
  std::uint64_t changes = 0;
  std::uint64_t router_digest = 0;
  std::string_view query = {};  ///< the caller's id of a request that a human decided
  std::string_view task = {};
  std::string_view source = {};  ///< the (first) task of a merge, the old name of a rename, the
                                 ///< wrong task of a correction
  std::string_view second_source = {};  ///< the other task of a merge
  std::optional<Index> rows = {};
  std::optional<double> seconds = {};
  std::optional<std::uint64_t> adapter_bytes = {};
};

using AuditEvent = std::variant<RouteEvent, ChangeEvent>;

/// Takes every event, from any thread. It throws nothing: a failed write never fails a prediction.
using AuditSink = std::function<void(const AuditEvent&)>;

}  // namespace anyssr::inline ANYSSR_ABI
