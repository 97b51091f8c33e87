// SPDX-License-Identifier: MIT

/// @file
/// From features to a RoutingDecision: 100 tasks behind a structured expansion, and thousands of
/// tasks by the full product.

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "anyssr/router/analytic_router.hpp"
#include "support/fixture.hpp"

namespace {

using namespace anyssr;
using namespace bench;

/// A router with queries whose task it knows.
struct Taught {
  AnalyticRouter<float> router;
  RowMajorMatrix<float> queries;
  std::vector<Index> truth;
  double accuracy = 0;
};

void measure_accuracy(Taught& taught) {
  RoutingWorkspace<float> workspace;
  std::vector<RoutingDecision> decisions;
  taught.router.decide(taught.queries, workspace, decisions);
  Index right = 0;
  for (std::size_t i = 0; i < decisions.size(); ++i) {
    right += decisions[i].task == taught.truth[i] ? 1 : 0;
  }
  taught.accuracy = static_cast<double>(right) / static_cast<double>(decisions.size());
}

/// Rows around task means that lie in a subspace of few dimensions; noise in all of them.
class Tasks {
 public:
  static constexpr Index subspace = 256;

  /// @param spread  standard deviation of a coordinate around its mean, which has norm 1
  Tasks(Index dim, Index count, float spread)
      : coordinates_(random_normal<float>(count, subspace, 7)),
        basis_(random_normal<float>(subspace, dim, 8) / std::sqrt(static_cast<float>(dim))),
        spread_(spread) {
    coordinates_.rowwise().normalize();
  }

  [[nodiscard]] RowMajorMatrix<float> rows(const std::vector<Index>& tasks,
                                           std::uint64_t seed) const {
    const auto count = static_cast<Index>(tasks.size());
    Matrix<float> chosen(count, subspace);
    for (Index i = 0; i < count; ++i) {
      chosen.row(i) = coordinates_.row(tasks[static_cast<std::size_t>(i)]);
    }
    RowMajorMatrix<float> result =
        spread_ * random_normal<float, Eigen::RowMajor>(count, basis_.cols(), seed);
    result.noalias() += chosen * basis_;
    return result;
  }

