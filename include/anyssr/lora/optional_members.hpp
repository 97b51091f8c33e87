// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// What a backbone may have besides what it must have. The library asks for each member by its
/// concept and does without where it is missing.
///
///   any backbone
///     fingerprint()                   FingerprintedBackbone  a saved state is never used under
///                                                            another model
///     probe_input()                   ProbedBackbone         nor under one that computes otherwise
///     feature_parts(input)            NamesFeatures          explanations in words
///     Each may return a std::optional, for a backbone that knows only at run time what it has
///     (backbone/any_backbone.hpp). An empty one counts as a missing member.
///   one that adapters attach to
///     training_trunk(inputs, targets) HasTrainingTrunk       reads the answers when it trains
///     prepare(trunk, adapter)         PreparesTraining       computes once what all steps read
///     label_of(target)                HasLabels              targets are classes
///     fit_closed_form(trunk, targets, adapter)
///                                     HasClosedForm          fills heads without a gradient
///     score(output, target)           HasScore               answers more or less right
///     work(trunk)                     HasWork                progress in a unit that users know
///     loss_weight(trunk, targets)     HasLossWeight          what its mean loss is a mean over
///     check_targets(targets, adapter) ChecksTargets          refuses targets
///     check_adapter(adapter)          ChecksAdapter          refuses adapters

#include <concepts>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "anyssr/lora/adaptable_backbone.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// A backbone that names itself, so that a saved state is never used under another model.
template <class B>
concept FingerprintedBackbone = requires(const B& backbone) {
  { backbone.fingerprint() } -> std::convertible_to<std::optional<std::string>>;
};

/// A backbone with an input of its own, of which a saved state keeps the features: a backbone that
/// computes something else is then found out.
template <class B>
concept ProbedBackbone = requires(const B& backbone) {
  { backbone.probe_input() } -> std::convertible_to<std::optional<typename B::Input>>;
};

/// A backbone that can say what the features of an input consist of; the parts of a feature add up
/// to it.
template <class B>
concept NamesFeatures = requires(const B& backbone, const typename B::Input& input) {
  { backbone.feature_parts(input) } -> std::convertible_to<std::optional<std::vector<FeaturePart>>>;
};

/// A backbone that reads the answers too when it trains (a language model).
template <class B>
concept HasTrainingTrunk = AdaptableBackbone<B> &&
    requires(const B& backbone, std::span<const typename B::Input> inputs,
             std::span<const typename B::Target> targets) {
  { backbone.training_trunk(inputs, targets) } -> std::same_as<typename B::Trunk>;
};

/// A backbone that computes once, for one adapter, what every step of its training reads, as far as
/// training leaves it as it is: select(trunk, rows, prepared) then stands for select(trunk, rows).
template <class B>
concept PreparesTraining = AdaptableBackbone<B> &&
    requires(const B& backbone, const typename B::Trunk& trunk,
             const Adapter<typename B::Scalar>& adapter, std::span<const Index> rows,
             const typename B::Prepared& prepared) {
  { backbone.prepare(trunk, adapter) } -> std::same_as<typename B::Prepared>;
  { backbone.select(trunk, rows, prepared) } -> std::same_as<typename B::Trunk>;
};

/// A backbone whose targets are classes.
template <class B>
concept HasLabels = AdaptableBackbone<B> &&
    requires(const B& backbone, const typename B::Target& target) {
  { backbone.label_of(target) } -> std::convertible_to<Index>;
};

/// A backbone that can fill heads (trained = false) without a gradient.
template <class B>
concept HasClosedForm = AdaptableBackbone<B> &&
    requires(const B& backbone, const typename B::Trunk& trunk,
             std::span<const typename B::Target> targets, Adapter<typename B::Scalar>& adapter) {
  backbone.fit_closed_form(trunk, targets, adapter);
};

/// A backbone whose answers are more or less right: score(output, target) is 0 (wrong) to 1
/// (right), say ROUGE-L of a summary. is_correct stays the yes or no of it.
template <class B>
concept HasScore = AdaptableBackbone<B> &&
    requires(const B& backbone, const typename B::Output& output,
             const typename B::Target& target) {
  { backbone.score(output, target) } -> std::convertible_to<double>;
};

