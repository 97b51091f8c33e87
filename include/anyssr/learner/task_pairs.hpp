// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// How much any two tasks of a learner are one. No row is needed, since the mean score of the rows
/// of task a at task b is known exactly from the sums:
///
///   s_ab = C_a . W_b / n_a                             task columns alone, n_a rows by weight
///   confusion of a and b = (s_ab + s_ba) / (s_aa + s_bb)
///
/// near 1 where the router cannot tell them apart, near 0 where it can.

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "anyssr/learner/continual_learner.hpp"
#include "anyssr/linalg/product.hpp"
#include "anyssr/lora/adapter_pairs.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// How much two tasks are one; `first` stands before `second` in the table.
struct TaskPair {
  std::string first;
  std::string second;
  double confusion = 0;           ///< see above; 0 where both mean own scores are not above 0
  double adapter_similarity = 0;  ///< -1..1, cosine of both changes (AdapterPair::similarity)
  double subspace_overlap = 0;    ///< 0..1, of what they read of their inputs (row_overlap)
};

namespace detail {

/// s_ab, T x T: mean score of a row of task a (row) at the task column of b (column), in double; 0
/// for a task without rows.  Cost: 2 d T^2 flops and 2 d T numbers.
template <RealScalar S>
[[nodiscard]] Matrix<double> mean_task_scores(const AnalyticRouter<S>& router) {
  const std::vector<RoutedTask>& tasks = router.tasks();
  const Matrix<S>& sums = router.regression().cross_correlation();
  const Matrix<S>& weights = router.regression().weights();
  const auto count = static_cast<Index>(tasks.size());
  Matrix<double> c(sums.rows(), count);
  Matrix<double> w(sums.rows(), count);
  for (Index t = 0; t < count; ++t) {
    const RoutedTask& task = tasks[static_cast<std::size_t>(t)];
    c.col(t) = sums.col(task.column).template cast<double>();
    w.col(t) = weights.col(task.column).template cast<double>();
    for (const Index column : task.further_columns) {
      c.col(t) += sums.col(column).template cast<double>();
      w.col(t) += weights.col(column).template cast<double>();
    }
    const double rows = task.row_weight * static_cast<double>(task.rows);
    if (rows > 0) {
      c.col(t) /= rows;
    } else {
      c.col(t).setZero();
    }
  }
  return detail::product_of<Matrix<double>>(c.transpose(), w);
}

/// Two tasks by their places.
struct PlacedPair {
  std::size_t first = 0;
  std::size_t second = 0;
  TaskPair pair = {};
};

/// The tasks, their adapters and all pairs of one moment, by confusion alone.
template <RealScalar S>
struct PairMoment {
  std::vector<RoutedTask> tasks;
  std::vector<std::shared_ptr<const AdapterHandle<S>>> handles;
  std::vector<PlacedPair> pairs;  // most confused first, then by place
};

template <Backbone B>
[[nodiscard]] auto pair_moment(const ContinualLearner<B>& learner) {
  using S = typename ContinualLearner<B>::Scalar;
  PairMoment<S> moment;
  const Matrix<double> scores = learner.while_unchanged([&] {
    moment.tasks = learner.router().tasks();
    moment.handles = learner.snapshot().handles();
    return mean_task_scores(learner.router());
  });
  for (std::size_t i = 0; i < moment.tasks.size(); ++i) {
    for (std::size_t j = i + 1; j < moment.tasks.size(); ++j) {
      const auto a = static_cast<Index>(i);
      const auto b = static_cast<Index>(j);
      const double own = scores(a, a) + scores(b, b);
      const double confusion = own > 0 ? (scores(a, b) + scores(b, a)) / own : 0;
      moment.pairs.push_back({i, j, {moment.tasks[i].name, moment.tasks[j].name, confusion}});
    }
  }
  std::stable_sort(
      moment.pairs.begin(), moment.pairs.end(),
      [](const PlacedPair& a, const PlacedPair& b) { return a.pair.confusion > b.pair.confusion; });
  return moment;
}

/// Fills in what the adapters say. At most two are in memory for it at a time, and one stays while
/// its partners come.
template <RealScalar S>
void compare_adapters(PairMoment<S>& moment) {
  std::vector<PlacedPair*> order;
  for (PlacedPair& pair : moment.pairs) order.push_back(&pair);
  std::sort(order.begin(), order.end(), [](const PlacedPair* a, const PlacedPair* b) {
    return std::pair(a->first, a->second) < std::pair(b->first, b->second);
  });
  std::size_t held = moment.handles.size();  // whose adapter `first` is
  typename AdapterHandle<S>::Pointer first;
  for (PlacedPair* pair : order) {
    if (held != pair->first) {
      first.reset();
      first = moment.handles[pair->first]->get();
      held = pair->first;
    }
    const auto second = moment.handles[pair->second]->get();
    const Adapter<S>* const both[] = {first.get(), second.get()};
    const AdapterPair numbers = rank_pairs<S>(both, 1).front();
    pair->pair.adapter_similarity = numbers.similarity;
    pair->pair.subspace_overlap = numbers.row_overlap;
  }
}

}  // namespace detail

/// All pairs of tasks, the most confused first; archived tasks too.
/// @throws FileError, FormatError  where an adapter has to be loaded and cannot be
/// Cost: 2 d T^2 flops; T (T - 1) / 2 comparisons of adapters, of which at most two are in memory
/// for it at a time: those on disk are loaded once a pair (suggest_merges loads few of them).
template <Backbone B>
[[nodiscard]] std::vector<TaskPair> task_pairs(const ContinualLearner<B>& learner) {
  auto moment = detail::pair_moment(learner);
  detail::compare_adapters(moment);
  std::vector<TaskPair> pairs;
  for (detail::PlacedPair& pair : moment.pairs) pairs.push_back(std::move(pair.pair));
  return pairs;
}

}  // namespace anyssr::inline ANYSSR_ABI
