// SPDX-License-Identifier: MIT

/// @file
/// What stands for the parts of the program that the demo is built without: they would take two
/// minutes to compile.

#include <unistd.h>

#include <anyssr/core/error.hpp>
#include <filesystem>
#include <system_error>

#include "departments/experiment.hpp"

namespace departments {

namespace {

constexpr const char* complete = "departments_complete";

[[noreturn]] void refuse(const std::string& option) {
  throw anyssr::ArgumentError(option + " takes the program " + complete +
                              " beside this one: cmake --build build --target " + complete +
                              " makes it");
}

[[nodiscard]] std::string incomplete_option(const Options& options) {
  if (!options.state.empty()) return "--state " + options.state;
  return options.scalar == "float" ? "" : "--scalar " + options.scalar;
}

}  // namespace

void go_on_where_complete(const Options& options, char** argv) {
  const std::string option = incomplete_option(options);
  if (option.empty()) return;
  std::error_code ignored;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", ignored);
  execv((self.parent_path() / complete).c_str(), argv);
  refuse(option);
}

Results run_double(Questions& /*questions*/, const Options& options, Answerer& /*answer*/) {
  refuse(incomplete_option(options));
}

template <>
std::shared_ptr<Keeper<float>> open_keeper(const Options& options) {
  refuse(incomplete_option(options));
}

}  // namespace departments
