// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The leading directions of the rows of A (n x D): orthonormal U (D x k) that keeps most of A in
/// A U U^T.
///
/// exact:       eigenvectors of the smaller of A A^T and A^T A, in double
/// randomised:  Z = orth(A Omega);  repeat Z = orth(A A^T Z);  U, s from the SVD of A^T Z
///
/// Omega is a random D x (k + oversampling) matrix. The randomised form works on the shorter side:
/// for n > D it iterates with A^T A on D x l matrices instead. Source: arXiv 0909.4061
/// (Halko, Martinsson, Tropp), randomised subspace iteration.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string_view>

#include "anyssr/core/concepts.hpp"
#include "anyssr/core/enum_names.hpp"
#include "anyssr/core/random.hpp"
#include "anyssr/linalg/orthonormal.hpp"
#include "anyssr/linalg/product.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// automatic: randomised where a rank below half of min(n, D) is asked for and min(n, D) > 128.
enum class SubspaceMethod { automatic, exact, randomised };

namespace detail {
template <>
inline constexpr SubspaceMethod last_enumerator<SubspaceMethod> = SubspaceMethod::randomised;
}  // namespace detail

/// @throws ArgumentError  for a value that is no enumerator
[[nodiscard]] constexpr std::string_view to_string(SubspaceMethod method) {
  switch (method) {
    case SubspaceMethod::automatic:
      return "automatic";
    case SubspaceMethod::exact:
      return "exact";
    case SubspaceMethod::randomised:
      return "randomised";
  }
  detail::raise_no_enumerator("method", method);
}

struct SubspaceOptions {
  Index rank = 0;       ///< at most so many directions; 0: as many as `energy` asks for
  double energy = 1.0;  ///< (0, 1]: stop at the first directions that keep this share of |X|^2
  SubspaceMethod method = SubspaceMethod::automatic;  ///< randomised needs a rank
  int power_iterations = 2;                           ///< randomised: 0 or more; 2 is near exact
  Index oversampling = 16;                            ///< randomised: directions beyond rank, >= 0
  std::uint64_t seed = 0;                             ///< randomised
};

namespace detail {

/// The stream of SubspaceOptions::seed that Omega is drawn from.
inline constexpr std::uint64_t sketch_stream = 0x53554201;

inline void expect_valid(const SubspaceOptions& options) {
  expect(options.rank >= 0, "rank is ", options.rank, ", expected 0 (by energy) or more");
  expect(options.energy > 0 && is_within(options.energy, 0.0, 1.0), "energy is ", options.energy,
         ", expected a share above 0, at most 1");
  expect(options.power_iterations >= 0, "power_iterations is ", options.power_iterations,
         ", expected 0 or more");
  expect(options.oversampling >= 0, "oversampling is ", options.oversampling,
         ", expected 0 or more");
  expect(options.method != SubspaceMethod::randomised || options.rank > 0,
         "rank is 0, expected at least 1 under method randomised");
}

/// Calls f with features in one of three forms: sparse rows, or a dense Ref in their storage order.
/// Numbers in memory are not copied; an expression is evaluated once.
template <class X, class F>
decltype(auto) with_plain_rows(const X& features, const F& f) {
  using Scalar = typename X::Scalar;
  if constexpr (std::same_as<X, SparseRows<Scalar>>) {
    return f(features);
  } else if constexpr (SparseFeatures<X>) {
    const SparseRows<Scalar> rows = features;
    return f(rows);
  } else if constexpr (bool(X::IsRowMajor)) {
    const Eigen::Ref<const RowMajorMatrix<Scalar>> rows(features);
    return f(rows);
  } else {
    const Eigen::Ref<const Matrix<Scalar>> rows(features);
    return f(rows);
  }
}

/// |A|^2 in double.
template <class X>
[[nodiscard]] double energy_of(const X& rows) {
  double energy = 0;
  for (Index i = 0; i < rows.outerSize(); ++i) {
    if constexpr (SparseFeatures<X>) {
      energy += rows.row(i).template cast<double>().squaredNorm();
    } else {
      const auto inner =
          rows.template subVector < X::IsRowMajor ? Eigen::Horizontal : Eigen::Vertical > (i);
      energy += inner.template cast<double>().squaredNorm();
    }
  }
  return energy;
}

/// The rows of X as a linear map A.
template <class X>
class PlainRows {
 public:
  using Scalar = typename X::Scalar;
  explicit PlainRows(const X& x) : x_{x} {}

