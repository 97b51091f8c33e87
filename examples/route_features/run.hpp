// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// One run in one scalar. Each scalar is compiled in a file of its own, side by side.

#include <unistd.h>

#include <algorithm>
#include <anyssr/core/rows.hpp>
#include <anyssr/core/stopwatch.hpp>
#include <anyssr/io.hpp>
#include <anyssr/rls/feature_condition.hpp>
#include <anyssr/rls/recursive_least_squares.hpp>
#include <anyssr/subspace/any_expansion.hpp>
#include <anyssr/subspace/feature_shift.hpp>
#include <array>
#include <cmath>
#include <cstdio>
#include <numeric>
#include <optional>
#include <set>
#include <sstream>
#include <type_traits>

#include "route_features/experiment.hpp"
#include "support/command_line.hpp"
#include "support/findings.hpp"
#include "support/messages.hpp"
#include "support/option_checks.hpp"

namespace route_features {

using namespace anyssr;

template <RealScalar S>
struct LabelledRows {
  RowMajorMatrix<S> features;        // n x D
  std::vector<std::int64_t> labels;  // n

  /// @param faults  gets why the file cannot be read, and then there is no row; and each row that
  /// is
  ///                not finite
  LabelledRows(const std::string& path, support::Findings& faults) {
    try {
      read(path);
    } catch (const Error& error) {
      faults.add(error.what());
      features.resize(0, 0);
      labels.clear();
    }
    try {
      check_finite("features", features);
    } catch (const NonFiniteError&) {
      add_bad_rows(path, faults);
    }
  }
  [[nodiscard]] bool is_there() const { return features.size() > 0; }

 private:
  void read(const std::string& path) {
    const SafetensorsReader reader(path);
    features = reader.matrix<S>("features");
    support::expect<FormatError>(is_there(), path, ": tensor 'features' is ", features.rows(),
                                 " x ", features.cols(),
                                 ", expected at least one row and one column");
    reader.expect_shape("labels", {features.rows()});
    labels = reader.integers<std::int64_t>("labels");
  }
  void add_bad_rows(const std::string& path, support::Findings& faults) const {
    RowMajorMatrix<double> stored;  // what was finite before it was made a float
    if (std::is_same_v<S, float>) stored = SafetensorsReader(path).matrix<double>("features");
    for (Index i = 0; i < features.rows(); ++i) {
      Index j = 0;
      while (j < features.cols() && std::isfinite(features(i, j))) ++j;
      if (j == features.cols()) continue;
      const std::string place = support::concat(" at row ", i, ", column ", j);
      if (stored.size() > 0 && std::isfinite(stored(i, j))) {
        faults.add(support::concat(path, ": features hold ", stored(i, j), place,
                                   ", which float cannot hold: --scalar double can"));
      } else {
        faults.add(path + ": features hold NaN or infinity" + place);
      }
    }
  }
};

/// The task of a row: the place of its label among those of the training rows.
class TaskLabels {
 public:
  explicit TaskLabels(std::vector<std::int64_t> labels) : values_(std::move(labels)) {
    std::sort(values_.begin(), values_.end());
    values_.erase(std::unique(values_.begin(), values_.end()), values_.end());
  }
  [[nodiscard]] Index count() const { return static_cast<Index>(values_.size()); }
  [[nodiscard]] const std::vector<std::int64_t>& values() const { return values_; }
  /// @param faults  gets each label that the training rows lack, with the first row that has it
  [[nodiscard]] std::vector<Index> tasks_of(const std::vector<std::int64_t>& labels,
                                            const std::string& path,
                                            support::Findings& faults) const {
    std::vector<Index> tasks;
    std::set<std::int64_t> unknown;
    for (std::size_t i = 0; i < labels.size(); ++i) {
      const auto place = std::lower_bound(values_.begin(), values_.end(), labels[i]);
      tasks.push_back(place - values_.begin());
      if (place != values_.end() && *place == labels[i]) continue;
      if (!unknown.insert(labels[i]).second) continue;
      faults.add(path + ": tensor 'labels' holds " + std::to_string(labels[i]) + " at row " +
                 std::to_string(i) + ", expected a label of the training file");
    }
    return tasks;
  }

