// SPDX-License-Identifier: MIT
// A whole safetensors file: the header, and every tensor as what it may be read as.
#include "anyssr/io/safetensors_reader.hpp"
#include "fuzz/fuzz_input.hpp"

namespace {

void read_everything(const anyssr::SafetensorsReader& reader) {
  for (const anyssr::TensorInfo& tensor : reader.tensors()) {
    (void)reader.bytes(tensor.name);
    anyssr::fuzz::run([&] { (void)reader.numbers<float>(tensor.name); });
    anyssr::fuzz::run([&] { (void)reader.matrix<double>(tensor.name); });
    anyssr::fuzz::run([&] { (void)reader.integers<std::int32_t>(tensor.name); });
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const anyssr::fuzz::InputFile file(data, size);
  for (const bool mapped : {false, true}) {
    anyssr::fuzz::run(
        [&] { read_everything(anyssr::SafetensorsReader(file.path(), {.mapped = mapped})); });
  }
  return 0;
}
