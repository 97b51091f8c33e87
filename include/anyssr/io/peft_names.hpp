// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The names of the tensors in adapter_model.safetensors:
///
///   base_model.model.<site>.lora_A.weight   A, r x in
///   base_model.model.<site>.lora_B.weight   B, out x r
///   base_model.model.<head>.weight, .bias   a layer that was trained in full
///
/// where site and head are paths of modules in the base model. Any other name is refused with what
/// it stands for.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "anyssr/core/error.hpp"
#include "anyssr/io/guarded_json.hpp"
#include "anyssr/io/site_pattern.hpp"

namespace anyssr::inline ANYSSR_ABI {
namespace detail {

enum class PeftRole : std::uint8_t { lora_a, lora_b, head_weight, head_bias };

struct PeftName {
  PeftRole role = PeftRole::lora_a;
  std::string module;  // the site or the head

  [[nodiscard]] friend bool operator==(const PeftName&, const PeftName&) = default;
};

inline constexpr std::string_view peft_prefix = "base_model.model.";

[[nodiscard]] inline std::string peft_tensor_name(const PeftName& name) {
  constexpr std::array<std::string_view, 4> endings{".lora_A.weight", ".lora_B.weight", ".weight",
                                                    ".bias"};
  return std::string(peft_prefix) + name.module +
         std::string(endings[static_cast<std::size_t>(name.role)]);
}

/// Parts of names that belong to other methods than plain LoRA on linear layers.
struct RefusedPeftPart {
  std::string_view part;
  std::string_view reason;
};
inline constexpr std::array<RefusedPeftPart, 8> refused_peft_parts{{
    {"lora_embedding_A", "changes an embedding, and only linear layers are sites"},
    {"lora_embedding_B", "changes an embedding, and only linear layers are sites"},
    {"lora_magnitude_vector", "is of DoRA, which trains magnitudes of the weight too"},
    {"lora_diag", "is of KaSA, which trains singular values of the change too"},
    {"token_adapter", "holds rows of an embedding that were trained in full"},
    {"base_layer", "is of the base model, whose parameters an adapter must not change"},
    {"modules_to_save", "is of a raw state dict, expected what save_pretrained writes"},
    {"original_module", "is of a raw state dict, expected what save_pretrained writes"},
}};

[[nodiscard]] inline std::vector<std::string_view> split_at_dots(std::string_view text) {
  std::vector<std::string_view> parts;
  for (std::size_t dot = 0; (dot = text.find('.')) != std::string_view::npos;) {
    parts.push_back(text.substr(0, dot));
    text.remove_prefix(dot + 1);
  }
  parts.push_back(text);
  return parts;
}

/// Calls f with the path of a module and with all its last parts: "a.b.c", "b.c", "c".
template <class F>
void for_each_tail(std::string_view module, F&& f) {
  for (std::size_t dot = 0; dot != std::string_view::npos;) {
    f(module);
    dot = module.find('.');
    module.remove_prefix(dot == std::string_view::npos ? 0 : dot + 1);
  }
}

/// Whether `tail` is the path `module` or its last parts.
[[nodiscard]] inline bool is_tail_of(std::string_view tail, std::string_view module) {
  return module.ends_with(tail) &&
         (module.size() == tail.size() || module[module.size() - tail.size() - 1] == '.');
}

/// What a tensor of that name is.
/// @param file  for the message
/// @throws FormatError
[[nodiscard]] inline PeftName parse_peft_name(std::string_view name, std::string_view file) {
  const auto refuse = [&](std::string_view reason) {
    raise<FormatError>(file, ": tensor ", in_quotes(name), " ", reason);
  };
  if (!name.starts_with(peft_prefix)) refuse("does not begin with base_model.model.");
  const std::string_view path = name.substr(peft_prefix.size());
  const std::vector<std::string_view> parts = split_at_dots(path);
  for (const std::string_view part : parts) {
    const auto refused = std::ranges::find(refused_peft_parts, part, &RefusedPeftPart::part);
    if (refused != refused_peft_parts.end()) refuse(refused->reason);
  }
  const auto is_factor = [](std::string_view part) { return part == "lora_A" || part == "lora_B"; };
  const auto factor = std::ranges::find_if(parts, is_factor);
  const std::string_view ending = parts.back();
  PeftName result;
  std::size_t dropped = 1 + ending.size();  // characters behind the module
  if (factor != parts.end()) {
    const auto behind = parts.end() - factor - 1;
    if (behind == 1 && ending == "bias") refuse("is a bias of the low-rank change (lora_bias)");
    if (behind == 2 && (ending == "weight" || ending == "bias")) {
      refuse(
          "has the adapter's name in its own: a raw state dict, expected what save_pretrained "
          "writes");
    }
    if (behind != 1 || ending != "weight") refuse("is no part of plain LoRA");
    result.role = *factor == "lora_A" ? PeftRole::lora_a : PeftRole::lora_b;
    dropped += 1 + factor->size();
  } else if (ending == "weight" || ending == "bias") {
    result.role = ending == "weight" ? PeftRole::head_weight : PeftRole::head_bias;
  } else {
    refuse("is neither lora_A.weight nor lora_B.weight of a site, nor weight or bias of a head");
  }
  if (dropped >= path.size()) refuse("names no module");
  result.module = path.substr(0, path.size() - dropped);
  if (result.module.size() > SitePattern::max_site) {
    refuse(concat("names a module of ", result.module.size(), " characters, expected at most ",
                  SitePattern::max_site));
  }
  return result;
}

}  // namespace detail
}  // namespace anyssr::inline ANYSSR_ABI
