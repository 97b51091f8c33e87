// SPDX-License-Identifier: MIT
#include "anyssr/core/threads.hpp"

#include <atomic>
#include <stdexcept>
#include <vector>

#include "support/catch.hpp"

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
        "threads is -2, expected 0 (the hardware's) or more");
}
