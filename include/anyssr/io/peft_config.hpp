// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// adapter_config.json of a PEFT adapter: rank and scale of every site,
///
///   scale = alpha / r, or alpha / sqrt(r) with use_rslora
///   r, alpha = those of the first key of rank_pattern, alpha_pattern that matches the site
///
/// and what else the file says. Whatever would make PEFT compute something other than
/// y = W x + scale B A x is refused by name; so is a key that is unknown and says anything.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "anyssr/core/error.hpp"
#include "anyssr/io/guarded_json.hpp"
#include "anyssr/io/path_text.hpp"
#include "anyssr/io/site_pattern.hpp"
#include "anyssr/lora/lora_module.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// What was read, or is to be written. The names in brackets are the keys of the file.
struct PeftConfig {
  Index rank = 8;                ///< (r) at least 1
  double alpha = 8;              ///< (lora_alpha) above 0
  bool rank_stabilised = false;  ///< (use_rslora)
  /// Keys as of SitePattern, in the order of the file.
  std::vector<std::pair<std::string, Index>> rank_pattern = {};
  std::vector<std::pair<std::string, double>> alpha_pattern = {};
  /// Names or last parts of names, where the file has a list of them.
  std::optional<std::vector<std::string>> target_modules = std::nullopt;
  /// (target_modules) where it is a text instead: a regular expression or all-linear. Never
  /// evaluated.
  std::string target_expression = {};
  std::vector<std::string> modules_to_save = {};
  std::string base_model = {};  ///< (base_model_name_or_path) free text, empty: none
  std::string revision = {};    ///< of the base model
  std::string task_type = {};   ///< CAUSAL_LM and the like, empty: none
  bool fan_in_fan_out = false;  ///< the base weight is stored in x out; A and B are not

  [[nodiscard]] friend bool operator==(const PeftConfig&, const PeftConfig&) = default;
};

namespace detail {

/// Keys that say how an adapter was trained, or where: the tensors tell that better.
/// Of PEFT 0.1 (merge_weights) to 0.18, and of ms-swift (lora_dtype, lorap_*).
inline constexpr auto ignored_peft_keys = std::to_array<std::string_view>(
    {"auto_mapping",    "corda_config",   "ensure_weight_tying", "eva_config",
     "exclude_modules", "inference_mode", "layers_pattern",      "layers_to_transform",
     "loftq_config",    "lora_dropout",   "lora_dtype",          "lora_ga_config",
     "lorap_emb_lr",    "lorap_lr_ratio", "megatron_config",     "megatron_core",
     "merge_weights",   "peft_version",   "qalora_group_size",   "runtime_config"});

struct RefusedPeftKey {
  std::string_view key;
  std::string_view reason;
};
inline constexpr auto refused_peft_keys = std::to_array<RefusedPeftKey>({
    {"alora_invocation_tokens", "the change begins at certain tokens only"},
    {"arrow_config", "several adapters are mixed by a router"},
    {"enable_lora", "parts of a joined layer are changed"},
    {"kasa_config", "singular values of the change are trained too"},
    {"layer_replication", "layers of the base model are repeated"},
    {"lora_bias", "the low-rank change has a bias"},
    {"monteclora_config", "the change is sampled"},
    {"target_parameters", "parameters that are no linear layer are changed"},
    {"trainable_token_indices", "rows of the embedding are trained too"},
    {"use_bdlora", "the factors are block-diagonal"},
    {"use_dora", "magnitudes of the weight are trained too"},
    {"use_merged_linear", "parts of a joined layer are changed"},
    {"use_qa_lora", "the input of A is pooled"},
    {"use_qalora", "the input of A is pooled"},
    {"velora_config", "it is another method"},
});

/// One file's reading.
class PeftConfigParser {
 public:
  PeftConfigParser(const Json& json, std::string_view file) : json_(json), file_(file) {}

  [[nodiscard]] PeftConfig parse() {
    expect<FormatError>(json_.is_object(), file_, ": is ", shown(json_), ", expected an object");
    const auto type = json_.find("peft_type");
    expect<FormatError>(type != json_.end(), file_, ": has no peft_type, expected \"LORA\"",
                        json_.contains("lora_parameters")
                            ? "; it is a config of mlx-lm: convert the adapter to a folder of PEFT"
                            : "");
    if (*type != "LORA") refuse("peft_type", *type, "\"LORA\"");
    for (const auto& [key, value] : json_.items()) {
      if (key == "peft_type") continue;
      if (!take_numbers(key, value) && !take_texts(key, value)) expect_harmless(key, value);
    }
    return std::move(config_);
  }

 private:
  [[nodiscard]] bool take_numbers(const std::string& key, const Json& value) {
    if (key == "r") {
      config_.rank = positive_integer(key, value);
    } else if (key == "lora_alpha") {
      config_.alpha = positive_number(key, value);
    } else if (key == "use_rslora") {
      config_.rank_stabilised = truth(key, value);
    } else if (key == "fan_in_fan_out") {
      config_.fan_in_fan_out = truth(key, value);
    } else if (key == "rank_pattern") {
      take_pattern(key, value, config_.rank_pattern, &PeftConfigParser::positive_integer);
    } else if (key == "alpha_pattern") {
      take_pattern(key, value, config_.alpha_pattern, &PeftConfigParser::positive_number);
    } else {
      return false;
    }
    return true;
  }

