// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// What all parts of the analytic router share: its options, its sums, the table that readers see,
/// and how a change of the sums becomes a new table, or none.
/// Source: ours.

#include <cmath>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "anyssr/core/rows.hpp"
#include "anyssr/core/threads.hpp"
#include "anyssr/rls/recursive_least_squares.hpp"
#include "anyssr/router/leave_one_out.hpp"
#include "anyssr/router/router_state.hpp"
#include "anyssr/router/router_targets.hpp"
#include "anyssr/router/routing_table.hpp"
#include "anyssr/router/task_weights.hpp"

namespace anyssr::inline ANYSSR_ABI {

struct RouterOptions {
  ExpansionOptions expansion{.kind = ExpansionKind::identity};
  RlsOptions rls{.ridge = 0.1};
  bool label_columns = true;  ///< a column for each label of a task beside its task column
  double label_weight = 1;    ///< w >= 0 of the best label column; never refitted while learning
  bool balanced = false;      ///< every task counts the same, however many rows it has: each row
                              ///< weighs 1 / n_t, and an absolute ridge is scaled by tasks / rows
  NoveltyOptions novelty{};   ///< what decisions say of novelty
  Index calibration_rows = 1024;  ///< at most so many rows of a batch calibrate the confidence
  bool rollback_copy = false;     ///< copy the sums before a change, so that a failed factorisation
                                  ///< restores them (twice the memory)
};

namespace detail {

/// Refuses an expansion that computes anything else.
template <RealScalar S>
void expect_same_expansion(const AnyExpansion<S>& mine, const AnyExpansion<S>& other) {
  expect(mine.fingerprint() == other.fingerprint() && mine.in_dim() == other.in_dim(),
         "the other router has another expansion: kind ", to_string(other.options().kind), ", ",
         other.in_dim(), " to ", other.out_dim(), ", seed ", other.options().seed,
         ", expected kind ", to_string(mine.options().kind), ", ", mine.in_dim(), " to ",
         mine.out_dim(), ", seed ", mine.options().seed, ", and the same activation");
}

template <RealScalar S>
class RouterCore {
 public:
  using Scalar = S;

  [[nodiscard]] Index feature_dim() const noexcept { return expansion_->in_dim(); }
  [[nodiscard]] const RouterOptions& options() const noexcept { return options_; }
  [[nodiscard]] const std::vector<RoutedTask>& tasks() const noexcept { return table_->tasks(); }
  [[nodiscard]] const AnyExpansion<S>& expansion() const noexcept { return *expansion_; }
  [[nodiscard]] const RecursiveLeastSquares<S>& regression() const noexcept { return rls_; }
  /// Rows of removed tasks that the sums still hold.
  [[nodiscard]] Index removed_rows() const noexcept { return removed_rows_; }

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

  /// Bytes in memory: sums, factor, weights (twice: for solving and for serving), what novelty
  /// needs.
  [[nodiscard]] std::size_t bytes() const noexcept {
    return rls_.bytes() + static_cast<std::size_t>(table_->weights().size()) * sizeof(S) +
           table_->meter().bytes();
  }

 protected:
  RouterCore(Index feature_dim, const RouterOptions& options)
      : options_(options),
        expansion_(std::make_shared<const AnyExpansion<S>>(feature_dim, options.expansion)),
        rls_(expansion_->out_dim(), options.rls) {
    check_options();
    publish({});
  }

  RouterCore(Index feature_dim, const RouterOptions& options, RouterState<S> state)
      : options_(options),
        expansion_(std::make_shared<const AnyExpansion<S>>(feature_dim, options.expansion)),
        rls_(options.rls, checked(state, expansion_->out_dim())),
        label_weight_counts_(state.label_weight_counts),
        temperature_(state.temperature),
        removed_rows_(state.removed_rows) {
    check_options();
    rls_.set_ridge(scaled_ridge(state.tasks, options_.rls, options_.balanced));
    publish(std::move(state.tasks));
  }

  ~RouterCore() = default;
  RouterCore(const RouterCore&) = default;
  RouterCore(RouterCore&&) noexcept = default;
  RouterCore& operator=(const RouterCore&) = default;
  RouterCore& operator=(RouterCore&&) noexcept = default;

  void check_options() const {
    expect(is_finite(options_.label_weight) && options_.label_weight >= 0, "label_weight is ",
           options_.label_weight, ", expected a finite number, at least 0");
    expect(is_finite(options_.novelty.leverage_weight), "leverage_weight is ",
           options_.novelty.leverage_weight,
           ", expected a finite number, below 0 for the default of the mode");
    expect(options_.calibration_rows >= 1, "calibration_rows is ", options_.calibration_rows,
           ", expected at least 1");
  }

  /// The sums of a state, moved out of it.
  [[nodiscard]] static RegressionState<S> checked(RouterState<S>& state, Index dim) {
    expect_possible_router(state);
    expect<ShapeError>(state.regression.second_moment.rows() == dim, "second_moment is ",
                       state.regression.second_moment.rows(), " x ",
                       state.regression.second_moment.cols(), ", expected ", dim, " x ", dim,
                       " for this expansion");
    return std::move(state.regression);
  }

  void expect_not_poisoned() const {
    expect<NumericalError>(!poisoned_,
                           "the router is poisoned by an earlier failed "
                           "factorisation: build it again, with a larger ridge or in double");
  }

  /// f of the expanded rows; sparse rows that pass through stay sparse.
  template <class X, class F>
  decltype(auto) visit_expanded(const X& features, const F& f) const {
    if constexpr (SparseFeatures<X>) {
      if (expansion_->passes_through()) return f(features);
    }
    const RowMajorMatrix<S> expanded = expansion_->expand(features);
    return f(expanded);
  }

