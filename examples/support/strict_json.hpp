// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// JSON from foreign hands: one guarded pass before a document is built. It refuses what
/// nlohmann/json would let pass in silence (a NUL byte that ends the input, a key given twice) and
/// what would overflow the stack (deep nesting).

#include <anyssr/core/error.hpp>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace support {

using Json = nlohmann::ordered_json;

/// The whole file.
/// @throws anyssr::FormatError  where it cannot be read
inline std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file)
    throw anyssr::FormatError(path + ": cannot be opened; is the path right, may you read it?");
  if (std::filesystem::is_directory(path)) {
    throw anyssr::FormatError(path + ": is a folder, expected a file");
  }
  std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (file.bad()) throw anyssr::FormatError(path + ": reading failed; is it a regular file?");
  return text;
}

/// Walks the events of a parse and keeps the first reason to refuse.
class JsonGuard {
 public:
  static constexpr std::size_t max_depth = 64;

  bool null() { return true; }
  bool boolean(bool) { return true; }
  bool number_integer(std::int64_t) { return true; }
  bool number_unsigned(std::uint64_t) { return true; }
  bool number_float(double, const std::string&) { return true; }
  bool string(std::string&) { return true; }
  bool binary(std::vector<std::uint8_t>&) { return true; }
  bool start_object(std::size_t) { return open(); }
  bool end_object() { return close(); }
  bool start_array(std::size_t) { return open(); }
  bool end_array() { return close(); }
  bool key(std::string& name) {
    return keys_.back().insert(name).second ||
           refuse("the key \"" + name + "\" stands there twice");
  }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) {
    return refuse("broken JSON at byte " + std::to_string(position));
  }
  [[nodiscard]] const std::string& reason() const noexcept { return reason_; }

 private:
  bool open() {
    keys_.emplace_back();
    return keys_.size() <= max_depth || refuse("nested deeper than 64 levels");
  }
  bool close() {
    keys_.pop_back();
    return true;
  }
  bool refuse(std::string reason) {
    reason_ = std::move(reason);
    return false;
  }

  std::vector<std::set<std::string>> keys_;
  std::string reason_;
};

/// One JSON value.
/// @param place  "file:line", for the message
/// @throws anyssr::FormatError
inline Json parse_json(std::string_view text, const std::string& place) {
  const std::size_t nul = text.find('\0');
  if (nul != std::string_view::npos) {
    throw anyssr::FormatError(place + ": a NUL byte at byte " + std::to_string(nul + 1) +
                              ", expected JSON text");
  }
  JsonGuard guard;
  if (!Json::sax_parse(text, &guard)) throw anyssr::FormatError(place + ": " + guard.reason());
  return Json::parse(text);
}

}  // namespace support
