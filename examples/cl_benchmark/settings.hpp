// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// What the methods of `cl_benchmark` can be tuned by. The defaults were chosen on validation rows
/// (--measure val) of the long order of the CL benchmark, average accuracy there in brackets:
///
///   ewc              10 (0.149), 100 (0.152), 1e3 (0.142), 1e4 (0.068)
///   l2               1e-4 (0.144), 1e-3 (0.145), 0.01 (0.146), 0.1 (0.097)
///   o_lora           0.5 (0.143), which is the published one, 0 (0.150), 50 (0.143)
///   at 2048 buckets: mahalanobis 0.001 (0.580), 0.1 (0.581), 0.3 (0.583), 0.6 (0.586), 0.9 (0.582);
///   knn 1 (0.452), 3 (0.463), 5 (0.466), 10 (0.459), 20 (0.441); softmax_rate 0.01 to 100 (0.157 all);
///   published_ridge 0.01 to 1 (0.561 to 0.562, with ReLU 0.558 to 0.562); ridge of anyssr 0.3
///   (0.567, balanced 0.580), 1 (0.565, 0.582)
///
/// One adapter that is trained among the answers of the task alone, the others left out of the
/// softmax, fell from 0.150 to 0.087. Pairs of words as features cost anyssr 0.3 points, joint and
/// replay 2 to 3.

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
