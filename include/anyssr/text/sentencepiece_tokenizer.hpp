// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Text to token ids and back by the tokenizer.model of a LLaMA-family checkpoint, which the
/// SentencePiece library reads: this header needs it (ANYSSR_WITH_SENTENCEPIECE in CMake, or link
/// libsentencepiece yourself), no other header does. The model takes token ids, so that any other
/// tokenizer can stand in its place.
///
///   ids     0..P-1 the pieces of tokenizer.model; above them the added tokens of
///           tokenizer_config.json and added_tokens.json, where these lie beside it
///   prompt  encode_prompt(prompt)        example to train on: the same, encode(answer), eos
///
/// The name of a control or added token in a text ("</s>") is text like any other, so that no query
/// can end its own prompt. Who builds a chat template puts the ids there that `find` gives.

#include <sentencepiece_processor.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include "anyssr/core/error.hpp"
#include "anyssr/core/token_id.hpp"
#include "anyssr/core/types.hpp"
#include "anyssr/core/warning.hpp"
#include "anyssr/io/foreign_file.hpp"
#include "anyssr/io/foreign_folder.hpp"
#include "anyssr/io/json_fields.hpp"
#include "anyssr/io/path_text.hpp"
#include "anyssr/io/regular_file.hpp"
#include "anyssr/io/utf8.hpp"
#include "anyssr/text/tokenizer_settings.hpp"

namespace anyssr::inline ANYSSR_ABI {
namespace detail {

/// Whether text begins as a vocabulary of tiktoken does: "IQ== 0" on a line of its own.
[[nodiscard]] inline bool is_tiktoken(std::string_view text) {
  const std::string_view line = text.substr(0, text.find('\n'));
  const std::size_t space = line.find(' ');
  if (space == 0 || space == std::string_view::npos || space + 1 == line.size()) return false;
  const auto consists_of = [](std::string_view part, std::string_view letters) {
    return part.find_first_not_of(letters) == std::string_view::npos;
  };
  return consists_of(line.substr(0, space),
                     "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=") &&
         consists_of(line.substr(space + 1), "0123456789\r");
}

/// The tokenizer.model that a folder or file name leads to.
[[nodiscard]] inline std::filesystem::path sentencepiece_file(const std::filesystem::path& path) {
  namespace fs = std::filesystem;
  constexpr std::string_view reason =
      ": holds a tokenizer.json only (byte-level BPE behind a Unicode pattern), which is not read; "
      "expected a tokenizer.model of SentencePiece: tokenise with another program and pass ids";
  std::error_code ignored;
  if (path.filename() == "tokenizer.json") {
    raise<FormatError>(path_text(path.parent_path()), reason);
  }
  if (!fs::is_directory(path, ignored)) return path;
  const fs::path file = path / "tokenizer.model";
  if (fs::exists(file, ignored)) return file;
  if (fs::exists(path / "tokenizer.json", ignored)) raise<FormatError>(path_text(path), reason);
  const std::vector<std::string> names = readable_names_in(path);
  const auto other = std::ranges::find_if(names, [](const std::string& name) {
    return name.ends_with(".model") || name.starts_with("tokenizer.model.");  // T5's, Mistral's
  });
  raise<FileError>(path_text(path), ": has no tokenizer.model, expected one of SentencePiece",
                   other == names.end()
                       ? std::string()
                       : concat("; it holds ", in_quotes(*other), ": pass that file"));
}

/// What the library made of a model file; never null.
/// @param prefix_space  whether a space stands before the first word; none: as the file says
[[nodiscard]] inline std::shared_ptr<const sentencepiece::SentencePieceProcessor>
load_sentencepiece(const std::filesystem::path& file, std::optional<bool> prefix_space) {
  using namespace std::string_view_literals;
  std::string bytes = RegularFile(file).read_text(std::uint64_t{256} << 20);
  expect<FormatError>(!is_tiktoken(bytes), path_text(file),
                      ": is a tiktoken vocabulary in base64 (Llama 3), expected a model of "
                      "SentencePiece: tokenise with another program and pass ids");
  auto processor = std::make_shared<sentencepiece::SentencePieceProcessor>();
  const auto load = [&] {
    const auto status = processor->LoadFromSerializedProto(bytes);
    if (!status.ok()) refuse_foreign(path_text(file), bytes, bytes.size(), FileKind::sentencepiece);
    expect<FormatError>(status.ok(), path_text(file), ": is no model of SentencePiece (",
                        status.error_message(), ")");
  };
  load();  // alone first: what follows could complete a file that was cut
  if (!prefix_space) return processor;
  // Protobuf: the last word counts. normalizer_spec (3) { add_dummy_prefix (3): 0 or 1 }
  bytes += *prefix_space ? "\x1A\x02\x18\x01"sv : "\x1A\x02\x18\x00"sv;
  load();
  return processor;
}

}  // namespace detail

/// A tokenizer of SentencePiece. A value: it never changes, copies share the model, and const calls
/// may come from several threads.
class SentencePieceTokenizer {
 public:
  /// @param path  a checkpoint folder with a tokenizer.model, or such a file
  /// @param warn  gets keys of tokenizer_config.json that may be a mistake
  /// @throws FileError    nothing there, or the system refuses to read it
  /// @throws FormatError  no SentencePiece model: among others the tiktoken file of that name of
  ///                      Llama 3, and a folder with a tokenizer.json only; added tokens that
  ///                      contradict the pieces or each other; bos_token or eos_token unknown; a
  ///                      setting of tokenizer_config.json that cannot be kept
  explicit SentencePieceTokenizer(const std::filesystem::path& path, const WarningSink& warn = {}) {
    const std::filesystem::path file = detail::sentencepiece_file(path);
    const std::filesystem::path folder = file.parent_path();
    const std::filesystem::path config_path = folder / "tokenizer_config.json";
    const Json json = detail::is_missing(config_path) ? Json::object() : read_json(config_path);
    const detail::JsonFields config(json, detail::path_text(config_path));
    const auto settings = detail::parse_tokenizer_settings(config, warn);
    processor_ = detail::load_sentencepiece(file, settings.prefix_space);
    pieces_ = processor_->GetPieceSize();
    read_added_tokens(folder / "added_tokens.json");
    read_config(config);
    read_roles(config, folder / "special_tokens_map.json");
    apply(settings, config, warn);
    placeholder_ = decode_pieces({processor_->unk_id()}).size();
  }

