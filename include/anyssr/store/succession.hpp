// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Whether one state goes on from another. A save deletes the generation before the last, so a
/// learner that does not come from what the folder holds would destroy it in two saves.
///
/// A learner changes by one task, or one adapter, or the rows of one task at a time. What cannot
/// have come about so is another learner's. What is not told apart: a learner of the same tasks and
/// adapters that was taught other rows and has changed more often.

#include <algorithm>
#include <cstdint>
#include <filesystem>

#include "anyssr/io/safetensors_reader.hpp"
#include "anyssr/router/analytic_router.hpp"
#include "anyssr/store/adapter_folder.hpp"
#include "anyssr/store/stored_file.hpp"

namespace anyssr::inline v0::detail {

/// @throws ArgumentError  saying what would be lost, and how to lose it
template <class... Parts>
[[noreturn]] void raise_loss(const std::filesystem::path& root, const Parts&... parts) {
  raise<ArgumentError>(root.string(), ": ", parts...,
                       "; save to another folder, or set replace to lose it");
}

/// Refuses tasks that the changes between two states cannot have led to.
/// @throws ArgumentError
inline void expect_tasks_go_on(const std::filesystem::path& root, const Manifest& base,
                               const Manifest& next) {
  std::uint64_t replaced = 0;
  for (const StoredTask& task : base.tasks) {
    const auto mine =
        std::find_if(next.tasks.begin(), next.tasks.end(),
                     [&](const StoredTask& other) { return other.name == task.name; });
    if (mine == next.tasks.end()) {
      raise_loss(root, "holds task '", task.name, "', which the learner to save does not know");
    }
    if (mine->column != task.column) {
      raise_loss(root, "holds task '", task.name, "' in column ", task.column, ", expected ",
                 mine->column, " as in the learner to save");
    }
    replaced += mine->digest != task.digest ? 1 : 0;
  }
  const std::uint64_t fresh = next.tasks.size() - base.tasks.size();
  const std::uint64_t changes = next.changes - base.changes;
  if (fresh + replaced > changes) {
    raise_loss(root, "holds another learner's state: the one to save has ", replaced,
               " other adapters and ", fresh, " more tasks, which ", changes,
               " changes cannot have led to");
  }
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
  expect_tasks_go_on(root, base, next);
  if (base.changes == next.changes && !may_have_sums_of(root, base, router)) {
    raise_loss(root, "holds another learner's state: after ", base.changes,
               " changes its sums are not those of the one to save");
  }
}

}  // namespace anyssr::inline v0::detail
