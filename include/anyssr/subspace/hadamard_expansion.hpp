// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Random features without a stored matrix: stacked blocks of structured orthogonal maps
///
///   z = H D_3 H D_2 H D_1 x / m          h = act(z / bandwidth + b) * scale
///
/// m is the power of two >= D, x is padded with zeros to m, H the Walsh-Hadamard transform, D_i
/// random signs. H / sqrt(m) is orthogonal, so each of the m coordinates of a block has variance 1
/// for |x| = 1, as with a matrix of normal numbers, and the coordinates of one block are
/// orthogonal. Source: arXiv 1610.09072 (structured orthogonal random features).

#include <algorithm>
#include <bit>

#include "anyssr/subspace/expansion.hpp"
#include "anyssr/subspace/walsh_hadamard.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// h = act(z / bandwidth + b) * scale, z from Walsh-Hadamard transforms. Keeps 3 signs and at most
/// one bias for each column.
template <RealScalar S>
class HadamardExpansion {
 public:
  using Scalar = S;

  /// @param in_dim   D, 1..2^24
  /// @param options  kind is not read
  /// @throws ArgumentError  an option out of range
  HadamardExpansion(Index in_dim, const ExpansionOptions& options)
      : in_dim_{in_dim}, options_{checked(in_dim, options)}, stage_{options} {
    block_ = static_cast<Index>(std::bit_ceil(static_cast<std::uint64_t>(in_dim)));
    const Index blocks = (options.dim + block_ - 1) / block_;
    RandomStream random(options.seed, static_cast<std::uint64_t>(ExpansionStream::signs));
    signs_.resize(3 * block_, blocks);
    for (S& sign : signs_.reshaped()) sign = static_cast<S>(random.sign());
  }

  /// Writes the expanded features.
  /// @param features   n x D, dense in any storage order or row-major sparse
  /// @param out        n x d, rows in one piece; must not overlap the features
  /// @param workspace  takes 2 m numbers
  /// @throws ShapeError
  /// Cost: O(d log m) a row; D = 4096 to d = 8192 takes 6 us in float with AVX-512, 25 us with
  /// SSE2, and gelu 80 us more. Allocates nothing once the
  /// workspace has its size, but for a product expression as features.
  template <FeatureMatrix<S> X>
  void expand_into(const X& features, Eigen::Ref<RowMajorMatrix<S>> out,
                   ExpansionWorkspace<S>& workspace) const {
    detail::expect_expansion_shapes(features, out, in_dim_, options_.dim);
    if constexpr (DenseFeatures<X> && !bool(X::Flags & Eigen::DirectAccessBit)) {
      const RowMajorMatrix<S> evaluated = features;  // else each row would evaluate all of it
      transform_rows(evaluated, out, workspace);
    } else {
      transform_rows(features, out, workspace);
    }
  }

  /// The expanded features, n x d.
  /// @throws ShapeError
  template <FeatureMatrix<S> X>
  [[nodiscard]] RowMajorMatrix<S> expand(const X& features) const {
    detail::expect_cols("features", features, in_dim_);
    RowMajorMatrix<S> out(features.rows(), out_dim());
    ExpansionWorkspace<S> workspace;
    expand_into(features, out, workspace);
    return out;
  }

  [[nodiscard]] Index in_dim() const noexcept { return in_dim_; }
  [[nodiscard]] Index out_dim() const noexcept { return options_.dim; }
  [[nodiscard]] static constexpr bool passes_through() noexcept { return false; }
  [[nodiscard]] const ExpansionOptions& options() const noexcept { return options_; }

  /// b, 1 x d; empty where there is none.
  [[nodiscard]] const RowVector<S>& bias() const noexcept { return stage_.bias(); }

  /// D_1, D_2, D_3 (m each) of a block of m output columns; 3 m x blocks.
  [[nodiscard]] const Matrix<S>& signs() const noexcept { return signs_; }

  /// Hash of options, widths and the first 64 signs of each block.
  [[nodiscard]] std::uint64_t fingerprint() const noexcept {
    detail::Fingerprint hash(in_dim_, options_);
    const Index count = std::min<Index>(64, signs_.rows());
    for (Index b = 0; b < signs_.cols(); ++b) {
      std::uint64_t bits = 0;
      for (Index i = 0; i < count; ++i) bits = 2 * bits + (signs_(i, b) < S(0) ? 1U : 0U);
      hash.add(bits);
    }
    return hash.value();
  }

 private:
  static ExpansionOptions checked(Index in_dim, ExpansionOptions options) {
    detail::expect_valid(in_dim, options);
    constexpr Index most = Index{1} << 24;
    detail::expect(in_dim <= most, "in_dim is ", in_dim, ", expected 1..", most);
    options.kind = ExpansionKind::hadamard;
    return options;
  }

  template <class X>
  void transform_rows(const X& features, Eigen::Ref<RowMajorMatrix<S>> out,
                      ExpansionWorkspace<S>& workspace) const {
    if (workspace.buffer.size() < 2 * block_) workspace.buffer.resize(2 * block_);
    Eigen::Map<RowVector<S>> padded(workspace.buffer.data(), block_);
    for (Index i = 0; i < features.rows(); ++i) {
      if constexpr (SparseFeatures<X>) {
        padded.setZero();
        for (Eigen::InnerIterator<X> entry(features, i); entry; ++entry) {
          padded(entry.index()) = entry.value();
        }
      } else {
        padded.head(in_dim_) = features.row(i);
        padded.tail(block_ - in_dim_).setZero();
      }
      padded /= static_cast<S>(block_);
      transform_row(padded, out.row(i).data(), workspace.buffer.data() + block_);
      stage_.apply(out.middleRows(i, 1));  // while the row is in cache
    }
  }

  /// All blocks of one padded row. A block is made in its place, but for a last one that is cut.
  void transform_row(const Eigen::Map<RowVector<S>>& padded, S* out, S* spare) const {
    for (Index b = 0; b < signs_.cols(); ++b) {
      const Index width = std::min(block_, options_.dim - b * block_);
      S* const place = width == block_ ? out + b * block_ : spare;
      Eigen::Map<RowVector<S>> z(place, block_);
      z = padded;
      for (Index k = 0; k < 3; ++k) {
        z.array() *= signs_.col(b).segment(k * block_, block_).transpose().array();
        detail::walsh_hadamard(place, block_);
      }
      if (place == spare) std::copy_n(spare, width, out + b * block_);
    }
  }

  Index in_dim_;
  Index block_ = 0;           // m
  ExpansionOptions options_;  // kind is hadamard
  detail::ActivationStage<S> stage_;
  Matrix<S> signs_;  // 3 m x blocks, each +1 or -1
};

}  // namespace anyssr::inline ANYSSR_ABI
