// SPDX-License-Identifier: MIT
#include "cl_benchmark/methods.hpp"

#include <algorithm>
#include <anyssr/baselines/linear_discriminant.hpp>
#include <anyssr/baselines/nearest_mean.hpp>
#include <anyssr/baselines/online_softmax.hpp>
#include <anyssr/core/error.hpp>
#include <anyssr/core/random.hpp>
#include <anyssr/train/train_adapter.hpp>
#include <map>
#include <optional>
#include <utility>

#include "support/messages.hpp"
#include "support/shown.hpp"

namespace cl_benchmark {

using namespace anyssr;

namespace {

using Backbone = Learner::Adaptable;

constexpr std::array names{
    MethodName{"anyssr", "an adapter per task, and the analytic router"},
    MethodName{"anyssr_balanced", "the same, with every task counted alike by the router"},
    MethodName{"oracle", "the adapters of anyssr, and the right task told"},
    MethodName{"joint", "one adapter, all tasks at once"},
    MethodName{"seq_lora", "one adapter, trained on task after task"},
    MethodName{"replay_20", "one adapter, and 20 rows per answer of each task kept for later"},
    MethodName{"replay_100", "one adapter, and 100 rows per answer of each task kept for later"},
    MethodName{"nearest_mean", "the adapters of anyssr, routed to the nearest mean feature"},
    MethodName{"mahalanobis", "the adapters of anyssr, routed by a linear discriminant"},
    MethodName{"sgd_softmax",
               "the adapters of anyssr, routed by softmax regression trained on line"},
    MethodName{"majority", "the most frequent answer of the right task"},
};

LearnerOptions learner_options(const MethodSettings& settings, bool balanced) {
  LearnerOptions options;
  options.router.rls.ridge = settings.ridge;
  options.router.rls.ridge_scale = RidgeScale::absolute;  // hashed rows have norm 1
  options.router.rls.threads = settings.threads;
  options.router.balanced = balanced;
  options.lift.seed = settings.seed;
  options.seed = settings.seed;
  return options;
}

TextHashingBackbone<float> hashed_words(const MethodSettings& settings) {
  return TextHashingBackbone<float>(
      {.dim = static_cast<Index>(settings.dim), .seed = settings.seed});
}

Index best_of(const Vector<float>& output) {
  Index best = 0;
  output.maxCoeff(&best);
  return best;
}

}  // namespace

/// The learner of this library: labels of a task are numbered within it.
class RoutedLearner {
 public:
  RoutedLearner(const MethodSettings& settings, bool balanced)
      : learner_(hashed_words(settings), learner_options(settings, balanced)) {}

  /// A second method that shares the learner finds the task learned.
  void learn(const Task& task) {
    if (std::ranges::find(tasks_, task.name, &Task::name) != tasks_.end()) return;
    std::vector<Index> labels;
    for (const Index answer : task.train.answers) {
      labels.push_back(std::ranges::lower_bound(task.answers, answer) - task.answers.begin());
    }
    learner_.learn_task(task.name, task.train.texts, labels);
    tasks_.push_back({.name = task.name, .answers = task.answers});
  }

  [[nodiscard]] std::vector<Answer> answer(std::span<const std::string> texts) const {
    std::vector<Answer> answers;
    for (const auto& prediction : learner_.predict(texts)) {
      answers.push_back(answer_of(prediction.decision.task, prediction.output));
    }
    return answers;
  }

  [[nodiscard]] std::vector<Answer> answer_as(std::span<const std::string> texts,
                                              Index task) const {
    std::vector<Answer> answers;
    const std::string& name = tasks_[static_cast<std::size_t>(task)].name;
    for (const auto& output : learner_.predict_as(name, texts)) {
      answers.push_back(answer_of(task, output));
    }
    return answers;
  }

  /// Each text by the adapter of its task.
  [[nodiscard]] std::vector<Answer> answer_as(std::span<const std::string> texts,
                                              std::span<const Index> tasks) const {
    std::map<Index, std::vector<std::size_t>> places;
    for (std::size_t i = 0; i < tasks.size(); ++i) places[tasks[i]].push_back(i);
    std::vector<Answer> answers(texts.size());
    for (const auto& [task, rows] : places) {
      std::vector<std::string> chosen;
      for (const std::size_t row : rows) chosen.push_back(texts[row]);
      const std::vector<Answer> found = answer_as(chosen, task);
      for (std::size_t i = 0; i < rows.size(); ++i) answers[rows[i]] = found[i];
    }
    return answers;
  }

  [[nodiscard]] SparseRows<float> features(std::span<const std::string> texts) const {
    return learner_.backbone().features(texts);
  }

