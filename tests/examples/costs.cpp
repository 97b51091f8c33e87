// SPDX-License-Identifier: MIT
// What the operations program says a month costs.
#include "operations/costs.hpp"

#include <cmath>
#include <string>
#include <vector>

#include "support/catch.hpp"

using anyssr::test::contains;
using anyssr::test::message_of;
using operations::CostForecast;
using operations::CostModel;
using operations::forecast_cost;

namespace {

bool is_near(double a, double b, double share) { return std::abs(a - b) <= share * std::abs(b); }

}  // namespace

TEST_CASE("a month costs what its parts cost", "[examples][golden]") {
  const anyssr::StorageForecast storage{.tasks = 1,
                                        .router = {2e9, 1e9},
                                        .adapters = {0, 5e9},
                                        .heads = {0, 1e9},
                                        .inspector = {1e9, 2e9},
                                        .log = {0, 4e9},
                                        .full_copies = {1e11, 1e11},
                                        .replay = {0, 3e9}};
  const CostForecast cost = forecast_cost(storage, {.disk_gb_month = 0.1,
                                                    .memory_gb_month = 3,
                                                    .queries_a_day = 1000,
                                                    .review_share = 0.02,
                                                    .review_cost = 0.5});
  CHECK(is_near(cost.router, 6.1, 1e-14));
  CHECK(is_near(cost.adapters, 0.6, 1e-14));
  CHECK(is_near(cost.inspector, 3.2, 1e-14));
  CHECK(is_near(cost.log, 0.4, 1e-14));
  CHECK(is_near(cost.reviews, 304.375, 1e-14));  // 10 a day for 30.4375 days
  CHECK(is_near(cost.total(), 314.675, 1e-14));
  CHECK(is_near(cost.full_copies, 310, 1e-14));
  CHECK(is_near(cost.replay, 0.3, 1e-14));
}

TEST_CASE("costs are printed as a table", "[examples][golden]") {
  const std::vector<anyssr::StorageForecast> forecasts{
      {.tasks = 10000, .full_copies = {.disk = 10000 * 13.48e9}}};
  const std::string text = operations::costs_text(forecasts, {.disk_gb_month = 0.1});
  CHECK(contains(text, "cost a month\ntasks"));
  CHECK(contains(text, "\n10000         0.00"));
  CHECK(contains(text, "     13480.00         0.00\n"));
}

TEST_CASE("a cost model out of range is refused", "[examples][error]") {
  const auto refused = [](const CostModel& model) {
    return message_of<anyssr::ArgumentError>([&] { (void)forecast_cost({}, model); });
  };
  CHECK(refused({.disk_gb_month = -1}) == "disk_gb_month is -1, expected 0 to 1e+12");
  CHECK(refused({.memory_gb_month = NAN}) == "memory_gb_month is nan, expected 0 to 1e+12");
  CHECK(refused({.review_share = 2}) == "review_share is 2, expected 0 to 1");
  CHECK(refused({.review_cost = INFINITY}) == "review_cost is inf, expected 0 to 1e+12");
}
