// SPDX-License-Identifier: MIT
#include "anyssr/lora/merged_weight.hpp"

#include "support/catch.hpp"
#include "support/numeric.hpp"

namespace {

using namespace anyssr;
using namespace anyssr::test;

template <class S>
LoraModule<S> random_module(Index in, Index out, std::uint64_t seed) {
  return LoraModule<S>(random_normal<S>(3, in, seed, 1), random_normal<S>(out, 3, seed, 2),
                       {.rank = 3, .alpha = 2});
}

}  // namespace

TEMPLATE_TEST_CASE("a merged weight answers as the layer with its modules does", "[lora][property]",
                   float, double) {
  const Matrix<TestType> w0 = random_normal<TestType>(7, 10, 1);
  const LoraModule<TestType> first = random_module<TestType>(10, 7, 2);
  const LoraModule<TestType> second = random_module<TestType>(10, 7, 3);
  MergedWeight<TestType> merged(w0);
  merged.merge(first);
  merged.merge(second, -0.25);
  CHECK(merged.is_merged());
  const Matrix<TestType> x = random_normal<TestType>(6, 10, 4);
  Matrix<TestType> y = x * w0.transpose();
  first.add_forward(x, y);
  second.add_forward(x, y, -0.25);
  const Matrix<TestType> of_merged = x * merged.weight().transpose();
  CHECK(relative_error(of_merged, y) < round_off<TestType>(100));
}

TEMPLATE_TEST_CASE("restoring gives the weight back bit for bit", "[lora][property]", float,
                   double) {
  const Matrix<TestType> w0 = random_normal<TestType>(7, 10, 1) * TestType(0.1);
  MergedWeight<TestType> merged(w0);
  merged.merge(random_module<TestType>(10, 7, 2), 1000);
  CHECK_FALSE(merged.weight() == w0);
  CHECK(merged.original() == w0);
  merged.restore();
  CHECK(detail::same_bits(merged.weight(), w0));
  CHECK_FALSE(merged.is_merged());
}

TEST_CASE("a refused merge leaves the weight as it was", "[lora][error]") {
  const Matrix<float> w0 = random_normal<float>(4, 6, 1);
  MergedWeight<float> merged(w0);
  const LoraModule<float> module = random_module<float>(6, 4, 2);
  CHECK(message_of<ShapeError>([&] { merged.merge(random_module<float>(4, 6, 2)); }) ==
        "module is out 6 x in 4, expected out 4 x in 6");
  CHECK(message_of<ArgumentError>([&] {
          merged.merge(module, std::numeric_limits<double>::infinity());
        }) == "weight is inf, expected a finite number");
  CHECK(contains(message_of<NumericalError>([&] { merged.merge(module, 3e38); }),
                 "merging overflows the weight; nothing was changed"));
  CHECK(detail::same_bits(merged.weight(), w0));
  CHECK_FALSE(merged.is_merged());
  Matrix<float> bad = w0;
  bad(1, 2) = std::numeric_limits<float>::quiet_NaN();
  CHECK(contains(message_of<NonFiniteError>([&] { MergedWeight<float>{bad}; }),
                 "weight hold NaN or infinity at row 1, column 2"));
}