 private:
  std::vector<std::int64_t> values_;
};

/// A bar on the line under way, where a person is looking.
class ProgressBar {
 public:
  ProgressBar(Index total, bool quiet)
      : total_(total), on_(!quiet && isatty(fileno(stderr)) != 0) {}
  void show(const char* stage, Index done) const {
    if (!on_) return;
    constexpr Index width = 40;
    const Index filled = done * width / std::max<Index>(1, total_);
    std::fprintf(stderr, "\r%-8s [%s%s] %ld of %ld rows ", stage,
                 std::string(static_cast<std::size_t>(filled), '#').c_str(),
                 std::string(static_cast<std::size_t>(width - filled), '.').c_str(),
                 static_cast<long>(done), static_cast<long>(total_));
    if (done == total_) std::fprintf(stderr, "\r%80s\r", "");
  }

 private:
  Index total_;
  bool on_;
};

/// What a choice of the ridge that cannot be trusted means; empty for one that can.
inline std::string ridge_warning(RidgeEnd end, bool in_float) {
  switch (end) {
    case RidgeEnd::none:
      return {};
    case RidgeEnd::lowest:
      return std::string("--ridge auto chose the smallest ridge that can be judged") +
             (in_float ? " in float: try --scalar double" : ": learn more rows") +
             ", bring feature columns to one scale, or compare the results of a few values of "
             "--ridge";
    case RidgeEnd::highest:
      return "--ridge auto chose the largest ridge that changes anything: the features hardly tell "
             "the tasks apart";
    case RidgeEnd::flat:
      return "--ridge auto finds no ridge better than another: the features do not tell the tasks "
             "apart";
  }
  return {};
}

template <RealScalar S, RlsForm Form>
class Run {
 public:
  explicit Run(const Options& options)
      : options_(options),
        train_(options.train, faults_),
        test_(options.test, faults_),
        labels_(train_.labels),
        truth_(tasks_of_test()),
        order_(arrange()),
        shift_(fit_shift()),
        expansion_(shift_.out_dim(), expansion_options(options)),
        rls_(expansion_.out_dim(), rls_options()) {
    results_.labels = labels_.values();
  }

  Results run() {
    learn();
    const RowMajorMatrix<S> scores = route();
    measure();
    if (!options_.weights.empty()) write(scores);
    results_.router_bytes = rls_.bytes();
    results_.peak_bytes = support::peak_bytes();
    return results_;
  }

 private:
  /// The task of each test row.
  /// @throws FormatError  naming all that is wrong with either file, and in which the test file
  ///                      does not fit the training file
  [[nodiscard]] std::vector<Index> tasks_of_test() {
    if (!train_.is_there() || !test_.is_there()) faults_.throw_if_any();
    const Index width = train_.features.cols();
    if (test_.features.cols() != width) {
      faults_.add(options_.test + ": tensor 'features' is " +
                  std::to_string(test_.features.rows()) + " x " +
                  std::to_string(test_.features.cols()) + ", expected n x " +
                  std::to_string(width) + " as in " + options_.train);
    }
    std::vector<Index> tasks = labels_.tasks_of(test_.labels, options_.test, faults_);
    faults_.throw_if_any();
    return tasks;
  }

  /// n_t, and the order in which rows arrive: task after task, each in the order of the file.
  [[nodiscard]] std::vector<Index> arrange() {
    support::Findings none;  // the labels are those of these rows
    const std::vector<Index> tasks = labels_.tasks_of(train_.labels, options_.train, none);
    std::vector<Index> order(tasks.size());
    std::iota(order.begin(), order.end(), Index{0});
    const auto task_of = [&](Index row) { return tasks[static_cast<std::size_t>(row)]; };
    std::stable_sort(order.begin(), order.end(),
                     [&](Index a, Index b) { return task_of(a) < task_of(b); });
    results_.task_rows.assign(static_cast<std::size_t>(labels_.count()), 0);
    for (const Index task : tasks) ++results_.task_rows[static_cast<std::size_t>(task)];
    results_.balance =
        options_.balanced ? static_cast<double>(labels_.count()) / static_cast<double>(tasks.size())
                          : 1;
    return order;
  }

