// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The `decoder` of a tokenizer.json, which makes a text of pieces: Sequence, ByteLevel, Replace,
/// Fuse, Strip, ByteFallback, Metaspace, WordPiece; none puts a space between pieces. Others are
/// refused by name. A step takes piece after piece and gives out what no later piece can change.

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "anyssr/io/json_fields.hpp"
#include "anyssr/io/utf8.hpp"
#include "anyssr/text/byte_alphabet.hpp"
#include "anyssr/text/byte_pieces.hpp"
#include "anyssr/text/lossy_text.hpp"
#include "anyssr/text/normalizer.hpp"
#include "anyssr/text/pre_tokenizer.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

using Pieces = std::vector<std::string>;

/// A space between pieces: what a file without a decoder means.
struct JoinWithSpaces {
  bool is_first = true;
  void push(std::string piece, Pieces& out) {
    out.push_back(is_first ? std::move(piece) : " " + piece);
    is_first = false;
  }
  static void finish(Pieces& /*out*/) {}
};

/// Letters of the byte alphabet become bytes again; other pieces, such as added tokens, are text.
struct BytesOfLetters {
  std::string held;  // the start of a character
  void push(std::string piece, Pieces& out) {
    held += bytes_of(piece).value_or(piece);
    give(false, out);
  }
  void finish(Pieces& out) { give(true, out); }

 private:
  void give(bool is_last, Pieces& out) {
    std::string text;
    held.erase(0, append_lossy(held, is_last, text));
    if (!text.empty()) out.push_back(std::move(text));
  }
};

/// Runs of "<0xHH>" become text; where a run is no UTF-8, each of its bytes is one U+FFFD. So the
/// whole run has to be known.
struct BytesOfPieces {
  std::string run;
  void push(std::string piece, Pieces& out) {
    if (const auto byte = byte_of_piece(piece)) {
      run += *byte;
      return;
    }
    finish(out);
    out.push_back(std::move(piece));
  }
  void finish(Pieces& out) {
    if (find_invalid_utf8(run) == std::string_view::npos) {
      if (!run.empty()) out.push_back(run);
    } else {
      out.insert(out.end(), run.size(), std::string(replacement_character));
    }
    run.clear();
  }
};

struct ReplaceInPieces {
  TextPattern pattern;
  std::string content;
  void push(std::string piece, Pieces& out) const {
    out.push_back(Replace{pattern, content}.apply(piece));
  }
  static void finish(Pieces& /*out*/) {}
};

/// Up to `left` and `right` characters at the ends of each piece.
struct StripPieces {
  std::string content;
  std::size_t left;
  std::size_t right;
  void push(std::string piece, Pieces& out) const {
    std::string_view text = piece;
    for (std::size_t i = 0; i < left && text.starts_with(content); ++i) {
      text.remove_prefix(content.size());
    }
    for (std::size_t i = 0; i < right && text.ends_with(content); ++i) {
      text.remove_suffix(content.size());
    }
    out.emplace_back(text);
  }
  static void finish(Pieces& /*out*/) {}
};

/// All that comes is one piece: the same where nothing follows but a Strip at the left end.
struct FuseAndStrip {
  std::string content;
  std::size_t left;  // still to be cut
  void push(std::string piece, Pieces& out) {
    std::string_view text = piece;
    while (left > 0 && text.starts_with(content)) {
      text.remove_prefix(content.size());
      --left;
    }
    if (!text.empty()) left = 0;
    out.emplace_back(text);
  }
  static void finish(Pieces& /*out*/) {}
};

/// All that comes is one piece, which is given out at the end.
struct FuseAll {
  std::string text;
  void push(const std::string& piece, Pieces& /*out*/) { text += piece; }
  void finish(Pieces& out) { out.push_back(std::move(text)); }
};

struct SpacesOfMetaspace {
  std::string replacement;
  bool drops_first;  // that of the first piece
  bool is_first = true;
  void push(std::string piece, Pieces& out) {
    const std::string_view by = is_first && drops_first ? "" : " ";
    is_first = false;
    std::string text;
    std::size_t at = 0;
    for (std::size_t found = 0; (found = piece.find(replacement, at)) != piece.npos;) {
      text.append(piece, at, found - at);
      text += by;
      at = found + replacement.size();
    }
    text.append(piece, at);
    out.push_back(std::move(text));
  }
  static void finish(Pieces& /*out*/) {}
};

struct JoinWordPieces {
  std::string prefix;
  bool cleans;
  bool is_first = true;
  void push(std::string piece, Pieces& out) {
    if (!is_first) piece = piece.starts_with(prefix) ? piece.substr(prefix.size()) : " " + piece;
    is_first = false;
    if (cleans) clean(piece);
    out.push_back(std::move(piece));
  }
  static void finish(Pieces& /*out*/) {}

