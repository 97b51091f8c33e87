// SPDX-License-Identifier: MIT

/// @file
/// What a thread that predicts notices of one that learns: the time of a query, median and p99, and
/// the queries a second of two threads, with and without a learner at work on one thread; and what
/// an audit log adds.

#include <algorithm>
#include <anyssr/backbone/text_hashing.hpp>
#include <anyssr/core/stopwatch.hpp>
#include <anyssr/io/audit_log.hpp>
#include <anyssr/learner/continual_learner.hpp>
#include <atomic>
#include <optional>
#include <thread>

#include "support/bench_folder.hpp"
#include "support/fixture.hpp"

namespace {

using namespace anyssr;
using Learner = ContinualLearner<TextHashingBackbone<float>>;

constexpr Index tasks = 10;

/// A text of 8 words, half of them of the task's own 40.
std::string text_of(Index task, RandomStream& random) {
  std::string text;
  for (int w = 0; w < 8; ++w) {
    const bool own = w % 2 == 0;
    text += (own ? "t" + std::to_string(task) : std::string("all")) + "w" +
            std::to_string(random.below(40)) + " ";
  }
  return text;
}

struct Texts {
  std::vector<std::string> inputs;
  std::vector<Index> labels;
  Texts(Index task, Index count, std::uint64_t seed) {
    RandomStream random(seed, static_cast<std::uint64_t>(task));
    for (Index i = 0; i < count; ++i) {
      inputs.push_back(text_of(task, random));
      labels.push_back(i % 4);
    }
  }
};

/// One for the whole process: 10 tasks of 200 texts, 2048 features.
Learner& learner() {
  static Learner made = [] {
    LearnerOptions options;
    options.router.rls.threads = 1;
    options.train.epochs = 1;
    Learner result(TextHashingBackbone<float>({.dim = 2048}), options);
    for (Index t = 0; t < tasks; ++t) {
      const Texts texts(t, 200, 1);
      result.learn_task("task" + std::to_string(t), texts.inputs, texts.labels);
    }
    return result;
  }();
  return made;
}

/// A thread that learns for as long as this lives: rows for one task after another, each change
/// with a new factor of 2048 x 2048.
class LearningThread {
 public:
  LearningThread()
      : thread_([this] {
          for (Index round = 0; !stop_; ++round) {
            const Texts texts(round % tasks, 100, static_cast<std::uint64_t>(round) + 2);
            learner().extend_task("task" + std::to_string(round % tasks), texts.inputs,
                                  texts.labels);
          }
        }) {}
  LearningThread(const LearningThread&) = delete;
  LearningThread& operator=(const LearningThread&) = delete;
  ~LearningThread() { stop_ = true; }

 private:
  std::atomic<bool> stop_{false};
  std::jthread thread_;
};

void predict(benchmark::State& state, bool is_learning, bool is_logged = false) {
  static const Texts queries(3, 200, 99);
  (void)learner();
  std::optional<bench::BenchFolder> folder;
  std::optional<AuditLog> log;
  if (is_logged) {
    folder.emplace();
    log.emplace(folder->path());
    learner().set_hooks({.audit = log->sink()});
  }
  std::optional<LearningThread> learning;
  if (is_learning && state.thread_index() == 0) learning.emplace();
  std::vector<double> microseconds;
  microseconds.reserve(1 << 20);
  std::size_t next = 0;
  for (auto _ : state) {
    const Stopwatch clock;
    const auto answer = learner().predict(std::span(&queries.inputs[next], 1));
    microseconds.push_back(1e6 * clock.seconds());
    benchmark::DoNotOptimize(answer.front().decision.task);
    next = (next + 1) % queries.inputs.size();
  }
  if (is_logged) {
    learner().set_hooks({});
    bench::check(log->failed_writes() == 0, log->last_error());
  }
  std::sort(microseconds.begin(), microseconds.end());
  const auto at = [&](double share) {
    return microseconds[static_cast<std::size_t>(share *
                                                 static_cast<double>(microseconds.size() - 1))];
  };
  state.counters["p50_us"] = benchmark::Counter(at(0.5), benchmark::Counter::kAvgThreads);
  state.counters["p99_us"] = benchmark::Counter(at(0.99), benchmark::Counter::kAvgThreads);
  bench::set_rows(state, 1);
}

BENCHMARK_CAPTURE(predict, at_rest, false)->UseRealTime()->MinTime(1);
BENCHMARK_CAPTURE(predict, at_rest_logged, false, true)->UseRealTime()->MinTime(1);
BENCHMARK_CAPTURE(predict, while_learning, true)->UseRealTime()->MinTime(1);
BENCHMARK_CAPTURE(predict, at_rest_by_two, false)->UseRealTime()->MinTime(1)->Threads(2);
BENCHMARK_CAPTURE(predict, while_learning_by_two, true)->UseRealTime()->MinTime(1)->Threads(2);

}  // namespace
