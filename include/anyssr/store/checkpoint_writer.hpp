// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Saves a learner to a folder, so that nothing can hurt it: a reader, a crash or a loss of power
/// at any moment sees the generation before or the new one, whole.
///
///   (1) LOCK is taken
///   (2) new adapters and the router are written and reach the disk
///   (3) so does the manifest
///   (4) CURRENT is replaced: committed
///   (5) what neither the new nor the previous manifest names is deleted
///
/// An error before (4) deletes what was written and leaves the checkpoint as it was. Adapters are
/// written once: saving after task 100 writes the router and one adapter.

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "anyssr/core/stopwatch.hpp"
#include "anyssr/io/path_text.hpp"
#include "anyssr/learner/learner_state.hpp"
#include "anyssr/store/adapter_folder.hpp"
#include "anyssr/store/checkpoint_lock.hpp"
#include "anyssr/store/describe_learner.hpp"
#include "anyssr/store/generations.hpp"
#include "anyssr/store/inspector_file.hpp"
#include "anyssr/store/learner_options_json.hpp"
#include "anyssr/store/pending_files.hpp"
#include "anyssr/store/router_file.hpp"
#include "anyssr/store/span_files.hpp"
#include "anyssr/store/succession.hpp"
#include "anyssr/store/sweep.hpp"

namespace anyssr::inline ANYSSR_ABI {

struct SaveOptions {
  /// Reads all that is stored through. If the current generation is damaged, the save goes on from
  /// the newest whole one and writes damaged adapters anew.
  bool recover = false;
  bool replace = false;  ///< save over a state that this learner does not come from
  std::string audit_head =
      {};  ///< AuditLog::head of the moment, "sha256:" and 64 digits: a later cut of the log shows
           ///< against it (LoadReport::audit_head); empty: none is kept
};

struct SaveReport {
  std::uint64_t generation = 0;     ///< of the checkpoint
  std::uint64_t bytes_written = 0;  ///< router, adapters, spans, inspector and manifest
  std::size_t adapters_written = 0;
  std::vector<std::string> warnings = {};  ///< what could not be deleted; in a writer's first
                                           ///< report also what the file system lacks: locks, fsync
  double seconds = 0;
};

namespace detail {

/// Refuses a manifest that no load would take: a number that JSON has no form for, or too long.
/// @throws ArgumentError
inline void expect_loadable(std::string_view text, const std::string& name) {
  expect(text.size() <= max_manifest_bytes, "the learner needs a manifest of ", text.size(),
         " bytes, expected at most ", max_manifest_bytes);
  try {
    const Manifest manifest = parse_manifest(parse_json(text, name), name);
    (void)parse_learner_options(manifest.options, name + ": options");
  } catch (const FormatError& error) {
    raise<ArgumentError>("the learner cannot be saved, since no load would take it: ",
                         error.what());
  }
}

/// Puts a generation's manifest and then CURRENT in place.
/// @param pending  kept from the moment on that CURRENT names the new generation
/// @param report   told the bytes
/// @return AtomicFile::is_durable
inline bool commit_generation(const std::filesystem::path& root, const Manifest& manifest,
                              PendingFiles& pending, SaveReport& report) {
  const std::string text = manifest_text(manifest);
  const std::string name = manifest_name(manifest.generation);
  expect_loadable(text, name);
  pending.add(name);
  AtomicFile file(root / name);
  file.write(text);
  file.commit();
  AtomicFile current(root / "CURRENT");
  current.write(current_text({.manifest = name, .check = sha256_hex(text)}));
  try {
    current.commit();
  } catch (...) {
    if (current.has_replaced()) pending.keep();
    throw;
  }
  pending.keep();
  report.bytes_written += text.size();
  return current.is_durable();
}

}  // namespace detail

/// The one writer of a checkpoint's folder for as long as it lives.
class CheckpointWriter {
 public:
  /// Makes the folder where there is none (those above it must be there) and takes its lock.
  /// @throws FileError  where another writer is at work, named by pid and host, or where the
  ///                    system refuses
  explicit CheckpointWriter(const std::filesystem::path& root) : root_(made(root)), lock_(root_) {}

  [[nodiscard]] const std::filesystem::path& root() const noexcept { return root_; }

