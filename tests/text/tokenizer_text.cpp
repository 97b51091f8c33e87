// SPDX-License-Identifier: MIT
// What happens to a text before and after the model: normal forms, splits, added tokens, decoders,
// streams.
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/small_tokenizer.hpp"

namespace {

using namespace anyssr;
using namespace anyssr::test;
using Ids = std::vector<TokenId>;

/// A code point that UTF-8 can hold, mostly of the first thousand.
std::string random_characters(std::size_t count, RandomStream& random) {
  std::string text;
  while (count > 0) {
    const std::uint32_t limit = random.below(3) == 0 ? 0x110000 : 0x400;
    const char32_t c = random.below(limit);
    if (c >= 0xD800 && c <= 0xDFFF) continue;
    detail::append_code_point(text, c);
    --count;
  }
  return text;
}

}  // namespace

TEST_CASE("byte-level ids give back any text, at once and token by token", "[text][property]") {
  Json json = byte_level_json(150, 7);
  json["added_tokens"] =
      Json::array({added_token(406, "<|end|>", true), added_token(407, "<think>", false)});
  json["post_processor"] = {{"type", "TemplateProcessing"},
                            {"single",
                             {{{"SpecialToken", {{"id", "<|end|>"}, {"type_id", 0}}}},
                              {{"Sequence", {{"id", "A"}, {"type_id", 0}}}}}},
                            {"pair",
                             {{{"Sequence", {{"id", "A"}, {"type_id", 0}}}},
                              {{"Sequence", {{"id", "B"}, {"type_id", 1}}}}}},
                            {"special_tokens", {{"<|end|>", {{"ids", {406}}}}}}};
  const TokenizerJsonFolder folder(json);
  const Tokenizer tokenizer = folder.read();
  CHECK(tokenizer.token_count() == 408);
  RandomStream random(8, 1);
  for (int i = 0; i < 60; ++i) {
    const std::string text = random_characters(random.below(40), random) + "<|end|><think>abc";
    const Ids ids = tokenizer.encode(text);
    CHECK(ids.front() == 406);
    CHECK(std::count(ids.begin(), ids.end(), 407) == 1);
    CHECK(tokenizer.decode(ids) == text);
    TokenStream stream = tokenizer.stream();
    std::string streamed;
    for (const TokenId id : ids) {
      const std::string part = stream.push(id);
      CHECK(detail::find_invalid_utf8(part) == std::string::npos);
      streamed += part;
    }
    CHECK(streamed + stream.finish() == text);
  }
  // three bytes of four: the text waits for the last one
  TokenStream stream = tokenizer.stream();
  CHECK(stream.push(0xF0).empty());
  CHECK(stream.push(0x9F).empty());
  CHECK(stream.push(0x98).empty());
  CHECK(stream.push(0x80) == "\U0001F600");
  CHECK(stream.push(0xF0).empty());
  CHECK(stream.push('a') == "\uFFFDa");
  CHECK(stream.push(0xE2).empty());
  CHECK(stream.finish() == "\uFFFD");
  CHECK(message_of<ArgumentError>([&] {
          (void)tokenizer.decode(Ids{1, 999});
        }) == "id 999 at position 1 is no token, expected 0..407");
  CHECK(message_of<ArgumentError>([&] { (void)tokenizer.encode("a\xFF"); }) ==
        "text has the byte 0xFF at position 1, expected UTF-8");
}

TEST_CASE("normal forms compose, decompose and order marks", "[text][golden]") {
  CHECK(normal_form("e\u0301", NormalForm::nfc) == "\u00E9");
  CHECK(normal_form("\u00E9", NormalForm::nfd) == "e\u0301");
  CHECK(normal_form("\uFB01\u00B2", NormalForm::nfkc) == "fi2");
  CHECK(normal_form("\uFB01\u00E9", NormalForm::nfkd) == "fie\u0301");
  CHECK(normal_form("\u1112\u1161\u11AB", NormalForm::nfc) == "\uD55C");  // Hangul
  CHECK(normal_form("\uD55C", NormalForm::nfd) == "\u1112\u1161\u11AB");
  CHECK(normal_form("a\u0301\u0316", NormalForm::nfd) == "a\u0316\u0301");  // 230 behind 220
  CHECK(normal_form("\u0958", NormalForm::nfc) == "\u0915\u093C");          // not composed again
  CHECK(normal_form("plain", NormalForm::nfkd) == "plain");
  std::string marks = "a";
  std::string ordered = "a";
  const int count = 100000;
  for (int i = 0; i < count; ++i) marks += "\u0301\u0316";
  for (int i = 0; i < count; ++i) ordered += "\u0316";
  for (int i = 0; i < count; ++i) ordered += "\u0301";
  CHECK((normal_form(marks, NormalForm::nfd) == ordered));
}

