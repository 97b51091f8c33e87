// SPDX-License-Identifier: MIT
#include "anyssr/backbone/llama/llama_config.hpp"

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <numbers>
#include <string>
#include <utility>
#include <vector>

#include "anyssr/backbone/llama/llama_config_reader.hpp"
#include "support/catch.hpp"
#include "support/corpus.hpp"
#include "support/llama_folder.hpp"
#include "support/program.hpp"

using namespace anyssr;
using namespace anyssr::test;

namespace {

constexpr const char* least_llama =
    R"({"model_type":"llama","vocab_size":32,"hidden_size":24,"intermediate_size":40,)"
    R"("num_hidden_layers":4,"num_attention_heads":4})";

/// least_llama with other members; "absent!" takes one away.
std::string llama_text_with(const std::string& members) {
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

LlamaConfig parse_llama(const std::string& text) {
  keep_for_fuzzing("llama_config", text);
  return parse_llama_config(parse_json(text, "c"), "c");
}

LlamaConfig parse_llama_with(const std::string& members) {
  return parse_llama(llama_text_with(members));
}

std::string refusal_of_llama(const std::string& text) {
  const std::string message = message_of<FormatError>([&] { (void)parse_llama(text); });
  return message.starts_with("c: ") ? message.substr(3) : message;
}

const std::string qwen2_members =
    R"("model_type":"qwen2","num_attention_heads":4,"num_key_value_heads":2)";

struct MalformedLlama {
  std::string members;
  std::string message;
};

}  // namespace

TEST_CASE("a llama config of the required keys has the defaults of transformers",
          "[backbone][golden]") {
  const LlamaConfig config = parse_llama(least_llama);
  LlamaConfig expected;
  expected.model_type = "llama";
  expected.vocab_size = 32;
  expected.hidden_size = 24;
  expected.intermediate_size = 40;
  expected.layers = 4;
  expected.heads = 4;
  expected.kv_heads = 4;
  expected.head_dim = 6;
  expected.rms_norm_eps = 1e-6;
  expected.max_positions = 2048;
  expected.windows = {0, 0, 0, 0};
  expected.bos = 1;
  expected.eos = {2};
  CHECK(config == expected);
  CHECK(config.rope == RopeOptions{.type = RopeType::standard, .theta = 10000});
  CHECK(config.query_dim() == 24);
  CHECK(config.kv_dim() == 24);
}

TEST_CASE("every key of a llama config that counts is read", "[backbone][golden]") {
  const LlamaConfig config = parse_llama(
      R"({"architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 64,
          "hidden_size": 16, "intermediate_size": 48, "num_hidden_layers": 3,
          "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8,
          "hidden_act": "silu", "rms_norm_eps": 1e-05, "max_position_embeddings": 131072,
          "rope_theta": 500000.0, "attention_bias": true, "mlp_bias": true,
          "tie_word_embeddings": true, "bos_token_id": 60, "eos_token_id": [61, 62, 61],
          "rope_scaling": {"factor": 32.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
                           "original_max_position_embeddings": 8192, "rope_type": "llama3"}})");
  LlamaConfig expected;
  expected.vocab_size = 64;
  expected.hidden_size = 16;
  expected.intermediate_size = 48;
  expected.layers = 3;
  expected.heads = 4;
  expected.kv_heads = 2;
  expected.head_dim = 8;
  expected.rms_norm_eps = 1e-5;
  expected.max_positions = 131072;
  expected.rope = {RopeType::llama3, 500000, 32, 1, 4, 8192};
  expected.qkv_bias = expected.output_bias = expected.mlp_bias = expected.tied_output = true;
  expected.windows = {0, 0, 0};
  expected.bos = 60;
  expected.eos = {61, 62};
  CHECK(config == expected);
  CHECK(config.query_dim() == 32);
  CHECK(config.kv_dim() == 16);
}