  [[nodiscard]] Index rows() const { return x_.rows(); }
  [[nodiscard]] Index cols() const { return x_.cols(); }
  [[nodiscard]] RowMajorMatrix<Scalar> times(const RowMajorMatrix<Scalar>& m) const {
    return product_of<RowMajorMatrix<Scalar>>(x_, m);
  }
  [[nodiscard]] RowMajorMatrix<Scalar> transpose_times(const RowMajorMatrix<Scalar>& m) const {
    return product_of<RowMajorMatrix<Scalar>>(x_.transpose(), m);
  }
  /// A A^T m.
  [[nodiscard]] RowMajorMatrix<Scalar> row_gram_times(const RowMajorMatrix<Scalar>& m) const {
    return product_of<RowMajorMatrix<Scalar>>(x_, transpose_times(m));
  }
  /// A A^T, lower triangle.
  [[nodiscard]] Matrix<double> gram_of_rows() const {
    if constexpr (SparseFeatures<X>) {
      const SparseRows<double> x = x_.template cast<double>();
      return Matrix<double>(SparseRows<double>(x * x.transpose()));
    } else {
      return gram_in_double(x_.transpose());
    }
  }
  /// A^T A, lower triangle.
  [[nodiscard]] Matrix<double> gram_of_columns() const {
    if constexpr (SparseFeatures<X>) {
      const SparseRows<double> x = x_.template cast<double>();
      return Matrix<double>(SparseRows<double>(x.transpose() * x));
    } else {
      return gram_in_double(x_);
    }
  }

  /// The first right singular vectors of A, for n <= D, from the eigenvectors of A A^T.
  [[nodiscard]] Matrix<Scalar> right_singular_vectors(const GramSpectrum& spectrum,
                                                      Index count) const {
    if (count == 0) return Matrix<Scalar>(x_.cols(), 0);
    if constexpr (SparseFeatures<X>) {
      const SparseRows<double> x = x_.template cast<double>();
      const RowMajorMatrix<double> coefficients =
          spectrum.vectors.leftCols(count) *
          spectrum.singular_values.head(count).cwiseInverse().asDiagonal();
      const RowMajorMatrix<double> vectors = x.transpose() * coefficients;
      Matrix<Scalar> basis = vectors.template cast<Scalar>();
      reorthonormalise(basis);
      return basis;
    } else {
      return left_singular_vectors(x_.transpose(), spectrum, count);
    }
  }

