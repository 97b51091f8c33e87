// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The `model` of a tokenizer.json: BPE, WordPiece or Unigram, with its pieces.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "anyssr/io/json_fields.hpp"
#include "anyssr/text/byte_pair_model.hpp"
#include "anyssr/text/tokenizer_file.hpp"
#include "anyssr/text/unigram_model.hpp"
#include "anyssr/text/word_piece_model.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

using TokenModel = std::variant<BytePairModel, WordPieceModel, UnigramModel>;

/// Reads the model of a file.
class TokenModelReader {
 public:
  /// @param fields  the member "model"
  TokenModelReader(const TokenizerFile& file, const JsonFields& fields)
      : file_(file), fields_(fields) {}

  /// @throws FormatError  an id twice, a piece twice, no pieces
  [[nodiscard]] Vocabulary read_pieces() const {
    if (file_.pieces.size() == 0) {
      raise<FormatError>(fields_.place(), ": vocab has no pieces, expected an object or a list");
    }
    Vocabulary pieces;
    pieces.reserve(file_.pieces.size(), file_.pieces.letters.size());
    for (std::size_t i = 0; i < file_.pieces.size(); ++i) {
      const std::string_view piece = file_.pieces[i];
      const TokenId id = file_.has_scores ? static_cast<TokenId>(i) : file_.ids[i];
      // a list may hold a piece twice: the last one counts
      if (pieces.add(piece, id) || file_.has_scores) continue;
      raise<FormatError>(fields_.place(), ": vocab: ", in_quotes(piece), " with id ", id,
                         " is there twice, by its text or its id");
    }
    return pieces;
  }

  /// @throws FormatError  naming the member that cannot be followed
  [[nodiscard]] TokenModel read(const Vocabulary& pieces) const {
    const std::string type = type_of();
    if (type == "BPE") return read_byte_pairs(pieces);
    if (type == "WordPiece") return read_word_pieces(pieces);
    return read_unigram(pieces);
  }

  /// The token of unknown text.
  [[nodiscard]] std::optional<TokenId> unknown(const Vocabulary& pieces) const {
    if (type_of() == "Unigram") {
      if (is_silent("unk_id")) return std::nullopt;
      const std::uint64_t id = fields_.count("unk_id", file_.pieces.size() - 1);
      return static_cast<TokenId>(id);
    }
    if (is_silent("unk_token")) return std::nullopt;
    const auto id = pieces.find(fields_.text("unk_token"));
    if (!id) fields_.refuse("unk_token", "one of the pieces");
    return id;
  }

 private:
  /// Files before 2020 do not say.
  [[nodiscard]] std::string type_of() const {
    if (is_silent("type")) {
      return file_.has_scores ? "Unigram" : file_.has_merges ? "BPE" : "WordPiece";
    }
    const std::string& type = fields_.text("type");
    if (type != "BPE" && type != "WordPiece" && type != "Unigram") {
      fields_.refuse("type", "one of BPE, WordPiece, Unigram");
    }
    if (file_.has_scores != (type == "Unigram")) {
      raise<FormatError>(fields_.place(), ": vocab is ", file_.has_scores ? "a list" : "an object",
                         ", expected ", file_.has_scores ? "an object" : "a list", " in ", type);
    }
    return type;
  }
  [[nodiscard]] bool is_silent(std::string_view key) const {
    return !fields_.has(key) || fields_.value()[std::string(key)].is_null();
  }
  [[nodiscard]] bool flag(std::string_view key) const {
    return !is_silent(key) && fields_.boolean(key);
  }

  [[nodiscard]] BytePairModel read_byte_pairs(const Vocabulary& pieces) const {
    if (!is_silent("dropout") && fields_.number("dropout") != 0) {
      fields_.refuse("dropout", "null: sampling gives other ids every time");
    }
    for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
      if (!is_silent(key) && !fields_.text(key).empty()) fields_.refuse(key, "null or \"\"");
    }
    if (!file_.has_merges) raise<FormatError>(fields_.place(), ": has no \"merges\"");
    return {pieces,
            read_merges(pieces),
            {.ignores_merges = flag("ignore_merges"),
             .falls_back_to_bytes = flag("byte_fallback"),
             .fuses_unknown = flag("fuse_unk"),
             .unknown = unknown(pieces)}};
  }

  [[nodiscard]] MergeTable read_merges(const Vocabulary& pieces) const {
    MergeTable merges;
    merges.reserve(file_.is_pair.size());
    std::string joined;
    std::size_t text = 0;
    for (std::size_t i = 0; i < file_.is_pair.size(); ++i) {
      std::string_view left = file_.merges[text++];
      std::string_view right;
      if (file_.is_pair[i]) {
        right = file_.merges[text++];
      } else {
        const std::size_t space = left.find(' ');
        if (space == std::string_view::npos) refuse_merge(i, left, "two pieces with a space");
        right = left.substr(space + 1);
        left = left.substr(0, space);
      }
      joined.assign(left);
      joined += right;
      const TokenId left_id = id_of(pieces, left, i);
      const TokenId right_id = id_of(pieces, right, i);
      merges.add(left_id, right_id, id_of(pieces, joined, i));
    }
    return merges;
  }
  [[nodiscard]] TokenId id_of(const Vocabulary& pieces, std::string_view piece,
                              std::size_t merge) const {
    const std::optional<TokenId> id = pieces.find(piece);
    if (!id) refuse_merge(merge, piece, "a piece of vocab");
    return *id;
  }
  [[noreturn]] void refuse_merge(std::size_t merge, std::string_view text,
                                 std::string_view expected) const {
    raise<FormatError>(fields_.place(), ": merges[", merge, "] has ", in_quotes(text),
                       ", expected ", expected);
  }

  [[nodiscard]] WordPieceModel read_word_pieces(const Vocabulary& pieces) const {
    const std::optional<TokenId> id = unknown(pieces);
    if (!id) raise<FormatError>(fields_.place(), ": has no \"unk_token\"");
    constexpr std::uint64_t usual = 100;
    constexpr std::uint64_t most = std::uint64_t{1} << 30U;
    const std::string prefix =
        is_silent("continuing_subword_prefix") ? "##" : fields_.text("continuing_subword_prefix");
    const std::uint64_t letters = is_silent("max_input_chars_per_word")
                                      ? usual
                                      : fields_.count("max_input_chars_per_word", most);
    return {pieces, prefix, *id, static_cast<std::size_t>(letters)};
  }

  [[nodiscard]] UnigramModel read_unigram(const Vocabulary& pieces) const {
    return {pieces, file_.scores, unknown(pieces), flag("byte_fallback")};
  }

  const TokenizerFile& file_;
  const JsonFields& fields_;
};

}  // namespace anyssr::inline ANYSSR_ABI::detail
