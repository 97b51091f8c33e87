// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The questions that `departments` learns and is asked: tasks with labels, in splits.

#include <anyssr/core/types.hpp>
#include <string>
#include <vector>

#include "support/findings.hpp"

namespace departments {

/// Texts with the number of their label within the task.
struct Split {
  std::vector<std::string> texts;
  std::vector<anyssr::Index> labels;
};

struct Department {
  std::string name;
  std::vector<std::string> labels;
  std::string place = {};                      ///< "questions.jsonl:3", where it is named first
  std::vector<std::string> label_places = {};  ///< likewise of each label
  Split train = {};
  Split val = {};
  Split test = {};
};

/// A row as the data file has it.
struct DataRow {
  std::string split;  ///< train, val, test; of no department: oos_train, oos_val, oos_test
  std::string department;
  std::string text;
};

struct Questions {
  std::vector<Department> departments;  ///< in the order in which they are learned
  std::vector<std::string> outside;     ///< test questions of no department
  std::vector<DataRow> rows = {};       ///< all, in the order of the file
  support::Findings warnings = {};      ///< names of which one was most likely meant
};

/// JSON Lines {"text", "task", "label", "split"}: split is train, val or test; task and label are
/// strings, integers, true or false, or null for a question of no department.
/// @throws anyssr::FormatError  naming every fault with file and line
Questions read_jsonl(const std::string& path);

/// The published CLINC150 files data_full.json and domains.json in a folder: domains are
/// departments.
/// @throws anyssr::FormatError  naming every fault of both files
Questions read_clinc(const std::string& folder);

/// Puts the departments into an order: "" as they are, "random" by the seed, or names with commas.
/// @throws anyssr::ArgumentError  for a name that is unknown, missing or given twice
void reorder(Questions& questions, const std::string& order, std::uint64_t seed);

/// Puts the named departments first, in that order; the others keep theirs.
/// @throws anyssr::ArgumentError  for a name that is not among them
void put_first(Questions& questions, const std::vector<std::string>& names);

/// Refuses departments that cannot be learned or measured: without a row to learn from or to
/// measure on, or with a label that no row teaches.
/// @param splits  "test", "val": where accuracy is measured
/// @throws anyssr::FormatError  naming every fault and where the department or label stands
void expect_complete(const Questions& questions, const std::vector<std::string>& splits);

}  // namespace departments
