// SPDX-License-Identifier: MIT
#include "anyssr/backbone/llama/llama_weights.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <iostream>
#include <limits>
#include <string>
#include <vector>

#include "anyssr/backbone/llama/llama_config_reader.hpp"
#include "anyssr/core/random.hpp"
#include "support/catch.hpp"
#include "support/file_bytes.hpp"
#include "support/llama_folder.hpp"
#include "support/program.hpp"

using namespace anyssr;
using namespace anyssr::test;

namespace {

/// All biases that a llama may have.
LlamaConfig biased_llama_config() {
  LlamaConfig config = small_llama_config();
  config.qkv_bias = config.output_bias = config.mlp_bias = true;
  return config;
}

/// Bit for bit.
bool is_same_tensor(const StoredTensor& a, const StoredTensor& b) {
  return a.dtype == b.dtype && a.shape == b.shape && a.bytes == b.bytes;
}
bool is_same_tensors(const StoredTensors& a, const StoredTensors& b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](auto& x, auto& y) {
           return x.first == y.first && is_same_tensor(x.second, y.second);
         });
}

/// What small_llama_config's model in float says when its tensors were changed before they were
/// written; the folder's path is left out.
template <class E>
std::string refusal_of_tensors(const std::function<void(StoredTensors&)>& change,
                               const LlamaConfig& config = small_llama_config(),
                               const LlamaLoadOptions& options = {}) {
  const TemporaryFolder folder;
  StoredTensors tensors = llama_tensors(config, random_llama_weights<float>(config, 3));
  change(tensors);
  write_llama_tensors(folder.file(""), tensors);
  std::string message =
      message_of<E>([&] { (void)read_llama_weights<float>(folder.file(""), config, options); });
  const std::string path = folder.file("");
  for (std::size_t at = 0; (at = message.find(path)) != std::string::npos;) {
    message.erase(at, path.size());
  }
  return message;
}

template <class T>
void put_number(StoredTensor& tensor, std::size_t at, T number) {
  std::memcpy(tensor.bytes.data() + at * sizeof(T), &number, sizeof(T));
}

const std::string q_name_of_layer_1 = "model.layers.1.self_attn.q_proj.weight";

}  // namespace

TEMPLATE_TEST_CASE("weights of a folder are read bit for bit from one file and from shards",
                   "[backbone][property]", float, double) {
  const auto dtype = GENERATE(Dtype::F64, Dtype::F32, Dtype::F16, Dtype::BF16);
  const std::size_t shards = GENERATE(1U, 3U);
  const bool tied = GENERATE(false, true);
  CAPTURE(to_string(dtype), shards, tied);
  LlamaConfig config = tied ? small_llama_config() : biased_llama_config();
  config.tied_output = tied;
  const auto weights = random_llama_weights<TestType>(config, 7, dtype);
  const TemporaryFolder folder;
  write_llama_folder(folder.file(""), config, weights, shards);
  CHECK(read_llama_config(folder.file("")) == config);
  for (const bool mapped : {true, false}) {
    CAPTURE(mapped);
    LlamaLoadReport report;
    const auto read =
        read_llama_weights<TestType>(folder.file(""), config, {.mapped = mapped}, &report);
    CHECK(is_same_tensors(llama_tensors(config, read), llama_tensors(config, weights)));
    CHECK(read.embedding.dtype() == dtype);
    CHECK((read.output.data().data() == read.embedding.data().data()) == tied);
    CHECK(read.bytes() == weights.bytes());
    CHECK(report.unlisted.empty());
  }
}

TEST_CASE("matrices keep the type of the file and vectors are widened", "[backbone]") {
  const LlamaConfig config = biased_llama_config();
  const auto weights = random_llama_weights<float>(config, 5, Dtype::BF16);
  StoredTensors tensors = llama_tensors(config, weights);
  // norms as such files have them, and one matrix of another type
  StoredTensor norm = stored(Dtype::BF16, {8});
  for (std::size_t i = 0; i < 8; ++i) put_number(norm, i, to_bf16(1.5F - static_cast<float>(i)));
  tensors["model.norm.weight"] = norm;
  tensors["lm_head.weight"] =
      stored(WeightMatrix::of<float>(weights.output.dense<float>(), Dtype::F64));
  const TemporaryFolder folder;
  write_llama_tensors(folder.file(""), tensors);
  const auto read = read_llama_weights<double>(folder.file(""), config);
  CHECK(read.norm[0] == 1.5);
  CHECK(read.norm[7] == -5.5);
  CHECK(read.output.dtype() == Dtype::F64);
  CHECK(read.output.dense<double>() == weights.output.dense<double>());
  CHECK(read.layers[1].down.dtype() == Dtype::BF16);
  CHECK(read.layers[1].down_bias == weights.layers[1].down_bias.cast<double>());
}