  [[nodiscard]] bool take_texts(const std::string& key, const Json& value) {
    if (key == "target_modules" && value.is_string()) {
      config_.target_expression = value.get<std::string>();
    } else if (key == "target_modules") {
      if (!value.is_null()) config_.target_modules = names(key, value, "a list of names or a text");
    } else if (key == "modules_to_save") {
      if (!value.is_null()) config_.modules_to_save = names(key, value, "null or a list of names");
    } else if (key == "base_model_name_or_path") {
      config_.base_model = text(key, value);
    } else if (key == "revision") {
      config_.revision = text(key, value);
    } else if (key == "task_type") {
      config_.task_type = text(key, value);
    } else {
      return false;
    }
    return true;
  }

  /// Keys that are not kept.
  void expect_harmless(const std::string& key, const Json& value) const {
    if (key == "bias") {
      if (value != "none") refuse(key, value, "\"none\": biases of the base model are trained too");
    } else if (key == "init_lora_weights") {
      expect_harmless_start(key, value);
    } else if (std::ranges::count(ignored_peft_keys, key) == 0 && !is_void(value)) {
      const auto refused = std::ranges::find(refused_peft_keys, key, &RefusedPeftKey::key);
      if (refused == refused_peft_keys.end()) {
        raise<FormatError>(file_, ": ", in_quotes(key), " is ", shown(value),
                           ", and that key is unknown: it could change what is computed");
      }
      raise<FormatError>(file_, ": ", key, " is ", shown(value),
                         ", which cannot be read: ", refused->reason);
    }
  }

