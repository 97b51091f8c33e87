// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Tokenizer::read: which file of a folder is the tokenizer, and which library reads it.

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "anyssr/io/foreign_file.hpp"
#include "anyssr/io/json_fields.hpp"
#include "anyssr/io/regular_file.hpp"
#include "anyssr/text/tokenizer.hpp"

#ifdef ANYSSR_HAS_TOKENIZERS
#include "anyssr/text/json_tokenizer.hpp"
#endif
#ifdef ANYSSR_HAS_SENTENCEPIECE
#include "anyssr/text/sentencepiece_tokenizer.hpp"
#endif

namespace anyssr::inline ANYSSR_ABI::detail {

/// With constants and templates for what the program was built with, so that parts of a program
/// that were built differently do not share a definition.
#ifdef ANYSSR_HAS_TOKENIZERS
inline constexpr int with_tokenizers = 1;

/// Reads tokenizer.json and what stands beside it.
template <int>
class JsonTokenizerFolder final : public TokenizerBase {
 public:
  explicit JsonTokenizerFolder(const std::filesystem::path& file) : tokenizer_(load(file)) {
    const std::filesystem::path folder = file.parent_path();
    const Json config = read_object(folder / "tokenizer_config.json");
    const JsonFields fields(config, path_text(folder / "tokenizer_config.json"));
    const Json map = read_object(folder / "special_tokens_map.json");
    const JsonFields older(map, path_text(folder / "special_tokens_map.json"));
    bos_ = role(fields.has("bos_token") ? fields : older, "bos_token");
    eos_ = role(fields.has("eos_token") ? fields : older, "eos_token");
    follow_flags(fields);
  }

  [[nodiscard]] std::vector<TokenId> encode(std::string_view text,
                                            const EncodeOptions& options) const override {
    std::vector<TokenId> ids = tokenizer_.encode(text, options.trust_special_text);
    return options.special ? tokenizer_.post_processor().apply(std::move(ids)) : ids;
  }
  [[nodiscard]] TokenPair encode_pair(std::string_view first, std::string_view second,
                                      const EncodeOptions& options) const override {
    const auto a = tokenizer_.encode(first, options.trust_special_text);
    const auto b = tokenizer_.encode(second, options.trust_special_text);
    return (options.special ? tokenizer_.post_processor() : PostProcessor()).apply(a, b);
  }
  [[nodiscard]] std::unique_ptr<TokenStreamBase> stream(
      const DecodeOptions& options) const override {
    return std::make_unique<Stream>(tokenizer_, options);
  }
  [[nodiscard]] std::optional<std::string> name(TokenId id) const override {
    const auto piece = tokenizer_.piece(id);
    return piece ? std::optional<std::string>(*piece) : std::nullopt;
  }
  [[nodiscard]] std::optional<TokenId> find(std::string_view name) const override {
    return tokenizer_.find(name);
  }
  [[nodiscard]] bool is_special(TokenId id) const override { return tokenizer_.is_special(id); }
  [[nodiscard]] std::optional<TokenId> bos() const override { return bos_; }
  [[nodiscard]] std::optional<TokenId> eos() const override { return eos_; }
  [[nodiscard]] std::optional<TokenId> unknown() const override { return tokenizer_.unknown(); }
  [[nodiscard]] bool names_unknown() const override { return tokenizer_.names_unknown(); }
  [[nodiscard]] TokenId token_count() const override { return tokenizer_.end(); }

 private:
  class Stream final : public TokenStreamBase {
   public:
    Stream(const JsonTokenizer& tokenizer, const DecodeOptions& options)
        : tokenizer_(tokenizer), decoder_(tokenizer.decoder()), options_(options) {}
    [[nodiscard]] std::string push(TokenId id) override {
      const auto piece = tokenizer_.piece(id);
      if (!piece || (options_.skip_special && tokenizer_.is_special(id))) return {};
      return decoder_.push(*piece);
    }
    [[nodiscard]] std::string finish() override { return decoder_.finish(); }

   private:
    const JsonTokenizer& tokenizer_;
    TokenDecoder decoder_;
    DecodeOptions options_;
  };

  static constexpr std::uint64_t most_bytes = std::uint64_t{256} << 20;

