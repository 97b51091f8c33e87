// SPDX-License-Identifier: MIT
#include "anyssr/io/audit_log.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "anyssr/core/random.hpp"
#include "anyssr/io/audit_verification.hpp"
#include "support/audit_folder.hpp"
#include "support/catch.hpp"

using namespace anyssr;
using namespace anyssr::test;

namespace {

/// seq and prev of each line as they follow from the lines before it.
void check_audit_chain(const std::vector<std::string>& lines) {
  std::string prev(64, '0');
  std::uint64_t seq = 1;
  for (const std::string& line : lines) {
    CAPTURE(seq, line);
    REQUIRE(nlohmann::json::accept(line));
    const nlohmann::json json = nlohmann::json::parse(line);
    CHECK(json["seq"] == seq);
    CHECK(json["prev"] == "sha256:" + prev);
    prev = sha256_hex(line);
    ++seq;
  }
}

/// A child that appends until it is killed. Gives how many lines it had told of.
std::size_t kill_while_appending(const AuditFolder& folder, unsigned microseconds) {
  std::array<int, 2> ends{};
  REQUIRE(::pipe(ends.data()) == 0);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {  // no test macros here
    ::close(ends[0]);
    const AuditLog log = folder.open({.max_file_bytes = 20'000});
    for (std::uint64_t i = 1; log.append(sample_route(i)) && ::write(ends[1], "l", 1) == 1; ++i) {
    }
    ::_exit(1);
  }
  ::close(ends[1]);
  std::size_t told = 0;
  char report = 0;
  REQUIRE(::read(ends[0], &report, 1) == 1);
  ++told;
  ::usleep(microseconds);
  ::kill(child, SIGKILL);
  int status = 0;
  ::waitpid(child, &status, 0);
  CHECK(WIFSIGNALED(status));
  while (::read(ends[0], &report, 1) == 1) ++told;
  ::close(ends[0]);
  return told;
}

}  // namespace

TEST_CASE("each line of a log holds the digest of the line before", "[io]") {
  const AuditFolder folder;
  const AuditLog log = folder.open();
  CHECK(log.head() == "sha256:" + std::string(64, '0'));
  CHECK(log.append(sample_route(1)));
  CHECK(log.append(ChangeEvent{.event = "learn", .changes = 2, .task = "cards"}));
  log(AuditEvent(sample_route(2)));
  log(AuditEvent(ChangeEvent{.event = "undo", .changes = 3}));
  const std::vector<std::string> lines = folder.lines();
  REQUIRE(lines.size() == 4);
  check_audit_chain(lines);
  CHECK(log.head() == "sha256:" + sha256_hex(lines.back()));
  CHECK(nlohmann::json::parse(lines[1])["event"] == "learn");
  CHECK(nlohmann::json::parse(lines[2])["generation"] == 2);
  CHECK(log.failed_writes() == 0);
  CHECK(log.last_error().empty());
  CHECK(log.folder() == folder.path());
  CHECK(folder.bytes().ends_with("\"}\n"));
}

TEST_CASE("a line of a log has the time of its append", "[io]") {
  const AuditFolder folder;
  detail::AuditClock clock;
  const std::string before(clock.text(std::chrono::system_clock::now()));
  folder.append(1);
  const std::string after(clock.text(std::chrono::system_clock::now()));
  const std::string time = nlohmann::json::parse(folder.lines()[0])["time"];
  CHECK(before <= time);
  CHECK(time <= after);
}

TEST_CASE("a sink goes on writing after its log is gone", "[io]") {
  const AuditFolder folder;
  AuditSink sink;
  {
    const AuditLog log = folder.open();
    sink = log.sink();
  }
  sink(sample_route());
  CHECK(message_of<FileError>([&] { (void)folder.open(); }) != "nothing was thrown");
  const AuditSink copy = sink;
  sink = nullptr;
  copy(ChangeEvent{.event = "freeze"});
  CHECK(folder.lines().size() == 2);
  check_audit_chain(folder.lines());
}

TEST_CASE("the chain goes on across files of bounded size", "[io][property]") {
  const std::uint64_t most = GENERATE(1U, 300U, 1000U, 5000U);
  CAPTURE(most);
  const AuditFolder folder;
  folder.append(40, {.max_file_bytes = most});
  const std::vector<std::string> names = folder.names();
  REQUIRE(names.size() > 1);
  CHECK(names[0] == "000001.jsonl");
  CHECK(names[1] == "000002.jsonl");
  for (const std::string& name : names) {
    CAPTURE(name);
    const std::vector<std::string> lines = folder.lines(name);
    CHECK_FALSE(lines.empty());
    CHECK((lines.size() == 1 || folder.bytes(name).size() <= most));
  }
  CHECK(folder.all_lines().size() == 40);
  check_audit_chain(folder.all_lines());
}

TEST_CASE("a log that is opened again goes on where it was", "[io]") {
  const AuditFolder folder;
  const std::string head = folder.append(3, {.max_file_bytes = 700});
  CHECK(folder.open().head() == head);
  folder.append(4, {.max_file_bytes = 700});
  folder.append(1);
  CHECK(folder.all_lines().size() == 8);
  check_audit_chain(folder.all_lines());
}

TEST_CASE("a log goes on after a new file that holds no line yet", "[io]") {
  const AuditFolder folder;
  const std::string head = folder.append(3);
  folder.write("", "000002.jsonl");
  CHECK(folder.open().head() == head);
  folder.append(2);
  CHECK(folder.lines("000002.jsonl").size() == 2);
  check_audit_chain(folder.all_lines());
}

TEST_CASE("other files in the folder of a log are left alone", "[io]") {
  const AuditFolder folder;
  folder.append(1);
  const std::vector<std::string> others{"1.jsonl",         "0000002.jsonl", "000002.json",
                                        "000002.jsonl.gz", "000000.jsonl",  "notes.jsonl"};
  for (const std::string& name : others) folder.write("other\n", name);
  folder.append(1);
  CHECK(folder.lines().size() == 2);
  for (const std::string& name : others) CHECK(folder.bytes(name) == "other\n");
  CHECK(verify_audit_log(folder.path()).ok());
}

TEST_CASE("a torn last line stays as it is and a fresh one follows", "[io][property]") {
  const AuditFolder whole;
  whole.append(3);
  const std::string bytes = whole.bytes();
  const std::vector<std::string> lines = whole.lines();
  const std::size_t before_last = bytes.size() - lines[2].size() - 1;
  const AuditFolder folder;
  for (std::size_t cut = before_last + 1; cut < bytes.size(); cut += 7) {
    CAPTURE(cut);
    folder.write(bytes.substr(0, cut));
    folder.append(2);
    const std::vector<std::string> after = folder.lines();
    REQUIRE(after.size() == 5);
    CHECK(after[2] == bytes.substr(before_last, cut - before_last));
    check_audit_chain({after[0], after[1], after[3], after[4]});
    const AuditVerification found = verify_audit_log(folder.path());
    CHECK(found.ok());
    CHECK(found.lines == 4);
    CHECK(found.torn_lines == 1);
  }
}

TEST_CASE("a last line that lacks its end of line alone is whole", "[io]") {
  const AuditFolder folder;
  const std::string head = folder.append(3);
  const std::string bytes = folder.bytes();
  folder.write(bytes.substr(0, bytes.size() - 1));
  CHECK(folder.open().head() == head);
  CHECK(folder.bytes() == bytes.substr(0, bytes.size() - 1));
  folder.append(1);
  CHECK(folder.lines().size() == 4);
  check_audit_chain(folder.lines());
}

TEST_CASE("a torn first line of a file goes before the fresh one", "[io]") {
  const AuditFolder folder;
  folder.append(2);
  folder.write("{\"v\":1,\"se", "000002.jsonl");
  folder.append(1, {.max_file_bytes = 1});
  CHECK(folder.names().size() == 2);
  CHECK(verify_audit_log(folder.path()).ok());
  CHECK(verify_audit_log(folder.path()).torn_lines == 1);
  CHECK(verify_audit_log(folder.path()).last_seq == 3);
}

TEST_CASE("eight threads write whole lines with every number once", "[io]") {
  const AuditFolder folder;
  {
    const AuditLog log = folder.open({.max_file_bytes = 200'000});
    std::vector<std::thread> threads;
    for (std::uint64_t t = 0; t < 8; ++t) {
      threads.emplace_back([sink = log.sink(), t] {
        for (std::uint64_t i = 0; i < 500; ++i) sink(sample_route(1000 * t + i));
      });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(log.failed_writes() == 0);
  }
  const std::vector<std::string> lines = folder.all_lines();
  REQUIRE(lines.size() == 4000);
  check_audit_chain(lines);
  std::vector<std::uint64_t> generations;
  for (const std::string& line : lines) {
    generations.push_back(nlohmann::json::parse(line)["generation"]);
  }
  std::ranges::sort(generations);
  for (std::uint64_t t = 0; t < 8; ++t) {
    CHECK(generations[500 * t] == 1000 * t);
    CHECK(generations[500 * t + 499] == 1000 * t + 499);
  }
}

TEST_CASE("a log whose writer was killed holds what was told and goes on", "[io][property]") {
  const AuditFolder folder;
  const char* const wanted = std::getenv("ANYSSR_KILLS");
  const int kills = (wanted == nullptr ? 300 : std::atoi(wanted)) / 12;  // each reads all lines
  RandomStream random(1, 0);
  std::size_t told = 0;
  for (int i = 0; i < kills; ++i) {
    CAPTURE(i);
    told += kill_while_appending(folder, random.below(3000));
    const AuditVerification found = verify_audit_log(folder.path());
    CHECK(found.ok());
    CHECK(found.lines >= told);
    CHECK(found.lines <= told + static_cast<std::size_t>(i) + 1);  // one each that was not told
    CHECK(found.torn_lines <= static_cast<std::size_t>(i) + 1);
  }
  folder.append(1);
  CHECK(verify_audit_log(folder.path()).ok());
}

TEST_CASE("a second writer is refused by name of the folder", "[io][error]") {
  const AuditFolder folder;
  std::optional<AuditLog> log = folder.open();
  log->append(sample_route());
  CHECK(message_of<FileError>([&] { (void)folder.open(); }) ==
        folder.path() + ": the audit log is being written by process " +
            std::to_string(::getpid()) + ", expected one writer at a time");
  CHECK(folder.lines().size() == 1);
  log.reset();
  CHECK_NOTHROW(folder.open());
}

TEST_CASE("a folder that cannot be made is named with the reason", "[io][error]") {
  const TemporaryFolder folder;
  const std::string path = folder.write("file", "") + "/log";
  CHECK(message_of<FileError>([&] { const AuditLog log(path); }) ==
        path + ": cannot be made for the audit log: Not a directory");
  CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("a lock that is a link is refused", "[io][error]") {
  const AuditFolder folder;
  std::filesystem::create_directory(folder.path());
  std::filesystem::create_symlink("elsewhere", folder.file("audit.lock"));
  CHECK(message_of<FileError>([&] { (void)folder.open(); }) ==
        folder.file("audit.lock") + ": cannot be opened: Too many levels of symbolic links");
  CHECK_FALSE(std::filesystem::exists(folder.file("elsewhere")));
}

TEST_CASE("a file of a log that is a link is refused and not followed", "[io][error]") {
  const AuditFolder folder;
  std::filesystem::create_directory(folder.path());
  folder.write("precious", "target");
  std::filesystem::create_symlink("missing", folder.file());
  CHECK(contains(message_of<FileError>([&] { (void)folder.open(); }),
                 "000001.jsonl: cannot be opened"));
  CHECK_FALSE(std::filesystem::exists(folder.file("missing")));
}

TEST_CASE("a file size of nothing is refused before the folder is made", "[io][error]") {
  const AuditFolder folder;
  CHECK(message_of<ArgumentError>([&] { (void)folder.open({.max_file_bytes = 0}); }) ==
        "max_file_bytes is 0, expected at least 1");
  CHECK_FALSE(std::filesystem::exists(folder.path()));
}

TEST_CASE("a file that is no log is not written to", "[io][error]") {
  const AuditFolder folder;
  const std::string other(GENERATE(std::size_t{7}, std::size_t{3} << 20), 'x');
  folder.write(other);
  CHECK(message_of<FormatError>([&] { (void)folder.open(); }) ==
        folder.file() + ": holds no line of an audit log, expected some or none at all: move it " +
            "away");
  CHECK(folder.bytes() == other);
}

TEST_CASE("a log goes on behind any number of zeros", "[io]") {
  const AuditFolder folder;
  const std::string head = folder.append(2);
  const std::size_t torn = GENERATE(std::size_t{0}, std::size_t{20});
  const std::size_t zeros = GENERATE(std::size_t{1}, std::size_t{5000}, std::size_t{3} << 20);
  const std::string next = "{\"v\":1,\"seq\":3,\"time\":\"2026";
  folder.write(folder.bytes() + next.substr(0, torn) + std::string(zeros, '\0'));
  CHECK(folder.open().head() == head);
  folder.append(2);
  const AuditVerification found = verify_audit_log(folder.path());
  CHECK(found.ok());
  CHECK(found.lines == 4);
  CHECK(found.torn_lines == 1);
}

TEST_CASE("a first file of zeros alone is a log without a line", "[io]") {
  const AuditFolder folder;
  folder.write(std::string(4096, '\0'));
  folder.append(1);
  CHECK(verify_audit_log(folder.path()).ok());
  CHECK(verify_audit_log(folder.path()).last_seq == 1);
}

TEST_CASE("no text of a query is in a log unless it was asked for", "[io]") {
  const bool asked = GENERATE(false, true);
  const AuditFolder folder;
  RouteEvent event = sample_route();
  event.input = "a very private question";
  {
    const AuditLog log = folder.open({.salt = "white", .write_inputs = asked});
    log.append(event);
  }
  CHECK(contains(folder.bytes(), "private") == asked);
  CHECK_FALSE(contains(folder.bytes(), "white"));
  CHECK(contains(folder.bytes(),
                 "\"input\":\"sha256:" + sha256_hex("whitea very private question") + "\""));
}
