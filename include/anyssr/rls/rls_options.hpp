// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The forms of recursive least squares, their options and reports.
/// Source: Any-SSR, arXiv 2503.13575, for the regression; the options are ours.

#include <concepts>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "anyssr/core/concepts.hpp"
#include "anyssr/core/enum_names.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// Form that keeps S and C and solves when asked: a row costs d^2 flops, a solve d^3 / 3. Exact at
/// every ridge; the default.
struct Information {};

/// Form that keeps R = (S + lambda I)^-1 and W: weights are current after every batch, a row costs
/// about 2 d^2 flops in a stream of rows and 3 d^2 in large batches. Its error grows as
/// eps cond(S + lambda I).
struct Covariance {};

template <class F>
concept RlsForm = std::same_as<F, Information> || std::same_as<F, Covariance>;

template <RealScalar S, RlsForm Form = Information>
class RecursiveLeastSquares;

enum class RidgeScale : std::uint8_t {
  relative,  ///< lambda = ridge * tr(S) / d at the time of the solve: independent of scale and
             ///< order
  absolute   ///< lambda = ridge
};

namespace detail {
template <>
inline constexpr RidgeScale last_enumerator<RidgeScale> = RidgeScale::absolute;
}  // namespace detail

/// @throws ArgumentError  for a value that is no enumerator
[[nodiscard]] constexpr std::string_view to_string(RidgeScale scale) {
  switch (scale) {
    case RidgeScale::relative:
      return "relative";
    case RidgeScale::absolute:
      return "absolute";
  }
  detail::raise_no_enumerator("ridge scale", scale);
}

struct RlsOptions {
  double ridge = 1e-3;  ///< > 0; larger is smoother and better conditioned
  RidgeScale ridge_scale = RidgeScale::relative;  ///< the covariance form needs an absolute one
  int threads = 0;                                ///< 0: the cores that this process may use
  bool keep_sums = false;  ///< covariance form: keep S and C too (d^2 more numbers), for merge,
                           ///< set_ridge, select_ridge and rebuild
};

/// What belongs to one batch.
struct BatchOptions {
  /// Target column of each column of y, in any order, no two equal; empty: 0, 1, 2, ...
  std::span<const Index> columns = {};
  /// s_i > 0, one a row; empty: all 1
  std::span<const double> row_weights = {};
};

/// One value of the ridge as generalised cross-validation sees it.
struct RidgeCandidate {
  double ridge = 0;               ///< as it was given
  double lambda = 0;              ///< the same, absolute
  double residual = 0;            ///< RSS, over all rows and columns
  double degrees_of_freedom = 0;  ///< df = tr S (S + lambda I)^-1
  double gcv = 0;                 ///< n RSS / (n - df)^2; infinite where n - df < 0.02 n, or where
                                  ///< round-off decides the solve in this scalar
  double round_off = 0;           ///< relative error of gcv that round-off can cause
};

/// Where the chosen ridge stands among the candidates that could be judged.
enum class RidgeEnd : std::uint8_t {
  none,     ///< between others: the choice can be trusted
  lowest,   ///< the smallest of them: smaller ones may be better, or cannot be judged
  highest,  ///< the largest of them: the features hardly tell the targets apart
  flat      ///< none is better than another: the features tell nothing
};

namespace detail {
template <>
inline constexpr RidgeEnd last_enumerator<RidgeEnd> = RidgeEnd::flat;
}  // namespace detail

/// @throws ArgumentError  for a value that is no enumerator
[[nodiscard]] constexpr std::string_view to_string(RidgeEnd end) {
  switch (end) {
    case RidgeEnd::none:
      return "none";
    case RidgeEnd::lowest:
      return "lowest";
    case RidgeEnd::highest:
      return "highest";
    case RidgeEnd::flat:
      return "flat";
  }
  detail::raise_no_enumerator("ridge end", end);
}

struct RidgeSelection {
  double ridge = 0;  ///< the candidate with the smallest gcv, as it was given; of several that only
                     ///< round-off tells apart the largest
  RidgeEnd end = RidgeEnd::none;
  std::vector<RidgeCandidate> candidates;
};

/// How far the numbers of a covariance form can be trusted.
enum class RlsStatus : std::uint8_t {
  accurate,  ///< the error of R and W that the form measures is below 1 %
  doubtful,  ///< it is not: rebuild, or use the information form
  broken     ///< the error of W passes 50 %, or R breaks what holds for every inverse Gram
             ///< (0 < R_ii <= 1 / lambda): rebuild
};

namespace detail {
template <>
inline constexpr RlsStatus last_enumerator<RlsStatus> = RlsStatus::broken;
}  // namespace detail

/// @throws ArgumentError  for a value that is no enumerator
[[nodiscard]] constexpr std::string_view to_string(RlsStatus status) {
  switch (status) {
    case RlsStatus::accurate:
      return "accurate";
    case RlsStatus::doubtful:
      return "doubtful";
    case RlsStatus::broken:
      return "broken";
  }
  detail::raise_no_enumerator("status", status);
}

}  // namespace anyssr::inline ANYSSR_ABI
