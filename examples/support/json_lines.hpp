// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The one reader of JSON lines, for all programs: one object per line, in UTF-8. A byte order
/// mark, CRLF, blank lines, blanks around an object and a last line without its end are fine. Every
/// line is looked at, and all faults are found.

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "support/findings.hpp"
#include "support/foreign_format.hpp"
#include "support/shown.hpp"
#include "support/strict_json.hpp"

namespace support {

inline constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";

/// The one JSON value that a file holds, with or without a byte order mark.
/// @throws anyssr::FormatError
[[nodiscard]] inline Json read_json_text(const std::string& path) {
  const std::string file = read_file(path);
  std::string_view text = file;
  if (text.starts_with(byte_order_mark)) text.remove_prefix(byte_order_mark.size());
  const std::string foreign = no_json(text);
  if (!foreign.empty()) throw anyssr::FormatError(shown(path) + ": " + foreign);
  return parse_json(text, shown(path));
}

/// A value of a file in a message.
[[nodiscard]] inline std::string outline(const Json& value) {
  if (value.is_object()) return "an object";
  if (value.is_array()) return "an array";
  if (value.is_string()) return in_quotes(value.get_ref<const std::string&>());
  return value.dump();
}

/// The name that a string, an integer, true or false stands for: 1 is "1".
/// @param what  the place and field, for the message
/// @throws anyssr::FormatError  for anything else, and for an empty string
[[nodiscard]] inline std::string name_of(const Json& value, const std::string& what) {
  if (value.is_number_integer() || value.is_boolean()) return value.dump();
  if (value.is_string() && !value.get_ref<const std::string&>().empty()) {
    return value.get<std::string>();
  }
  throw anyssr::FormatError(
      what + " is " + outline(value) +
      (value.is_number_float() ? ", a number that is no integer of 64 bits" : "") +
      ", expected a string that is not empty, an integer, true or false");
}

/// Whether a text holds white space alone, also that of Unicode.
[[nodiscard]] inline bool is_blank(std::string_view text) {
  bool is_blank = true;
  for_each_character(text, [&](const Character& character, std::string_view /*bytes*/) {
    const std::uint32_t c = character.point;
    is_blank = is_blank && character.is_valid &&
               ((c >= 9 && c <= 13) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
                (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
                c == 0x205F || c == 0x3000);
  });
  return is_blank;
}

/// What may be wrong with a line that is no JSON, or "".
[[nodiscard]] inline std::string line_hint(std::string_view line) {
  if (is_python(line)) return std::string(": ") + python_meaning;
  if (line.ends_with(',') && Json::accept(line.substr(0, line.size() - 1))) {
    return ": a comma follows the object, expected the end of the line";
  }
  bool is_utf8 = true;
  for_each_character(line, [&](const Character& character, std::string_view /*bytes*/) {
    is_utf8 = is_utf8 && character.is_valid;
  });
  return is_utf8 ? "" : ": iconv -f WINDOWS-1252 -t UTF-8 makes UTF-8 of most Western texts";
}

/// Reads a file of JSON lines and calls use(value, "path:line") for each, an object or not.
/// @param faults  gets what is wrong with the file, with a line, or with what `use` threw a
///                FormatError for
/// @throws anyssr::FormatError  where the file cannot be read
template <class Use>
void read_json_lines(const std::string& path, Findings& faults, const Use& use) {
  const std::string file = read_file(path);
  std::string_view text = file;
  if (text.starts_with(byte_order_mark)) text.remove_prefix(byte_order_mark.size());
  const std::string foreign = foreign_format(text);
  if (!foreign.empty()) return faults.add(shown(path) + ": " + foreign);
  std::size_t number = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view line = trimmed(text.substr(begin, end - begin));
    const std::string place = shown(path) + ":" + std::to_string(++number);
    begin = end + 1;
    if (line.starts_with(byte_order_mark)) {  // files put one after another
      line = trimmed(line.substr(byte_order_mark.size()));
    }
    if (line.empty()) continue;
    Json value;
    try {
      value = parse_json(line, place);
    } catch (const anyssr::FormatError& error) {
      faults.add(error.what() + line_hint(line));
      continue;
    }
    try {
      use(value, place);
    } catch (const anyssr::FormatError& error) {
      faults.add(error.what());
    }
  }
}

/// A name and where it stands first.
struct PlacedName {
  std::string name;
  std::string place;
};

/// The small letter of a Latin, Greek or Cyrillic capital; else the character itself.
[[nodiscard]] inline std::uint32_t small_letter(std::uint32_t c) noexcept {
  const auto is_in = [c](std::uint32_t first, std::uint32_t last) {
    return c >= first && c <= last;
  };
  if (is_in('A', 'Z') || (is_in(0xC0, 0xDE) && c != 0xD7)) return c + 32;
  if (is_in(0x391, 0x3A9) || is_in(0x410, 0x42F)) return c + 32;
  if (is_in(0x400, 0x40F)) return c + 80;
  if (is_in(0x100, 0x12F) || is_in(0x132, 0x137) || is_in(0x14A, 0x177)) return c | 1U;
  if (is_in(0x139, 0x148) || is_in(0x179, 0x17E)) return c + (c & 1U);
  return c;
}

/// The name in small letters, without white space at its ends.
[[nodiscard]] inline std::u32string folded(std::string_view name) {
  std::u32string result;
  std::u32string blanks;  // they belong to the name if something follows
  for_each_character(name, [&](const Character& character, std::string_view bytes) {
    const auto letter = static_cast<char32_t>(small_letter(character.point));
    if (is_blank(bytes)) {
      if (!result.empty()) blanks += letter;
      return;
    }
    result += blanks + letter;
    blanks.clear();
  });
  return result;
}

/// Warns of names that differ only by white space at their ends or by case: most likely one was
/// meant.
/// @param kind  "label", "task"
/// @param of    " of task \"post\"", or ""
inline void warn_of_twins(const std::vector<PlacedName>& names, const std::string& kind,
                          const std::string& of, Findings& warnings) {
  std::map<std::u32string, const PlacedName*> first;
  for (const PlacedName& name : names) {
    const auto [twin, is_new] = first.emplace(folded(name.name), &name);
    if (is_new || twin->second->name == name.name) continue;
    warnings.add(name.place + ": the " + kind + " " + in_quotes(name.name) + of + " differs from " +
                 in_quotes(twin->second->name) + " (" + twin->second->place +
                 ") only by case or by blanks at the ends, and counts as another one");
  }
}

}  // namespace support
