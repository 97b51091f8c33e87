// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Members of a JSON object from a file, each asked for by its key and its kind. A number keeps its
/// kind: 1.0 is no count, -0 and 2^64 are no unsigned numbers.

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "anyssr/core/enum_names.hpp"
#include "anyssr/core/error.hpp"
#include "anyssr/core/types.hpp"
#include "anyssr/io/guarded_json.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

/// A view: the value must outlive it.
class JsonFields {
 public:
  /// @param place  for messages: "manifest.json", "manifest.json: tasks[3]"
  /// @throws FormatError  where the value is no object
  JsonFields(const Json& value, std::string place) : value_(value), place_(std::move(place)) {
    expect<FormatError>(value.is_object(), place_, ": is ", outline_of(value),
                        ", expected an object");
  }

  [[nodiscard]] const std::string& place() const noexcept { return place_; }
  [[nodiscard]] const Json& value() const noexcept { return value_; }
  [[nodiscard]] bool has(std::string_view key) const { return value_.contains(key); }

  [[nodiscard]] const std::string& text(std::string_view key) const {
    const Json& found = at(key);
    if (!found.is_string()) refuse(key, "a string");
    return found.get_ref<const std::string&>();
  }
  /// A whole number of 0..most.
  [[nodiscard]] std::uint64_t count(std::string_view key, std::uint64_t most) const {
    const Json& found = at(key);
    if (!found.is_number_unsigned() || found.get<std::uint64_t>() > most) {
      refuse(key, "a whole number of 0.." + std::to_string(most));
    }
    return found.get<std::uint64_t>();
  }
  [[nodiscard]] Index index(std::string_view key) const {
    return static_cast<Index>(count(key, std::numeric_limits<std::int64_t>::max()));
  }
  /// A finite number.
  [[nodiscard]] double number(std::string_view key) const {
    const Json& found = at(key);
    if (!found.is_number() || !is_finite(found.get<double>())) refuse(key, "a finite number");
    return found.get<double>();
  }
  [[nodiscard]] bool boolean(std::string_view key) const {
    const Json& found = at(key);
    if (!found.is_boolean()) refuse(key, "true or false");
    return found.get<bool>();
  }
  /// A 64-bit word as text, "0x0123456789abcdef": other JSON tools round numbers above 2^53.
  [[nodiscard]] std::uint64_t word(std::string_view key) const {
    const std::string& found = text(key);
    const bool is_word = found.size() == 18 && found.starts_with("0x") &&
                         found.find_first_not_of("0123456789abcdef", 2) == std::string::npos;
    if (!is_word) refuse(key, "0x and 16 digits of 0-9a-f");
    return std::stoull(found, nullptr, 16);
  }
  [[nodiscard]] JsonFields object(std::string_view key) const {
    return {at(key), place_ + ": " + std::string(key)};
  }
  /// Calls f(element, its place) for each element of an array.
  template <class F>
  void for_each(std::string_view key, const F& f) const {
    const Json& found = at(key);
    if (!found.is_array()) refuse(key, "an array");
    std::size_t i = 0;
    for (const Json& element : found) {
      f(element, place_ + ": " + std::string(key) + "[" + std::to_string(i++) + "]");
    }
  }

  /// @throws FormatError  naming key, what came and what was expected
  [[noreturn]] void refuse(std::string_view key, std::string_view expected) const {
    raise<FormatError>(place_, ": ", key, " is ", outline_of(at(key)), ", expected ", expected);
  }

 private:
  [[nodiscard]] const Json& at(std::string_view key) const {
    const auto found = value_.find(key);
    if (found == value_.end()) raise<FormatError>(place_, ": has no ", in_quotes(key));
    return *found;
  }

  const Json& value_;
  std::string place_;
};

/// The enumerator that a text of the object names, as to_string writes it.
/// @throws FormatError  which lists the known names
template <class Enum>
[[nodiscard]] Enum enumerator(const JsonFields& fields, std::string_view key) {
  const std::optional<Enum> found = find_enumerator<Enum>(fields.text(key));
  if (!found) fields.refuse(key, "one of " + enumerator_list<Enum>());
  return *found;
}

/// The text that JsonFields::word reads.
[[nodiscard]] inline std::string word_text(std::uint64_t word) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text = "0x";
  for (int shift = 60; shift >= 0; shift -= 4) text += digits[(word >> shift) & 15U];
  return text;
}

}  // namespace anyssr::inline ANYSSR_ABI::detail
