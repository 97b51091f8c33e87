// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// A tokenizer.json at work:
///
///   encode   cut out added tokens | normalise, cut out those of normalised text | pre-tokenise
///            | model | post-processor
///   decode   pieces of the ids | decoder
///
/// What its text becomes is what the library tokenizers (Hugging Face) makes of it.

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "anyssr/io/json_fields.hpp"
#include "anyssr/text/added_tokens.hpp"
#include "anyssr/text/normalizer.hpp"
#include "anyssr/text/post_processor.hpp"
#include "anyssr/text/pre_tokenizer.hpp"
#include "anyssr/text/token_decoder.hpp"
#include "anyssr/text/token_model.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

class JsonTokenizer {
 public:
  /// @param file   of parse_tokenizer_file
  /// @param place  for messages
  /// @throws FormatError  naming the member that cannot be followed
  JsonTokenizer(const TokenizerFile& file, const std::string& place) {
    const JsonFields fields(file.document, place);
    const JsonFields model = fields.object("model");
    const TokenModelReader reader(file, model);
    pieces_ = reader.read_pieces();
    unknown_ = reader.unknown(pieces_);
    model_.emplace(reader.read(pieces_));
    if (is_given(fields, "normalizer")) normalizer_ = Normalizer(fields.object("normalizer"));
    if (is_given(fields, "pre_tokenizer")) {
      pre_tokenizer_ = PreTokenizer(fields.object("pre_tokenizer"));
    }
    if (is_given(fields, "post_processor")) {
      post_processor_ = PostProcessor(fields.object("post_processor"));
    }
    if (is_given(fields, "decoder")) decoder_ = TokenDecoder(fields.object("decoder"));
    if (is_given(fields, "added_tokens")) read_added_tokens(fields);
  }

  /// @param text     well-formed UTF-8
  /// @param trusted  whether names of special tokens in it are these tokens
  [[nodiscard]] std::vector<TokenId> encode(std::string_view text, bool trusted) const {
    static const TokenSet none;
    const Pass& pass = trusted ? trusting_ : careful_;
    const TokenSet& refused = trusted ? none : special_;
    std::vector<TokenId> ids;
    bool begins_text = true;
    const auto add_token = [&](TokenId id) {
      ids.push_back(id);
      begins_text = false;
    };
    pass.raw.cut(
        text,
        [&](std::string_view part) {
          const std::string normalized = normalizer_.apply(part);
          pass.normalized.cut(
              normalized,
              [&](std::string_view stretch) {
                const Words words = pre_tokenizer_.apply(Words::of(stretch, begins_text));
                words.for_each([&](std::string_view word, bool /*begins_text*/) {
                  std::visit([&](const auto& m) { m.encode(word, pieces_, refused, ids); },
                             *model_);
                });
                begins_text = false;
              },
              add_token);
        },
        add_token);
    return ids;
  }

  [[nodiscard]] const PostProcessor& post_processor() const noexcept { return post_processor_; }
  void set_post_processor(PostProcessor processor) { post_processor_ = std::move(processor); }
  /// In the state of a text's beginning.
  [[nodiscard]] const TokenDecoder& decoder() const noexcept { return decoder_; }

  /// The piece or name of a token; none where no token has the id.
  [[nodiscard]] std::optional<std::string_view> piece(TokenId id) const {
    const auto added = added_.piece(id);
    return added ? added : pieces_.piece(id);
  }
  [[nodiscard]] std::optional<TokenId> find(std::string_view name) const {
    const auto added = added_.find(name);
    return added ? added : pieces_.find(name);
  }
  [[nodiscard]] bool is_special(TokenId id) const noexcept { return special_.has(id); }
  [[nodiscard]] std::optional<TokenId> unknown() const noexcept { return unknown_; }
  /// Whether the file names it.
  [[nodiscard]] bool names_unknown() const noexcept {
    return unknown_ && !std::holds_alternative<UnigramModel>(*model_);
  }
  /// One more than the largest id.
  [[nodiscard]] TokenId end() const noexcept { return std::max(pieces_.end(), added_.end()); }

 private:
  /// What is looked for in a text, as it comes and normalised.
  struct Pass {
    AddedTokens raw;
    AddedTokens normalized;
  };

  [[nodiscard]] static bool is_given(const JsonFields& fields, std::string_view key) {
    return fields.has(key) && !fields.value()[std::string(key)].is_null();
  }

  void read_added_tokens(const JsonFields& fields) {
    fields.for_each("added_tokens", [&](const Json& value, const std::string& place) {
      const JsonFields item(value, place);
      const auto flag = [&](std::string_view key, bool otherwise) {
        return is_given(item, key) ? item.boolean(key) : otherwise;
      };
      const bool is_special = flag("special", false);
      const AddedToken token{.id = static_cast<TokenId>(item.count("id", Vocabulary::max_id)),
                             .content = item.text("content"),
                             .is_special = is_special,
                             .is_normalized = flag("normalized", !is_special),
                             .takes_left = flag("lstrip", false),
                             .takes_right = flag("rstrip", false),
                             .is_single_word = flag("single_word", false)};
      const auto known = added_.piece(token.id);
      expect<FormatError>(!known, place, ": id ", token.id, " is also ",
                          known ? in_quotes(*known) : std::string(), ", expected one token per id");
      added_.add(token.content, token.id);
      if (is_special) special_.insert(token.id);
      add(token);
    });
  }
  void add(const AddedToken& token) {
    const std::string content =
        token.is_normalized ? normalizer_.apply(token.content) : token.content;
    const auto add_to = [&](Pass& pass) {
      (token.is_normalized ? pass.normalized : pass.raw).add(token, content);
    };
    add_to(trusting_);
    if (!token.is_special) add_to(careful_);
  }

  Vocabulary pieces_;
  Vocabulary added_;  // by name and id
  TokenSet special_;
  std::optional<TokenId> unknown_;
  std::optional<TokenModel> model_;  // always there once constructed
  Pass trusting_;
  Pass careful_;
  Normalizer normalizer_;
  PreTokenizer pre_tokenizer_;
  PostProcessor post_processor_;
  TokenDecoder decoder_;
};

}  // namespace anyssr::inline ANYSSR_ABI::detail
