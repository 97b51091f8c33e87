// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// A backbone whose model is chosen at run time: any feature extractor, or a plain function, behind
/// one type. Programs with models of their own can share one compiled learner,
/// ContinualLearner<AnyBackbone<float>>.
///
///   AnyBackbone<float> backbone(MyEngine(path));
///   AnyBackbone<float> backbone(768, [engine](std::span<const std::string> texts) { ... });
///
/// Its learner predicts what the learner of the model itself predicts: the same bits if the model
/// gives a RowMajorMatrix, equal to round-off if not. Each loads what the other has saved.
/// Source: ours.

#include <concepts>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "anyssr/core/concepts.hpp"
#include "anyssr/core/error.hpp"
#include "anyssr/lora/optional_members.hpp"

namespace anyssr::inline ANYSSR_ABI {

namespace detail {

/// A backbone that Any, an AnyBackbone, can hold. Any itself is copied instead; that test stands
/// first, or it would ask whether Any is a backbone while it is being defined.
template <class B, class Any>
concept ErasableTo = !std::same_as<B, Any> && Backbone<B> &&
                     std::same_as<typename B::Scalar, typename Any::Scalar> &&
                     std::same_as<typename B::Input, typename Any::Input>;

}  // namespace detail

/// Copies share one model, which nothing changes. Calls from several threads are as safe as the
/// model's own. Of an AdaptableBackbone only the features are used: adapters attach to a layer on top
/// of them (LiftedBackbone), not to the layers of the model.
/// @tparam InputType  what the model reads, one per query
template <RealScalar S, class InputType = std::string>
class AnyBackbone {
 public:
  using Scalar = S;
  using Input = InputType;
  /// n inputs to n x D features.
  using Function = std::function<RowMajorMatrix<S>(std::span<const Input>)>;

  /// Holds any backbone of this scalar and this input.
  template <detail::ErasableTo<AnyBackbone> B>
  explicit AnyBackbone(B backbone)
      : model_(std::make_shared<const Holder<B>>(std::move(backbone))) {}

  /// Holds a function, for a program that has no class.
  /// @param feature_dim  D, at least 1
  /// @param features     is called from several threads at once if several threads predict
  /// @param fingerprint  names the model, in UTF-8: a saved state is never used under another name;
  ///                     empty if the model has no name
  /// @throws ArgumentError  D below 1, or no function
  AnyBackbone(Index feature_dim, Function features, std::string fingerprint = {})
      : AnyBackbone(FunctionBackbone(feature_dim, std::move(features), std::move(fingerprint))) {}

  // There is no move: a copy is as cheap, and no object is ever without a model.
  AnyBackbone(const AnyBackbone&) = default;
  AnyBackbone& operator=(const AnyBackbone&) = default;
  ~AnyBackbone() = default;

  [[nodiscard]] Index feature_dim() const { return model_->feature_dim(); }

  /// The model's features, n x feature_dim(). A RowMajorMatrix is not copied. Sparse features
  /// become dense: n feature_dim() numbers of memory, and products cost as much.
  /// @throws ShapeError  the model gives another shape;  what the model throws
  [[nodiscard]] RowMajorMatrix<S> features(std::span<const Input> inputs) const {
    RowMajorMatrix<S> result = model_->features(inputs);
    detail::expect_shape("features of the backbone", result, static_cast<Index>(inputs.size()),
                         feature_dim());
    return result;
  }

  // Optional members of the model; empty where it lacks them (lora/optional_members.hpp).

  [[nodiscard]] std::optional<std::string> fingerprint() const { return model_->fingerprint(); }
  [[nodiscard]] std::optional<Input> probe_input() const { return model_->probe_input(); }
  [[nodiscard]] std::optional<std::vector<FeaturePart>> feature_parts(const Input& input) const {
    return model_->feature_parts(input);
  }

 private:
  struct Model {
    Model() = default;
    Model(const Model&) = delete;
    Model& operator=(const Model&) = delete;
    virtual ~Model() = default;

    [[nodiscard]] virtual Index feature_dim() const = 0;
    [[nodiscard]] virtual RowMajorMatrix<S> features(std::span<const Input> inputs) const = 0;
    [[nodiscard]] virtual std::optional<std::string> fingerprint() const = 0;
    [[nodiscard]] virtual std::optional<Input> probe_input() const = 0;
    [[nodiscard]] virtual std::optional<std::vector<FeaturePart>> feature_parts(
        const Input& input) const = 0;
  };

  template <class B>
  class Holder final : public Model {
   public:
    explicit Holder(B backbone) : backbone_(std::move(backbone)) {}

    [[nodiscard]] Index feature_dim() const override {
      return static_cast<Index>(backbone_.feature_dim());
    }
    [[nodiscard]] RowMajorMatrix<S> features(std::span<const Input> inputs) const override {
      return RowMajorMatrix<S>(backbone_.features(inputs));
    }
    [[nodiscard]] std::optional<std::string> fingerprint() const override {
      return fingerprint_of(backbone_);
    }
    [[nodiscard]] std::optional<Input> probe_input() const override {
      return probe_input_of(backbone_);
    }
    [[nodiscard]] std::optional<std::vector<FeaturePart>> feature_parts(
        const Input& input) const override {
      return feature_parts_of(backbone_, input);
    }

   private:
    B backbone_;
  };

  class FunctionBackbone {
   public:
    using Scalar = S;
    using Input = InputType;

    FunctionBackbone(Index feature_dim, Function features, std::string fingerprint)
        : feature_dim_(feature_dim), features_(std::move(features)) {
      detail::expect(feature_dim_ >= 1, "feature_dim is ", feature_dim_, ", expected at least 1");
      detail::expect(features_ != nullptr, "features is an empty function, expected one to call");
      if (!fingerprint.empty()) fingerprint_ = std::move(fingerprint);
    }

    [[nodiscard]] Index feature_dim() const noexcept { return feature_dim_; }
    [[nodiscard]] RowMajorMatrix<S> features(std::span<const Input> inputs) const {
      return features_(inputs);
    }
    [[nodiscard]] const std::optional<std::string>& fingerprint() const noexcept {
      return fingerprint_;
    }

   private:
    Index feature_dim_;
    Function features_;
    std::optional<std::string> fingerprint_;
  };

  std::shared_ptr<const Model> model_;
};

template <Backbone B>
AnyBackbone(B) -> AnyBackbone<typename B::Scalar, typename B::Input>;

}  // namespace anyssr::inline ANYSSR_ABI
