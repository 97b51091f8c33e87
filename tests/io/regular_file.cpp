// SPDX-License-Identifier: MIT
#include "anyssr/io/regular_file.hpp"

#include <sys/stat.h>

#include <filesystem>
#include <string>
#include <type_traits>

#include "support/catch.hpp"
#include "support/program.hpp"

using namespace anyssr;
using namespace anyssr::test;

static_assert(std::is_nothrow_move_constructible_v<detail::FileDescriptor>);
static_assert(std::is_move_constructible_v<RegularFile> &&
              !std::is_copy_constructible_v<RegularFile>);

TEST_CASE("a file is read by position", "[io]") {
  const TemporaryFolder folder;
  const RegularFile opened(folder.write("a", "0123456789"));
  CHECK(opened.size() == 10);
  std::string part(4, ' ');
  opened.read(3, std::as_writable_bytes(std::span(part)));
  CHECK(part == "3456");
  opened.read(10, {});
  CHECK(opened.read_text(10) == "0123456789");
  RegularFile other(folder.write("b", "other"));
  other = RegularFile(folder.file("a"));
  CHECK(other.read_text(10) == "0123456789");
}

TEST_CASE("a read beyond the end of a file says how much came", "[io][error]") {
  const TemporaryFolder folder;
  const std::string path = folder.write("a", "0123456789");
  const RegularFile opened(path);
  std::filesystem::resize_file(path, 6);
  std::string part(8, ' ');
  CHECK(message_of<FormatError>([&] { opened.read(2, std::as_writable_bytes(std::span(part))); }) ==
        path + ": wanted 8 bytes from byte 2 on, got 4: the file was cut while it was read");
}

TEST_CASE("a file that is read by text is refused above the limit", "[io][error]") {
  const TemporaryFolder folder;
  const std::string path = folder.write("a", "0123456789");
  CHECK(message_of<FormatError>([&] { (void)RegularFile(path).read_text(9); }) ==
        path + ": has 10 bytes, expected at most 9");
}

TEST_CASE("folders and pipes and missing files are refused at once", "[io][error]") {
  const TemporaryFolder folder;
  const std::string pipe = folder.file("pipe");
  REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);
  CHECK(message_of<FormatError>([&] { const RegularFile opened(pipe); }) ==
        pipe + ": is a pipe, a socket or a device, expected a regular file");
  CHECK(message_of<FormatError>([] { const RegularFile opened("/dev/null"); }) ==
        "/dev/null: is a pipe, a socket or a device, expected a regular file");
  const std::string inner = folder.file(".");
  CHECK(message_of<FormatError>([&] { const RegularFile opened(inner); }) ==
        inner + ": is a folder, expected a regular file");
  const std::string missing = folder.file("missing");
  CHECK(message_of<FileError>([&] { const RegularFile opened(missing); }) ==
        missing + ": cannot be opened: No such file or directory");
  const std::string below = folder.write("file", "") + "/below";
  CHECK(message_of<FileError>([&] { const RegularFile opened(below); }) ==
        below + ": cannot be opened: Not a directory");
}

TEST_CASE("a path with a line end stays on one line of a message", "[io][error]") {
  const TemporaryFolder folder;
  CHECK(message_of<FileError>([&] { (void)RegularFile(folder.file("a\nwarning: b")); }) ==
        folder.file("a\\x0Awarning: b") + ": cannot be opened: No such file or directory");
}
