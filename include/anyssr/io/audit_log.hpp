// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Keeps every decision and change of a learner in files that only grow: JSON Lines, one event a
/// line (audit_line.hpp), chained by digests, so that a later edit shows (audit_verification.hpp).
///
///   const AuditLog log("/var/log/router", {.salt = secret});
///   const AuditSink sink = log.sink();  // for whatever takes one
///   sink(ChangeEvent{.event = "learn", .changes = 1, .task = "billing"});
///   log.head();                         // to be kept where nobody edits it
///
/// What holds after a crash: a line is one write(2), so one that is killed leaves whole lines and
/// at most the beginning of one, a torn line. It stays as it is: the next writer puts a \n behind
/// it and goes on from the last whole line. A tail that lacks its \n alone is whole and gets it.
/// After a loss of power, lines that no fsync followed may be missing at the end.
///
/// A line that cannot be written is counted and lost, and the event's caller never notices: the
/// next line takes its seq, and the chain holds for what is in the files.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <variant>
#include <vector>

#include "anyssr/core/audit_event.hpp"
#include "anyssr/core/error.hpp"
#include "anyssr/io/audit_line.hpp"
#include "anyssr/io/audit_lock.hpp"
#include "anyssr/io/audit_reader.hpp"
#include "anyssr/io/durability.hpp"
#include "anyssr/io/file_descriptor.hpp"
#include "anyssr/io/path_text.hpp"
#include "anyssr/io/regular_file.hpp"

namespace anyssr::inline ANYSSR_ABI {

struct AuditLogOptions {
  /// At least 1. A line that would make a file larger begins the next file, but where it is the
  /// first.
  std::uint64_t max_file_bytes = std::uint64_t{64} << 20;
  /// Waits for the disk after each line: it outlasts a loss of power, and takes milliseconds.
  bool fsync_every_line = false;
  /// A secret of the caller's. Of a query's bytes the log holds sha256(salt + bytes): whoever knows
  /// the salt, and nobody else, can say whether a query that he knows is the one. Without a salt, a
  /// short query can be found by trying.
  std::string salt = {};
  /// Writes the bytes of queries too, under `text`: mind what they say of people.
  bool write_inputs = false;
};

namespace detail {

/// Where a log goes on.
struct AuditTail {
  std::uint64_t seq = 0;
  Sha256::Digest digest = no_audit_line;
};

/// The last whole line among the last bytes of a file.
[[nodiscard]] inline std::optional<AuditTail> find_near_tail(const std::filesystem::path& path) {
  constexpr std::uint64_t most = 16 * max_audit_line_bytes;
  const RegularFile file(path);
  const std::uint64_t begin = file.size() - std::min(file.size(), most);
  std::string end(static_cast<std::size_t>(file.size() - begin), '\0');
  file.read(begin, std::as_writable_bytes(std::span(end)));
  for (std::string_view left = end; !left.empty();) {
    if (left.ends_with('\n')) left.remove_suffix(1);
    const std::string_view line = left.substr(left.rfind('\n') + 1);  // npos + 1 is 0
    left.remove_suffix(line.size());
    try {
      return AuditTail{parse_audit_line(line, path_text(path)).seq, audit_digest(line)};
    } catch (const FormatError&) {  // torn: the line before may be whole
    }
  }
  return std::nullopt;
}

/// The last whole line of a file; none where it holds torn ones at most. A line that lacks its \n
/// alone is whole.
/// @throws FileError    where it cannot be read
/// @throws FormatError  where it holds something else than lines of a log
[[nodiscard]] inline std::optional<AuditTail> find_audit_tail(const std::filesystem::path& path) {
  std::optional<AuditTail> tail = find_near_tail(path);
  if (tail) return tail;
  // none at all, or a loss of power left many zeros behind it: then the whole file is read
  bool is_log = true;
  for_each_audit_line(
      path,
      [&](const AuditRecord& record, const AuditFileLine& line) {
        tail = AuditTail{record.seq, audit_digest(line.text)};
      },
      [&](const AuditFileLine& line, const std::string& /*reason*/) {
        is_log &= is_torn_audit_line(line.text, std::nullopt);
      });
  expect<FormatError>(
      tail || is_log, path_text(path),
      ": holds no line of an audit log, expected some or none at all: move it away");
  return tail;
}

/// The last file of a log, open to be written at its end.
class AuditOutput {
 public:
  /// Opens the newest file, or makes the first.
  /// @throws FileError
  explicit AuditOutput(const std::filesystem::path& folder) : folder_(folder) {
    const std::vector<AuditFile> files = list_audit_files(folder);
    open(files.empty() ? 1 : files.back().number, 0);
    unsynced_from_ = number_;
    if (bytes_ == 0) return;
    std::byte last{};
    RegularFile(path_).read(bytes_ - 1, {&last, 1});
    is_open_line_ = last != std::byte{'\n'};
  }

