// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// What a LiftedBackbone is trained for: classes or vectors. The targets of either objective, the
/// width of the head that they ask for, and their loss.

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <span>
#include <type_traits>

#include "anyssr/core/concepts.hpp"
#include "anyssr/core/error.hpp"
#include "anyssr/core/finite.hpp"
#include "anyssr/train/objective.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// Objective: targets are classes 0, 1, ...; outputs are log probabilities, one per class.
struct Classification {};

/// Objective: targets and outputs are vectors.
struct Regression {};

template <class O>
concept LiftObjective = std::same_as<O, Classification> || std::same_as<O, Regression>;

/// A class, or a vector.
template <LiftObjective O, RealScalar S>
using LiftTarget = std::conditional_t<std::same_as<O, Classification>, Index, Vector<S>>;

namespace detail {

/// One more than the largest class.
/// @throws ShapeError     no targets
/// @throws ArgumentError  a class below 0, or one that is too large for so few rows
[[nodiscard]] inline Index target_width(std::span<const Index> targets) {
  expect<ShapeError>(!targets.empty(), "targets are empty, expected at least 1");
  const auto [low, high] = std::minmax_element(targets.begin(), targets.end());
  expect(*low >= 0, "targets hold class ", *low, ", expected 0 or more");
  // A head takes memory per class: a few rows of a large label are a mistake more often.
  const auto rows = static_cast<Index>(targets.size());
  const Index classes = std::min<Index>(1000 * (rows + 1), 1000000);
  expect(*high < classes, "targets hold class ", *high, " in ", rows, " rows, expected below ",
         classes, ": number the classes from 0");
  return *high + 1;
}

/// The size of the vectors.
/// @throws ShapeError      no targets, or targets of several sizes
/// @throws NonFiniteError
template <RealScalar S>
[[nodiscard]] Index target_width(std::span<const Vector<S>> targets) {
  expect<ShapeError>(!targets.empty(), "targets are empty, expected at least 1");
  const Index width = targets.front().size();
  for (const Vector<S>& target : targets) {
    expect<ShapeError>(target.size() == width && width > 0, "targets have ", target.size(), " and ",
                       width, " values, expected one size above 0");
    expect_finite("targets", target);
  }
  return width;
}

/// Refuses a class that a head of `outputs` classes does not have.
/// @throws ArgumentError
inline void expect_answerable(Index target, Index outputs) {
  expect(target >= 0 && target < outputs, "targets hold class ", target, ", expected one of the ",
         outputs, " classes of the adapter: replace_adapter brings one that knows more");
}

/// Refuses a vector of another size than the head's outputs.
/// @throws ShapeError
template <RealScalar S>
void expect_answerable(const Vector<S>& target, Index outputs) {
  expect<ShapeError>(target.size() == outputs, "targets have ", target.size(), " values, expected ",
                     outputs);
}

/// The best class is the target.
template <RealScalar S>
[[nodiscard]] bool answers(const Vector<S>& output, Index target) {
  if (output.size() == 0) return false;
  Index best = 0;
  output.maxCoeff(&best);
  return best == target;
}

/// Every value is within 0.1 of the target's.
template <RealScalar S>
[[nodiscard]] bool answers(const Vector<S>& output, const Vector<S>& target) {
  return output.size() > 0 && output.size() == target.size() &&
         (output - target).cwiseAbs().maxCoeff() <= S(0.1);
}

/// Mean cross-entropy of the classes, and its gradient.
template <RealScalar S>
[[nodiscard]] double target_loss(const RowMajorMatrix<S>& scores, std::span<const Index> targets,
                                 double label_smoothing, RowMajorMatrix<S>& d_scores) {
  return softmax_cross_entropy(scores, targets, label_smoothing, &d_scores);
}

/// Mean squared error of the vectors, and its gradient.
template <RealScalar S>
[[nodiscard]] double target_loss(const RowMajorMatrix<S>& scores,
                                 std::span<const Vector<S>> targets, double /*label_smoothing*/,
                                 RowMajorMatrix<S>& d_scores) {
  RowMajorMatrix<S> stacked(scores.rows(), scores.cols());
  for (Index i = 0; i < stacked.rows(); ++i) {
    stacked.row(i) = targets[static_cast<std::size_t>(i)].transpose();
  }
  return squared_error(scores, stacked, &d_scores);
}

}  // namespace detail
}  // namespace anyssr::inline ANYSSR_ABI
