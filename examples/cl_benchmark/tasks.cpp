// SPDX-License-Identifier: MIT
#include "cl_benchmark/tasks.hpp"

#include <algorithm>
#include <anyssr/core/error.hpp>
#include <anyssr/core/random.hpp>
#include <filesystem>
#include <numeric>
#include <optional>
#include <set>
#include <sstream>

#include "cl_benchmark/trace_folder.hpp"
#include "departments/questions.hpp"
#include "support/json_lines.hpp"
#include "support/messages.hpp"

namespace cl_benchmark {

using anyssr::ArgumentError;
using anyssr::FormatError;
using anyssr::Index;
using support::Json;

namespace {

namespace fs = std::filesystem;

/// Numbers of answers by their text.
class AnswerNumbers {
 public:
  explicit AnswerNumbers(std::vector<std::string>& answers) : answers_(answers) {}
  Index operator()(const std::string& answer) {
    const auto [found, is_new] = numbers_.emplace(answer, static_cast<Index>(answers_.size()));
    if (is_new) answers_.push_back(answer);
    return found->second;
  }

 private:
  std::vector<std::string>& answers_;
  std::map<std::string, Index> numbers_;
};

void read_rows(const fs::path& file, AnswerNumbers& number, Rows& rows, support::Findings& faults) {
  const std::size_t before = faults.count();
  support::read_json_lines(file.string(), faults, [&](const Json& line, const std::string& place) {
    if (!line.is_object() || !line.contains("text") || !line.contains("label")) {
      throw FormatError(place + ": expected an object {\"text\", \"label\"}");
    }
    if (!line["text"].is_string() || support::is_blank(line["text"].get<std::string>())) {
      throw FormatError(place + ": \"text\" is empty or no string, expected a text");
    }
    rows.add(line["text"].get<std::string>(),
             number(support::name_of(line["label"], place + ": \"label\"")));
  });
  if (rows.texts.empty() && faults.count() == before) {
    faults.add(file.string() + ": holds no row, expected JSON lines {\"text\", \"label\"}");
  }
}

/// Folders with training rows, by name.
std::vector<std::string> folders_with_rows(const fs::path& folder) {
  std::error_code error;
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (fs::exists(entry.path() / "train.jsonl") || has_trace_rows(entry.path())) {
      names.push_back(entry.path().filename().string());
    }
  }
  if (error) throw FormatError(folder.string() + ": cannot be read as a folder");
  std::ranges::sort(names);
  return names;
}

/// Calls read(), whose complaint about a whole file is one fault of several.
template <class Read>
void collecting(support::Findings& faults, const Read& read) {
  try {
    read();
  } catch (const FormatError& error) {
    faults.add(error.what());
  }
}

Task read_task(const fs::path& folder, AnswerNumbers& number, support::Findings& faults) {
  Task task{.name = {}};
  if (has_trace_rows(folder)) {
    const auto read = [&](const char* file, Rows& rows) {
      collecting(faults, [&] {
        read_trace_rows((folder / file).string(), faults,
                        [&](const TraceRow& row) { rows.add(row.prompt, number(row.answer)); });
      });
    };
    read("train.json", task.train);
    read("test.json", task.test);
    if (fs::exists(folder / "eval.json")) read("eval.json", task.val);
  } else {
    const auto read = [&](const char* file, Rows& rows) {
      collecting(faults, [&] { read_rows(folder / file, number, rows, faults); });
    };
    read("train.jsonl", task.train);
    read("test.jsonl", task.test);
  }
  collect_answers(task);
  return task;
}

std::vector<std::string> names_in(const Json& list, const std::string& place) {
  if (!list.is_array()) throw FormatError(place + " is no list of names of tasks");
  std::vector<std::string> names;
  for (const Json& name : list) names.push_back(support::name_of(name, place + ": a name"));
  return names;
}

/// tasks.json: {"tasks": [{"name"}], "orders": {name: [task]}}.
std::vector<std::string> read_index(const fs::path& file, Benchmark& benchmark) {
  const Json json = support::read_json_text(file.string());
  if (!json.is_object() || !json.contains("tasks") || !json["tasks"].is_array()) {
    throw FormatError(file.string() + ": expected {\"tasks\": [{\"name\"}], \"orders\"}");
  }
  std::vector<std::string> names;
  for (const Json& task : json["tasks"]) {
    if (!task.is_object() || !task.contains("name")) {
      throw FormatError(file.string() + ": a task has no \"name\"");
    }
    names.push_back(support::name_of(task["name"], file.string() + ": \"name\""));
  }
  if (json.contains("orders") && json["orders"].is_object()) {
    for (const auto& [name, order] : json["orders"].items()) {
      benchmark.orders[name] =
          names_in(order, file.string() + ": order " + support::in_quotes(name));
    }
  }
  return names;
}

std::vector<std::string> split_names(const std::string& text) {
  std::vector<std::string> names;
  std::stringstream stream(text);
  for (std::string name; std::getline(stream, name, ',');) names.push_back(name);
  return names;
}

}  // namespace