  /// The ids of a text, without BOS and EOS. As most models of this family were trained, a text
  /// gets a space before its first word, where tokenizer_config.json (add_prefix_space) or else
  /// tokenizer.model says so; characters without a piece become their UTF-8 bytes where the model
  /// has byte pieces, else the unknown token.
  /// @throws ArgumentError  text that is not UTF-8: bytes would be replaced in silence
  /// Cost: O(n log n) time in the bytes of the text.
  [[nodiscard]] std::vector<TokenId> encode(std::string_view text) const {
    const std::size_t broken = detail::find_invalid_utf8(text);
    if (broken != std::string_view::npos) {
      detail::raise<ArgumentError>("text has the byte ", detail::byte_text(text[broken]),
                                   " at position ", broken, ", expected UTF-8");
    }
    std::vector<TokenId> ids;
    expect_done(processor_->Encode(text, &ids), "encode a text");
    return ids;
  }

  /// The ids of a text with what stands around it: bos(), where there is one, and EOS only where
  /// add_eos_token is true.
  /// @throws ArgumentError  as encode
  [[nodiscard]] std::vector<TokenId> encode_prompt(std::string_view text) const {
    std::vector<TokenId> ids = encode(text);
    if (bos_) ids.insert(ids.begin(), *bos_);
    if (adds_eos_) ids.push_back(*eos_);
    return ids;
  }

  /// The text of ids: without the space that `encode` put before the first word. Control tokens
  /// (BOS, EOS) give nothing, added tokens their name, the unknown token " \u2047 ", and bytes that
  /// are no UTF-8 together U+FFFD.
  /// @throws ArgumentError  an id that no token has
  /// Cost: O(n) time.
  [[nodiscard]] std::string decode(std::span<const TokenId> ids) const { return decode(ids, true); }

  /// The text that ids add behind others: no word of it is the first.
  /// @throws ArgumentError  as decode
  [[nodiscard]] std::string decode_behind(std::span<const TokenId> ids) const {
    return decode(ids, false);
  }

