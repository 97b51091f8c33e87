// SPDX-License-Identifier: MIT
#include "anyssr/baselines/quadratic_anchor.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "anyssr/learner/lifted_backbone.hpp"
#include "anyssr/train/train_adapter.hpp"
#include "support/catch.hpp"
#include "support/numeric.hpp"
#include "support/points.hpp"
#include "support/random_module.hpp"

namespace anyssr {
namespace {

using test::contains;
using test::message_of;
using test::PointBackbone;
using test::random_module;
using test::round_off;

template <class S>
using AnchoredBackbone = LiftedBackbone<PointBackbone<S>>;

/// Adds the gradient of an anchor.
template <class S>
struct AddAnchor {
  QuadraticAnchor<S> anchor;
  void operator()(const Adapter<S>& adapter, AdapterGradient<S>& gradient) const {
    anchor.add_gradient(adapter, gradient);
  }
};

static_assert(AdaptableBackbone<PenalisedBackbone<AnchoredBackbone<float>, AddAnchor<float>>>);
static_assert(AdaptableBackbone<PenalisedBackbone<AnchoredBackbone<double>, AddAnchor<double>>>);
static_assert(HasLabels<PenalisedBackbone<AnchoredBackbone<float>, AddAnchor<float>>>);
static_assert(HasClosedForm<PenalisedBackbone<AnchoredBackbone<float>, AddAnchor<float>>>);
static_assert(!HasLossWeight<PenalisedBackbone<AnchoredBackbone<float>, AddAnchor<float>>>);

/// Two modules, a trained head and one in closed form, which has no gradient.
template <class S>
Adapter<S> anchored_adapter(std::uint64_t seed) {
  Adapter<S> adapter;
  adapter.modules.emplace("first", random_module<S>(4, 3, 2, 0, seed));
  adapter.modules.emplace("second", random_module<S>(5, 2, 2, 3, seed + 1));  // confined
  adapter.heads["closed"] = {
      .weights = random_normal<S>(4, 2, seed, 3), .bias = RowVector<S>::Zero(2), .trained = false};
  adapter.heads["trained"] = {.weights = random_normal<S>(3, 2, seed, 4),
                              .bias = random_normal<S>(1, 2, seed, 5)};
  return adapter;
}

/// A gradient of the adapter's shapes with random numbers above 0.
template <class S>
AdapterGradient<S> random_importance(const Adapter<S>& adapter, std::uint64_t seed) {
  AdapterGradient<S> importance = zero_like(adapter);
  std::uint64_t stream = 20;
  for_each_block(importance, [&](auto block) {
    block = random_normal<S>(block.rows(), block.cols(), seed, stream++).cwiseAbs();
  });
  return importance;
}

/// All numbers that training may change, in one row.
template <class S>
std::vector<double> anchored_numbers(const Adapter<S>& adapter) {
  std::vector<double> numbers;
  const AdapterGradient<S> shapes = zero_like(adapter);
  for_each_parameter(adapter, shapes, [&](const auto& block, const auto&) {
    for (Index i = 0; i < block.size(); ++i) {
      numbers.push_back(static_cast<double>(block.data()[i]));
    }
  });
  return numbers;
}
template <class S>
std::vector<double> anchored_numbers(const AdapterGradient<S>& gradient) {
  std::vector<double> numbers;
  for_each_block(gradient, [&](const auto& block) {
    for (Index i = 0; i < block.size(); ++i) {
      numbers.push_back(static_cast<double>(block.data()[i]));
    }
  });
  return numbers;
}

/// The largest difference of two lists.
double furthest(const std::vector<double>& left, const std::vector<double>& right) {
  REQUIRE(left.size() == right.size());
  double most = 0;
  for (std::size_t i = 0; i < left.size(); ++i) {
    most = std::max(most, std::abs(left[i] - right[i]));
  }
  return most;
}

struct AnchorTask {
  std::vector<double> adapter;
  std::vector<double> importance;
};

/// The formula of the header.
double penalty_written_out(const std::vector<double>& theta, const std::vector<AnchorTask>& tasks,
                           double strength) {
  double sum = 0;
  for (const AnchorTask& task : tasks) {
    for (std::size_t i = 0; i < theta.size(); ++i) {
      sum += task.importance[i] * std::pow(theta[i] - task.adapter[i], 2);
    }
  }
  return strength / 2 * sum;
}

TEMPLATE_TEST_CASE("the gradient of an anchor is that of its penalty written out",
                   "[baselines][property]", float, double) {
  using S = TestType;
  const Index count = GENERATE(1, 2, 5);
  const double strength = GENERATE(0.3, 40.0);
  CAPTURE(count, strength);
  QuadraticAnchor<S> anchor(strength);
  CHECK(anchor.is_empty());
  CHECK(anchor.bytes() == 0);
  std::vector<AnchorTask> tasks;
  for (Index k = 0; k < count; ++k) {
    const auto seed = static_cast<std::uint64_t>(10 * k);
    const Adapter<S> adapter = anchored_adapter<S>(seed);
    tasks.push_back({anchored_numbers(adapter), {}});
    if (k == 1) {
      anchor.add(adapter);  // f = 1
      tasks.back().importance.assign(tasks.back().adapter.size(), 1.0);
    } else {
      const AdapterGradient<S> importance = random_importance(adapter, seed);
      anchor.add(adapter, importance);
      tasks.back().importance = anchored_numbers(importance);
    }
  }
  CHECK_FALSE(anchor.is_empty());
  const Adapter<S> adapter = anchored_adapter<S>(77);
  const std::vector<double> theta = anchored_numbers(adapter);
  CHECK(anchor.bytes() == 2 * theta.size() * sizeof(S));
  AdapterGradient<S> gradient = random_importance(adapter, 78);
  const std::vector<double> before = anchored_numbers(gradient);
  anchor.add_gradient(adapter, gradient);
  std::vector<double> expected = before;
  for (std::size_t i = 0; i < theta.size(); ++i) {
    std::vector<double> up = theta;
    std::vector<double> down = theta;
    up[i] += 0.5;  // central differences of a quadratic are exact
    down[i] -= 0.5;
    expected[i] +=
        penalty_written_out(up, tasks, strength) - penalty_written_out(down, tasks, strength);
  }
  const double size = strength * static_cast<double>(count);
  CHECK(furthest(anchored_numbers(gradient), expected) <
        round_off<S>(100) * (1 + size) + round_off<double>(1e4) * size);
}

TEST_CASE("the Fisher information is the mean square of the slopes of one row",
          "[baselines][property]") {
  const AnchoredBackbone<double> backbone(PointBackbone<double>(5), {.dim = 8});
  const auto task = test::point_task<double>(0, 9, 5, 3);
  const std::span<const Index> labels(task.labels);
  const auto trunk = backbone.trunk(task.inputs);
  Adapter<double> adapter = backbone.make_adapter(labels, {.lora = {.rank = 2}}, 4);
  LoraModule<double>& module = adapter.modules.at("lift");
  module.mutable_b() = 0.3 * random_normal<double>(8, 2, 5);
  adapter.heads.at("trained").weights = 0.3 * random_normal<double>(8, 2, 6);
  const std::vector<double> fisher =
      anchored_numbers(fisher_information(backbone, trunk, labels, adapter));

  std::vector<double> expected(fisher.size(), 0.0);
  AdapterGradient<double> ignored = zero_like(adapter);
  const double step = 1e-6;
  for (std::size_t row = 0; row < labels.size(); ++row) {
    const auto alone = backbone.trunk(std::span(task.inputs).subspan(row, 1));
    const auto loss = [&] {
      return backbone.loss_and_gradient(alone, labels.subspan(row, 1), adapter, ignored);
    };
    std::size_t place = 0;
    const AdapterGradient<double> shapes = zero_like(adapter);
    for_each_parameter(adapter, shapes, [&](auto block, const auto&) {
      for (Index i = 0; i < block.size(); ++i) {
        const double kept = block.data()[i];
        block.data()[i] = kept + step;
        const double up = loss();
        block.data()[i] = kept - step;
        const double slope = (up - loss()) / (2 * step);
        block.data()[i] = kept;
        expected[place++] += slope * slope / static_cast<double>(labels.size());
      }
    });
  }
  const double largest = *std::ranges::max_element(expected);
  CHECK(largest > 1e-4);
  CHECK(furthest(fisher, expected) < 1e-7 * largest);
}

TEST_CASE("the Fisher information in float is that in double", "[baselines][property]") {
  const auto fisher = []<class S>(S /*scalar*/) {
    const AnchoredBackbone<S> backbone(PointBackbone<S>(5), {.dim = 8});
    const auto task = test::point_task<S>(0, 30, 5, 3);
    Adapter<S> adapter = backbone.make_adapter(task.labels, {.lora = {.rank = 2}}, 4);
    adapter.modules.at("lift").mutable_b() = random_normal<S>(8, 2, 5);
    adapter.heads.at("trained").weights = random_normal<S>(8, 2, 6);
    return anchored_numbers(fisher_information(backbone, backbone.trunk(task.inputs),
                                               std::span<const Index>(task.labels), adapter));
  };
  const std::vector<double> wide = fisher(1.0);
  CHECK(furthest(fisher(1.0F), wide) < round_off<float>(100) * *std::ranges::max_element(wide));
}

/// A task and an adapter of rank 2 that was trained on it.
template <class S>
struct AnchorLesson {
  AnchoredBackbone<S> backbone;
  test::PointTask<S> task;
  typename AnchoredBackbone<S>::Trunk trunk;
  Adapter<S> adapter;