  [[nodiscard]] static JsonTokenizer load(const std::filesystem::path& file) {
    const std::string place = path_text(file);
    const std::string text = RegularFile(file).read_text(most_bytes);
    try {
      return {parse_tokenizer_file(text, place), place};
    } catch (const FormatError&) {
      refuse_foreign(place, text, text.size(), FileKind::json);
      throw;
    }
  }
  [[nodiscard]] static Json read_object(const std::filesystem::path& path) {
    return is_missing(path) ? Json::object() : read_json(path);
  }
  [[nodiscard]] static bool is_given(const JsonFields& fields, std::string_view key) {
    return fields.has(key) && !fields.value().find(key)->is_null();
  }

  /// The token of a role: its name, or an object with it; null: none.
  [[nodiscard]] std::optional<TokenId> role(const JsonFields& fields, std::string_view key) const {
    if (!is_given(fields, key)) return std::nullopt;
    const bool is_object = fields.value().find(key)->is_object();
    const auto id = find(is_object ? fields.object(key).text("content") : fields.text(key));
    if (!id) fields.refuse(key, "the name of a token of tokenizer.json");
    return id;
  }

  /// For these classes transformers puts BOS and EOS around a text by the flags, whatever
  /// tokenizer.json says.
  void follow_flags(const JsonFields& fields) {
    const bool is_said = is_given(fields, "add_bos_token") || is_given(fields, "add_eos_token");
    if (!is_said || !is_given(fields, "tokenizer_class")) return;
    const std::string_view type = fields.text("tokenizer_class");
    const bool is_followed = std::ranges::any_of(
        std::initializer_list<std::string_view>{"LlamaTokenizer", "LlamaTokenizerFast",
                                                "CodeLlamaTokenizer", "CodeLlamaTokenizerFast",
                                                "GemmaTokenizer", "GemmaTokenizerFast"},
        [&](std::string_view name) { return name == type; });
    if (!is_followed) return;
    const bool adds_bos = !is_given(fields, "add_bos_token") || fields.boolean("add_bos_token");
    const bool adds_eos = is_given(fields, "add_eos_token") && fields.boolean("add_eos_token");
    const auto expect_token = [&](bool is_added, const std::optional<TokenId>& token,
                                  std::string_view name) {
      expect<FormatError>(!is_added || token, fields.place(), ": add_", name, " is true and ", name,
                          " names no token, expected one");
    };
    expect_token(adds_bos, bos_, "bos_token");
    expect_token(adds_eos, eos_, "eos_token");
    tokenizer_.set_post_processor(
        PostProcessor(adds_bos ? bos_ : std::nullopt, adds_eos ? eos_ : std::nullopt));
  }

  JsonTokenizer tokenizer_;
  std::optional<TokenId> bos_;
  std::optional<TokenId> eos_;
};

template <int built>
[[nodiscard]] Tokenizer read_json_tokenizer(const std::filesystem::path& file) {
  return Tokenizer(std::make_shared<const JsonTokenizerFolder<built>>(file));
}
#else
inline constexpr int with_tokenizers = 0;

template <int built>
[[nodiscard]] Tokenizer read_json_tokenizer(const std::filesystem::path& file) {
  raise<FormatError>(path_text(file),
                     ": this program was built without PCRE2 and utf8proc, which read it "
                     "(ANYSSR_WITH_TOKENIZERS in CMake); token ids from elsewhere can be used");
}
#endif

#ifdef ANYSSR_HAS_SENTENCEPIECE
inline constexpr int with_sentencepiece = 1;

template <int>
class SentencePieceFolder final : public TokenizerBase {
 public:
  SentencePieceFolder(const std::filesystem::path& file, const WarningSink& warn)
      : tokenizer_(file, warn) {}

  [[nodiscard]] std::vector<TokenId> encode(std::string_view text,
                                            const EncodeOptions& options) const override {
    expect(!options.trust_special_text,
           "trust_special_text is true, expected false: names of tokens in a text are text to a "
           "tokenizer.model; put the ids there that find() gives");
    return options.special ? tokenizer_.encode_prompt(text) : tokenizer_.encode(text);
  }
  [[nodiscard]] TokenPair encode_pair(std::string_view first, std::string_view second,
                                      const EncodeOptions& options) const override {
    TokenPair pair{encode(first, options), {}};
    const std::vector<TokenId> ids = encode(second, options);
    pair.types.resize(pair.ids.size());
    pair.ids.insert(pair.ids.end(), ids.begin(), ids.end());
    pair.types.resize(pair.ids.size(), 1);
    return pair;
  }
  [[nodiscard]] std::unique_ptr<TokenStreamBase> stream(
      const DecodeOptions& options) const override {
    return std::make_unique<Stream>(tokenizer_, options);
  }
  [[nodiscard]] std::optional<std::string> name(TokenId id) const override {
    return tokenizer_.name(id);
  }
  [[nodiscard]] std::optional<TokenId> find(std::string_view name) const override {
    return tokenizer_.find(name);
  }
  [[nodiscard]] bool is_special(TokenId id) const override { return tokenizer_.is_control(id); }
  [[nodiscard]] std::optional<TokenId> bos() const override { return tokenizer_.bos(); }
  [[nodiscard]] std::optional<TokenId> eos() const override { return tokenizer_.eos(); }
  [[nodiscard]] std::optional<TokenId> unknown() const override { return tokenizer_.unknown(); }
  [[nodiscard]] bool names_unknown() const override { return false; }
  [[nodiscard]] TokenId token_count() const override {
    return static_cast<TokenId>(tokenizer_.vocab_size());
  }

