// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// A DataInspector as JSON: its state to be saved and read again, its report to be read by other
/// programs. The state:
///
///   {"format": "anyssr-inspector", "version": 1, "dim": 8192, "sketch": 64,
///    "seed": "0x0000000000000000", "window_seconds": 3600.0, "dropped_query_rows": 0,
///    "learned": [{"task": "billing", "rows": 500, "mean": [...], "m2": [...],
///                 "labels": [{"label": 3, "rows": 360}]}],
///    "windows": [{"number": 7, "rows": 80, "mean": [...], "m2": [...],
///                 "tasks": [{"task": "billing", "rows": 80}]}],
///    "groups": [{"column": "region", "values": [{"value": "eu", "right": 9, "total": 10}]}]}
///
/// Numbers come back bit for bit. Unknown keys are ignored.

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "anyssr/io/json_fields.hpp"
#include "anyssr/io/utf8.hpp"
#include "anyssr/metrics/data_inspector.hpp"

namespace anyssr::inline ANYSSR_ABI {
namespace detail {

/// Text that JSON can hold.
/// @throws ArgumentError
[[nodiscard]] inline Json utf8_json(std::string_view what, const std::string& text) {
  const std::size_t broken = find_invalid_utf8(text);
  expect(broken == std::string_view::npos, what, " ", in_quotes(text), " is not UTF-8");
  return text;
}

/// Unsigned as in a text that was parsed: a state need not go through a text to be read again.
[[nodiscard]] inline Json count_json(Index count) { return static_cast<std::uint64_t>(count); }

[[nodiscard]] inline Json vector_json(const Vector<double>& numbers) {
  Json json = Json::array();
  for (const double number : numbers) json.push_back(number);
  return json;
}

/// @throws FormatError  where the key is no array of finite numbers
[[nodiscard]] inline Vector<double> parse_coordinates(const JsonFields& fields,
                                                      std::string_view key) {
  std::vector<double> numbers;
  fields.for_each(key, [&](const Json& number, const std::string& place) {
    expect<FormatError>(number.is_number() && is_finite(number.get<double>()), place, ": is ",
                        outline_of(number), ", expected a finite number");
    numbers.push_back(number.get<double>());
  });
  return Eigen::Map<const Vector<double>>(numbers.data(), static_cast<Index>(numbers.size()));
}

inline void put_moments(Json& json, const FeatureMoments& moments) {
  json["rows"] = count_json(moments.rows);
  json["mean"] = vector_json(moments.mean);
  json["m2"] = vector_json(moments.m2);
}

[[nodiscard]] inline FeatureMoments parse_moments(const JsonFields& fields) {
  return {.rows = fields.index("rows"),
          .mean = parse_coordinates(fields, "mean"),
          .m2 = parse_coordinates(fields, "m2")};
}

/// Puts a value under a key that is not there yet.
/// @throws FormatError
template <class Map, class Key, class Value>
void put_once(Map& map, Key key, Value value, const std::string& place) {
  expect<FormatError>(map.emplace(std::move(key), std::move(value)).second, place,
                      ": stands there twice, expected once");
}

[[nodiscard]] inline Json groups_state_json(const GroupCounts& groups) {
  Json json = Json::array();
  for (const auto& [column, values] : groups) {
    Json list = Json::array();
    for (const auto& [value, count] : values) {
      list.push_back({{"value", utf8_json("a group", value)},
                      {"right", count_json(count.right)},
                      {"total", count_json(count.total)}});
    }
    json.push_back({{"column", utf8_json("a group column", column)}, {"values", std::move(list)}});
  }
  return json;
}

[[nodiscard]] inline GroupCounts parse_groups_state(const JsonFields& fields) {
  GroupCounts groups;
  fields.for_each("groups", [&](const Json& entry, const std::string& place) {
    const JsonFields column(entry, place);
    std::map<std::string, GroupCount> values;
    column.for_each("values", [&](const Json& group, const std::string& inner_place) {
      const JsonFields inner(group, inner_place);
      put_once(values, inner.text("value"),
               GroupCount{.right = inner.index("right"), .total = inner.index("total")},
               inner_place);
    });
    put_once(groups, column.text("column"), std::move(values), place);
  });
  return groups;
}

[[nodiscard]] inline LearnedSums parse_learned_sums(const JsonFields& fields) {
  LearnedSums sums{.features = parse_moments(fields)};
  fields.for_each("labels", [&](const Json& entry, const std::string& place) {
    const JsonFields label(entry, place);
    put_once(sums.labels, label.index("label"), label.index("rows"), place);
  });
  return sums;
}

[[nodiscard]] inline QueryWindow parse_query_window(const JsonFields& fields) {
  QueryWindow window{.number = fields.index("number"), .features = parse_moments(fields)};
  fields.for_each("tasks", [&](const Json& entry, const std::string& place) {
    const JsonFields task(entry, place);
    put_once(window.tasks, task.text("task"), task.index("rows"), place);
  });
  return window;
}

[[nodiscard]] inline Json task_rows_json(const std::string& task, Index rows) {
  return {{"task", utf8_json("a task name", task)}, {"rows", count_json(rows)}};
}

}  // namespace detail

/// @throws ArgumentError  where a name is not UTF-8
[[nodiscard]] inline Json inspector_state_json(const InspectorState& state) {
  Json learned = Json::array();
  for (const auto& [task, sums] : state.learned) {
    Json entry = Json::object();
    entry["task"] = detail::utf8_json("a task name", task);
    detail::put_moments(entry, sums.features);
    entry["labels"] = Json::array();
    for (const auto& [label, rows] : sums.labels) {
      entry["labels"].push_back(
          {{"label", detail::count_json(label)}, {"rows", detail::count_json(rows)}});
    }
    learned.push_back(std::move(entry));
  }
  Json windows = Json::array();
  for (const QueryWindow& window : state.windows) {
    Json entry = Json::object();
    entry["number"] = detail::count_json(window.number);
    detail::put_moments(entry, window.features);
    entry["tasks"] = Json::array();
    for (const auto& [task, rows] : window.tasks) {
      entry["tasks"].push_back(detail::task_rows_json(task, rows));
    }
    windows.push_back(std::move(entry));
  }
  return {{"format", "anyssr-inspector"},
          {"version", detail::count_json(1)},
          {"dim", detail::count_json(state.dim)},
          {"sketch", detail::count_json(state.sketch)},
          {"seed", detail::word_text(state.seed)},
          {"window_seconds", state.window_seconds},
          {"dropped_query_rows", detail::count_json(state.dropped_query_rows)},
          {"learned", std::move(learned)},
          {"windows", std::move(windows)},
          {"groups", detail::groups_state_json(state.groups)}};
}

/// @param place  for messages: the file's name
/// @throws FormatError  for another format or version, a missing key, a value of another kind, and
///         numbers that no observations lead to
[[nodiscard]] inline InspectorState parse_inspector_state(const Json& json,
                                                          const std::string& place) {
  const detail::JsonFields fields(json, place);
  if (fields.text("format") != "anyssr-inspector") fields.refuse("format", "anyssr-inspector");
  if (fields.index("version") != 1) fields.refuse("version", "1");
  InspectorState state{.dim = fields.index("dim"),
                       .sketch = fields.index("sketch"),
                       .seed = fields.word("seed"),
                       .window_seconds = fields.number("window_seconds")};
  state.dropped_query_rows = fields.index("dropped_query_rows");
  fields.for_each("learned", [&](const Json& entry, const std::string& inner_place) {
    const detail::JsonFields inner(entry, inner_place);
    detail::put_once(state.learned, inner.text("task"), detail::parse_learned_sums(inner),
                     inner_place);
  });
  fields.for_each("windows", [&](const Json& entry, const std::string& inner_place) {
    state.windows.push_back(detail::parse_query_window({entry, inner_place}));
  });
  state.groups = detail::parse_groups_state(fields);
  try {
    detail::expect_possible_inspector(state);
  } catch (const Error& error) {
    detail::raise<FormatError>(place, ": ", error.what());
  }
  return state;
}

namespace detail {

[[nodiscard]] inline Json summary_json(const FeatureSummary& features) {
  return {{"mean_norm", features.mean_norm},
          {"norm_spread", features.norm_spread},
          {"spread", features.spread}};
}

[[nodiscard]] inline Json drift_json(const Drift& drift, const std::string& coordinate) {
  return {{"tested", drift.tested},
          {"alarm", drift.alarm},
          {"p", drift.p},
          {"rows_before", drift.rows_before},
          {"rows_now", drift.rows_now},
          {"features",
           {{"coordinate", coordinate},
            {"shift", drift.features.shift},
            {"t", drift.features.t},
            {"degrees_of_freedom", drift.features.degrees_of_freedom},
            {"mean_squared_t", drift.features.mean_squared_t},
            {"p", drift.features.p}}},
          {"shares",
           {{"distance", drift.shares.distance},
            {"task", utf8_json("a task name", drift.shares.task)},
            {"before", drift.shares.before},
            {"now", drift.shares.now},
            {"chi_square", drift.shares.chi_square},
            {"degrees_of_freedom", drift.shares.degrees_of_freedom},
            {"p", drift.shares.p}}}};
}

[[nodiscard]] inline Json warning_json(const BalanceWarning& warning) {
  return {{"kind", to_string(warning.kind)},
          {"task", utf8_json("a task name", warning.task)},
          {"label", warning.label < 0 ? Json(nullptr) : Json(warning.label)},
          {"rows", warning.rows},
          {"of", warning.of},
          {"share", warning.share},
          {"limit", warning.limit},
          {"text", utf8_json("a warning", warning.text)}};
}

[[nodiscard]] inline Json gap_json(const GroupGap& gap) {
  Json groups = Json::array();
  for (const GroupAccuracy& group : gap.groups) {
    groups.push_back({{"value", utf8_json("a group", group.value)},
                      {"right", group.right},
                      {"total", group.total},
                      {"accuracy", group.accuracy},
                      {"compared", group.compared}});
  }
  Json left_out = Json::array();
  for (const std::string& value : gap.left_out) left_out.push_back(utf8_json("a group", value));
  const bool compared = gap.left_out.size() < gap.groups.size();
  const auto name = [&](const std::string& value) {
    return compared ? utf8_json("a group", value) : Json(nullptr);
  };
  return {{"column", utf8_json("a group column", gap.column)},
          {"gap", gap.gap},
          {"p", gap.p},
          {"best", name(gap.best)},
          {"worst", name(gap.worst)},
          {"groups", std::move(groups)},
          {"left_out", std::move(left_out)}};
}

[[nodiscard]] inline Json inspected_task_json(const InspectedTask& task) {
  Json labels = Json::array();
  for (const LabelShare& label : task.labels) {
    labels.push_back({{"label", label.label}, {"rows", label.rows}, {"share", label.share}});
  }
  Json json = task_rows_json(task.task, task.rows);
  json["share"] = task.share;
  json["evenness"] = task.evenness;
  json["features"] = summary_json(task.features);
  json["labels"] = std::move(labels);
  return json;
}

[[nodiscard]] inline Json inspected_window_json(const InspectedWindow& window) {
  Json tasks = Json::array();
  for (const TaskShare& share : window.tasks) {
    Json task = task_rows_json(share.task, share.rows);
    task["share"] = share.share;
    tasks.push_back(std::move(task));
  }
  return {{"begin", window.begin},
          {"end", window.end},
          {"rows", window.rows},
          {"features", summary_json(window.features)},
          {"tasks", std::move(tasks)}};
}

}  // namespace detail

/// The report, every field by its name. Never NaN or infinity: both would be written as null.
/// @throws ArgumentError  where a name is not UTF-8
[[nodiscard]] inline Json inspector_report_json(const InspectorReport& report) {
  const auto list = [](const auto& entries, const auto& to_json) {
    Json json = Json::array();
    for (const auto& entry : entries) json.push_back(to_json(entry));
    return json;
  };
  return {{"learned_rows", report.learned_rows},
          {"query_rows", report.query_rows},
          {"dropped_rows", report.dropped_rows},
          {"tasks", list(report.tasks, detail::inspected_task_json)},
          {"windows", list(report.windows, detail::inspected_window_json)},
          {"learned_to_now", detail::drift_json(report.learned_to_now, report.learned_coordinate)},
          {"earlier_to_now", detail::drift_json(report.earlier_to_now, report.earlier_coordinate)},
          {"warnings", list(report.warnings, detail::warning_json)},
          {"groups", list(report.groups, detail::gap_json)}};
}

}  // namespace anyssr::inline ANYSSR_ABI
