// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The folder of `--state`: a checkpoint of the learner, and beside it the options that it was
/// learned with, so that a later run goes on with the same ones.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "departments/experiment.hpp"
#include "departments/scalar/learner.hpp"

namespace anyssr::inline ANYSSR_ABI {
class CheckpointWriter;
}

namespace departments {

/// Holds the folder's lock as long as it lives: no other run may go on from there meanwhile.
class StateFolder {
 public:
  /// @throws anyssr::FileError      another run holds the lock, or the system refuses
  /// @throws anyssr::ArgumentError  options other than those that the state was learned with
  explicit StateFolder(const Options& options);
  ~StateFolder();

  /// The learner of the runs before; nothing where there were none.
  /// @throws anyssr::Error  the state is damaged and Options::recover not set, or none is whole
  [[nodiscard]] std::optional<Learner> load(Learner::Base backbone, const Options& options);

  /// From when this returns a killed run loses nothing of what was learned.
  void save(const Learner& learner);

  /// Refuses questions that are not those that a department was learned from.
  /// @throws anyssr::ArgumentError
  void expect_same_questions(const anyssr::TaskSummary& task, const Department& department) const;

 private:
  static void warn(const std::vector<std::string>& warnings);

  std::unique_ptr<anyssr::CheckpointWriter> writer_;  // behind a pointer: its header is a long one
  bool has_checkpoint_ = false;
  bool is_recovered_ = false;  // the newest state is damaged, and the learner is of an older one
};

/// "refund,invoice": what an adapter's metadata keep of its department.
[[nodiscard]] std::string label_list(const Department& department);

}  // namespace departments
