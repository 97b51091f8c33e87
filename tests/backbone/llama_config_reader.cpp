// SPDX-License-Identifier: MIT
#include "anyssr/backbone/llama/llama_config_reader.hpp"

#include <string>
#include <vector>

#include "backbone/llama_config_text.hpp"
#include "support/catch.hpp"

using namespace anyssr;
using namespace anyssr::test;

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
  expected.rope = {.type = RopeType::llama3,
                   .theta = 500000,
                   .factor = 32,
                   .low_freq_factor = 1,
                   .high_freq_factor = 4,
                   .original_max_positions = 8192};
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
