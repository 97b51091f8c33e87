// SPDX-License-Identifier: MIT
#include "anyssr/metrics/continual.hpp"

#include <cmath>
#include <limits>

#include "support/catch.hpp"

namespace {

using namespace anyssr;
using anyssr::test::message_of;

constexpr double few_roundings = 16 * std::numeric_limits<double>::epsilon();

/// After learning \ on   task 0  task 1  task 2
///        0               0.90    0.20    0.10
///        1               0.95    0.80    0.30
///        2               0.70    0.85    0.60
AccuracyMatrix three_tasks() {
  AccuracyMatrix accuracy(3);
  const double values[3][3] = {{0.90, 0.20, 0.10}, {0.95, 0.80, 0.30}, {0.70, 0.85, 0.60}};
  for (Index i = 0; i < 3; ++i) {
    for (Index j = 0; j < 3; ++j) accuracy.set(i, j, values[i][j]);
  }
  return accuracy;
}

/// The lower triangle alone.
AccuracyMatrix learned_tasks() {
  const AccuracyMatrix full = three_tasks();
  AccuracyMatrix accuracy(3);
  for (Index i = 0; i < 3; ++i) {
    for (Index j = 0; j <= i; ++j) accuracy.set(i, j, full(i, j));
  }
  return accuracy;
}

}  // namespace

TEST_CASE("average accuracy is the mean of the last row", "[metrics][golden]") {
  // (0.70 + 0.85 + 0.60) / 3 = 2.15 / 3
  CHECK(std::abs(average_accuracy(three_tasks()) - 2.15 / 3) < few_roundings);
}

TEST_CASE("forgetting is the best accuracy before the last task minus the last",
          "[metrics][golden]") {
  // task 0: best of 0.90 and 0.95 is 0.95, last 0.70: 0.25
  // task 1: best is 0.80, last 0.85: -0.05; task 2 does not count: (0.25 - 0.05) / 2 = 0.10
  CHECK(std::abs(forgetting(three_tasks()) - 0.10) < few_roundings);
}

TEST_CASE("backward transfer compares the last row with the diagonal", "[metrics][golden]") {
  // (0.70 - 0.90) + (0.85 - 0.80) = -0.15, over 2 tasks
  CHECK(std::abs(backward_transfer(three_tasks()) + 0.075) < few_roundings);
}

TEST_CASE("forward transfer compares the entries above the diagonal with an untrained model",
          "[metrics][golden]") {
  // task 1: 0.20 - 0.05; task 2: 0.30 - 0.10: (0.15 + 0.20) / 2; entry 0 plays no part
  CHECK(std::abs(forward_transfer(three_tasks(), std::vector{0.5, 0.05, 0.10}) - 0.175) <
        few_roundings);
}

TEST_CASE("learning accuracy is the mean of the diagonal", "[metrics][golden]") {
  // (0.90 + 0.80 + 0.60) / 3 = 2.30 / 3
  CHECK(std::abs(learning_accuracy(three_tasks()) - 2.30 / 3) < few_roundings);
}

TEST_CASE("only forward transfer needs entries above the diagonal", "[metrics][property]") {
  const AccuracyMatrix lower = learned_tasks();
  const AccuracyMatrix full = three_tasks();
  CHECK(average_accuracy(lower) == average_accuracy(full));
  CHECK(forgetting(lower) == forgetting(full));
  CHECK(backward_transfer(lower) == backward_transfer(full));
  CHECK(learning_accuracy(lower) == learning_accuracy(full));
  CHECK(message_of<ArgumentError>([&] {
          (void)forward_transfer(lower, std::vector{0.0, 0.0, 0.0});
        }) ==
        "accuracy on task 1 after learning task 0 was not set, expected set(0, 1, ...) before it "
        "is read");
}

TEST_CASE("one task has no forgetting and no transfer", "[metrics][golden]") {
  AccuracyMatrix accuracy(1);
  accuracy.set(0, 0, 0.75);
  CHECK(average_accuracy(accuracy) == 0.75);
  CHECK(learning_accuracy(accuracy) == 0.75);
  CHECK(forgetting(accuracy) == 0);
  CHECK(backward_transfer(accuracy) == 0);
  CHECK(forward_transfer(accuracy, std::vector{0.5}) == 0);
}

TEST_CASE("a system that keeps every accuracy forgets nothing", "[metrics][property]") {
  AccuracyMatrix accuracy(4);
  for (Index i = 0; i < 4; ++i) {
    for (Index j = 0; j <= i; ++j) accuracy.set(i, j, 0.9 - 0.1 * static_cast<double>(j));
  }
  CHECK(forgetting(accuracy) == 0);
  CHECK(backward_transfer(accuracy) == 0);
  CHECK(average_accuracy(accuracy) == learning_accuracy(accuracy));
}

