// SPDX-License-Identifier: MIT
#include "anyssr/io/atomic_file.hpp"

#include <sys/resource.h>
#include <sys/wait.h>

#include <csignal>
#include <filesystem>
#include <string>

#include "support/catch.hpp"
#include "support/file_bytes.hpp"
#include "support/program.hpp"

using namespace anyssr;
using namespace anyssr::test;
namespace fs = std::filesystem;

namespace {

std::ptrdiff_t count_files(const std::string& folder) {
  return std::distance(fs::directory_iterator(folder), fs::directory_iterator());
}

}  // namespace

TEST_CASE("a committed file stands alone in its folder", "[io]") {
  const TemporaryFolder folder;
  const std::string path = folder.file("a");
  {
    AtomicFile file(path);
    file.write("first ");
    file.write("content");
    CHECK_FALSE(fs::exists(path));
    CHECK(count_files(folder.file("")) == 1);
    file.commit();
  }
  CHECK(file_bytes(path) == "first content");
  CHECK(count_files(folder.file("")) == 1);
}

TEST_CASE("the old file is whole until the new one takes its place", "[io]") {
  const TemporaryFolder folder;
  const std::string path = folder.write("a", "old");
  fs::permissions(path, fs::perms::owner_read | fs::perms::owner_write);
  {
    AtomicFile file(path);
    file.write("new");
    CHECK(file_bytes(path) == "old");
  }
  CHECK(file_bytes(path) == "old");
  CHECK(count_files(folder.file("")) == 1);
  {
    AtomicFile file(path);
    file.write("new");
    file.commit();
  }
  CHECK(file_bytes(path) == "new");
  CHECK(fs::status(path).permissions() == (fs::perms::owner_read | fs::perms::owner_write));
  CHECK(count_files(folder.file("")) == 1);
}

TEST_CASE("a path without a folder means the current one", "[io]") {
  const TemporaryFolder folder;
  const fs::path before = fs::current_path();
  fs::current_path(folder.file(""));
  {
    AtomicFile file("a");
    file.write("here");
    file.commit();
  }
  fs::current_path(before);
  CHECK(file_bytes(folder.file("a")) == "here");
}

TEST_CASE("a folder that does not exist is named with the system's reason", "[io][error]") {
  const TemporaryFolder folder;
  const std::string path = folder.file("no/such/a");
  CHECK(message_of<FileError>([&] { const AtomicFile file(path); }) ==
        path + ": cannot be written: No such file or directory");
}

TEST_CASE("a folder is never replaced by a file", "[io][error]") {
  const TemporaryFolder folder;
  const std::string path = folder.file("sub");
  fs::create_directory(path);
  CHECK(message_of<FileError>([&] {
          AtomicFile file(path);
          file.write("new");
          file.commit();
        }) == path + ": cannot be replaced: Is a directory");
  CHECK(fs::is_directory(path));
  CHECK(count_files(folder.file("")) == 1);
}

TEST_CASE("a disk that takes no more leaves the old file and no other", "[io][error]") {
  const TemporaryFolder folder;
  const std::string path = folder.write("a", "old");
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {  // the limit is the child's alone; no test macros here
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{10'000, 10'000};
    setrlimit(RLIMIT_FSIZE, &limit);
    const std::string message = message_of<FileError>([&] {
      AtomicFile file(path);
      file.write(std::string(9'000, 'x'));
      file.write(std::string(9'000, 'y'));
      file.commit();
    });
    _exit(message == path + ": cannot be written: File too large" ? 0 : 1);
  }
  int status = -1;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  CHECK(file_bytes(path) == "old");
  CHECK(count_files(folder.file("")) == 1);
}
