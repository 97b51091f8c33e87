// SPDX-License-Identifier: MIT
#include "anyssr/train/train_adapter.hpp"

#include <array>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/linear_backbone.hpp"
#include "support/numeric.hpp"
#include "support/toy_language_model.hpp"

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

/// A backbone with all that is optional in training: an answer scores by how likely it makes the
/// label, a row counts ten tokens, and a batch weighs what the test says.
struct ScoringBackbone : LinearBackbone<double> {
  using LinearBackbone::LinearBackbone;
  double scale = 1;    // of the score, to leave 0..1
  double weight = 1;   // of a row of label 0
  bool drops = false;  // the gradient loses a block
  [[nodiscard]] double score(const Output& output, const Target& target) const {
    return scale * likelihood(output, target);
  }
  [[nodiscard]] Index work(const Trunk& trunk) const { return 10 * rows(trunk); }
  [[nodiscard]] double loss_weight(const Trunk& /*trunk*/, std::span<const Target> targets) const {
    double sum = 0;
    for (const Index label : targets) sum += weight_of_label(label);
    return sum;
  }
  /// The mean over rows, each times the weight of its label.
  double loss_and_gradient(const Trunk& trunk, std::span<const Target> targets,
                           const Adapter<double>& adapter,
                           AdapterGradient<double>& gradient) const {
    AdapterGradient<double> one = gradient;
    gradient.set_zero();
    double loss = 0;
    const double total = loss_weight(trunk, targets);
    for (Index i = 0; i < rows(trunk); ++i) {
      const auto target = targets.subspan(static_cast<std::size_t>(i), 1);
      const std::vector<Index> row{i};
      const double share = weight_of_label(target[0]) / total;
      loss += share * LinearBackbone::loss_and_gradient(select(trunk, row), target, adapter, one);
      add(gradient, one, share);
    }
    if (drops) gradient.heads.clear();
    return loss;
  }
  static double likelihood(const Output& output, Index target) {
    return std::exp(log_softmax(output)(0, target));
  }

 private:
  [[nodiscard]] double weight_of_label(Index label) const { return label == 0 ? weight : 1; }
  static void add(AdapterGradient<double>& sum, const AdapterGradient<double>& one, double share) {
    for (auto& [name, module] : sum.modules) {
      module.a += share * one.modules.at(name).a;
      module.b += share * one.modules.at(name).b;
    }
    for (auto& [name, head] : sum.heads) {
      head.weights += share * one.heads.at(name).weights;
      head.bias += share * one.heads.at(name).bias;
    }
  }
};
static_assert(HasScore<ScoringBackbone>);
static_assert(HasWork<ScoringBackbone>);
static_assert(HasLossWeight<ScoringBackbone>);
static_assert(!HasScore<LinearBackbone<double>>);
static_assert(!HasWork<LinearBackbone<double>>);
static_assert(!HasLossWeight<LinearBackbone<double>>);

/// What ScoringBackbone learns.
struct ScoredLesson {
  Blobs<double> data{120, 10, 4, 0.8, 3};
  ScoringBackbone backbone{10, 16, 4, 5};
  ScoringBackbone::Trunk trunk = backbone.trunk(data.inputs);
  Adapter<double> adapter = backbone.make_adapter(data.labels, {.lora = {.rank = 2}}, 7);

  TrainReport train(const TrainOptions& options, const ProgressCallback& progress = {}) {
    return train_adapter(backbone, trunk, std::span<const Index>(data.labels), adapter, options,
                         progress);
  }
};

