// SPDX-License-Identifier: MIT
#include "anyssr/lora/adapter_algebra.hpp"

#include <limits>

#include "support/catch.hpp"
#include "support/numeric.hpp"
#include "support/random_module.hpp"

using namespace anyssr;
using namespace anyssr::test;

namespace {

template <class S>
LoraModule<S> seeded_module(Index in, Index out, Index rank, std::uint64_t seed, Index k = 0) {
  return random_module<S>(in, out, rank, k, seed, 1 + static_cast<double>(seed % 5));
}

/// Sites p (10 to 7) and q (6 to 6), where `which` has a bit for each, and a head.
template <class S>
Adapter<S> two_site_adapter(std::uint64_t seed, unsigned which = 3) {
  Adapter<S> adapter;
  if ((which & 1U) != 0) adapter.modules.emplace("p", seeded_module<S>(10, 7, 3, seed));
  if ((which & 2U) != 0) adapter.modules.emplace("q", seeded_module<S>(6, 6, 2, seed + 100, 4));
  adapter.heads["top"] = {.weights = random_normal<S>(4, 3, seed, 7),
                          .bias = random_normal<S>(1, 3, seed, 8),
                          .temperature = 1.5};
  return adapter;
}

template <class S>
Adapter<S> merge(std::vector<typename AdapterMix<S>::Entry> entries) {
  return merge_adapters<S>(entries);
}

}  // namespace

TEMPLATE_TEST_CASE("a merged change is the weighted sum of the changes", "[lora][property]", float,
                   double) {
  const auto seed = GENERATE(range(1u, 11u));
  CAPTURE(seed);
  const Adapter<TestType> a = two_site_adapter<TestType>(seed);
  const Adapter<TestType> b = two_site_adapter<TestType>(seed + 20);
  const Adapter<TestType> c = two_site_adapter<TestType>(seed + 40, 1);
  const Adapter<TestType> merged = merge<TestType>({{&a, 0.7}, {&b, -2}, {&c, 1e-3}});
  const Eigen::MatrixXd p = 0.7 * explicit_delta(a.modules.at("p")) -
                            2 * explicit_delta(b.modules.at("p")) +
                            1e-3 * explicit_delta(c.modules.at("p"));
  const Eigen::MatrixXd q =
      0.7 * explicit_delta(a.modules.at("q")) - 2 * explicit_delta(b.modules.at("q"));
  CHECK(relative_error(explicit_delta(merged.modules.at("p")), p) < round_off<TestType>(4));
  CHECK(relative_error(explicit_delta(merged.modules.at("q")), q) < round_off<TestType>(4));
  CHECK(merged.modules.at("p").rank() == 9);
  CHECK(merged.modules.at("q").rank() == 4);
}

TEMPLATE_TEST_CASE("one adapter of weight 1 comes back bit for bit", "[lora][property]", float,
                   double) {
  Adapter<TestType> adapter = two_site_adapter<TestType>(3);
  adapter.metadata["note"] = "text";
  CHECK(merge<TestType>({{&adapter, 1}}) == adapter);
  CHECK(merge_adapters(AdapterMix<TestType>(adapter)) == adapter);
  const Adapter<TestType> other = two_site_adapter<TestType>(4);
  CHECK(merge<TestType>({{&other, 0}, {&adapter, 1}}) == adapter);
}

TEST_CASE("a site of one adapter keeps its factors and takes the weight into alpha", "[lora]") {
  const Adapter<float> a = two_site_adapter<float>(1);
  const Adapter<float> b = two_site_adapter<float>(2, 1);
  const LoraModule<float>& q = a.modules.at("q");
  const Adapter<float> half = merge<float>({{&a, 0.5}, {&b, 1}});
  const LoraModule<float>& merged = half.modules.at("q");
  CHECK(detail::same_bits(merged.a(), q.a()));
  CHECK(detail::same_bits(merged.b(), q.b()));
  CHECK(detail::same_bits(merged.basis(), q.basis()));
  CHECK(merged.scale() == 0.5 * q.scale());
  CHECK(merged.rank_stabilised() == q.rank_stabilised());
  const Adapter<float> negative = merge<float>({{&a, -0.5}});
  CHECK(negative.modules.at("q").b() == -q.b());
  CHECK(negative.modules.at("q").alpha() == 0.5 * q.alpha());
}

