// SPDX-License-Identifier: MIT
// Counts the Eigen types that g++ makes for a source file, which its time hangs on (about
// 4 + 0.009 n + 4.5e-5 n^2 seconds for n types). No clock is read, so no load disturbs it.
//
//   type_budget BUDGET COMPILER ARGUMENTS...   runs COMPILER -Q -fsyntax-only ARGUMENTS
//
// Exit status: 0 within the budget, 1 above it, 2 where the compiler fails.

#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <set>
#include <string>
#include <string_view>

namespace {

/// `'` stands in no path of ours.
std::string quoted(std::string_view argument) { return "'" + std::string(argument) + "'"; }

/// The types X of "... Eigen::DenseBase<X>" or "... Eigen::DenseBase<X> ..." in a line.
void add_types(std::string_view line, std::set<std::string>& types) {
  constexpr std::string_view base = " Eigen::DenseBase<";
  for (std::size_t at = line.find(base); at != line.npos; at = line.find(base, at + 1)) {
    std::size_t end = at + base.size();
    for (int depth = 1; depth > 0 && end < line.size(); ++end) {
      depth += line[end] == '<' ? 1 : line[end] == '>' ? -1 : 0;
    }
    // not the name of a member: Eigen::DenseBase<X>::f
    if (end == line.size() || line[end] == ' ') types.emplace(line.substr(at, end - at));
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::cerr << "usage: type_budget BUDGET COMPILER ARGUMENTS...\n";
    return 2;
  }
  const std::size_t budget = std::stoul(argv[1]);
  std::string command = quoted(argv[2]) + " -Q -fsyntax-only";
  for (int i = 3; i < argc; ++i) command += " " + quoted(argv[i]);
  command += " 2>&1";
  FILE* const output = popen(command.c_str(), "r");
  if (output == nullptr) return 2;
  std::set<std::string> types;
  std::string error;
  char* line = nullptr;
  std::size_t capacity = 0;
  while (getline(&line, &capacity, output) > 0) {
    std::string_view text(line);
    text.remove_suffix(text.ends_with('\n') ? 1 : 0);
    add_types(text, types);
    if (text.find("error") != text.npos && error.size() < 2000) error += std::string(text) + "\n";
  }
  std::free(line);
  if (const int status = pclose(output); status != 0) {
    std::cerr << error << command << ": status " << status << "\n";
    return 2;
  }
  std::cout << types.size() << " types, budget " << budget << "\n";
  return types.size() <= budget ? 0 : 1;
}
