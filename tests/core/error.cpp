// SPDX-License-Identifier: MIT
#include "anyssr/core/error.hpp"

#include <limits>
#include <type_traits>

#include "anyssr/core/progress.hpp"
#include "anyssr/core/rows.hpp"
#include "anyssr/core/version.hpp"
#include "support/catch.hpp"
#include "support/numeric.hpp"

using namespace anyssr;
using namespace anyssr::test;

static_assert(std::is_base_of_v<std::runtime_error, Error>);
static_assert(std::is_base_of_v<Error, ShapeError> && std::is_base_of_v<Error, NonFiniteError>);
static_assert(std::is_base_of_v<Error, ArgumentError> && std::is_base_of_v<Error, TaskError>);
static_assert(std::is_base_of_v<Error, FormatError> && std::is_base_of_v<Error, NumericalError>);
static_assert(std::is_base_of_v<Error, Cancelled>);

TEST_CASE("a shape error names argument and both shapes", "[core][error]") {
  const Matrix<float> x(12, 300);
  CHECK(message_of<ShapeError>([&] { detail::expect_cols("features", x, 512); }) ==
        "features are 12 x 300, expected n x 512");
  CHECK(message_of<ShapeError>([&] { detail::expect_rows("targets", x, 11); }) ==
        "targets are 12 x 300, expected 11 rows");
  CHECK(message_of<ShapeError>([&] { detail::expect_count("labels", 3, 4); }) ==
        "labels have 3 entries, expected 4, one a row");
}

TEMPLATE_TEST_CASE("a number that is not finite is named by place", "[core][error]", float,
                   double) {
  Matrix<TestType> x = Matrix<TestType>::Ones(3, 4);
  detail::expect_finite("features", x);
  x(2, 1) = std::numeric_limits<TestType>::infinity();
  const std::string expected =
      "features hold NaN or infinity at row 2, column 1, expected finite numbers";
  CHECK(message_of<NonFiniteError>([&] { detail::expect_finite("features", x); }) == expected);
  const SparseRows<TestType> sparse = x.sparseView();
  CHECK(message_of<NonFiniteError>([&] { detail::expect_finite("features", sparse); }) == expected);
}

TEST_CASE("a progress callback that says no cancels", "[core][error]") {
  int calls = 0;
  const ProgressCallback stop = [&](const Progress& progress) {
    ++calls;
    return progress.done < 2;
  };
  detail::report({}, {.stage = "train"});
  detail::report(stop, {.stage = "train", .done = 1, .total = 3});
  const std::string message = message_of<Cancelled>(
      [&] { detail::report(stop, {.stage = "train", .done = 2, .total = 3}); });
  CHECK(contains(message, "stage 'train' after 2 of 3 steps"));
  CHECK(calls == 2);
}

TEMPLATE_TEST_CASE("rows are picked in the named order", "[core]", float, double) {
  const Matrix<TestType> x = random_normal<TestType>(6, 4, 1);
  const RowMajorMatrix<TestType> by_rows = x;
  const SparseRows<TestType> sparse = to_sparse<TestType>(x);
  const std::vector<Index> rows{4, 0, 4};
  Matrix<TestType> expected(3, 4);
  expected << x.row(4), x.row(0), x.row(4);
  CHECK((select_rows(x, rows) == expected));
  CHECK((select_rows(by_rows, rows) == expected));
  CHECK((Matrix<TestType>(select_rows(sparse, rows)) == expected));
  const std::vector<Index> missing{6};
  CHECK(message_of<ArgumentError>([&] { (void)select_rows(x, missing); }) ==
        "rows hold 6, expected 0..5");
  CHECK(message_of<ArgumentError>([&] { (void)select_rows(sparse, missing); }) ==
        "rows hold 6, expected 0..5");
}

TEST_CASE("the version macros agree with each other", "[core]") {
  CHECK(std::string(ANYSSR_VERSION_STRING) ==
        detail::concat(ANYSSR_VERSION_MAJOR, ".", ANYSSR_VERSION_MINOR, ".", ANYSSR_VERSION_PATCH));
}
