// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Loads a learner from a checkpoint: CURRENT, then its manifest by digest, then every file by size
/// and check, then the contents; only then is the learner built. It goes on as if it had never
/// stopped: the sums and the adapters are the same bits.

#include <algorithm>
#include <concepts>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "anyssr/io/path_text.hpp"
#include "anyssr/io/regular_file.hpp"
#include "anyssr/learner/learner_state.hpp"
#include "anyssr/store/adapter_folder.hpp"
#include "anyssr/store/adapter_store.hpp"
#include "anyssr/store/generations.hpp"
#include "anyssr/store/inspector_file.hpp"
#include "anyssr/store/learner_options_json.hpp"
#include "anyssr/store/probe.hpp"
#include "anyssr/store/router_file.hpp"
#include "anyssr/store/span_files.hpp"

namespace anyssr::inline ANYSSR_ABI {

struct LoadOptions {
  bool recover = false;  ///< take the newest whole generation where the current one is damaged
  bool narrow = false;   ///< let numbers of an f64 state be rounded to float, 6e-8 of each
  std::size_t adapter_budget = 0;  ///< bytes of adapters to keep in memory, the others are loaded
                                   ///< when needed; 0: all are loaded now, and stay
  bool verify_adapters = true;     ///< with a budget: read all adapters through now; else each when
                                   ///< it is loaded
  int threads = 0;                 ///< of the router; 0: the cores that this process may use
  /// Bytes that the frozen layer of a LiftedBackbone may take by the word of the options alone: a
  /// checkpoint without tasks has no head whose size bears its width out.
  std::size_t unproven_lift_bytes = std::size_t{256} << 20;
  /// Changes the options of what is to come: adapter, train, subspace, subspace_fit, inspector,
  /// router.novelty, seed. Called again, on options read anew, where a save replaces the generation
  /// while it is read.
  std::function<void(LearnerOptions&)> adjust = {};
};

/// What a load found.
struct LoadReport {
  std::uint64_t generation = 0;
  std::string created = {};                ///< RFC 3339, UTC
  std::string library = {};                ///< version that wrote it
  std::string scalar = {};                 ///< of the stored numbers: "f32" or "f64"
  std::string audit_head = {};             ///< SaveOptions::audit_head; empty: none was given
  std::string damage = {};                 ///< of the current generation, where an older was taken
  std::vector<std::string> warnings = {};  ///< what may be a mistake
  /// With an adapter budget: what the store of the learner's adapters has done so far and holds.
  /// From any thread, at any time, also after the learner; empty without a budget.
  std::function<AdapterStoreCounts()> adapter_counts = {};
};

namespace detail {

/// All that a checkpoint says of a learner but for what needs its backbone.
template <RealScalar S>
struct StoredLearner {
  Manifest manifest;
  LearnerOptions options;
  LearnerState<S> state;
  std::shared_ptr<AdapterStore<S>> adapters;  // with a budget; handles are made of infos then
  std::vector<AdapterInfo> infos;             // one a task and part (with_parts)
};

[[nodiscard]] inline std::vector<RoutedTask> routed_tasks(const Manifest& manifest) {
  std::vector<RoutedTask> tasks;
  for (const StoredTask& task : manifest.tasks) tasks.push_back(routed_task(task));
  return tasks;
}

/// Gives the handles of all tasks and parts (with_parts) their places in a state.
template <RealScalar S>
void place_handles(const Manifest& manifest,
                   const std::vector<std::shared_ptr<const AdapterHandle<S>>>& handles,
                   LearnerState<S>& state) {
  auto next = handles.begin();
  for (const StoredTask& task : manifest.tasks) {
    state.handles.push_back(*next++);
    for (std::size_t k = 0; k < task.parts.size(); ++k)
      state.originals[task.name].push_back(*next++);
  }
}

/// What is known of the adapters, and where all are to be in memory the adapters.
template <RealScalar S>
void read_adapters(const std::filesystem::path& root, bool all, StoredLearner<S>& stored) {
  std::vector<std::shared_ptr<const AdapterHandle<S>>> handles;
  for (const StoredTask* task : with_parts(stored.manifest.tasks)) {
    const std::filesystem::path folder = root / "adapters" / task->adapter;
    stored.infos.push_back(read_adapter_info<S>(folder));
    const std::uint64_t digest = stored.infos.back().digest;
    expect<FormatError>(digest == task->digest, path_text(folder / "task.json"), ": digest is ",
                        word_text(digest), ", expected ", word_text(task->digest),
                        " as in the manifest");
    if (!all) continue;
    handles.push_back(std::make_shared<const AdapterHandle<S>>(
        stored.infos.back(), std::make_shared<const Adapter<S>>(read_adapter_folder<S>(folder))));
  }
  if (all) place_handles(stored.manifest, handles, stored.state);
}

template <RealScalar S>
[[nodiscard]] StoredLearner<S> read_learner(const std::filesystem::path& root,
                                            const Manifest& manifest, const LoadOptions& options) {
  StoredLearner<S> stored{
      .manifest = manifest,
      .options = parse_learner_options(
          manifest.options, path_text(root / manifest_name(manifest.generation)) + ": options"),
      .state = {},
      .adapters = nullptr,
      .infos = {}};
  if (options.adjust) options.adjust(stored.options);
  stored.options.router.rls.threads = options.threads;
  const ExpansionOptions& expansion = stored.options.router.expansion;
  const Index dim = expansion.kind == ExpansionKind::identity
                        ? static_cast<Index>(manifest.feature_dim)
                        : expansion.dim;
  const Dtype dtype = manifest.scalar == "f32" ? Dtype::F32 : Dtype::F64;
  stored.state.router =
      read_router_file<S>(root / manifest.router, dim, dtype, routed_tasks(manifest),
                          static_cast<Index>(manifest.removed_rows));
  stored.state.changes = manifest.changes;
  stored.state.policy = manifest.policy;
  stored.state.usage = manifest.usage;
  stored.state.inspector = read_inspector(root, manifest);
  std::map<std::string, Matrix<S>> spans = read_spans<S>(root, manifest);
  try {
    stored.state.subspaces = TaskSubspaces<S>(std::move(spans));
  } catch (const Error& error) {
    raise<FormatError>(path_text(root), ": generation ", manifest.generation, ": ", error.what());
  }
  read_adapters(root, options.adapter_budget == 0, stored);
  return stored;
}

/// Handles of adapters that a store loads and checks when they are needed.
template <class Learner>
void add_handles(const std::filesystem::path& given_root, const LoadOptions& options,
                 const std::shared_ptr<const typename Learner::Adaptable>& backbone,
                 StoredLearner<typename Learner::Scalar>& stored) {
  using S = typename Learner::Scalar;
  if (options.adapter_budget == 0) return;
  const std::filesystem::path root = absolute_path(given_root);  // a process may change its folder
  std::map<std::string, std::vector<StoredFile>> files;
  const auto tasks = with_parts(stored.manifest.tasks);
  for (const StoredTask* task : tasks) {
    files.emplace(task->adapter, files_below(stored.manifest, "adapters/" + task->adapter));
  }
  stored.adapters = std::make_shared<AdapterStore<S>>(
      options.adapter_budget, [root, backbone, files](const std::string& folder) {
        if (is_missing(root / "adapters" / folder)) {
          raise<FileError>(path_text(root / "adapters" / folder),
                           ": is gone: later saves have replaced it, load the checkpoint again");
        }
        for (const StoredFile& file : files.at(folder)) expect_intact(root, file);
        Adapter<S> adapter = read_adapter_folder<S>(root / "adapters" / folder);
        try {
          Learner::check_adapter(*backbone, adapter);
        } catch (const Error& error) {
          raise<FormatError>(path_text(root / "adapters" / folder), ": ", error.what());
        }
        return adapter;
      });
  std::vector<std::shared_ptr<const AdapterHandle<S>>> handles;
  for (std::size_t k = 0; k < stored.infos.size(); ++k) {
    const AdapterInfo& info = stored.infos[k];
    handles.push_back(std::make_shared<const AdapterHandle<S>>(
        info, [store = stored.adapters, folder = tasks[k]->adapter, bytes = info.bytes] {
          return store->get(folder, bytes);
        }));
  }
  place_handles(stored.manifest, handles, stored.state);
}

/// Refuses a backbone that is not the one that the state was learned on.
template <class Backbone>
void expect_same_backbone(const std::filesystem::path& root, const Backbone& backbone,
                          const Manifest& manifest, std::vector<std::string>& warnings) {
  const std::string found = stored_fingerprint(backbone);
  expect(found == manifest.backbone, path_text(root), ": was saved on the backbone '",
         manifest.backbone, "', expected '", found, "', which is at hand");
  const auto dim = static_cast<std::uint64_t>(backbone.feature_dim());
  expect<ShapeError>(dim == manifest.feature_dim, path_text(root), ": was saved on ",
                     manifest.feature_dim, " features, expected ", dim,
                     " as of the backbone at hand");
  const std::vector<double> probe = probe_backbone(backbone);
  if (probe.empty() || manifest.backbone_probe.empty()) {
    if (found.starts_with("unnamed")) {
      warnings.push_back(
          "the backbone has neither fingerprint nor probe: nothing tells whether it "
          "is the one that the state was learned on");
    }
    return;
  }
  constexpr double most = 1e-3;
  const double difference = probe_difference(probe, manifest.backbone_probe);
  expect(is_within(difference, 0.0, most), path_text(root),
         ": the backbone at hand has the name of the saved one and gives other features: they are "
         "off by ",
         difference, ", expected at most ", most);
}

template <RealScalar S>
void expect_same_expansion(const std::filesystem::path& root, const AnyExpansion<S>& expansion,
                           const Manifest& manifest) {
  expect<FormatError>(expansion.fingerprint() == manifest.expansion, path_text(root),
                      ": the expansion of the options has digest ",
                      word_text(expansion.fingerprint()), ", expected ",
                      word_text(manifest.expansion));
  const double most = sizeof(S) == 4 || manifest.scalar == "f32" ? 1e-5 : 1e-12;
  const double difference = probe_difference(probe_expansion(expansion), manifest.expansion_probe);
  expect<FormatError>(is_within(difference, 0.0, most), path_text(root),
                      ": the expansion computes other numbers on this machine: they are off by ",
                      difference, ", expected at most ", most);
}

template <RealScalar S>
void expect_scalar(const std::filesystem::path& root, const Manifest& manifest, bool narrow,
                   std::vector<std::string>& warnings) {
  if (manifest.scalar == scalar_name<S>() || manifest.scalar == "f32") return;
  expect(narrow, path_text(root),
         ": holds an f64 state, expected f32 for a learner in float: load it in double, or set "
         "narrow to round every number");
  warnings.push_back("the numbers of an f64 state were rounded to float, by at most 6e-8 of each");
}

/// Refuses a width of the lifted layer that the tasks' heads do not bear out, before memory is
/// taken for it: a head reads every number of the layer. Without tasks a limit stands in for them.
template <class Learner>
void expect_lift_width(const std::filesystem::path& root, const typename Learner::Base& backbone,
                       const LoadOptions& options,
                       const StoredLearner<typename Learner::Scalar>& stored) {
  if constexpr (!std::same_as<typename Learner::Base, typename Learner::Adaptable>) {
    const auto dim = static_cast<std::uint64_t>(stored.options.lift.dim);
    if (stored.manifest.tasks.empty()) {
      const auto features =
          std::max<std::uint64_t>(1, static_cast<std::uint64_t>(backbone.feature_dim()));
      const std::uint64_t column = features * sizeof(typename Learner::Scalar);
      expect<FormatError>(dim <= options.unproven_lift_bytes / column, path_text(root),
                          ": lift: dim is ", dim, " on ", features,
                          " features, and no task bears that out, expected at most ",
                          options.unproven_lift_bytes, " bytes: see unproven_lift_bytes");
    }
    for (const StoredFile& file : stored.manifest.files) {
      if (!file.path.ends_with("/adapter_model.safetensors")) continue;
      expect<FormatError>(dim <= file.bytes / 2, path_text(root), ": lift: dim is ", dim,
                          ", expected a width that the heads of ", file.path, " fit in");
    }
  }
}

/// Refuses spans of sites that the backbone does not have.
template <class Learner>
void expect_spans_fit(const typename Learner::Adaptable& backbone,
                      const TaskSubspaces<typename Learner::Scalar>& subspaces) {
  const auto sites = backbone.sites();
  for (const auto& [name, span] : subspaces.spans()) {
    const auto site = std::find_if(sites.begin(), sites.end(),
                                   [&, key = name](const Site& s) { return s.name == key; });
    expect(site != sites.end(), "there is a span for site '", name,
           "', which the backbone does not have");
    expect<ShapeError>(span.rows() == site->in, "the span of site '", name, "' has ", span.rows(),
                       " rows, expected ", site->in);
  }
}

/// The learner that a stored state makes; errors of contents become FormatErrors of the folder.
template <class Learner>
[[nodiscard]] Learner build_learner(const std::filesystem::path& root,
                                    typename Learner::Base backbone, const LoadOptions& options,
                                    StoredLearner<typename Learner::Scalar>& stored,
                                    LoadReport& report) {
  expect_lift_width<Learner>(root, backbone, options, stored);
  bool is_backbone_in_question = false;
  try {
    Learner learner =
        Learner::restore(std::move(backbone), stored.options,
                         [&](const std::shared_ptr<const typename Learner::Adaptable>& adaptable) {
                           is_backbone_in_question = true;
                           expect_same_backbone(root, *adaptable, stored.manifest, report.warnings);
                           is_backbone_in_question = false;
                           expect_spans_fit<Learner>(*adaptable, stored.state.subspaces);
                           add_handles<Learner>(root, options, adaptable, stored);
                           return std::move(stored.state);
                         });
    expect_same_expansion(root, learner.router().expansion(), stored.manifest);
    if (stored.adapters) {
      report.adapter_counts = [store = stored.adapters] { return store->counts(); };
    }
    return learner;
  } catch (const FormatError&) {
    throw;
  } catch (const NumericalError&) {
    throw;
  } catch (const Error& error) {
    if (is_backbone_in_question) throw;
    raise<FormatError>(path_text(root), ": generation ", stored.manifest.generation, ": ",
                       error.what());
  }
}

}  // namespace detail

/// Loads a learner. Waits for no lock: a writer may save meanwhile.
/// @tparam Learner  `ContinualLearner<B>`
/// @param backbone  the one that the state was learned on
/// @throws FileError       there is no checkpoint, a file is missing, or the system refuses
/// @throws FormatError     the current generation is damaged (this message and the one above say
///                         which one is whole), or its contents contradict themselves
/// @throws ArgumentError, ShapeError  another backbone: both fingerprints are named; an f64 state
///                         for a learner in float
/// @throws NumericalError  the Gram cannot be factored in this scalar
/// Cost: reading everything once, d^3 / 3 flops and the solve.
template <class Learner>
[[nodiscard]] Learner load(const std::filesystem::path& root, typename Learner::Base backbone,
                           const LoadOptions& options = {}, LoadReport* report = nullptr) {
  using S = typename Learner::Scalar;
  LoadReport found;
  std::optional<detail::StoredLearner<S>> stored;
  const bool all = options.adapter_budget == 0 || options.verify_adapters;
  detail::with_generation(
      root, options.recover, all ? detail::Verify::everything : detail::Verify::all_but_adapters,
      [&](const Manifest& manifest, const std::string& damage) {
        found = {.generation = manifest.generation,
                 .created = manifest.created,
                 .library = manifest.library,
                 .scalar = manifest.scalar,
                 .audit_head = manifest.audit_head,
                 .damage = damage};
        detail::expect_scalar<S>(root, manifest, options.narrow, found.warnings);
        stored = detail::read_learner<S>(root, manifest, options);
      });
  Learner learner =
      detail::build_learner<Learner>(root, std::move(backbone), options, *stored, found);
  if (report != nullptr) *report = std::move(found);
  return learner;
}

}  // namespace anyssr::inline ANYSSR_ABI

#ifdef ANYSSR_COMPILED
#include "anyssr/instantiate/loaded_learners.hpp"
#endif
