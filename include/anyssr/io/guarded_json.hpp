// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// JSON from foreign hands. nlohmann/json alone lets pass in silence: a NUL byte, which ends the
/// input; a byte order mark; a key given twice, of which the last wins. It takes any depth, and a
/// deep value overflows the stack when it is copied or dumped. Here the bytes are checked first,
/// and one guarded pass of events builds the document.
///
/// A number keeps its kind and is to be asked for it before it is converted: `is_number_unsigned`
/// is false for -0 and -1, 1.0 and 1e2, and for 2^64 and more.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "anyssr/core/error.hpp"
#include "anyssr/io/foreign_file.hpp"
#include "anyssr/io/path_text.hpp"
#include "anyssr/io/regular_file.hpp"
#include "anyssr/io/utf8.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// Objects keep the order of the file.
using Json = nlohmann::ordered_json;

/// Text from a file inside a message: in quotes, escaped, cut where it is long.
[[nodiscard]] inline std::string in_quotes(std::string_view text) {
  constexpr std::size_t most = 80;
  const std::string shown =
      Json(detail::utf8_prefix(text, most)).dump(-1, ' ', false, Json::error_handler_t::replace);
  return detail::printable(shown) + (text.size() <= most ? "" : "...");
}

/// A value from a file inside a message; of objects and arrays the kind alone.
[[nodiscard]] inline std::string outline_of(const Json& value) {
  if (value.is_object()) return "an object";
  if (value.is_array()) return "an array";
  if (value.is_string()) return in_quotes(value.get_ref<const std::string&>());
  return value.dump();
}

namespace detail {

using anyssr::in_quotes;
using anyssr::outline_of;

/// A value from a file inside a message, cut where it is long.
[[nodiscard]] inline std::string shown(const Json& value) {
  constexpr std::size_t most = 80;
  const std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  return text.size() <= most ? printable(text) : printable(utf8_prefix(text, most)) + "...";
}

/// null, false, 0, "", [] and {}: what says nothing.
[[nodiscard]] inline bool is_void(const Json& value) {
  if (value.is_boolean()) return !value.get<bool>();
  if (value.is_number()) return value.get<double>() == 0;
  if (value.is_string()) return value.get_ref<const std::string&>().empty();
  return value.empty();  // null, arrays, objects
}

/// The byte as 0xHH.
[[nodiscard]] inline std::string byte_text(char byte) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  const auto value = static_cast<unsigned char>(byte);
  return {'0', 'x', digits[value >> 4U], digits[value & 15U]};
}

/// Builds a document from the events of a parse, innermost values first, and keeps the first reason
/// to refuse it. (nlohmann's own builder looks through all keys of an object for each new one.)
class GuardedJsonBuilder {
 public:
  static constexpr std::size_t max_depth = 64;

  bool null() { return add(nullptr); }
  bool boolean(bool value) { return add(value); }
  bool number_integer(std::int64_t value) { return add(value); }
  bool number_unsigned(std::uint64_t value) { return add(value); }
  bool number_float(double value, const std::string& /*token*/) { return add(value); }
  bool string(std::string& value) { return add(std::move(value)); }
  bool binary(Json::binary_t& /*value*/) { return refuse("binary data"); }  // no text has it
  bool start_object(std::size_t /*size*/) { return open(); }
  bool start_array(std::size_t /*size*/) { return open(); }
  bool key(std::string& name) {
    open_.back().keys.push_back(std::move(name));
    return true;
  }
  bool end_array() {
    Json value(std::move(open_.back().values));
    open_.pop_back();
    return add(std::move(value));
  }
  bool end_object() {
    Open& last = open_.back();
    const std::string* twice = find_repeated(last.keys);
    if (twice != nullptr) return refuse("the key " + in_quotes(*twice) + " stands there twice");
    Json::object_t object;
    object.reserve(last.keys.size());
    for (std::size_t i = 0; i < last.keys.size(); ++i) {
      object.emplace_back(std::move(last.keys[i]), std::move(last.values[i]));
    }
    open_.pop_back();
    return add(Json(std::move(object)));
  }
  bool parse_error(std::size_t position, const std::string& /*token*/,
                   const nlohmann::detail::exception& /*error*/) {
    return refuse("broken JSON at byte " + std::to_string(position));
  }

