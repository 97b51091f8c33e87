// SPDX-License-Identifier: MIT
#include "anyssr/core/random.hpp"

#include <algorithm>
#include <cmath>
#include <set>
#include <vector>

#include "support/catch.hpp"
#include "support/numeric.hpp"

using namespace anyssr;
using namespace anyssr::test;

TEST_CASE("Philox gives the published known answers", "[core][golden]") {
  // kat_vectors of Random123 (Salmon et al.), philox4x32 with 10 rounds.
  using Block = std::array<std::uint32_t, 4>;
  CHECK((philox({0, 0, 0, 0}, {0, 0}) == Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  CHECK((philox({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}) ==
         Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  CHECK((philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
         Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST_CASE("normal quantiles are those of the normal distribution", "[core][golden]") {
  double worst = 0;
  for (unsigned i = 0; i < 65536; ++i) {
    const auto x = static_cast<double>(normal_quantile(static_cast<std::uint16_t>(i)));
    const double share = 0.5 * std::erfc(-x / std::sqrt(2.0));
    const double density = std::exp(-x * x / 2) / std::sqrt(2 * std::acos(-1.0));
    worst = std::max(worst, std::abs(share - (i + 0.5) / 65536) / density);
  }
  CHECK(worst < 3e-6);  // distance in x; the float nearest to 4.3 alone is off by up to 2.4e-7
  CHECK(normal_quantile(0) == -normal_quantile(65535));
}

TEST_CASE("a seed names the same numbers on every compiler", "[core][golden]") {
  // Taken from g++ 12.2 -O2 and found the same with clang 14, -march=native and -ffast-math.
  RandomStream random(42, 7);
  CHECK(random.bits() == 1743679276U);
  CHECK(random.uniform() == 0.895813942F);
  CHECK(random.normal() == -0.192168176F);
  CHECK(random.below(1000) == 333);
  const Matrix<double> x = random_normal<double>(3, 5, 42, 7);
  CHECK(x(0, 0) == -0.16550624370574951);
  CHECK(x(2, 4) == -0.5228344202041626);
  CHECK(hash_bytes("anyssr", 1) == 0x5D1283A3709097A3U);
  CHECK(mix_bits(1) == 0x5692161D100B05E5U);  // SplitMix64's finaliser of 1
}

TEST_CASE("a matrix of random numbers does not depend on its storage or scalar",
          "[core][property]") {
  const Matrix<double> by_columns = random_normal<double>(7, 13, 3);
  const RowMajorMatrix<float> by_rows = random_normal<float, Eigen::RowMajor>(7, 13, 3);
  CHECK((by_columns == by_rows.cast<double>()));
  const Matrix<double> taller = random_normal<double>(9, 13, 3);
  CHECK((taller.topRows(7) == by_columns));
  const Matrix<double> other = random_normal<double>(7, 13, 3, 1);
  CHECK_FALSE((other == by_columns));
}

TEST_CASE("seek goes to a block of four numbers", "[core]") {
  RandomStream straight(9);
  std::vector<std::uint32_t> numbers;
  for (int i = 0; i < 12; ++i) numbers.push_back(straight.bits());
  RandomStream jumping(9);
  (void)jumping.bits();
  jumping.seek(2);
  CHECK(jumping.bits() == numbers[8]);
  CHECK(jumping.bits() == numbers[9]);
}

TEST_CASE("normal numbers have mean 0 and variance 1", "[core][property]") {
  const Matrix<double> x = random_normal<double>(400, 500, 5);
  const double mean = x.mean();
  CHECK(std::abs(mean) < 4 / std::sqrt(2e5));  // four standard errors
  CHECK(std::abs((x.array() - mean).square().mean() - 1) < 4 * std::sqrt(2.0 / 2e5) + 3e-5);
}

TEST_CASE("below is uniform and bounded", "[core][property]") {
  RandomStream random(6);
  std::vector<int> counts(7, 0);
  for (int i = 0; i < 70000; ++i) ++counts[random.below(7)];
  for (const int count : counts) CHECK(std::abs(count - 10000) < 400);  // four standard deviations
  CHECK(random.below(1) == 0);
  CHECK(message_of<ArgumentError>([&] { (void)random.below(0); }) ==
        "bound is 0, expected at least 1");
}

TEST_CASE("a permutation holds every index once", "[core][property]") {
  RandomStream random(8);
  const std::vector<Index> order = random_permutation(100, random);
  CHECK(std::set<Index>(order.begin(), order.end()).size() == 100);
  CHECK_FALSE(std::is_sorted(order.begin(), order.end()));
  CHECK(random_permutation(0, random).empty());
}

TEST_CASE("signs are fair", "[core][property]") {
  RandomStream random(10);
  int sum = 0;
  for (int i = 0; i < 10000; ++i) sum += random.sign();
  CHECK(std::abs(sum) < 400);
}
