// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The head of a task whose n rows are all of one class: it answers that class whatever it reads.
///
///   weights 0,  bias_k = log((n [k = class] + 1 / c) / (n + 1))      c classes
///
/// So it stays less than certain where other classes exist, by one row of unknown class, as
/// linalg/temperature.hpp does; where c is 1 its only probability is 1.

#include <algorithm>
#include <cmath>
#include <span>

#include "anyssr/core/error.hpp"
#include "anyssr/lora/adapter.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// Whether there is nothing to tell apart.
[[nodiscard]] inline bool is_of_one_class(std::span<const Index> labels) noexcept {
  return std::all_of(labels.begin(), labels.end(),
                     [&](Index label) { return label == labels.front(); });
}

/// @param width    of what it reads
/// @param classes  c, above `label`
/// @param label    the class of all rows, 0 or more
/// @param rows     n, at least 1
/// @return weights width x classes; trained is false, so no optimiser changes it
/// @throws ArgumentError
template <RealScalar S>
[[nodiscard]] Head<S> constant_head(Index width, Index classes, Index label, Index rows) {
  detail::expect(label >= 0 && label < classes, "label is ", label, ", expected 0 to ",
                 classes - 1);
  detail::expect(rows >= 1, "rows is ", rows, ", expected at least 1");
  const double unknown = 1 / static_cast<double>(classes);
  const auto n = static_cast<double>(rows);
  const auto bias = [&](double count) {
    return static_cast<S>(std::log((count + unknown) / (n + 1)));
  };
  Head<S> head{.weights = Matrix<S>::Zero(width, classes),
               .bias = RowVector<S>::Constant(classes, bias(0)),
               .trained = false};
  head.bias(label) = bias(n);
  return head;
}

}  // namespace anyssr::inline ANYSSR_ABI
