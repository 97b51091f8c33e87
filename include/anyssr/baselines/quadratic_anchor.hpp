// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// What holds one adapter near what it was after earlier tasks, while it is trained on another:
///
///   penalty(theta) = strength / 2  sum_k sum_i f_ki (theta_i - theta_ki)^2
///
/// over earlier tasks k, their adapters theta_k and how much each of their numbers matters, f_k.
/// Elastic weight consolidation takes the diagonal of the Fisher information for f_k; f = 1 is the
/// plain L2 penalty. The sum over k is kept as two numbers per parameter.
/// Source: Kirkpatrick et al., PNAS 114 (2017), 3521-3526; the sum over tasks, Huszar, PNAS 115
/// (2018), E2496.

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "anyssr/core/error.hpp"
#include "anyssr/core/finite.hpp"
#include "anyssr/lora/adaptable_backbone.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// Mean over the rows of the squared gradient of the loss of one row: the diagonal of the empirical
/// Fisher information.
/// @param trunk    one row a target
/// @param targets  at least one
/// @throws ShapeError, ArgumentError
/// Cost: one gradient a row.
template <AdaptableBackbone B>
[[nodiscard]] AdapterGradient<typename B::Scalar> fisher_information(
    const B& backbone, const typename B::Trunk& trunk, std::span<const typename B::Target> targets,
    const Adapter<typename B::Scalar>& adapter) {
  using S = typename B::Scalar;
  detail::expect_count("targets", targets.size(), static_cast<Index>(backbone.rows(trunk)));
  detail::expect(!targets.empty(), "targets are empty, expected at least one row");
  AdapterGradient<S> mean = zero_like(adapter);
  AdapterGradient<S> gradient = zero_like(adapter);
  const auto share = S(1) / static_cast<S>(targets.size());
  for (std::size_t i = 0; i < targets.size(); ++i) {
    const auto row = static_cast<Index>(i);
    (void)backbone.loss_and_gradient(backbone.select(trunk, std::span(&row, 1)),
                                     targets.subspan(i, 1), adapter, gradient);
    std::vector<Eigen::Map<const Matrix<S>>> blocks;
    for_each_block(std::as_const(gradient), [&](const auto& block) { blocks.push_back(block); });
    std::size_t place = 0;
    for_each_block(mean, [&](auto block) {
      block += share * blocks[place].cwiseAbs2();
      ++place;
    });
  }
  return mean;
}

template <RealScalar S>
class QuadraticAnchor {
 public:
  /// @param strength  at least 0
  /// @throws ArgumentError
  explicit QuadraticAnchor(double strength) : strength_(strength) {
    detail::expect(detail::is_finite(strength) && strength >= 0, "strength is ", strength,
                   ", expected 0 or more");
  }

  /// Another earlier task.
  /// @param adapter     of the shapes of all before
  /// @param importance  f, at least 0
  /// @throws ShapeError, NonFiniteError
  /// @throws ArgumentError  an importance below 0;  nothing has changed then
  void add(const Adapter<S>& adapter, const AdapterGradient<S>& importance) {
    const AdapterGradient<S> zeros = zero_like(adapter);
    expect_shapes("importance", importance, zeros);
    if (!is_empty()) expect_shapes("adapter", zeros, importance_);
    for_each_parameter(adapter, importance, [](const auto& parameter, const auto& factor) {
      detail::expect_finite("adapter's numbers", parameter);
      detail::expect_finite("importances", factor);
      if (factor.size() == 0) return;
      const S least = factor.minCoeff();
      detail::expect(least >= 0, "importance is ", least, ", expected 0 or more");
    });
    if (is_empty()) {
      importance_ = zeros;
      weighted_ = zeros;
    }
    std::vector<Eigen::Map<Matrix<S>>> sums;
    for_each_block(importance_, [&](const auto& block) { sums.push_back(block); });
    std::size_t place = 0;
    for_each_parameter(adapter, importance, [&](const auto& /*parameter*/, const auto& factor) {
      sums[place++] += factor;
    });
    sums.clear();
    for_each_block(weighted_, [&](const auto& block) { sums.push_back(block); });
    place = 0;
    for_each_parameter(adapter, importance, [&](const auto& parameter, const auto& factor) {
      sums[place++] += factor.cwiseProduct(parameter);
    });
  }

