// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Several backbones as one: their rows side by side, each scaled to a length of its own.
///
///   JoinedBackbone joined(JoinedPart(encoder, 0.7), JoinedPart(TextHashingBackbone<float>(), 0.3));
///
///   row = [sqrt(w_1) x_1 / |x_1|, sqrt(w_2) x_2 / |x_2|, ...],   w the parts' weights over their sum
///
/// An encoder knows what words mean and hashed words know which ones stand there: together they
/// route better than either (guide, chapter 12).

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "anyssr/core/concepts.hpp"
#include "anyssr/core/error.hpp"
#include "anyssr/lora/optional_members.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// A backbone and its share of the squared length of a row.
template <Backbone B>
struct JoinedPart {
  explicit JoinedPart(B part, double part_weight = 1)
      : backbone(std::move(part)), weight(part_weight) {}

  B backbone;
  double weight;  ///< finite, above 0
};

namespace detail {

/// Adds the rows of one part to the rows of all. A row of zeros stays zeros: a text may have nothing
/// that a part knows.
template <RealScalar S>
class RowJoiner {
 public:
  RowJoiner(Index rows, Index cols) : rows_(RowMajorMatrix<S>::Zero(rows, cols)) {}

  template <FeatureMatrix<S> X>
  void add(const X& part, Index begin, double share) {
    for (Index i = 0; i < part.rows(); ++i) {
      const auto row = part.row(i);
      const auto length = static_cast<double>(row.norm());
      if (!(length > 0)) continue;
      rows_.row(i).segment(begin, part.cols()) = row * static_cast<S>(std::sqrt(share) / length);
    }
  }
  [[nodiscard]] RowMajorMatrix<S> take() { return std::move(rows_); }

 private:
  RowMajorMatrix<S> rows_;
};

/// The same for parts that are all sparse.
template <RealScalar S>
class SparseRowJoiner {
 public:
  SparseRowJoiner(Index rows, Index cols) : rows_(rows, cols), entries_() {}

  template <SparseFeatures X>
  void add(const X& part, Index begin, double share) {
    for (Index i = 0; i < part.rows(); ++i) {
      const auto length = static_cast<double>(part.row(i).norm());
      if (!(length > 0)) continue;
      const auto scale = static_cast<S>(std::sqrt(share) / length);
      for (typename X::InnerIterator entry(part, i); entry; ++entry) {
        entries_.emplace_back(i, begin + entry.col(), entry.value() * scale);
      }
    }
  }
  [[nodiscard]] SparseRows<S> take() {
    rows_.setFromTriplets(entries_.begin(), entries_.end());
    return std::move(rows_);
  }

 private:
  SparseRows<S> rows_;
  std::vector<Eigen::Triplet<S, Index>> entries_;
};

}  // namespace detail

/// Rows are sparse where those of all parts are, else dense. Calls from several threads are as safe
/// as those of the parts.
template <Backbone First, Backbone... Rest>
requires(std::same_as<typename First::Scalar, typename Rest::Scalar>&&...) &&
    (std::same_as<typename First::Input, typename Rest::Input> && ...) class JoinedBackbone {
  template <class B>
  using FeaturesOf = std::remove_cvref_t<decltype(std::declval<const B&>().features(
      std::span<const typename B::Input>{}))>;
  static constexpr bool is_sparse =
      SparseFeatures<FeaturesOf<First>> && (SparseFeatures<FeaturesOf<Rest>> && ...);

 public:
  using Scalar = typename First::Scalar;
  using Input = typename First::Input;
  using Features = std::conditional_t<is_sparse, SparseRows<Scalar>, RowMajorMatrix<Scalar>>;

  /// @throws ArgumentError  a weight that is not above 0
  explicit JoinedBackbone(JoinedPart<First> first, JoinedPart<Rest>... rest)
      : parts_(std::move(first), std::move(rest)...) {
    double sum = 0;
    for_each_part([&](const auto& part) {
      detail::expect_positive("weight of a part", part.weight);
      sum += part.weight;
      dim_ += static_cast<Index>(part.backbone.feature_dim());
    });
    sum_ = sum;
  }

  /// The sum of the parts'.
  [[nodiscard]] Index feature_dim() const noexcept { return dim_; }
  template <std::size_t i>
  [[nodiscard]] const auto& part() const noexcept {
    return std::get<i>(parts_).backbone;
  }

  /// n x feature_dim(), rows of length 1 where every part knows something of the input.
  /// @throws ShapeError  a part gives another shape;  what the parts throw
  [[nodiscard]] Features features(std::span<const Input> inputs) const {
    using Joiner =
        std::conditional_t<is_sparse, detail::SparseRowJoiner<Scalar>, detail::RowJoiner<Scalar>>;
    const auto count = static_cast<Index>(inputs.size());
    Joiner joiner(count, dim_);
    Index begin = 0;
    for_each_part([&](const auto& part) {
      const auto rows = part.backbone.features(inputs);
      const auto dim = static_cast<Index>(part.backbone.feature_dim());
      detail::expect_shape("features of a part", rows, count, dim);
      joiner.add(rows, begin, part.weight / sum_);
      begin += dim;
    });
    return joiner.take();
  }

  /// None where a part has none.
  [[nodiscard]] std::optional<std::string> fingerprint() const {
    std::string result = "joined-1";
    bool is_named = true;
    for_each_part([&](const auto& part) {
      const auto name = fingerprint_of(part.backbone);
      is_named = is_named && name.has_value();
      result += detail::concat("|", part.weight / sum_, " of ", name.value_or(""));
    });
    return is_named ? std::optional(result) : std::nullopt;
  }

  /// That of the first part that has one.
  [[nodiscard]] std::optional<Input> probe_input() const {
    std::optional<Input> result;
    for_each_part([&](const auto& part) {
      if (!result) result = probe_input_of(part.backbone);
    });
    return result;
  }

  /// Of the parts that name theirs; none where no part does.
  [[nodiscard]] std::optional<std::vector<FeaturePart>> feature_parts(const Input& input) const {
    std::optional<std::vector<FeaturePart>> result;
    Index begin = 0;
    for_each_part([&](const auto& part) {
      const auto parts = feature_parts_of(part.backbone, input);
      if (parts) {
        const auto rows = part.backbone.features(std::span<const Input>(&input, 1));
        const auto length = static_cast<double>(rows.norm());
        const double scale = length > 0 ? std::sqrt(part.weight / sum_) / length : 0;
        if (!result) result.emplace();
        for (const FeaturePart& named : *parts) {
          result->push_back({begin + named.feature, scale * named.value, named.name});
        }
      }
      begin += static_cast<Index>(part.backbone.feature_dim());
    });
    return result;
  }

 private:
  template <class F>
  void for_each_part(const F& f) const {
    std::apply([&](const auto&... part) { (f(part), ...); }, parts_);
  }

  std::tuple<JoinedPart<First>, JoinedPart<Rest>...> parts_;
  Index dim_ = 0;
  double sum_ = 1;  // of the weights
};

}  // namespace anyssr::inline ANYSSR_ABI
