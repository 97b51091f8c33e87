// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Makes an adaptable backbone of any feature extractor: a frozen random layer on top of its
/// features, a LoRA site on that layer, and a head a task.
///
///   z = x P + c (x A^T) B^T      P (D x H) frozen, N(0, 1);  A, B of the adapter at site "lift"
///   h = g act(z)                 g: |h| is `gain` times |x| in the mean
///   answer = mean of log softmax over the heads: "trained" reads h by gradient descent,
///            "closed_form" is ridge regression on [h / gain without A and B, x]
///
/// The head sees only h, so the low-rank change of the frozen layer is the way to adapt it. Where
/// all targets are of one class there is nothing to tell apart and nothing to train: the adapter
/// has no module and constant heads (train/constant_head.hpp).

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "anyssr/core/rows.hpp"
#include "anyssr/learner/lift_objective.hpp"
#include "anyssr/linalg/product.hpp"
#include "anyssr/lora/adaptable_backbone.hpp"
#include "anyssr/lora/optional_members.hpp"
#include "anyssr/subspace/dense_expansion.hpp"
#include "anyssr/train/constant_head.hpp"
#include "anyssr/train/objective.hpp"
#include "anyssr/train/ridge_head.hpp"

namespace anyssr::inline ANYSSR_ABI {

struct LiftOptions {
  Index dim = 1024;                          ///< H, width of the frozen layer, at least 1
  Activation activation = Activation::relu;  ///< act
  double gain = 3;  ///< length of h over that of x, > 0: how fast the head learns against A and B
  double label_smoothing = 0.1;    ///< 0..1 (exclusive), classification only
  bool closed_form_head = true;    ///< classification only
  double closed_form_ridge = 0.3;  ///< lambda of the closed-form head, absolute, > 0
  std::uint64_t seed = 0;          ///< of P
};

/// What the shared part computed: the features, one row a query, and x P.
template <class Features>
struct LiftedTrunk {
  Features features;                                    ///< n x D
  RowMajorMatrix<typename Features::Scalar> projected;  ///< n x H
  /// x U, n x k, where the rows were selected to train an adapter that is confined to U; else empty
  RowMajorMatrix<typename Features::Scalar> inside = {};
};

template <Backbone B, LiftObjective Objective = Classification>
class LiftedBackbone {
  static constexpr bool is_classifier = std::same_as<Objective, Classification>;

 public:
  using Scalar = typename B::Scalar;
  using Input = typename B::Input;
  using Features = typename std::remove_cvref_t<decltype(std::declval<const B&>().features(
      std::span<const Input>{}))>::PlainObject;
  using Trunk = LiftedTrunk<Features>;
  using Target = LiftTarget<Objective, Scalar>;
  using Output = Vector<Scalar>;  ///< log probabilities or values; empty without an adapter
  struct PredictOptions {};
  using Prepared = RowMajorMatrix<Scalar>;  ///< n x k, see prepare

  static constexpr std::string_view site_name = "lift";
  static constexpr std::string_view trained_head = "trained";
  static constexpr std::string_view closed_form_head = "closed_form";

  /// @throws ArgumentError  for an option out of range
  explicit LiftedBackbone(B backbone, const LiftOptions& options = {})
      : backbone_(std::move(backbone)),
        options_(options),
        lift_(static_cast<Index>(backbone_.feature_dim()),
              ExpansionOptions{.kind = ExpansionKind::dense,
                               .dim = options.dim,
                               .activation = options.activation,
                               .seed = options.seed}) {
    detail::expect(detail::is_finite(options.label_smoothing) && options.label_smoothing >= 0 &&
                       options.label_smoothing < 1,
                   "label_smoothing is ", options.label_smoothing,
                   ", expected 0 or more and below 1");
    detail::expect_positive("closed_form_ridge", options.closed_form_ridge);
    detail::expect_positive("gain", options.gain);
  }

  [[nodiscard]] const B& base() const noexcept { return backbone_; }
  [[nodiscard]] const LiftOptions& options() const noexcept { return options_; }
  [[nodiscard]] Index feature_dim() const { return static_cast<Index>(backbone_.feature_dim()); }

  [[nodiscard]] Features features(std::span<const Input> inputs) const {
    return checked(backbone_.features(inputs), static_cast<Index>(inputs.size()));
  }

  [[nodiscard]] std::string fingerprint() const {
    const std::string base = fingerprint_of(backbone_).value_or("unnamed");
    return detail::concat(base, "|lift-1:", options_.dim, ":", to_string(options_.activation), ":",
                          options_.gain, ":", options_.seed);
  }

