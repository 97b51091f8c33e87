// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The low-rank change of one frozen linear layer (LoRA, arXiv 2106.09685):
///
///   y = x W0^T + c (x A^T) B^T        A (r x in), B (out x r)
///   c = alpha / r, or alpha / sqrt(r) where rank-stabilised (arXiv 2312.03732)
///   dB = c dY^T (X A^T)    dA = c (dY B)^T X    dX += c (dY B) A
///
/// A module confined to a subspace has A = Q U^T with a fixed orthonormal basis U (in x k) and a
/// trained Q (r x k): the change reads nothing of x outside the span of U. Its stored factor `a`
/// is Q, with dQ = c (dY B)^T (X U). The product B A is never formed in a forward pass.

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <utility>

#include "anyssr/core/concepts.hpp"
#include "anyssr/core/error.hpp"
#include "anyssr/core/random.hpp"
#include "anyssr/linalg/product.hpp"

namespace anyssr::inline ANYSSR_ABI {

struct LoraOptions {
  Index rank = 8;                ///< r, at least 1
  double alpha = 8;              ///< above 0; the scale is alpha / r
  bool rank_stabilised = false;  ///< the scale is alpha / sqrt(r) instead
};

/// The gradient of a module's stored factors, in their shapes.
template <RealScalar S>
struct LoraGradient {
  Matrix<S> a;  ///< r x in, or r x k of a confined module
  Matrix<S> b;  ///< out x r

  void set_zero() {
    a.setZero();
    b.setZero();
  }
};

namespace detail {

/// Numbers that a product with x reads: all of a dense x, the stored ones of a sparse x.
template <class X>
[[nodiscard]] double stored_numbers(const X& x) {
  if constexpr (SparseFeatures<X> && requires { x.nonZeros(); }) {
    return static_cast<double>(x.nonZeros());
  } else {
    return static_cast<double>(x.rows()) * static_cast<double>(x.cols());
  }
}

/// Whether two matrices have the same shape and bits: stricter than ==, which equates 0 and -0.
template <class M>
[[nodiscard]] bool same_bits(const M& left, const M& right) {
  return left.rows() == right.rows() && left.cols() == right.cols() &&
         (left.size() == 0 ||
          std::memcmp(left.data(), right.data(),
                      static_cast<std::size_t>(left.size()) * sizeof(typename M::Scalar)) == 0);
}

}  // namespace detail

template <RealScalar S>
class LoraModule {
 public:
  using Scalar = S;

  /// A module that changes nothing yet: B = 0 and A uniform in (-1, 1) / sqrt(in), which is the
  /// Kaiming uniform start with slope sqrt(5) that PEFT uses. The same seed gives the same bits.
  /// @throws ArgumentError  in, out or rank below 1, alpha not above 0, or too large
  LoraModule(Index in, Index out, const LoraOptions& options = {}, std::uint64_t seed = 0);

  /// A plain module of given factors.
  /// @param a  options.rank x in
  /// @param b  out x options.rank
  /// @throws ShapeError, NonFiniteError, ArgumentError
  LoraModule(Matrix<S> a, Matrix<S> b, const LoraOptions& options);

  /// A confined module of given factors.
  /// @param q      options.rank x k
  /// @param b      out x options.rank
  /// @param basis  in x k, orthonormal columns to the square root of Scalar's epsilon
  /// @throws ShapeError, NonFiniteError, ArgumentError
  LoraModule(Matrix<S> q, Matrix<S> b, RowMajorMatrix<S> basis, const LoraOptions& options);

  [[nodiscard]] Index in_dim() const noexcept { return is_confined() ? basis_.rows() : a_.cols(); }
  [[nodiscard]] Index out_dim() const noexcept { return b_.rows(); }
  [[nodiscard]] Index rank() const noexcept { return b_.cols(); }
  [[nodiscard]] double alpha() const noexcept { return alpha_; }
  [[nodiscard]] bool rank_stabilised() const noexcept { return rank_stabilised_; }
  [[nodiscard]] bool is_confined() const noexcept { return basis_.size() > 0; }

