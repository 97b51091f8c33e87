// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Reads config.json of a checkpoint folder, of any of the families (llama_families.hpp).
///
/// A wrong rotary base, or a window that is not kept, gives fluent, wrong text and no error
/// anywhere. So every key that could change what is computed is either followed or refused, and so
/// is a key that is unknown and says anything (llama_config_keys.hpp).

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "anyssr/backbone/llama/llama_config.hpp"
#include "anyssr/backbone/llama/llama_config_keys.hpp"
#include "anyssr/backbone/llama/llama_families.hpp"
#include "anyssr/backbone/llama/llama_rope_reader.hpp"
#include "anyssr/core/error.hpp"
#include "anyssr/core/types.hpp"
#include "anyssr/core/warning.hpp"
#include "anyssr/io/foreign_folder.hpp"
#include "anyssr/io/guarded_json.hpp"
#include "anyssr/io/json_fields.hpp"
#include "anyssr/io/path_text.hpp"
#include "anyssr/io/regular_file.hpp"

namespace anyssr::inline ANYSSR_ABI {
namespace detail {

/// One token id, or a list of them without repeats.
[[nodiscard]] inline std::vector<TokenId> llama_token_ids(const JsonFields& fields,
                                                          const std::string& key,
                                                          Index vocab_size) {
  std::vector<TokenId> ids;
  const auto take = [&](const Json& value) {
    const bool fits = value.is_number_unsigned() &&
                      value.get<std::uint64_t>() < static_cast<std::uint64_t>(vocab_size);
    if (!fits) {
      fields.refuse(key, concat("token ids, which are 0..", vocab_size - 1, " (vocab_size)"));
    }
    const auto id = static_cast<TokenId>(value.get<std::uint64_t>());
    if (std::ranges::count(ids, id) == 0) ids.push_back(id);
  };
  const Json& value = fields.value().at(key);
  if (!value.is_array()) take(value);
  if (value.is_array()) std::ranges::for_each(value, take);
  return ids;
}

/// One file's reading.
class LlamaConfigParser {
 public:
  LlamaConfigParser(const Json& json, std::string_view file, const WarningSink& warn)
      : fields_(json, std::string(file)), warn_(warn) {}

  [[nodiscard]] LlamaConfig parse() {
    take_type();
    take_sizes();
    take_form();
    take_rope();
    take_biases();
    take_windows();
    take_tokens();
    for (const auto& [key, value] : fields_.value().items()) {
      if (known_.contains(key)) continue;
      expect_harmless_llama_key(fields_.place(), key, value, config_.model_type, warn_);
    }
    try {
      config_.check();
    } catch (const ArgumentError& error) {
      raise<FormatError>(fields_.place(), ": ", error.what());
    }
    return std::move(config_);
  }

 private:
  /// Whether the file has the key, which is then no unknown one.
  [[nodiscard]] bool has(std::string_view key) {
    known_.insert(key);
    return fields_.has(key);
  }
  [[nodiscard]] bool is_given(std::string_view key) {
    return has(key) && !fields_.value().at(std::string(key)).is_null();
  }
  [[nodiscard]] bool is_llama() const { return config_.model_type == "llama"; }

  void take_type() {
    known_.insert("model_type");
    config_.model_type = fields_.text("model_type");
    family_ = find_llama_family(config_.model_type);
    if (family_ == nullptr) {
      fields_.refuse("model_type",
                     concat(llama_family_names(), ": ", reason_against(config_.model_type)));
    }
    if (!is_given("architectures")) return;
    const Json expected = std::string(family_->architecture);
    fields_.for_each("architectures", [&](const Json& found, const std::string& place) {
      if (is_llama() && found == "LLaMAForCausalLM") return;  // of the first conversions
      expect<FormatError>(found == expected, place, " is ", shown(found), ", expected ",
                          shown(expected));
    });
  }

  /// @param most  so that what is made by a number of the file stays small
  [[nodiscard]] Index size(std::string_view key, Index most) {
    known_.insert(key);
    return static_cast<Index>(fields_.count(key, static_cast<std::uint64_t>(most)));
  }

  void take_sizes() {
    config_.vocab_size = size("vocab_size", max_llama_count);
    config_.hidden_size = size("hidden_size", max_llama_width);
    config_.intermediate_size = size("intermediate_size", max_llama_width);
    config_.layers = size("num_hidden_layers", max_llama_layers);
    config_.heads = size("num_attention_heads", max_llama_width);
    config_.kv_heads = family_->kv_heads == 0 ? config_.heads : family_->kv_heads;
    if (is_given("num_key_value_heads")) {
      config_.kv_heads = size("num_key_value_heads", max_llama_width);
    } else if (has("num_key_value_heads")) {
      config_.kv_heads = config_.heads;  // null
    }
    if (is_given("head_dim")) {
      config_.head_dim = size("head_dim", max_llama_width);
    } else if (family_->head_dim > 0) {
      config_.head_dim = family_->head_dim;
    } else {
      if (config_.heads == 0 || config_.hidden_size % config_.heads != 0) {
        fields_.refuse("num_attention_heads",
                       concat("a divisor of hidden_size, ", config_.hidden_size,
                              ", where no head_dim is given"));
      }
      config_.head_dim = config_.hidden_size / config_.heads;
    }
    if (has("rms_norm_eps")) config_.rms_norm_eps = fields_.number("rms_norm_eps");
    config_.max_positions = family_->max_positions;
    if (has("max_position_embeddings")) {
      config_.max_positions = size("max_position_embeddings", max_llama_count);
    }
  }

