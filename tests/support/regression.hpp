// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// What the tests of recursive least squares share: rows with weights, their joint fit, ways to
/// feed them, tolerances, and the state that a refused call must leave as it was.

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "anyssr/rls/recursive_least_squares.hpp"
#include "support/numeric.hpp"

namespace anyssr::test {

using InformationFloat = RecursiveLeastSquares<float>;
using InformationDouble = RecursiveLeastSquares<double>;
using CovarianceFloat = RecursiveLeastSquares<float, Covariance>;
using CovarianceDouble = RecursiveLeastSquares<double, Covariance>;

template <class Rls>
inline constexpr bool is_covariance = requires(Rls& rls) {
  rls.rebuild();
};

/// One thread: the sanitized runs are slow enough.
inline RlsOptions absolute(double ridge, bool keep_sums = false) {
  return {
      .ridge = ridge, .ridge_scale = RidgeScale::absolute, .threads = 1, .keep_sums = keep_sums};
}
inline RlsOptions relative(double ridge) { return {.ridge = ridge, .threads = 1}; }

/// n rows with their targets and weights; no weights: all 1.
template <class S>
struct Rows {
  Matrix<S> x;
  Matrix<S> y;
  std::vector<double> weights = {};

  [[nodiscard]] Index size() const { return x.rows(); }
  [[nodiscard]] BatchOptions options() const { return {.columns = {}, .row_weights = weights}; }

  /// The named rows, in the named order.
  [[nodiscard]] Rows select(const std::vector<Index>& rows) const {
    Rows result{Matrix<S>(static_cast<Index>(rows.size()), x.cols()),
                Matrix<S>(static_cast<Index>(rows.size()), y.cols())};
    for (std::size_t i = 0; i < rows.size(); ++i) {
      result.x.row(static_cast<Index>(i)) = x.row(rows[i]);
      result.y.row(static_cast<Index>(i)) = y.row(rows[i]);
      if (!weights.empty()) {
        result.weights.push_back(weights[static_cast<std::size_t>(rows[i])]);
      }
    }
    return result;
  }
  [[nodiscard]] Rows middle(Index begin, Index count) const {
    std::vector<Index> rows(static_cast<std::size_t>(count));
    std::iota(rows.begin(), rows.end(), begin);
    return select(rows);
  }

  /// Rows and targets times the roots of the weights, in double.
  [[nodiscard]] Eigen::MatrixXd scaled(const Matrix<S>& matrix) const {
    Eigen::MatrixXd wide = matrix.template cast<double>();
    for (std::size_t i = 0; i < weights.size(); ++i) {
      wide.row(static_cast<Index>(i)) *= std::sqrt(weights[i]);
    }
    return wide;
  }
  /// The ridge regression of all rows, by QR in double.
  [[nodiscard]] Eigen::MatrixXd joint(double ridge) const {
    return joint_fit(scaled(x), scaled(y), ridge);
  }
  /// Eigenvalues of S, ascending.
  [[nodiscard]] Eigen::VectorXd spectrum() const {
    const Eigen::MatrixXd wide = scaled(x);
    return eigenvalues_of(gram_of(wide)).cwiseMax(0);
  }
  /// cond(S + ridge I)
  [[nodiscard]] double condition(double ridge) const {
    const Eigen::VectorXd values = spectrum();
    return (values(values.size() - 1) + ridge) / (values(0) + ridge);
  }
};

/// What noisy linear maps give, without weights.
template <class S>
Rows<S> random_rows(Index n, Index d, Index t, std::uint64_t seed) {
  auto [x, y] = random_regression<S>(n, d, t, seed);
  return {std::move(x), std::move(y)};
}

/// Rows of random shape, about half of the time with many zeros, and with weights.
template <class S>
Rows<S> random_shape(Index most_rows, std::uint64_t seed) {
  RandomStream random(seed, 20);
  const auto up_to = [&](Index most) {
    return 1 + static_cast<Index>(random.below(static_cast<std::uint32_t>(most)));
  };
  Rows<S> rows = random_rows<S>(up_to(most_rows), up_to(40), up_to(4), seed);
  if (random.below(2) == 1) rows.x = random_sparse<S>(rows.size(), rows.x.cols(), 0.3, seed);
  if (random.below(2) == 1) {
    for (Index i = 0; i < rows.size(); ++i) rows.weights.push_back(0.25 + 2 * random.uniform());
  }
  return rows;
}

template <class Rls, class S = typename Rls::Scalar>
std::uint64_t update(Rls& rls, const Rows<S>& batch) {
  return rls.update(batch.x, batch.y, batch.options());
}

/// Calls f(batch) for batches of `size` rows.
template <class S, class F>
void for_each_batch(const Rows<S>& rows, Index size, const F& f) {
  for (Index begin = 0; begin < rows.size(); begin += size) {
    f(rows.middle(begin, std::min(size, rows.size() - begin)));
  }
}

/// Learns all rows in batches of `size`.
/// @return the sum of the digests
template <class Rls, class S = typename Rls::Scalar>
std::uint64_t feed(Rls& rls, const Rows<S>& rows, Index size) {
  std::uint64_t digest = 0;
  for_each_batch(rows, size, [&](const Rows<S>& batch) { digest += update(rls, batch); });
  return digest;
}

/// Error of weights that the form may have: what round-off makes of the worst condition number that
/// it passed. The information form solves once, with all rows; the covariance form begins at
/// R = I / ridge and passes tr(S) / ridge.
template <class Rls, class S = typename Rls::Scalar>
double tolerance(const Rows<S>& rows, double ridge) {
  const double floor = std::is_same_v<S, double> ? 1e-9 : round_off<S>(50);
  if (!is_covariance<Rls>) return std::max(floor, round_off<S>(10 * rows.condition(ridge)));
  const Eigen::VectorXd values = rows.spectrum();
  return std::max(floor, round_off<S>(10 * (1 + values(values.size() - 1) / ridge)));
}

/// State as readers see it. It reads a copy, so that the regression's own rows go on waiting.
template <class S>
struct State {
  template <class Rls>
  explicit State(Rls rls) : energy(rls.target_energy()), rows(rls.rows()), ridge(rls.ridge()) {
    if constexpr (is_covariance<Rls>) {
      parts.push_back(rls.inverse_gram());
      if (rls.options().keep_sums) {
        parts.push_back(rls.sums().second_moment());
        parts.push_back(rls.sums().cross_correlation());
      }
    } else {
      parts.push_back(rls.second_moment());
      parts.push_back(rls.cross_correlation());
    }
    parts.push_back(rls.weights());
  }
  bool operator==(const State& other) const {
    const auto same = [](const auto& a, const auto& b) {
      return a.rows() == b.rows() && a.cols() == b.cols() && a == b;
    };
    return rows == other.rows && ridge == other.ridge && same(energy, other.energy) &&
           std::equal(parts.begin(), parts.end(), other.parts.begin(), other.parts.end(), same);
  }

  Eigen::VectorXd energy;
  Index rows;
  double ridge;
  std::vector<Matrix<S>> parts;
};

}  // namespace anyssr::test
