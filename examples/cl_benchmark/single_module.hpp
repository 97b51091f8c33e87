// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Methods of `cl_benchmark` with one adapter for all answers of all tasks.

#include <memory>
#include <string_view>

#include "cl_benchmark/methods.hpp"

namespace cl_benchmark {

/// A method of `method_names` with one adapter; none: another name.
[[nodiscard]] std::unique_ptr<Method> make_single_module(std::string_view name,
                                                         const Encoded& encoded,
                                                         const MethodSettings& settings);

}  // namespace cl_benchmark
