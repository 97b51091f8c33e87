// SPDX-License-Identifier: MIT
// Counts what a decision takes from the heap: nothing after the first of its kind.

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <iostream>

#include "anyssr/router/analytic_router.hpp"
#include "anyssr/router/routing_policy.hpp"
#include "support/catch.hpp"
#include "support/sanitized.hpp"

#if defined(__GLIBC__) && !ANYSSR_SANITIZED
#define ANYSSR_COUNT_ALLOCATIONS 1
#else
#define ANYSSR_COUNT_ALLOCATIONS 0
#endif

#if ANYSSR_COUNT_ALLOCATIONS
namespace {
std::atomic<long> allocations{0};
}

// The program's own malloc family stands before the C library's: operator new, std and Eigen all
// come through here.
extern "C" {
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* memory, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);

void* malloc(std::size_t size) {
  ++allocations;
  return __libc_malloc(size);
}
void* calloc(std::size_t count, std::size_t size) {
  ++allocations;
  return __libc_calloc(count, size);
}
void* realloc(void* memory, std::size_t size) {
  ++allocations;
  return __libc_realloc(memory, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) {
  ++allocations;
  return __libc_memalign(alignment, size);
}
int posix_memalign(void** memory, std::size_t alignment, std::size_t size) {
  ++allocations;
  *memory = __libc_memalign(alignment, size);
  return *memory == nullptr ? ENOMEM : 0;
}
}
#endif

using namespace anyssr;

TEMPLATE_TEST_CASE("a decision takes nothing from the heap after the first", "[router]", float,
                   double) {
#if ANYSSR_COUNT_ALLOCATIONS
  using S = TestType;
  const auto kind =
      GENERATE(ExpansionKind::identity, ExpansionKind::dense, ExpansionKind::hadamard);
  CAPTURE(to_string(kind));
  constexpr Index features = 4096;  // wide enough that temporaries would not fit on the stack
  AnalyticRouter<S> router(features,
                           {.expansion = {.kind = kind, .dim = 512}, .rls = {.threads = 1}});
  std::vector<std::string> names;
  std::vector<Index> task_of_row;
  std::vector<Index> labels;
  for (Index t = 0; t < 100; ++t) {
    names.push_back("task-" + std::to_string(t));
    task_of_row.insert(task_of_row.end(), 2, t);
    labels.insert(labels.end(), {0, 1});
  }
  const SparseRows<S> rows = [&] {  // few entries: the identity keeps its width cheap to learn
    SparseRows<S> sparse(200, features);
    for (Index i = 0; i < 200; ++i) {
      for (Index j = i % 17; j < features; j += 97)
        sparse.insert(i, j) = static_cast<S>(i + 1 + j % 7);
    }
    sparse.makeCompressed();
    return sparse;
  }();
  if (kind != ExpansionKind::identity) {
    router.learn_together(std::span<const std::string>(names), rows, task_of_row, labels);
  } else {
    router.learn("one", SparseRows<S>(rows.topRows(3)));
  }
  const RowMajorMatrix<S> query = RowMajorMatrix<S>(rows.middleRows(5, 1));
  const Matrix<S> column_major = query;
  const SparseRows<S> sparse_query = rows.middleRows(7, 1);
  RoutingWorkspace<S> workspace;
  RoutingDecision decision;
  const PolicyTable policy(
      {.min_confidence = 0.5, .max_novelty = 1, .coverage = 0.5, .blend = true}, *router.table());
  const auto decide_all = [&] {
    router.decide(query, workspace, decision);
    router.decide(column_major, workspace, decision);
    router.decide(sparse_query, workspace, decision);
    policy.apply(decision);
  };
  decide_all();
  const long before = allocations;
  for (int k = 0; k < 10; ++k) decide_all();
  CHECK(allocations - before == 0);
  CHECK(decision.task >= 0);
  CHECK(decision.novelty.has_value());  // of the cheap mode, the default
#else
  std::cout << "skipped: the allocator belongs to a sanitizer or to another C library\n";
#endif
}
