// SPDX-License-Identifier: MIT
// Files that are opened, locked and brought to the disk where something is missing: standard
// descriptors, or calls of the file system.
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <string>

#include "anyssr/io/atomic_file.hpp"
#include "anyssr/io/audit_log.hpp"
#include "anyssr/io/audit_verification.hpp"
#include "anyssr/io/file_lock.hpp"
#include "anyssr/io/mapped_file.hpp"
#include "support/audit_folder.hpp"
#include "support/catch.hpp"
#include "support/failing_calls.hpp"
#include "support/file_bytes.hpp"

using namespace anyssr;
using namespace anyssr::test;
namespace fs = std::filesystem;

namespace {

/// Runs an action in a process with no standard descriptor that prints after each of its steps.
/// @return whether it came to its end
bool run_without_descriptors(const std::function<void(const std::function<void()>&)>& action) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {  // no test macros here
    for (const int number : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) ::close(number);
    const auto print = [] {
      for (const int number : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
        (void)!::write(number, "printed", 7);
      }
    };
    try {
      action(print);
    } catch (const std::exception&) {
      ::_exit(1);
    }
    ::_exit(0);
  }
  int status = -1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace

TEST_CASE("what a program prints comes into no file of ours", "[io]") {
  const TemporaryFolder folder;
  const std::string file = folder.file("file");
  const std::string log = folder.file("log");
  CHECK(run_without_descriptors([&](const auto& print) {
    AtomicFile atomic(file);
    print();
    atomic.write("text");
    print();
    atomic.commit();
    const AuditLog audit(log);
    print();
    audit.append(sample_route());
    print();
    audit.sync();
  }));
  CHECK(file_bytes(file) == "text");
  CHECK(verify_audit_log(log).ok());
  CHECK(verify_audit_log(log).torn_lines == 0);
  CHECK(file_bytes(log + "/audit.lock").find("printed") == std::string::npos);
}

TEST_CASE("a file is never opened as a standard descriptor", "[io]") {
  const TemporaryFolder folder;
  const std::string file = folder.write("file", "text");
  CHECK(run_without_descriptors([&](const auto& /*print*/) {
    const detail::FileDescriptor opened = detail::open_file(file, O_RDONLY);
    const bool is_above = opened.number() > STDERR_FILENO;
    const bool is_closed_on_exec = (::fcntl(opened.number(), F_GETFD) & FD_CLOEXEC) != 0;
    if (!is_above || !is_closed_on_exec || ::fcntl(STDIN_FILENO, F_GETFD) >= 0) ::_exit(2);
  }));
}

TEST_CASE("no two temporary names are alike", "[io]") {
  const std::string name = detail::temporary_name("folder");
  CHECK(name.size() == 21);
  CHECK(name.starts_with(".tmp-"));
  CHECK(name != detail::temporary_name("folder"));
}

TEST_CASE("a file is replaced on a file system without fsync and says so", "[io]") {
  if (!calls_can_fail) return;
  const TemporaryFolder folder;
  const std::string path = folder.write("file", "old");
  for (const int error : {EINVAL, ENOSYS, ENOTSUP, EOPNOTSUPP}) {
    CAPTURE(error);
    AtomicFile file(path);
    file.write("new");
    const ArmedCalls armed({.error = error, .lacking = "fsync"});
    file.commit();
    CHECK_FALSE(file.is_durable());
  }
  AtomicFile file(path);
  file.commit();
  CHECK(file.is_durable());
}

TEST_CASE("a log on a file system without locks and fsync is written and warns", "[io]") {
  if (!calls_can_fail) return;
  const AuditFolder folder;
  {
    const ArmedCalls armed({.error = EOPNOTSUPP, .lacking = "lock"});
    CHECK(folder.open().warnings() ==
          std::vector<std::string>{std::string(detail::no_lock_warning)});
  }
  {
    const ArmedCalls armed({.error = ENOSYS, .lacking = "flock"});
    CHECK(folder.open().warnings().empty());  // fcntl has locked it
  }
  const AuditLog log = folder.open({.fsync_every_line = true});
  const ArmedCalls armed({.error = EOPNOTSUPP, .lacking = "fsync"});
  CHECK(log.append(sample_route()));
  log.sync();
  CHECK(log.failed_writes() == 0);
  CHECK(log.warnings() == std::vector<std::string>{std::string(detail::no_sync_warning)});
}

TEST_CASE("one lock keeps another away by either way of locking", "[io][error]") {
  if (!calls_can_fail) return;
  const TemporaryFolder folder;
  const std::string path = folder.file("lock");
  for (const std::string lacking : {"none", "flock"}) {
    CAPTURE(lacking);
    const ArmedCalls armed({.error = ENOSYS, .lacking = lacking});
    detail::FileLock first(path);
    detail::FileLock second(path);
    CHECK(first.take());
    CHECK(first.is_real());
    CHECK_FALSE(second.take());
    first.write_text("held\n");
    CHECK(second.text() == "held");
    CHECK(first.is_in_place());
    fs::remove(path);
    CHECK_FALSE(first.is_in_place());
  }
}

TEST_CASE("a file that no system maps is read into memory", "[io]") {
  if (!calls_can_fail) return;
  const TemporaryFolder folder;
  const std::string path = folder.write("file", "some text");
  for (const int error : {ENODEV, ENOSYS, EOPNOTSUPP}) {
    CAPTURE(error);
    const ArmedCalls armed({.error = error, .lacking = "mmap"});
    MappedFile file(path);
    MappedFile moved = std::move(file);
    std::string text(4, '\0');
    moved.read(5, std::as_writable_bytes(std::span(text)));
    CHECK(text == "text");
    CHECK(moved.size() == 9);
  }
  const ArmedCalls armed({.error = EACCES, .lacking = "mmap"});
  CHECK(message_of<FileError>([&] { const MappedFile file(path); }) ==
        path + ": cannot be mapped: Permission denied");
}