  /// The same with f = 1.
  /// @throws ShapeError, NonFiniteError; nothing has changed then
  void add(const Adapter<S>& adapter) {
    AdapterGradient<S> ones = zero_like(adapter);
    for_each_block(ones, [](auto block) { block.setOnes(); });
    add(adapter, ones);
  }

  [[nodiscard]] bool is_empty() const noexcept {
    return importance_.modules.empty() && importance_.heads.empty();
  }

  /// Adds strength sum_k f_k (theta - theta_k), the gradient of the penalty.
  /// @throws ShapeError  where shapes are not those of `add`; the gradient has not changed then
  void add_gradient(const Adapter<S>& adapter, AdapterGradient<S>& gradient) const {
    if (is_empty() || strength_ == 0) return;
    expect_shapes("gradient", gradient, importance_);
    std::vector<Eigen::Map<const Matrix<S>>> factors;
    std::vector<Eigen::Map<const Matrix<S>>> weighted;
    for_each_block(importance_, [&](const auto& block) { factors.push_back(block); });
    for_each_block(weighted_, [&](const auto& block) { weighted.push_back(block); });
    std::size_t place = 0;
    for_each_parameter(adapter, gradient, [&](const auto& parameter, auto slope) {
      slope +=
          static_cast<S>(strength_) * (factors[place].cwiseProduct(parameter) - weighted[place]);
      ++place;
    });
  }

  [[nodiscard]] std::size_t bytes() const noexcept {
    std::size_t count = 0;
    for_each_block(importance_,
                   [&](const auto& block) { count += static_cast<std::size_t>(block.size()); });
    return 2 * count * sizeof(S);
  }

 private:
  /// Refuses numbers of other sites, heads or shapes than expected.
  static void expect_shapes(std::string_view name, const AdapterGradient<S>& came,
                            const AdapterGradient<S>& expected) {
    const auto expect_all = [&](std::string_view kind, const auto& some, const auto& all,
                                const auto& expect_blocks) {
      for (const auto& [key, blocks] : some) {
        const auto found = all.find(key);
        detail::expect<ShapeError>(found != all.end(), name, " has a ", kind, " '", key,
                                   "', expected none of that name");
        expect_blocks(detail::concat(name, " of ", kind, " '", key, "'"), blocks, found->second);
      }
      detail::expect<ShapeError>(some.size() == all.size(), name, " has ", some.size(), " ", kind,
                                 "s, expected ", all.size());
    };
    const auto expect_block = [](const std::string& what, const auto& block, const auto& like) {
      detail::expect_shape(what, block, like.rows(), like.cols());
    };
    expect_all("module", came.modules, expected.modules,
               [&](const std::string& what, const auto& module, const auto& like) {
                 expect_block("a in " + what, module.a, like.a);
                 expect_block("b in " + what, module.b, like.b);
               });
    expect_all("head", came.heads, expected.heads,
               [&](const std::string& what, const auto& head, const auto& like) {
                 expect_block("weights in " + what, head.weights, like.weights);
                 expect_block("bias in " + what, head.bias, like.bias);
               });
  }

  double strength_;
  AdapterGradient<S> importance_ = {};  // sum_k f_k
  AdapterGradient<S> weighted_ = {};    // sum_k f_k theta_k
};

/// A backbone whose gradients have that of a penalty added to them: what train_adapter then
/// minimises is loss + penalty. The loss that it reports is without the penalty.
/// @tparam AddPenalty  called as add(adapter, gradient)
template <AdaptableBackbone B, class AddPenalty>
class PenalisedBackbone : public B {
 public:
  PenalisedBackbone(const B& backbone, AddPenalty add) : B(backbone), add_(std::move(add)) {}

  [[nodiscard]] double loss_and_gradient(const typename B::Trunk& trunk,
                                         std::span<const typename B::Target> targets,
                                         const Adapter<typename B::Scalar>& adapter,
                                         AdapterGradient<typename B::Scalar>& gradient) const {
    const double loss = B::loss_and_gradient(trunk, targets, adapter, gradient);
    add_(adapter, gradient);
    return loss;
  }

 private:
  AddPenalty add_;
};

}  // namespace anyssr::inline ANYSSR_ABI