TEST_CASE("bytes of weights count a tied output once and mapped matrices in full", "[backbone]") {
  LlamaConfig config = small_llama_config();
  const Index linear = 24 * 8 + 2 * (12 * 8) + 8 * 24 + 3 * (12 * 8);  // a layer: q k v o, mlp
  const Index vectors = (1 + 2 * 2) * 8;
  const auto numbers = [&](Index embeddings) { return embeddings * 11 * 8 + 2 * linear; };
  CHECK(random_llama_weights<float>(config, 1, Dtype::BF16).bytes() ==
        static_cast<std::size_t>(2 * numbers(2) + 4 * vectors));
  config.tied_output = true;
  CHECK(random_llama_weights<double>(config, 1, Dtype::F32).bytes() ==
        static_cast<std::size_t>(4 * numbers(1) + 8 * vectors));
}

TEST_CASE("mapped weights live as long as any of their matrices", "[backbone]") {
  const LlamaConfig config = small_llama_config();
  const auto weights = random_llama_weights<float>(config, 9);
  WeightMatrix kept;
  {
    const TemporaryFolder folder;
    write_llama_folder(folder.file(""), config, weights, 2);
    kept = read_llama_weights<float>(folder.file(""), config).layers[1].up;
  }  // the folder is gone too
  CHECK(kept.dense<float>() == weights.layers[1].up.dense<float>());
}

TEST_CASE("tensors without effect are passed over", "[backbone]") {
  LlamaConfig config = small_llama_config();
  const std::string none = "nothing was thrown";
  const auto with_constants = [](StoredTensors& tensors) {
    tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = stored(Dtype::F32, {3});
    tensors["model.rotary_emb.inv_freq"] = stored(Dtype::F32, {3}, 0xFF);  // NaN, not read
  };
  CHECK(refusal_of_tensors<Error>(with_constants, config) == none);
  config.tied_output = true;
  CHECK(refusal_of_tensors<Error>([](auto&) {}, config) == none);
  const auto with_output = [](StoredTensors& tensors) {
    tensors["lm_head.weight"] = stored(Dtype::F32, {11, 8}, 0xFF);
  };
  CHECK(refusal_of_tensors<Error>(with_output, config) == none);
}

TEST_CASE("an output that is no copy of the embedding that it is tied to is a warning",
          "[backbone]") {
  LlamaConfig config = small_llama_config();
  const auto weights = random_llama_weights<float>(config, 9);
  const TemporaryFolder folder;
  write_llama_folder(folder.file(""), config, weights);
  config.tied_output = true;
  std::vector<std::string> warnings;
  const LlamaLoadOptions options{
      .warn = [&](const std::string& warning) { warnings.push_back(warning); }};
  const auto tied = read_llama_weights<float>(folder.file(""), config, options);
  CHECK(tied.output.dense<float>() == weights.embedding.dense<float>());
  REQUIRE(warnings.size() == 1);
  CHECK(warnings[0].find("\"lm_head.weight\" is ignored, since tie_word_embeddings is true") !=
        std::string::npos);
  auto copied = weights;
  copied.output = copied.embedding;
  config.tied_output = false;
  const TemporaryFolder copy;
  write_llama_folder(copy.file(""), config, copied);
  config.tied_output = true;
  (void)read_llama_weights<float>(copy.file(""), config, options);
  CHECK(warnings.size() == 1);
}

TEST_CASE("a tensor that is missing is named with its shape", "[backbone][error]") {
  const auto without = [](const std::string& name, const LlamaConfig& config) {
    return refusal_of_tensors<FormatError>([&](auto& tensors) { tensors.erase(name); }, config);
  };
  const LlamaConfig config = small_llama_config();
  CHECK(without(q_name_of_layer_1, config) ==
        ": has no tensor \"model.layers.1.self_attn.q_proj.weight\", expected one of shape "
        "[24, 8]; it has \"model.layers.0.self_attn.q_proj.weight\", "
        "\"model.layers.1.self_attn.k_proj.weight\", \"model.layers.1.self_attn.o_proj.weight\"");
  CHECK(contains(without("lm_head.weight", config),
                 ": has no tensor \"lm_head.weight\", expected one of shape [11, 8] where "
                 "tie_word_embeddings is not true; it has "));
  for (const auto& [name, tensor] : llama_tensors(config, random_llama_weights<float>(config, 3))) {
    CAPTURE(name);
    CHECK(contains(without(name, config), ": has no tensor \"" + name +
                                              "\", expected one of shape " +
                                              detail::shape_text(tensor.shape)));
  }
  // a bias that the config asks for and the folder lacks
  const LlamaConfig biased = biased_llama_config();
  CHECK(
      contains(without("model.layers.0.mlp.up_proj.bias", biased),
               ": has no tensor \"model.layers.0.mlp.up_proj.bias\", expected one of shape [12]"));
  CHECK(
      contains(refusal_of_tensors<FormatError>([](auto& tensors) { tensors.clear(); }),
               "\"model.embed_tokens.weight\", expected one of shape [11, 8]; it has none at all"));
}

