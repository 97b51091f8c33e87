// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The analytic router: which task does a query belong to?
///
///   H = phi(X),  Y = unit vectors of task columns and label columns,  W = (H^T H + lambda I)^-1
///   H^T Y
///
/// Learning tasks one after another gives the W of one joint fit: no replay, no stored rows, no
/// forgetting. Confidence comes from closed-form leave-one-out scores of the rows at hand
///
///   loo_i = y_i - (y_i - h_i W) / (1 - l_i),   l_i = h_i (H^T H + lambda I)^-1 h_i^T
///
/// on which the temperature of a softmax is fitted; only a few numbers a task are kept.
/// Source: Any-SSR, arXiv 2503.13575 (analytic router).

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "anyssr/core/rows.hpp"
#include "anyssr/linalg/temperature.hpp"
#include "anyssr/rls/recursive_least_squares.hpp"
#include "anyssr/router/routing_table.hpp"

namespace anyssr::inline v0 {

struct RouterOptions {
  ExpansionOptions expansion{.kind = ExpansionKind::identity};
  RlsOptions rls{.ridge = 0.1};
  bool label_columns = true;  ///< a column for each label of a task beside its task column
  double label_weight = 1;    ///< w >= 0 of the best label column; never refitted while learning
  Index calibration_rows = 1024;  ///< at most so many rows of a batch calibrate the confidence
  bool rollback_copy = false;     ///< copy the sums before a change, so that a failed factorisation
                                  ///< restores them (twice the memory)
};

template <RealScalar S>
class AnalyticRouter {
 public:
  using Scalar = S;

  /// @param feature_dim  D, width of the backbone's features
  /// @throws ArgumentError  for an option out of range
  explicit AnalyticRouter(Index feature_dim, const RouterOptions& options = {})
      : options_(options),
        expansion_(std::make_shared<const AnyExpansion<S>>(feature_dim, options.expansion)),
        rls_(expansion_->out_dim(), options.rls) {
    detail::expect(std::isfinite(options.label_weight) && options.label_weight >= 0,
                   "label_weight is ", options.label_weight,
                   ", expected a finite number, at least 0");
    detail::expect(options.calibration_rows >= 1, "calibration_rows is ", options.calibration_rows,
                   ", expected at least 1");
    publish({}, default_temperature);
  }

  [[nodiscard]] Index feature_dim() const noexcept { return expansion_->in_dim(); }
  [[nodiscard]] const RouterOptions& options() const noexcept { return options_; }
  [[nodiscard]] const std::vector<RoutedTask>& tasks() const noexcept { return table_->tasks(); }
  [[nodiscard]] const AnyExpansion<S>& expansion() const noexcept { return *expansion_; }
  [[nodiscard]] const RecursiveLeastSquares<S>& regression() const noexcept { return rls_; }

  /// The immutable decision function of this moment: readers keep it while the router goes on
  /// learning.
  [[nodiscard]] const std::shared_ptr<const RoutingTable<S>>& table() const noexcept {
    return table_;
  }

  /// True after a failed factorisation that no copy could undo: the table of before goes on
  /// serving, learning is refused.
  [[nodiscard]] bool is_poisoned() const noexcept { return poisoned_; }

  [[nodiscard]] std::optional<Index> find(std::string_view name) const noexcept {
    const auto found = std::find_if(tasks().begin(), tasks().end(),
                                    [&](const RoutedTask& task) { return task.name == name; });
    if (found == tasks().end()) return std::nullopt;
    return static_cast<Index>(found - tasks().begin());
  }

  /// Learns a new task.
  /// @param name      not empty, not known yet
  /// @param features  n x feature_dim(), dense or row-major sparse, all rows of this task
  /// @param labels    label 0, 1, ... of each row within the task; empty: no label columns
  /// @throws TaskError, ShapeError, NonFiniteError, ArgumentError  before any state changes;
  ///         NumericalError  where the factorisation fails (see is_poisoned)
  /// Cost: expansion, n d^2 (dense) update, d^3 / 3 factor, 2 d^2 columns solve, calibration d^2 a
  /// row.
  template <FeatureMatrix<S> X>
  void learn(std::string_view name, const X& features, std::span<const Index> labels = {}) {
    const std::string names[] = {std::string(name)};
    const std::vector<Index> task_of_row(static_cast<std::size_t>(features.rows()), 0);
    learn_together(std::span<const std::string>(names), features, task_of_row, labels);
  }

