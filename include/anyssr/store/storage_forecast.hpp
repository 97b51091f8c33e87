// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// What a number of tasks will take, before they are learned. For T tasks of L label columns each
/// (C = T (1 + L) columns), d expanded features, scalars of s bytes, names of n bytes:
///
///   router in memory   s (d^2 + 2 d + 3 d C) + 8 (d + C)
///                      S and its factor, a diagonal apart, one for novelty; C, W and W by rows;
///                      digest keys and target energies
///                      + s (d^2 + d) where novelty is by the exact leverage
///                      + s b (d + 64/s), b = min(max(d/8, 256), 1024), with dense features
///   router on disk     s (d (d + 1)/2 + d C) + 8 C + 448 T + (39 + n) C + (595 + 5 n) T + 4 kB,
///                      each generation with its manifest; that before knows a task fewer
///   adapters, heads    numbers T times their bytes, and on disk a few JSON files a task; spans of
///                      earlier tasks (choice complement) count as adapters
///   inspector          T times what a task has, and the windows of time; a file a generation
///   full copies        T copies of the model       replay    T times rows times bytes a row
///
/// The model itself, of which one copy is needed in any case but the full copies', is in no sum.
/// Plain arithmetic in double: whole bytes up to 2^53, of the library's own formats.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <iterator>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "anyssr/core/error.hpp"
#include "anyssr/core/text.hpp"
#include "anyssr/core/types.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// Bytes.
struct StoragePart {
  double memory = 0;
  double disk = 0;
};

/// The sizes that decide, on average over the tasks. What is 0 takes nothing.
struct StorageShape {
  Index router_dim = 0;           ///< d, expanded features, 0 to 2^30; 0: no router
  Index router_scalar_bytes = 4;  ///< s: 4 or 8
  double label_columns = 0;       ///< L, of a task
  bool dense_features = true;     ///< rows enter through a buffer; sparse ones need none
  bool exact_leverage = false;    ///< NoveltyMode::leverage: snapshots keep a copy of the factor
  Index kept_generations = 2;     ///< router files on disk, at least 1: a save keeps the one before
  double name_bytes = 8;          ///< n, of a task's name
  double usage_entries = 0;       ///< of a task: 1 where it was ever chosen, so that its counts of
                                  ///< use are saved

  double adapter_parameters = 0;      ///< numbers of the LoRA modules of a task
  double adapter_tensors = 0;         ///< matrices they are in: two a module
  double head_parameters = 0;         ///< numbers of the head of a task
  double adapters_a_task = 1;         ///< at least 1; three where a merge waits for its commit
  double metadata_bytes = 0;          ///< of an adapter
  double adapter_memory_bytes = 4;    ///< of one of these numbers in memory, above 0 to 8
  double adapter_disk_bytes = 4;      ///< on disk: 2 in bf16
  double span_parameters = 0;         ///< numbers that a task adds to the spans of earlier tasks; a
                                      ///< site that no direction is left of takes no more
  double span_sites = 0;              ///< sites that have spans
  StoragePart inspector = {};         ///< its windows of time and groups, as they are
  StoragePart inspector_a_task = {};  ///< its sums of a task

  double queries = 0;            ///< in the log
  double log_bytes_a_query = 0;  ///< 300 to 500 with five scores

  double model_bytes = 0;       ///< one full copy of the model
  double replay_row_bytes = 0;  ///< one stored row of a method that replays
  double replay_rows = 0;       ///< that such a method keeps of a task
};

struct StorageForecast {
  Index tasks = 0;
  StoragePart router = {};
  StoragePart adapters = {};
  StoragePart heads = {};
  StoragePart inspector = {};
  StoragePart log = {};
  StoragePart full_copies = {};  ///< the other way: the whole model once a task
  StoragePart replay = {};       ///< the other way: rows of every task kept, for one model

  /// Router, adapters, heads, inspector and log.
  [[nodiscard]] StoragePart total() const noexcept {
    return {router.memory + adapters.memory + heads.memory + inspector.memory + log.memory,
            router.disk + adapters.disk + heads.disk + inspector.disk + log.disk};
  }
};

