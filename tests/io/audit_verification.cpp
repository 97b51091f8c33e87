// SPDX-License-Identifier: MIT
#include "anyssr/io/audit_verification.hpp"

#include <algorithm>
#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "anyssr/io/audit_log.hpp"
#include "support/audit_folder.hpp"
#include "support/catch.hpp"
#include "support/corpus.hpp"

using namespace anyssr;
using namespace anyssr::test;
using namespace std::string_literals;

namespace {

using AuditLines = std::vector<std::string>;

std::string replace_in(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

/// What is found in a log of these lines; they are kept for the fuzzer.
AuditVerification verified(const AuditFolder& folder, const AuditLines& lines,
                           const std::string& head = {}) {
  folder.write_lines(lines);
  if (folder.bytes().size() < 5000) keep_for_fuzzing("audit_log", folder.bytes());
  return verify_audit_log(folder.path(), head);
}

void check_break(const AuditVerification& found, AuditBreakKind kind, std::uint64_t line,
                 const std::string& what) {
  CHECK_FALSE(found.ok());
  REQUIRE(found.first_break.has_value());
  CAPTURE(found.first_break->what);
  CHECK(to_string(found.first_break->kind) == to_string(kind));
  CHECK(found.first_break->line == line);
  CHECK(found.first_break->file.filename() == "000001.jsonl");
  CHECK(contains(found.first_break->what, "000001.jsonl:" + std::to_string(line) + ": "));
  CHECK(contains(found.first_break->what, what));
}

/// A line that was changed, with the chain after it made anew.
void chain_again(AuditLines& lines, std::size_t first) {
  for (std::size_t i = first; i < lines.size(); ++i) {
    const std::size_t at = lines[i].rfind("sha256:") + 7;
    lines[i].replace(at, 64, sha256_hex(lines[i - 1]));
  }
}

}  // namespace

TEST_CASE("an intact log is described from its first line to its last", "[io]") {
  const AuditFolder folder;
  const std::string head = folder.append(20, {.max_file_bytes = 2000});
  const AuditLines lines = folder.all_lines();
  const AuditVerification found = verify_audit_log(folder.path());
  CHECK(found.ok());
  CHECK(found.files == folder.names().size());
  CHECK(found.lines == 20);
  CHECK(found.torn_lines == 0);
  CHECK(found.first_seq == 1);
  CHECK(found.last_seq == 20);
  CHECK(found.first_time == nlohmann::json::parse(lines.front())["time"]);
  CHECK(found.last_time == nlohmann::json::parse(lines.back())["time"]);
  CHECK(found.head == head);
  CHECK(verify_audit_log(folder.path(), head).ok());
}

TEST_CASE("a log without a line is intact", "[io]") {
  const AuditFolder folder;
  const std::string head = folder.append(0);
  const AuditVerification found = verify_audit_log(folder.path(), head);
  CHECK(found.ok());
  CHECK(found.files == 1);
  CHECK(found.lines == 0);
  CHECK(found.first_seq == 0);
  CHECK(found.head == "sha256:" + std::string(64, '0'));
  const AuditVerification other = verify_audit_log(folder.path(), "sha256:" + std::string(64, '1'));
  REQUIRE_FALSE(other.ok());
  CHECK(other.first_break->kind == AuditBreakKind::cut);
}

TEST_CASE("every letter of a log that is changed shows", "[io][property]") {
  const AuditFolder folder;
  const std::string head = folder.append(3);
  const std::string bytes = folder.bytes();
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    std::string changed = bytes;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    CAPTURE(i);
    folder.write(changed);
    CHECK_FALSE(verify_audit_log(folder.path(), head).ok());
  }
}

TEST_CASE("a changed line is found", "[io]") {
  const AuditFolder folder;
  const std::string head = folder.append(5);
  const AuditLines lines = folder.lines();
  for (std::size_t i = 0; i < 4; ++i) {
    AuditLines changed = lines;
    changed[i] = replace_in(lines[i], "billing", "banking");
    check_break(verified(folder, changed), AuditBreakKind::changed, i + 1, "the line was changed");
  }
  AuditLines changed = lines;
  changed[4] = replace_in(lines[4], "billing", "banking");
  CHECK(verified(folder, changed).ok());  // nothing after it speaks for it, but a head
  check_break(verified(folder, changed, head), AuditBreakKind::cut, 5,
              "no line has " + head + ": the last line was changed, or lines behind it");
  changed = lines;
  changed[0] = replace_in(lines[0], "sha256:0", "sha256:1");
  check_break(verified(folder, changed), AuditBreakKind::changed, 1,
              "expected 64 zeros in the first line");
}

