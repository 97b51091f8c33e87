// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Generalised cross-validation of one ridge from the sums alone, and the search for the best:
///
///   gcv = n RSS / (n - df)^2,  RSS = E - tr W^T C - lambda |W|^2,  df = d - lambda tr G^-1
///
/// A good ridge has the scale of what matters in the features, which neither tr(S) / d nor any
/// fixed grid knows where columns differ in scale or stand far from zero. So the search goes down
/// until the ridge hides no direction of the features any more, and on while the best candidate
/// stands at an end. A candidate whose solve is made of round-off is refused: its criterion would
/// be a random number. Source: Golub, Heath and Wahba 1979.

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "anyssr/rls/regression_sums.hpp"
#include "anyssr/rls/rls_options.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// Below this share of a column's energy, what a solve finds in the column may be round-off of S
/// (measured: up to 70 epsilon in 400 rows).
template <RealScalar S>
inline constexpr double pivot_limit = 128 * static_cast<double>(std::numeric_limits<S>::epsilon());

namespace detail {

/// min_j U_jj^2 / (S_jj + lambda), 0..1, for S + lambda I = U^T U. It does not depend on the scales
/// of the columns, as the error of the solve does not.
template <RealScalar S, class D>
[[nodiscard]] double smallest_pivot(const D& moments, double lambda, const Vector<S>& factor) {
  double smallest = 1;
  for (Index j = 0; j < factor.size(); ++j) {
    const auto pivot = static_cast<double>(factor(j));
    const double energy = static_cast<double>(moments(j)) + lambda;
    smallest = std::min(smallest, pivot * pivot / energy);
  }
  return smallest;
}

/// Whether lambda is small beside every pivot, so that a smaller one shows nothing new.
template <RealScalar S, class D>
[[nodiscard]] bool hides_nothing(const D& moments, double lambda, const Vector<S>& factor) {
  for (Index j = 0; j < factor.size(); ++j) {
    const auto pivot = static_cast<double>(factor(j));
    if (moments(j) > S(0) && pivot * pivot < 100 * lambda) return false;
  }
  return true;
}

/// A candidate, and whether smaller ones show nothing new.
struct JudgedRidge {
  RidgeCandidate candidate;
  bool hides_nothing = false;
};

/// @param sums    without buffered rows; its strict upper triangle is overwritten
/// @param ridge   as it was given; lambda: the same, absolute
/// @param factor  memory for the diagonal of U
template <RealScalar S>
[[nodiscard]] JudgedRidge cross_validate(RegressionSums<S>& sums, double ridge, double lambda,
                                         Vector<S>& factor, int threads) {
  JudgedRidge judged{.candidate = {.ridge = ridge,
                                   .lambda = lambda,
                                   .gcv = std::numeric_limits<double>::infinity()}};
  RidgeCandidate& result = judged.candidate;
  if (!factor_shifted(sums.square(), static_cast<S>(lambda), factor, threads)) return judged;
  const Matrix<S>& c = sums.cross_correlation();
  Matrix<S> w = c;
  solve_forward(sums.square(), factor, w, threads);
  solve_backward(sums.square(), factor, w, threads);
  double explained = 0;  // tr W^T C
  double norm = 0;       // |W|^2
  for (Index j = 0; j < w.cols(); ++j) {
    const Vector<double> column = w.col(j).template cast<double>();
    explained += column.dot(c.col(j).template cast<double>());
    norm += column.squaredNorm();
  }
  const auto n = static_cast<double>(sums.rows());
  const auto d = static_cast<double>(sums.dim());
  // A residual below round-off is none: of the ridges that fit so well the largest should win.
  constexpr auto epsilon = static_cast<double>(std::numeric_limits<S>::epsilon());
  const double energy = sums.target_energy().sum();
  result.residual = std::max(epsilon * energy, energy - explained - lambda * norm);
  result.degrees_of_freedom = d - lambda * trace_of_inverse(sums.square(), factor, threads);
  const double left = n - result.degrees_of_freedom;
  const auto moments = sums.square().diagonal();
  judged.hides_nothing = hides_nothing<S>(moments, lambda, factor);
  if (left < 0.02 * n || smallest_pivot<S>(moments, lambda, factor) < pivot_limit<S>) return judged;
  result.gcv = n * result.residual / (left * left);
  const double part = result.residual > 0 ? energy / result.residual : 1;
  result.round_off = 8 * epsilon * (part + d / left);
  return judged;
}

/// Fills in ridge and end of the candidates that are there, in any order.
/// @return false where none can be judged
[[nodiscard]] inline bool choose_ridge(RidgeSelection& selection) {
  const std::vector<RidgeCandidate>& all = selection.candidates;
  const RidgeCandidate* best = nullptr;
  for (const RidgeCandidate& candidate : all) {
    if (is_finite(candidate.gcv) && (best == nullptr || candidate.gcv < best->gcv)) {
      best = &candidate;
    }
  }
  if (best == nullptr) return false;
  const double tie = best->gcv * (1 + best->round_off);
  const RidgeCandidate* chosen = best;
  bool smaller = false;  // candidates that were judged, beside the chosen one
  bool larger = false;
  bool flat = all.size() > 1;
  for (const RidgeCandidate& candidate : all) {
    const bool ties = is_finite(candidate.gcv) && candidate.gcv <= tie;
    if (ties && candidate.lambda > chosen->lambda) chosen = &candidate;
    flat = flat && ties;
  }
  for (const RidgeCandidate& candidate : all) {
    if (!is_finite(candidate.gcv)) continue;
    smaller = smaller || candidate.lambda < chosen->lambda;
    larger = larger || candidate.lambda > chosen->lambda;
  }
  selection.ridge = chosen->ridge;
  selection.end = flat             ? RidgeEnd::flat
                  : all.size() < 2 ? RidgeEnd::none
                  : !smaller       ? RidgeEnd::lowest
                  : !larger        ? RidgeEnd::highest
                                   : RidgeEnd::none;
  return true;
}

/// Candidates 10^k unit.
struct RidgeDecades {
  double unit = 1;  // of the ridge, in the scale of the options: the mean energy of a column
  int lowest = -6;  // of the first candidates
  int highest = 1;
  int least = -6;  // no smaller k changes anything in this scalar: S + lambda I is S there
  int most = 1;    // no larger k changes a decision: W is C / lambda there
};

/// @param moments  S_jj
template <RealScalar S, class D>
[[nodiscard]] RidgeDecades ridge_decades(const D& moments, RidgeScale scale) {
  const Eigen::VectorXd energies = moments.template cast<double>();
  RidgeDecades decades;
  const double mean = energies.mean();
  if (!(mean > 0)) return decades;  // rows of zeros: the units stand for themselves
  if (scale == RidgeScale::absolute) decades.unit = mean;
  double smallest = mean;
  for (const double energy : energies) {
    if (energy > 0) smallest = std::min(smallest, energy);
  }
  constexpr int limit = -45;  // whatever rows that went have left of a column
  const int below = static_cast<int>(std::floor(std::log10(smallest / mean)));
  decades.least = std::max(limit, below - std::numeric_limits<S>::digits10);
  decades.most = 3 + static_cast<int>(std::ceil(std::log10(static_cast<double>(moments.size()))));
  return decades;
}

/// @param judge  what a ridge gives, as a JudgedRidge
template <class Judge>
[[nodiscard]] RidgeSelection search_ridge(RidgeDecades decades, const Judge& judge) {
  const auto at = [&](int k) { return judge(decades.unit * std::pow(10.0, k)); };
  RidgeSelection selection;
  std::vector<RidgeCandidate>& all = selection.candidates;
  const JudgedRidge first = at(decades.lowest);
  bool hides_nothing = first.hides_nothing;
  all.push_back(first.candidate);
  for (int k = decades.lowest + 1; k <= decades.highest; ++k) all.push_back(at(k).candidate);
  for (;;) {
    const bool can_judge = choose_ridge(selection);
    const bool can_fall = decades.lowest > decades.least && is_finite(all.front().gcv);
    if (can_fall && (!hides_nothing || selection.end == RidgeEnd::lowest)) {
      const JudgedRidge next = at(--decades.lowest);
      hides_nothing = next.hides_nothing;
      all.insert(all.begin(), next.candidate);
    } else if ((!can_judge || selection.end == RidgeEnd::highest) &&
               decades.highest < decades.most) {
      all.push_back(at(++decades.highest).candidate);
    } else {
      expect<NumericalError>(can_judge,
                             "no ridge can be judged in this scalar: the features are too large or "
                             "too small, scale them");
      return selection;
    }
  }
}

}  // namespace detail
}  // namespace anyssr::inline ANYSSR_ABI