  /// As the backbone gives it: an Input or a std::optional of one.
  [[nodiscard]] auto probe_input() const requires ProbedBackbone<B> {
    return backbone_.probe_input();
  }

  /// As the backbone gives them: a std::vector<FeaturePart> or a std::optional of one.
  [[nodiscard]] auto feature_parts(const Input& input) const requires NamesFeatures<B> {
    return backbone_.feature_parts(input);
  }

  [[nodiscard]] std::vector<Site> sites() const {
    return {{std::string(site_name), feature_dim(), options_.dim}};
  }

  /// Modules at their start and a zero head as wide as the targets ask; for targets of one class no
  /// module and a constant head, which no training changes.
  /// @throws ArgumentError  where the targets have a class below 0, or one of 1000 (n + 1) or above
  ///                        in n rows, or of 1000000 or above
  /// @throws ShapeError     where target vectors differ in size
  [[nodiscard]] Adapter<Scalar> make_adapter(std::span<const Target> targets,
                                             const AdapterOptions& options,
                                             std::uint64_t seed) const;

  [[nodiscard]] Trunk trunk(std::span<const Input> inputs) const;

  [[nodiscard]] Index rows(const Trunk& trunk) const noexcept { return trunk.features.rows(); }
  [[nodiscard]] const Features& features(const Trunk& trunk) const noexcept {
    return trunk.features;
  }

  [[nodiscard]] Trunk select(const Trunk& trunk, std::span<const Index> rows) const {
    return {select_rows(trunk.features, rows), select_rows(trunk.projected, rows)};
  }

  /// x U of the basis U that an adapter is confined to, which training leaves as it is: computed
  /// once and not in every step. Empty where it is confined to none.
  [[nodiscard]] Prepared prepare(const Trunk& trunk, const Adapter<Scalar>& adapter) const {
    const auto module = adapter.modules.find(std::string(site_name));
    if (module == adapter.modules.end() || !module->second.is_confined()) return {};
    return detail::product_of<Prepared>(trunk.features, module->second.basis());
  }
  /// The named rows, for training the adapter of `prepare` and no other.
  [[nodiscard]] Trunk select(const Trunk& trunk, std::span<const Index> rows,
                             const Prepared& prepared) const {
    Trunk selected = select(trunk, rows);
    if (prepared.size() > 0) selected.inside = select_rows(prepared, rows);
    return selected;
  }

  /// One output a row. In a mix the modules' changes add up; the heads are those of the heaviest
  /// adapter.
  /// @throws ShapeError, ArgumentError
  [[nodiscard]] std::vector<Output> forward(const Trunk& trunk,
                                            std::span<const AdapterMix<Scalar>> mixes,
                                            const PredictOptions& options = {}) const;

  /// Mean loss over the rows; the gradient of the LoRA factors and of the trained head.
  [[nodiscard]] double loss_and_gradient(const Trunk& trunk, std::span<const Target> targets,
                                         const Adapter<Scalar>& adapter,
                                         AdapterGradient<Scalar>& gradient) const;

  /// Fills the closed-form head (classification, where the option asks for it).
  void fit_closed_form(const Trunk& trunk, std::span<const Target> targets,
                       Adapter<Scalar>& adapter) const requires is_classifier {
    if (!options_.closed_form_head) return;
    adapter.heads[std::string(closed_form_head)] =
        is_of_one_class(targets)
            ? constant(options_.dim + feature_dim(), targets)
            : fit_ridge_head(frozen_layer(trunk), trunk.features, targets,
                             detail::target_width(targets),
                             {.ridge = options_.closed_form_ridge, .is_relative = false});
  }

  [[nodiscard]] Index label_of(const Target& target) const noexcept requires is_classifier {
    return target;
  }

  /// Classification: the best class is the target. Regression: every value is within 0.1 of it.
  [[nodiscard]] bool is_correct(const Output& output, const Target& target) const {
    return detail::answers(output, target);
  }

  template <class Visitor>
  void visit_site_inputs(const Trunk& trunk, const Adapter<Scalar>& /*adapter*/,
                         Visitor&& visitor) const {
    visitor(site_name, trunk.features);
  }

