// SPDX-License-Identifier: MIT

/// @file
/// The program of a user who compiles with -ffast-math: NaN and infinity are refused as ever, what
/// was learned stays as it was, and the answers are right.

#include <Eigen/Cholesky>
#include <cmath>
#include <cstdio>
#include <functional>
#include <string>

#include "anyssr/router/analytic_router.hpp"
#include "anyssr/router/routing_policy.hpp"

namespace {

using anyssr::Index;
using Matrix = anyssr::RowMajorMatrix<double>;

int failures = 0;

void check(bool holds, const char* what) {
  if (holds) return;
  std::printf("not so: %s\n", what);
  ++failures;
}

template <class E>
bool refused(const std::function<void()>& act) {
  try {
    act();
  } catch (const E&) {
    return true;
  }
  return false;
}

/// Rows around the axis of their task.
Matrix points(Index task) {
  Matrix x(20, 6);
  for (Index i = 0; i < x.rows(); ++i) {
    for (Index j = 0; j < x.cols(); ++j) {
      x(i, j) = (j == task ? 1.0 : 0.0) + 0.1 * std::sin(static_cast<double>(7 * i + 3 * j + task));
    }
  }
  return x;
}

void check_regression(double bad) {
  anyssr::RlsOptions options{.ridge = 0.5, .ridge_scale = anyssr::RidgeScale::absolute};
  anyssr::RecursiveLeastSquares<double> rls(6, options);
  anyssr::RecursiveLeastSquares<double, anyssr::Covariance> stream(6, options);
  const Matrix x = points(1);
  const Matrix y = x.col(0) - 2 * x.col(3);
  rls.update(x, y);
  stream.update(x, y);
  Matrix poisoned = x;
  poisoned(3, 4) = bad;
  Matrix poisoned_y = y;
  poisoned_y(19, 0) = bad;
  check(refused<anyssr::NonFiniteError>([&] { rls.update(poisoned, y); }), "features are refused");
  check(refused<anyssr::NonFiniteError>([&] { rls.update(x, poisoned_y); }), "targets are refused");
  check(refused<anyssr::NonFiniteError>([&] { stream.update(poisoned, y); }),
        "features of the covariance form are refused");
  anyssr::SparseRows<double> sparse(x.rows(), x.cols());
  sparse.insert(3, 4) = bad;
  check(refused<anyssr::NonFiniteError>([&] { rls.update(sparse, y); }),
        "sparse features are refused");
  check(refused<anyssr::ArgumentError>(
            [&] { anyssr::RecursiveLeastSquares<double>(6, {.ridge = bad}); }),
        "a ridge is refused");
  const Eigen::MatrixXd gram = x.transpose() * x + 0.5 * Eigen::MatrixXd::Identity(6, 6);
  const Eigen::MatrixXd expected = gram.ldlt().solve(x.transpose() * y);
  check((rls.weights() - expected).norm() < 1e-12 * expected.norm(), "weights are the joint fit's");
  check((stream.weights() - expected).norm() < 1e-9 * expected.norm(), "weights of the stream too");
}

void check_router(double bad) {
  anyssr::AnalyticRouter<double> router(6,
                                        {.expansion = {.kind = anyssr::ExpansionKind::identity}});
  for (Index t = 0; t < 3; ++t) router.learn("task-" + std::to_string(t), points(t));
  Matrix poisoned = points(3);
  poisoned(0, 0) = bad;
  check(refused<anyssr::NonFiniteError>([&] { router.learn("bad", poisoned); }),
        "features of a task are refused");
  anyssr::RoutingWorkspace<double> workspace;
  anyssr::RoutingDecision decision;
  check(refused<anyssr::NonFiniteError>(
            [&] { router.decide(Matrix(poisoned.topRows(1)), workspace, decision); }),
        "a query is refused");
  for (Index t = 0; t < 3; ++t) {
    for (Index i = 0; i < 20; ++i) {
      router.decide(Matrix(points(t).row(i)), workspace, decision);
      check(decision.task == t, "a query goes to its task");
      check(decision.confidence > 0.5 && decision.confidence <= 1, "its confidence is high");
    }
  }
  const anyssr::PolicyTable policy({.coverage = 0.9}, *router.table());
  policy.apply(decision);
  check(decision.outcome == anyssr::RoutingOutcome::routed, "without a threshold it is routed");
  router.set_active("task-2", false);
  router.decide(Matrix(points(2).row(0)), workspace, decision);
  check(decision.task != 2, "an archived task is not chosen");
  check(anyssr::candidates(decision, -1e300).size() == 2, "an archived task is no candidate");
  check(refused<anyssr::ArgumentError>([&] { anyssr::expect_policy({.min_margin = bad}); }),
        "a threshold is refused");
}

}  // namespace

int main() {
  for (const char* bad : {"nan", "inf", "-inf"}) {
    check_regression(std::stod(bad));
    check_router(std::stod(bad));
  }
  if (failures == 0) std::printf("as without -ffast-math\n");
  return failures == 0 ? 0 : 1;
}
