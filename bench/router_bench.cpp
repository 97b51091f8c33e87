// SPDX-License-Identifier: MIT
// The router's parts against plain Eigen: second moment, factorisation, one decision.
// Options as in Google Benchmark, for instance --benchmark_format=json.

#include <benchmark/benchmark.h>

#include <Eigen/Cholesky>
#include <stdexcept>

#include "anyssr/router/analytic_router.hpp"

namespace {

using namespace anyssr;

void set_rate(benchmark::State& state, double flops) {
  state.counters["GFLOP/s"] =
      benchmark::Counter(1e-9 * flops, benchmark::Counter::kIsIterationInvariantRate);
}

double cube(Index d) {
  return static_cast<double>(d) * static_cast<double>(d) * static_cast<double>(d);
}

template <class S>
void second_moment(benchmark::State& state) {
  const Index d = state.range(0);
  const Matrix<S> x = random_normal<S>(d, d, 1);
  Matrix<S> sum = Matrix<S>::Zero(d, d);
  for (auto _ : state) {
    accumulate_second_moment(x, sum, 0);
    benchmark::DoNotOptimize(sum.data());
  }
  set_rate(state, cube(d));
}

/// Baseline: Eigen's general product of the same shape, which does twice the useful work.
template <class S>
void second_moment_by_gemm(benchmark::State& state) {
  const Index d = state.range(0);
  const Matrix<S> x = random_normal<S>(d, d, 1);
  Matrix<S> sum = Matrix<S>::Zero(d, d);
  for (auto _ : state) {
    sum.noalias() += x.transpose() * x;
    benchmark::DoNotOptimize(sum.data());
  }
  set_rate(state, 2 * cube(d));
}

template <class S>
Matrix<S> positive_definite(Index d) {
  const Matrix<S> x = random_normal<S>(d, d, 2);
  Matrix<S> sum = Matrix<S>::Zero(d, d);
  accumulate_second_moment(x, sum, 0);
  return sum;
}

template <class S>
void factor(benchmark::State& state) {
  const Index d = state.range(0);
  Matrix<S> square = positive_definite<S>(d);
  Vector<S> diagonal;
  for (auto _ : state) {
    if (!factor_shifted(square, S(1), diagonal, 0))
      throw std::runtime_error("not positive definite");
    benchmark::DoNotOptimize(square.data());
  }
  set_rate(state, cube(d) / 3);
}

template <class S>
void factor_by_llt(benchmark::State& state) {
  const Index d = state.range(0);
  Matrix<S> gram = positive_definite<S>(d);
  gram.diagonal().array() += S(1);
  for (auto _ : state) {
    const Eigen::LLT<Matrix<S>> llt(gram);
    if (llt.info() != Eigen::Success) throw std::runtime_error("not positive definite");
    benchmark::DoNotOptimize(llt.matrixLLT().data());
  }
  set_rate(state, cube(d) / 3);
}

/// One query, features to decision.
void decide(benchmark::State& state) {
  constexpr Index feature_dim = 1024;
  AnalyticRouter<float> router(
      feature_dim,
      {.expansion = {.kind = static_cast<ExpansionKind>(state.range(0)), .dim = 2048}});
  const Index tasks = state.range(1);
  std::vector<std::string> names;
  std::vector<Index> task_of_row;
  for (Index t = 0; t < tasks; ++t) {
    names.push_back("task-" + std::to_string(t));
    task_of_row.insert(task_of_row.end(), 4, t);
  }
  const Matrix<float> rows = random_normal<float>(4 * tasks, feature_dim, 3);
  router.learn_together(std::span<const std::string>(names), rows, task_of_row);
  const RowMajorMatrix<float> query = rows.row(1);
  RoutingWorkspace<float> workspace;
  RoutingDecision decision;
  router.decide(query, workspace, decision);
  if (decision.task != 0) throw std::runtime_error("a learned row is routed elsewhere");
  for (auto _ : state) {
    router.decide(query, workspace, decision);
    benchmark::DoNotOptimize(decision.task);
  }
}

BENCHMARK_TEMPLATE(second_moment, float)->Arg(2048)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK_TEMPLATE(second_moment_by_gemm, float)
    ->Arg(2048)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_TEMPLATE(factor, float)->Arg(4096)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK_TEMPLATE(factor_by_llt, float)->Arg(4096)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK_TEMPLATE(factor, double)->Arg(2048)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK_TEMPLATE(factor_by_llt, double)->Arg(2048)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(decide)
    ->ArgNames({"expansion", "tasks"})
    ->ArgsProduct({{static_cast<long>(ExpansionKind::identity),
                    static_cast<long>(ExpansionKind::dense),
                    static_cast<long>(ExpansionKind::hadamard)},
                   {10, 100}})
    ->UseRealTime()
    ->Unit(benchmark::kMicrosecond);

}  // namespace
