// SPDX-License-Identifier: MIT

/// @file
/// Peak memory of a regression that learns, solves, learns and solves again: one JSON object.
///
///   memory DIM [float|double]
///
/// The peak before the regression exists, the caller's batch included, is `baseline_bytes`; what
/// comes on top, over d^2 numbers, is `peak_bytes_over_d2`. The first solve makes a factor while
/// rows wait in the buffer, the second updates it.

#include <sys/resource.h>

#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "anyssr/core/random.hpp"
#include "anyssr/rls/recursive_least_squares.hpp"

namespace {

using namespace anyssr;

constexpr Index batch_rows = 1024;
constexpr Index batches = 4;
constexpr Index waiting_rows = 1023;  // as many as the buffer of a large dimension holds
constexpr Index few_rows = 64;
constexpr Index targets = 10;

/// Largest resident size of this process so far.
double peak_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
#ifdef __APPLE__
  return static_cast<double>(usage.ru_maxrss);
#else
  return 1024 * static_cast<double>(usage.ru_maxrss);
#endif
}

/// Refills a batch in its place: a second one would hide as much memory of the regression.
template <class S>
void fill(RowMajorMatrix<S>& x, RandomStream& random) {
  for (S* entry = x.data(); entry != x.data() + x.size(); ++entry) {
    *entry = static_cast<S>(random.normal());
  }
}

template <class S>
int measure(Index dim, const char* scalar) {
  RandomStream random(1);
  RowMajorMatrix<S> x(batch_rows, dim);
  RowMajorMatrix<S> y = RowMajorMatrix<S>::Zero(batch_rows, targets);
  for (Index i = 0; i < batch_rows; ++i) y(i, i % targets) = S(1);
  fill(x, random);
  const double baseline = peak_bytes();

  // Of the order of the mean eigenvalue, so that the factor exists with fewer rows than columns.
  RecursiveLeastSquares<S> rls(
      dim, {.ridge = double{batch_rows * batches}, .ridge_scale = RidgeScale::absolute});
  for (Index i = 0; i < batches; ++i) {
    rls.update(x, y);
    fill(x, random);
  }
  rls.update(x.topRows(waiting_rows), y.topRows(waiting_rows));
  bool finite = rls.weights().allFinite();
  fill(x, random);
  rls.update(x.topRows(few_rows), y.topRows(few_rows));
  finite = finite && rls.weights().allFinite();
  const double peak = peak_bytes();

  const double square = static_cast<double>(dim) * static_cast<double>(dim) * sizeof(S);
  std::printf(
      "{\"dim\": %ld, \"scalar\": \"%s\", \"bytes_state\": %zu, \"peak_bytes\": %.0f, "
      "\"batch_bytes\": %zu, \"baseline_bytes\": %.0f, \"peak_bytes_over_d2\": %.4f}\n",
      static_cast<long>(dim), scalar, rls.bytes(), peak,
      static_cast<std::size_t>(x.size() + y.size()) * sizeof(S), baseline,
      (peak - baseline) / square);
  return finite ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view text = argc > 1 ? argv[1] : "";
  const std::string_view scalar = argc > 2 ? argv[2] : "float";
  Index dim = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), dim);
  const bool is_number = parsed.ec == std::errc{} && parsed.ptr == text.data() + text.size();
  if (argc > 3 || !is_number || dim < 1 || dim > 65536 ||
      (scalar != "float" && scalar != "double")) {
    std::fprintf(stderr, "usage: memory DIM [float|double], DIM 1..65536\n");
    return 2;
  }
  return scalar == "float" ? measure<float>(dim, "float") : measure<double>(dim, "double");
}
