// SPDX-License-Identifier: MIT
#include <cmath>
#include <string>
#include <vector>

#include "anyssr/backbone/llama/llama_config_reader.hpp"
#include "backbone/llama_config_text.hpp"
#include "support/catch.hpp"

using namespace anyssr;
using namespace anyssr::test;

namespace {

const std::string qwen3 = R"("model_type":"qwen3","num_key_value_heads":2)";
const std::string smollm3 = R"("model_type":"smollm3")";
const std::string gemma3 = R"("model_type":"gemma3_text","num_hidden_layers":7)";

LlamaConfig parsed(const std::string& family, const std::string& members = {}) {
  return parse_llama_with(members.empty() ? family : family + "," + members);
}

std::string refused(const std::string& family, const std::string& members) {
  return refusal_of_llama(llama_text_with(family + "," + members));
}

constexpr LayerRope main_rope = LayerRope::main;
constexpr LayerRope no_rope = LayerRope::none;
constexpr LayerRope local_rope = LayerRope::local;

}  // namespace

TEST_CASE("a family is one entry of the table and named by its type", "[backbone]") {
  CHECK(detail::llama_family_names() == "llama, mistral, qwen2, qwen3, smollm3 or gemma3_text");
  for (const auto& family : detail::llama_families) {
    CHECK(detail::find_llama_family(family.model_type) == &family);
  }
  CHECK(detail::find_llama_family("qwen") == nullptr);
  CHECK(detail::find_llama_family("llama")->form == LlamaForm{});
}

TEST_CASE("a qwen3 config of the required keys has the defaults of transformers",
          "[backbone][golden]") {
  LlamaConfig expected;
  expected.model_type = "qwen3";
  expected.vocab_size = 32;
  expected.hidden_size = 24;
  expected.intermediate_size = 40;
  expected.layers = 4;
  expected.heads = 4;
  expected.kv_heads = 2;
  expected.head_dim = 128;
  expected.max_positions = 32768;
  expected.form.head_norms = true;
  expected.windows = {0, 0, 0, 0};
  CHECK(parsed(qwen3) == expected);
  CHECK(parsed(qwen3, R"("head_dim":null)").head_dim == 128);
  CHECK(parsed(qwen3, R"("head_dim":6)").head_dim == 6);
  CHECK(parsed(R"("model_type":"qwen3","num_attention_heads":64)").kv_heads == 32);
  const LlamaConfig biased = parsed(qwen3, R"("attention_bias":true,"mlp_bias":false)");
  CHECK(biased.qkv_bias);
  CHECK(biased.output_bias);
  CHECK_FALSE(biased.mlp_bias);
  CHECK(parsed(qwen3, R"("tie_word_embeddings":true)").tied_output);
  CHECK(parsed(qwen3, R"("use_sliding_window":true,"sliding_window":8,"max_window_layers":2)")
            .windows == std::vector<Index>{0, 0, 8, 8});
  CHECK(parsed(qwen3, R"("sliding_window":8,"max_window_layers":2)").windows ==
        std::vector<Index>{0, 0, 0, 0});
}

TEST_CASE("a smollm3 config of the required keys has the defaults of transformers",
          "[backbone][golden]") {
  LlamaConfig expected;
  expected.model_type = "smollm3";
  expected.vocab_size = 32;
  expected.hidden_size = 24;
  expected.intermediate_size = 40;
  expected.layers = 4;
  expected.heads = 4;
  expected.kv_heads = 4;
  expected.head_dim = 6;
  expected.max_positions = 32768;
  expected.rope.theta = 2e6;
  expected.rotations = {main_rope, main_rope, main_rope, no_rope};
  expected.tied_output = true;
  expected.windows = {0, 0, 0, 0};
  CHECK(parsed(smollm3) == expected);
  CHECK_FALSE(parsed(smollm3, R"("tie_word_embeddings":false)").tied_output);
  const LlamaConfig biased = parsed(smollm3, R"("attention_bias":true,"mlp_bias":true)");
  CHECK((biased.qkv_bias && biased.output_bias && biased.mlp_bias));
  const LlamaConfig large = parsed(smollm3, R"("vocab_size":128256)");
  CHECK(large.bos == 128000);
  CHECK(large.eos == std::vector<TokenId>{128001});
}

