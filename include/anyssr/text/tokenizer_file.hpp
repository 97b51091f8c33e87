// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The bytes of a tokenizer.json as a document, but for its pieces and merges: these come in
/// hundreds of thousands and go into flat tables, where a document of them would take ten times the
/// memory.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "anyssr/core/error.hpp"
#include "anyssr/io/guarded_json.hpp"
#include "anyssr/text/piece_tables.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

/// Texts one after another.
struct TextList {
  std::string letters;
  std::vector<std::size_t> ends;

  void add(std::string_view text) {
    letters += text;
    ends.push_back(letters.size());
  }
  [[nodiscard]] std::size_t size() const noexcept { return ends.size(); }
  [[nodiscard]] std::string_view operator[](std::size_t i) const {
    const std::size_t begin = i == 0 ? 0 : ends[i - 1];
    return std::string_view(letters).substr(begin, ends[i] - begin);
  }
};

/// A tokenizer.json.
struct TokenizerFile {
  Json document;               ///< with null for model.vocab and model.merges
  bool has_scores = false;     ///< model.vocab is a list of [piece, score]
  bool has_merges = false;     ///< there is a model.merges
  TextList pieces;             ///< keys of model.vocab, or the pieces of its list
  std::vector<TokenId> ids;    ///< of the keys
  std::vector<double> scores;  ///< of the list
  TextList merges;             ///< "a b" each, or two after another
  std::vector<bool> is_pair;   ///< of each merge: whether it is two texts
};

/// The events of a parse: those within model.vocab and model.merges fill the tables, the others go
/// to the builder of a document.
class TokenizerFileBuilder {
 public:
  static constexpr std::size_t longest_piece = std::size_t{1} << 16U;  // bytes
  static constexpr std::size_t most_pieces = std::size_t{1} << 21U;

  bool null() { return is_outside() ? builder_.null() : refuse_kind("null"); }
  bool boolean(bool value) {
    return is_outside() ? builder_.boolean(value) : refuse_kind(value ? "true" : "false");
  }
  bool number_integer(std::int64_t value) {
    if (is_outside()) return builder_.number_integer(value);
    return where_ == Where::scored_piece ? add_score(static_cast<double>(value))
                                         : refuse_kind(std::to_string(value));
  }
  bool number_unsigned(std::uint64_t value) {
    if (is_outside()) return builder_.number_unsigned(value);
    if (where_ == Where::scored_piece) return add_score(static_cast<double>(value));
    if (where_ != Where::ids) return refuse_kind(std::to_string(value));
    if (value > Vocabulary::max_id) {
      return refuse(piece_place() + " is " + std::to_string(value) +
                    ", expected a token id of 0.." + std::to_string(Vocabulary::max_id));
    }
    file_.ids.push_back(static_cast<TokenId>(value));
    return true;
  }
  bool number_float(double value, const std::string& token) {
    if (is_outside()) return builder_.number_float(value, token);
    return where_ == Where::scored_piece ? add_score(value) : refuse_kind(token);
  }
  bool string(std::string& value) {
    switch (where_) {
      case Where::outside:
        return builder_.string(value);
      case Where::scores:
      case Where::ids:
        return refuse_kind(in_quotes(value));
      case Where::scored_piece:
        return values_ == 0 ? add_piece(value) : refuse_kind(in_quotes(value));
      case Where::merges:
        file_.is_pair.push_back(false);
        return add_merge_text(value);
      case Where::merge_pair:
        return ++values_ <= 2 ? add_merge_text(value) : refuse_kind("longer");
    }
    return false;
  }
  bool binary(Json::binary_t& value) { return builder_.binary(value); }

  bool start_object(std::size_t size) {
    if (!is_outside()) return refuse_kind("an object");
    if (is_at("vocab")) return enter(Where::ids);
    ++depth_;
    return builder_.start_object(size);
  }
  bool start_array(std::size_t size) {
    if (where_ == Where::scores) return step_in(Where::scored_piece);
    if (where_ == Where::merges) {
      file_.is_pair.push_back(true);
      return step_in(Where::merge_pair);
    }
    if (!is_outside()) return refuse_kind("an array");
    if (is_at("vocab")) {
      file_.has_scores = true;
      return enter(Where::scores);
    }
    if (is_at("merges")) {
      file_.has_merges = true;
      return enter(Where::merges);
    }
    ++depth_;
    return builder_.start_array(size);
  }
  bool key(std::string& name) {
    if (where_ == Where::ids) return add_piece(name);
    if (depth_ == 1) section_ = name;
    if (depth_ == 2) member_ = name;
    return builder_.key(name);
  }
  bool end_array() {
    if (where_ == Where::scored_piece || where_ == Where::merge_pair) {
      const Where list = where_ == Where::scored_piece ? Where::scores : Where::merges;
      return values_ == 2 ? step_out(list) : refuse_kind("shorter");
    }
    if (!is_outside()) return step_out(Where::outside);
    --depth_;
    return builder_.end_array();
  }
  bool end_object() {
    if (!is_outside()) return step_out(Where::outside);
    --depth_;
    return builder_.end_object();
  }
  bool parse_error(std::size_t position, const std::string& token,
                   const nlohmann::detail::exception& error) {
    return builder_.parse_error(position, token, error);
  }

