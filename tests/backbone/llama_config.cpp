// SPDX-License-Identifier: MIT
#include "anyssr/backbone/llama/llama_config.hpp"

#include <cmath>
#include <numbers>

#include "support/catch.hpp"
#include "support/llama_folder.hpp"

using namespace anyssr;
using namespace anyssr::test;

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
        "model_type is \"gpt2\", expected llama, mistral, qwen2, qwen3, smollm3 or gemma3_text");
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
  config.rope = {.type = RopeType::llama3,
                 .theta = 500000,
                 .factor = 8,
                 .low_freq_factor = 1,
                 .high_freq_factor = 4,
                 .original_max_positions = 8192};
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
