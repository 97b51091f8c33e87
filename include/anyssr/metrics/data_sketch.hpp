// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Mean and spread of features in a few numbers, whatever their width. A row x of width D becomes
///
///   z = (x R / sqrt(k), |x|)        R (D x k) of random signs, k = min(sketch, D)
///
/// where D <= sketch it is (x, |x|). A shift of the mean of x by v shifts the mean of z by
/// v R / sqrt(k), whose length is |v| give or take |v| / sqrt(k) (Johnson-Lindenstrauss): what is
/// seen in z happened in x. Signs come from (seed, feature) alone and are made where they are used.

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <string>
#include <type_traits>
#include <utility>

#include "anyssr/core/concepts.hpp"
#include "anyssr/core/error.hpp"
#include "anyssr/core/random.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// What is kept of rows of c coordinates; rows themselves are not.
struct FeatureMoments {
  Index rows = 0;
  Vector<double> mean = {};  ///< c, or empty where rows is 0
  Vector<double> m2 = {};    ///< c: sum over rows of (z - mean)^2; empty where rows is 0

  /// m2 / (rows - 1), c; zeros for a single row.
  [[nodiscard]] Vector<double> variance() const {
    return m2 / static_cast<double>(std::max<Index>(rows - 1, 1));
  }
};

namespace detail {

/// Norms up to here: sums of squares of 2^53 such rows are finite.
inline constexpr double largest_norm = 1e140;

/// Moments of n >= 1 rows. The mean comes first, so that the squares do not cancel.
/// A template of `double` alone, so that only its callers compile it.
template <std::same_as<double> S = double>
[[nodiscard]] FeatureMoments moments_of(const std::type_identity_t<Matrix<S>>& z) {
  FeatureMoments moments{.rows = z.rows()};
  moments.mean = z.colwise().mean().transpose();
  moments.m2 = (z.rowwise() - moments.mean.transpose()).colwise().squaredNorm().transpose();
  return moments;
}

/// Moments of the rows of both (Chan, Golub and LeVeque 1979, equation 2.1).
[[nodiscard]] inline FeatureMoments merged_moments(const FeatureMoments& left,
                                                   const FeatureMoments& right) {
  if (left.rows == 0) return right;
  if (right.rows == 0) return left;
  FeatureMoments both{.rows = left.rows + right.rows};
  const auto n = static_cast<double>(left.rows);
  const auto m = static_cast<double>(right.rows);
  both.mean.resize(left.mean.size());
  both.m2.resize(left.mean.size());
  for (Index j = 0; j < both.mean.size(); ++j) {
    const double step = right.mean(j) - left.mean(j);
    both.mean(j) = left.mean(j) + step * (m / (n + m));
    both.m2(j) = left.m2(j) + right.m2(j) + step * step * (n * (m / (n + m)));
  }
  return both;
}

/// Moments of the rows of `both` that are not in `part`, by the same equation. Round-off grows with
/// the share that `part` has of them.
/// @param part  moments of some of the rows
[[nodiscard]] inline FeatureMoments moments_without(const FeatureMoments& both,
                                                    const FeatureMoments& part) {
  if (part.rows == 0) return both;
  FeatureMoments left{.rows = both.rows - part.rows};
  if (left.rows == 0) return left;
  const auto n = static_cast<double>(left.rows);
  const auto m = static_cast<double>(part.rows);
  left.mean.resize(both.mean.size());
  left.m2.resize(both.mean.size());
  for (Index j = 0; j < both.mean.size(); ++j) {
    const double step = part.mean(j) - both.mean(j);
    left.mean(j) = both.mean(j) - step * (m / n);
    const double m2 = both.m2(j) - part.m2(j) - step * step * (m * ((n + m) / n));
    left.m2(j) = left.rows == 1 ? 0 : std::max(m2, 0.0);
  }
  return left;
}

}  // namespace detail

/// The map from features to coordinates. Deterministic from its three numbers.
class FeatureSketch {
 public:
  /// @param dim     D, width of the features, at least 1
  /// @param sketch  coordinates at most, 1 to 65536
  /// @throws ArgumentError
  FeatureSketch(Index dim, Index sketch, std::uint64_t seed)
      : dim_(dim), kept_(std::min(dim, sketch)), seed_(seed) {
    detail::expect(dim >= 1, "dim is ", dim, ", expected at least 1");
    detail::expect(sketch >= 1 && sketch <= 65536, "sketch is ", sketch, ", expected 1 to 65536");
  }