TEST_CASE("a tensor of another shape is named with both", "[backbone][error]") {
  const LlamaConfig config = biased_llama_config();
  const auto is_refused = [&](const std::string& name, std::vector<std::uint64_t> shape) {
    return refusal_of_tensors<FormatError>(
        [&](auto& tensors) { tensors[name] = stored(Dtype::F32, shape); }, config);
  };
  const auto behind_folder = [](const std::string& message) {
    return message.substr(message.find("model.safetensors"));
  };
  CHECK(behind_folder(is_refused(q_name_of_layer_1, {8, 24})) ==
        "model.safetensors: tensor \"model.layers.1.self_attn.q_proj.weight\" has shape [8, 24], "
        "expected [24, 8]");
  for (const auto& [name, tensor] : llama_tensors(config, random_llama_weights<float>(config, 3))) {
    CAPTURE(name);
    std::vector<std::uint64_t> shape = tensor.shape;
    ++shape.back();
    CHECK(behind_folder(is_refused(name, shape)) ==
          "model.safetensors: tensor \"" + name + "\" has shape " + detail::shape_text(shape) +
              ", expected " + detail::shape_text(tensor.shape));
    shape.push_back(1);
    CHECK(contains(is_refused(name, shape), "has shape " + detail::shape_text(shape)));
  }
}

TEST_CASE("a tensor that would not be used is an error", "[backbone][error]") {
  const std::string end =
      ", which a model of type llama and 2 layers with this config does not use";
  const auto with = [](const std::string& name) {
    return refusal_of_tensors<FormatError>(
        [&](auto& tensors) { tensors[name] = stored(Dtype::F32, {8}); });
  };
  for (const std::string name :
       {"model.layers.0.self_attn.q_proj.bias", "model.layers.1.mlp.down_proj.bias",
        "model.layers.2.input_layernorm.weight", "model.layers.0.self_attn.q_norm.weight",
        "score.weight", "model.layers.00.input_layernorm.weight", "rotary_emb.inv_freq.x"}) {
    CAPTURE(name);
    CHECK(with(name) == ": has \"" + name + "\"" + end);
  }
  CHECK(refusal_of_tensors<FormatError>([](auto& tensors) {
          for (char c = 'a'; c < 'h'; ++c) tensors[std::string(1, c)] = stored(Dtype::F32, {1});
        }) == R"(: has "a", "b", "c", "d", "e" and 2 more)" + end);
}

TEST_CASE("a tensor of a type that is no number is refused by name", "[backbone][error]") {
  for (const Dtype dtype : {Dtype::I8, Dtype::F8_E4M3, Dtype::U8}) {
    const std::string message = refusal_of_tensors<FormatError>([&](auto& tensors) {
      tensors[q_name_of_layer_1] = stored(dtype, {24, 8});
    });
    CHECK(contains(message, "model.safetensors: tensor \"" + q_name_of_layer_1 + "\" is " +
                                std::string(to_string(dtype)) +
                                ", expected one of F64, F32, F16, BF16"));
  }
}

TEST_CASE("what ZeRO-3 leaves of a model is refused with what to do", "[backbone][error]") {
  const std::string message = refusal_of_tensors<FormatError>([&](auto& tensors) {
    tensors[q_name_of_layer_1] = stored(Dtype::F32, {0});
    tensors["lm_head.weight"] = stored(Dtype::F32, {0});
  });
  CHECK(contains(message,
                 "model.safetensors: 2 of 21 tensors have shape [0], which is what "
                 "DeepSpeed ZeRO-3 leaves of parameters that are spread over processes: "
                 "gather them where the model was trained: python zero_to_fp32.py"));
}

