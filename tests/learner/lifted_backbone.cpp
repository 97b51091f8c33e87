// SPDX-License-Identifier: MIT
#include "anyssr/learner/lifted_backbone.hpp"

#include <cmath>

#include "anyssr/train/train_adapter.hpp"

#include "support/catch.hpp"
#include "support/numeric.hpp"
#include "support/points.hpp"

using namespace anyssr;
using namespace anyssr::test;

namespace {

constexpr Index lifted_dim = 6;

/// An adapter with random numbers everywhere.
template <class B>
Adapter<typename B::Scalar> random_adapter(const B& backbone,
                                           std::span<const typename B::Target> targets,
                                           std::uint64_t seed) {
  using S = typename B::Scalar;
  Adapter<S> adapter = backbone.make_adapter(targets, {.lora = {.rank = 2, .alpha = 3}}, seed);
  auto& module = adapter.modules.at("lift");
  module.mutable_b() = S(0.3) * random_normal<S>(module.b().rows(), module.b().cols(), seed, 1);
  auto& head = adapter.heads.at("trained");
  head.weights = S(0.3) * random_normal<S>(head.weights.rows(), head.weights.cols(), seed, 2);
  head.bias = S(0.3) * random_normal<S>(1, head.bias.size(), seed, 3);
  return adapter;
}

/// Largest difference between the gradient and central differences of the loss, relative to the
/// largest slope.
template <class B>
double gradient_error(const B& backbone, const typename B::Trunk& trunk,
                      std::span<const typename B::Target> targets,
                      Adapter<typename B::Scalar> adapter) {
  auto gradient = zero_like(adapter);
  (void)backbone.loss_and_gradient(trunk, targets, adapter, gradient);
  auto ignored = gradient;
  double worst = 0;
  double largest = 0;
  const double step = 1e-6;
  const auto difference_at = [&](auto block, Index i, double slope) {
    const double kept = block.data()[i];
    block.data()[i] = kept + step;
    const double up = backbone.loss_and_gradient(trunk, targets, adapter, ignored);
    block.data()[i] = kept - step;
    const double down = backbone.loss_and_gradient(trunk, targets, adapter, ignored);
    block.data()[i] = kept;
    worst = std::max(worst, std::abs((up - down) / (2 * step) - slope));
    largest = std::max(largest, std::abs(slope));
  };
  for_each_parameter(adapter, gradient, [&](auto block, auto slopes) {
    for (Index i = 0; i < block.size(); ++i) difference_at(block, i, slopes.data()[i]);
  });
  return worst / largest;
}

/// The same backbone, which prepares nothing for training.
template <class B>
struct Unprepared : B {
  using B::B;
  struct Prepared {};
  void prepare() = delete;
  typename B::Trunk select(const typename B::Trunk& trunk, std::span<const Index> rows) const {
    return B::select(trunk, rows);
  }
};

}  // namespace

TEMPLATE_TEST_CASE("a confined adapter is trained alike with and without what is prepared",
                   "[learner][property]", float, double) {
  using B = LiftedBackbone<PointBackbone<TestType>>;
  STATIC_REQUIRE(PreparesTraining<B>);
  STATIC_REQUIRE_FALSE(PreparesTraining<Unprepared<B>>);
  const B backbone(PointBackbone<TestType>(lifted_dim), {.dim = 7});
  const Unprepared<B> plain(PointBackbone<TestType>(lifted_dim), LiftOptions{.dim = 7});
  const auto task = point_task<TestType>(0, 40, lifted_dim, 3);
  const auto trunk = backbone.trunk(task.inputs);
  Adapter<TestType> start = random_adapter(backbone, std::span<const Index>(task.labels), 4);
  const bool is_confined = GENERATE(true, false);
  if (is_confined) {
    RowMajorMatrix<TestType> basis = RowMajorMatrix<TestType>::Zero(lifted_dim, 4);
    basis.bottomRows(4).setIdentity();
    start.modules.at("lift").confine(basis);
  }
  CHECK((backbone.prepare(trunk, start).size() > 0) == is_confined);
  const TrainOptions options{.epochs = 5, .batch = 16, .rate = 0.01, .validation_share = 0.2};
  Adapter<TestType> prepared = start;
  Adapter<TestType> unprepared = start;
  const std::span<const Index> labels(task.labels);
  train_adapter(backbone, trunk, labels, prepared, options);
  train_adapter(plain, trunk, labels, unprepared, options);
  const auto& module = prepared.modules.at("lift");
  const double moved = static_cast<double>((module.a() - start.modules.at("lift").a()).norm());
  const double apart = static_cast<double>((module.a() - unprepared.modules.at("lift").a()).norm());
  CHECK(moved > 0.01);
  CHECK(apart <= (sizeof(TestType) == 4 ? 1e-3 : 1e-11) * moved);
}

