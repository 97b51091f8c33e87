// SPDX-License-Identifier: MIT
// The configuration of a PEFT adapter, and its patterns against the names of sites.
#include "anyssr/io/peft_config.hpp"
#include "fuzz/fuzz_input.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return anyssr::fuzz::run([&] {
    const anyssr::Json json =
        anyssr::parse_json(anyssr::fuzz::as_text(data, size), "adapter_config.json");
    const anyssr::PeftConfig config = anyssr::parse_peft_config(json, "adapter_config.json");
    const std::vector<std::string> sites{"model.layers.4.self_attn.q_proj",
                                         "model.layers.11.mlp.down_proj", "lift"};
    (void)anyssr::lora_options(config, sites);
    (void)anyssr::peft_config_json(config);
  });
}
