// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// What a manifest says of a learner, before its files are written.

#include <array>
#include <cmath>
#include <ctime>
#include <string>
#include <vector>

#include "anyssr/learner/learner_state.hpp"
#include "anyssr/store/adapter_folder.hpp"
#include "anyssr/store/learner_options_json.hpp"
#include "anyssr/store/manifest.hpp"
#include "anyssr/store/probe.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

/// 2026-01-31T12:00:00Z
[[nodiscard]] inline std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  std::array<char, 32> text{};
  return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

/// Refuses texts that JSON cannot hold.
/// @throws ArgumentError
inline void expect_storable_serving(const RoutingPolicy& policy, const UsageMeter::Counts& usage) {
  expect_utf8("the name of the policy", policy.name);
  expect_utf8("default_task of the policy", policy.default_task);
  for (const auto& [task, unused] : policy.tasks) expect_utf8("a task of the policy", task);
  for (const auto& [task, unused] : usage) expect_utf8("a task of the usage", task);
}

/// Refuses tasks that no load would take.
/// @throws ArgumentError
template <RealScalar S>
void expect_loadable_tasks(const AnalyticRouter<S>& router) {
  try {
    expect_possible_tasks(router.tasks(), router.regression().targets(),
                          router.regression().rows() - router.removed_rows());
  } catch (const Error& error) {
    raise<ArgumentError>("the learner cannot be saved, since no load would take it: ",
                         error.what());
  }
}

template <RealScalar S>
void describe_tasks(const LearnerStateView<S>& state, Manifest& manifest) {
  expect_loadable_tasks(state.router);
  for (const RoutedTask& task : state.router.tasks()) {
    expect_utf8("the task name", task.name);
    for (const RoutedTask& part : task.parts) expect_utf8("the task name", part.name);
    manifest.tasks.push_back(stored_task(task));
  }
  const auto handles = handles_with_parts(state);
  const auto tasks = with_parts(manifest.tasks);
  for (std::size_t k = 0; k < tasks.size(); ++k) tasks[k]->digest = handles[k]->info().digest;
  manifest.removed_rows = static_cast<std::uint64_t>(state.router.removed_rows());
}

/// Everything but what the files say.
/// @throws ArgumentError  what no file can hold
template <RealScalar S, class Backbone>
[[nodiscard]] Manifest describe_learner(const LearnerStateView<S>& state, LearnerOptions options,
                                        const Backbone& backbone) {
  Manifest manifest;
  manifest.changes = state.changes;
  manifest.library = ANYSSR_VERSION_STRING;
  manifest.created = utc_now();
  manifest.scalar = scalar_name<S>();
  manifest.backbone = stored_fingerprint(backbone);
  expect_utf8("the fingerprint of the backbone", manifest.backbone);
  manifest.feature_dim = static_cast<std::uint64_t>(state.router.feature_dim());
  manifest.backbone_probe = probe_backbone(backbone);
  manifest.expansion = state.router.expansion().fingerprint();
  manifest.expansion_probe = probe_expansion(state.router.expansion());
  options.router = state.router.options();
  for (const std::string& site : options.adapter.sites) expect_utf8("a site", site);
  manifest.options = learner_options_json(options);
  describe_tasks(state, manifest);
  manifest.policy = state.policy;
  manifest.usage = state.usage;
  expect_storable_serving(manifest.policy, manifest.usage);
  return manifest;
}

}  // namespace anyssr::inline ANYSSR_ABI::detail