TEST_CASE("key heads that are not given depend on the model type", "[backbone]") {
  const std::string null = R"("num_key_value_heads":null)";
  CHECK(parse_llama_with(null).kv_heads == 4);
  CHECK(parse_llama_with(R"("model_type":"mistral",)" + null).kv_heads == 4);
  CHECK(parse_llama_with(R"("model_type":"qwen2",)" + null).kv_heads == 4);
  const std::string heads = R"("num_attention_heads":32,"head_dim":2)";
  CHECK(parse_llama_with(heads).kv_heads == 32);
  CHECK(parse_llama_with(R"("model_type":"mistral",)" + heads).kv_heads == 8);
  CHECK(parse_llama_with(R"("model_type":"qwen2",)" + heads).kv_heads == 32);
  CHECK(parse_llama_with(R"("head_dim":null)").head_dim == 6);
  CHECK(parse_llama_with(R"("head_dim":10)").query_dim() == 40);
}

TEST_CASE("the rotary base is read from where either generation of files has it",
          "[backbone][golden]") {
  const auto rope = [](const std::string& members) { return parse_llama_with(members).rope; };
  CHECK(rope(R"("rope_theta":500000)") == RopeOptions{.theta = 500000});
  CHECK(rope(R"("rope_theta":1e6,"rope_scaling":null)") == RopeOptions{.theta = 1e6});
  CHECK(rope(R"("rope_parameters":{"rope_theta":1e6,"rope_type":"default"})") ==
        RopeOptions{.theta = 1e6});
  CHECK(rope(R"("rope_parameters":{"rope_theta":1e6})") == RopeOptions{.theta = 1e6});
  CHECK(rope(R"("rope_parameters":{})") == RopeOptions{});
  CHECK(rope(R"("rope_theta":10000,"rope_parameters":{"rope_theta":10000.0})") == RopeOptions{});
  CHECK(rope(R"("rope_scaling":{"type":"linear","factor":4})") ==
        RopeOptions{.type = RopeType::linear, .factor = 4});
  CHECK(rope(R"("rope_scaling":{"type":"linear","rope_type":"linear","factor":2.5})") ==
        RopeOptions{.type = RopeType::linear, .factor = 2.5});
  CHECK(rope(R"("rope_parameters":{"rope_type":"linear","factor":1,"rope_theta":7.5})") ==
        RopeOptions{.type = RopeType::linear, .theta = 7.5, .factor = 1});
  CHECK(rope(R"("rope_scaling":{"type":"linear","factor":4,"beta_fast":null})") ==
        RopeOptions{.type = RopeType::linear, .factor = 4});
  const std::string both = R"({"rope_type":"linear","factor":2.0})";
  CHECK(rope("\"rope_scaling\":" + both + ",\"rope_parameters\":" + both) ==
        RopeOptions{.type = RopeType::linear, .factor = 2});
  CHECK(rope(R"("partial_rotary_factor":1.0)") == RopeOptions{});
  CHECK(rope(R"("rope_theta":7.5,"rope_parameters":{"rope_theta":null})") ==
        RopeOptions{.theta = 7.5});
  CHECK(rope(R"("rope_scaling":{"type":"linear","factor":4,)"
             R"("original_max_position_embeddings":4096})") ==
        RopeOptions{.type = RopeType::linear, .factor = 4});
  CHECK(rope(R"("rope_parameters":{"partial_rotary_factor":1})") == RopeOptions{});
}

TEST_CASE("a mistral config has one window for all layers", "[backbone][golden]") {
  const std::string mistral =
      R"("model_type":"mistral","architectures":["MistralForCausalLM"],"num_key_value_heads":2,)";
  CHECK(parse_llama_with(mistral + R"("sliding_window":16)").windows ==
        std::vector<Index>{16, 16, 16, 16});
  CHECK(parse_llama_with(mistral + R"("sliding_window":null)").windows ==
        std::vector<Index>{0, 0, 0, 0});
  const LlamaConfig config = parse_llama_with(mistral + R"("mlp_bias":false)");
  CHECK(config.windows == std::vector<Index>{4096, 4096, 4096, 4096});
  CHECK_FALSE(config.qkv_bias);
  CHECK_FALSE(config.output_bias);
  CHECK(config.eos == std::vector<TokenId>{2});
}

