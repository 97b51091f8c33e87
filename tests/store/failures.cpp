// SPDX-License-Identifier: MIT
// What is left where the system refuses a call of a save, each call in turn.
#include <sys/resource.h>
#include <sys/wait.h>

#include <csignal>
#include <iostream>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "anyssr/store.hpp"
#include "support/catch.hpp"
#include "support/checkpoint_folder.hpp"
#include "support/failing_calls.hpp"

using namespace anyssr;
using namespace anyssr::test;
namespace fs = std::filesystem;

namespace {

/// Files with their bytes and folders, but for the lock.
std::map<std::string, std::string> everything_in(const fs::path& root) {
  if (!fs::exists(root)) return {};
  std::map<std::string, std::string> found = all_files(root);
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    if (entry.is_directory()) found[fs::relative(entry.path(), root).string()] = "a folder";
  }
  found.erase("LOCK");
  return found;
}

bool has_temporaries(const fs::path& root) {
  for (const auto& [path, bytes] : everything_in(root)) {
    if (contains(path, ".tmp-")) return true;
  }
  return false;
}

/// The errors that a function is made to fail with.
std::vector<int> errors_of(const std::string& function) {
  static const std::map<std::string, std::vector<int>> errors{
      {"open", {EMFILE, EACCES}}, {"close", {EIO}},    {"write", {ENOSPC, EIO}},
      {"pwrite", {ENOSPC}},       {"pread", {EIO}},    {"fsync", {EIO, ENOSPC}},
      {"ftruncate", {EIO}},       {"fcntl", {EIO}},    {"flock", {ENOLCK}},
      {"rename", {EIO, ENOSPC}},  {"mkdir", {ENOSPC}}, {"remove", {EIO}},
      {"unlinkat", {EIO}},        {"readdir", {EIO}}};
  return errors.at(function);
}

/// Whether a save may go on after a call has failed: the lock's text cannot be written, stored
/// adapters or spans cannot be opened (they are written anew), or a file was only read and its
/// close fails.
bool may_be_ignored(const WatchedCall& call) {
  if (call.function == "pwrite" || call.function == "ftruncate") return true;
  const bool is_rewritten = contains(call.path, "/adapters/0") || contains(call.path, "/spans-0");
  if (call.function == "open" && is_rewritten) return true;
  const bool is_new_file = contains(fs::path(call.path).filename().string(), ".tmp-");
  return call.function == "close" && (call.is_folder || !is_new_file);
}

bool is_deletion(const WatchedCall& call) {
  return call.function == "remove" || call.function == "unlinkat";
}

bool is_commit(const WatchedCall& call) {
  return call.function == "rename" && fs::path(call.target).filename() == "CURRENT";
}

std::size_t commit_position(const std::vector<WatchedCall>& log) {
  for (std::size_t i = 0; i < log.size(); ++i) {
    if (is_commit(log[i])) return i;
  }
  FAIL("no call replaces CURRENT");
  return 0;
}

/// A checkpoint of two generations, and the learner with one task more and a merge committed that
/// is to be saved next.
struct HalfLearned {
  HalfLearned() : learner(small_learner<float>(busy_learner_options())) {
    learn_small_tasks(learner, 0, 4);
    save(learner, before);
    learner.replace_adapter("task-0", *learner.snapshot().adapter("task-1"));
    learner.merge_tasks("task-2", "task-3", "both");
    learner.archive_task("task-1");
    learner.set_policy(busy_policy("task-1"));
    (void)learner.predict(small_task<float>(0).inputs);
    save(learner, before);
    old_state.emplace(learner);
    learner.commit_merge("both");
    learn_small_tasks(learner, 4, 5);
    new_state.emplace(learner);
    decisions = decisions_of(learner, 3);
  }

  [[nodiscard]] std::string parent() const { return fs::path(root).parent_path().string(); }

