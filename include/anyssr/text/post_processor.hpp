// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The `post_processor` of a tokenizer.json, which puts special tokens around a text or a pair of
/// texts: TemplateProcessing, BertProcessing, RobertaProcessing, ByteLevel (which adds none), and a
/// Sequence with one of them. Others are refused by name.

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "anyssr/core/token_id.hpp"
#include "anyssr/io/json_fields.hpp"
#include "anyssr/text/piece_tables.hpp"
#include "anyssr/text/token_pair.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

class PostProcessor {
 public:
  /// Where nothing stands around the texts.
  PostProcessor() : single_{{.text = 0}}, pair_{{.text = 0}, {.text = 1, .type = 1}} {}

  /// @throws FormatError  a kind that is not known, by name, or one with wrong members
  explicit PostProcessor(const JsonFields& fields) : PostProcessor() {
    const std::string& type = fields.text("type");
    if (type == "Sequence") {
      read_sequence(fields);
    } else if (type == "TemplateProcessing") {
      single_ = read_template(fields, "single", 1);
      pair_ = read_template(fields, "pair", 2);
    } else if (type == "BertProcessing") {
      const Part first = read_token(fields, "cls");
      const Part last = read_token(fields, "sep");
      single_ = {first, {.text = 0}, last};
      pair_ = {first, {.text = 0}, last, {.text = 1, .type = 1}, {last.ids, last.text, 1}};
    } else if (type == "RobertaProcessing") {
      const Part first = read_token(fields, "cls");
      const Part last = read_token(fields, "sep");
      single_ = {first, {.text = 0}, last};
      pair_ = {first, {.text = 0}, last, last, {.text = 1}, last};
    } else if (type != "ByteLevel") {
      fields.refuse("type",
                    "one of Sequence, TemplateProcessing, BertProcessing, RobertaProcessing, "
                    "ByteLevel");
    }
  }

  /// One text between tokens, where transformers puts the template together by itself.
  PostProcessor(std::optional<TokenId> first, std::optional<TokenId> last) : PostProcessor() {
    for (std::vector<Part>* parts : {&single_, &pair_}) {
      std::vector<Part> result;
      for (const Part& text : *parts) {
        if (first) result.push_back({{*first}, no_text, text.type});
        result.push_back(text);
        if (last) result.push_back({{*last}, no_text, text.type});
      }
      *parts = std::move(result);
    }
  }

  [[nodiscard]] std::vector<TokenId> apply(std::vector<TokenId> text) const {
    if (single_.size() == 1) return text;
    TokenPair result;
    for (const Part& part : single_) add(part, {text, {}}, result);
    return std::move(result.ids);
  }
  [[nodiscard]] TokenPair apply(std::span<const TokenId> first,
                                std::span<const TokenId> second) const {
    TokenPair result;
    for (const Part& part : pair_) add(part, {first, second}, result);
    return result;
  }

 private:
  static constexpr int no_text = -1;

  struct Part {
    std::vector<TokenId> ids = {};  // where it is no text
    int text = no_text;             // 0 or 1: that text
    TokenId type = 0;
  };

  static void add(const Part& part,
                  const std::pair<std::span<const TokenId>, std::span<const TokenId>>& texts,
                  TokenPair& result) {
    std::span<const TokenId> ids = part.ids;
    if (part.text != no_text) ids = part.text == 0 ? texts.first : texts.second;
    result.ids.insert(result.ids.end(), ids.begin(), ids.end());
    result.types.insert(result.types.end(), ids.size(), part.type);
  }

  void read_sequence(const JsonFields& fields) {
    std::string known;  // the place of the one that adds tokens
    fields.for_each("processors", [&](const Json& step, const std::string& place) {
      const JsonFields inner(step, place);
      if (inner.text("type") == "ByteLevel") return;
      expect<FormatError>(known.empty(), place, ": is the second that adds tokens after ", known,
                          ", expected one");
      known = place;
      *this = PostProcessor(inner);
    });
  }

  /// [name, id]
  [[nodiscard]] static Part read_token(const JsonFields& fields, std::string_view key) {
    const Json& value = fields.value().contains(key) ? fields.value()[key] : Json();
    const bool is_pair = value.is_array() && value.size() == 2 && value[1].is_number_unsigned() &&
                         value[1].get<std::uint64_t>() <= Vocabulary::max_id;
    if (!is_pair) fields.refuse(key, "the name of a token and its id");
    return {{value[1].get<TokenId>()}, no_text, 0};
  }

  [[nodiscard]] static std::vector<Part> read_template(const JsonFields& fields,
                                                       std::string_view key, int texts) {
    std::vector<Part> parts;
    std::vector<int> count(2);
    fields.for_each(key, [&](const Json& value, const std::string& place) {
      const JsonFields item(value, place);
      if (item.has("SpecialToken")) {
        parts.push_back(read_special(item.object("SpecialToken"), fields));
        return;
      }
      const JsonFields sequence = item.object("Sequence");
      const std::string& name = sequence.text("id");
      if (name != "A" && (name != "B" || texts == 1)) sequence.refuse("id", "A or, in a pair, B");
      const int text = name == "A" ? 0 : 1;
      ++count[static_cast<std::size_t>(text)];
      parts.push_back({{}, text, type_of(sequence)});
    });
    const bool has_all = count[0] == 1 && count[1] == texts - 1;
    expect<FormatError>(has_all, fields.place(), ": ", key,
                        " does not hold each text once, expected ", texts == 1 ? "A" : "A and B");
    return parts;
  }
  [[nodiscard]] static Part read_special(const JsonFields& item, const JsonFields& fields) {
    Part part{{}, no_text, type_of(item)};
    const JsonFields token = fields.object("special_tokens").object(item.text("id"));
    token.for_each("ids", [&](const Json& id, const std::string& place) {
      expect<FormatError>(id.is_number_unsigned() && id.get<std::uint64_t>() <= Vocabulary::max_id,
                          place, ": is ", outline_of(id), ", expected a token id");
      part.ids.push_back(id.get<TokenId>());
    });
    return part;
  }
  [[nodiscard]] static TokenId type_of(const JsonFields& item) {
    return item.has("type_id") ? static_cast<TokenId>(item.count("type_id", 1000)) : 0;
  }

  std::vector<Part> single_;
  std::vector<Part> pair_;
};

}  // namespace anyssr::inline ANYSSR_ABI::detail
