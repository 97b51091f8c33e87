// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Says whether an audit log is as it was written. Each line holds its number and the digest of the
/// line before:
///
///   seq_i = seq_(i-1) + 1,   prev_i = sha256(line_(i-1)),   prev_1 = 0
///
/// so a line that is changed, removed, put in or moved breaks the chain at its place. The last line
/// has none after it: that it was changed, or that lines behind it were cut off, shows against a
/// digest that is kept elsewhere (AuditLog::head). So does a log that somebody wrote anew as a
/// whole, which the chain alone cannot tell from the true one.
///
/// Torn lines (audit_reader.hpp) are counted and are no break. The oldest files may be gone, as
/// logs grow: then the chain is that of the files that are left, and `first_seq` is above 1.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "anyssr/core/enum_names.hpp"
#include "anyssr/core/error.hpp"
#include "anyssr/io/audit_line.hpp"
#include "anyssr/io/audit_reader.hpp"
#include "anyssr/io/path_text.hpp"

namespace anyssr::inline ANYSSR_ABI {

enum class AuditBreakKind {
  changed,    ///< the line is not the one that the next line was written after
  missing,    ///< lines before this one are not there
  misplaced,  ///< the line was put in, repeated or moved here
  malformed,  ///< the line is no line of a log, and no torn one
  cut,        ///< no line has the expected digest: the last was changed, or lines were cut off
};

namespace detail {
template <>
inline constexpr AuditBreakKind last_enumerator<AuditBreakKind> = AuditBreakKind::cut;
}  // namespace detail

/// @throws ArgumentError  for a value that is no enumerator
[[nodiscard]] constexpr std::string_view to_string(AuditBreakKind kind) {
  switch (kind) {
    case AuditBreakKind::changed:
      return "changed";
    case AuditBreakKind::missing:
      return "missing";
    case AuditBreakKind::misplaced:
      return "misplaced";
    case AuditBreakKind::malformed:
      return "malformed";
    case AuditBreakKind::cut:
      return "cut";
  }
  detail::raise_no_enumerator("kind", kind);
}

/// Where a log is not as it was written.
struct AuditBreak {
  AuditBreakKind kind = AuditBreakKind::changed;
  std::filesystem::path file = {};
  std::uint64_t line = 0;  ///< in that file, from 1; of `cut` the last line
  std::string what = {};   ///< a sentence with file and line
};

struct AuditVerification {
  std::uint64_t files = 0;
  std::uint64_t lines = 0;  ///< whole ones
  std::uint64_t torn_lines = 0;
  std::uint64_t first_seq = 0;                 ///< 0: there is no whole line
  std::uint64_t last_seq = 0;                  ///< likewise
  std::string first_time = {};                 ///< of the first whole line
  std::string last_time = {};                  ///< of the last one
  std::string head = {};                       ///< "sha256:<64 digits>" of the last whole line
  std::optional<AuditBreak> first_break = {};  ///< none: the log is intact
  [[nodiscard]] bool ok() const noexcept { return !first_break.has_value(); }
};

namespace detail {

/// Goes along the chain, line by line.
class AuditChain {
 public:
  explicit AuditChain(std::string_view expected_head)
      : expected_head_(expected_head), has_head_(expected_head.empty()) {
    result_.head = audit_digest_text(no_audit_line);
  }

  void begin_file(const AuditFile& file) {
    if (result_.files++ > 0) return;
    file_ = file.path;
    if (file.number == 1) next_ = 1;  // the first of all lines is in it
    if (next_) see_head(result_.head);
  }

  void add(const AuditRecord& record, const AuditFileLine& line) {
    const std::string digest = audit_digest_text(audit_digest(line.text));
    if (!line.is_closed) {  // its writer may know it as whole: only the \n is to come
      ++result_.torn_lines;
      see_head(digest);
      return;
    }
    if (!next_) see_head(record.prev);
    if (next_ && (record.seq != *next_ || record.prev != result_.head)) note_break(record);
    ++result_.lines;
    if (result_.first_seq == 0) {
      result_.first_seq = record.seq;
      result_.first_time = record.time;
    }
    result_.last_seq = record.seq;
    result_.last_time = record.time;
    result_.head = digest;
    see_head(digest);
    next_ = record.seq + 1;
    file_ = record.file;
    line_ = record.line;
    torn_.reset();
  }

