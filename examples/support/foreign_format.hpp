// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// What a file is instead of JSON lines, by its first bytes, and what makes JSON lines of it.

#include <algorithm>
#include <anyssr/io/guarded_json.hpp>
#include <string>
#include <string_view>

#include "support/shown.hpp"

namespace support {

inline constexpr std::string_view json_blanks = " \t\r\n";

/// A view without white space at its ends.
[[nodiscard]] inline std::string_view trimmed(std::string_view text) noexcept {
  const std::size_t begin = text.find_first_not_of(json_blanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(json_blanks) + 1 - begin);
}

/// Archives, tables and other files that are no text; "" where none is recognised.
[[nodiscard]] inline std::string binary_format(std::string_view text) {
  using namespace std::string_view_literals;
  struct Signature {
    std::string_view bytes;
    const char* meaning;
  };
  constexpr Signature signatures[] = {
      {"\x1F\x8B"sv, "this is a gzip archive: gunzip -c makes text of it"},
      {"PK\x03\x04"sv,
       "this is a zip archive (a spreadsheet of Excel or LibreOffice is one, too): unzip it, or "
       "export the table"},
      {"BZh"sv, "this is a bzip2 archive: bunzip2 -c makes text of it"},
      {"\xFD"
       "7zXZ\0"sv,
       "this is an xz archive: unxz -c makes text of it"},
      {"\x28\xB5\x2F\xFD"sv, "this is a zstd archive: zstd -dc makes text of it"},
      {"7z\xBC\xAF\x27\x1C"sv, "this is a 7z archive: 7z x unpacks it"},
      {"PAR1"sv,
       "this is a Parquet file: pandas.read_parquet(IN).to_json(OUT, orient='records', "
       "lines=True) makes JSON lines of it"},
      {"ARROW1"sv, "this is an Arrow file: datasets' to_json makes JSON lines of it"},
      {"\x89HDF"sv, "this is an HDF5 file, expected JSON"},
      {"\x93NUMPY"sv, "this is a NumPy array, expected JSON"},
      {"SQLite format 3\0"sv, "this is an SQLite database: sqlite3 -json exports its tables"},
      {"\xD0\xCF\x11\xE0"sv, "this is an old Office document: export the table as text"},
      {"%PDF"sv, "this is a PDF document, expected JSON"},
      {"\x80\x04\x95"sv, "this is a Python pickle: json.dumps of each record makes JSON lines"},
      {"\x80\x05\x95"sv, "this is a Python pickle: json.dumps of each record makes JSON lines"}};
  for (const Signature& signature : signatures) {
    if (text.starts_with(signature.bytes)) return signature.meaning;
  }
  if (text.size() > 262 && text.substr(257, 5) == "ustar"sv) {
    return "this is a tar archive: tar -x unpacks it";
  }
  return "";
}

/// UTF-16 and UTF-32, with or without a byte order mark; "" where it is neither.
[[nodiscard]] inline std::string wide_encoding(std::string_view text) {
  using namespace std::string_view_literals;
  const auto found = [](const std::string& name, const std::string& exact) {
    return "this is " + name + " text: iconv -f " + exact + " -t UTF-8 makes UTF-8 of it";
  };
  if (text.starts_with("\xFF\xFE\0\0"sv) || text.starts_with("\0\0\xFE\xFF"sv)) {
    return found("UTF-32", "UTF-32");
  }
  if (text.starts_with("\xFF\xFE"sv) || text.starts_with("\xFE\xFF"sv)) {
    return found("UTF-16", "UTF-16");
  }
  if (text.size() < 4) return "";
  std::string zeros;  // of the first two characters, which are ASCII in JSON
  for (const char byte : text.substr(0, 4)) zeros += byte == 0 ? '0' : 'x';
  if (zeros == "x0x0") return found("UTF-16", "UTF-16LE");
  if (zeros == "0x0x") return found("UTF-16", "UTF-16BE");
  if (zeros == "x000") return found("UTF-32", "UTF-32LE");
  if (zeros == "000x") return found("UTF-32", "UTF-32BE");
  return "";
}

/// Whether a line was printed by Python: {'text': ...}.
[[nodiscard]] inline bool is_python(std::string_view line) noexcept {
  const std::size_t at = line.find_first_not_of(" \t\r\n[{(");
  return at != std::string_view::npos && at > 0 && line[at] == '\'';
}

inline constexpr const char* python_meaning =
    "Python wrote this with single quotes, None and True, expected JSON: json.dumps(record) writes "
    "it";

/// The JSON value that a text is; discarded where it is none.
[[nodiscard]] inline anyssr::Json json_or_nothing(std::string_view text) {
  try {
    return anyssr::parse_json(text, "");
  } catch (const anyssr::FormatError&) {
    return anyssr::Json(anyssr::Json::value_t::discarded);
  }
}

/// The first member, or member of a member, that is a list of objects, as jq names it: where a file
/// keeps its records; "" where none is.
[[nodiscard]] inline std::string list_of_records(const anyssr::Json& object, int depth = 2) {
  if (!object.is_object() || depth == 0) return "";
  for (const auto& [key, value] : object.items()) {
    if (value.is_array() && !value.empty() && value.front().is_object()) return key;
    const std::string inner = list_of_records(value, depth - 1);
    if (!inner.empty()) return key + "." + inner;
  }
  return "";
}

/// Whether a line begins with an object and goes on with another one.
[[nodiscard]] inline bool has_two_objects(std::string_view line) {
  for (std::size_t end = 0; (end = line.find('}', end)) != std::string_view::npos;) {
    ++end;
    if (!trimmed(line.substr(end)).starts_with('{')) continue;
    if (anyssr::Json::accept(line.substr(0, end))) return true;
  }
  return false;
}

/// A table that pandas writes as one object: by column, or as columns and data; "" for other JSON.
[[nodiscard]] inline std::string table_in_json(const anyssr::Json& object) {
  if (!object.is_object() || object.empty()) return "";
  const std::string remedy =
      "): pandas.read_json(IN, orient=ORIENT).to_json(OUT, orient='records', lines=True) makes "
      "lines of it";
  const auto has_list = [&](const char* key) {
    return object.contains(key) && object[key].is_array();
  };
  if (has_list("columns") && has_list("data")) {
    return "one table of columns and data (ORIENT is 'split'" + remedy;
  }
  const auto is_column = [](const anyssr::Json& value) {
    return value.is_object() && value.contains("0");
  };
  if (std::ranges::all_of(object, is_column)) {
    return "one table by columns (ORIENT is 'columns'" + remedy;
  }
  return "";
}

/// JSON that is not one object on each line; "" where it is, as far as can be seen.
/// @param text  begins with [ or {
[[nodiscard]] inline std::string other_json(std::string_view text) {
  const std::size_t end = std::min(text.find('\n'), text.size());
  const std::string_view first = trimmed(text.substr(0, end));
  const std::string_view rest = trimmed(text.substr(end));
  const bool is_first_whole = anyssr::Json::accept(first);
  const std::string expected = "expected one JSON object per line, this file is ";
  if (is_first_whole && !rest.empty()) return "";
  if (text.front() == '[') {
    return expected + "one array: jq -c '.[]' makes lines of it";
  }
  const anyssr::Json whole = json_or_nothing(text);
  if (const std::string table = table_in_json(whole); !table.empty()) return expected + table;
  const std::string key = list_of_records(whole);
  if (!key.empty()) {
    return expected + "one object around the list " + in_quotes(key) +
           (key.find('.') == std::string::npos
                ? ": jq -c 'to_entries[].value[]?' makes lines of its lists"
                : ": jq -c '.. | arrays | .[]' makes lines of its lists");
  }
  if (is_first_whole) return "";
  if (whole.is_discarded() && !is_first_whole && has_two_objects(first)) {
    return expected + "objects one after another on a line: jq -c . makes lines of them";
  }
  const char last = first.back();
  const bool goes_on = last == '{' || last == '[' || last == ',';
  if (!whole.is_discarded()) {
    return expected + "one object over several lines: jq -c . makes a line of it";
  }
  if (goes_on && !rest.empty() && rest.front() != '{') {
    return expected + "objects over several lines each: jq -c . makes lines of them";
  }
  return "";
}

/// A table with a separator, such as CSV; "" where the first line has none, or JSON follows it.
[[nodiscard]] inline std::string table_format(std::string_view text) {
  struct Separator {
    char byte;
    const char* name;
    const char* python;
  };
  constexpr Separator separators[] = {{'\t', "tabs (TSV)", ", delimiter=\"\\t\""},
                                      {',', "commas (CSV)", ""},
                                      {';', "semicolons (CSV)", ", delimiter=\";\""},
                                      {'|', "vertical bars", ", delimiter=\"|\""}};
  const std::size_t end = std::min(text.find('\n'), text.size());
  const std::string_view first = text.substr(0, end);
  if (trimmed(text.substr(end)).starts_with('{')) return "";  // JSON lines, and a bad first one
  for (const Separator& separator : separators) {
    if (first.find(separator.byte) == std::string_view::npos) continue;
    return std::string("this is a table with ") + separator.name +
           ", expected one JSON object per line: python3 -c 'import csv, json, sys; [print("
           "json.dumps(row)) for row in csv.DictReader(sys.stdin" +
           separator.python +
           ")]' <IN >OUT makes lines of it where its first row names the columns";
  }
  return "";
}

/// What a file is where it is no JSON of any kind, and what to do; "" where it may be.
/// @param text  without a byte order mark of UTF-8
[[nodiscard]] inline std::string no_json(std::string_view text) {
  for (const std::string& meaning : {binary_format(text), wide_encoding(text)}) {
    if (!meaning.empty()) return meaning;
  }
  const std::string_view body = trimmed(text);
  if (body.empty()) return "";
  if (body.starts_with("version https://git-lfs")) {
    return "this is a pointer of git-lfs: git lfs pull brings the file";
  }
  if (body.front() == '<') {
    return "this is a page of HTML or XML, expected JSON: download the file itself";
  }
  const auto is_binary = [](char c) {
    return static_cast<unsigned char>(c) < 0x20 && json_blanks.find(c) == std::string_view::npos;
  };
  const std::string_view start = body.substr(0, 4096);
  if (std::count_if(start.begin(), start.end(), is_binary) > 8) {
    return "this is no text, expected JSON";
  }
  return is_python(body) ? python_meaning : "";
}

/// What a file is where it is no JSON lines at all, and what to do; "" where nothing speaks against
/// them.
/// @param text  without a byte order mark of UTF-8
[[nodiscard]] inline std::string foreign_format(std::string_view text) {
  if (const std::string meaning = no_json(text); !meaning.empty()) return meaning;
  const std::string_view body = trimmed(text);
  if (body.empty()) return "";
  if (body.find('\n') == std::string_view::npos && body.find('\r') != std::string_view::npos) {
    return "its lines end in carriage returns alone: tr '\\r' '\\n' <IN >OUT mends them";
  }
  if (body.front() == '[' || body.front() == '{') return other_json(body);
  return table_format(body);
}

}  // namespace support
