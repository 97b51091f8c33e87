// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// What an engine of somebody's own looks like: dense features of texts, in three forms.

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "anyssr/backbone/any_backbone.hpp"
#include "anyssr/backbone/text_hashing.hpp"

namespace anyssr::test {

inline constexpr Index text_dim = 64;

/// g++ 12 warns of a temporary in the initializer of a member.
inline constexpr TextHashingOptions text_options{.dim = text_dim};

/// Hashed text as dense rows. `factor` stands for other weights under the same name.
template <class S>
class DenseTexts {
 public:
  using Scalar = S;
  using Input = std::string;

  explicit DenseTexts(std::string name = "dense texts", S factor = 1)
      : name_(std::move(name)), factor_(factor) {}

  [[nodiscard]] Index feature_dim() const { return text_dim; }
  [[nodiscard]] RowMajorMatrix<S> features(std::span<const Input> texts) const {
    return RowMajorMatrix<S>(texts_.features(texts)) * factor_;
  }
  [[nodiscard]] const std::string& fingerprint() const { return name_; }
  [[nodiscard]] std::string probe_input() const { return texts_.probe_input(); }
  [[nodiscard]] std::vector<FeaturePart> feature_parts(const Input& text) const {
    return texts_.feature_parts(text);
  }

 private:
  TextHashingBackbone<S> texts_{text_options};
  std::string name_;
  S factor_;
};

/// The same without a name, a probe or words; in columns, since no learner needs rows.
template <class S>
struct BareTexts {
  using Scalar = S;
  using Input = std::string;
  [[nodiscard]] int feature_dim() const { return text_dim; }
  [[nodiscard]] Matrix<S> features(std::span<const Input> texts) const {
    return DenseTexts<S>().features(texts);
  }
};

/// The same as a function.
template <class S>
AnyBackbone<S> text_function() {
  return AnyBackbone<S>(text_dim, [engine = DenseTexts<S>()](std::span<const std::string> texts) {
    return engine.features(texts);
  });
}

inline std::vector<std::string> text_queries() {
  return {"is my parcel paid", "pay for the soup", "where is the menu", "a balance of two", "?"};
}

}  // namespace anyssr::test
