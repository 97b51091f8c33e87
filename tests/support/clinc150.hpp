// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// CLINC150, where the environment names it: ten domains as tasks, fifteen intents each as labels,
/// and queries that are of none of them.

#include <array>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "anyssr/core/types.hpp"

namespace anyssr::test {

struct ClincSplit {
  std::vector<std::string> texts;
  std::vector<Index> tasks;
  std::vector<Index> labels;

  /// The rows of one task.
  [[nodiscard]] ClincSplit of_task(Index task) const {
    ClincSplit kept;
    for (std::size_t i = 0; i < texts.size(); ++i) {
      if (tasks[i] == task) kept.add(*this, i);
    }
    return kept;
  }

  /// Task t keeps every 2^t-th of its rows, at least one.
  [[nodiscard]] ClincSplit halved_by_task() const {
    ClincSplit kept;
    std::map<Index, std::size_t> seen;
    for (std::size_t i = 0; i < texts.size(); ++i) {
      if (seen[tasks[i]]++ % (std::size_t{1} << tasks[i]) != 0) continue;
      kept.add(*this, i);
    }
    return kept;
  }

  void add(const ClincSplit& from, std::size_t row) {
    texts.push_back(from.texts[row]);
    tasks.push_back(from.tasks[row]);
    labels.push_back(from.labels[row]);
  }
};

struct Clinc150 {
  std::vector<std::string> names;
  ClincSplit train;
  ClincSplit val;
  ClincSplit test;
  std::vector<std::string> oos_train;  // out of scope
  std::vector<std::string> oos_val;
  std::vector<std::string> oos_test;

  explicit Clinc150(const std::string& folder) {
    const auto domains = read(folder + "/domains.json");
    std::map<std::string, std::pair<Index, Index>> place;
    for (const auto& [domain, intents] : domains.items()) {
      for (const std::string intent : intents) {
        const auto label = static_cast<Index>(place.size() % 15);
        place[intent] = {static_cast<Index>(names.size()), label};
      }
      names.push_back(domain);
    }
    const auto data = read(folder + "/data_full.json");
    for (const auto& [key, split] : {std::pair{"train", &train}, {"val", &val}, {"test", &test}}) {
      for (const auto& row : data[key]) {
        const auto [task, label] = place.at(row[1].get<std::string>());
        split->texts.push_back(row[0]);
        split->tasks.push_back(task);
        split->labels.push_back(label);
      }
    }
    for (const auto& [key, texts] :
         {std::pair{"oos_train", &oos_train}, {"oos_val", &oos_val}, {"oos_test", &oos_test}}) {
      for (const auto& row : data[key]) texts->push_back(row[0]);
    }
  }

 private:
  static nlohmann::ordered_json read(const std::string& path) {
    std::ifstream file(path);
    return nlohmann::ordered_json::parse(file);
  }
};

/// Nothing, with a line that marks the test as skipped, where ANYSSR_EXTRA_DATA is not set.
inline std::optional<Clinc150> find_clinc150() {
  const char* extra = std::getenv("ANYSSR_EXTRA_DATA");
  if (extra == nullptr) {
    std::cout << "skipped: ANYSSR_EXTRA_DATA is not set\n";
    return std::nullopt;
  }
  return Clinc150(std::string(extra) + "/data/clinc150");
}

}  // namespace anyssr::test
