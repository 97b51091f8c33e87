// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// AdamW: Adam (arXiv 1412.6980, algorithm 1) with decoupled weight decay (arXiv 1711.05101,
/// algorithm 2), with p the parameters, g their gradient and t = 1, 2, ...:
///
///   p <- p - rate * weight_decay * p
///   m <- beta1 m + (1 - beta1) g          v <- beta2 v + (1 - beta2) g^2
///   p <- p - rate * (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon)

#include <cmath>
#include <vector>

#include "anyssr/lora/adapter.hpp"

namespace anyssr::inline ANYSSR_ABI {

struct AdamWOptions {
  double beta1 = 0.9;       ///< [0, 1)
  double beta2 = 0.999;     ///< [0, 1)
  double epsilon = 1e-8;    ///< above 0
  double weight_decay = 0;  ///< at least 0; applied to every trained number, biases too
};

template <RealScalar S>
class AdamW {
 public:
  using Scalar = S;

  /// @throws ArgumentError  an option out of its range
  explicit AdamW(const AdamWOptions& options = {}) : options_(options) {
    detail::expect(detail::is_finite(options.beta1) && options.beta1 >= 0 && options.beta1 < 1,
                   "beta1 is ", options.beta1, ", expected at least 0 and below 1");
    detail::expect(detail::is_finite(options.beta2) && options.beta2 >= 0 && options.beta2 < 1,
                   "beta2 is ", options.beta2, ", expected at least 0 and below 1");
    detail::expect_positive("epsilon", options.epsilon);
    detail::expect(detail::is_finite(options.weight_decay) && options.weight_decay >= 0,
                   "weight_decay is ", options.weight_decay,
                   ", expected a finite number of at least 0");
  }

  /// One step down the gradient. The moments take their shapes at the first step.
  /// @param rate  at least 0
  /// @throws ShapeError     the gradient is not of the adapter's shapes, or these differ from
  ///                        the first step's; nothing changes then
  /// @throws ArgumentError  a rate that is not finite or below 0
  void step(Adapter<S>& adapter, const AdapterGradient<S>& gradient, double rate) {
    detail::expect(detail::is_finite(rate) && rate >= 0, "rate is ", rate,
                   ", expected a finite number of at least 0");
    prepare(adapter, gradient);
    ++steps_;
    const auto t = static_cast<double>(steps_);
    const auto length = static_cast<S>(rate / (1 - std::pow(options_.beta1, t)));
    const auto root = static_cast<S>(1 / std::sqrt(1 - std::pow(options_.beta2, t)));
    const auto decay = static_cast<S>(1 - rate * options_.weight_decay);
    const auto beta1 = static_cast<S>(options_.beta1);
    const auto beta2 = static_cast<S>(options_.beta2);
    const auto epsilon = static_cast<S>(options_.epsilon);
    std::size_t i = 0;
    for_each_parameter(adapter, gradient, [&](auto parameter, const auto& slope) {
      auto m = moments_[i].mean.array();
      auto v = moments_[i].square.array();
      m = beta1 * m + (S{1} - beta1) * slope.array();
      v = beta2 * v + (S{1} - beta2) * slope.array().square();
      parameter.array() = decay * parameter.array() - length * m / (v.sqrt() * root + epsilon);
      ++i;
    });
  }

  [[nodiscard]] Index steps() const noexcept { return steps_; }

 private:
  struct Moments {
    Matrix<S> mean;
    Matrix<S> square;
  };

  /// Checks all shapes; sizes the moments before the first step.
  void prepare(const Adapter<S>& adapter, const AdapterGradient<S>& gradient) {
    std::vector<Moments> fresh;
    std::size_t i = 0;
    for_each_parameter(adapter, gradient, [&](const auto& parameter, const auto&) {
      if (steps_ == 0) {
        fresh.push_back({Matrix<S>::Zero(parameter.rows(), parameter.cols()),
                         Matrix<S>::Zero(parameter.rows(), parameter.cols())});
        return;
      }
      detail::expect<ShapeError>(i < moments_.size() &&
                                     moments_[i].mean.rows() == parameter.rows() &&
                                     moments_[i].mean.cols() == parameter.cols(),
                                 "parameter block ", i, " is ", parameter.rows(), " x ",
                                 parameter.cols(), ", expected the shapes of the first step");
      ++i;
    });
    if (steps_ == 0) {
      moments_ = std::move(fresh);
    } else {
      detail::expect<ShapeError>(i == moments_.size(), "adapter has ", i,
                                 " parameter blocks, expected ", moments_.size());
    }
  }

  AdamWOptions options_;
  std::vector<Moments> moments_;  // one a parameter block, in the order of for_each_parameter
  Index steps_ = 0;
};

}  // namespace anyssr::inline ANYSSR_ABI
