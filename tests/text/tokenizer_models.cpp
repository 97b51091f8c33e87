// SPDX-License-Identifier: MIT
// The three models against their definitions carried out word by word.
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/small_tokenizer.hpp"

namespace {

using namespace anyssr;
using namespace anyssr::test;
using Ids = std::vector<TokenId>;

std::string random_text(std::string_view letters, std::size_t length, RandomStream& random) {
  std::string text;
  for (std::size_t i = 0; i < length; ++i) {
    text += letters[random.below(static_cast<std::uint32_t>(letters.size()))];
  }
  return text;
}

/// Merges by their definition: the lowest rank, the leftmost place, again and again.
Ids merged_by_definition(const Json& model, const std::string& word) {
  std::map<std::pair<std::string, std::string>, int> ranks;
  for (const auto& merge : model.at("merges")) {
    const auto text = merge.get<std::string>();
    const std::size_t space = text.find(' ');
    ranks.emplace(std::pair(text.substr(0, space), text.substr(space + 1)),
                  static_cast<int>(ranks.size()));
  }
  std::vector<std::string> symbols;
  for (const char c : word) symbols.emplace_back(1, c);
  while (true) {
    int best = std::numeric_limits<int>::max();
    std::size_t at = 0;
    for (std::size_t i = 0; i + 1 < symbols.size(); ++i) {
      const auto rank = ranks.find({symbols[i], symbols[i + 1]});
      if (rank == ranks.end() || rank->second >= best) continue;
      best = rank->second;
      at = i;
    }
    if (best == std::numeric_limits<int>::max()) break;
    symbols[at] += symbols[at + 1];
    symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(at) + 1);
  }
  Ids ids;
  for (const std::string& symbol : symbols)
    ids.push_back(model.at("vocab").at(symbol).get<TokenId>());
  return ids;
}

}  // namespace

TEST_CASE("byte-pair encoding merges by rank and place, in short words and long",
          "[text][property]") {
  const std::uint64_t seed = GENERATE(1U, 2U, 3U);
  Json json = byte_level_json(120, seed);
  json["pre_tokenizer"] = nullptr;  // the whole text is one word
  const auto tokenizer = parse_tokenizer(json.dump());
  RandomStream random(seed, 2);
  for (const std::size_t length : {1U, 2U, 3U, 7U, 23U, 24U, 25U, 26U, 60U, 200U}) {
    for (int i = 0; i < 20; ++i) {
      const std::string word = random_text("abcd", length, random);
      CAPTURE(word);
      CHECK(tokenizer.encode(word, true) == merged_by_definition(json.at("model"), word));
    }
  }
  const std::string equal(150, 'a');
  CHECK(tokenizer.encode(equal, true) == merged_by_definition(json.at("model"), equal));
}

TEST_CASE("unknown characters are dropped, become bytes, or one unknown token a run",
          "[text][golden]") {
  Json model = {
      {"type", "BPE"},
      {"vocab", {{"a", 0}, {"b", 1}, {"<unk>", 2}, {"<0xC3>", 3}, {"<0xA9>", 4}, {"ab", 5}}},
      {"merges", Json::array({Json::array({"a", "b"})})}};
  const auto encode = [&](const std::string& text) {
    return parse_tokenizer(tokenizer_json(model).dump()).encode(text, true);
  };
  CHECK(encode("xab\u00E9ya") == Ids{5, 0});
  model["unk_token"] = "<unk>";
  CHECK(encode("xyab\u00E9a") == Ids{2, 2, 5, 2, 0});
  model["fuse_unk"] = true;
  CHECK(encode("xyab\u00E9a") == Ids{2, 5, 2, 0});
  model["byte_fallback"] = true;
  CHECK(encode("xyab\u00E9a\u00EA") == Ids{2, 5, 3, 4, 0, 2});
  CHECK(encode("").empty());
}

TEST_CASE("a word that is a piece is that piece where merges are ignored", "[text][golden]") {
  Json model = {{"type", "BPE"},
                {"vocab", {{"a", 0}, {"b", 1}, {"c", 2}, {"ab", 3}, {"bc", 4}, {"abc", 5}}},
                {"merges", {"a b", "b c"}}};
  CHECK(parse_tokenizer(tokenizer_json(model).dump()).encode("abc", true) == Ids{3, 2});
  model["ignore_merges"] = true;
  CHECK(parse_tokenizer(tokenizer_json(model).dump()).encode("abc", true) == Ids{5});
}

