// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// What becomes of queries, and what became of them, in a manifest:
///
///   "policy": {"name": "default", "min_confidence": 0.6, "min_margin": 0.0, "max_novelty": 0.2,
///              "coverage": 0.0, "max_candidates": 1, "blend": false, "blend_confidence": 0.95,
///              "fallback": "base_model", "default_task": "",
///              "tasks": [{"task": "billing", "min_confidence": 0.9, "min_margin": 0.0}]}
///   "usage": [{"task": "billing", "count": 812, "answered": 790, "confidence_sum": 731.5,
///              "last_use": 1769860800.25}]
///
/// max_novelty is absent where it is infinite, as JSON has no such number. Every key of the policy
/// has its default.

#include <array>
#include <cmath>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "anyssr/io/json_fields.hpp"
#include "anyssr/router/routing_policy.hpp"
#include "anyssr/serving/usage_meter.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

[[nodiscard]] inline Json policy_json(const RoutingPolicy& policy) {
  Json tasks = Json::array();
  for (const auto& [name, least] : policy.tasks) {
    tasks.push_back({{"task", name},
                     {"min_confidence", least.min_confidence},
                     {"min_margin", least.min_margin}});
  }
  Json json{{"name", policy.name},
            {"min_confidence", policy.min_confidence},
            {"min_margin", policy.min_margin}};
  if (is_finite(policy.max_novelty)) json["max_novelty"] = policy.max_novelty;
  json["coverage"] = policy.coverage;
  json["max_candidates"] = policy.max_candidates;
  json["blend"] = policy.blend;
  json["blend_confidence"] = policy.blend_confidence;
  json["fallback"] = to_string(policy.fallback);
  json["default_task"] = policy.default_task;
  json["tasks"] = std::move(tasks);
  return json;
}

/// Takes a number where it is there.
inline void take_number(const JsonFields& fields, std::string_view key, double& value) {
  if (fields.has(key)) value = fields.number(key);
}

[[nodiscard]] inline std::map<std::string, TaskThresholds> parse_thresholds(
    const JsonFields& fields) {
  std::map<std::string, TaskThresholds> tasks;
  fields.for_each("tasks", [&](const Json& value, const std::string& place) {
    const JsonFields entry(value, place);
    TaskThresholds least;
    take_number(entry, "min_confidence", least.min_confidence);
    take_number(entry, "min_margin", least.min_margin);
    if (!tasks.emplace(entry.text("task"), least).second) entry.refuse("task", "each task once");
  });
  return tasks;
}

/// @throws FormatError  for a value of another kind, or a threshold out of range
[[nodiscard]] inline RoutingPolicy parse_policy(const JsonFields& fields) {
  RoutingPolicy policy;
  if (fields.has("name")) policy.name = fields.text("name");
  take_number(fields, "min_confidence", policy.min_confidence);
  take_number(fields, "min_margin", policy.min_margin);
  take_number(fields, "max_novelty", policy.max_novelty);
  take_number(fields, "coverage", policy.coverage);
  if (fields.has("max_candidates")) policy.max_candidates = fields.index("max_candidates");
  if (fields.has("blend")) policy.blend = fields.boolean("blend");
  take_number(fields, "blend_confidence", policy.blend_confidence);
  if (fields.has("fallback")) policy.fallback = enumerator<FallbackKind>(fields, "fallback");
  if (fields.has("default_task")) policy.default_task = fields.text("default_task");
  if (fields.has("tasks")) policy.tasks = parse_thresholds(fields);
  try {
    expect_policy(policy);
  } catch (const Error& error) {
    raise<FormatError>(fields.place(), ": ", error.what());
  }
  return policy;
}

[[nodiscard]] inline Json usage_json(const UsageMeter::Counts& counts) {
  Json json = Json::array();
  for (const auto& [task, usage] : counts) {
    json.push_back({{"task", task},
                    {"count", usage.count},
                    {"answered", usage.answered},
                    {"confidence_sum", usage.confidence_sum},
                    {"last_use", usage.last_use}});
  }
  return json;
}

/// @param fields  the object that holds "usage"
/// @throws FormatError  for numbers that no decisions lead to
[[nodiscard]] inline UsageMeter::Counts parse_usage(const JsonFields& fields) {
  constexpr std::uint64_t most = std::uint64_t{1} << 53;  // of JSON's numbers
  UsageMeter::Counts counts;
  fields.for_each("usage", [&](const Json& value, const std::string& place) {
    const JsonFields entry(value, place);
    TaskUsage usage{.count = entry.count("count", most),
                    .confidence_sum = entry.number("confidence_sum"),
                    .last_use = entry.number("last_use")};
    usage.answered = entry.count("answered", usage.count);
    if (usage.confidence_sum < 0 || usage.confidence_sum > static_cast<double>(usage.count)) {
      entry.refuse("confidence_sum", "0 to 1 for each of " + std::to_string(usage.count));
    }
    if (usage.last_use < 0) entry.refuse("last_use", "0 or more");
    if (!counts.emplace(entry.text("task"), usage).second) entry.refuse("task", "each task once");
  });
  return counts;
}

}  // namespace anyssr::inline ANYSSR_ABI::detail
