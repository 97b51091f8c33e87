// SPDX-License-Identifier: MIT
#include "anyssr/io/hex.hpp"

#include <array>
#include <cstddef>

#include "support/catch.hpp"

using namespace anyssr;

TEST_CASE("every byte is two lower case digits", "[io][golden]") {
  const std::array bytes{std::byte{0x00}, std::byte{0x0F}, std::byte{0xF0}, std::byte{0x9A},
                         std::byte{0xFF}};
  CHECK(to_hex(bytes) == "000ff09aff");
  CHECK(to_hex({}).empty());
}
