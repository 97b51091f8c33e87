// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Keys of config.json beside those that are followed (llama_config_reader.hpp), as transformers
/// 4.2x to 5.x and makers of derived models write them. Three kinds: without effect on what is
/// computed; without effect at one value, which is not always false; and refused with a reason.

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "anyssr/core/error.hpp"
#include "anyssr/core/warning.hpp"
#include "anyssr/io/guarded_json.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

/// How a model was trained, what its makers sampled with, the file types (which the tensors tell),
/// how other programs run it. Sorted.
inline constexpr auto ignored_llama_keys = std::to_array<std::string_view>({
    "_attn_implementation",
    "_attn_implementation_autoset",
    "_attn_implementation_internal",
    "_commit_hash",
    "_experts_implementation",
    "_flash_attn_2_enabled",
    "_name_or_path",
    "_unsloth_version",
    "attention_dropout",
    "attention_dropout_prob",
    "attn_dropout",
    "attn_implementation",
    "bad_words_ids",
    "base_model_ep_plan",
    "base_model_pp_plan",
    "base_model_tp_plan",
    "begin_suppress_tokens",
    "bos_token",
    "cache_implementation",
    "chunk_size_feed_forward",
    "classifier_dropout",
    "cls_token_id",
    "decoder_start_token_id",
    "diversity_penalty",
    "do_sample",
    "dtype",
    "early_stopping",
    "embd_pdrop",
    "encoder_no_repeat_ngram_size",
    "eos_token",
    "exponential_decay_length_penalty",
    "finetuning_task",
    "flash_attention",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "gradient_checkpointing",
    "hidden_dropout",
    "hidden_dropout_prob",
    "id2label",
    "initializer_range",
    "is_decoder",
    "is_llama_config",
    "label2id",
    "length_penalty",
    "mask_token_id",
    "max_length",
    "max_new_tokens",
    "max_seq_len",
    "max_seq_length",
    "max_sequence_length",
    "min_length",
    "min_new_tokens",
    "model_max_length",
    "name_or_path",
    "neftune_noise_alpha",
    "no_repeat_ngram_size",
    "num_beam_groups",
    "num_beams",
    "num_labels",
    "num_return_sequences",
    "output_attentions",
    "output_hidden_states",
    "output_router_logits",
    "output_scores",
    "pad_token",
    "pad_token_id",
    "prefix",
    "pretraining_tp",
    "problem_type",
    "remove_invalid_values",
    "repetition_penalty",
    "resid_dropout",
    "resid_pdrop",
    "return_dict",
    "return_dict_in_generate",
    "sep_token_id",
    "seq_length",
    "suppress_tokens",
    "task_specific_params",
    "temperature",
    "tensor_parallel_degree",
    "tf_legacy_loss",
    "tie_encoder_decoder",
    "tokenizer_class",
    "tokenizer_model_max_length",
    "tokenizer_padding_side",
    "top_k",
    "top_p",
    "torch_dtype",
    "torchscript",
    "transformers.js_config",
    "transformers_version",
    "typical_p",
    "unk_token_id",
    "unsloth_fixed",
    "unsloth_version",
    "use_bfloat16",
    "use_cache",
    "use_flash_attention",
    "use_flash_attention_2",
    "use_flash_attn",
    "use_liger_kernel",
    "use_sdpa",
});
static_assert(std::ranges::is_sorted(ignored_llama_keys));

struct RefusedLlamaKey {
  std::string_view key;
  std::string_view reason;
};

/// Refused unless null, whatever they say: also false, {} and 0.
inline constexpr auto refused_llama_keys = std::to_array<RefusedLlamaKey>({
    {"awq_config", "quantised weights are not read"},
    {"compression_config", "quantised weights are not read"},
    {"quant_config", "quantised weights are not read"},
    {"quantization", "quantised weights are not read"},
    {"quantization_config", "quantised weights are not read"},
});

