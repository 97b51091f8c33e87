// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// A router to compare with that reads adapters and no data: each LoRA module changes its layer
/// most along one direction of its input, and a query goes to the adapter whose direction it has
/// most of.
///
///   v_j = leading right singular vector of B_j A_j      task(x) = argmax_j |x v_j|
///
/// Source: Arrow of Ostapenko et al., arXiv 2405.11157, of one site and one adapter a query.

#include <cstddef>
#include <vector>

#include "anyssr/baselines/task_rows.hpp"
#include "anyssr/core/concepts.hpp"
#include "anyssr/core/error.hpp"
#include "anyssr/linalg/product.hpp"
#include "anyssr/linalg/thin_qr.hpp"
#include "anyssr/linalg/thin_svd.hpp"
#include "anyssr/lora/lora_module.hpp"

namespace anyssr::inline ANYSSR_ABI {

template <RealScalar S>
class AdapterArrows {
 public:
  /// @param dim  D, width of what enters the site, at least 1
  /// @throws ArgumentError
  explicit AdapterArrows(Index dim) : arrows_(dim >= 1 ? dim : 0, 0) {
    detail::expect(dim >= 1, "dim is ", dim, ", expected at least 1");
  }

  [[nodiscard]] Index tasks() const noexcept { return arrows_.cols(); }
  [[nodiscard]] std::size_t bytes() const noexcept {
    return static_cast<std::size_t>(arrows_.size()) * sizeof(S);
  }

  /// The next task. A module that changes nothing has no direction: it is chosen for no query that
  /// another direction sees.
  /// @throws ShapeError  where its input is not D wide
  void learn(const LoraModule<S>& module) {
    detail::expect<ShapeError>(module.in_dim() == arrows_.rows(), "the module reads ",
                               module.in_dim(), " numbers, expected ", arrows_.rows());
    add(leading_direction(module));
  }
  /// A task without a module.
  void learn_nothing() { add(Vector<double>::Zero(arrows_.rows())); }

  /// @param features  n x D, what enters the site
  /// @return n tasks; of equal ones the first, so 0 for a query that no direction sees
  /// @throws ArgumentError  before the first task;  ShapeError, NonFiniteError
  template <FeatureMatrix<S> X>
  [[nodiscard]] std::vector<Index> route(const X& features) const {
    detail::expect_queries(tasks(), features, arrows_.rows());
    const RowMajorMatrix<S> products = features * arrows_;
    std::vector<Index> chosen(static_cast<std::size_t>(features.rows()));
    for (Index i = 0; i < products.rows(); ++i) {
      products.row(i).cwiseAbs().maxCoeff(&chosen[static_cast<std::size_t>(i)]);
    }
    return chosen;
  }

 private:
  void add(const Vector<double>& direction) {
    arrows_.conservativeResize(Eigen::NoChange, arrows_.cols() + 1);
    arrows_.rightCols(1) = direction.template cast<S>();
  }

  /// B A = Q (R A): its right singular vectors are those of the small R A.
  [[nodiscard]] static Vector<double> leading_direction(const LoraModule<S>& module) {
    const detail::ThinQr qr(Matrix<double>(module.b().template cast<double>()));
    const Matrix<double> a = module.effective_a().template cast<double>();
    const detail::ThinSvd svd = detail::thin_svd(detail::product_of<Matrix<double>>(qr.r(), a));
    if (!(svd.values(0) > 0)) return Vector<double>::Zero(a.cols());
    return svd.v.col(0);
  }

  Matrix<S> arrows_;  // D x T, columns of length 1 or 0
};

}  // namespace anyssr::inline ANYSSR_ABI
