// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The smallest useful AdaptableBackbone: one frozen linear site, a ReLU, a head for classes.
///
///   h = relu(x W0^T + sum_i w_i c_i (x A_i^T) B_i^T)      logits = sum_i w_i head_i(h)

#include <span>
#include <string>
#include <vector>

#include "anyssr/lora/adaptable_backbone.hpp"
#include "anyssr/train/objective.hpp"
#include "anyssr/train/ridge_head.hpp"

namespace anyssr::test {

template <RealScalar S>
class LinearBackbone {
 public:
  using Scalar = S;
  using Input = RowVector<S>;
  using Target = Index;
  using Output = RowVector<S>;
  struct PredictOptions {};
  struct Trunk {
    Matrix<S> x;
  };

  LinearBackbone(Index in, Index hidden, Index classes, std::uint64_t seed)
      : weight_(random_normal<S>(hidden, in, seed) / std::sqrt(static_cast<S>(in))),
        classes_(classes) {}

  [[nodiscard]] Index feature_dim() const { return weight_.cols(); }
  [[nodiscard]] Matrix<S> features(std::span<const Input> inputs) const {
    Matrix<S> x(static_cast<Index>(inputs.size()), feature_dim());
    for (Index i = 0; i < x.rows(); ++i) x.row(i) = inputs[static_cast<std::size_t>(i)];
    return x;
  }

  [[nodiscard]] std::vector<Site> sites() const {
    return {{"layer", weight_.cols(), weight_.rows()}};
  }
  [[nodiscard]] Adapter<S> make_adapter(std::span<const Target> /*targets*/,
                                        const AdapterOptions& options, std::uint64_t seed) const {
    Adapter<S> adapter;
    adapter.modules = make_modules<S>(sites(), options, seed);
    adapter.heads["head"] = {Matrix<S>::Zero(weight_.rows(), classes_),
                             RowVector<S>::Zero(classes_)};
    return adapter;
  }
  [[nodiscard]] Trunk trunk(std::span<const Input> inputs) const { return {features(inputs)}; }
  [[nodiscard]] Matrix<S> features(const Trunk& trunk) const { return trunk.x; }
  [[nodiscard]] Index rows(const Trunk& trunk) const { return trunk.x.rows(); }
  [[nodiscard]] Trunk select(const Trunk& trunk, std::span<const Index> rows) const {
    Trunk chosen{Matrix<S>(static_cast<Index>(rows.size()), trunk.x.cols())};
    for (Index i = 0; i < chosen.x.rows(); ++i) {
      chosen.x.row(i) = trunk.x.row(rows[static_cast<std::size_t>(i)]);
    }
    return chosen;
  }

  [[nodiscard]] std::vector<Output> forward(const Trunk& trunk,
                                            std::span<const AdapterMix<S>> mixes,
                                            const PredictOptions& /*options*/) const {
    std::vector<Output> outputs;
    for (Index i = 0; i < trunk.x.rows(); ++i) {
      const AdapterMix<S>& mix = mixes[static_cast<std::size_t>(i)];
      const Matrix<S> x = trunk.x.row(i);
      const Matrix<S> h = hidden(x, mix);
      RowVector<S> logits = RowVector<S>::Zero(classes_);
      for (const auto& entry : mix.entries()) {
        for (const auto& [name, head] : entry.adapter->heads) {
          logits += static_cast<S>(entry.weight) * head.logits(h);
        }
      }
      outputs.push_back(logits);
    }
    return outputs;
  }

  double loss_and_gradient(const Trunk& trunk, std::span<const Target> targets,
                           const Adapter<S>& adapter, AdapterGradient<S>& gradient) const {
    gradient.set_zero();
    const Matrix<S> h = hidden(trunk.x, AdapterMix<S>(adapter));
    const Head<S>& head = adapter.heads.at("head");
    Matrix<S> dz;
    const double loss = softmax_cross_entropy(head.logits(h), targets, 0, &dz);
    HeadGradient<S>& slope = gradient.heads.at("head");
    slope.weights = h.transpose() * dz;
    slope.bias = dz.colwise().sum();
    Matrix<S> dh = dz * head.weights.transpose();
    dh.array() *= (h.array() > S{0}).template cast<S>();
    for (const auto& [site, module] : adapter.modules) {
      module.backward(trunk.x, dh, gradient.modules.at(site));
    }
    return loss;
  }

  [[nodiscard]] bool is_correct(const Output& output, const Target& target) const {
    Index best = 0;
    output.maxCoeff(&best);
    return best == target;
  }

  template <class Visitor>
  void visit_site_inputs(const Trunk& trunk, const Adapter<S>& /*adapter*/,
                         Visitor&& visitor) const {
    visitor("layer", trunk.x);
  }

  [[nodiscard]] Index label_of(const Target& target) const { return target; }
  void fit_closed_form(const Trunk& trunk, std::span<const Target> targets,
                       Adapter<S>& adapter) const {
    adapter.heads["closed"] =
        fit_ridge_head(hidden(trunk.x, AdapterMix<S>(adapter)), targets, classes_, {.ridge = 0.1});
  }

 private:
  [[nodiscard]] Matrix<S> hidden(const Matrix<S>& x, const AdapterMix<S>& mix) const {
    Matrix<S> h = x * weight_.transpose();
    for (const auto& entry : mix.entries()) {
      for (const auto& [site, module] : entry.adapter->modules) {
        module.add_forward(x, h, entry.weight);
      }
    }
    return h.cwiseMax(S{0});
  }

  Matrix<S> weight_;  // W0, hidden x in
  Index classes_;
};

/// Rows around one random centre a class, in shuffled order.
template <RealScalar S>
struct Blobs {
  std::vector<RowVector<S>> inputs;
  std::vector<Index> labels;

  Blobs(Index count, Index dim, Index classes, double noise, std::uint64_t seed) {
    const Matrix<S> centres = random_normal<S>(classes, dim, seed, 1);
    const Matrix<S> noises = random_normal<S>(count, dim, seed, 2);
    RandomStream random(seed, 3);
    for (Index i = 0; i < count; ++i) {
      labels.push_back(static_cast<Index>(random.below(static_cast<std::uint32_t>(classes))));
      inputs.emplace_back(centres.row(labels.back()) + static_cast<S>(noise) * noises.row(i));
    }
  }
};

}  // namespace anyssr::test