  [[nodiscard]] const std::string& reason() const noexcept {
    return reason_.empty() ? builder_.reason() : reason_;
  }
  [[nodiscard]] TokenizerFile take() {
    file_.document = builder_.take();
    return std::move(file_);
  }

 private:
  enum class Where : std::uint8_t { outside, ids, scores, scored_piece, merges, merge_pair };

  [[nodiscard]] bool is_outside() const noexcept { return where_ == Where::outside; }
  [[nodiscard]] bool is_at(std::string_view member) const {
    return depth_ == 2 && section_ == "model" && member_ == member;
  }
  /// The document gets null in the place of the table.
  bool enter(Where where) {
    const std::size_t filled = where == Where::merges ? file_.is_pair.size() : file_.pieces.size();
    if (filled > 0) return refuse("the key \"" + member_ + "\" stands there twice");
    where_ = where;
    return builder_.null();
  }
  bool step_in(Where where) {
    where_ = where;
    values_ = 0;
    return true;
  }
  bool step_out(Where where) {
    where_ = where;
    return true;
  }

  bool add_piece(const std::string& piece) {
    ++values_;
    if (file_.pieces.size() == most_pieces) return refuse("model.vocab has more than 2^21 pieces");
    file_.pieces.add(piece);
    return piece.size() <= longest_piece ||
           refuse(piece_place() + " has " + std::to_string(piece.size()) +
                  " bytes, expected at most 65536");
  }
  bool add_score(double score) {
    if (++values_ != 2) return refuse_kind("a number");
    if (!(score > -1e30 && score < 1e30)) return refuse(piece_place() + " has no finite score");
    file_.scores.push_back(score);
    return true;
  }
  bool add_merge_text(const std::string& text) {
    if (file_.is_pair.size() > most_pieces) return refuse("model.merges has more than 2^21 merges");
    file_.merges.add(text);
    return text.size() <= 2 * longest_piece + 1 ||
           refuse(merge_place() + " has " + std::to_string(text.size()) + " bytes");
  }

  [[nodiscard]] std::string piece_place() const {
    const std::size_t i = file_.pieces.size() - 1;
    return "model.vocab: " +
           (file_.has_scores ? "[" + std::to_string(i) + "]" : in_quotes(file_.pieces[i]));
  }
  [[nodiscard]] std::string merge_place() const {
    return "model.merges[" + std::to_string(file_.is_pair.size() - 1) + "]";
  }
  bool refuse_kind(const std::string& shown) {
    switch (where_) {
      case Where::ids:
        return refuse(piece_place() + " is " + shown + ", expected a token id");
      case Where::scores:
      case Where::scored_piece: {
        const std::size_t i =
            file_.pieces.size() - (where_ == Where::scored_piece && values_ > 0 ? 1 : 0);
        return refuse("model.vocab: [" + std::to_string(i) + "] is or has " + shown +
                      ", expected [piece, score]");
      }
      case Where::merges:
      case Where::merge_pair:
        return refuse("model.merges: is or has " + shown + " behind " +
                      std::to_string(file_.is_pair.size()) +
                      " merges, expected \"a b\" or [\"a\", \"b\"]");
      case Where::outside:
        break;
    }
    return refuse(shown);
  }
  bool refuse(std::string reason) {
    reason_ = std::move(reason);
    return false;
  }

  TokenizerFile file_;
  GuardedJsonBuilder builder_;
  Where where_ = Where::outside;
  std::size_t depth_ = 0;   // of what the builder has open
  std::size_t values_ = 0;  // in the open pair
  std::string section_;     // the key of the root
  std::string member_;      // the key within it
  std::string reason_;
};

/// @param place  for messages
/// @throws FormatError  as parse_json, and for pieces and merges of the wrong kind
[[nodiscard]] inline TokenizerFile parse_tokenizer_file(std::string_view text,
                                                        std::string_view place) {
  expect_json_bytes(text, place);
  TokenizerFileBuilder builder;
  if (!Json::sax_parse(text, &builder)) raise<FormatError>(place, ": ", builder.reason());
  return builder.take();
}

}  // namespace anyssr::inline ANYSSR_ABI::detail
