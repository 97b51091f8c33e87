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

#include <algorithm>
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

namespace detail {

/// Calls f(chunk) for every 16 entries of a row; the last chunk is filled up with zeros. Every entry
/// passes the same instructions this way, wherever the row stands in memory and however long it is.
/// An expression over the whole row takes others at its ends, and their last bits differ.
template <RealScalar S, class F>
void for_each_chunk(S* row, Index size, Index stride, const F& f) {
  constexpr Index width = 16;
  Eigen::Array<S, width, 1> chunk;
  for (Index begin = 0; begin < size; begin += width) {
    S* const entries = row + begin * stride;
    const Index count = std::min(width, size - begin);
    const bool is_whole = stride == 1 && count == width;
    if (is_whole) {
      std::copy_n(entries, width, chunk.data());
    } else {
      chunk.setZero();
      for (Index i = 0; i < count; ++i) chunk(i) = entries[i * stride];
    }
    f(chunk);
    if (is_whole) {
      std::copy_n(chunk.data(), width, entries);
    } else {
      for (Index i = 0; i < count; ++i) entries[i * stride] = chunk(i);
    }
  }
}

/// act on `size` entries, `stride` apart.
template <RealScalar S>
void activate_row(Activation activation, S* row, Index size, Index stride) {
  switch (activation) {
    case Activation::identity:
      return;
    case Activation::relu: {  // exact by any instructions
      const auto relu = [](auto&& z) { z = S(0.5) * z + S(0.5) * z.abs(); };
      if (stride != 1) return for_each_chunk(row, size, stride, relu);
      return relu(Eigen::Map<Eigen::Array<S, Eigen::Dynamic, 1>>(row, size));
    }
    case Activation::gelu:
      for_each_chunk(row, size, stride, [](auto& z) {
        for (S& entry : z) entry *= normal_cdf(entry);
      });
      return;
    case Activation::cosine:
      for_each_chunk(row, size, stride, [](auto& z) { z = z.cos(); });
      return;
  }
}

}  // namespace detail

/// values <- act(values), the same bits for the same value wherever it stands. NaN stays NaN under
/// every activation, so that a later check still sees it: relu is (z + |z|) / 2, exact, where a
/// vectorised max(z, 0) may turn NaN into 0.
/// @param values  a dense lvalue that stands in memory: matrix, array, map or block
template <class D>
void activate_in_place(Activation activation, Eigen::DenseBase<D>& values) {
  D& z = values.derived();
  for (Index i = 0; i < z.outerSize(); ++i) {
    detail::activate_row(activation, z.data() + i * z.outerStride(), z.innerSize(),
                         z.innerStride());
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
