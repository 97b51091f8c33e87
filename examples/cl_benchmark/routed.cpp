// SPDX-License-Identifier: MIT
#include "cl_benchmark/routed.hpp"

#include <algorithm>
#include <anyssr/baselines/adapter_arrows.hpp>
#include <anyssr/baselines/linear_discriminant.hpp>
#include <anyssr/baselines/nearest_mean.hpp>
#include <anyssr/baselines/nearest_neighbours.hpp>
#include <anyssr/baselines/online_softmax.hpp>
#include <anyssr/baselines/published_recursion.hpp>
#include <anyssr/router/analytic_router.hpp>
#include <anyssr/subspace/dense_expansion.hpp>
#include <utility>

#include "cl_benchmark/kept_rows.hpp"

namespace cl_benchmark {

using namespace anyssr;

namespace {

LearnerOptions tuned_options(const MethodSettings& settings) {
  LearnerOptions options = learner_options(settings);
  options.train.epochs = static_cast<int>(settings["epochs"]);
  options.train.rate = settings["rate"];
  return options;
}

}  // namespace

std::vector<Index> tasks_for(const AnalyticRouter<float>& router,
                             const SparseRows<float>& features) {
  std::vector<RoutingDecision> decisions;
  RoutingWorkspace<float> workspace;
  router.decide(features, workspace, decisions);
  std::vector<Index> tasks;
  for (const RoutingDecision& decision : decisions) tasks.push_back(decision.task);
  return tasks;
}

std::vector<Index> labels_of(const Task& task) {
  std::vector<Index> labels;
  for (const Index answer : task.train.answers) {
    labels.push_back(std::ranges::lower_bound(task.answers, answer) - task.answers.begin());
  }
  return labels;
}

RoutedLearner::RoutedLearner(const Model& model, const MethodSettings& settings)
    : model_(model), learner_(hashed_words(settings), tuned_options(settings)) {}

void RoutedLearner::learn(const EncodedTask& encoded) {
  const Task& task = *encoded.task;
  if (std::ranges::find(tasks_, task.name, &Known::name) != tasks_.end()) return;
  learner_.learn_task(task.name, task.train.texts, labels_of(task));
  tasks_.push_back({.name = task.name, .answers = task.answers});
}

void RoutedLearner::extend(const EncodedTask& encoded) {
  if (std::exchange(is_extended_, true)) return;
  const Task& task = *encoded.task;
  learner_.extend_task(task.name, task.train.texts, labels_of(task));
}

std::vector<Index> RoutedLearner::route(const Trunk& questions) const {
  return tasks_for(learner_.router(), questions.features);
}

std::vector<Answer> RoutedLearner::answer_as(const Trunk& questions,
                                             std::span<const Index> tasks) const {
  const auto snapshot = learner_.snapshot();
  std::vector<std::shared_ptr<const Adapter<float>>> adapters;
  for (const Known& task : tasks_) adapters.push_back(snapshot.adapter(task.name));
  std::vector<AdapterMix<float>> mixes;
  for (const Index task : tasks) mixes.emplace_back(*adapters[static_cast<std::size_t>(task)]);
  const auto outputs = model_.forward(questions, mixes);
  std::vector<Answer> answers;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    answers.push_back(answer_of(tasks[i], outputs[i]));
  }
  return answers;
}

Answer RoutedLearner::ask(const std::string& text) const {
  const auto prediction = std::move(learner_.predict(std::span(&text, 1)).front());
  return answer_of(prediction.decision.task, prediction.output);
}

Answer RoutedLearner::ask_as(const std::string& text, Index task) const {
  const std::string& name = tasks_[static_cast<std::size_t>(task)].name;
  return answer_of(task, learner_.predict_as(name, std::span(&text, 1)).front());
}

std::size_t RoutedLearner::adapter_bytes(Index tasks) const {
  const auto bytes = learner_.storage().adapter_bytes;
  std::size_t sum = 0;
  for (Index t = 0; t < tasks; ++t) sum += bytes[static_cast<std::size_t>(t)];
  return sum;
}

Answer RoutedLearner::answer_of(Index task, const Vector<float>& output) const {
  Index best = 0;
  output.maxCoeff(&best);
  return {.answer = answers_of(task)[static_cast<std::size_t>(best)], .task = task};
}

namespace {

class Routed : public Method {
 public:
  explicit Routed(std::shared_ptr<RoutedLearner> learner) : learner_(std::move(learner)) {}
  void learn(const EncodedTask& task) override { learner_->learn(task); }
  void learn_more(Index /*place*/, const EncodedTask& task) override { learner_->extend(task); }
  [[nodiscard]] std::vector<Answer> answer(const Trunk& questions, Index /*right_task*/) override {
    return learner_->answer_as(questions, learner_->route(questions));
  }
  [[nodiscard]] Answer ask(const std::string& text, Index /*right_task*/) override {
    return learner_->ask(text);
  }
  [[nodiscard]] std::size_t stored_bytes() const override { return learner_->bytes(); }