  TemporaryFolder folder{quick_folder()};
  std::string before = folder.file("before");  ///< as it was saved; not touched again
  std::string root = folder.file("state");     ///< a copy that tests save to
  PointLearner<float> learner;
  std::optional<Learned<float>> old_state;
  std::optional<Learned<float>> new_state;
  std::vector<Index> decisions;
};

/// Saves under a plan. The message of what was thrown, empty without.
std::string save_under(const CallPlan& plan, const HalfLearned& work,
                       SaveReport* report = nullptr) {
  const ArmedCalls armed(plan);
  try {
    SaveReport saved = save(work.learner, work.root);
    if (report != nullptr) *report = std::move(saved);
    return {};
  } catch (const FileError& error) {
    return error.what();
  }
}

void check_what_is_left(const HalfLearned& work, const std::string& message, bool is_committed) {
  const bool is_new =
      message.empty() || contains(message, "/CURRENT: was replaced, but its folder");
  CHECK(is_new == is_committed);
  if (!message.empty()) CHECK(contains(message, work.parent()));
  if (!is_new) {
    CHECK(everything_in(work.root) == everything_in(work.before));
  }
  CHECK((Learned<float>(load_points<float>(work.root)) ==
         (is_new ? *work.new_state : *work.old_state)));
  CHECK(decisions_of(work.learner, 3) == work.decisions);
  save(work.learner, work.root);
  CHECK((Learned<float>(load_points<float>(work.root)) == *work.new_state));
  CHECK_FALSE(has_temporaries(work.root));
}

/// The calls of a save that nothing hinders.
std::vector<WatchedCall> calls_of_a_save(const HalfLearned& work) {
  copy_folder(work.before, work.root);
  REQUIRE(save_under({}, work).empty());
  return ArmedCalls::log();
}

bool skip_failing_calls() {
  if (!calls_can_fail) std::cout << "skipped: system calls cannot be made to fail in this build\n";
  return !calls_can_fail;
}

}  // namespace

TEST_CASE("whichever call of a save fails the checkpoint stays whole and the next save succeeds",
          "[store][error]") {
  if (skip_failing_calls()) return;
  const HalfLearned work;
  const std::vector<WatchedCall> calls = calls_of_a_save(work);
  const std::size_t commit = commit_position(calls);
  REQUIRE(commit > 40);
  std::set<std::string> failed;
  for (std::size_t position = 0; position < calls.size(); ++position) {
    const WatchedCall& call = calls[position];
    for (const int error : errors_of(call.function)) {
      CAPTURE(position, call.function, call.path, call.target, error);
      copy_folder(work.before, work.root);
      SaveReport report;
      const std::string message = save_under({.position = position, .error = error}, work, &report);
      const bool is_before = position <= commit;
      const bool is_sweep = position > commit && is_deletion(call);
      if (is_before && !may_be_ignored(call)) CHECK_FALSE(message.empty());
      if (is_before && message.empty()) CHECK(may_be_ignored(call));
      if (is_sweep) CHECK(report.warnings.size() == 1);
      check_what_is_left(work, message, !is_before || message.empty());
      failed.insert(call.function);
    }
  }
  CHECK(failed == std::set<std::string>{"open", "close", "write", "pwrite", "pread", "fsync",
                                        "ftruncate", "flock", "rename", "mkdir", "readdir",
                                        "remove", "unlinkat"});
  PointLearner<float> later = work.learner;
  learn_small_tasks(later, 5, 6);
  CHECK(later.tasks().size() == 5);
}

TEST_CASE("a disk that is full from some write on leaves the old state whole", "[store][error]") {
  if (skip_failing_calls()) return;
  const HalfLearned work;
  const std::vector<WatchedCall> calls = calls_of_a_save(work);
  int checked = 0;
  for (std::size_t position = 0; position < calls.size(); ++position) {
    if (calls[position].function != "write") continue;
    ++checked;
    CAPTURE(position, calls[position].path);
    copy_folder(work.before, work.root);
    const std::string message =
        save_under({.position = position, .error = ENOSPC, .goes_on = true}, work);
    CHECK(contains(message, ": cannot be written: No space left on device"));
    check_what_is_left(work, message, false);
  }
  CHECK(checked > 10);
}

