// SPDX-License-Identifier: MIT
// What an audit log does where the system refuses a call.
#include <sys/resource.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>
#include <string>
#include <vector>

#include "anyssr/io/audit_log.hpp"
#include "anyssr/io/audit_verification.hpp"
#include "support/audit_folder.hpp"
#include "support/catch.hpp"
#include "support/failing_calls.hpp"

using namespace anyssr;
using namespace anyssr::test;

namespace {

/// Paths of the calls of one function, in their order.
std::vector<std::string> audit_calls_of(const std::string& function) {
  std::vector<std::string> paths;
  for (const WatchedCall& call : ArmedCalls::log()) {
    if (call.function == function) paths.push_back(call.path);
  }
  return paths;
}

}  // namespace

TEST_CASE("a line is one write and no fsync", "[io]") {
  if (!calls_can_fail) return;
  const AuditFolder folder;
  const AuditLog log = folder.open();
  const ArmedCalls calls;
  log.append(sample_route());
  log.append(sample_route());
  REQUIRE(ArmedCalls::log().size() == 2);
  CHECK(audit_calls_of("write") == std::vector<std::string>(2, folder.file()));
}

TEST_CASE("a line is brought to the disk where that is asked for", "[io]") {
  if (!calls_can_fail) return;
  const AuditFolder folder;
  const AuditLog log = folder.open({.fsync_every_line = true});
  const ArmedCalls calls;
  log.append(sample_route());
  log.append(sample_route());
  // the folder once: its new name
  CHECK(audit_calls_of("fsync") ==
        std::vector<std::string>{folder.file(), folder.path(), folder.file()});
}

TEST_CASE("sync brings every file since the last one to the disk", "[io]") {
  if (!calls_can_fail) return;
  const AuditFolder folder;
  const AuditLog log = folder.open({.max_file_bytes = 1});
  for (int i = 0; i < 3; ++i) log.append(sample_route());
  {
    const ArmedCalls calls;
    log.sync();
    CHECK(audit_calls_of("fsync") ==
          std::vector<std::string>{folder.file(), folder.file("000002.jsonl"),
                                   folder.file("000003.jsonl"), folder.path()});
  }
  const ArmedCalls calls;
  log.sync();
  CHECK(audit_calls_of("fsync") == std::vector<std::string>{folder.file("000003.jsonl")});
}

TEST_CASE("a sync that fails says so", "[io][error]") {
  if (!calls_can_fail) return;
  const AuditFolder folder;
  const AuditLog log = folder.open();
  const ArmedCalls calls({.position = 0, .error = EIO});
  CHECK(message_of<FileError>([&] { log.sync(); }) ==
        folder.file() + ": cannot be written to the disk: Input/output error");
}

TEST_CASE("a line that the disk does not take is counted and its number used again",
          "[io][error]") {
  if (!calls_can_fail) return;
  const AuditFolder folder;
  const AuditLog log = folder.open();
  log.append(sample_route(1));
  const std::string head = log.head();
  {
    const ArmedCalls calls({.position = 0, .error = ENOSPC, .goes_on = true});
    CHECK_FALSE(log.append(sample_route(2)));
    CHECK_NOTHROW(log(AuditEvent(sample_route(3))));
  }
  CHECK(log.failed_writes() == 2);
  CHECK(log.last_error() == folder.file() + ": cannot be written: No space left on device");
  CHECK(log.head() == head);
  CHECK(log.append(sample_route(4)));
  const AuditVerification found = verify_audit_log(folder.path(), log.head());
  CHECK(found.ok());
  CHECK(found.lines == 2);
  CHECK(found.torn_lines == 0);
  CHECK(log.failed_writes() == 2);
}

TEST_CASE("a line that is written in part is torn and the log goes on", "[io][error]") {
  if (!calls_can_fail) return;
  const std::size_t taken = GENERATE(1U, 2U, 20U, 200U);
  CAPTURE(taken);
  const AuditFolder folder;
  const AuditLog log = folder.open({.max_file_bytes = 1});
  log.append(sample_route(1));
  std::string first_error;
  {
    // the second line opens a file: open, close of the old one, write; later ones write alone
    const ArmedCalls calls({.position = 2, .goes_on = true, .most_bytes = taken});
    CHECK_FALSE(log.append(sample_route(2)));
    first_error = log.last_error();
    CHECK_FALSE(log.append(sample_route(3)));  // also its \n before
    CHECK_FALSE(log.append(sample_route(4)));
  }
  CHECK(first_error.starts_with(folder.file("000002.jsonl") + ": took " + std::to_string(taken) +
                                " of "));
  CHECK(contains(first_error, "expected to take a whole line: is the disk full?"));
  CHECK(log.failed_writes() == 3);
  CHECK(log.append(sample_route(5)));
  const AuditVerification found = verify_audit_log(folder.path(), log.head());
  CHECK(found.ok());
  CHECK(found.lines == 2);
  CHECK(found.last_seq == 2);
  CHECK(found.torn_lines == (taken == 1 ? 2 : 3));
}

