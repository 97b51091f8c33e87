// SPDX-License-Identifier: MIT
#include "cl_benchmark/llama_run.hpp"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <utility>

#include "cl_benchmark/llama_methods.hpp"
#include "cl_benchmark/run_plans.hpp"
#include "cl_benchmark/run_state.hpp"
#include "support/command_line.hpp"
#include "support/process_costs.hpp"

namespace cl_benchmark {

using anyssr::Index;
using anyssr::Stopwatch;

namespace {

/// One method in one run.
class LlamaTrial {
 public:
  LlamaTrial(const LlamaStage& stage, const support::TextTokens& tokens, LlamaMethod& method)
      : stage_(stage),
        tokens_(tokens),
        method_(method),
        result_(static_cast<Index>(stage.tasks.size())) {}

  MethodRun run(const std::string& name, ProgressLine& progress) {
    const bool answers_ahead = method_.answers_ahead();
    for (std::size_t t = 0; t < count() && answers_ahead; ++t) {
      result_.untrained.push_back(accuracy_on(t));
    }
    for (std::size_t t = 0; t < count(); ++t) {
      if (answers_ahead && t > 0) {
        result_.accuracy.set(static_cast<Index>(t) - 1, static_cast<Index>(t), accuracy_on(t));
      }
      learn(t);
      const bool answers = !method_.learns_at_the_end() || is_last(t);
      progress.done(name, stage_.tasks[t]->name, answers ? measure(t) : 0);
    }
    result_.retained_data_bytes = method_.retained_data_bytes();
    ask_one_by_one();
    return std::move(result_);
  }

 private:
  /// Prompts that are answered together: their keys and values are in memory at once.
  static constexpr std::size_t piece = 32;

  [[nodiscard]] std::size_t count() const { return stage_.tasks.size(); }
  [[nodiscard]] bool is_last(std::size_t t) const { return t + 1 == count(); }

  void learn(std::size_t t) {
    const LearningCosts costs = method_.learn(t);
    result_.learn_seconds.push_back(costs.seconds);
    result_.learn_cpu_seconds.push_back(costs.cpu_seconds);
    result_.learn_peak_bytes.push_back(costs.peak_bytes);
    result_.stored_bytes.push_back(method_.stored_bytes());
  }

  /// Calls use(reply, is_right) for every test prompt of a task.
  template <class Use>
  void for_each_reply(std::size_t t, const Use& use) const {
    const std::vector<llama_continual::Item>& items = stage_.tasks[t]->test;
    const std::vector<support::Tokens> prompts = llama_continual::prompts_of(items);
    for (std::size_t first = 0; first < prompts.size(); first += piece) {
      const std::size_t size = std::min(piece, prompts.size() - first);
      const auto replies = method_.answer(std::span(prompts).subspan(first, size), t);
      for (std::size_t i = 0; i < replies.size(); ++i) {
        const support::Tokens& expected = items[first + i].answer.ids;
        use(replies[i], stage_.backbone.is_correct(replies[i].output, expected));
      }
    }
  }

  [[nodiscard]] double share_of(Index right, std::size_t t) const {
    return static_cast<double>(right) / static_cast<double>(stage_.tasks[t]->test.size());
  }

  [[nodiscard]] double accuracy_on(std::size_t t) const {
    Index right = 0;
    for_each_reply(t, [&](const LlamaReply&, bool is_right) { right += is_right ? 1 : 0; });
    return share_of(right, t);
  }

  /// Asks about every task up to t, which was learned last.
  /// @return mean accuracy
  double measure(std::size_t t) {
    double sum = 0;
    for (std::size_t j = 0; j <= t; ++j) {
      Index right = 0;
      for_each_reply(j, [&](const LlamaReply& reply, bool is_right) {
        right += is_right ? 1 : 0;
        if (!is_last(t) || reply.task < 0) return;
        result_.confusion.add(static_cast<Index>(j), reply.task);
        result_.routes = true;
      });
      const double accuracy = share_of(right, j);
      result_.accuracy.set(static_cast<Index>(t), static_cast<Index>(j), accuracy);
      sum += accuracy;
    }
    return sum / static_cast<double>(t + 1);
  }

  /// From a prompt's text to its answer.
  void ask(const llama_continual::Text& prompt, std::size_t t) const {
    const support::Tokens ids = prompt.is_ids ? prompt.ids : tokens_.encode_prompt(prompt.text);
    (void)method_.answer(std::span(&ids, 1), t);
  }

  void ask_one_by_one() {
    std::vector<std::size_t> counts;
    for (const auto& task : stage_.tasks) counts.push_back(task->test.size());
    measure_questions(
        counts, [&](std::size_t t, std::size_t i) { ask(stage_.tasks[t]->test[i].prompt, t); },
        result_);
  }

  const LlamaStage& stage_;
  const support::TextTokens& tokens_;
  LlamaMethod& method_;
  MethodRun result_;
};

/// Tokens of the longest answer and its end: what goes on is wrong whatever comes.
Index longest_answer(const LlamaTasks& tasks) {
  std::size_t longest = 0;
  for (const llama_continual::Task& task : tasks.tasks) {
    for (const llama_continual::Item& item : task.test) {
      longest = std::max(longest, item.answer.ids.size());
    }
  }
  return static_cast<Index>(longest) + 1;
}

anyssr::LearnerOptions seeded(anyssr::LearnerOptions learner, std::uint64_t seed, int threads) {
  learner.seed = seed;
  learner.router.expansion.seed = seed;
  learner.router.rls.threads = threads;
  return learner;
}

}  // namespace

Results run_llama(const LlamaTasks& tasks, const Options& options, const LlamaOptions& llama) {
  const Stopwatch clock;
  for (const std::string& name : options.methods) expect_llama_method(name);
  const anyssr::LearnerOptions learner = learner_options(llama);
  const int threads = options.settings.threads;
  const Llama backbone(std::filesystem::path(llama.model),
                       {.shallow_layers = llama.shallow_layers,
                        .threads = threads,
                        .recompute_activations = llama.recompute_activations},
                       {.warn = warn});
  Results results;
  results.plans = plans_of(tasks.benchmark, options);
  RunState state(options.state, tasks.benchmark, options, backbone.fingerprint());
  ProgressLine progress(options.quiet,
                        results.plans.size() * options.methods.size() * tasks.tasks.size());
  for (const RunPlan& plan : results.plans) {
    const LlamaStage stage{.backbone = backbone,
                           .tasks = tasks.in_order(plan.order),
                           .learner = seeded(learner, plan.seed, threads),
                           .answers = {.max_tokens = longest_answer(tasks)}};
    LlamaMethodFactory factory(stage);
    for (const std::string& name : options.methods) {
      std::optional<MethodRun> done = state.find(name, plan);
      if (done) {
        progress.skip(tasks.tasks.size());
      } else {
        const std::unique_ptr<LlamaMethod> method = factory.make(name);
        done.emplace(LlamaTrial(stage, tasks.tokens, *method).run(name, progress));
        state.keep(name, plan, *done);
      }
      results.runs[name].push_back(*std::move(done));
    }
    fill_at_once(results);
  }
  results.seconds = clock.seconds();
  results.peak_bytes = support::peak_bytes();
  return results;
}

}  // namespace cl_benchmark
