// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// SHA-256: 32 bytes that stand for a file. Nobody can make another file with the same ones.
///
///   W_t = M_t, t < 16;  s1(W_t-2) + W_t-7 + s0(W_t-15) + W_t-16 after     64 words from a block M
///   T1 = h + S1(e) + Ch(e, f, g) + K_t + W_t,  T2 = S0(a) + Maj(a, b, c)
///   (a, ..., h) <- (T1 + T2, a, b, c, d + T1, e, f, g)                    64 rounds a block
///   H <- H + (a, ..., h)
///
/// Source: FIPS 180-4, sections 5 and 6.2. On x86-64 processors that have instructions for it,
/// these do the rounds; the digest is the same.

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "anyssr/io/hex.hpp"

#if defined(__x86_64__) && defined(__GNUC__)
#include <cpuid.h>
#include <immintrin.h>
#endif

namespace anyssr::inline ANYSSR_ABI {
namespace detail {

using Sha256State = std::array<std::uint32_t, 8>;  // H, or a to h

inline constexpr std::size_t sha256_block_bytes = 64;

/// K: the first 32 bits behind the point of the cube roots of the first 64 primes.
inline constexpr std::array<std::uint32_t, 64> sha256_constants{
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

/// W of one block.
[[nodiscard]] inline std::array<std::uint32_t, 64> sha256_schedule(
    std::span<const std::byte, sha256_block_bytes> block) noexcept {
  std::array<std::uint32_t, 64> w;
  for (std::size_t t = 0; t < 16; ++t) {
    const auto byte = [&](std::size_t i) {
      return std::to_integer<std::uint32_t>(block[4 * t + i]) << (24 - 8 * i);
    };
    w[t] = byte(0) | byte(1) | byte(2) | byte(3);
  }
  for (std::size_t t = 16; t < 64; ++t) {
    const std::uint32_t x = w[t - 15];
    const std::uint32_t y = w[t - 2];
    const std::uint32_t s0 = std::rotr(x, 7) ^ std::rotr(x, 18) ^ (x >> 3U);
    const std::uint32_t s1 = std::rotr(y, 17) ^ std::rotr(y, 19) ^ (y >> 10U);
    w[t] = s1 + w[t - 7] + s0 + w[t - 16];
  }
  return w;
}

/// One round where the letters stay and their meaning moves: the new e is in d, the new a in h.
/// @param added  K_t + W_t
inline void sha256_round(std::uint32_t a, std::uint32_t b, std::uint32_t c, std::uint32_t& d,
                         std::uint32_t e, std::uint32_t f, std::uint32_t g, std::uint32_t& h,
                         std::uint32_t added) noexcept {
  const std::uint32_t s1 = std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25);
  const std::uint32_t s0 = std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22);
  h += s1 + (g ^ (e & (f ^ g))) + added;
  d += h;
  h += s0 + ((a & b) | (c & (a | b)));
}

/// @param blocks  a multiple of 64 bytes
inline void sha256_portable(Sha256State& state, std::span<const std::byte> blocks) noexcept {
  for (; !blocks.empty(); blocks = blocks.subspan(sha256_block_bytes)) {
    std::array<std::uint32_t, 64> w = sha256_schedule(blocks.first<sha256_block_bytes>());
    for (std::size_t t = 0; t < 64; ++t) w[t] += sha256_constants[t];
    auto [a, b, c, d, e, f, g, h] = state;
    for (std::size_t t = 0; t < 64; t += 8) {
      sha256_round(a, b, c, d, e, f, g, h, w[t]);
      sha256_round(h, a, b, c, d, e, f, g, w[t + 1]);
      sha256_round(g, h, a, b, c, d, e, f, w[t + 2]);
      sha256_round(f, g, h, a, b, c, d, e, w[t + 3]);
      sha256_round(e, f, g, h, a, b, c, d, w[t + 4]);
      sha256_round(d, e, f, g, h, a, b, c, w[t + 5]);
      sha256_round(c, d, e, f, g, h, a, b, w[t + 6]);
      sha256_round(b, c, d, e, f, g, h, a, w[t + 7]);
    }
    const Sha256State rounds{a, b, c, d, e, f, g, h};
    for (std::size_t i = 0; i < state.size(); ++i) state[i] += rounds[i];
  }
}

#if defined(__x86_64__) && defined(__GNUC__)

[[nodiscard]] inline bool has_sha256_instructions() noexcept {
  unsigned eax = 0;
  unsigned ebx = 0;
  unsigned ecx = 0;
  unsigned edx = 0;
  if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) == 0 || (ecx & bit_SSSE3) == 0) return false;
  return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0 && (ebx & bit_SHA) != 0;
}

