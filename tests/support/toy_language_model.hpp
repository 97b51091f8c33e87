// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// A toy autoregressive model: proof that the vocabulary of AdaptableBackbone carries a language
/// model. Prompts are token lists of unequal length; an answer is two tokens, the second
/// conditioned on the first.
///
///   trunk: u_0 = mean embedding of the prompt     step s: h = tanh(u_s W + LoRA(u_s)), logits = h
///   E^T u_1 = u_0 + embedding of the first answer token

#include <array>
#include <cmath>
#include <span>
#include <string_view>
#include <vector>

#include "anyssr/core/rows.hpp"
#include "anyssr/lora/adaptable_backbone.hpp"
#include "anyssr/train/objective.hpp"

namespace anyssr::test {

template <RealScalar S>
class ToyLanguageModel {
 public:
  using Scalar = S;
  using Input = std::vector<int>;
  using Target = std::array<int, 2>;
  using Output = std::vector<int>;
  struct PredictOptions {
    int length = 2;
  };
  struct Trunk {
    Matrix<S> state;  // u_0, one row a prompt
  };

  ToyLanguageModel(Index vocabulary, Index width, std::uint64_t seed)
      : embedding_(random_normal<S>(vocabulary, width, seed)),
        weight_(random_normal<S>(width, width, seed, 1) / std::sqrt(static_cast<S>(width))) {}

  Index feature_dim() const { return weight_.cols(); }
  std::vector<Site> sites() const { return {{"mix", weight_.rows(), weight_.cols()}}; }
  Adapter<S> make_adapter(std::span<const Target>, const AdapterOptions& options,
                          std::uint64_t seed) const {
    return {.modules = make_modules<S>(sites(), options, seed), .heads = {}, .metadata = {}};
  }
  Trunk trunk(std::span<const Input> prompts) const {
    Trunk result{Matrix<S>::Zero(static_cast<Index>(prompts.size()), feature_dim())};
    for (Index i = 0; i < result.state.rows(); ++i) {
      const Input& prompt = prompts[static_cast<std::size_t>(i)];
      detail::expect(!prompt.empty(), "prompt ", i, " is empty, expected at least one token");
      for (const int token : prompt) result.state.row(i) += embedding_.row(token);
      result.state.row(i) /= static_cast<S>(prompt.size());
    }
    return result;
  }
  Matrix<S> features(std::span<const Input> prompts) const { return trunk(prompts).state; }
  const Matrix<S>& features(const Trunk& trunk) const { return trunk.state; }
  Index rows(const Trunk& trunk) const { return trunk.state.rows(); }
  Trunk select(const Trunk& trunk, std::span<const Index> rows) const {
    return {select_rows(trunk.state, rows)};
  }

  std::vector<Output> forward(const Trunk& trunk, std::span<const AdapterMix<S>> mixes,
                              const PredictOptions& options) const {
    std::vector<Output> answers(mixes.size());
    for (std::size_t i = 0; i < mixes.size(); ++i) {
      Matrix<S> u = trunk.state.row(static_cast<Index>(i));
      while (static_cast<int>(answers[i].size()) < options.length) {
        Index token = 0;
        (hidden(u, mixes[i]) * embedding_.transpose()).row(0).maxCoeff(&token);
        answers[i].push_back(static_cast<int>(token));
        u += embedding_.row(token);
      }
    }
    return answers;
  }

  double loss_and_gradient(const Trunk& trunk, std::span<const Target> targets,
                           const Adapter<S>& adapter, AdapterGradient<S>& gradient) const {
    gradient.set_zero();
    Matrix<S> u = trunk.state;
    double loss = 0;
    for (std::size_t step = 0; step < 2; ++step) {  // teacher forcing
      std::vector<Index> tokens;
      for (const Target& target : targets) tokens.push_back(target[step]);
      const Matrix<S> h = hidden(u, AdapterMix<S>(adapter));
      Matrix<S> d_logits;
      const Matrix<S> logits = h * embedding_.transpose();
      loss += softmax_cross_entropy(logits, tokens, 0, &d_logits);
      const Matrix<S> d_z =
          ((d_logits * embedding_).array() * (S(1) - h.array().square())).matrix();
      for (const auto& [site, module] : adapter.modules)
        module.backward(u, d_z, gradient.modules.at(site));
      for (Index i = 0; i < u.rows(); ++i)
        u.row(i) += embedding_.row(tokens[static_cast<std::size_t>(i)]);
    }
    return loss;
  }

  bool is_correct(const Output& output, const Target& target) const {
    return output.size() == 2 && output[0] == target[0] && output[1] == target[1];
  }
  template <class Visitor>
  void visit_site_inputs(const Trunk& trunk, const Adapter<S>&, Visitor&& visitor) const {
    visitor(std::string_view("mix"), trunk.state);
  }

 private:
  Matrix<S> hidden(const Matrix<S>& u, const AdapterMix<S>& mix) const {
    Matrix<S> z = u * weight_;
    for (const auto& entry : mix.entries()) {
      for (const auto& [site, module] : entry.adapter->modules)
        module.add_forward(u, z, entry.weight);
    }
    return z.array().tanh();
  }

  Matrix<S> embedding_;  // vocabulary x width
  Matrix<S> weight_;     // width x width
};

}  // namespace anyssr::test
