// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The activations of random features, with derivatives and the scale that keeps the length of a
/// row: for z ~ N(0, 1) in each of d columns,
///
///   scale = 1 / sqrt(d E[act(z)^2])
///
/// E[act(z)^2] is 1 for the identity, 1/2 for ReLU, 1/3 + 1/(2 pi sqrt 3) for z Phi(z) (the exact
/// GELU; Stein's identity twice) and 1/2 for cos(z + b) with b uniform in [0, 2 pi).
/// Source: GELU, arXiv 1606.08415; the scales are ours.

#include <cmath>
#include <numbers>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "anyssr/core/concepts.hpp"
#include "anyssr/core/enum_names.hpp"
#include "anyssr/core/error.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// identity z; relu max(z, 0); gelu z Phi(z); cosine cos z (random Fourier features).
enum class Activation { identity, relu, gelu, cosine };

namespace detail {
template <>
inline constexpr Activation last_enumerator<Activation> = Activation::cosine;
}  // namespace detail

/// @throws ArgumentError  for a value that is no enumerator
[[nodiscard]] constexpr std::string_view to_string(Activation activation) {
  switch (activation) {
    case Activation::identity:
      return "identity";
    case Activation::relu:
      return "relu";
    case Activation::gelu:
      return "gelu";
    case Activation::cosine:
      return "cosine";
  }
  detail::raise_no_enumerator("activation", activation);
}

/// @param name  identity, relu, gelu or cosine
/// @param what  how a message names it
/// @throws ArgumentError  which lists the known names
[[nodiscard]] inline Activation parse_activation(std::string_view name,
                                                 std::string_view what = "activation") {
  return detail::parse_enumerator<Activation>(what, name);
}

namespace detail {

/// Phi(z), the standard normal distribution function.
template <RealScalar S>
[[nodiscard]] S normal_cdf(S z) {
  return S(0.5) * std::erfc(-z / std::numbers::sqrt2_v<S>);
}

}  // namespace detail

/// act(z).
template <RealScalar S>
[[nodiscard]] S activation_value(Activation activation, S z) {
  switch (activation) {
    case Activation::identity:
      return z;
    case Activation::relu:
      return z < S(0) ? S(0) : z;  // NaN stays NaN
    case Activation::gelu:
      return z * detail::normal_cdf(z);
    case Activation::cosine:
      return std::cos(z);
  }
  return z;
}

/// d act(z) / dz; that of relu is 0 at 0.
template <RealScalar S>
[[nodiscard]] S activation_derivative(Activation activation, S z) {
  constexpr S density_at_0 = std::numbers::inv_sqrtpi_v<S> / std::numbers::sqrt2_v<S>;
  switch (activation) {
    case Activation::identity:
      return S(1);
    case Activation::relu:
      return z > S(0) ? S(1) : S(0);
    case Activation::gelu:
      return detail::normal_cdf(z) + z * density_at_0 * std::exp(-S(0.5) * z * z);
    case Activation::cosine:
      return -std::sin(z);
  }
  return S(1);
}

/// values <- act(values). NaN stays NaN under every activation, so that a later check still sees
/// it: relu is (z + |z|) / 2, exact, where a vectorised max(z, 0) may turn NaN into 0.
/// @param values  any dense lvalue expression
template <class D>
void activate_in_place(Activation activation, Eigen::DenseBase<D>& values) {
  using S = typename D::Scalar;
  static_assert(RealScalar<S>);
  D& z = values.derived();
  switch (activation) {
    case Activation::identity:
      return;
    case Activation::relu:
      z.array() = S(0.5) * z.array() + S(0.5) * z.array().abs();
      return;
    case Activation::gelu:
      z.array() = z.array().unaryExpr([](S x) { return x * detail::normal_cdf(x); });
      return;
    case Activation::cosine:
      z.array() = z.array().cos();
      return;
  }
}

/// 1 / sqrt(d E[act(z)^2]), z ~ N(0, 1): what makes E|h|^2 = |x|^2 for a row x of length 1 (of any
/// length for identity and relu; cosine has E|h|^2 = 1 always).
[[nodiscard]] inline double activation_scale(Activation activation, Index dim) {
  constexpr double gelu_moment =
      1.0 / 3 + std::numbers::inv_pi * std::numbers::inv_sqrt3 / 2;  // 0.4252214
  double moment = 1;
  if (activation == Activation::gelu) moment = gelu_moment;
  if (activation == Activation::relu || activation == Activation::cosine) moment = 0.5;
  return 1 / std::sqrt(static_cast<double>(dim) * moment);
}

}  // namespace anyssr::inline ANYSSR_ABI

#ifdef ANYSSR_COMPILED
#include "anyssr/instantiate/activations.hpp"
#endif