 private:
  const X& x_;
};

/// U and the singular values of A along it, largest first.
template <RealScalar S>
struct LeadingDirections {
  Matrix<S> basis;                 // D x k, orthonormal to round-off
  Vector<double> singular_values;  // k
};

/// What ends the list of directions, besides rank and energy.
struct DirectionLimits {
  double total_energy = 0;                      // |A|^2
  double relative_tolerance = gram_resolution;  // of the largest singular value
  double least_singular_value = 0;              // whatever is not above it counts as round-off
};

[[nodiscard]] inline Index count_directions(const Vector<double>& singular_values,
                                            const SubspaceOptions& options,
                                            const DirectionLimits& limits) {
  const Index rank = numerical_rank(singular_values, limits.relative_tolerance);
  const Index most = options.rank == 0 ? rank : std::min(rank, options.rank);
  const bool by_energy = options.energy < 1;
  double kept = 0;
  for (Index k = 0; k < most; ++k) {
    if (by_energy && kept >= options.energy * limits.total_energy) return k;
    if (singular_values(k) <= limits.least_singular_value) return k;
    kept += singular_values(k) * singular_values(k);
  }
  return most;
}

/// Cost: the Gram and O(min(n, D)^3).
template <class A>
[[nodiscard]] LeadingDirections<typename A::Scalar> exact_directions(
    const A& a, const SubspaceOptions& options, const DirectionLimits& limits) {
  const bool wide = a.rows() <= a.cols();
  const GramSpectrum spectrum = gram_spectrum(wide ? a.gram_of_rows() : a.gram_of_columns());
  const Index count = count_directions(spectrum.singular_values, options, limits);
  LeadingDirections<typename A::Scalar> result;
  result.singular_values = spectrum.singular_values.head(count);
  if (wide) {
    result.basis = a.right_singular_vectors(spectrum, count);
  } else {
    result.basis = spectrum.vectors.leftCols(count).template cast<typename A::Scalar>();
  }
  return result;
}

/// Orthonormal columns that span those of a sketch; their order is of no account, so two Cholesky
/// passes do wherever the columns are independent enough.
template <RealScalar S>
[[nodiscard]] RowMajorMatrix<S> sketch_basis(RowMajorMatrix<S> sketch) {
  if (cholesky_orthonormalise(sketch, 1e3) && cholesky_orthonormalise(sketch, 1e3)) return sketch;
  return orthonormal_basis(sketch, gram_resolution);
}

/// Asks of A: rows(), cols(), times(), transpose_times(), row_gram_times().
/// Cost: 2 power_iterations + 2 products of A with rank + oversampling columns.
template <class A>
[[nodiscard]] LeadingDirections<typename A::Scalar> randomised_directions(
    const A& a, const SubspaceOptions& options, const DirectionLimits& limits) {
  using Scalar = typename A::Scalar;
  const bool wide = a.rows() <= a.cols();
  const Index shorter = std::min(a.rows(), a.cols());
  const Index width = std::min(options.rank, shorter) +
                      std::min(options.oversampling, shorter - std::min(options.rank, shorter));
  const RowMajorMatrix<Scalar> omega = random_normal<Scalar, Eigen::RowMajor>(
      wide ? a.cols() : a.rows(), width, options.seed, sketch_stream);
  RowMajorMatrix<Scalar> z = sketch_basis<Scalar>(wide ? a.times(omega) : a.transpose_times(omega));
  for (int i = 0; i < options.power_iterations && z.cols() > 0; ++i) {
    z = sketch_basis<Scalar>(wide ? a.row_gram_times(z) : a.transpose_times(a.times(z)));
  }
  if (z.cols() == 0) return {Matrix<Scalar>(a.cols(), 0), {}};
  const RowMajorMatrix<Scalar> b = wide ? a.transpose_times(z) : a.times(z);
  const GramSpectrum spectrum = gram_spectrum(gram_in_double(b));
  const Index count = count_directions(spectrum.singular_values, options, limits);
  LeadingDirections<Scalar> result;
  result.singular_values = spectrum.singular_values.head(count);
  if (wide) {
    result.basis = left_singular_vectors(b, spectrum, count);
  } else {
    const Matrix<Scalar> vectors = spectrum.vectors.leftCols(count).template cast<Scalar>();
    set_product(result.basis, z, vectors);
  }
  return result;
}

[[nodiscard]] inline bool is_randomised(const SubspaceOptions& options, Index rows, Index cols) {
  if (options.method != SubspaceMethod::automatic) {
    return options.method == SubspaceMethod::randomised;
  }
  const Index shorter = std::min(rows, cols);
  return options.rank > 0 && shorter > 128 && options.rank < shorter / 2 - options.oversampling;
}

}  // namespace detail
}  // namespace anyssr::inline ANYSSR_ABI
