// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// A program that runs beside the test: what it prints is waited for, and it can be killed.

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <string>

namespace anyssr::test {

/// Killed at the end of the test at the latest.
class BackgroundProgram {
 public:
  /// @param arguments  as on a shell's command line
  BackgroundProgram(const std::string& program, const std::string& arguments) {
    std::array<int, 2> in{};
    std::array<int, 2> out{};
    if (::pipe2(in.data(), O_CLOEXEC) != 0 || ::pipe2(out.data(), O_CLOEXEC) != 0) std::abort();
    const std::string command = "exec '" + program + "' " + arguments + " 2>&1";
    pid_ = ::fork();
    if (pid_ < 0) std::abort();
    if (pid_ == 0) {
      ::dup2(in[0], STDIN_FILENO);
      ::dup2(out[1], STDOUT_FILENO);
      ::execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
      ::_exit(127);
    }
    ::close(in[0]);
    ::close(out[1]);
    input_ = in[1];
    output_ = out[0];
  }
  BackgroundProgram(const BackgroundProgram&) = delete;
  BackgroundProgram& operator=(const BackgroundProgram&) = delete;
  ~BackgroundProgram() {
    if (pid_ > 0) (void)kill();
    close_input();
    ::close(output_);
  }

  [[nodiscard]] int pid() const noexcept { return pid_; }
  /// All it has printed so far, as far as it was waited for.
  [[nodiscard]] const std::string& output() const noexcept { return text_; }

  /// Reads what it prints until `part` is there.
  /// @return false where it ends before, or prints nothing for a minute
  [[nodiscard]] bool wait_for(const std::string& part) {
    while (text_.find(part) == std::string::npos) {
      pollfd ready{.fd = output_, .events = POLLIN, .revents = 0};
      if (::poll(&ready, 1, 60'000) <= 0) return false;
      std::array<char, 4096> buffer{};
      const ssize_t got = ::read(output_, buffer.data(), buffer.size());
      if (got <= 0) return false;
      text_.append(buffer.data(), static_cast<std::size_t>(got));
    }
    return true;
  }

  /// The end of its standard input.
  void close_input() {
    if (input_ >= 0) ::close(input_);
    input_ = -1;
  }

  /// As kill -9 does.
  /// @return whether that ended it: false where it had ended before
  [[nodiscard]] bool kill() {
    ::kill(pid_, SIGKILL);
    const int status = wait();
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
  }

  /// Waits until it ends by itself; who reads all it prints has waited for what it prints last.
  /// @return its exit status; -1 where a signal ended it
  [[nodiscard]] int exit_status() {
    const int status = wait();
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

 private:
  int wait() {
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) continue;
    pid_ = -1;
    return status;
  }

  pid_t pid_ = -1;
  int input_ = -1;
  int output_ = -1;
  std::string text_;
};

}  // namespace anyssr::test