  /// c: alpha / r, or alpha / sqrt(r).
  [[nodiscard]] double scale() const noexcept {
    const auto r = static_cast<double>(rank());
    return alpha_ / (rank_stabilised_ ? std::sqrt(r) : r);
  }

  /// The stored, trained factor: A (r x in), or Q (r x k) where confined.
  [[nodiscard]] const Matrix<S>& a() const noexcept { return a_; }
  /// B, out x r.
  [[nodiscard]] const Matrix<S>& b() const noexcept { return b_; }
  /// U, in x k; empty where not confined.
  [[nodiscard]] const RowMajorMatrix<S>& basis() const noexcept { return basis_; }

  /// Writable views for optimisers: numbers may change, shapes not; keep the numbers finite.
  [[nodiscard]] Eigen::Map<Matrix<S>> mutable_a() noexcept {
    return {a_.data(), a_.rows(), a_.cols()};
  }
  [[nodiscard]] Eigen::Map<Matrix<S>> mutable_b() noexcept {
    return {b_.data(), b_.rows(), b_.cols()};
  }

  /// A as r x in: Q U^T where confined.
  [[nodiscard]] Matrix<S> effective_a() const {
    if (is_confined()) return detail::product_of<Matrix<S>>(a_, basis_.transpose());
    return a_;
  }

  /// c B A, out x in: for merging only.  Cost: out * r * in.
  [[nodiscard]] Matrix<S> delta() const {
    return static_cast<S>(scale()) * detail::product_of<Matrix<S>>(b_, effective_a());
  }

  /// From now on A = Q U^T. Q starts as the first r rows of the identity, so A starts at the r
  /// leading directions of U; the A of before is dropped, B stays.
  /// @param basis  in_dim() x k, k >= r, orthonormal columns to the square root of Scalar's epsilon
  /// @throws ShapeError, NonFiniteError, ArgumentError  before anything changes
  /// Cost: in k^2 for the check.
  void confine(RowMajorMatrix<S> basis);

  /// Turns a confined module into a plain one with A = Q U^T and drops U; a plain one stays.
  /// What follows in training is then no longer confined.
  void materialise() {
    if (!is_confined()) return;
    a_ = effective_a();
    basis_.resize(0, 0);
  }

  /// y += weight * c (x A^T) B^T.
  /// @param x  n x in_dim(), dense of either order or row-major sparse
  /// @param y  n x out_dim(), dense and writable, apart from x
  /// @throws ShapeError  before y changes
  /// Cost: n r (in + out); where confined the cheaper of (x U) Q^T and x (Q U^T)^T.
  template <FeatureMatrix<S> X, DenseFeatures Y>
  void add_forward(const X& x, Y&& y, double weight = 1) const;

  /// The same of a confined module where z = x U is known already.
  /// @param z  n x k
  /// @throws ShapeError, ArgumentError  before y changes
  template <DenseFeatures Y>
  void add_forward_inside(const RowMajorMatrix<S>& z, Y&& y, double weight = 1) const {
    expect_inside(z);
    detail::expect_cols("y", y, out_dim());
    detail::expect_rows("y", y, z.rows());
    auto projected = detail::product_of<RowMajorMatrix<S>>(z, a_.transpose());
    projected *= static_cast<S>(weight * scale());
    detail::add_product(y, projected, b_.transpose());
  }

  /// Adds the gradients of a loss to `gradient` and, where asked for, to `*dx`: nothing is
  /// overwritten, so several batches or uses of the layer add up (set_zero() starts anew).
  /// @param x   n x in_dim(), what add_forward got
  /// @param dy  n x out_dim(), the loss's gradient by y
  /// @param dx  n x in_dim(), dense and writable, or null
  /// @throws ShapeError  before anything changes
  template <FeatureMatrix<S> X, DenseFeatures DY, DenseFeatures DX = Matrix<S>>
  void backward(const X& x, const DY& dy, LoraGradient<S>& gradient, DX* dx = nullptr) const;

