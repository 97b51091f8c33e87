// SPDX-License-Identifier: MIT
#include "anyssr/core/processors.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>

#ifdef __linux__
#include <sched.h>
#endif

#include "support/catch.hpp"

using namespace anyssr;
using namespace anyssr::test;
namespace fs = std::filesystem;

namespace {

/// A folder that stands for "/", removed at the end.
class StatedRoot {
 public:
  StatedRoot() {
    std::string pattern = (fs::temp_directory_path() / "anyssr-root-XXXXXX").string();
    REQUIRE(mkdtemp(pattern.data()) != nullptr);
    folder_ = pattern;
  }
  StatedRoot(const StatedRoot&) = delete;
  StatedRoot& operator=(const StatedRoot&) = delete;
  ~StatedRoot() { fs::remove_all(folder_); }

  StatedRoot& file(const fs::path& name, const std::string& text) {
    fs::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name) << text;
    return *this;
  }
  [[nodiscard]] double quota() const { return detail::cpu_quota(folder_); }

 private:
  fs::path folder_;
};

const std::string unified =
    "22 1 0:1 / / rw - ext4 /dev/root rw\n"
    "30 22 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";

constexpr double none = std::numeric_limits<double>::max();

}  // namespace

TEST_CASE("a quota of version 2 is that of the group and of all groups above it", "[core]") {
  StatedRoot root;
  root.file("proc/self/mountinfo", unified).file("proc/self/cgroup", "0::/a.slice/b.service\n");
  CHECK(root.quota() == none);  // no file tells
  root.file("sys/fs/cgroup/a.slice/b.service/cpu.max", "max 100000\n");
  CHECK(root.quota() == none);
  root.file("sys/fs/cgroup/a.slice/cpu.max", "350000 100000\n");
  CHECK(root.quota() == 3.5);
  root.file("sys/fs/cgroup/a.slice/b.service/cpu.max", "50000 100000\n");
  CHECK(root.quota() == 0.5);
}

TEST_CASE("a container sees its quota at the top of its own mount", "[core]") {
  StatedRoot own_namespace;
  own_namespace.file("proc/self/mountinfo", unified)
      .file("proc/self/cgroup", "0::/\n")
      .file("sys/fs/cgroup/cpu.max", "200000 100000\n");
  CHECK(own_namespace.quota() == 2);
  StatedRoot host_namespace;  // the mount's root is the container's group
  host_namespace
      .file("proc/self/mountinfo",
            "30 22 0:26 /docker/f00 /sys/fs/cgroup ro - cgroup cgroup rw,cpuacct,cpu\n")
      .file("proc/self/cgroup", "4:cpuacct,cpu:/docker/f00\n1:name=systemd:/docker/f00\n")
      .file("sys/fs/cgroup/cpu.cfs_quota_us", "150000\n")
      .file("sys/fs/cgroup/cpu.cfs_period_us", "100000\n");
  CHECK(host_namespace.quota() == 1.5);
  host_namespace.file("proc/self/cgroup", "4:cpuacct,cpu:/docker/f00d\n");  // another group's
  CHECK(host_namespace.quota() == none);
}

TEST_CASE("a quota of version 1 is read where the cpu controller is mounted", "[core]") {
  StatedRoot root;
  root.file("proc/self/mountinfo",
            "31 30 0:28 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
            "33 30 0:30 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n")
      .file("proc/self/cgroup", "3:cpuset:/jobs\n1:cpu,cpuacct:/jobs/7\n0::/\n")
      .file("sys/fs/cgroup/cpu,cpuacct/jobs/7/cpu.cfs_quota_us", "-1\n")
      .file("sys/fs/cgroup/cpu,cpuacct/jobs/7/cpu.cfs_period_us", "100000\n")
      .file("sys/fs/cgroup/cpuset/jobs/cpu.cfs_quota_us", "1000\n");
  CHECK(root.quota() == none);
  root.file("sys/fs/cgroup/cpu,cpuacct/jobs/cpu.cfs_quota_us", "400000\n")
      .file("sys/fs/cgroup/cpu,cpuacct/jobs/cpu.cfs_period_us", "100000\n");
  CHECK(root.quota() == 4);
}

TEST_CASE("files that hold no quota mean none", "[core][error]") {
  CHECK(StatedRoot().quota() == none);
  const std::string text =
      GENERATE("", "\n", "max", "100000", "0 100000", "100000 0", "-5 100000", "x y", "1 2 3");
  CAPTURE(text);
  StatedRoot root;
  root.file("proc/self/mountinfo", unified + "\n30 - cgroup2\n- \n")
      .file("proc/self/cgroup", "0::/g\nnothing\n::\n")
      .file("sys/fs/cgroup/g/cpu.max", text);
  CHECK(root.quota() == none);
}

TEST_CASE("a quota is rounded up to whole cores and at least one", "[core]") {
  CHECK(detail::usable_processors(8, none) == 8);
  CHECK(detail::usable_processors(8, 2.1) == 3);
  CHECK(detail::usable_processors(8, 2) == 2);
  CHECK(detail::usable_processors(8, 0.05) == 1);
  CHECK(detail::usable_processors(2, 7) == 2);
}

#ifdef __linux__
TEST_CASE("the affinity mask bounds the cores of this process", "[core]") {
  cpu_set_t before;
  REQUIRE(sched_getaffinity(0, sizeof(before), &before) == 0);
  int first = 0;
  while (!CPU_ISSET(first, &before)) ++first;
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(first, &one);
  REQUIRE(sched_setaffinity(0, sizeof(one), &one) == 0);
  const int cores = detail::cores_in_mask();
  REQUIRE(sched_setaffinity(0, sizeof(before), &before) == 0);
  CHECK(cores == 1);
  CHECK(detail::cores_in_mask() == CPU_COUNT(&before));
}
#endif