namespace detail {

/// Header and calibration of a router file, and its manifest: what grows neither with d nor with
/// the tasks.
inline constexpr double router_file_bytes = 1300 + 2500;
/// Rows and calibration of a task in them: 56 numbers, most of them quantiles of residuals.
inline constexpr double calibration_bytes = 448;
/// A column's entry in the manifest, but for the name.
inline constexpr double column_entry_bytes = 39;
/// An adapter's entries there, in the list of tasks and, five times the name, of files.
inline constexpr double manifest_task_bytes = 595;
inline constexpr double manifest_task_names = 5;
/// A task's counts of use there, but for the name.
inline constexpr double usage_entry_bytes = 125;
/// Where merges wait: more tensors in the header, and of each part deeper entries.
inline constexpr double waiting_file_bytes = 640;
inline constexpr double waiting_part_bytes = 130;
/// JSON files of an adapter's folder.
inline constexpr double adapter_folder_bytes = 700;
/// A tensor in the header of a file.
inline constexpr double tensor_entry_bytes = 120;
/// A file of spans: its header and its entries in the manifest; and what a site adds to these.
inline constexpr double span_file_bytes = 330;
inline constexpr double span_site_bytes = 140;

inline void expect_amount(std::string_view name, double value, double most) {
  expect(is_within(value, 0.0, most), name, " is ", value, ", expected 0 to ", most);
}

inline void expect_storage_shape(const StorageShape& shape) {
  expect(shape.router_dim >= 0 && shape.router_dim <= (Index{1} << 30), "router_dim is ",
         shape.router_dim, ", expected 0..", Index{1} << 30);
  expect(shape.router_scalar_bytes == 4 || shape.router_scalar_bytes == 8,
         "router_scalar_bytes is ", shape.router_scalar_bytes, ", expected 4 or 8");
  expect(shape.kept_generations >= 1 && shape.kept_generations <= 1000, "kept_generations is ",
         shape.kept_generations, ", expected 1..1000");
  expect(shape.adapters_a_task >= 1 && shape.adapters_a_task <= 3, "adapters_a_task is ",
         shape.adapters_a_task, ", expected 1 to 3");
  const auto bytes = [](std::string_view name, double value) {
    expect(value > 0 && is_within(value, 0.0, 8.0), name, " is ", value, ", expected above 0 to 8");
  };
  bytes("adapter_memory_bytes", shape.adapter_memory_bytes);
  bytes("adapter_disk_bytes", shape.adapter_disk_bytes);
  const auto amount = [](std::string_view name, double value) { expect_amount(name, value, 1e18); };
  amount("label_columns", shape.label_columns);
  amount("name_bytes", shape.name_bytes);
  amount("usage_entries", shape.usage_entries);
  amount("adapter_parameters", shape.adapter_parameters);
  amount("adapter_tensors", shape.adapter_tensors);
  amount("head_parameters", shape.head_parameters);
  amount("metadata_bytes", shape.metadata_bytes);
  amount("span_parameters", shape.span_parameters);
  amount("span_sites", shape.span_sites);
  for (const StoragePart& part : {shape.inspector, shape.inspector_a_task}) {
    amount("inspector memory", part.memory);
    amount("inspector disk", part.disk);
  }
  amount("queries", shape.queries);
  amount("log_bytes_a_query", shape.log_bytes_a_query);
  amount("model_bytes", shape.model_bytes);
  amount("replay_row_bytes", shape.replay_row_bytes);
  amount("replay_rows", shape.replay_rows);
}

[[nodiscard]] inline StoragePart router_forecast(const StorageShape& shape, double tasks) {
  if (shape.router_dim == 0) return {};
  const auto d = static_cast<double>(shape.router_dim);
  const auto s = static_cast<double>(shape.router_scalar_bytes);
  const double columns = tasks * (1 + shape.label_columns);
  StoragePart router{.memory = s * (d * d + 2 * d + 3 * d * columns) + 8 * (d + columns)};
  if (shape.dense_features) {
    const auto rows = static_cast<double>(std::clamp<Index>(shape.router_dim / 8, 256, 1024));
    router.memory += s * rows * (d + 64 / s);
  }
  if (shape.exact_leverage) router.memory += s * (d * d + d);
  const double task_bytes = shape.adapters_a_task * (calibration_bytes + manifest_task_bytes +
                                                     manifest_task_names * shape.name_bytes) +
                            shape.usage_entries * (usage_entry_bytes + shape.name_bytes) +
                            (shape.adapters_a_task - 1) * waiting_part_bytes;
  const double fixed_bytes =
      router_file_bytes + (shape.adapters_a_task > 1 ? waiting_file_bytes : 0);
  for (Index before = 0; before < shape.kept_generations; ++before) {
    const double known = std::max(0.0, tasks - static_cast<double>(before));
    const double file_columns = known * (1 + shape.label_columns);
    router.disk += s * (d * (d + 1) / 2 + d * file_columns) +
                   (8 + column_entry_bytes + shape.name_bytes) * file_columns + task_bytes * known +
                   fixed_bytes;
  }
  return router;
}

/// LoRA modules and spans.
[[nodiscard]] inline StoragePart adapters_forecast(const StorageShape& shape, double tasks) {
  const double spans =
      tasks * shape.span_parameters * static_cast<double>(shape.router_scalar_bytes);
  StoragePart part{spans, spans};
  if (shape.span_parameters > 0) {
    part.disk += tasks * (span_file_bytes + span_site_bytes * shape.span_sites);
  }
  if (shape.adapter_parameters == 0) return part;
  part.memory += tasks * shape.adapter_parameters * shape.adapter_memory_bytes;
  part.disk += tasks * (shape.adapter_parameters * shape.adapter_disk_bytes +
                        shape.adapters_a_task * (adapter_folder_bytes + shape.metadata_bytes) +
                        shape.adapter_tensors * tensor_entry_bytes);
  return part;
}

[[nodiscard]] inline StoragePart inspector_forecast(const StorageShape& shape, double tasks) {
  StoragePart part{shape.inspector.memory + tasks * shape.inspector_a_task.memory};
  for (Index before = 0; before < shape.kept_generations; ++before) {
    const double known = std::max(0.0, tasks - static_cast<double>(before));
    part.disk += shape.inspector.disk + known * shape.inspector_a_task.disk;
  }
  return part;
}

}  // namespace detail

