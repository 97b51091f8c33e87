// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Reads an audit log: the files 000001.jsonl, 000002.jsonl, ... of a folder in the order of their
/// numbers, line by line, with at most one line in memory.
///
/// A writer that was killed, or had no space left, leaves the beginning of a line: a torn line. It
/// ends with the file, or with a \n that the next writer put behind it, and it is no part of the
/// log: the line after it goes on from the line before it.

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "anyssr/core/error.hpp"
#include "anyssr/io/audit_line.hpp"
#include "anyssr/io/guarded_json.hpp"
#include "anyssr/io/json_fields.hpp"
#include "anyssr/io/path_text.hpp"
#include "anyssr/io/regular_file.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// Whether a text reads "sha256:<64 digits of 0-9a-f>", the digest of a line of an audit log.
[[nodiscard]] inline bool is_audit_digest(std::string_view text) {
  return text.size() == detail::audit_digest_prefix.size() + 64 &&
         text.starts_with(detail::audit_digest_prefix) &&
         text.find_first_not_of("0123456789abcdef", detail::audit_digest_prefix.size()) ==
             std::string_view::npos;
}

/// A whole line of an audit log.
struct AuditRecord {
  std::filesystem::path file = {};
  std::uint64_t line = 0;  ///< in that file, from 1
  std::uint64_t seq = 0;
  std::string time = {};  ///< RFC 3339, UTC
  std::string event = {};
  std::uint64_t changes = 0;
  std::string prev = {};  ///< "sha256:<64 digits>" of the line before
  Json fields = {};       ///< the whole object: these and the event's own
};

/// What a reading went through.
struct AuditReading {
  std::uint64_t files = 0;
  std::uint64_t lines = 0;  ///< whole ones
  std::uint64_t torn_lines = 0;
};

namespace detail {

/// A file of a log and its number.
struct AuditFile {
  std::uint64_t number = 0;  // 0: not named as one of a log
  std::filesystem::path path;
};

/// 000001.jsonl; numbers from a million on have more digits.
[[nodiscard]] inline std::string audit_file_name(std::uint64_t number) {
  const std::string digits = std::to_string(number);
  return std::string(digits.size() < 6 ? 6 - digits.size() : 0, '0') + digits + ".jsonl";
}

/// 0 where a file of a log has no such name.
[[nodiscard]] inline std::uint64_t audit_file_number(const std::filesystem::path& path) {
  const std::string name = path.filename().string();
  const std::size_t digits = std::min(name.find_first_not_of("0123456789"), name.size());
  if (digits < 6 || digits > 18) return 0;
  const std::uint64_t number = std::stoull(name.substr(0, digits));
  return audit_file_name(number) == name ? number : 0;
}

/// In the order of their numbers; other files of the folder are passed over.
/// @throws FileError  where there is no such folder, or it cannot be searched
[[nodiscard]] inline std::vector<AuditFile> list_audit_files(const std::filesystem::path& folder) {
  std::vector<AuditFile> files;
  std::error_code error;
  std::filesystem::directory_iterator entry(folder, error);
  for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    const std::uint64_t number = audit_file_number(entry->path());
    if (number > 0) files.push_back({number, entry->path()});
  }
  if (error) raise_file_error(folder, "cannot be searched for an audit log", error.value());
  std::ranges::sort(files, {}, &AuditFile::number);
  return files;
}

/// The files of a folder, or the one file that the path is.
/// @throws FileError    where there is nothing, or it cannot be searched
/// @throws FormatError  for a folder without any file of a log
[[nodiscard]] inline std::vector<AuditFile> audit_files_at(const std::filesystem::path& path) {
  std::error_code ignored;
  const std::filesystem::file_status status = std::filesystem::status(path, ignored);
  if (std::filesystem::exists(status) && !std::filesystem::is_directory(status)) {
    return {{audit_file_number(path), path}};
  }
  std::vector<AuditFile> files = list_audit_files(path);
  expect<FormatError>(!files.empty(), path_text(path),
                      ": holds no audit log, expected 000001.jsonl and so on");
  return files;
}

/// A line as it stands in a file.
struct AuditFileLine {
  std::uint64_t number = 0;  // from 1
  std::string_view text;     // without its \n, valid until the next line is asked for
  bool is_closed = true;     // has a \n
};

/// The lines of a file, as it was when it was opened. Of a line that is too long it gives the
/// start, still one byte too long.
class AuditFileLines {
 public:
  explicit AuditFileLines(const std::filesystem::path& path) : file_(path) {}

  [[nodiscard]] std::optional<AuditFileLine> next() {
    text_.clear();
    bool is_closed = false;
    while (!is_closed && (at_ < block_.size() || read_block())) {
      const std::size_t end = block_.find('\n', at_);
      is_closed = end != std::string::npos;
      const std::size_t stop = is_closed ? end : block_.size();
      text_.append(block_, at_, std::min(stop - at_, max_audit_line_bytes - text_.size()));
      at_ = stop + (is_closed ? 1 : 0);
    }
    if (text_.empty() && !is_closed) return std::nullopt;
    return AuditFileLine{.number = ++number_, .text = text_, .is_closed = is_closed};
  }

