// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// PEFT adapter folders that must be refused, each with the reason: file by file as text and bytes,
/// so that a corpus for fuzzing can be made of the table too.

#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "anyssr/io/peft_adapter_reader.hpp"
#include "support/file_bytes.hpp"

namespace anyssr::test {

/// One folder. What is not set differs in nothing from the folder that loads.
struct MalformedPeft {
  std::string name;
  std::string config;   ///< adapter_config.json
  std::string tensors;  ///< bytes of adapter_model.safetensors
  std::string message;  ///< of the error, behind the folder's path
};

/// What the folders are read with.
inline PeftReadOptions malformed_peft_options() {
  return {.sites = {{"layers.0.q", 3, 4}, {"layers.0.v", 3, 2}, {"layers.1.q", 3, 4}},
          .heads = {"model.score"},
          .base_model = "base"};
}

/// A tensor of F32 zeros.
struct ZeroTensor {
  std::string name;
  std::vector<std::size_t> shape;
};

inline std::string zero_tensors(const std::vector<ZeroTensor>& tensors,
                                const std::string& dtype = "F32", std::size_t bytes = 4) {
  std::string header = "{";
  std::size_t begin = 0;
  for (const ZeroTensor& tensor : tensors) {
    std::string shape;
    std::size_t size = bytes;
    for (const std::size_t dimension : tensor.shape) {
      shape += (shape.empty() ? "" : ",") + std::to_string(dimension);
      size *= dimension;
    }
    header += (header.size() > 1 ? "," : "") +
              safetensors_entry(tensor.name, dtype, "[" + shape + "]", begin, begin + size);
    begin += size;
  }
  return safetensors_bytes(header + "}", std::string(begin, '\0'));
}

inline const std::string prefix_of_q = "base_model.model.layers.0.q.";

/// A and B of layers.0.q, r 2, and what else is named.
inline std::string tensors_with(std::vector<ZeroTensor> more) {
  more.insert(more.begin(), {prefix_of_q + "lora_B.weight", {4, 2}});
  more.insert(more.begin(), {prefix_of_q + "lora_A.weight", {2, 3}});
  return zero_tensors(more);
}

/// The config that fits them, with more members before its end.
inline std::string config_with(const std::string& more) {
  return R"({"peft_type":"LORA","r":2,"lora_alpha":4,"target_modules":["q"])" +
         (more.empty() ? "" : "," + more) + "}";
}

/// Folders whose config is at fault.
inline std::vector<MalformedPeft> malformed_peft_configs() {
  const std::string file = "adapter_config.json: ";
  const std::string pattern = file + "rank_pattern: pattern ";
  std::vector<MalformedPeft> cases{
      {"not JSON", "{\"peft_type\":", "", file + "broken JSON at byte 14"},
      {"an empty config", "", "",
       file + "is empty, expected JSON text: download or copy the file again"},
      {"a list", "[1]", "", file + "is [1], expected an object"},
      {"a key twice", R"({"peft_type":"LORA","peft_type":"LORA"})", "",
       file + "the key \"peft_type\" stands there twice"},
      {"a NUL byte", std::string("{}\0", 3), "", file + "a NUL byte at byte 3, expected JSON text"},
      {"no peft_type", "{\"r\":2}", "", file + "has no peft_type, expected \"LORA\""},
      {"another method", R"({"peft_type":"IA3"})", "",
       file + "peft_type is \"IA3\", expected \"LORA\""},
      {"another program", R"({"fine_tune_type":"lora","lora_parameters":{"rank":8}})", "",
       file + "has no peft_type, expected \"LORA\"; it is a config of mlx-lm: convert the adapter "
              "to a folder of PEFT"},
  };
  const auto add = [&](const std::string& member, const std::string& message) {
    cases.push_back({member, config_with(member), "", message});
  };
  const auto replace_r = [&](const std::string& r, const std::string& alpha,
                             const std::string& message) {
    cases.push_back({"r " + r + " alpha " + alpha,
                     R"({"peft_type":"LORA","r":)" + r + R"(,"lora_alpha":)" + alpha + "}", "",
                     file + message});
  };
  for (const std::string r : {"0", "-1", "2.0", "2.5", "\"2\"", "null", "true", "[2]"}) {
    replace_r(r, "4", "r is " + r + ", expected a positive integer");
  }
  replace_r("-0", "4", "r is 0, expected a positive integer");
  replace_r("9223372036854775808", "4", "r is 9223372036854775808, expected a positive integer");
  for (const std::string alpha : {"0", "-4", "0.0", "\"16\"", "null", "true"}) {
    replace_r("2", alpha, "lora_alpha is " + alpha + ", expected a finite number above 0");
  }
  replace_r("2", "1e999", "broken JSON at byte 44");
  add(R"("use_rslora":1)", file + "use_rslora is 1, expected true or false");
  add(R"("fan_in_fan_out":"no")", file + "fan_in_fan_out is \"no\", expected true or false");
  add(R"("rank_pattern":[1])", file + "rank_pattern is [1], expected an object");
  add(R"("rank_pattern":{"q":0})", file + "rank_pattern.\"q\" is 0, expected a positive integer");
  add(R"("rank_pattern":{"q":2.0})",
      file + "rank_pattern.\"q\" is 2.0, expected a positive integer");
  add(R"("alpha_pattern":{"q":-1})",
      file + "alpha_pattern.\"q\" is -1, expected a finite number above 0");
  add(R"-("rank_pattern":{"(?i)q":2})-",
      pattern +
          "\"(?i)q\" at character 3: after (? comes no : = or !, and other extensions are "
          "not supported");
  add(R"("rank_pattern":{"\\Aq":2})",
      pattern +
          "\"\\\\Aq\" at character 2: a backslash before a letter other than d w s b is not "
          "supported");
  add(R"("rank_pattern":{"q++":2})",
      pattern + "\"q++\" at character 3: possessive quantifiers are not supported");
  add(R"-("rank_pattern":{"(q":2})-", pattern + "\"(q\" at character 3: a ( without its )");
  add(R"("alpha_pattern":{"a{3000}":2})",
      file +
          "alpha_pattern: pattern \"a{3000}\" at character 8: the counts write out to more than "
          "2048 steps");
  add("\"rank_pattern\":{\"" + std::string(1025, 'q') + "\":2}",
      pattern + "\"" + std::string(80, 'q') + "\"... has 1025 characters, expected at most 1024");
  add(R"("modules_to_save":"score")",
      file + "modules_to_save is \"score\", expected null or a list of names");
  add(R"("modules_to_save":[1])",
      file + "modules_to_save is [1], expected null or a list of names");
  add(R"("modules_to_save":["embed_tokens"])",
      file + "modules_to_save names \"embed_tokens\", expected a head: \"model.score\"");
  add(R"("modules_to_save":["classifier"])",
      file + "modules_to_save names \"classifier\", expected a head: \"model.score\"");
  add(R"("base_model_name_or_path":7)",
      file + "base_model_name_or_path is 7, expected null or a text");
  add(R"("revision":["a"])", file + "revision is [\"a\"], expected null or a text");
  add(R"("task_type":{})", file + "task_type is {}, expected null or a text");
  for (const std::string bias : {"\"all\"", "\"lora_only\"", "null"}) {
    add("\"bias\":" + bias,
        file + "bias is " + bias + ", expected \"none\": biases of the base model are trained too");
  }
  for (const std::string start :
       {"pissa", "pissa_niter_16", "olora", "corda", "loftq", "lora_ga", "PiSSA"}) {
    add("\"init_lora_weights\":\"" + start + "\"",
        file + "init_lora_weights is \"" + start +
            "\", expected true: that start changed the base weight, so convert the adapter when it "
            "is saved");
  }
  for (const std::string start : {"\"kaiming\"", "1"}) {
    add("\"init_lora_weights\":" + start,
        file + "init_lora_weights is " + start +
            ", expected true, false, gaussian, eva, orthogonal or mica");
  }
  const auto refuse = [&](const std::string& key, const std::string& value,
                          const std::string& reason) {
    add("\"" + key + "\":" + value,
        file + key + " is " + value + ", which cannot be read: " + reason);
  };
  refuse("use_dora", "true", "magnitudes of the weight are trained too");
  refuse("lora_bias", "true", "the low-rank change has a bias");
  refuse("kasa_config", "{\"a\":1}", "singular values of the change are trained too");
  refuse("use_qalora", "true", "the input of A is pooled");
  refuse("use_qa_lora", "true", "the input of A is pooled");
  refuse("use_merged_linear", "true", "parts of a joined layer are changed");
  refuse("enable_lora", "[true,false,true]", "parts of a joined layer are changed");
  refuse("use_bdlora", "true", "the factors are block-diagonal");
  refuse("velora_config", "{\"a\":1}", "it is another method");
  refuse("monteclora_config", "{\"a\":1}", "the change is sampled");
  refuse("arrow_config", "{\"a\":1}", "several adapters are mixed by a router");
  refuse("alora_invocation_tokens", "[5]", "the change begins at certain tokens only");
  refuse("layer_replication", "[[0,4]]", "layers of the base model are repeated");
  refuse("target_parameters", "[\"w\"]", "parameters that are no linear layer are changed");
  refuse("trainable_token_indices", "[3]", "rows of the embedding are trained too");
  for (const std::string value : {"true", "1", "-0.5", "\"x\"", "[null]", "{\"a\":null}"}) {
    add("\"use_new_idea\":" + value,
        file + "\"use_new_idea\" is " + value +
            ", and that key is unknown: it could change what is computed");
  }
  cases.push_back({"target_modules 7", R"({"peft_type":"LORA","target_modules":7})", "",
                   file + "target_modules is 7, expected a list of names or a text"});
  cases.push_back({"target_modules [7]", R"({"peft_type":"LORA","target_modules":["q",7]})", "",
                   file + "target_modules is [\"q\",7], expected a list of names or a text"});
  for (MalformedPeft& c : cases) c.tensors = tensors_with({});
  return cases;
}

/// Folders whose tensors are at fault, or do not fit the config or the backbone.
inline std::vector<MalformedPeft> malformed_peft_tensors() {
  const std::string file = "adapter_model.safetensors: ";
  const std::string tensor = file + "tensor \"";
  const std::string q = prefix_of_q;
  std::vector<MalformedPeft> cases;
  const auto add = [&](const std::string& name, const std::string& bytes,
                       const std::string& message, const std::string& more = "") {
    cases.push_back({name, config_with(more), bytes, message});
  };
  const auto unused = [&](const std::string& name, const std::string& reason) {
    add(name, tensors_with({{name, {2, 3}}}), tensor + name + "\" " + reason);
  };
  add("an empty file", "",
      file + "is empty, expected a safetensors file: download or copy the file again");
  add("no safetensors", "\x7F\x45LF a program",
      file +
          "the header has 8079564522748921215 bytes, expected at most 16777216 and at most 6 in a "
          "file of 14");
  add("leftovers of ZeRO-3",
      zero_tensors({{q + "lora_A.weight", {0}}, {q + "lora_B.weight", {4, 2}}}),
      file +
          "1 of 2 tensors have shape [0], which is what DeepSpeed ZeRO-3 leaves of parameters "
          "that are spread over processes: " +
          detail::gather_zero3);
  add("a header above 16 MiB", little_endian(16777217, 8) + std::string(16777300, ' '),
      file +
          "the header has 16777217 bytes, expected at most 16777216 and at most 16777300 in a "
          "file of 16777308");
  add("no tensors", safetensors_bytes("{}      ", ""),
      file + "has no tensors, expected some where target_modules is not []");
  cases.push_back({"no tensors and no targets", R"({"peft_type":"LORA","r":2})",
                   safetensors_bytes("{}      ", ""), cases.back().message});
  unused("layers.0.q.lora_A.weight", "does not begin with base_model.model.");
  unused("model.layers.0.q.lora_A.weight", "does not begin with base_model.model.");
  unused("base_model.model.lora_A.weight", "names no module");
  unused("base_model.model.weight", "names no module");
  unused("base_model.model..lora_A.weight", "names no module");
  const std::string raw =
      "has the adapter's name in its own: a raw state dict, expected what save_pretrained writes";
  unused(q + "lora_A.default.weight", raw);
  unused(q + "lora_B.my_adapter.weight", raw);
  unused(q + "lora_A.default.bias", raw);
  unused("base_model.model.model.score.modules_to_save.default.weight",
         "is of a raw state dict, expected what save_pretrained writes");
  unused("base_model.model.model.score.original_module.weight",
         "is of a raw state dict, expected what save_pretrained writes");
  unused("base_model.model.embed.lora_embedding_A",
         "changes an embedding, and only linear layers are sites");
  unused("base_model.model.embed.lora_embedding_B",
         "changes an embedding, and only linear layers are sites");
  unused(q + "lora_magnitude_vector", "is of DoRA, which trains magnitudes of the weight too");
  unused(q + "lora_magnitude_vector.weight",
         "is of DoRA, which trains magnitudes of the weight too");
  unused(q + "lora_B.bias", "is a bias of the low-rank change (lora_bias)");
  unused(q + "base_layer.bias",
         "is of the base model, whose parameters an adapter must not change");
  unused(q + "lora_diag", "is of KaSA, which trains singular values of the change too");
  unused("base_model.model.embed.token_adapter.trainable_tokens_delta",
         "holds rows of an embedding that were trained in full");
  unused(q + "lora_A", "is no part of plain LoRA");
  unused(q + "lora_A.scale", "is no part of plain LoRA");
  unused("base_model.model.layers.0.norm.gamma",
         "is neither lora_A.weight nor lora_B.weight of a site, nor weight or bias of a head");
  unused("base_model.model.lm_head.weight",
         "is used by nothing: modules_to_save does not name \"lm_head\"");
  unused("base_model.model." + std::string(513, 'x') + ".weight", "");
  cases.back().message = tensor + ("base_model.model." + std::string(63, 'x')) +
                         "\"... names a module of 513 characters, expected at most 512";
  add("A alone", zero_tensors({{q + "lora_A.weight", {2, 3}}}),
      tensor + q + "lora_A.weight\" has no lora_B beside it");
  add("B alone", zero_tensors({{q + "lora_B.weight", {4, 2}}}),
      tensor + q + "lora_B.weight\" has no lora_A beside it");
  const auto shapes = [&](const std::vector<std::size_t>& a, const std::vector<std::size_t>& b,
                          const std::string& message) {
    cases.push_back({"", config_with(""),
                     zero_tensors({{q + "lora_A.weight", a}, {q + "lora_B.weight", b}}),
                     tensor + q + message});
    cases.back().name = message;
  };
  shapes({2, 3, 1, 1}, {4, 2, 1, 1},
         "lora_A.weight\" has shape [2, 3, 1, 1], expected 2 dimensions: convolutions are no "
         "sites");
  shapes({6}, {4, 2}, "lora_A.weight\" has shape [6], expected 2 dimensions above 0");
  shapes({2, 3, 1}, {4, 2}, "lora_A.weight\" has shape [2, 3, 1], expected 2 dimensions above 0");
  shapes({0, 3}, {4, 0}, "lora_A.weight\" has shape [0, 3], expected 2 dimensions above 0");
  shapes({2, 3}, {0, 2}, "lora_B.weight\" has shape [0, 2], expected 2 dimensions above 0");
  shapes(
      {2, 3}, {4, 3},
      "lora_A.weight\" has shape [2, 3] and its lora_B [4, 3], expected as many rows as that has "
      "columns");
  shapes({3, 3}, {4, 3},
         "lora_A.weight\" has shape [3, 3], expected 2 rows, the rank of that site in "
         "adapter_config.json");
  shapes({2, 5}, {4, 2}, "lora_A.weight\" has shape [2, 5], expected [2, 3]");
  shapes({2, 3}, {2, 2}, "lora_B.weight\" has shape [2, 2], expected [4, 2]");
  add("a rank that the pattern changes", tensors_with({}),
      tensor + q +
          "lora_A.weight\" has shape [2, 3], expected 3 rows, the rank of that site in "
          "adapter_config.json",
      R"("rank_pattern":{"0\\.[qk]":3})");
  add("a rank that a hanging pattern would change",
      zero_tensors({{"base_model.model." + std::string(513 - 1, 'a') + ".lora_A.weight", {2, 3}},
                    {"base_model.model." + std::string(513 - 1, 'a') + ".lora_B.weight", {4, 2}}}),
      tensor + "base_model.model." + std::string(63, 'a') + "\"... is of the site \"" +
          std::string(80, 'a') +
          "\"..., which the backbone has not; near: \"layers.0.q\", \"layers.0.v\", \"layers.1.q\"",
      R"-("rank_pattern":{"(a+)+b":3})-");
  add("a site outside ASCII under a pattern",
      zero_tensors({{"base_model.model.\xC3\xA4.lora_A.weight", {2, 3}},
                    {"base_model.model.\xC3\xA4.lora_B.weight", {4, 2}}}),
      "adapter_config.json: rank_pattern or alpha_pattern: site \"\xC3\xA4\" has byte 0xC3 at "
      "character 1, expected printable ASCII",
      R"("rank_pattern":{"k":3})");
  const std::string other = "base_model.model.layers.10.q.";
  add("a site that the backbone lacks",
      tensors_with({{other + "lora_A.weight", {2, 3}}, {other + "lora_B.weight", {4, 2}}}),
      tensor + other +
          "lora_A.weight\" is of the site \"layers.10.q\", which the backbone has not; "
          "near: \"layers.0.q\", \"layers.1.q\", \"layers.0.v\"");
  add("integers",
      zero_tensors({{q + "lora_A.weight", {2, 3}}, {q + "lora_B.weight", {4, 2}}}, "I32"),
      tensor + q + "lora_A.weight\" is I32, expected one of F64, F32, F16, BF16");
  add("8 bits",
      zero_tensors({{q + "lora_A.weight", {2, 3}}, {q + "lora_B.weight", {4, 2}}}, "F8_E4M3", 1),
      tensor + q + "lora_A.weight\" is F8_E4M3, expected one of F64, F32, F16, BF16");
  std::string bytes = tensors_with({});
  const auto spoil = [&](const std::string& name, std::uint64_t bits, std::size_t from_end,
                         const std::string& message) {
    std::string spoilt = bytes;
    spoilt.replace(spoilt.size() - from_end, 4, little_endian(bits, 4));
    add(name, spoilt, tensor + q + message);
  };
  spoil("NaN", 0x7FC00000, 4,
        "lora_B.weight\" holds NaN, infinity or a number too large at element 7, expected finite "
        "numbers");
  spoil("infinity", 0xFF800000, 14 * 4,
        "lora_A.weight\" holds NaN, infinity or a number too large at element 0, expected finite "
        "numbers");
  add("a file that was cut", bytes.substr(0, bytes.size() - 1),
      file + "the tensors end at byte 56 of the data, expected 55, where the file ends");
  const std::string score = "base_model.model.model.score.";
  const std::string saved = R"("modules_to_save":["score"])";
  add("a head without its tensors", tensors_with({}),
      file + "has no tensor of the head \"score\" that modules_to_save names", saved);
  add("a head without weight", tensors_with({{score + "bias", {5}}}),
      tensor + score + "bias\" has no weight beside it", saved);
  add("a head of one dimension", tensors_with({{score + "weight", {5}}}),
      tensor + score + "weight\" has shape [5], expected 2 dimensions above 0", saved);
  add("a bias of two dimensions",
      tensors_with({{score + "weight", {5, 3}}, {score + "bias", {5, 1}}}),
      tensor + score + "bias\" has shape [5, 1], expected 1 dimension above 0", saved);
  add("a bias of another size", tensors_with({{score + "weight", {5, 3}}, {score + "bias", {3}}}),
      tensor + score + "bias\" has shape [3], expected [5], one a row of the weight", saved);
  add("a module that is no head", tensors_with({{"base_model.model.score.weight", {5, 3}}}),
      tensor +
          "base_model.model.score.weight\" is of \"score\", trained in full, expected a head: "
          "\"model.score\"",
      saved);
  add("a saved module beside the head", tensors_with({{score + "weight", {5, 3}}}),
      "adapter_config.json: modules_to_save names \"embed_tokens\", expected a head: "
      "\"model.score\"",
      R"("modules_to_save":["score","embed_tokens"])");
  return cases;
}

inline std::vector<MalformedPeft> malformed_peft_folders() {
  std::vector<MalformedPeft> cases = malformed_peft_configs();
  std::vector<MalformedPeft> more = malformed_peft_tensors();
  cases.insert(cases.end(), more.begin(), more.end());
  return cases;
}

}  // namespace anyssr::test