TEST_CASE("equal scales are merged without touching a bit of the factors", "[lora]") {
  const LoraOptions options{.rank = 2, .alpha = 0.3};
  Adapter<float> a;
  Adapter<float> b;
  a.modules.emplace("p", LoraModule<float>(random_normal<float>(2, 5, 1),
                                           random_normal<float>(4, 2, 2), options));
  b.modules.emplace("p", LoraModule<float>(random_normal<float>(2, 5, 3),
                                           random_normal<float>(4, 2, 4), options));
  const Adapter<float> merged = merge<float>({{&a, 0.25}, {&b, -0.25}});
  const LoraModule<float>& p = merged.modules.at("p");
  CHECK(p.a().topRows(2) == a.modules.at("p").a());
  CHECK(p.a().bottomRows(2) == b.modules.at("p").a());
  CHECK(p.b().leftCols(2) == a.modules.at("p").b());
  CHECK(p.b().rightCols(2) == -b.modules.at("p").b());
  CHECK(p.scale() == 0.25 * a.modules.at("p").scale());
}

TEST_CASE("an adapter minus itself changes nothing", "[lora]") {
  Adapter<double> a = two_site_adapter<double>(5);
  a.heads.clear();
  const Adapter<double> merged = merge<double>({{&a, 1}, {&a, -1}});
  CHECK(change_norm(merged) < round_off<double>(20) * change_norm(a));
}

TEMPLATE_TEST_CASE("merged heads give the weighted mean of the scores", "[lora][property]", float,
                   double) {
  Adapter<TestType> a = two_site_adapter<TestType>(1);
  Adapter<TestType> b = two_site_adapter<TestType>(2);
  const Matrix<TestType> x = random_normal<TestType>(9, 4, 5);
  for (const double temperature : {1.5, 4.0}) {
    b.heads.at("top").temperature = temperature;
    const Head<TestType> head = merge<TestType>({{&a, 3}, {&b, 1}}).heads.at("top");
    const Eigen::MatrixXd expected = 0.75 * a.heads.at("top").logits(x).template cast<double>() +
                                     0.25 * b.heads.at("top").logits(x).template cast<double>();
    CHECK(relative_error(head.logits(x), expected) < round_off<TestType>(10));
    CHECK(head.temperature == (temperature == 1.5 ? 1.5 : 1));
    CHECK(head.trained);
  }
  b.heads.at("top").trained = false;
  b.heads["own"] = two_site_adapter<TestType>(3).heads.at("top");
  const Adapter<TestType> merged = merge<TestType>({{&a, 3}, {&b, 0.5}});
  CHECK_FALSE(merged.heads.at("top").trained);
  CHECK(merged.heads.at("own") == b.heads.at("own"));
}

TEST_CASE("metadata are kept where all adapters agree", "[lora]") {
  Adapter<float> a = two_site_adapter<float>(1);
  Adapter<float> b = two_site_adapter<float>(2);
  a.metadata = {{"x", "1"}, {"y", "2"}, {"z", "3"}};
  b.metadata = {{"x", "1"}, {"y", "4"}};
  CHECK(merge<float>({{&a, 1}, {&b, 1}}).metadata ==
        std::map<std::string, std::string>{{"x", "1"}});
}