  [[nodiscard]] static ExpansionOptions expansion_options(const Options& options) {
    return support::parse_expansion(options.expansion, options.activation, options.seed);
  }

  /// The first rows that arrive, whatever the size of a batch.
  [[nodiscard]] RowMajorMatrix<S> first_rows() const {
    const std::size_t count = std::min<std::size_t>(512, order_.size());
    return select_rows(train_.features, std::span(order_).first(count));
  }

  /// Fixed before the first row is learned. Random features make their own intercept.
  [[nodiscard]] FeatureShift<S> fit_shift() {
    if (options_.shift == "none") {
      return FeatureShift<S>(RowVector<S>::Zero(train_.features.cols()));
    }
    const auto shift = FeatureShift<S>::fitted(first_rows());
    results_.moved = shift.moved_columns();
    const bool expands = expansion_options(options_).kind != ExpansionKind::identity;
    return expands ? shift.without_constant() : shift;
  }

  /// f of moved and expanded rows.
  template <class F>
  decltype(auto) visit_expanded(const RowMajorMatrix<S>& rows, const F& f) {
    if (shift_.is_none()) return expansion_.visit_expanded(rows, workspace_, f);
    return expansion_.visit_expanded(shift_.apply(rows), workspace_, f);
  }

  [[nodiscard]] bool chooses_ridge() const { return options_.ridge == "auto"; }

  [[nodiscard]] RlsOptions rls_options() {
    double ridge = 1;
    if (chooses_ridge()) {
      // Until the sums are there to choose by, any ridge serves, but the covariance form starts
      // at R = I / ridge: one of the size of the sums costs it no digits.
      ridge = visit_expanded(first_rows(), [](const RowMajorMatrix<S>& expanded) {
        return expanded.template cast<double>().squaredNorm();
      });
      if (!(ridge > 0)) ridge = 1;
    } else {
      const std::optional<double> number = support::parse_decimal(options_.ridge);
      if (!number) {
        throw ArgumentError("--ridge is '" + options_.ridge +
                            "', expected a number above 0 or auto");
      }
      ridge = *number;
    }
    return {.ridge = ridge * results_.balance,
            .ridge_scale = RidgeScale::absolute,
            .threads = options_.threads,
            .keep_sums = chooses_ridge()};
  }

  void learn() {
    const Stopwatch clock;
    const auto rows = static_cast<Index>(order_.size());
    const ProgressBar bar(rows, options_.quiet);
    Index begin = 0;
    for (Index task = 0; task < labels_.count(); ++task) {
      const Index count = results_.task_rows[static_cast<std::size_t>(task)];
      const double weight = options_.balanced ? 1 / static_cast<double>(count) : 1;
      for (Index done = 0; done < count;) {
        const Index size = std::min<Index>(options_.batch, count - done);
        learn_batch(begin, size, task, weight);
        done += size;
        begin += size;
        bar.show("learning", begin);
      }
    }
    if (chooses_ridge()) choose_ridge();
    (void)rls_.weights();
    results_.seconds_learn = clock.seconds();
    results_.ridge = rls_.ridge();
    results_.rows = rows;
    if constexpr (std::is_same_v<Form, Information>) {
      check_features(rls_);
    } else if (chooses_ridge()) {
      check_features(rls_.sums());
    } else if ((train_.features.rowwise() - train_.features.row(0)).isZero(0)) {
      results_.warnings.push_back("all training rows have the same features");
    }
  }

  void learn_batch(Index begin, Index size, Index task, double weight) {
    const std::span<const Index> rows =
        std::span(order_).subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(size));
    const Matrix<S> ones = Matrix<S>::Ones(size, 1);
    const std::array<Index, 1> column{task};
    std::vector<double> weights;
    if (weight != 1) weights.assign(rows.size(), weight);
    visit_expanded(select_rows(train_.features, rows), [&](const RowMajorMatrix<S>& expanded) {
      rls_.update(expanded, ones, {.columns = column, .row_weights = weights});
    });
  }

  void choose_ridge() {
    //! [ridge]
    const RidgeSelection selection = rls_.select_ridge();
    rls_.set_ridge(selection.ridge);
    //! [ridge]
    const std::string warning = ridge_warning(selection.end, sizeof(S) == 4);
    if (labels_.count() > 1 && !warning.empty()) results_.warnings.push_back(warning);
  }

