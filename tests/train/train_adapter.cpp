// SPDX-License-Identifier: MIT
#include "anyssr/train/train_adapter.hpp"

#include <vector>

#include "support/catch.hpp"
#include "support/linear_backbone.hpp"
#include "support/numeric.hpp"

namespace {

using namespace anyssr;
using namespace anyssr::test;

/// A backbone, data it can learn, and an adapter at its start.
template <class S>
struct Lesson {
  Blobs<S> data;
  LinearBackbone<S> backbone;
  typename LinearBackbone<S>::Trunk trunk;
  Adapter<S> adapter;

  explicit Lesson(double noise = 0.4, Index count = 240, Index rank = 4)
      : data(count, 10, 4, noise, 3),
        backbone(10, 16, 4, 5),
        trunk(make_training_trunk(backbone, std::span(data.inputs), labels())),
        adapter(backbone.make_adapter(labels(), {.lora = {.rank = rank}}, 7)) {}

  [[nodiscard]] std::span<const Index> labels() const { return data.labels; }
  [[nodiscard]] double accuracy(const Adapter<S>& of) const {
    const std::vector<AdapterMix<S>> mixes(data.labels.size(), AdapterMix<S>(of));
    const auto outputs = backbone.forward(trunk, mixes, {});
    double right = 0;
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      right += backbone.is_correct(outputs[i], data.labels[i]) ? 1 : 0;
    }
    return right / static_cast<double>(outputs.size());
  }
  TrainReport train(const TrainOptions& options, const ProgressCallback& progress = {}) {
    return train_adapter(backbone, trunk, labels(), adapter, options, progress);
  }
};

}  // namespace

TEST_CASE("the test backbone's gradient equals central differences", "[train][property]") {
  Lesson<double> lesson(0.4, 30, 2);
  Adapter<double>& adapter = lesson.adapter;
  adapter.modules.at("layer").mutable_b() = random_normal<double>(16, 2, 1);
  adapter.heads.at("head").weights = random_normal<double>(16, 4, 2);
  AdapterGradient<double> gradient = zero_like(adapter);
  AdapterGradient<double> ignored = gradient;
  const auto loss = [&] {
    return lesson.backbone.loss_and_gradient(lesson.trunk, lesson.labels(), adapter, ignored);
  };
  (void)lesson.backbone.loss_and_gradient(lesson.trunk, lesson.labels(), adapter, gradient);
  double worst = 0;
  const double step = 1e-6;
  for_each_parameter(adapter, gradient, [&](auto block, const auto& slope) {
    for (Index i = 0; i < block.size(); ++i) {
      const double at = block.data()[i];
      block.data()[i] = at + step;
      const double up = loss();
      block.data()[i] = at - step;
      const double difference = (up - loss()) / (2 * step);
      block.data()[i] = at;
      worst = std::max(worst, std::abs(difference - slope.data()[i]));
    }
  });
  CHECK(worst < 1e-6);
}

TEMPLATE_TEST_CASE("training learns a separable task and reports its losses", "[train][property]",
                   float, double) {
  Lesson<TestType> lesson;
  const double before = lesson.accuracy(lesson.adapter);
  const TrainReport report = lesson.train({.epochs = 15, .batch = 32});
  CHECK(before < 0.5);
  CHECK(lesson.accuracy(lesson.adapter) > 0.97);
  CHECK(report.epochs_run == 15);
  CHECK(report.steps == 15 * 8);
  CHECK(report.losses.size() == 15);
  CHECK(report.final_loss == report.losses.back());
  CHECK(std::abs(report.losses.front() - std::log(4.0)) < 0.5);
  CHECK(report.final_loss < 0.2 * report.losses.front());
  CHECK_FALSE(report.best_accuracy.has_value());
  CHECK(report.best_epoch == 14);
  CHECK(report.seconds > 0);
  CHECK(lesson.adapter.modules.at("layer").b().norm() > 0);
}

