// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Rows and calibration of tasks as tensors of the router's file, one entry a task:
///
///   rows I64 [n]   row_weight F64 [n]
///   calibration.tasks_rows I64 [n]                   calibration.temperature_of_task F64 [n]
///   calibration.temperature_weight_of_task F64 [n]   calibration.mean_score_of_task F64 [n]
///   calibration.residuals F64 [n, residual_levels]
///
/// Tasks that a waiting merge joined stand under the same names after "parts.", two for each merge
/// in the order of the tasks.

#include <array>
#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "anyssr/io/path_text.hpp"
#include "anyssr/io/safetensors_reader.hpp"
#include "anyssr/io/safetensors_writer.hpp"
#include "anyssr/router/routed_task.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

inline constexpr std::array<std::string_view, 5> calibration_tensors{
    "calibration.tasks_rows", "calibration.temperature_of_task",
    "calibration.temperature_weight_of_task", "calibration.mean_score_of_task",
    "calibration.residuals"};

/// The parts of all tasks, in their order.
/// @param tasks  std::vector<RoutedTask>, or const
template <class Tasks>
[[nodiscard]] auto pointers_to_parts(Tasks& tasks) {
  std::vector<decltype(tasks.data())> parts;
  for (auto& task : tasks) {
    for (auto& part : task.parts) parts.push_back(&part);
  }
  return parts;
}

template <class Tasks>
[[nodiscard]] auto pointers_to(Tasks& tasks) {
  std::vector<decltype(tasks.data())> all;
  all.reserve(tasks.size());
  for (auto& task : tasks) all.push_back(&task);
  return all;
}

/// @param prefix  "" or "parts."
inline void add_task_tensors(SafetensorsWriter& writer, const std::string& prefix,
                             const std::vector<const RoutedTask*>& tasks) {
  std::vector<std::int64_t> rows;
  std::vector<std::int64_t> measured;
  std::vector<double> row_weights;
  std::vector<double> temperatures;
  std::vector<double> temperature_weights;
  std::vector<double> mean_scores;
  std::vector<double> residuals;
  for (const RoutedTask* task : tasks) {
    const TaskCalibration& calibration = task->calibration;
    rows.push_back(task->rows);
    row_weights.push_back(task->row_weight);
    measured.push_back(calibration.rows);
    temperatures.push_back(calibration.temperature);
    temperature_weights.push_back(calibration.temperature_weight);
    mean_scores.push_back(calibration.mean_score);
    residuals.insert(residuals.end(), calibration.residuals.begin(), calibration.residuals.end());
  }
  const auto name = [&](std::size_t k) { return prefix + std::string(calibration_tensors[k]); };
  writer.add(prefix + "rows", rows);
  writer.add(prefix + "row_weight", row_weights);
  writer.add(name(0), measured);
  writer.add(name(1), temperatures);
  writer.add(name(2), temperature_weights);
  writer.add(name(3), mean_scores);
  writer.add(name(4), residuals, {tasks.size(), residual_levels});
}

/// Tensors of one entry a task, checked as they are read.
class TaskTensors {
 public:
  /// @param tasks  names for messages
  TaskTensors(const SafetensorsReader& reader, const std::vector<RoutedTask*>& tasks)
      : reader_(reader), tasks_(tasks) {}

  /// Whole numbers of 0..most.
  [[nodiscard]] std::vector<Index> counts(const std::string& name, Index most) const {
    reader_.expect_shape(name, {static_cast<Index>(tasks_.size())});
    std::vector<Index> counts = reader_.integers<Index>(name);
    for (std::size_t t = 0; t < counts.size(); ++t) {
      if (counts[t] < 0 || counts[t] > most) refuse(name, counts[t], t, concat("0..", most));
    }
    return counts;
  }

  /// Numbers of least..most, finite ones.
  [[nodiscard]] std::vector<double> numbers(const std::string& name, double least,
                                            Index columns = 0) const {
    const auto count = static_cast<Index>(tasks_.size());
    if (columns == 0) {
      reader_.expect_shape(name, {count});
    } else {
      reader_.expect_shape(name, {count, columns});
    }
    std::vector<double> numbers = reader_.numbers<double>(name);
    const std::size_t each = columns == 0 ? 1 : static_cast<std::size_t>(columns);
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      const bool fits = numbers[i] >= least && numbers[i] <= largest;
      if (!fits) refuse(name, numbers[i], i / each, concat(least, "..", largest));
    }
    return numbers;
  }

  template <class Number>
  [[noreturn]] void refuse(const std::string& name, Number value, std::size_t task,
                           const std::string& expected) const {
    raise<FormatError>(path_text(reader_.path()), ": tensor ", in_quotes(name), " holds ", value,
                       " for task ", in_quotes(tasks_[task]->name), ", expected ", expected);
  }

  /// Sums and products of a few of such numbers are finite.
  static constexpr double largest = 1e100;

 private:
  const SafetensorsReader& reader_;
  const std::vector<RoutedTask*>& tasks_;
};

/// The calibration of tasks from a file that has it.
inline void read_calibrations(const SafetensorsReader& reader, const std::string& prefix,
                              const std::vector<RoutedTask*>& tasks) {
  const TaskTensors tensors(reader, tasks);
  const auto name = [&](std::size_t k) { return prefix + std::string(calibration_tensors[k]); };
  const std::vector<Index> rows = tensors.counts(name(0), Index{1} << 53);
  const std::vector<double> temperatures = tensors.numbers(name(1), 1 / TaskTensors::largest);
  const std::vector<double> temperature_weights = tensors.numbers(name(2), 0);
  const std::vector<double> mean_scores = tensors.numbers(name(3), -TaskTensors::largest);
  const std::vector<double> residuals =
      tensors.numbers(name(4), -TaskTensors::largest, static_cast<Index>(residual_levels));
  for (std::size_t t = 0; t < tasks.size(); ++t) {
    TaskCalibration& calibration = tasks[t]->calibration;
    calibration = {.rows = rows[t],
                   .temperature = temperatures[t],
                   .temperature_weight = temperature_weights[t],
                   .mean_score = mean_scores[t]};
    for (std::size_t k = 0; k < residual_levels; ++k) {
      calibration.residuals[k] = residuals[t * residual_levels + k];
      const bool rises = k == 0 || calibration.residuals[k - 1] <= calibration.residuals[k];
      if (!rises) {
        tensors.refuse(name(4), calibration.residuals[k], t,
                       concat(calibration.residuals[k - 1], " or more: they rise"));
      }
    }
  }
}

/// Whether a file holds calibrations: one of version 1.0 does not.
[[nodiscard]] inline bool has_calibrations(const SafetensorsReader& reader) {
  for (const std::string_view name : calibration_tensors) {
    if (reader.has_tensor(name)) return true;
  }
  return false;
}

/// Rows, weights and calibration of the parts of tasks that wait for a merge.
inline void read_parts(const SafetensorsReader& reader, std::vector<RoutedTask>& tasks) {
  const std::vector<RoutedTask*> parts = pointers_to_parts(tasks);
  if (parts.empty()) return;
  const TaskTensors tensors(reader, parts);
  const std::vector<Index> rows = tensors.counts("parts.rows", Index{1} << 53);
  const std::vector<double> weights = tensors.numbers("parts.row_weight", 1 / TaskTensors::largest);
  for (std::size_t k = 0; k < parts.size(); ++k) {
    parts[k]->rows = rows[k];
    parts[k]->row_weight = weights[k];
  }
  read_calibrations(reader, "parts.", parts);
}

}  // namespace anyssr::inline ANYSSR_ABI::detail
