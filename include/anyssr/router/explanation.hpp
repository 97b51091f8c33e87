// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Why a query goes where it goes: the runner-up tasks, the margin that separates them, and what
/// pushes towards each. Scores are linear in the expanded features h,
///
///   score(a) - score(b) = sum_j h_j (w_a - w_b)_j,     w_t = task column + w * best label column
///
/// so each feature's share of the margin is exact.
/// Source: ours.

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "anyssr/router/routing_table.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// A feature's part of a difference of scores.
struct FeaturePush {
  Index feature = 0;  ///< column of the features, or of the expanded ones
  double push = 0;    ///< above 0: towards the chosen task; below: towards the rival
};

/// What separates the chosen task from another.
struct RivalExplanation {
  Index task = -1;
  double margin = 0;                ///< score of the chosen task minus this one's
  std::vector<FeaturePush> pushes;  ///< largest magnitudes first
};

struct Explanation {
  RoutingDecision decision;
  std::vector<RivalExplanation> rivals;  ///< best first
  bool of_features = true;  ///< pushes name the features themselves, else expanded ones
};

namespace detail {

/// Column weights whose product with h is the score of a task for this query.
template <RealScalar S, class Raw>
[[nodiscard]] Vector<double> score_weights(const RoutingTable<S>& table, Index number,
                                           const Raw& raw) {
  const RoutedTask& task = table.tasks()[static_cast<std::size_t>(number)];
  Vector<double> own = table.weights().col(task.column).template cast<double>();
  for (const Index column : task.further_columns) {
    own += table.weights().col(column).template cast<double>();
  }
  if (task.label_columns.empty()) return (1 + table.label_weight()) * own;
  Index best = task.label_columns.front();
  for (const Index column : task.label_columns) {
    if (raw(column) > raw(best)) best = column;
  }
  return own + table.label_weight() * table.weights().col(best).template cast<double>();
}

template <class H>
[[nodiscard]] std::vector<FeaturePush> largest_pushes(const H& h, const Vector<double>& difference,
                                                      Index count) {
  std::vector<FeaturePush> pushes;
  const auto add = [&](Index j, double value) {
    const double push = value * difference(j);
    if (push != 0) pushes.push_back({j, push});
  };
  if constexpr (SparseFeatures<H>) {
    for (typename H::InnerIterator it(h, 0); it; ++it) {
      add(it.index(), static_cast<double>(it.value()));
    }
  } else {
    for (Index j = 0; j < h.cols(); ++j) add(j, static_cast<double>(h(0, j)));
  }
  const auto kept = std::min(pushes.size(), static_cast<std::size_t>(count));
  std::partial_sort(pushes.begin(), pushes.begin() + static_cast<std::ptrdiff_t>(kept),
                    pushes.end(), [](const FeaturePush& a, const FeaturePush& b) {
                      const double x = std::abs(a.push);
                      const double y = std::abs(b.push);
                      return x > y || (x == y && a.feature < b.feature);
                    });
  pushes.resize(kept);
  return pushes;
}

}  // namespace detail

/// @param features  1 x feature_dim(), dense or row-major sparse
/// @param rivals    tasks to compare with, at most; 0: none
/// @param pushes    features named for each, at most
/// @throws as RoutingTable::decide; ArgumentError  for a count below 0
/// Cost: a decision, and d numbers a rival.
template <RealScalar S, FeatureMatrix<S> X>
[[nodiscard]] Explanation explain(const RoutingTable<S>& table, const X& features, Index rivals = 2,
                                  Index pushes = 10) {
  detail::expect(rivals >= 0, "rivals is ", rivals, ", expected 0 or more");
  detail::expect(pushes >= 0, "pushes is ", pushes, ", expected 0 or more");
  RoutingWorkspace<S> workspace;
  Explanation result;
  table.decide(features, workspace, result.decision);
  result.of_features = table.has_plain_features();
  std::vector<Index> order;
  for (Index t = 0; t < result.decision.scores.size(); ++t) {
    if (t != result.decision.task && detail::is_finite(result.decision.scores(t)))
      order.push_back(t);
  }
  std::sort(order.begin(), order.end(), [&](Index a, Index b) {
    return result.decision.scores(a) > result.decision.scores(b);
  });
  order.resize(std::min(order.size(), static_cast<std::size_t>(rivals)));
  const RowVector<S> raw = workspace.raw.row(0);
  const Vector<double> chosen = detail::score_weights(table, result.decision.task, raw);
  table.visit_expanded(features, workspace, [&](const auto& h) {
    for (const Index t : order) {
      const Vector<double> difference = chosen - detail::score_weights(table, t, raw);
      result.rivals.push_back(
          {.task = t,
           .margin = result.decision.scores(result.decision.task) - result.decision.scores(t),
           .pushes = detail::largest_pushes(h, difference, pushes)});
    }
  });
  return result;
}

}  // namespace anyssr::inline ANYSSR_ABI