  /// The id of a token by its name as the files have it: "</s>", "<|im_end|>", "\u2581the".
  [[nodiscard]] std::optional<TokenId> find(std::string_view name) const {
    const auto added = std::ranges::find(
        added_, name, [](const auto& entry) { return std::string_view(entry.second); });
    if (added != added_.end()) return added->first;
    const TokenId id = processor_->PieceToId(name);
    if (processor_->IdToPiece(id) != name) return std::nullopt;  // an unknown name gets unk's id
    return id;
  }

  /// The name of a token as the files have it; none where no token has the id.
  [[nodiscard]] std::optional<std::string> name(TokenId id) const {
    if (id >= 0 && id < pieces_) return processor_->IdToPiece(id);
    return find_added(id);
  }
  /// Whether a token is control (BOS, EOS), which no text becomes and which gives no text.
  [[nodiscard]] bool is_control(TokenId id) const {
    return id >= 0 && id < pieces_ && processor_->IsControl(id);
  }
  /// Whether a token is a single byte, of which several are a character.
  [[nodiscard]] bool is_byte(TokenId id) const {
    return id >= 0 && id < pieces_ && processor_->IsByte(id);
  }
  /// One more than the largest id. A model may have more rows than that.
  [[nodiscard]] Index vocab_size() const {
    return added_.empty() ? Index{pieces_}
                          : std::max(Index{pieces_}, Index{added_.rbegin()->first} + 1);
  }
  /// The token before a text: bos_token of tokenizer_config.json or special_tokens_map.json, else
  /// the one of tokenizer.model; none where bos_token is null or add_bos_token false.
  [[nodiscard]] std::optional<TokenId> bos() const noexcept { return bos_; }
  /// The token that ends an answer, likewise.
  [[nodiscard]] std::optional<TokenId> eos() const noexcept { return eos_; }
  /// The token of text without a piece.
  [[nodiscard]] TokenId unknown() const { return processor_->unk_id(); }

 private:
  [[nodiscard]] std::string decode(std::span<const TokenId> ids, bool is_first) const {
    std::string text;
    std::vector<TokenId> run;  // of pieces
    const auto flush = [&] {
      if (run.empty()) return;
      text += is_first ? decode_pieces(run) : decode_within(run);
      is_first = false;
      run.clear();
    };
    for (std::size_t i = 0; i < ids.size(); ++i) {
      if (ids[i] >= 0 && ids[i] < pieces_) {
        run.push_back(ids[i]);
        continue;
      }
      const auto added = added_.find(ids[i]);
      if (added == added_.end()) {
        detail::raise<ArgumentError>("id ", ids[i], " at position ", i,
                                     " is no token, expected 0..", vocab_size() - 1);
      }
      flush();
      is_first = false;
      text += added->second;
    }
    flush();
    return text;
  }

  [[nodiscard]] std::string decode_pieces(const std::vector<TokenId>& ids) const {
    std::string text;
    expect_done(processor_->Decode(ids, &text), "decode ids");
    return text;
  }

  /// As decode_pieces, with the first word's space: behind a placeholder no word is the first.
  [[nodiscard]] std::string decode_within(std::vector<TokenId> ids) const {
    ids.insert(ids.begin(), processor_->unk_id());
    return decode_pieces(ids).substr(placeholder_);
  }

  static void expect_done(const sentencepiece::util::Status& status, std::string_view what) {
    detail::expect(status.ok(), "SentencePiece does not ", what, ": ", status.error_message());
  }

  /// Added tokens by id {"32000": {"content": "<pad>", ...}} or as a list [{"id", "content"}, ...].
  void read_config(const detail::JsonFields& config) {
    constexpr std::string_view by_id = "added_tokens_decoder";
    if (is_given(config, by_id)) {
      const detail::JsonFields tokens = config.object(by_id);
      for (const auto& [key, token] : tokens.value().items()) {
        const detail::JsonFields fields(token, tokens.place() + ": " + detail::in_quotes(key));
        add(parse_id(key, tokens.place()), fields.text("content"), fields.place());
      }
    }
    if (is_given(config, "added_tokens")) {
      config.for_each("added_tokens", [&](const Json& token, const std::string& place) {
        const detail::JsonFields fields(token, place);
        add(static_cast<TokenId>(fields.count("id", max_id)), fields.text("content"), place);
      });
    }
  }

