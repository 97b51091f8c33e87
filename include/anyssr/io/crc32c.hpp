// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// CRC-32C: 32 bits that show whether a line or a block was cut or damaged. They do not show that
/// somebody changed it on purpose; sha256.hpp does.
///
///   the remainder of the bytes, as a polynomial over GF(2), by x^32 + x^28 + x^27 + x^26 + x^25 +
///   x^23 + x^22 + x^20 + x^19 + x^18 + x^14 + x^13 + x^11 + x^10 + x^9 + x^8 + x^6 + 1
///
/// lowest bit first, from all ones, and inverted at the end. Source: RFC 3720, section 12.1 and
/// appendix B.4. On x86-64 processors that have an instruction for it, this is used; the value is
/// the same.

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "anyssr/io/byte_order.hpp"
#include "anyssr/io/hex.hpp"

#if defined(__x86_64__) && defined(__GNUC__)
#include <cpuid.h>
#include <immintrin.h>
#endif

namespace anyssr::inline ANYSSR_ABI {
namespace detail {

/// table[n][b]: what byte b does to the remainder when n more bytes follow.
using Crc32cTable = std::array<std::array<std::uint32_t, 256>, 8>;

[[nodiscard]] constexpr Crc32cTable make_crc32c_table() noexcept {
  constexpr std::uint32_t polynomial = 0x82f63b78;  // lowest power in the highest bit
  Crc32cTable table{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t rest = byte;
    for (int bit = 0; bit < 8; ++bit) rest = (rest >> 1U) ^ ((rest & 1U) != 0 ? polynomial : 0U);
    table[0][byte] = rest;
  }
  for (std::size_t n = 1; n < table.size(); ++n) {
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const std::uint32_t rest = table[n - 1][byte];
      table[n][byte] = (rest >> 8U) ^ table[0][rest & 0xffU];
    }
  }
  return table;
}

inline constexpr Crc32cTable crc32c_table = make_crc32c_table();

[[nodiscard]] inline std::uint64_t crc32c_word(std::span<const std::byte> bytes) noexcept {
  std::uint64_t word = 0;
  std::memcpy(&word, bytes.data(), sizeof(word));
  swap_if_big_endian(std::span(&word, 1));
  return word;
}

/// Eight bytes at a time.
/// @param rest  the remainder so far, not inverted
[[nodiscard]] inline std::uint32_t crc32c_portable(std::uint32_t rest,
                                                   std::span<const std::byte> bytes) noexcept {
  const Crc32cTable& table = crc32c_table;
  for (; bytes.size() >= 8; bytes = bytes.subspan(8)) {
    const std::uint64_t word = crc32c_word(bytes) ^ rest;
    rest = table[7][word & 0xffU] ^ table[6][word >> 8U & 0xffU] ^ table[5][word >> 16U & 0xffU] ^
           table[4][word >> 24U & 0xffU] ^ table[3][word >> 32U & 0xffU] ^
           table[2][word >> 40U & 0xffU] ^ table[1][word >> 48U & 0xffU] ^ table[0][word >> 56U];
  }
  for (const std::byte byte : bytes) {
    rest = (rest >> 8U) ^ table[0][(rest ^ std::to_integer<std::uint32_t>(byte)) & 0xffU];
  }
  return rest;
}

#if defined(__x86_64__) && defined(__GNUC__)

[[nodiscard]] inline bool has_crc32c_instruction() noexcept {
  unsigned eax = 0;
  unsigned ebx = 0;
  unsigned ecx = 0;
  unsigned edx = 0;
  return __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_SSE4_2) != 0;
}

/// As crc32c_portable.
[[nodiscard, gnu::target("sse4.2")]] inline std::uint32_t crc32c_x86(
    std::uint32_t rest, std::span<const std::byte> bytes) noexcept {
  std::uint64_t wide = rest;  // the instruction leaves the upper half at zero
  for (; bytes.size() >= 8; bytes = bytes.subspan(8))
    wide = _mm_crc32_u64(wide, crc32c_word(bytes));
  rest = static_cast<std::uint32_t>(wide);
  for (const std::byte byte : bytes) {
    rest = _mm_crc32_u8(rest, std::to_integer<std::uint8_t>(byte));
  }
  return rest;
}

#endif

/// By the faster of what this machine has.
[[nodiscard]] inline std::uint32_t crc32c_rest(std::uint32_t rest,
                                               std::span<const std::byte> bytes) noexcept {
#if defined(__x86_64__) && defined(__GNUC__)
  static const bool fast = has_crc32c_instruction();
  if (fast) return crc32c_x86(rest, bytes);
#endif
  return crc32c_portable(rest, bytes);
}

}  // namespace detail

/// The checksum of bytes that come in pieces; where one piece ends does not matter.
class Crc32c {
 public:
  void update(std::span<const std::byte> bytes) noexcept {
    rest_ = detail::crc32c_rest(rest_, bytes);
  }
  void update(std::string_view text) noexcept { update(std::as_bytes(std::span(text))); }

  /// Of all bytes so far; more may follow.
  [[nodiscard]] std::uint32_t value() const noexcept { return ~rest_; }
  /// The value as 8 digits of 0-9a-f, highest first.
  [[nodiscard]] std::string hex() const {
    std::array<std::byte, 4> bytes;
    for (std::size_t i = 0; i < 4; ++i) bytes[i] = static_cast<std::byte>(value() >> (24 - 8 * i));
    return to_hex(bytes);
  }

 private:
  std::uint32_t rest_ = 0xffffffff;  // the remainder, not inverted
};

/// The checksum as 8 digits of 0-9a-f.
[[nodiscard]] inline std::string crc32c_hex(std::string_view text) {
  Crc32c checksum;
  checksum.update(text);
  return checksum.hex();
}

}  // namespace anyssr::inline ANYSSR_ABI
