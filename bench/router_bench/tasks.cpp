// SPDX-License-Identifier: MIT

/// @file
/// What the next task costs when some are known: 500 rows of 2048 features, until weights and
/// confidence are ready; and its parts. The solve costs 2 d^2 T flops, the calibration
/// n d^2 + 2 n d T, everything else does not depend on T.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "anyssr/router/analytic_router.hpp"
#include "support/fixture.hpp"

namespace {

using namespace anyssr;
using namespace bench;

constexpr Index dim = 2048;
constexpr Index fresh_rows = 500;

/// A router that knows T tasks, the rows of the next one, and the regression before each part of
/// learning it.
struct Prepared {
  explicit Prepared(Index known) : router(dim, {.label_columns = false}), learned(dim) {
    const Index rows_each = known < 100 ? fresh_rows : 8;
    std::vector<std::string> names;
    std::vector<Index> task_of_row;
    for (Index t = 0; t < known; ++t) {
      names.push_back("task-" + std::to_string(t));
      task_of_row.insert(task_of_row.end(), static_cast<std::size_t>(rows_each), t);
    }
    const auto count = static_cast<Index>(task_of_row.size());
    router.learn_together(std::span<const std::string>(names),
                          random_normal<float, Eigen::RowMajor>(count, dim, 10), task_of_row);
    tasks = router.tasks();
    tasks.push_back({.name = "next", .rows = fresh_rows, .column = known});
    rows = random_normal<float, Eigen::RowMajor>(fresh_rows, dim, 11);
    task_of_fresh_row.assign(static_cast<std::size_t>(fresh_rows), known);
    targets.resize(fresh_rows, known + 1);
    targets.reserve(Eigen::VectorXi::Ones(fresh_rows));
    for (Index i = 0; i < fresh_rows; ++i) targets.insert(i, known) = 1;
    targets.makeCompressed();
    learned = router.regression();
    learned.update(rows, targets);
    (void)learned.cross_correlation();  // brings in what waits in the buffer
    factored = std::make_unique<RecursiveLeastSquares<float>>(learned);
    factored->factor();
    check_next();
  }

  /// The router's own way gives the weights that the parts give.
  void check_next() const {
    AnalyticRouter<float> next = router;
    next.learn("next", rows);
    RecursiveLeastSquares<float> parts = *factored;
    check(next.regression().weights() == parts.weights(), "weights with the next task");
  }

  AnalyticRouter<float> router;
  RowMajorMatrix<float> rows;
  SparseRows<float> targets;
  std::vector<RoutedTask> tasks;  // the next one, too
  std::vector<Index> task_of_fresh_row;
  RecursiveLeastSquares<float> learned;                    // updated
  std::unique_ptr<RecursiveLeastSquares<float>> factored;  // and factored
};

const Prepared& prepared(Index known) {
  static std::map<Index, std::unique_ptr<Prepared>> made;
  std::unique_ptr<Prepared>& result = made[known];
  if (!result) result = std::make_unique<Prepared>(known);
  return *result;
}

/// Times act(copy) on a copy of `before` that is made outside the timing.
template <class T, class Act>
void time_on_copy(benchmark::State& state, const T& before, const Act& act) {
  T copy = before;
  for (auto _ : state) {
    state.PauseTiming();
    copy = before;
    state.ResumeTiming();
    act(copy);
    benchmark::ClobberMemory();
  }
}

void next_task(benchmark::State& state) {
  const Prepared& task = prepared(state.range(0));
  time_on_copy(state, task.router,
               [&](AnalyticRouter<float>& router) { router.learn("next", task.rows); });
}

void next_task_update(benchmark::State& state) {
  const Prepared& task = prepared(state.range(0));
  time_on_copy(state, task.router.regression(), [&](RecursiveLeastSquares<float>& rls) {
    rls.update(task.rows, task.targets);
    benchmark::DoNotOptimize(rls.cross_correlation().data());
  });
  set_flops(state, product(fresh_rows, dim, dim));
}

void next_task_factor(benchmark::State& state) {
  const Prepared& task = prepared(state.range(0));
  time_on_copy(state, task.learned, [](RecursiveLeastSquares<float>& rls) { rls.factor(); });
  set_flops(state, product(dim, dim, dim) / 3);
}

void next_task_solve(benchmark::State& state) {
  const Prepared& task = prepared(state.range(0));
  time_on_copy(state, *task.factored, [](RecursiveLeastSquares<float>& rls) {
    benchmark::DoNotOptimize(rls.weights().data());
  });
  set_flops(state, 2 * product(dim, dim, task.targets.cols()));
}

void next_task_calibrate(benchmark::State& state) {
  const Prepared& task = prepared(state.range(0));
  const RecursiveLeastSquares<float> rls = *task.factored;
  (void)rls.weights();  // solved in the copy: next_task_solve needs the other one unsolved
  for (auto _ : state) {
    const Calibration calibration = calibrate(rls, task.tasks, task.rows, task.targets,
                                              task.task_of_fresh_row, {}, 1, fresh_rows);
    benchmark::DoNotOptimize(calibration.tasks.data());
  }
  set_flops(state,
            product(fresh_rows, dim, dim) + 2 * product(fresh_rows, dim, task.targets.cols()));
}

/// Yardstick: the general product d x d by d x T.
void next_task_gemm(benchmark::State& state) {
  const Index columns = state.range(0) + 1;
  const Matrix<float>& a = normal_rows<float>(dim, dim);
  const Matrix<float>& b = normal_rows<float>(dim, columns);
  Matrix<float> c(dim, columns);
  for (auto _ : state) {
    c.noalias() = a * b;
    benchmark::DoNotOptimize(c.data());
  }
  set_flops(state, 2 * product(dim, dim, columns));
}

void known_tasks(benchmark::internal::Benchmark* b) {
  b->ArgName("known")->RangeMultiplier(10)->Range(1, 1000)->UseRealTime()->Unit(
      benchmark::kMillisecond);
}

BENCHMARK(next_task)->Apply(known_tasks);
BENCHMARK(next_task_update)->Apply(known_tasks);
BENCHMARK(next_task_factor)->Apply(known_tasks);
BENCHMARK(next_task_solve)->Apply(known_tasks);
BENCHMARK(next_task_calibrate)->Apply(known_tasks);
BENCHMARK(next_task_gemm)->Apply(known_tasks);

}  // namespace
