// SPDX-License-Identifier: MIT
// Changes of a learner that find no memory, at each place where they ask for some.

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/sanitized.hpp"
#include "support/small_learner.hpp"

#if defined(__GLIBC__) && !ANYSSR_SANITIZED
#define ANYSSR_FAIL_ALLOCATIONS 1
#else
#define ANYSSR_FAIL_ALLOCATIONS 0
#endif

#if ANYSSR_FAIL_ALLOCATIONS
namespace {

/// Allocations of this thread until the one that fails; below 0: none does.
thread_local long allocations_left = -1;

bool is_refused() noexcept { return allocations_left >= 0 && allocations_left-- == 0; }

}  // namespace

// The program's own malloc family stands before the C library's: operator new, std and Eigen all
// come through here.
extern "C" {
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* memory, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);

void* malloc(std::size_t size) { return is_refused() ? nullptr : __libc_malloc(size); }
void* calloc(std::size_t count, std::size_t size) {
  return is_refused() ? nullptr : __libc_calloc(count, size);
}
void* realloc(void* memory, std::size_t size) {
  return is_refused() ? nullptr : __libc_realloc(memory, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) {
  return is_refused() ? nullptr : __libc_memalign(alignment, size);
}
int posix_memalign(void** memory, std::size_t alignment, std::size_t size) {
  *memory = is_refused() ? nullptr : __libc_memalign(alignment, size);
  return *memory == nullptr ? ENOMEM : 0;
}
}
#endif

using namespace anyssr;
using namespace anyssr::test;

TEST_CASE("a change that finds no memory is none, or the last one", "[learner][error]") {
#if ANYSSR_FAIL_ALLOCATIONS
  using Learner = PointLearner<double>;
  LearnerOptions options = busy_learner_options();
  options.subspace = SubspaceChoice::own;
  Learner base = small_learner<double>(options);
  learn_small_tasks(base, 0, 4);
  base.merge_tasks("task-2", "task-3", "both");
  const auto first = small_task<double>(0);
  const auto queries = point_task<double>(1, 6, small_dim, 5, 70).inputs;
  const std::vector<std::pair<std::string, std::function<void(Learner&)>>> changes{
      {"archive", [](Learner& learner) { learner.archive_task("task-1"); }},
      {"freeze", [](Learner& learner) { learner.freeze_task("task-1"); }},
      {"rename", [](Learner& learner) { learner.rename_task("both", "a name that is not short"); }},
      {"remove", [](Learner& learner) { learner.remove_task("task-0"); }},
      {"unlearn",
       [&](Learner& learner) { learner.remove_task("task-0", first.inputs, first.labels); }},
      {"merge", [](Learner& learner) { learner.merge_tasks("task-0", "task-1", "of two"); }},
      {"commit", [](Learner& learner) { learner.commit_merge("both"); }},
      {"undo", [](Learner& learner) { learner.undo_merge("both"); }},
      {"correct",
       [&](Learner& learner) {
         learner.correct(first.inputs[3], "task-1", Index{1},
                         std::pair{std::string("task-0"), first.labels[3]});
       }},
      {"extend",
       [&](Learner& learner) { learner.extend_task("task-0", first.inputs, first.labels); }},
      {"adopt",
       [&](Learner& learner) {
         learner.adopt_task("adopted", *learner.snapshot().adapter("task-1"), first.inputs);
       }},
      {"consolidate", [](Learner& learner) { (void)learner.consolidate(1000); }},
      {"replace",
       [](Learner& learner) {
         learner.replace_adapter("task-0", *learner.snapshot().adapter("task-1"));
       }},
      {"policy", [](Learner& learner) { learner.set_policy({.min_confidence = 0.5}); }}};
  for (const auto& [name, change] : changes) {
    CAPTURE(name);
    const Learned<double> before(base);
    bool is_made = false;
    long refused = 0;
    long poisoned = 0;
    for (; !is_made; ++refused) {
      REQUIRE(refused < 100000);
      Learner learner = base;
      const auto snapshot = learner.snapshot();
      allocations_left = refused;
      try {
        change(learner);
        is_made = true;
      } catch (const std::bad_alloc&) {
      }
      allocations_left = -1;
      if (is_made) break;
      CAPTURE(refused);
      if (!learner.is_poisoned()) {
        REQUIRE((Learned<double>(learner) == before));
        continue;
      }
      ++poisoned;
      const auto now = learner.snapshot();
      REQUIRE(&now.table() == &snapshot.table());
      REQUIRE(now.changes() == snapshot.changes());
      REQUIRE(learner.predict(queries).size() == queries.size());
      REQUIRE_THROWS_AS(learner.archive_task("task-1"), NumericalError);
      Learner copy = learner;
      REQUIRE(copy.is_poisoned());
      REQUIRE(copy.predict(queries).size() == queries.size());
    }
    CHECK(refused > 3);
    CHECK(poisoned < refused);
  }
#else
  std::cout << "skipped: this build cannot make an allocation fail\n";
#endif
}