TEST_CASE("gradients of a lifted classifier agree with finite differences", "[learner][property]") {
  const auto activation = GENERATE(Activation::relu, Activation::gelu, Activation::identity);
  const LiftedBackbone<PointBackbone<double>> backbone(
      PointBackbone<double>(lifted_dim),
      {.dim = 7, .activation = activation, .label_smoothing = 0.1});
  const auto task = point_task<double>(0, 5, lifted_dim, 3);
  const auto trunk = backbone.trunk(task.inputs);
  CHECK(gradient_error(backbone, trunk, task.labels, random_adapter(backbone, task.labels, 4)) <
        1e-6);
}

TEST_CASE("gradients of a lifted regression agree with finite differences", "[learner][property]") {
  using Backbone = LiftedBackbone<PointBackbone<double>, Regression>;
  const Backbone backbone(PointBackbone<double>(lifted_dim), {.dim = 7});
  const auto task = point_task<double>(0, 5, lifted_dim, 3);
  std::vector<Vector<double>> targets;
  for (std::uint64_t i = 0; i < 5; ++i) targets.push_back(random_normal<double>(2, 1, i));
  const auto trunk = backbone.trunk(task.inputs);
  CHECK(gradient_error(backbone, trunk, targets, random_adapter(backbone, targets, 4)) < 1e-6);
  auto uneven = targets;
  uneven[2] = Vector<double>::Zero(3);
  CHECK(contains(message_of<ShapeError>([&] { (void)backbone.make_adapter(uneven, {}, 1); }),
                 "3 and 2 values"));
}

TEMPLATE_TEST_CASE("forward follows its formula", "[learner]", float, double) {
  using S = TestType;
  const LiftOptions options{.dim = 9, .gain = 2, .closed_form_ridge = 0.4, .seed = 6};
  const LiftedBackbone<PointBackbone<S>> backbone(PointBackbone<S>(lifted_dim), options);
  const auto task = point_task<S>(0, 20, lifted_dim, 3);
  const auto trunk = backbone.trunk(task.inputs);
  Adapter<S> adapter = random_adapter(backbone, std::span<const Index>(task.labels), 4);
  const auto& module = adapter.modules.at("lift");
  const auto& head = adapter.heads.at("trained");
  // z = x P + c x A^T B^T; h = gain sqrt(2 / H) relu(z); mean of log softmax, all in double
  const Eigen::MatrixXd x = trunk.features.template cast<double>();
  const Eigen::MatrixXd frozen = x * random_normal<double>(lifted_dim, 9, 6, 0x45585001).eval();
  const Eigen::MatrixXd delta =
      1.5 * module.b().template cast<double>() * module.a().template cast<double>();
  const double scale = 2 * std::sqrt(2.0 / 9);
  CHECK(relative_error(trunk.projected, frozen) < round_off<S>(100));
  const Eigen::MatrixXd h = scale * (frozen + x * delta.transpose()).cwiseMax(0.0);
  Eigen::MatrixXd scores = h * head.weights.template cast<double>();
  scores.rowwise() += head.bias.template cast<double>();
  const auto log_probabilities = [](const Eigen::MatrixXd& values) {
    Eigen::MatrixXd result = values;
    for (Index i = 0; i < values.rows(); ++i) {
      result.row(i).array() -= std::log(values.row(i).array().exp().sum());
    }
    return result;
  };
  const std::vector<AdapterMix<S>> mixes(20, AdapterMix<S>(adapter));
  const auto outputs = backbone.forward(trunk, mixes);
  const Eigen::MatrixXd expected = log_probabilities(scores);
  for (Index i = 0; i < 20; ++i) {
    CHECK(relative_error(outputs[static_cast<std::size_t>(i)], expected.row(i).transpose().eval()) <
          round_off<S>(1e3));
  }

  backbone.fit_closed_form(trunk, task.labels, adapter);
  Eigen::MatrixXd both(20, 9 + lifted_dim);
  both << std::sqrt(2.0 / 9) * frozen.cwiseMax(0.0), x;
  Eigen::MatrixXd one_hot = Eigen::MatrixXd::Zero(20, 2);
  for (Index i = 0; i < 20; ++i) one_hot(i, task.labels[static_cast<std::size_t>(i)]) = 1;
  const Head<S>& closed = adapter.heads.at("closed_form");
  CHECK(relative_error(closed.weights, joint_fit(both, one_hot, 0.4)) < round_off<S>(1e4));
  const Eigen::MatrixXd joint = closed.temperature * both * joint_fit(both, one_hot, 0.4);
  const Eigen::MatrixXd mean = (expected + log_probabilities(joint)) / 2;
  const std::vector<AdapterMix<S>> with_both(20, AdapterMix<S>(adapter));
  const auto mixed = backbone.forward(trunk, with_both);
  for (Index i = 0; i < 20; ++i) {
    CHECK(relative_error(mixed[static_cast<std::size_t>(i)], mean.row(i).transpose().eval()) <
          round_off<S>(1e5));
  }
}

