// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The linear layers of a LLaMA-family model that LoRA modules attach to, under the names that
/// checkpoints and PEFT adapters give them: model.layers.3.self_attn.q_proj.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "anyssr/backbone/llama/llama_config.hpp"
#include "anyssr/backbone/llama/llama_weights.hpp"
#include "anyssr/core/enum_names.hpp"
#include "anyssr/lora/adaptable_backbone.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// In the order of detail::llama_linears.
enum class LlamaProjection : std::uint8_t { q, k, v, o, gate, up, down };

namespace detail {
template <>
inline constexpr LlamaProjection last_enumerator<LlamaProjection> = LlamaProjection::down;
}  // namespace detail

/// @throws ArgumentError  for a value that is no enumerator
[[nodiscard]] constexpr std::string_view to_string(LlamaProjection projection) {
  switch (projection) {
    case LlamaProjection::q:
      return "q";
    case LlamaProjection::k:
      return "k";
    case LlamaProjection::v:
      return "v";
    case LlamaProjection::o:
      return "o";
    case LlamaProjection::gate:
      return "gate";
    case LlamaProjection::up:
      return "up";
    case LlamaProjection::down:
      return "down";
  }
  detail::raise_no_enumerator("projection", projection);
}

namespace detail {

inline constexpr std::size_t projection_count = 7;

/// What LlamaLinear::name is in a site's name.
[[nodiscard]] inline std::string site_name(Index layer, std::string_view linear) {
  return concat("model.layers.", layer, ".", linear);
}

/// All sites of the layers first..last-1.
[[nodiscard]] inline std::vector<Site> llama_sites(const LlamaConfig& config, Index first,
                                                   Index last) {
  std::vector<Site> sites;
  for (Index layer = first; layer < last; ++layer) {
    for (const auto& linear : llama_linears<float>(config)) {
      sites.push_back({site_name(layer, linear.name), linear.cols, linear.rows});
    }
  }
  return sites;
}

/// The sites of layers shallow.. that an adapter is to have, by their full names.
/// @param wanted  full names, or last parts of names ("q_proj"), which stand for all those layers;
///                empty: q_proj and v_proj
/// @throws ArgumentError  for a name that no site of those layers has
[[nodiscard]] inline std::vector<std::string> deep_site_names(
    const LlamaConfig& config, Index shallow, const std::vector<std::string>& wanted) {
  if (wanted.empty()) return deep_site_names(config, shallow, {"q_proj", "v_proj"});
  const std::vector<Site> deep = llama_sites(config, shallow, config.layers);
  std::vector<std::string> names;
  for (const std::string& name : wanted) {
    const std::size_t before = names.size();
    for (const Site& site : deep) {
      if (site.name == name || site.name.ends_with("." + name)) names.push_back(site.name);
    }
    expect(names.size() > before, "site '", name,
           "' is unknown, expected a linear layer of layers ", shallow, "..", config.layers - 1,
           ", or the last part of its name");
  }
  return names;
}

/// Refuses an adapter for training that changes layers below `shallow`: training does not go
/// through them.
/// @throws ArgumentError
template <RealScalar S>
void expect_deep_modules(const LlamaConfig& config, Index shallow, const Adapter<S>& adapter) {
  const std::vector<Site> deep = llama_sites(config, shallow, config.layers);
  for (const auto& [name, module] : adapter.modules) {
    const bool is_deep =
        std::ranges::any_of(deep, [&key = name](const Site& site) { return site.name == key; });
    expect(is_deep, "the adapter has a module for '", name, "', expected linear layers of layers ",
           shallow, "..", config.layers - 1, " alone, which training reaches");
  }
}

/// Consecutive rows of a batch that are answered under one mix of adapters.
template <RealScalar S>
struct AdapterRows {
  AdapterMix<S> mix;
  Index begin = 0;
  Index rows = 0;
};

/// Which modules act on which rows, looked up by name once a pass and not once a token.
template <RealScalar S>
class AdapterPlan {
 public:
  struct Entry {
    const LoraModule<S>* module;
    double weight;
    Index begin;
    Index rows;
  };

  /// The base model.
  AdapterPlan() = default;

  AdapterPlan(const LlamaConfig& config, const std::vector<AdapterRows<S>>& groups) {
    entries_.resize(static_cast<std::size_t>(config.layers) * projection_count);
    const auto linears = llama_linears<S>(config);
    for (Index layer = 0; layer < config.layers; ++layer) {
      for (std::size_t p = 0; p < projection_count; ++p) {
        const std::string name = site_name(layer, linears[p].name);
        for (const AdapterRows<S>& group : groups) {
          for (const auto& [adapter, weight] : group.mix.entries()) {
            const auto found = adapter->modules.find(name);
            if (found == adapter->modules.end()) continue;
            entries_[place(layer, p)].push_back({&found->second, weight, group.begin, group.rows});
          }
        }
      }
    }
  }

  /// y += the changes of a site, for its input rows x.
  template <class X, class Y>
  void add(Index layer, LlamaProjection projection, const X& x, Y& y) const {
    if (entries_.empty()) return;
    for (const Entry& entry : entries_[place(layer, static_cast<std::size_t>(projection))]) {
      entry.module->add_forward(x.middleRows(entry.begin, entry.rows),
                                y.middleRows(entry.begin, entry.rows), entry.weight);
    }
  }

 private:
  [[nodiscard]] static std::size_t place(Index layer, std::size_t projection) noexcept {
    return static_cast<std::size_t>(layer) * projection_count + projection;
  }

  std::vector<std::vector<Entry>> entries_;  // by layer and projection; empty: the base model
};

/// The same adapters with the same weights in the same order.
template <RealScalar S>
[[nodiscard]] bool same_entries(const AdapterMix<S>& left, const AdapterMix<S>& right) {
  return std::ranges::equal(left.entries(), right.entries(), [](const auto& a, const auto& b) {
    return a.adapter == b.adapter && a.weight == b.weight;
  });
}

/// Whether an adapter changes a layer before `shallow`.
template <RealScalar S>
[[nodiscard]] bool has_shallow_module(const LlamaConfig& config, const AdapterMix<S>& mix,
                                      Index shallow) {
  const std::vector<Site> sites = llama_sites(config, 0, shallow);
  return std::ranges::any_of(mix.entries(), [&](const auto& entry) {
    return std::ranges::any_of(
        sites, [&](const Site& site) { return entry.adapter->modules.contains(site.name); });
  });
}

}  // namespace detail

}  // namespace anyssr::inline ANYSSR_ABI
