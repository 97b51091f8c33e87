// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The folder of `--state`: a checkpoint of the learner, and beside it the options that it was
/// learned with, so that a later run goes on with the same ones.

#include <anyssr/store.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "departments/experiment.hpp"

namespace departments {

/// Holds the folder's lock as long as it lives: no other run may go on from there meanwhile.
class StateFolder {
 public:
  /// @throws anyssr::FileError      another run holds the lock, or the system refuses
  /// @throws anyssr::ArgumentError  options other than those that the state was learned with
  explicit StateFolder(const Options& options);

  /// The learner of the runs before; nothing where there were none.
  /// @throws anyssr::Error  the state is damaged and Options::recover not set, or none is whole
  template <class Learner>
  [[nodiscard]] std::optional<Learner> load(typename Learner::Base backbone,
                                            const Options& options) {
    if (!has_checkpoint_) return std::nullopt;
    anyssr::LoadReport report;
    std::optional<Learner> learner =
        anyssr::load<Learner>(writer_.root(), std::move(backbone),
                              {.recover = options.recover, .threads = options.threads}, &report);
    warn(report.warnings);
    is_recovered_ = !report.damage.empty();
    if (is_recovered_) {
      warn(report.damage);
      warn("going on from generation " + std::to_string(report.generation) + " instead");
    }
    return learner;
  }

  /// From when this returns a killed run loses nothing of what was learned.
  template <class Learner>
  void save(const Learner& learner) {
    warn(writer_.save(learner, {.recover = is_recovered_}).warnings);
    is_recovered_ = false;  // from here on the newest state is whole
  }

  /// Refuses questions that are not those that the departments were learned from.
  /// @param questions  their first departments are the tasks
  /// @throws anyssr::ArgumentError  naming each that differs
  void expect_same_questions(const std::vector<anyssr::TaskSummary>& tasks,
                             const Questions& questions) const;

 private:
  anyssr::CheckpointWriter writer_;
  bool has_checkpoint_ = false;
  bool is_recovered_ = false;  // the newest state is damaged, and the learner is of an older one
};

}  // namespace departments
