// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The methods of `cl_benchmark` by their names.

#include <span>
#include <string_view>

namespace cl_benchmark {

/// A name and what the method does, in one line.
struct MethodName {
  std::string_view name;
  std::string_view meaning;
};

/// All methods, in the order of a report.
[[nodiscard]] std::span<const MethodName> method_names();

/// @throws anyssr::ArgumentError  for a name that no method has
void expect_method(std::string_view name);

}  // namespace cl_benchmark
