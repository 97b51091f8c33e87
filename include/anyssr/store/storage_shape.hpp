// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The sizes of a learner as it is, for a forecast of more tasks like its own.

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "anyssr/core/concepts.hpp"
#include "anyssr/lora/adapter.hpp"
#include "anyssr/metrics/inspector_state.hpp"
#include "anyssr/router/novelty.hpp"
#include "anyssr/store/storage_forecast.hpp"

namespace anyssr::inline ANYSSR_ABI {
namespace detail {

/// Bytes of a number in JSON, with a comma.
[[nodiscard]] inline double json_bytes(double number) {
  std::array<char, 32> digits{};
  const char* const end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
  const std::string_view text(digits.data(), static_cast<std::size_t>(end - digits.data()));
  const bool is_whole = text.find_first_of(".e") == std::string_view::npos;  // written as 1.0
  return static_cast<double>(text.size() + (is_whole ? 3 : 1));
}
[[nodiscard]] inline double json_bytes(Index count) {
  return static_cast<double>(std::to_string(count).size() + 1);
}
[[nodiscard]] inline double json_bytes(const FeatureMoments& moments) {
  double bytes = 23 + json_bytes(moments.rows);  // "m2":[],"mean":[],"rows":
  for (const double number : moments.mean) bytes += json_bytes(number);
  for (const double number : moments.m2) bytes += json_bytes(number);
  return bytes;
}

/// Of what an inspector has of tasks, and of the rest: in memory and, as JSON, on disk.
struct InspectorParts {
  StoragePart tasks = {};
  StoragePart rest = {};
};

[[nodiscard]] inline InspectorParts inspector_parts(const InspectorState& state) {
  InspectorParts parts;
  const auto add = [](StoragePart& part, std::size_t memory, double disk) {
    part.memory += static_cast<double>(memory);
    part.disk += disk;
  };
  const auto size = [](const std::string& text) { return static_cast<double>(text.size()); };
  add(parts.rest, 0, 205 + 800);  // the keys of the whole; options and entries in the manifest
  for (const auto& [task, sums] : state.learned) {
    // {"labels":[{"label":3,"rows":360}],"task":"billing"}
    add(parts.tasks, bytes_of(sums), 25 + size(task) + json_bytes(sums.features));
    for (const auto& [label, rows] : sums.labels) {
      add(parts.tasks, 0, 18 + json_bytes(label) + json_bytes(rows));
    }
  }
  for (const QueryWindow& window : state.windows) {
    // {"number":7,"tasks":[{"rows":80,"task":"billing"}]}
    add(parts.rest, bytes_of(window), 23 + json_bytes(window.number) + json_bytes(window.features));
    for (const auto& [task, rows] : window.tasks) {
      add(parts.tasks, node_bytes, 19 + size(task) + json_bytes(rows));
    }
  }
  add(parts.rest, bytes_of(state.groups), 0);
  for (const auto& [column, values] : state.groups) {
    // {"column":"region","values":[{"right":9,"total":10,"value":"eu"}]}
    add(parts.rest, 0, 26 + size(column));
    for (const auto& [value, count] : values) {
      add(parts.rest, 0, 29 + size(value) + json_bytes(count.right) + json_bytes(count.total));
    }
  }
  return parts;
}

/// Adds the numbers of an adapter, of which more is known where it is loaded.
template <RealScalar S>
void add_adapter(const Adapter<S>& adapter, StorageShape& shape) {
  for (const auto& [site, module] : adapter.modules) {
    shape.adapter_parameters += static_cast<double>(module.parameter_count());
    shape.adapter_tensors += 2;
  }
  for (const auto& [key, head] : adapter.heads) {
    shape.head_parameters += static_cast<double>(head.parameter_count());
  }
  for (const auto& [key, value] : adapter.metadata) {
    shape.metadata_bytes += static_cast<double>(key.size() + value.size() + 10);
  }
}

}  // namespace detail

/// Sizes of the router and, on average over its tasks, of labels, adapters, heads, spans and what
/// the inspector has. They are of a learner that goes on learning (one that was just loaded has
/// made no buffer for rows yet) and is saved after each task: a first save has one generation,
/// adapters that were just replaced stay for the generation before, and equal ones are stored once.
/// Names above 80 bytes and thresholds of a policy for every task add 1 to 3 % on disk that are not
/// counted. What only the caller knows stays 0: queries and bytes of the log, bytes of the model
/// and of replay.
/// @throws FileError, FormatError  where an adapter must be loaded for it and cannot
template <class Learner>
[[nodiscard]] StorageShape storage_shape(const Learner& learner) {
  using Features =
      decltype(learner.backbone().features(std::span<const typename Learner::Input>{}));
  const auto& router = learner.router();
  const auto& expansion = router.expansion();
  StorageShape shape{.router_dim = expansion.out_dim(),
                     .router_scalar_bytes = sizeof(typename Learner::Scalar),
                     .dense_features = !(SparseFeatures<Features> && expansion.passes_through()),
                     .exact_leverage = router.options().novelty.mode == NoveltyMode::leverage,
                     .adapter_memory_bytes = sizeof(typename Learner::Scalar),
                     .adapter_disk_bytes = sizeof(typename Learner::Scalar)};
  if (router.tasks().empty()) return shape;
  const auto state = learner.state();
  const auto count = static_cast<double>(router.tasks().size());
  shape.usage_entries = static_cast<double>(state.usage.size()) / count;
  shape.name_bytes = 0;
  for (const auto& task : router.tasks()) {
    shape.name_bytes += static_cast<double>(task.name.size()) / count;
  }
  shape.label_columns = static_cast<double>(router.table()->weights().cols()) / count - 1;
  double adapters = 0;
  const auto add_all = [&](const auto& handles) {
    for (const auto& handle : handles) detail::add_adapter(*handle->get(), shape);
    adapters += static_cast<double>(handles.size());
  };
  add_all(state.handles);
  for (const auto& [name, parts] : state.originals) add_all(parts);
  shape.adapters_a_task = adapters / count;
  shape.metadata_bytes /= adapters;
  for (double* const sum :
       {&shape.adapter_parameters, &shape.adapter_tensors, &shape.head_parameters}) {
    *sum /= count;
  }
  for (const auto& [site, span] : state.subspaces.spans()) {
    shape.span_parameters += static_cast<double>(span.size()) / count;
    shape.span_sites += 1;
  }
  if (state.inspector) {
    const detail::InspectorParts parts = detail::inspector_parts(*state.inspector);
    shape.inspector = parts.rest;
    shape.inspector_a_task = {parts.tasks.memory / count, parts.tasks.disk / count};
  }
  return shape;
}

}  // namespace anyssr::inline ANYSSR_ABI
