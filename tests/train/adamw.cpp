// SPDX-License-Identifier: MIT
#include "anyssr/train/adamw.hpp"

#include <vector>

#include "support/catch.hpp"
#include "support/numeric.hpp"

namespace {

using namespace anyssr;
using namespace anyssr::test;

template <class S>
Adapter<S> random_adapter() {
  Adapter<S> adapter;
  adapter.modules.emplace("site", LoraModule<S>(random_normal<S>(2, 4, 1, 1),
                                                random_normal<S>(3, 2, 1, 2), {.rank = 2}));
  adapter.heads["trained"] = {random_normal<S>(3, 2, 1, 3), random_normal<S>(1, 2, 1, 4)};
  adapter.heads["closed"] = {random_normal<S>(3, 2, 1, 5), random_normal<S>(1, 2, 1, 6), 2, false};
  return adapter;
}

/// All trained numbers in order.
template <class S>
std::vector<double> numbers(const Adapter<S>& adapter) {
  std::vector<double> list;
  AdapterGradient<S> shapes = zero_like(adapter);
  for_each_parameter(adapter, shapes, [&](const auto& block, const auto&) {
    for (Index i = 0; i < block.size(); ++i) list.push_back(static_cast<double>(block.data()[i]));
  });
  return list;
}

/// A gradient that differs from step to step, and its numbers in order.
template <class S>
std::vector<double> fill_gradient(AdapterGradient<S>& gradient, std::uint64_t step) {
  std::vector<double> list;
  RandomStream random(step, 50);
  for_each_block(gradient, [&](auto block) {
    for (Index i = 0; i < block.size(); ++i) {
      block.data()[i] = static_cast<S>(random.normal());
      list.push_back(static_cast<double>(block.data()[i]));
    }
  });
  return list;
}

}  // namespace

TEMPLATE_TEST_CASE("steps equal the recursion written out for one number", "[train][property]",
                   float, double) {
  const AdamWOptions options{.beta1 = 0.8, .beta2 = 0.99, .epsilon = 1e-6, .weight_decay = 0.1};
  Adapter<TestType> adapter = random_adapter<TestType>();
  const Head<TestType> closed = adapter.heads.at("closed");
  AdapterGradient<TestType> gradient = zero_like(adapter);
  std::vector<double> p = numbers(adapter);
  std::vector<double> m(p.size(), 0);
  std::vector<double> v(p.size(), 0);
  AdamW<TestType> optimiser(options);
  for (int t = 1; t <= 12; ++t) {
    const double rate = 0.05 / t;
    const std::vector<double> g = fill_gradient(gradient, static_cast<std::uint64_t>(t));
    optimiser.step(adapter, gradient, rate);
    for (std::size_t i = 0; i < p.size(); ++i) {
      p[i] -= rate * options.weight_decay * p[i];
      m[i] = options.beta1 * m[i] + (1 - options.beta1) * g[i];
      v[i] = options.beta2 * v[i] + (1 - options.beta2) * g[i] * g[i];
      const double m_hat = m[i] / (1 - std::pow(options.beta1, t));
      const double v_hat = v[i] / (1 - std::pow(options.beta2, t));
      p[i] -= rate * m_hat / (std::sqrt(v_hat) + options.epsilon);
    }
  }
  const std::vector<double> actual = numbers(adapter);
  REQUIRE(actual.size() == p.size());
  double worst = 0;
  for (std::size_t i = 0; i < p.size(); ++i) worst = std::max(worst, std::abs(actual[i] - p[i]));
  CHECK(worst < round_off<TestType>(40));
  CHECK(optimiser.steps() == 12);
  CHECK(adapter.heads.at("closed") == closed);
}

TEST_CASE("the first step moves every number by the rate against its slope", "[train][property]") {
  Adapter<double> adapter = random_adapter<double>();
  const std::vector<double> before = numbers(adapter);
  AdapterGradient<double> gradient = zero_like(adapter);
  const std::vector<double> g = fill_gradient(gradient, 3);
  AdamW<double>().step(adapter, gradient, 0.01);
  const std::vector<double> after = numbers(adapter);
  double worst = 0;
  for (std::size_t i = 0; i < g.size(); ++i) {
    const double expected = before[i] - 0.01 * g[i] / (std::abs(g[i]) + 1e-8);
    worst = std::max(worst, std::abs(after[i] - expected));
  }
  CHECK(worst < 1e-14);
}

TEST_CASE("a refused step changes neither adapter nor optimiser", "[train][error]") {
  Adapter<double> adapter = random_adapter<double>();
  AdapterGradient<double> gradient = zero_like(adapter);
  (void)fill_gradient(gradient, 1);
  AdamW<double> optimiser;
  optimiser.step(adapter, gradient, 0.1);
  const std::uint64_t digest = adapter.digest();
  CHECK(message_of<ArgumentError>([&] { optimiser.step(adapter, gradient, -1); }) ==
        "rate is -1, expected a finite number of at least 0");
  AdapterGradient<double> other = gradient;
  other.heads.clear();
  CHECK(contains(message_of<ShapeError>([&] { optimiser.step(adapter, other, 0.1); }),
                 "gradient has no head 'trained'"));
  CHECK(adapter.digest() == digest);
  Adapter<double> smaller = adapter;
  smaller.heads.erase("trained");
  other = zero_like(smaller);
  CHECK(message_of<ShapeError>([&] { optimiser.step(smaller, other, 0.1); }) ==
        "adapter has 2 parameter blocks, expected 4");
  Adapter<double> larger = adapter;
  larger.heads["z"] = larger.heads["trained"];
  other = zero_like(larger);
  CHECK(message_of<ShapeError>([&] { optimiser.step(larger, other, 0.1); }) ==
        "parameter block 4 is 3 x 2, expected the shapes of the first step");
  CHECK(optimiser.steps() == 1);
}

TEST_CASE("optimiser options out of range are refused", "[train][error]") {
  const auto message = [](const AdamWOptions& options) {
    return message_of<ArgumentError>([&] { AdamW<float>{options}; });
  };
  CHECK(message({.beta1 = 1}) == "beta1 is 1, expected at least 0 and below 1");
  CHECK(message({.beta2 = -0.1}) == "beta2 is -0.1, expected at least 0 and below 1");
  CHECK(message({.epsilon = 0}) == "epsilon is 0, expected a finite number above 0");
  CHECK(message({.weight_decay = -1}) ==
        "weight_decay is -1, expected a finite number of at least 0");
}
