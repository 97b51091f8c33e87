// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Which sites a key of PEFT's rank_pattern or alpha_pattern means: those that
///
///   ^(.*\.)?(KEY)$
///
/// matches in Python, so the name of a module or its last parts. KEY is a regular expression, in
/// which a dot matches any character; most keys are plain names, and those are compared without
/// one. A hostile pattern is refused or costs time in proportion to its size (bounded_regex.hpp).

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "anyssr/core/error.hpp"
#include "anyssr/io/bounded_regex.hpp"
#include "anyssr/io/guarded_json.hpp"
#include "anyssr/io/regex_program.hpp"

namespace anyssr::inline ANYSSR_ABI {

class SitePattern {
 public:
  /// Longest name of a site that is matched.
  static constexpr std::size_t max_site = detail::RegexLimits::text;

  /// @throws FormatError  no printable ASCII, longer than 1024 characters, or a regular expression
  ///                      that regex_program.hpp does not take
  explicit SitePattern(std::string_view key) : key_(key) {
    if (!is_plain(key)) {
      regex_.emplace(key);
    } else {
      detail::expect_printable("pattern", key);
      detail::expect<FormatError>(key.size() <= detail::RegexLimits::pattern, "pattern ",
                                  detail::in_quotes(key), " has ", key.size(),
                                  " characters, expected at most ", detail::RegexLimits::pattern);
    }
  }

  [[nodiscard]] const std::string& key() const noexcept { return key_; }
  /// Instructions of its program: 1 for a plain key, at most 2048.
  [[nodiscard]] std::size_t size() const noexcept { return regex_ ? regex_->size() : 1; }
  /// Whether a key is a name, without any metacharacter but the dot.
  [[nodiscard]] static constexpr bool is_plain(std::string_view key) noexcept {
    return key.find_first_of("\\^$*+?{}[]|()") == std::string_view::npos;
  }
  [[nodiscard]] bool is_plain() const noexcept { return !regex_.has_value(); }

  /// @param site  at most 512 characters of printable ASCII
  /// @throws FormatError  another site, or one that takes the pattern about a second or more
  [[nodiscard]] bool matches(std::string_view site) const {
    expect_site(site);
    std::uint64_t budget = max_steps;
    return matches(site, budget);
  }

 private:
  friend std::vector<std::optional<std::size_t>> first_matches(std::span<const std::string> keys,
                                                               std::span<const std::string> sites);

  static constexpr std::uint64_t max_steps = std::uint64_t{1} << 30;  // about a second

  static void expect_site(std::string_view site) {
    detail::expect<FormatError>(site.size() <= max_site, "site ", detail::in_quotes(site), " has ",
                                site.size(), " characters, expected at most ", max_site,
                                " where patterns are matched");
    detail::expect_printable("site", site);
  }

  [[nodiscard]] bool matches(std::string_view site, std::uint64_t& budget) const {
    if (!regex_) {
      spend(1 + key_.size() / 32, budget);
      return matches_name(site);
    }
    const detail::BoundedRegex::Positions starts = regex_->match_starts(site, budget);
    if (starts[0]) return true;
    for (std::size_t i = 0; i < site.size(); ++i) {
      if (site[i] == '.' && starts[i + 1]) return true;
    }
    return false;
  }

  [[nodiscard]] bool matches_name(std::string_view site) const {
    if (site.size() < key_.size()) return false;
    const std::size_t start = site.size() - key_.size();
    if (start > 0 && site[start - 1] != '.') return false;
    return std::equal(key_.begin(), key_.end(), site.begin() + static_cast<std::ptrdiff_t>(start),
                      [](char wanted, char c) { return wanted == '.' || wanted == c; });
  }

  void spend(std::uint64_t steps, std::uint64_t& budget) const {
    detail::expect<FormatError>(steps <= budget, "pattern ", detail::in_quotes(key_),
                                ": matching takes too many steps");
    budget -= steps;
  }

  std::string key_;
  std::optional<detail::BoundedRegex> regex_;  // where the key is not plain
};

/// For every site the number of the first key that matches it; nothing where none does.
/// @throws FormatError  as SitePattern, or where all together would take more than some seconds
/// Cost: keys times sites, about 2 ns each for plain keys; memory for one key's program at a time.
[[nodiscard]] inline std::vector<std::optional<std::size_t>> first_matches(
    std::span<const std::string> keys, std::span<const std::string> sites) {
  std::vector<std::optional<std::size_t>> found(sites.size());
  if (keys.empty()) return found;
  std::vector<std::size_t> open(sites.size());  // those without a match yet
  for (std::size_t i = 0; i < sites.size(); ++i) {
    SitePattern::expect_site(sites[i]);
    open[i] = i;
  }
  std::uint64_t budget = SitePattern::max_steps;
  for (std::size_t k = 0; k < keys.size() && !open.empty(); ++k) {
    const SitePattern pattern(keys[k]);
    pattern.spend(100 * pattern.size(), budget);
    std::erase_if(open, [&](std::size_t site) {
      if (!pattern.matches(sites[site], budget)) return false;
      found[site] = k;
      return true;
    });
  }
  return found;
}

}  // namespace anyssr::inline ANYSSR_ABI
