// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Reads the header of a safetensors file event by event, with no document in between: depth, kinds
/// of values, names and numbers are judged where they come.

#include <cstddef>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "anyssr/core/error.hpp"
#include "anyssr/io/dtype.hpp"
#include "anyssr/io/guarded_json.hpp"
#include "anyssr/io/safetensors_header.hpp"

namespace anyssr::inline ANYSSR_ABI {
namespace detail {

/// Takes the events of a parse into a header; every refusal is thrown where it is met.
class SafetensorsEvents {
 public:
  SafetensorsEvents(std::string_view file, std::string_view text, SafetensorsHeader& header)
      : file_(file), text_(text), header_(header) {}

  bool null() { refuse_value("null"); }
  bool boolean(bool value) { refuse_value(value ? "true" : "false"); }
  // comes for numbers with a minus sign only; -0 has become 0
  bool number_integer(std::int64_t value) {
    refuse_value(value == 0 ? "-0" : std::to_string(value));
  }
  // also for whole numbers above 2^64 - 1
  bool number_float(double /*value*/, const std::string& token) { refuse_value(start_of(token)); }
  bool binary(Json::binary_t& /*value*/) { refuse_value("binary data"); }  // no text has it
  bool number_unsigned(std::uint64_t value) {
    if (place_ != Place::array) refuse_value(std::to_string(value));
    ++count_;
    const std::size_t most = field_ == shape ? max_dimensions : 2;  // so a long list takes none
    if (numbers_.size() < most) numbers_.push_back(value);
    return true;
  }

  bool string(std::string& value) {
    if (place_ == Place::metadata) {
      *metadata_value_ = std::move(value);
      return true;
    }
    if (place_ != Place::entry || field_ != dtype) refuse_value(in_quotes(value));
    const std::optional<Dtype> found = find_dtype(value);
    if (!found) {
      refuse_entry("dtype is " + in_quotes(value) + ", expected one of " + dtype_names());
    }
    entry_.dtype = *found;
    return true;
  }

  bool key(std::string& name) {
    if (place_ == Place::root) {
      begin_member(std::move(name));
    } else if (place_ == Place::metadata) {
      const auto [place, is_new] = header_.metadata.try_emplace(std::move(name));
      if (!is_new) refuse_twice(metadata_key, place->first);
      metadata_name_ = &place->first;
      metadata_value_ = &place->second;
    } else {
      begin_field(name);
    }
    return true;
  }

  bool start_object(std::size_t /*size*/) {
    if (place_ == Place::outside) {
      place_ = Place::root;
    } else if (place_ == Place::root) {
      place_ = is_metadata_ ? Place::metadata : Place::entry;
    } else {
      refuse_nested("an object");
    }
    return true;
  }

  bool end_object() {
    if (place_ == Place::root) {
      place_ = Place::outside;
      is_closed_ = true;
      return true;
    }
    if (place_ == Place::entry) finish_entry();
    place_ = Place::root;
    return true;
  }

  bool start_array(std::size_t /*size*/) {
    if (place_ != Place::entry || field_ == dtype) refuse_nested("an array");
    place_ = Place::array;
    numbers_.clear();
    count_ = 0;
    return true;
  }

  bool end_array() {
    place_ = Place::entry;
    if (field_ == shape) {
      if (count_ > max_dimensions) {
        refuse_entry(
            concat("shape has ", count_, " dimensions, expected at most ", max_dimensions));
      }
      entry_.shape = numbers_;
      return true;
    }
    if (count_ != 2) {
      refuse_entry(concat("data_offsets has ", count_, " numbers, expected 2"));
    }
    entry_.begin = numbers_[0];
    entry_.end = numbers_[1];
    return true;
  }

  bool parse_error(std::size_t position, const std::string& token,
                   const nlohmann::detail::exception& error) {
    constexpr int number_too_large = 406;
    if (error.id == number_too_large) refuse_value(start_of(token));
    if (is_closed_) refuse_tail();
    raise<FormatError>(file_, ": broken JSON at byte ", position, " of the header");
  }

 private:
  enum class Place : std::uint8_t { outside, root, metadata, entry, array };
  enum Field : unsigned { dtype = 1, shape = 2, data_offsets = 4 };
  static constexpr std::string_view fields_text = "dtype, shape and data_offsets";

  [[noreturn]] void refuse_entry(std::string_view what) const {
    raise<FormatError>(file_, ": entry ", in_quotes(entry_.name), ": ", what);
  }
  [[noreturn]] void refuse_twice(std::string_view where, std::string_view name) const {
    raise<FormatError>(file_, ": ", where, ": the key ", in_quotes(name), " stands there twice");
  }