/// As sha256_portable, four rounds at a time.
[[gnu::target("sha,ssse3")]] inline void sha256_x86(Sha256State& state,
                                                    std::span<const std::byte> blocks) noexcept {
  const auto load = [](const void* four) { return static_cast<const __m128i*>(four); };
  const auto lane = [&](std::size_t i) { return static_cast<int>(state[i]); };
  const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
  __m128i abef = _mm_set_epi32(lane(0), lane(1), lane(4), lane(5));
  __m128i cdgh = _mm_set_epi32(lane(2), lane(3), lane(6), lane(7));
  for (; !blocks.empty(); blocks = blocks.subspan(sha256_block_bytes)) {
    const __m128i abef_before = abef;
    const __m128i cdgh_before = cdgh;
    // the next sixteen words of W, four in each
    __m128i w0 = _mm_shuffle_epi8(_mm_loadu_si128(load(&blocks[0])), big_endian);
    __m128i w1 = _mm_shuffle_epi8(_mm_loadu_si128(load(&blocks[16])), big_endian);
    __m128i w2 = _mm_shuffle_epi8(_mm_loadu_si128(load(&blocks[32])), big_endian);
    __m128i w3 = _mm_shuffle_epi8(_mm_loadu_si128(load(&blocks[48])), big_endian);
    for (std::size_t t = 0; t < 64; t += 4) {
      const __m128i added = _mm_add_epi32(w0, _mm_loadu_si128(load(&sha256_constants[t])));
      cdgh = _mm_sha256rnds2_epu32(cdgh, abef, added);
      abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(added, 0x0e));
      const __m128i sum = _mm_add_epi32(_mm_sha256msg1_epu32(w0, w1), _mm_alignr_epi8(w3, w2, 4));
      w0 = w1;
      w1 = w2;
      w2 = w3;
      w3 = _mm_sha256msg2_epu32(sum, w3);
    }
    abef = _mm_add_epi32(abef, abef_before);
    cdgh = _mm_add_epi32(cdgh, cdgh_before);
  }
  std::array<std::uint32_t, 8> fe_ba_hg_dc{};
  _mm_storeu_si128(static_cast<__m128i*>(static_cast<void*>(&fe_ba_hg_dc[0])), abef);
  _mm_storeu_si128(static_cast<__m128i*>(static_cast<void*>(&fe_ba_hg_dc[4])), cdgh);
  const auto& [f, e, b, a, h, g, d, c] = fe_ba_hg_dc;
  state = {a, b, c, d, e, f, g, h};
}

#endif

/// The faster of what this machine has.
inline void sha256_blocks(Sha256State& state, std::span<const std::byte> blocks) noexcept {
#if defined(__x86_64__) && defined(__GNUC__)
  static const bool fast = has_sha256_instructions();
  if (fast) return sha256_x86(state, blocks);
#endif
  sha256_portable(state, blocks);
}

}  // namespace detail

/// The digest of bytes that come in pieces; where one piece ends does not matter.
///
///   Sha256 hash;
///   hash.update(header);
///   hash.update(data);
///   const std::string text = to_hex(hash.digest());
class Sha256 {
 public:
  using Digest = std::array<std::byte, 32>;

  void update(std::span<const std::byte> bytes) noexcept {
    const std::size_t held = static_cast<std::size_t>(total_ % open_.size());
    total_ += bytes.size();
    if (held > 0) {
      const std::size_t taken = std::min(open_.size() - held, bytes.size());
      std::ranges::copy(bytes.first(taken), open_.begin() + static_cast<std::ptrdiff_t>(held));
      bytes = bytes.subspan(taken);
      if (held + taken < open_.size()) return;
      detail::sha256_blocks(state_, open_);
    }
    const std::size_t whole = bytes.size() / open_.size() * open_.size();
    detail::sha256_blocks(state_, bytes.first(whole));
    std::ranges::copy(bytes.subspan(whole), open_.begin());
  }
  void update(std::string_view text) noexcept { update(std::as_bytes(std::span(text))); }

  /// Of all bytes so far; more may follow.
  [[nodiscard]] Digest digest() const noexcept {
    // one bit, zeros up to 8 bytes before the end of a block, the number of bits
    const std::size_t held = static_cast<std::size_t>(total_ % open_.size());
    const std::size_t length_at = (held < 56 ? 56 : 120) - held;
    std::array<std::byte, 72> padding{std::byte{0x80}};
    for (std::size_t i = 0; i < 8; ++i) {
      padding[length_at + i] = static_cast<std::byte>(total_ * 8 >> (56 - 8 * i));
    }
    Sha256 padded = *this;
    padded.update(std::span(padding).first(length_at + 8));
    Digest digest;
    for (std::size_t i = 0; i < digest.size(); ++i) {
      digest[i] = static_cast<std::byte>(padded.state_[i / 4] >> (24 - 8 * (i % 4)));
    }
    return digest;
  }

 private:
  // the first 32 bits behind the point of the square roots of the first 8 primes
  detail::Sha256State state_{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                             0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<std::byte, detail::sha256_block_bytes> open_{};  // the first total_ % 64 are in use
  std::uint64_t total_ = 0;                                   // bytes so far
};

/// The digest as 64 digits of 0-9a-f.
[[nodiscard]] inline std::string sha256_hex(std::string_view text) {
  Sha256 hash;
  hash.update(text);
  return to_hex(hash.digest());
}

}  // namespace anyssr::inline ANYSSR_ABI
