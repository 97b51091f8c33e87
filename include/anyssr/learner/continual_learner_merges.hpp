// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// How a ContinualLearner brings adapters together (consolidate, merge), and how its router takes
/// in another one and another ridge.

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "anyssr/learner/continual_learner.hpp"

namespace anyssr::inline ANYSSR_ABI {

template <Backbone B>
ConsolidationPlan ContinualLearner<B>::consolidate(std::size_t lora_bytes,
                                                   const BudgetOptions& budget) {
  const auto now = snapshot();
  std::vector<std::size_t> places;
  std::vector<std::shared_ptr<const Adapter<Scalar>>> held;
  std::vector<const Adapter<Scalar>*> adapters;
  for (std::size_t t = 0; t < now.tasks().size(); ++t) {
    const RoutedTask& task = now.tasks()[t];
    if (task.frozen || !task.parts.empty()) continue;
    places.push_back(t);
    held.push_back(now.records()[t].adapter->get());
    adapters.push_back(held.back().get());
  }
  const std::span<const Adapter<Scalar>* const> chosen(adapters);
  const ConsolidationPlan plan = plan_ranks<Scalar>(chosen, lora_bytes, budget);
  Consolidation<Scalar> made = anyssr::consolidate<Scalar>(chosen, plan);
  Records next = now.records();
  std::uint64_t replaced = 0;
  for (std::size_t i = 0; i < places.size(); ++i) {
    if (made.adapters[i] == *adapters[i]) continue;
    ++replaced;
    next.replaced(places[i],
                  std::make_shared<const AdapterHandle<Scalar>>(std::move(made.adapters[i])));
  }
  const auto nothing_else = [] {};
  commit(std::move(next), nothing_else, std::max<std::uint64_t>(1, replaced));
  tell({.event = "consolidate", .adapter_bytes = made.report.bytes_after});
  return std::move(made.report);
}

/// Classes of a head; 0 where it has none of classes.
template <Backbone B>
Index ContinualLearner<B>::classes_of(const Adapter<Scalar>& adapter) {
  if (!HasLabels<Adaptable> || adapter.heads.empty()) return 0;
  return adapter.heads.begin()->second.out_dim();
}

template <Backbone B>
MergeReport ContinualLearner<B>::merge_tasks(std::string_view first, std::string_view second,
                                             std::string_view given_name,
                                             const MergeOptions<Input>& merge_options) {
  const std::string name(given_name);
  const std::size_t at_first = place_of(first);
  const std::size_t at_second = place_of(second);
  for (const std::string_view task : {first, second}) {
    if (task != name) expect_not_in_policy(task);
  }
  const auto now = snapshot();  // keeps the table that a name may stand in
  const auto a = now.adapter(first);
  const auto b = now.adapter(second);
  // Labels of the second task follow those of the first in the router as in the head, or they would
  // be confused from the merge on.
  const Index classes = classes_of(*a);
  const auto known = static_cast<Index>(router_.tasks()[at_first].label_columns.size());
  detail::expect(classes == 0 || known == 0 || classes == known, "task '", first,
                 "' has a head of ", classes, " classes and ", known,
                 " labels in the router, expected as many: extend it by rows of each class, or "
                 "merge it as the second");
  auto [adapter, report] = merged_adapter<Adaptable>(*backbone_, *a, *b, merge_options);
  check_adapter(*backbone_, adapter);
  AnalyticRouter<Scalar> router = router_;
  router.join(first, second, name);
  Records next = now.records();
  next.joined(at_first, at_second, name,
              std::make_shared<const AdapterHandle<Scalar>>(std::move(adapter)));
  commit(std::move(next), [&] { router_ = std::move(router); });
  tell({.event = "merge_tasks", .task = name, .source = first, .second_source = second});
  return std::move(report);  // a part of a pair: else a copy
}

template <Backbone B>
void ContinualLearner<B>::commit_merge(std::string_view name) {
  const std::size_t place = place_of(name);
  const RoutedTask task = router_.tasks()[place];
  Records next = records();
  if (!task.parts.empty()) {
    const bool counts_labels = next.watch() != nullptr;
    const Index first_labels = counts_labels ? classes_of(*next[place].parts[0].adapter->get()) : 0;
    next.committed(place, task, first_labels);
  }
  commit(std::move(next), [&] { router_.commit_join(task.name); });
  tell({.event = "commit",
        .task = task.name,
        .source = task.parts[0].name,
        .second_source = task.parts[1].name});
}

template <Backbone B>
void ContinualLearner<B>::undo_merge(std::string_view name) {
  const std::size_t place = place_of(name);
  const RoutedTask task = router_.tasks()[place];
  if (!detail::is_name_held(task.parts, task.name)) expect_not_in_policy(task.name);
  AnalyticRouter<Scalar> router = router_;
  router.undo_join(task.name);
  Records next = records();
  next.undone(place, task);
  commit(std::move(next), [&] { router_ = std::move(router); });
  tell({.event = "undo",
        .task = task.name,
        .source = task.parts[0].name,
        .second_source = task.parts[1].name});
}

template <Backbone B>
MergeOriginals<typename ContinualLearner<B>::Scalar> ContinualLearner<B>::merged() const {
  const auto now = published_.load();
  return now->records().originals(now->tasks());
}

template <Backbone B>
void ContinualLearner<B>::absorb_router(const AnalyticRouter<Scalar>& other,
                                        std::map<std::string, Adapter<Scalar>> adapters) {
  const std::size_t known = router_.tasks().size();
  AnalyticRouter<Scalar> router = router_;
  router.merge(other);
  Records next = records();
  for (std::size_t t = known; t < router.tasks().size(); ++t) {
    const std::string& name = router.tasks()[t].name;
    expect_new(name);
    auto own = adapters.extract(name);
    detail::expect(!own.empty(), "task '", name,
                   "' of the router to absorb is new here and has no adapter, expected one");
    check_adapter(*backbone_, own.mapped());
    next.learned(name, std::make_shared<const AdapterHandle<Scalar>>(std::move(own.mapped())), {});
  }
  detail::expect(adapters.empty(), "there is an adapter for '",
                 adapters.empty() ? std::string() : adapters.begin()->first,
                 "', which is no new task of the router to absorb");
  const std::uint64_t steps = std::max<std::uint64_t>(1, other.tasks().size());
  commit(
      std::move(next), [&] { router_ = std::move(router); }, steps);
  for (const RoutedTask& task : other.tasks()) {
    tell({.event = "absorb", .task = task.name, .rows = task.rows});
  }
}

template <Backbone B>
void ContinualLearner<B>::set_ridge(double ridge) {
  AnalyticRouter<Scalar> router = router_;
  router.set_ridge(ridge);
  commit(records(), [&] { router_ = std::move(router); });
  tell({.event = "set_ridge"});
}

}  // namespace anyssr::inline ANYSSR_ABI
