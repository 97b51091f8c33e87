// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Whether one state goes on from another. A save deletes the generation before the last, so a
/// learner that does not come from what the folder holds would destroy it in two saves.
///
/// A learner changes by one task, one adapter, one merge or the rows of one task at a time. Between
/// two states c changes apart tasks differ in
///
///   lost      stored, and now neither a task nor a part of one that waits for a merge
///   fresh     the other way round
///   replaced  of the same name, with another adapter
///   renamed   of the same adapter, with another name
///   joined    stored as a task, now a part of one
///
/// A change moves one task, but for a merge (two are lost or joined, one is fresh) and its undo
/// (one is lost, two are fresh): where the numbers ask for more than c changes, the state is
/// another learner's. So it is where rows of removed tasks have become fewer, where columns of W
/// have moved although nothing was removed, and where neither name nor adapter is left of what is
/// stored and nothing bears witness of it: neither removed rows, nor the sum of all squared
/// features (a merge), nor an end without tasks. What is not told apart: a learner that has a name
/// or an adapter in common with what is stored and has changed more often, by enough for all that
/// differs. Policy, usage and inspector are no changes.

#include <cstdint>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "anyssr/io/path_text.hpp"
#include "anyssr/io/safetensors_reader.hpp"
#include "anyssr/router/analytic_router.hpp"
#include "anyssr/store/adapter_folder.hpp"
#include "anyssr/store/stored_file.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

/// @throws ArgumentError  saying what would be lost, and how to lose it
template <class... Parts>
[[noreturn]] void raise_loss(const std::filesystem::path& root, const Parts&... parts) {
  raise<ArgumentError>(path_text(root), ": ", parts...,
                       "; save to another folder, or set replace to lose it");
}

/// Names and adapters of tasks.
struct TaskMarks {
  std::set<std::string_view> names;
  std::set<std::uint64_t> digests;

  void add(const StoredTask& task) {
    names.insert(task.name);
    digests.insert(task.digest);
  }
  [[nodiscard]] bool has(const StoredTask& task) const {
    return names.contains(task.name) || digests.contains(task.digest);
  }
};

/// How the tasks of one state differ from those of an earlier one.
struct TaskChanges {
  std::uint64_t lost = 0;
  std::uint64_t fresh = 0;
  std::uint64_t replaced = 0;
  std::uint64_t renamed = 0;
  std::uint64_t joined = 0;
  bool has_merges = false;            // of either state
  bool has_common = false;            // a name or an adapter of both
  const StoredTask* moved = nullptr;  // a stored task whose column is another now, and that one
  const StoredTask* moved_to = nullptr;

  /// Changes that it takes at least.
  [[nodiscard]] std::uint64_t fewest() const noexcept {
    const std::uint64_t single = replaced + renamed + fresh;
    if (lost == 0 && joined == 0 && !has_merges) return single;
    return (single + replaced + renamed + lost + joined + 2) / 3;  // 3: a merge, an undo
  }
};

/// What has become of one stored task.
/// @param by_name    tasks of the later state
/// @param unmatched  of these by adapter those whose name is not stored; loses what is found
/// @param parts      of the later state
inline void compare_task(const StoredTask& task,
                         const std::map<std::string_view, const StoredTask*>& by_name,
                         std::multimap<std::uint64_t, const StoredTask*>& unmatched,
                         const TaskMarks& parts, TaskChanges& changes) {
  const auto same = by_name.find(task.name);
  const auto renamed = unmatched.find(task.digest);
  if (same != by_name.end()) {
    changes.replaced += same->second->digest != task.digest ? 1 : 0;
    if (same->second->column != task.column && changes.moved == nullptr) {
      changes.moved = &task;
      changes.moved_to = same->second;
    }
  } else if (renamed != unmatched.end()) {
    ++changes.renamed;
    unmatched.erase(renamed);
  } else {
    ++(parts.has(task) ? changes.joined : changes.lost);
  }
}

[[nodiscard]] inline TaskChanges compare_tasks(const Manifest& base, const Manifest& next) {
  TaskChanges changes;
  std::map<std::string_view, const StoredTask*> by_name;
  std::multimap<std::uint64_t, const StoredTask*> unmatched;
  std::set<std::string_view> stored;
  TaskMarks parts;
  TaskMarks all;
  for (const StoredTask& task : base.tasks) stored.insert(task.name);
  for (const StoredTask& task : next.tasks) {
    by_name.emplace(task.name, &task);
    if (!stored.contains(task.name)) unmatched.emplace(task.digest, &task);
    for (const StoredTask& part : task.parts) parts.add(part);
  }
  for (const StoredTask* task : with_parts(next.tasks)) all.add(*task);
  for (const StoredTask* task : with_parts(base.tasks)) changes.has_common |= all.has(*task);
  for (const StoredTask& task : base.tasks) {
    compare_task(task, by_name, unmatched, parts, changes);
    changes.has_merges |= !task.parts.empty();
  }
  changes.has_merges |= !parts.names.empty();
  changes.fresh = unmatched.size();
  return changes;
}