  /// Some ways to start change the base weight, which the tensors do not tell.
  void expect_harmless_start(const std::string& key, const Json& value) const {
    constexpr std::array<std::string_view, 4> harmless{"eva", "gaussian", "mica", "orthogonal"};
    constexpr std::array<std::string_view, 5> harmful{"corda", "loftq", "lora_ga", "olora",
                                                      "pissa"};
    if (value.is_null() || value.is_boolean()) return;
    std::string start = value.is_string() ? value.get<std::string>() : "";
    std::ranges::transform(start, start.begin(), [](char c) {
      return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    if (std::ranges::count(harmless, start) > 0) return;
    const bool is_known = std::ranges::count(harmful, start) > 0 || start.starts_with("pissa_");
    if (is_known) {
      refuse(key, value,
             "true: that start changed the base weight, so convert the adapter when it is saved");
    }
    refuse(key, value, "true, false, gaussian, eva, orthogonal or mica");
  }

  template <class T>
  void take_pattern(const std::string& key, const Json& value,
                    std::vector<std::pair<std::string, T>>& pattern,
                    T (PeftConfigParser::*convert)(const std::string&, const Json&) const) {
    if (value.is_null()) return;
    if (!value.is_object()) refuse(key, value, "an object");
    for (const auto& [site, number] : value.items()) {
      const std::string place = key + "." + in_quotes(site);
      try {
        spent_ += SitePattern(site).size();
      } catch (const FormatError& error) {
        raise<FormatError>(file_, ": ", key, ": ", error.what());
      }
      expect<FormatError>(spent_ <= max_pattern_steps, file_, ": ", key,
                          ": the patterns write out to more than ", max_pattern_steps, " steps");
      pattern.emplace_back(site, (this->*convert)(place, number));
    }
  }

  [[nodiscard]] Index positive_integer(const std::string& key, const Json& value) const {
    const bool fits = value.is_number_unsigned() && value != 0 &&
                      std::in_range<Index>(value.get<std::uint64_t>());
    if (!fits) refuse(key, value, "a positive integer");
    return static_cast<Index>(value.get<std::uint64_t>());
  }
  /// Alpha 0 or below is refused: PEFT would train and store a change that does nothing, or that
  /// is subtracted, and either is a mistake.
  [[nodiscard]] double positive_number(const std::string& key, const Json& value) const {
    const double number = value.is_number() ? value.get<double>() : 0;
    if (!is_finite(number) || number <= 0) refuse(key, value, "a finite number above 0");
    return number;
  }
  [[nodiscard]] bool truth(const std::string& key, const Json& value) const {
    if (value.is_null()) return false;
    if (!value.is_boolean()) refuse(key, value, "true or false");
    return value.get<bool>();
  }
  [[nodiscard]] std::string text(const std::string& key, const Json& value) const {
    if (value.is_null()) return {};
    if (!value.is_string()) refuse(key, value, "null or a text");
    return value.get<std::string>();
  }
  [[nodiscard]] std::vector<std::string> names(const std::string& key, const Json& value,
                                               std::string_view expected) const {
    const bool fits =
        value.is_array() && std::ranges::all_of(value, [](const Json& v) { return v.is_string(); });
    if (!fits) refuse(key, value, expected);
    return value.get<std::vector<std::string>>();
  }

  [[noreturn]] void refuse(std::string_view key, const Json& value,
                           std::string_view expected) const {
    raise<FormatError>(file_, ": ", key, " is ", shown(value), ", expected ", expected);
  }

  static constexpr std::size_t max_pattern_steps = std::size_t{1} << 22;

  const Json& json_;
  std::string_view file_;
  PeftConfig config_;
  std::size_t spent_ = 0;  // steps of all patterns
};

/// An integer where it is one and JSON tools keep it, as PEFT writes lora_alpha.
[[nodiscard]] inline Json number_json(double number) {
  constexpr double most = 9007199254740992;  // 2^53
  if (number == std::floor(number) && std::abs(number) < most) {
    return static_cast<std::int64_t>(number);
  }
  return number;
}
[[nodiscard]] inline Json text_json(const std::string& text) {
  return text.empty() ? Json(nullptr) : Json(text);
}

}  // namespace detail

/// @param file  for the message
/// @throws FormatError  with the file, the key, its value and what was expected
[[nodiscard]] inline PeftConfig parse_peft_config(const Json& json, std::string_view file) {
  return detail::PeftConfigParser(json, file).parse();
}

/// @param path  of adapter_config.json, at most 4 MiB
/// @throws FileError    where the system refuses to read it
/// @throws FormatError  no JSON, or as parse_peft_config
[[nodiscard]] inline PeftConfig read_peft_config(const std::filesystem::path& path) {
  return parse_peft_config(read_json(path, std::uint64_t{4} << 20), detail::path_text(path));
}

/// What PEFT needs to know: the keys that are not at their default, and a few that readers look
/// for, sorted; the patterns keep their order, which counts. parse_peft_config gives the same
/// config back.
[[nodiscard]] inline Json peft_config_json(const PeftConfig& config) {
  Json json = Json::object();
  const auto add_pattern = [&](const char* key, const auto& pattern, const auto& convert) {
    Json::object_t object;  // whose operator[] would look through all keys for each new one
    for (const auto& [site, value] : pattern) object.emplace_back(site, convert(value));
    if (!object.empty()) json[key] = std::move(object);
  };
  add_pattern("alpha_pattern", config.alpha_pattern, detail::number_json);
  json["base_model_name_or_path"] = detail::text_json(config.base_model);
  if (config.fan_in_fan_out) json["fan_in_fan_out"] = true;
  json["inference_mode"] = true;
  json["lora_alpha"] = detail::number_json(config.alpha);
  if (!config.modules_to_save.empty()) json["modules_to_save"] = config.modules_to_save;
  json["peft_type"] = "LORA";
  json["r"] = config.rank;
  add_pattern("rank_pattern", config.rank_pattern, [](Index rank) { return rank; });
  if (!config.revision.empty()) json["revision"] = config.revision;
  if (config.target_modules) {
    json["target_modules"] = *config.target_modules;
  } else {
    json["target_modules"] = detail::text_json(config.target_expression);
  }
  json["task_type"] = detail::text_json(config.task_type);
  if (config.rank_stabilised) json["use_rslora"] = true;
  return json;
}

/// Keys of the patterns that decide nothing.
struct UnusedPatterns {
  std::vector<std::string> rank = {};
  std::vector<std::string> alpha = {};
};

/// Rank, alpha and the form of the scale at each of the sites, after the patterns.
/// @param unused  filled where it is given
/// @throws FormatError  as first_matches
[[nodiscard]] inline std::vector<LoraOptions> lora_options(const PeftConfig& config,
                                                           std::span<const std::string> sites,
                                                           UnusedPatterns* unused = nullptr) {
  const auto applied = [&](const auto& pattern, auto usual, std::vector<std::string>* rest) {
    std::vector<std::string> keys;
    keys.reserve(pattern.size());
    for (const auto& [key, value] : pattern) keys.push_back(key);
    std::vector<decltype(usual)> values(sites.size(), usual);
    const auto found = first_matches(keys, sites);
    std::vector<bool> is_used(keys.size(), false);
    for (std::size_t i = 0; i < found.size(); ++i) {
      if (!found[i]) continue;
      values[i] = pattern[*found[i]].second;
      is_used[*found[i]] = true;
    }
    for (std::size_t k = 0; rest != nullptr && k < keys.size(); ++k) {
      if (!is_used[k]) rest->push_back(keys[k]);
    }
    return values;
  };
  const std::vector<Index> ranks =
      applied(config.rank_pattern, config.rank, unused == nullptr ? nullptr : &unused->rank);
  const std::vector<double> alphas =
      applied(config.alpha_pattern, config.alpha, unused == nullptr ? nullptr : &unused->alpha);
  std::vector<LoraOptions> options(sites.size());
  for (std::size_t i = 0; i < sites.size(); ++i) {
    options[i] = {ranks[i], alphas[i], config.rank_stabilised};
  }
  return options;
}

}  // namespace anyssr::inline ANYSSR_ABI