  /// Adds rows and publishes what came of it.
  template <class H>
  std::uint64_t commit(std::vector<RoutedTask> tasks, const H& expanded,
                       const SparseRows<S>& targets, const std::vector<Index>& rows) {
    const detail::SerialEigen serial;
    const std::vector<double> weights = row_weights(tasks, rows, options_.balanced);
    std::optional<RecursiveLeastSquares<S>> backup;
    if (options_.rollback_copy) backup = rls_;
    const double ridge_before = rls_.options().ridge;
    bool added = false;
    const auto undo = [&]() noexcept {
      if (backup) {
        rls_ = std::move(*backup);
      } else {
        poisoned_ = true;
      }
    };
    try {
      rls_.set_ridge(scaled_ridge(tasks, options_.rls, options_.balanced));
      const std::uint64_t digest = rls_.update(expanded, targets, {.row_weights = weights});
      added = true;
      const Calibration calibration = calibrate(rls_, tasks, expanded, targets, rows, weights,
                                                options_.label_weight, options_.calibration_rows);
      take_calibration(calibration, tasks);
      publish(std::move(tasks));
      label_weight_counts_ += calibration.counts;
      return digest;
    } catch (const Error&) {  // update itself refuses before it adds
      if (added) undo();
      if (!added) rls_.set_ridge(ridge_before);
      throw;
    } catch (...) {  // out of memory or threads, perhaps half-way
      undo();
      throw;
    }
  }

  /// Takes over changed sums, or nothing.
  void replace(RecursiveLeastSquares<S> next, std::vector<RoutedTask> tasks) {
    expect_not_poisoned();
    const detail::SerialEigen serial;
    next.set_ridge(scaled_ridge(tasks, options_.rls, options_.balanced));
    (void)next.weights();  // may throw: before anything changes
    std::swap(rls_, next);
    try {
      publish(std::move(tasks));
    } catch (...) {  // no memory for the table
      std::swap(rls_, next);
      throw;
    }
    if (this->tasks().empty() && rls_.rows() == 0) label_weight_counts_ = {};
  }

  /// Mean task score of a task's rows, from the sums alone: C_t . W_t / n_t.
  [[nodiscard]] double mean_score(const RoutedTask& task) const {
    const double rows = task.row_weight * static_cast<double>(task.rows);
    if (rows <= 0) return 0;
    const Matrix<S>& c = rls_.cross_correlation();
    const Matrix<S>& w = rls_.weights();
    std::vector<Index> own_columns = task.further_columns;
    own_columns.push_back(task.column);
    double own = 0;
    for (const Index i : own_columns) {
      for (const Index j : own_columns) own += static_cast<double>(c.col(i).dot(w.col(j)));
    }
    double labels = task.label_columns.empty() ? own : 0;
    for (const Index j : task.label_columns) labels += static_cast<double>(c.col(j).dot(w.col(j)));
    return (own + options_.label_weight * labels) / rows;
  }

  /// @throws NumericalError  where the sums are of half a change: their table is not to be seen
  void publish(std::vector<RoutedTask> tasks) {
    expect_not_poisoned();
    std::vector<TaskCalibration> calibrations;
    std::vector<double> mean_scores;
    std::vector<double> rows;
    for (const RoutedTask& task : tasks) {
      calibrations.push_back(task.calibration);
      mean_scores.push_back(mean_score(task));
      rows.push_back(static_cast<double>(task.rows));
    }
    const RoutingParameters parameters{
        .label_weight = options_.label_weight,
        .temperature =
            pooled_temperature(calibrations, tasks.empty() ? default_temperature : temperature_),
        .residuals = ResidualQuantiles(calibrations, mean_scores, options_.label_weight, rows),
        .threads = rls_.options().threads};
    table_ = std::make_shared<const RoutingTable<S>>(expansion_, rls_.weights(), std::move(tasks),
                                                     parameters, make_meter());
    temperature_ = parameters.temperature;
  }

  RouterOptions options_;
  std::shared_ptr<const AnyExpansion<S>> expansion_;
  RecursiveLeastSquares<S> rls_;
  std::shared_ptr<const RoutingTable<S>> table_;  // never null
  LabelWeightCounts label_weight_counts_;
  double temperature_ = default_temperature;
  Index removed_rows_ = 0;
  bool poisoned_ = false;

 private:
  /// Until two tasks allow a fit: what leave-one-out gives for hashed text.
  static constexpr double default_temperature = 10;

  /// What a batch says of its tasks joins what earlier rows of them said.
  void take_calibration(const Calibration& calibration, std::vector<RoutedTask>& tasks) const {
    for (std::size_t t = 0; t < tasks.size(); ++t) {
      TaskCalibration fresh = calibration.tasks[t];
      if (fresh.rows == 0) continue;
      fresh.mean_score = mean_score(tasks[t]);
      tasks[t].calibration = pooled_calibration(
          carried_calibration(tasks[t].calibration, fresh.mean_score, options_.label_weight),
          fresh);
    }
  }

  [[nodiscard]] NoveltyMeter<S> make_meter() const {
    const NoveltyOptions& novelty = options_.novelty;
    Vector<S> diagonal;
    std::shared_ptr<const GramFactor<S>> factor;
    if (novelty.mode == NoveltyMode::diagonal) {
      diagonal = rls_.lower_second_moment().diagonal();
      diagonal.array() += static_cast<S>(rls_.ridge());
    } else if (novelty.mode == NoveltyMode::leverage) {
      factor = std::make_shared<const GramFactor<S>>(rls_.gram_factor());
    }
    return NoveltyMeter<S>(novelty, rls_.ridge(), diagonal, std::move(factor));
  }
};

}  // namespace detail
}  // namespace anyssr::inline ANYSSR_ABI