TEST_CASE("layers of a smollm3 turn as no_rope_layers says", "[backbone][golden]") {
  const auto rotations = [](const std::string& members) {
    return parsed(smollm3, members).rotations;
  };
  CHECK(rotations(R"("no_rope_layers":[0,1,1,0])") ==
        std::vector<LayerRope>{no_rope, main_rope, main_rope, no_rope});
  CHECK(rotations(R"("no_rope_layers":[0,1,1,0],"no_rope_layer_interval":2)") ==
        std::vector<LayerRope>{no_rope, main_rope, main_rope, no_rope});
  CHECK(rotations(R"("no_rope_layer_interval":2)") ==
        std::vector<LayerRope>{main_rope, no_rope, main_rope, no_rope});
  CHECK(rotations(R"("no_rope_layers":null)") ==
        std::vector<LayerRope>{main_rope, main_rope, main_rope, no_rope});
}

TEST_CASE("layers of a smollm3 that do not turn may have a window", "[backbone][golden]") {
  const auto windows = [](const std::string& members) { return parsed(smollm3, members).windows; };
  const std::vector<Index> none{0, 0, 0, 0};
  CHECK(windows(R"("sliding_window":8)") == none);
  CHECK(windows(R"("use_sliding_window":true)") == none);
  CHECK(windows(R"("use_sliding_window":true,"sliding_window":null)") == none);
  CHECK(windows(R"("use_sliding_window":true,"sliding_window":8,"max_window_layers":28)") ==
        std::vector<Index>{0, 0, 0, 8});
  CHECK(windows(R"("use_sliding_window":true,"sliding_window":8,"layer_types":)"
                R"(["sliding_attention","full_attention","full_attention","full_attention"])") ==
        std::vector<Index>{8, 0, 0, 0});
}

TEST_CASE("a gemma3 config of the required keys has the defaults of transformers",
          "[backbone][golden]") {
  LlamaConfig expected;
  expected.model_type = "gemma3_text";
  expected.vocab_size = 32;
  expected.hidden_size = 24;
  expected.intermediate_size = 40;
  expected.layers = 7;
  expected.heads = 4;
  expected.kv_heads = 4;
  expected.head_dim = 256;
  expected.max_positions = 131072;
  expected.form = {.activation = GateActivation::gelu_tanh,
                   .head_norms = true,
                   .branch_norms = true,
                   .centred_norms = true,
                   .embedding_factor = double{std::sqrt(24.F)},
                   .query_scalar = 256};
  expected.rope.theta = 1e6;
  expected.local_rope.theta = 10000;
  expected.rotations = {local_rope, local_rope, local_rope, local_rope,
                        local_rope, main_rope,  local_rope};
  expected.windows = {4096, 4096, 4096, 4096, 4096, 0, 4096};
  expected.tied_output = true;
  expected.bos = 2;
  expected.eos = {1};
  CHECK(parsed(gemma3) == expected);
  CHECK(parsed(gemma3,
               R"("hidden_activation":null,"attn_logit_softcapping":null,)"
               R"("final_logit_softcapping":null,"use_bidirectional_attention":false,)"
               R"("cache_implementation":"hybrid","query_pre_attn_scalar":null)") == expected);
  CHECK(parsed(gemma3, R"("query_pre_attn_scalar":168)").form.query_scalar == 168);
}

TEST_CASE("layers of a gemma3 have windows by pattern or by layer types", "[backbone][golden]") {
  const auto windows = [](const std::string& members) {
    return parsed(R"("model_type":"gemma3_text","sliding_window":8)", members).windows;
  };
  CHECK(windows(R"("sliding_window_pattern":2)") == std::vector<Index>{8, 0, 8, 0});
  CHECK(windows(R"("_sliding_window_pattern":3)") == std::vector<Index>{8, 8, 0, 8});
  CHECK(windows(R"("sliding_window_pattern":1)") == std::vector<Index>{0, 0, 0, 0});
  CHECK(windows(R"("sliding_window_pattern":2,"_sliding_window_pattern":2)") ==
        std::vector<Index>{8, 0, 8, 0});
  const std::string types = R"("layer_types":["full_attention","sliding_attention",)"
                            R"("full_attention","full_attention"])";
  CHECK(windows(R"("sliding_window_pattern":2,)" + types) == std::vector<Index>{0, 8, 0, 0});
  CHECK(parsed(R"("model_type":"gemma3_text")", types).rotations ==
        std::vector<LayerRope>{main_rope, local_rope, main_rope, main_rope});
}

