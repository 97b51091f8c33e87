// SPDX-License-Identifier: MIT

/// @file
/// Factorisation S + lambda I = U^T U against Eigen's LLT, factor updates of k rows against a new
/// factorisation, and the solve of T columns.

#include <Eigen/Cholesky>

#include "anyssr/linalg/cholesky.hpp"
#include "anyssr/linalg/factor_update.hpp"
#include "anyssr/rls/recursive_least_squares.hpp"
#include "support/fixture.hpp"

namespace {

using namespace anyssr;
using namespace bench;

constexpr double ridge = 1;

/// A square with its factor.
template <class S>
struct Factored {
  explicit Factored(Index dim) : square(gram_of<S>(dim)) {
    check(factor_shifted(square, S(ridge), diagonal, 0), "positive definite");
  }
  Matrix<S> solve(const Matrix<S>& right) const {
    Matrix<S> z = right;
    solve_forward(square, diagonal, z, 0);
    solve_backward(square, diagonal, z, 0);
    return z;
  }
  Matrix<S> square;
  Vector<S> diagonal;
};

/// |(G + ridge I + X^T X) w - c| / |c| for the w that a factor gives.
template <class S>
double residual_with(const Factored<S>& factored, const RowMajorMatrix<S>& x) {
  const Matrix<S> c = random_normal<S>(x.cols(), 1, 3);
  const Vector<S> w = factored.solve(c);
  Vector<S> left = factored.square.template selfadjointView<Eigen::Lower>() * w;
  left += S(ridge) * w + x.transpose() * (x * w);
  return relative_error(left, c);
}

template <class S>
void factor(benchmark::State& state) {
  const Index d = state.range(0);
  Factored<S> factored(d);
  const Matrix<S> c = random_normal<S>(d, 1, 3);
  check(residual<S>(factored.square, S(ridge), factored.solve(c), c) < 1e-3, "factor");
  for (auto _ : state) {
    check(factor_shifted(factored.square, S(ridge), factored.diagonal, 0), "positive definite");
    benchmark::DoNotOptimize(factored.diagonal.data());
  }
  set_flops(state, product(d, d, d) / 3);
}

/// Baseline: Eigen's own, in memory that it has already.
template <class S>
void factor_by_llt(benchmark::State& state) {
  const Index d = state.range(0);
  Matrix<S> gram = gram_of<S>(d);
  gram.diagonal().array() += S(ridge);
  Eigen::LLT<Matrix<S>> llt(d);
  for (auto _ : state) {
    llt.compute(gram);
    check(llt.info() == Eigen::Success, "positive definite");
    benchmark::DoNotOptimize(llt.matrixLLT().data());
  }
  set_flops(state, product(d, d, d) / 3);
}

template <class S>
void update_factor_by_rows(benchmark::State& state) {
  const Index d = state.range(0);
  const Index k = state.range(1);
  Factored<S> factored(d);
  const RowMajorMatrix<S> x = normal_rows<S, Eigen::RowMajor>(512, d).topRows(k);
  RowMajorMatrix<S> rows = x;
  update_factor<S>(factored.square, factored.diagonal, rows, 0);
  check(residual_with(factored, x) < 1e-3, "updated factor");
  for (auto _ : state) {
    state.PauseTiming();
    rows = x;
    state.ResumeTiming();
    update_factor<S>(factored.square, factored.diagonal, rows, 0);
    benchmark::DoNotOptimize(factored.diagonal.data());
  }
  set_flops(state, 2 * product(k, d, d));
}

/// A regression with a current factor and a buffer that has its memory: one a dimension for the
/// whole process. Its ridge is absolute, so few rows update the factor.
template <class S>
const RecursiveLeastSquares<S>& factored_regression(Index dim) {
  static std::map<Index, RecursiveLeastSquares<S>> made;
  auto found = made.find(dim);
  if (found != made.end()) return found->second;
  const RlsOptions options{.ridge = 100, .ridge_scale = RidgeScale::absolute};
  RecursiveLeastSquares<S>& rls = made.try_emplace(dim, dim, options).first->second;
  const RowMajorMatrix<S> y = one_hot<S>(dim, 10);
  rls.update(normal_rows<S>(dim, dim), y);
  rls.factor();
  rls.update(normal_rows<S, Eigen::RowMajor>(512, dim).topRows(1), y.topRows(1));
  rls.factor();
  return rls;
}

/// k rows come and the factor is current again, as a regression does it: rows enter S and C, too.
/// @param again  whether it must make a new factor
template <class S>
void learn_and_factor(benchmark::State& state, bool again) {
  const Index d = state.range(0);
  const Index k = state.range(1);
  const RecursiveLeastSquares<S>& before = factored_regression<S>(d);
  const RowMajorMatrix<S> x = normal_rows<S, Eigen::RowMajor>(512, d).topRows(k);
  const RowMajorMatrix<S> y = one_hot<S>(k, 10);
  RecursiveLeastSquares<S> rls = before;
  const auto learn = [&] {
    rls.update(x, y);
    rls.factor();
  };
  learn();
  check(rls.weights().allFinite(), "weights");
  for (auto _ : state) {
    state.PauseTiming();
    rls = before;
    if (again) rls.set_ridge(101);
    state.ResumeTiming();
    learn();
  }
  set_rows(state, k);
  const RecursiveLeastSquares<S> updated = rls;
  rls.set_ridge(updated.options().ridge * (1 + 1e-7));  // a new factor
  check(relative_error(updated.weights(), rls.weights()) < 1e-3, "weights after new rows");
}

template <class S>
void learn_and_update_factor(benchmark::State& state) {
  learn_and_factor<S>(state, false);
}
template <class S>
void learn_and_factor_again(benchmark::State& state) {
  learn_and_factor<S>(state, true);
}

template <class S>
void solve(benchmark::State& state) {
  const Index d = state.range(0);
  const Index targets = state.range(1);
  const Factored<S> factored(d);
  const Matrix<S>& c = normal_rows<S>(d, targets, 4);
  Matrix<S> z = factored.solve(c);
  check(residual<S>(factored.square, S(ridge), z, c) < 1e-3, "solve");
  for (auto _ : state) {
    z = c;
    solve_forward(factored.square, factored.diagonal, z, 0);
    solve_backward(factored.square, factored.diagonal, z, 0);
    benchmark::DoNotOptimize(z.data());
  }
  set_flops(state, 2 * product(d, d, targets));
}

/// Baseline: Eigen's own solve.
template <class S>
void solve_by_llt(benchmark::State& state) {
  const Index d = state.range(0);
  const Index targets = state.range(1);
  Matrix<S> gram = gram_of<S>(d);
  gram.diagonal().array() += S(ridge);
  const Eigen::LLT<Matrix<S>> llt(gram);
  const Matrix<S>& c = normal_rows<S>(d, targets, 4);
  Matrix<S> z = c;
  for (auto _ : state) {
    z = c;
    llt.solveInPlace(z);
    benchmark::DoNotOptimize(z.data());
  }
  set_flops(state, 2 * product(d, d, targets));
}

/// Yardstick of the solve: a general product of as many flops.
template <class S>
void solve_sized_gemm(benchmark::State& state) {
  const Index d = state.range(0);
  const Index targets = state.range(1);
  const Matrix<S>& a = normal_rows<S>(d, d);
  const Matrix<S>& c = normal_rows<S>(d, targets, 4);
  Matrix<S> z(d, targets);
  for (auto _ : state) {
    z.noalias() = a * c;
    benchmark::DoNotOptimize(z.data());
  }
  set_flops(state, 2 * product(d, d, targets));
}

void dims(benchmark::internal::Benchmark* b, Index dim) {
  b->ArgName("dim")->Arg(dim)->UseRealTime()->Unit(benchmark::kMillisecond);
}
void large(benchmark::internal::Benchmark* b) { dims(b, 4096); }
void medium(benchmark::internal::Benchmark* b) { dims(b, 2048); }
void few_rows(benchmark::internal::Benchmark* b) {
  b->ArgNames({"dim", "rows"})
      ->ArgsProduct({{4096}, {1, 4, 16, 64, 256, 512}})
      ->UseRealTime()
      ->Unit(benchmark::kMillisecond);
}
void columns(benchmark::internal::Benchmark* b) {
  b->ArgNames({"dim", "columns"})
      ->ArgsProduct({{4096}, {10, 100, 1000}})
      ->UseRealTime()
      ->Unit(benchmark::kMillisecond);
}

BENCHMARK_TEMPLATE(factor, float)->Apply(large);
BENCHMARK_TEMPLATE(factor_by_llt, float)->Apply(large);
BENCHMARK_TEMPLATE(factor, double)->Apply(medium);
BENCHMARK_TEMPLATE(factor_by_llt, double)->Apply(medium);
BENCHMARK_TEMPLATE(update_factor_by_rows, float)->Apply(few_rows);
BENCHMARK_TEMPLATE(learn_and_update_factor, float)->Apply(few_rows);
BENCHMARK_TEMPLATE(learn_and_factor_again, float)->Apply(few_rows);
BENCHMARK_TEMPLATE(solve, float)->Apply(columns);
BENCHMARK_TEMPLATE(solve_by_llt, float)->Apply(columns);
BENCHMARK_TEMPLATE(solve_sized_gemm, float)->Apply(columns);

}  // namespace
