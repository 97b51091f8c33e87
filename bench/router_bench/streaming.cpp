// SPDX-License-Identifier: MIT

/// @file
/// Rows that come in a stream: the covariance form, whose weights are current after every batch,
/// and the information form, which solves once at the end, against the recursion as published code
/// evaluates it. One scalar type, 10 target columns, the same ridge.

#include <vector>

#include "anyssr/baselines/published_recursion.hpp"
#include "anyssr/rls/recursive_least_squares.hpp"
#include "support/fixture.hpp"

namespace {

using namespace anyssr;
using namespace bench;

constexpr Index targets = 10;
constexpr double ridge = 100;
const RlsOptions options{.ridge = ridge, .ridge_scale = RidgeScale::absolute};

/// Batches of rows with their targets, in memory of their own.
template <class S>
struct Stream {
  Stream(Index dim, Index batch, Index count) {
    const Matrix<S>& rows = normal_rows<S>(batch * count, dim, 5);
    const RowMajorMatrix<S> all = one_hot<S>(batch * count, targets);
    for (Index i = 0; i < count; ++i) {
      x.emplace_back(rows.middleRows(i * batch, batch));
      y.emplace_back(all.middleRows(i * batch, batch));
    }
  }
  [[nodiscard]] std::size_t place(std::size_t i) const noexcept { return i % x.size(); }

  std::vector<Matrix<S>> x;
  std::vector<Matrix<S>> y;
};

template <class S, class Model>
void time_stream(benchmark::State& state, Model& model, const Stream<S>& stream) {
  std::size_t i = 0;
  for (auto _ : state) {
    model.update(stream.x[stream.place(i)], stream.y[stream.place(i)]);
    benchmark::DoNotOptimize(model.weights().data());
    ++i;
  }
  set_rows(state, stream.x.front().rows());
}

/// Weights of both forms after two batches, against each other.
template <class S>
void check_forms(const Stream<S>& stream) {
  const Index d = stream.x.front().cols();
  RecursiveLeastSquares<S, Covariance> covariance(d, options);
  RecursiveLeastSquares<S> information(d, options);
  for (std::size_t i = 0; i < 2; ++i) {
    covariance.update(stream.x[i], stream.y[i]);
    information.update(stream.x[i], stream.y[i]);
  }
  check(relative_error(covariance.weights(), information.weights()) < 1e-3, "covariance form");
}

template <class S>
void covariance(benchmark::State& state) {
  const Index d = state.range(0);
  const Stream<S> stream(d, state.range(1), 1024 / state.range(1));
  check_forms(stream);
  RecursiveLeastSquares<S, Covariance> rls(d, options);
  time_stream(state, rls, stream);
}

/// Baseline: 2 d^3 flops a batch, whatever its size.
template <class S>
void published(benchmark::State& state) {
  const Index d = state.range(0);
  const Stream<S> stream(d, state.range(1), 4);
  PublishedRecursion<S> recursion(d, targets, ridge);
  recursion.update(stream.x[0], stream.y[0]);
  RecursiveLeastSquares<S> information(d, options);
  information.update(stream.x[0], stream.y[0]);
  check(relative_error(recursion.weights(), information.weights()) < 1e-2, "published recursion");
  time_stream(state, recursion, stream);
}

/// All rows one at a time and one solve at the end.
template <class S>
void information_row_by_row(benchmark::State& state) {
  const Index d = state.range(0);
  const Index n = state.range(1);
  const auto& x = normal_rows<S, Eigen::RowMajor>(n, d, 5);
  const RowMajorMatrix<S> y = one_hot<S>(n, targets);
  RecursiveLeastSquares<S> rls(d, options);
  RecursiveLeastSquares<S> joint(d, options);
  joint.update(x, y);
  const auto learn = [&] {
    for (Index i = 0; i < n; ++i) rls.update(x.row(i), y.row(i));
    return rls.weights().data();
  };
  learn();
  check(relative_error(rls.weights(), joint.weights()) < 1e-3, "information form");
  for (auto _ : state) benchmark::DoNotOptimize(learn());
  set_rows(state, n);
}

void batches(benchmark::internal::Benchmark* b) {
  b->ArgNames({"dim", "rows"})
      ->ArgsProduct({{2048}, {1, 256}})
      ->UseRealTime()
      ->Unit(benchmark::kMillisecond);
}
void many_rows(benchmark::internal::Benchmark* b) {
  b->ArgNames({"dim", "rows"})->Args({2048, 4096})->UseRealTime()->Unit(benchmark::kMillisecond);
}

BENCHMARK_TEMPLATE(covariance, float)->Apply(batches);
BENCHMARK_TEMPLATE(published, float)->Apply(batches);
BENCHMARK_TEMPLATE(information_row_by_row, float)->Apply(many_rows);

}  // namespace
