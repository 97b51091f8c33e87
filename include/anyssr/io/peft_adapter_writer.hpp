// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Writes an Adapter as a PEFT adapter folder, the same bytes for the same adapter:
///
///   adapter_model.safetensors   A and B of every site; heads turned to out x in
///   adapter_config.json         r, lora_alpha, sorted target_modules and modules_to_save
///
/// The scale goes into lora_alpha, never into use_rslora, which many readers pass over: a
/// rank-stabilised module is written with the alpha' that makes alpha' / r its scale, to the bit
/// or, where no double does, to the nearest. Ranks and alphas that differ from the most common ones
/// stand in the patterns, under the full names of their sites. A confined module is written with
/// its effective A.
///
/// PEFT has no place for a head's temperature and trained flag, nor for the adapter's metadata:
/// they are not written, the weights are as they are, and who needs them stores them beside.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <filesystem>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "anyssr/core/concepts.hpp"
#include "anyssr/core/error.hpp"
#include "anyssr/io/atomic_file.hpp"
#include "anyssr/io/half.hpp"
#include "anyssr/io/peft_config.hpp"
#include "anyssr/io/peft_names.hpp"
#include "anyssr/io/safetensors_writer.hpp"
#include "anyssr/io/utf8.hpp"
#include "anyssr/lora/adapter.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// What the files are to say beside the adapter.
struct PeftWriteOptions {
  std::string base_model = {};                ///< free text; empty: null
  std::string revision = {};                  ///< of the base model; empty: no such key
  std::string task_type = {};                 ///< CAUSAL_LM and the like; empty: null
  bool fan_in_fan_out = false;                ///< the base weights are stored in x out (GPT-2)
  std::optional<Dtype> dtype = std::nullopt;  ///< F64 F32 F16 BF16; none: the adapter's scalar
};

namespace detail {

/// The alpha of a module that is not rank-stabilised and has the same rank and scale.
template <RealScalar S>
[[nodiscard]] double plain_alpha(const LoraModule<S>& module) {
  if (!module.rank_stabilised()) return module.alpha();
  const auto r = static_cast<double>(module.rank());
  const double product = module.scale() * r;
  if (!is_finite(product)) return product;
  const auto error = [&](double alpha) { return std::abs(alpha / r - module.scale()); };
  double best = product;
  for (const double bound : {0.0, std::numeric_limits<double>::max()}) {
    const double next = std::nextafter(product, bound);
    if (error(next) < error(best)) best = next;
  }
  return best;
}

/// The smallest of the values that most sites have.
template <class T>
[[nodiscard]] std::optional<T> most_common(const std::map<std::string, T>& by_site) {
  std::map<T, std::size_t> counts;
  for (const auto& [site, value] : by_site) ++counts[value];
  const auto best = std::ranges::max_element(
      counts, {}, [](const std::pair<const T, std::size_t>& entry) { return entry.second; });
  return best == counts.end() ? std::nullopt : std::optional(best->first);
}

/// Keys, in an order that gives every site its own value by the first that matches: a name also
/// matches longer names that end in it and, by its dots, others of its length with fewer dots.
/// Those come first, and have a key of their own even where their value is the usual one.
/// @throws ArgumentError  a name that needs a key and holds metacharacters
/// @throws FormatError    as first_matches
template <class T>
[[nodiscard]] std::vector<std::pair<std::string, T>> pattern_of(
    const std::map<std::string, T>& by_site, std::string_view what) {
  const std::optional<T> usual = most_common(by_site);
  std::vector<std::string> keys;
  std::vector<std::string> others;
  for (const auto& [site, value] : by_site) (value == *usual ? others : keys).push_back(site);
  if (keys.empty()) return {};
  const auto expect_plain = [&](const std::string& key) {
    expect(SitePattern::is_plain(key), "site ", in_quotes(key), " needs a key for its ", what,
           ", which cannot be written: its name would be read as a pattern");
    (void)SitePattern(key);  // refuses what is no printable ASCII
  };
  std::ranges::for_each(keys, expect_plain);
  const auto matched = first_matches(keys, others);
  for (std::size_t i = 0; i < others.size(); ++i) {
    if (!matched[i]) continue;
    expect_plain(others[i]);
    keys.push_back(others[i]);
  }
  std::ranges::sort(keys, {}, [](const std::string& key) {
    return std::tuple(-static_cast<std::ptrdiff_t>(key.size()), std::ranges::count(key, '.'), key);
  });
  std::vector<std::pair<std::string, T>> pattern;
  pattern.reserve(keys.size());
  for (const std::string& key : keys) pattern.emplace_back(key, by_site.at(key));
  return pattern;
}

/// Refuses a number that would be infinity in the file.
template <class X>
void expect_to_fit(const std::string& tensor, const X& x, Dtype dtype) {
  expect_finite(in_quotes(tensor), x);
  if (x.size() == 0) return;
  const auto largest = x.cwiseAbs().maxCoeff();
  const bool fits = dtype == Dtype::F16    ? is_finite(from_f16(to_f16(largest)))
                    : dtype == Dtype::BF16 ? is_finite(from_bf16(to_bf16(largest)))
                    : dtype == Dtype::F32  ? is_finite(static_cast<float>(largest))
                                           : true;
  expect(fits, in_quotes(tensor), " holds a number of magnitude ", largest, ", which ",
         to_string(dtype), " cannot hold");
}

/// The name in the file, if it would be read as what it is.
[[nodiscard]] inline std::string checked_tensor_name(const PeftName& name) {
  std::string tensor = peft_tensor_name(name);
  try {
    if (parse_peft_name(tensor, "as a name in a file") == name) return tensor;
  } catch (const FormatError& error) {
    raise<ArgumentError>("module ", in_quotes(name.module), " cannot be written: ", error.what());
  }
  raise<ArgumentError>("module ", in_quotes(name.module),
                       " cannot be written: its name would be read as another one");
}

/// The tensors of an adapter, checked; they refer to the adapter, which must outlive them.
template <RealScalar S>
[[nodiscard]] SafetensorsWriter peft_tensors(const Adapter<S>& adapter, Dtype dtype) {
  expect(kind_of(dtype) == DtypeKind::number, "dtype is ", to_string(dtype), ", expected one of ",
         dtype_names(DtypeKind::number));
  SafetensorsWriter writer;
  writer.set_metadata("format", "pt");
  const auto add = [&](PeftRole role, const std::string& module, auto&& x) {
    std::string tensor = checked_tensor_name({role, module});
    expect_to_fit(tensor, x, dtype);
    if constexpr (std::is_lvalue_reference_v<decltype(x)>) {
      writer.add_reference(std::move(tensor), x, dtype);
    } else {
      writer.add(std::move(tensor), std::forward<decltype(x)>(x), dtype);
    }
  };
  for (const auto& [site, module] : adapter.modules) {
    if (module.is_confined()) {
      add(PeftRole::lora_a, site, module.effective_a());
    } else {
      add(PeftRole::lora_a, site, module.a());
    }
    add(PeftRole::lora_b, site, module.b());
  }
  for (const auto& [name, head] : adapter.heads) {
    expect<ShapeError>(head.weights.size() > 0 && head.bias.size() == head.out_dim(), "head ",
                       in_quotes(name), " is ", head.in_dim(), " x ", head.out_dim(), " with ",
                       head.bias.size(), " biases, expected sizes above 0 and ", head.out_dim());
    add(PeftRole::head_weight, name, RowMajorMatrix<S>(head.weights.transpose()));
    add(PeftRole::head_bias, name, head.bias);
  }
  return writer;
}

[[nodiscard]] inline std::string config_text(const PeftConfig& config) {
  const auto expect_utf8 = [](std::string_view what, const std::string& text) {
    expect(find_invalid_utf8(text) == std::string_view::npos, what, " is ", in_quotes(text),
           ", expected UTF-8");
  };
  expect_utf8("base_model", config.base_model);
  expect_utf8("revision", config.revision);
  expect_utf8("task_type", config.task_type);
  return peft_config_json(config).dump(2) + "\n";
}

}  // namespace detail

