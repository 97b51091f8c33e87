// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Which tasks of a learner to merge, archive, discard or train again, with the numbers that say
/// so: how much pairs of tasks are one (task_pairs.hpp), and how often and how surely each was
/// chosen (UsageMeter). Nothing is changed: what is suggested is the caller's to do.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "anyssr/core/enum_names.hpp"
#include "anyssr/core/text.hpp"
#include "anyssr/learner/continual_learner.hpp"
#include "anyssr/learner/task_pairs.hpp"

namespace anyssr::inline ANYSSR_ABI {

enum class SuggestionKind : std::uint8_t { merge, archive, discard, replace_adapter };

namespace detail {
template <>
inline constexpr SuggestionKind last_enumerator<SuggestionKind> = SuggestionKind::replace_adapter;
}  // namespace detail

/// @throws ArgumentError  for a value that is no enumerator
[[nodiscard]] constexpr std::string_view to_string(SuggestionKind kind) {
  switch (kind) {
    case SuggestionKind::merge:
      return "merge";
    case SuggestionKind::archive:
      return "archive";
    case SuggestionKind::discard:
      return "discard";
    case SuggestionKind::replace_adapter:
      return "replace_adapter";
  }
  detail::raise_no_enumerator("kind", kind);
}

struct Suggestion {
  SuggestionKind kind = SuggestionKind::merge;
  std::vector<std::string> tasks;  ///< two for merge, else one
  std::string reason;              ///< in words, with the numbers
};

/// What a pair must reach, in all three.
struct MergeCriteria {
  double min_confusion = 0.5;  ///< finite; twins are near 1
  double min_similarity = -1;  ///< -1..1; -1 asks nothing of the adapters: those of twins may
                               ///< differ, since training starts from another seed by name
  double min_overlap = 0;      ///< 0..1; 0 asks nothing
  Index most = 10;             ///< suggestions, 0 or more
};

struct DiscardCriteria {
  double unused_seconds = 90 * 86400.0;  ///< at least 0: since the last use
  std::uint64_t max_count = 0;           ///< decisions that chose the task, at most
  double now = 0;                        ///< seconds since 1970, UTC; 0: the clock's
  std::uint64_t min_decisions = 1000;    ///< made by the learner in all, before their lack counts
  std::vector<std::string> keep = {};    ///< tasks that stay: when a task was learned is not known,
                                         ///< so young ones are the caller's to name
};

struct RefactoringCriteria {
  MergeCriteria merge = {};
  DiscardCriteria discard = {};
  double archive_seconds = 30 * 86400.0;  ///< at least 0: since the last use
  std::uint64_t min_count = 100;          ///< decisions for a task before they judge its adapter
  double min_mean_confidence = 0.6;       ///< 0..1, of these decisions
  double min_answered = 0.5;              ///< 0..1, share of them that its adapter answered
};

namespace detail {

[[nodiscard]] inline std::string days_text(double seconds) {
  return concat(fixed_text(seconds / 86400), " days");
}

inline void expect_criteria(const MergeCriteria& criteria) {
  expect(is_finite(criteria.min_confusion), "min_confusion is ", criteria.min_confusion,
         ", expected a finite number");
  expect(is_within(criteria.min_similarity, -1.0, 1.0), "min_similarity is ",
         criteria.min_similarity, ", expected -1 to 1");
  expect(is_within(criteria.min_overlap, 0.0, 1.0), "min_overlap is ", criteria.min_overlap,
         ", expected 0 to 1");
  expect(criteria.most >= 0, "most is ", criteria.most, ", expected 0 or more");
}

inline void expect_seconds(std::string_view name, double seconds) {
  expect(seconds >= 0 && is_finite(seconds), name, " is ", seconds,
         ", expected a finite number of seconds, at least 0");
}

inline void expect_criteria(const DiscardCriteria& criteria) {
  expect_seconds("unused_seconds", criteria.unused_seconds);
  expect_seconds("now", criteria.now);
}

inline void expect_criteria(const RefactoringCriteria& criteria) {
  expect_criteria(criteria.merge);
  expect_criteria(criteria.discard);
  expect_seconds("archive_seconds", criteria.archive_seconds);
  expect(is_within(criteria.min_mean_confidence, 0.0, 1.0), "min_mean_confidence is ",
         criteria.min_mean_confidence, ", expected 0 to 1");
  expect(is_within(criteria.min_answered, 0.0, 1.0), "min_answered is ", criteria.min_answered,
         ", expected 0 to 1");
}

/// Whether the policy asks for a task by its name, which then must not go.
[[nodiscard]] inline bool is_in_policy(const RoutingPolicy& policy, const std::string& task) {
  const bool is_default =
      policy.fallback == FallbackKind::default_task && policy.default_task == task;
  return is_default || policy.tasks.contains(task);
}

/// Whether merge_tasks would take both, under one of their names at least, and both are in use.
[[nodiscard]] inline bool can_merge(const RoutedTask& a, const RoutedTask& b,
                                    const RoutingPolicy& policy) {
  const auto is_free = [](const RoutedTask& task) {
    return task.active && !task.frozen && task.parts.empty();
  };
  return is_free(a) && is_free(b) && a.label_columns.empty() == b.label_columns.empty() &&
         !(is_in_policy(policy, a.name) && is_in_policy(policy, b.name));
}

/// What use says of one task.
struct TaskUse {
  RoutedTask task = {};
  TaskUsage usage = {};
  std::size_t adapter_bytes = 0;
  double idle = 0;  // seconds since the last use; the largest number without one
  bool is_in_policy = false;
};

/// The tasks that may be archived, discarded or trained again: active, not frozen, waiting for no
/// merge, and not the policy's default task.
template <Backbone B>
[[nodiscard]] std::vector<TaskUse> free_tasks(const ContinualLearner<B>& learner, double now,
                                              std::uint64_t& decisions) {
  const auto snapshot = learner.snapshot();
  const UsageMeter::Counts usage = learner.usage();
  decisions = 0;
  for (const auto& [name, counts] : usage) decisions += counts.count;
  if (now == 0) now = seconds_now();
  const RoutingPolicy& policy = snapshot.policy();
  std::vector<TaskUse> free;
  for (std::size_t t = 0; t < snapshot.tasks().size(); ++t) {
    const RoutedTask& task = snapshot.tasks()[t];
    const bool is_default =
        policy.fallback == FallbackKind::default_task && policy.default_task == task.name;
    if (!task.active || task.frozen || !task.parts.empty() || is_default) continue;
    TaskUse use{.task = task,
                .adapter_bytes = snapshot.handles()[t]->info().bytes,
                .is_in_policy = is_in_policy(policy, task.name)};
    const auto found = usage.find(task.name);
    if (found != usage.end()) use.usage = found->second;
    use.idle = use.usage.count == 0 ? std::numeric_limits<double>::max()
                                    : std::max(0.0, now - use.usage.last_use);
    free.push_back(std::move(use));
  }
  return free;
}

[[nodiscard]] inline std::string last_use_text(const TaskUse& use) {
  return concat("last ", days_text(use.idle), " ago");
}

[[nodiscard]] inline bool is_discardable(const TaskUse& use, const DiscardCriteria& criteria,
                                         std::uint64_t decisions) {
  const bool kept =
      std::find(criteria.keep.begin(), criteria.keep.end(), use.task.name) != criteria.keep.end();
  return !kept && !use.is_in_policy && decisions >= criteria.min_decisions &&
         use.usage.count <= criteria.max_count && use.idle >= criteria.unused_seconds;
}

[[nodiscard]] inline Suggestion discard_suggestion(const TaskUse& use, std::uint64_t decisions) {
  const std::string count = use.usage.count == 0 ? std::string("never chosen")
                                                 : concat("chosen ", use.usage.count, " times, ",
                                                          last_use_text(use), ",");
  return {.kind = SuggestionKind::discard,
          .tasks = {use.task.name},
          .reason =
              concat("'", use.task.name, "': ", count, " in ", decisions, " decisions; it learned ",
                     use.task.rows, " rows, its adapter is ", use.adapter_bytes, " bytes")};
}

}  // namespace detail

/// Pairs that merge_tasks can join (under the name of that which the policy names, if one is) and
/// that reach the criteria, the most confused first. A task is in one of them at most: ask again
/// after a merge. A balanced router joins none.
/// @throws ArgumentError  a criterion out of range; FileError, FormatError as task_pairs
/// Cost: 2 d T^2 flops; adapters are loaded for the pairs that are confused enough alone.
template <Backbone B>
[[nodiscard]] std::vector<Suggestion> suggest_merges(const ContinualLearner<B>& learner,
                                                     const MergeCriteria& criteria = {}) {
  detail::expect_criteria(criteria);
  std::vector<Suggestion> suggestions;
  if (learner.options().router.balanced || criteria.most == 0) return suggestions;
  auto moment = detail::pair_moment(learner);
  const RoutingPolicy policy = learner.snapshot().policy();
  std::erase_if(moment.pairs, [&](const detail::PlacedPair& pair) {
    return pair.pair.confusion < criteria.min_confusion ||
           !detail::can_merge(moment.tasks[pair.first], moment.tasks[pair.second], policy);
  });
  detail::compare_adapters(moment);
  std::set<std::size_t> used;
  for (const auto& [first, second, pair] : moment.pairs) {
    if (static_cast<Index>(suggestions.size()) == criteria.most) break;
    if (pair.adapter_similarity < criteria.min_similarity ||
        pair.subspace_overlap < criteria.min_overlap || used.contains(first) ||
        used.contains(second)) {
      continue;
    }
    used.insert({first, second});
    suggestions.push_back(
        {.kind = SuggestionKind::merge,
         .tasks = {pair.first, pair.second},
         .reason = detail::concat(
             "'", pair.first, "' and '", pair.second,
             "': mean score of each one's rows at the other is ", fixed_text(pair.confusion),
             " of their own, adapters' cosine ", fixed_text(pair.adapter_similarity),
             ", overlap of what they read ", fixed_text(pair.subspace_overlap))});
  }
  return suggestions;
}

/// Active tasks that queries hardly ask for: chosen at most max_count times, and not since
/// unused_seconds, while the learner made min_decisions decisions and more. In order of their rows,
/// the fewest first: what was learned from little is learned again at little cost. Frozen tasks,
/// those that wait for a merge and those that the policy names are never among them; nor are
/// archived ones, which someone chose to keep.
/// @throws ArgumentError  a criterion out of range
template <Backbone B>
[[nodiscard]] std::vector<Suggestion> suggest_discards(const ContinualLearner<B>& learner,
                                                       const DiscardCriteria& criteria = {}) {
  detail::expect_criteria(criteria);
  std::uint64_t decisions = 0;
  std::vector<detail::TaskUse> tasks = detail::free_tasks(learner, criteria.now, decisions);
  std::stable_sort(
      tasks.begin(), tasks.end(),
      [](const detail::TaskUse& a, const detail::TaskUse& b) { return a.task.rows < b.task.rows; });
  std::vector<Suggestion> suggestions;
  for (const detail::TaskUse& use : tasks) {
    if (detail::is_discardable(use, criteria, decisions)) {
      suggestions.push_back(detail::discard_suggestion(use, decisions));
    }
  }
  return suggestions;
}

/// All that may be worth doing, each task in one suggestion at most:
///
///   merge            as suggest_merges
///   discard          as suggest_discards
///   archive          was used, but not since archive_seconds
///   replace_adapter  of min_count decisions and more, mean confidence is below
///                    min_mean_confidence, or less than a share min_answered was answered by its
///                    adapter (routed or blended): its queries are unlike what it learned. Extend
///                    the task by some of them, and train its adapter again.
///
/// in this order. Tasks that suggest_discards leaves out are in merges alone, if at all.
/// @throws ArgumentError  a criterion out of range; FileError, FormatError as task_pairs
template <Backbone B>
[[nodiscard]] std::vector<Suggestion> suggest_refactoring(
    const ContinualLearner<B>& learner, const RefactoringCriteria& criteria = {}) {
  detail::expect_criteria(criteria);
  std::vector<Suggestion> suggestions = suggest_merges(learner, criteria.merge);
  std::set<std::string> named;
  const auto name_tasks = [&](const std::vector<Suggestion>& list) {
    for (const Suggestion& suggestion : list) {
      named.insert(suggestion.tasks.begin(), suggestion.tasks.end());
    }
  };
  name_tasks(suggestions);
  std::vector<Suggestion> discards = suggest_discards(learner, criteria.discard);
  std::erase_if(discards, [&](const Suggestion& s) { return named.contains(s.tasks.front()); });
  name_tasks(discards);
  suggestions.insert(suggestions.end(), discards.begin(), discards.end());
  std::vector<Suggestion> replacements;
  std::uint64_t decisions = 0;
  for (const auto& use : detail::free_tasks(learner, criteria.discard.now, decisions)) {
    const TaskUsage& usage = use.usage;
    const std::string& name = use.task.name;
    if (named.contains(name) || usage.count == 0) continue;
    const double answered = static_cast<double>(usage.answered) / static_cast<double>(usage.count);
    if (use.idle >= criteria.archive_seconds) {
      suggestions.push_back({.kind = SuggestionKind::archive,
                             .tasks = {name},
                             .reason = detail::concat("'", name, "': chosen ", usage.count,
                                                      " times, ", detail::last_use_text(use))});
    } else if (usage.count >= criteria.min_count &&
               (usage.mean_confidence() < criteria.min_mean_confidence ||
                answered < criteria.min_answered)) {
      replacements.push_back(
          {.kind = SuggestionKind::replace_adapter,
           .tasks = {name},
           .reason = detail::concat("'", name, "': mean confidence of ", usage.count,
                                    " decisions is ", fixed_text(usage.mean_confidence()),
                                    ", its adapter answered ", fixed_text(answered),
                                    " of them; it learned ", use.task.rows, " rows")});
    }
  }
  suggestions.insert(suggestions.end(), replacements.begin(), replacements.end());
  return suggestions;
}

}  // namespace anyssr::inline ANYSSR_ABI
