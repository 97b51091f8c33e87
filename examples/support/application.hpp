// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// How an application begins and ends.

#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <anyssr/core/error.hpp>
#include <anyssr/core/version.hpp>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <exception>
#include <iostream>
#include <new>
#include <sstream>
#include <string>
#include <type_traits>

#include "support/option_checks.hpp"

namespace support {

/// What every application's command line has: the last of two equal options counts.
inline void prepare(CLI::App& app) {
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  app.set_version_flag("--version", ANYSSR_VERSION_STRING);
}

/// Fills the descriptors 0 to 2 where the program was started with one of them closed, or the next
/// file that is opened would get what is printed. They are opened the wrong way round, so printing
/// to a closed standard output is still an error.
inline void fill_standard_descriptors() {
  for (const int number : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(number, F_GETFD) >= 0 || errno != EBADF) continue;
    (void)!::open("/dev/null", number == STDIN_FILENO ? O_WRONLY : O_RDONLY);  // the lowest free
  }
}

/// Calls use(line) for each line of standard input.
/// @throws anyssr::FileError  where it cannot be read
template <class Use>
void for_each_input_line(const Use& use) {
  for (std::string line; std::getline(std::cin, line);) use(line);
  if (std::cin.bad() || std::ferror(stdin) != 0) {  // std::cin reads by stdio, which has the error
    throw anyssr::FileError("standard input cannot be read: is it a folder?");
  }
}

/// Whether all that was printed has arrived: not on a full disk, nor in a pipe that nobody reads.
[[nodiscard]] inline bool is_output_written() {
  std::cout.flush();
  if (!std::cout || std::fflush(stdout) != 0 || std::ferror(stdout) != 0) return false;
  const int copy = ::dup(STDOUT_FILENO);  // network disks say at a close what is lost
  return copy < 0 || ::close(copy) == 0;
}

namespace internal {

/// Runs an action; every exception becomes a message and an exit status.
template <class Action>
int guarded(const CLI::App& app, const char* memory_hint, const OptionNames& names,
            const Action& action) {
  const auto tell = [&](const std::string& what) {
    std::cerr << app.get_name() << ": " << anyssr::Error(in_options(app, names, what)).what()
              << "\n";  // an Error writes out controls
  };
  try {
    return action();
  } catch (const std::bad_alloc&) {
    tell(std::string("out of memory: ") + memory_hint);
    return 1;
  } catch (const std::exception& error) {
    tell(error.what());
    return 2;
  }
}

}  // namespace internal

/// Reads the command line and calls run(), which may give an exit status. Where standard output is
/// a pipe whose reader has gone, the run goes on, so that its files are whole, and fails at its end
/// (SIGPIPE is ignored).
/// @param memory_hint  what to try where memory runs out
/// @param names        of the library for options that are called otherwise
/// @return exit status: that of run() or 0; 2 for a bad command line, file or request, and where
///         standard output cannot be written; 1 where memory runs out
template <class Run>
int run_application(CLI::App& app, int argc, char** argv, const char* memory_hint, const Run& run,
                    const OptionNames& names = {}) {
  fill_standard_descriptors();
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // a file past its limit is then an error that cleans up
  const int status = internal::guarded(app, memory_hint, names, [&]() -> int {
    check_values(app);
    if (const std::string problem = find_lost_value(app, argc, argv); !problem.empty()) {
      throw anyssr::ArgumentError(problem);
    }
    try {
      app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
      std::ostringstream message;
      const bool is_help = app.exit(error, std::cout, message) == 0;
      const std::string narrow = find_narrow_value(app, error.what());
      std::cerr << anyssr::Error(narrow.empty() ? message.str() : narrow + "\n").what();
      return is_help ? 0 : 2;
    }
    if constexpr (std::is_void_v<decltype(run())>) {
      run();
      return 0;
    } else {
      return run();
    }
  });
  if (is_output_written()) return status;
  std::cerr << app.get_name()
            << ": standard output cannot be written: is the disk full, or its reader gone?\n";
  return status != 0 ? status : 2;
}

}  // namespace support
