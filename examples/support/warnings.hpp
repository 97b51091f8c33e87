// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// How every program warns.

#include <cstdio>
#include <string>
#include <vector>

#include "support/findings.hpp"
#include "support/shown.hpp"

namespace support {

/// Prints "PROGRAM: warning: TEXT" on a line of standard error, whatever the names in it are; a
/// WarningSink.
class Warner {
 public:
  explicit constexpr Warner(const char* program) noexcept : program_(program) {}

  void operator()(const std::string& warning) const {
    std::fprintf(stderr, "%s: warning: %s\n", program_, shown(warning).c_str());
  }
  void operator()(const std::vector<std::string>& warnings) const {
    for (const std::string& warning : warnings) (*this)(warning);
  }
  void operator()(const Findings& warnings) const {
    (*this)(warnings.kept());
    if (warnings.count() <= Findings::most) return;
    (*this)("and " + std::to_string(warnings.count() - Findings::most) + " more");
  }

 private:
  const char* program_;
};

}  // namespace support