void collect_answers(Task& task) {
  task.answers = task.train.answers;
  std::ranges::sort(task.answers);
  task.answers.erase(std::unique(task.answers.begin(), task.answers.end()), task.answers.end());
}

Benchmark read_folder(const std::string& folder) {
  Benchmark benchmark;
  const fs::path root(folder);
  const std::vector<std::string> names = fs::exists(root / "tasks.json")
                                             ? read_index(root / "tasks.json", benchmark)
                                             : folders_with_rows(root);
  AnswerNumbers number(benchmark.answers);
  support::Findings faults;
  for (const std::string& name : names) {
    benchmark.tasks.push_back(read_task(root / name, number, faults));
    benchmark.tasks.back().name = name;
  }
  faults.throw_if_any();
  if (benchmark.tasks.empty()) {
    throw FormatError(folder + ": holds no folder TASK with train.jsonl and test.jsonl, or with " +
                      "train.json and test.json");
  }
  return benchmark;
}

Benchmark read_clinc(const std::string& folder) {
  const departments::Questions questions = departments::read_clinc(folder);
  departments::expect_complete(questions, {"test"});
  Benchmark benchmark;
  AnswerNumbers number(benchmark.answers);
  for (const departments::Department& department : questions.departments) {
    Task task{.name = department.name};
    const auto copy = [&](const departments::Split& split, Rows& rows) {
      for (std::size_t i = 0; i < split.texts.size(); ++i) {
        rows.add(split.texts[i],
                 number(department.labels[static_cast<std::size_t>(split.labels[i])]));
      }
    };
    copy(department.train, task.train);
    copy(department.test, task.test);
    collect_answers(task);
    benchmark.tasks.push_back(std::move(task));
  }
  return benchmark;
}

void reorder(Benchmark& benchmark, const std::string& order, std::uint64_t seed) {
  if (order.empty()) return;
  if (order == "random") {
    benchmark = reordered(benchmark, seed);
    return;
  }
  const auto known = benchmark.orders.find(order);
  benchmark.tasks =
      in_order(benchmark, known == benchmark.orders.end() ? split_names(order) : known->second);
}

std::vector<Task> in_order(const Benchmark& benchmark, std::span<const std::string> names) {
  std::vector<Task> tasks;
  std::set<std::string> taken;
  for (const std::string& name : names) {
    const auto found = std::ranges::find(benchmark.tasks, name, &Task::name);
    if (!taken.insert(name).second) {
      throw ArgumentError("--order names " + support::in_quotes(name) + " twice");
    }
    if (found == benchmark.tasks.end()) {
      throw ArgumentError("--order names " + support::in_quotes(name) +
                          ", which is neither a task nor an order of the data");
    }
    tasks.push_back(*found);
  }
  return tasks;
}

Benchmark reordered(const Benchmark& benchmark, std::uint64_t seed) {
  Benchmark result = benchmark;
  anyssr::RandomStream random(seed, 0);
  const std::vector<Index> places =
      anyssr::random_permutation(static_cast<Index>(benchmark.tasks.size()), random);
  for (std::size_t i = 0; i < places.size(); ++i) {
    result.tasks[i] = benchmark.tasks[static_cast<std::size_t>(places[i])];
  }
  return result;
}

void expect_measurable(const Benchmark& benchmark) {
  support::Findings faults;
  for (const Task& task : benchmark.tasks) {
    if (task.train.texts.empty() || task.test.texts.empty()) {
      faults.add("task " + support::in_quotes(task.name) + " has " +
                 std::to_string(task.train.size()) + " rows to learn from and " +
                 std::to_string(task.test.size()) + " to measure on, expected some of both");
    }
  }
  faults.throw_if_any();
}

void hold_out(Benchmark& benchmark, double share, std::uint64_t seed) {
  for (Task& task : benchmark.tasks) {
    if (!task.val.texts.empty()) {
      task.test = std::move(task.val);
      task.val = {};
      continue;
    }
    std::map<Index, std::vector<Index>> by_answer;
    for (Index i = 0; i < task.train.size(); ++i) {
      by_answer[task.train.answers[static_cast<std::size_t>(i)]].push_back(i);
    }
    std::vector<bool> is_held_out(task.train.texts.size(), false);
    for (auto& [answer, rows] : by_answer) {
      anyssr::RandomStream random(anyssr::hash_bytes(task.name, seed),
                                  static_cast<std::uint64_t>(answer));
      const std::vector<Index> order =
          anyssr::random_permutation(static_cast<Index>(rows.size()), random);
      const auto count = static_cast<std::size_t>(share * static_cast<double>(rows.size()));
      for (std::size_t k = 0; k < count; ++k) {
        is_held_out[static_cast<std::size_t>(rows[static_cast<std::size_t>(order[k])])] = true;
      }
    }
    Rows train;
    task.test = {};
    for (std::size_t i = 0; i < task.train.texts.size(); ++i) {
      Rows& to = is_held_out[i] ? task.test : train;
      to.add(std::move(task.train.texts[i]), task.train.answers[i]);
    }
    task.train = std::move(train);
  }
}

}  // namespace cl_benchmark
