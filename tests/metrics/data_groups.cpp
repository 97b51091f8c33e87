// SPDX-License-Identifier: MIT
#include "anyssr/metrics/data_groups.hpp"

#include <cmath>
#include <string>
#include <vector>

#include "anyssr/core/random.hpp"
#include "support/catch.hpp"

namespace {

using namespace anyssr;
using anyssr::test::message_of;

}  // namespace

TEST_CASE("the gap is between the best and the worst group with enough rows", "[metrics][golden]") {
  const auto gaps = group_gaps(
      {{"region", {{"eu", {90, 100}}, {"us", {140, 200}}, {"za", {3, 3}}, {"jp", {24, 30}}}},
       {"tiny", {{"x", {1, 2}}}}},
      30);
  REQUIRE(gaps.size() == 2);
  CHECK(gaps[0].column == "region");
  CHECK(gaps[0].best == "eu");
  CHECK(gaps[0].worst == "us");
  CHECK(std::abs(gaps[0].gap - 0.2) < 1e-15);
  CHECK(gaps[0].left_out == std::vector<std::string>{"za"});
  REQUIRE(gaps[0].groups.size() == 4);
  CHECK(gaps[0].groups[1].value == "jp");
  CHECK(gaps[0].groups[1].accuracy == 0.8);
  CHECK(gaps[0].groups[1].compared);
  CHECK(gaps[0].groups[3].accuracy == 1);
  CHECK_FALSE(gaps[0].groups[3].compared);
  CHECK(gaps[1].gap == 0);
  CHECK(gaps[1].p == 1);
  CHECK(gaps[1].best.empty());
  CHECK(gaps[1].left_out == std::vector<std::string>{"x"});
}

TEST_CASE("the p-value of a gap is that of the two by two table", "[metrics][golden]") {
  // 90 of 100 and 75 of 100 right: expected 82.5 and 17.5, 4 cells, each (7.5)^2 over its own
  const auto gaps = group_gaps({{"c", {{"a", {90, 100}}, {"b", {75, 100}}}}}, 1);
  const double chi_square = 2 * 56.25 / 82.5 + 2 * 56.25 / 17.5;
  CHECK(std::abs(gaps[0].p - std::erfc(std::sqrt(chi_square / 2))) < 1e-14);
  CHECK(group_gaps({{"c", {{"a", {9, 9}}, {"b", {8, 8}}}}}, 1)[0].p == 1);
  CHECK(group_gaps({{"c", {{"a", {0, 9}}, {"b", {0, 8}}}}}, 1)[0].best == "a");
}

TEST_CASE("groups that are served alike differ as rarely as the p-value says",
          "[metrics][property]") {
  int below = 0;
  for (std::uint64_t seed = 1; seed <= 1000; ++seed) {
    RandomStream random(seed);
    GroupCounts counts;
    for (int i = 0; i < 400; ++i) {
      GroupCount& group = counts["c"][std::to_string(random.below(5))];
      group.right += random.uniform() < 0.8F ? 1 : 0;
      ++group.total;
    }
    below += group_gaps(counts, 30)[0].p < 0.05 ? 1 : 0;
  }
  // 50 expected; outside 25..80 about once in 10000 times
  CHECK(below >= 25);
  CHECK(below <= 80);
}

TEST_CASE("groups of no size are refused", "[metrics][error]") {
  CHECK(message_of<ArgumentError>([] { (void)group_gaps({}, 0); }) ==
        "min_rows is 0, expected at least 1");
}