/// The largest difference between the trained numbers of two adapters of one shape.
template <class S>
double difference(const Adapter<S>& a, Adapter<S> b) {
  double worst = 0;
  for (auto& [site, module] : b.modules) {
    const LoraModule<S>& other = a.modules.at(site);
    worst = std::max(
        {worst, relative_error(module.a(), other.a()), relative_error(module.b(), other.b())});
  }
  for (auto& [name, head] : b.heads) {
    worst = std::max(worst, relative_error(head.weights, a.heads.at(name).weights));
  }
  return worst;
}

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
  CHECK_FALSE(report.best_score.has_value());
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
  REQUIRE(report.best_score.has_value());
  CHECK(report.epochs_run == report.best_epoch + 1 + 4);
  CHECK(report.epochs_run < 40);
  CHECK(report.validation_scores.size() == static_cast<std::size_t>(report.epochs_run));
  const auto best = static_cast<std::size_t>(report.best_epoch);
  for (std::size_t i = 0; i < report.validation_scores.size(); ++i) {
    CAPTURE(i);
    CHECK(report.validation_scores[i] <= *report.best_score);
    if (i < best) CHECK(report.validation_scores[i] < *report.best_score);
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
  CHECK(right / static_cast<double>(outputs.size()) == *report.best_score);
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

TEMPLATE_TEST_CASE("mini-batches that add up to a step train as one batch of all their rows",
                   "[train][property]", float, double) {
  const Index accumulation = GENERATE(2, 4, 16);
  CAPTURE(accumulation);
  // 240 rows: the last step of an epoch has fewer mini-batches, and the last of 7 fewer rows
  const TrainOptions whole{.epochs = 3,
                           .batch = 7 * accumulation,
                           .warmup = 0.2,
                           .weight_decay = 0.01,
                           .clip_norm = 0.5,
                           .seed = 4};
  TrainOptions parts = whole;
  parts.batch = 7;
  parts.accumulation = accumulation;
  Lesson<TestType> one;
  Lesson<TestType> many;
  const TrainReport of_one = one.train(whole);
  const TrainReport of_many = many.train(parts);
  CHECK(of_many.steps == of_one.steps);
  CHECK(of_many.steps == 3 * ((240 - 1) / (7 * accumulation) + 1));
  CHECK(difference(one.adapter, many.adapter) < round_off<TestType>(2000));
  REQUIRE(of_many.losses.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(std::abs(of_many.losses[i] - of_one.losses[i]) < round_off<TestType>(200));
  }
}

TEST_CASE("a step of one mini-batch keeps its bits", "[train][property]") {
  Lesson<double> plain;
  Lesson<double> more;
  (void)plain.train({.epochs = 2, .batch = 240});
  (void)more.train({.epochs = 2, .batch = 240, .accumulation = 8});
  CHECK(plain.adapter == more.adapter);
}

TEST_CASE("a language model accumulates as it trains whole", "[train][property]") {
  const ToyLanguageModel<double> model(9, 8, 3);
  std::vector<std::vector<int>> prompts;
  std::vector<std::array<int, 2>> answers;
  for (int i = 0; i < 21; ++i) {
    prompts.push_back({i % 9, (i * 5 + 1) % 9, (i * 7 + 2) % 9});
    answers.push_back({(i + 3) % 9, (i * 2) % 9});
  }
  const auto trunk = make_training_trunk(model, std::span<const std::vector<int>>(prompts),
                                         std::span<const std::array<int, 2>>(answers));
  const auto trained = [&](Index batch, Index accumulation) {
    Adapter<double> adapter = model.make_adapter(answers, {.lora = {.rank = 2}}, 1);
    const TrainReport report =
        train_adapter(model, trunk, std::span<const std::array<int, 2>>(answers), adapter,
                      {.epochs = 4, .batch = batch, .accumulation = accumulation, .rate = 0.02});
    CHECK(report.steps == 4 * 2);
    return adapter;
  };
  CHECK(difference(trained(12, 1), trained(4, 3)) < round_off<double>(2000));
}

TEST_CASE("mini-batches weigh what the backbone's loss is a mean over", "[train][property]") {
  const auto trained = [](Index batch, Index accumulation, double weight) {
    ScoredLesson lesson;
    lesson.backbone.weight = weight;
    const TrainReport report =
        lesson.train({.epochs = 2, .batch = batch, .accumulation = accumulation});
    return std::pair(lesson.adapter, report.losses.back());
  };
  const auto [whole, whole_loss] = trained(120, 1, 5);
  const auto [parts, parts_loss] = trained(9, 14, 5);
  CHECK(difference(whole, parts) < round_off<double>(2000));
  CHECK(std::abs(whole_loss - parts_loss) < round_off<double>(100));
  CHECK(difference(whole, trained(120, 1, 1).first) > 1e-4);
}

TEST_CASE("validation goes by the backbone's score", "[train][property]") {
  ScoredLesson lesson;
  const TrainReport report =
      lesson.train({.epochs = 6, .batch = 16, .validation_share = 0.25, .patience = 3, .seed = 2});
  REQUIRE(report.best_score.has_value());
  const RowSplit split = validation_split(120, 0.25, 2, lesson.data.labels);
  const auto aside = lesson.backbone.select(lesson.trunk, split.validation);
  const std::vector<AdapterMix<double>> mixes(split.validation.size(),
                                              AdapterMix<double>(lesson.adapter));
  const auto outputs = lesson.backbone.forward(aside, mixes, {});
  double sum = 0;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const auto row = static_cast<std::size_t>(split.validation[i]);
    sum += ScoringBackbone::likelihood(outputs[i], lesson.data.labels[row]);
  }
  CHECK(*report.best_score == sum / static_cast<double>(outputs.size()));
  CHECK(*report.best_score > 0.3);
  CHECK(*report.best_score < 1);
}