TEST_CASE("a write that takes a part of its bytes goes on with the rest", "[store]") {
  if (skip_failing_calls()) return;
  const HalfLearned work;
  const std::vector<WatchedCall> calls = calls_of_a_save(work);
  for (std::size_t position = 0; position < calls.size(); ++position) {
    if (calls[position].function != "write") continue;
    CAPTURE(position, calls[position].path);
    copy_folder(work.before, work.root);
    CHECK(save_under({.position = position, .most_bytes = 1}, work).empty());
    CHECK((Learned<float>(load_points<float>(work.root)) == *work.new_state));
  }
  copy_folder(work.before, work.root);
  CHECK(save_under({.position = 0, .goes_on = true, .most_bytes = 7}, work).empty());
  CHECK((Learned<float>(load_points<float>(work.root)) == *work.new_state));
}

TEST_CASE("whichever call of a first save fails nothing is left that could be loaded",
          "[store][error]") {
  if (skip_failing_calls()) return;
  const HalfLearned work;
  fs::remove_all(work.root);
  REQUIRE(save_under({}, work).empty());
  const std::vector<WatchedCall> calls = ArmedCalls::log();
  const std::size_t commit = commit_position(calls);
  for (std::size_t position = 0; position <= commit; ++position) {
    const WatchedCall& call = calls[position];
    if (may_be_ignored(call)) continue;
    CAPTURE(position, call.function, call.path, call.target);
    fs::remove_all(work.root);
    const std::string message =
        save_under({.position = position, .error = errors_of(call.function).front()}, work);
    CHECK(contains(message, work.parent()));
    CHECK_THROWS_AS(load_points<float>(work.root), FileError);
    const auto left = everything_in(work.root);
    CHECK((left.empty() || left == std::map<std::string, std::string>{{"adapters", "a folder"}}));
    save(work.learner, work.root);
    CHECK((Learned<float>(load_points<float>(work.root)) == *work.new_state));
  }
}

TEST_CASE("a save on a file system without fsync succeeds and says so", "[store]") {
  if (skip_failing_calls()) return;
  const HalfLearned work;
  for (const int error : {EINVAL, ENOSYS, ENOTSUP, EOPNOTSUPP}) {
    for (const bool is_folder : {true, false}) {
      CAPTURE(error, is_folder);
      copy_folder(work.before, work.root);
      SaveReport report;
      CHECK(save_under({.error = error, .lacking = "fsync", .is_folder = is_folder}, work, &report)
                .empty());
      REQUIRE(report.warnings.size() == 1);
      CHECK(contains(report.warnings[0], "it knows no fsync"));
      CHECK((Learned<float>(load_points<float>(work.root)) == *work.new_state));
    }
  }
  copy_folder(work.before, work.root);
  SaveReport report;
  CHECK(save_under({}, work, &report).empty());
  CHECK(report.warnings.empty());
}

TEST_CASE("a save on a file system without flock takes another lock or says that there is none",
          "[store]") {
  if (skip_failing_calls()) return;
  const HalfLearned work;
  for (const int error : {EINVAL, ENOSYS, ENOTSUP, EOPNOTSUPP}) {
    CAPTURE(error);
    copy_folder(work.before, work.root);
    SaveReport report;
    CHECK(save_under({.error = error, .lacking = "flock"}, work, &report).empty());
    CHECK(report.warnings.empty());  // fcntl has locked it
    const ArmedCalls armed({.error = error, .lacking = "flock"});
    const CheckpointWriter writer(work.root);
    CHECK_THROWS_AS(CheckpointWriter(work.root), FileError);
  }
  copy_folder(work.before, work.root);
  SaveReport report;
  CHECK(save_under({.error = ENOSYS, .lacking = "lock"}, work, &report).empty());
  REQUIRE(report.warnings.size() == 1);
  CHECK(contains(report.warnings[0], "the file system knows no locks"));
  CHECK(contains(save_under({.error = ENOLCK, .lacking = "flock"}, work),
                 "/LOCK: cannot be locked: No locks available"));
}

