// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Training objectives, means over rows, with the gradient of that mean:
///
///   cross-entropy   L = mean_i ( log sum_j exp(z_ij) - sum_j t_ij z_ij )
///                   t_i = (1 - s) onehot(label_i) + s / c       dL/dZ = (softmax(Z) - T) / n
///   squared error   L = mean_i |o_i - t_i|^2 / 2                dL/dO = (O - T) / n
///
/// Exponents are taken after subtracting each row's largest logit, so nothing overflows. Row sums
/// are in the scalar of the logits, the sum over rows is in double.

#include <cmath>
#include <span>

#include "anyssr/core/concepts.hpp"
#include "anyssr/core/error.hpp"
#include "anyssr/linalg/temperature.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// Mean cross-entropy of softmax(logits) with label smoothing.
/// @param logits     n x c, n at least 1; row-major is faster where c is large
/// @param labels     n, each in 0..c-1
/// @param smoothing  s in [0, 1)
/// @param gradient   resized to n x c and overwritten, of either storage order; may be null
/// @throws ShapeError, ArgumentError  before gradient changes
/// Logits that are not finite give a loss that is not finite.
template <class L, class G = Matrix<typename L::Scalar>>
double softmax_cross_entropy(const Eigen::MatrixBase<L>& logits, std::span<const Index> labels,
                             double smoothing = 0, G* gradient = nullptr) {
  using Scalar = typename L::Scalar;
  const Index n = logits.rows();
  const Index classes = logits.cols();
  detail::expect<ShapeError>(n >= 1 && classes >= 1, "logits are ", n, " x ", classes,
                             ", expected at least one row and one column");
  detail::expect_labels(labels, n, classes);
  detail::expect(detail::is_finite(smoothing) && smoothing >= 0 && smoothing < 1, "smoothing is ",
                 smoothing, ", expected at least 0 and below 1");
  if (gradient != nullptr) gradient->resize(n, classes);
  const auto rows = static_cast<double>(n);
  const double spread = smoothing / static_cast<double>(classes);
  double loss = 0;
  RowVector<Scalar> shifted(classes);
  RowVector<Scalar> odds(classes);
  for (Index i = 0; i < n; ++i) {
    const Index label = labels[static_cast<std::size_t>(i)];
    shifted = logits.derived().row(i);
    shifted.array() -= shifted.maxCoeff();
    odds = shifted.array().exp();
    const auto total = static_cast<double>(odds.sum());
    loss += std::log(total) - (1 - smoothing) * static_cast<double>(shifted(label));
    if (smoothing > 0) loss -= spread * static_cast<double>(shifted.sum());
    if (gradient == nullptr) continue;
    gradient->row(i) = (odds.array() * static_cast<Scalar>(1 / (total * rows)) -
                        static_cast<Scalar>(spread / rows))
                           .matrix();
    gradient->coeffRef(i, label) -= static_cast<Scalar>((1 - smoothing) / rows);
  }
  return loss / rows;
}

/// Mean over rows of half the squared distance.
/// @param outputs, targets  n x m, n at least 1
/// @param gradient          resized to n x m and overwritten; may be null
/// @throws ShapeError  before gradient changes
template <class O, class T, class G = Matrix<typename O::Scalar>>
double squared_error(const Eigen::MatrixBase<O>& outputs, const Eigen::MatrixBase<T>& targets,
                     G* gradient = nullptr) {
  using Scalar = typename O::Scalar;
  detail::expect<ShapeError>(outputs.rows() >= 1, "outputs are 0 x ", outputs.cols(),
                             ", expected at least one row");
  detail::expect_rows("targets", targets, outputs.rows());
  detail::expect_cols("targets", targets, outputs.cols());
  const auto rows = static_cast<double>(outputs.rows());
  const Matrix<Scalar> difference = outputs - targets;
  const double loss = difference.template cast<double>().squaredNorm() / (2 * rows);
  if (gradient != nullptr) *gradient = difference * static_cast<Scalar>(1 / rows);
  return loss;
}

/// Row by row z - log sum exp(z): logarithms of probabilities, in the storage order of `logits`.
template <class L>
[[nodiscard]] typename L::PlainObject log_softmax(const Eigen::MatrixBase<L>& logits) {
  typename L::PlainObject result = logits;
  for (Index i = 0; i < result.rows() && result.cols() > 0; ++i) {
    result.row(i).array() -= result.row(i).maxCoeff();
    result.row(i).array() -= std::log(result.row(i).array().exp().sum());
  }
  return result;
}

}  // namespace anyssr::inline ANYSSR_ABI

#ifdef ANYSSR_COMPILED
#include "anyssr/instantiate/objectives.hpp"
#endif
