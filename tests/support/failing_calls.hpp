// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The system calls that write files, in the hands of a test: this header puts functions in the
/// place of the C library's for the whole executable, so one translation unit alone includes it (a
/// room is one). They do what
/// the C library does until a test arms them; then each call is logged, and the chosen one fails or
/// writes a part only.

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define ANYSSR_TEST_NO_FAILING_CALLS  // its runtime must see these calls
#endif
#endif
#if !defined(__linux__) || !defined(__GLIBC__) || defined(__SANITIZE_THREAD__)
#define ANYSSR_TEST_NO_FAILING_CALLS
#endif

namespace anyssr::test {

#if defined(ANYSSR_TEST_NO_FAILING_CALLS)
inline constexpr bool calls_can_fail = false;
#else
inline constexpr bool calls_can_fail = true;
#endif

/// A call of a watched function.
struct WatchedCall {
  std::string function;
  std::string path;
  std::string target = {};  ///< of a rename
  bool is_folder = false;   ///< that path
};

/// What is to happen to the calls of the thread that arms them.
struct CallPlan {
  std::size_t position = static_cast<std::size_t>(-1);  ///< the call that fails, from 0
  int error = 0;                                        ///< its errno; 0: none fails
  bool goes_on = false;        ///< every later call of that function fails as well
  std::size_t most_bytes = 0;  ///< that a write takes at that position, or with goes_on any; 0: all
  std::string lacking = {};    ///< every call of this function fails with `error`; "lock" is both
                               ///< flock and fcntl
  bool is_folder = false;      ///< only those of folders
  unsigned read_microseconds = 0;  ///< each pread takes so long, as on a slow disk
};

namespace detail_calls {

struct Watch {
  bool is_armed = false;
  CallPlan plan;
  std::vector<WatchedCall> log;
};
inline Watch watch;

inline std::string path_of(int file) {
  std::array<char, 4096> path{};
  const std::string link = "/proc/self/fd/" + std::to_string(file);
  const ssize_t size = ::readlink(link.c_str(), path.data(), path.size());
  return {path.data(), size > 0 ? static_cast<std::size_t>(size) : 0};
}

/// Logs a call. Whether it is one that the plan is about.
inline bool is_chosen(std::string_view function, std::string path, std::string target = {}) {
  watch.is_armed = false;  // logging calls no watched function, but for safety
  std::error_code ignored;
  const bool is_folder = std::filesystem::is_directory(path, ignored);
  const std::size_t position = watch.log.size();
  watch.log.push_back({std::string(function), std::move(path), std::move(target), is_folder});
  watch.is_armed = true;
  if (!watch.plan.lacking.empty()) {
    const bool is_lock = function == "flock" || function == "fcntl";
    const bool is_meant = watch.plan.lacking == "lock" ? is_lock : watch.plan.lacking == function;
    return is_meant && (is_folder || !watch.plan.is_folder);
  }
  if (position == watch.plan.position) return true;
  return watch.plan.goes_on && position > watch.plan.position &&
         watch.log[watch.plan.position].function == function;
}

/// Whether a call is to fail, with errno set then.
inline bool fails(std::string_view function, std::string path, std::string target = {}) {
  if (!is_chosen(function, std::move(path), std::move(target)) || watch.plan.error == 0) {
    return false;
  }
  errno = watch.plan.error;
  return true;
}

}  // namespace detail_calls

/// Arms the calls for as long as it lives.
class ArmedCalls {
 public:
  explicit ArmedCalls(const CallPlan& plan = {}) {
    detail_calls::watch = {.is_armed = true, .plan = plan, .log = {}};
  }
  ArmedCalls(const ArmedCalls&) = delete;
  ArmedCalls& operator=(const ArmedCalls&) = delete;
  ~ArmedCalls() { detail_calls::watch.is_armed = false; }
  [[nodiscard]] static const std::vector<WatchedCall>& log() { return detail_calls::watch.log; }
};

}  // namespace anyssr::test

