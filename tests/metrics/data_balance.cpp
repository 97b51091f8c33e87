// SPDX-License-Identifier: MIT
#include "anyssr/metrics/data_balance.hpp"

#include <map>
#include <string>

#include "support/catch.hpp"

namespace {

using namespace anyssr;
using anyssr::test::message_of;

}  // namespace

TEST_CASE("a dominating label is named with its share", "[metrics][golden]") {
  const auto warnings = label_warnings("billing", {{0, 100}, {1, 40}, {3, 360}});
  REQUIRE(warnings.size() == 1);
  CHECK(warnings[0].text ==
        "task 'billing': 72 % of the 500 rows are label 3, expected at most 60 %");
  CHECK((warnings[0].kind == BalanceKind::label_share));
  CHECK(warnings[0].task == "billing");
  CHECK(warnings[0].label == 3);
  CHECK(warnings[0].rows == 360);
  CHECK(warnings[0].of == 500);
  CHECK(warnings[0].share == 0.72);
  CHECK(warnings[0].limit == 0.6);
}

TEST_CASE("rare labels are named after a dominating one", "[metrics][golden]") {
  const auto warnings = label_warnings("a\nb", {{1, 2}, {2, 95}, {7, 5}, {9, 0}});
  REQUIRE(warnings.size() == 2);
  CHECK(warnings[0].text ==
        "task 'a?b': 93.1 % of the 102 rows are label 2, expected at most 60 %");
  CHECK(warnings[1].text == "task 'a?b': 2 of the 102 rows are label 1, expected at least 5");
  CHECK((warnings[1].kind == BalanceKind::label_rows));
  CHECK(warnings[1].limit == 5);
}

TEST_CASE("balanced labels and few rows are no matter for a warning", "[metrics][property]") {
  CHECK(label_warnings("even", {{0, 60}, {1, 40}}).empty());
  CHECK(label_warnings("few", {{0, 19}}).empty());
  CHECK(label_warnings("few", {{0, 20}}).size() == 1);
  CHECK(label_warnings("asked for", {{0, 6}}, {.min_rows = 6}).size() == 1);
  CHECK(label_warnings("none", {}).empty());
}

TEST_CASE("tasks that are large or small beside the others are named", "[metrics][golden]") {
  const auto warnings = task_warnings({{"big", 880}, {"middle", 100}, {"small", 20}});
  REQUIRE(warnings.size() == 2);
  CHECK(warnings[0].text ==
        "task 'big': 880 of all the 1000 rows (88 %) are its own, expected at most 60 %");
  CHECK((warnings[0].kind == BalanceKind::large_task));
  CHECK(warnings[0].label == -1);
  CHECK(warnings[1].text ==
        "task 'small': 20 of all the 1000 rows (2 %) are its own, expected at least 3.3 %");
  CHECK((warnings[1].kind == BalanceKind::small_task));
  CHECK(task_warnings({{"alone", 1000}}).empty());
  CHECK(task_warnings({{"a", 15}, {"b", 1}}).empty());
}

TEST_CASE("balance options out of range are refused", "[metrics][error]") {
  const auto refused = [](const BalanceOptions& options) {
    CHECK_THROWS_AS(task_warnings({}, options), ArgumentError);
    return message_of<ArgumentError>([&] { (void)label_warnings("a", {}, options); });
  };
  CHECK(refused({.largest_label_share = 0}) ==
        "largest_label_share is 0, expected above 0 and at most 1");
  CHECK(refused({.fewest_label_rows = -1}) == "fewest_label_rows is -1, expected 0 or more");
  CHECK(refused({.largest_task_share = 1.5}) ==
        "largest_task_share is 1.5, expected above 0 and at most 1");
  CHECK(refused({.smallest_task_share = -0.5}) == "smallest_task_share is -0.5, expected 0 to 1");
  CHECK(refused({.min_rows = 0}) == "min_rows is 0, expected at least 1");
}
