// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// What the rooms of router_bench share: rates, rows that are made once a process (repetitions run
/// a benchmark's set-up again), checks of an answer before it is timed.

#include <benchmark/benchmark.h>

#include <cmath>
#include <map>
#include <stdexcept>
#include <string>
#include <tuple>

#include "anyssr/core/random.hpp"
#include "anyssr/linalg/second_moment.hpp"

namespace bench {

using anyssr::Index;
using anyssr::Matrix;
using anyssr::RowMajorMatrix;
using anyssr::Vector;

/// @param flops  of one iteration that a perfect program would need
inline void set_flops(benchmark::State& state, double flops) {
  state.counters["GFLOP/s"] =
      benchmark::Counter(1e-9 * flops, benchmark::Counter::kIsIterationInvariantRate);
}

/// @param rows  of one iteration
inline void set_rows(benchmark::State& state, Index rows) {
  state.counters["rows/s"] =
      benchmark::Counter(static_cast<double>(rows), benchmark::Counter::kIsIterationInvariantRate);
}

/// a b c as a floating-point number.
[[nodiscard]] inline double product(Index a, Index b, Index c = 1) {
  return static_cast<double>(a) * static_cast<double>(b) * static_cast<double>(c);
}

/// Ends the program where an answer is wrong: its time would say nothing.
inline void check(bool holds, const std::string& what) {
  if (!holds) throw std::runtime_error("wrong answer: " + what);
}

/// |a - b| / |b|
template <class A, class B>
[[nodiscard]] double relative_error(const A& a, const B& b) {
  return static_cast<double>((a - b).norm()) / static_cast<double>(b.norm());
}

/// Normal rows, one matrix a shape, order and seed for the whole process.
template <class S, int Order = Eigen::ColMajor>
[[nodiscard]] const Eigen::Matrix<S, Eigen::Dynamic, Eigen::Dynamic, Order>& normal_rows(
    Index rows, Index cols, std::uint64_t seed = 1) {
  static std::map<std::tuple<Index, Index, std::uint64_t>,
                  Eigen::Matrix<S, Eigen::Dynamic, Eigen::Dynamic, Order>>
      made;
  auto& matrix = made[{rows, cols, seed}];
  if (matrix.size() == 0) matrix = anyssr::random_normal<S, Order>(rows, cols, seed);
  return matrix;
}

/// Targets: row i is the unit vector of column i modulo cols.
template <class S>
[[nodiscard]] RowMajorMatrix<S> one_hot(Index rows, Index cols) {
  RowMajorMatrix<S> targets = RowMajorMatrix<S>::Zero(rows, cols);
  for (Index i = 0; i < rows; ++i) targets(i, i % cols) = S(1);
  return targets;
}

/// X^T X of 2 d normal rows in the lower triangle of a square, divided by 2 d: condition number
/// about 30.
template <class S>
[[nodiscard]] const Matrix<S>& gram_of(Index dim) {
  static std::map<Index, Matrix<S>> made;
  Matrix<S>& gram = made[dim];
  if (gram.size() == 0) {
    gram = Matrix<S>::Zero(dim, dim);
    const Matrix<S>& x = normal_rows<S>(dim, dim);
    for (int half = 0; half < 2; ++half) {
      const Matrix<S> rows = half == 0 ? x : anyssr::random_normal<S>(dim, dim, 2);
      anyssr::accumulate_second_moment(rows, gram, 0);
    }
    gram *= S(1) / static_cast<S>(2 * dim);
  }
  return gram;
}

/// |G w - c| / |c| for a G of which the lower triangle stands in `square`, the ridge apart.
template <class S, class W, class C>
[[nodiscard]] double residual(const Matrix<S>& square, S ridge, const W& w, const C& c) {
  const Vector<S> solved = w.col(0);
  const Vector<S> product = square.template selfadjointView<Eigen::Lower>() * solved;
  return relative_error(product + ridge * solved, c.col(0));
}

}  // namespace bench
