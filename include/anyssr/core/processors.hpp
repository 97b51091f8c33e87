// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// How many cores this process may use: those of its affinity mask (taskset, a container's cpuset),
/// at most its CPU quota (docker --cpus, a systemd CPUQuota, a limit of Kubernetes), rounded up:
///
///   min(cores in the mask, max(1, ceil(quota / period)))
///
/// A thread beyond that only waits for the others. Quotas are those of the process's control group
/// and of all groups above it, versions 1 and 2 (Linux, Documentation/admin-guide/cgroup-v2.rst and
/// scheduler/sched-bwc.rst).

#include <algorithm>
#include <cmath>
#include <exception>
#include <filesystem>
#include <fstream>
#include <limits>
#include <locale>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#ifdef __linux__
#include <sched.h>
#include <unistd.h>
#endif

#include "anyssr/core/abi.hpp"

namespace anyssr::inline ANYSSR_ABI {

namespace detail {

/// A mounted hierarchy of control groups.
struct GroupMount {
  std::string root;   // the group that stands at `point`
  std::string point;  // its folder
  bool is_version_2 = false;
};

[[nodiscard]] inline std::vector<std::string> split_text(std::string_view text, char separator) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == separator) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

[[nodiscard]] inline bool lists_cpu(std::string_view controllers) {
  const std::vector<std::string> names = split_text(controllers, ',');
  return std::find(names.begin(), names.end(), "cpu") != names.end();
}

/// The mounts that may hold CPU quotas, from lines of /proc/self/mountinfo:
/// "36 35 98:0 /root /point options optional... - type source super,options".
[[nodiscard]] inline std::vector<GroupMount> group_mounts(std::istream& mountinfo) {
  std::vector<GroupMount> mounts;
  for (std::string line; std::getline(mountinfo, line);) {
    const std::vector<std::string> words = split_text(line, ' ');
    const auto dash = std::find(words.begin(), words.end(), "-");
    if (words.size() < 6 || words.end() - dash < 4) continue;
    const bool is_version_2 = dash[1] == "cgroup2";
    if (is_version_2 || (dash[1] == "cgroup" && lists_cpu(dash[3]))) {
      mounts.push_back({words[3], words[4], is_version_2});
    }
  }
  return mounts;
}

/// A file's words; none where it cannot be read.
[[nodiscard]] inline std::vector<std::string> words_of(const std::filesystem::path& file) {
  std::ifstream stream(file);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

/// A number in the C locale; -1 for any other text ("max").
[[nodiscard]] inline double number_in(const std::string& word) {
  std::istringstream stream(word);
  stream.imbue(std::locale::classic());
  double number = 0;
  return stream >> number ? number : -1;
}

/// Cores that one group's quota is worth; the largest double without one.
[[nodiscard]] inline double group_quota(const std::filesystem::path& folder, bool is_version_2) {
  std::vector<std::string> words;
  if (is_version_2) {
    words = words_of(folder / "cpu.max");  // "quota period" or "max period"
  } else {
    words = words_of(folder / "cpu.cfs_quota_us");  // -1 without one
    const std::vector<std::string> period = words_of(folder / "cpu.cfs_period_us");
    words.insert(words.end(), period.begin(), period.end());
  }
  if (words.size() != 2) return std::numeric_limits<double>::max();
  const double quota = number_in(words[0]);
  const double period = number_in(words[1]);
  return quota > 0 && period > 0 ? quota / period : std::numeric_limits<double>::max();
}

/// Whether a mount that shows the group `root` at its top shows `group`: a root of "/" or "/.." is
/// that of a namespace.
[[nodiscard]] inline bool is_ours(const std::string& root, const std::string& group) {
  return root == "/" || root.starts_with("/..") || group == root || group.starts_with(root + "/");
}

/// Where `group` stands below the group `root`; empty where it does not (another namespace's).
[[nodiscard]] inline std::filesystem::path path_below(const std::string& root,
                                                      const std::string& group) {
  const std::string start = root == "/" ? root : root + "/";
  return group.starts_with(start) ? group.substr(start.size()) : std::string();
}

/// Cores that the quotas of this process's groups are worth.
/// @param root  the folder that /proc and the mounts stand in: "/" but for tests
[[nodiscard]] inline double cpu_quota(const std::filesystem::path& root) {
  double least = std::numeric_limits<double>::max();
  std::ifstream mountinfo(root / "proc/self/mountinfo");
  const std::vector<GroupMount> mounts = group_mounts(mountinfo);
  std::ifstream groups(root / "proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {  // "number:controllers:/group"
    const std::vector<std::string> parts = split_text(line, ':');
    if (parts.size() < 3) continue;
    const std::string group = line.substr(parts[0].size() + parts[1].size() + 2);
    const bool is_version_2 = parts[1].empty();
    if (!is_version_2 && !lists_cpu(parts[1])) continue;
    for (const GroupMount& mount : mounts) {
      if (mount.is_version_2 != is_version_2 || !is_ours(mount.root, group)) continue;
      const std::filesystem::path top = root / mount.point.substr(1);
      for (std::filesystem::path below = path_below(mount.root, group);;
           below = below.parent_path()) {
        least = std::min(least, group_quota(top / below, is_version_2));
        if (below.empty()) break;
      }
    }
  }
  return least;
}

/// Cores in the affinity mask of the main thread: this one may be pinned to a core of its own.
[[nodiscard]] inline int cores_in_mask() {
#ifdef __linux__
  for (int cores = 1024; cores <= 1 << 20; cores *= 4) {  // the kernel refuses too small a set
    cpu_set_t* const set = CPU_ALLOC(static_cast<std::size_t>(cores));
    if (set == nullptr) break;
    const std::size_t bytes = CPU_ALLOC_SIZE(static_cast<std::size_t>(cores));
    const bool known = sched_getaffinity(getpid(), bytes, set) == 0;
    const int count = known ? CPU_COUNT_S(bytes, set) : 0;
    CPU_FREE(set);
    if (known) return std::max(1, count);
  }
#endif
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

[[nodiscard]] inline int usable_processors(int cores, double quota) noexcept {
  return quota >= cores ? cores : std::max(1, static_cast<int>(std::ceil(quota)));
}

}  // namespace detail

/// Cores that this process may use, at least 1, as they were at the first call.
[[nodiscard]] inline int usable_processors() {
  static const int count = [] {
    const int cores = detail::cores_in_mask();
    try {
      return detail::usable_processors(cores, detail::cpu_quota("/"));
    } catch (const std::exception&) {  // out of memory: no reason to fail here
      return cores;
    }
  }();
  return count;
}

}  // namespace anyssr::inline ANYSSR_ABI
