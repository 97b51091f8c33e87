// SPDX-License-Identifier: MIT
#include "anyssr/backbone/word_splitter.hpp"

#include <string>
#include <utility>
#include <vector>

#include "anyssr/core/random.hpp"
#include "support/catch.hpp"

namespace {

using namespace anyssr;

std::vector<std::string> words_of(std::string_view text) {
  detail::WordSplitter splitter;
  splitter.split(text);
  std::vector<std::string> words;
  for (std::size_t i = 0; i < splitter.size(); ++i) words.emplace_back(splitter.word(i));
  return words;
}

using Words = std::vector<std::string>;

// Every letter of the five blocks that str.lower of Python 3.11 changes, and what it changes to
// (but U+0130, to which Python adds a combining dot).
constexpr std::string_view capitals =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑ"
    "ÒÓÔÕÖØÙÚÛÜÝÞĀĂĄĆĈĊČĎĐĒĔĖĘĚĜĞĠĢĤĦĨĪĬĮİĲĴĶĹĻĽĿ"
    "ŁŃŅŇŊŌŎŐŒŔŖŘŚŜŞŠŢŤŦŨŪŬŮŰŲŴŶŸŹŻŽΆΈΉΊΌΎΏΑΒΓΔΕΖ"
    "ΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩΪΫЀЁЂЃЄЅІЇЈЉЊЋЌЍЎЏАБВГДЕЖЗ"
    "ИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯѠѢѤѦѨѪѬѮѰѲѴѶѸѺѼѾҀҊҌҎ"
    "ҐҒҔҖҘҚҜҞҠҢҤҦҨҪҬҮҰҲҴҶҸҺҼҾӀӁӃӅӇӉӋӍӐӒӔӖӘӚӜӞӠӢӤӦ"
    "ӨӪӬӮӰӲӴӶӸӺӼӾԀԂԄԆԈԊԌԎԐԒԔԖԘԚԜԞԠԢԤԦԨԪԬԮ";
constexpr std::string_view small_letters =
    "abcdefghijklmnopqrstuvwxyzàáâãäåæçèéêëìíîïðñ"
    "òóôõöøùúûüýþāăąćĉċčďđēĕėęěĝğġģĥħĩīĭįiĳĵķĺļľŀ"
    "łńņňŋōŏőœŕŗřśŝşšţťŧũūŭůűųŵŷÿźżžάέήίόύώαβγδεζ"
    "ηθικλμνξοπρστυφχψωϊϋѐёђѓєѕіїјљњћќѝўџабвгдежз"
    "ийклмнопрстуфхцчшщъыьэюяѡѣѥѧѩѫѭѯѱѳѵѷѹѻѽѿҁҋҍҏ"
    "ґғҕҗҙқҝҟҡңҥҧҩҫҭүұҳҵҷҹһҽҿӏӂӄӆӈӊӌӎӑӓӕӗәӛӝӟӡӣӥӧ"
    "өӫӭӯӱӳӵӷӹӻӽӿԁԃԅԇԉԋԍԏԑԓԕԗԙԛԝԟԡԣԥԧԩԫԭԯ";

/// The other way to decode: by the table of well-formed byte sequences (Unicode 15, table 3-7).
std::size_t well_formed_bytes(std::string_view text) {
  const auto in = [&](std::size_t i, unsigned first, unsigned last) {
    if (i >= text.size()) return false;
    const unsigned byte = static_cast<unsigned char>(text[i]);
    return byte >= first && byte <= last;
  };
  const bool tail2 = in(2, 0x80, 0xBF);
  const bool tail3 = tail2 && in(3, 0x80, 0xBF);
  if (in(0, 0x00, 0x7F)) return 1;
  if (in(0, 0xC2, 0xDF) && in(1, 0x80, 0xBF)) return 2;
  if (in(0, 0xE0, 0xE0) && in(1, 0xA0, 0xBF) && tail2) return 3;
  if (in(0, 0xE1, 0xEC) && in(1, 0x80, 0xBF) && tail2) return 3;
  if (in(0, 0xED, 0xED) && in(1, 0x80, 0x9F) && tail2) return 3;
  if (in(0, 0xEE, 0xEF) && in(1, 0x80, 0xBF) && tail2) return 3;
  if (in(0, 0xF0, 0xF0) && in(1, 0x90, 0xBF) && tail3) return 4;
  if (in(0, 0xF1, 0xF3) && in(1, 0x80, 0xBF) && tail3) return 4;
  if (in(0, 0xF4, 0xF4) && in(1, 0x80, 0x8F) && tail3) return 4;
  return 0;
}

}  // namespace

