// SPDX-License-Identifier: MIT
#include "anyssr/metrics/confusion.hpp"

#include <string>

#include "support/catch.hpp"

namespace {

using namespace anyssr;
using anyssr::test::message_of;

/// truth \ predicted   0  1  2  3
///         0           6  2  0  0
///         1           1  5  3  1
///         2           0  2  2  0
///         3           0  0  0  0
ConfusionMatrix four_labels() {
  ConfusionMatrix matrix(4);
  const Index counts[4][4] = {{6, 2, 0, 0}, {1, 5, 3, 1}, {0, 2, 2, 0}, {0, 0, 0, 0}};
  for (Index i = 0; i < 4; ++i) {
    for (Index j = 0; j < 4; ++j) {
      for (Index k = 0; k < counts[i][j]; ++k) matrix.add(i, j);
    }
  }
  return matrix;
}

std::string listed(const std::vector<ConfusedPair>& pairs) {
  std::string text;
  for (const ConfusedPair& p : pairs) {
    text += std::to_string(p.truth) + ">" + std::to_string(p.predicted) + ":" +
            std::to_string(p.count) + " ";
  }
  return text;
}

}  // namespace

TEST_CASE("a confusion matrix counts its answers", "[metrics][golden]") {
  const ConfusionMatrix matrix = four_labels();
  CHECK(matrix.labels() == 4);
  CHECK(matrix.total() == 22);
  CHECK(matrix.count(1, 2) == 3);
  CHECK(matrix.count(2, 1) == 2);
  CHECK(matrix.truth_total(1) == 10);
  CHECK(matrix.truth_total(3) == 0);
  CHECK(matrix.accuracy() == 13.0 / 22);  // 6 + 5 + 2 right
  CHECK(matrix.recall(0) == 0.75);
  CHECK(matrix.recall(2) == 0.5);
}

TEST_CASE("the worst pairs come by count and then by share of their truth", "[metrics][golden]") {
  // counts 3; 2 of 4; 2 of 8; then the two single ones of label 1 (share 0.1) by predicted label
  const std::vector<ConfusedPair> pairs = four_labels().worst_pairs();
  CHECK(listed(pairs) == "1>2:3 2>1:2 0>1:2 1>0:1 1>3:1 ");
  REQUIRE(pairs.size() == 5);
  CHECK(pairs[0].share == 0.3);
  CHECK(pairs[1].share == 0.5);
  CHECK(pairs[2].share == 0.25);
  CHECK(pairs[4].share == 0.1);
  CHECK(listed(four_labels().worst_pairs(2)) == "1>2:3 2>1:2 ");
  CHECK(four_labels().worst_pairs(0).empty());
}

TEST_CASE("right answers are in no pair", "[metrics][property]") {
  ConfusionMatrix matrix(2);
  matrix.add(0, 0);
  matrix.add(1, 1);
  CHECK(matrix.worst_pairs().empty());
  CHECK(matrix.accuracy() == 1);
}

TEST_CASE("labels outside the confusion matrix are refused and not counted", "[metrics][error]") {
  ConfusionMatrix matrix(2);
  CHECK(message_of<ArgumentError>([&] { matrix.add(2, 0); }) ==
        "truth label is 2, expected 0 to 1");
  CHECK(message_of<ArgumentError>([&] { matrix.add(0, -1); }) ==
        "predicted label is -1, expected 0 to 1");
  CHECK_THROWS_AS(matrix.count(0, 2), ArgumentError);
  CHECK_THROWS_AS(matrix.truth_total(2), ArgumentError);
  CHECK(matrix.total() == 0);
  CHECK(matrix.truth_total(0) == 0);
}

TEST_CASE("shares of no answers are refused", "[metrics][error]") {
  ConfusionMatrix matrix(2);
  CHECK(message_of<ArgumentError>([&] { (void)matrix.accuracy(); }) ==
        "the confusion matrix is empty, expected at least one answer");
  matrix.add(0, 0);
  CHECK(message_of<ArgumentError>([&] { (void)matrix.recall(1); }) ==
        "label 1 has no answers, expected at least one");
  CHECK(message_of<ArgumentError>([&] { (void)matrix.worst_pairs(-1); }) ==
        "limit is -1, expected 0 or more");
}

TEST_CASE("a confusion matrix of no or too many labels is refused", "[metrics][error]") {
  CHECK(message_of<ArgumentError>([] { ConfusionMatrix{0}; }) ==
        "labels is 0, expected 1 to 32768");
  CHECK_THROWS_AS(ConfusionMatrix(32769), ArgumentError);
}
