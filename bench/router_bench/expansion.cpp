// SPDX-License-Identifier: MIT

/// @file
/// The structured expansion against the dense one of the same widths, ReLU included: one query and
/// a batch.

#include <map>
#include <tuple>

#include "anyssr/subspace/any_expansion.hpp"
#include "support/fixture.hpp"

namespace {

using namespace anyssr;
using namespace bench;

/// One expansion a kind for the whole process: a dense one takes a while to draw.
template <class S>
const AnyExpansion<S>& expansion_of(ExpansionKind kind, Index in_dim, Index dim) {
  static std::map<std::tuple<ExpansionKind, Index, Index>, AnyExpansion<S>> made;
  const std::tuple key(kind, in_dim, dim);
  auto found = made.find(key);
  if (found == made.end()) {
    const ExpansionOptions options{.kind = kind, .dim = dim, .seed = 1};
    found = made.emplace(key, AnyExpansion<S>(in_dim, options)).first;
  }
  return found->second;
}

/// Both maps keep the length of a row but for a few per cent; what ReLU takes, the scale makes up.
template <class S>
void check_expanded(const RowMajorMatrix<S>& x, const RowMajorMatrix<S>& expanded) {
  for (Index i = 0; i < x.rows(); ++i) {
    const double ratio = static_cast<double>(expanded.row(i).norm() / x.row(i).norm());
    check(expanded.row(i).minCoeff() >= S(0) && std::abs(ratio - 1) < 0.1, "expansion");
  }
}

template <class S>
void expand(benchmark::State& state, ExpansionKind kind) {
  const Index in_dim = state.range(0);
  const Index dim = state.range(1);
  const AnyExpansion<S>& expansion = expansion_of<S>(kind, in_dim, dim);
  const RowMajorMatrix<S> x =
      normal_rows<S, Eigen::RowMajor>(256, in_dim, 6).topRows(state.range(2));
  RowMajorMatrix<S> out(x.rows(), dim);
  ExpansionWorkspace<S> workspace;
  expansion.expand_into(x, out, workspace);
  check_expanded(x, out);
  for (auto _ : state) {
    expansion.expand_into(x, out, workspace);
    benchmark::DoNotOptimize(out.data());
  }
  set_rows(state, x.rows());
}

template <class S>
void hadamard(benchmark::State& state) {
  expand<S>(state, ExpansionKind::hadamard);
}
template <class S>
void dense(benchmark::State& state) {
  expand<S>(state, ExpansionKind::dense);
}

void widths(benchmark::internal::Benchmark* b) {
  b->ArgNames({"from", "to", "rows"})
      ->ArgsProduct({{4096}, {8192}, {1, 256}})
      ->UseRealTime()
      ->Unit(benchmark::kMicrosecond);
}

BENCHMARK_TEMPLATE(hadamard, float)->Apply(widths);
BENCHMARK_TEMPLATE(dense, float)->Apply(widths);

}  // namespace
