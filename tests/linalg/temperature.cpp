// SPDX-License-Identifier: MIT
#include "anyssr/linalg/temperature.hpp"

#include <vector>

#include "support/catch.hpp"
#include "support/numeric.hpp"

namespace {

using namespace anyssr;
using namespace anyssr::test;

/// L(b) written out, one row at a time.
double log_loss(const Eigen::MatrixXd& scores, const std::vector<Index>& labels, double prior,
                double b) {
  const auto n = static_cast<double>(scores.rows());
  const auto c = static_cast<double>(scores.cols());
  double sum = 0;
  for (Index i = 0; i < scores.rows(); ++i) {
    const double top = scores.row(i).maxCoeff();
    double odds = 0;
    for (Index j = 0; j < scores.cols(); ++j) odds += std::exp(b * (scores(i, j) - top));
    const double of_label = scores(i, labels[static_cast<std::size_t>(i)]);
    const double target = (n * of_label + prior / c * scores.row(i).sum()) / (n + prior);
    sum += std::log(odds) + b * (top - target);
  }
  return sum / n;
}

/// Scores drawn so that softmax(b * scores) are the true probabilities of the labels.
std::pair<Eigen::MatrixXd, std::vector<Index>> calibrated(Index n, Index classes, double b,
                                                          std::uint64_t seed) {
  const Eigen::MatrixXd scores = random_normal<double>(n, classes, seed) / b;
  RandomStream random(seed, 77);
  std::vector<Index> labels;
  for (Index i = 0; i < n; ++i) {
    const Eigen::ArrayXd odds = (b * scores.row(i).transpose().array()).exp();
    double left = static_cast<double>(random.uniform()) * odds.sum();
    Index label = 0;
    while (label + 1 < classes && left > odds(label)) left -= odds(label++);
    labels.push_back(label);
  }
  return {scores, labels};
}

}  // namespace

TEST_CASE("no temperature nearby has a lower log loss", "[linalg][property]") {
  const double truth = GENERATE(0.02, 1.0, 12.0, 900.0);
  const double prior = GENERATE(0.0, 1.0, 20.0);
  const std::uint64_t seed = GENERATE(1U, 2U, 3U);
  CAPTURE(truth, prior, seed);
  const auto data = calibrated(300, 5, truth, seed);
  const double b = fit_temperature(data.first, data.second, prior);
  const double least = log_loss(data.first, data.second, prior, b);
  for (const double factor : {0.5, 0.9, 0.999, 1.001, 1.1, 2.0}) {
    CHECK(log_loss(data.first, data.second, prior, b * factor) > least);
  }
}

TEST_CASE("the temperature that made the labels is found again", "[linalg][property]") {
  const double truth = GENERATE(0.05, 12.0, 300.0);
  const auto data = calibrated(20000, 4, truth, 5);
  const double b = fit_temperature(data.first, data.second);
  CHECK(std::abs(b / truth - 1) < 0.05);
}

TEST_CASE("adding a constant to a row changes nothing", "[linalg][property]") {
  const auto data = calibrated(200, 3, 4, 6);
  const double b = fit_temperature(data.first, data.second);
  Eigen::MatrixXd moved = data.first;
  moved.colwise() += Eigen::VectorXd::LinSpaced(200, -5, 5);
  CHECK(std::abs(fit_temperature(moved, data.second) / b - 1) < 1e-9);
}

TEST_CASE("separable scores keep a finite temperature that grows with the rows",
          "[linalg][property]") {
  // Two classes at scores 1 and 0, always right: sigmoid(b) = target = 1 - 1 / (2 (n + 1)).
  for (const Index n : {1, 10, 1000}) {
    Eigen::MatrixXd scores = Eigen::MatrixXd::Zero(n, 2);
    scores.col(1).setOnes();
    const std::vector<Index> labels(static_cast<std::size_t>(n), 1);
    const double b = fit_temperature(scores, labels);
    CHECK(std::abs(b - std::log(2 * static_cast<double>(n) + 1)) < 1e-9);
    CHECK(fit_temperature(scores, labels, 0) == 1e4);
    CHECK(fit_temperature(1e9 * scores, labels) == 1e-3);
    const std::vector<Index> wrong(static_cast<std::size_t>(n), 0);
    CHECK(fit_temperature(scores, wrong) == 1e-3);
  }
}

TEST_CASE("scores that tell nothing leave the temperature at one", "[linalg][property]") {
  const std::vector<Index> labels{0, 2, 1};
  CHECK(fit_temperature(Eigen::MatrixXd::Constant(3, 3, 0.7), labels) == 1);
  const std::vector<Index> only{0, 0};
  CHECK(fit_temperature(Eigen::MatrixXd::Constant(2, 1, 3), only) == 1);
  for (const double size : {1e-17, 0.7, 7e5}) {  // in either direction of the label
    Eigen::MatrixXd nearly = Eigen::MatrixXd::Constant(3, 3, size);
    nearly(0, 0) = std::nextafter(size, 10 * size);
    CHECK(fit_temperature(nearly, labels) == 1);
    nearly(0, 0) = std::nextafter(size, 0);
    CHECK(fit_temperature(nearly, labels) == 1);
  }
}

TEST_CASE("tiny and huge scores stay inside the range", "[linalg][property]") {
  const auto data = calibrated(100, 3, 1, 7);
  for (const double factor : {1e-300, 1e-12, 1e12, 1e300}) {
    const double b = fit_temperature(factor * data.first, data.second);
    CHECK(b >= 1e-3);
    CHECK(b <= 1e4);
  }
}

TEST_CASE("a temperature refuses bad scores and labels", "[linalg][error]") {
  const std::vector<Index> labels{0, 2};
  CHECK(message_of<ShapeError>([&] { (void)fit_temperature(Eigen::MatrixXd(0, 3), {}); }) ==
        "scores are 0 x 3, expected at least one row and one column");
  CHECK(message_of<ShapeError>([&] {
          (void)fit_temperature(Eigen::MatrixXd::Zero(3, 3), labels);
        }) == "labels have 2 entries, expected 3, one a row");
  CHECK(message_of<ArgumentError>([&] {
          (void)fit_temperature(Eigen::MatrixXd::Zero(2, 2), labels);
        }) == "labels hold 2 at row 1, expected 0 to 1");
  Eigen::MatrixXd bad = Eigen::MatrixXd::Zero(2, 3);
  bad(1, 0) = std::numeric_limits<double>::quiet_NaN();
  CHECK(message_of<NonFiniteError>([&] { (void)fit_temperature(bad, labels); }) ==
        "scores hold NaN or infinity at row 1, column 0, expected finite numbers");
  CHECK(message_of<ArgumentError>([&] {
          (void)fit_temperature(Eigen::MatrixXd::Zero(2, 3), labels, -1);
        }) == "prior is -1, expected a finite number of at least 0");
}