TEST_CASE("what a safe save cannot do without is an error where it is lacking", "[store][error]") {
  if (skip_failing_calls()) return;
  const HalfLearned work;
  for (const char* call : {"rename", "mkdir", "write", "pread"}) {
    CAPTURE(call);
    copy_folder(work.before, work.root);
    check_what_is_left(work, save_under({.error = EOPNOTSUPP, .lacking = call}, work), false);
  }
}

TEST_CASE("everything of a generation is on the disk before CURRENT names it", "[store]") {
  if (skip_failing_calls()) return;
  const HalfLearned work;
  const std::vector<WatchedCall> calls = calls_of_a_save(work);
  const std::size_t commit = commit_position(calls);
  std::set<std::string> synced;    // files and folders whose last change is on the disk
  std::set<std::string> unsynced;  // those that changed after it
  const auto change = [&](const std::string& path) {
    synced.erase(path);
    unsynced.insert(path);
  };
  for (std::size_t i = 0; i <= commit; ++i) {
    const WatchedCall& call = calls[i];
    CAPTURE(i, call.function, call.path, call.target);
    if (call.function == "write") change(call.path);
    if (call.function == "mkdir" && call.path != work.root) {
      if (!fs::exists(fs::path(work.before) / fs::relative(call.path, work.root))) {
        change(fs::path(call.path).parent_path().string());
      }
    }
    if (call.function == "fsync") {
      synced.insert(call.path);
      unsynced.erase(call.path);
    }
    if (call.function != "rename") continue;
    CHECK(synced.contains(call.path));  // a file's bytes, a folder's names
    for (const std::string& path : unsynced) {
      const bool is_below = path.starts_with(call.path);
      CHECK_FALSE(is_below);
    }
    if (i == commit) {
      CHECK(unsynced.empty());
    } else {
      change(fs::path(call.target).parent_path().string());
    }
  }
  // CURRENT is the last to be renamed, then the root reaches the disk, and the rest is deletion
  std::size_t after = commit + 1;
  while (after < calls.size() && calls[after].function != "fsync") ++after;
  REQUIRE(after < calls.size());
  CHECK(calls[after].path == work.root);
  for (std::size_t i = commit + 1; i < calls.size(); ++i) {
    CHECK(calls[i].function != "rename");
    CHECK(calls[i].function != "write");
    if (is_deletion(calls[i])) CHECK(i > after);
  }
}

TEST_CASE("a limit on the size of files is an error that leaves the old state", "[store][error]") {
  const HalfLearned work;
  int failed = 0;
  for (const rlim_t most : {rlim_t{0}, rlim_t{60}, rlim_t{400}, rlim_t{900}, rlim_t{1500},
                            rlim_t{2500}, rlim_t{4000}}) {
    CAPTURE(most);
    copy_folder(work.before, work.root);
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {  // the limit is the child's alone; no test macros here
      std::signal(SIGXFSZ, SIG_IGN);
      const rlimit limit{most, most};
      setrlimit(RLIMIT_FSIZE, &limit);
      try {
        save(work.learner, work.root);
      } catch (const FileError& error) {
        _exit(contains(error.what(), "cannot be written: File too large") ? 1 : 3);
      } catch (const std::exception&) {
        _exit(3);
      }
      _exit(0);
    }
    int status = -1;
    REQUIRE(waitpid(child, &status, 0) == child);
    REQUIRE(WIFEXITED(status));
    REQUIRE(WEXITSTATUS(status) <= 1);
    failed += WEXITSTATUS(status);
    const bool is_new = WEXITSTATUS(status) == 0;
    if (!is_new) CHECK(everything_in(work.root) == everything_in(work.before));
    CHECK((Learned<float>(load_points<float>(work.root)) ==
           (is_new ? *work.new_state : *work.old_state)));
  }
  CHECK(failed >= 4);
}
