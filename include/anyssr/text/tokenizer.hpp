// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Text to token ids and back by the tokenizer of a model's folder: a tokenizer.json as the library
/// tokenizers writes it (byte-level BPE, BPE with byte fallback, WordPiece, Unigram), else a
/// tokenizer.model of SentencePiece.
///
///   const Tokenizer tokenizer = Tokenizer::read("Qwen3-0.6B");
///   const std::vector<TokenId> ids = tokenizer.encode("please transfer money");
///
/// tokenizer.json needs PCRE2 and utf8proc (ANYSSR_WITH_TOKENIZERS in CMake), tokenizer.model needs
/// SentencePiece (ANYSSR_WITH_SENTENCEPIECE). A program without them compiles, and `read` says what
/// it lacks; models take token ids from anywhere.

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "anyssr/core/error.hpp"
#include "anyssr/core/token_id.hpp"
#include "anyssr/core/warning.hpp"
#include "anyssr/io/guarded_json.hpp"
#include "anyssr/io/path_text.hpp"
#include "anyssr/io/utf8.hpp"
#include "anyssr/text/token_pair.hpp"

namespace anyssr::inline ANYSSR_ABI {

struct EncodeOptions {
  bool special = true;  ///< put the tokens around the text that the tokenizer has for it, as BOS
  /// Whether the name of a special token in the text ("<|eot_id|>") becomes that token. A user
  /// could end his own prompt so: true only for text that you put together yourself.
  bool trust_special_text = false;
};

struct DecodeOptions {
  bool skip_special = true;  ///< special tokens give no text, else their name
};

namespace detail {

/// A text that grows by tokens.
class TokenStreamBase {
 public:
  TokenStreamBase() = default;
  TokenStreamBase(const TokenStreamBase&) = delete;
  TokenStreamBase& operator=(const TokenStreamBase&) = delete;
  virtual ~TokenStreamBase() = default;
  [[nodiscard]] virtual std::string push(TokenId id) = 0;
  [[nodiscard]] virtual std::string finish() = 0;
};

/// What stands behind a Tokenizer.
class TokenizerBase {
 public:
  TokenizerBase() = default;
  TokenizerBase(const TokenizerBase&) = delete;
  TokenizerBase& operator=(const TokenizerBase&) = delete;
  virtual ~TokenizerBase() = default;

  [[nodiscard]] virtual std::vector<TokenId> encode(std::string_view text,
                                                    const EncodeOptions& options) const = 0;
  [[nodiscard]] virtual TokenPair encode_pair(std::string_view first, std::string_view second,
                                              const EncodeOptions& options) const = 0;
  /// The tokenizer outlives the stream.
  [[nodiscard]] virtual std::unique_ptr<TokenStreamBase> stream(
      const DecodeOptions& options) const = 0;
  [[nodiscard]] virtual std::optional<std::string> name(TokenId id) const = 0;
  [[nodiscard]] virtual std::optional<TokenId> find(std::string_view name) const = 0;
  [[nodiscard]] virtual bool is_special(TokenId id) const = 0;
  [[nodiscard]] virtual std::optional<TokenId> bos() const = 0;
  [[nodiscard]] virtual std::optional<TokenId> eos() const = 0;
  [[nodiscard]] virtual std::optional<TokenId> unknown() const = 0;
  [[nodiscard]] virtual bool names_unknown() const = 0;
  [[nodiscard]] virtual TokenId token_count() const = 0;
};

/// @throws ArgumentError  naming the first byte that is no UTF-8
inline void expect_utf8(std::string_view text) {
  const std::size_t broken = find_invalid_utf8(text);
  if (broken == std::string_view::npos) return;
  raise<ArgumentError>("text has the byte ", byte_text(text[broken]), " at position ", broken,
                       ", expected UTF-8");
}

}  // namespace detail

/// The text of tokens that come one at a time, as a model generates them.
class TokenStream {
 public:
  /// What a token adds to the text. Bytes of an unfinished character wait for the next token.
  /// @throws ArgumentError  an id that no token has
  [[nodiscard]] std::string push(TokenId id) {
    if (!tokenizer_->name(id)) {
      detail::raise<ArgumentError>("id ", id, " is no token, expected 0..",
                                   tokenizer_->token_count() - 1, " without gaps");
    }
    return stream_->push(id);
  }
  /// What has waited, with U+FFFD for bytes that are no text. The stream is then at its end.
  [[nodiscard]] std::string finish() { return stream_->finish(); }

 private:
  friend class Tokenizer;
  TokenStream(std::shared_ptr<const detail::TokenizerBase> tokenizer, const DecodeOptions& options)
      : tokenizer_(std::move(tokenizer)), stream_(tokenizer_->stream(options)) {}

