// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The life of tasks that a router knows: archived and restored, frozen, renamed, removed, joined.
/// No rows are needed for any of it. Every call changes all or nothing.
///
/// Joining tasks a and b is exact: targets are unit vectors, so the column of their union is the
/// sum of their columns, C_ab = C_a + C_b, hence W_ab = W_a + W_b. Until the commit both columns
/// stand side by side, and the join can be undone without a trace.
/// Source: ours.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "anyssr/router/router_core.hpp"

namespace anyssr::inline ANYSSR_ABI {

template <RealScalar S>
class RouterTasks : public detail::RouterCore<S> {
 protected:
  using Core = detail::RouterCore<S>;
  using Core::expansion_, Core::options_, Core::publish, Core::removed_rows_, Core::replace,
      Core::rls_;

 public:
  /// Whether decisions may choose the task; all it learned stays as it is.
  /// @throws TaskError  for an unknown name
  void set_active(std::string_view name, bool active) {
    edit(name, [&](RoutedTask& task) { task.active = active; });
  }

  /// A frozen task refuses rows, removal of rows, corrections, joins and its own removal.
  /// @throws TaskError  for an unknown name
  void set_frozen(std::string_view name, bool frozen) {
    edit(name, [&](RoutedTask& task) { task.frozen = frozen; });
  }

  /// @throws TaskError  for an unknown name, or a new one that is empty or taken
  void rename(std::string_view name, std::string_view new_name) {
    expect_free(new_name, name);
    edit(name, [&](RoutedTask& task) { task.name = new_name; });
  }

  /// The task and its columns are gone. Rows of it that were not unlearned before stay in the
  /// second moment (removed_rows): they can no longer be chosen, and go on counting as examples of
  /// no task.
  /// @throws TaskError  for an unknown name, a frozen task, or one that waits for commit_join
  /// Cost: O(d columns) and the solve.
  void remove(std::string_view name) { remove_with(name, rls_, expect_changeable(name).rows); }

  /// The same, and its rows leave the sums: exact, to round-off.
  /// @param own  a router that learned the rows of this task, and nothing else
  /// @throws TaskError      as above, or where `own` holds other tasks or another number of rows
  /// @throws ArgumentError  another expansion, or sums that this router proves never to have held
  /// Cost: d^3 / 3 flops and a copy of the sums.
  void remove(std::string_view name, const RouterTasks& own) {
    const RoutedTask& task = expect_changeable(name);
    detail::expect_same_expansion(*expansion_, own.expansion());
    own.expect_not_poisoned();
    detail::expect<TaskError>(own.tasks().size() == 1 && own.tasks()[0].rows == task.rows &&
                                  own.regression().rows() == task.rows &&
                                  own.tasks()[0].label_columns.size() == task.label_columns.size(),
                              "the sums to remove task '", name, "' by hold ", own.tasks().size(),
                              " tasks and ", own.regression().rows(), " rows, expected the ",
                              task.rows, " rows of this task and its ", task.label_columns.size(),
                              " labels alone");
    detail::expect<TaskError>(own.tasks()[0].row_weight == task.row_weight,
                              "the sums to remove task '", name, "' by count each row ",
                              own.tasks()[0].row_weight, ", expected ", task.row_weight);
    detail::expect<TaskError>(own.tasks()[0].parts.empty(), "the sums to remove task '", name,
                              "' by hold one that waits for a merge: commit it first");
    std::vector<Index> columns(static_cast<std::size_t>(own.regression().targets()));
    columns[static_cast<std::size_t>(own.tasks()[0].column)] = task.column;
    for (std::size_t label = 0; label < task.label_columns.size(); ++label) {
      columns[static_cast<std::size_t>(own.tasks()[0].label_columns[label])] =
          task.label_columns[label];
    }
    RecursiveLeastSquares<S> next = rls_;
    next.unmerge(own.regression(), columns);
    remove_with(name, std::move(next), 0);
  }

  /// Two tasks become one, called `name`, in the place of the first; the labels of the second
  /// follow those of the first. Decisions choose it wherever the sum of both task columns says so.
  /// Until commit_join or undo_join it learns no rows.
  /// @throws TaskError      an unknown name, twice the same, a name that is taken, a frozen task,
  ///                        one archived and one not, one with labels and one without
  /// @throws ArgumentError  in a balanced router: its tasks count each row by their own numbers
  void join(std::string_view first, std::string_view second, std::string_view name) {
    this->expect_not_poisoned();
    detail::expect<TaskError>(first != second, "task '", first, "' is to join itself");
    detail::expect(!options_.balanced,
                   "tasks of a balanced router cannot join: their rows count by the number that "
                   "each declared");
    const RoutedTask a = expect_changeable(first);
    const RoutedTask b = expect_changeable(second);
    if (name != second) expect_free(name, first);
    detail::expect<TaskError>(a.active == b.active, "task '", first, "' is ",
                              a.active ? "active" : "archived", " and '", second,
                              "' is not, expected both alike");
    detail::expect<TaskError>(a.label_columns.empty() == b.label_columns.empty(), "task '", first,
                              "' was learned ", a.label_columns.empty() ? "without" : "with",
                              " labels, expected the same of '", second, "'");
    RoutedTask joined = a;
    joined.name = name;
    joined.rows += b.rows;
    joined.further_columns = {b.column};
    joined.label_columns.insert(joined.label_columns.end(), b.label_columns.begin(),
                                b.label_columns.end());
    joined.parts = {a, b};
    const auto as_of_today = [&](const TaskCalibration& calibration, const RoutedTask& task) {
      return detail::carried_calibration(calibration, Core::mean_score(task),
                                         options_.label_weight);
    };
    joined.calibration = as_of_today(
        detail::pooled_calibration(as_of_today(a.calibration, a), as_of_today(b.calibration, b)),
        joined);
    std::vector<RoutedTask> tasks = this->tasks();
    tasks[index(first)] = std::move(joined);
    tasks.erase(tasks.begin() + static_cast<std::ptrdiff_t>(index(second)));
    publish(std::move(tasks));
  }

