// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// What a manifest says of a learner, before its files are written.

#include <array>
#include <cmath>
#include <ctime>
#include <string>
#include <utility>

#include "anyssr/learner/continual_learner.hpp"
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

/// Handles of every task and, right after it, of the tasks that it is to join, as with_parts.
template <class Learner>
[[nodiscard]] auto handles_with_parts(const Learner& learner) {
  const auto snapshot = learner.snapshot();
  auto all = snapshot.handles();
  all.clear();
  for (std::size_t t = 0; t < snapshot.tasks().size(); ++t) {
    all.push_back(snapshot.handles()[t]);
    if (snapshot.tasks()[t].parts.empty()) continue;
    const auto waiting = learner.merged().find(snapshot.tasks()[t].name);
    const std::size_t count = waiting == learner.merged().end() ? 0 : waiting->second.size();
    expect(count == 2, "task '", snapshot.tasks()[t].name, "' waits to join ", count,
           " adapters, expected 2");
    all.insert(all.end(), waiting->second.begin(), waiting->second.end());
  }
  return all;
}

template <class Learner>
void describe_tasks(const Learner& learner, Manifest& manifest) {
  expect_loadable_tasks(learner.router());
  for (const RoutedTask& task : learner.router().tasks()) {
    expect_utf8("the task name", task.name);
    for (const RoutedTask& part : task.parts) expect_utf8("the task name", part.name);
    manifest.tasks.push_back(stored_task(task));
  }
  const auto handles = handles_with_parts(learner);
  const auto tasks = with_parts(manifest.tasks);
  for (std::size_t k = 0; k < tasks.size(); ++k) tasks[k]->digest = handles[k]->info().digest;
  manifest.removed_rows = static_cast<std::uint64_t>(learner.router().removed_rows());
}

/// Everything but what the files say.
/// @throws NumericalError  a poisoned router;  ArgumentError  what no file can hold
template <class Learner>
[[nodiscard]] Manifest describe_learner(const Learner& learner) {
  expect<NumericalError>(!learner.is_poisoned(),
                         "the router is poisoned by an earlier failed factorisation: its state "
                         "cannot be saved; the last saved one is whole");
  Manifest manifest;
  manifest.changes = learner.snapshot().generation();
  manifest.library = ANYSSR_VERSION_STRING;
  manifest.created = utc_now();
  manifest.scalar = scalar_name<typename Learner::Scalar>();
  manifest.backbone = fingerprint_of(learner.backbone());
  expect_utf8("the fingerprint of the backbone", manifest.backbone);
  manifest.feature_dim = static_cast<std::uint64_t>(learner.router().feature_dim());
  manifest.backbone_probe = probe_backbone(learner.backbone());
  manifest.expansion = learner.router().expansion().fingerprint();
  manifest.expansion_probe = probe_expansion(learner.router().expansion());
  LearnerOptions options = learner.options();
  options.router = learner.router().options();
  for (const std::string& site : options.adapter.sites) expect_utf8("a site", site);
  manifest.options = learner_options_json(options);
  describe_tasks(learner, manifest);
  manifest.policy = learner.snapshot().policy();  // another thread may set another one
  manifest.usage = learner.usage();
  expect_storable_serving(manifest.policy, manifest.usage);
  return manifest;
}

}  // namespace anyssr::inline ANYSSR_ABI::detail
