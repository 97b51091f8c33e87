// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// What the methods of `cl_benchmark` can be tuned by. The defaults were chosen on validation rows
/// (--measure val) of the long order of the CL benchmark: README of the results says what was tried.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace cl_benchmark {

struct MethodSettings {
  std::int64_t dim = 8192;  ///< buckets of the hashed features
  bool word_pairs = false;  ///< whether unordered pairs of words are features too
  double ridge = 0.3;       ///< of the router, absolute
  std::uint64_t seed = 0;
  int threads = 0;
  std::map<std::string, double> tuned = {};  ///< by --tune, over those of `tunable_settings`

  /// @throws std::out_of_range  for an unknown name
  [[nodiscard]] double operator[](std::string_view name) const;
};

struct TunableSetting {
  double value;  ///< default
  double least;
  double most;
  std::string_view meaning;
};

/// By name, in the order of names.
[[nodiscard]] const std::map<std::string, TunableSetting, std::less<>>& tunable_settings();

/// Takes "name=value".
/// @throws anyssr::ArgumentError  for another form, an unknown name, or a value out of range
void tune(MethodSettings& settings, const std::string& text);

}  // namespace cl_benchmark