TEST_CASE("ways to split keep, drop or join what matches", "[text][golden]") {
  using detail::SplitBehavior;
  const detail::Pattern dash("-", "here");
  const auto split = [&](SplitBehavior behavior, bool inverts = false) {
    std::string shown;
    const auto words = detail::split(
        detail::Words::of("-a--b-", true), behavior, inverts,
        [&](std::string_view word, const auto& match) { dash.for_each_match(word, match); });
    words.for_each([&](std::string_view word, bool) { shown += std::string(word) + "|"; });
    return shown;
  };
  CHECK(split(SplitBehavior::isolated) == "-|a|-|-|b|-|");
  CHECK(split(SplitBehavior::removed) == "a|b|");
  CHECK(split(SplitBehavior::contiguous) == "-|a|--|b|-|");
  CHECK(split(SplitBehavior::merged_with_previous) == "-|a-|-|b-|");
  CHECK(split(SplitBehavior::merged_with_next) == "-a|-|-b|-|");
  CHECK(split(SplitBehavior::removed, true) == "-|-|-|-|");
}

TEST_CASE("white space in an expression is Unicode's", "[text][golden]") {
  const auto matches = [](std::string_view expression, std::string_view text) {
    std::size_t count = 0;
    detail::Pattern(expression, "here").for_each_match(text, [&](std::size_t, std::size_t) {
      ++count;
    });
    return count;
  };
  CHECK(matches(R"(\s)", "\u00A0\u2003\u3000\u0085 x") == 5);
  CHECK(matches(R"(\s)", "\u180E\u200B\uFEFF") == 0);
  CHECK(matches(R"([^\s\p{L}])", "\u180Ea ") == 1);
  CHECK(matches(R"(\S)", "\u180Ea ") == 2);
  CHECK(matches(R"(x*)", "axx\u00E9x") == 2);
  CHECK(
      contains(message_of<FormatError>([&] { matches("(", "a"); }), "here: the expression \"(\""));
}

TEST_CASE("added tokens are found at their longest and take spaces as they say", "[text][golden]") {
  Json json = byte_level_json(0, 1);
  json["pre_tokenizer"]["use_regex"] = false;
  Json left = added_token(300, "<l>", true);
  left["lstrip"] = true;
  Json right = added_token(301, "<r>", true);
  right["rstrip"] = true;
  Json word = added_token(302, "word", false);
  word["single_word"] = true;
  word["normalized"] = false;
  json["added_tokens"] = Json::array({left, right, word, added_token(303, "<l><l>", true)});
  const auto tokenizer = parse_tokenizer(json.dump());
  CHECK(tokenizer.encode("a <l> b", true) == Ids{'a', 300, ' ', 'b'});
  CHECK(tokenizer.encode("a <r> \u2003b", true) == Ids{'a', ' ', 301, 'b'});
  CHECK(tokenizer.encode("<l><l><l>", true) == Ids{303, 300});
  CHECK(tokenizer.encode("<r>  <l>", true) == Ids{301, 300});
  CHECK(tokenizer.encode("word,word", true) == Ids{302, ',', 302});
  CHECK(tokenizer.encode("words", true) == Ids{'w', 'o', 'r', 'd', 's'});
  CHECK(tokenizer.encode("<l>", false) == Ids{'<', 'l', '>'});
}

TEST_CASE("a folder's config names BOS and EOS, and adds them for LLaMA and Gemma alone",
          "[text][golden]") {
  Json json = byte_level_json(0, 1);
  json["added_tokens"] =
      Json::array({added_token(256, "<s>", true), added_token(257, "</s>", true)});
  Json config = {{"bos_token", "<s>"},
                 {"eos_token", {{"content", "</s>"}}},
                 {"add_bos_token", true},
                 {"add_eos_token", true},
                 {"tokenizer_class", "PreTrainedTokenizerFast"}};
  const Tokenizer plain = TokenizerJsonFolder(json, config).read();
  CHECK(plain.bos() == 256);
  CHECK(plain.eos() == 257);
  CHECK(plain.encode("a") == Ids{'a'});
  config["tokenizer_class"] = "LlamaTokenizer";
  const Tokenizer llama = TokenizerJsonFolder(json, config).read();
  CHECK(llama.encode("a") == Ids{256, 'a', 257});
  CHECK(llama.encode("a", {.special = false}) == Ids{'a'});
  CHECK(llama.encode_pair("a", "b").ids == Ids{256, 'a', 257, 256, 'b', 257});
  CHECK(llama.encode_pair("a", "b").types == Ids{0, 0, 0, 1, 1, 1});
  config["bos_token"] = "<nowhere>";
  CHECK(contains(message_of<FormatError>([&] { (void)TokenizerJsonFolder(json, config).read(); }),
                 "bos_token is \"<nowhere>\""));
  config["bos_token"] = nullptr;
  CHECK(contains(message_of<FormatError>([&] { (void)TokenizerJsonFolder(json, config).read(); }),
                 "add_bos_token is true and bos_token names no token"));
  const TokenizerJsonFolder older(json);
  older.write("special_tokens_map.json", R"({"bos_token": "<s>"})");
  CHECK(older.read().bos() == 256);
  CHECK(older.read().eos() == std::nullopt);
}
