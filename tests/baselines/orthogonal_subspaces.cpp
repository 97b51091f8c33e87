// SPDX-License-Identifier: MIT
#include "anyssr/baselines/orthogonal_subspaces.hpp"

#include <cmath>
#include <limits>
#include <span>
#include <vector>

#include "anyssr/baselines/quadratic_anchor.hpp"
#include "anyssr/train/train_adapter.hpp"
#include "support/catch.hpp"
#include "support/linear_backbone.hpp"
#include "support/numeric.hpp"
#include "support/random_module.hpp"

namespace anyssr {
namespace {

using test::Blobs;
using test::LinearBackbone;
using test::message_of;
using test::random_module;
using test::relative_error;
using test::round_off;

/// Modules of 2 + 3 rows at two sites, and a head.
template <class S>
Adapter<S> block_adapter(std::uint64_t seed) {
  Adapter<S> adapter;
  adapter.modules.emplace("one", random_module<S>(6, 4, 5, 0, seed));
  adapter.modules.emplace("two", random_module<S>(7, 3, 5, 0, seed + 1));
  adapter.heads["head"] = {.weights = random_normal<S>(4, 2, seed, 3),
                           .bias = random_normal<S>(1, 2, seed, 4)};
  return adapter;
}

/// A gradient of the adapter's shapes with random numbers.
template <class S>
AdapterGradient<S> random_slopes(const Adapter<S>& adapter, std::uint64_t seed) {
  AdapterGradient<S> gradient = zero_like(adapter);
  std::uint64_t stream = 30;
  for_each_block(gradient, [&](auto block) {
    block = random_normal<S>(block.rows(), block.cols(), seed, stream++);
  });
  return gradient;
}

/// sum_s |A_s A_t^T|^2 of one module, row by row, in double.
double overlap_written_out(const Eigen::MatrixXd& a, Index earlier) {
  double sum = 0;
  for (Index s = 0; s < earlier; ++s) {
    for (Index t = earlier; t < a.rows(); ++t) sum += std::pow(a.row(s).dot(a.row(t)), 2);
  }
  return sum;
}

template <class S>
bool same_gradient(const AdapterGradient<S>& left, const AdapterGradient<S>& right) {
  std::vector<Matrix<S>> blocks;
  for_each_block(left, [&](const auto& block) { blocks.emplace_back(block); });
  bool same = true;
  std::size_t place = 0;
  for_each_block(right, [&](const auto& block) { same = same && blocks[place++] == block; });
  return same && place == blocks.size();
}

TEMPLATE_TEST_CASE("another block keeps what a module does and its scale", "[baselines][property]",
                   float, double) {
  using S = TestType;
  const std::uint64_t seed = GENERATE(1u, 2u);  // rank-stabilised and not
  const auto module = random_module<S>(9, 5, 3, 0, seed, 7);
  CHECK(module.rank_stabilised() == (seed == 1));
  const LoraModule<S> wider = with_another_block(module, 2, 44);
  CHECK(wider.rank() == 5);
  CHECK(wider.in_dim() == 9);
  CHECK(wider.out_dim() == 5);
  CHECK(std::abs(wider.scale() - module.scale()) <= round_off<double>(2) * module.scale());
  CHECK(wider.a().topRows(3) == module.a());
  CHECK(wider.b().leftCols(3) == module.b());
  CHECK(wider.b().rightCols(2) == Matrix<S>::Zero(5, 2));
  CHECK(wider.a().bottomRows(2) == LoraModule<S>(9, 5, {.rank = 2}, 44).a());
  CHECK(relative_error(wider.delta(), module.delta()) < round_off<S>(8));
  const Matrix<S> x = random_normal<S>(4, 9, 8);
  RowMajorMatrix<S> y = RowMajorMatrix<S>::Zero(4, 5);
  wider.add_forward(x, y);
  const Eigen::MatrixXd expected =
      x.template cast<double>() * test::explicit_delta(module).transpose();
  CHECK(relative_error(y, expected) < round_off<S>(30));

  CHECK(with_another_block(module, 2, 44) == wider);
  CHECK_FALSE(with_another_block(module, 2, 45) == wider);
  const LoraModule<S> third = with_another_block(wider, 1, 46);
  CHECK(relative_error(third.delta(), module.delta()) < round_off<S>(8));
}

TEMPLATE_TEST_CASE("the penalty of subspaces is its formula and its gradient the differences",
                   "[baselines][property]", float, double) {
  using S = TestType;
  const double strength = GENERATE(0.5, 20.0);
  const Index earlier = GENERATE(1, 2, 4);
  CAPTURE(strength, earlier);
  Adapter<S> adapter = block_adapter<S>(5);
  const OrthogonalSubspaces<S> subspaces(strength, earlier);
  const auto written_out = [&](const Adapter<S>& of) {
    double sum = 0;
    for (const auto& [site, module] : of.modules) {
      sum += overlap_written_out(module.a().template cast<double>(), earlier);
    }
    return strength * sum;
  };
  const double penalty = written_out(adapter);
  CHECK(penalty > strength);
  CHECK(std::abs(subspaces.penalty(adapter) - penalty) < round_off<S>(20) * penalty);

  const AdapterGradient<S> before = random_slopes(adapter, 6);
  AdapterGradient<S> gradient = before;
  subspaces.add_gradient(adapter, gradient);
  for (auto& [site, module] : adapter.modules) {
    const LoraGradient<S>& slope = gradient.modules.at(site);
    const LoraGradient<S>& start = before.modules.at(site);
    CHECK(slope.a.topRows(earlier) == Matrix<S>::Zero(earlier, module.in_dim()));
    CHECK(slope.b.leftCols(earlier) == Matrix<S>::Zero(module.out_dim(), earlier));
    CHECK(slope.b.rightCols(5 - earlier) == start.b.rightCols(5 - earlier));
    Eigen::MatrixXd differences(5 - earlier, module.in_dim());
    for (Index i = 0; i < differences.rows(); ++i) {
      for (Index j = 0; j < differences.cols(); ++j) {
        S& number = module.mutable_a().coeffRef(earlier + i, j);
        const S kept = number;
        number = kept + S(0.5);  // central differences of a quadratic are exact
        const double up = subspaces.penalty(adapter);
        number = kept - S(0.5);
        differences(i, j) = up - subspaces.penalty(adapter);
        number = kept;
      }
    }
    const Eigen::MatrixXd added =
        (slope.a - start.a).bottomRows(5 - earlier).template cast<double>();
    CHECK(relative_error(added, differences) < round_off<S>(300));
  }
  CHECK(gradient.heads.at("head").weights == before.heads.at("head").weights);
  CHECK(gradient.heads.at("head").bias == before.heads.at("head").bias);
}

TEST_CASE("the first block has no penalty and keeps its gradient", "[baselines][property]") {
  const Adapter<double> adapter = block_adapter<double>(5);
  const OrthogonalSubspaces<double> first(3, 0);
  CHECK(first.penalty(adapter) == 0);
  const AdapterGradient<double> before = random_slopes(adapter, 6);
  AdapterGradient<double> gradient = before;
  first.add_gradient(adapter, gradient);
  CHECK(same_gradient(gradient, before));
  const OrthogonalSubspaces<double> all(3, 5);  // no block is new: nothing learns but the head
  CHECK(all.penalty(adapter) == 0);
  all.add_gradient(adapter, gradient);
  CHECK(gradient.modules.at("two").a == Matrix<double>::Zero(5, 7));
  CHECK(gradient.modules.at("two").b == Matrix<double>::Zero(3, 5));
  CHECK(gradient.heads.at("head").weights == before.heads.at("head").weights);
}

TEMPLATE_TEST_CASE("training keeps earlier blocks and turns the new one away from them",
                   "[baselines][property]", float, double) {
  using S = TestType;
  using Backbone = LinearBackbone<S>;
  const Backbone backbone(10, 16, 4, 5);
  const Blobs<S> first(120, 10, 4, 0.4, 3);
  const Blobs<S> second(120, 10, 4, 0.4, 8);
  const TrainOptions options{
      .epochs = 20, .batch = 24, .accumulation = 2, .clip_norm = 5, .seed = 2};
  Adapter<S> start = backbone.make_adapter(first.labels, {.lora = {.rank = 2}}, 7);
  (void)train_adapter(backbone, backbone.trunk(first.inputs), std::span<const Index>(first.labels),
                      start, options);
  LoraModule<S>& module = start.modules.at("layer");
  module = with_another_block(module, 3, 9);

  const auto trained = [&](double strength) {
    const OrthogonalSubspaces<S> subspaces(strength, 2);
    const PenalisedBackbone penalised(backbone,
                                      [&](const Adapter<S>& adapter, AdapterGradient<S>& gradient) {
                                        subspaces.add_gradient(adapter, gradient);
                                      });
    Adapter<S> adapter = start;
    const TrainReport report =
        train_adapter(penalised, backbone.trunk(second.inputs),
                      std::span<const Index>(second.labels), adapter, options);
    CHECK(report.final_loss < 0.5 * report.losses.front());
    return adapter.modules.at("layer");
  };
  const auto overlap = [](const LoraModule<S>& of) {
    return std::sqrt(overlap_written_out(of.a().template cast<double>(), 2));
  };
  const LoraModule<S> free = trained(0);
  const LoraModule<S> apart = trained(100);
  CAPTURE(overlap(module), overlap(free), overlap(apart));
  CHECK(overlap(apart) < 0.02 * overlap(free));
  CHECK(overlap(apart) < 0.02 * overlap(module));
  for (const LoraModule<S>& of : {free, apart}) {
    CHECK(detail::same_bits(Matrix<S>(of.a().topRows(2)), Matrix<S>(module.a().topRows(2))));
    CHECK(detail::same_bits(Matrix<S>(of.b().leftCols(2)), Matrix<S>(module.b().leftCols(2))));
    CHECK(of.b().rightCols(3).norm() > 0);
    CHECK(of.a().bottomRows(3) != module.a().bottomRows(3));
  }
}

TEST_CASE("subspaces refuse what they cannot keep apart", "[baselines][error]") {
  using S = double;
  CHECK(message_of<ArgumentError>([] {
          (void)with_another_block(random_module<S>(4, 3, 2, 0, 1), 0, 1);
        }) == "rank is 0, expected at least 1");
  CHECK(message_of<ArgumentError>([] {
          (void)with_another_block(random_module<S>(4, 3, 2, 3, 1), 1, 1);
        }) == "the module is confined to a basis, expected a plain one");
  const auto made = [](double strength, Index earlier) {
    return message_of<ArgumentError>([&] { (void)OrthogonalSubspaces<S>(strength, earlier); });
  };
  CHECK(made(-1, 0) == "strength is -1, expected 0 or more");
  CHECK(made(std::numeric_limits<double>::quiet_NaN(), 0) == "strength is nan, expected 0 or more");
  CHECK(made(1, -2) == "earlier is -2, expected 0 or more");

  const Adapter<S> adapter = block_adapter<S>(5);
  const OrthogonalSubspaces<S> many(1, 6);
  const AdapterGradient<S> before = random_slopes(adapter, 6);
  AdapterGradient<S> gradient = before;
  const std::string too_many =
      "module 'one' is of rank 5, expected at least the 6 of the earlier blocks";
  CHECK(message_of<ShapeError>([&] { (void)many.penalty(adapter); }) == too_many);
  CHECK(message_of<ShapeError>([&] { many.add_gradient(adapter, gradient); }) == too_many);
  CHECK(same_gradient(gradient, before));
  const OrthogonalSubspaces<S> subspaces(1, 2);
  Adapter<S> narrow = adapter;
  narrow.modules.at("two") = random_module<S>(7, 3, 4, 0, 1);
  CHECK(message_of<ShapeError>([&] { subspaces.add_gradient(narrow, gradient); }) ==
        "gradient of a of 'two' is 5 x 7, expected 4 x 7");
  CHECK(same_gradient(gradient, before));
  gradient.modules.erase("one");
  CHECK(message_of<ShapeError>([&] { subspaces.add_gradient(adapter, gradient); }) ==
        "gradient has no module 'one', expected one for every module of the adapter");
  CHECK(gradient.modules.at("two").a == before.modules.at("two").a);
}

}  // namespace
}  // namespace anyssr
