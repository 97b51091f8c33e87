// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Reads config.json of a checkpoint folder, model types llama, mistral and qwen2.
///
/// A wrong rotary base, or a window that is not kept, gives fluent, wrong text and no error
/// anywhere. So every key that could change what is computed is either followed or refused, and so
/// is a key that is unknown and says anything (llama_config_keys.hpp).

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "anyssr/backbone/llama/llama_config.hpp"
#include "anyssr/backbone/llama/llama_config_keys.hpp"
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
  [[nodiscard]] bool is_mistral() const { return config_.model_type == "mistral"; }
  [[nodiscard]] bool is_qwen2() const { return config_.model_type == "qwen2"; }

  void take_type() {
    known_.insert("model_type");
    config_.model_type = fields_.text("model_type");
    if (std::ranges::count(llama_types, config_.model_type) == 0) {
      fields_.refuse("model_type",
                     "llama, mistral or qwen2: others compute differently under like names");
    }
    if (is_given("architectures")) {
      const Json expected = std::string(is_llama()     ? "LlamaForCausalLM"
                                        : is_mistral() ? "MistralForCausalLM"
                                                       : "Qwen2ForCausalLM");
      fields_.for_each("architectures", [&](const Json& found, const std::string& place) {
        if (is_llama() && found == "LLaMAForCausalLM") return;  // of the first conversions
        expect<FormatError>(found == expected, place, " is ", shown(found), ", expected ",
                            shown(expected));
      });
    }
    if (!has("hidden_act")) return;
    const std::string& activation = fields_.text("hidden_act");
    if (activation != "silu" && activation != "swish") fields_.refuse("hidden_act", "\"silu\"");
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
    config_.kv_heads = is_llama() ? config_.heads : is_mistral() ? 8 : 32;
    if (is_given("num_key_value_heads")) {
      config_.kv_heads = size("num_key_value_heads", max_llama_width);
    } else if (has("num_key_value_heads")) {
      config_.kv_heads = config_.heads;  // null
    }
    if (is_given("head_dim")) {
      config_.head_dim = size("head_dim", max_llama_width);
    } else {
      if (config_.heads == 0 || config_.hidden_size % config_.heads != 0) {
        fields_.refuse("num_attention_heads",
                       concat("a divisor of hidden_size, ", config_.hidden_size,
                              ", where no head_dim is given"));
      }
      config_.head_dim = config_.hidden_size / config_.heads;
    }
    if (has("rms_norm_eps")) config_.rms_norm_eps = fields_.number("rms_norm_eps");
    if (has("max_position_embeddings")) {
      config_.max_positions = size("max_position_embeddings", max_llama_count);
    }
  }

  void take_rope() {
    expect_whole_rotation(fields_);
    const bool has_theta = is_given("rope_theta");
    if (has_theta) config_.rope.theta = fields_.number("rope_theta");
    const bool is_scaled = is_given("rope_scaling");
    const bool has_parameters = is_given("rope_parameters");
    if (is_scaled && has_parameters &&
        fields_.value().at("rope_scaling") != fields_.value().at("rope_parameters")) {
      raise<FormatError>(fields_.place(), ": rope_scaling is ",
                         shown(fields_.value().at("rope_scaling")), " and rope_parameters is ",
                         shown(fields_.value().at("rope_parameters")), ", expected one of the two");
    }
    if (!is_scaled && !has_parameters) return;
    const JsonFields rope = fields_.object(is_scaled ? "rope_scaling" : "rope_parameters");
    expect_whole_rotation(rope);
    if (rope.has("rope_theta") && !rope.value().at("rope_theta").is_null()) {
      const double theta = rope.number("rope_theta");
      if (has_theta && theta != config_.rope.theta) {
        rope.refuse("rope_theta",
                    "what rope_theta outside of it is, " + shown(fields_.value().at("rope_theta")));
      }
      config_.rope.theta = theta;
    }
    take_rope_numbers(rope, rope_type(rope));
  }

  /// The name of the type, older files' key or newer ones'.
  [[nodiscard]] static std::string rope_type(const JsonFields& rope) {
    const std::string_view key = rope.has("rope_type") ? "rope_type" : "type";
    if (!rope.has(key)) return "default";  // its numbers are then found to be unknown
    const std::string& type = rope.text(key);
    if (rope.has("type") && rope.text("type") != type) {
      rope.refuse("type", "what rope_type is, " + in_quotes(type));
    }
    constexpr std::array<std::string_view, 3> read{"default", "linear", "llama3"};
    if (std::ranges::count(read, type) == 0) {
      rope.refuse(key, "default, linear or llama3: other types are not supported");
    }
    return type;
  }

  void take_rope_numbers(const JsonFields& rope, const std::string& type) {
    std::vector<std::string_view> numbers{"partial_rotary_factor", "rope_theta", "rope_type",
                                          "type"};
    // which these types do not use, and some writers add
    if (type != "llama3") numbers.emplace_back("original_max_position_embeddings");
    if (type != "default") {
      config_.rope.type = RopeType::linear;
      config_.rope.factor = rope.number("factor");
      numbers.emplace_back("factor");
    }
    if (type == "llama3") {
      config_.rope.type = RopeType::llama3;
      config_.rope.low_freq_factor = rope.number("low_freq_factor");
      config_.rope.high_freq_factor = rope.number("high_freq_factor");
      config_.rope.original_max_positions =
          static_cast<double>(rope.count("original_max_position_embeddings", max_llama_count));
      for (const char* key :
           {"low_freq_factor", "high_freq_factor", "original_max_position_embeddings"}) {
        numbers.emplace_back(key);
      }
    }
    for (const auto& [key, value] : rope.value().items()) {
      if (value.is_null() || std::ranges::count(numbers, key) > 0) continue;
      if (value.is_object()) rope.refuse(key, "a number: one rotary base for all layers");
      raise<FormatError>(rope.place(), ": ", in_quotes(key), " is ", shown(value),
                         ", and rope type ", type, " has no such number");
    }
  }

  void expect_whole_rotation(const JsonFields& fields) {
    constexpr const char* key = "partial_rotary_factor";
    known_.insert(key);
    if (!fields.has(key) || fields.value().at(key).is_null() || fields.number(key) == 1) return;
    fields.refuse(key, "1: heads that are rotated in part are not supported");
  }

  /// Null is false, as in transformers.
  [[nodiscard]] bool truth(std::string_view key) { return is_given(key) && fields_.boolean(key); }
  /// Switches that the type of the model decides: off, they say what holds anyway.
  void pass_if_off(std::string_view key) {
    if (fields_.has(key) && is_void(fields_.value().at(std::string(key)))) known_.insert(key);
  }

  void take_biases() {
    config_.tied_output = truth("tie_word_embeddings");
    config_.qkv_bias = is_qwen2();  // no key decides that
    if (is_qwen2()) {
      known_.insert("attention_bias");
      known_.insert("qkv_bias");
    }
    if (!is_llama()) {
      pass_if_off("attention_bias");
      pass_if_off("mlp_bias");
      return;
    }
    config_.qkv_bias = config_.output_bias = truth("attention_bias");
    config_.mlp_bias = truth("mlp_bias");
  }

  void take_windows() {
    config_.windows.assign(static_cast<std::size_t>(config_.layers), 0);
    if (is_llama()) {  // any window is refused
      pass_if_off("use_sliding_window");
      known_.insert("max_window_layers");
      return take_layer_types(0);
    }
    Index window = 4096;
    if (has("sliding_window")) window = 0;  // null
    if (is_given("sliding_window")) {
      window = size("sliding_window", max_llama_count);
      if (window == 0) fields_.refuse("sliding_window", "null or at least 1");
    }
    if (is_qwen2() && !truth("use_sliding_window")) window = 0;
    Index first = is_mistral() ? 0 : 28;
    if (is_qwen2() && is_given("max_window_layers")) {
      first = size("max_window_layers", max_llama_count);
    }
    for (Index i = first; i < config_.layers; ++i) {
      config_.windows[static_cast<std::size_t>(i)] = window;
    }
    take_layer_types(window);
  }

  /// They win over max_window_layers of qwen2. A mistral has one window for all layers, whatever
  /// they say, so there they must agree with it.
  void take_layer_types(Index window) {
    if (!is_given("layer_types")) return;
    std::vector<Index> windows;
    fields_.for_each("layer_types", [&](const Json& type, const std::string& place) {
      const bool slides = type == "sliding_attention";
      expect<FormatError>(slides || type == "full_attention", place, " is ", shown(type),
                          ", expected \"full_attention\" or \"sliding_attention\"");
      expect<FormatError>(!slides || window > 0, place, " is ", shown(type), ", expected ",
                          is_llama()     ? "\"full_attention\": a llama has no windows"
                          : is_mistral() ? "a sliding_window with it"
                                         : "a sliding_window and use_sliding_window true with it");
      expect<FormatError>(!is_mistral() || slides == (window > 0), place, " is ", shown(type),
                          ", expected \"sliding_attention\": sliding_window is ", window,
                          ", which a mistral has in all layers");
      windows.push_back(slides ? window : 0);
    });
    expect<FormatError>(windows.size() == config_.windows.size(), fields_.place(),
                        ": layer_types has ", windows.size(),
                        " entries, expected one entry per layer, ", config_.windows.size());
    config_.windows = std::move(windows);
  }

  /// Where a key is absent, llama and mistral mean 1 and 2, and qwen2 none.
  void take_tokens() {
    const auto ids = [&](const char* key, TokenId usual) -> std::vector<TokenId> {
      if (is_given(key)) return llama_token_ids(fields_, key, config_.vocab_size);
      if (has(key) || is_qwen2() || usual >= config_.vocab_size) return {};
      return {usual};
    };
    const std::vector<TokenId> bos = ids("bos_token_id", 1);
    if (bos.size() > 1) fields_.refuse("bos_token_id", "one token id");
    if (!bos.empty()) config_.bos = bos.front();
    config_.eos = ids("eos_token_id", 2);
  }

  JsonFields fields_;
  const WarningSink& warn_;
  std::set<std::string_view> known_;  // keys that were asked for
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
