// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// What an expansion is: a fixed map of features (n x D) to n x d,
///
///   h = act(x P / bandwidth + b) * scale          b normal or, under cosine, uniform in [0, 2 pi)
///
/// with a random P that has normal entries (DenseExpansion) or is a product of signs and
/// Walsh-Hadamard transforms (HadamardExpansion), or the features themselves (IdentityExpansion).
/// An expansion is a function of its options and D alone: a state stores those, never a matrix.
/// Expanded rows are dense and row-major. NaN and infinity pass through; whoever keeps rows checks.
/// Source: ACIL, arXiv 2205.14922, expands features at random; scales and bandwidth are ours.

#include <bit>
#include <concepts>
#include <cstdint>
#include <numbers>
#include <string_view>

#include "anyssr/core/concepts.hpp"
#include "anyssr/core/enum_names.hpp"
#include "anyssr/core/error.hpp"
#include "anyssr/core/random.hpp"
#include "anyssr/subspace/activation.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// identity: h = x. dense: P of normal numbers, O(D d) a row. hadamard: O(d log D) a row, no stored
/// matrix.
enum class ExpansionKind { identity, dense, hadamard };

namespace detail {
template <>
inline constexpr ExpansionKind last_enumerator<ExpansionKind> = ExpansionKind::hadamard;
}  // namespace detail

/// @throws ArgumentError  for a value that is no enumerator
[[nodiscard]] constexpr std::string_view to_string(ExpansionKind kind) {
  switch (kind) {
    case ExpansionKind::identity:
      return "identity";
    case ExpansionKind::dense:
      return "dense";
    case ExpansionKind::hadamard:
      return "hadamard";
  }
  detail::raise_no_enumerator("expansion", kind);
}

/// @param name  identity, dense or hadamard
/// @param what  how a message names it
/// @throws ArgumentError  which lists the known names
[[nodiscard]] inline ExpansionKind parse_expansion_kind(std::string_view name,
                                                        std::string_view what = "expansion") {
  return detail::parse_enumerator<ExpansionKind>(what, name);
}

/// What names an expansion, beside D. Identity reads the kind only.
struct ExpansionOptions {
  ExpansionKind kind = ExpansionKind::dense;
  Index dim = 4096;                          ///< d, 1..2^24
  Activation activation = Activation::relu;  ///< without one, d > D adds nothing
  double bandwidth = 1;   ///< 1e-30..1e30: features are divided by it before the activation
  double bias_scale = 0;  ///< 0..1e30: standard deviation of b; cosine draws b uniformly instead
  std::uint64_t seed = 0;
};

/// Streams of a seed (RandomStream) that expansions read; they are part of the formats.
enum class ExpansionStream : std::uint64_t {
  projection = 0x45585001,  ///< P, as random_normal(D, d) gives it
  bias = 0x45585002,        ///< normal: random_normal(1, d); uniform: one uniform() a column
  signs = 0x45585003        ///< one sign() each: block by block, D_1, D_2, D_3
};

[[nodiscard]] constexpr std::string_view to_string(ExpansionStream stream) {
  switch (stream) {
    case ExpansionStream::projection:
      return "projection";
    case ExpansionStream::bias:
      return "bias";
    case ExpansionStream::signs:
      return "signs";
  }
  detail::raise<ArgumentError>("expansion stream is ", static_cast<std::uint64_t>(stream),
                               ", expected one of projection, bias, signs");
}

/// Memory that calls of expand_into share: it grows to what a call needs and is kept, so a call
/// like one before allocates nothing. One thread at a time.
template <RealScalar S>
struct ExpansionWorkspace {
  Vector<S> buffer;            ///< one padded row and one block (hadamard)
  RowMajorMatrix<S> expanded;  ///< what visit_expanded hands out
};

/// A fixed map of features to expanded features, dense or row-major sparse rows in, dense
/// row-major rows out.
template <class E>
concept Expansion = RealScalar<typename E::Scalar> &&
    requires(const E& expansion, const RowMajorMatrix<typename E::Scalar>& dense,
             const SparseRows<typename E::Scalar>& sparse, RowMajorMatrix<typename E::Scalar>& out,
             ExpansionWorkspace<typename E::Scalar>& workspace) {
  { expansion.in_dim() } -> std::convertible_to<Index>;
  { expansion.out_dim() } -> std::convertible_to<Index>;
  { expansion.passes_through() } -> std::same_as<bool>;
  { expansion.fingerprint() } -> std::same_as<std::uint64_t>;
  { expansion.expand(dense) } -> std::same_as<RowMajorMatrix<typename E::Scalar>>;
  { expansion.expand(sparse) } -> std::same_as<RowMajorMatrix<typename E::Scalar>>;
  expansion.expand_into(dense, out, workspace);
  expansion.expand_into(sparse, out, workspace);
};

