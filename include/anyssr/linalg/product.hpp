// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Products of matrices that stand in memory:
///
///   C = A B        C += A B        C -= A B
///
/// Eigen compiles a product anew for each pair of operand types, and a block, a transpose, a map
/// and a reference are different types though they mean the same numbers. Here each operand becomes
/// one of two maps, column- or row-major, and a row-major C is computed as its transpose, so a
/// program has four dense products per scalar. A compiler's time grows with the square of the
/// number of types. Operands that do not stand in memory (sparse ones, expressions) go to Eigen as
/// they are. A product runs on the calling thread, in programs compiled with OpenMP too.
/// Source: ours.

#include <concepts>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include "anyssr/core/concepts.hpp"
#include "anyssr/core/threads.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// Whether rows enter a sum or leave it.
enum class Sign : std::int8_t { add = 1, subtract = -1 };

[[nodiscard]] constexpr std::string_view to_string(Sign sign) noexcept {
  return sign == Sign::add ? "add" : "subtract";
}

namespace detail {

template <class X>
inline constexpr bool has_direct_access =
    (X::Flags & Eigen::DirectAccessBit) != 0 && X::InnerStrideAtCompileTime == 1;

/// Dense numbers in memory, without gaps along one dimension: what the kernels of products and a
/// BLAS want.
template <class X>
concept MatrixInMemory = DenseFeatures<X> && has_direct_access<std::remove_cvref_t<X>>;

template <RealScalar S, int Order>
using ConstMatrixMap = Eigen::Map<const Eigen::Matrix<S, Eigen::Dynamic, Eigen::Dynamic, Order>, 0,
                                  Eigen::OuterStride<>>;
template <RealScalar S, int Order = Eigen::ColMajor>
using MatrixMap =
    Eigen::Map<Eigen::Matrix<S, Eigen::Dynamic, Eigen::Dynamic, Order>, 0, Eigen::OuterStride<>>;

template <class X>
inline constexpr int order_of = bool(X::IsRowMajor) ? Eigen::RowMajor : Eigen::ColMajor;
template <class X>
inline constexpr int order_of_transpose = bool(X::IsRowMajor) ? Eigen::ColMajor : Eigen::RowMajor;

/// X as one of two types per scalar; anything that does not stand in memory is itself.
template <MatrixInMemory X>
[[nodiscard]] auto as_map(const X& x) {
  return ConstMatrixMap<typename X::Scalar, order_of<X>>(x.derived().data(), x.rows(), x.cols(),
                                                         Eigen::OuterStride<>(x.outerStride()));
}
template <class X>
[[nodiscard]] const X& as_map(const X& x) {
  return x;
}
template <MatrixInMemory X>
[[nodiscard]] auto as_transposed_map(const X& x) {
  return ConstMatrixMap<typename X::Scalar, order_of_transpose<X>>(
      x.derived().data(), x.cols(), x.rows(), Eigen::OuterStride<>(x.outerStride()));
}

/// C += A B or C -= A B.
template <RealScalar S, class A, class B>
void add_mapped_product(MatrixMap<S> c, const A& a, const B& b, Sign sign) {
  const SerialEigen serial;
  if (sign == Sign::add) {
    c.noalias() += a * b;
  } else {
    c.noalias() -= a * b;
  }
}

/// The same of one triangle of C.
template <unsigned Triangle, RealScalar S, class A, class B>
void add_mapped_triangle(MatrixMap<S> c, const A& a, const B& b, Sign sign) {
  if (sign == Sign::add) {
    c.template triangularView<Triangle>() += a * b;
  } else {
    c.template triangularView<Triangle>() -= a * b;
  }
}

/// c += a b or c -= a b for matrices in memory.
template <MatrixInMemory C, MatrixInMemory A, MatrixInMemory B>
void add_signed_product(C&& c, const A& a, const B& b, Sign sign) {
  using Mapped = MatrixMap<typename A::Scalar>;
  const Eigen::OuterStride<> stride(c.outerStride());
  if constexpr (bool(std::remove_cvref_t<C>::IsRowMajor)) {
    add_mapped_product(Mapped(c.data(), c.cols(), c.rows(), stride), as_transposed_map(b),
                       as_transposed_map(a), sign);
  } else {
    add_mapped_product(Mapped(c.data(), c.rows(), c.cols(), stride), as_map(a), as_map(b), sign);
  }
}

template <class C, class A, class B>
concept ProductInMemory = MatrixInMemory<C> && MatrixInMemory<A> && MatrixInMemory<B>;

/// Makes c rows x cols, what it holds left to chance; a view must have that shape.
template <class C>
void give_shape(C& c, Index rows, Index cols) {
  if constexpr (std::derived_from<C, Eigen::PlainObjectBase<C>>) {
    // not by resize: where no memory is left it throws with a pointer to what it has freed
    if (c.rows() != rows || c.cols() != cols) c = C(rows, cols);
  } else {
    c.resize(rows, cols);  // of a view: an assertion
  }
}

/// c = a b, for a c that shares no number with a and b; a matrix gets the size of the product.
template <class C, class A, class B>
void set_product(C&& c, const A& a, const B& b) {
  if constexpr (ProductInMemory<C, A, B>) {
    give_shape(c, a.rows(), b.cols());
    c.setZero();
    add_signed_product(c, a, b, Sign::add);
  } else {
    c.noalias() = as_map(a) * as_map(b);
  }
}

/// c += a b, for a c that shares no number with a and b.
template <class C, class A, class B>
void add_product(C&& c, const A& a, const B& b) {
  if constexpr (ProductInMemory<C, A, B>) {
    add_signed_product(c, a, b, Sign::add);
  } else {
    c.noalias() += as_map(a) * as_map(b);
  }
}

/// c -= a b, for a c that shares no number with a and b.
template <class C, class A, class B>
void subtract_product(C&& c, const A& a, const B& b) {
  if constexpr (ProductInMemory<C, A, B>) {
    add_signed_product(c, a, b, Sign::subtract);
  } else {
    c.noalias() -= as_map(a) * as_map(b);
  }
}

/// a b.
template <class Result, class A, class B>
[[nodiscard]] Result product_of(const A& a, const B& b) {
  Result c;
  set_product(c, a, b);
  return c;
}

/// One triangle of a column-major c += a b or c -= a b; the rest of c is neither read nor written.
/// @tparam Triangle  Eigen::Lower or Eigen::Upper, the diagonal included
template <unsigned Triangle, MatrixInMemory C, MatrixInMemory A, MatrixInMemory B>
void add_triangle_of_product(C&& c, const A& a, const B& b, Sign sign) {
  static_assert(!bool(std::remove_cvref_t<C>::IsRowMajor));
  const Eigen::OuterStride<> stride(c.outerStride());
  add_mapped_triangle<Triangle>(MatrixMap<typename A::Scalar>(c.data(), c.rows(), c.cols(), stride),
                                as_map(a), as_map(b), sign);
}

}  // namespace detail
}  // namespace anyssr::inline ANYSSR_ABI

#ifdef ANYSSR_COMPILED
#include "anyssr/instantiate/products.hpp"
#endif