TEST_CASE("a qwen2 config has biases and windows of its own rules", "[backbone][golden]") {
  const auto windows = [](const std::string& members) {
    return parse_llama_with(qwen2_members + "," + members).windows;
  };
  const std::vector<Index> none{0, 0, 0, 0};
  const std::string on = R"("use_sliding_window":true,)";
  CHECK(windows(R"("sliding_window":16)") == none);
  CHECK(windows(R"("sliding_window":16,"use_sliding_window":false,"max_window_layers":1)") == none);
  CHECK(windows(on + R"("sliding_window":null,"max_window_layers":1)") == none);
  CHECK(windows(on + R"("sliding_window":16)") == none);  // from layer 28 on
  CHECK(windows(on + R"("sliding_window":16,"max_window_layers":1)") ==
        std::vector<Index>{0, 16, 16, 16});
  CHECK(windows(on + R"("max_window_layers":3)") == std::vector<Index>{0, 0, 0, 4096});
  CHECK(windows(on + R"("sliding_window":16,"max_window_layers":0,"layer_types":)"
                     R"(["sliding_attention","full_attention","full_attention",)"
                     R"("sliding_attention"])") == std::vector<Index>{16, 0, 0, 16});
  CHECK(windows(R"("layer_types":["full_attention","full_attention","full_attention",)"
                R"("full_attention"])") == none);
  CHECK(windows(on + R"("layer_types":null,"sliding_window":8,"max_window_layers":3)") ==
        std::vector<Index>{0, 0, 0, 8});
  const LlamaConfig config =
      parse_llama_with(qwen2_members + R"(,"architectures":["Qwen2ForCausalLM"])");
  CHECK(config.qkv_bias);
  CHECK_FALSE(config.output_bias);
  CHECK_FALSE(config.mlp_bias);
  CHECK_FALSE(config.bos);
  CHECK(config.eos.empty());
}

TEST_CASE("token ids of a config may be absent or null or a list", "[backbone]") {
  CHECK(parse_llama_with(R"("eos_token_id":null)").eos.empty());
  CHECK_FALSE(parse_llama_with(R"("bos_token_id":null)").bos);
  CHECK(parse_llama_with(R"("eos_token_id":[])").eos.empty());
  CHECK(parse_llama_with(R"("eos_token_id":31)").eos == std::vector<TokenId>{31});
  CHECK(parse_llama_with(R"("bos_token_id":[0])").bos == 0);
  CHECK(parse_llama_with(R"("vocab_size":2)").eos.empty());  // the default is none of its tokens
}

TEST_CASE("keys of a config without effect are passed over", "[backbone]") {
  const LlamaConfig expected = parse_llama(least_llama);
  for (const std::string member : {R"("_name_or_path":"/models/x")",
                                   R"("attention_dropout":0.1)",
                                   R"("dtype":"bfloat16")",
                                   R"("id2label":{"0":"LABEL_0"})",
                                   R"("initializer_range":0.02)",
                                   R"("is_llama_config":true)",
                                   R"("pad_token_id":-1)",
                                   R"("pretraining_tp":2)",
                                   R"("return_dict":true)",
                                   R"("rope_interleaved":false)",
                                   R"("tokenizer_class":"LlamaTokenizer")",
                                   R"("torch_dtype":"float16")",
                                   R"("transformers.js_config":{"dtype":"q4"})",
                                   R"("transformers_version":"5.0.0")",
                                   R"("_attn_implementation_autoset":true)",
                                   R"("_attn_implementation":"sdpa")",
                                   R"("attn_implementation":"flash_attention_2")",
                                   R"("tokenizer_padding_side":"left")",
                                   R"("tokenizer_model_max_length":4096)",
                                   R"("model_max_length":4096)",
                                   R"("max_sequence_length":2048)",
                                   R"("num_labels":2)",
                                   R"("is_decoder":true)",
                                   R"("architectures":["LLaMAForCausalLM"])",
                                   R"("hidden_act":"swish")",
                                   R"("attention_bias":null)",
                                   R"("mlp_bias":null)",
                                   R"("tie_word_embeddings":null)",
                                   R"("rope_theta":null)",
                                   R"("partial_rotary_factor":null)",
                                   R"("layer_types":null)",
                                   R"("layer_types":["full_attention","full_attention",)"
                                   R"("full_attention","full_attention"])",
                                   R"("use_sliding_window":false)",
                                   R"("max_window_layers":28)",
                                   R"("is_causal":true)",
                                   R"("rotary_pct":1.0)",
                                   R"("logit_scale":1)",
                                   R"("attn_logit_softcapping":null)",
                                   R"("qk_layernorm":false)",
                                   R"("unsloth_fixed":true)",
                                   R"("use_cache":false)",
                                   R"("architectures":null)",
                                   R"("architectures":[])",
                                   R"("quantization_config":null)",
                                   R"("sliding_window":null)",
                                   R"("auto_map":{})",
                                   R"("new_idea":null)",
                                   R"("new_idea":false)",
                                   R"("new_idea":0)",
                                   R"("new_idea":0.0)",
                                   R"("new_idea":"")",
                                   R"("new_idea":[])",
                                   R"("new_idea":{})"}) {
    CAPTURE(member);
    CHECK(parse_llama_with(member) == expected);
  }
}

