// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// What in a PEFT folder may be a mistake and harms no number: keys of adapter_config.json that do
/// not fit the sites of its tensors or the backbone, and an adapter that changes nothing.

#include <algorithm>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "anyssr/core/concepts.hpp"
#include "anyssr/core/error.hpp"
#include "anyssr/io/near_names.hpp"
#include "anyssr/io/peft_config.hpp"
#include "anyssr/io/peft_names.hpp"
#include "anyssr/lora/adapter.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

using Warnings = std::vector<std::string>;

/// The list of targets, each a site or its last parts, against the sites of the tensors.
inline void compare_targets(std::span<const std::string> targets,
                            std::span<const std::string> sites, Warnings& warnings) {
  const std::set<std::string_view> listed(targets.begin(), targets.end());
  std::set<std::string_view> unused = listed;
  std::vector<std::string> uncovered;
  for (const std::string& site : sites) {
    bool is_covered = false;
    for_each_tail(site, [&](std::string_view tail) {
      is_covered = is_covered || listed.contains(tail);
      unused.erase(tail);
    });
    if (!is_covered) uncovered.push_back(site);
  }
  if (!uncovered.empty()) {
    warnings.push_back("target_modules names none of the sites " + some_names(uncovered));
  }
  if (!unused.empty()) {
    const std::vector<std::string> names(unused.begin(), unused.end());
    warnings.push_back(
        concat("target_modules names ", some_names(names), ", which no tensor belongs to"));
  }
}

inline void compare_pattern(std::string_view pattern, std::span<const std::string> unused,
                            Warnings& warnings) {
  if (unused.empty()) return;
  warnings.push_back(concat(pattern, ": ", some_names(unused),
                            unused.size() == 1 ? " has" : " have",
                            " no effect: no site of the adapter matches, or an earlier key does "
                            "already"));
}

/// @param sites        of the tensors
/// @param is_on_model  whether the sites of the backbone are known, which are linear layers
/// @param base_model   that is expected; empty: any
[[nodiscard]] inline Warnings peft_warnings(const PeftConfig& config,
                                            std::span<const std::string> sites,
                                            const UnusedPatterns& unused, bool is_on_model,
                                            std::string_view base_model) {
  Warnings warnings;
  if (!base_model.empty() && !config.base_model.empty() && base_model != config.base_model) {
    warnings.push_back(concat("the base model is ", in_quotes(config.base_model), ", expected ",
                              in_quotes(base_model)));
  }
  if (config.target_modules) compare_targets(*config.target_modules, sites, warnings);
  compare_pattern("rank_pattern", unused.rank, warnings);
  compare_pattern("alpha_pattern", unused.alpha, warnings);
  if (config.fan_in_fan_out && is_on_model) {
    warnings.emplace_back(
        "fan_in_fan_out is true, which is for layers that are stored in x out (Conv1D of GPT-2); "
        "those of this model are out x in, and it is ignored");
  }
  return warnings;
}

/// The factor that is zero at every site, as B is before training, where no head changes answers:
/// then the adapter changes nothing. "" where there is none, and without sites.
template <RealScalar S>
[[nodiscard]] std::string_view zero_factor(const Adapter<S>& adapter) {
  const auto is_zero = [](const auto& matrix) {
    return std::all_of(matrix.data(), matrix.data() + matrix.size(), [](S x) { return x == S(0); });
  };
  if (adapter.modules.empty() || !adapter.heads.empty()) return "";
  const auto is_b_zero = [&](const auto& module) { return is_zero(module.second.b()); };
  const auto is_a_zero = [&](const auto& module) { return is_zero(module.second.a()); };
  if (std::ranges::all_of(adapter.modules, is_b_zero)) return "lora_B";
  return std::ranges::all_of(adapter.modules, is_a_zero) ? "lora_A" : "";
}

}  // namespace anyssr::inline ANYSSR_ABI::detail