  /// The columns become one, for good.  Cost: O(d columns) and the solve.
  /// @throws TaskError  where the task waits for no commit, or is frozen
  void commit_join(std::string_view name) {
    expect_joined(name);
    std::vector<RoutedTask> tasks = this->tasks();
    RoutedTask& joined = tasks[index(name)];
    std::vector<Index> to(static_cast<std::size_t>(rls_.targets()));
    for (std::size_t j = 0; j < to.size(); ++j) to[j] = static_cast<Index>(j);
    for (const Index column : joined.further_columns) {
      to[static_cast<std::size_t>(column)] = joined.column;
    }
    joined.parts.clear();
    const std::vector<Index> gone = std::exchange(joined.further_columns, {});
    RecursiveLeastSquares<S> next = rls_;
    const Index count = detail::close_gaps(tasks, gone, to);
    next.recombine_targets(to, count);
    replace(std::move(next), std::move(tasks));
  }

  /// Both tasks are as they were, the second right after the first.
  /// @throws TaskError  where the task waits for no commit or is frozen, or one of their names is
  ///                    taken meanwhile
  void undo_join(std::string_view name) {
    expect_joined(name);
    std::vector<RoutedTask> tasks = this->tasks();
    const auto at = tasks.begin() + static_cast<std::ptrdiff_t>(index(name));
    std::vector<RoutedTask> parts = at->parts;
    for (RoutedTask& part : parts) {
      expect_free(part.name, name);
      part.active = at->active;
    }
    *at = parts[0];
    tasks.insert(at + 1, parts[1]);
    publish(std::move(tasks));
  }

 protected:
  using Core::Core;

  [[nodiscard]] std::size_t index(std::string_view name) const {
    const std::optional<Index> task = this->find(name);
    detail::expect<TaskError>(task.has_value(), "task '", name, "' is unknown: learn it first");
    return static_cast<std::size_t>(*task);
  }

  /// A task that may change what it learned.
  const RoutedTask& expect_changeable(std::string_view name) const {
    const RoutedTask& task = this->tasks()[index(name)];
    detail::expect<TaskError>(!task.frozen, "task '", name, "' is frozen: unfreeze it first");
    detail::expect<TaskError>(task.parts.empty(), "task '", name,
                              "' waits for a merge to be committed or undone");
    return task;
  }

 private:
  template <class Edit>
  void edit(std::string_view name, const Edit& change) {
    const std::size_t at = index(name);
    std::vector<RoutedTask> tasks = this->tasks();
    change(tasks[at]);
    publish(std::move(tasks));
  }

  /// @param but  may have the name
  void expect_free(std::string_view name, std::string_view but) const {
    detail::expect<TaskError>(!name.empty(), "the new task name is empty, expected a name");
    for (const RoutedTask& task : this->tasks()) {
      const bool taken = task.name == name || detail::is_name_held(task.parts, name);
      detail::expect<TaskError>(!taken || task.name == but, "task '", name,
                                "' is known already, expected another name");
    }
  }

  void expect_joined(std::string_view name) const {
    const RoutedTask& task = this->tasks()[index(name)];
    detail::expect<TaskError>(!task.parts.empty(), "task '", name,
                              "' waits for no merge, expected one that merge_tasks made");
    detail::expect<TaskError>(!task.frozen, "task '", name, "' is frozen: unfreeze it first");
  }

  void remove_with(std::string_view name, RecursiveLeastSquares<S> next, Index rows_left) {
    std::vector<RoutedTask> tasks = this->tasks();
    const auto at = tasks.begin() + static_cast<std::ptrdiff_t>(index(name));
    std::vector<Index> gone = at->label_columns;
    gone.push_back(at->column);
    tasks.erase(at);
    std::vector<Index> to(static_cast<std::size_t>(rls_.targets()));
    for (std::size_t j = 0; j < to.size(); ++j) to[j] = static_cast<Index>(j);
    for (const Index column : gone) to[static_cast<std::size_t>(column)] = -1;
    const Index count = detail::close_gaps(tasks, gone, to);
    next.recombine_targets(to, count);
    replace(std::move(next), std::move(tasks));
    removed_rows_ += rows_left;
  }
};

}  // namespace anyssr::inline ANYSSR_ABI
