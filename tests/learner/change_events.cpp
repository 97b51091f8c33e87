// SPDX-License-Identifier: MIT
// What an audit sink hears of the changes of tasks.
#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "learner/task_life.hpp"
#include "support/catch.hpp"
#include "support/small_learner.hpp"

using namespace anyssr;
using namespace anyssr::test;

TEST_CASE("a sink hears of every change once and in order", "[learner]") {
  auto learner = small_learner<double>();
  struct Heard {
    std::string event, task, source;
    std::optional<Index> rows;
    std::uint64_t changes, digest, expected_digest;
  };
  std::vector<Heard> heard;
  learner.set_hooks({.audit = [&](const AuditEvent& event) {
    const auto& change = std::get<ChangeEvent>(event);
    const auto& weights = learner.router().table()->weights();
    heard.push_back({std::string(change.event), std::string(change.task),
                     change.second_source.empty()
                         ? std::string(change.source)
                         : std::string(change.source) + " " + std::string(change.second_source),
                     change.rows, change.changes, change.router_digest,
                     hash_bytes({reinterpret_cast<const char*>(weights.data()),
                                 static_cast<std::size_t>(weights.size()) * sizeof(double)},
                                0)});
  }});
  const auto rows = small_task<double>(0);
  learn_small_tasks<double>(learner, 0, 3);
  learner.extend_task("task-0", std::span(rows.inputs).first(5), std::span(rows.labels).first(5));
  learner.replace_adapter("task-0", *learner.snapshot().adapter("task-1"));
  learner.rename_task("task-2", "c");
  learner.correct(rows.inputs[0], "c", Index{1}, std::pair{std::string("task-0"), rows.labels[0]});
  learner.merge_tasks("task-0", "task-1", "both");
  learner.commit_merge("both");
  learner.remove_task("c");
  CHECK(message_of<TaskError>([&] { learner.remove_task("c"); }) != "nothing was thrown");
  const std::vector<std::array<std::string, 3>> expected{{"learn", "task-0", ""},
                                                         {"learn", "task-1", ""},
                                                         {"learn", "task-2", ""},
                                                         {"extend", "task-0", ""},
                                                         {"replace", "task-0", ""},
                                                         {"rename", "c", "task-2"},
                                                         {"correct", "c", "task-0"},
                                                         {"merge_tasks", "both", "task-0 task-1"},
                                                         {"commit", "both", "task-0 task-1"},
                                                         {"remove", "c", ""}};
  REQUIRE(heard.size() == expected.size());
  const std::uint64_t first = heard.front().changes;
  for (std::size_t k = 0; k < heard.size(); ++k) {
    CAPTURE(k);
    CHECK(heard[k].event == expected[k][0]);
    CHECK(heard[k].task == expected[k][1]);
    CHECK(heard[k].source == expected[k][2]);
    CHECK(heard[k].changes == first + k);
    CHECK(heard[k].digest == heard[k].expected_digest);
  }
  CHECK(heard[0].rows == std::optional<Index>(24));
  CHECK(heard[3].rows == std::optional<Index>(5));
  CHECK(heard[6].rows == std::optional<Index>(1));
  CHECK(heard[9].rows == std::optional<Index>(25));
}
