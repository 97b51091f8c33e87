// SPDX-License-Identifier: MIT

/// @file
/// What a program that uses the library takes to compile, with its headers alone and with
/// anyssr::compiled: CPU time, peak memory, and with g++ the Eigen types that both hang on.
///
///   compile_time SOURCE_DIR COMPILER FLAGS...
///
/// The table and the last line, a JSON object, hold the shorter of two runs.

#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

struct Program {
  const char* source;
  bool links_library = false;
};

constexpr Program programs[] = {
    {.source = "tests/package/budget/everything.cpp"},
    {.source = "tests/package/budget/regression.cpp"},
    {.source = "tests/package/budget/router.cpp"},
    {.source = "tests/package/budget/router.cpp", .links_library = true},
    {.source = "examples/two_tasks.cpp"},
    {.source = "examples/two_tasks.cpp", .links_library = true},
    {.source = "examples/custom_backbone.cpp"},
    {.source = "examples/serving_engine.cpp"},
    {.source = "examples/save_and_load.cpp", .links_library = true},
    {.source = "examples/in_production.cpp", .links_library = true},
};

struct Cost {
  double seconds = 0;  // CPU time of user and system
  double megabytes = 0;
};

Cost run(const std::vector<std::string>& command) {
  std::vector<char*> arguments;
  for (const std::string& argument : command) {
    arguments.push_back(const_cast<char*>(argument.c_str()));
  }
  arguments.push_back(nullptr);
  pid_t child = 0;
  if (posix_spawnp(&child, arguments[0], nullptr, nullptr, arguments.data(), environ) != 0) {
    throw std::runtime_error("cannot start " + command[0]);
  }
  int status = 0;
  rusage usage{};
  // the peak is that of the largest process: the compiler proper, which the driver waits for
  if (wait4(child, &status, 0, &usage) < 0 || status != 0) {
    throw std::runtime_error(command[0] + " failed with status " + std::to_string(status));
  }
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return {.seconds = seconds(usage.ru_utime) + seconds(usage.ru_stime),
          .megabytes = static_cast<double>(usage.ru_maxrss) / 1024};
}

/// The types X in the lines "Class Eigen::DenseBase<X>" of a dump of g++.
std::size_t count_types(const std::filesystem::path& dump) {
  std::ifstream file(dump);
  std::set<std::string> types;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("Class Eigen::DenseBase<")) types.insert(line);
  }
  return types.size();
}

void measure(const std::filesystem::path& source_dir, const std::vector<std::string>& compiler) {
  const std::filesystem::path dump =
      std::filesystem::temp_directory_path() / ("anyssr-classes-" + std::to_string(getpid()));
  nlohmann::json all = nlohmann::json::object();
  std::printf("%-52s %8s %8s %8s\n", "", "seconds", "MB", "types");
  for (const Program& program : programs) {
    std::vector<std::string> command = compiler;
    if (program.links_library) command.emplace_back("-DANYSSR_COMPILED");
    const std::string include = "-I" + (source_dir / "include").string();
    const std::string examples = "-I" + (source_dir / "examples").string();
    const std::string source = (source_dir / program.source).string();
    command.insert(command.end(),
                   {"-std=c++20", include, examples, "-c", source, "-o", "/dev/null"});
    Cost cost = run(command);
    cost.seconds = std::min(cost.seconds, run(command).seconds);
    std::size_t types = 0;
    if (compiler[0].find("clang") == std::string::npos) {
      command.insert(command.end(), {"-fsyntax-only", "-fdump-lang-class=" + dump.string()});
      run(command);
      types = count_types(dump);
      std::filesystem::remove(dump);
    }
    const std::string name =
        std::string(program.source) + (program.links_library ? " (compiled)" : "");
    std::printf("%-52s %8.1f %8.0f %8zu\n", name.c_str(), cost.seconds, cost.megabytes, types);
    all[name] = {{"seconds", cost.seconds}, {"megabytes", cost.megabytes}, {"eigen_types", types}};
  }
  std::printf("%s\n", all.dump().c_str());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: compile_time SOURCE_DIR COMPILER FLAGS...\n");
    return 2;
  }
  try {
    measure(argv[1], std::vector<std::string>(argv + 2, argv + argc));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "compile_time: %s\n", error.what());
    return 1;
  }
  return 0;
}