  /// Learns several new tasks from one batch: the joint fit that learning them in turn equals.
  /// @param names        the new tasks
  /// @param task_of_row  index into names, one a row; every task has a row
  template <FeatureMatrix<S> X>
  void learn_together(std::span<const std::string> names, const X& features,
                      std::span<const Index> task_of_row, std::span<const Index> labels = {}) {
    std::vector<RoutedTask> tasks = this->tasks();
    for (const std::string& name : names) {
      detail::expect<TaskError>(!name.empty(), "a task name is empty, expected a name");
      const bool known = std::any_of(tasks.begin(), tasks.end(),
                                     [&](const RoutedTask& task) { return task.name == name; });
      detail::expect<TaskError>(!known, "task '", name,
                                "' is known already: extend it, or use another name");
      tasks.push_back({.name = name, .rows = 0, .column = -1, .label_columns = {}});
    }
    check_task_of_row(names, features.rows(), task_of_row);
    std::vector<Index> rows(task_of_row.begin(), task_of_row.end());
    for (Index& task : rows) task += static_cast<Index>(this->tasks().size());
    absorb(std::move(tasks), features, rows, labels);
  }

  /// More rows for a known task; a label that is new to the task gets a column of its own.
  /// @throws TaskError for an unknown name; otherwise as learn
  template <FeatureMatrix<S> X>
  void extend(std::string_view name, const X& features, std::span<const Index> labels = {}) {
    const std::optional<Index> task = find(name);
    detail::expect<TaskError>(task.has_value(), "task '", name, "' is unknown: learn it first");
    const bool labelled = !tasks()[static_cast<std::size_t>(*task)].label_columns.empty();
    detail::expect(!options_.label_columns || labelled == !labels.empty(), "task '", name,
                   "' was learned ", labelled ? "with" : "without",
                   " labels, expected the same of further rows");
    const std::vector<Index> rows(static_cast<std::size_t>(features.rows()), *task);
    absorb(tasks(), features, rows, labels);
  }

  /// Decisions by the table of this moment (RoutingTable::decide).
  template <FeatureMatrix<S> X, class Decision>
  void decide(const X& features, RoutingWorkspace<S>& workspace, Decision& decision) const {
    table_->decide(features, workspace, decision);
  }

  /// Bytes in memory: sums, factor, weights (twice: for solving and for serving).
  [[nodiscard]] std::size_t bytes() const noexcept {
    return rls_.bytes() + static_cast<std::size_t>(table_->weights().size()) * sizeof(S);
  }

 private:
  /// Until two tasks allow a fit: what leave-one-out gives for hashed text.
  static constexpr double default_temperature = 10;

  static void check_task_of_row(std::span<const std::string> names, Index rows,
                                std::span<const Index> task_of_row) {
    detail::expect(!names.empty(), "names are empty, expected at least one task");
    detail::expect_count("task_of_row", task_of_row.size(), rows);
    std::vector<bool> seen(names.size(), false);
    for (const Index task : task_of_row) {
      detail::expect(task >= 0 && task < static_cast<Index>(names.size()), "task_of_row holds ",
                     task, ", expected 0..", names.size() - 1);
      seen[static_cast<std::size_t>(task)] = true;
    }
    for (std::size_t t = 0; t < names.size(); ++t) {
      detail::expect<ShapeError>(seen[t], "task '", names[t], "' has no rows, expected at least 1");
    }
  }

  /// Gives tasks their columns and makes the targets of the batch.
  /// @return n x (columns that the batch touches), with their numbers in `columns`
  Matrix<S> make_targets(std::vector<RoutedTask>& tasks, const std::vector<Index>& rows,
                         std::span<const Index> labels, std::vector<Index>& columns) const {
    const bool use_labels = options_.label_columns && !labels.empty();
    if (!labels.empty()) {
      detail::expect_count("labels", labels.size(), static_cast<Index>(rows.size()));
      for (const Index label : labels) {
        detail::expect(label >= 0 && label < 1000000, "labels hold ", label,
                       ", expected 0..999999");
      }
    }
    Index next = rls_.targets();
    for (std::size_t i = 0; i < rows.size(); ++i) {
      RoutedTask& task = tasks[static_cast<std::size_t>(rows[i])];
      ++task.rows;
      if (task.column < 0) task.column = next++;
      while (use_labels && static_cast<Index>(task.label_columns.size()) <= labels[i]) {
        task.label_columns.push_back(next++);
      }
    }
    std::vector<Index> place(static_cast<std::size_t>(next), -1);
    const auto place_of = [&](Index column) {
      Index& at = place[static_cast<std::size_t>(column)];
      if (at < 0) {
        at = static_cast<Index>(columns.size());
        columns.push_back(column);
      }
      return at;
    };
    std::vector<std::pair<Index, Index>> ones;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const RoutedTask& task = tasks[static_cast<std::size_t>(rows[i])];
      ones.emplace_back(static_cast<Index>(i), place_of(task.column));
      if (!use_labels) continue;
      const Index column = task.label_columns[static_cast<std::size_t>(labels[i])];
      ones.emplace_back(static_cast<Index>(i), place_of(column));
    }
    Matrix<S> targets =
        Matrix<S>::Zero(static_cast<Index>(rows.size()), static_cast<Index>(columns.size()));
    for (const auto& [row, column] : ones) targets(row, column) = S(1);
    return targets;
  }