  AnchorLesson()
      : backbone(PointBackbone<S>(6), {.dim = 12}),
        task(test::point_task<S>(0, 60, 6, 3)),
        trunk(backbone.trunk(task.inputs)),
        adapter(backbone.make_adapter(labels(), {.lora = {.rank = 2}}, 4)) {
    train(backbone, adapter, trunk, labels(), {.epochs = 5, .batch = 16, .seed = 1});
  }
  [[nodiscard]] std::span<const Index> labels() const { return task.labels; }

  template <class B>
  static void train(const B& with, Adapter<S>& of, const typename B::Trunk& on,
                    std::span<const Index> labels, const TrainOptions& options) {
    (void)train_adapter(with, on, labels, of, options);
  }
  /// The adapter after more training under an anchor.
  [[nodiscard]] Adapter<S> trained_under(const QuadraticAnchor<S>& anchor,
                                         const TrainOptions& options) const {
    Adapter<S> trained = adapter;
    const PenalisedBackbone penalised(backbone, AddAnchor<S>{anchor});
    train(penalised, trained, trunk, labels(), options);
    return trained;
  }
};

TEMPLATE_TEST_CASE("a huge anchor leaves an adapter where it was", "[baselines][property]", float,
                   double) {
  using S = TestType;
  const AnchorLesson<S> lesson;
  const TrainOptions options{.epochs = 30, .batch = 16, .rate = 0.01, .seed = 2};
  QuadraticAnchor<S> anchor(1e6);
  anchor.add(lesson.adapter);
  const std::vector<double> start = anchored_numbers(lesson.adapter);
  const double held = furthest(anchored_numbers(lesson.trained_under(anchor, options)), start);
  const double free =
      furthest(anchored_numbers(lesson.trained_under(QuadraticAnchor<S>(1e6), options)), start);
  CAPTURE(held, free);
  CHECK(held < 0.01 * free);
}

TEMPLATE_TEST_CASE("an anchor of strength zero and one of no task train the same bits as none",
                   "[baselines][property]", float, double) {
  using S = TestType;
  const AnchorLesson<S> lesson;
  const TrainOptions options{.epochs = 4, .batch = 16, .accumulation = 2, .seed = 2};
  Adapter<S> plain = lesson.adapter;
  AnchorLesson<S>::train(lesson.backbone, plain, lesson.trunk, lesson.labels(), options);
  QuadraticAnchor<S> anchor(0);
  anchor.add(lesson.adapter);
  CHECK(lesson.trained_under(anchor, options) == plain);
  CHECK(lesson.trained_under(QuadraticAnchor<S>(5), options) == plain);
  CHECK_FALSE(plain == lesson.adapter);
}

TEST_CASE("a penalised backbone reports its loss without the penalty", "[baselines][property]") {
  const AnchorLesson<double> lesson;
  QuadraticAnchor<double> anchor(3);
  Adapter<double> elsewhere = lesson.adapter;
  elsewhere.modules.at("lift").mutable_b().setConstant(7);
  anchor.add(elsewhere);
  const PenalisedBackbone penalised(lesson.backbone, AddAnchor<double>{anchor});
  AdapterGradient<double> gradient = zero_like(lesson.adapter);
  AdapterGradient<double> expected = gradient;
  const double loss =
      lesson.backbone.loss_and_gradient(lesson.trunk, lesson.labels(), lesson.adapter, expected);
  CHECK(penalised.loss_and_gradient(lesson.trunk, lesson.labels(), lesson.adapter, gradient) ==
        loss);
  anchor.add_gradient(lesson.adapter, expected);
  CHECK(anchored_numbers(gradient) == anchored_numbers(expected));
}

/// Classes of rows of which one column tells the class and all others are noise, but for the last,
/// which marks the task.
template <class S>
test::PointTask<S> column_task(Index column, Index rows, std::uint64_t seed) {
  test::PointTask<S> task{"column", {}, {}};
  const Matrix<S> noise = random_normal<S>(rows, 6, seed);
  for (Index i = 0; i < rows; ++i) {
    task.inputs.emplace_back(noise.row(i));
    task.labels.push_back(i % 2);
    task.inputs.back()(column) = i % 2 == 0 ? S(-1.5) : S(1.5);
    task.inputs.back()(5) = column == 0 ? S(1) : S(-1);
  }
  return task;
}

TEMPLATE_TEST_CASE("an anchored sequence forgets less than a plain one", "[baselines][property]",
                   float, double) {
  using S = TestType;
  const AnchoredBackbone<S> backbone(PointBackbone<S>(6), {.dim = 24, .closed_form_head = false});
  const auto first = column_task<S>(0, 120, 1);
  const auto second = column_task<S>(1, 120, 2);
  const auto first_trunk = backbone.trunk(first.inputs);
  const auto second_trunk = backbone.trunk(second.inputs);
  const TrainOptions options{.epochs = 30, .batch = 24, .rate = 0.02, .seed = 3};
  Adapter<S> start = backbone.make_adapter(first.labels, {.lora = {.rank = 4}}, 4);
  (void)train_adapter(backbone, first_trunk, std::span<const Index>(first.labels), start, options);
  const auto accuracy = [&](const Adapter<S>& adapter, const auto& task, const auto& trunk) {
    const std::vector<AdapterMix<S>> mixes(task.labels.size(), AdapterMix<S>(adapter));
    const auto outputs = backbone.forward(trunk, mixes);
    double right = 0;
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      right += backbone.is_correct(outputs[i], task.labels[i]) ? 1 : 0;
    }
    return right / static_cast<double>(outputs.size());
  };
  const auto trained = [&](const QuadraticAnchor<S>& anchor) {
    Adapter<S> adapter = start;
    (void)train_adapter(PenalisedBackbone(backbone, AddAnchor<S>{anchor}), second_trunk,
                        std::span<const Index>(second.labels), adapter, options);
    return adapter;
  };
  QuadraticAnchor<S> plain_l2(0.3);
  plain_l2.add(start);
  QuadraticAnchor<S> elastic(3e4);
  elastic.add(start, fisher_information(backbone, first_trunk, std::span<const Index>(first.labels),
                                        start));
  const Adapter<S> none = trained(QuadraticAnchor<S>(0));
  const Adapter<S> l2 = trained(plain_l2);
  const Adapter<S> ewc = trained(elastic);
  const double before = accuracy(start, first, first_trunk);
  const double forgot = before - accuracy(none, first, first_trunk);
  const double forgot_l2 = before - accuracy(l2, first, first_trunk);
  const double forgot_ewc = before - accuracy(ewc, first, first_trunk);
  CAPTURE(before, forgot, forgot_l2, forgot_ewc);
  CHECK(before == 1);
  CHECK(forgot > 0.4);
  CHECK(forgot_l2 < forgot - 0.2);
  CHECK(forgot_ewc < forgot_l2 - 0.05);  // it knows which numbers the first task needs
  for (const Adapter<S>& adapter : {none, l2, ewc}) {
    CHECK(accuracy(adapter, second, second_trunk) > 0.95);
  }
}

TEST_CASE("an anchor refuses what it cannot hold and stays as it was", "[baselines][error]") {
  const auto made = [](double strength) {
    return message_of<ArgumentError>([&] { (void)QuadraticAnchor<float>(strength); });
  };
  CHECK(made(-0.5) == "strength is -0.5, expected 0 or more");
  CHECK(made(std::numeric_limits<double>::quiet_NaN()) == "strength is nan, expected 0 or more");
  CHECK(made(std::numeric_limits<double>::infinity()) == "strength is inf, expected 0 or more");

  using S = double;
  const Adapter<S> adapter = anchored_adapter<S>(1);
  const AdapterGradient<S> importance = random_importance(adapter, 2);
  Adapter<S> narrow = adapter;
  narrow.modules.at("first") = random_module<S>(4, 3, 1, 0, 5);
  Adapter<S> fewer = adapter;
  fewer.modules.erase("second");
  Adapter<S> renamed = fewer;
  renamed.modules.emplace("third", random_module<S>(5, 2, 2, 3, 2));
  Adapter<S> wide_head = adapter;
  wide_head.heads["trained"] = {.weights = Matrix<S>::Zero(3, 4), .bias = RowVector<S>::Zero(4)};
  AdapterGradient<S> negative = importance;
  negative.modules.at("second").b(1, 0) = -0.25;
  AdapterGradient<S> infinite = importance;
  infinite.heads.at("trained").weights(2, 1) = std::numeric_limits<S>::infinity();
  Adapter<S> broken = adapter;
  broken.heads.at("trained").bias(1) = std::numeric_limits<S>::quiet_NaN();

  QuadraticAnchor<S> anchor(2);
  const auto refuses_importances = [&] {
    CHECK(message_of<ShapeError>([&] { anchor.add(adapter, zero_like(narrow)); }) ==
          "a in importance of module 'first' are 1 x 4, expected 2 x 4");
    CHECK(message_of<ShapeError>([&] { anchor.add(adapter, zero_like(fewer)); }) ==
          "importance has 1 modules, expected 2");
    CHECK(message_of<ShapeError>([&] { anchor.add(adapter, zero_like(renamed)); }) ==
          "importance has a module 'third', expected none of that name");
    CHECK(message_of<ShapeError>([&] { anchor.add(adapter, zero_like(wide_head)); }) ==
          "weights in importance of head 'trained' are 3 x 4, expected 3 x 2");
    CHECK(message_of<ArgumentError>([&] { anchor.add(adapter, negative); }) ==
          "importance is -0.25, expected 0 or more");
    CHECK(message_of<NonFiniteError>([&] { anchor.add(adapter, infinite); }) ==
          "importances hold NaN or infinity at row 2, column 1, expected finite numbers");
    CHECK(message_of<NonFiniteError>([&] { anchor.add(broken); }) ==
          "adapter's numbers hold NaN or infinity at row 0, column 1, expected finite numbers");
  };
  refuses_importances();
  CHECK(anchor.is_empty());

  anchor.add(adapter, importance);
  AdapterGradient<S> expected = zero_like(adapter);
  const Adapter<S> other = anchored_adapter<S>(3);
  anchor.add_gradient(other, expected);
  refuses_importances();
  CHECK(message_of<ShapeError>([&] { anchor.add(narrow); }) ==
        "a in adapter of module 'first' are 1 x 4, expected 2 x 4");
  CHECK(message_of<ShapeError>([&] { anchor.add(fewer); }) == "adapter has 1 modules, expected 2");
  CHECK(message_of<ShapeError>([&] { anchor.add(wide_head); }) ==
        "weights in adapter of head 'trained' are 3 x 4, expected 3 x 2");
  AdapterGradient<S> gradient = zero_like(adapter);
  anchor.add_gradient(other, gradient);
  CHECK(anchored_numbers(gradient) == anchored_numbers(expected));

  AdapterGradient<S> of_narrow = zero_like(narrow);
  CHECK(message_of<ShapeError>([&] { anchor.add_gradient(narrow, of_narrow); }) ==
        "a in gradient of module 'first' are 1 x 4, expected 2 x 4");
  CHECK(message_of<ShapeError>([&] { anchor.add_gradient(adapter, of_narrow); }) ==
        "a in gradient of module 'first' are 1 x 4, expected 2 x 4");
  CHECK(anchored_numbers(of_narrow) == anchored_numbers(zero_like(narrow)));
  CHECK(contains(message_of<ShapeError>([&] { anchor.add_gradient(narrow, gradient); }),
                 "gradient of a of 'first' is 2 x 4, expected 1 x 4"));
  CHECK(anchored_numbers(gradient) == anchored_numbers(expected));
}

TEST_CASE("the Fisher information needs a target a row", "[baselines][error]") {
  const AnchorLesson<double> lesson;
  CHECK(message_of<ShapeError>([&] {
          (void)fisher_information(lesson.backbone, lesson.trunk, lesson.labels().first(59),
                                   lesson.adapter);
        }) == "targets have 59 entries, expected 60, one a row");
  const auto none = lesson.backbone.trunk({});
  CHECK(message_of<ArgumentError>([&] {
          (void)fisher_information(lesson.backbone, none, lesson.labels().first(0), lesson.adapter);
        }) == "targets are empty, expected at least one row");
}

}  // namespace
}  // namespace anyssr