 private:
  Matrix<float> coordinates_;  // one mean a row
  Matrix<float> basis_;        // nearly orthonormal rows
  float spread_;
};

/// Teaches `count` tasks in chunks of at most 2500, four rows a task. Few rows calibrate the
/// confidence, which no figure here depends on.
std::unique_ptr<Taught> teach(Index dim, Index count, float spread,
                              const ExpansionOptions& expansion) {
  const Tasks tasks(dim, count, spread);
  auto taught = std::make_unique<Taught>(
      Taught{.router = AnalyticRouter<float>(
                 dim, {.expansion = expansion, .label_columns = false, .calibration_rows = 128}),
             .queries = {},
             .truth = {}});
  for (Index begin = 0; begin < count; begin += 2500) {
    const Index chunk = std::min<Index>(2500, count - begin);
    std::vector<std::string> names;
    std::vector<Index> task_of_row;
    std::vector<Index> drawn;
    for (Index t = 0; t < chunk; ++t) {
      names.push_back("task-" + std::to_string(begin + t));
      task_of_row.insert(task_of_row.end(), 4, t);
      drawn.insert(drawn.end(), 4, begin + t);
    }
    taught->router.learn_together(std::span<const std::string>(names),
                                  tasks.rows(drawn, 2000 + static_cast<std::uint64_t>(begin)),
                                  task_of_row);
  }
  for (Index i = 0; i < 1024; ++i) taught->truth.push_back(i * count / 1024);
  taught->queries = tasks.rows(taught->truth, 1009);
  measure_accuracy(*taught);
  return taught;
}

/// 100 tasks, 4096 features, expanded to 8192.
const Taught& hundred() {
  static const std::unique_ptr<Taught> taught =
      teach(4096, 100, 0.03F, {.kind = ExpansionKind::hadamard, .dim = 8192, .seed = 1});
  check(taught->accuracy > 0.9, "decisions among 100 tasks");
  return *taught;
}

/// Many tasks on 4096 features as they are. With this spread 0.93 of the fresh queries of 1000
/// tasks are decided right, and 0.94 of 10,000.
const Taught& many(Index count) {
  static std::map<Index, std::unique_ptr<Taught>> made;
  std::unique_ptr<Taught>& taught = made[count];
  if (!taught) taught = teach(4096, count, 0.04F, {.kind = ExpansionKind::identity});
  check(taught->accuracy >= 0.90 && taught->accuracy <= 0.97, "decisions among many tasks");
  return *taught;
}

/// One query at a time; the counters are quantiles over all of them, in microseconds.
void time_single(benchmark::State& state, const Taught& taught) {
  RoutingWorkspace<float> workspace;
  RoutingDecision decision;
  taught.router.decide(taught.queries.topRows(1), workspace, decision);
  std::vector<double> microseconds;
  microseconds.reserve(static_cast<std::size_t>(state.max_iterations));
  Index i = 0;
  for (auto _ : state) {
    const auto begin = std::chrono::steady_clock::now();
    taught.router.decide(taught.queries.row(i), workspace, decision);
    const auto end = std::chrono::steady_clock::now();
    benchmark::DoNotOptimize(decision.task);
    microseconds.push_back(std::chrono::duration<double, std::micro>(end - begin).count());
    i = (i + 1) % taught.queries.rows();
  }
  std::sort(microseconds.begin(), microseconds.end());
  state.counters["p50_us"] = microseconds[microseconds.size() / 2];
  state.counters["p99_us"] = microseconds[microseconds.size() * 99 / 100];
  state.counters["accuracy"] = taught.accuracy;
  set_rows(state, 1);
}

void time_batch(benchmark::State& state, const Taught& taught, Index batch) {
  RoutingWorkspace<float> workspace;
  std::vector<RoutingDecision> decisions;
  taught.router.decide(taught.queries.topRows(batch), workspace, decisions);
  Index begin = 0;
  for (auto _ : state) {
    taught.router.decide(taught.queries.middleRows(begin, batch), workspace, decisions);
    benchmark::DoNotOptimize(decisions.data());
    begin = (begin + batch) % taught.queries.rows();
  }
  state.counters["accuracy"] = taught.accuracy;
  set_rows(state, batch);
}

void decide_hadamard(benchmark::State& state) { time_single(state, hundred()); }
void decide_hadamard_batch(benchmark::State& state) {
  time_batch(state, hundred(), state.range(1));
}
void decide_many(benchmark::State& state) { time_single(state, many(state.range(0))); }
void decide_many_batch(benchmark::State& state) {
  time_batch(state, many(state.range(0)), state.range(1));
}

BENCHMARK(decide_hadamard)
    ->ArgName("tasks")
    ->Arg(100)
    ->Iterations(4000)
    ->UseRealTime()
    ->Unit(benchmark::kMicrosecond);
BENCHMARK(decide_hadamard_batch)
    ->ArgNames({"tasks", "rows"})
    ->Args({100, 256})
    ->UseRealTime()
    ->Unit(benchmark::kMicrosecond);
BENCHMARK(decide_many)
    ->ArgName("tasks")
    ->Arg(1000)
    ->Iterations(1000)
    ->UseRealTime()
    ->Unit(benchmark::kMicrosecond);
BENCHMARK(decide_many)
    ->ArgName("tasks")
    ->Arg(10000)
    ->Iterations(100)
    ->UseRealTime()
    ->Unit(benchmark::kMicrosecond);
BENCHMARK(decide_many_batch)
    ->ArgNames({"tasks", "rows"})
    ->Args({1000, 64})
    ->Args({10000, 64})
    ->UseRealTime()
    ->Unit(benchmark::kMicrosecond);

}  // namespace
