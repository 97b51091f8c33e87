// SPDX-License-Identifier: MIT
#include "cl_benchmark/trace_folder.hpp"

#include <anyssr/core/error.hpp>
#include <fstream>
#include <string_view>

#include "support/json_lines.hpp"

namespace cl_benchmark {

using anyssr::FormatError;
using support::Json;

namespace {

namespace fs = std::filesystem;

/// Whether a file begins as a JSON list does; of one that cannot be read the reader complains.
bool begins_as_list(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  for (const char expected : support::byte_order_mark) {
    if (file.peek() == std::char_traits<char>::to_int_type(expected)) file.get();
  }
  file >> std::ws;
  return file.peek() == '[';
}

TraceRow row_of(const Json& value, const std::string& place) {
  if (!value.is_object() || !value.contains("prompt") || !value.contains("answer")) {
    throw FormatError(place + ": expected an object {\"prompt\", \"answer\"}");
  }
  if (!value["prompt"].is_string() || support::is_blank(value["prompt"].get<std::string>())) {
    throw FormatError(place + ": \"prompt\" is empty or no string, expected a text");
  }
  return {.prompt = value["prompt"].get<std::string>(),
          .answer = support::name_of(value["answer"], place + ": \"answer\"")};
}

}  // namespace

bool has_trace_rows(const fs::path& folder) {
  return fs::exists(folder / "train.json") && !fs::exists(folder / "train.jsonl");
}

void read_trace_rows(const std::string& file, support::Findings& faults,
                     const std::function<void(const TraceRow&)>& use) {
  std::size_t rows = 0;
  const std::size_t before = faults.count();
  const auto take = [&](const Json& value, const std::string& place) {
    use(row_of(value, place));
    ++rows;
  };
  if (begins_as_list(file)) {
    std::size_t number = 0;
    for (const Json& value : support::read_json_text(file)) {
      const std::string place = support::shown(file) + ": row " + std::to_string(++number);
      try {
        take(value, place);
      } catch (const FormatError& error) {
        faults.add(error.what());
      }
    }
  } else {
    support::read_json_lines(file, faults, take);
  }
  if (rows == 0 && faults.count() == before) {
    faults.add(support::shown(file) +
               ": holds no row, expected a JSON list, or JSON lines, of {\"prompt\", \"answer\"}");
  }
}

}  // namespace cl_benchmark
