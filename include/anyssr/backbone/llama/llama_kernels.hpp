// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// What a LLaMA decoder layer does beside its products, forward and backward, one row a token:
///
///   RMSNorm   y = w * x r,  r = 1 / sqrt(mean(x^2) + eps)
///             dx = r (w * dy) - x r^3 / H sum(w * dy * x)
///   rotary    the pair (x_j, x_{j + h/2}) of a head turned by position * f_j: the layout of
///             published checkpoints ("rotate half"), which leaves LoRA's B as it is stored
///   SwiGLU    y = silu(g) * u,  silu(g) = g / (1 + exp(-g))
///   GeGLU     y = gelu(g) * u,  gelu(g) = g / (1 + exp(-z)),  z = sqrt(8 / pi) (g + 0.044715 g^3)
///             which is g / 2 (1 + tanh(z / 2))
/// Sources: arXiv 1910.07467 (RMSNorm), 2104.09864 (rotary), 2002.05202 (SwiGLU, GeGLU),
/// 1606.08415 (GELU).

#include <algorithm>
#include <cmath>

#include "anyssr/core/threads.hpp"
#include "anyssr/core/types.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

/// A block of rows; one of a larger matrix costs no copy.
template <class S>
using RowsRef = Eigen::Ref<RowMajorMatrix<S>, 0, Eigen::OuterStride<>>;
template <class S>
using ConstRowsRef = Eigen::Ref<const RowMajorMatrix<S>, 0, Eigen::OuterStride<>>;

/// Calls body(first, count) for slices of `rows` rows, on threads where `numbers` are many enough.
template <class Body>
void for_row_slices(int threads, Index rows, Index numbers, const Body& body) {
  constexpr Index least = Index{1} << 16;  // some 30 microseconds
  const Index slice = std::max<Index>(1, std::min<Index>(32, rows));
  const Index count = (rows + slice - 1) / slice;
  parallel_for(numbers < least ? 1 : threads, count,
               [&](Index i) { body(i * slice, std::min(slice, rows - i * slice)); });
}

template <class S>
void rms_norm(const ConstRowsRef<S>& x, const RowVector<S>& weight, double eps, RowsRef<S> y,
              int threads) {
  const auto epsilon = static_cast<S>(eps);
  for_row_slices(threads, x.rows(), x.size(), [&](Index first, Index count) {
    for (Index i = first; i < first + count; ++i) {
      const S mean = x.row(i).squaredNorm() / static_cast<S>(x.cols());
      y.row(i) = (x.row(i) * (S{1} / std::sqrt(mean + epsilon))).cwiseProduct(weight);
    }
  });
}

/// y += RMSNorm(x)
template <class S>
void add_rms_norm(const ConstRowsRef<S>& x, const RowVector<S>& weight, double eps, RowsRef<S> y,
                  int threads) {
  const auto epsilon = static_cast<S>(eps);
  for_row_slices(threads, x.rows(), x.size(), [&](Index first, Index count) {
    for (Index i = first; i < first + count; ++i) {
      const S mean = x.row(i).squaredNorm() / static_cast<S>(x.cols());
      y.row(i) += (x.row(i) * (S{1} / std::sqrt(mean + epsilon))).cwiseProduct(weight);
    }
  });
}

/// dx += the gradient by x, of dy by y.
template <class S>
void rms_norm_backward(const ConstRowsRef<S>& x, const RowVector<S>& weight, double eps,
                       const ConstRowsRef<S>& dy, RowsRef<S> dx, int threads) {
  const auto size = static_cast<S>(x.cols());
  const auto epsilon = static_cast<S>(eps);
  for_row_slices(threads, x.rows(), x.size(), [&](Index first, Index count) {
    RowVector<S> scaled(x.cols());
    for (Index i = first; i < first + count; ++i) {
      const S r = S{1} / std::sqrt(x.row(i).squaredNorm() / size + epsilon);
      scaled = dy.row(i).cwiseProduct(weight);
      const S along = scaled.dot(x.row(i)) * r * r / size;
      dx.row(i) += r * (scaled - along * x.row(i));
    }
  });
}

/// cos and sin of every position's angles, grown as positions come.
template <class S>
class RotaryTable {
 public:
  explicit RotaryTable(Vector<double> frequencies) : frequencies_(std::move(frequencies)) {}