TEST_CASE("a log that was chained anew shows against the head that was kept", "[io]") {
  const AuditFolder folder;
  const std::string head = folder.append(5);
  AuditLines lines = folder.lines();
  lines[1] = replace_in(lines[1], "billing", "banking");
  chain_again(lines, 2);
  CHECK(verified(folder, lines).ok());
  check_break(verified(folder, lines, head), AuditBreakKind::cut, 5, "no line has " + head);
}

TEST_CASE("a removed line is found", "[io]") {
  const AuditFolder folder;
  const std::string head = folder.append(5);
  const AuditLines lines = folder.lines();
  for (std::ptrdiff_t i = 0; i < 4; ++i) {
    AuditLines rest = lines;
    rest.erase(rest.begin() + i);
    const auto seq = static_cast<std::uint64_t>(i) + 1;
    check_break(verified(folder, rest), AuditBreakKind::missing, seq,
                "seq is " + std::to_string(seq + 1) + ", expected " + std::to_string(seq) +
                    ": lines before it are missing");
  }
  AuditLines rest = lines;
  rest.pop_back();
  CHECK(verified(folder, rest).ok());
  check_break(verified(folder, rest, head), AuditBreakKind::cut, 4, "cut off");
}

TEST_CASE("an inserted line is found", "[io]") {
  const AuditFolder folder;
  folder.append(5);
  const AuditLines lines = folder.lines();
  AuditLines repeated = lines;
  repeated.insert(repeated.begin() + 2, lines[1]);
  check_break(verified(folder, repeated), AuditBreakKind::misplaced, 3, "seq is 2, expected 3");
  AuditLines forged = lines;  // it goes on from the line before it
  forged.insert(forged.begin() + 2, replace_in(lines[2], "\"billing\"", "\"cards\""));
  check_break(verified(folder, forged), AuditBreakKind::misplaced, 4, "seq is 3, expected 4");
}

TEST_CASE("lines in another order are found", "[io]") {
  const AuditFolder folder;
  folder.append(5);
  AuditLines lines = folder.lines();
  std::swap(lines[1], lines[2]);
  check_break(verified(folder, lines), AuditBreakKind::missing, 2, "seq is 3, expected 2");
}