/// Switches that have no effect when true, and factors that have none at 1.
struct NeutralLlamaKey {
  std::string_view key;
  double neutral;  // 1 stands for true too, 0 for false
  std::string_view reason;
};
inline constexpr auto neutral_llama_keys = std::to_array<NeutralLlamaKey>({
    {"alibi", 0, "positions are rotary ones"},
    {"attention_multiplier", 0, "scores are scaled by head_dim alone"},
    {"attn_logit_softcapping", 0, "scores are not capped"},
    {"causal", 1, "a token sees those before it alone"},
    {"embedding_multiplier", 1, "embeddings are not scaled"},
    {"final_logit_softcapping", 0, "logits are not capped"},
    {"is_causal", 1, "a token sees those before it alone"},
    {"logit_scale", 1, "logits are not scaled"},
    {"logits_scaling", 1, "logits are not scaled"},
    {"num_experts", 0, "layers of experts are not supported"},
    {"num_local_experts", 0, "layers of experts are not supported"},
    {"qk_layernorm", 0, "queries and keys are not normalised"},
    {"residual_multiplier", 1, "branches are not scaled"},
    {"rope_interleaved", 0, "rotary pairs are those of transformers"},
    {"rope_traditional", 0, "rotary pairs are those of transformers"},
    {"rotary_pct", 1, "heads that are rotated in part are not supported"},
    {"use_alibi", 0, "positions are rotary ones"},
    {"use_bidirectional_attention", 0, "a token sees those before it alone"},
    {"use_mrope", 0, "positions are those of text"},
    {"use_qk_norm", 0, "queries and keys are not normalised"},
    {"use_rope", 1, "positions are rotary ones"},
});

/// Null, or the value at which the key has no effect.
[[nodiscard]] inline bool is_neutral(const NeutralLlamaKey& known, const Json& value) {
  if (value.is_null()) return true;
  if (value.is_boolean()) return value.get<bool>() == (known.neutral == 1);
  return value.is_number() && value.get<double>() == known.neutral;
}

/// Refuses a key that is none of those followed and could change what is computed. An unknown key
/// that says false, 0 or nothing is a warning: it is most likely a switch that is off.
/// @throws FormatError  with the reason
inline void expect_harmless_llama_key(const std::string& place, const std::string& key,
                                      const Json& value, std::string_view model_type,
                                      const WarningSink& sink) {
  const bool is_ignored = std::ranges::binary_search(ignored_llama_keys, std::string_view(key));
  if (value.is_null() || is_ignored || (key == "auto_map" && value.empty())) return;
  const auto refused = std::ranges::find(refused_llama_keys, key, &RefusedLlamaKey::key);
  if (refused != refused_llama_keys.end()) {
    raise<FormatError>(place, ": ", key, " is ", outline_of(value),
                       ", expected null: ", refused->reason);
  }
  const auto known = std::ranges::find(neutral_llama_keys, key, &NeutralLlamaKey::key);
  if (known != neutral_llama_keys.end()) {
    const std::string_view expected = !value.is_boolean()   ? (known->neutral == 1 ? "1" : "0")
                                      : known->neutral == 1 ? "true"
                                                            : "false";
    expect<FormatError>(is_neutral(*known, value), place, ": ", key, " is ", outline_of(value),
                        ", expected null or ", expected, ": ", known->reason);
    return;
  }
  if (key == "auto_map") {
    raise<FormatError>(place, ": auto_map is ", shown(value),
                       ", expected none: the model has code of its own, which is not run");
  }
  if (is_void(value)) {
    return warn(sink, place, ": ", in_quotes(key), " is ", shown(value),
                ", and that key is unknown for models of type ", model_type, ": it is ignored");
  }
  raise<FormatError>(place, ": ", in_quotes(key), " is ", shown(value),
                     ", and that key is unknown for models of type ", model_type,
                     ": it could change what is computed");
}

}  // namespace anyssr::inline ANYSSR_ABI::detail