  [[nodiscard]] std::size_t adapter_bytes() const {
    std::size_t sum = 0;
    for (const std::size_t bytes : learner_.storage().adapter_bytes) sum += bytes;
    return sum;
  }
  [[nodiscard]] std::size_t bytes() const { return learner_.storage().total(); }

 private:
  [[nodiscard]] Answer answer_of(Index task, const Vector<float>& output) const {
    const Task& known = tasks_[static_cast<std::size_t>(task)];
    return {.answer = known.answers[static_cast<std::size_t>(best_of(output))], .task = task};
  }

  Learner learner_;
  std::vector<Task> tasks_;  // names and answers alone
};

namespace {

class Routed : public Method {
 public:
  explicit Routed(std::shared_ptr<RoutedLearner> learner) : learner_(std::move(learner)) {}
  void learn(const Task& task) override { learner_->learn(task); }
  [[nodiscard]] std::vector<Answer> answer(std::span<const std::string> texts,
                                           Index /*right_task*/) override {
    return learner_->answer(texts);
  }
  [[nodiscard]] std::size_t stored_bytes() const override { return learner_->bytes(); }

 private:
  std::shared_ptr<RoutedLearner> learner_;
};

class Oracle : public Method {
 public:
  explicit Oracle(std::shared_ptr<RoutedLearner> learner) : learner_(std::move(learner)) {}
  void learn(const Task& task) override { learner_->learn(task); }
  [[nodiscard]] std::vector<Answer> answer(std::span<const std::string> texts,
                                           Index right_task) override {
    return learner_->answer_as(texts, right_task);
  }
  [[nodiscard]] std::size_t stored_bytes() const override { return learner_->adapter_bytes(); }

 private:
  std::shared_ptr<RoutedLearner> learner_;
};

/// Another router over the same adapters.
template <class Router>
class OtherRouter : public Method {
 public:
  OtherRouter(std::shared_ptr<RoutedLearner> learner, Router router)
      : learner_(std::move(learner)), router_(std::move(router)) {}
  void learn(const Task& task) override {
    learner_->learn(task);
    router_.learn(router_.tasks(), learner_->features(task.train.texts));
  }
  [[nodiscard]] std::vector<Answer> answer(std::span<const std::string> texts,
                                           Index /*right_task*/) override {
    return learner_->answer_as(texts, router_.route(learner_->features(texts)));
  }
  [[nodiscard]] std::size_t stored_bytes() const override {
    return learner_->adapter_bytes() + router_.bytes();
  }

 private:
  std::shared_ptr<RoutedLearner> learner_;
  Router router_;
};

/// One adapter for all answers of all tasks.
class SingleModule : public Method {
 public:
  SingleModule(const Benchmark& benchmark, const MethodSettings& settings)
      : backbone_(hashed_words(settings), {.seed = settings.seed}), seed_(settings.seed) {
    // the width of the head is that of the largest answer that is learned, as the closed form has it
    std::vector<Index> targets{0};
    for (const Task& task : benchmark.tasks) targets.push_back(task.answers.back());
    adapter_ = backbone_.make_adapter(targets, LearnerOptions().adapter,
                                      hash_bytes("single module", settings.seed));
  }

  [[nodiscard]] std::vector<Answer> answer(std::span<const std::string> texts,
                                           Index /*right_task*/) override {
    const auto trunk = backbone_.trunk(texts);
    const std::vector<AdapterMix<float>> mixes(texts.size(), AdapterMix<float>(adapter_));
    std::vector<Answer> answers;
    for (const auto& output : backbone_.forward(trunk, mixes)) {
      answers.push_back({.answer = best_of(output)});
    }
    return answers;
  }

  [[nodiscard]] std::size_t stored_bytes() const override { return adapter_.bytes(); }

 protected:
  void train(const Rows& rows, std::string_view name) {
    TrainOptions options;
    options.seed = hash_bytes(name, seed_);
    const std::span<const Index> targets(rows.answers);
    train_adapter(backbone_, backbone_.trunk(rows.texts), targets, adapter_, options);
  }
  void fit_closed_form(const Rows& rows) {
    backbone_.fit_closed_form(backbone_.trunk(rows.texts), std::span<const Index>(rows.answers),
                              adapter_);
  }

 private:
  Backbone backbone_;
  Adapter<float> adapter_;
  std::uint64_t seed_;
};

/// Keeps so many rows per answer of each task; 0: none, which is the plain sequence.
class Sequence : public SingleModule {
 public:
  Sequence(const Benchmark& benchmark, const MethodSettings& settings, Index kept_per_answer)
      : SingleModule(benchmark, settings),
        kept_per_answer_(kept_per_answer),
        random_(settings.seed, 1) {}