TEST_CASE("rows of one batch are answered by their own mixes", "[learner]") {
  const LiftedBackbone<PointBackbone<double>> backbone(PointBackbone<double>(lifted_dim),
                                                       {.dim = 9});
  const auto task = point_task<double>(0, 4, lifted_dim, 3);
  const auto trunk = backbone.trunk(task.inputs);
  const Adapter<double> a = random_adapter(backbone, std::span<const Index>(task.labels), 4);
  const Adapter<double> b = random_adapter(backbone, std::span<const Index>(task.labels), 5);
  AdapterMix<double> blend(a, 0.3);
  blend.add(&b, 0.7);
  const std::vector<AdapterMix<double>> mixes{AdapterMix<double>(a), AdapterMix<double>(b),
                                              AdapterMix<double>(), blend};
  const auto outputs = backbone.forward(trunk, mixes);
  for (std::size_t i = 0; i < 4; ++i) {
    const std::vector<Index> row{static_cast<Index>(i)};
    const auto alone =
        backbone.forward(backbone.select(trunk, row), std::span(&mixes[i], 1)).front();
    CHECK(alone.size() == outputs[i].size());
    if (alone.size() > 0) CHECK(relative_error(outputs[i], alone) < 1e-12);
  }
  CHECK(outputs[2].size() == 0);  // the base model has no head
  CHECK_FALSE(backbone.is_correct(outputs[2], 0));
  CHECK(contains(
      message_of<ShapeError>([&] { (void)backbone.forward(trunk, std::span(mixes).first(3)); }),
      "mixes have 3 entries, expected 4"));
  const Adapter<double> headless;
  const std::vector<AdapterMix<double>> no_head(4, AdapterMix<double>(headless));
  CHECK(contains(message_of<ArgumentError>([&] { (void)backbone.forward(trunk, no_head); }),
                 "no head"));
}

TEST_CASE("heads of unequal width answer nothing", "[learner][error]") {
  const LiftedBackbone<PointBackbone<double>> backbone(PointBackbone<double>(lifted_dim),
                                                       {.dim = 7});
  const auto task = point_task<double>(0, 5, lifted_dim, 3);
  const auto trunk = backbone.trunk(task.inputs);
  const std::vector<Index> wide{0, 8};
  Adapter<double> adapter = backbone.make_adapter(wide, {.lora = {.rank = 2}}, 1);
  backbone.fit_closed_form(trunk, std::span<const Index>(task.labels), adapter);  // fewer classes
  const std::vector<AdapterMix<double>> mixes(task.inputs.size(), AdapterMix<double>(adapter));
  CHECK(contains(message_of<ShapeError>([&] { (void)backbone.forward(trunk, mixes); }),
                 "head 'trained' has 9 outputs, expected"));
}

TEST_CASE("lift options out of range are refused", "[learner][error]") {
  using Backbone = LiftedBackbone<PointBackbone<float>>;
  const PointBackbone<float> points(lifted_dim);
  CHECK(contains(message_of<ArgumentError>([&] { Backbone(points, {.dim = 0}); }), "dim is 0"));
  CHECK(contains(message_of<ArgumentError>([&] { Backbone(points, {.gain = 0}); }), "gain is 0"));
  CHECK(contains(message_of<ArgumentError>([&] { Backbone(points, {.label_smoothing = 1}); }),
                 "label_smoothing is 1"));
  CHECK(contains(message_of<ArgumentError>([&] { Backbone(points, {.closed_form_ridge = -1}); }),
                 "closed_form_ridge is -1"));
}

TEST_CASE("a lifted fingerprint names the backbone and the frozen layer", "[learner]") {
  const PointBackbone<float> points(lifted_dim);
  const LiftedBackbone<PointBackbone<float>> first(points, {.dim = 8, .seed = 1});
  const LiftedBackbone<PointBackbone<float>> second(points, {.dim = 8, .seed = 2});
  CHECK(contains(first.fingerprint(), "points"));
  CHECK(first.fingerprint() != second.fingerprint());
}
