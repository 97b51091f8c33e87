// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// What a frozen model must offer so that adapters can be trained on it and answer through it. One
/// vocabulary carries a text classifier and a language model:
///
///   trunk -> features (for the router)
///         -> forward under a mix of adapters:  y = x W0^T + sum_i w_i c_i (x A_i^T) B_i^T
///
/// The trunk is the shared, adapter-free part of the computation, done once a query.
/// Source: ours; the change of a site is LoRA, arXiv 2106.09685.

#include <algorithm>
#include <array>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <map>
#include <ranges>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "anyssr/lora/adapter.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// A named linear layer that a LoRA module can attach to.
struct Site {
  std::string name;
  Index in = 0;
  Index out = 0;
};

/// The adapters that answer one row, with their weights: none (the base model) to four. It points
/// to adapters that someone else owns and that must outlive it; it never allocates. At a site the
/// changes add up, each times its weight; how heads combine is the backbone's.
template <RealScalar S>
class AdapterMix {
 public:
  struct Entry {
    const Adapter<S>* adapter = nullptr;
    double weight = 1;
  };
  static constexpr std::size_t capacity = 4;

  /// The base model.
  AdapterMix() = default;

  /// One adapter.
  explicit AdapterMix(const Adapter<S>& adapter, double weight = 1) { add(&adapter, weight); }
  AdapterMix(const Adapter<S>&& adapter, double weight = 1) = delete;  // it would dangle

  /// @throws ArgumentError  the mix is full, adapter is null or weight not finite; the mix stays
  void add(const Adapter<S>* adapter, double weight = 1) {
    detail::expect(size_ < capacity, "mix holds ", size_, " adapters, expected at most ", capacity);
    detail::expect(adapter != nullptr, "adapter is null, expected one that outlives the mix");
    detail::expect(detail::is_finite(weight), "weight is ", weight, ", expected a finite number");
    entries_[size_++] = {adapter, weight};
  }

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool is_base() const noexcept { return size_ == 0; }
  [[nodiscard]] std::span<const Entry> entries() const noexcept { return {entries_.data(), size_}; }

 private:
  std::array<Entry, capacity> entries_{};
  std::size_t size_ = 0;
};

namespace detail {

/// Stands in the concept for any callable that reads the rows at a site.
struct AnySiteVisitor {
  template <class X>
  void operator()(std::string_view /*site*/, const X& /*rows*/) const {}
};

}  // namespace detail

/// A backbone that adapters attach to. All members are const: the model is frozen.
///   sites()                             names and shapes of its linear layers
///   make_adapter(targets, options, seed)  modules at their start and heads of the right size
///   trunk(inputs), rows(trunk)          the shared part, one row a query
///   select(trunk, rows)                 the named rows in the named order
///   features(trunk)                     rows(trunk) x feature_dim(), what the router reads
///   forward(trunk, mixes, options)      one output a row, one mix a row
///   loss_and_gradient(trunk, targets, adapter, gradient)
///                                       mean loss over rows; the gradient is overwritten
///   is_correct(output, target)
///   visit_site_inputs(trunk, adapter, visitor)
///                                       visitor(site name, n x in rows that enter the site)
/// What a backbone may have besides stands in lora/optional_members.hpp.
template <class B>
concept AdaptableBackbone = Backbone<B> && std::default_initializable<typename B::PredictOptions> &&
    std::copyable<typename B::Target> && std::movable<typename B::Trunk> &&
    requires(const B& backbone, std::span<const typename B::Input> inputs,
             std::span<const typename B::Target> targets, const typename B::Trunk& trunk,
             const typename B::Target& target, const typename B::Output& output,
             const typename B::PredictOptions& predict_options, const AdapterOptions& options,
             std::uint64_t seed, std::span<const Index> rows,
             std::span<const AdapterMix<typename B::Scalar>> mixes,
             const Adapter<typename B::Scalar>& adapter,
             AdapterGradient<typename B::Scalar>& gradient, detail::AnySiteVisitor visitor) {
  { backbone.sites() } -> std::ranges::input_range;
  requires std::convertible_to < std::ranges::range_reference_t<decltype(backbone.sites())>,
  const Site& > ;
  { backbone.make_adapter(targets, options, seed) } -> std::same_as<Adapter<typename B::Scalar>>;
  { backbone.trunk(inputs) } -> std::same_as<typename B::Trunk>;
  { backbone.rows(trunk) } -> std::convertible_to<Index>;
  { backbone.select(trunk, rows) } -> std::same_as<typename B::Trunk>;
  { backbone.features(trunk) } -> FeatureMatrix<typename B::Scalar>;
  {
    backbone.forward(trunk, mixes, predict_options)
    } -> std::same_as<std::vector<typename B::Output>>;
  { backbone.loss_and_gradient(trunk, targets, adapter, gradient) } -> std::convertible_to<double>;
  { backbone.is_correct(output, target) } -> std::convertible_to<bool>;
  backbone.visit_site_inputs(trunk, adapter, visitor);
};

/// The modules of a new adapter: one for each site that `options` names (all where it names none),
/// none with rank 0. A module's start depends on the seed and the name of its site only.
/// @throws ArgumentError  a name that no site has, or bad LoRA options
template <RealScalar S, std::ranges::input_range Sites>
[[nodiscard]] std::map<std::string, LoraModule<S>> make_modules(const Sites& sites,
                                                                const AdapterOptions& options,
                                                                std::uint64_t seed) {
  const auto is_wanted = [&](const std::string& name) {
    return options.sites.empty() || std::ranges::count(options.sites, name) > 0;
  };
  for (const std::string& name : options.sites) {
    detail::expect(std::ranges::any_of(sites, [&](const Site& s) { return s.name == name; }),
                   "site '", name, "' is unknown, expected a site of the backbone");
  }
  std::map<std::string, LoraModule<S>> modules;
  if (options.lora.rank == 0) return modules;
  for (const Site& site : sites) {
    if (!is_wanted(site.name)) continue;
    modules.emplace(site.name,
                    LoraModule<S>(site.in, site.out, options.lora, hash_bytes(site.name, seed)));
  }
  return modules;
}

}  // namespace anyssr::inline ANYSSR_ABI