  /// The gradients of a confined module where z = x U is known already.
  /// @param z  n x k
  /// @throws ShapeError, ArgumentError  before anything changes
  template <DenseFeatures DY>
  void backward_inside(const RowMajorMatrix<S>& z, const DY& dy, LoraGradient<S>& gradient) const {
    expect_inside(z);
    expect_slopes(z.rows(), dy, gradient);
    auto dp = detail::product_of<RowMajorMatrix<S>>(dy, b_);
    dp *= static_cast<S>(scale());
    add_factor_gradients(z, dy, dp, gradient);
  }

  /// Zeros in the shapes of the stored factors.
  [[nodiscard]] LoraGradient<S> zero_gradient() const {
    return {Matrix<S>::Zero(a_.rows(), a_.cols()), Matrix<S>::Zero(b_.rows(), b_.cols())};
  }

  /// Numbers that training may change.
  [[nodiscard]] Index parameter_count() const noexcept { return a_.size() + b_.size(); }

  /// Memory of all numbers, a basis among them.
  [[nodiscard]] std::size_t bytes() const noexcept {
    return static_cast<std::size_t>(a_.size() + b_.size() + basis_.size()) * sizeof(S);
  }

  [[nodiscard]] bool is_finite() const {
    return detail::is_finite(a_) && detail::is_finite(b_) && detail::is_finite(basis_);
  }

  /// Equal bit for bit.
  [[nodiscard]] friend bool operator==(const LoraModule& left, const LoraModule& right) {
    return left.alpha_ == right.alpha_ && left.rank_stabilised_ == right.rank_stabilised_ &&
           detail::same_bits(left.a_, right.a_) && detail::same_bits(left.b_, right.b_) &&
           detail::same_bits(left.basis_, right.basis_);
  }

 private:
  static void expect_options(const LoraOptions& options) {
    detail::expect(options.rank >= 1, "rank is ", options.rank, ", expected at least 1");
    detail::expect_positive("alpha", options.alpha);
    const auto r = static_cast<double>(options.rank);
    const double scale = options.alpha / (options.rank_stabilised ? std::sqrt(r) : r);
    detail::expect(scale <= static_cast<double>(std::numeric_limits<S>::max()), "alpha is ",
                   options.alpha, ", too large: its scale ", scale, " does not fit in the scalar");
  }
  static void expect_factors(const Matrix<S>& a, const Matrix<S>& b, const LoraOptions& options);
  static void expect_orthonormal(const RowMajorMatrix<S>& basis, Index in, Index rank);

  void expect_inside(const RowMajorMatrix<S>& z) const {
    detail::expect(is_confined(), "the module is confined to no basis, expected one that is");
    detail::expect_cols("z", z, a_.cols());
  }
  template <class DY>
  void expect_slopes(Index rows, const DY& dy, const LoraGradient<S>& gradient) const {
    detail::expect_cols("dy", dy, out_dim());
    detail::expect_rows("dy", dy, rows);
    detail::expect<ShapeError>(gradient.a.rows() == a_.rows() && gradient.a.cols() == a_.cols() &&
                                   gradient.b.rows() == b_.rows() && gradient.b.cols() == b_.cols(),
                               "gradient is ", gradient.a.rows(), " x ", gradient.a.cols(), " and ",
                               gradient.b.rows(), " x ", gradient.b.cols(), ", expected ",
                               a_.rows(), " x ", a_.cols(), " and ", b_.rows(), " x ", b_.cols());
  }