TEST_CASE("rows hold the tasks learned so far and entries tell whether they were set",
          "[metrics][property]") {
  AccuracyMatrix accuracy = learned_tasks();
  CHECK(accuracy.tasks() == 3);
  CHECK(accuracy.row(0) == std::vector{0.90});
  CHECK(accuracy.row(1) == std::vector{0.95, 0.80});
  CHECK(accuracy.row(2) == std::vector{0.70, 0.85, 0.60});
  CHECK(accuracy.has(2, 1));
  CHECK_FALSE(accuracy.has(1, 2));
  accuracy.set(1, 2, 0);
  CHECK(accuracy.has(1, 2));
  accuracy.set(1, 2, 1);
  CHECK(accuracy(1, 2) == 1);
}

TEST_CASE("an accuracy that is no share is refused and changes nothing", "[metrics][error]") {
  AccuracyMatrix accuracy = learned_tasks();
  CHECK(message_of<ArgumentError>([&] { accuracy.set(2, 1, 85); }) ==
        "accuracy on task 1 after learning task 2 is 85, expected a share from 0 to 1");
  CHECK_THROWS_AS(accuracy.set(2, 1, -0.01), ArgumentError);
  CHECK_THROWS_AS(accuracy.set(2, 1, std::nan("")), ArgumentError);
  CHECK(accuracy(2, 1) == 0.85);
}

TEST_CASE("indices outside the matrix and entries that were not set are refused",
          "[metrics][error]") {
  AccuracyMatrix accuracy(2);
  const std::string outside = "is outside the matrix, expected indices from 0 to 1";
  CHECK(message_of<ArgumentError>([&] { accuracy.set(2, 0, 0.5); }) == "entry (2, 0) " + outside);
  CHECK(message_of<ArgumentError>([&] { (void)accuracy(0, -1); }) == "entry (0, -1) " + outside);
  CHECK(message_of<ArgumentError>([&] { (void)accuracy.has(0, 2); }) == "entry (0, 2) " + outside);
  CHECK(message_of<ArgumentError>([&] { (void)accuracy.row(-1); }) == "entry (-1, 0) " + outside);
  CHECK(message_of<ArgumentError>([&] { (void)accuracy.row(2); }) == "entry (2, 0) " + outside);
  accuracy.set(1, 0, 0.5);
  const std::string unset =
      "accuracy on task 1 after learning task 1 was not set, expected set(1, 1, ...) before it is "
      "read";
  CHECK(message_of<ArgumentError>([&] { (void)accuracy.row(1); }) == unset);
  CHECK(message_of<ArgumentError>([&] { (void)average_accuracy(accuracy); }) == unset);
  CHECK_THROWS_AS(forgetting(accuracy), ArgumentError);
  CHECK_THROWS_AS(backward_transfer(accuracy), ArgumentError);
  CHECK_THROWS_AS(learning_accuracy(accuracy), ArgumentError);
}

TEST_CASE("a matrix without tasks is refused", "[metrics][error]") {
  CHECK(message_of<ArgumentError>([] { AccuracyMatrix{0}; }) == "tasks is 0, expected 1 to 65536");
  CHECK_THROWS_AS(AccuracyMatrix(65537), ArgumentError);
}

TEST_CASE("forward transfer refuses untrained accuracies of the wrong length or range",
          "[metrics][error]") {
  const AccuracyMatrix accuracy = three_tasks();
  CHECK(message_of<ShapeError>([&] {
          (void)forward_transfer(accuracy, std::vector{0.1, 0.2});
        }) == "untrained accuracies have 2 entries, expected 3, one a task");
  CHECK(message_of<ArgumentError>([&] {
          (void)forward_transfer(accuracy, std::vector{0.1, 0.2, 1.5});
        }) == "untrained accuracy on task 2 is 1.5, expected a share from 0 to 1");
}

TEST_CASE("mean scores fill a matrix as accuracies do", "[metrics][property]") {
  AccuracyMatrix scores(2);
  scores.set(0, 0, 0.588);
  scores.set(1, 0, 0.5);
  scores.set(1, 1, 1.0 / 3);
  CHECK(average_accuracy(scores) == (0.5 + 1.0 / 3) / 2);
  CHECK(std::abs(forgetting(scores) - 0.088) < 1e-15);
  CHECK(message_of<ArgumentError>([&] { scores.set(0, 0, 1.25); }) ==
        "accuracy on task 0 after learning task 0 is 1.25, expected a share from 0 to 1");
}