TEST_CASE("configs as writers of several years dump them are read without a warning",
          "[backbone][golden]") {
  struct Dump {
    std::string name;
    std::string text;
  };
  const std::string sizes =
      R"("vocab_size":64,"hidden_size":16,"intermediate_size":48,"num_hidden_layers":2,)"
      R"("num_attention_heads":4,"rms_norm_eps":1e-05,"hidden_act":"silu","initializer_range":0.02,)";
  const std::vector<Dump> dumps{
      {"llama of transformers 4.27",
       sizes + R"("architectures":["LLaMAForCausalLM"],"bos_token_id":0,"eos_token_id":1,)"
               R"("max_sequence_length":2048,"model_type":"llama","pad_token_id":-1,)"
               R"("torch_dtype":"float16","transformers_version":"4.27.0.dev0","use_cache":true)"},
      {"a derived llama of transformers 4.34",
       sizes + R"("_name_or_path":"base","architectures":["LlamaForCausalLM"],)"
               R"("attention_bias":false,"bos_token_id":1,"eos_token_id":2,"max_length":4096,)"
               R"("max_position_embeddings":4096,"model_type":"llama","num_key_value_heads":4,)"
               R"("pad_token_id":0,"pretraining_tp":1,"rope_scaling":null,"rope_theta":10000.0,)"
               R"("tie_word_embeddings":false,"torch_dtype":"bfloat16","use_cache":false,)"
               R"("tokenizer_model_max_length":4096,"tokenizer_padding_side":"right",)"
               R"("transformers_version":"4.34.1","unsloth_version":"2024.9")"},
      {"llama of transformers 4.45",
       sizes + R"("_attn_implementation_autoset":true,"architectures":["LlamaForCausalLM"],)"
               R"("attention_bias":false,"attention_dropout":0.0,"bos_token_id":1,"head_dim":4,)"
               R"("eos_token_id":[2,3],"max_position_embeddings":131072,"mlp_bias":false,)"
               R"("model_type":"llama","num_key_value_heads":2,"pretraining_tp":1,"rope_scaling":)"
               R"({"factor":32.0,"high_freq_factor":4.0,"low_freq_factor":1.0,)"
               R"("original_max_position_embeddings":8192,"rope_type":"llama3"},)"
               R"("rope_theta":500000.0,"tie_word_embeddings":true,"torch_dtype":"bfloat16",)"
               R"("is_llama_config":true,"rope_interleaved":false,"use_cache":true)"},
      {"llama of transformers 5",
       sizes + R"("architectures":["LlamaForCausalLM"],"attention_bias":false,)"
               R"("attention_dropout":0.0,"bos_token_id":1,"dtype":"bfloat16","eos_token_id":2,)"
               R"("head_dim":4,"max_position_embeddings":2048,"mlp_bias":false,)"
               R"("model_type":"llama","num_key_value_heads":4,"pad_token_id":null,)"
               R"("pretraining_tp":1,"rope_parameters":{"rope_theta":10000.0,)"
               R"("rope_type":"default"},"tie_word_embeddings":false,)"
               R"("transformers_version":"5.0.0","use_cache":true)"},
      {"mistral of transformers 4.42",
       sizes + R"("architectures":["MistralForCausalLM"],"attention_dropout":0.0,)"
               R"("bos_token_id":1,"eos_token_id":2,"head_dim":null,"model_type":"mistral",)"
               R"("max_position_embeddings":32768,"num_key_value_heads":2,"rope_theta":1e6,)"
               R"("sliding_window":null,"tie_word_embeddings":false,"mlp_bias":false,)"
               R"("layer_types":["full_attention","full_attention"],"torch_dtype":"bfloat16")"},
      {"qwen2 of transformers 4.55",
       sizes + R"("architectures":["Qwen2ForCausalLM"],"attention_dropout":0.0,)"
               R"("attention_bias":true,"qkv_bias":true,"bos_token_id":10,"eos_token_id":11,)"
               R"("layer_types":["full_attention","full_attention"],"max_window_layers":28,)"
               R"("max_position_embeddings":32768,"model_type":"qwen2","num_key_value_heads":2,)"
               R"("rope_scaling":null,"rope_theta":1e6,"sliding_window":null,"use_mrope":false,)"
               R"("tie_word_embeddings":true,"torch_dtype":"bfloat16","use_cache":true,)"
               R"("use_sliding_window":false)"}};
  for (const Dump& dump : dumps) {
    CAPTURE(dump.name);
    std::vector<std::string> warnings;
    const auto sink = [&](const std::string& message) { warnings.push_back(message); };
    const LlamaConfig config =
        parse_llama_config(parse_json("{" + dump.text + "}", "c"), "c", sink);
    CHECK(config.head_dim == 4);
    CHECK(config.windows == std::vector<Index>{0, 0});
    CHECK(warnings.empty());
  }
}