  [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }
  /// Whether the file ends in the middle of a line.
  [[nodiscard]] bool is_open_line() const noexcept { return is_open_line_; }

  /// Goes on in a new file.
  /// @throws FileError  the old file stays the last one
  void rotate() { open(number_ + 1, O_EXCL); }

  /// One write(2) of a line.
  /// @throws FileError  where the file has not taken the whole line; its \n may be still to come
  void write(const AuditLineBuilder& built) {
    const bool was_open_line = is_open_line_;
    const std::string_view text = was_open_line ? built.after_open_line() : built.line();
    ssize_t taken = 0;
    do {
      taken = ::write(file_.number(), text.data(), text.size());
    } while (taken < 0 && errno == EINTR);
    if (taken <= 0) raise_file_error(path_, "cannot be written", taken < 0 ? errno : ENOSPC);
    const auto sent = static_cast<std::size_t>(taken);
    bytes_ += sent;
    is_open_line_ = sent < text.size() && !(was_open_line && sent == 1);
    if (sent + 1 < text.size()) {
      raise<FileError>(path_text(path_), ": took ", sent, " of ", text.size(),
                       " bytes, expected to take a whole line: is the disk full?");
    }
  }

  /// Every file since the last call, and their names.
  /// @throws FileError
  void sync() {
    for (; unsynced_from_ < number_; ++unsynced_from_) {
      sync_by_path(folder_ / audit_file_name(unsynced_from_), O_NOFOLLOW);
    }
    is_durable_ &= sync_open(file_, path_);
    if (is_new_) sync_by_path(folder_, O_DIRECTORY);
    is_new_ = false;
  }
  /// False once the file system was found to know no fsync.
  [[nodiscard]] bool is_durable() const noexcept { return is_durable_; }

 private:
  void open(std::uint64_t number, int flags) {
    const std::filesystem::path path = folder_ / audit_file_name(number);
    // not to block where the path is a pipe
    constexpr int always = O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK;
    FileDescriptor file = open_file(path, always | flags, 0666);
    struct stat status {};
    if (!file.is_open() || ::fstat(file.number(), &status) != 0) {
      raise_file_error(path, "cannot be opened to be written", errno);
    }
    expect<FileError>(S_ISREG(status.st_mode), path_text(path),
                      ": is no regular file, expected one to write the audit log to");
    file_ = std::move(file);
    path_ = path;
    number_ = number;
    bytes_ = static_cast<std::uint64_t>(status.st_size);
    is_open_line_ = false;
    is_new_ = true;
  }

  void sync_by_path(const std::filesystem::path& path, int flags) {
    const FileDescriptor file = open_file(path, O_RDONLY | O_NONBLOCK | flags);
    if (!file.is_open() && errno == ENOENT) return;  // an old file that was taken away
    if (!file.is_open()) raise_file_error(path, "cannot be written to the disk", errno);
    is_durable_ &= sync_open(file, path);
  }

  std::filesystem::path folder_;
  std::filesystem::path path_;
  FileDescriptor file_;
  std::uint64_t number_ = 0;
  std::uint64_t unsynced_from_ = 0;  // number of the first file that may not be on the disk
  std::uint64_t bytes_ = 0;          // in the file
  bool is_open_line_ = false;        // the file ends without \n
  bool is_new_ = true;               // the folder may not have its name on the disk yet
  bool is_durable_ = true;           // fsync is known here, as far as it was tried
};

/// The one writer of a log; from any thread.
class AuditWriter {
 public:
  AuditWriter(const std::filesystem::path& folder, const AuditLogOptions& options)
      : max_file_bytes_(options.max_file_bytes),
        fsync_every_line_(options.fsync_every_line),
        folder_(made_folder(folder, options)),
        lock_(folder_),
        tail_(find_tail(folder_)),
        output_(folder_),
        builder_(options.salt, options.write_inputs) {}

  template <class Event>
  bool append(const Event& event) noexcept {
    const std::lock_guard guard(mutex_);
    try {
      prepare(event);
      output_.write(builder_);
      tail_ = {tail_.seq + 1, builder_.digest()};
      if (fsync_every_line_) output_.sync();
      return true;
    } catch (const std::exception& error) {
      note_failure(error);
      return false;
    }
  }

  void sync() {
    const std::lock_guard guard(mutex_);
    output_.sync();
  }
  [[nodiscard]] std::string head() const {
    const std::lock_guard guard(mutex_);
    return audit_digest_text(tail_.digest);
  }
  [[nodiscard]] std::uint64_t failed_writes() const noexcept {
    const std::lock_guard guard(mutex_);
    return failed_writes_;
  }
  [[nodiscard]] std::string last_error() const {
    const std::lock_guard guard(mutex_);
    return last_error_;
  }
  [[nodiscard]] std::vector<std::string> warnings() const {
    const std::lock_guard guard(mutex_);
    std::vector<std::string> warnings;
    if (!lock_.is_real()) warnings.emplace_back(no_lock_warning);
    if (!output_.is_durable()) warnings.emplace_back(no_sync_warning);
    return warnings;
  }
  [[nodiscard]] const std::filesystem::path& folder() const noexcept { return folder_; }