  void take_rope() {
    const LlamaRopeReader reader(fields_, *family_);
    for (const std::string_view key : reader.keys()) known_.insert(key);
    reader.read(config_);
  }

  void take_form() {
    config_.form = family_->form;
    if (family_->scales_embeddings) {
      config_.form.embedding_factor =
          double{std::sqrt(static_cast<float>(config_.hidden_size))};  // as models in float have it
    }
    if (config_.form.query_scalar > 0 && is_given("query_pre_attn_scalar")) {
      config_.form.query_scalar = fields_.number("query_pre_attn_scalar");
      expect<FormatError>(config_.form.query_scalar > 0, fields_.place(),
                          ": query_pre_attn_scalar is ", config_.form.query_scalar,
                          ", expected a number above 0");
    }
    const bool is_silu = config_.form.activation == GateActivation::silu;
    const std::string_view key = family_->activation_key;
    if (!is_silu && !is_given(key)) return;  // null too
    if (!has(key)) return;
    const std::string& activation = fields_.text(key);
    if (is_silu && activation != "silu" && activation != "swish") fields_.refuse(key, "\"silu\"");
    if (!is_silu && activation != "gelu_pytorch_tanh") {
      fields_.refuse(key, "\"gelu_pytorch_tanh\"");
    }
  }

  /// Null is false, as in transformers.
  [[nodiscard]] bool truth(std::string_view key) { return is_given(key) && fields_.boolean(key); }
  /// Switches that the type of the model decides: off, they say what holds anyway.
  void pass_if_off(std::string_view key) {
    if (fields_.has(key) && is_void(fields_.value().at(std::string(key)))) known_.insert(key);
  }

  void take_biases() {
    config_.tied_output = family_->tied_output;
    if (has("tie_word_embeddings")) config_.tied_output = truth("tie_word_embeddings");
    switch (family_->attention_bias) {
      case BiasRule::none:
        pass_if_off("attention_bias");
        break;
      case BiasRule::by_key:
        config_.qkv_bias = config_.output_bias = truth("attention_bias");
        break;
      case BiasRule::qkv:
        config_.qkv_bias = true;
        known_.insert("attention_bias");
        known_.insert("qkv_bias");
        break;
    }
    if (family_->has_mlp_bias) {
      config_.mlp_bias = truth("mlp_bias");
    } else {
      pass_if_off("mlp_bias");
    }
  }

  void take_windows() {
    const Index window = take_window();
    const std::vector<bool> slides = sliding_layers();
    for (const bool is_sliding : slides) config_.windows.push_back(is_sliding ? window : 0);
    take_layer_types(window);
    if (family_->has_local_rope) {
      for (const Index w : config_.windows) {
        config_.rotations.push_back(w > 0 ? LayerRope::local : LayerRope::main);
      }
    }
  }

  /// Tokens that a query may see in a layer that slides; 0 where none may slide.
  [[nodiscard]] Index take_window() {
    const WindowRule rule = family_->windows;
    if (rule == WindowRule::none) {  // any window is refused
      pass_if_off("use_sliding_window");
      known_.insert("max_window_layers");
      return 0;
    }
    Index window = family_->window;
    const bool is_needed = rule == WindowRule::by_pattern;
    if (has("sliding_window") && !is_needed) window = 0;  // null
    if (is_needed ? has("sliding_window") : is_given("sliding_window")) {
      window = size("sliding_window", max_llama_count);
      if (window == 0) {
        fields_.refuse("sliding_window", is_needed ? "at least 1" : "null or at least 1");
      }
    }
    const bool has_switch = rule == WindowRule::late || rule == WindowRule::unrotated;
    if (has_switch && !truth("use_sliding_window")) window = 0;
    if (rule == WindowRule::unrotated) known_.insert("max_window_layers");
    return window;
  }

  /// By the family's rule.
  [[nodiscard]] std::vector<bool> sliding_layers() {
    const WindowRule rule = family_->windows;
    Index first = 28;
    if (rule == WindowRule::late && is_given("max_window_layers")) {
      first = size("max_window_layers", max_llama_count);
    }
    const Index pattern = rule == WindowRule::by_pattern ? window_pattern() : 1;
    std::vector<bool> slides;
    for (Index i = 0; i < config_.layers; ++i) {
      slides.push_back(rule == WindowRule::all || (rule == WindowRule::late && i >= first) ||
                       (rule == WindowRule::unrotated && config_.rotation(i) == LayerRope::none) ||
                       (rule == WindowRule::by_pattern && (i + 1) % pattern != 0));
    }
    return slides;
  }

