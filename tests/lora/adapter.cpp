// SPDX-License-Identifier: MIT
#include "anyssr/lora/adapter.hpp"

#include <functional>
#include <set>
#include <vector>

#include "support/catch.hpp"
#include "support/numeric.hpp"

namespace {

using namespace anyssr;
using namespace anyssr::test;

/// Two modules (one confined), a trained and a closed-form head, all numbers random.
template <class S>
Adapter<S> random_adapter(std::uint64_t seed = 1) {
  Adapter<S> adapter;
  adapter.modules.emplace(
      "plain", LoraModule<S>(random_normal<S>(2, 5, seed, 1), random_normal<S>(4, 2, seed, 2),
                             {.rank = 2, .alpha = 3}));
  const RowMajorMatrix<S> basis = RowMajorMatrix<S>::Identity(6, 3);
  adapter.modules.emplace(
      "confined", LoraModule<S>(random_normal<S>(2, 3, seed, 3), random_normal<S>(4, 2, seed, 4),
                                basis, {.rank = 2, .rank_stabilised = true}));
  adapter.heads["answer"] = {random_normal<S>(4, 3, seed, 5), random_normal<S>(1, 3, seed, 6), 1,
                             true};
  adapter.heads["closed"] = {random_normal<S>(9, 3, seed, 7), random_normal<S>(1, 3, seed, 8), 12.5,
                             false};
  adapter.metadata["language"] = "en";
  return adapter;
}

/// The same scalar with bit `bit` flipped.
template <class S>
S flip(S value, unsigned bit) {
  using Bits = std::conditional_t<sizeof(S) == 4, std::uint32_t, std::uint64_t>;
  return std::bit_cast<S>(static_cast<Bits>(std::bit_cast<Bits>(value) ^ (Bits{1} << bit)));
}

}  // namespace

TEMPLATE_TEST_CASE("a head scores blocks as if they stood side by side", "[lora][property]", float,
                   double) {
  const Head<TestType> head{random_normal<TestType>(9, 3, 1), random_normal<TestType>(1, 3, 2), 2.5,
                            true};
  const Matrix<TestType> h = random_normal<TestType>(6, 4, 3);
  const SparseRows<TestType> x = random_sparse<TestType>(6, 5, 0.5, 4);
  Eigen::MatrixXd both(6, 9);
  both << h.template cast<double>(), Matrix<TestType>(x).template cast<double>();
  const Eigen::MatrixXd expected = 2.5 * ((both * head.weights.template cast<double>()).rowwise() +
                                          head.bias.template cast<double>());
  CHECK(relative_error(head.logits(h, x), expected) < round_off<TestType>(50));
  const Matrix<TestType> joined = both.cast<TestType>();
  CHECK(relative_error(head.logits(joined), expected) < round_off<TestType>(50));
}

TEST_CASE("a head refuses features of another shape", "[lora][error]") {
  const Head<double> head{Matrix<double>::Zero(9, 3), RowVector<double>::Zero(3)};
  const Matrix<double> narrow = Matrix<double>::Zero(6, 8);
  const Matrix<double> h = Matrix<double>::Zero(6, 4);
  const Matrix<double> short_x = Matrix<double>::Zero(5, 5);
  CHECK(message_of<ShapeError>([&] { (void)head.logits(narrow); }) ==
        "features are n x 8, expected n x 9");
  CHECK(message_of<ShapeError>([&] { (void)head.logits(h, short_x); }) ==
        "features are 5 x 5, expected 6 rows");
  const Head<double> bare{Matrix<double>::Zero(8, 3), {}};
  CHECK(message_of<ShapeError>([&] { (void)bare.logits(narrow); }) ==
        "bias has 0 entries, expected 3");
}

TEMPLATE_TEST_CASE("an adapter counts its numbers and bytes", "[lora][property]", float, double) {
  const Adapter<TestType> adapter = random_adapter<TestType>();
  const Index numbers = (2 * 5 + 4 * 2) + (2 * 3 + 4 * 2) + (4 * 3 + 3) + (9 * 3 + 3);
  CHECK(adapter.parameter_count() == numbers);
  CHECK(adapter.bytes() == static_cast<std::size_t>(numbers + 6 * 3) * sizeof(TestType));
}

TEMPLATE_TEST_CASE("any changed bit of any number changes the digest and equality",
                   "[lora][property]", float, double) {
  using S = TestType;
  const Adapter<S> original = random_adapter<S>();
  Adapter<S> adapter = original;
  REQUIRE(adapter.digest() == original.digest());
  REQUIRE(adapter == original);
  std::set<std::uint64_t> digests{original.digest()};
  std::size_t changes = 0;
  bool all_unequal = true;
  const auto try_all = [&](auto&& block) {
    for (Index i = 0; i < block.size(); ++i) {
      for (unsigned bit = 0; bit < 8 * sizeof(S); ++bit) {
        const S before = block.data()[i];
        block.data()[i] = flip(before, bit);
        digests.insert(adapter.digest());
        all_unequal = all_unequal && !(adapter == original);
        block.data()[i] = before;
        ++changes;
      }
    }
  };
  for (auto& [site, module] : adapter.modules) {
    try_all(module.mutable_a());
    try_all(module.mutable_b());
  }
  for (auto& [name, head] : adapter.heads) {
    try_all(head.weights);
    try_all(head.bias);
  }
  CHECK(all_unequal);
  CHECK(changes == static_cast<std::size_t>(original.parameter_count()) * 8 * sizeof(S));
  CHECK(digests.size() == changes + 1);
  CHECK(adapter.digest() == original.digest());
}

