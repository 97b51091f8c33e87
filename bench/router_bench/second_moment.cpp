// SPDX-License-Identifier: MIT

/// @file
/// The second moment of rows, S += X^T X, against Eigen's general product and the plain BLAS call;
/// rows that come one at a time against one batch. Rates count useful work, n d^2 flops; the
/// general product does twice as much.

#include "anyssr/linalg/second_moment.hpp"

#include "anyssr/rls/recursive_least_squares.hpp"
#include "support/fixture.hpp"

namespace {

using namespace anyssr;
using namespace bench;

/// Some entries of X^T X in double.
template <class S, class X>
void check_second_moment(const Matrix<S>& sum, const X& x) {
  for (Index k = 0; k < 16; ++k) {
    const Index i = k * (x.cols() - 1) / 15;
    const Index j = i * k / 16;
    const double expected = x.col(i).template cast<double>().dot(x.col(j).template cast<double>());
    const double slack = 1e-4 * static_cast<double>(x.rows());
    check(std::abs(static_cast<double>(sum(i, j)) - expected) < slack, "second moment");
  }
}

/// Runs add(X, S) on the same sum over and over.
template <class S, class Add>
void time_second_moment(benchmark::State& state, double flops, const Add& add) {
  const Matrix<S>& x = normal_rows<S>(state.range(1), state.range(0));
  Matrix<S> sum = Matrix<S>::Zero(x.cols(), x.cols());
  add(x, sum);
  check_second_moment(sum, x);
  for (auto _ : state) {
    add(x, sum);
    benchmark::DoNotOptimize(sum.data());
  }
  set_flops(state, flops * product(x.rows(), x.cols(), x.cols()));
}

template <class S>
void second_moment(benchmark::State& state) {
  time_second_moment<S>(
      state, 1, [](const Matrix<S>& x, Matrix<S>& sum) { accumulate_second_moment(x, sum, 0); });
}

template <class S>
void second_moment_by_gemm(benchmark::State& state) {
  time_second_moment<S>(
      state, 2, [](const Matrix<S>& x, Matrix<S>& sum) { sum.noalias() += x.transpose() * x; });
}

#ifdef ANYSSR_HAS_BLAS
template <class S>
void second_moment_by_syrk(benchmark::State& state) {
  time_second_moment<S>(state, 1, [](const Matrix<S>& x, Matrix<S>& sum) {
    const char lower = 'L';
    const char transposed = 'T';
    const int d = static_cast<int>(x.cols());
    const int n = static_cast<int>(x.rows());
    const S one = 1;
    if constexpr (std::is_same_v<S, float>) {
      ssyrk_(&lower, &transposed, &d, &n, &one, x.data(), &n, &one, sum.data(), &d);
    } else {
      dsyrk_(&lower, &transposed, &d, &n, &one, x.data(), &n, &one, sum.data(), &d);
    }
  });
}
#endif

/// A regression that learns rows in batches; the read at the end brings in what still waits.
template <class S, int Order>
void learn_batches(benchmark::State& state, Index batch) {
  const Index d = state.range(0);
  const Index n = state.range(1);
  const auto& x = normal_rows<S, Order>(n, d);
  const RowMajorMatrix<S> y = one_hot<S>(n, 10);
  RecursiveLeastSquares<S> rls(d);
  const auto learn = [&] {
    for (Index i = 0; i < n; i += batch) rls.update(x.middleRows(i, batch), y.middleRows(i, batch));
    return rls.cross_correlation().data();
  };
  learn();
  const double expected = x.col(0).dot(y.col(0));
  check(std::abs(static_cast<double>(rls.cross_correlation()(0, 0)) - expected) < 1e-2,
        "cross correlation");
  for (auto _ : state) benchmark::DoNotOptimize(learn());
  set_rows(state, n);
}

template <class S>
void learn_row_by_row(benchmark::State& state) {
  learn_batches<S, Eigen::RowMajor>(state, 1);
}
template <class S>
void learn_batch_of_row_major(benchmark::State& state) {
  learn_batches<S, Eigen::RowMajor>(state, state.range(1));
}
template <class S>
void learn_batch_of_column_major(benchmark::State& state) {
  learn_batches<S, Eigen::ColMajor>(state, state.range(1));
}

void large_float(benchmark::internal::Benchmark* b) {
  b->ArgNames({"dim", "rows"})->Args({4096, 4096})->UseRealTime()->Unit(benchmark::kMillisecond);
}
void small_double(benchmark::internal::Benchmark* b) {
  b->ArgNames({"dim", "rows"})->Args({2048, 2048})->UseRealTime()->Unit(benchmark::kMillisecond);
}

BENCHMARK_TEMPLATE(second_moment, float)->Apply(large_float);
BENCHMARK_TEMPLATE(second_moment_by_gemm, float)->Apply(large_float);
BENCHMARK_TEMPLATE(second_moment, double)->Apply(small_double);
BENCHMARK_TEMPLATE(second_moment_by_gemm, double)->Apply(small_double);
#ifdef ANYSSR_HAS_BLAS
BENCHMARK_TEMPLATE(second_moment_by_syrk, float)->Apply(large_float);
BENCHMARK_TEMPLATE(second_moment_by_syrk, double)->Apply(small_double);
#endif
BENCHMARK_TEMPLATE(learn_row_by_row, float)->Apply(large_float);
BENCHMARK_TEMPLATE(learn_batch_of_row_major, float)->Apply(large_float);
BENCHMARK_TEMPLATE(learn_batch_of_column_major, float)->Apply(large_float);

}  // namespace