TEST_CASE("weights that are not finite are refused and can be let through", "[backbone][error]") {
  const LlamaConfig config = biased_llama_config();
  const double infinity = std::numeric_limits<double>::infinity();
  for (const std::string name :
       {"model.embed_tokens.weight", "lm_head.weight", "model.norm.weight",
        "model.layers.1.mlp.down_proj.weight", "model.layers.0.self_attn.k_proj.bias",
        "model.layers.1.post_attention_layernorm.weight"}) {
    for (const float value :
         {std::numeric_limits<float>::quiet_NaN(), static_cast<float>(-infinity)}) {
      CAPTURE(name, value);
      const auto change = [&](StoredTensors& tensors) {
        StoredTensor& tensor = tensors.at(name);
        put_number(tensor, tensor.bytes.size() / sizeof(float) - 1, value);
      };
      for (const bool mapped : {true, false}) {
        CHECK(contains(refusal_of_tensors<NonFiniteError>(change, config, {.mapped = mapped}),
                       "model.safetensors: tensor \"" + name +
                           "\" holds NaN or infinity, expected finite numbers"));
      }
      CHECK(refusal_of_tensors<Error>(change, config, {.check_finite = false}) ==
            "nothing was thrown");
    }
  }
  // finite in the file, but not in the model's type
  CHECK(contains(refusal_of_tensors<NonFiniteError>([](auto& tensors) {
                   StoredTensor tensor = stored(Dtype::F64, {24, 8});
                   put_number(tensor, 100, 1e300);
                   tensors[q_name_of_layer_1] = tensor;
                 }),
                 q_name_of_layer_1 + "\" holds NaN or infinity"));
  CHECK(contains(refusal_of_tensors<NonFiniteError>([](auto& tensors) {
                   tensors[q_name_of_layer_1] = stored(Dtype::F16, {24, 8}, 0x7C);  // 0x7C7C
                 }),
                 q_name_of_layer_1 + "\" holds NaN or infinity"));
  CHECK(contains(refusal_of_tensors<NonFiniteError>([](auto& tensors) {
                   StoredTensor tensor = stored(Dtype::BF16, {24, 8});
                   put_number(tensor, 7, std::uint16_t{0xFF80});
                   tensors[q_name_of_layer_1] = tensor;
                 }),
                 q_name_of_layer_1 + "\" holds NaN or infinity"));
}

TEST_CASE("a shard that was cut is refused wherever the cut is", "[backbone][error]") {
  const LlamaConfig config = small_llama_config();
  const auto weights = random_llama_weights<float>(config, 3);
  const TemporaryFolder folder;
  write_llama_folder(folder.file(""), config, weights, 2);
  const std::string path = folder.file("model-2-of-2.safetensors");
  const std::string whole = file_bytes(path);
  for (const std::size_t size :
       {whole.size() - 1, whole.size() / 2, std::size_t{100}, std::size_t{9}, std::size_t{0}}) {
    CAPTURE(size);
    folder.write("model-2-of-2.safetensors", whole.substr(0, size));
    for (const bool mapped : {true, false}) {
      const std::string message = message_of<FormatError>(
          [&] { (void)read_llama_weights<float>(folder.file(""), config, {.mapped = mapped}); });
      CHECK(message.starts_with(path + ": "));
    }
  }
  std::filesystem::remove(path);
  CHECK(message_of<FileError>([&] { (void)read_llama_weights<float>(folder.file(""), config); }) ==
        folder.file("model.safetensors.index.json") +
            ": names 2 files, and the folder lacks 1 of them: \"model-2-of-2.safetensors\"; "
            "download or copy them too");
  const TemporaryFolder empty;
  CHECK(message_of<FileError>([&] { (void)read_llama_weights<float>(empty.file(""), config); }) ==
        empty.file("") + ": holds neither model.safetensors nor model.safetensors.index.json");
}

TEST_CASE("a tensor of a shard that the index does not list is reported", "[backbone]") {
  const LlamaConfig config = small_llama_config();
  StoredTensors tensors = llama_tensors(config, random_llama_weights<float>(config, 3));
  const TemporaryFolder folder;
  write_llama_tensors(folder.file(""), tensors, 2);
  // of the two files the first is written again, with one more
  StoredTensors first;
  std::size_t number = 0;
  for (const auto& [name, tensor] : tensors) {
    if (number++ % 2 == 0) first[name] = tensor;
  }
  first["extra"] = stored(Dtype::F32, {2});
  SafetensorsWriter writer;
  for (const auto& [name, t] : first) writer.add_bytes(name, t.dtype, t.shape, t.bytes);
  writer.write(folder.file("model-1-of-2.safetensors"));
  LlamaLoadReport report;
  (void)read_llama_weights<float>(folder.file(""), config, {}, &report);
  CHECK(report.unlisted == std::vector<UnlistedTensor>{{"extra", "model-1-of-2.safetensors"}});
  std::vector<std::string> printed;
  const auto sink = [&](const std::string& message) { printed.push_back(message); };
  (void)read_llama_weights<float>(folder.file(""), config, {.warn = sink});
  CHECK(printed == std::vector<std::string>{folder.file("") +
                                            ": tensor \"extra\" is in \"model-1-of-2.safetensors\" "
                                            "and not in the index: it is not read"});
}

