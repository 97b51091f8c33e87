// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// What a caller hangs into a learner that serves: audit log, review queue, fallback; and what a
/// call of predict may say about its queries.

#include <functional>
#include <memory>
#include <span>
#include <string>

#include "anyssr/core/audit_event.hpp"
#include "anyssr/router/routing_decision.hpp"
#include "anyssr/serving/review_queue.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// Whom a learner tells of what it does. All are called from the threads that predict.
template <class Input, class Output>
struct ServingHooks {
  AuditSink audit = {};                              ///< every decision and every change
  std::shared_ptr<ReviewQueue<Input>> reviews = {};  ///< gets what the policy sends to review
  std::function<Output(const Input&, const RoutingDecision&)> fallback =
      {};  ///< answers for FallbackKind::caller
  std::function<std::string(const Input&)> to_bytes =
      {};  ///< a query for the audit log's digest; empty: none is given
};

/// Beside the queries of one call.
struct QueryContext {
  std::span<const std::string> ids = {};  ///< the caller's, one a query, for log and review
};

}  // namespace anyssr::inline ANYSSR_ABI
