// SPDX-License-Identifier: MIT
#include "anyssr/io/crc32c.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/file_bytes.hpp"

using namespace anyssr;

namespace {

/// By the definition, one bit at a time.
std::uint32_t slow_rest(std::uint32_t rest, std::string_view text) {
  for (const char letter : text) {
    rest ^= static_cast<unsigned char>(letter);
    for (int bit = 0; bit < 8; ++bit) rest = rest >> 1U ^ ((rest & 1U) != 0 ? 0x82F63B78U : 0U);
  }
  return rest;
}

}  // namespace

static_assert(std::is_trivially_copyable_v<Crc32c>);

TEST_CASE("the examples of RFC 3720 have their published checksums", "[io][golden]") {
  std::string rising;
  for (char i = 0; i < 32; ++i) rising += i;
  const std::vector<std::pair<std::string, std::string_view>> cases{
      {std::string(32, '\0'), "8a9136aa"},
      {std::string(32, '\xFF'), "62a8ab43"},
      {rising, "46dd794e"},
      {std::string(rising.rbegin(), rising.rend()), "113fdb5c"},
      {"123456789", "e3069283"},
      {"", "00000000"},
  };
  for (const auto& [text, checksum] : cases) {
    CAPTURE(text);
    CHECK(crc32c_hex(text) == checksum);
  }
  Crc32c checksum;
  checksum.update("123456789");
  CHECK(checksum.value() == 0xE3069283U);
}

TEST_CASE("a checksum of zeros in front keeps all its digits", "[io][golden]") {
  std::string text = "0";  // the first number whose checksum begins with a zero
  while ((~slow_rest(~0U, text) >> 28U) != 0) text = std::to_string(std::stoul(text) + 1);
  CAPTURE(text);
  const std::string hex = crc32c_hex(text);
  CHECK(hex.size() == 8);
  CHECK(hex.front() == '0');
  CHECK(std::stoul(hex, nullptr, 16) == ~slow_rest(~0U, text));
}

TEST_CASE("where a text is cut into pieces does not change its checksum", "[io][property]") {
  const std::string text = test::random_text(70, 1);
  const std::string_view view = text;
  const std::uint32_t whole = ~slow_rest(~0U, text);
  std::size_t wrong = 0;
  for (std::size_t first = 0; first <= text.size(); ++first) {
    for (std::size_t second = first; second <= text.size(); ++second) {
      Crc32c checksum;
      checksum.update(view.substr(0, first));
      checksum.update(view.substr(first, second - first));
      checksum.update(std::as_bytes(std::span(view.substr(second))));
      if (checksum.value() != whole) ++wrong;
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE("tables and this machine's instruction give what the definition gives",
          "[io][property]") {
  const unsigned seed = GENERATE(range(1u, 11u));
  std::mt19937 random(seed);
  const auto before = static_cast<std::uint32_t>(random());
  const std::string text = test::random_text(1003, seed + 100);
  for (std::size_t size : {0U, 1U, 7U, 8U, 9U, 15U, 16U, 63U, 64U, 1002U}) {
    CAPTURE(seed, size);
    const std::string_view unaligned = std::string_view(text).substr(1, size);
    const std::span<const std::byte> bytes = std::as_bytes(std::span(unaligned));
    const std::uint32_t expected = slow_rest(before, unaligned);
    CHECK(detail::crc32c_portable(before, bytes) == expected);
    CHECK(detail::crc32c_rest(before, bytes) == expected);
  }
}

TEST_CASE("every flipped bit changes the checksum", "[io][property]") {
  std::string text = test::random_text(40, 3);
  const std::string before = crc32c_hex(text);
  std::size_t same = 0;
  for (char& letter : text) {
    for (int bit = 0; bit < 8; ++bit) {
      const char old = letter;
      letter = static_cast<char>(letter ^ (1 << bit));
      if (crc32c_hex(text) == before) ++same;
      letter = old;
    }
  }
  CHECK(same == 0);
}
