// SPDX-License-Identifier: MIT
#include "anyssr/train/objective.hpp"

#include <vector>

#include "support/catch.hpp"
#include "support/numeric.hpp"

namespace {

using namespace anyssr;
using namespace anyssr::test;

std::vector<Index> random_labels(Index n, Index classes, std::uint64_t seed) {
  RandomStream random(seed, 9);
  std::vector<Index> labels;
  for (Index i = 0; i < n; ++i) {
    labels.push_back(static_cast<Index>(random.below(static_cast<std::uint32_t>(classes))));
  }
  return labels;
}

/// -sum_j t_j log softmax_j, averaged, without any shift.
double plain_cross_entropy(const Eigen::MatrixXd& logits, const std::vector<Index>& labels,
                           double smoothing) {
  double sum = 0;
  for (Index i = 0; i < logits.rows(); ++i) {
    double total = 0;
    for (Index j = 0; j < logits.cols(); ++j) total += std::exp(logits(i, j));
    for (Index j = 0; j < logits.cols(); ++j) {
      const double target = smoothing / static_cast<double>(logits.cols()) +
                            (j == labels[static_cast<std::size_t>(i)] ? 1 - smoothing : 0);
      sum -= target * std::log(std::exp(logits(i, j)) / total);
    }
  }
  return sum / static_cast<double>(logits.rows());
}

/// Central differences of f at x.
template <class F>
Eigen::MatrixXd differences(const F& f, Eigen::MatrixXd x, double step) {
  Eigen::MatrixXd result(x.rows(), x.cols());
  for (Index i = 0; i < x.size(); ++i) {
    const double at = x.data()[i];
    x.data()[i] = at + step;
    const double up = f(x);
    x.data()[i] = at - step;
    result.data()[i] = (up - f(x)) / (2 * step);
    x.data()[i] = at;
  }
  return result;
}

}  // namespace

TEMPLATE_TEST_CASE("cross-entropy and its gradient equal the plain formula", "[train][property]",
                   float, double) {
  const double smoothing = GENERATE(0.0, 0.1, 0.9);
  CAPTURE(smoothing);
  const Matrix<TestType> logits = 2 * random_normal<TestType>(7, 5, 1);
  const Eigen::MatrixXd wide = logits.template cast<double>();
  const std::vector<Index> labels = random_labels(7, 5, 2);
  const auto plain = [&](const Eigen::MatrixXd& z) {
    return plain_cross_entropy(z, labels, smoothing);
  };
  Matrix<TestType> gradient;
  const double loss = softmax_cross_entropy(logits, labels, smoothing, &gradient);
  CHECK(std::abs(loss - plain(wide)) < round_off<TestType>(20) * plain(wide));
  CHECK(relative_error(gradient, differences(plain, wide, 1e-5)) < 1e-8 + round_off<TestType>(20));
  const RowMajorMatrix<TestType> rows = logits;
  RowMajorMatrix<TestType> row_gradient;
  CHECK(softmax_cross_entropy(rows, labels, smoothing, &row_gradient) == loss);
  CHECK(row_gradient == gradient);
  CHECK(softmax_cross_entropy(logits, labels, smoothing) == loss);
}

TEMPLATE_TEST_CASE("huge logits neither overflow nor lose the loss", "[train][property]", float,
                   double) {
  Matrix<TestType> logits(2, 3);
  logits << 30000, 0, -30000, -30000, 30000, 29999;
  const std::vector<Index> labels{1, 2};
  Matrix<TestType> gradient;
  const double loss = softmax_cross_entropy(logits, labels, 0, &gradient);
  const double second = 1 + std::log1p(std::exp(-1.0));
  CHECK(std::abs(loss - (30000 + second) / 2) < round_off<TestType>(4) * 30000);
  CHECK(gradient.allFinite());
  CHECK(gradient(0, 0) == TestType(0.5));
  CHECK(gradient(0, 1) == TestType(-0.5));
}