TEST_CASE("a backbone's score or weight out of range ends training and changes nothing",
          "[train][error]") {
  ScoredLesson lesson;
  const std::uint64_t start = lesson.adapter.digest();
  const auto message = [&] {
    return message_of<ArgumentError>(
        [&] { (void)lesson.train({.epochs = 1, .batch = 200, .validation_share = 0.2}); });
  };
  const double nan = std::numeric_limits<double>::quiet_NaN();
  lesson.backbone.scale = nan;
  CHECK(message() == "score of an answer is nan, expected 0 to 1 from the backbone");
  lesson.backbone.scale = -1;
  CHECK(contains(message(), "score of an answer is -0."));
  lesson.backbone.scale = 100;
  CHECK(contains(message(), ", expected 0 to 1 from the backbone"));
  lesson.backbone.weight = nan;
  CHECK(message() ==
        "loss_weight of a mini-batch is nan, expected a finite number above 0 from the backbone");
  lesson.backbone.weight = -1000;
  CHECK(contains(message(), "loss_weight of a mini-batch is -"));
  lesson.backbone.weight = 1;
  lesson.backbone.drops = true;
  CHECK(contains(message_of<ShapeError>([&] { (void)lesson.train({.batch = 9}); }),
                 "gradient has no head 'head'"));
  CHECK(lesson.adapter.digest() == start);
}

TEST_CASE("progress tells work a second and the time left", "[train][property]") {
  ScoredLesson lesson;
  std::vector<Progress> told;
  const TrainReport report =
      lesson.train({.epochs = 2, .batch = 10, .accumulation = 3, .validation_share = 0.25},
                   [&](const Progress& progress) {
                     told.push_back(progress);
                     return true;
                   });
  // 90 rows: 9 mini-batches and 3 steps an epoch; told before each and after each epoch
  REQUIRE(told.size() == 2 * (9 + 1));
  CHECK(told[0].per_second == 0);
  CHECK(told[0].seconds_left == 0);
  CHECK(told[0].loss == 0);
  CHECK(told[1].done == 0);
  CHECK(told[1].loss > 0);
  CHECK(told[3].done == 1);
  for (std::size_t i = 1; i < told.size(); ++i) {
    CAPTURE(i);
    CHECK(told[i].total == 6);
    CHECK(told[i].per_second > 0);
    CHECK((told[i].seconds_left > 0) == (i + 1 < told.size()));
  }
  CHECK(told.back().done == 6);
  CHECK(report.per_second > 0);
  CHECK(report.per_second * report.seconds >= 2 * 90 * 10);  // validation takes time and is no work
  Lesson<double> plain;
  (void)plain.train({.epochs = 1}, [](const Progress& progress) {
    CHECK(progress.per_second == 0);
    return true;
  });
}

TEST_CASE("cancelling inside an accumulated step leaves the adapter as it was", "[train][error]") {
  Lesson<double> lesson;
  const std::uint64_t start = lesson.adapter.digest();
  const Index stop_at = GENERATE(1, 5, 7);
  CAPTURE(stop_at);
  Index calls = 0;
  const std::string message = message_of<Cancelled>([&] {
    (void)lesson.train({.epochs = 1, .batch = 30, .accumulation = 4},
                       [&](const Progress&) { return calls++ < stop_at; });
  });
  CHECK(contains(message, "after " + std::to_string(stop_at / 4) + " of 2 steps"));
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
  CHECK(message({.accumulation = 0}) == "accumulation is 0, expected at least 1");
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
