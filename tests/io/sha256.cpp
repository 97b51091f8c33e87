// SPDX-License-Identifier: MIT
#include "anyssr/io/sha256.hpp"

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

/// One pass of the portable rounds over the text and the padding of FIPS 180-4, section 5.1.1.
std::string portable_hex(std::string text) {
  const std::uint64_t bits = std::uint64_t{text.size()} * 8;
  text += '\x80';
  while (text.size() % 64 != 56) text += '\0';
  for (int shift = 56; shift >= 0; shift -= 8) text += static_cast<char>(bits >> shift & 0xFFU);
  detail::Sha256State state{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                            0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  detail::sha256_portable(state, std::as_bytes(std::span(text)));
  std::vector<std::byte> digest;
  for (const std::uint32_t word : state) {
    for (int shift = 24; shift >= 0; shift -= 8) {
      digest.push_back(static_cast<std::byte>(word >> shift & 0xFFU));
    }
  }
  return to_hex(digest);
}

}  // namespace

static_assert(std::is_trivially_copyable_v<Sha256>);

TEST_CASE("the messages of FIPS 180 have their published digests", "[io][golden]") {
  const std::vector<std::pair<std::string, std::string_view>> cases{
      {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
      {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
      {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
       "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
      {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqr"
       "lmnopqrsmnopqrstnopqrstu",
       "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"},
      {std::string(1'000'000, 'a'),
       "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
  };
  for (const auto& [message, digest] : cases) {
    CAPTURE(message.size());
    CHECK(sha256_hex(message) == digest);
    CHECK(portable_hex(message) == digest);
  }
}

TEST_CASE("texts of every length are padded as the standard says", "[io][property]") {
  for (std::size_t size = 0; size <= 200; ++size) {
    const std::string text = test::random_text(size, 1);
    CAPTURE(size);
    CHECK(sha256_hex(text) == portable_hex(text));
  }
}

TEST_CASE("where a text is cut into pieces does not change its digest", "[io][property]") {
  const std::string text = test::random_text(300, 2);
  const std::string_view view = text;
  const std::string whole = sha256_hex(text);
  std::size_t wrong = 0;
  for (std::size_t first = 0; first <= text.size(); ++first) {
    for (std::size_t second = first; second <= text.size(); second += 7) {
      Sha256 hash;
      hash.update(view.substr(0, first));
      hash.update(view.substr(first, second - first));
      hash.update(std::as_bytes(std::span(view.substr(second))));
      if (to_hex(hash.digest()) != whole) ++wrong;
    }
  }
  CHECK(wrong == 0);
  for (std::size_t piece = 1; piece <= 130; ++piece) {
    Sha256 hash;
    for (std::size_t at = 0; at < text.size(); at += piece) hash.update(view.substr(at, piece));
    CAPTURE(piece);
    CHECK(to_hex(hash.digest()) == whole);
  }
}

TEST_CASE("a digest may be asked for on the way", "[io]") {
  Sha256 hash;
  hash.update("ab");
  CHECK(to_hex(hash.digest()) == sha256_hex("ab"));
  CHECK(hash.digest() == hash.digest());
  const Sha256 copy = hash;
  hash.update("c");
  CHECK(to_hex(hash.digest()) == sha256_hex("abc"));
  CHECK(to_hex(copy.digest()) == sha256_hex("ab"));
}

TEST_CASE("portable rounds and those of this machine agree in any state", "[io][property]") {
  const unsigned seed = GENERATE(range(1u, 21u));
  const std::size_t blocks = GENERATE(0U, 1U, 2U, 17U);
  CAPTURE(seed, blocks);
  std::mt19937 random(seed);
  detail::Sha256State portable;
  for (std::uint32_t& word : portable) word = static_cast<std::uint32_t>(random());
  detail::Sha256State fastest = portable;
  const std::string text = test::random_text(64 * blocks + 1, seed + 100);
  const std::span<const std::byte> unaligned = std::as_bytes(std::span(text)).subspan(1);
  detail::sha256_portable(portable, unaligned);
  detail::sha256_blocks(fastest, unaligned);
  CHECK(portable == fastest);
}