 private:
  static void clean(std::string& piece) {
    static constexpr std::array<std::pair<std::string_view, std::string_view>, 11> repairs{
        {{" .", "."},
         {" ?", "?"},
         {" !", "!"},
         {" ,", ","},
         {" ' ", "'"},
         {" n't", "n't"},
         {" 'm", "'m"},
         {" do not", " don't"},
         {" 's", "'s"},
         {" 've", "'ve"},
         {" 're", "'re"}}};
    for (const auto& [from, to] : repairs) {
      for (std::size_t at = 0; (at = piece.find(from, at)) != piece.npos; at += to.size()) {
        piece.replace(at, from.size(), to);
      }
    }
  }
};

/// A chain of steps in the middle of a text. Copies of a fresh one begin new texts.
class TokenDecoder {
 public:
  /// Of a file without a decoder.
  TokenDecoder() { steps_.emplace_back(JoinWithSpaces{}); }
  /// @throws FormatError  a step that is not known, by name, or one with wrong members
  explicit TokenDecoder(const JsonFields& fields) { add(fields); }

  /// What a piece adds to the text; bytes of an unfinished character wait.
  [[nodiscard]] std::string push(std::string_view piece) {
    return pass(Pieces{std::string(piece)}, 0);
  }
  /// What has waited.
  [[nodiscard]] std::string finish() {
    std::string text;
    for (std::size_t i = 0; i < steps_.size(); ++i) {
      Pieces pieces;
      std::visit([&](auto& step) { step.finish(pieces); }, steps_[i]);
      text += pass(std::move(pieces), i + 1);
    }
    return text;
  }

 private:
  using Step = std::variant<JoinWithSpaces, BytesOfLetters, BytesOfPieces, ReplaceInPieces,
                            StripPieces, FuseAndStrip, FuseAll, SpacesOfMetaspace, JoinWordPieces>;

  [[nodiscard]] std::string pass(Pieces pieces, std::size_t begin) {
    for (std::size_t i = begin; i < steps_.size(); ++i) {
      Pieces out;
      for (std::string& piece : pieces) {
        std::visit([&](auto& step) { step.push(std::move(piece), out); }, steps_[i]);
      }
      pieces = std::move(out);
    }
    std::string text;
    for (const std::string& piece : pieces) text += piece;
    return text;
  }

  void add(const JsonFields& fields) {
    const std::string& type = fields.text("type");
    if (type == "Sequence") {
      fields.for_each("decoders", [&](const Json& step, const std::string& place) {
        add(JsonFields(step, place));
      });
    } else if (type == "ByteLevel") {
      add(BytesOfLetters{});
      is_fused_ = true;
    } else if (type == "ByteFallback") {
      add(BytesOfPieces{});
    } else if (type == "Replace") {
      add(ReplaceInPieces{TextPattern(fields.object("pattern")), fields.text("content")});
    } else if (type == "Fuse") {
      is_fused_ = true;
    } else if (type == "Strip") {
      add_strip(fields);
    } else if (type == "Metaspace") {
      add(SpacesOfMetaspace{Metaspace::replacement_of(fields),
                            Metaspace::prepend_of(fields) != Metaspace::Prepend::never});
    } else if (type == "WordPiece") {
      add(JoinWordPieces{fields.text("prefix"), fields.boolean("cleanup")});
    } else {
      fields.refuse("type",
                    "one of Sequence, ByteLevel, ByteFallback, Replace, Fuse, Strip, Metaspace, "
                    "WordPiece");
    }
  }
  /// A step behind one that makes one piece of all has to wait for it.
  void add(Step step) {
    if (is_fused_) steps_.emplace_back(FuseAll{});
    steps_.push_back(std::move(step));
  }
  void add_strip(const JsonFields& fields) {
    const std::string& content = fields.text("content");
    if (content.empty() || sequence_length(content[0]) != content.size()) {
      fields.refuse("content", "one character");
    }
    constexpr std::uint64_t most = 1000;
    const auto left = static_cast<std::size_t>(fields.count("start", most));
    const auto right = static_cast<std::size_t>(fields.count("stop", most));
    if (is_fused_ && right == 0) {
      steps_.emplace_back(FuseAndStrip{content, left});
    } else {
      add(StripPieces{content, left, right});
    }
  }

  std::vector<Step> steps_;
  bool is_fused_ = false;
};

}  // namespace anyssr::inline ANYSSR_ABI::detail