TEST_CASE("a line that is none is found", "[io]") {
  const AuditFolder folder;
  folder.append(4);
  const AuditLines lines = folder.lines();
  const std::string huge(70'000, 'x');
  const std::vector<std::pair<std::string, std::string>> cases{
      {"nothing", "broken JSON at byte 2"},
      {"", "broken JSON at byte 1"},
      {huge, "is longer than 65536 bytes"},
      {"[]", "is an array, expected an object"},
      {replace_in(lines[1], "\"v\":1", "\"v\":2"), "v is 2, expected version 1"},
      {replace_in(lines[1], "\"v\":1", "\"w\":1"), "has no \"v\""},
      {replace_in(lines[1], "\"seq\":2", "\"seq\":-2"), "seq is -2, expected a whole number"},
      {replace_in(lines[1], "Z\"", "\""), "expected RFC 3339 in UTC with microseconds"},
      {replace_in(lines[1], "\"event\":\"route\"", "\"event\":1"), "event is 1"},
      {replace_in(lines[1], "\"generation\":2", "\"generation\":2.5"), "generation is 2.5"},
      {replace_in(lines[1], "\"prev\":\"sha256:", "\"prev\":\"sha25x:"), "expected sha256: and 64"},
      {replace_in(lines[1], "\"query\"", "\"seq\""), "the key \"seq\" stands there twice"},
      {replace_in(lines[1], "billing", "bill\xFFng"), "byte 0xFF"},
  };
  for (const auto& [line, reason] : cases) {
    CAPTURE(line.substr(0, 100));
    AuditLines changed = lines;
    changed[1] = line;
    if (line.empty() || line.starts_with("{\"v\":1,\"seq\":2,")) {
      // it could be a torn line, but the line after it does not go on from the one before
      CHECK(verified(folder, {lines[0], line}).torn_lines == 1);
    }
    check_break(verified(folder, changed), AuditBreakKind::malformed, 2, reason);
  }
}

TEST_CASE("a line that is put in and is none is found", "[io]") {
  const AuditFolder folder;
  folder.append(3);
  AuditLines lines = folder.lines();
  lines.insert(lines.begin() + 1, "# a note");
  check_break(verified(folder, lines), AuditBreakKind::malformed, 2, "broken JSON");
}

TEST_CASE("the first break is the one that is told", "[io]") {
  const AuditFolder folder;
  folder.append(8);
  AuditLines lines = folder.lines();
  lines[5] = replace_in(lines[5], "billing", "banking");
  lines.erase(lines.begin() + 2);
  const AuditVerification found = verified(folder, lines, "sha256:" + std::string(64, '7'));
  check_break(found, AuditBreakKind::missing, 3, "seq is 4, expected 3");
  CHECK(found.lines == 7);
  CHECK(found.last_seq == 8);
}

TEST_CASE("a torn line is told and is no break", "[io]") {
  const AuditFolder folder;
  folder.append(3);
  const std::string bytes = folder.bytes();
  const AuditLines lines = folder.lines();
  const std::vector<std::string> tails{"{", "{\"v\":1,\"seq\":4",
                                       "{\"v\":1,\"seq\":4,\"time\":\"2026",
                                       "{\"v\":1,\"seq\":4,\"time\":\"2026\0\0\0"s, "\0\0\0\0"s};
  for (const std::string& tail : tails) {
    CAPTURE(tail);
    for (const char* end : {"", "\n"}) {
      folder.write(bytes + tail + end);
      keep_for_fuzzing("audit_log", folder.bytes());
      const AuditVerification found = verify_audit_log(folder.path());
      CHECK(found.ok());
      CHECK(found.lines == 3);
      CHECK(found.torn_lines == 1);
    }
    folder.append(1);
    const AuditVerification found = verify_audit_log(folder.path());
    CHECK(found.ok());
    CHECK(found.lines == 4);
    CHECK(found.torn_lines == 1);
  }
}

TEST_CASE("a tail that no torn line can be is a break", "[io]") {
  const AuditFolder folder;
  folder.append(3);
  const std::string bytes = folder.bytes();
  for (const char* tail : {"x", "{\"v\":1,\"seq\":5,\"time\":\"2026", "{\"v\":1,\"seq\":4}"}) {
    CAPTURE(tail);
    folder.write(bytes + tail);
    const AuditVerification found = verify_audit_log(folder.path());
    check_break(found, AuditBreakKind::malformed, 4, "000001.jsonl:4");
  }
}

TEST_CASE("a head of an earlier day is found in a log that went on", "[io]") {
  const AuditFolder folder;
  const std::string none = folder.append(0);
  const std::string early = folder.append(3);
  folder.append(3);
  CHECK(verify_audit_log(folder.path(), none).ok());
  CHECK(verify_audit_log(folder.path(), early).ok());
}

TEST_CASE("a log whose oldest files are gone is verified from where it begins", "[io]") {
  const AuditFolder folder;
  const AuditLogOptions options{.max_file_bytes = 1};
  const std::string early = folder.append(2, options);
  const std::string head = folder.append(3, options);
  std::filesystem::remove(folder.file());
  std::filesystem::remove(folder.file("000002.jsonl"));
  const AuditVerification found = verify_audit_log(folder.path(), head);
  CHECK(found.ok());
  CHECK(found.first_seq == 3);
  CHECK(found.last_seq == 5);
  CHECK(verify_audit_log(folder.path(), early).ok());  // the prev of the first line that is left
  std::filesystem::remove(folder.file("000004.jsonl"));
  const AuditVerification gap = verify_audit_log(folder.path());
  REQUIRE_FALSE(gap.ok());
  CHECK(gap.first_break->kind == AuditBreakKind::missing);
  CHECK(gap.first_break->file == folder.file("000005.jsonl"));
}

TEST_CASE("a log that begins in the middle of its first file lacks lines", "[io]") {
  const AuditFolder folder;
  folder.append(4);
  const AuditLines lines = folder.lines();
  check_break(verified(folder, {lines[2], lines[3]}), AuditBreakKind::missing, 1,
              "seq is 3, expected 1: lines before it are missing");
}

TEST_CASE("one file of a log is verified alone", "[io]") {
  const AuditFolder folder;
  folder.append(4, {.max_file_bytes = 1});
  const AuditVerification found = verify_audit_log(folder.file("000003.jsonl"));
  CHECK(found.ok());
  CHECK(found.files == 1);
  CHECK(found.first_seq == 3);
}

TEST_CASE("an expected head that is no digest is refused", "[io][error]") {
  const AuditFolder folder;
  folder.append(1);
  for (const char* head : {"0", "sha256:", "sha256:XYZ"}) {
    CHECK(message_of<ArgumentError>([&] { (void)verify_audit_log(folder.path(), head); }) ==
          "expected_head is \"" + std::string(head) +
              "\", expected sha256: and 64 digits of 0-9a-f");
  }
}

TEST_CASE("a folder that is missing or holds no log is not verified", "[io][error]") {
  const AuditFolder folder;
  CHECK(message_of<FileError>([&] { (void)verify_audit_log(folder.path()); }) ==
        folder.path() + ": cannot be searched for an audit log: No such file or directory");
  std::filesystem::create_directory(folder.path());
  CHECK(message_of<FormatError>([&] { (void)verify_audit_log(folder.path()); }) ==
        folder.path() + ": holds no audit log, expected 000001.jsonl and so on");
}