  /// D.
  [[nodiscard]] Index dim() const noexcept { return dim_; }
  /// Numbers a row has here: k, and one for its norm.
  [[nodiscard]] Index coordinates() const noexcept { return kept_ + 1; }
  /// Whether the coordinates are the features themselves.
  [[nodiscard]] bool is_plain() const noexcept { return kept_ == dim_; }

  /// "feature 3", "sketch coordinate 3", "norm"; -1 is "none".
  [[nodiscard]] std::string name_of(Index coordinate) const {
    if (coordinate < 0) return "none";
    if (coordinate == kept_) return "norm";
    return (is_plain() ? "feature " : "sketch coordinate ") + std::to_string(coordinate);
  }

  /// n x coordinates(), in double.
  /// @param features  n x dim(), dense or row-major sparse, float or double
  /// @throws ShapeError; NonFiniteError  for NaN, infinity, or a row whose norm is above 1e140
  /// Cost: O(n k) a feature, of sparse rows k a stored number; no sign is kept.
  template <class X>
  requires(FeatureMatrix<X, float> || FeatureMatrix<X, double>)
      [[nodiscard]] Matrix<double> apply(const X& features) const {
    detail::expect_cols("features", features, dim_);
    Matrix<double> z = Matrix<double>::Zero(features.rows(), coordinates());
    if constexpr (SparseFeatures<X>) {
      add_sparse(features, z);
    } else {
      add_dense(features, z);
    }
    expect_bounded(z.col(kept_), features);
    return z;
  }

 private:
  /// A wide matrix goes through in pieces of this many features.
  static constexpr Index piece = 256;

  /// Calls f(j, sign / sqrt(k)) for each coordinate of a feature.
  template <class F>
  void for_each_sign(Index feature, const F& f) const {
    const double scale = 1 / std::sqrt(static_cast<double>(kept_));
    RandomStream random(seed_, 0x736B65746368U);
    random.seek(static_cast<std::uint64_t>(feature) *
                static_cast<std::uint64_t>((kept_ + 127) / 128));
    for (Index j = 0; j < kept_; j += 32) {
      const std::uint32_t bits = random.bits();
      for (Index b = 0; b < std::min<Index>(32, kept_ - j); ++b) {
        f(j + b, ((bits >> b) & 1U) != 0 ? -scale : scale);
      }
    }
  }

  template <class X>
  void add_sparse(const X& x, Matrix<double>& z) const {
    for (Index i = 0; i < x.rows(); ++i) {
      for (typename X::InnerIterator it(x, i); it; ++it) {
        const auto value = static_cast<double>(it.value());
        z(i, kept_) += value * value;
        if (is_plain()) {
          z(i, it.col()) += value;
        } else {
          for_each_sign(it.col(), [&](Index j, double sign) { z(i, j) += value * sign; });
        }
      }
    }
    z.col(kept_) = z.col(kept_).cwiseSqrt();
  }

  template <class X>
  void add_dense(const X& x, Matrix<double>& z) const {
    for (Index begin = 0; begin < dim_; begin += piece) {
      const Index width = std::min(piece, dim_ - begin);
      const Matrix<double> part = x.middleCols(begin, width).template cast<double>();
      z.col(kept_) += part.rowwise().squaredNorm();
      if (is_plain()) {
        z.middleCols(begin, width) = part;
      } else {
        Matrix<double> signs(width, kept_);
        for (Index i = 0; i < width; ++i) {
          for_each_sign(begin + i, [&](Index j, double sign) { signs(i, j) = sign; });
        }
        z.leftCols(kept_).noalias() += part * signs;
      }
    }
    z.col(kept_) = z.col(kept_).cwiseSqrt();
  }

  template <class Norms, class X>
  static void expect_bounded(const Norms& norms, const X& x) {
    for (Index i = 0; i < norms.size(); ++i) {
      if (detail::is_within<double>(norms(i), 0, detail::largest_norm)) continue;
      if constexpr (SparseFeatures<X>) {
        for (typename X::InnerIterator it(x, i); it; ++it) {
          if (!detail::is_finite(it.value())) detail::raise_non_finite("features", i, it.col());
        }
      } else {
        for (Index j = 0; j < x.cols(); ++j) {
          if (!detail::is_finite(x.coeff(i, j))) detail::raise_non_finite("features", i, j);
        }
      }
      detail::raise<NonFiniteError>("features have a norm of ", norms(i), " at row ", i,
                                    ", expected at most ", detail::largest_norm);
    }
  }

  Index dim_;
  Index kept_;  // k
  std::uint64_t seed_;
};

}  // namespace anyssr::inline ANYSSR_ABI
