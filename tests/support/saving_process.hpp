// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// A child process that changes and saves a learner again and again until it is killed. Each change
/// is the same wherever it is made, so the parent knows every state.

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <string>

#include "anyssr/store.hpp"
#include "support/small_learner.hpp"

namespace anyssr::test {

/// The next change: four tasks are learned, then they go through all that tasks can become, in a
/// circle. The policy changes with every step.
template <class S>
void change_learner(PointLearner<S>& learner) {
  constexpr Index tasks = 4;
  const auto changes = static_cast<Index>(learner.snapshot().changes());
  RoutingPolicy policy;
  policy.name = "policy " + std::to_string(changes);
  policy.min_confidence = 1 / static_cast<double>(changes + 2);
  learner.set_policy(policy);
  if (changes < tasks) return learn_small_tasks(learner, changes, changes + 1);
  const auto sample = static_cast<std::uint64_t>(changes);
  const auto adopt = [&](Index task) {
    const PointTask<S> again = point_task<S>(task, 6, small_dim, 5, sample);
    learner.adopt_task(again.name, *learner.snapshot().adapter("task-1"), again.inputs);
  };
  const PointTask<S> more = point_task<S>(0, 6, small_dim, 5, sample);
  switch ((changes - tasks) % 12) {
    case 0:
      return learner.extend_task(more.name, more.inputs, more.labels);
    case 1:
      return learner.archive_task("task-1");
    case 2:
    case 7:
      return (void)learner.merge_tasks("task-2", "task-3", "both");
    case 3:
      return learner.rename_task("task-0", "first");
    case 4:
      return learner.restore_task("task-1");
    case 5:
      return learner.undo_merge("both");
    case 6:
      return learner.rename_task("first", "task-0");
    case 8:
      return learner.commit_merge("both");
    case 9:
      return learner.remove_task("both");
    case 10:
      return adopt(2);
    default:
      return adopt(3);
  }
}

/// Forked, so it begins with the learner of the moment.
class SavingProcess {
 public:
  struct Outcome {
    int begun = 0;  ///< saves that were begun
    int saved = 0;  ///< saves that returned
    bool was_killed = false;
  };

  SavingProcess(const PointLearner<float>& learner, const std::string& root) {
    std::array<int, 2> ends{};
    if (::pipe(ends.data()) != 0) std::abort();
    process_ = ::fork();
    if (process_ < 0) std::abort();
    if (process_ == 0) {
      ::close(ends[0]);
      save_until_killed(learner, root, ends[1]);
    }
    ::close(ends[1]);
    pipe_ = ends[0];
  }
  SavingProcess(const SavingProcess&) = delete;
  SavingProcess& operator=(const SavingProcess&) = delete;
  ~SavingProcess() { (void)kill(); }

  [[nodiscard]] pid_t id() const noexcept { return process_; }

  /// Waits for the next thing that the process reports.
  void wait_for_report() {
    char report = 0;
    if (::read(pipe_, &report, 1) == 1) count(report);
  }

  Outcome kill() {
    if (pipe_ < 0) return outcome_;
    ::kill(process_, SIGKILL);
    int status = 0;
    ::waitpid(process_, &status, 0);
    outcome_.was_killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    for (char report = 0; ::read(pipe_, &report, 1) == 1;) count(report);
    ::close(pipe_);
    pipe_ = -1;
    return outcome_;
  }

 private:
  [[noreturn]] static void save_until_killed(PointLearner<float> learner, const std::string& root,
                                             int pipe) {
    const auto tell = [&](char report) {
      if (::write(pipe, &report, 1) != 1) ::_exit(2);
    };
    try {
      while (true) {
        change_learner(learner);
        tell('b');
        save(learner, root);
        tell('s');
      }
    } catch (const std::exception&) {
      ::_exit(1);
    }
  }

  void count(char report) { ++(report == 'b' ? outcome_.begun : outcome_.saved); }

  pid_t process_ = -1;
  int pipe_ = -1;
  Outcome outcome_;
};

}  // namespace anyssr::test
