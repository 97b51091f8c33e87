// SPDX-License-Identifier: MIT
#include "anyssr/train/constant_head.hpp"

#include <cmath>
#include <vector>

#include "anyssr/core/random.hpp"
#include "anyssr/train/objective.hpp"
#include "support/catch.hpp"
#include "support/numeric.hpp"

using namespace anyssr;
using namespace anyssr::test;

TEMPLATE_TEST_CASE("a constant head gives the same probabilities whatever it reads", "[train]",
                   float, double) {
  using S = TestType;
  const Index classes = GENERATE(1, 2, 7);
  const Index rows = GENERATE(1, 2, 1000);
  CAPTURE(classes, rows);
  const Index label = classes - 1;
  const Head<S> head = constant_head<S>(5, classes, label, rows);
  CHECK_FALSE(head.trained);
  const Matrix<S> queries = S(1e6) * random_normal<S>(9, 5, 3, 0);
  const RowMajorMatrix<S> logs = log_softmax(head.logits(queries));
  const auto c = static_cast<double>(classes);
  const auto n = static_cast<double>(rows);
  for (Index i = 0; i < 9; ++i) {
    for (Index k = 0; k < classes; ++k) {
      const double expected = ((k == label ? n : 0) + 1 / c) / (n + 1);
      CHECK(std::abs(std::exp(static_cast<double>(logs(i, k))) - expected) < round_off<S>(20));
    }
  }
}

TEST_CASE("a constant head of a class that cannot be is refused", "[train][error]") {
  const auto refused = [](Index classes, Index label, Index rows) {
    return message_of<ArgumentError>([&] { (void)constant_head<float>(3, classes, label, rows); });
  };
  CHECK(refused(2, 2, 5) == "label is 2, expected 0 to 1");
  CHECK(refused(2, -1, 5) == "label is -1, expected 0 to 1");
  CHECK(refused(2, 0, 0) == "rows is 0, expected at least 1");
}

TEST_CASE("one class is what equal labels are", "[train]") {
  CHECK(is_of_one_class(std::vector<Index>{}));
  CHECK(is_of_one_class(std::vector<Index>{3}));
  CHECK(is_of_one_class(std::vector<Index>{3, 3, 3}));
  CHECK_FALSE(is_of_one_class(std::vector<Index>{3, 3, 0}));
}