TEST_CASE("an unknown key that says false or nothing is a warning", "[backbone]") {
  std::vector<std::string> warnings;
  const auto sink = [&](const std::string& message) { warnings.push_back(message); };
  const auto parse = [&](const std::string& members) {
    warnings.clear();
    (void)parse_llama_config(parse_json(llama_text_with(members), "c"), "c", sink);
    return warnings;
  };
  CHECK(parse(R"("new_idea":null,"auto_map":{},"torchscript":false)").empty());
  CHECK(parse(R"("new_idea":false)") ==
        std::vector<std::string>{"c: \"new_idea\" is false, and that key is unknown for models of "
                                 "type llama: it is ignored"});
  CHECK(parse(R"("one":0,"two":"","three":[])").size() == 3);
}

TEST_CASE("a malformed config is refused with its key and value", "[backbone][error]") {
  const std::string unknown =
      ", and that key is unknown for models of type llama: it could change what is computed";
  const std::string type =
      ", expected llama, mistral or qwen2: others compute differently under like names";
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
      {R"("model_type":"qwen3")", "model_type is \"qwen3\"" + type},
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

TEST_CASE("a config of a folder is read with its path in the message", "[backbone][error]") {
  const TemporaryFolder folder;
  const std::string path = folder.write("config.json", least_llama);
  CHECK(read_llama_config(folder.file("")) == parse_llama(least_llama));
  CHECK(message_of<FormatError>([&] {
          folder.write("config.json", llama_text_with(R"("hidden_act":"relu")"));
          (void)read_llama_config(folder.file("."));
        }) == folder.file("./config.json") + ": hidden_act is \"relu\", expected \"silu\"");
  folder.write("config.json", std::string((std::size_t{4} << 20) + 1, ' '));
  CHECK(message_of<FormatError>([&] { (void)read_llama_config(folder.file("")); }) ==
        path + ": has 4194305 bytes, expected at most 4194304");
  CHECK(message_of<FileError>([&] { (void)read_llama_config(folder.file("none")); }) ==
        folder.file("none/config.json") + ": cannot be opened: No such file or directory");
}

TEST_CASE("a folder without a config says what it holds instead", "[backbone][error]") {
  const TemporaryFolder folder;
  const auto refusal = [&](const std::string& path) {
    return message_of<FileError>([&] { (void)read_llama_config(path); });
  };
  const std::string gguf = folder.write("model.Q4_K_M.gguf", "GGUF");
  const std::string place = folder.file("config.json") + ": is not there; ";
  CHECK(refusal(folder.file("")) ==
        place +
            "it holds \"model.Q4_K_M.gguf\", a GGUF file (llama.cpp): get the model as "
            "safetensors, as published for transformers");
  CHECK(refusal(gguf) == gguf + "/config.json: is not there; " + gguf +
                             " is a file, expected the folder of a model in the layout of "
                             "transformers");
  folder.write("adapter_config.json", "{}");
  CHECK(refusal(folder.file("")) ==
        place + "it is the folder of an adapter, expected the one of the model");
  folder.write("config.json", "<!DOCTYPE html><html>");
  CHECK(contains(message_of<FormatError>([&] { (void)read_llama_config(folder.file("")); }),
                 "config.json: is an HTML page, expected JSON text: download the file itself"));
}

TEST_CASE("a generation config says which tokens end a text", "[backbone]") {
  const TemporaryFolder folder;
  folder.write("config.json", llama_text_with(R"("eos_token_id":5)"));
  const auto eos_with = [&](const std::string& text) {
    folder.write("generation_config.json", text);
    return read_llama_config(folder.file("")).eos;
  };
  CHECK(read_llama_config(folder.file("")).eos == std::vector<TokenId>{5});
  CHECK(eos_with(R"({"eos_token_id":[7,8],"temperature":0.6,"top_p":0.9})") ==
        std::vector<TokenId>{7, 8});
  CHECK(eos_with(R"({"eos_token_id":9})") == std::vector<TokenId>{9});
  CHECK(eos_with(R"({"eos_token_id":null})") == std::vector<TokenId>{5});
  CHECK(eos_with("{}") == std::vector<TokenId>{5});
  const std::string path = folder.file("generation_config.json");
  CHECK(message_of<FormatError>([&] { (void)eos_with(R"({"eos_token_id":[7,32]})"); }) ==
        path + ": eos_token_id is an array, expected token ids, which are 0..31 (vocab_size)");
  CHECK(message_of<FormatError>([&] { (void)eos_with("{"); }) == path + ": broken JSON at byte 2");
}

TEST_CASE("a config made by hand is checked field by field", "[backbone][error]") {
  CHECK_NOTHROW(small_llama_config().check());
  const auto refusal = [](auto change) {
    LlamaConfig config = small_llama_config();
    change(config);
    return message_of<ArgumentError>([&] { config.check(); });
  };
  CHECK(message_of<ArgumentError>([] { LlamaConfig().check(); }) ==
        "vocab_size is 0, expected 1..2147483647");
  CHECK(refusal([](auto& c) { c.model_type = "gpt2"; }) ==
        "model_type is \"gpt2\", expected llama, mistral or qwen2");
  CHECK(refusal([](auto& c) { c.hidden_size = -8; }) == "hidden_size is -8, expected 1..16777216");
  CHECK(refusal([](auto& c) { c.layers = 4097; }) ==
        "layers (num_hidden_layers) is 4097, expected 1..4096");
  CHECK(
      refusal([](auto& c) { c.kv_heads = 3; }) ==
      "kv_heads (num_key_value_heads) is 3, expected a divisor of heads (num_attention_heads), 4");
  CHECK(refusal([](auto& c) { c.head_dim = 5; }) == "head_dim is 5, expected an even number");
  CHECK(refusal([](auto& c) { c.rms_norm_eps = std::nan(""); }) ==
        "rms_norm_eps is nan, expected a finite number above 0");
  CHECK(refusal([](auto& c) { c.rope.theta = -1; }) ==
        "rope.theta (rope_theta) is -1, expected a finite number above 0");
  CHECK(refusal([](auto& c) { c.windows = {0}; }) ==
        "windows have 1 entries, expected one entry per layer, 2");
  CHECK(refusal([](auto& c) {
          c.windows = {0, -1};
        }) == "windows have -1, expected 0 or more tokens");
  CHECK(refusal([](auto& c) { c.bos = 11; }) == "bos (bos_token_id) is 11, expected 0..10");
  CHECK(refusal([](auto& c) { c.eos = {2, -3}; }) == "eos (eos_token_id) has -3, expected 0..10");
  LlamaConfig config = small_llama_config();
  config.head_dim = 0;
  CHECK(message_of<ArgumentError>([&] { (void)rotary_frequencies(config); }) ==
        "head_dim is 0, expected an even number above 0");
}

TEST_CASE("a config that is written to a folder is read as it was", "[backbone][property]") {
  LlamaConfig llama = small_llama_config();
  llama.rope = {RopeType::llama3, 500000, 8, 1, 4, 8192};
  llama.qkv_bias = llama.output_bias = llama.mlp_bias = true;
  LlamaConfig mistral = small_llama_config();
  mistral.model_type = "mistral";
  mistral.rope = {.type = RopeType::linear, .theta = 1e6, .factor = 4};
  mistral.windows = {16, 16};
  LlamaConfig qwen2 = small_llama_config();
  qwen2.model_type = "qwen2";
  qwen2.qkv_bias = qwen2.tied_output = true;
  qwen2.windows = {0, 24};
  qwen2.bos.reset();
  qwen2.eos = {3, 4};
  for (const LlamaConfig& config : {small_llama_config(), llama, mistral, qwen2}) {
    CAPTURE(config.model_type);
    CHECK(parse_llama(llama_config_json(config).dump()) == config);
  }
}

TEST_CASE("rotary frequencies are powers of the base", "[backbone][golden]") {
  LlamaConfig config = small_llama_config();
  config.head_dim = 8;
  const Vector<double> f = rotary_frequencies(config);  // 10000^(-i / 4)
  REQUIRE(f.size() == 4);
  CHECK(f[0] == 1);
  CHECK(std::abs(f[1] - 0.1) < 1e-14 * 0.1);
  CHECK(std::abs(f[2] - 0.01) < 1e-14 * 0.01);
  CHECK(std::abs(f[3] - 0.001) < 1e-14 * 0.001);
  config.rope.type = RopeType::linear;
  config.rope.factor = 4;
  CHECK((rotary_frequencies(config) - f / 4).cwiseAbs().maxCoeff() == 0);
}

TEST_CASE("rotary frequencies of llama3 are those of the direct formula", "[backbone][golden]") {
  LlamaConfig config = small_llama_config();
  config.head_dim = 128;
  config.rope = {RopeType::llama3, 500000, 8, 1, 4, 8192};
  const Vector<double> found = rotary_frequencies(config);
  const auto direct = [](int i) {  // by wavelengths, case by case
    const double f = std::exp(-2.0 * i / 128 * std::log(500000.0));
    const double w = 2 * std::numbers::pi / f;
    if (w < 8192 / 4.0) return f;
    if (w > 8192 / 1.0) return f / 8;
    const double s = (8192 / w - 1) / (4 - 1);
    return (1 - s) * f / 8 + s * f;
  };
  int kept = 0;
  int slowed = 0;
  config.rope.type = RopeType::standard;
  const Vector<double> unscaled = rotary_frequencies(config);
  for (int i = 0; i < 64; ++i) {
    CAPTURE(i);
    CHECK(std::abs(found[i] - direct(i)) <= 1e-13 * direct(i));
    kept += static_cast<int>(found[i] == unscaled[i]);
    slowed += static_cast<int>(found[i] == unscaled[i] / 8);
  }
  CHECK(kept == 29);    // pairs that turn more than 4 times in 8192 tokens
  CHECK(slowed == 29);  // less than once
}

TEST_CASE("the config of tiny-llama is read", "[backbone][golden]") {
  const char* const extra = std::getenv("ANYSSR_EXTRA_DATA");
  if (extra == nullptr) {
    std::cout << "skipped: ANYSSR_EXTRA_DATA is not set\n";
    return;
  }
  const LlamaConfig config =
      read_llama_config(std::filesystem::path(extra) / "models" / "tiny-llama");
  LlamaConfig expected;
  expected.vocab_size = 2048;
  expected.hidden_size = 192;
  expected.intermediate_size = 512;
  expected.layers = 8;
  expected.heads = 6;
  expected.kv_heads = 2;
  expected.head_dim = 32;
  expected.rms_norm_eps = 1e-5;
  expected.max_positions = 512;
  expected.windows.assign(8, 0);
  expected.bos = 1;
  expected.eos = {2};
  CHECK(config == expected);
}
