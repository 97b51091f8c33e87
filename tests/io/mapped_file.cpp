// SPDX-License-Identifier: MIT
#include "anyssr/io/mapped_file.hpp"

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <type_traits>
#include <utility>

#include "support/catch.hpp"
#include "support/program.hpp"

using namespace anyssr;
using namespace anyssr::test;

namespace {

std::string text_of(std::span<const std::byte> bytes) {
  std::string text(bytes.size(), '\0');
  std::ranges::copy(bytes, std::as_writable_bytes(std::span(text)).begin());
  return text;
}

}  // namespace

static_assert(std::is_nothrow_move_constructible_v<MappedFile> &&
              std::is_nothrow_move_assignable_v<MappedFile>);
static_assert(!std::is_copy_constructible_v<MappedFile> && !std::is_copy_assignable_v<MappedFile>);

TEST_CASE("a mapped file is read where it is", "[io]") {
  const TemporaryFolder folder;
  const std::string path = folder.write("a", "0123456789");
  const MappedFile mapped(path);
  CHECK(mapped.path() == path);
  CHECK(mapped.size() == 10);
  CHECK(text_of(mapped.bytes()) == "0123456789");
  CHECK(text_of(mapped.bytes(3, 4)) == "3456");
  CHECK(mapped.bytes(3, 4).data() == mapped.bytes().data() + 3);
  CHECK(mapped.bytes(10, 0).empty());
  std::string part(4, ' ');
  mapped.read(6, std::as_writable_bytes(std::span(part)));
  CHECK(part == "6789");
}

TEST_CASE("an empty file is an empty span", "[io]") {
  const TemporaryFolder folder;
  const MappedFile mapped(folder.write("a", ""));
  CHECK(mapped.size() == 0);
  CHECK(mapped.bytes().empty());
  CHECK(mapped.bytes(0, 0).empty());
  mapped.read(0, {});
}

TEST_CASE("a mapping moves with its bytes in place", "[io]") {
  const TemporaryFolder folder;
  MappedFile first(folder.write("a", "first"));
  const std::byte* const place = first.bytes().data();
  MappedFile second(std::move(first));
  CHECK(second.bytes().data() == place);
  MappedFile third(folder.write("b", "third"));
  third = std::move(second);
  CHECK(third.bytes().data() == place);
  CHECK(text_of(third.bytes()) == "first");
}

TEST_CASE("a mapping keeps the old content of a file that is replaced or removed", "[io]") {
  const TemporaryFolder folder;
  const std::string path = folder.write("a", "old");
  const MappedFile mapped(path);
  std::filesystem::rename(folder.write("b", "new and longer"), path);
  CHECK(text_of(mapped.bytes()) == "old");
  std::filesystem::remove(path);
  CHECK(text_of(mapped.bytes()) == "old");
}

TEST_CASE("bytes beyond the end of a mapping are refused", "[io][error]") {
  const TemporaryFolder folder;
  const std::string path = folder.write("a", "0123456789");
  const MappedFile mapped(path);
  const auto message = [&](std::uint64_t offset, std::uint64_t count) {
    return message_of<FormatError>([&] { (void)mapped.bytes(offset, count); });
  };
  CHECK(message(2, 9) == path + ": wanted 9 bytes from byte 2 on, got 8: the file ends there");
  CHECK(message(11, 0) == path + ": wanted 0 bytes from byte 11 on, got 0: the file ends there");
  const std::uint64_t most = ~std::uint64_t{};
  CHECK(contains(message(most, most), "wanted 18446744073709551615 bytes"));
  CHECK(contains(message(1, most), "from byte 1 on, got 9"));
  std::string part(3, ' ');
  CHECK(message_of<FormatError>([&] { mapped.read(8, std::as_writable_bytes(std::span(part))); }) ==
        path + ": wanted 3 bytes from byte 8 on, got 2: the file ends there");
  CHECK(part == "   ");
}

TEST_CASE("what is no regular file is not mapped", "[io][error]") {
  const TemporaryFolder folder;
  const auto message = [](const std::string& path) {
    return message_of<FormatError>([&] { const MappedFile mapped(path); });
  };
  const std::string pipe = folder.file("pipe");
  REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);
  CHECK(message(pipe) == pipe + ": is a pipe, a socket or a device, expected a regular file");
  CHECK(message("/dev/zero") ==
        "/dev/zero: is a pipe, a socket or a device, expected a regular file");
  const std::string inner = folder.file(".");
  CHECK(message(inner) == inner + ": is a folder, expected a regular file");
  const std::string missing = folder.file("missing");
  CHECK(message_of<FileError>([&] { const MappedFile mapped(missing); }) ==
        missing + ": cannot be opened: No such file or directory");
}

TEST_CASE("a file that the system does not map is named with the reason", "[io][error]") {
  const TemporaryFolder folder;
  const std::string path = folder.write("large", "");
  std::filesystem::resize_file(path, std::uint64_t{1} << 40);  // a hole: it takes no space
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {  // the limit is the child's alone; no test macros here
    rlim_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    const rlim_t now = pages * static_cast<rlim_t>(sysconf(_SC_PAGESIZE));
    const rlimit limit{now + (rlim_t{1} << 30), now + (rlim_t{1} << 30)};
    setrlimit(RLIMIT_AS, &limit);
    const std::string message = message_of<FileError>([&] { const MappedFile mapped(path); });
    _exit(message == path + ": cannot be mapped: Cannot allocate memory" ? 0 : 1);
  }
  int status = -1;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}
