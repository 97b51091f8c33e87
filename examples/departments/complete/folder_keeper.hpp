// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The keeper that saves to a folder.

#include <utility>

#include "departments/complete/state.hpp"
#include "departments/keeper.hpp"

namespace departments {

template <class Ground>
class FolderKeeper : public Keeper<Ground> {
 public:
  using Learner = typename Keeper<Ground>::Learner;

  explicit FolderKeeper(const Options& options) : options_(options), folder_(options) {}

  std::optional<Learner> load(typename Ground::Backbone backbone) override {
    return folder_.load<Learner>(std::move(backbone), options_);
  }
  void save(const Learner& learner) override { folder_.save(learner); }
  void expect_same_questions(const std::vector<anyssr::TaskSummary>& tasks,
                             const Questions& questions) const override {
    folder_.expect_same_questions(tasks, questions);
  }

 private:
  const Options options_;
  StateFolder folder_;
};

}  // namespace departments
