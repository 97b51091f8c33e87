// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// How an analytic router learns and what its decisions say.
/// Source: ours.

#include "anyssr/core/error.hpp"
#include "anyssr/core/finite.hpp"
#include "anyssr/rls/rls_options.hpp"
#include "anyssr/router/novelty.hpp"
#include "anyssr/subspace/expansion.hpp"

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

/// Refuses what is out of range. Expansion and regression check their own options.
inline void expect_possible_options(const RouterOptions& options) {
  expect(is_finite(options.label_weight) && options.label_weight >= 0, "label_weight is ",
         options.label_weight, ", expected a finite number, at least 0");
  expect(is_finite(options.novelty.leverage_weight), "leverage_weight is ",
         options.novelty.leverage_weight,
         ", expected a finite number, below 0 for the default of the mode");
  expect(options.calibration_rows >= 1, "calibration_rows is ", options.calibration_rows,
         ", expected at least 1");
}

}  // namespace detail
}  // namespace anyssr::inline ANYSSR_ABI
