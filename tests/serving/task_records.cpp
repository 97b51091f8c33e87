// SPDX-License-Identifier: MIT
#include "anyssr/serving/task_records.hpp"

#include <memory>
#include <string>
#include <vector>

#include "support/catch.hpp"

using namespace anyssr;
using namespace anyssr::test;

namespace {

using Records = detail::TaskRecords<double, int>;

Records::Handle some_adapter() {
  return std::make_shared<const AdapterHandle<double>>(Adapter<double>{});
}

RoutedTask named(const std::string& name, std::vector<RoutedTask> parts = {}) {
  return {.name = name, .parts = std::move(parts)};
}

RoutingDecision choice_of(Index task) {
  RoutingDecision decision;
  decision.task = task;
  decision.confidence = 0.5;
  return decision;
}

/// Tasks "a" and "b", chosen once and twice.
Records two_records() {
  Records records(nullptr);
  for (const std::string name : {"a", "b"}) {
    records.learned(name, some_adapter(), {});
    records.settle(nullptr);
  }
  for (const Index task : {0, 1, 1}) records.count(choice_of(task));
  return records;
}

const std::vector<RoutedTask> two_tasks{named("a"), named("b")};
const std::vector<RoutedTask> one_merge{named("both", {named("a"), named("b")})};

std::uint64_t count_of(const Records& records, const std::vector<RoutedTask>& tasks,
                       const std::string& name) {
  const auto usage = records.usage(tasks);
  const auto found = usage.find(name);
  return found == usage.end() ? 0 : found->second.count;
}

}  // namespace

TEST_CASE("an id is never given twice", "[serving]") {
  const TaskId first = TaskId::fresh();
  const TaskId second = TaskId::fresh();
  CHECK(first == first);
  CHECK(first != second);
  CHECK(first < second);
}

TEST_CASE("what is counted for a task that has gone counts for nobody", "[serving]") {
  const Records old = two_records();
  Records records = old;
  records.removed(0);
  records.settle(nullptr);
  old.count(choice_of(0));
  old.count(choice_of(1));
  CHECK(count_of(records, {named("b")}, "b") == 3);
  records.learned("a", some_adapter(), {});
  records.settle(nullptr);
  old.count(choice_of(0));
  CHECK(count_of(records, {named("b"), named("a")}, "a") == 0);
}

TEST_CASE("nothing follows an event before the records settle", "[serving]") {
  const Records old = two_records();
  Records records = old;
  records.removed(0);
  CHECK(records.size() == 1);
  CHECK(count_of(old, two_tasks, "a") == 1);
  records.settle(nullptr);
  CHECK(count_of(old, two_tasks, "a") == 0);
}

TEST_CASE("all events that were noted are followed in turn", "[serving]") {
  Records records(nullptr);
  records.learned("a", some_adapter(), {});
  records.learned("b", some_adapter(), {});
  records.settle(nullptr);
  records.count(choice_of(0));
  records.count(choice_of(1));
  CHECK(count_of(records, two_tasks, "a") == 1);
  CHECK(count_of(records, two_tasks, "b") == 1);
}

TEST_CASE("use of a merge and its parts is told apart until it stands", "[serving]") {
  Records records = two_records();
  records.joined(0, 1, "both", some_adapter());
  records.settle(nullptr);
  records.count(choice_of(0));
  CHECK(count_of(records, one_merge, "a") == 1);
  CHECK(count_of(records, one_merge, "b") == 2);
  CHECK(count_of(records, one_merge, "both") == 1);
  SECTION("committed") {
    records.committed(0, one_merge[0], 0);
    records.settle(nullptr);
    CHECK(count_of(records, {named("both")}, "both") == 4);
    CHECK(records[0].parts.empty());
  }
  SECTION("undone") {
    records.undone(0, one_merge[0]);
    records.settle(nullptr);
    CHECK(records.size() == 2);
    CHECK(count_of(records, two_tasks, "a") == 2);
    CHECK(count_of(records, two_tasks, "b") == 2);
  }
}

TEST_CASE("use of a merge goes back to the part whose name it has", "[serving]") {
  Records records = two_records();
  records.joined(0, 1, "b", some_adapter());
  records.settle(nullptr);
  const std::vector<RoutedTask> merge{named("b", {named("a"), named("b")})};
  records.count(choice_of(0));
  CHECK(count_of(records, merge, "b") == 3);
  records.undone(0, merge[0]);
  records.settle(nullptr);
  CHECK(count_of(records, two_tasks, "a") == 1);
  CHECK(count_of(records, two_tasks, "b") == 3);
}

TEST_CASE("reviews follow the names of tasks", "[serving]") {
  Records records = two_records();
  ReviewQueue<int> queue;
  queue.add({.task = "a", .candidates = {"a", "b"}});
  records.renamed(0, "a", "c");
  records.settle(&queue);
  CHECK(queue.list().front().candidates == std::vector<std::string>{"c", "b"});
  records.joined(0, 1, "both", some_adapter());
  records.settle(&queue);
  records.committed(0, named("both", {named("c"), named("b")}), 0);
  records.settle(&queue);
  CHECK(queue.list().front().candidates == std::vector<std::string>{"both"});
}

TEST_CASE("records of a state have its adapters and counts", "[serving]") {
  const auto merged = some_adapter();
  const auto first = some_adapter();
  const auto second = some_adapter();
  const Records records(one_merge, {merged}, {{"both", {first, second}}},
                        {{"both", {.count = 3}}, {"b", {.count = 2}}, {"gone", {.count = 7}}},
                        nullptr);
  CHECK(records.handles() == Records::Handles{merged});
  CHECK(records.originals(one_merge) == Records::Originals{{"both", {first, second}}});
  const auto usage = records.usage(one_merge);
  CHECK(usage.size() == 2);
  CHECK(usage.at("both").count == 3);
  CHECK(usage.at("b").count == 2);
}

TEST_CASE("a copy apart counts for itself", "[serving]") {
  const Records records = two_records();
  const Records copy = records.apart();
  copy.count(choice_of(0));
  CHECK(count_of(records, two_tasks, "a") == 1);
  CHECK(count_of(copy, two_tasks, "a") == 2);
}

TEST_CASE("a state without the originals of a merge is refused", "[serving][error]") {
  CHECK(message_of<ArgumentError>([] {
          (void)Records(one_merge, {some_adapter()}, {{"both", {some_adapter()}}}, {}, nullptr);
        }) == "task 'both' waits to join 1 adapters, expected 2");
}