TEST_CASE("logits that are not finite give a loss that is not finite", "[train][property]") {
  Matrix<double> logits = Matrix<double>::Zero(2, 3);
  const std::vector<Index> labels{1, 2};
  logits(1, 0) = std::numeric_limits<double>::quiet_NaN();
  CHECK_FALSE(std::isfinite(softmax_cross_entropy(logits, labels)));
  logits(1, 0) = std::numeric_limits<double>::infinity();
  CHECK_FALSE(std::isfinite(softmax_cross_entropy(logits, labels)));
}

TEMPLATE_TEST_CASE("squared error and its gradient equal the plain formula", "[train][property]",
                   float, double) {
  const Matrix<TestType> outputs = random_normal<TestType>(6, 4, 1);
  const RowMajorMatrix<TestType> targets = random_normal<TestType>(6, 4, 2);
  const Eigen::MatrixXd wide = targets.template cast<double>();
  const auto plain = [&](const Eigen::MatrixXd& o) {
    double sum = 0;
    for (Index i = 0; i < o.rows(); ++i) sum += 0.5 * (o.row(i) - wide.row(i)).squaredNorm();
    return sum / static_cast<double>(o.rows());
  };
  const Eigen::MatrixXd wide_outputs = outputs.template cast<double>();
  Matrix<TestType> gradient;
  const double loss = squared_error(outputs, targets, &gradient);
  CHECK(std::abs(loss - plain(wide_outputs)) < round_off<TestType>(20) * loss);
  CHECK(relative_error(gradient, differences(plain, wide_outputs, 1e-3)) <
        1e-10 + round_off<TestType>(20));
  CHECK(squared_error(outputs, targets) == loss);
}

TEMPLATE_TEST_CASE("log softmax gives logarithms of probabilities", "[train][property]", float,
                   double) {
  const Matrix<TestType> logits = 3 * random_normal<TestType>(5, 4, 3);
  const Matrix<TestType> logs = log_softmax(logits);
  const Eigen::ArrayXXd odds = logits.template cast<double>().array().exp();
  const Eigen::MatrixXd expected = (odds.colwise() / odds.rowwise().sum()).log();
  CHECK(relative_error(logs, expected) < round_off<TestType>(20));
  Matrix<TestType> huge(1, 2);
  huge << 50000, -50000;
  CHECK(log_softmax(huge)(0, 0) == 0);
  CHECK(log_softmax(huge)(0, 1) == -100000);
}

TEST_CASE("objectives refuse bad shapes and leave the gradient alone", "[train][error]") {
  const Matrix<double> logits = Matrix<double>::Zero(2, 3);
  Matrix<double> gradient = Matrix<double>::Constant(1, 1, 5);
  const auto entropy = [&](const Matrix<double>& z, const std::vector<Index>& labels, double s) {
    (void)softmax_cross_entropy(z, labels, s, &gradient);
  };
  CHECK(message_of<ShapeError>([&] { entropy(Matrix<double>(0, 3), {}, 0); }) ==
        "logits are 0 x 3, expected at least one row and one column");
  CHECK(message_of<ShapeError>([&] { entropy(logits, {1}, 0); }) ==
        "labels have 1 entries, expected 2, one a row");
  CHECK(message_of<ArgumentError>([&] {
          entropy(logits, {1, 3}, 0);
        }) == "labels hold 3 at row 1, expected 0 to 2");
  CHECK(message_of<ArgumentError>([&] {
          entropy(logits, {-1, 2}, 0);
        }) == "labels hold -1 at row 0, expected 0 to 2");
  CHECK(message_of<ArgumentError>([&] {
          entropy(logits, {1, 2}, 1);
        }) == "smoothing is 1, expected at least 0 and below 1");
  const Matrix<double> narrow = Matrix<double>::Zero(2, 2);
  CHECK(message_of<ShapeError>([&] { (void)squared_error(logits, narrow, &gradient); }) ==
        "targets are 2 x 2, expected n x 3");
  CHECK(message_of<ShapeError>([&] {
          (void)squared_error(Matrix<double>(0, 2), narrow, &gradient);
        }) == "outputs are 0 x 2, expected at least one row");
  CHECK(gradient(0, 0) == 5);
}