TEST_CASE("what cannot be merged is refused", "[lora][error]") {
  const Adapter<float> a = two_site_adapter<float>(1);
  const auto argument = [](std::vector<AdapterMix<float>::Entry> entries) {
    return message_of<ArgumentError>([&] { (void)merge<float>(entries); });
  };
  const auto shape = [&](const Adapter<float>& b) {
    return message_of<ShapeError>([&] { (void)merge<float>({{&a, 1}, {&b, 1}}); });
  };
  CHECK(argument({}) == "there are 0 adapters, expected at least 1 with a weight other than 0");
  CHECK(argument({{&a, 0}}) ==
        "there are 1 adapters, expected at least 1 with a weight other than 0");
  CHECK(argument({{nullptr, 1}}) == "adapter is null, expected one to merge");
  CHECK(argument({{&a, std::nan("")}}) == "weight is nan, expected a finite number");
  CHECK(argument({{&a, 1}, {&a, -1}}) ==
        "weights of the head 'top' add up to 0, expected a finite sum other than 0");
  Adapter<float> b = two_site_adapter<float>(2);
  b.heads.at("top").weights.resize(4, 2);
  CHECK(shape(b) == "heads 'top' are 4 x 3 and 4 x 2, expected one shape");
  b = two_site_adapter<float>(2);
  b.modules.at("p") = seeded_module<float>(10, 8, 3, 1);
  CHECK(shape(b) == "modules of 'p' are out 7 x in 10 and out 8 x in 10, expected one shape");
  const auto number = [&](double weight) {
    return message_of<NumericalError>([&] { (void)merge<float>({{&a, weight}}); });
  };
  const double huge = std::numeric_limits<double>::max();
  CHECK(contains(number(huge), "at 'p' leaves the range of double"));
}

TEST_CASE("heads whose weights add up to infinity are refused", "[lora][error]") {
  Adapter<double> head_only;
  head_only.heads["top"] = {.weights = Matrix<double>::Ones(2, 2),
                            .bias = RowVector<double>::Zero(2)};
  const double huge = std::numeric_limits<double>::max();
  CHECK(message_of<ArgumentError>([&] {
          const std::vector<AdapterMix<double>::Entry> entries{{&head_only, huge},
                                                               {&head_only, huge}};
          (void)merge_adapters<double>(entries);
        }) == "weights of the head 'top' add up to inf, expected a finite sum other than 0");
}

TEST_CASE("a module with numbers that are not finite is not compressed", "[lora][error]") {
  LoraModule<float> module = seeded_module<float>(5, 4, 3, 1);
  module.mutable_b()(2, 1) = std::numeric_limits<float>::quiet_NaN();
  CHECK(message_of<NonFiniteError>([&] { (void)compress(module, 2); }) ==
        "b hold NaN or infinity at row 2, column 1, expected finite numbers");
  CHECK_FALSE(compress(module, 3).module.is_finite());  // comes back as it is
}

TEMPLATE_TEST_CASE("a compressed change is the nearest of its rank", "[lora][property]", float,
                   double) {
  const auto seed = GENERATE(range(1u, 6u));
  const Index k = GENERATE(0, 9);
  const Index rank = GENERATE(1, 2, 5);
  CAPTURE(seed, k, rank);
  const LoraModule<TestType> module = seeded_module<TestType>(12, 10, 6, seed, k);
  const CompressedModule<TestType> result = compress(module, rank);
  CHECK(result.module.rank() == rank);
  CHECK(result.module.is_confined() == module.is_confined());
  const Eigen::MatrixXd exact = explicit_delta(module);
  const Eigen::VectorXd values = singular_values_of(exact);
  const double best = values.tail(values.size() - rank).norm();
  const double measured = (explicit_delta(result.module) - exact).norm();
  CHECK(std::abs(measured - best) < round_off<TestType>(10) * exact.norm());
  CHECK(std::abs(result.error - measured) < round_off<double>(100) * exact.norm());
  CHECK(std::abs(result.relative_error - measured / exact.norm()) < round_off<double>(100));
  CHECK(std::abs(result.module.scale() / module.scale() - 1) < round_off<double>(2));
  const double a_norm = result.module.a().template cast<double>().norm();
  const double b_norm = result.module.b().template cast<double>().norm();
  CHECK(std::abs(b_norm / a_norm - 1) < round_off<TestType>(10));
}

