// SPDX-License-Identifier: MIT
#include "anyssr/io/foreign_folder.hpp"

#include <filesystem>
#include <string>
#include <vector>

#include "anyssr/io/peft_adapter_reader.hpp"
#include "anyssr/io/sharded_safetensors.hpp"
#include "support/catch.hpp"
#include "support/program.hpp"

using namespace anyssr;
using namespace anyssr::test;

namespace {

namespace fs = std::filesystem;

/// A folder of empty files and what its message says behind the names that are missing.
struct FolderCase {
  std::vector<std::string> files;
  std::string hint;
};

void write_empty_files(const TemporaryFolder& folder, const std::vector<std::string>& files) {
  for (const std::string& file : files) {
    fs::create_directories(fs::path(folder.file(file)).parent_path());
    folder.write(file, "");
  }
}

std::string held_instead(const std::string& name, const std::string& is, const char* remedy) {
  return "; it holds \"" + name + "\", " + is + ": " + remedy;
}

}  // namespace

TEST_CASE("a model folder in another format is named with what to do", "[io][error]") {
  const auto pickle = [](const std::string& name) {
    return held_instead(name, "a pickle", detail::convert_pickle);
  };
  const std::string deepspeed = "a checkpoint of DeepSpeed";
  const std::vector<FolderCase> cases{
      {{}, ""},
      {{"config.json", "README.md"}, ""},
      {{"config.json", "pytorch_model.bin"}, pickle("pytorch_model.bin")},
      {{"config.json", "pytorch_model-00001-of-00002.bin", "pytorch_model.bin.index.json"},
       pickle("pytorch_model-00001-of-00002.bin")},
      {{"config.json", "training_args.bin", "optimizer.pt"}, ""},
      {{"config.json", "model.pt"}, pickle("model.pt")},
      {{"llama.Q8_0.gguf"},
       held_instead("llama.Q8_0.gguf", "a GGUF file (llama.cpp)", detail::fetch_safetensors)},
      {{"config.json", "tf_model.h5"},
       held_instead("tf_model.h5", "an HDF5 file (Keras)", detail::fetch_safetensors)},
      {{"config.json", "flax_model.msgpack"},
       held_instead("flax_model.msgpack", "weights of Flax", detail::fetch_safetensors)},
      {{"config.json", "model.onnx"},
       held_instead("model.onnx", "an ONNX model", detail::fetch_safetensors)},
      {{"consolidated.00.pth", "params.json"},
       held_instead("consolidated.00.pth", "weights as Meta published them", detail::convert_meta)},
      {{"consolidated.safetensors", "params.json"},
       held_instead("consolidated.safetensors", "weights as Mistral publishes them",
                    "get the model.safetensors of the same repository")},
      {{"config.json", "zero_to_fp32.py", "global_step10/mp_rank_00_model_states.pt"},
       held_instead("zero_to_fp32.py", deepspeed, detail::gather_zero3)},
      {{"mp_rank_00_model_states.pt"},
       held_instead("mp_rank_00_model_states.pt", deepspeed, detail::gather_zero3)},
      {{"config.json", "model-00001-of-00003.safetensors", "model-00002-of-00003.safetensors"},
       "; it holds \"model-00001-of-00003.safetensors\", a part of a model, and no "
       "model.safetensors.index.json, which says what is in which part: get that file too"},
      {{"adapter_config.json", "adapter_model.safetensors"},
       "; it is the folder of an adapter, expected the one of the model"},
  };
  for (const FolderCase& c : cases) {
    CAPTURE(c.hint);
    const TemporaryFolder folder;
    write_empty_files(folder, c.files);
    CHECK(message_of<FileError>([&] { (void)ShardedSafetensors(folder.file("")); }) ==
          folder.file("") + ": holds neither model.safetensors nor model.safetensors.index.json" +
              c.hint);
  }
}

TEST_CASE("the folder above a model or an adapter leads to the one below", "[io][error]") {
  const std::string below = "; expected a folder below it: ";
  const TemporaryFolder cache;
  write_empty_files(cache, {"blobs/1", "refs/main", "snapshots/0a1b/config.json"});
  CHECK(message_of<FileError>([&] {
          (void)ShardedSafetensors(cache.file(""));
        }).ends_with(below + cache.file("snapshots/0a1b")));
  const TemporaryFolder adapters;
  write_empty_files(adapters, {"README.md", "billing/adapter_config.json"});
  CHECK(message_of<FileError>([&] { (void)read_peft_report(adapters.file("")); }) ==
        adapters.file("adapter_config.json") + ": is not there" + below + adapters.file("billing"));
}

TEST_CASE("an adapter folder in another format is named with what to do", "[io][error]") {
  const std::string config = "adapter_config.json";
  const std::string tensors = "adapter_model.safetensors";
  struct AdapterCase {
    std::vector<std::string> files;
    std::string missing;
    std::string hint;
  };
  const std::vector<AdapterCase> cases{
      {{config, "adapter.gguf"},
       tensors,
       held_instead("adapter.gguf", "a GGUF file (llama.cpp)", detail::fetch_safetensors)},
      {{config, "adapters.safetensors"},
       tensors,
       held_instead("adapters.safetensors", "an adapter of mlx-lm",
                    "convert it to a folder of PEFT")},
      {{"adapter_model.pt"},
       config,
       held_instead("adapter_model.pt", "a pickle", detail::convert_pickle)},
      {{"config.json", "model.safetensors"},
       config,
       "; it is the folder of a model, expected the one of an adapter, as PEFT saves it"},
  };
  for (const AdapterCase& c : cases) {
    CAPTURE(c.hint);
    const TemporaryFolder folder;
    write_empty_files(folder, c.files);
    CHECK(message_of<FileError>([&] { (void)read_peft_report(folder.file("")); }) ==
          folder.file(c.missing) + ": is not there" + c.hint);
  }
  const TemporaryFolder folder;
  const std::string file = folder.write("adapter_model.safetensors", "");
  CHECK(message_of<FileError>([&] { (void)read_peft_report(file); }) ==
        file + "/adapter_config.json: is not there; " + file +
            " is a file, expected the folder of an adapter, as PEFT saves it");
}

TEST_CASE("names of parts are told from other names", "[io]") {
  for (const char* name : {"model-00001-of-00003.safetensors", "a1-of-2.safetensors"}) {
    CHECK(detail::is_shard_name(name));
  }
  for (const char* name : {"model.safetensors", "best-of-all.safetensors", "-of-2.safetensors",
                           "model-1-of-2.bin", "model-1-of-.safetensors", ""}) {
    CHECK_FALSE(detail::is_shard_name(name));
  }
}
