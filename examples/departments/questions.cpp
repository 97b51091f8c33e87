// SPDX-License-Identifier: MIT
#include "departments/questions.hpp"

#include <algorithm>
#include <anyssr/core/error.hpp>
#include <anyssr/core/random.hpp>
#include <map>
#include <sstream>

#include "support/json_lines.hpp"

namespace departments {

using anyssr::ArgumentError;
using anyssr::FormatError;
using anyssr::Index;
using support::Json;

namespace {

constexpr std::size_t max_text_bytes = 65536;

Department& department_of(Questions& questions, const std::string& name, const std::string& place) {
  for (Department& department : questions.departments) {
    if (department.name == name) return department;
  }
  questions.departments.push_back({.name = name, .labels = {}, .place = place});
  return questions.departments.back();
}

/// Adds a question to a split of a department; a label that is new is appended to its labels.
void add_question(Department& department, Split Department::*split, const std::string& text,
                  const std::string& label, const std::string& place) {
  std::vector<std::string>& labels = department.labels;
  const auto found = std::find(labels.begin(), labels.end(), label);
  (department.*split).texts.push_back(text);
  (department.*split).labels.push_back(static_cast<Index>(found - labels.begin()));
  if (found != labels.end()) return;
  labels.push_back(label);
  department.label_places.push_back(place);
}

void expect_text(const std::string& text, const std::string& place) {
  if (support::is_blank(text)) {
    throw FormatError(place + ": \"text\" is empty, expected a question");
  }
  if (text.size() > max_text_bytes) {
    throw FormatError(place + ": \"text\" has " + std::to_string(text.size()) +
                      " bytes, expected at most " + std::to_string(max_text_bytes) +
                      ": shorten it");
  }
}

/// A name, or "" for null.
std::string name_or_null(const Json& line, const char* key, const std::string& place) {
  const Json& value = line[key];
  return value.is_null() ? "" : support::name_of(value, place + ": \"" + key + "\"");
}

void expect_fields(const Json& line, const std::string& place) {
  if (!line.is_object())
    throw FormatError(place + ": expected an object {\"text\", \"task\", \"label\", \"split\"}");
  const std::vector<std::string> known{"text", "task", "label", "split"};
  for (const auto& [key, value] : line.items()) {
    if (std::find(known.begin(), known.end(), key) == known.end()) {
      throw FormatError(place + ": unknown field " + support::in_quotes(key) +
                        ", expected text, task, label, split");
    }
  }
  for (const std::string& key : known) {
    if (!line.contains(key)) throw FormatError(place + ": the field \"" + key + "\" is missing");
  }
}

Split Department::*split_of(const Json& value, const std::string& place) {
  if (value == "train") return &Department::train;
  if (value == "val") return &Department::val;
  if (value == "test") return &Department::test;
  throw FormatError(place + ": \"split\" is " + support::outline(value) +
                    ", expected train, val or test");
}

void add_line(Questions& questions, const Json& line, const std::string& place) {
  expect_fields(line, place);
  if (!line["text"].is_string()) throw FormatError(place + ": \"text\" is not a string");
  const std::string text = line["text"].get<std::string>();
  expect_text(text, place);
  const std::string task = name_or_null(line, "task", place);
  const std::string label = name_or_null(line, "label", place);
  const auto split = split_of(line["split"], place);
  questions.rows.push_back(
      {(task.empty() ? "oos_" : "") + line["split"].get<std::string>(), task, text});
  if (task.empty() != label.empty()) {
    throw FormatError(place + ": \"task\" and \"label\" are null together or not at all");
  }
  if (!task.empty()) {
    add_question(department_of(questions, task, place), split, text, label, place);
  } else if (split == &Department::test) {
    questions.outside.push_back(text);
  }
}

/// Tasks, and labels of a task, of which one was most likely meant.
void find_twins(Questions& questions) {
  std::vector<support::PlacedName> tasks;
  for (const Department& department : questions.departments) {
    tasks.push_back({department.name, department.place});
    std::vector<support::PlacedName> labels;
    for (std::size_t i = 0; i < department.labels.size(); ++i) {
      labels.push_back({department.labels[i], department.label_places[i]});
    }
    support::warn_of_twins(labels, "label", " of task " + support::in_quotes(department.name),
                           questions.warnings);
  }
  support::warn_of_twins(tasks, "task", "", questions.warnings);
}

/// Which domain an intent of CLINC150 is of.
using Domains = std::map<std::string, std::string>;

/// The JSON value of a file; discarded where there is none, and why is among the faults.
Json read_json_or_note(const std::string& path, support::Findings& faults) {
  try {
    return support::read_json_text(path);
  } catch (const FormatError& error) {
    faults.add(error.what());
    return Json(Json::value_t::discarded);
  }
}

/// {domain: [intent, ...]}: the departments and their labels, in that order.
Domains read_domains(const std::string& path, Questions& questions, support::Findings& faults) {
  const Json json = read_json_or_note(path, faults);
  if (json.is_discarded()) return {};
  if (!json.is_object() || json.empty()) {
    faults.add(path + ": expected {domain: [intents]}");
    return {};
  }
  Domains domain_of;
  for (const auto& [domain, intents] : json.items()) {
    const std::string place = path + ": domain " + support::in_quotes(domain);
    if (!intents.is_array()) {
      faults.add(place + " is no list of intents");
      continue;
    }
    Department& department = department_of(questions, domain, path);
    for (const Json& intent : intents) {
      if (!intent.is_string()) {
        faults.add(place + " holds " + support::outline(intent) + ", expected names of intents");
      } else if (!domain_of.emplace(intent.get<std::string>(), domain).second) {
        faults.add(place + " holds " + support::outline(intent) +
                   ", which is named before, expected each intent once");
      } else {
        department.labels.push_back(intent.get<std::string>());
        department.label_places.push_back(path);
      }
    }
  }
  return domain_of;
}

/// [text, intent].
void add_clinc_row(Questions& questions, const Domains& domain_of, const Json& row,
                   const std::string& place, Split Department::*split, const char* key) {
  if (!row.is_array() || row.size() != 2 || !row[0].is_string() || !row[1].is_string()) {
    throw FormatError(place + ": expected [text, intent]");
  }
  const std::string text = row[0].get<std::string>();
  const std::string intent = row[1].get<std::string>();
  expect_text(text, place);
  if (domain_of.empty()) return;  // the fault is that of domains.json
  const auto found = domain_of.find(intent);
  if (found == domain_of.end()) {
    throw FormatError(place + ": intent " + support::in_quotes(intent) + " is in no domain");
  }
  add_question(department_of(questions, found->second, place), split, text, intent, place);
  questions.rows.push_back({key, found->second, text});
}

/// Calls add(row, its place) for each of a split [row, ...].
template <class Add>
void read_clinc_split(const Json& data, const char* key, const std::string& path,
                      support::Findings& faults, const Add& add) {
  const auto rows = data.find(key);
  if (rows == data.end()) return faults.add(path + ": the split \"" + key + "\" is missing");
  const std::string place = path + " " + key;
  if (!rows->is_array()) return faults.add(place + ": expected a list of [text, intent]");
  for (std::size_t i = 0; i < rows->size(); ++i) {
    try {
      add((*rows)[i], place + "[" + std::to_string(i) + "]");
    } catch (const FormatError& error) {
      faults.add(error.what());
    }
  }
}

}  // namespace

Questions read_jsonl(const std::string& path) {
  Questions questions;
  support::Findings faults;
  support::read_json_lines(path, faults, [&](const Json& line, const std::string& place) {
    add_line(questions, line, place);
  });
  if (questions.departments.empty() && faults.empty()) {
    faults.add(path +
               ": no question of any department, expected lines {\"text\", \"task\", \"label\", "
               "\"split\"}");
  }
  faults.throw_if_any();
  find_twins(questions);
  return questions;
}

Questions read_clinc(const std::string& folder) {
  const std::string data_path = folder + "/data_full.json";
  Questions questions;
  support::Findings faults;
  const Domains domain_of = read_domains(folder + "/domains.json", questions, faults);
  const Json data = read_json_or_note(data_path, faults);
  if (!data.is_discarded() && !data.is_object()) {
    faults.add(data_path + ": expected an object of splits");
  }
  if (!data.is_object()) faults.throw_if_any();
  const auto read = [&](const char* key, Split Department::*split) {
    read_clinc_split(data, key, data_path, faults, [&](const Json& row, const std::string& place) {
      add_clinc_row(questions, domain_of, row, place, split, key);
    });
  };
  read("train", &Department::train);
  read("val", &Department::val);
  read("test", &Department::test);
  read_clinc_split(data, "oos_test", data_path, faults,
                   [&](const Json& row, const std::string& place) {
                     if (!row.is_array() || row.empty() || !row[0].is_string()) {
                       throw FormatError(place + ": expected [text, intent]");
                     }
                     questions.outside.push_back(row[0].get<std::string>());
                     expect_text(questions.outside.back(), place);
                     questions.rows.push_back({"oos_test", "", questions.outside.back()});
                   });
  faults.throw_if_any();
  find_twins(questions);
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
  for (const Department& department : all) {
    known += (known.empty() ? "" : ", ") + support::shown(department.name);
  }
  support::Findings faults;
  std::istringstream names(order);
  for (std::string name; std::getline(names, name, ',');) {
    const auto is_named = [&](const Department& department) { return department.name == name; };
    const auto found = std::find_if(all.begin(), all.end(), is_named);
    if (found == all.end() || std::any_of(sorted.begin(), sorted.end(), is_named)) {
      faults.add("--order names '" + support::shown(name) +
                 "', which is unknown or named before, expected each of: " + known);
    } else {
      sorted.push_back(*found);
    }
  }
  if (sorted.size() != all.size() && faults.empty()) {
    faults.add("--order names " + std::to_string(sorted.size()) + " departments, expected all " +
               std::to_string(all.size()) + ": " + known);
  }
  faults.throw_if_any<ArgumentError>();
  all = std::move(sorted);
}

void put_first(Questions& questions, const std::vector<std::string>& names) {
  std::vector<Department>& all = questions.departments;
  support::Findings faults;
  auto place = all.begin();
  for (const std::string& name : names) {
    const auto found = std::find_if(
        place, all.end(), [&](const Department& department) { return department.name == name; });
    if (found == all.end()) {
      faults.add("--state knows the department '" + support::shown(name) +
                 "', which the questions lack, expected those that it was learned from");
      continue;
    }
    std::rotate(place, found, found + 1);
    ++place;
  }
  faults.throw_if_any<ArgumentError>();
}

void expect_complete(const Questions& questions, const std::vector<std::string>& splits) {
  support::Findings faults;
  for (const Department& department : questions.departments) {
    const std::string of = " of department '" + support::shown(department.name) + "'";
    for (const std::string& split : splits) {
      const Split& measured = split == "val" ? department.val : department.test;
      if (!department.train.texts.empty() && !measured.texts.empty()) continue;
      faults.add(department.place + ": department '" + support::shown(department.name) + "' has " +
                 std::to_string(department.train.texts.size()) + " rows of split train and " +
                 std::to_string(measured.texts.size()) + " of split " + split +
                 ", expected at least 1 of each");
    }
    if (department.train.texts.empty()) continue;
    std::vector<bool> is_taught(department.labels.size(), false);
    for (const Index label : department.train.labels) {
      is_taught[static_cast<std::size_t>(label)] = true;
    }
    for (std::size_t label = 0; label < is_taught.size(); ++label) {
      if (is_taught[label]) continue;
      faults.add(department.label_places[label] + ": label '" +
                 support::shown(department.labels[label]) + "'" + of +
                 " has no row of split train, expected at least 1");
    }
  }
  faults.throw_if_any();
}

}  // namespace departments