TEST_CASE("names shapes and options are part of the digest", "[lora][property]") {
  const Adapter<double> original = random_adapter<double>();
  const std::vector<std::function<void(Adapter<double>&)>> changes{
      [](auto& a) { a.metadata["language"] = "de"; },
      [](auto& a) { a.metadata["languag"] = "een"; },
      [](auto& a) { a.metadata.clear(); },
      [](auto& a) { a.heads["closed"].temperature = flip(12.5, 0); },
      [](auto& a) { a.heads["closed"].trained = true; },
      [](auto& a) { a.heads["answer"].weights.resize(3, 4); },
      [](auto& a) { a.heads["b"] = {}; },
      [](auto& a) { a.modules.extract("plain"); },
      [](auto& a) {
        auto node = a.modules.extract("plain");
        node.key() = "plainer";
        a.modules.insert(std::move(node));
      },
      [](auto& a) { a.modules.at("confined").materialise(); },
      [](auto& a) {
        const LoraModule<double>& m = a.modules.at("plain");
        a.modules.at("plain") = LoraModule<double>(m.a(), m.b(), {.rank = 2, .alpha = 4});
      },
      [](auto& a) {
        const LoraModule<double>& m = a.modules.at("plain");
        a.modules.at("plain") =
            LoraModule<double>(m.a(), m.b(), {.rank = 2, .alpha = 3, .rank_stabilised = true});
      }};
  std::set<std::uint64_t> digests{original.digest()};
  for (const auto& change : changes) {
    Adapter<double> changed = original;
    change(changed);
    CHECK_FALSE(changed == original);
    digests.insert(changed.digest());
  }
  CHECK(digests.size() == changes.size() + 1);
}

TEST_CASE("an adapter with a number that is not finite says so", "[lora][property]") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const Adapter<double> original = random_adapter<double>();
  CHECK(original.is_finite());
  Adapter<double> changed = original;
  changed.modules.at("confined").mutable_a()(1, 1) = nan;
  CHECK_FALSE(changed.is_finite());
  changed = original;
  changed.heads.at("closed").bias(0) = nan;
  CHECK_FALSE(changed.is_finite());
  changed = original;
  changed.heads.at("closed").temperature = nan;
  CHECK_FALSE(changed.is_finite());
}

TEMPLATE_TEST_CASE("every trained number is visited once in a fixed order", "[lora][property]",
                   float, double) {
  using S = TestType;
  Adapter<S> adapter = random_adapter<S>();
  const Adapter<S>& constant = adapter;
  AdapterGradient<S> gradient = zero_like(adapter);
  CHECK(gradient.heads.size() == 1);  // the closed-form head has none
  std::vector<std::pair<Index, Index>> shapes;
  for_each_parameter(constant, gradient, [&](const auto& parameter, auto slope) {
    shapes.emplace_back(parameter.rows(), parameter.cols());
    slope = parameter;
  });
  const std::vector<std::pair<Index, Index>> expected{{2, 3}, {4, 2}, {2, 5},
                                                      {4, 2}, {4, 3}, {1, 3}};
  CHECK(shapes == expected);
  CHECK(gradient.modules.at("plain").a == adapter.modules.at("plain").a());
  CHECK(gradient.modules.at("confined").a == adapter.modules.at("confined").a());
  CHECK(gradient.heads.at("answer").bias == adapter.heads.at("answer").bias);
  const AdapterGradient<S>& constant_gradient = gradient;
  for_each_parameter(adapter, constant_gradient,
                     [](auto parameter, const auto& slope) { parameter -= slope; });
  CHECK(adapter.modules.at("plain").b().isZero(0));
  CHECK(adapter.heads.at("answer").weights.isZero(0));
  CHECK(adapter.heads.at("closed") == random_adapter<S>().heads.at("closed"));
  gradient.set_zero();
  Index zeros = 0;
  for_each_block(constant_gradient, [&](const auto& block) {
    CHECK(block.isZero(0));
    zeros += block.size();
  });
  CHECK(zeros == 18 + 14 + 15);
}

TEST_CASE("a gradient of another shape is refused before any call", "[lora][error]") {
  Adapter<double> adapter = random_adapter<double>();
  const AdapterGradient<double> fitting = zero_like(adapter);
  const auto message = [&](auto change) {
    AdapterGradient<double> gradient = fitting;
    change(gradient);
    return message_of<ShapeError>([&] {
      for_each_parameter(adapter, gradient, [](const auto&, const auto&) { FAIL("was called"); });
    });
  };
  CHECK(message([](auto& g) { g.modules.erase("plain"); }) ==
        "gradient has no module 'plain', expected one for every module of the adapter");
  CHECK(message([](auto& g) { g.heads.clear(); }) ==
        "gradient has no head 'answer', expected one for every trained head of the adapter");
  CHECK(message([](auto& g) { g.modules.at("plain").b.resize(4, 3); }) ==
        "gradient of b of 'plain' is 4 x 3, expected 4 x 2");
  CHECK(message([](auto& g) { g.heads.at("answer").bias.resize(2); }) ==
        "gradient of bias of 'answer' is 1 x 2, expected 1 x 3");
  CHECK(message([](auto& g) { g.heads["more"] = {}; }) ==
        "gradient has 2 modules and 2 heads, expected 2 and 1");
}