  /// Refuses an adapter whose heads this backbone cannot read.
  /// @throws ArgumentError  no head, or one of another name;  ShapeError  one of another width
  void check_adapter(const Adapter<Scalar>& adapter) const {
    detail::expect(!adapter.heads.empty(), "the adapter has no head, expected '", trained_head,
                   "' or '", closed_form_head, "'");
    const Index outputs = adapter.heads.begin()->second.out_dim();
    for (const auto& [name, head] : adapter.heads) {
      const bool is_closed_form = is_classifier && name == closed_form_head;
      detail::expect(is_closed_form || name == trained_head, "the adapter has a head '", name,
                     "', expected '", trained_head, "' or '", closed_form_head, "'");
      const Index width = is_closed_form ? options_.dim + feature_dim() : options_.dim;
      detail::expect<ShapeError>(
          head.in_dim() == width && head.out_dim() == outputs && head.bias.size() == outputs,
          "head '", name, "' is ", head.in_dim(), " x ", head.out_dim(), " with ", head.bias.size(),
          " biases, expected ", width, " x ", outputs, " with ", outputs);
    }
  }

  /// Refuses targets that an adapter at hand cannot answer.
  /// @throws ArgumentError  a class, or a width, that the head does not have
  void check_targets(std::span<const Target> targets, const Adapter<Scalar>& adapter) const {
    for (const auto& [name, head] : adapter.heads) {
      for (const Target& target : targets) {
        detail::expect_answerable(target, head.out_dim());
      }
    }
  }

 private:
  template <class X>
  [[nodiscard]] Features checked(X&& features, Index count) const {
    detail::expect_shape("features of the backbone", features, count, feature_dim());
    Features result = std::forward<X>(features);
    detail::expect_finite("features of the backbone", result);
    return result;
  }

  [[nodiscard]] static Head<Scalar> constant(Index width, std::span<const Index> targets) {
    return constant_head<Scalar>(width, detail::target_width(targets), targets.front(),
                                 static_cast<Index>(targets.size()));
  }

  [[nodiscard]] static const Head<Scalar>& trained(const Adapter<Scalar>& adapter) {
    const auto found = adapter.heads.find(std::string(trained_head));
    detail::expect(found != adapter.heads.end(), "the adapter has no head '", trained_head,
                   "', expected the one of make_adapter");
    return found->second;
  }

  /// z = x P + sum of the mix's changes.
  [[nodiscard]] RowMajorMatrix<Scalar> pre_activation(const Trunk& trunk,
                                                      const AdapterMix<Scalar>& mix) const {
    RowMajorMatrix<Scalar> z = trunk.projected;
    for (const auto& entry : mix.entries()) {
      const auto module = entry.adapter->modules.find(std::string(site_name));
      if (module == entry.adapter->modules.end()) continue;
      if (trunk.inside.size() > 0) {
        module->second.add_forward_inside(trunk.inside, z, entry.weight);
      } else {
        module->second.add_forward(trunk.features, z, entry.weight);
      }
    }
    return z;
  }

  /// g, which makes |g act(x P)| = gain |x| in the mean.
  [[nodiscard]] Scalar scale() const {
    return static_cast<Scalar>(options_.gain * activation_scale(options_.activation, options_.dim));
  }

  /// h = g act(z).
  [[nodiscard]] RowMajorMatrix<Scalar> layer(RowMajorMatrix<Scalar> z) const {
    activate_in_place(options_.activation, z);
    z *= scale();
    return z;
  }

  /// h / gain without an adapter: as long as x, so that one ridge suits both blocks of [h / gain,
  /// x].
  [[nodiscard]] RowMajorMatrix<Scalar> frozen_layer(const Trunk& trunk) const {
    return layer(trunk.projected) / static_cast<Scalar>(options_.gain);
  }

  [[nodiscard]] RowMajorMatrix<Scalar> answer(const Trunk& trunk,
                                              const AdapterMix<Scalar>& mix) const;

