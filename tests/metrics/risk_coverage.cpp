// SPDX-License-Identifier: MIT
#include "anyssr/metrics/risk_coverage.hpp"

#include <cmath>
#include <limits>

#include "anyssr/core/random.hpp"
#include "support/catch.hpp"

namespace {

using namespace anyssr;
using anyssr::test::message_of;

constexpr double risk_rounding = 64 * std::numeric_limits<double>::epsilon();

/// Answers whose confidence says something; few distinct values, so that many tie.
struct ConfidentAnswers {
  std::vector<double> confidences;
  std::vector<std::uint8_t> correct;

  explicit ConfidentAnswers(std::uint64_t seed) {
    RandomStream random(seed);
    const std::uint32_t n = 1 + random.below(150);
    for (std::uint32_t i = 0; i < n; ++i) {
      confidences.push_back(random.below(20) / 20.0);
      correct.push_back(random.uniform() < 0.5 + 0.5 * confidences.back() ? 1 : 0);
    }
  }
  /// Accepted and wrong ones at or above a threshold, counted one by one.
  std::pair<double, double> accepted_and_errors(double threshold) const {
    double accepted = 0;
    double errors = 0;
    for (std::size_t i = 0; i < correct.size(); ++i) {
      accepted += confidences[i] >= threshold ? 1 : 0;
      errors += confidences[i] >= threshold && correct[i] == 0 ? 1 : 0;
    }
    return {accepted, errors};
  }
};

/// P(X <= errors) of n draws, term by term.
double few_errors_probability(double errors, double n, double p) {
  double sum = 0;
  double term = std::pow(1 - p, n);
  for (double i = 0; i <= errors; i += 1) {
    sum += term;
    term *= (n - i) / (i + 1) * p / (1 - p);
  }
  return sum;
}

}  // namespace

TEST_CASE("a risk coverage curve counts accepted answers and errors", "[metrics][golden]") {
  // 0.9 right; 0.8 twice: right and wrong; 0.5 wrong; 0.1 right
  const std::vector<double> confidences{0.5, 0.8, 0.1, 0.9, 0.8};
  const std::vector<std::uint8_t> correct{0, 1, 1, 1, 0};
  const RiskCoverage curve = risk_coverage(confidences, correct);
  REQUIRE(curve.curve().size() == 4);
  CHECK(curve.count() == 5);
  CHECK(curve.curve()[1].threshold == 0.8);
  CHECK(curve.curve()[1].accepted == 3);
  CHECK(curve.curve()[1].errors == 1);
  CHECK(curve.curve()[1].coverage == 0.6);
  CHECK(curve.curve()[1].risk == 1.0 / 3);
  CHECK(curve.risk_at(0.2) == 0);
  CHECK(curve.risk_at(0.21) == 1.0 / 3);
  CHECK(curve.risk_at(0.6) == 1.0 / 3);
  CHECK(curve.risk_at(0.8) == 0.5);
  CHECK(curve.risk_at(1) == 0.4);
  // (0 + 1/3 + 1/3 + 1/2 + 2/5) / 5
  CHECK(std::abs(curve.area() - (2.0 / 3 + 0.9) / 5) < risk_rounding);
}

TEST_CASE("risk and area agree with counting at every answer", "[metrics][property]") {
  const auto seed = static_cast<std::uint64_t>(GENERATE(range(1, 21)));
  CAPTURE(seed);
  const ConfidentAnswers answers(seed);
  const RiskCoverage curve = risk_coverage(answers.confidences, answers.correct);
  const auto n = static_cast<double>(answers.correct.size());
  double area = 0;
  for (const double confidence : answers.confidences) {
    const auto [accepted, errors] = answers.accepted_and_errors(confidence);
    area += errors / accepted / n;
    CHECK(curve.risk_at(accepted / n) == errors / accepted);
  }
  CHECK(std::abs(curve.area() - area) < risk_rounding);
}

TEST_CASE("a risk coverage curve does not depend on the order of answers", "[metrics][property]") {
  ConfidentAnswers answers(7);
  const RiskCoverage before = risk_coverage(answers.confidences, answers.correct);
  std::reverse(answers.confidences.begin(), answers.confidences.end());
  std::reverse(answers.correct.begin(), answers.correct.end());
  const RiskCoverage after = risk_coverage(answers.confidences, answers.correct);
  CHECK(before.area() == after.area());
  for (int i = 1; i <= 50; ++i) CHECK(before.risk_at(i / 50.0) == after.risk_at(i / 50.0));
}