  /// Saves the learner as the next generation. After it returns the state outlives a loss of power.
  /// @throws ArgumentError   the folder holds another learner's state or a later one (see
  ///                         SaveOptions::replace), or the learner holds what no file can: a text
  ///                         that is not UTF-8, an adapter that is not the same when read again
  /// @throws NumericalError  a poisoned router
  /// @throws FormatError     the current generation is damaged
  /// @throws FileError       the system refuses, or somebody has taken the lock file away; the
  ///                         checkpoint is as it was, but for one case: the message says "CURRENT:
  ///                         was replaced"
  /// The learner stays usable whatever happens; other threads may predict with it and learn.
  /// Cost: the router's d^2 / 2 numbers and the adapters that are not in the folder yet.
  template <class Learner>
  SaveReport save(const Learner& learner, const SaveOptions& options = {}) {
    const Stopwatch clock;
    SaveReport report;
    lock_.expect_held();
    detail::expect(options.audit_head.empty() || detail::is_audit_head(options.audit_head),
                   "audit_head is ", detail::in_quotes(options.audit_head),
                   ", expected sha256: and 64 digits of 0-9a-f, or nothing");
    const std::optional<Manifest> base = find_base(options);
    Manifest next;
    detail::PendingFiles pending(root_);
    learner.while_unchanged([&] {
      detail::expect<NumericalError>(!learner.is_poisoned(),
                                     "the router is poisoned by an earlier failed factorisation: "
                                     "its state cannot be saved; the last saved one is whole");
      const auto state = learner.state();
      next = detail::describe_learner(state, learner.options(), learner.backbone());
      next.audit_head = options.audit_head;
      if (base && !options.replace) {
        detail::expect_successor(root_, *base, next, state.router);
      }
      next.generation = next_generation();
      write_state(state, base, next, pending, options.recover, report);
    });
    const bool is_durable = detail::commit_generation(root_, next, pending, report);
    if (!std::exchange(has_saved_, true)) {
      if (!lock_.is_real()) report.warnings.emplace_back(detail::no_lock_warning);
      if (!is_durable) report.warnings.emplace_back(detail::no_sync_warning);
    }
    std::vector<const Manifest*> keep{&next};
    if (base) keep.push_back(&*base);
    const std::vector<std::string> kept = detail::sweep(root_, keep);
    report.warnings.insert(report.warnings.end(), kept.begin(), kept.end());
    report.generation = next.generation;
    report.seconds = clock.seconds();
    return report;
  }

 private:
  [[nodiscard]] static std::filesystem::path made(const std::filesystem::path& root) {
    detail::expect(!root.empty(), "the path of the checkpoint is empty, expected a folder");
    std::filesystem::path folder = detail::absolute_path(root);
    if (!folder.has_filename()) folder = folder.parent_path();  // "state/"
    detail::make_folder(folder);
    return folder;
  }

  /// The generation to go on from.
  [[nodiscard]] std::optional<Manifest> find_base(const SaveOptions& options) const {
    const detail::FoundGeneration found = detail::find_current(root_, detail::Verify::nothing);
    if (found.manifest) {
      if (!options.recover || is_whole(*found.manifest)) return found.manifest;
      // What a load cannot take is nothing to go on from, unless nothing else is there.
      std::optional<Manifest> older = detail::newest_whole(root_);
      return older ? older : found.manifest;
    }
    const std::vector<std::uint64_t> known = detail::generations_in(root_);
    const bool has_current = detail::has_current(root_);
    if (known.empty() && !has_current) return std::nullopt;
    std::optional<Manifest> whole = detail::newest_whole(root_);
    // A crash before the first commit leaves no CURRENT, and nothing that was promised is lost.
    const bool is_uncommitted = !has_current && whole && whole->generation == known.front();
    if (is_uncommitted || options.replace) return whole;
    // Whole and still refused: a newer version's, or nobody's that this one knows. Not damage.
    const bool is_foreign =
        found.line && !found.is_refused &&
        sha256_hex(detail::whole_manifest_text(root_, found.line->manifest)) == found.line->check;
    if (is_foreign) detail::raise_damage(found, "; set replace to lose that state");
    if (options.recover) return whole;
    detail::raise_damage(found, "; nothing was saved: recover = true goes on from ",
                         whole ? detail::concat("generation ", whole->generation)
                               : std::string("nothing, since no generation is whole"));
  }

