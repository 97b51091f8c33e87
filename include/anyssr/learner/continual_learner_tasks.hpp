// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The life of a learner's tasks after they were learned: archived, frozen, renamed, removed. The
/// backbone and the adapters of other tasks do not change.

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "anyssr/learner/continual_learner.hpp"

namespace anyssr::inline ANYSSR_ABI {

template <Backbone B>
void ContinualLearner<B>::expect_known(std::string_view name) const {
  if (!router_.find(name)) (void)snapshot().adapter(name);  // throws, and lists the known names
}

template <Backbone B>
std::size_t ContinualLearner<B>::place_of(std::string_view name) const {
  expect_known(name);
  return static_cast<std::size_t>(*router_.find(name));
}

template <Backbone B>
const RoutedTask& ContinualLearner<B>::task_named(std::string_view name) const {
  return router_.tasks()[place_of(name)];
}

/// A policy whose default task were gone would fail at the next query.
template <Backbone B>
void ContinualLearner<B>::expect_not_default(std::string_view name) const {
  detail::expect<TaskError>(
      policy_.fallback != FallbackKind::default_task || policy_.default_task != name, "task '",
      name, "' is the default task of the policy: set another policy first");
}

/// Nor may the thresholds of a name that is gone fall silently to its next bearer, or to nobody.
template <Backbone B>
void ContinualLearner<B>::expect_not_in_policy(std::string_view name) const {
  expect_not_default(name);
  detail::expect<TaskError>(!policy_.tasks.contains(std::string(name)), "task '", name,
                            "' has thresholds of its own in the policy: set another policy first");
}

template <Backbone B>
void ContinualLearner<B>::set_active(std::string_view name, bool active, std::string_view event) {
  expect_known(name);
  if (!active) expect_not_default(name);
  const auto before = published_.load();  // a name may stand in its table
  commit(records(), [&] { router_.set_active(name, active); });
  tell({.event = event, .task = name});
}

template <Backbone B>
void ContinualLearner<B>::freeze_task(std::string_view name, bool frozen) {
  expect_known(name);
  const auto before = published_.load();  // a name may stand in its table
  commit(records(), [&] { router_.set_frozen(name, frozen); });
  tell({.event = frozen ? "freeze" : "unfreeze", .task = name});
}

template <Backbone B>
void ContinualLearner<B>::rename_task(std::string_view old_name, std::string_view given_name) {
  const std::string name(old_name);  // it may stand in a table that changes
  const std::string new_name(given_name);
  const std::size_t place = place_of(name);
  if (name != new_name) expect_not_in_policy(name);
  Records next = records();
  next.renamed(place, name, new_name);
  commit(std::move(next), [&] { router_.rename(name, new_name); });
  tell({.event = "rename", .task = new_name, .source = name});
}

template <Backbone B>
void ContinualLearner<B>::remove_task(std::string_view name) {
  remove_with(name, [&] { router_.remove(name); });
}

template <Backbone B>
void ContinualLearner<B>::remove_task(std::string_view name, std::span<const Input> inputs,
                                      std::span<const Target> targets) {
  const RoutedTask task = task_named(name);
  detail::expect<TaskError>(static_cast<Index>(inputs.size()) == task.rows,
                            "the rows to remove task '", name, "' by are ", inputs.size(),
                            ", expected the ", task.rows, " that it learned");
  detail::expect_count("targets", targets.size(), static_cast<Index>(inputs.size()));
  const auto features = backbone_->features(inputs);
  expect_features(features, inputs.size());
  const std::vector<Index> rows =
      task.label_columns.empty() ? std::vector<Index>{} : labels(targets);
  remove_with(name, [&] {
    AnalyticRouter<Scalar> next = router_;
    next.unlearn(name, features, rows);
    next.remove(name);
    router_ = std::move(next);
  });
}

template <Backbone B>
void ContinualLearner<B>::remove_task(std::string_view name, const AnalyticRouter<Scalar>& own) {
  remove_with(name, [&] { router_.remove(name, own); });
}

template <Backbone B>
template <class Remove>
void ContinualLearner<B>::remove_with(std::string_view given_name, const Remove& remove) {
  const std::string name(given_name);
  const std::size_t place = place_of(name);
  expect_not_in_policy(name);
  const Index rows = router_.tasks()[place].rows;
  const auto before = published_.load();  // the name given may stand in its table
  Records next = records();
  next.removed(place);
  commit(std::move(next), remove);
  tell({.event = "remove", .task = name, .rows = rows});
}

}  // namespace anyssr::inline ANYSSR_ABI
