// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// What a learner costs a month: the bytes of a storage forecast, and the people who review.

#include <anyssr/core/error.hpp>
#include <anyssr/core/text.hpp>
#include <anyssr/store/storage_forecast.hpp>
#include <iomanip>
#include <span>
#include <sstream>
#include <string>
#include <string_view>

namespace operations {

/// Prices in a currency of the reader's. A month is 365.25 / 12 days.
struct CostModel {
  double disk_gb_month = 0;    ///< price of 1e9 bytes on disk for a month, at least 0
  double memory_gb_month = 0;  ///< of 1e9 bytes in memory
  double queries_a_day = 0;    ///< at least 0
  double review_share = 0;     ///< of the queries that go to a person, 0..1
  double review_cost = 0;      ///< of one review
};

/// Costs of one month.
struct CostForecast {
  double router = 0;       ///< memory and disk
  double adapters = 0;     ///< likewise, heads among them
  double inspector = 0;    ///< likewise
  double log = 0;          ///< disk
  double reviews = 0;      ///< people
  double full_copies = 0;  ///< the other way, in place of router and adapters
  double replay = 0;       ///< the other way, likewise

  [[nodiscard]] double total() const noexcept {
    return router + adapters + inspector + log + reviews;
  }
};

inline void expect_amount(std::string_view name, double value, double most) {
  if (value >= 0 && value <= most) return;  // NaN is neither
  std::ostringstream message;
  message << name << " is " << value << ", expected 0 to " << most;
  throw anyssr::ArgumentError(message.str());
}

/// @throws anyssr::ArgumentError  for a price or share out of its range
[[nodiscard]] inline CostForecast forecast_cost(const anyssr::StorageForecast& storage,
                                                const CostModel& model) {
  expect_amount("disk_gb_month", model.disk_gb_month, 1e12);
  expect_amount("memory_gb_month", model.memory_gb_month, 1e12);
  expect_amount("queries_a_day", model.queries_a_day, 1e18);
  expect_amount("review_share", model.review_share, 1);
  expect_amount("review_cost", model.review_cost, 1e12);
  const auto price = [&](const anyssr::StoragePart& part) {
    return (part.memory * model.memory_gb_month + part.disk * model.disk_gb_month) / 1e9;
  };
  constexpr double days = 365.25 / 12;
  return {.router = price(storage.router),
          .adapters = price(storage.adapters) + price(storage.heads),
          .inspector = price(storage.inspector),
          .log = price(storage.log),
          .reviews = days * model.queries_a_day * model.review_share * model.review_cost,
          .full_copies = price(storage.full_copies),
          .replay = price(storage.replay)};
}

/// A table of a month's costs, one line per number of tasks.
/// @throws anyssr::ArgumentError  as forecast_cost
[[nodiscard]] inline std::string costs_text(std::span<const anyssr::StorageForecast> forecasts,
                                            const CostModel& model) {
  std::ostringstream text;
  text << "cost a month\n" << std::setw(5) << "tasks";
  for (const char* name :
       {"router", "adapters", "inspector", "log", "reviews", "total", "full copies", "replay"}) {
    text << std::setw(13) << name;
  }
  text << '\n';
  for (const anyssr::StorageForecast& storage : forecasts) {
    const CostForecast cost = forecast_cost(storage, model);
    text << std::setw(5) << storage.tasks;
    for (const double price : {cost.router, cost.adapters, cost.inspector, cost.log, cost.reviews,
                               cost.total(), cost.full_copies, cost.replay}) {
      text << std::setw(13) << anyssr::fixed_text(price);
    }
    text << '\n';
  }
  return text.str();
}

}  // namespace operations
