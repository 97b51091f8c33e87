// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Small tokenizer.json files, member by member, so that a test can change or damage any of them.

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "anyssr/core/random.hpp"
#include "anyssr/text/byte_alphabet.hpp"
#include "anyssr/text/json_tokenizer.hpp"
#include "anyssr/text/tokenizer.hpp"
#include "support/corpus.hpp"
#include "support/program.hpp"

namespace anyssr::test {

/// A file with nothing around its model.
inline Json tokenizer_json(Json model) {
  return {{"version", "1.0"},          {"truncation", nullptr},
          {"padding", nullptr},        {"added_tokens", Json::array()},
          {"normalizer", nullptr},     {"pre_tokenizer", nullptr},
          {"post_processor", nullptr}, {"decoder", nullptr},
          {"model", std::move(model)}};
}

/// Byte-level BPE: the 256 letters and merges drawn at random among the pieces so far.
inline Json byte_level_json(int merges, std::uint64_t seed) {
  std::vector<std::string> pieces;
  for (const char32_t letter : detail::letters_of_bytes) {
    std::string piece;
    detail::append_code_point(piece, letter);
    pieces.push_back(piece);
  }
  Json vocab;
  for (const std::string& piece : pieces) vocab[piece] = vocab.size();
  Json list = Json::array();
  RandomStream random(seed, 1);
  while (static_cast<int>(list.size()) < merges) {
    // mostly ASCII letters, so that texts meet them
    const auto pick = [&] {
      const std::uint32_t most = static_cast<std::uint32_t>(pieces.size());
      return random.below(4) == 0 ? pieces[random.below(most)] : pieces['a' + random.below(4)];
    };
    const std::string left = pick();
    const std::string right = pick();
    if (vocab.contains(left + right)) continue;
    vocab[left + right] = vocab.size();
    pieces.push_back(left + right);
    list.push_back(left + " " + right);
  }
  Json json = tokenizer_json({{"type", "BPE"}, {"vocab", vocab}, {"merges", list}});
  json["pre_tokenizer"] = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", true}};
  json["decoder"] = {{"type", "ByteLevel"}};
  return json;
}

inline Json added_token(TokenId id, std::string_view content, bool is_special) {
  return {{"id", id},        {"content", content},        {"single_word", false}, {"lstrip", false},
          {"rstrip", false}, {"normalized", !is_special}, {"special", is_special}};
}

/// The tokenizer of a file's text, which is kept for the fuzzer.
inline detail::JsonTokenizer parse_tokenizer(const std::string& text) {
  keep_for_fuzzing("tokenizer", text);
  return {detail::parse_tokenizer_file(text, "tokenizer.json"), "tokenizer.json"};
}

/// A folder with a tokenizer.json and, where they are given, files beside it.
class TokenizerJsonFolder {
 public:
  explicit TokenizerJsonFolder(const Json& json, const Json& config = nullptr) {
    write("tokenizer.json", json.dump());
    if (!config.is_null()) write("tokenizer_config.json", config.dump());
  }
  void write(const std::string& name, const std::string& text) const { folder_.write(name, text); }
  [[nodiscard]] std::filesystem::path path() const { return folder_.file("."); }
  [[nodiscard]] Tokenizer read() const { return Tokenizer::read(path()); }

 private:
  TemporaryFolder folder_;
};

}  // namespace anyssr::test
