// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The rotary numbers of config.json, in the words of transformers 4 (rope_theta, rope_scaling,
/// rope_local_base_freq) and 5 (rope_parameters, which has one entry per kind of layer where a
/// family has two bases).

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "anyssr/backbone/llama/llama_config.hpp"
#include "anyssr/backbone/llama/llama_families.hpp"
#include "anyssr/core/error.hpp"
#include "anyssr/core/types.hpp"
#include "anyssr/io/guarded_json.hpp"
#include "anyssr/io/json_fields.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

class LlamaRopeReader {
 public:
  LlamaRopeReader(const JsonFields& fields, const LlamaFamily& family)
      : fields_(fields), family_(family) {}

  /// The keys that are read, whether or not a file has them.
  [[nodiscard]] std::vector<std::string_view> keys() const {
    std::vector<std::string_view> keys{"partial_rotary_factor", "rope_parameters", "rope_scaling",
                                       "rope_theta"};
    if (family_.has_local_rope) keys.emplace_back("rope_local_base_freq");
    if (family_.has_unrotated_layers) {
      keys.emplace_back("no_rope_layers");
      keys.emplace_back("no_rope_layer_interval");
    }
    return keys;
  }

  /// Sets rope, local_rope, and the rotations but for those that follow the windows.
  /// @param config  knows its number of layers
  /// @throws FormatError
  void read(LlamaConfig& config) const {
    expect_whole_rotation(fields_);
    config.rope.theta = family_.rope_theta;
    if (family_.has_local_rope) config.local_rope.theta = family_.local_theta;
    if (is_given("rope_theta")) config.rope.theta = fields_.number("rope_theta");
    if (family_.has_local_rope && is_given("rope_local_base_freq")) {
      config.local_rope.theta = fields_.number("rope_local_base_freq");
    }
    take_parameters(config);
    if (family_.has_unrotated_layers) config.rotations = rotations(config.layers);
  }

 private:
  [[nodiscard]] bool is_given(std::string_view key) const {
    return fields_.has(key) && !fields_.value().at(std::string(key)).is_null();
  }

  void take_parameters(LlamaConfig& config) const {
    const bool is_scaled = is_given("rope_scaling");
    const bool has_parameters = is_given("rope_parameters");
    if (is_scaled && has_parameters &&
        fields_.value().at("rope_scaling") != fields_.value().at("rope_parameters")) {
      raise<FormatError>(fields_.place(), ": rope_scaling is ",
                         shown(fields_.value().at("rope_scaling")), " and rope_parameters is ",
                         shown(fields_.value().at("rope_parameters")), ", expected one of the two");
    }
    if (has_parameters && family_.has_local_rope) return take_kinds(config);
    if (!is_scaled && !has_parameters) return;
    take(fields_.object(is_scaled ? "rope_scaling" : "rope_parameters"), "rope_theta", config.rope);
  }

  /// One entry per kind of layer.
  void take_kinds(LlamaConfig& config) const {
    const JsonFields kinds = fields_.object("rope_parameters");
    for (const auto& [kind, value] : kinds.value().items()) {
      const bool is_full = kind == "full_attention";
      expect<FormatError>(is_full || kind == "sliding_attention", kinds.place(), ": has ",
                          in_quotes(kind), ", expected full_attention and sliding_attention, ",
                          "each with the numbers of its layers");
      if (value.is_null()) continue;
      take(kinds.object(kind), is_full ? "rope_theta" : "rope_local_base_freq",
           is_full ? config.rope : config.local_rope);
    }
  }

  /// @param outer  the key of the base outside of `rope`, which may not differ
  void take(const JsonFields& rope, const std::string& outer, RopeOptions& options) const {
    expect_whole_rotation(rope);
    if (rope.has("rope_theta") && !rope.value().at("rope_theta").is_null()) {
      const double theta = rope.number("rope_theta");
      if (is_given(outer) && theta != options.theta) {
        rope.refuse("rope_theta", concat("what ", outer, " outside of it is, ",
                                         shown(fields_.value().at(outer))));
      }
      options.theta = theta;
    }
    take_numbers(rope, type_of(rope), options);
  }

  /// The name of the type, older files' key or newer ones'.
  [[nodiscard]] static std::string type_of(const JsonFields& rope) {
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

  static void take_numbers(const JsonFields& rope, const std::string& type, RopeOptions& options) {
    std::vector<std::string_view> numbers{"partial_rotary_factor", "rope_theta", "rope_type",
                                          "type"};
    // which these types do not use, and some writers add
    if (type != "llama3") numbers.emplace_back("original_max_position_embeddings");
    if (type != "default") {
      options.type = RopeType::linear;
      options.factor = rope.number("factor");
      numbers.emplace_back("factor");
    }
    if (type == "llama3") {
      options.type = RopeType::llama3;
      options.low_freq_factor = rope.number("low_freq_factor");
      options.high_freq_factor = rope.number("high_freq_factor");
      options.original_max_positions =
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

  static void expect_whole_rotation(const JsonFields& fields) {
    constexpr const char* key = "partial_rotary_factor";
    if (!fields.has(key) || fields.value().at(key).is_null() || fields.number(key) == 1) return;
    fields.refuse(key, "1: heads that are rotated in part are not supported");
  }

  /// no_rope_layers says 1 of a layer that turns queries and keys, and 0 of one that does not.
  [[nodiscard]] std::vector<LayerRope> rotations(Index layers) const {
    std::vector<LayerRope> result;
    if (is_given("no_rope_layers")) {
      fields_.for_each("no_rope_layers", [&](const Json& value, const std::string& place) {
        expect<FormatError>(value == 0 || value == 1, place, " is ", shown(value),
                            ", expected 1, a layer that turns queries and keys, or 0");
        result.push_back(value == 1 ? LayerRope::main : LayerRope::none);
      });
      expect<FormatError>(static_cast<Index>(result.size()) == layers, fields_.place(),
                          ": no_rope_layers has ", result.size(),
                          " entries, expected one entry per layer, ", layers);
      return result;
    }
    Index interval = 4;
    if (is_given("no_rope_layer_interval")) {
      interval = static_cast<Index>(fields_.count("no_rope_layer_interval", max_llama_count));
      if (interval == 0) fields_.refuse("no_rope_layer_interval", "at least 1");
    }
    for (Index i = 1; i <= layers; ++i) {
      result.push_back(i % interval == 0 ? LayerRope::none : LayerRope::main);
    }
    return result;
  }

  const JsonFields& fields_;
  const LlamaFamily& family_;
};

}  // namespace anyssr::inline ANYSSR_ABI::detail