  /// One layer of so many has no window.
  [[nodiscard]] Index window_pattern() {
    Index pattern = 6;
    bool is_found = false;
    for (const char* key : {"sliding_window_pattern", "_sliding_window_pattern"}) {
      if (!is_given(key)) continue;
      const Index found = size(key, max_llama_count);
      if (found == 0) fields_.refuse(key, "at least 1");
      if (is_found && found != pattern) {
        fields_.refuse(key, concat("what sliding_window_pattern is, ", pattern));
      }
      pattern = found;
      is_found = true;
    }
    return pattern;
  }

  /// They win over the family's rule. A mistral has one window for all layers, whatever they say,
  /// so there they must agree with it.
  void take_layer_types(Index window) {
    if (!is_given("layer_types")) return;
    const WindowRule rule = family_->windows;
    std::vector<Index> windows;
    fields_.for_each("layer_types", [&](const Json& type, const std::string& place) {
      const bool slides = type == "sliding_attention";
      expect<FormatError>(slides || type == "full_attention", place, " is ", shown(type),
                          ", expected \"full_attention\" or \"sliding_attention\"");
      expect<FormatError>(!slides || window > 0, place, " is ", shown(type), ", expected ",
                          rule == WindowRule::none  ? "\"full_attention\": a llama has no windows"
                          : rule == WindowRule::all ? "a sliding_window with it"
                                                    : "a sliding_window and use_sliding_window "
                                                      "true with it");
      expect<FormatError>(rule != WindowRule::all || slides == (window > 0), place, " is ",
                          shown(type), ", expected \"sliding_attention\": sliding_window is ",
                          window, ", which a mistral has in all layers");
      windows.push_back(slides ? window : 0);
    });
    expect<FormatError>(windows.size() == config_.windows.size(), fields_.place(),
                        ": layer_types has ", windows.size(),
                        " entries, expected one entry per layer, ", config_.windows.size());
    config_.windows = std::move(windows);
  }

  /// Where a key is absent, a family may have usual ids, which count if the vocabulary has them.
  void take_tokens() {
    const auto ids = [&](const char* key, std::optional<TokenId> usual) -> std::vector<TokenId> {
      if (is_given(key)) return llama_token_ids(fields_, key, config_.vocab_size);
      if (has(key) || !usual || *usual >= config_.vocab_size) return {};
      return {*usual};
    };
    const std::vector<TokenId> bos = ids("bos_token_id", family_->bos);
    if (bos.size() > 1) fields_.refuse("bos_token_id", "one token id");
    if (!bos.empty()) config_.bos = bos.front();
    config_.eos = ids("eos_token_id", family_->eos);
  }

  JsonFields fields_;
  const WarningSink& warn_;
  std::set<std::string_view> known_;  // keys that were asked for
  const LlamaFamily* family_ = nullptr;
  LlamaConfig config_;
};

}  // namespace detail

/// @param file  for the message
/// @param warn  gets the unknown keys that are ignored since they say false, 0 or nothing
/// @throws FormatError  with the file, the key, its value and what was expected
[[nodiscard]] inline LlamaConfig parse_llama_config(const Json& json, std::string_view file,
                                                    const WarningSink& warn = {}) {
  return detail::LlamaConfigParser(json, file, warn).parse();
}

/// config.json of a model folder. Where the folder has a generation_config.json that names
/// eos_token_id, those tokens end a text instead, as in transformers; the rest of that file, how to
/// sample, is the caller's to say.
/// @param warn  as in parse_llama_config
/// @throws FileError    where the system refuses to read a file, or config.json is not there, with
///                      what the folder holds instead
/// @throws FormatError  no JSON, more than 4 MiB, or as parse_llama_config
[[nodiscard]] inline LlamaConfig read_llama_config(const std::filesystem::path& folder,
                                                   const WarningSink& warn = {}) {
  constexpr std::uint64_t most = std::uint64_t{4} << 20;
  const std::filesystem::path path = folder / "config.json";
  if (detail::is_missing(path)) {
    const std::string hint = detail::folder_hint(folder, detail::FolderKind::model);
    detail::expect<FileError>(hint.empty(), detail::path_text(path), ": is not there", hint);
  }
  LlamaConfig config = parse_llama_config(read_json(path, most), detail::path_text(path), warn);
  const std::filesystem::path generation = folder / "generation_config.json";
  if (detail::is_missing(generation)) return config;
  const Json json = read_json(generation, most);
  const detail::JsonFields fields(json, detail::path_text(generation));
  if (fields.has("eos_token_id") && !json.at("eos_token_id").is_null()) {
    config.eos = detail::llama_token_ids(fields, "eos_token_id", config.vocab_size);
  }
  return config;
}

}  // namespace anyssr::inline ANYSSR_ABI