/// A backbone that can tell how much there is to compute in a trunk, in a unit that users know: a
/// language model counts the tokens of all rows. Progress reports it a second.
template <class B>
concept HasWork = AdaptableBackbone<B> &&
    requires(const B& backbone, const typename B::Trunk& trunk) {
  { backbone.work(trunk) } -> std::convertible_to<Index>;
};

/// A backbone whose loss is not a mean over rows: loss_weight(trunk, targets) is what its mean is
/// over (a language model: the answer tokens). With it mini-batches add up to what one batch of all
/// their rows would give.
template <class B>
concept HasLossWeight = AdaptableBackbone<B> &&
    requires(const B& backbone, const typename B::Trunk& trunk,
             std::span<const typename B::Target> targets) {
  { backbone.loss_weight(trunk, targets) } -> std::convertible_to<double>;
};

/// A backbone that can refuse targets that an adapter cannot answer: check_targets throws.
template <class B>
concept ChecksTargets = AdaptableBackbone<B> &&
    requires(const B& backbone, std::span<const typename B::Target> targets,
             const Adapter<typename B::Scalar>& adapter) {
  backbone.check_targets(targets, adapter);
};

/// A backbone that can refuse an adapter whose heads it cannot read: check_adapter throws.
template <class B>
concept ChecksAdapter = AdaptableBackbone<B> &&
    requires(const B& backbone, const Adapter<typename B::Scalar>& adapter) {
  backbone.check_adapter(adapter);
};

namespace detail {

struct NothingPrepared {};
template <class B>
struct PreparedOf {
  using type = NothingPrepared;
};
template <PreparesTraining B>
struct PreparedOf<B> {
  using type = typename B::Prepared;
};

}  // namespace detail

/// The name of a backbone; empty if it has none.
template <class B>
[[nodiscard]] std::optional<std::string> fingerprint_of(const B& backbone) {
  if constexpr (FingerprintedBackbone<B>) {
    return backbone.fingerprint();
  } else {
    return std::nullopt;
  }
}

/// The input whose features tell a backbone from another one; empty if it offers none.
template <class B>
[[nodiscard]] std::optional<typename B::Input> probe_input_of(const B& backbone) {
  if constexpr (ProbedBackbone<B>) {
    return backbone.probe_input();
  } else {
    return std::nullopt;
  }
}

/// What the features of an input consist of; empty if the backbone cannot say.
template <class B>
[[nodiscard]] std::optional<std::vector<FeaturePart>> feature_parts_of(
    const B& backbone, const typename B::Input& input) {
  if constexpr (NamesFeatures<B>) {
    return backbone.feature_parts(input);
  } else {
    return std::nullopt;
  }
}

/// How right an answer is, 0 to 1: the backbone's score where it has one, else 1 where is_correct.
/// @throws ArgumentError  the backbone's score is outside 0..1 or NaN
template <AdaptableBackbone B>
[[nodiscard]] double score_of(const B& backbone, const typename B::Output& output,
                              const typename B::Target& target) {
  if constexpr (HasScore<B>) {
    const double score = backbone.score(output, target);
    detail::expect(detail::is_within(score, 0.0, 1.0), "score of an answer is ", score,
                   ", expected 0 to 1 from the backbone");
    return score;
  } else {
    return backbone.is_correct(output, target) ? 1 : 0;
  }
}

/// The trunk to train on: training_trunk where the backbone has one, else trunk(inputs).
/// @throws ShapeError  another number of targets than of inputs
template <AdaptableBackbone B>
[[nodiscard]] typename B::Trunk make_training_trunk(const B& backbone,
                                                    std::span<const typename B::Input> inputs,
                                                    std::span<const typename B::Target> targets) {
  detail::expect_count("targets", targets.size(), static_cast<Index>(inputs.size()));
  if constexpr (HasTrainingTrunk<B>) {
    return backbone.training_trunk(inputs, targets);
  } else {
    return backbone.trunk(inputs);
  }
}

/// The class of every target.
template <HasLabels B>
[[nodiscard]] std::vector<Index> labels_of(const B& backbone,
                                           std::span<const typename B::Target> targets) {
  std::vector<Index> labels;
  labels.reserve(targets.size());
  for (const auto& target : targets) labels.push_back(backbone.label_of(target));
  return labels;
}

}  // namespace anyssr::inline ANYSSR_ABI
