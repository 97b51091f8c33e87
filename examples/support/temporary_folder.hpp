// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// A folder for the time of a run.

#include <fcntl.h>
#include <unistd.h>

#include <anyssr/core/error.hpp>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

namespace support {

namespace internal {

inline int signal_pipe = -1;  // end that is written to

/// A handler may call little more than write().
inline void pass_signal_on(int number) {
  const int kept = errno;
  const auto byte = static_cast<unsigned char>(number);
  (void)!::write(signal_pipe, &byte, 1);
  errno = kept;
}

}  // namespace internal

/// Calls a function before a signal ends the process: Ctrl-C, kill, the end of the terminal. A
/// handler could not, so it wakes a thread, which lets the signal do its work afterwards. One at a
/// time; signals that are ignored stay so.
class BeforeSignal {
 public:
  explicit BeforeSignal(std::function<void()> action) : action_(std::move(action)) {
    if (::pipe2(pipe_.data(), O_CLOEXEC) != 0) return;
    internal::signal_pipe = pipe_[1];
    thread_ = std::thread([this] { wait(); });
    struct sigaction handled {};
    handled.sa_handler = internal::pass_signal_on;
    handled.sa_flags = SA_RESTART;
    for (std::size_t i = 0; i < signals.size(); ++i) {
      ::sigaction(signals[i], nullptr, &before_[i]);
      if (before_[i].sa_handler != SIG_IGN) ::sigaction(signals[i], &handled, nullptr);
    }
  }
  BeforeSignal(const BeforeSignal&) = delete;
  BeforeSignal& operator=(const BeforeSignal&) = delete;
  ~BeforeSignal() {
    if (!thread_.joinable()) return;
    for (std::size_t i = 0; i < signals.size(); ++i) ::sigaction(signals[i], &before_[i], nullptr);
    internal::pass_signal_on(0);
    thread_.join();
    for (const int end : pipe_) ::close(end);
  }

 private:
  static constexpr std::array<int, 3> signals{SIGHUP, SIGINT, SIGTERM};

  void wait() const {
    unsigned char number = 0;
    while (::read(pipe_[0], &number, 1) < 0 && errno == EINTR) {
    }
    if (number == 0) return;
    action_();
    std::signal(number, SIG_DFL);
    ::kill(::getpid(), number);
  }

  std::function<void()> action_;
  std::array<int, 2> pipe_{-1, -1};
  std::array<struct sigaction, 3> before_{};
  std::thread thread_;
};

/// Gone with all that is in it when the object goes, or a signal ends the process.
class TemporaryFolder {
 public:
  /// @param advice  what else to do where none can be made
  /// @throws anyssr::FileError  then
  explicit TemporaryFolder(const std::string& advice = {}) {
    std::error_code error;
    const std::filesystem::path parent = std::filesystem::temp_directory_path(error);
    std::string name = (parent / "anyssr-XXXXXX").string();
    if (error || mkdtemp(name.data()) == nullptr) {
      throw anyssr::FileError("no temporary folder can be made in '" + parent.string() + "'" +
                              advice);
    }
    path_ = name;
    guard_ = std::make_unique<BeforeSignal>([this] { remove(); });
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() { remove(); }

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

 private:
  void remove() const {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  std::filesystem::path path_;
  std::unique_ptr<BeforeSignal> guard_;  // goes first
};

}  // namespace support
