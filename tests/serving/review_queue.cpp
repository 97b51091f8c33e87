// SPDX-License-Identifier: MIT
#include "anyssr/serving/review_queue.hpp"

#include <set>
#include <string>
#include <thread>
#include <vector>

#include "support/catch.hpp"

using namespace anyssr;
using namespace anyssr::test;

namespace {

ReviewItem<std::string> waiting(const std::string& query, const std::string& task = "travel") {
  return {.query = query,
          .input = "text of " + query,
          .task = task,
          .candidates = {task, "banking"},
          .confidence = 0.4,
          .margin = 0.1,
          .novelty = -0.2};
}

std::vector<std::string> queries_of(const ReviewQueue<std::string>& queue) {
  std::vector<std::string> result;
  for (const auto& item : queue.list()) result.push_back(item.query);
  return result;
}

}  // namespace

TEST_CASE("queries wait in the order in which they came", "[serving]") {
  ReviewQueue<std::string> queue;
  CHECK(queue.size() == 0);
  CHECK(queue.list().empty());
  CHECK(queue.add(waiting("a")) == 1U);
  CHECK(queue.add(waiting("b")) == 2U);
  CHECK(queue.add(waiting("c")) == 3U);
  CHECK(queries_of(queue) == std::vector<std::string>{"a", "b", "c"});
  CHECK(queue.list()[1].request == 2);
}

TEST_CASE("a request is found with all that was said of it", "[serving]") {
  ReviewQueue<std::string> queue;
  ReviewItem<std::string> item = waiting("a");
  item.request = 77;  // the queue's own number counts
  const auto request = queue.add(item);
  const ReviewItem<std::string> found = queue.find(request.value());
  CHECK(found.request == 1);
  CHECK(found.query == "a");
  CHECK(found.input == "text of a");
  CHECK(found.task == "travel");
  CHECK(found.candidates == std::vector<std::string>{"travel", "banking"});
  CHECK(found.confidence == 0.4);
  CHECK(found.margin == 0.1);
  CHECK(found.novelty == -0.2);
  CHECK(queue.size() == 1);
}

TEST_CASE("a confirmed request leaves the queue with the router's task", "[serving]") {
  ReviewQueue<std::string> queue;
  queue.add(waiting("a"));
  const auto request = queue.add(waiting("b", "cooking"));
  queue.add(waiting("c"));
  const ReviewedItem<std::string> reviewed = queue.confirm(request.value());
  CHECK(reviewed.item.query == "b");
  CHECK(reviewed.task == "cooking");
  CHECK_FALSE(reviewed.is_corrected);
  CHECK(queries_of(queue) == std::vector<std::string>{"a", "c"});
}

TEST_CASE("a corrected request leaves the queue with the human's task", "[serving]") {
  ReviewQueue<std::string> queue;
  const auto first = queue.add(waiting("a"));
  const auto second = queue.add(waiting("b"));
  const ReviewedItem<std::string> corrected = queue.correct(first.value(), "banking");
  CHECK(corrected.task == "banking");
  CHECK(corrected.item.task == "travel");
  CHECK(corrected.is_corrected);
  CHECK_FALSE(queue.correct(second.value(), "travel").is_corrected);  // the same task after all
  CHECK(queue.size() == 0);
}

TEST_CASE("numbers of requests are never given twice", "[serving]") {
  ReviewQueue<std::string> queue(2);
  queue.confirm(queue.add(waiting("a")).value());
  CHECK(queue.add(waiting("b")) == 2U);
  CHECK(queue.add(waiting("c")) == 3U);
  CHECK_FALSE(queue.add(waiting("no place")).has_value());
  queue.confirm(3);
  CHECK(queue.add(waiting("d")) == 4U);
}

TEST_CASE("a full queue refuses what is new and counts it", "[serving]") {
  ReviewQueue<std::string> queue(2);
  queue.add(waiting("a"));
  queue.add(waiting("b"));
  CHECK_FALSE(queue.add(waiting("c")).has_value());
  CHECK_FALSE(queue.add(waiting("d")).has_value());
  CHECK(queue.refused() == 2);
  CHECK(queries_of(queue) == std::vector<std::string>{"a", "b"});
  queue.correct(1, "banking");
  CHECK(queue.add(waiting("e")).has_value());
  CHECK(queue.refused() == 2);
}

TEST_CASE("a request that is dropped waits no more", "[serving]") {
  ReviewQueue<std::string> queue;
  const auto request = queue.add(waiting("a"));
  CHECK(queue.drop(*request));
  CHECK_FALSE(queue.drop(*request));
  CHECK(queue.size() == 0);
}

TEST_CASE("what waits follows the new name of a task", "[serving]") {
  ReviewQueue<std::string> queue;
  queue.add(waiting("a"));
  queue.add(waiting("b", "loans"));
  queue.rename_task("travel", "trips");
  queue.rename_task("banking", "bank");
  const auto items = queue.list();
  CHECK(items[0].task == "trips");
  CHECK(items[0].candidates == std::vector<std::string>{"trips", "bank"});
  CHECK(items[1].task == "loans");
  CHECK(items[1].candidates == std::vector<std::string>{"loans", "bank"});
  CHECK_FALSE(queue.correct(items[0].request, "trips").is_corrected);
  queue.rename_task("loans", "money");
  queue.rename_task("bank", "money");  // they became one
  CHECK(queue.list().front().candidates == std::vector<std::string>{"money"});
}

TEST_CASE("a request that does not wait is refused", "[serving][error]") {
  ReviewQueue<std::string> queue;
  queue.add(waiting("a"));
  queue.add(waiting("b"));
  queue.confirm(1);
  const auto refused = [&](auto&& action) {
    const std::string message = message_of<ArgumentError>(action);
    CHECK(queries_of(queue) == std::vector<std::string>{"b"});
    return message;
  };
  CHECK(refused([&] { queue.confirm(1); }) == "request 1 does not wait for review: 1 requests do");
  CHECK(contains(refused([&] { queue.correct(9, "banking"); }), "request 9 does not wait"));
  CHECK(contains(refused([&] { (void)queue.find(0); }), "request 0 does not wait"));
  CHECK(refused([&] { queue.correct(2, ""); }) ==
        "the task of request 2 is empty, expected a name");
}

TEST_CASE("a queue without a place is refused", "[serving][error]") {
  CHECK(message_of<ArgumentError>([] { ReviewQueue<int> queue(0); }) ==
        "capacity is 0, expected at least 1");
}

TEST_CASE("threads share one queue", "[serving]") {
  ReviewQueue<int> queue(10000);
  std::vector<std::thread> team;
  for (int k = 0; k < 4; ++k) {
    team.emplace_back([&queue, k] {
      for (int i = 0; i < 200; ++i) {
        const auto request = queue.add({.input = 1000 * k + i, .task = "a"});
        (void)queue.list();
        if (i % 2 == 0) queue.confirm(*request);
      }
    });
  }
  for (std::thread& thread : team) thread.join();
  std::set<std::uint64_t> numbers;
  std::set<int> inputs;
  for (const auto& item : queue.list()) {
    numbers.insert(item.request);
    inputs.insert(item.input);
  }
  CHECK(queue.size() == 400);
  CHECK(numbers.size() == 400);
  CHECK(inputs.size() == 400);
  CHECK(queue.add({.task = "a"}) == 801U);
}