TEMPLATE_TEST_CASE("the same seed trains the same bits and another seed others",
                   "[train][property]", float, double) {
  const auto digest = [](std::uint64_t seed) {
    Lesson<TestType> lesson;
    (void)lesson.train(
        {.epochs = 3, .schedule = Schedule::cosine, .warmup = 0.1, .clip_norm = 1, .seed = seed});
    return lesson.adapter.digest();
  };
  CHECK(digest(1) == digest(1));
  CHECK_FALSE(digest(1) == digest(2));
}

TEST_CASE("rank zero trains the head alone and zero epochs train nothing", "[train][property]") {
  Lesson<double> lesson(0.4, 240, 0);
  CHECK(lesson.adapter.modules.empty());
  const std::uint64_t start = lesson.adapter.digest();
  const TrainReport none = lesson.train({.epochs = 0});
  CHECK(none.steps == 0);
  CHECK(none.losses.empty());
  CHECK(lesson.adapter.digest() == start);
  (void)lesson.train({.epochs = 15});
  CHECK(lesson.accuracy(lesson.adapter) > 0.9);
}

TEST_CASE("closed-form heads are not trained", "[train][property]") {
  Lesson<double> lesson;
  lesson.backbone.fit_closed_form(lesson.trunk, lesson.labels(), lesson.adapter);
  const Head<double> closed = lesson.adapter.heads.at("closed");
  CHECK_FALSE(closed.trained);
  (void)lesson.train({.epochs = 2});
  CHECK(lesson.adapter.heads.at("closed") == closed);
  lesson.adapter.modules.clear();
  lesson.adapter.heads.erase("head");
  CHECK(lesson.accuracy(lesson.adapter) > 0.9);
  const std::uint64_t digest = lesson.adapter.digest();
  CHECK(lesson.train({.epochs = 2}).steps == 0);
  CHECK(lesson.adapter.digest() == digest);
}

TEST_CASE("early stopping keeps the adapter of the best epoch", "[train][property]") {
  // Noise that cannot be learned: accuracy on the rows set aside goes up and down.
  const TrainOptions options{.epochs = 40,
                             .batch = 16,
                             .rate = 0.03,
                             .schedule = Schedule::constant,
                             .validation_share = 0.3,
                             .patience = 4,
                             .seed = 2};
  Lesson<double> lesson(2.5, 150);
  const TrainReport report = lesson.train(options);
  REQUIRE(report.best_accuracy.has_value());
  CHECK(report.epochs_run == report.best_epoch + 1 + 4);
  CHECK(report.epochs_run < 40);
  CHECK(report.validation_accuracies.size() == static_cast<std::size_t>(report.epochs_run));
  const auto best = static_cast<std::size_t>(report.best_epoch);
  for (std::size_t i = 0; i < report.validation_accuracies.size(); ++i) {
    CAPTURE(i);
    CHECK(report.validation_accuracies[i] <= *report.best_accuracy);
    if (i < best) CHECK(report.validation_accuracies[i] < *report.best_accuracy);
  }
  // The rate is constant, so a run that ends with the best epoch must give the same bits.
  Lesson<double> shorter(2.5, 150);
  TrainOptions until_best = options;
  until_best.epochs = report.best_epoch + 1;
  (void)shorter.train(until_best);
  CHECK(shorter.adapter == lesson.adapter);
  // And what the report says of it holds on the rows that were set aside.
  const RowSplit split = validation_split(150, 0.3, 2, lesson.labels());
  const auto aside = lesson.backbone.select(lesson.trunk, split.validation);
  const std::vector<AdapterMix<double>> mixes(split.validation.size(),
                                              AdapterMix<double>(lesson.adapter));
  const auto outputs = lesson.backbone.forward(aside, mixes, {});
  double right = 0;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const auto row = static_cast<std::size_t>(split.validation[i]);
    right += lesson.backbone.is_correct(outputs[i], lesson.data.labels[row]) ? 1 : 0;
  }
  CHECK(right / static_cast<double>(outputs.size()) == *report.best_accuracy);
}