  /// First phase: check, expand, allocate (changes nothing). Second: accumulate, factor, calibrate,
  /// publish.
  template <class X>
  void absorb(std::vector<RoutedTask> tasks, const X& features, const std::vector<Index>& rows,
              std::span<const Index> labels) {
    detail::expect<NumericalError>(
        !poisoned_,
        "the router is poisoned by an earlier failed "
        "factorisation: build it again, with a larger ridge or in double");
    detail::expect_cols("features", features, feature_dim());
    detail::expect_finite("features", features);
    std::vector<Index> columns;
    const Matrix<S> targets = make_targets(tasks, rows, labels, columns);
    if constexpr (SparseFeatures<X>) {
      if (expansion_->passes_through()) {
        const SparseRows<S>& expanded = features;
        commit(std::move(tasks), expanded, targets, columns, rows);
        return;
      }
    }
    const RowMajorMatrix<S> expanded = expansion_->expand(features);
    commit(std::move(tasks), expanded, targets, columns, rows);
  }

  template <class H>
  void commit(std::vector<RoutedTask> tasks, const H& expanded, const Matrix<S>& targets,
              const std::vector<Index>& columns, const std::vector<Index>& rows) {
    std::optional<RecursiveLeastSquares<S>> backup;
    if (options_.rollback_copy) backup = rls_;
    bool added = false;
    const auto undo = [&]() noexcept {
      if (backup) {
        rls_ = std::move(*backup);
      } else {
        poisoned_ = true;
      }
    };
    try {
      rls_.update(expanded, targets, {.columns = columns, .row_weights = {}});
      added = true;
      (void)rls_.weights();
      const double temperature = calibrate(tasks, expanded, targets, columns, rows);
      publish(std::move(tasks), temperature);
    } catch (const Error&) {  // update itself refuses before it adds
      if (added) undo();
      throw;
    } catch (...) {  // out of memory or threads, perhaps half-way
      undo();
      throw;
    }
  }

  /// b of softmax(b * scores) by leave-one-out on the rows of this batch.
  template <class H>
  double calibrate(const std::vector<RoutedTask>& tasks, const H& expanded,
                   const Matrix<S>& targets, const std::vector<Index>& columns,
                   const std::vector<Index>& rows) const {
    if (tasks.size() < 2) return default_temperature;
    const Index count = std::min<Index>(expanded.rows(), options_.calibration_rows);
    std::vector<Index> chosen(static_cast<std::size_t>(count));
    std::vector<Index> truth(chosen.size());
    for (Index i = 0; i < count; ++i) {  // evenly spread over the batch
      chosen[static_cast<std::size_t>(i)] = i * expanded.rows() / count;
      truth[static_cast<std::size_t>(i)] =
          rows[static_cast<std::size_t>(chosen[static_cast<std::size_t>(i)])];
    }
    const H sample = select_rows(expanded, chosen);
    const Vector<S> leverage = rls_.leverage(sample);
    Matrix<S> raw = sample * rls_.weights();
    for (Index i = 0; i < count; ++i) {
      // 1 - l > 0 in exact arithmetic (ridge > 0); the floor guards against round-off alone.
      const S left_out = std::max(S(1) - leverage(i), S(1e-4));
      raw.row(i) /= left_out;
      const S share = S(1) - S(1) / left_out;
      for (std::size_t j = 0; j < columns.size(); ++j) {
        raw(i, columns[j]) +=
            share * targets(chosen[static_cast<std::size_t>(i)], static_cast<Index>(j));
      }
    }
    Eigen::MatrixXd scores(count, static_cast<Index>(tasks.size()));
    Vector<double> row(scores.cols());
    for (Index i = 0; i < count; ++i) {
      task_scores(tasks, options_.label_weight, raw.row(i), row);
      scores.row(i) = row.transpose();
    }
    return fit_temperature(scores, truth);
  }

  void publish(std::vector<RoutedTask> tasks, double temperature) {
    table_ = std::make_shared<const RoutingTable<S>>(expansion_, rls_.weights(), std::move(tasks),
                                                     options_.label_weight, temperature);
  }

  RouterOptions options_;
  std::shared_ptr<const AnyExpansion<S>> expansion_;
  RecursiveLeastSquares<S> rls_;
  std::shared_ptr<const RoutingTable<S>> table_;  // never null
  bool poisoned_ = false;
};

}  // namespace anyssr::inline v0