/// What stands in adapter_config.json for that adapter.
/// @throws ArgumentError  a site that needs a pattern has a name that cannot be one, or a
///                        rank-stabilised module's scale times its rank leaves the range of double
template <RealScalar S>
[[nodiscard]] PeftConfig peft_config_of(const Adapter<S>& adapter,
                                        const PeftWriteOptions& options = {}) {
  PeftConfig config{.target_modules = std::vector<std::string>(),
                    .base_model = options.base_model,
                    .revision = options.revision,
                    .task_type = options.task_type,
                    .fan_in_fan_out = options.fan_in_fan_out};
  std::map<std::string, Index> ranks;
  std::map<std::string, double> alphas;
  for (const auto& [site, module] : adapter.modules) {
    config.target_modules->push_back(site);
    ranks[site] = module.rank();
    alphas[site] = detail::plain_alpha(module);
    detail::expect_positive("alpha of " + detail::in_quotes(site), alphas[site]);
  }
  for (const auto& [name, head] : adapter.heads) config.modules_to_save.push_back(name);
  config.rank = detail::most_common(ranks).value_or(config.rank);
  config.alpha = detail::most_common(alphas).value_or(config.alpha);
  try {
    config.rank_pattern = detail::pattern_of(ranks, "rank");
    config.alpha_pattern = detail::pattern_of(alphas, "alpha");
  } catch (const FormatError& error) {
    detail::raise<ArgumentError>("sites cannot be told apart by patterns: ", error.what());
  }
  return config;
}

/// Writes the folder, which is made where it is missing, or replaces both files in it: each as a
/// whole, the weights first.
/// @throws ArgumentError, ShapeError, NonFiniteError  before anything is written: a name that would
///         not be read again, no finite numbers, numbers beyond the range of the dtype
/// @throws FileError  where the system refuses; the folder above must be there
/// Cost: one pass over the numbers; no copies but of heads and of the A of confined modules.
template <RealScalar S>
void write_peft_adapter(const std::filesystem::path& folder, const Adapter<S>& adapter,
                        const PeftWriteOptions& options = {}) {
  const PeftConfig config = peft_config_of(adapter, options);
  const SafetensorsWriter tensors =
      detail::peft_tensors(adapter, options.dtype.value_or(dtype_of<S>()));
  const std::string text = detail::config_text(config);
  std::error_code error;
  std::filesystem::create_directory(folder, error);
  if (error) detail::raise_file_error(folder, "cannot be made", error.value());
  tensors.write(folder / "adapter_model.safetensors");
  AtomicFile file(folder / "adapter_config.json");
  file.write(text);
  file.commit();
}

}  // namespace anyssr::inline ANYSSR_ABI