  void learn(const Task& task) override {
    Rows rows = task.train;
    rows.append(kept_);
    train(rows, task.name);
    keep_some(task.train);
  }
  [[nodiscard]] std::size_t retained_data_bytes() const override {
    std::size_t bytes = kept_.answers.size() * sizeof(Index);
    for (const std::string& text : kept_.texts) bytes += text.size();
    return bytes;
  }

 private:
  void keep_some(const Rows& rows) {
    std::map<Index, Index> kept;
    for (const Index row : random_permutation(rows.size(), random_)) {
      const Index answer = rows.answers[static_cast<std::size_t>(row)];
      if (++kept[answer] > kept_per_answer_) continue;
      kept_.add(rows.texts[static_cast<std::size_t>(row)], answer);
    }
  }

  Index kept_per_answer_;
  RandomStream random_;
  Rows kept_;
};

/// Sees the rows of all tasks at once.
class Joint : public SingleModule {
 public:
  Joint(const Benchmark& benchmark, const MethodSettings& settings)
      : SingleModule(benchmark, settings), last_(benchmark.tasks.back().name) {}

  void learn(const Task& task) override {
    rows_.append(task.train);
    if (task.name != last_) return;
    train(rows_, "joint");
    fit_closed_form(rows_);
  }
  [[nodiscard]] bool learns_at_the_end() const override { return true; }
  [[nodiscard]] std::size_t retained_data_bytes() const override {
    std::size_t bytes = rows_.answers.size() * sizeof(Index);
    for (const std::string& text : rows_.texts) bytes += text.size();
    return bytes;
  }

 private:
  std::string last_;
  Rows rows_;
};

class Majority : public Method {
 public:
  void learn(const Task& task) override {
    std::map<Index, Index> counts;
    for (const Index answer : task.train.answers) ++counts[answer];
    const auto most = std::ranges::max_element(counts, {}, [](const auto& c) { return c.second; });
    answers_.push_back(most->first);
  }
  [[nodiscard]] std::vector<Answer> answer(std::span<const std::string> texts,
                                           Index right_task) override {
    const Index answer = answers_[static_cast<std::size_t>(right_task)];
    return std::vector<Answer>(texts.size(), {.answer = answer, .task = right_task});
  }
  [[nodiscard]] std::size_t stored_bytes() const override {
    return answers_.size() * sizeof(Index);
  }

 private:
  std::vector<Index> answers_;
};

}  // namespace

std::span<const MethodName> method_names() { return names; }

std::shared_ptr<RoutedLearner> MethodFactory::routed(bool balanced) {
  std::shared_ptr<RoutedLearner>& learner = balanced ? balanced_ : plain_;
  if (!learner) learner = std::make_shared<RoutedLearner>(settings_, balanced);
  return learner;
}

std::unique_ptr<Method> MethodFactory::make(std::string_view name) {
  if (name == "anyssr") return std::make_unique<Routed>(routed(false));
  if (name == "anyssr_balanced") return std::make_unique<Routed>(routed(true));
  if (name == "oracle") return std::make_unique<Oracle>(routed(false));
  if (name == "joint") return std::make_unique<Joint>(benchmark_, settings_);
  if (name == "seq_lora") return std::make_unique<Sequence>(benchmark_, settings_, 0);
  if (name == "replay_20") return std::make_unique<Sequence>(benchmark_, settings_, 20);
  if (name == "replay_100") return std::make_unique<Sequence>(benchmark_, settings_, 100);
  const auto dim = static_cast<Index>(settings_.dim);
  if (name == "nearest_mean") {
    return std::make_unique<OtherRouter<NearestMean<float>>>(routed(false),
                                                             NearestMean<float>(dim));
  }
  if (name == "mahalanobis") {
    return std::make_unique<OtherRouter<LinearDiscriminant<float>>>(
        routed(false), LinearDiscriminant<float>(dim, {.threads = settings_.threads}));
  }
  if (name == "sgd_softmax") {
    return std::make_unique<OtherRouter<OnlineSoftmax<float>>>(
        routed(false), OnlineSoftmax<float>(dim, {.epochs = 5, .seed = settings_.seed}));
  }
  if (name == "majority") return std::make_unique<Majority>();
  std::string known;
  for (const MethodName& method : names)
    known += (known.empty() ? "" : ", ") + std::string(method.name);
  throw ArgumentError("--methods names " + support::in_quotes(name) + ", expected some of " +
                      known);
}

}  // namespace cl_benchmark
