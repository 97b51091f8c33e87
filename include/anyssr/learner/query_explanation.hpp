// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Why a learner sends a query where it does, in words: the rivals of the chosen task, the margin
/// to each, and what pushes towards the one or the other (router/explanation.hpp). Where the
/// backbone names what its features consist of (NamesFeatures), a feature's push is shared out to
/// its parts:
///
///   push of a part = push of its feature * value of the part / value of the feature

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "anyssr/learner/snapshot.hpp"
#include "anyssr/lora/optional_members.hpp"
#include "anyssr/router/explanation.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// A name and its part of a difference of scores.
struct NamedPush {
  std::string name;  ///< of the part, or "feature 17"
  double push = 0;   ///< above 0: towards the chosen task; below: towards the rival
};

struct Rival {
  std::string task;
  double margin = 0;              ///< score of the chosen task minus this one's
  std::vector<NamedPush> pushes;  ///< largest magnitudes first
};

struct QueryExplanation {
  std::string task;  ///< chosen
  RoutingDecision decision;
  std::vector<Rival> rivals;  ///< best first
};

namespace detail {

/// Shares pushes of features out to the named parts.
[[nodiscard]] inline std::vector<NamedPush> named_pushes(const std::vector<FeaturePush>& pushes,
                                                         const std::vector<FeaturePart>& parts) {
  std::map<Index, double> totals;
  for (const FeaturePart& part : parts) totals[part.feature] += part.value;
  std::map<Index, double> push_of;
  for (const FeaturePush& push : pushes) push_of[push.feature] = push.push;
  std::vector<NamedPush> named;
  for (const FeaturePart& part : parts) {
    const auto push = push_of.find(part.feature);
    const double total = totals[part.feature];
    if (push == push_of.end() || total == 0) continue;
    named.push_back({part.name, push->second * part.value / total});
  }
  return named;
}

inline void keep_largest(std::vector<NamedPush>& pushes, Index count) {
  std::stable_sort(pushes.begin(), pushes.end(), [](const NamedPush& a, const NamedPush& b) {
    return std::abs(a.push) > std::abs(b.push);
  });
  if (static_cast<Index>(pushes.size()) > count) pushes.resize(static_cast<std::size_t>(count));
}

}  // namespace detail

/// @param rivals  tasks to compare with, at most
/// @param pushes  names for each, at most
/// @throws what the backbone and explain(table, features) throw
template <AdaptableBackbone B>
[[nodiscard]] QueryExplanation explain(const Snapshot<B>& snapshot, const typename B::Input& query,
                                       Index rivals = 2, Index pushes = 10) {
  detail::expect(pushes >= 0, "pushes is ", pushes, ", expected 0 or more");
  const std::span<const typename B::Input> inputs(&query, 1);
  const auto trunk = snapshot.backbone().trunk(inputs);
  const auto& features = snapshot.backbone().features(trunk);
  std::optional<std::vector<FeaturePart>> parts;
  if (snapshot.table().has_plain_features()) parts = feature_parts_of(snapshot.backbone(), query);
  const Explanation found =
      explain(snapshot.table(), features, rivals, parts ? features.cols() : pushes);
  QueryExplanation result{
      .task = snapshot.tasks()[static_cast<std::size_t>(found.decision.task)].name,
      .decision = found.decision,
      .rivals = {}};
  for (const RivalExplanation& rival : found.rivals) {
    Rival words{.task = snapshot.tasks()[static_cast<std::size_t>(rival.task)].name,
                .margin = rival.margin,
                .pushes = {}};
    if (parts) {
      words.pushes = detail::named_pushes(rival.pushes, *parts);
    } else {
      for (const FeaturePush& push : rival.pushes) {
        const char* const kind = found.of_features ? "feature " : "expanded feature ";
        words.pushes.push_back({kind + std::to_string(push.feature), push.push});
      }
    }
    detail::keep_largest(words.pushes, pushes);
    result.rivals.push_back(std::move(words));
  }
  return result;
}

}  // namespace anyssr::inline ANYSSR_ABI