/// @param tasks  T, 0 to 1e12
/// @throws ArgumentError  for a size out of its range
[[nodiscard]] inline StorageForecast forecast_storage(const StorageShape& shape, Index tasks) {
  detail::expect_storage_shape(shape);
  detail::expect(tasks >= 0 && tasks <= 1000000000000, "tasks is ", tasks,
                 ", expected 0..1000000000000");
  const auto t = static_cast<double>(tasks);
  StorageForecast forecast{.tasks = tasks, .router = detail::router_forecast(shape, t)};
  forecast.adapters = detail::adapters_forecast(shape, t);
  if (shape.head_parameters > 0) {
    const double numbers = t * shape.head_parameters;
    forecast.heads = {numbers * shape.adapter_memory_bytes,
                      numbers * shape.adapter_disk_bytes +
                          t * shape.adapters_a_task * 2 * detail::tensor_entry_bytes};
  }
  forecast.inspector = detail::inspector_forecast(shape, t);
  forecast.log.disk = shape.queries * shape.log_bytes_a_query;
  forecast.full_copies = {t * shape.model_bytes, t * shape.model_bytes};
  forecast.replay.disk = t * shape.replay_rows * shape.replay_row_bytes;
  return forecast;
}

/// One forecast a number of tasks.
[[nodiscard]] inline std::vector<StorageForecast> forecast_storage(const StorageShape& shape,
                                                                   std::span<const Index> tasks) {
  std::vector<StorageForecast> forecasts;
  for (const Index count : tasks) forecasts.push_back(forecast_storage(shape, count));
  return forecasts;
}
/// For 10, 100, 1000 and 10000 tasks.
[[nodiscard]] inline std::vector<StorageForecast> forecast_storage(const StorageShape& shape) {
  constexpr Index usual[] = {10, 100, 1000, 10000};
  return forecast_storage(shape, usual);
}

namespace detail {

/// Cells set to the right, in columns as wide as their widest.
[[nodiscard]] inline std::string table_text(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths(rows.front().size(), 0);
  for (const auto& row : rows) {
    for (std::size_t j = 0; j < row.size(); ++j) widths[j] = std::max(widths[j], row[j].size());
  }
  std::string text;
  for (const auto& row : rows) {
    for (std::size_t j = 0; j < row.size(); ++j) {
      text += std::string(widths[j] - row[j].size() + (j == 0 ? 0 : 2), ' ') + row[j];
    }
    text += '\n';
  }
  return text;
}

}  // namespace detail

/// Two tables, memory and disk, a line a number of tasks.
[[nodiscard]] inline std::string to_text(std::span<const StorageForecast> forecasts) {
  std::string text;
  for (const auto& [name, side] :
       {std::pair{"memory", &StoragePart::memory}, std::pair{"disk", &StoragePart::disk}}) {
    std::vector<std::vector<std::string>> rows{{"tasks", "router", "adapters", "heads", "inspector",
                                                "log", "total", "full copies", "replay"}};
    for (const StorageForecast& f : forecasts) {
      const StoragePart total = f.total();
      std::vector<std::string> row{std::to_string(f.tasks)};
      for (const StoragePart* part : {&f.router, &f.adapters, &f.heads, &f.inspector, &f.log,
                                      &total, &f.full_copies, &f.replay}) {
        row.push_back(bytes_text(part->*side));
      }
      rows.push_back(std::move(row));
    }
    text += detail::concat(name, "\n", detail::table_text(rows));
  }
  return text;
}

}  // namespace anyssr::inline ANYSSR_ABI