  [[nodiscard]] bool is_whole(const Manifest& manifest) const {
    try {
      detail::expect_whole(root_, manifest, detail::Verify::everything);
      return true;
    } catch (const Error&) {
      return false;
    }
  }

  [[nodiscard]] std::uint64_t next_generation() const {
    const std::vector<std::uint64_t> known = detail::generations_in(root_);
    if (known.empty()) return 1;
    const std::uint64_t next = known.front() + 1;
    detail::expect<FormatError>(next < detail::generation_limit,
                                detail::path_text(root_ / detail::manifest_name(known.front())),
                                ": leaves no number for the next generation, expected below ",
                                detail::generation_limit - 1);
    return next;
  }

  /// Everything of a generation but its manifest.
  template <RealScalar S>
  void write_state(const LearnerStateView<S>& state, const std::optional<Manifest>& base,
                   Manifest& next, detail::PendingFiles& pending, bool verify,
                   SaveReport& report) const {
    const std::filesystem::path adapters = root_ / "adapters";
    detail::make_folder(adapters);
    std::error_code ignored;  // it was asked for a moment ago
    detail::expect<FileError>(!std::filesystem::is_symlink(adapters, ignored),
                              detail::path_text(adapters),
                              ": is a link, expected a folder: a load would refuse it");
    write_adapters(state, base, next, pending, verify, report);
    next.router = "router-" + detail::numbered(next.generation) + ".safetensors";
    pending.add(next.router);
    next.files.push_back(detail::write_router_file(root_, next.router, state.router));
    report.bytes_written += next.files.back().bytes;
    report.bytes_written +=
        detail::write_spans(root_, state.subspaces, base ? &*base : nullptr, verify, next, pending);
    report.bytes_written += detail::write_inspector(root_, state.inspector, next, pending);
  }

  template <RealScalar S>
  void write_adapters(const LearnerStateView<S>& state, const std::optional<Manifest>& base,
                      Manifest& next, detail::PendingFiles& pending, bool verify,
                      SaveReport& report) const {
    std::map<std::uint64_t, std::string> stored;  // digest -> folder of the base
    std::map<std::uint64_t, std::string> listed;  // digest -> folder of the new generation
    if (base && base->scalar == next.scalar) {    // a narrowed adapter keeps its digest
      for (const StoredTask* task : detail::with_parts(base->tasks)) {
        stored.emplace(task->digest, task->adapter);
      }
    }
    std::uint64_t number = detail::next_folder_number(root_ / "adapters");
    const auto handles = detail::handles_with_parts(state);
    const auto tasks = detail::with_parts(next.tasks);
    for (std::size_t k = 0; k < tasks.size(); ++k) {
      StoredTask& task = *tasks[k];
      const AdapterHandle<S>& handle = *handles[k];
      if (const auto same = listed.find(task.digest); same != listed.end()) {
        task.adapter = same->second;
        continue;
      }
      std::vector<StoredFile> files;
      if (const auto found = stored.find(task.digest); found != stored.end()) {
        task.adapter = found->second;
        files = detail::reusable_files(
            root_, detail::files_below(*base, "adapters/" + task.adapter), verify);
      }
      if (files.empty()) {
        const auto adapter = handle.get();
        detail::expect_storable(task.name, *adapter);
        task.adapter = detail::numbered(number++) + "-" + detail::plain_name(task.name);
        pending.add("adapters/" + task.adapter);
        files = detail::write_adapter_folder<S>(root_, task.adapter, task.name, *adapter,
                                                handle.info());
        ++report.adapters_written;
        for (const StoredFile& file : files) report.bytes_written += file.bytes;
      }
      next.files.insert(next.files.end(), files.begin(), files.end());
      listed.emplace(task.digest, task.adapter);
    }
  }

  std::filesystem::path root_;
  detail::CheckpointLock lock_;
  bool has_saved_ = false;
};

/// Saves a learner as the next generation of a checkpoint (CheckpointWriter::save).
template <class Learner>
SaveReport save(const Learner& learner, const std::filesystem::path& root,
                const SaveOptions& options = {}) {
  return CheckpointWriter(root).save(learner, options);
}

}  // namespace anyssr::inline ANYSSR_ABI

#ifdef ANYSSR_COMPILED
#include "anyssr/instantiate/saved_learners.hpp"
#endif
