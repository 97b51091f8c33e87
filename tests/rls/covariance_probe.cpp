// SPDX-License-Identifier: MIT
#include "anyssr/rls/covariance_probe.hpp"

#include "support/catch.hpp"
#include "support/numeric.hpp"

using namespace anyssr;
using namespace anyssr::test;

namespace {

/// Rows in a probe, and what R and W are for them.
struct Probed {
  Eigen::MatrixXd x = random_normal<double>(60, 20, 1);
  Eigen::MatrixXd y = random_normal<double>(60, 3, 2);
  detail::CovarianceProbe<double> probe{20, 0.5};

  Probed() { probe.add(x.transpose(), y, Sign::add); }
  [[nodiscard]] Eigen::MatrixXd inverse(double ridge) const {
    return inverse_of(gram_of(x) + ridge * Eigen::MatrixXd::Identity(20, 20));
  }
  [[nodiscard]] double inverse_error(const Eigen::MatrixXd& inverse) const {
    return probe.inverse_error([&](const Eigen::VectorXd& z) { return inverse * z; });
  }
  [[nodiscard]] double weights_error(const Eigen::MatrixXd& inverse,
                                     const Eigen::MatrixXd& weights) const {
    return probe.weights_error([&](const Eigen::VectorXd& z) { return inverse * z; }, weights);
  }
};

}  // namespace

TEST_CASE("probes find nothing where nothing is wrong", "[rls]") {
  const Probed a;
  const Eigen::MatrixXd inverse = a.inverse(0.5);
  CHECK(a.inverse_error(inverse) < 1e-13);
  CHECK(a.weights_error(inverse, inverse * a.x.transpose() * a.y) < 1e-13);
}

TEST_CASE("probes measure what is wrong", "[rls]") {
  const double size = GENERATE(1e-9, 1e-6, 1e-3, 0.1);
  const Probed a;
  const Eigen::MatrixXd inverse = a.inverse(0.5);
  const Eigen::MatrixXd weights = inverse * a.x.transpose() * a.y;
  CHECK(std::abs(a.inverse_error((1 + size) * inverse) / size - 1) < 1e-4);
  CHECK(std::abs(a.weights_error(inverse, (1 - size) * weights) * (1 - size) / size - 1) < 1e-4);
  const Eigen::MatrixXd noise = random_normal<double>(20, 3, 3) * weights.norm() / std::sqrt(60.0);
  const double error = a.weights_error(inverse, weights + size * noise);
  CHECK(error > 0.2 * size);
  CHECK(error < 5 * size);
  CHECK_FALSE(a.weights_error(inverse * std::nan(""), weights) < 1);
}

TEST_CASE("rows that go and another ridge and other rows are followed", "[rls]") {
  Probed a;
  Probed more;
  more.x = random_normal<double>(10, 20, 4);
  more.y = random_normal<double>(10, 3, 5);
  const Eigen::MatrixXd h = more.x.transpose();
  a.probe.add(h, more.y, Sign::add);
  a.probe.add(h, more.y, Sign::subtract);
  a.probe.add_ridge(1.5);
  CHECK(a.inverse_error(a.inverse(2)) < 1e-12);
  more.probe = detail::CovarianceProbe<double>(20, 7);
  more.probe.add(h, more.y, Sign::add);
  a.probe.merge(more.probe, 7);
  Probed both;
  both.x.conservativeResize(70, Eigen::NoChange);
  both.y.conservativeResize(70, Eigen::NoChange);
  both.x.bottomRows(10) = more.x;
  both.y.bottomRows(10) = more.y;
  both.probe = a.probe;
  const Eigen::MatrixXd inverse = both.inverse(2);
  CHECK(both.inverse_error(inverse) < 1e-12);
  CHECK(both.weights_error(inverse, inverse * both.x.transpose() * both.y) < 1e-12);
}