  [[nodiscard]] const std::string& reason() const noexcept { return reason_; }
  [[nodiscard]] Json take() { return std::move(root_); }

 private:
  /// An array or object whose end is still to come.
  struct Open {
    Json::array_t values;
    std::vector<std::string> keys;  // of an object: one a value, or one ahead
  };

  bool open() {
    if (open_.size() == max_depth) return refuse("nested deeper than 64 levels");
    open_.emplace_back();
    return true;
  }
  bool add(Json value) {
    if (open_.empty()) {
      root_ = std::move(value);
    } else {
      open_.back().values.push_back(std::move(value));
    }
    return true;
  }
  bool refuse(std::string reason) {
    reason_ = std::move(reason);
    return false;
  }
  [[nodiscard]] static const std::string* find_repeated(const std::vector<std::string>& keys) {
    std::vector<const std::string*> sorted;
    sorted.reserve(keys.size());
    for (const std::string& key : keys) sorted.push_back(&key);
    const auto less = [](const std::string* a, const std::string* b) { return *a < *b; };
    const auto equal = [](const std::string* a, const std::string* b) { return *a == *b; };
    std::sort(sorted.begin(), sorted.end(), less);
    const auto found = std::adjacent_find(sorted.begin(), sorted.end(), equal);
    return found == sorted.end() ? nullptr : *found;
  }

  Json root_;
  std::vector<Open> open_;  // from the root inwards, at most max_depth
  std::string reason_;
};

/// What the parser would not see. Positions count from 1, as the parser's do.
inline void expect_json_bytes(std::string_view text, std::string_view place) {
  expect<FormatError>(!text.starts_with("\xEF\xBB\xBF"), place,
                      ": begins with a byte order mark, expected JSON text without one");
  const std::size_t nul = text.find('\0');
  expect<FormatError>(nul == std::string_view::npos, place, ": a NUL byte at byte ", nul + 1,
                      ", expected JSON text");
  const std::size_t broken = find_invalid_utf8(text);
  if (broken == std::string_view::npos) return;
  raise<FormatError>(place, ": byte ", byte_text(text[broken]), " at byte ", broken + 1,
                     ", expected UTF-8");
}

}  // namespace detail

/// One JSON value and nothing after it but white space.
/// @param place  for the message: a path, or "path:line"
/// @throws FormatError  not JSON (comments, trailing commas and NaN are not); not UTF-8; a NUL
///                      byte or a byte order mark; a key twice, also where one is written with
///                      escapes; deeper than 64 levels
/// Cost: O(n log n) time in the bytes of the text, memory in proportion to them.
[[nodiscard]] inline Json parse_json(std::string_view text, std::string_view place) {
  detail::expect_json_bytes(text, place);
  detail::GuardedJsonBuilder builder;
  if (!Json::sax_parse(text, &builder)) {
    detail::raise<FormatError>(place, ": ", builder.reason());
  }
  return builder.take();
}

/// The one JSON value that a file holds.
/// @param max_bytes  a larger file is refused before any memory is taken
/// @throws FileError    where the system refuses to read it
/// @throws FormatError  as parse_json, and where it is no regular file or too large; where it is
///                      something else by its first bytes, with what it is (foreign_file.hpp)
[[nodiscard]] inline Json read_json(const std::filesystem::path& path,
                                    std::uint64_t max_bytes = std::uint64_t{16} << 20) {
  const std::string text = RegularFile(path).read_text(max_bytes);
  try {
    return parse_json(text, detail::path_text(path));
  } catch (const FormatError&) {
    detail::refuse_foreign(detail::path_text(path), text, text.size(), detail::FileKind::json);
    throw;
  }
}

}  // namespace anyssr::inline ANYSSR_ABI