  void check_features(const RecursiveLeastSquares<S>& sums) {
    std::vector<Index> columns(static_cast<std::size_t>(labels_.count()));
    std::iota(columns.begin(), columns.end(), Index{0});
    //! [condition]
    const FeatureCondition condition = feature_condition<S>(sums, columns);
    std::string warning = condition.warning();
    //! [condition]
    if (condition.is_far_from_zero() && options_.shift == "none") warning += " (--shift auto)";
    if (!warning.empty()) results_.warnings.push_back(warning);
  }

  [[nodiscard]] RowMajorMatrix<S> route() {
    const Stopwatch clock;
    const Index rows = test_.features.rows();
    const ProgressBar bar(rows, options_.quiet);
    RowMajorMatrix<S> scores(rows, labels_.count());
    predictions_.resize(static_cast<std::size_t>(rows));
    for (Index begin = 0; begin < rows;) {
      const Index size = std::min<Index>(1024, rows - begin);
      const RowMajorMatrix<S> batch = test_.features.middleRows(begin, size);
      visit_expanded(batch, [&](const RowMajorMatrix<S>& expanded) {
        scores.middleRows(begin, size).noalias() = expanded * rls_.weights();
      });
      for (Index i = begin; i < begin + size; ++i) {
        scores.row(i).maxCoeff(&predictions_[static_cast<std::size_t>(i)]);
      }
      begin += size;
      bar.show("routing", begin);
    }
    results_.seconds_route = clock.seconds();
    results_.test_rows = rows;
    return scores;
  }

  void measure() {
    const auto count = static_cast<std::size_t>(labels_.count());
    std::vector<double> right(count, 0);
    std::vector<double> asked(count, 0);
    for (std::size_t i = 0; i < truth_.size(); ++i) {
      const auto task = static_cast<std::size_t>(truth_[i]);
      asked[task] += 1;
      right[task] += predictions_[i] == truth_[i] ? 1 : 0;
    }
    double all = 0;
    double sum = 0;
    double tasks = 0;
    for (std::size_t t = 0; t < count; ++t) {
      results_.task_accuracy.push_back(asked[t] > 0 ? right[t] / asked[t] : 0);
      all += right[t];
      sum += results_.task_accuracy.back();
      tasks += asked[t] > 0 ? 1 : 0;
    }
    results_.accuracy = all / static_cast<double>(truth_.size());
    results_.macro_accuracy = sum / tasks;
    results_.tasks = labels_.count();
    results_.feature_dim = train_.features.cols();
    results_.dim = expansion_.out_dim();
    if constexpr (std::is_same_v<Form, Covariance>) {
      results_.status = to_string(rls_.status());
      results_.condition = rls_.condition();
    }
  }

  void write(const RowMajorMatrix<S>& scores) const {
    std::vector<std::int64_t> predictions;
    for (const Index task : predictions_) {
      predictions.push_back(labels_.values()[static_cast<std::size_t>(task)]);
    }
    SafetensorsWriter writer;
    const std::vector<S> shift(shift_.shift().begin(), shift_.shift().end());
    if (!shift_.is_none()) {
      writer.add("shift", shift);
      writer.add("constant", std::vector<S>{shift_.constant()});
    }
    writer.add_reference("weights", rls_.weights());
    writer.add_reference("scores", scores);
    writer.add("predictions", predictions);
    writer.add("labels", labels_.values());
    writer.write(options_.weights);
  }

  const Options& options_;
  Results results_;
  support::Findings faults_;  // of both files, told together
  LabelledRows<S> train_;
  LabelledRows<S> test_;
  TaskLabels labels_;
  std::vector<Index> truth_;  // task of each test row
  std::vector<Index> order_;  // of the training rows
  FeatureShift<S> shift_;
  AnyExpansion<S> expansion_;
  ExpansionWorkspace<S> workspace_;
  std::vector<Index> predictions_;  // task of each test row
  RecursiveLeastSquares<S, Form> rls_;
};

template <RealScalar S>
Results run(const Options& options) {
  if (options.form == "covariance") return Run<S, Covariance>(options).run();
  return Run<S, Information>(options).run();
}

}  // namespace route_features
