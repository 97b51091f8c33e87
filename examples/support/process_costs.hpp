// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// What this process has cost so far. Linux.

#include <sys/resource.h>

#include <cstddef>
#include <fstream>
#include <string>

namespace support {

/// Of all threads, in user and in system mode.
[[nodiscard]] inline double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

/// The most memory in use since it was made; since the start of the process where the kernel does
/// not let a process forget its peak.
class PeakMemory {
 public:
  PeakMemory() { std::ofstream("/proc/self/clear_refs") << '5'; }

  [[nodiscard]] std::size_t bytes() const {
    std::ifstream status("/proc/self/status");
    for (std::string word; status >> word;) {
      std::size_t kibibytes = 0;
      if (word == "VmHWM:" && status >> kibibytes) return 1024 * kibibytes;
    }
    return 0;
  }
};

}  // namespace support