TEST_CASE("the threshold for a risk is the smallest that keeps it", "[metrics][property]") {
  const auto seed = static_cast<std::uint64_t>(GENERATE(range(1, 21)));
  const double most = GENERATE(0.0, 0.05, 0.2, 1.0);
  CAPTURE(seed, most);
  const ConfidentAnswers answers(seed);
  const auto found = risk_coverage(answers.confidences, answers.correct).threshold_for_risk(most);
  double best = 2;
  for (const double t : answers.confidences) {
    const auto [accepted, errors] = answers.accepted_and_errors(t);
    if (errors / accepted <= most) best = std::min(best, t);
  }
  CHECK(found.has_value() == (best < 2));
  if (!found) return;
  CHECK(found->point.threshold == best);
  const auto [accepted, errors] = answers.accepted_and_errors(best);
  const auto n = static_cast<double>(answers.correct.size());
  CHECK(std::abs(found->deferred - (1 - accepted / n)) < risk_rounding);
  CHECK_FALSE(found->upper_risk.has_value());
}

TEST_CASE("the threshold for a sure risk is the smallest whose exact limit keeps it",
          "[metrics][property]") {
  const auto seed = static_cast<std::uint64_t>(GENERATE(range(1, 21)));
  const double most = GENERATE(0.1, 0.3);
  CAPTURE(seed, most);
  const ConfidentAnswers answers(seed);
  const auto found =
      risk_coverage(answers.confidences, answers.correct).threshold_for_risk(most, 0.9);
  double best = 2;
  for (const double t : answers.confidences) {
    const auto [accepted, errors] = answers.accepted_and_errors(t);
    if (few_errors_probability(errors, accepted, most) <= 0.1) best = std::min(best, t);
  }
  CHECK(found.has_value() == (best < 2));
  if (!found) return;
  CHECK(found->point.threshold == best);
  REQUIRE(found->upper_risk.has_value());
  CHECK(*found->upper_risk <= most * (1 + 1e-12));
  CHECK(*found->upper_risk > found->point.risk);
}

TEST_CASE("where no threshold keeps a risk all is deferred", "[metrics][property]") {
  const std::vector<double> confidences{0.9, 0.5};
  const std::vector<std::uint8_t> wrong{0, 0};
  const std::vector<std::uint8_t> right{1, 1};
  CHECK_FALSE(risk_coverage(confidences, wrong).threshold_for_risk(0.5).has_value());
  CHECK_FALSE(risk_coverage(confidences, right).threshold_for_risk(0.5, 0.99).has_value());
  CHECK(risk_coverage(confidences, right).threshold_for_risk(0, {})->point.threshold == 0.5);
  CHECK(risk_coverage(confidences, wrong).threshold_for_risk(1, 0.9)->upper_risk == 1);
}

TEST_CASE("answers that make no risk coverage curve are refused", "[metrics][error]") {
  const std::vector<double> one{0.5};
  const std::vector<std::uint8_t> right{1};
  CHECK(message_of<ArgumentError>([] { (void)risk_coverage({}, {}); }) ==
        "confidences are empty, expected at least one");
  CHECK(message_of<ShapeError>([&] { (void)risk_coverage(one, {}); }) ==
        "correct flags have 0 entries, expected 1, one a row");
  const std::vector<std::uint8_t> two{2};
  CHECK(message_of<ArgumentError>([&] { (void)risk_coverage(one, two); }) ==
        "correct flag 0 is 2, expected 0 (wrong) or 1 (right)");
  const std::vector<double> nan{std::nan("")};
  CHECK(message_of<NonFiniteError>([&] { (void)risk_coverage(nan, right); }) ==
        "confidence 0 is nan, expected a finite number");
  const RiskCoverage curve = risk_coverage(one, right);
  CHECK(message_of<ArgumentError>([&] { (void)curve.risk_at(0); }) ==
        "coverage is 0, expected above 0 and at most 1");
  CHECK(message_of<ArgumentError>([&] { (void)curve.threshold_for_risk(1.5); }) ==
        "max_risk is 1.5, expected 0 to 1");
  CHECK(message_of<ArgumentError>([&] { (void)curve.threshold_for_risk(0.5, 1.0); }) ==
        "level is 1, expected above 0 and below 1");
}
