// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Texts of config.json with some members changed, and what reading them gives.

#include <string>

#include "anyssr/backbone/llama/llama_config_reader.hpp"
#include "support/catch.hpp"
#include "support/corpus.hpp"

namespace anyssr::test {

inline constexpr const char* least_llama =
    R"({"model_type":"llama","vocab_size":32,"hidden_size":24,"intermediate_size":40,)"
    R"("num_hidden_layers":4,"num_attention_heads":4})";

/// least_llama with other members; "absent!" takes one away.
inline std::string llama_text_with(const std::string& members) {
  Json json = Json::parse(least_llama);
  const Json changes = Json::parse("{" + members + "}");
  for (const auto& [key, value] : changes.items()) {
    if (value == "absent!") {
      json.erase(key);
    } else {
      json[key] = value;
    }
  }
  return json.dump();
}

inline LlamaConfig parse_llama(const std::string& text) {
  keep_for_fuzzing("llama_config", text);
  return parse_llama_config(parse_json(text, "c"), "c");
}

inline LlamaConfig parse_llama_with(const std::string& members) {
  return parse_llama(llama_text_with(members));
}

inline std::string refusal_of_llama(const std::string& text) {
  const std::string message = message_of<FormatError>([&] { (void)parse_llama(text); });
  return message.starts_with("c: ") ? message.substr(3) : message;
}

inline const std::string qwen2_members =
    R"("model_type":"qwen2","num_attention_heads":4,"num_key_value_heads":2)";

}  // namespace anyssr::test
