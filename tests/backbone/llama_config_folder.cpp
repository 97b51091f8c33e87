// SPDX-License-Identifier: MIT
// The config of a model's folder, and what stands beside it.
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include "backbone/llama_config_text.hpp"
#include "support/catch.hpp"
#include "support/llama_folder.hpp"
#include "support/program.hpp"

using namespace anyssr;
using namespace anyssr::test;

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

TEST_CASE("a config that is written to a folder is read as it was", "[backbone][property]") {
  LlamaConfig llama = small_llama_config();
  llama.rope = {.type = RopeType::llama3,
                .theta = 500000,
                .factor = 8,
                .low_freq_factor = 1,
                .high_freq_factor = 4,
                .original_max_positions = 8192};
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