TEST_CASE("the two rotary bases of a gemma3 are read from where either generation has them",
          "[backbone][golden]") {
  const auto check = [](const std::string& members, const RopeOptions& main,
                        const RopeOptions& windowed) {
    CAPTURE(members);
    const LlamaConfig config = parsed(gemma3, members);
    CHECK(config.rope == main);
    CHECK(config.local_rope == windowed);
  };
  const RopeOptions linear{.type = RopeType::linear, .theta = 1e6, .factor = 8};
  const std::string scaled = R"({"rope_type":"linear","factor":8})";
  check(R"("rope_theta":5e5,"rope_local_base_freq":2e4)", {.theta = 5e5}, {.theta = 2e4});
  check(R"("rope_scaling":)" + scaled, linear, {});
  check(R"("rope_scaling":null,"rope_parameters":null)", {.theta = 1e6}, {});
  check(R"("rope_parameters":{"full_attention":)" + scaled + "}", linear, {});
  check(R"("rope_parameters":{"full_attention":{"rope_type":"linear","factor":8,)"
        R"("rope_theta":1000000},"sliding_attention":{"rope_type":"default","rope_theta":7}})",
        linear, {.theta = 7});
  check(R"("rope_parameters":{"full_attention":null,"sliding_attention":{"rope_theta":7}})",
        {.theta = 1e6}, {.theta = 7});
  check(R"("rope_local_base_freq":7,"rope_parameters":{"sliding_attention":{"rope_theta":7}})",
        {.theta = 1e6}, {.theta = 7});
}

