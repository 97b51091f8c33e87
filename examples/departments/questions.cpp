// SPDX-License-Identifier: MIT
#include "departments/questions.hpp"

#include <algorithm>
#include <anyssr/core/error.hpp>
#include <anyssr/core/random.hpp>
#include <sstream>
#include <string_view>

#include "support/strict_json.hpp"

namespace departments {

using anyssr::ArgumentError;
using anyssr::FormatError;
using anyssr::Index;
using support::Json;

namespace {

constexpr std::size_t max_text_bytes = 65536;

/// The number of `name` in a list, appended where it is new.
Index number_of(std::vector<std::string>& names, const std::string& name) {
  const auto found = std::find(names.begin(), names.end(), name);
  if (found != names.end()) return static_cast<Index>(found - names.begin());
  names.push_back(name);
  return static_cast<Index>(names.size()) - 1;
}

Department& department_of(Questions& questions, const std::string& name) {
  for (Department& department : questions.departments) {
    if (department.name == name) return department;
  }
  questions.departments.push_back({.name = name, .labels = {}, .train = {}, .val = {}, .test = {}});
  return questions.departments.back();
}

void expect_text(const std::string& text, const std::string& place) {
  if (text.find_first_not_of(" \t\r\n\f\v") == std::string::npos) {
    throw FormatError(place + ": \"text\" is empty, expected a question");
  }
  if (text.size() > max_text_bytes) {
    throw FormatError(place + ": \"text\" has " + std::to_string(text.size()) +
                      " bytes, expected at most " + std::to_string(max_text_bytes) +
                      ": shorten it");
  }
}

/// A string, or "" for null.
std::string string_or_null(const Json& line, const char* key, const std::string& place) {
  const Json& value = line[key];
  if (value.is_null()) return "";
  if (!value.is_string() || value.get_ref<const std::string&>().empty()) {
    throw FormatError(place + ": \"" + key + "\" is " + value.dump().substr(0, 40) +
                      ", expected a string that is not empty, or null");
  }
  return value.get<std::string>();
}

void expect_fields(const Json& line, const std::string& place) {
  if (!line.is_object())
    throw FormatError(place + ": expected an object {\"text\", \"task\", \"label\", \"split\"}");
  const std::vector<std::string> known{"text", "task", "label", "split"};
  for (const auto& [key, value] : line.items()) {
    if (std::find(known.begin(), known.end(), key) == known.end()) {
      throw FormatError(place + ": unknown field \"" + key +
                        "\", expected text, task, label, split");
    }
  }
  for (const std::string& key : known) {
    if (!line.contains(key)) throw FormatError(place + ": the field \"" + key + "\" is missing");
  }
}

void add_line(Questions& questions, const Json& line, const std::string& place) {
  expect_fields(line, place);
  if (!line["text"].is_string()) throw FormatError(place + ": \"text\" is not a string");
  const std::string text = line["text"].get<std::string>();
  expect_text(text, place);
  const std::string task = string_or_null(line, "task", place);
  const std::string label = string_or_null(line, "label", place);
  const std::string split = string_or_null(line, "split", place);
  if (split != "train" && split != "val" && split != "test") {
    throw FormatError(place + ": \"split\" is " + line["split"].dump() +
                      ", expected train, val or test");
  }
  if (task.empty() != label.empty()) {
    throw FormatError(place + ": \"task\" and \"label\" are null together or not at all");
  }
  if (task.empty()) {
    if (split == "test") questions.outside.push_back(text);
    return;
  }
  Department& department = department_of(questions, task);
  Split& rows = split == "train" ? department.train
                : split == "val" ? department.val
                                 : department.test;
  rows.texts.push_back(text);
  rows.labels.push_back(number_of(department.labels, label));
}

/// One split of CLINC150: [[text, intent], ...].
void add_clinc_split(Questions& questions,
                     const std::vector<std::pair<std::string, std::string>>& domain_of,
                     const Json& rows, const std::string& place, Split Department::*split) {
  if (!rows.is_array()) throw FormatError(place + ": expected a list of [text, intent]");
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Json& row = rows[i];
    const std::string at = place + "[" + std::to_string(i) + "]";
    if (!row.is_array() || row.size() != 2 || !row[0].is_string() || !row[1].is_string()) {
      throw FormatError(at + ": expected [text, intent]");
    }
    const std::string text = row[0].get<std::string>();
    const std::string intent = row[1].get<std::string>();
    expect_text(text, at);
    const auto found = std::find_if(domain_of.begin(), domain_of.end(),
                                    [&](const auto& entry) { return entry.first == intent; });
    if (found == domain_of.end())
      throw FormatError(at + ": intent \"" + intent + "\" is in no domain");
    Department& department = department_of(questions, found->second);
    (department.*split).texts.push_back(text);
    (department.*split).labels.push_back(number_of(department.labels, intent));
  }
}

}  // namespace

