// SPDX-License-Identifier: MIT
// The index of a sharded model, beside two shards that are whole.
#include <filesystem>
#include <fstream>

#include "anyssr/io/safetensors_writer.hpp"
#include "anyssr/io/sharded_safetensors.hpp"
#include "fuzz/fuzz_input.hpp"

namespace {

/// A folder with two shards, made once a process.
const std::filesystem::path& model_folder() {
  static const std::filesystem::path folder = [] {
    std::string name = (std::filesystem::temp_directory_path() / "anyssr-fuzz-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    int number = 0;
    for (const char* shard : {"one.safetensors", "two.safetensors"}) {
      anyssr::SafetensorsWriter writer;
      writer.add("a" + std::to_string(number++), anyssr::Matrix<float>::Ones(2, 3).eval());
      writer.write(std::filesystem::path(name) / shard);
    }
    return std::filesystem::path(name);
  }();
  return folder;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::filesystem::path& folder = model_folder();
  std::ofstream(folder / "model.safetensors.index.json", std::ios::binary)
      << anyssr::fuzz::as_text(data, size);
  return anyssr::fuzz::run([&] {
    const anyssr::ShardedSafetensors model(folder);
    for (const std::string& name : model.names()) (void)model.numbers<float>(name);
  });
}