 private:
  std::shared_ptr<RoutedLearner> learner_;
};

void learn_all(RoutedLearner& learner, const Encoded& encoded) {
  for (const EncodedTask& task : encoded.tasks) learner.learn(task);
}

class Oracle : public Method {
 public:
  explicit Oracle(std::shared_ptr<RoutedLearner> learner) : learner_(std::move(learner)) {}
  void get_adapters(const Encoded& encoded) override { learn_all(*learner_, encoded); }
  void learn(const EncodedTask& /*task*/) override { ++count_; }
  void learn_more(Index /*place*/, const EncodedTask& /*task*/) override {}
  [[nodiscard]] std::vector<Answer> answer(const Trunk& questions, Index right_task) override {
    const std::vector<Index> tasks(static_cast<std::size_t>(questions.features.rows()), right_task);
    return learner_->answer_as(questions, tasks);
  }
  [[nodiscard]] Answer ask(const std::string& text, Index right_task) override {
    return learner_->ask_as(text, right_task);
  }
  [[nodiscard]] std::size_t stored_bytes() const override {
    return learner_->adapter_bytes(count_);
  }

 private:
  std::shared_ptr<RoutedLearner> learner_;
  Index count_ = 0;
};

/// Another router over the same adapters: learn(task, rows of the learner, place), route(trunk),
/// bytes(), retained_bytes().
template <class Router>
class OtherRouter : public Method {
 public:
  OtherRouter(std::shared_ptr<RoutedLearner> learner, Router router)
      : learner_(std::move(learner)), router_(std::move(router)) {}
  void get_adapters(const Encoded& encoded) override { learn_all(*learner_, encoded); }
  void learn(const EncodedTask& task) override { router_.learn(count_++, task, *learner_); }
  void learn_more(Index place, const EncodedTask& task) override {
    router_.learn(place, task, *learner_);
  }
  [[nodiscard]] std::vector<Answer> answer(const Trunk& questions, Index /*right_task*/) override {
    return learner_->answer_as(questions, router_.route(questions.features));
  }
  [[nodiscard]] Answer ask(const std::string& text, Index right_task) override {
    return answer(learner_->model().trunk(std::span(&text, 1)), right_task).front();
  }
  [[nodiscard]] std::size_t stored_bytes() const override {
    return learner_->adapter_bytes(count_) + router_.bytes();
  }
  [[nodiscard]] std::size_t retained_data_bytes() const override {
    return router_.retained_bytes();
  }

 private:
  std::shared_ptr<RoutedLearner> learner_;
  Router router_;
  Index count_ = 0;
};

/// One of the baselines, which learns all rows of a task.
template <class Baseline>
struct OfRows {
  Baseline baseline;

  void learn(Index place, const EncodedTask& task, const RoutedLearner& /*learner*/) {
    baseline.learn(place, task.train.trunk.features);
  }
  template <class X>
  [[nodiscard]] std::vector<Index> route(const X& features) {
    return baseline.route(features);
  }
  [[nodiscard]] std::size_t bytes() const { return baseline.bytes(); }
  [[nodiscard]] std::size_t retained_bytes() const { return 0; }
};

/// The analytic router with every task counted alike.
struct Balanced {
  AnalyticRouter<float> router;

  void learn(Index place, const EncodedTask& task, const RoutedLearner& /*learner*/) {
    const auto& features = task.train.trunk.features;
    if (place < static_cast<Index>(router.tasks().size())) {
      router.extend(task.task->name, features, labels_of(*task.task));
    } else {
      router.learn(task.task->name, features, labels_of(*task.task),
                   features.rows() + task.rows_to_come);  // it weighs rows by their number
    }
  }
  template <class X>
  [[nodiscard]] std::vector<Index> route(const X& features) {
    return tasks_for(router, features);
  }
  [[nodiscard]] std::size_t bytes() const { return router.bytes(); }
  [[nodiscard]] std::size_t retained_bytes() const { return 0; }
};

/// Keeps 20 rows of each answer of a task.
struct Neighbours {
  NearestNeighbours<float> baseline;
  RandomStream random;
  std::size_t kept_bytes = 0;

  void learn(Index place, const EncodedTask& task, const RoutedLearner& /*learner*/) {
    const std::vector<Index> kept = rows_to_keep(task.train.answers, 20, random);
    baseline.learn(place, select_rows(task.train.trunk.features, kept));
    for (const Index row : kept) {
      kept_bytes += task.task->train.texts[static_cast<std::size_t>(row)].size();
    }
  }
  template <class X>
  [[nodiscard]] std::vector<Index> route(const X& features) {
    return baseline.route(features);
  }
  [[nodiscard]] std::size_t bytes() const { return baseline.bytes(); }
  [[nodiscard]] std::size_t retained_bytes() const { return kept_bytes; }
};

/// Reads the adapters and no data.
struct Arrows {
  AdapterArrows<float> baseline;