  /// Makes the positions 0..count-1 known.
  void grow(Index count) {
    const Index known = cosines_.rows();
    if (count <= known) return;
    cosines_.conservativeResize(count, frequencies_.size());
    sines_.conservativeResize(count, frequencies_.size());
    for (Index t = known; t < count; ++t) {
      for (Index j = 0; j < frequencies_.size(); ++j) {
        const double angle = static_cast<double>(t) * frequencies_[j];
        cosines_(t, j) = static_cast<S>(std::cos(angle));
        sines_(t, j) = static_cast<S>(std::sin(angle));
      }
    }
  }

  /// Turns every head of a row (heads x head_dim numbers) to `position`, or back from it.
  void turn(S* row, Index heads, Index position, bool back) const {
    const Index half = frequencies_.size();
    const S* const cosines = cosines_.data() + position * half;
    const S* const sines = sines_.data() + position * half;
    const S sign = back ? S{-1} : S{1};
    for (Index head = 0; head < heads; ++head, row += 2 * half) {
      for (Index j = 0; j < half; ++j) {
        const S low = row[j];
        const S high = row[j + half];
        row[j] = low * cosines[j] - sign * sines[j] * high;
        row[j + half] = high * cosines[j] + sign * sines[j] * low;
      }
    }
  }

 private:
  Vector<double> frequencies_;  // head_dim / 2
  RowMajorMatrix<S> cosines_;   // positions x head_dim / 2
  RowMajorMatrix<S> sines_;
};

/// y = silu(gate) * up; y takes their size.
template <class X, class Y>
void swiglu(const X& gate, const X& up, Y& y, int threads) {
  using S = typename X::Scalar;
  y.resize(gate.rows(), gate.cols());
  for_row_slices(threads, gate.rows(), gate.size(), [&](Index first, Index count) {
    const auto g = gate.middleRows(first, count).array();
    y.middleRows(first, count).array() =
        g / (S{1} + (-g).exp()) * up.middleRows(first, count).array();
  });
}

/// gate and up become their gradients, of dy by y.
template <class DY, class X>
void swiglu_backward(const DY& dy, X& gate, X& up, int threads) {
  using S = typename X::Scalar;
  for_row_slices(threads, gate.rows(), gate.size(), [&](Index first, Index count) {
    RowMajorMatrix<S> sigmoid(count, gate.cols());
    auto g = gate.middleRows(first, count).array();
    auto u = up.middleRows(first, count).array();
    const auto d = dy.middleRows(first, count).array();
    sigmoid.array() = S{1} / (S{1} + (-g).exp());
    const RowMajorMatrix<S> by_up = d * g * sigmoid.array();
    g = d * u * sigmoid.array() * (S{1} + g * (S{1} - sigmoid.array()));
    u = by_up.array();
  });
}

/// z = gelu_slope g + gelu_bend g^3
template <class S>
inline constexpr S gelu_slope = S(1.5957691216057307117);  // sqrt(8 / pi)
template <class S>
inline constexpr S gelu_bend = S(0.044715 * 1.5957691216057307117);

/// y = gelu(gate) * up; y takes their size.
template <class X, class Y>
void geglu(const X& gate, const X& up, Y& y, int threads) {
  using S = typename X::Scalar;
  y.resize(gate.rows(), gate.cols());
  for_row_slices(threads, gate.rows(), gate.size(), [&](Index first, Index count) {
    const auto g = gate.middleRows(first, count).array();
    y.middleRows(first, count).array() =
        g / (S{1} + (g * (-gelu_slope<S> - gelu_bend<S> * g * g)).exp()) *
        up.middleRows(first, count).array();
  });
}

/// gate and up become their gradients, of dy by y.
template <class DY, class X>
void geglu_backward(const DY& dy, X& gate, X& up, int threads) {
  using S = typename X::Scalar;
  for_row_slices(threads, gate.rows(), gate.size(), [&](Index first, Index count) {
    RowMajorMatrix<S> sigmoid(count, gate.cols());
    auto g = gate.middleRows(first, count).array();
    auto u = up.middleRows(first, count).array();
    const auto d = dy.middleRows(first, count).array();
    sigmoid.array() = S{1} / (S{1} + (g * (-gelu_slope<S> - gelu_bend<S> * g * g)).exp());
    const RowMajorMatrix<S> by_up = d * g * sigmoid.array();
    g = d * u * sigmoid.array() *
        (S{1} + g * (gelu_slope<S> + S{3} * gelu_bend<S> * g * g) * (S{1} - sigmoid.array()));
    u = by_up.array();
  });
}

}  // namespace anyssr::inline ANYSSR_ABI::detail