  /// A value of a kind that may not stand where it does.
  [[noreturn]] void refuse_value(std::string_view found) const {
    if (place_ == Place::array) {
      refuse_entry(concat(text_of(field_), " holds ", found, ", expected whole numbers from 0 to ",
                          std::numeric_limits<std::uint64_t>::max()));
    }
    if (place_ == Place::entry) {
      refuse_entry(concat(text_of(field_), " is ", found, ", expected ",
                          field_ == dtype   ? "a string"
                          : field_ == shape ? "an array of at most 64 numbers"
                                            : "an array of 2 numbers"));
    }
    if (place_ == Place::metadata) {
      raise<FormatError>(file_, ": ", metadata_key, ": the value of ", in_quotes(*metadata_name_),
                         " is ", found, ", expected a string");
    }
    if (place_ == Place::outside) raise<FormatError>(file_, ": the header is ", found);
    if (is_metadata_) {
      raise<FormatError>(file_, ": ", metadata_key, " is ", found, ", expected an object");
    }
    raise<FormatError>(file_, ": entry ", in_quotes(entry_.name), " is ", found,
                       ", expected an object with ", fields_text);
  }

  /// An array or object where none may begin.
  [[noreturn]] void refuse_nested(std::string_view found) const {
    if (place_ == Place::array) {
      refuse_entry(concat(text_of(field_), " holds ", found,
                          ", expected no more than 3 levels: object, entry, array"));
    }
    refuse_value(found);
  }

  /// Something after the closing brace. What stands before it is known to be JSON.
  [[noreturn]] void refuse_tail() const {
    bool in_string = false;
    std::size_t depth = 0;
    std::size_t at = 0;
    for (;; ++at) {
      const char c = text_[at];
      if (c == '\\') ++at;
      if (c == '"') in_string = !in_string;
      if (!in_string && (c == '{' || c == '[')) ++depth;
      if (!in_string && (c == '}' || c == ']') && --depth == 0) break;
    }
    at = text_.find_first_not_of(" \t\r\n", at + 1);
    raise<FormatError>(file_, ": byte ", byte_text(text_[at]), " at byte ", at + 1,
                       " of the header, after its closing brace, expected white space only");
  }

  /// A number may have millions of digits.
  [[nodiscard]] static std::string_view start_of(std::string_view token) noexcept {
    return token.substr(0, 80);
  }

  [[nodiscard]] static std::string_view text_of(Field field) noexcept {
    return field == dtype ? "dtype" : field == shape ? "shape" : "data_offsets";
  }

  void begin_member(std::string name) {
    is_metadata_ = name == metadata_key;
    if (is_metadata_) {
      if (has_metadata_) refuse_twice("header", name);
      has_metadata_ = true;
      return;
    }
    entry_ = {};
    entry_.name = std::move(name);
    fields_ = 0;
    if (entry_.name.find('\0') != std::string::npos) {
      refuse_entry("a NUL byte in its name");
    }
  }

  void begin_field(std::string_view name) {
    const Field field = name == "dtype"          ? dtype
                        : name == "shape"        ? shape
                        : name == "data_offsets" ? data_offsets
                                                 : Field{};
    if (field == 0) {
      refuse_entry(concat("unknown key ", in_quotes(name), ", expected ", fields_text));
    }
    if ((fields_ & field) != 0) {
      refuse_twice(concat("entry ", in_quotes(entry_.name)), name);
    }
    fields_ |= field;
    field_ = field;
  }

  void finish_entry() {
    for (const Field field : {dtype, shape, data_offsets}) {
      if ((fields_ & field) != 0) continue;
      refuse_entry(concat(text_of(field), " is missing, expected ", fields_text));
    }
    const auto what = [&] {
      return concat("shape ", shape_text(entry_.shape), " of ", to_string(entry_.dtype));
    };
    const std::optional<TensorSize> size = tensor_size(entry_.dtype, entry_.shape);
    if (!size) refuse_entry(what() + " has more than 2^64 - 1 bits");
    if (size->bits % 8 != 0) {
      refuse_entry(concat(what(), " has ", size->bits, " bits, expected a multiple of 8"));
    }
    if (entry_.end < entry_.begin || entry_.bytes() != size->bits / 8) {
      refuse_entry(concat(what(), " has ", size->bits / 8, " bytes, data_offsets are [",
                          entry_.begin, ", ", entry_.end, "]"));
    }
    header_.tensors.push_back(std::move(entry_));
  }

  std::string_view file_;
  std::string_view text_;
  SafetensorsHeader& header_;
  Place place_ = Place::outside;
  bool is_closed_ = false;                      // the root object has ended
  bool is_metadata_ = false;                    // the present member of the root is __metadata__
  bool has_metadata_ = false;                   // it has come before
  const std::string* metadata_name_ = nullptr;  // in header_.metadata, of the present member
  std::string* metadata_value_ = nullptr;
  TensorInfo entry_;                    // the present member, where it is a tensor
  unsigned fields_ = 0;                 // the Fields that it has
  Field field_ = dtype;                 // the present one
  std::vector<std::uint64_t> numbers_;  // of the present array, no more than it may have
  std::uint64_t count_ = 0;             // how many there were
};

}  // namespace detail
}  // namespace anyssr::inline ANYSSR_ABI
