// SPDX-License-Identifier: MIT
// A user's program that is compiled with OpenMP and has told Eigen to use it: what is asked to run
// on one thread starts no other one, and the user's own products go on as he set them.

#include <anyssr/rls/recursive_least_squares.hpp>
#include <anyssr/router/analytic_router.hpp>
#include <cstdio>
#include <filesystem>
#include <iterator>

namespace {

std::ptrdiff_t threads() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/task"), {});
}

int expect_threads(std::ptrdiff_t expected, const char* what) {
  if (threads() == expected) return 0;
  std::printf("%s: %d threads, expected %d\n", what, static_cast<int>(threads()),
              static_cast<int>(expected));
  return 1;
}

}  // namespace

int main() {
  using namespace anyssr;
  if (!std::filesystem::exists("/proc/self/task")) return 0;  // cannot be counted here
  Eigen::setNbThreads(3);
  const auto x = random_normal<float>(600, 512, 1);
  const auto y = random_normal<float>(600, 4, 2);
  int wrong = 0;

  RecursiveLeastSquares<float> sums(512, {.threads = 1});
  sums.update(x, y);
  (void)sums.predict(x);
  (void)sums.leverage(x);
  wrong += expect_threads(1, "information form");

  RecursiveLeastSquares<float, Covariance> stream(
      512, {.ridge = 1, .ridge_scale = RidgeScale::absolute, .threads = 1});
  stream.update(x, y);
  (void)stream.predict(x);
  (void)stream.leverage(x);
  wrong += expect_threads(1, "covariance form");

  AnalyticRouter<float> router(
      512, {.expansion = {.kind = ExpansionKind::dense, .dim = 600}, .rls = {.threads = 1}});
  router.learn("first", x);
  router.learn("second", random_normal<float>(600, 512, 3));
  RoutingWorkspace<float> workspace;
  std::vector<RoutingDecision> decisions;
  router.decide(x, workspace, decisions);
  wrong += expect_threads(1, "router");

  const Matrix<float> own = x.transpose() * x;
  wrong += expect_threads(3, "the user's own product");
  return wrong;
}
