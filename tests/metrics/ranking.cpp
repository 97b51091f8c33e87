// SPDX-License-Identifier: MIT
#include "anyssr/metrics/ranking.hpp"

#include <cmath>
#include <limits>

#include "anyssr/core/random.hpp"
#include "support/catch.hpp"

namespace {

using namespace anyssr;
using anyssr::test::message_of;
using Scores = std::vector<double>;

constexpr double rank_rounding = 16 * std::numeric_limits<double>::epsilon();
constexpr double infinity = std::numeric_limits<double>::infinity();

/// Every pair by itself.
double slow_auroc(const Scores& positive, const Scores& negative) {
  double wins = 0;
  for (const double p : positive) {
    for (const double q : negative) wins += p > q ? 1 : p == q ? 0.5 : 0;
  }
  return wins / static_cast<double>(positive.size() * negative.size());
}

double share_at_least(const Scores& scores, double threshold) {
  double count = 0;
  for (const double s : scores) count += s >= threshold ? 1 : 0;
  return count / static_cast<double>(scores.size());
}

/// Every positive score tried as the threshold: among those that reach tpr the highest, which has
/// the lowest false positive rate.
double slow_false_positive_rate(const Scores& positive, const Scores& negative, double tpr) {
  double best = 1;
  for (const double t : positive) {
    if (share_at_least(positive, t) >= tpr) best = std::min(best, share_at_least(negative, t));
  }
  return best;
}

/// Few distinct values, so that many tie.
Scores coarse_scores(int count, double shift, RandomStream& random) {
  Scores scores;
  for (int i = 0; i < count; ++i) scores.push_back(shift + random.below(12));
  return scores;
}

}  // namespace

TEST_CASE("the area under the curve counts the pairs in the right order", "[metrics][golden]") {
  // 0.8 beats 0.1, 0.4, 0.6: 3; 0.4 beats 0.1 and ties with 0.4: 1.5; 4.5 of 6 pairs
  CHECK(auroc(Scores{0.8, 0.4}, Scores{0.1, 0.6, 0.4}) == 0.75);
  CHECK(auroc(Scores{2, 3}, Scores{0, 1}) == 1);
  CHECK(auroc(Scores{0, 1}, Scores{2, 3}) == 0);
  CHECK(auroc(Scores{5, 5, 5}, Scores{5, 5}) == 0.5);
  CHECK(auroc(Scores{infinity}, Scores{1, -infinity, infinity}) == 2.5 / 3);
}

TEST_CASE("the false positive rate is read where enough positives pass", "[metrics][golden]") {
  // positives 5 4 3 2 1; 0.6 of them pass at 3, where 2 of the 4 negatives (3 and 6) pass;
  // 0.61 needs a fourth: threshold 2, negatives 2, 3, 6; all positives: threshold 1, all negatives
  const Scores positive{1, 4, 2, 5, 3};
  const Scores negative{6, 3, 2, 1};
  CHECK(false_positive_rate_at(positive, negative, 0.6) == 0.5);
  CHECK(false_positive_rate_at(positive, negative, 0.61) == 0.75);
  CHECK(false_positive_rate_at(positive, negative, 1) == 1);
  CHECK(false_positive_rate_at(positive, negative, 0.2) == 0.25);
  CHECK(false_positive_rate_at(positive, negative, 1e-300) == 0.25);
}

TEST_CASE("the false positive rate is asked at 95 per cent unless told", "[metrics][golden]") {
  // 20 positives 1..20: 19 of them pass at 2; negatives 0..9: 8 of 10 are at least 2
  Scores positive;
  Scores negative;
  for (int i = 1; i <= 20; ++i) positive.push_back(i);
  for (int i = 0; i < 10; ++i) negative.push_back(i);
  CHECK(false_positive_rate_at(positive, negative) == 0.8);
}

TEST_CASE("rounding of the wanted rate asks for no positive more or less",
          "[metrics][regression]") {
  // 0.55 * 100 rounds above 55: 55 of 100 must be enough all the same; the number next above
  // 0.35 times 100 rounds to 35: 35 of 100 are not enough all the same
  Scores positive;
  for (int i = 1; i <= 100; ++i) positive.push_back(i);
  for (int k = 1; k <= 100; ++k) {
    CAPTURE(k);
    const Scores negative{100.5 - k};  // passes only where more than k positives do
    CHECK(false_positive_rate_at(positive, negative, k / 100.0) == 0);
    if (k == 100) continue;
    CHECK(false_positive_rate_at(positive, negative, std::nextafter(k / 100.0, 1.0)) == 1);
  }
}

TEST_CASE("both figures agree with counting every pair", "[metrics][property]") {
  const auto seed = static_cast<std::uint64_t>(GENERATE(range(1, 21)));
  CAPTURE(seed);
  RandomStream random(seed);
  const int count = 1 + static_cast<int>(random.below(60));
  const Scores positive = coarse_scores(count, 2, random);
  const Scores negative = coarse_scores(61 - count, 0, random);
  CHECK(std::abs(auroc(positive, negative) - slow_auroc(positive, negative)) < rank_rounding);
  CHECK(std::abs(auroc(positive, negative) + auroc(negative, positive) - 1) < rank_rounding);
  for (const double tpr : {0.05, 0.5, 0.9, 0.95, 1.0}) {
    CAPTURE(tpr);
    CHECK(false_positive_rate_at(positive, negative, tpr) ==
          slow_false_positive_rate(positive, negative, tpr));
  }
}

TEST_CASE("a ranking without scores or with NaN is refused", "[metrics][error]") {
  const Scores some{0.5, 0.25};
  CHECK(message_of<ArgumentError>([&] { (void)auroc({}, some); }) ==
        "positive scores are empty, expected at least one");
  CHECK(message_of<ArgumentError>([&] { (void)auroc(some, {}); }) ==
        "negative scores are empty, expected at least one");
  const Scores broken{0.5, std::nan("")};
  const std::string hold_nan = " scores hold NaN at entry 1, expected numbers that can be ordered";
  CHECK(message_of<NonFiniteError>([&] { (void)auroc(broken, some); }) == "positive" + hold_nan);
  CHECK(message_of<NonFiniteError>([&] { (void)false_positive_rate_at(some, broken); }) ==
        "negative" + hold_nan);
  CHECK_THROWS_AS(false_positive_rate_at({}, some), ArgumentError);
}

TEST_CASE("a true positive rate outside its range is refused", "[metrics][error]") {
  const Scores some{0.5};
  CHECK(message_of<ArgumentError>([&] { (void)false_positive_rate_at(some, some, 0); }) ==
        "tpr is 0, expected above 0 and at most 1");
  CHECK_THROWS_AS(false_positive_rate_at(some, some, 95), ArgumentError);
  CHECK_THROWS_AS(false_positive_rate_at(some, some, std::nan("")), ArgumentError);
}
