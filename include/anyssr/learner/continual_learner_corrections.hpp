// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// How a ContinualLearner learns from corrections and reviews.

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "anyssr/learner/continual_learner.hpp"

namespace anyssr::inline ANYSSR_ABI {

template <Backbone B>
void ContinualLearner<B>::check_target(const Correction<Input, Target>& correction) const {
  if constexpr (ChecksTargets<Adaptable>) {
    if (!correction.target) return;
    backbone_->check_targets(std::span<const Target>(&*correction.target, 1),
                             *published_.load()->adapter(correction.right_task));
  }
}

/// Adds a query with its label within the task; where none is given, with the task's own best.
template <Backbone B>
void ContinualLearner<B>::add_row(const std::string& task, const Input& query,
                                  const std::optional<Target>& target, CorrectedRows& to) const {
  detail::CorrectedTask<Input>& rows = to[task];
  rows.inputs.push_back(query);
  const bool labelled = !task_named(task).label_columns.empty();
  std::vector<Index> label;
  if (target && (labelled || !options_.router.label_columns)) {
    label = labels(std::span<const Target>(&*target, 1));
  } else if (labelled) {
    const auto features = backbone_->features(std::span(&query, 1));
    expect_features(features, 1);
    label = {router_.best_label(task, features)};
  }
  rows.observed.insert(rows.observed.end(), label.begin(), label.end());
  if (labelled) rows.labels.push_back(label.at(0));
}

/// Calls learn(task, features, labels) with the rows of each task, and says what they add up to.
template <Backbone B>
template <class Learn>
void ContinualLearner<B>::count_rows(CorrectedRows& rows, std::vector<detail::WatchedRows>& counted,
                                     const Learn& learn) const {
  for (auto& [task, own] : rows) {
    const auto features = backbone_->features(own.inputs);
    expect_features(features, own.inputs.size());
    const std::size_t place = place_of(task);
    counted.push_back({.task = place,
                       .sums = watched_sums(features, own.observed),
                       .rows_before = router_.tasks()[place].rows});
    learn(task, features, own.labels);
  }
}

template <Backbone B>
void ContinualLearner<B>::correct(std::span<const Correction<Input, Target>> corrections) {
  detail::expect<ShapeError>(!corrections.empty(), "corrections are empty, expected at least 1");
  CorrectedRows learned;
  CorrectedRows unlearned;
  for (const Correction<Input, Target>& correction : corrections) {
    expect_known(correction.right_task);
    check_target(correction);
    add_row(correction.right_task, correction.query, correction.target, learned);
    if (!correction.learned_as) continue;
    const auto& [wrong_task, target] = *correction.learned_as;
    expect_known(wrong_task);
    add_row(wrong_task, correction.query, target, unlearned);
  }
  std::vector<detail::WatchedRows> taken;
  std::vector<detail::WatchedRows> added;
  Records next = records();
  if (learned.size() == 1 && unlearned.empty()) {  // needs no copy of the router
    count_rows(learned, added, [&](const auto& task, const auto& features, const auto& rows) {
      next.corrected(taken, added);
      commit(std::move(next), [&] { (void)router_.extend(task, features, rows); });
    });
  } else {
    AnalyticRouter<Scalar> router = router_;
    count_rows(unlearned, taken, [&](const auto& task, const auto& features, const auto& rows) {
      router.unlearn(task, features, rows);
    });
    count_rows(learned, added, [&](const auto& task, const auto& features, const auto& rows) {
      (void)router.extend(task, features, rows);
    });
    next.corrected(std::move(taken), std::move(added));
    commit(std::move(next), [&] { router_ = std::move(router); });
  }
  for (const Correction<Input, Target>& correction : corrections) {
    tell({.event = "correct",
          .query = correction.id,
          .task = correction.right_task,
          .source = correction.learned_as ? std::string_view(correction.learned_as->first)
                                          : std::string_view(),
          .rows = 1});
  }
}

template <Backbone B>
void ContinualLearner<B>::correct(const Input& query, std::string_view right_task,
                                  const std::optional<Target>& target,
                                  const std::optional<std::pair<std::string, Target>>& learned_as) {
  const Correction<Input, Target> correction{.query = query,
                                             .right_task = std::string(right_task),
                                             .target = target,
                                             .learned_as = learned_as};
  correct(std::span(&correction, 1));
}

template <Backbone B>
ReviewQueue<typename ContinualLearner<B>::Input>& ContinualLearner<B>::queue() const {
  detail::expect(hooks_.reviews != nullptr, "there is no review queue: set ServingHooks::reviews");
  return *hooks_.reviews;
}

template <Backbone B>
ReviewedItem<typename ContinualLearner<B>::Input> ContinualLearner<B>::confirm_review(
    std::uint64_t request) {
  ReviewedItem<Input> reviewed = queue().confirm(request);
  tell({.event = "confirm", .query = reviewed.item.query, .task = reviewed.task});
  return reviewed;
}

template <Backbone B>
ReviewedItem<typename ContinualLearner<B>::Input> ContinualLearner<B>::correct_review(
    std::uint64_t request, std::string_view right_task, const std::optional<Target>& target) {
  const ReviewItem<Input> item = queue().find(request);
  const Correction<Input, Target> correction{.query = item.input,
                                             .right_task = std::string(right_task),
                                             .target = target,
                                             .id = item.query};
  correct(std::span(&correction, 1));
  (void)queue().drop(request);  // another thread may have resolved it meanwhile
  return {.item = item,
          .task = correction.right_task,
          .is_corrected = correction.right_task != item.task};
}

template <Backbone B>
void ContinualLearner<B>::correct_reviews(const std::map<std::uint64_t, std::string>& right_tasks) {
  std::vector<Correction<Input, Target>> corrections;
  for (const auto& [request, task] : right_tasks) {
    ReviewItem<Input> item = queue().find(request);
    corrections.push_back(
        {.query = std::move(item.input), .right_task = task, .id = std::move(item.query)});
  }
  correct(corrections);
  for (const auto& [request, task] : right_tasks) (void)queue().drop(request);
}

}  // namespace anyssr::inline ANYSSR_ABI
