// SPDX-License-Identifier: MIT
#include "anyssr/io/utf8.hpp"

#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"

using anyssr::detail::find_invalid_utf8;
using anyssr::detail::utf8_length;

namespace {

/// By the definition: the bits of a code point in groups of six, in `length` bytes.
std::string encode(unsigned point, int length) {
  if (length == 1) return {static_cast<char>(point)};
  std::string bytes;
  for (int i = 1; i < length; ++i) {
    bytes.insert(bytes.begin(), static_cast<char>(0x80U | (point & 0x3FU)));
    point >>= 6U;
  }
  const unsigned mark = (0xF00U >> length) & 0xFFU;
  bytes.insert(bytes.begin(), static_cast<char>(mark | point));
  return bytes;
}

}  // namespace

TEST_CASE("the shortest form of every code point but surrogates is UTF-8", "[io][property]") {
  unsigned wrong = 0;
  for (unsigned point = 0; point < 0x200000; ++point) {
    const int shortest = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    const bool exists = point <= 0x10FFFF && (point < 0xD800 || point > 0xDFFF);
    for (int length = shortest; length <= 4; ++length) {
      const bool valid = exists && length == shortest;
      const std::string bytes = encode(point, length);
      if (utf8_length(bytes) != (valid ? bytes.size() : 0)) ++wrong;
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE("the first byte that is not UTF-8 is found", "[io][golden]") {
  using namespace std::string_literals;
  constexpr std::size_t none = std::string::npos;
  const std::vector<std::pair<std::string, std::size_t>> cases{
      {"", none},
      {"plain\0text"s, none},
      {"gr\xC3\xBC\xC3\x9F \xE2\x82\xAC \xF0\x9F\x98\x80", none},
      {"ab\xFF", 2},
      {"ab\x80", 2},
      {"\xC0\x80", 0},              // overlong NUL
      {"\xC3\xA4\xC1\xBF", 2},      // overlong
      {"\xE0\x9F\xBF", 0},          // overlong
      {"\xF0\x8F\xBF\xBF", 0},      // overlong
      {"x\xED\xA0\x80", 1},         // surrogate
      {"\xF4\x90\x80\x80", 0},      // above U+10FFFF
      {"\xF8\x88\x80\x80\x80", 0},  // five bytes
      {"\xE2\x82", 0},              // cut
      {"\xF0\x9F\x98", 0},          // cut
      {"\xE2\x28\xA1", 0},          // no continuation
      {"\xF0\x9F\x28\x80", 0},      // likewise
      {"\xF0\x9F\x98\x28", 0},      // likewise
      {"\xC3", 0},
  };
  for (const auto& [text, position] : cases) {
    CAPTURE(text);
    CHECK(find_invalid_utf8(text) == position);
  }
}

TEST_CASE("the start of a text ends between characters", "[io]") {
  const auto prefix = [](const std::string& text, std::size_t most) {
    return std::string(anyssr::detail::utf8_prefix(text, most));
  };
  CHECK(prefix("abc", 3) == "abc");
  CHECK(prefix("abc", 2) == "ab");
  CHECK(prefix("abc", 0).empty());
  CHECK(prefix("a\xF0\x9F\x98\x80", 5) == "a\xF0\x9F\x98\x80");
  for (std::size_t most = 1; most < 5; ++most) CHECK(prefix("a\xF0\x9F\x98\x80", most) == "a");
  CHECK(prefix("\xC3\xA4", 1).empty());
  CHECK(prefix("\x80\x80\x80\x80\x80\x80", 5).size() == 5);  // no UTF-8 at all
}
