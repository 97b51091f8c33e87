// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The files of TRACE, a benchmark of tasks for language models (arXiv 2310.06762): one folder per
/// task with train.json, test.json and eval.json. Each file is a JSON list of {"prompt", "answer"},
/// or such objects as JSON lines.

#include <filesystem>
#include <functional>
#include <string>

#include "support/findings.hpp"

namespace cl_benchmark {

struct TraceRow {
  std::string prompt;
  std::string answer;
};

/// Whether a folder holds train.json, and no train.jsonl, which would be read instead.
[[nodiscard]] bool has_trace_rows(const std::filesystem::path& folder);

/// Calls use(row) for each row of a file.
/// @param faults  gets what is wrong with rows, with file and row or line
/// @throws anyssr::FormatError  where the file cannot be read or is no JSON
void read_trace_rows(const std::string& file, support::Findings& faults,
                     const std::function<void(const TraceRow&)>& use);

}  // namespace cl_benchmark
