// SPDX-License-Identifier: MIT
#include "anyssr/metrics/calibration.hpp"

#include <cmath>
#include <limits>

#include "anyssr/core/random.hpp"
#include "support/catch.hpp"

namespace {

using namespace anyssr;
using anyssr::test::message_of;
using Flags = std::vector<std::uint8_t>;

constexpr double rounding = 16 * std::numeric_limits<double>::epsilon();

}  // namespace

TEST_CASE("the calibration error is the gap of each bin weighted by its answers",
          "[metrics][golden]") {
  // 2 bins. (0, 0.5]: confidences 0.2 and 0.4, mean 0.3, one of two right: gap 0.2, weight 2/5.
  // (0.5, 1]: 0.6, 0.9, 0.9, mean 0.8, two of three right: gap 0.8 - 2/3 = 2/15, weight 3/5.
  // 0.4 * 0.2 + 0.6 * 2/15 = 0.08 + 0.08 = 0.16
  const std::vector<double> confidences{0.2, 0.9, 0.4, 0.6, 0.9};
  const Flags correct{0, 1, 1, 0, 1};
  CHECK(std::abs(expected_calibration_error(confidences, correct, 2) - 0.16) < rounding);
}

TEST_CASE("one bin compares the mean confidence with the accuracy", "[metrics][golden]") {
  // mean confidence (0.2 + 0.9 + 0.4 + 0.6 + 0.9) / 5 = 0.6; 3 of 5 right: no gap
  const std::vector<double> confidences{0.2, 0.9, 0.4, 0.6, 0.9};
  CHECK(expected_calibration_error(confidences, Flags{0, 1, 1, 0, 1}, 1) < rounding);
  CHECK(std::abs(expected_calibration_error(confidences, Flags{0, 0, 0, 0, 0}, 1) - 0.6) <
        rounding);
}

TEST_CASE("there are 15 bins where none are asked for", "[metrics][golden]") {
  // 0.61 and 0.66 share (9/15, 10/15]: mean 0.635, accuracy 1/2, error 0.135.
  // 20 bins would part them at 0.65: (0.61 + 0.34) / 2 = 0.475.
  const std::vector<double> confidences{0.61, 0.66};
  const Flags correct{0, 1};
  CHECK(reliability_bins(confidences, correct).size() == 15);
  CHECK(std::abs(expected_calibration_error(confidences, correct) - 0.135) < rounding);
  CHECK(std::abs(expected_calibration_error(confidences, correct, 20) - 0.475) < rounding);
}

TEST_CASE("reliability bins hold their limits and means and empty ones stay zero",
          "[metrics][golden]") {
  const std::vector<double> confidences{0.25, 0.5, 0.75, 1.0};
  const std::vector<ReliabilityBin> bins = reliability_bins(confidences, Flags{1, 0, 1, 1}, 4);
  REQUIRE(bins.size() == 4);
  for (std::size_t b = 0; b < 4; ++b) {  // a limit belongs to the bin below it
    CHECK(bins[b].lower == 0.25 * static_cast<double>(b));
    CHECK(bins[b].upper == 0.25 * static_cast<double>(b + 1));
    CHECK(bins[b].count == 1);
    CHECK(bins[b].mean_confidence == confidences[b]);
    CHECK(bins[b].accuracy == (b == 1 ? 0.0 : 1.0));
  }
  const std::vector<ReliabilityBin> ends = reliability_bins(std::vector{0.0, 1.0}, Flags{0, 1}, 3);
  CHECK(ends[0].count == 1);
  CHECK(ends[1].count == 0);
  CHECK(ends[1].mean_confidence == 0);
  CHECK(ends[1].accuracy == 0);
  CHECK(ends[2].count == 1);
}

TEST_CASE("every confidence lies within the limits of its bin", "[metrics][property]") {
  const Index bins = GENERATE(1, 3, 7, 10, 15, 25, 49);
  CAPTURE(bins);
  for (Index k = 0; k <= bins; ++k) {  // the limits themselves are where rounding could go wrong
    const double limit = static_cast<double>(k) / static_cast<double>(bins);
    for (const double c : {std::nextafter(limit, 0.0), limit, std::nextafter(limit, 1.0)}) {
      const std::vector<ReliabilityBin> result = reliability_bins(std::vector{c}, Flags{1}, bins);
      Index found = 0;
      for (const ReliabilityBin& bin : result) {
        if (bin.count == 0) continue;
        ++found;
        CHECK((c > bin.lower || (c == 0 && bin.lower == 0)));
        CHECK(c <= bin.upper);
      }
      CHECK(found == 1);
    }
  }
}

TEST_CASE("confidences drawn as they claim are calibrated", "[metrics][property]") {
  RandomStream random(3);
  std::vector<double> confidences;
  Flags correct;
  for (int i = 0; i < 20000; ++i) {
    confidences.push_back(static_cast<double>(random.uniform()));
    correct.push_back(static_cast<double>(random.uniform()) < confidences.back() ? 1 : 0);
  }
  // a bin of about 1333 answers has a standard error of at most 0.5 / sqrt(1333) = 0.014
  CHECK(expected_calibration_error(confidences, correct) < 0.014);
  for (double& c : confidences) c = 0.5 + c / 2;
  CHECK(std::abs(expected_calibration_error(confidences, correct) - 0.25) < 0.02);
}

TEST_CASE("answers that are no answers are refused", "[metrics][error]") {
  const std::vector<double> confidences{0.5, 0.7};
  const auto error = [](const std::vector<double>& c, const Flags& flags, Index bins) {
    return message_of<Error>([&] { (void)expected_calibration_error(c, flags, bins); });
  };
  CHECK(error({}, {}, 15) == "confidences are empty, expected at least one");
  CHECK(error(confidences, {1}, 15) == "correct flags have 1 entries, expected 2, one a row");
  CHECK(error({0.5, 1.25}, {1, 1}, 15) == "confidence 1 is 1.25, expected 0 to 1");
  CHECK(error({-0.5, 1}, {1, 1}, 15) == "confidence 0 is -0.5, expected 0 to 1");
  CHECK(error(confidences, {1, 2}, 15) == "correct flag 1 is 2, expected 0 (wrong) or 1 (right)");
  CHECK(error(confidences, {1, 1}, 0) == "bins is 0, expected 1 to 1000000");
  CHECK(error(confidences, {1, 1}, 1000001) == "bins is 1000001, expected 1 to 1000000");
  CHECK_THROWS_AS(expected_calibration_error(std::vector{std::nan("")}, Flags{1}), ArgumentError);
  CHECK_THROWS_AS(reliability_bins(confidences, Flags{1}), ShapeError);
}