  /// @param reason  why it is no whole line, with its place
  void add_broken(const std::filesystem::path& file, const AuditFileLine& line,
                  const std::string& reason) {
    const AuditBreak broken{AuditBreakKind::malformed, file, line.number, reason};
    if (!is_torn_audit_line(line.text, next_)) return note(broken);
    ++result_.torn_lines;
    if (!torn_) torn_ = broken;  // a torn line, if the next one goes on from the one before
  }

  [[nodiscard]] AuditVerification finish() {
    if (!has_head_) {
      note({AuditBreakKind::cut, file_, line_,
            concat(line_ > 0 ? audit_place(file_, line_) : path_text(file_), ": the log ends with ",
                   result_.head, " and no line has ", expected_head_,
                   ": the last line was changed, or lines behind it were cut off")});
    }
    return std::move(result_);
  }

 private:
  void see_head(std::string_view digest) { has_head_ |= digest == expected_head_; }

  void note(const AuditBreak& found) {
    if (!result_.first_break) result_.first_break = found;
  }

  void note_break(const AuditRecord& record) {
    const std::string place = audit_place(record.file, record.line);
    if (record.seq > *next_) {
      if (torn_) return note(*torn_);  // it stands where a whole line stood
      return note({AuditBreakKind::missing, record.file, record.line,
                   concat(place, ": seq is ", record.seq, ", expected ", *next_,
                          ": lines before it are missing")});
    }
    if (record.seq < *next_) {
      return note({AuditBreakKind::misplaced, record.file, record.line,
                   concat(place, ": seq is ", record.seq, ", expected ", *next_,
                          ": the line was put in, repeated or moved here")});
    }
    if (result_.lines == 0) {
      return note({AuditBreakKind::changed, record.file, record.line,
                   concat(place, ": prev is ", record.prev,
                          ", expected 64 zeros in the first line: ", "the line was changed")});
    }
    note({AuditBreakKind::changed, file_, line_,
          concat(audit_place(file_, line_), ": the line has ", result_.head,
                 ", expected the prev of the line after it, ", record.prev,
                 ": the line was changed")});
  }

  AuditVerification result_;
  std::string_view expected_head_;
  bool has_head_;
  std::optional<std::uint64_t> next_;  // seq of the next line; none: the first line says
  std::filesystem::path file_;         // of the last whole line
  std::uint64_t line_ = 0;
  std::optional<AuditBreak> torn_;  // the first that looks torn since the last whole line
};

}  // namespace detail

/// Reads a log through and looks for the first break of its chain. A log may be written meanwhile.
/// @param path           folder of a log, or one of its files
/// @param expected_head  an AuditLog::head() that was kept: some line must have it; empty:
///                       not asked
/// @throws ArgumentError  where expected_head is no "sha256:" with 64 digits of 0-9a-f
/// @throws FileError      where the log cannot be read
/// @throws FormatError    for a folder without a log
/// Cost: one pass, memory for one line.
[[nodiscard]] inline AuditVerification verify_audit_log(const std::filesystem::path& path,
                                                        std::string_view expected_head = {}) {
  detail::expect(expected_head.empty() || is_audit_digest(expected_head), "expected_head is ",
                 detail::in_quotes(expected_head), ", expected sha256: and 64 digits of 0-9a-f");
  detail::AuditChain chain(expected_head);
  for (const detail::AuditFile& file : detail::audit_files_at(path)) {
    chain.begin_file(file);
    detail::for_each_audit_line(
        file.path,
        [&](const AuditRecord& record, const detail::AuditFileLine& line) {
          chain.add(record, line);
        },
        [&](const detail::AuditFileLine& line, const std::string& reason) {
          chain.add_broken(file.path, line, reason);
        });
  }
  return chain.finish();
}

}  // namespace anyssr::inline ANYSSR_ABI
