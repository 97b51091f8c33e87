// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The tasks of a manifest and the columns of W that they own:
///
///   "tasks": [{"name": "billing", "status": "active", "adapter": "000003-billing",
///              "digest": "0x..."}]
///   "columns": [{"task": "billing", "label": null}, {"task": "billing", "label": 0}]
///
/// status is active or disabled (archived: kept, never chosen); "frozen": true where a task is. A
/// task that waits for a merge to be committed or undone holds its two "parts", each an entry of
/// the same form, and owns no column itself: its columns say of which part they are, "part": 0 or
/// 1. The task column of such a task is that of its first part, and its labels are those of both.

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "anyssr/io/json_fields.hpp"
#include "anyssr/router/routed_task.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// A task of a checkpoint, in the order of the router.
struct StoredTask {
  std::string name;
  std::string adapter = {};                ///< folder name below adapters/
  std::uint64_t digest = 0;                ///< AdapterInfo::digest
  std::uint64_t column = 0;                ///< of W
  std::vector<std::uint64_t> labels = {};  ///< column of each label
  bool active = true;
  bool frozen = false;
  std::vector<StoredTask> parts = {};  ///< two while a merge waits for commit or undo, else none
};

namespace detail {

/// Every task with an adapter of its own: each task, and right after it its parts.
/// @param tasks  std::vector<StoredTask>, or const
template <class Tasks>
[[nodiscard]] auto with_parts(Tasks& tasks) {
  std::vector<decltype(tasks.data())> all;
  for (auto& task : tasks) {
    all.push_back(&task);
    for (auto& part : task.parts) all.push_back(&part);
  }
  return all;
}

/// Column and labels of a waiting task, from its parts.
inline void join_columns(StoredTask& task) {
  if (task.parts.empty()) return;
  task.column = task.parts[0].column;
  task.labels = task.parts[0].labels;
  task.labels.insert(task.labels.end(), task.parts[1].labels.begin(), task.parts[1].labels.end());
}

/// Without its adapter.
[[nodiscard]] inline StoredTask stored_task(const RoutedTask& task) {
  StoredTask stored{.name = task.name,
                    .column = static_cast<std::uint64_t>(task.column),
                    .labels = {task.label_columns.begin(), task.label_columns.end()},
                    .active = task.active,
                    .frozen = task.frozen};
  for (const RoutedTask& part : task.parts) stored.parts.push_back(stored_task(part));
  return stored;
}

/// Without what the router's file holds of it.
[[nodiscard]] inline RoutedTask routed_task(const StoredTask& stored) {
  RoutedTask task{.name = stored.name,
                  .column = static_cast<Index>(stored.column),
                  .label_columns = {stored.labels.begin(), stored.labels.end()},
                  .active = stored.active,
                  .frozen = stored.frozen};
  for (const StoredTask& part : stored.parts) task.parts.push_back(routed_task(part));
  if (!task.parts.empty()) task.further_columns = {task.parts[1].column};
  return task;
}

[[nodiscard]] inline Json columns_json(const std::vector<StoredTask>& tasks) {
  std::vector<Json> columns;
  const auto put = [&](std::uint64_t column, Json value) {
    if (columns.size() <= column) columns.resize(column + 1);
    columns[column] = std::move(value);
  };
  const auto put_all = [&](const StoredTask& owner, const Json& names) {
    const auto entry = [&](Json label) {
      Json value = names;
      value["label"] = std::move(label);
      return value;
    };
    put(owner.column, entry(nullptr));
    for (std::size_t label = 0; label < owner.labels.size(); ++label) {
      put(owner.labels[label], entry(label));
    }
  };
  for (const StoredTask& task : tasks) {
    if (task.parts.empty()) put_all(task, {{"task", task.name}});
    for (std::size_t k = 0; k < task.parts.size(); ++k) {
      put_all(task.parts[k], {{"task", task.name}, {"part", k}});
    }
  }
  return columns;
}

/// The task, or the part of it, that owns a column.
[[nodiscard]] inline StoredTask& column_owner(
    const JsonFields& entry, const std::map<std::string_view, StoredTask*>& by_name) {
  const auto task = by_name.find(entry.text("task"));
  if (task == by_name.end()) entry.refuse("task", "the name of a task of the manifest");
  std::vector<StoredTask>& parts = task->second->parts;
  if (!parts.empty()) return parts[static_cast<std::size_t>(entry.count("part", 1))];
  if (entry.has("part")) entry.refuse("part", "none: the task waits for no merge");
  return *task->second;
}

inline void parse_columns(const JsonFields& fields, std::vector<StoredTask>& tasks) {
  std::map<std::string_view, StoredTask*> by_name;
  for (StoredTask& task : tasks) by_name.emplace(task.name, &task);
  std::map<const StoredTask*, std::map<std::uint64_t, std::uint64_t>> labels;
  std::set<const StoredTask*> seen;
  std::uint64_t column = 0;
  fields.for_each("columns", [&](const Json& value, const std::string& place) {
    const JsonFields entry(value, place);
    StoredTask& owner = column_owner(entry, by_name);
    if (entry.has("label") && value.at("label").is_null()) {
      if (!seen.insert(&owner).second) entry.refuse("task", "one task column a task");
      owner.column = column;
    } else {
      const std::uint64_t label = entry.count("label", 1000000);
      if (!labels[&owner].emplace(label, column).second) {
        entry.refuse("label", "each label of a task once");
      }
    }
    ++column;
  });
  std::vector<StoredTask*> owners;
  for (StoredTask* task : with_parts(tasks)) {
    if (task->parts.empty()) owners.push_back(task);
  }
  expect<FormatError>(seen.size() == owners.size(), fields.place(), ": columns name ", seen.size(),
                      " tasks, expected ", owners.size());
  for (StoredTask* owner : owners) {
    for (const auto& [label, at] : labels[owner]) {
      expect<FormatError>(label == owner->labels.size(), fields.place(), ": task ",
                          in_quotes(owner->name), " has no column for label ",
                          owner->labels.size());
      owner->labels.push_back(at);
    }
  }
  for (StoredTask& task : tasks) join_columns(task);
}

[[nodiscard]] inline Json task_json(const StoredTask& task) {
  Json json{{"name", task.name},
            {"status", task.active ? "active" : "disabled"},
            {"adapter", task.adapter},
            {"digest", word_text(task.digest)}};
  if (task.frozen) json["frozen"] = true;
  if (!task.parts.empty()) json["parts"] = Json::array();
  for (const StoredTask& part : task.parts) json["parts"].push_back(task_json(part));
  return json;
}

[[nodiscard]] inline Json tasks_json(const std::vector<StoredTask>& tasks) {
  Json json = Json::array();
  for (const StoredTask& task : tasks) json.push_back(task_json(task));
  return json;
}

/// An entry without parts and columns.
/// @param stored_path  checks the path of a key and gives it
template <class StoredPath>
[[nodiscard]] StoredTask parse_task_entry(const JsonFields& entry, const StoredPath& stored_path) {
  StoredTask task{.name = entry.text("name"),
                  .adapter = stored_path(entry, "adapter"),
                  .digest = entry.word("digest")};
  const std::string& status = entry.text("status");
  if (status != "active" && status != "disabled") {
    entry.refuse("status", R"("active" or "disabled")");
  }
  task.active = status == "active";
  if (entry.has("frozen")) task.frozen = entry.boolean("frozen");
  if (task.adapter.find('/') != std::string::npos) entry.refuse("adapter", "the name of a folder");
  return task;
}

/// The two tasks that a waiting merge joined.
/// @param names  of all tasks and parts so far; a part may have its task's name
template <class StoredPath>
void parse_parts(const JsonFields& entry, std::set<std::string>& names,
                 const StoredPath& stored_path, StoredTask& task) {
  if (!entry.has("parts")) return;
  entry.for_each("parts", [&](const Json& value, const std::string& place) {
    const JsonFields fields(value, place);
    StoredTask part = parse_task_entry(fields, stored_path);
    const bool is_new = part.name == task.name
                            ? task.parts.empty() || task.parts.front().name != part.name
                            : !part.name.empty() && names.insert(part.name).second;
    if (!is_new) fields.refuse("name", "a name that no other task has");
    if (part.frozen) fields.refuse("frozen", "false: a frozen task joins no other");
    if (fields.has("parts")) fields.refuse("parts", "none: a waiting task joins no other");
    task.parts.push_back(std::move(part));
  });
  if (task.parts.size() != 2) entry.refuse("parts", "two tasks that a merge joined");
}

template <class StoredPath>
[[nodiscard]] std::vector<StoredTask> parse_tasks(const JsonFields& fields,
                                                  const StoredPath& stored_path) {
  std::vector<StoredTask> tasks;
  std::set<std::string> names;
  fields.for_each("tasks", [&](const Json& value, const std::string& place) {
    const JsonFields entry(value, place);
    StoredTask task = parse_task_entry(entry, stored_path);
    if (task.name.empty() || !names.insert(task.name).second) {
      entry.refuse("name", "a name that no other task has");
    }
    parse_parts(entry, names, stored_path, task);
    tasks.push_back(std::move(task));
  });
  parse_columns(fields, tasks);
  return tasks;
}

}  // namespace detail
}  // namespace anyssr::inline ANYSSR_ABI