#if !defined(ANYSSR_TEST_NO_FAILING_CALLS)
extern "C" {

int open(const char* path, int flags, ...) {
  using namespace anyssr::test::detail_calls;
  mode_t mode = 0;
  if ((flags & O_CREAT) != 0) {
    va_list more;
    va_start(more, flags);
    mode = va_arg(more, mode_t);
    va_end(more);
  }
  if (watch.is_armed && fails("open", path)) return -1;
  return static_cast<int>(::syscall(SYS_openat, AT_FDCWD, path, flags, mode));
}

int close(int file) {
  using namespace anyssr::test::detail_calls;
  const bool is_to_fail = watch.is_armed && fails("close", path_of(file));
  const int reason = errno;
  const auto result = static_cast<int>(::syscall(SYS_close, file));  // closed all the same
  if (!is_to_fail) return result;
  errno = reason;
  return -1;
}

ssize_t write(int file, const void* bytes, std::size_t size) {
  using namespace anyssr::test::detail_calls;
  if (watch.is_armed && is_chosen("write", path_of(file))) {
    if (watch.plan.error != 0) {
      errno = watch.plan.error;
      return -1;
    }
    if (watch.plan.most_bytes != 0 && watch.plan.most_bytes < size) size = watch.plan.most_bytes;
  }
  return ::syscall(SYS_write, file, bytes, size);
}

ssize_t pwrite(int file, const void* bytes, std::size_t size, off_t offset) {
  using namespace anyssr::test::detail_calls;
  if (watch.is_armed && fails("pwrite", path_of(file))) return -1;
  return ::syscall(SYS_pwrite64, file, bytes, size, offset);
}

ssize_t pread(int file, void* bytes, std::size_t size, off_t offset) {
  using namespace anyssr::test::detail_calls;
  if (watch.is_armed && fails("pread", path_of(file))) return -1;
  if (watch.is_armed && watch.plan.read_microseconds > 0) ::usleep(watch.plan.read_microseconds);
  return ::syscall(SYS_pread64, file, bytes, size, offset);
}

int fsync(int file) {
  using namespace anyssr::test::detail_calls;
  if (watch.is_armed && fails("fsync", path_of(file))) return -1;
  return static_cast<int>(::syscall(SYS_fsync, file));
}

int ftruncate(int file, off_t size) noexcept {
  using namespace anyssr::test::detail_calls;
  if (watch.is_armed && fails("ftruncate", path_of(file))) return -1;
  return static_cast<int>(::syscall(SYS_ftruncate, file, size));
}

int flock(int file, int operation) noexcept {
  using namespace anyssr::test::detail_calls;
  if (watch.is_armed && fails("flock", path_of(file))) return -1;
  return static_cast<int>(::syscall(SYS_flock, file, operation));
}

int fcntl(int file, int command, ...) {
  using namespace anyssr::test::detail_calls;
  va_list more;
  va_start(more, command);
  void* const argument = va_arg(more, void*);  // an int comes the same way
  va_end(more);
  if (watch.is_armed && fails("fcntl", path_of(file))) return -1;
  return static_cast<int>(::syscall(SYS_fcntl, file, command, argument));
}

int rename(const char* from, const char* to) noexcept {
  using namespace anyssr::test::detail_calls;
  if (watch.is_armed && fails("rename", from, to)) return -1;
  return static_cast<int>(::syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0));
}

int mkdir(const char* path, mode_t mode) noexcept {
  using namespace anyssr::test::detail_calls;
  if (watch.is_armed && fails("mkdir", path)) return -1;
  return static_cast<int>(::syscall(SYS_mkdirat, AT_FDCWD, path, mode));
}

int remove(const char* path) noexcept {
  using namespace anyssr::test::detail_calls;
  if (watch.is_armed && fails("remove", path)) return -1;
  const auto result = static_cast<int>(::syscall(SYS_unlinkat, AT_FDCWD, path, 0));
  if (result == 0 || errno != EISDIR) return result;
  return static_cast<int>(::syscall(SYS_unlinkat, AT_FDCWD, path, AT_REMOVEDIR));
}

int unlinkat(int folder, const char* path, int flags) noexcept {
  using namespace anyssr::test::detail_calls;
  if (watch.is_armed && fails("unlinkat", path)) return -1;
  return static_cast<int>(::syscall(SYS_unlinkat, folder, path, flags));
}

void* mmap(void* start, std::size_t size, int access, int flags, int file, off_t offset) noexcept {
  using namespace anyssr::test::detail_calls;
  if (watch.is_armed && watch.plan.lacking == "mmap" && file >= 0) {  // not memory's own calls
    errno = watch.plan.error;
    return MAP_FAILED;
  }
  // as an integer, since a failure is -1 here too
  return reinterpret_cast<void*>(::syscall(SYS_mmap, start, size, access, flags, file, offset));
}

dirent* readdir(DIR* folder) {
  using namespace anyssr::test::detail_calls;
  static const auto next = reinterpret_cast<dirent* (*)(DIR*)>(::dlsym(RTLD_NEXT, "readdir"));
  const int before = errno;  // tells an end from an error
  if (watch.is_armed && fails("readdir", path_of(::dirfd(folder)))) return nullptr;
  errno = before;
  return next(folder);
}

}  // extern "C"
#endif
