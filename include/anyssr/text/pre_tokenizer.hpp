// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The `pre_tokenizer` of a tokenizer.json, which cuts a text into words: Sequence, Split,
/// ByteLevel, Digits, WhitespaceSplit, Punctuation, BertPreTokenizer, Metaspace. Others are refused
/// by name.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "anyssr/io/json_fields.hpp"
#include "anyssr/text/byte_alphabet.hpp"
#include "anyssr/text/text_pattern.hpp"
#include "anyssr/text/unicode.hpp"
#include "anyssr/text/words.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

/// Cuts at characters of a kind, each a match of its own.
template <class IsOfKind>
[[nodiscard]] Words split_at_characters(const Words& words, SplitBehavior behavior,
                                        const IsOfKind& is_of_kind) {
  return split(words, behavior, false, [&](std::string_view word, const auto& match) {
    for (std::size_t at = 0; at < word.size();) {
      const std::size_t begin = at;
      if (is_of_kind(next_code_point(word, at))) match(begin, at);
    }
  });
}

struct SplitAtPattern {
  TextPattern pattern;
  SplitBehavior behavior;
  bool inverts;
  [[nodiscard]] Words apply(const Words& words) const {
    return split(words, behavior, inverts, [&](std::string_view word, const auto& match) {
      pattern.for_each_match(word, match);
    });
  }
};

/// Bytes become letters of the byte alphabet.
struct ByteLevel {
  bool adds_prefix_space;
  std::optional<Pattern> pattern;  // to cut at first

  [[nodiscard]] Words apply(const Words& words) const {
    const bool adds = adds_prefix_space;
    if (!adds && !pattern) return in_letters(words);
    Words spaced;
    spaced.begins_text = words.begins_text;
    words.for_each([&](std::string_view word, bool /*begins_text*/) {
      spaced.add(adds && !word.starts_with(' ') ? concat(' ', word) : std::string(word));
    });
    if (!pattern) return in_letters(spaced);
    return in_letters(split(
        spaced, SplitBehavior::isolated, false,
        [&](std::string_view word, const auto& match) { pattern->for_each_match(word, match); }));
  }

  /// The expression of GPT-2.
  static constexpr std::string_view expression =
      R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

 private:
  [[nodiscard]] static Words in_letters(const Words& words) {
    Words result;
    result.begins_text = words.begins_text;
    result.text.reserve(words.text.size() + words.text.size() / 4);
    result.ends.reserve(words.ends.size());
    words.for_each([&](std::string_view word, bool /*begins_text*/) {
      append_byte_letters(word, result.text);
      result.ends.push_back(result.text.size());
    });
    return result;
  }
};

struct SplitDigits {
  bool individually;
  [[nodiscard]] Words apply(const Words& words) const {
    return split_at_characters(
        words, individually ? SplitBehavior::isolated : SplitBehavior::contiguous, is_number);
  }
};

struct SplitWhiteSpace {
  [[nodiscard]] static Words apply(const Words& words) {
    return split_at_characters(words, SplitBehavior::removed, is_white_space);
  }
};

struct SplitPunctuation {
  SplitBehavior behavior;
  [[nodiscard]] Words apply(const Words& words) const {
    return split_at_characters(words, behavior, is_punctuation);
  }
};

/// Spaces become a visible character, which begins words.
struct Metaspace {
  enum class Prepend : std::uint8_t { always, first, never };

  std::string replacement;
  Prepend prepend;
  bool splits;

  [[nodiscard]] Words apply(const Words& words) const {
    Words replaced;
    replaced.begins_text = words.begins_text;
    words.for_each([&](std::string_view word, bool begins_text) {
      std::string text;
      for (const char c : word) {
        if (c == ' ')
          text += replacement;
        else
          text += c;
      }
      const bool prepends =
          prepend == Prepend::always || (prepend == Prepend::first && begins_text);
      replaced.add(prepends && !text.starts_with(replacement) ? replacement + text : text);
    });
    if (!splits) return replaced;
    return split(replaced, SplitBehavior::merged_with_next, false,
                 [&](std::string_view word, const auto& match) {
                   for (std::size_t at = 0; (at = word.find(replacement, at)) != word.npos;) {
                     match(at, at + replacement.size());
                     at += replacement.size();
                   }
                 });
  }