 private:
  /// Bytes wait until something else follows them, and control tokens at the start for the first
  /// word, which gets no space.
  class Stream final : public TokenStreamBase {
   public:
    Stream(const SentencePieceTokenizer& tokenizer, const DecodeOptions& options)
        : tokenizer_(tokenizer), options_(options) {}
    [[nodiscard]] std::string push(TokenId id) override {
      if (!options_.skip_special && tokenizer_.is_control(id)) {
        return finish() + *tokenizer_.name(id);
      }
      waiting_.push_back(id);
      return tokenizer_.is_byte(id) ? std::string() : give(false);
    }
    [[nodiscard]] std::string finish() override { return give(true); }

   private:
    [[nodiscard]] std::string give(bool is_last) {
      std::string text =
          is_first_ ? tokenizer_.decode(waiting_) : tokenizer_.decode_behind(waiting_);
      if (text.empty() && !is_last) return text;
      if (!text.empty()) is_first_ = false;
      waiting_.clear();
      return text;
    }

    const SentencePieceTokenizer& tokenizer_;
    DecodeOptions options_;
    std::vector<TokenId> waiting_;
    bool is_first_ = true;
  };

  SentencePieceTokenizer tokenizer_;
};

template <int built>
[[nodiscard]] Tokenizer read_sentencepiece(const std::filesystem::path& file,
                                           const WarningSink& warn) {
  return Tokenizer(std::make_shared<const SentencePieceFolder<built>>(file, warn));
}
#else
inline constexpr int with_sentencepiece = 0;

template <int built>
[[nodiscard]] Tokenizer read_sentencepiece(const std::filesystem::path& file,
                                           const WarningSink& /*warn*/) {
  raise<FormatError>(path_text(file),
                     ": this program was built without SentencePiece, which reads it "
                     "(ANYSSR_WITH_SENTENCEPIECE in CMake); token ids from elsewhere can be used");
}
#endif

template <int tokenizers, int sentencepiece>
[[nodiscard]] Tokenizer read_tokenizer(const std::filesystem::path& path, const WarningSink& warn) {
  std::error_code ignored;
  if (!std::filesystem::is_directory(path, ignored)) {
    return path.extension() == ".json" ? read_json_tokenizer<tokenizers>(path)
                                       : read_sentencepiece<sentencepiece>(path, warn);
  }
  const std::filesystem::path json = path / "tokenizer.json";
  const std::filesystem::path model = path / "tokenizer.model";
  const bool has_json = !is_missing(json);
  const bool has_model = !is_missing(model);
  // a program that can read only one of the two takes that
  if (has_json && (tokenizers != 0 || !has_model || sentencepiece == 0)) {
    return read_json_tokenizer<tokenizers>(json);
  }
  if (has_model) return read_sentencepiece<sentencepiece>(model, warn);
  raise<FileError>(path_text(path), ": has neither a tokenizer.json nor a tokenizer.model",
                   is_missing(path / "vocab.txt")
                       ? ""
                       : "; a vocab.txt alone does not say how a text is cut: save the tokenizer "
                         "with transformers, which writes a tokenizer.json");
}

}  // namespace anyssr::inline ANYSSR_ABI::detail

namespace anyssr::inline ANYSSR_ABI {

inline Tokenizer Tokenizer::read(const std::filesystem::path& path, const WarningSink& warn) {
  return detail::read_tokenizer<detail::with_tokenizers, detail::with_sentencepiece>(path, warn);
}

}  // namespace anyssr::inline ANYSSR_ABI

#ifdef ANYSSR_COMPILED
#include "anyssr/instantiate/tokenizers.hpp"
#endif
