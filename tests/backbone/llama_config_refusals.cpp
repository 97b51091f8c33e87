// SPDX-License-Identifier: MIT
// Texts of config.json that are refused, each with its key and value.

#include <string>
#include <vector>

#include "backbone/llama_config_text.hpp"
#include "support/catch.hpp"

using namespace anyssr;
using namespace anyssr::test;

namespace {

struct MalformedLlama {
  std::string members;
  std::string message;
};

}  // namespace

TEST_CASE("a malformed config is refused with its key and value", "[backbone][error]") {
  const std::string unknown =
      ", and that key is unknown for models of type llama: it could change what is computed";
  const std::string type =
      ", expected llama, mistral, qwen2, qwen3, smollm3 or gemma3_text: others compute differently "
      "under like names";
  const std::string rope_type =
      ", expected default, linear or llama3: other types are not supported";
  const std::string width = ", expected a whole number of 0..16777216";
  const std::string ids = ", expected token ids, which are 0..31 (vocab_size)";
  const std::string llama3 =
      R"("rope_scaling":{"rope_type":"llama3","factor":8,"low_freq_factor":1,)"
      R"("high_freq_factor":4,"original_max_position_embeddings":8192)";
  const std::vector<MalformedLlama> cases{
      // what it is
      {R"("model_type":"absent!")", "has no \"model_type\""},
      {R"("model_type":null)", "model_type is null, expected a string"},
      {R"("model_type":"gemma")", "model_type is \"gemma\"" + type},
      {R"("model_type":"phi3")", "model_type is \"phi3\"" + type},
      {R"("model_type":"Llama")", "model_type is \"Llama\"" + type},
      {R"("architectures":["LlamaForSequenceClassification"])",
       "architectures[0] is \"LlamaForSequenceClassification\", expected \"LlamaForCausalLM\""},
      {R"("architectures":["LlamaForCausalLM",1])",
       "architectures[1] is 1, expected \"LlamaForCausalLM\""},
      {R"("architectures":"LlamaForCausalLM")",
       "architectures is \"LlamaForCausalLM\", expected an array"},
      {R"("hidden_act":"gelu")", "hidden_act is \"gelu\", expected \"silu\""},
      {R"("hidden_act":null)", "hidden_act is null, expected a string"},
      {R"("quantization_config":{"bits":4})",
       "quantization_config is an object, expected null: quantised weights are not read"},
      {R"("quantization_config":{})",
       "quantization_config is an object, expected null: quantised weights are not read"},
      // sizes
      {R"("vocab_size":"absent!")", "has no \"vocab_size\""},
      {R"("hidden_size":"absent!")", "has no \"hidden_size\""},
      {R"("intermediate_size":"absent!")", "has no \"intermediate_size\""},
      {R"("num_hidden_layers":"absent!")", "has no \"num_hidden_layers\""},
      {R"("num_attention_heads":"absent!")", "has no \"num_attention_heads\""},
      {R"("vocab_size":0)", "vocab_size is 0, expected 1..2147483647"},
      {R"("vocab_size":2147483648)",
       "vocab_size is 2147483648, expected a whole number of 0..2147483647"},
      {R"("vocab_size":32.0)", "vocab_size is 32.0, expected a whole number of 0..2147483647"},
      {R"("vocab_size":"32")", "vocab_size is \"32\", expected a whole number of 0..2147483647"},
      {R"("hidden_size":-24)", "hidden_size is -24" + width},
      {R"("hidden_size":0)", "hidden_size is 0, expected 1..16777216"},
      {R"("hidden_size":1e3)", "hidden_size is 1000.0" + width},
      {R"("hidden_size":18446744073709551616)", "hidden_size is 1.8446744073709552e+19" + width},
      {R"("intermediate_size":16777217)", "intermediate_size is 16777217" + width},
      {R"("intermediate_size":0)", "intermediate_size is 0, expected 1..16777216"},
      {R"("num_hidden_layers":0)", "layers (num_hidden_layers) is 0, expected 1..4096"},
      {R"("num_hidden_layers":4097)",
       "num_hidden_layers is 4097, expected a whole number of 0..4096"},
      {R"("num_hidden_layers":4000000000)",
       "num_hidden_layers is 4000000000, expected a whole number of 0..4096"},
      {R"("num_hidden_layers":true)",
       "num_hidden_layers is true, expected a whole number of 0..4096"},
      {R"("num_attention_heads":0)",
       "num_attention_heads is 0, expected a divisor of hidden_size, 24, where no head_dim is "
       "given"},
      {R"("num_attention_heads":5)",
       "num_attention_heads is 5, expected a divisor of hidden_size, 24, where no head_dim is "
       "given"},
      {R"("num_attention_heads":0,"head_dim":4)",
       "heads (num_attention_heads) is 0, expected 1..16777216"},
      {R"("num_attention_heads":8)", "head_dim is 3, expected an even number"},
      {R"("head_dim":0)", "head_dim is 0, expected 1..16777216"},
      {R"("head_dim":6.0)", "head_dim is 6.0" + width},
      {R"("head_dim":16777216)", "heads times head_dim is 67108864, expected 1..16777216"},
      {R"("num_key_value_heads":3)",
       "kv_heads (num_key_value_heads) is 3, expected a divisor of heads (num_attention_heads), 4"},
      {R"("num_key_value_heads":0)",
       "kv_heads (num_key_value_heads) is 0, expected a divisor of heads (num_attention_heads), 4"},
      {R"("num_key_value_heads":8)",
       "kv_heads (num_key_value_heads) is 8, expected a divisor of heads (num_attention_heads), 4"},
      {R"("model_type":"mistral")",
       "kv_heads (num_key_value_heads) is 8, expected a divisor of heads (num_attention_heads), 4"},
      {R"("rms_norm_eps":0)", "rms_norm_eps is 0, expected a finite number above 0"},
      {R"("rms_norm_eps":-1e-6)", "rms_norm_eps is -1e-06, expected a finite number above 0"},
      {R"("rms_norm_eps":"1e-6")", "rms_norm_eps is \"1e-6\", expected a finite number"},
      {R"("max_position_embeddings":0)",
       "max_positions (max_position_embeddings) is 0, expected 1..2147483647"},
      {R"("max_position_embeddings":null)",
       "max_position_embeddings is null, expected a whole number of 0..2147483647"},
      // rotary base
      {R"("rope_theta":0)", "rope.theta (rope_theta) is 0, expected a finite number above 0"},
      {R"("rope_theta":10000,"rope_parameters":{"rope_theta":500000.0})",
       "rope_parameters: rope_theta is 500000.0, expected what rope_theta outside of it is, 10000"},
      {R"("rope_scaling":{"type":"linear","factor":2},"rope_parameters":{"rope_theta":5})",
       "rope_scaling is {\"type\":\"linear\",\"factor\":2} and rope_parameters is "
       "{\"rope_theta\":5}, expected one of the two"},
      {R"("rope_scaling":"linear")", "rope_scaling: is \"linear\", expected an object"},
      {R"("rope_scaling":{"type":"dynamic","factor":2.0})",
       "rope_scaling: type is \"dynamic\"" + rope_type},
      {R"("rope_scaling":{"rope_type":"yarn","factor":4.0})",
       "rope_scaling: rope_type is \"yarn\"" + rope_type},
      {R"("rope_parameters":{"rope_type":"longrope","factor":4.0})",
       "rope_parameters: rope_type is \"longrope\"" + rope_type},
      {R"("rope_scaling":{"type":"mrope"})", "rope_scaling: type is \"mrope\"" + rope_type},
      {R"("rope_scaling":{"type":null})", "rope_scaling: type is null, expected a string"},
      {R"("rope_scaling":{"type":"mrope","rope_type":"default"})",
       "rope_scaling: type is \"mrope\", expected what rope_type is, \"default\""},
      {R"("rope_scaling":{"type":"linear"})", "rope_scaling: has no \"factor\""},
      {R"("rope_scaling":{"type":"linear","factor":"2"})",
       "rope_scaling: factor is \"2\", expected a finite number"},
      {R"("rope_scaling":{"type":"linear","factor":0.5})",
       "rope.factor is 0.5, expected a finite number of at least 1"},
      {R"("rope_scaling":{"type":"linear","factor":2,"mscale":1})",
       "rope_scaling: \"mscale\" is 1, and rope type linear has no such number"},
      {R"("rope_scaling":{"type":"linear","factor":2,"low_freq_factor":1})",
       "rope_scaling: \"low_freq_factor\" is 1, and rope type linear has no such number"},
      {R"("rope_scaling":{"factor":2})",
       "rope_scaling: \"factor\" is 2, and rope type default has no such number"},
      {R"("rope_parameters":{"full_attention":{"rope_theta":1e6}})",
       "rope_parameters: full_attention is an object, expected a number: one rotary base for all "
       "layers"},
      {R"("rope_scaling":{"rope_type":"llama3","factor":8,"low_freq_factor":1,)"
       R"("high_freq_factor":4})",
       "rope_scaling: has no \"original_max_position_embeddings\""},
      {R"("rope_scaling":{"rope_type":"llama3","factor":8,"high_freq_factor":4,)"
       R"("original_max_position_embeddings":8192})",
       "rope_scaling: has no \"low_freq_factor\""},
      {R"("rope_scaling":{"rope_type":"llama3","factor":8,"low_freq_factor":1,)"
       R"("high_freq_factor":4,"original_max_position_embeddings":8192.5})",
       "rope_scaling: original_max_position_embeddings is 8192.5, expected a whole number of "
       "0..2147483647"},
      {R"("rope_scaling":{"rope_type":"llama3","factor":8,"low_freq_factor":4,)"
       R"("high_freq_factor":4,"original_max_position_embeddings":8192})",
       "rope.high_freq_factor is 4, expected a finite number above low_freq_factor, 4"},
      {R"("rope_scaling":{"rope_type":"llama3","factor":8,"low_freq_factor":0,)"
       R"("high_freq_factor":4,"original_max_position_embeddings":8192})",
       "rope.low_freq_factor is 0, expected a finite number above 0"},
      {R"("rope_scaling":{"rope_type":"llama3","factor":8,"low_freq_factor":1,)"
       R"("high_freq_factor":4,"original_max_position_embeddings":0})",
       "rope.original_max_positions (original_max_position_embeddings) is 0, expected a finite "
       "number of at least 1"},
      {llama3 + R"(,"beta_fast":32})",
       "rope_scaling: \"beta_fast\" is 32, and rope type llama3 has no such number"},
      {R"("partial_rotary_factor":0.5)",
       "partial_rotary_factor is 0.5, expected 1: heads that are rotated in part are not "
       "supported"},
      {R"("rope_parameters":{"partial_rotary_factor":0.25})",
       "rope_parameters: partial_rotary_factor is 0.25, expected 1: heads that are rotated in part "
       "are not supported"},
      // switches and windows
      {R"("attention_bias":1)", "attention_bias is 1, expected true or false"},
      {R"("mlp_bias":"no")", "mlp_bias is \"no\", expected true or false"},
      {R"("tie_word_embeddings":0)", "tie_word_embeddings is 0, expected true or false"},
      {R"("sliding_window":4096)", "\"sliding_window\" is 4096" + unknown},
      {R"("use_sliding_window":true)", "\"use_sliding_window\" is true" + unknown},
      {R"("model_type":"mistral","num_key_value_heads":2,"sliding_window":0)",
       "sliding_window is 0, expected null or at least 1"},
      {R"("model_type":"mistral","num_key_value_heads":2,"sliding_window":-1)",
       "sliding_window is -1, expected a whole number of 0..2147483647"},
      {R"("model_type":"mistral","num_key_value_heads":2,"attention_bias":true)",
       "\"attention_bias\" is true, and that key is unknown for models of type mistral: it could "
       "change what is computed"},
      {qwen2_members + R"(,"use_sliding_window":1)",
       "use_sliding_window is 1, expected true or false"},
      {qwen2_members + R"(,"max_window_layers":-1)",
       "max_window_layers is -1, expected a whole number of 0..2147483647"},
      {qwen2_members + R"(,"layer_types":["full_attention"])",
       "layer_types has 1 entries, expected one entry per layer, 4"},
      {qwen2_members + R"(,"layer_types":["chunked_attention"])",
       "layer_types[0] is \"chunked_attention\", expected \"full_attention\" or "
       "\"sliding_attention\""},
      {qwen2_members + R"(,"sliding_window":8,"layer_types":["full_attention",)"
                       R"("sliding_attention"])",
       "layer_types[1] is \"sliding_attention\", expected a sliding_window and use_sliding_window "
       "true with it"},
      {qwen2_members + R"(,"layer_types":"full_attention")",
       "layer_types is \"full_attention\", expected an array"},
      {qwen2_members + R"(,"use_mrope":true)",
       "use_mrope is true, expected null or false: positions are those of text"},
      // tokens
      {R"("eos_token_id":32)", "eos_token_id is 32" + ids},
      {R"("eos_token_id":-1)", "eos_token_id is -1" + ids},
      {R"("eos_token_id":2.0)", "eos_token_id is 2.0" + ids},
      {R"("eos_token_id":"2")", "eos_token_id is \"2\"" + ids},
      {R"("eos_token_id":[2,[3]])", "eos_token_id is an array" + ids},
      {R"("bos_token_id":[1,2])", "bos_token_id is an array, expected one token id"},
      {R"("bos_token_id":true)", "bos_token_id is true" + ids},
      // known and refused
      {R"("logit_scale":0.0625)",
       "logit_scale is 0.0625, expected null or 1: logits are not scaled"},
      {R"("is_causal":false)",
       "is_causal is false, expected null or true: a token sees those before it alone"},
      {R"("use_bidirectional_attention":true)",
       "use_bidirectional_attention is true, expected null or false: a token sees those before it "
       "alone"},
      {R"("rope_interleaved":true)",
       "rope_interleaved is true, expected null or false: rotary pairs are those of transformers"},
      {R"("attn_logit_softcapping":50.0)",
       "attn_logit_softcapping is 50.0, expected null or 0: scores are not capped"},
      {R"("rotary_pct":"1")",
       "rotary_pct is \"1\", expected null or 1: heads that are rotated in part are not supported"},
      {R"("quantization":{"bits":4,"group_size":64})",
       "quantization is an object, expected null: quantised weights are not read"},
      {R"("compression_config":{"format":"pack-quantized"})",
       "compression_config is an object, expected null: quantised weights are not read"},
      {R"("auto_map":{"AutoModel":"m.M"})",
       "auto_map is {\"AutoModel\":\"m.M\"}, expected none: the model has code of its own, which "
       "is not run"},
      {R"("layer_types":["full_attention","sliding_attention"])",
       "layer_types[1] is \"sliding_attention\", expected \"full_attention\": a llama has no "
       "windows"},
      {R"("model_type":"mistral","num_key_value_heads":2,"sliding_window":8,)"
       R"("layer_types":["full_attention"])",
       "layer_types[0] is \"full_attention\", expected \"sliding_attention\": sliding_window is 8, "
       "which a mistral has in all layers"},
      {R"("model_type":"mistral","num_key_value_heads":2,"sliding_window":null,)"
       R"("layer_types":["sliding_attention"])",
       "layer_types[0] is \"sliding_attention\", expected a sliding_window with it"},
      // unknown
      {R"("per_layer_config":{"3":{"hidden_size":8}})",
       "\"per_layer_config\" is {\"3\":{\"hidden_size\":8}}" + unknown},
      {R"("is_encoder_decoder":true)", "\"is_encoder_decoder\" is true" + unknown},
      {R"("new\nidea":[0])", "\"new\\nidea\" is [0]" + unknown},
      {R"("original_max_position_embeddings":4096)",
       "\"original_max_position_embeddings\" is 4096" + unknown}};
  for (const MalformedLlama& malformed : cases) {
    CAPTURE(malformed.members);
    CHECK(refusal_of_llama(llama_text_with(malformed.members)) == malformed.message);
  }
  CHECK(refusal_of_llama("[1]") == "is an array, expected an object");
  CHECK(refusal_of_llama("{\"model_type\":\"llama\",\"model_type\":\"llama\"}") ==
        "the key \"model_type\" stands there twice");
  CHECK(refusal_of_llama("{\"model_type\":") == "broken JSON at byte 15");
}