TEST_CASE("a word is a run of letters and digits in lower case", "[backbone][golden]") {
  CHECK(words_of("What's my IBAN-2 balance_now?") ==
        Words{"what", "s", "my", "iban", "2", "balance", "now"});
  CHECK(words_of("one") == Words{"one"});
  CHECK(words_of("  ...?! \t\n").empty());
  CHECK(words_of("").empty());
}

TEST_CASE("punctuation outside ASCII parts words and letters do not", "[backbone][golden]") {
  CHECK(words_of("«Où»…“être”—là") == Words{"où", "être", "là"});
  CHECK(words_of("3×4÷2 5µm 1ª2º3") == Words{"3", "4", "2", "5µm", "1ª2º3"});
  CHECK(words_of("今日は、元気？はい。") == Words{"今日は", "元気", "はい"});
  CHECK(words_of("\uFEFFbom\u00A0gap\u3000wide") == Words{"bom", "gap", "wide"});
  CHECK(words_of("go\U0001F680now") == Words{"go\U0001F680now"});
}

TEST_CASE("capitals of five scripts become the small letters of Unicode", "[backbone][golden]") {
  CHECK(words_of(capitals) == Words{std::string(small_letters)});
  CHECK(words_of(small_letters) == Words{std::string(small_letters)});
}

TEST_CASE("letters that have no capital stay as they are", "[backbone][golden]") {
  CHECK(words_of("ßĸŉſıʼn") == Words{"ßĸŉſıʼn"});
  CHECK(words_of("ΟΔΟΣ οδος") == Words{"οδοσ", "οδοσ"});  // final sigma is a sigma
  CHECK(words_of("ΐΰҀ҂Ӏӏ") == Words{"ΐΰҁ҂ӏӏ"});
}

TEST_CASE("every code point survives coding and decoding", "[backbone][property]") {
  std::size_t wrong = 0;
  for (char32_t c = 0; c <= 0x10FFFF; ++c) {
    if (c >= 0xD800 && c <= 0xDFFF) continue;
    std::string text = "x";
    detail::append_code_point(text, c);
    const std::size_t bytes = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    text += 'y';
    const detail::CodePoint point = detail::decode_utf8(text, 1);
    if (point.value != c || point.bytes != bytes || text.size() != bytes + 2) ++wrong;
  }
  CHECK(wrong == 0);
}

TEST_CASE("a byte that is not UTF-8 stands for itself", "[backbone][property]") {
  constexpr unsigned edges[] = {0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF,
                                0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED, 0xEE,
                                0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xF9, 0xFC, 0xFF};
  RandomStream random(1);
  std::size_t wrong = 0;
  for (int trial = 0; trial < 50000; ++trial) {
    std::string text;
    const std::uint32_t size = 1 + random.below(4);
    for (std::uint32_t i = 0; i < size; ++i) {
      text += static_cast<char>(edges[random.below(static_cast<std::uint32_t>(std::size(edges)))]);
    }
    const detail::CodePoint point = detail::decode_utf8(text, 0);
    const std::size_t expected = well_formed_bytes(text);
    if (expected > 0) {
      if (point.bytes != expected) ++wrong;
    } else if (point.bytes != 1 || point.value != static_cast<unsigned char>(text[0])) {
      ++wrong;
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE("Latin-1 text gives the words of its UTF-8 form", "[backbone][property]") {
  CHECK(words_of("Caf\xC9 cr\xE8me") == words_of("Café crème"));
  CHECK(words_of("caf\xE9") == Words{"café"});
  CHECK(words_of("stop\xA0here\x93quoted\x94") == Words{"stop", "here", "quoted"});
}

TEST_CASE("a splitter that is used again keeps nothing of the text before",
          "[backbone][property]") {
  detail::WordSplitter splitter;
  splitter.split("first text ends inside a word");
  splitter.split("second");
  REQUIRE(splitter.size() == 1);
  CHECK(splitter.word(0) == "second");
  const std::span<char> marked = splitter.marked(0);
  REQUIRE(marked.size() == 9);
  CHECK(std::string_view(marked.data() + 1, 8) == "<second>");
}

TEST_CASE("white space is that of Unicode", "[backbone][golden]") {
  std::u32string found;
  for (char32_t c = 0; c <= 0x10FFFF; ++c) {
    if (detail::is_white_space(c)) found += c;
  }
  CHECK((found == U"\t\n\v\f\r \x85"
                  U"\u00A0\u1680\u2000\u2001\u2002"
                  U"\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F"
                  U"\u3000"));
}
