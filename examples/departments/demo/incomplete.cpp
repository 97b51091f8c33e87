// SPDX-License-Identifier: MIT

/// @file
/// Stubs for the parts that the demo leaves out, which take two minutes to compile.

#include <unistd.h>

#include <anyssr/core/error.hpp>
#include <filesystem>
#include <system_error>

#include "departments/experiment.hpp"

namespace departments {

namespace {

constexpr const char* complete = "departments_complete";

[[noreturn]] void refuse(const std::string& option) {
  throw anyssr::ArgumentError(option + " needs " + complete +
                              ", which is not built: cmake --build build --target " + complete);
}

[[nodiscard]] std::string incomplete_option(const Options& options) {
  if (!options.state.empty()) return "--state";
  if (options.model.is_chosen()) return options.model.option();
  return options.scalar == "float" ? "" : "--scalar " + options.scalar;
}

}  // namespace

void go_on_where_complete(const Options& options, char** argv) {
  const std::string option = incomplete_option(options);
  if (option.empty()) return;
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  // without the path of this program the name would mean one in the current folder
  if (!error && self.has_parent_path()) execv((self.parent_path() / complete).c_str(), argv);
  refuse(option);
}

Results run_double(Questions& /*questions*/, const Options& options, Answerer& /*answer*/) {
  refuse(incomplete_option(options));
}

Results run_with_model(Questions& /*questions*/, const Options& options, Answerer& /*answer*/) {
  refuse(incomplete_option(options));
}

template <>
std::shared_ptr<Keeper<WordsInFloat>> open_keeper(const Options& options) {
  refuse(incomplete_option(options));
}

}  // namespace departments
