// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// One adapter out of two, by a chosen rule:
///
///   sum         dW = c_1 B_1 A_1 + c_2 B_2 A_2, then the best approximation of the rank asked for;
///               the error is exact
///   data_aware  dW nearest to both changes on the inputs that each task sees (RegMean, arXiv
///               2212.09849), then the best approximation of that rank on these inputs
///
/// A module that is alone at its site stays as it is. Heads of classifiers stand side by side, so
/// that the labels of the second task follow those of the first; other heads are averaged. Heads
/// that were fitted apart never saw each other's queries: measure what the merge answers before it
/// is committed, and bring a retrained adapter (replace_adapter) where that is too little.

#include <algorithm>
#include <array>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "anyssr/core/enum_names.hpp"
#include "anyssr/lora/adaptable_backbone.hpp"
#include "anyssr/lora/adapter_algebra.hpp"
#include "anyssr/lora/data_aware_merge.hpp"
#include "anyssr/lora/optional_members.hpp"

namespace anyssr::inline ANYSSR_ABI {

enum class MergeRule : std::uint8_t { sum, data_aware };

namespace detail {
template <>
inline constexpr MergeRule last_enumerator<MergeRule> = MergeRule::data_aware;
}  // namespace detail

/// @throws ArgumentError  for a value that is no enumerator
[[nodiscard]] constexpr std::string_view to_string(MergeRule rule) {
  switch (rule) {
    case MergeRule::sum:
      return "sum";
    case MergeRule::data_aware:
      return "data_aware";
  }
  detail::raise_no_enumerator("rule", rule);
}

template <class Input>
struct MergeOptions {
  MergeRule rule = MergeRule::sum;
  Index rank = 0;                            ///< of the merged modules; 0: the larger of both
  std::span<const Input> first_inputs = {};  ///< queries of each task, for data_aware
  std::span<const Input> second_inputs = {};
  double ridge = 1e-6;  ///< of data_aware, above 0, relative to the mean second moment
};

/// What a merge cost. The errors are of the modules; what they do to answers is to be measured.
struct MergeReport {
  std::map<std::string, double> relative_error = {};  ///< by site, of the rule's own measure
  /// By site, of data_aware: share of the inputs' energy that this measure sees, of the task where
  /// it is less. 1 but for inputs wider than 1024 of which there are more rows than that.
  std::map<std::string, double> energy_kept = {};
  std::size_t bytes_before = 0;
  std::size_t bytes_after = 0;
};

namespace detail {

template <RealScalar S>
[[nodiscard]] Head<S> side_by_side(const Head<S>& a, const Head<S>& b, const std::string& name) {
  expect<ShapeError>(a.in_dim() == b.in_dim(), "the heads '", name, "' read ", a.in_dim(), " and ",
                     b.in_dim(), " numbers, expected the same");
  Head<S> both{.weights = Matrix<S>(a.in_dim(), a.out_dim() + b.out_dim()),
               .bias = RowVector<S>(a.out_dim() + b.out_dim()),
               .temperature = 1,
               .trained = a.trained && b.trained};
  both.weights << a.weights * static_cast<S>(a.temperature),
      b.weights * static_cast<S>(b.temperature);
  both.bias << a.bias * static_cast<S>(a.temperature), b.bias * static_cast<S>(b.temperature);
  return both;
}

/// Heads of both: side by side where they are of classes, else averaged.
template <RealScalar S>
[[nodiscard]] std::map<std::string, Head<S>> merged_heads(const Adapter<S>& a, const Adapter<S>& b,
                                                          bool of_classes) {
  if (!of_classes) {
    const Adapter<S> heads_of_a{.heads = a.heads};
    const Adapter<S> heads_of_b{.heads = b.heads};
    if (a.heads.empty() && b.heads.empty()) return {};
    const std::array entries{typename AdapterMix<S>::Entry{&heads_of_a, 0.5},
                             typename AdapterMix<S>::Entry{&heads_of_b, 0.5}};
    return merge_adapters<S>(entries).heads;
  }
  std::map<std::string, Head<S>> heads;
  for (const auto& [name, head] : a.heads) {
    const auto other = b.heads.find(name);
    if (other != b.heads.end()) heads.emplace(name, side_by_side(head, other->second, name));
  }
  expect(heads.size() == a.heads.size() && heads.size() == b.heads.size(),
         "the adapters to merge have ", a.heads.size(), " and ", b.heads.size(),
         " heads and share ", heads.size(), " names, expected the same names in both");
  return heads;
}

template <RealScalar S>
[[nodiscard]] Index larger_rank(const Adapter<S>& a, const Adapter<S>& b, const std::string& site) {
  Index rank = 1;
  for (const Adapter<S>* adapter : {&a, &b}) {
    const auto module = adapter->modules.find(site);
    if (module != adapter->modules.end()) rank = std::max(rank, module->second.rank());
  }
  return rank;
}

/// The changes of both at every site, added up and brought back to `rank`.
template <RealScalar S>
[[nodiscard]] std::map<std::string, LoraModule<S>> summed_modules(const Adapter<S>& a,
                                                                  const Adapter<S>& b, Index rank,
                                                                  MergeReport& report) {
  Adapter<S> modules_of_a{.modules = a.modules};
  Adapter<S> modules_of_b{.modules = b.modules};
  const std::array entries{typename AdapterMix<S>::Entry{&modules_of_a, 1},
                           typename AdapterMix<S>::Entry{&modules_of_b, 1}};
  std::map<std::string, LoraModule<S>> modules;
  for (const auto& [site, module] : merge_adapters<S>(entries).modules) {
    CompressedModule<S> small = compress(module, rank > 0 ? rank : larger_rank(a, b, site));
    report.relative_error[site] = small.relative_error;
    modules.emplace(site, std::move(small.module));
  }
  return modules;
}

/// Rows that entered a site: queries, or their tokens.
template <RealScalar S>
[[nodiscard]] double most_rows(const SiteMoments<S>& moments) {
  Index rows = 1;
  for (const auto& [site, moment] : moments) rows = std::max(rows, moment.rows);
  return static_cast<double>(rows);
}

/// The changes nearest to both on the queries of each task, every task counting the same.
template <AdaptableBackbone B>
[[nodiscard]] std::map<std::string, LoraModule<typename B::Scalar>> data_aware_modules(
    const B& backbone, const Adapter<typename B::Scalar>& a, const Adapter<typename B::Scalar>& b,
    const MergeOptions<typename B::Input>& options, MergeReport& report) {
  using S = typename B::Scalar;
  expect(!options.first_inputs.empty() && !options.second_inputs.empty(), "inputs to merge by are ",
         options.first_inputs.size(), " and ", options.second_inputs.size(),
         ", expected queries of both tasks");
  const Adapter<S> modules_of_a{.modules = a.modules};
  const Adapter<S> modules_of_b{.modules = b.modules};
  // as many directions as a whole moment would have: all of them where there are no more rows
  const MomentOptions moments{.whole_limit = 1024, .directions = 1024};
  const SiteMoments<S> seen_by_a =
      site_moments(backbone, backbone.trunk(options.first_inputs), modules_of_a, moments);
  const SiteMoments<S> seen_by_b =
      site_moments(backbone, backbone.trunk(options.second_inputs), modules_of_b, moments);
  for (const SiteMoments<S>* const seen : {&seen_by_a, &seen_by_b}) {
    for (const auto& [site, moment] : *seen) {
      const auto kept = report.energy_kept.try_emplace(site, 1.0).first;
      kept->second = std::min(kept->second, moment.energy_kept());
    }
  }
  const std::array entries{DataMergeEntry<S>{&modules_of_a, &seen_by_a, 1 / most_rows(seen_by_a)},
                           DataMergeEntry<S>{&modules_of_b, &seen_by_b, 1 / most_rows(seen_by_b)}};
  DataMergedAdapter<S> merged = merge_by_data<S>(std::span<const DataMergeEntry<S>>(entries),
                                                 {.rank = options.rank, .ridge = options.ridge});
  report.relative_error = std::move(merged.relative_error);
  return std::move(merged.adapter.modules);
}

}  // namespace detail

/// @throws ArgumentError, ShapeError  for adapters that cannot become one, or options out of range
template <AdaptableBackbone B>
[[nodiscard]] std::pair<Adapter<typename B::Scalar>, MergeReport> merged_adapter(
    const B& backbone, const Adapter<typename B::Scalar>& a, const Adapter<typename B::Scalar>& b,
    const MergeOptions<typename B::Input>& options) {
  using S = typename B::Scalar;
  detail::expect(options.rank >= 0, "rank is ", options.rank,
                 ", expected 0 (the larger of both) or more");
  MergeReport report{.bytes_before = a.bytes() + b.bytes()};
  Adapter<S> merged;
  merged.metadata = a.metadata;
  detail::keep_common(merged.metadata, b.metadata);
  if (options.rule == MergeRule::sum) {
    merged.modules = detail::summed_modules(a, b, options.rank, report);
  } else {
    merged.modules = detail::data_aware_modules(backbone, a, b, options, report);
  }
  merged.heads = detail::merged_heads(a, b, HasLabels<B>);
  report.bytes_after = merged.bytes();
  return {std::move(merged), std::move(report)};
}

}  // namespace anyssr::inline ANYSSR_ABI