TEST_CASE("WordPiece takes the longest piece, or one unknown token for the word",
          "[text][golden]") {
  Json model = {
      {"type", "WordPiece"},
      {"unk_token", "[UNK]"},
      {"max_input_chars_per_word", 6},
      {"vocab", {{"[UNK]", 0}, {"un", 1}, {"##aff", 2}, {"##able", 3}, {"##a", 4}, {"unaf", 5}}}};
  Json json = tokenizer_json(model);
  json["pre_tokenizer"] = {{"type", "WhitespaceSplit"}};
  const auto tokenizer = parse_tokenizer(json.dump());
  CHECK(tokenizer.encode("unaff", true) == Ids{0});  // "unaf" is longest, and nothing covers "f"
  CHECK(tokenizer.encode("una  unaa", true) == Ids{1, 4, 1, 4, 4});
  CHECK(tokenizer.encode("unaaaa unaaaaa", true) == Ids{1, 4, 4, 4, 4, 0});  // 7 letters
  CHECK(tokenizer.encode("a", true) == Ids{0});
}

namespace {

/// The score of the best cover of a word, found by trying all of them.
double best_score(const std::vector<std::pair<std::string, double>>& pieces,
                  const std::string& word) {
  if (word.empty()) return 0;
  double best = -std::numeric_limits<double>::infinity();
  for (const auto& [piece, score] : pieces) {
    if (!word.starts_with(piece)) continue;
    best = std::max(best, score + best_score(pieces, word.substr(piece.size())));
  }
  return best;
}

}  // namespace

TEST_CASE("Unigram finds the cover of the largest score", "[text][property]") {
  RandomStream random(5, 1);
  std::vector<std::pair<std::string, double>> pieces{{"a", -3.1},  {"b", -2.7},   {"c", -3.3},
                                                     {"ab", -4.2}, {"bca", -5.0}, {"cc", -5.9}};
  Json vocab = Json::array();
  for (const auto& [piece, score] : pieces) vocab.push_back({piece, score});
  vocab.push_back({"<unk>", 0.0});
  const Json model = {{"type", "Unigram"}, {"unk_id", 6}, {"vocab", vocab}};
  const auto tokenizer = parse_tokenizer(tokenizer_json(model).dump());
  for (int i = 0; i < 60; ++i) {
    const std::string word = random_text("abc", 1 + random.below(12), random);
    CAPTURE(word);
    double score = 0;
    std::string covered;
    for (const TokenId id : tokenizer.encode(word, true)) {
      REQUIRE(id < static_cast<TokenId>(pieces.size()));
      score += pieces[static_cast<std::size_t>(id)].second;
      covered += pieces[static_cast<std::size_t>(id)].first;
    }
    CHECK(covered == word);
    CHECK(std::abs(score - best_score(pieces, word)) < 1e-9);
  }
  // of equal covers the one whose last piece begins earliest
  CHECK(tokenizer.encode("ccc", true) == Ids{2, 5});
  // neighbours without a piece are one unknown token
  CHECK(tokenizer.encode("axyb\u00E9", true) == Ids{0, 6, 1, 6});
}

TEST_CASE("a piece that is a special token is none for text that is not trusted",
          "[text][golden]") {
  const Json vocab = Json::array({{"<unk>", 0.0},
                                  {"</s>", 0.0},
                                  {"<", -3.0},
                                  {"/", -3.0},
                                  {"s", -3.0},
                                  {">", -3.0},
                                  {"a", -3.0}});
  Json json = tokenizer_json({{"type", "Unigram"}, {"unk_id", 0}, {"vocab", vocab}});
  json["added_tokens"] = Json::array({added_token(1, "</s>", true)});
  const auto tokenizer = parse_tokenizer(json.dump());
  CHECK(tokenizer.encode("a</s>a", true) == Ids{6, 1, 6});
  CHECK(tokenizer.encode("a</s>a", false) == Ids{6, 2, 3, 4, 5, 6});

  Json pairs = tokenizer_json({{"type", "BPE"},
                               {"ignore_merges", true},
                               {"vocab", {{"a", 0}, {"b", 1}, {"ab", 2}}},
                               {"merges", Json::array({"a b"})}});
  pairs["added_tokens"] = Json::array({added_token(2, "ab", true)});
  CHECK(parse_tokenizer(pairs.dump()).encode("ab", true) == Ids{2});
  CHECK(parse_tokenizer(pairs.dump()).encode("ab", false) == Ids{0, 1});
}

TEST_CASE("a megabyte of one letter or of ordinary text is no trouble", "[text]") {
  const auto tokenizer = parse_tokenizer(byte_level_json(200, 4).dump());
  for (const std::string_view part : {"a", " ", "\u0301\u0316", "abba cad "}) {
    std::string text;
    while (text.size() < (1U << 20U)) text += part;
    const Ids ids = tokenizer.encode(text, true);
    std::size_t bytes = 0;
    for (const TokenId id : ids) bytes += detail::bytes_of(*tokenizer.piece(id))->size();
    CHECK(bytes == text.size());
  }
}
