// SPDX-License-Identifier: MIT
#include "anyssr/core/threads.hpp"

#include <atomic>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

#ifdef __unix__
#include <sys/wait.h>
#include <unistd.h>
#endif

#include "support/catch.hpp"
#include "support/sanitized.hpp"

using namespace anyssr;
using namespace anyssr::test;

TEST_CASE("every index is visited once by any number of threads", "[core][property]") {
  const int threads = GENERATE(0, 1, 2, 5);
  const Index count = GENERATE(0, 1, 3, 1000);
  CAPTURE(threads, count);
  std::vector<std::atomic<int>> visits(static_cast<std::size_t>(count));
  parallel_for(threads, count, [&](Index i) { ++visits[static_cast<std::size_t>(i)]; });
  for (const auto& visit : visits) CHECK(visit == 1);
}

TEST_CASE("an exception of a body reaches the caller after all threads have ended",
          "[core][error]") {
  const int threads = GENERATE(1, 3);
  std::atomic<int> running{0};
  CHECK_THROWS_WITH(parallel_for(threads, 100,
                                 [&](Index i) {
                                   ++running;
                                   if (i == 40) {
                                     --running;
                                     throw std::runtime_error("body 40");
                                   }
                                   --running;
                                 }),
                    "body 40");
  CHECK(running == 0);
}

TEST_CASE("a number of threads below zero is refused", "[core][error]") {
  CHECK(resolve_threads(3) == 3);
  CHECK(resolve_threads(0) >= 1);
  CHECK(message_of<ArgumentError>([] { (void)resolve_threads(-2); }) ==
        "threads is -2, expected 0 (the cores that this process may use) or more");
}

TEST_CASE("a loop inside a loop stays on its thread", "[core]") {
  std::atomic<int> strangers{0};  // checks by other threads are not Catch2's to count
  parallel_for(3, 20, [&](Index) {
    const auto self = std::this_thread::get_id();
    parallel_for(3, 20, [&](Index) { strangers += std::this_thread::get_id() != self; });
  });
  CHECK(strangers == 0);
}

TEST_CASE("no more threads than asked for take part and they are kept between calls", "[core]") {
  std::mutex mutex;
  std::set<std::thread::id> seen;
  for (int call = 0; call < 200; ++call) {
    std::set<std::thread::id> team;
    parallel_for(3, 50, [&](Index) {
      const std::scoped_lock lock(mutex);
      team.insert(std::this_thread::get_id());
    });
    CHECK(team.size() <= 3);
    seen.merge(team);
  }
  CHECK(seen.size() <= 32);  // helpers of earlier tests may come, new ones are not made
}

TEST_CASE("loops of several callers at a time each visit every index", "[core][property]") {
  std::vector<std::jthread> callers;
  std::atomic<int> wrong{0};
  for (int caller = 0; caller < 20; ++caller) {
    callers.emplace_back([&wrong] {
      for (int call = 0; call < 200; ++call) {
        std::vector<int> visits(37, 0);
        parallel_for(4, 37, [&](Index i) { ++visits[static_cast<std::size_t>(i)]; });
        for (const int visit : visits) wrong += visit != 1;
      }
    });
  }
  callers.clear();
  CHECK(wrong == 0);
}

TEST_CASE("an exception leaves the pool ready for the next loop", "[core][error]") {
  for (int call = 0; call < 100; ++call) {
    const Index bad = call % 20;
    CHECK_THROWS_AS(parallel_for(4, 20,
                                 [&](Index i) {
                                   if (i >= bad) throw std::runtime_error("body");
                                 }),
                    std::runtime_error);
    std::atomic<int> visits{0};
    parallel_for(4, 20, [&](Index) { ++visits; });
    CHECK(visits == 20);
  }
}

#ifdef __unix__
TEST_CASE("a forked child has a pool of its own and ends", "[core]") {
  if (is_sanitized) return;  // ThreadSanitizer bears no threads after a fork
  std::atomic<int> visits{0};
  parallel_for(3, 100, [&](Index) { ++visits; });
  REQUIRE(visits == 100);
  const pid_t child = fork();
  if (child == 0) {
    std::atomic<int> in_child{0};
    parallel_for(3, 100, [&](Index) { ++in_child; });
    _exit(in_child == 100 ? 7 : 8);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 7);
}
#endif