Questions read_jsonl(const std::string& path) {
  std::string text = support::read_file(path);
  if (text.starts_with("\xEF\xBB\xBF")) text.erase(0, 3);  // spreadsheets write a byte order mark
  Questions questions;
  std::size_t number = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line(text.data() + begin, end - begin);
    const std::string place = path + ":" + std::to_string(++number);
    begin = end + 1;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    add_line(questions, support::parse_json(line, place), place);
  }
  if (questions.departments.empty()) {
    throw FormatError(path +
                      ": no question of any department, expected lines {\"text\", \"task\", "
                      "\"label\", \"split\"}");
  }
  return questions;
}

Questions read_clinc(const std::string& folder) {
  const std::string domains_path = folder + "/domains.json";
  const std::string data_path = folder + "/data_full.json";
  const Json domains = support::parse_json(support::read_file(domains_path), domains_path);
  const Json data = support::parse_json(support::read_file(data_path), data_path);
  if (!domains.is_object() || domains.empty())
    throw FormatError(domains_path + ": expected {domain: [intents]}");
  if (!data.is_object()) throw FormatError(data_path + ": expected an object of splits");
  Questions questions;
  std::vector<std::pair<std::string, std::string>> domain_of;
  for (const auto& [domain, intents] : domains.items()) {
    if (!intents.is_array())
      throw FormatError(domains_path + ": domain \"" + domain + "\" is no list of intents");
    Department& department = department_of(questions, domain);
    for (const Json& intent : intents) {
      if (!intent.is_string())
        throw FormatError(domains_path + ": an intent of \"" + domain + "\" is no string");
      domain_of.emplace_back(intent.get<std::string>(), domain);
      number_of(department.labels, domain_of.back().first);
    }
  }
  for (const char* key : {"train", "val", "test", "oos_test"}) {
    if (!data.contains(key))
      throw FormatError(data_path + ": the split \"" + key + "\" is missing");
  }
  add_clinc_split(questions, domain_of, data["train"], data_path + " train", &Department::train);
  add_clinc_split(questions, domain_of, data["val"], data_path + " val", &Department::val);
  add_clinc_split(questions, domain_of, data["test"], data_path + " test", &Department::test);
  for (const Json& row : data["oos_test"]) {
    if (!row.is_array() || row.empty() || !row[0].is_string()) {
      throw FormatError(data_path + " oos_test: expected [text, intent]");
    }
    questions.outside.push_back(row[0].get<std::string>());
  }
  return questions;
}

void reorder(Questions& questions, const std::string& order, std::uint64_t seed) {
  if (order.empty()) return;
  std::vector<Department>& all = questions.departments;
  std::vector<Department> sorted;
  if (order == "random") {
    anyssr::RandomStream random(seed, 1000);
    for (const Index i : anyssr::random_permutation(static_cast<Index>(all.size()), random)) {
      sorted.push_back(all[static_cast<std::size_t>(i)]);
    }
    all = std::move(sorted);
    return;
  }
  std::string known;
  for (const Department& department : all) known += (known.empty() ? "" : ", ") + department.name;
  std::istringstream names(order);
  for (std::string name; std::getline(names, name, ',');) {
    const auto is_named = [&](const Department& department) { return department.name == name; };
    const auto found = std::find_if(all.begin(), all.end(), is_named);
    if (found == all.end() || std::any_of(sorted.begin(), sorted.end(), is_named)) {
      throw ArgumentError("--order names '" + name +
                          "', which is unknown or named before, expected each of: " + known);
    }
    sorted.push_back(*found);
  }
  if (sorted.size() != all.size()) {
    throw ArgumentError("--order names " + std::to_string(sorted.size()) +
                        " departments, expected all " + std::to_string(all.size()) + ": " + known);
  }
  all = std::move(sorted);
}

void put_first(Questions& questions, const std::vector<std::string>& names) {
  std::vector<Department>& all = questions.departments;
  auto place = all.begin();
  for (const std::string& name : names) {
    const auto found = std::find_if(
        place, all.end(), [&](const Department& department) { return department.name == name; });
    if (found == all.end()) {
      throw ArgumentError("--state knows the department '" + name +
                          "', which the questions lack, expected those that it was learned from");
    }
    std::rotate(place, found, found + 1);
    ++place;
  }
}

void expect_complete(const Questions& questions, const std::string& split) {
  for (const Department& department : questions.departments) {
    const Split& measured = split == "val" ? department.val : department.test;
    if (department.train.texts.empty() || measured.texts.empty()) {
      throw FormatError("department '" + department.name + "' has " +
                        std::to_string(department.train.texts.size()) +
                        " rows of split train and " + std::to_string(measured.texts.size()) +
                        " of split " + split + ", expected at least 1 of each");
    }
    for (std::size_t label = 0; label < department.labels.size(); ++label) {
      if (std::count(department.train.labels.begin(), department.train.labels.end(),
                     static_cast<Index>(label)) == 0) {
        throw FormatError("label '" + department.labels[label] + "' of department '" +
                          department.name + "' has no row of split train, expected at least 1");
      }
    }
  }
}

}  // namespace departments
