// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Matches the regular expressions of regex_program.hpp, which come from files: no pattern makes it
/// recurse or take exponential time, as std::regex does on (a+)+$. For each position p of the text,
/// last to first, one bit an instruction i says whether the rest of the text can be matched from
/// there:
///
///   good(i, p) = text[p] in set(i) and good(i + 1, p + 1)     a character
///                good(i + first, p) or good(i + second, p)    a branch
///                condition(p) and good(i + 1, p)              an anchor or a lookahead
///
/// A lookahead is a program of its own, whose bits are there before those of the one around it.

#include <algorithm>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "anyssr/core/error.hpp"
#include "anyssr/io/guarded_json.hpp"
#include "anyssr/io/regex_program.hpp"

namespace anyssr::inline ANYSSR_ABI {
namespace detail {

class BoundedRegex {
 public:
  /// Positions in a text, its end among them.
  using Positions = std::bitset<RegexLimits::text + 1>;

  /// @param pattern  at most 1024 characters of printable ASCII
  /// @throws FormatError  with the pattern, the place in it and the reason
  explicit BoundedRegex(std::string_view pattern)
      : pattern_(pattern), programs_(RegexParser::parse(pattern)) {}

  /// Where the rest of the text, up to its end, is matched from.
  /// @param text    at most 512 characters of printable ASCII
  /// @param budget  about the nanoseconds that may still be taken; lowered by those that were
  /// @throws FormatError  the budget is used up
  /// Cost: steps of the program times characters, times 2 and once more for each loop in a loop.
  [[nodiscard]] Positions match_starts(std::string_view text, std::uint64_t& budget) const {
    std::vector<Positions> found;
    for (const RegexProgram& program : programs_) {
      found.push_back(run(program, text, found, budget));
    }
    return found.back();
  }

  /// Instructions, at most 2048.
  [[nodiscard]] std::size_t size() const noexcept {
    std::size_t total = 0;
    for (const RegexProgram& program : programs_) total += program.size();
    return total;
  }

 private:
  [[nodiscard]] Positions run(const RegexProgram& program, std::string_view text,
                              std::span<const Positions> lookaheads, std::uint64_t& budget) const {
    const bool is_lookahead = lookaheads.size() + 1 < programs_.size();  // may end anywhere
    const std::size_t n = program.size();
    std::vector<char> here(n + 1);   // good(i, p); n: matched
    std::vector<char> after(n + 1);  // good(i, p + 1)
    Positions starts;
    for (std::size_t p = text.size() + 1; p-- > 0;) {
      std::fill(here.begin(), here.end(), char{0});
      here[n] = is_lookahead || p == text.size() ? 1 : 0;
      // upwards from nothing, until loops that lead back have nothing more to add
      for (bool has_changed = true; has_changed;) {
        spend(4 * (n + 1), budget);
        has_changed = false;
        for (std::size_t i = n; i-- > 0;) {
          if (here[i] != 0 || !is_good(program, i, text, p, lookaheads, here, after)) continue;
          here[i] = 1;
          has_changed = true;
        }
      }
      starts[p] = here[0] != 0;
      here.swap(after);
    }
    return starts;
  }

  [[nodiscard]] static bool is_good(const RegexProgram& program, std::size_t i,
                                    std::string_view text, std::size_t p,
                                    std::span<const Positions> lookaheads,
                                    const std::vector<char>& here, const std::vector<char>& after) {
    using Kind = RegexStep::Kind;
    const RegexStep& step = program[i];
    const auto good = [&](std::ptrdiff_t by) {
      return here[static_cast<std::size_t>(static_cast<std::ptrdiff_t>(i) + by)] != 0;
    };
    switch (step.kind) {
      case Kind::character:
        return p < text.size() && after[i + 1] != 0 &&
               step.characters[static_cast<std::size_t>(text[p])];
      case Kind::branch:
        return good(step.first) || good(step.second);
      case Kind::begin:
        return p == 0 && good(1);
      case Kind::end:
        return p == text.size() && good(1);
      case Kind::word_edge: {
        const bool is_behind = p > 0 && is_word(text[p - 1]);
        const bool is_ahead = p < text.size() && is_word(text[p]);
        return is_behind != is_ahead && good(1);
      }
      case Kind::lookahead:
        return lookaheads[step.program][p] != step.is_negated && good(1);
    }
    return false;
  }

  void spend(std::size_t steps, std::uint64_t& budget) const {
    expect<FormatError>(steps <= budget, "pattern ", in_quotes(pattern_),
                        ": matching takes too many steps");
    budget -= steps;
  }

  std::string pattern_;
  std::vector<RegexProgram> programs_;  // of lookaheads, inner ones first; the last one of all
};

}  // namespace detail
}  // namespace anyssr::inline ANYSSR_ABI
