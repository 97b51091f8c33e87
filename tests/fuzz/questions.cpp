// SPDX-License-Identifier: MIT
// The questions of the example departments: JSON lines that users bring.
#include "departments/questions.hpp"
#include "fuzz/fuzz_input.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const anyssr::fuzz::InputFile file(data, size);
  return anyssr::fuzz::run([&] {
    const departments::Questions questions = departments::read_jsonl(file.path());
    departments::expect_complete(questions, {"test"});
  });
}