  /// The scheme of a pre-tokenizer or a decoder: files before 2024 have add_prefix_space instead.
  [[nodiscard]] static Prepend prepend_of(const JsonFields& fields) {
    if (!fields.has("prepend_scheme")) {
      const bool adds = !fields.has("add_prefix_space") || fields.boolean("add_prefix_space");
      return adds ? Prepend::always : Prepend::never;
    }
    const std::string& scheme = fields.text("prepend_scheme");
    if (scheme == "always") return Prepend::always;
    if (scheme == "first") return Prepend::first;
    if (scheme == "never") return Prepend::never;
    fields.refuse("prepend_scheme", "one of always, first, never");
  }
  [[nodiscard]] static std::string replacement_of(const JsonFields& fields) {
    const std::string& text = fields.text("replacement");
    if (text.empty() || sequence_length(text[0]) != text.size()) {
      fields.refuse("replacement", "one character");
    }
    return text;
  }
};

/// A chain of steps.
class PreTokenizer {
 public:
  PreTokenizer() = default;
  /// @throws FormatError  a step that is not known, by name, or one with wrong members
  explicit PreTokenizer(const JsonFields& fields) { add(fields); }

  [[nodiscard]] Words apply(Words words) const {
    for (const Step& step : steps_) {
      words = std::visit([&](const auto& known) { return known.apply(words); }, step);
    }
    return words;
  }

 private:
  using Step = std::variant<SplitAtPattern, ByteLevel, SplitDigits, SplitWhiteSpace,
                            SplitPunctuation, Metaspace>;

  void add(const JsonFields& fields) {
    const std::string& type = fields.text("type");
    if (type == "Sequence") {
      fields.for_each("pretokenizers", [&](const Json& step, const std::string& place) {
        add(JsonFields(step, place));
      });
    } else if (type == "Split") {
      steps_.emplace_back(SplitAtPattern{TextPattern(fields.object("pattern")), behavior_of(fields),
                                         fields.has("invert") && fields.boolean("invert")});
    } else if (type == "ByteLevel") {
      const bool splits = !fields.has("use_regex") || fields.boolean("use_regex");
      ByteLevel step{fields.boolean("add_prefix_space"), std::nullopt};
      if (splits) step.pattern.emplace(ByteLevel::expression, fields.place());
      steps_.emplace_back(std::move(step));
    } else if (type == "Digits") {
      steps_.emplace_back(SplitDigits{fields.boolean("individual_digits")});
    } else if (type == "WhitespaceSplit") {
      steps_.emplace_back(SplitWhiteSpace{});
    } else if (type == "Punctuation") {
      steps_.emplace_back(
          SplitPunctuation{fields.has("behavior") ? behavior_of(fields) : SplitBehavior::isolated});
    } else if (type == "BertPreTokenizer") {
      steps_.emplace_back(SplitWhiteSpace{});
      steps_.emplace_back(SplitPunctuation{SplitBehavior::isolated});
    } else if (type == "Metaspace") {
      steps_.emplace_back(Metaspace{Metaspace::replacement_of(fields),
                                    Metaspace::prepend_of(fields),
                                    !fields.has("split") || fields.boolean("split")});
    } else {
      fields.refuse("type",
                    "one of Sequence, Split, ByteLevel, Digits, WhitespaceSplit, Punctuation, "
                    "BertPreTokenizer, Metaspace");
    }
  }

  [[nodiscard]] static SplitBehavior behavior_of(const JsonFields& fields) {
    const std::string& name = fields.text("behavior");
    if (name == "Isolated") return SplitBehavior::isolated;
    if (name == "Removed") return SplitBehavior::removed;
    if (name == "Contiguous") return SplitBehavior::contiguous;
    if (name == "MergedWithPrevious") return SplitBehavior::merged_with_previous;
    if (name == "MergedWithNext") return SplitBehavior::merged_with_next;
    fields.refuse("behavior",
                  "one of Isolated, Removed, Contiguous, MergedWithPrevious, MergedWithNext");
  }

  std::vector<Step> steps_;
};

}  // namespace anyssr::inline ANYSSR_ABI::detail
