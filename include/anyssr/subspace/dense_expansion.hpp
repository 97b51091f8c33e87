// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Random features with a stored matrix of normal numbers:
///
///   h = act(x P / bandwidth + b) * scale          P: D x d, entries N(0, 1)
///
/// With cosine these are the random Fourier features of the Gaussian kernel
/// exp(-|x - y|^2 / (2 bandwidth^2)). Source: arXiv 2205.14922 (random feature expansion).

#include <array>

#include "anyssr/core/threads.hpp"
#include "anyssr/linalg/product.hpp"
#include "anyssr/subspace/expansion.hpp"

namespace anyssr::inline ANYSSR_ABI {

namespace detail {

/// out = sum_j values[j] * P.row(columns[j]) over the stored entries of a sparse row. P has rows in
/// one piece; four of them at a time, so that `out` is read and written a quarter as often.
template <RealScalar S, class Iterator>
void gather_rows(Iterator entry, const RowMajorMatrix<S>& p, Eigen::Map<RowVector<S>> out) {
  out.setZero();
  while (entry) {
    std::array<S, 4> value{};
    std::array<Index, 4> row{};
    std::size_t count = 0;
    for (; entry && count < 4; ++entry, ++count) {
      value[count] = entry.value();
      row[count] = entry.index();
    }
    if (count == 4) {
      out += value[0] * p.row(row[0]) + value[1] * p.row(row[1]) + value[2] * p.row(row[2]) +
             value[3] * p.row(row[3]);
    } else {
      for (std::size_t k = 0; k < count; ++k) out += value[k] * p.row(row[k]);
    }
  }
}

}  // namespace detail

/// h = act(x P / bandwidth + b) * scale with a stored P. Copies cost D d numbers.
template <RealScalar S>
class DenseExpansion {
 public:
  using Scalar = S;

  /// @param in_dim   D >= 1
  /// @param options  kind is not read
  /// @throws ArgumentError  an option out of range, or D d above 2^34
  /// Cost: D d numbers of memory, about 8 ns each to draw.
  DenseExpansion(Index in_dim, const ExpansionOptions& options)
      : options_{checked(in_dim, options)},
        projection_{random_normal<S, Eigen::RowMajor>(
            in_dim, options.dim, options.seed,
            static_cast<std::uint64_t>(ExpansionStream::projection))},
        stage_{options} {}

  /// Writes the expanded features.
  /// @param features  n x D, dense in any storage order or row-major sparse
  /// @param out       n x d, rows in one piece; must not overlap the features
  /// @throws ShapeError
  /// Cost: one n x D by D x d product; for sparse rows O(nonzeros d). One row, or sparse rows,
  /// allocate nothing.
  template <FeatureMatrix<S> X>
  void expand_into(const X& features, Eigen::Ref<RowMajorMatrix<S>> out,
                   ExpansionWorkspace<S>& /*workspace*/) const {
    detail::expect_expansion_shapes(features, out, in_dim(), out_dim());
    if constexpr (SparseFeatures<X>) {
      for (Index i = 0; i < features.rows(); ++i) {
        Eigen::Map<RowVector<S>> row(out.row(i).data(), out.cols());
        detail::gather_rows<S>(Eigen::InnerIterator<X>(features, i), projection_, row);
      }
    } else {
      const detail::SerialEigen serial;
      detail::set_product(out, features, projection_);
    }
    stage_.apply(out);
  }

  /// The expanded features, n x d.
  /// @throws ShapeError
  template <FeatureMatrix<S> X>
  [[nodiscard]] RowMajorMatrix<S> expand(const X& features) const {
    detail::expect_cols("features", features, in_dim());
    RowMajorMatrix<S> out(features.rows(), out_dim());
    ExpansionWorkspace<S> workspace;
    expand_into(features, out, workspace);
    return out;
  }

  [[nodiscard]] Index in_dim() const noexcept { return projection_.rows(); }
  [[nodiscard]] Index out_dim() const noexcept { return projection_.cols(); }
  [[nodiscard]] static constexpr bool passes_through() noexcept { return false; }
  [[nodiscard]] const ExpansionOptions& options() const noexcept { return options_; }

  /// P, D x d: neither scaled nor divided by the bandwidth.
  [[nodiscard]] const RowMajorMatrix<S>& projection() const noexcept { return projection_; }

  /// b, 1 x d; empty where there is none.
  [[nodiscard]] const RowVector<S>& bias() const noexcept { return stage_.bias(); }

  /// Hash of options, widths and 16 entries along the diagonal of P.
  [[nodiscard]] std::uint64_t fingerprint() const noexcept {
    detail::Fingerprint hash(in_dim(), options_);
    for (Index k = 0; k < 16; ++k) {
      hash.add(static_cast<double>(projection_(k * (in_dim() - 1) / 15, k * (out_dim() - 1) / 15)));
    }
    return hash.value();
  }

 private:
  static ExpansionOptions checked(Index in_dim, ExpansionOptions options) {
    detail::expect_valid(in_dim, options);
    detail::expect(in_dim <= (Index{1} << 34) / options.dim, "a dense expansion of ", in_dim,
                   " features to dim ", options.dim,
                   " would hold more than 2^34 numbers: use kind hadamard");
    options.kind = ExpansionKind::dense;
    return options;
  }

  ExpansionOptions options_;      // kind is dense
  RowMajorMatrix<S> projection_;  // D x d
  detail::ActivationStage<S> stage_;
};

}  // namespace anyssr::inline ANYSSR_ABI
