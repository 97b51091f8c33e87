// SPDX-License-Identifier: MIT
#include "anyssr/io/peft_config.hpp"

#include <limits>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/corpus.hpp"
#include "support/file_bytes.hpp"
#include "support/program.hpp"

using namespace anyssr;
using namespace anyssr::test;

namespace {

PeftConfig parse(const std::string& text) {
  keep_for_fuzzing("adapter_config", text);
  return parse_peft_config(parse_json(text, "c"), "c");
}

PeftConfig parse_with(const std::string& member) {
  return parse(R"({"peft_type":"LORA",)" + member + "}");
}

}  // namespace

TEST_CASE("a config of peft_type alone has the defaults of PEFT", "[io][golden]") {
  const PeftConfig config = parse(R"({"peft_type":"LORA"})");
  CHECK(config == PeftConfig{});
  CHECK(config.rank == 8);
  CHECK(config.alpha == 8);
  CHECK_FALSE(config.target_modules);
}

TEST_CASE("every key that counts is read", "[io][golden]") {
  const PeftConfig config = parse(
      R"({"peft_type": "LORA", "r": 16, "lora_alpha": 0.5, "use_rslora": true,
          "rank_pattern": {"z": 4, "a\\..*": 2}, "alpha_pattern": {"k": 1e-3, "b": 7},
          "target_modules": ["q_proj", "v_proj"], "modules_to_save": ["score"],
          "base_model_name_or_path": "base/x", "revision": "main", "task_type": "SEQ_CLS",
          "fan_in_fan_out": true})");
  CHECK(config == PeftConfig{.rank = 16,
                             .alpha = 0.5,
                             .rank_stabilised = true,
                             .rank_pattern = {{"z", 4}, {"a\\..*", 2}},
                             .alpha_pattern = {{"k", 1e-3}, {"b", 7}},
                             .target_modules = std::vector<std::string>{"q_proj", "v_proj"},
                             .modules_to_save = {"score"},
                             .base_model = "base/x",
                             .revision = "main",
                             .task_type = "SEQ_CLS",
                             .fan_in_fan_out = true});
}

TEST_CASE("targets that are no list are kept as text", "[io]") {
  CHECK(parse_with(R"("target_modules":"all-linear")").target_expression == "all-linear");
  CHECK_FALSE(parse_with(R"("target_modules":"all-linear")").target_modules);
  CHECK(parse_with(R"-("target_modules":".*\\.q(?i)")-").target_expression == ".*\\.q(?i)");
  CHECK(parse_with(R"("target_modules":null)") == PeftConfig{});
  CHECK(parse_with(R"("target_modules":[])").target_modules->empty());
}

TEST_CASE("keys without effect and refused or unknown keys that say nothing are passed over",
          "[io]") {
  for (const std::string member : {R"("auto_mapping":{"a":1})",
                                   R"("corda_config":{"a":1})",
                                   R"("ensure_weight_tying":true)",
                                   R"("eva_config":{"rho":2.0})",
                                   R"("exclude_modules":["k"])",
                                   R"("inference_mode":true)",
                                   R"("layers_pattern":"h")",
                                   R"("layers_to_transform":[4,5])",
                                   R"("loftq_config":{"bits":4})",
                                   R"("lora_dropout":0.1)",
                                   R"("lora_ga_config":{"a":1})",
                                   R"("megatron_config":{"a":1})",
                                   R"("megatron_core":"megatron.core")",
                                   R"("peft_version":"0.17.0")",
                                   R"("qalora_group_size":16)",
                                   R"("runtime_config":{"a":true})",
                                   R"("merge_weights":true)",
                                   R"("lora_dtype":"AUTO")",
                                   R"("lorap_lr_ratio":16.0)",
                                   R"("enable_lora":null)",
                                   R"("bias":"none")",
                                   R"("lora_bias":false)",
                                   R"("use_dora":false)",
                                   R"("use_dora":null)",
                                   R"("kasa_config":null)",
                                   R"("layer_replication":[])",
                                   R"("target_parameters":null)",
                                   R"("trainable_token_indices":null)",
                                   R"("alora_invocation_tokens":null)",
                                   R"("use_new_idea":false)",
                                   R"("use_new_idea":null)",
                                   R"("use_new_idea":0)",
                                   R"("use_new_idea":-0.0)",
                                   R"("use_new_idea":"")",
                                   R"("use_new_idea":[])",
                                   R"("use_new_idea":{})",
                                   R"("init_lora_weights":true)",
                                   R"("init_lora_weights":false)",
                                   R"("init_lora_weights":null)",
                                   R"("init_lora_weights":"gaussian")",
                                   R"("init_lora_weights":"EVA")",
                                   R"("init_lora_weights":"orthogonal")",
                                   R"("init_lora_weights":"mica")",
                                   R"("use_rslora":null)",
                                   R"("rank_pattern":{})",
                                   R"("rank_pattern":null)",
                                   R"("modules_to_save":null)",
                                   R"("task_type":null)"}) {
    CAPTURE(member);
    CHECK(parse_with(member) == PeftConfig{});
  }
}