TEST_CASE("what a family does not compute is refused by key", "[backbone][error]") {
  const std::string unknown =
      ", and that key is unknown for models of type gemma3_text: it could change what is computed";
  const auto type = [](const std::string& name) {
    return refusal_of_llama(llama_text_with("\"model_type\":\"" + name + "\""));
  };
  const std::string types = ", expected llama, mistral, qwen2, qwen3, smollm3 or gemma3_text: ";
  CHECK(type("qwen3_moe") ==
        "model_type is \"qwen3_moe\"" + types + "layers of experts are not supported");
  CHECK(type("gemma3") == "model_type is \"gemma3\"" + types +
                              "of that one only the text model, gemma3_text, is "
                              "read");
  CHECK(type("qwen3_next") ==
        "model_type is \"qwen3_next\"" + types + "others compute differently under like names");
  struct Case {
    std::string family, members, message;
  };
  const std::vector<Case> cases{
      {qwen3, R"("architectures":["Qwen2ForCausalLM"])",
       "architectures[0] is \"Qwen2ForCausalLM\", expected \"Qwen3ForCausalLM\""},
      {qwen3, R"("hidden_act":"gelu")", "hidden_act is \"gelu\", expected \"silu\""},
      {qwen3, R"("num_experts":8)",
       "num_experts is 8, expected null or 0: layers of experts are not supported"},
      {qwen3, R"("mlp_bias":true)",
       "\"mlp_bias\" is true, and that key is unknown for models of type qwen3: it could change "
       "what is computed"},
      {qwen3, R"("no_rope_layers":[1,1,1,0])",
       "\"no_rope_layers\" is [1,1,1,0], and that key is unknown for models of type qwen3: it "
       "could change what is computed"},
      {qwen3, R"("layer_types":["full_attention"])",
       "layer_types has 1 entries, expected one entry per layer, 4"},
      {qwen3, R"("layer_types":["sliding_attention"])",
       "layer_types[0] is \"sliding_attention\", expected a sliding_window and use_sliding_window "
       "true with it"},
      {qwen3, R"("rope_parameters":{"full_attention":{"rope_theta":1e6}})",
       "rope_parameters: full_attention is an object, expected a number: one rotary base for all "
       "layers"},
      {smollm3, R"("no_rope_layers":[1,1,0])",
       "no_rope_layers has 3 entries, expected one entry per layer, 4"},
      {smollm3, R"("no_rope_layers":[1,1,2,0])",
       "no_rope_layers[2] is 2, expected 1, a layer that turns queries and keys, or 0"},
      {smollm3, R"("no_rope_layers":[true])",
       "no_rope_layers[0] is true, expected 1, a layer that turns queries and keys, or 0"},
      {smollm3, R"("no_rope_layer_interval":0)",
       "no_rope_layer_interval is 0, expected at least 1"},
      {smollm3, R"("layer_types":["linear_attention"])",
       "layer_types[0] is \"linear_attention\", expected \"full_attention\" or "
       "\"sliding_attention\""},
      {gemma3, R"("attn_logit_softcapping":50.0)",
       "attn_logit_softcapping is 50.0, expected null or 0: scores are not capped"},
      {gemma3, R"("final_logit_softcapping":30.0)",
       "final_logit_softcapping is 30.0, expected null or 0: logits are not capped"},
      {gemma3, R"("use_bidirectional_attention":true)",
       "use_bidirectional_attention is true, expected null or false: a token sees those before it "
       "alone"},
      {gemma3, R"("hidden_activation":"gelu")",
       "hidden_activation is \"gelu\", expected \"gelu_pytorch_tanh\""},
      {gemma3, R"("hidden_act":"silu")", "\"hidden_act\" is \"silu\"" + unknown},
      {gemma3, R"("text_config":{"hidden_size":8})",
       "\"text_config\" is {\"hidden_size\":8}" + unknown},
      {gemma3, R"("query_pre_attn_scalar":0)",
       "query_pre_attn_scalar is 0, expected a number above 0"},
      {gemma3, R"("sliding_window":null)",
       "sliding_window is null, expected a whole number of 0..2147483647"},
      {gemma3, R"("sliding_window":0)", "sliding_window is 0, expected at least 1"},
      {gemma3, R"("sliding_window_pattern":0)", "sliding_window_pattern is 0, expected at least 1"},
      {gemma3, R"("sliding_window_pattern":6,"_sliding_window_pattern":5)",
       "_sliding_window_pattern is 5, expected what sliding_window_pattern is, 6"},
      {gemma3, R"("layer_types":["sliding_attention","full_attention"])",
       "layer_types has 2 entries, expected one entry per layer, 7"},
      {gemma3, R"("layer_types":["chunked_attention"])",
       "layer_types[0] is \"chunked_attention\", expected \"full_attention\" or "
       "\"sliding_attention\""},
      {gemma3, R"("rope_parameters":{"rope_theta":1e6})",
       "rope_parameters: has \"rope_theta\", expected full_attention and sliding_attention, each "
       "with the numbers of its layers"},
      {gemma3, R"("rope_parameters":{"full_attention":{"rope_type":"yarn","factor":4}})",
       "rope_parameters: full_attention: rope_type is \"yarn\", expected default, linear or "
       "llama3: "
       "other types are not supported"},
      {gemma3,
       R"("rope_local_base_freq":7,"rope_parameters":{"sliding_attention":{"rope_theta":8}})",
       "rope_parameters: sliding_attention: rope_theta is 8, expected what rope_local_base_freq "
       "outside of it is, 7"},
      {gemma3, R"("rope_local_base_freq":-1)",
       "local_rope.theta (rope_local_base_freq) is -1, expected a finite number above 0"}};
  for (const Case& c : cases) {
    CAPTURE(c.family, c.members);
    CHECK(refused(c.family, c.members) == c.message);
  }
}

TEST_CASE("a form and rotations made by hand are checked", "[backbone][error]") {
  const auto refusal = [](const auto& change) {
    LlamaConfig config = parsed(gemma3);
    change(config);
    return message_of<ArgumentError>([&] { config.check(); });
  };
  CHECK(refusal([](auto& c) { c.form.embedding_factor = 0; }) ==
        "form.embedding_factor is 0, expected a finite number above 0");
  CHECK(refusal([](auto& c) { c.form.query_scalar = -1; }) ==
        "form.query_scalar (query_pre_attn_scalar) is -1, expected a finite number of at least 0");
  CHECK(refusal([](auto& c) { c.rotations.pop_back(); }) ==
        "rotations have 6 entries, expected none or one entry per layer, 7");
  CHECK(refusal([](auto& c) { c.local_rope.theta = 0; }) ==
        "local_rope.theta (rope_local_base_freq) is 0, expected a finite number above 0");
  CHECK(to_string(LayerRope::local) == "local");
  CHECK(to_string(GateActivation::gelu_tanh) == "gelu_tanh");
}