/// Whether a router has the sum of squared features of a generation, bit for bit: the same rows.
template <RealScalar S>
[[nodiscard]] bool has_rows_of(const std::filesystem::path& root, const Manifest& base,
                               const AnalyticRouter<S>& router) {
  try {
    const SafetensorsReader reader(resolve_stored(root, base.router));
    const double trace = reader.vector<double>("bounds", 3)(0);
    return trace > 0 && trace == router.regression().bounds().trace;
  } catch (const Error&) {
    return false;
  }
}

/// Refuses tasks that the changes between two states cannot have led to.
/// @throws ArgumentError
template <RealScalar S>
void expect_tasks_go_on(const std::filesystem::path& root, const Manifest& base,
                        const Manifest& next, const AnalyticRouter<S>& router) {
  const TaskChanges found = compare_tasks(base, next);
  const std::uint64_t changes = next.changes - base.changes;
  if (!base.tasks.empty() && !found.has_common) {
    const bool is_emptied = next.tasks.empty() && changes > 0;
    const bool is_witnessed =
        next.removed_rows > base.removed_rows || is_emptied || has_rows_of(root, base, router);
    if (!is_witnessed) {
      raise_loss(root, "holds task '", base.tasks.front().name,
                 "', which the learner to save does not know");
    }
  }
  if (next.removed_rows < base.removed_rows) {
    raise_loss(root, "holds another learner's state: its sums keep ", base.removed_rows,
               " rows of removed tasks, those of the one to save ", next.removed_rows);
  }
  // To learn a task again that was removed takes two changes.
  if (found.moved != nullptr && found.lost == 0 && !found.has_merges && changes < 2) {
    raise_loss(root, "holds task '", found.moved->name, "' in column ", found.moved->column,
               ", expected ", found.moved_to->column, " as in the learner to save");
  }
  if (found.fewest() <= changes) return;
  const std::uint64_t fewer = found.lost + found.joined;
  raise_loss(root, "holds another learner's state: the one to save has ",
             fewer > 0 ? concat(fewer, " tasks less, ") : std::string(),
             found.renamed > 0 ? concat(found.renamed, " other names, ") : std::string(),
             found.replaced, " other adapters and ", found.fresh, " more tasks, which ", changes,
             " changes cannot have led to");
}

/// Whether a router has the cross-correlation of a generation, bit for bit; true where that cannot
/// be told, since the numbers are of another scalar or the file is damaged.
template <RealScalar S>
[[nodiscard]] bool may_have_sums_of(const std::filesystem::path& root, const Manifest& base,
                                    const AnalyticRouter<S>& router) {
  if (base.scalar != scalar_name<S>()) return true;
  const Matrix<S>& mine = router.regression().cross_correlation();
  try {
    for (const StoredFile& file : base.files) {
      if (file.path == base.router) expect_intact(root, file);
    }
    const SafetensorsReader reader(resolve_stored(root, base.router));
    const RowMajorMatrix<S> stored = reader.matrix<S>("cross_correlation");
    return stored.rows() == mine.rows() && stored.cols() == mine.cols() && stored == mine;
  } catch (const Error&) {
    return true;
  }
}

/// Refuses to lose what the folder holds.
/// @param next    describes the learner to save
/// @param router  of that learner
/// @throws ArgumentError
/// Cost: where both states have as many changes, reading the router's file; else none to speak of.
template <RealScalar S>
void expect_successor(const std::filesystem::path& root, const Manifest& base, const Manifest& next,
                      const AnalyticRouter<S>& router) {
  if (base.minor > manifest_minor) {
    raise_loss(root, "was written by anyssr ", base.library,
               ", which keeps what this version does not know");
  }
  if (base.backbone != next.backbone || base.expansion != next.expansion) {
    raise_loss(root, "holds a learner on the backbone '", base.backbone, "' with expansion ",
               word_text(base.expansion), ", expected '", next.backbone, "' with ",
               word_text(next.expansion));
  }
  if (base.changes > next.changes) {
    raise_loss(root, "holds a later state (change ", base.changes,
               ") than the one to save (change ", next.changes, ")");
  }
  expect_tasks_go_on(root, base, next, router);
  if (base.changes == next.changes && !may_have_sums_of(root, base, router)) {
    raise_loss(root, "holds another learner's state: after ", base.changes,
               " changes its sums are not those of the one to save");
  }
}

}  // namespace anyssr::inline ANYSSR_ABI::detail