TEST_CASE("cancelling at any step leaves the adapter as it was", "[train][error]") {
  Lesson<float> lesson;
  const std::uint64_t start = lesson.adapter.digest();
  const Index stop_at = GENERATE(0, 5, 12);
  CAPTURE(stop_at);
  Index calls = 0;
  const auto stop = [&](const Progress& progress) {
    CHECK(progress.stage == "train");
    CHECK(progress.total == 3 * 4);
    CHECK(progress.done <= progress.total);
    ++calls;
    return progress.done < stop_at;
  };
  const std::string message =
      message_of<Cancelled>([&] { (void)lesson.train({.epochs = 3}, stop); });
  CHECK(message == "cancelled by the progress callback in stage 'train' after " +
                       std::to_string(stop_at) + " of 12 steps; nothing was changed");
  CHECK(calls >= stop_at);
  CHECK(lesson.adapter.digest() == start);
}

TEMPLATE_TEST_CASE("a run that leaves the finite numbers changes nothing and says what to do",
                   "[train][error]", float, double) {
  Lesson<TestType> lesson;
  const std::uint64_t start = lesson.adapter.digest();
  const std::string diverged = message_of<NumericalError>(
      [&] { (void)lesson.train({.rate = sizeof(TestType) == 4 ? 1e30 : 1e300}); });
  CHECK(contains(diverged, "is not finite at training step "));
  CHECK(contains(diverged, "the adapter was not changed: lower the rate (1e+30"));
  lesson.trunk.x(3, 2) = std::numeric_limits<TestType>::quiet_NaN();
  CHECK(contains(message_of<NumericalError>([&] { (void)lesson.train({.batch = 1000}); }),
                 "the loss is not finite at training step 0"));
  CHECK(lesson.adapter.digest() == start);
}

TEST_CASE("bad training arguments are refused by name", "[train][error]") {
  Lesson<float> lesson;
  const std::uint64_t start = lesson.adapter.digest();
  const auto message = [&](const TrainOptions& options) {
    return message_of<ArgumentError>([&] { (void)lesson.train(options); });
  };
  CHECK(message({.epochs = -1}) == "epochs is -1, expected at least 0");
  CHECK(message({.batch = 0}) == "batch is 0, expected at least 1");
  CHECK(message({.rate = 0}) == "rate is 0, expected a finite number above 0");
  CHECK(message({.warmup = 1}) == "warmup is 1, expected at least 0 and below 1");
  CHECK(message({.weight_decay = -1}) ==
        "weight_decay is -1, expected a finite number of at least 0");
  CHECK(message({.clip_norm = -2}) ==
        "clip_norm is -2, expected 0 (off) or a finite number above 0");
  CHECK(message({.validation_share = 1}) ==
        "validation_share is 1, expected at least 0 and below 1");
  CHECK(message({.patience = -1}) == "patience is -1, expected at least 0");
  CHECK(message({.patience = 3}) ==
        "patience is 3 with validation_share 0, expected a share above 0 to judge epochs by");
  CHECK(message_of<ShapeError>([&] {
          (void)train_adapter(lesson.backbone, lesson.trunk, lesson.labels().first(9),
                              lesson.adapter);
        }) == "targets have 9 entries, expected 240, one a row");
  const LinearBackbone<float>::Trunk empty{Matrix<float>(0, 10)};
  CHECK(message_of<ArgumentError>([&] {
          (void)train_adapter(lesson.backbone, empty, std::span<const Index>(), lesson.adapter);
        }) == "targets are empty, expected at least one row to train on");
  CHECK(lesson.adapter.digest() == start);
  lesson.adapter.heads.at("head").bias(1) = std::numeric_limits<float>::infinity();
  CHECK(message({}) == "adapter holds NaN or infinity, expected finite numbers");
}
