// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// What a check of data found: all of it in one message, so that nobody mends a file line by line.

#include <anyssr/core/error.hpp>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace support {

/// Faults or warnings, each "file:line: what is wrong". The first 20 are kept, the others counted.
class Findings {
 public:
  static constexpr std::size_t most = 20;

  void add(std::string finding) {
    ++count_;
    if (kept_.size() < most) kept_.push_back(std::move(finding));
  }
  [[nodiscard]] bool empty() const noexcept { return count_ == 0; }
  [[nodiscard]] std::size_t count() const noexcept { return count_; }
  /// The first of them.
  [[nodiscard]] const std::vector<std::string>& kept() const noexcept { return kept_; }

  /// One is the message itself; of several each has a line of its own, and "and 5 more" the last.
  [[nodiscard]] std::string text() const {
    if (count_ == 1) return kept_.front();
    std::string text = std::to_string(count_) + " faults:";
    for (const std::string& finding : kept_) text += "\n  " + finding;
    if (count_ > most) text += "\n  and " + std::to_string(count_ - most) + " more";
    return text;
  }

  /// @throws E  with all of them, where there are any
  template <class E = anyssr::FormatError>
  void throw_if_any() const {
    if (!empty()) throw E(text());
  }

 private:
  std::vector<std::string> kept_;
  std::size_t count_ = 0;
};

}  // namespace support