  B backbone_;
  LiftOptions options_;
  DenseExpansion<Scalar> lift_;  // gives P; its scale and bias are not used
};

template <Backbone B, LiftObjective Objective>
Adapter<typename B::Scalar> LiftedBackbone<B, Objective>::make_adapter(
    std::span<const Target> targets, const AdapterOptions& options, std::uint64_t seed) const {
  const Index outputs = detail::target_width(targets);
  Adapter<Scalar> adapter;
  if constexpr (is_classifier) {
    if (is_of_one_class(targets)) {
      adapter.heads[std::string(trained_head)] = constant(options_.dim, targets);
      return adapter;
    }
  }
  adapter.modules = make_modules<Scalar>(sites(), options, seed);
  adapter.heads[std::string(trained_head)] = {
      .weights = Matrix<Scalar>::Zero(options_.dim, outputs),
      .bias = RowVector<Scalar>::Zero(outputs)};
  return adapter;
}

template <Backbone B, LiftObjective Objective>
typename LiftedBackbone<B, Objective>::Trunk LiftedBackbone<B, Objective>::trunk(
    std::span<const Input> inputs) const {
  Trunk result{features(inputs), {}};
  detail::set_product(result.projected, result.features, lift_.projection());
  return result;
}

template <Backbone B, LiftObjective Objective>
std::vector<Vector<typename B::Scalar>> LiftedBackbone<B, Objective>::forward(
    const Trunk& trunk, std::span<const AdapterMix<Scalar>> mixes,
    const PredictOptions& /*options*/) const {
  detail::expect_count("mixes", mixes.size(), rows(trunk));
  std::vector<Output> outputs(mixes.size());
  std::map<std::vector<std::pair<const Adapter<Scalar>*, double>>, std::vector<Index>> groups;
  for (std::size_t i = 0; i < mixes.size(); ++i) {
    std::vector<std::pair<const Adapter<Scalar>*, double>> key;
    for (const auto& entry : mixes[i].entries()) key.emplace_back(entry.adapter, entry.weight);
    if (!key.empty()) groups[key].push_back(static_cast<Index>(i));
  }
  for (const auto& [key, rows] : groups) {
    const AdapterMix<Scalar>& mix = mixes[static_cast<std::size_t>(rows.front())];
    const bool all = static_cast<Index>(rows.size()) == this->rows(trunk);
    const RowMajorMatrix<Scalar> answers =
        all ? answer(trunk, mix) : answer(select(trunk, rows), mix);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      outputs[static_cast<std::size_t>(rows[i])] = answers.row(static_cast<Index>(i)).transpose();
    }
  }
  return outputs;
}

template <Backbone B, LiftObjective Objective>
double LiftedBackbone<B, Objective>::loss_and_gradient(const Trunk& trunk,
                                                       std::span<const Target> targets,
                                                       const Adapter<Scalar>& adapter,
                                                       AdapterGradient<Scalar>& gradient) const {
  gradient.set_zero();
  const Head<Scalar>& head = trained(adapter);
  const RowMajorMatrix<Scalar> z = pre_activation(trunk, AdapterMix<Scalar>(adapter));
  const RowMajorMatrix<Scalar> h = layer(z);
  const RowMajorMatrix<Scalar> scores = head.logits(h);
  RowMajorMatrix<Scalar> d_scores(scores.rows(), scores.cols());
  const double loss = detail::target_loss(scores, targets, options_.label_smoothing, d_scores);
  const auto d_head = gradient.heads.find(std::string(trained_head));
  if (d_head != gradient.heads.end()) {  // a constant head has no gradient
    detail::set_product(d_head->second.weights, h.transpose(), d_scores);
    d_head->second.bias = d_scores.colwise().sum();
  }
  const auto module = adapter.modules.find(std::string(site_name));
  if (module == adapter.modules.end()) return loss;
  auto d_z = detail::product_of<RowMajorMatrix<Scalar>>(d_scores, head.weights.transpose());
  d_z *= scale();
  for (Index i = 0; i < d_z.size(); ++i) {
    d_z.data()[i] *= activation_derivative(options_.activation, z.data()[i]);
  }
  LoraGradient<Scalar>& slope = gradient.modules.at(std::string(site_name));
  if (trunk.inside.size() > 0) {
    module->second.backward_inside(trunk.inside, d_z, slope);
  } else {
    module->second.backward(trunk.features, d_z, slope);
  }
  return loss;
}

template <Backbone B, LiftObjective Objective>
RowMajorMatrix<typename B::Scalar> LiftedBackbone<B, Objective>::answer(
    const Trunk& trunk, const AdapterMix<Scalar>& mix) const {
  const Adapter<Scalar>* heaviest = mix.entries().front().adapter;
  double weight = mix.entries().front().weight;
  for (const auto& entry : mix.entries()) {
    if (entry.weight > weight) {
      heaviest = entry.adapter;
      weight = entry.weight;
    }
  }
  RowMajorMatrix<Scalar> total;
  for (const auto& [name, head] : heaviest->heads) {
    const bool on_base = name == closed_form_head;
    RowMajorMatrix<Scalar> scores = on_base ? head.logits(frozen_layer(trunk), trunk.features)
                                            : head.logits(layer(pre_activation(trunk, mix)));
    if constexpr (is_classifier) scores = log_softmax(scores);
    detail::expect<ShapeError>(total.size() == 0 || scores.cols() == total.cols(), "head '", name,
                               "' has ", scores.cols(), " outputs, expected ", total.cols(),
                               " as the other head");
    total = total.size() == 0 ? scores : RowMajorMatrix<Scalar>(total + scores);
  }
  detail::expect(total.size() > 0 || trunk.features.rows() == 0,
                 "the adapter has no head, expected one");
  total /= static_cast<Scalar>(heaviest->heads.size());
  return total;
}

}  // namespace anyssr::inline ANYSSR_ABI