 private:
  [[nodiscard]] bool read_block() {
    constexpr std::uint64_t most = 256 << 10;
    const std::uint64_t left = file_.size() - offset_;
    block_.resize(static_cast<std::size_t>(std::min(left, most)));
    file_.read(offset_, std::as_writable_bytes(std::span(block_)));
    offset_ += block_.size();
    at_ = 0;
    return !block_.empty();
  }

  RegularFile file_;
  std::string block_;
  std::string text_;
  std::size_t at_ = 0;        // of the next byte in block_
  std::uint64_t offset_ = 0;  // of the next block in the file
  std::uint64_t number_ = 0;
};

/// "2026-01-31T12:00:00.000123Z"
[[nodiscard]] inline bool is_audit_time(std::string_view text) {
  constexpr std::string_view form = "0000-00-00T00:00:00.000000Z";
  const auto fits = [](char letter, char wanted) {
    return wanted == '0' ? letter >= '0' && letter <= '9' : letter == wanted;
  };
  return std::ranges::equal(text, form, fits);
}

/// @param place  for messages: "path:line"
/// @throws FormatError  where the text is no whole line of version 1
[[nodiscard]] inline AuditRecord parse_audit_line(std::string_view text, const std::string& place) {
  expect<FormatError>(text.size() < max_audit_line_bytes, place, ": is longer than ",
                      max_audit_line_bytes, " bytes, expected a line of an audit log");
  AuditRecord record{.fields = parse_json(text, place)};
  const JsonFields fields(record.fields, place);
  constexpr std::uint64_t most = std::numeric_limits<std::int64_t>::max();
  if (fields.count("v", most) != 1) fields.refuse("v", "version 1");
  record.seq = fields.count("seq", most);
  record.time = fields.text("time");
  if (!is_audit_time(record.time)) fields.refuse("time", "RFC 3339 in UTC with microseconds");
  record.event = fields.text("event");
  record.changes = fields.count("generation", std::numeric_limits<std::uint64_t>::max());
  record.prev = fields.text("prev");
  if (!is_audit_digest(record.prev)) fields.refuse("prev", "sha256: and 64 digits of 0-9a-f");
  return record;
}

/// Whether a text can be the beginning of the line `seq`, cut short; a file system that lost power
/// may have put zeros behind it. No value: of any line.
[[nodiscard]] inline bool is_torn_audit_line(std::string_view text,
                                             std::optional<std::uint64_t> seq) {
  while (text.ends_with('\0')) text.remove_suffix(1);
  std::string start = "{\"v\":1,\"seq\":";
  if (seq) start += std::to_string(*seq) + ",\"time\":\"";
  return text.substr(0, start.size()) == std::string_view(start).substr(0, text.size());
}

[[nodiscard]] inline std::string audit_place(const std::filesystem::path& path,
                                             std::uint64_t line) {
  return path_text(path) + ":" + std::to_string(line);
}

/// Calls on_record(record, line) for each whole line, on_broken(line, reason) for each other one.
template <class OnRecord, class OnBroken>
void for_each_audit_line(const std::filesystem::path& path, const OnRecord& on_record,
                         const OnBroken& on_broken) {
  AuditFileLines lines(path);
  while (const std::optional<AuditFileLine> line = lines.next()) {
    AuditRecord record;
    std::string broken;
    try {
      record = parse_audit_line(line->text, audit_place(path, line->number));
    } catch (const FormatError& error) {
      broken = error.what();
    }
    record.file = path;
    record.line = line->number;
    if (broken.empty()) {
      on_record(std::move(record), *line);
    } else {
      on_broken(*line, broken);
    }
  }
}

}  // namespace detail

/// Calls `visitor` with every whole line of a log, oldest first; torn lines are passed over. Which
/// events and keys it knows is the visitor's affair: others are no error. Whether the lines are
/// those that were written is another question: verify_audit_log. A log may be written meanwhile.
/// @param path  folder of a log, or one of its files
/// @throws FileError    where it cannot be read
/// @throws FormatError  naming file and line: neither a whole line nor a torn one
/// Cost: one pass, memory for one line.
template <std::invocable<const AuditRecord&> Visitor>
AuditReading read_audit(const std::filesystem::path& path, Visitor&& visitor) {
  AuditReading reading;
  std::optional<std::uint64_t> next;
  for (const detail::AuditFile& file : detail::audit_files_at(path)) {
    ++reading.files;
    detail::for_each_audit_line(
        file.path,
        [&](const AuditRecord& record, const detail::AuditFileLine& line) {
          if (!line.is_closed) {
            ++reading.torn_lines;
            return;
          }
          ++reading.lines;
          next = record.seq + 1;
          std::invoke(visitor, record);
        },
        [&](const detail::AuditFileLine& line, const std::string& reason) {
          const bool is_torn = !line.is_closed || detail::is_torn_audit_line(line.text, next);
          detail::expect<FormatError>(is_torn, reason);
          ++reading.torn_lines;
        });
  }
  return reading;
}

}  // namespace anyssr::inline ANYSSR_ABI