namespace detail {

inline void expect_in_dim(Index in_dim) {
  expect(in_dim >= 1, "in_dim is ", in_dim, ", expected at least 1");
}

/// Refuses what is out of range before anything is allocated.
inline void expect_valid(Index in_dim, const ExpansionOptions& options) {
  constexpr Index most = Index{1} << 24;
  expect_in_dim(in_dim);
  expect(options.dim >= 1 && options.dim <= most, "dim is ", options.dim, ", expected 1..", most);
  (void)to_string(options.activation);
  expect(is_within(options.bandwidth, 1e-30, 1e30), "bandwidth is ", options.bandwidth,
         ", expected 1e-30..1e30");
  expect(is_within(options.bias_scale, 0.0, 1e30), "bias_scale is ", options.bias_scale,
         ", expected 0..1e30");
}

/// Refuses features of another width and an `out` of another shape.
template <class X, class Out>
void expect_expansion_shapes(const X& features, const Out& out, Index in_dim, Index out_dim) {
  expect_cols("features", features, in_dim);
  if (out.rows() != features.rows() || out.cols() != out_dim) {
    raise<ShapeError>("out is ", out.rows(), " x ", out.cols(), ", expected ", features.rows(),
                      " x ", out_dim);
  }
}

/// The part that dense and structured projections share: h = act(z / bandwidth + b) * scale.
template <RealScalar S>
class ActivationStage {
 public:
  explicit ActivationStage(const ExpansionOptions& options)
      : activation_{options.activation},
        inverse_bandwidth_{static_cast<S>(1 / options.bandwidth)},
        scale_{static_cast<S>(activation_scale(options.activation, options.dim))} {
    const auto stream = static_cast<std::uint64_t>(ExpansionStream::bias);
    if (activation_ == Activation::cosine) {
      RandomStream random(options.seed, stream);
      bias_.resize(options.dim);
      for (S& b : bias_) b = 2 * std::numbers::pi_v<S> * static_cast<S>(random.uniform());
    } else if (options.bias_scale > 0) {
      bias_ = static_cast<S>(options.bias_scale) *
              random_normal<S>(1, options.dim, options.seed, stream);
    }
  }

  /// @param z  x P; row by row, so that a row stays in cache over the steps
  void apply(Eigen::Ref<RowMajorMatrix<S>> z) const {
    for (Index i = 0; i < z.rows(); ++i) {
      Eigen::Map<RowVector<S>> row(z.row(i).data(), z.cols());
      if (inverse_bandwidth_ != S(1)) row *= inverse_bandwidth_;
      if (bias_.size() > 0) row += bias_;
      activate_in_place(activation_, row);
      row *= scale_;
    }
  }

  /// b, 1 x d; empty where there is none.
  [[nodiscard]] const RowVector<S>& bias() const noexcept { return bias_; }

 private:
  Activation activation_;
  S inverse_bandwidth_;
  S scale_;
  RowVector<S> bias_;
};

/// A running hash of numbers: the same for float and double, on every platform.
class Fingerprint {
 public:
  Fingerprint(Index in_dim, const ExpansionOptions& options) noexcept {
    add(static_cast<std::uint64_t>(options.kind));
    add(static_cast<std::uint64_t>(in_dim));
    add(static_cast<std::uint64_t>(options.dim));
    add(static_cast<std::uint64_t>(options.activation));
    add(options.bandwidth);
    add(options.bias_scale);
    add(options.seed);
  }
  void add(std::uint64_t word) noexcept { hash_ = mix_bits(hash_ * 0x9E3779B97F4A7C15U + word); }
  void add(double number) noexcept { add(std::bit_cast<std::uint64_t>(number)); }
  [[nodiscard]] std::uint64_t value() const noexcept { return hash_; }

 private:
  std::uint64_t hash_ = 0x616E79737372U;  // "anyssr"
};

}  // namespace detail
}  // namespace anyssr::inline ANYSSR_ABI