  std::shared_ptr<const detail::TokenizerBase> tokenizer_;
  std::unique_ptr<detail::TokenStreamBase> stream_;
};

/// A tokenizer. A value: it never changes, copies share the tables, and const calls may come from
/// several threads.
class Tokenizer {
 public:
  /// The tokenizer of a model's folder: its tokenizer.json, else its tokenizer.model; or such a
  /// file. tokenizer_config.json beside it tells BOS and EOS, and for LLaMA and Gemma whether they
  /// stand around a text.
  /// @param warn  gets keys of tokenizer_config.json that may be a mistake
  /// @throws FileError    nothing there, or the system refuses to read it
  /// @throws FormatError  what the file says cannot be followed, named by its place and reason; or
  ///                      this program was built without the library that the file needs
  /// Cost: a tokenizer.json of n bytes takes O(n) time, about 0.15 s per 4 MB, and 7 n bytes.
  [[nodiscard]] static Tokenizer read(const std::filesystem::path& path,
                                      const WarningSink& warn = {});
  explicit Tokenizer(std::shared_ptr<const detail::TokenizerBase> tokenizer)
      : tokenizer_(std::move(tokenizer)) {}

  /// @param text  UTF-8
  /// @throws ArgumentError  text that is not UTF-8: bytes would be replaced in silence;
  ///                        trust_special_text with a tokenizer.model, which knows no such text
  /// Cost: O(n log n) time in the bytes of the text.
  [[nodiscard]] std::vector<TokenId> encode(std::string_view text,
                                            const EncodeOptions& options = {}) const {
    detail::expect_utf8(text);
    return tokenizer_->encode(text, options);
  }
  /// Two texts with the special tokens of a pair around them.
  /// @throws as encode
  [[nodiscard]] TokenPair encode_pair(std::string_view first, std::string_view second,
                                      const EncodeOptions& options = {}) const {
    detail::expect_utf8(first);
    detail::expect_utf8(second);
    return tokenizer_->encode_pair(first, second, options);
  }

  /// The text of ids. Bytes that are no UTF-8 together give U+FFFD.
  /// @throws ArgumentError  an id that no token has
  [[nodiscard]] std::string decode(std::span<const TokenId> ids,
                                   const DecodeOptions& options = {}) const {
    for (std::size_t i = 0; i < ids.size(); ++i) {
      if (tokenizer_->name(ids[i])) continue;
      detail::raise<ArgumentError>("id ", ids[i], " at position ", i, " is no token, expected 0..",
                                   token_count() - 1);
    }
    const auto stream = tokenizer_->stream(options);
    std::string text;
    for (const TokenId id : ids) text += stream->push(id);
    return text + stream->finish();
  }
  /// For ids that come one at a time: the parts together are what decode gives.
  [[nodiscard]] TokenStream stream(const DecodeOptions& options = {}) const {
    return {tokenizer_, options};
  }

  /// The name of a token as the file has it ("</s>", "\u0120the"); none where no token has the id.
  [[nodiscard]] std::optional<std::string> name(TokenId id) const { return tokenizer_->name(id); }
  /// The id of a token by its name.
  [[nodiscard]] std::optional<TokenId> find(std::string_view name) const {
    return tokenizer_->find(name);
  }
  /// Whether a token is control: no text that is not trusted becomes it.
  [[nodiscard]] bool is_special(TokenId id) const { return tokenizer_->is_special(id); }
  /// The token that begins a text by tokenizer_config.json; none where it names none. Whether
  /// `encode` puts it there is the tokenizer's affair.
  [[nodiscard]] std::optional<TokenId> bos() const { return tokenizer_->bos(); }
  /// The token that ends an answer, likewise.
  [[nodiscard]] std::optional<TokenId> eos() const { return tokenizer_->eos(); }
  /// The token that stands for text without a piece; none where every text has pieces.
  [[nodiscard]] std::optional<TokenId> unknown() const { return tokenizer_->unknown(); }
  /// Whether the file gives unknown()'s name (BPE, WordPiece) and not its number (Unigram,
  /// SentencePiece).
  [[nodiscard]] bool names_unknown() const { return tokenizer_->names_unknown(); }
  /// One more than the largest id. A model may have more rows than that, and ids between may have
  /// no token.
  [[nodiscard]] TokenId token_count() const { return tokenizer_->token_count(); }

 private:
  std::shared_ptr<const detail::TokenizerBase> tokenizer_;  // never null
};

}  // namespace anyssr::inline ANYSSR_ABI

#include "anyssr/text/tokenizer_folder.hpp"
