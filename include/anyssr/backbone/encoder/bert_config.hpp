// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// What an encoder of the BERT family computes, and its config.json: model types bert, roberta and
/// xlm-roberta. Keys that change what is computed are followed or refused by name.

#include <algorithm>
#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "anyssr/core/enum_names.hpp"
#include "anyssr/core/error.hpp"
#include "anyssr/core/types.hpp"
#include "anyssr/core/warning.hpp"
#include "anyssr/io/json_fields.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// Forms of the activation between the two layers of a block.
enum class GeluForm : std::uint8_t {
  erf,  ///< x / 2 (1 + erf(x / sqrt 2))
  tanh  ///< x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))
};

namespace detail {
template <>
inline constexpr GeluForm last_enumerator<GeluForm> = GeluForm::tanh;
}  // namespace detail

/// @throws ArgumentError  for a value that is no enumerator
[[nodiscard]] constexpr std::string_view to_string(GeluForm form) {
  switch (form) {
    case GeluForm::erf:
      return "erf";
    case GeluForm::tanh:
      return "tanh";
  }
  detail::raise_no_enumerator("gelu form", form);
}

/// Sizes and constants of a BERT-family encoder.
struct BertConfig {
  std::string model_type = "bert";  ///< bert, roberta or xlm-roberta
  Index vocab_size = 30522;
  Index hidden_size = 768;  ///< H
  Index layers = 12;
  Index heads = 12;
  Index intermediate_size = 3072;  ///< I
  Index max_positions = 512;       ///< rows of the position table
  Index token_types = 2;
  double layer_norm_eps = 1e-12;
  GeluForm activation = GeluForm::erf;
  /// Row of the position table that the first token takes: 0, or for roberta behind the padding's.
  Index first_position = 0;

  [[nodiscard]] Index head_dim() const noexcept { return hidden_size / heads; }
  /// The longest input in tokens.
  [[nodiscard]] Index max_tokens() const noexcept { return max_positions - first_position; }
};

namespace detail {

/// Keys that are followed, or that change nothing in a forward pass of a trained encoder. Sorted.
inline constexpr auto known_bert_keys = std::to_array<std::string_view>({
    "_attn_implementation_autoset",
    "_name_or_path",
    "architectures",
    "attention_probs_dropout_prob",
    "attn_implementation",
    "bos_token_id",
    "classifier_dropout",
    "dtype",
    "eos_token_id",
    "finetuning_task",
    "gradient_checkpointing",
    "hidden_act",
    "hidden_dropout_prob",
    "hidden_size",
    "id2label",
    "initializer_range",
    "intermediate_size",
    "label2id",
    "layer_norm_eps",
    "max_position_embeddings",
    "model_type",
    "num_attention_heads",
    "num_hidden_layers",
    "output_attentions",
    "output_hidden_states",
    "output_past",
    "pad_token_id",
    "pooler_fc_size",
    "pooler_num_attention_heads",
    "pooler_num_fc_layers",
    "pooler_size_per_head",
    "pooler_type",
    "position_embedding_type",
    "problem_type",
    "tokenizer_class",
    "torch_dtype",
    "transformers_version",
    "type_vocab_size",
    "use_cache",
    "vocab_size",
});
static_assert(std::ranges::is_sorted(known_bert_keys));

/// One config.json.
class BertConfigReader {
 public:
  BertConfigReader(const JsonFields& fields, const WarningSink& warn)
      : fields_(fields), warn_(warn) {}

  [[nodiscard]] BertConfig read() const {
    BertConfig config;
    config.model_type = fields_.text("model_type");
    const bool is_roberta = config.model_type == "roberta" || config.model_type == "xlm-roberta";
    if (!is_roberta && config.model_type != "bert") {
      fields_.refuse("model_type", "bert, roberta or xlm-roberta");
    }
    config.vocab_size = size("vocab_size", config.vocab_size);
    config.hidden_size = size("hidden_size", config.hidden_size);
    config.layers = size("num_hidden_layers", config.layers);
    config.heads = size("num_attention_heads", config.heads);
    config.intermediate_size = size("intermediate_size", config.intermediate_size);
    config.max_positions = size("max_position_embeddings", config.max_positions);
    config.token_types = size("type_vocab_size", config.token_types);
    if (is_given("layer_norm_eps")) config.layer_norm_eps = fields_.number("layer_norm_eps");
    if (!(config.layer_norm_eps > 0)) fields_.refuse("layer_norm_eps", "a number above 0");
    if (config.hidden_size % config.heads != 0) {
      fields_.refuse("num_attention_heads",
                     concat("a divisor of hidden_size, ", config.hidden_size));
    }
    config.activation = activation();
    if (is_roberta) {
      const std::uint64_t padding =
          is_given("pad_token_id") ? fields_.count("pad_token_id", 1000) : 1;
      config.first_position = static_cast<Index>(padding) + 1;
    }
    if (config.max_tokens() < 2) fields_.refuse("max_position_embeddings", "room for two tokens");
    refuse_others();
    return config;
  }

 private:
  [[nodiscard]] bool is_given(std::string_view key) const {
    return fields_.has(key) && !fields_.value().find(key)->is_null();
  }
  [[nodiscard]] Index size(std::string_view key, Index usual) const {
    if (!is_given(key)) return usual;
    constexpr std::uint64_t most = 1U << 24U;
    const std::uint64_t value = fields_.count(key, most);
    if (value == 0) fields_.refuse(key, "at least 1");
    return static_cast<Index>(value);
  }
  [[nodiscard]] GeluForm activation() const {
    if (!is_given("hidden_act")) return GeluForm::erf;
    const std::string& name = fields_.text("hidden_act");
    if (name == "gelu") return GeluForm::erf;
    if (name == "gelu_new" || name == "gelu_pytorch_tanh") return GeluForm::tanh;
    fields_.refuse("hidden_act", "gelu, gelu_new or gelu_pytorch_tanh");
  }
  void refuse_others() const {
    if (is_given("position_embedding_type") &&
        fields_.text("position_embedding_type") != "absolute") {
      fields_.refuse("position_embedding_type", "absolute");
    }
    for (const char* key : {"is_decoder", "add_cross_attention", "is_encoder_decoder"}) {
      if (is_given(key) && fields_.boolean(key)) fields_.refuse(key, "false");
    }
    for (const auto& [key, value] : fields_.value().items()) {
      const bool is_known = std::ranges::binary_search(known_bert_keys, std::string_view(key)) ||
                            key == "is_decoder" || key == "add_cross_attention" ||
                            key == "is_encoder_decoder";
      if (is_known || is_void(value)) continue;
      warn(warn_, fields_.place(), ": ", in_quotes(key), " is ", shown(value),
           ", and that key is unknown: it is ignored");
    }
  }

  const JsonFields& fields_;
  const WarningSink& warn_;
};

}  // namespace detail
}  // namespace anyssr::inline ANYSSR_ABI
