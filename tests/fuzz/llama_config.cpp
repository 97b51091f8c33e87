// SPDX-License-Identifier: MIT
// The config of a language model, and the rotary frequencies of what was read.
#include "anyssr/backbone/llama/llama_config_reader.hpp"
#include "fuzz/fuzz_input.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return anyssr::fuzz::run([&] {
    const anyssr::Json json = anyssr::parse_json(anyssr::fuzz::as_text(data, size), "config.json");
    anyssr::LlamaConfig config = anyssr::parse_llama_config(json, "config.json");
    config.head_dim = 8;  // a large one is no finding, only slow
    if (!anyssr::rotary_frequencies(config).allFinite()) std::abort();
  });
}
