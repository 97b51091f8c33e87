// SPDX-License-Identifier: MIT
#include "anyssr/train/mini_batches.hpp"

#include <map>
#include <set>

#include "support/catch.hpp"

namespace {

using namespace anyssr;
using namespace anyssr::test;

std::vector<Index> order_of(const MiniBatches& batches) {
  std::vector<Index> order;
  for (Index i = 0; i < batches.size(); ++i) {
    order.insert(order.end(), batches[i].begin(), batches[i].end());
  }
  return order;
}

}  // namespace

TEST_CASE("an epoch holds every row once in batches of the asked size", "[train][property]") {
  const Index count = GENERATE(1, 63, 64, 65, 200);
  CAPTURE(count);
  const MiniBatches batches(count, 64, 5, 2);
  CHECK(batches.size() == (count + 63) / 64);
  for (Index i = 0; i + 1 < batches.size(); ++i) CHECK(batches[i].size() == 64);
  CHECK_FALSE(batches[batches.size() - 1].empty());
  const std::vector<Index> order = order_of(batches);
  CHECK(static_cast<Index>(order.size()) == count);
  CHECK(std::set<Index>(order.begin(), order.end()).size() == order.size());
  CHECK(*std::ranges::max_element(order) == count - 1);
}

TEST_CASE("shuffles follow from seed and epoch alone", "[train][property]") {
  const std::vector<Index> order = order_of(MiniBatches(100, 7, 1, 0));
  CHECK(order == order_of(MiniBatches(100, 30, 1, 0)));
  CHECK_FALSE(order == order_of(MiniBatches(100, 7, 1, 1)));
  CHECK_FALSE(order == order_of(MiniBatches(100, 7, 2, 0)));
}

TEST_CASE("a split divides the rows and repeats for its seed", "[train][property]") {
  const RowSplit split = validation_split(50, 0.3, 4);
  CHECK(split.validation.size() == 15);
  CHECK(split.training.size() == 35);
  std::set<Index> all(split.validation.begin(), split.validation.end());
  all.insert(split.training.begin(), split.training.end());
  CHECK(all.size() == 50);
  CHECK(std::ranges::is_sorted(split.validation));
  CHECK(std::ranges::is_sorted(split.training));
  CHECK(validation_split(50, 0.3, 4).validation == split.validation);
  CHECK_FALSE(validation_split(50, 0.3, 5).validation == split.validation);
}

TEST_CASE("a split with labels keeps each label's share", "[train][property]") {
  std::vector<Index> labels;
  for (Index i = 0; i < 100; ++i) labels.push_back(i < 60 ? 7 : i < 90 ? 3 : i < 99 ? -2 : 11);
  const RowSplit split = validation_split(100, 0.2, 9, labels);
  std::map<Index, int> counts;
  for (const Index row : split.validation) ++counts[labels[static_cast<std::size_t>(row)]];
  // 12, 6, 1.8 and 0.2: the total is 20 and the single row of label 11 stays in training.
  CHECK(split.validation.size() == 20);
  CHECK(counts[7] == 12);
  CHECK(counts[3] == 6);
  CHECK(counts[-2] == 2);
  CHECK(counts[11] == 0);
}

TEST_CASE("a small share still sets one row aside", "[train][property]") {
  CHECK(validation_split(2, 0.01, 1).validation.size() == 1);
  CHECK(validation_split(3, 0.99, 1).training.size() == 1);
}

TEST_CASE("splits and batches refuse what they cannot divide", "[train][error]") {
  CHECK(message_of<ArgumentError>([] { MiniBatches(0, 4, 1, 0); }) ==
        "count is 0, expected at least 1");
  CHECK(message_of<ArgumentError>([] { MiniBatches(4, 0, 1, 0); }) ==
        "batch is 0, expected at least 1");
  CHECK(message_of<ArgumentError>([] { (void)validation_split(9, 1, 1); }) ==
        "share is 1, expected above 0 and below 1");
  const std::string few = "rows are 1, expected enough to set some aside for validation";
  CHECK(contains(message_of<ArgumentError>([] { (void)validation_split(1, 0.5, 1); }), few));
  const std::vector<Index> labels{0, 1, 2};
  CHECK(contains(message_of<ArgumentError>([&] { (void)validation_split(3, 0.5, 1, labels); }),
                 "rows are 3, expected enough"));
  CHECK(message_of<ShapeError>([&] { (void)validation_split(4, 0.5, 1, labels); }) ==
        "labels have 3 entries, expected 4, one a row");
}
