// SPDX-License-Identifier: MIT
#include "anyssr/io/audit_reader.hpp"

#include <string>
#include <utility>
#include <vector>

#include "anyssr/io/audit_log.hpp"
#include "support/audit_folder.hpp"
#include "support/catch.hpp"
#include "support/corpus.hpp"

using namespace anyssr;
using namespace anyssr::test;

namespace {

constexpr auto ignore_record = [](const AuditRecord&) {};

std::string audit_refusal(const AuditFolder& folder, const std::string& text) {
  folder.write(text);
  if (text.size() < 5000) keep_for_fuzzing("audit_log", text);
  return message_of<FormatError>([&] { read_audit(folder.path(), ignore_record); });
}

}  // namespace

TEST_CASE("a log is read line by line across its files", "[io]") {
  const AuditFolder folder;
  {
    const AuditLog log = folder.open({.max_file_bytes = 1});
    log.append(sample_route(4));
    log.append(ChangeEvent{.event = "learn", .changes = 5, .task = "cards", .rows = 12});
  }
  std::vector<AuditRecord> records;
  const AuditReading reading =
      read_audit(folder.path(), [&](const AuditRecord& record) { records.push_back(record); });
  CHECK(reading.files == 2);
  CHECK(reading.lines == 2);
  CHECK(reading.torn_lines == 0);
  REQUIRE(records.size() == 2);
  CHECK(records[0].file == folder.file());
  CHECK(records[0].line == 1);
  CHECK(records[0].seq == 1);
  CHECK(records[0].event == "route");
  CHECK(records[0].changes == 4);
  CHECK(records[0].fields["top"][1][0] == "cards");
  CHECK(records[0].fields["confidence"] == 0.93);
  CHECK(records[1].file == folder.file("000002.jsonl"));
  CHECK(records[1].seq == 2);
  CHECK(records[1].event == "learn");
  CHECK(records[1].fields["rows"] == 12);
  CHECK(records[1].prev == "sha256:" + sha256_hex(folder.lines()[0]));
  CHECK(records[1].time == records[1].fields["time"]);
  CHECK(read_audit(folder.file("000002.jsonl"), ignore_record).lines == 1);
}

TEST_CASE("keys and events that are not known are read past", "[io]") {
  const AuditFolder folder;
  folder.append(1);
  std::string text = folder.bytes();
  text.replace(text.find("\"route\""), 7, "\"omen\",\"new\":[{}]");
  folder.write(text);
  std::string event;
  read_audit(folder.path(), [&](const AuditRecord& record) { event = record.event; });
  CHECK(event == "omen");
}

TEST_CASE("files are read in the order of their numbers", "[io]") {
  const AuditFolder folder;
  folder.append(3);
  const std::vector<std::string> lines = folder.lines();
  folder.write_lines({lines[0]}, "000009.jsonl");
  folder.write_lines({lines[2]}, "1000000.jsonl");
  folder.write_lines({lines[1]}, "999999.jsonl");
  std::filesystem::remove(folder.file());
  std::vector<std::uint64_t> seqs;
  read_audit(folder.path(), [&](const AuditRecord& record) { seqs.push_back(record.seq); });
  CHECK(seqs == std::vector<std::uint64_t>{1, 2, 3});
  folder.append(1);
  CHECK(folder.lines("1000000.jsonl").size() == 2);
}

TEST_CASE("torn lines are read past and counted", "[io]") {
  const AuditFolder folder;
  folder.append(2);
  const std::string bytes = folder.bytes();
  folder.write(bytes + "{\"v\":1,\"seq\":3,\"ti");
  CHECK(read_audit(folder.path(), ignore_record).torn_lines == 1);
  folder.append(1);
  const AuditReading reading = read_audit(folder.path(), ignore_record);
  CHECK(reading.lines == 3);
  CHECK(reading.torn_lines == 1);
}

TEST_CASE("a last line without its end is torn whatever it holds", "[io]") {
  const AuditFolder folder;
  folder.append(2);
  const std::string bytes = folder.bytes();
  for (const std::string& text : {bytes.substr(0, bytes.size() - 1), bytes + "\xFF\xFE"}) {
    folder.write(text);
    CHECK(read_audit(folder.path(), ignore_record).torn_lines == 1);
  }
}

TEST_CASE("a line of a length that no block holds is read", "[io]") {
  const AuditFolder folder;
  const std::string input(40'000, 'q');
  {
    const AuditLog log = folder.open({.write_inputs = true});
    RouteEvent event = sample_route();
    event.input = input;
    for (int i = 0; i < 20; ++i) log.append(event);
  }
  std::size_t right = 0;
  read_audit(folder.path(),
             [&](const AuditRecord& record) { right += record.fields["text"] == input ? 1 : 0; });
  CHECK(right == 20);
}

TEST_CASE("a line that is none is refused by file and line", "[io][error]") {
  const AuditFolder folder;
  folder.append(2);
  const std::string bytes = folder.bytes();
  const std::string place = folder.file() + ":3: ";
  CHECK(audit_refusal(folder, bytes + "{}\n") == place + "has no \"v\"");
  CHECK(audit_refusal(folder, bytes + "\n\nx\n") ==
        folder.file() + ":5: broken JSON at byte 1");  // an empty line may be torn
  CHECK(audit_refusal(folder, bytes + std::string(100'000, ' ') + "\n") ==
        place + "is longer than 65536 bytes, expected a line of an audit log");
  CHECK(audit_refusal(folder, bytes + std::string(65'535, '[') + "\n") ==
        place + "nested deeper than 64 levels");
}

TEST_CASE("a path without a log is refused", "[io][error]") {
  const TemporaryFolder folder;
  CHECK(message_of<FormatError>([&] { read_audit(folder.file("."), ignore_record); }) ==
        folder.file(".") + ": holds no audit log, expected 000001.jsonl and so on");
  CHECK(message_of<FileError>([&] { read_audit(folder.file("none"), ignore_record); }) ==
        folder.file("none") + ": cannot be searched for an audit log: No such file or directory");
  CHECK(message_of<FormatError>([&] { read_audit("/dev/null", ignore_record); }) ==
        "/dev/null: is a pipe, a socket or a device, expected a regular file");
}