TEST_CASE("a line that lacks its end alone counts and gets it with the next", "[io]") {
  if (!calls_can_fail) return;
  const AuditFolder folder;
  const AuditLog log = folder.open();
  log.append(sample_route(1));
  const std::size_t bytes = folder.bytes().size();
  {
    const ArmedCalls calls({.position = 0, .most_bytes = bytes - 1});
    CHECK(log.append(sample_route(2)));
  }
  CHECK(folder.bytes().size() == 2 * bytes - 1);
  CHECK(log.failed_writes() == 0);
  CHECK(verify_audit_log(folder.path(), log.head()).ok());  // known by its digest already
  CHECK(verify_audit_log(folder.path()).torn_lines == 1);
  log.append(sample_route(3));
  CHECK(verify_audit_log(folder.path(), log.head()).lines == 3);
  CHECK(verify_audit_log(folder.path()).torn_lines == 0);
}

TEST_CASE("a line that fsync fails for is counted and stays in the log", "[io][error]") {
  if (!calls_can_fail) return;
  const AuditFolder folder;
  const AuditLog log = folder.open({.fsync_every_line = true});
  {
    const ArmedCalls calls({.error = EIO, .lacking = "fsync"});
    CHECK_FALSE(log.append(sample_route(1)));
  }
  CHECK(log.failed_writes() == 1);
  CHECK(log.last_error() == folder.file() + ": cannot be written to the disk: Input/output error");
  CHECK(log.append(sample_route(2)));
  CHECK(verify_audit_log(folder.path(), log.head()).lines == 2);
}

TEST_CASE("a file that cannot be begun leaves the log in the old one", "[io][error]") {
  if (!calls_can_fail) return;
  const AuditFolder folder;
  const AuditLog log = folder.open({.max_file_bytes = 1});
  log.append(sample_route(1));
  {
    const ArmedCalls calls({.position = 0, .error = EMFILE});
    CHECK(log.append(sample_route(2)));
  }
  CHECK(log.failed_writes() == 1);
  CHECK(log.last_error() ==
        folder.file("000002.jsonl") + ": cannot be opened to be written: Too many open files");
  CHECK(log.append(sample_route(3)));
  CHECK(folder.lines().size() == 2);
  CHECK(folder.lines("000002.jsonl").size() == 1);
  CHECK(verify_audit_log(folder.path(), log.head()).lines == 3);
}

TEST_CASE("a write that a signal interrupts is done again", "[io]") {
  if (!calls_can_fail) return;
  const AuditFolder folder;
  const AuditLog log = folder.open();
  const ArmedCalls calls({.position = 0, .error = EINTR});
  CHECK(log.append(sample_route(1)));
  CHECK(log.failed_writes() == 0);
}

TEST_CASE("a log whose file the system refuses to open is not opened", "[io][error]") {
  if (!calls_can_fail) return;
  const AuditFolder folder;
  folder.append(1);
  const std::string before = folder.bytes();
  const ArmedCalls calls({.position = 0, .error = EACCES});
  CHECK(message_of<FileError>([&] { (void)folder.open(); }) ==
        folder.file("audit.lock") + ": cannot be opened: Permission denied");
  CHECK(folder.bytes() == before);
}

TEST_CASE("a lock that the system refuses is an error of its own", "[io][error]") {
  if (!calls_can_fail) return;
  const AuditFolder folder;
  folder.append(1);
  const ArmedCalls calls({.error = EIO, .lacking = "flock"});
  CHECK(message_of<FileError>([&] { (void)folder.open(); }) ==
        folder.file("audit.lock") + ": cannot be locked: Input/output error");
}

TEST_CASE("a log on a disk that takes no more goes on when there is room again", "[io][error]") {
  const AuditFolder folder;
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {  // the limit is the child's alone; no test macros here
    std::signal(SIGXFSZ, SIG_IGN);
    rlimit limit{};
    ::getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = 10'000;
    ::setrlimit(RLIMIT_FSIZE, &limit);
    const AuditLog log = folder.open();
    std::uint64_t written = 0;
    for (std::uint64_t i = 0; i < 100; ++i) written += log.append(sample_route(i)) ? 1 : 0;
    const bool is_counted = log.failed_writes() == 100 - written && written < 100;
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_FSIZE, &limit);
    ::_exit(is_counted && log.append(sample_route(200)) ? 0 : 1);
  }
  int status = -1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  const AuditVerification found = verify_audit_log(folder.path());
  CHECK(found.ok());
  CHECK(found.torn_lines == 1);
  CHECK(folder.bytes().size() > 10'000);
}