TEST_CASE("compressing to the rank or more gives the module back bit for bit", "[lora]") {
  const LoraModule<float> module = seeded_module<float>(6, 5, 3, 1);
  for (const Index rank : {3, 4, 100}) {
    const CompressedModule<float> result = compress(module, rank);
    CHECK(result.module == module);
    CHECK(result.error == 0);
    CHECK(result.relative_error == 0);
  }
  CHECK(message_of<ArgumentError>([&] { (void)compress(module, 0); }) ==
        "rank is 0, expected at least 1");
}

TEST_CASE("ranks beyond a layer's own are compressed without loss", "[lora]") {
  const LoraModule<double> module = seeded_module<double>(4, 5, 9, 2);
  const CompressedModule<double> result = compress(module, 8);
  CHECK(result.module.rank() == 4);
  CHECK(result.relative_error < round_off<double>(10));
  CHECK(relative_error(explicit_delta(result.module), explicit_delta(module)) <
        round_off<double>(10));
}

TEST_CASE("a change of zero is compressed to one of zero", "[lora]") {
  const LoraModule<float> module(5, 4, {.rank = 3}, 1);
  const CompressedModule<float> result = compress(module, 1);
  CHECK(explicit_delta(result.module).norm() == 0);
  CHECK(result.error == 0);
  CHECK(result.relative_error == 0);
}

TEMPLATE_TEST_CASE("norms and similarities equal those of the dense products", "[lora][property]",
                   float, double) {
  const auto seed = GENERATE(range(1u, 11u));
  CAPTURE(seed);
  const LoraModule<TestType> a = seeded_module<TestType>(10, 7, 3, seed);
  const LoraModule<TestType> b = seeded_module<TestType>(10, 7, 4, seed + 20, 6);
  const Eigen::MatrixXd da = explicit_delta(a);
  const Eigen::MatrixXd db = explicit_delta(b);
  const double tolerance = round_off<double>(100);
  CHECK(std::abs(change_norm(a) / da.norm() - 1) < tolerance);
  CHECK(std::abs(change_norm(b) / db.norm() - 1) < tolerance);
  const double cosine = da.cwiseProduct(db).sum() / (da.norm() * db.norm());
  CHECK(std::abs(similarity(a, b) - cosine) < tolerance);
  CHECK(std::abs(similarity(a, a) - 1) < tolerance);
  CHECK(std::abs(similarity(a, detail::times(a, -3.0)) + 1) < tolerance);
}

TEST_CASE("the similarity of adapters is taken over their common sites", "[lora]") {
  const Adapter<double> a = two_site_adapter<double>(1);
  const Adapter<double> b = two_site_adapter<double>(2);
  const Adapter<double> p_only = two_site_adapter<double>(3, 1);
  const Adapter<double> q_only = two_site_adapter<double>(4, 2);
  double product = 0;
  double left = 0;
  double right = 0;
  for (const std::string site : {"p", "q"}) {
    const Eigen::MatrixXd da = explicit_delta(a.modules.at(site));
    const Eigen::MatrixXd db = explicit_delta(b.modules.at(site));
    product += da.cwiseProduct(db).sum();
    left += da.squaredNorm();
    right += db.squaredNorm();
  }
  const double tolerance = round_off<double>(100);
  CHECK(std::abs(similarity(a, b) - product / std::sqrt(left * right)) < tolerance);
  CHECK(std::abs(change_norm(a) / std::sqrt(left) - 1) < tolerance);
  CHECK(similarity(a, p_only) == similarity(a.modules.at("p"), p_only.modules.at("p")));
  CHECK(similarity(p_only, q_only) == 0);
  CHECK(similarity(LoraModule<double>(3, 2), LoraModule<double>(3, 2)) == 0);
  CHECK(message_of<ShapeError>([&] {
          (void)similarity(LoraModule<double>(3, 2), LoraModule<double>(3, 4));
        }) == "modules are out 2 x in 3 and out 4 x in 3, expected one shape");
}