  /// Which tokens begin and end a text: by the config, by the older map where the config does not
  /// say, else by the model.
  void read_roles(const detail::JsonFields& config, const std::filesystem::path& map) {
    if (processor_->bos_id() >= 0) bos_ = processor_->bos_id();
    if (processor_->eos_id() >= 0) eos_ = processor_->eos_id();
    const Json json = detail::is_missing(map) ? Json::object() : read_json(map);
    const detail::JsonFields older(json, detail::path_text(map));
    read_role(config.has("bos_token") ? config : older, "bos_token", bos_);
    read_role(config.has("eos_token") ? config : older, "eos_token", eos_);
  }

  void apply(const detail::TokenizerSettings& settings, const detail::JsonFields& config,
             const WarningSink& warn) {
    if (settings.add_bos.value_or(false) && !bos_) {
      config.refuse("add_bos_token", "false, since there is no bos_token");
    }
    if (!settings.add_bos.value_or(true)) bos_.reset();
    if (settings.add_eos && !eos_) {
      config.refuse("add_eos_token", "false, since there is no eos_token");
    }
    adds_eos_ = settings.add_eos;
    if (!adds_eos_) return;
    detail::warn(warn, config.place(),
                 ": add_eos_token is true: the token that ends a text stands behind every prompt, "
                 "and models that are to go on from a prompt need false");
  }

  /// The older file of added tokens: {"<pad>": 32000}.
  void read_added_tokens(const std::filesystem::path& path) {
    if (detail::is_missing(path)) return;
    const Json json = read_json(path);
    const detail::JsonFields tokens(json, detail::path_text(path));
    for (const auto& [name, id] : json.items()) {
      add(static_cast<TokenId>(tokens.count(name, max_id)), name, detail::path_text(path));
    }
  }

  /// The token of a role: its name, or an object with it; null: none.
  void read_role(const detail::JsonFields& config, std::string_view key,
                 std::optional<TokenId>& role) const {
    if (!config.has(key)) return;
    if (!is_given(config, key)) {
      role.reset();
      return;
    }
    const bool is_object = config.value().find(key)->is_object();
    const std::string name = is_object ? config.object(key).text("content") : config.text(key);
    role = find(name);
    if (!role) config.refuse(key, "the name of a token");
  }

  [[nodiscard]] static bool is_given(const detail::JsonFields& config, std::string_view key) {
    return config.has(key) && !config.value().find(key)->is_null();
  }

  [[nodiscard]] static TokenId parse_id(std::string_view text, std::string_view place) {
    TokenId id = -1;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
    const bool is_whole = error == std::errc{} && end == text.data() + text.size();
    detail::expect<FormatError>(is_whole && id >= 0 && id <= max_id, place, ": has the key ",
                                detail::in_quotes(text), ", expected a token id");
    return id;
  }

  void add(TokenId id, const std::string& name, std::string_view place) {
    const auto known = id < pieces_ ? std::optional(processor_->IdToPiece(id)) : find_added(id);
    detail::expect<FormatError>(!known || *known == name, place, ": token ", id, " is ",
                                detail::in_quotes(name), ", expected ",
                                detail::in_quotes(known.value_or("")), " as it is elsewhere");
    if (id >= pieces_) added_.emplace(id, name);
  }

  [[nodiscard]] std::optional<std::string> find_added(TokenId id) const {
    const auto found = added_.find(id);
    return found == added_.end() ? std::nullopt : std::optional(found->second);
  }

  static_assert(std::is_same_v<TokenId, int>, "SentencePiece has ids of type int");
  static constexpr TokenId max_id = 1 << 24;  // more than any vocabulary: a lie is found here

  std::shared_ptr<const sentencepiece::SentencePieceProcessor> processor_;  // never null
  TokenId pieces_ = 0;
  std::map<TokenId, std::string> added_;  // ids of pieces_ and above
  std::optional<TokenId> bos_;
  std::optional<TokenId> eos_;
  bool adds_eos_ = false;        // whether a prompt ends with eos_, which is then set
  std::size_t placeholder_ = 0;  // bytes that the unknown token decodes to
};

}  // namespace anyssr::inline ANYSSR_ABI