TEST_CASE("a small config of many layers and large sizes takes no memory before it is refused",
          "[backbone][error]") {
  LlamaConfig config = small_llama_config();
  config.layers = detail::max_llama_layers;
  config.windows.assign(static_cast<std::size_t>(config.layers), 0);
  const TemporaryFolder folder;
  const auto weights = random_llama_weights<float>(small_llama_config(), 3);
  write_llama_folder(folder.file(""), small_llama_config(), weights);
  CHECK(contains(
      message_of<FormatError>([&] { (void)read_llama_weights<float>(folder.file(""), config); }),
      "has no tensor \"model.layers.2.self_attn.q_proj.weight\""));
  config = small_llama_config();
  config.vocab_size = detail::max_llama_count;
  config.hidden_size = config.intermediate_size = detail::max_llama_width;
  CHECK(contains(
      message_of<FormatError>([&] { (void)read_llama_weights<float>(folder.file(""), config); }),
      "has shape [11, 8], expected [2147483647, 16777216]"));
}

TEST_CASE("a config that is out of range is refused before weights are read or made",
          "[backbone][error]") {
  LlamaConfig config = small_llama_config();
  config.kv_heads = 3;
  const std::string message =
      "kv_heads (num_key_value_heads) is 3, expected a divisor of heads (num_attention_heads), 4";
  CHECK(message_of<ArgumentError>([&] { (void)read_llama_weights<float>("none", config); }) ==
        message);
  CHECK(message_of<ArgumentError>([&] { (void)random_llama_weights<float>(config, 1); }) ==
        message);
  CHECK(message_of<ArgumentError>([] {
          (void)random_llama_weights<float>(small_llama_config(), 1, Dtype::I32);
        }) == "dtype is I32, expected one of F64, F32, F16, BF16");
}

TEST_CASE("random weights are named by their seed alone", "[backbone][golden]") {
  const LlamaConfig config = biased_llama_config();
  const auto in_float = random_llama_weights<float>(config, 42);
  const auto in_double = random_llama_weights<double>(config, 42);
  const auto in_half = random_llama_weights<double>(config, 42, Dtype::BF16);
  CHECK(is_same_tensors(llama_tensors(config, in_float),
                        llama_tensors(config, random_llama_weights<float>(config, 42))));
  CHECK(is_same_tensor(stored(in_float.layers[1].gate), stored(in_double.layers[1].gate)));
  CHECK(in_float.norm.cast<double>() == in_double.norm);
  const Matrix<float> wide = in_float.layers[0].q.dense<float>();
  const Matrix<float> half = in_half.layers[0].q.dense<float>();
  for (Index i = 0; i < wide.size(); ++i) {
    CHECK(half.data()[i] == from_bf16(to_bf16(wide.data()[i])));
  }
  CHECK(wide != random_llama_weights<float>(config, 43).layers[0].q.dense<float>());
  CHECK(wide != in_float.layers[1].q.dense<float>());
  CHECK(wide.cwiseAbs().maxCoeff() < 0.02F * 4.4F);
  CHECK(wide.norm() > 0.015F * std::sqrt(static_cast<float>(wide.size())));
  CHECK(in_float.layers[0].input_norm.minCoeff() > 0.4F);
  // of every compiler
  std::string bytes;
  for (const auto& [name, tensor] : llama_tensors(config, in_float)) {
    bytes += name;
    bytes.append(reinterpret_cast<const char*>(tensor.bytes.data()), tensor.bytes.size());
  }
  CHECK(hash_bytes(bytes) == 0x1EC9E3B6056FD26AU);
}

TEST_CASE("the weights of tiny-llama are read", "[backbone][golden]") {
  const char* const extra = std::getenv("ANYSSR_EXTRA_DATA");
  if (extra == nullptr) {
    std::cout << "skipped: ANYSSR_EXTRA_DATA is not set\n";
    return;
  }
  const std::filesystem::path folder = std::filesystem::path(extra) / "models" / "tiny-llama";
  const auto weights = read_llama_weights<float>(folder, read_llama_config(folder));
  CHECK(weights.layers.size() == 8);
  CHECK(weights.bytes() == 4 * 3935424);  // as its README counts
  CHECK(weights.embedding.rows() == 2048);
  CHECK(weights.layers[7].k.rows() == 64);
}