  /// Whether (x U) Q^T takes fewer operations than x (Q U^T)^T: always so for a few or sparse rows.
  template <class X>
  [[nodiscard]] bool is_basis_first(const X& x) const {
    const double numbers = detail::stored_numbers(x);
    const auto k = static_cast<double>(a_.cols());
    const auto r = static_cast<double>(rank());
    return (numbers + static_cast<double>(x.rows()) * r) * k <=
           r * static_cast<double>(in_dim()) * k + numbers * r;
  }

  /// gradient.b += c dY^T (Z F^T), gradient.a += dP^T Z for stored factor F and its inputs Z.
  template <class Z, class DY>
  void add_factor_gradients(const Z& z, const DY& dy, const RowMajorMatrix<S>& dp,
                            LoraGradient<S>& gradient) const {
    auto projected = detail::product_of<RowMajorMatrix<S>>(z, a_.transpose());
    projected *= static_cast<S>(scale());
    detail::add_product(gradient.b, dy.transpose(), projected);
    detail::add_product(gradient.a, dp.transpose(), z);
  }

  Matrix<S> a_;              // r x in, or Q (r x k) where confined
  Matrix<S> b_;              // out x r
  RowMajorMatrix<S> basis_;  // U, in x k; empty: not confined. Row-major: sparse x reads its rows
  double alpha_ = 1;         // above 0
  bool rank_stabilised_ = false;
};

template <RealScalar S>
LoraModule<S>::LoraModule(Index in, Index out, const LoraOptions& options, std::uint64_t seed)
    : alpha_(options.alpha), rank_stabilised_(options.rank_stabilised) {
  detail::expect(in >= 1, "in is ", in, ", expected at least 1");
  detail::expect(out >= 1, "out is ", out, ", expected at least 1");
  expect_options(options);
  a_.resize(options.rank, in);
  b_ = Matrix<S>::Zero(out, options.rank);
  const S bound = S{1} / std::sqrt(static_cast<S>(in));
  RandomStream random(seed);
  for (Index i = 0; i < a_.rows(); ++i) {
    for (Index j = 0; j < a_.cols(); ++j) {
      a_(i, j) = bound * (S{2} * static_cast<S>(random.uniform()) - S{1});
    }
  }
}

template <RealScalar S>
LoraModule<S>::LoraModule(Matrix<S> a, Matrix<S> b, const LoraOptions& options)
    : alpha_(options.alpha), rank_stabilised_(options.rank_stabilised) {
  expect_factors(a, b, options);
  a_ = std::move(a);
  b_ = std::move(b);
}

template <RealScalar S>
LoraModule<S>::LoraModule(Matrix<S> q, Matrix<S> b, RowMajorMatrix<S> basis,
                          const LoraOptions& options)
    : alpha_(options.alpha), rank_stabilised_(options.rank_stabilised) {
  expect_factors(q, b, options);
  expect_orthonormal(basis, basis.rows(), options.rank);
  detail::expect<ShapeError>(q.cols() == basis.cols(), "q is ", q.rows(), " x ", q.cols(),
                             ", expected ", options.rank, " x ", basis.cols(), " for a basis of ",
                             basis.cols(), " columns");
  a_ = std::move(q);
  b_ = std::move(b);
  basis_ = std::move(basis);
}

template <RealScalar S>
void LoraModule<S>::expect_factors(const Matrix<S>& a, const Matrix<S>& b,
                                   const LoraOptions& options) {
  expect_options(options);
  detail::expect<ShapeError>(a.rows() == options.rank && a.cols() >= 1, "a is ", a.rows(), " x ",
                             a.cols(), ", expected ", options.rank, " x in");
  detail::expect<ShapeError>(b.cols() == options.rank && b.rows() >= 1, "b is ", b.rows(), " x ",
                             b.cols(), ", expected out x ", options.rank);
  detail::expect_finite("a", a);
  detail::expect_finite("b", b);
}

template <RealScalar S>
void LoraModule<S>::expect_orthonormal(const RowMajorMatrix<S>& basis, Index in, Index rank) {
  detail::expect<ShapeError>(basis.rows() == in, "basis is ", basis.rows(), " x ", basis.cols(),
                             ", expected ", in, " x k");
  detail::expect<ShapeError>(basis.cols() >= rank && basis.cols() <= in, "basis is ", basis.rows(),
                             " x ", basis.cols(), ", expected from rank = ", rank, " to ", in,
                             " columns");
  detail::expect_finite("basis", basis);
  const auto gram = detail::product_of<Matrix<S>>(basis.transpose(), basis);
  const auto error = static_cast<double>(
      (gram - Matrix<S>::Identity(gram.rows(), gram.cols())).cwiseAbs().maxCoeff());
  const double tolerance = std::sqrt(static_cast<double>(std::numeric_limits<S>::epsilon()));
  detail::expect(detail::is_finite(error) && error <= tolerance,
                 "basis is not orthonormal: U^T U is off the identity by ", error,
                 ", expected at most ", tolerance);
}

template <RealScalar S>
void LoraModule<S>::confine(RowMajorMatrix<S> basis) {
  expect_orthonormal(basis, in_dim(), rank());
  Matrix<S> q = Matrix<S>::Identity(rank(), basis.cols());
  a_.swap(q);
  basis_.swap(basis);
}

template <RealScalar S>
template <FeatureMatrix<S> X, DenseFeatures Y>
void LoraModule<S>::add_forward(const X& x, Y&& y, double weight) const {
  detail::expect_cols("x", x, in_dim());
  detail::expect_cols("y", y, out_dim());
  detail::expect_rows("y", y, x.rows());
  RowMajorMatrix<S> projected(x.rows(), rank());
  if (!is_confined()) {
    detail::set_product(projected, x, a_.transpose());
  } else if (is_basis_first(x)) {
    const auto inside = detail::product_of<RowMajorMatrix<S>>(x, basis_);
    detail::set_product(projected, inside, a_.transpose());
  } else {
    const Matrix<S> a = effective_a();
    detail::set_product(projected, x, a.transpose());
  }
  projected *= static_cast<S>(weight * scale());
  detail::add_product(y, projected, b_.transpose());
}

template <RealScalar S>
template <FeatureMatrix<S> X, DenseFeatures DY, DenseFeatures DX>
void LoraModule<S>::backward(const X& x, const DY& dy, LoraGradient<S>& gradient, DX* dx) const {
  detail::expect_cols("x", x, in_dim());
  expect_slopes(x.rows(), dy, gradient);
  if (dx != nullptr) {
    detail::expect_rows("dx", *dx, x.rows());
    detail::expect_cols("dx", *dx, in_dim());
  }
  auto dp = detail::product_of<RowMajorMatrix<S>>(dy, b_);  // the loss's gradient by x A^T
  dp *= static_cast<S>(scale());
  if (!is_confined()) {
    add_factor_gradients(x, dy, dp, gradient);
  } else if (is_basis_first(x)) {
    const auto inside = detail::product_of<RowMajorMatrix<S>>(x, basis_);
    add_factor_gradients(inside, dy, dp, gradient);
  } else {
    const Matrix<S> a = effective_a();
    auto projected = detail::product_of<RowMajorMatrix<S>>(x, a.transpose());
    projected *= static_cast<S>(scale());
    const auto da = detail::product_of<Matrix<S>>(dp.transpose(), x);
    detail::add_product(gradient.b, dy.transpose(), projected);
    detail::add_product(gradient.a, da, basis_);
  }
  if (dx == nullptr) return;
  if (is_confined()) {
    const auto inside = detail::product_of<RowMajorMatrix<S>>(dp, a_);
    detail::add_product(*dx, inside, basis_.transpose());
  } else {
    detail::add_product(*dx, dp, a_);
  }
}

}  // namespace anyssr::inline ANYSSR_ABI
