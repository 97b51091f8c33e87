// SPDX-License-Identifier: MIT
#include "anyssr/io/byte_order.hpp"

#include <cstdint>
#include <vector>

#include "support/catch.hpp"

using anyssr::detail::swap_if_big_endian;

TEST_CASE("a big-endian host turns the bytes of each element round", "[io][golden]") {
  std::vector<std::uint32_t> values{0x01020304U, 0xA0B0C0D0U};
  swap_if_big_endian<std::endian::big>(std::span(values));
  CHECK(values == std::vector<std::uint32_t>{0x04030201U, 0xD0C0B0A0U});
  std::vector<std::uint16_t> halves{0x0102U};
  swap_if_big_endian<std::endian::big>(std::span(halves));
  CHECK(halves.front() == 0x0201U);
  std::vector<std::int8_t> bytes{1, 2, 3};
  swap_if_big_endian<std::endian::big>(std::span(bytes));
  CHECK(bytes == std::vector<std::int8_t>{1, 2, 3});
}

TEST_CASE("a little-endian host leaves the bytes alone", "[io][golden]") {
  std::vector<std::uint64_t> values{0x0102030405060708U};
  swap_if_big_endian<std::endian::little>(std::span(values));
  CHECK(values.front() == 0x0102030405060708U);
}
