// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Regular expressions in the dialect of Python as programs of branches, characters and conditions:
///
///   x  .  [a-z]  [^a-z]  \d \w \s  ^ $ \b  (x) (?:x) (?=x) (?!x)  x|y  x* x+ x? x{m,n}
///
/// and the lazy forms (x*? and so on), which match the same texts. Anything else is refused: named
/// groups, lookbehind, flags, atomic groups, possessive quantifiers, back references. Counts are
/// written out: x{2,4} becomes x x x? x?.

#include <algorithm>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "anyssr/core/error.hpp"
#include "anyssr/io/guarded_json.hpp"

namespace anyssr::inline ANYSSR_ABI {
namespace detail {

using CharacterSet = std::bitset<128>;

/// Refuses what is not printable ASCII: on other text, Python's classes follow Unicode.
inline void expect_printable(std::string_view what, std::string_view text) {
  const auto is_other = [](char c) { return c < 0x20 || c > 0x7E; };
  const auto other = std::find_if(text.begin(), text.end(), is_other);
  if (other == text.end()) return;
  raise<FormatError>(what, " ", in_quotes(text), " has byte ", byte_text(*other), " at character ",
                     other - text.begin() + 1, ", expected printable ASCII");
}

[[nodiscard]] constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
[[nodiscard]] constexpr bool is_letter(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
[[nodiscard]] constexpr bool is_word(char c) noexcept {
  return is_digit(c) || is_letter(c) || c == '_';
}

struct RegexStep {
  enum class Kind : std::uint8_t { character, branch, begin, end, word_edge, lookahead };

  Kind kind = Kind::character;
  bool is_negated = false;       // lookahead
  std::ptrdiff_t first = 1;      // branch: relative, so that a copy of a fragment stays right
  std::ptrdiff_t second = 1;     // branch
  std::size_t program = 0;       // lookahead
  CharacterSet characters = {};  // character
};

/// Steps that run into one another; after the last one, what was matched is behind.
using RegexProgram = std::vector<RegexStep>;

struct RegexLimits {
  static constexpr std::size_t pattern = 1024;  // characters
  static constexpr std::size_t text = 512;      // characters
  static constexpr std::size_t steps = 2048;    // instructions of all programs
  static constexpr std::size_t depth = 64;      // groups in one another
};

/// Turns a pattern into programs: one for each lookahead, inner ones first, the whole pattern last.
class RegexParser {
 public:
  /// @throws FormatError
  [[nodiscard]] static std::vector<RegexProgram> parse(std::string_view pattern) {
    expect_printable("pattern", pattern);
    expect<FormatError>(pattern.size() <= RegexLimits::pattern, "pattern ", in_quotes(pattern),
                        " has ", pattern.size(), " characters, expected at most ",
                        RegexLimits::pattern);
    RegexParser parser(pattern);
    RegexProgram whole = parser.alternatives(0);
    if (!parser.is_done()) parser.refuse("a ) without its (");
    parser.keep(std::move(whole));
    return std::move(parser.programs_);
  }

 private:
  using Kind = RegexStep::Kind;
  struct Count {
    std::size_t least = 0;
    std::optional<std::size_t> most;  // none: any number
  };

  explicit RegexParser(std::string_view pattern) : pattern_(pattern) {}

  [[nodiscard]] bool is_done() const noexcept { return at_ == pattern_.size(); }
  [[nodiscard]] bool is_next(char c) const noexcept { return !is_done() && pattern_[at_] == c; }
  bool take(char c) noexcept {
    if (!is_next(c)) return false;
    ++at_;
    return true;
  }
  [[noreturn]] void refuse(std::string_view reason) const {
    raise<FormatError>("pattern ", in_quotes(pattern_), " at character ", at_ + 1, ": ", reason);
  }

  void append(RegexProgram& program, const RegexProgram& more) const {
    program.insert(program.end(), more.begin(), more.end());
    if (program.size() > RegexLimits::steps) refuse_size();
  }
  void keep(RegexProgram program) {
    kept_ += program.size();
    if (kept_ > RegexLimits::steps) refuse_size();
    programs_.push_back(std::move(program));
  }
  [[noreturn]] void refuse_size() const {
    refuse(concat("the counts write out to more than ", RegexLimits::steps, " steps"));
  }

  [[nodiscard]] static RegexStep branch(std::ptrdiff_t first, std::ptrdiff_t second) {
    return {.kind = Kind::branch, .first = first, .second = second};
  }
  [[nodiscard]] static std::ptrdiff_t length(const RegexProgram& program) noexcept {
    return static_cast<std::ptrdiff_t>(program.size());
  }
  [[nodiscard]] static RegexProgram one(const CharacterSet& characters) {
    return {{.characters = characters}};
  }
  [[nodiscard]] static CharacterSet only(char c) {
    return CharacterSet().set(static_cast<std::size_t>(c));
  }

  /// x|y|z
  [[nodiscard]] RegexProgram alternatives(std::size_t depth) {
    std::vector<RegexProgram> parts{sequence(depth)};
    while (take('|')) parts.push_back(sequence(depth));
    std::ptrdiff_t left = 2 * static_cast<std::ptrdiff_t>(parts.size() - 1);
    for (const RegexProgram& part : parts) left += length(part);
    RegexProgram all;
    for (const RegexProgram& part : parts) {
      const bool is_last = &part == &parts.back();
      if (!is_last) all.push_back(branch(1, length(part) + 2));
      append(all, part);
      left -= length(part) + 2;
      if (!is_last) all.push_back(branch(left + 1, left + 1));
    }
    return all;
  }

  [[nodiscard]] RegexProgram sequence(std::size_t depth) {
    RegexProgram all;
    while (!is_done() && !is_next('|') && !is_next(')')) {
      const bool is_anchor =
          is_next('^') || is_next('$') || pattern_.substr(at_).starts_with("\\b");
      const RegexProgram item = atom(depth);
      const std::size_t before = at_;
      const std::optional<Count> count = take_count();
      if (!count) {
        append(all, item);
        continue;
      }
      if (is_anchor) refuse_count(before, "nothing to repeat");
      if (!take('?') && is_next('+')) refuse("possessive quantifiers are not supported");
      const std::size_t behind = at_;
      if (take_count()) refuse_count(behind, "a second quantifier");
      append(all, repeated(item, *count));
    }
    return all;
  }
  [[noreturn]] void refuse_count(std::size_t at, std::string_view reason) {
    at_ = at;
    refuse(reason);
  }

  [[nodiscard]] RegexProgram repeated(const RegexProgram& item, const Count& count) const {
    const std::size_t copies = std::max(count.least, count.most.value_or(0));
    if (copies > RegexLimits::steps / std::max<std::size_t>(item.size(), 1)) refuse_size();
    RegexProgram all;
    for (std::size_t i = 0; i < count.least; ++i) append(all, item);
    if (!count.most && count.least > 0) {
      all.push_back(branch(-length(item), 1));
    } else if (!count.most) {
      all.push_back(branch(1, length(item) + 2));
      append(all, item);
      all.push_back(branch(-length(item) - 1, -length(item) - 1));
    } else {
      for (std::size_t i = count.least; i < *count.most; ++i) {
        all.push_back(branch(1, length(item) + 1));
        append(all, item);
      }
    }
    return all;
  }

  /// * + ? {m} {m,} {,n} {m,n}; braces of any other form are characters.
  [[nodiscard]] std::optional<Count> take_count() {
    if (take('*')) return Count{0, std::nullopt};
    if (take('+')) return Count{1, std::nullopt};
    if (take('?')) return Count{0, 1};
    const std::size_t start = at_;
    if (!take('{')) return std::nullopt;
    const std::optional<std::size_t> least = take_number();
    const bool has_comma = take(',');
    const std::optional<std::size_t> most = has_comma ? take_number() : least;
    if (!take('}') || (!least && !has_comma)) {
      at_ = start;
      return std::nullopt;
    }
    if (most && least.value_or(0) > *most) refuse("a least count above the most");
    return Count{least.value_or(0), most};
  }
  [[nodiscard]] std::optional<std::size_t> take_number() {
    constexpr std::size_t huge = 1'000'000;  // beyond any limit, and no overflow
    if (is_done() || !is_digit(pattern_[at_])) return std::nullopt;
    std::size_t number = 0;
    for (; !is_done() && is_digit(pattern_[at_]); ++at_) {
      number = std::min(huge, 10 * number + static_cast<std::size_t>(pattern_[at_] - '0'));
    }
    return number;
  }

  [[nodiscard]] RegexProgram atom(std::size_t depth) {
    if (take('(')) return group(depth + 1);
    if (take('[')) return one(character_class());
    if (take('.')) return one(CharacterSet().set());
    if (take('^')) return {{.kind = Kind::begin}};
    if (take('$')) return {{.kind = Kind::end}};
    if (take('\\')) {
      if (take('b')) return {{.kind = Kind::word_edge}};
      return one(escape());
    }
    const std::size_t before = at_;
    if (take_count()) refuse_count(before, "nothing to repeat");
    return one(only(pattern_[at_++]));
  }

  [[nodiscard]] RegexProgram group(std::size_t depth) {
    if (depth > RegexLimits::depth) refuse("groups nested deeper than 64 levels");
    std::optional<bool> negated;  // of a lookahead
    if (take('?')) {
      if (take('=')) {
        negated = false;
      } else if (take('!')) {
        negated = true;
      } else if (!take(':')) {
        refuse("after (? comes no : = or !, and other extensions are not supported");
      }
    }
    RegexProgram inner = alternatives(depth);
    if (!take(')')) refuse("a ( without its )");
    if (!negated) return inner;
    keep(std::move(inner));
    return {{.kind = Kind::lookahead, .is_negated = *negated, .program = programs_.size() - 1}};
  }

  /// What stands behind a backslash, but for \b.
  [[nodiscard]] CharacterSet escape() {
    if (is_done()) refuse("a backslash at the end");
    const char c = pattern_[at_];
    if (is_digit(c)) refuse("back references and octal numbers are not supported");
    CharacterSet set;
    if (!is_letter(c)) {
      set = only(c);
    } else if (c == 'd') {
      for (char k = 0; k < 0x7F; ++k) set[static_cast<std::size_t>(k)] = is_digit(k);
    } else if (c == 'w') {
      for (char k = 0; k < 0x7F; ++k) set[static_cast<std::size_t>(k)] = is_word(k);
    } else if (c == 's') {
      set = only(' ');  // the one printable space
    } else {
      refuse("a backslash before a letter other than d w s b is not supported");
    }
    ++at_;
    return set;
  }

  /// The rest of [...].
  [[nodiscard]] CharacterSet character_class() {
    const bool is_negated = take('^');
    CharacterSet all;
    for (bool is_first = true; is_first || !take(']'); is_first = false) {
      const auto [low, is_set] = class_item();
      const bool is_range = is_next('-') && at_ + 1 < pattern_.size() && pattern_[at_ + 1] != ']';
      if (!is_range) {
        all |= low;
        continue;
      }
      ++at_;
      const auto [high, is_high_set] = class_item();
      if (is_set || is_high_set) refuse("a range that begins or ends in a class");
      if (lowest(low) > lowest(high)) refuse("a range whose end is before its start");
      for (std::size_t c = lowest(low); c <= lowest(high); ++c) all.set(c);
    }
    return is_negated ? ~all : all;
  }
  /// Of a set that is not empty.
  [[nodiscard]] static std::size_t lowest(const CharacterSet& set) {
    std::size_t c = 0;
    while (!set[c]) ++c;
    return c;
  }
  /// One character, or \d \w \s and then true.
  [[nodiscard]] std::pair<CharacterSet, bool> class_item() {
    if (is_done()) refuse("a [ without its ]");
    if (!take('\\')) return {only(pattern_[at_++]), false};
    if (take('b')) return {only('\b'), false};  // in a class it is the backspace
    const bool is_set = !is_done() && is_letter(pattern_[at_]);
    return {escape(), is_set};
  }

  std::string_view pattern_;
  std::size_t at_ = 0;
  std::size_t kept_ = 0;  // steps of programs_
  std::vector<RegexProgram> programs_;
};

}  // namespace detail
}  // namespace anyssr::inline ANYSSR_ABI
