// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// A text cut into words, and the ways to cut at matches:
///
///   text "a-b"   matches "-"    isolated "a" "-" "b"    removed "a" "b"    contiguous "a" "-" "b"
///                               merged with previous "a-" "b"    with next "a" "-b"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "anyssr/core/enum_names.hpp"
#include "anyssr/core/error.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

/// Words one after another in one text.
struct Words {
  std::string text;
  std::vector<std::size_t> ends;  ///< of the words in `text`
  bool begins_text = false;       ///< whether the first word begins what was to be encoded

  [[nodiscard]] static Words of(std::string_view text, bool begins_text) {
    Words words;
    words.begins_text = begins_text;
    words.add(text);
    return words;
  }
  /// An empty word is none.
  void add(std::string_view word) {
    if (word.empty()) return;
    text += word;
    ends.push_back(text.size());
  }
  /// Calls f(word, whether it begins the text).
  template <class F>
  void for_each(const F& f) const {
    std::size_t begin = 0;
    for (const std::size_t end : ends) {
      f(std::string_view(text).substr(begin, end - begin), begins_text && begin == 0);
      begin = end;
    }
  }
};

enum class SplitBehavior : std::uint8_t {
  isolated,
  removed,
  contiguous,
  merged_with_previous,
  merged_with_next
};

/// A stretch of a word that matches, or one between matches.
struct Stretch {
  std::size_t begin;
  std::size_t end;
  bool is_match;
};

/// Stretches put together as a behavior has it; empty ones are left out.
[[nodiscard]] inline std::vector<Stretch> arranged(const std::vector<Stretch>& stretches,
                                                   SplitBehavior behavior) {
  std::vector<Stretch> result;
  const auto joins_last = [&](const Stretch& s) {
    if (result.empty()) return false;
    const Stretch& last = result.back();
    switch (behavior) {
      case SplitBehavior::contiguous:
        return last.is_match == s.is_match;
      case SplitBehavior::merged_with_previous:
        return s.is_match && !last.is_match;
      case SplitBehavior::merged_with_next:
        return !s.is_match && last.is_match;
      case SplitBehavior::isolated:
      case SplitBehavior::removed:
        return false;
    }
    return false;
  };
  for (const Stretch& s : stretches) {
    if (behavior == SplitBehavior::removed && s.is_match) continue;
    if (joins_last(s)) {
      result.back().end = s.end;
      // "a--b" merged with previous: "a-", "-", "b"; with next: "a", "-", "-b"
      result.back().is_match = behavior != SplitBehavior::merged_with_next || s.is_match;
      if (behavior == SplitBehavior::contiguous) result.back().is_match = s.is_match;
    } else {
      result.push_back(s);
    }
  }
  return result;
}

/// The words cut at matches.
/// @param for_each_match  called with a word and f(begin, end), which it calls for each match
template <class Matches>
[[nodiscard]] Words split(const Words& words, SplitBehavior behavior, bool inverts,
                          const Matches& for_each_match) {
  Words result;
  result.text.reserve(words.text.size());
  std::vector<Stretch> stretches;
  words.for_each([&](std::string_view word, bool begins_text) {
    stretches.clear();
    std::size_t at = 0;
    const auto add = [&](std::size_t begin, std::size_t end, bool is_match) {
      if (begin < end) stretches.push_back({begin, end, is_match != inverts});
    };
    for_each_match(word, [&](std::size_t begin, std::size_t end) {
      add(at, begin, false);
      add(begin, end, true);
      at = end;
    });
    add(at, word.size(), false);
    if (behavior != SplitBehavior::isolated) stretches = arranged(stretches, behavior);
    if (begins_text) result.begins_text = !stretches.empty() && stretches.front().begin == 0;
    for (const Stretch& s : stretches) result.add(word.substr(s.begin, s.end - s.begin));
  });
  return result;
}

}  // namespace anyssr::inline ANYSSR_ABI::detail