  void learn(Index place, const EncodedTask& task, const RoutedLearner& learner) {
    if (place < baseline.tasks()) return;  // the adapter is the same
    const auto adapter = learner.learner().snapshot().adapter(task.task->name);
    const auto module = adapter->modules.find(std::string(Model::site_name));
    if (module == adapter->modules.end()) {
      baseline.learn_nothing();
    } else {
      baseline.learn(module->second);
    }
  }
  template <class X>
  [[nodiscard]] std::vector<Index> route(const X& features) {
    return baseline.route(features);
  }
  [[nodiscard]] std::size_t bytes() const { return baseline.bytes(); }
  [[nodiscard]] std::size_t retained_bytes() const { return 0; }
};

/// The published recursion in float on random projections, with an activation or without.
struct Published {
  DenseExpansion<float> expansion;
  PublishedRecursion<float> recursion;
  Index tasks = 0;

  void learn(Index place, const EncodedTask& task, const RoutedLearner& /*learner*/) {
    constexpr Index most = 256;  // rows of a batch: the recursion inverts a matrix of that size
    if (place == tasks && tasks++ > 0) recursion.add_target();
    const auto& features = task.train.trunk.features;
    for (Index begin = 0; begin < features.rows(); begin += most) {
      const Index count = std::min(most, features.rows() - begin);
      Matrix<float> y = Matrix<float>::Zero(count, tasks);
      y.col(place).setOnes();
      recursion.update(expanded(features.middleRows(begin, count)), y);
    }
  }
  template <class X>
  [[nodiscard]] std::vector<Index> route(const X& features) {
    const Matrix<float> scores = expanded(features) * recursion.weights();
    std::vector<Index> chosen(static_cast<std::size_t>(scores.rows()));
    for (Index i = 0; i < scores.rows(); ++i) {
      scores.row(i).maxCoeff(&chosen[static_cast<std::size_t>(i)]);
    }
    return chosen;
  }
  [[nodiscard]] std::size_t bytes() const { return recursion.bytes(); }
  [[nodiscard]] std::size_t retained_bytes() const { return 0; }

 private:
  template <class X>
  [[nodiscard]] Matrix<float> expanded(const X& features) const {
    return expansion.expand(SparseRows<float>(features));
  }
};

template <class Router>
std::unique_ptr<Method> other(std::shared_ptr<RoutedLearner> learner, Router router) {
  return std::make_unique<OtherRouter<Router>>(std::move(learner), std::move(router));
}

Published published(Activation activation, Index dim, const MethodSettings& settings) {
  const auto width = static_cast<Index>(settings["published_width"]);
  return {.expansion = DenseExpansion<float>(dim, {.kind = ExpansionKind::dense,
                                                   .dim = width,
                                                   .activation = activation,
                                                   .seed = settings.seed}),
          .recursion = PublishedRecursion<float>(width, 1, settings["published_ridge"])};
}

RouterOptions balanced_options(const MethodSettings& settings) {
  RouterOptions options = learner_options(settings).router;
  options.balanced = true;
  return options;
}

}  // namespace

std::unique_ptr<Method> make_routed(std::string_view name, std::shared_ptr<RoutedLearner> learner,
                                    const MethodSettings& settings) {
  const auto dim = static_cast<Index>(settings.dim);
  if (name == "anyssr") return std::make_unique<Routed>(std::move(learner));
  if (name == "oracle") return std::make_unique<Oracle>(std::move(learner));
  if (name == "anyssr_balanced") {
    return other(std::move(learner),
                 Balanced{AnalyticRouter<float>(dim, balanced_options(settings))});
  }
  if (name == "nearest_mean") {
    return other(std::move(learner), OfRows<NearestMean<float>>{NearestMean<float>(dim)});
  }
  if (name == "mahalanobis") {
    return other(std::move(learner),
                 OfRows<LinearDiscriminant<float>>{LinearDiscriminant<float>(
                     dim, {.shrinkage = settings["mahalanobis"], .threads = settings.threads})});
  }
  if (name == "sgd_softmax") {
    return other(std::move(learner),
                 OfRows<OnlineSoftmax<float>>{OnlineSoftmax<float>(
                     dim, {.rate = settings["softmax_rate"],
                           .epochs = static_cast<int>(settings["softmax_epochs"]),
                           .seed = settings.seed})});
  }
  if (name == "knn_20") {
    return other(std::move(learner),
                 Neighbours{NearestNeighbours<float>(dim, static_cast<Index>(settings["knn"])),
                            RandomStream(settings.seed, 2)});
  }
  if (name == "arrow") return other(std::move(learner), Arrows{AdapterArrows<float>(dim)});
  if (name == "published_rls") {
    return other(std::move(learner), published(Activation::identity, dim, settings));
  }
  if (name == "published_rls_relu") {
    return other(std::move(learner), published(Activation::relu, dim, settings));
  }
  return nullptr;
}

}  // namespace cl_benchmark