 private:
  /// @throws ArgumentError, FileError
  [[nodiscard]] static const std::filesystem::path& made_folder(const std::filesystem::path& folder,
                                                                const AuditLogOptions& options) {
    expect(options.max_file_bytes >= 1, "max_file_bytes is 0, expected at least 1");
    std::error_code error;
    std::filesystem::create_directories(folder, error);
    if (error) raise_file_error(folder, "cannot be made for the audit log", error.value());
    return folder;
  }

  /// Of the newest file that has a whole line.
  [[nodiscard]] static AuditTail find_tail(const std::filesystem::path& folder) {
    std::vector<AuditFile> files = list_audit_files(folder);
    for (; !files.empty(); files.pop_back()) {
      if (const std::optional<AuditTail> tail = find_audit_tail(files.back().path)) return *tail;
    }
    return {};
  }

  /// Makes the line, and room for it.
  template <class Event>
  void prepare(const Event& event) {
    builder_.build({tail_.seq + 1, std::chrono::system_clock::now(), tail_.digest}, event);
    const std::uint64_t bytes = output_.bytes();
    // an open line is closed before anything else: only the last line of a log can be one
    if (bytes == 0 || output_.is_open_line()) return;
    if (bytes + builder_.line().size() <= max_file_bytes_) return;
    try {
      output_.rotate();
    } catch (const FileError& error) {  // better a file that is too large than a line that is lost
      note_failure(error);
    }
  }

  void note_failure(const std::exception& error) noexcept {
    ++failed_writes_;
    try {
      last_error_ = error.what();
    } catch (const std::exception&) {  // no memory: it is counted at least
    }
  }

  mutable std::mutex mutex_;
  std::uint64_t max_file_bytes_;
  bool fsync_every_line_;
  std::filesystem::path folder_;
  AuditLock lock_;
  AuditTail tail_;  // of the last whole line
  AuditOutput output_;
  AuditLineBuilder builder_;
  std::uint64_t failed_writes_ = 0;
  std::string last_error_;
};

}  // namespace detail

/// An audit log that is being written. It is a handle: copies, and the sinks it gives, write one
/// and the same log, from any thread, and the last of them closes it. One process writes a log at a
/// time. A child made by fork holds the log too, and must not write.
class AuditLog {
 public:
  /// Goes on with the log of a folder, or begins one.
  /// @param folder  made where it is missing, with those above it
  /// @throws ArgumentError  for options out of range
  /// @throws FileError      naming the folder or file: it cannot be made or written, or another
  ///                        writer has it
  /// @throws FormatError    where the newest files hold something else
  explicit AuditLog(const std::filesystem::path& folder, const AuditLogOptions& options = {})
      : writer_(std::make_shared<detail::AuditWriter>(folder, options)) {}

  /// Appends one line. Whether it was written; see failed_writes() where it was not.
  /// Cost: one write(2) and two passes over the line, under a mutex.
  bool append(const RouteEvent& event) const noexcept { return writer_->append(event); }
  bool append(const ChangeEvent& event) const noexcept { return writer_->append(event); }

  /// As an AuditSink: throws nothing, whatever happens.
  void operator()(const AuditEvent& event) const noexcept {
    if (const auto* const route = std::get_if<RouteEvent>(&event)) {
      writer_->append(*route);
    } else if (const auto* const change = std::get_if<ChangeEvent>(&event)) {
      writer_->append(*change);
    }
  }

  /// Keeps the log open for as long as it lives.
  [[nodiscard]] AuditSink sink() const {
    return [log = *this](const AuditEvent& event) { log(event); };
  }

  /// Brings what was appended to the disk, as a checkpoint that keeps head() should before.
  /// @throws FileError  not where the file system knows no fsync: see warnings()
  void sync() const { writer_->sync(); }

  /// "sha256:<64 digits>" of the last line, 64 zeros before the first: what verify_audit_log looks
  /// for later, if it was kept where nobody edits it.
  [[nodiscard]] std::string head() const { return writer_->head(); }

  /// What the system refused since the log was opened: lines that are lost, lines that fsync did
  /// not bring to the disk, files that could not be begun.
  [[nodiscard]] std::uint64_t failed_writes() const noexcept { return writer_->failed_writes(); }
  /// The last of these with file and reason; empty: none.
  [[nodiscard]] std::string last_error() const { return writer_->last_error(); }

  /// What the file system was found to lack: locks, or a call that brings a file to the disk.
  [[nodiscard]] std::vector<std::string> warnings() const { return writer_->warnings(); }

  [[nodiscard]] const std::filesystem::path& folder() const noexcept { return writer_->folder(); }

 private:
  std::shared_ptr<detail::AuditWriter> writer_;
};

}  // namespace anyssr::inline ANYSSR_ABI