TEST_CASE("alpha may be any number above 0", "[io]") {
  CHECK(parse_with(R"("lora_alpha":16)").alpha == 16);
  CHECK(parse_with(R"("lora_alpha":16.0)").alpha == 16);
  CHECK(parse_with(R"("lora_alpha":5e-324)").alpha == 5e-324);
  CHECK(parse_with(R"("lora_alpha":0.1)").alpha == 0.1);
  CHECK(parse_with(R"("lora_alpha":18446744073709551616)").alpha == 18446744073709551616.0);
}

TEST_CASE("a file is read with its path in the message", "[io][error]") {
  const TemporaryFolder folder;
  const std::string path = folder.write("c.json", R"({"peft_type":"LORA","r":4})");
  CHECK(read_peft_config(path).rank == 4);
  CHECK(message_of<FormatError>([&] {
          (void)read_peft_config(folder.write("c.json", R"({"peft_type":"LORA","r":0})"));
        }) == path + ": r is 0, expected a positive integer");
  CHECK(message_of<FileError>([&] { (void)read_peft_config(folder.file("none")); }) ==
        folder.file("none") + ": cannot be opened: No such file or directory");
  const std::string large = folder.write("large", std::string((std::size_t{4} << 20) + 1, ' '));
  CHECK(message_of<FormatError>([&] { (void)read_peft_config(large); }) ==
        large + ": has 4194305 bytes, expected at most 4194304");
}

TEST_CASE("patterns that write out to too much are refused", "[io][error]") {
  std::string text = R"({"peft_type":"LORA","rank_pattern":{)";
  for (int i = 0; i < 5000; ++i) {
    text += (i == 0 ? "\"" : ",\"") + std::to_string(i) + "(x{40}){50}\":1";
  }
  CHECK(message_of<FormatError>([&] { (void)parse(text + "}}"); }) ==
        "c: rank_pattern: the patterns write out to more than 4194304 steps");
}

TEST_CASE("a config that is written has sorted keys and no default ones", "[io][golden]") {
  CHECK(peft_config_json(PeftConfig{}).dump() ==
        R"({"base_model_name_or_path":null,"inference_mode":true,"lora_alpha":8,)"
        R"("peft_type":"LORA","r":8,"target_modules":null,"task_type":null})");
  const PeftConfig config{.rank = 2,
                          .alpha = 0.1,
                          .rank_pattern = {{"z", 4}, {"a", 3}},
                          .alpha_pattern = {{"z", 2.0}, {"a", 2.5}},
                          .target_modules = std::vector<std::string>{"a", "z"},
                          .modules_to_save = {"score"},
                          .base_model = "b",
                          .task_type = "CAUSAL_LM",
                          .fan_in_fan_out = true};
  const std::string text = peft_config_json(config).dump();
  CHECK(text == R"({"alpha_pattern":{"z":2,"a":2.5},"base_model_name_or_path":"b",)"
                R"("fan_in_fan_out":true,"inference_mode":true,"lora_alpha":0.1,)"
                R"("modules_to_save":["score"],"peft_type":"LORA","r":2,)"
                R"("rank_pattern":{"z":4,"a":3},"target_modules":["a","z"],)"
                R"("task_type":"CAUSAL_LM"})");
  CHECK(parse(text) == config);
}

TEST_CASE("a config that is written is read again bit for bit", "[io][property]") {
  for (const double alpha : {1.0, 0.1, 1.0 / 3, 5e-324, std::numeric_limits<double>::max(), 1e22,
                             9007199254740991.0, 9007199254740992.0, 123456789.125}) {
    const PeftConfig config{.alpha = alpha,
                            .rank_stabilised = true,
                            .alpha_pattern = {{"q", alpha}},
                            .target_expression = "all-linear",
                            .revision = "r1"};
    CHECK(parse(peft_config_json(config).dump(2)) == config);
  }
}

TEST_CASE("each site has the rank and alpha of the first key that matches it", "[io]") {
  const PeftConfig config{.rank = 8,
                          .alpha = 16,
                          .rank_stabilised = true,
                          .rank_pattern = {{"layers\\.0\\..*", 4}, {"q", 2}},
                          .alpha_pattern = {{"v", 3}}};
  const std::vector<std::string> sites{"layers.0.q", "layers.1.q", "layers.1.v"};
  const std::vector<LoraOptions> options = lora_options(config, sites);
  REQUIRE(options.size() == 3);
  CHECK(options[0].rank == 4);
  CHECK(options[1].rank == 2);
  CHECK(options[2].rank == 8);
  CHECK(options[0].alpha == 16);
  CHECK(options[2].alpha == 3);
  CHECK(options[0].rank_stabilised);
  UnusedPatterns unused;
  CHECK(lora_options(config, sites, &unused).size() == 3);
  CHECK(unused.rank.empty());
  CHECK(unused.alpha.empty());
  CHECK(lora_options(config, std::vector<std::string>{"layers.0.q"}, &unused).size() == 1);
  CHECK(unused.rank == std::vector<std::string>{"q"});
  CHECK(unused.alpha == std::vector<std::string>{"v"});
}
