// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// What the fuzzers share: an input as text or as a file, and the one way out that is allowed: an
/// anyssr::Error. Anything else, a hang or an allocation beyond the limit is a finding.

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "anyssr/core/error.hpp"

namespace anyssr::fuzz {

/// A file in memory that holds the input.
class InputFile {
 public:
  InputFile(const std::uint8_t* data, std::size_t size) : number_(::memfd_create("input", 0)) {
    if (number_ < 0 || ::write(number_, data, size) != static_cast<ssize_t>(size)) std::abort();
  }
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;
  ~InputFile() { ::close(number_); }
  [[nodiscard]] std::string path() const { return "/proc/self/fd/" + std::to_string(number_); }

 private:
  int number_;
};

[[nodiscard]] inline std::string_view as_text(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};  // NOLINT: bytes seen as characters
}

/// Runs an action that may refuse its input.
template <class Action>
int run(const Action& action) {
  try {
    action();
  } catch (const Error&) {  // refused: what a reader should do
  }
  return 0;
}

}  // namespace anyssr::fuzz
