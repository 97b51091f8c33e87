// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// How unlike a query is to all that was learned:
///
///   novelty = a u(h) - best score / (1 + w)                     larger: less like anything
///   u(h)    = lambda l(h) / |h|^2, 0..1                         share of h that no row explains
///   leverage    l(h) = h (S + lambda I)^-1 h^T                  exact: one triangular solve
///   diagonal    l(h) = sum_j h_j^2 / (S_jj + lambda)            cheap: one pass over h
///
/// A query of a known kind scores near 1 + w at its task, and lies where rows were seen: u is 0
/// along directions that many rows share, 1 where none went, whatever the scale of ridge and rows.
/// No example of a foreign query enters. (Leverage as a distance: arXiv 1807.03888 with one shared
/// covariance.)

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "anyssr/core/concepts.hpp"
#include "anyssr/core/enum_names.hpp"
#include "anyssr/core/error.hpp"
#include "anyssr/linalg/gram_factor.hpp"

namespace anyssr::inline ANYSSR_ABI {

enum class NoveltyMode : std::uint8_t {
  none,      ///< decisions carry no novelty
  score,     ///< the best score alone
  diagonal,  ///< with the cheap leverage
  leverage   ///< with the exact leverage: snapshots keep a copy of the factor, d^2 numbers
};

namespace detail {
template <>
inline constexpr NoveltyMode last_enumerator<NoveltyMode> = NoveltyMode::leverage;
}  // namespace detail

/// @throws ArgumentError  for a value that is no enumerator
[[nodiscard]] constexpr std::string_view to_string(NoveltyMode mode) {
  switch (mode) {
    case NoveltyMode::none:
      return "none";
    case NoveltyMode::score:
      return "score";
    case NoveltyMode::diagonal:
      return "diagonal";
    case NoveltyMode::leverage:
      return "leverage";
  }
  detail::raise_no_enumerator("novelty mode", mode);
}

struct NoveltyOptions {
  NoveltyMode mode = NoveltyMode::diagonal;
  /// a >= 0. Below 0: 4/3 for the exact leverage and 1 for the cheap one, near which novelty tells
  /// best on hashed text (little depends on it).
  double leverage_weight = -1;
};

/// Memory of leverages. One a thread.
template <RealScalar S>
struct LeverageWorkspace {
  Vector<S> leverage;  ///< u, one a row
  Matrix<S> solved;    ///< d x rows, of the exact one
};

/// Measures novelty by the numbers of one moment. Immutable.
template <RealScalar S>
class NoveltyMeter {
 public:
  NoveltyMeter() = default;  ///< of no mode

  /// @param lambda         as the solve uses it
  /// @param gram_diagonal  d numbers S_jj + lambda, where the mode needs them
  /// @param factor         where the mode needs it
  NoveltyMeter(const NoveltyOptions& options, double lambda, const Vector<S>& gram_diagonal,
               std::shared_ptr<const GramFactor<S>> factor)
      : mode_(options.mode),
        weight_(options.leverage_weight >= 0            ? options.leverage_weight
                : options.mode == NoveltyMode::leverage ? 4.0 / 3
                                                        : 1),
        lambda_(static_cast<S>(lambda)),
        inverse_diagonal_(gram_diagonal.cwiseInverse()),
        factor_(std::move(factor)) {}

  [[nodiscard]] NoveltyMode mode() const noexcept { return mode_; }
  [[nodiscard]] double leverage_weight() const noexcept { return weight_; }
  /// Bytes beside the router's own.
  [[nodiscard]] std::size_t bytes() const noexcept {
    const Index factor = factor_ ? factor_->square.size() + factor_->diagonal.size() : 0;
    return static_cast<std::size_t>(inverse_diagonal_.size() + factor) * sizeof(S);
  }

  /// workspace.leverage = u of every expanded row, n x d. A row of zeros is like nothing: u = 1.
  template <class H>
  void measure(const H& expanded, LeverageWorkspace<S>& workspace) const {
    if (mode_ != NoveltyMode::diagonal && mode_ != NoveltyMode::leverage) return;
    Vector<S>& u = workspace.leverage;
    if (u.size() != expanded.rows()) u.resize(expanded.rows());
    if (mode_ == NoveltyMode::leverage) {
      factor_->leverage(expanded, workspace.solved, u);
    } else {
      for (Index i = 0; i < expanded.rows(); ++i) u(i) = diagonal_of(expanded, i);
    }
    for (Index i = 0; i < expanded.rows(); ++i) {
      const S energy = expanded.row(i).squaredNorm();
      u(i) = energy > 0 ? std::min(S(1), lambda_ * u(i) / energy) : S(1);
    }
  }

  /// @param share  best score over what a right one is near
  [[nodiscard]] std::optional<double> novelty(double share, Index row,
                                              const LeverageWorkspace<S>& workspace) const {
    if (mode_ == NoveltyMode::none) return std::nullopt;
    if (mode_ == NoveltyMode::score) return -share;
    return weight_ * static_cast<double>(workspace.leverage(row)) - share;
  }

 private:
  template <class H>
  [[nodiscard]] S diagonal_of(const H& expanded, Index i) const {
    if constexpr (SparseFeatures<H>) {
      S sum = 0;
      for (typename H::InnerIterator it(expanded, i); it; ++it) {
        sum += it.value() * it.value() * inverse_diagonal_(it.index());
      }
      return sum;
    } else {
      return expanded.row(i).cwiseAbs2().dot(inverse_diagonal_.transpose());
    }
  }

  NoveltyMode mode_ = NoveltyMode::none;
  double weight_ = 0;
  S lambda_ = 1;
  Vector<S> inverse_diagonal_;  // d where the mode is diagonal, else none
  std::shared_ptr<const GramFactor<S>> factor_;
};

}  // namespace anyssr::inline ANYSSR_ABI
