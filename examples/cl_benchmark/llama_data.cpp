// SPDX-License-Identifier: MIT
#include "cl_benchmark/llama_data.hpp"

#include <algorithm>
#include <anyssr/backbone/llama/llama_config_reader.hpp>
#include <map>
#include <utility>

namespace cl_benchmark {

using anyssr::Index;

namespace {

std::string text_of(const llama_continual::Text& text) {
  return text.is_ids ? support::ids_text(text.ids) : text.text;
}

std::size_t bytes_of(const llama_continual::Text& text) {
  return text.is_ids ? text.ids.size() * sizeof(anyssr::TokenId) : text.text.size();
}

/// Numbers answers in the order in which they come.
class AnswerNumbers {
 public:
  explicit AnswerNumbers(std::vector<std::string>& answers) : answers_(answers) {}
  Index of(const std::string& answer) {
    const auto [found, is_new] = numbers_.try_emplace(answer, static_cast<Index>(answers_.size()));
    if (is_new) answers_.push_back(answer);
    return found->second;
  }

 private:
  std::vector<std::string>& answers_;
  std::map<std::string, Index> numbers_ = {};
};

Benchmark benchmark_of(const std::vector<llama_continual::Task>& tasks) {
  Benchmark benchmark;
  AnswerNumbers numbers(benchmark.answers);
  for (const llama_continual::Task& from : tasks) {
    Task task{.name = from.name};
    for (const auto& [items, rows] :
         {std::pair(&from.train, &task.train), {&from.test, &task.test}}) {
      for (const llama_continual::Item& item : *items) {
        rows->add(text_of(item.prompt), numbers.of(text_of(item.answer)));
      }
    }
    collect_answers(task);
    benchmark.tasks.push_back(std::move(task));
  }
  return benchmark;
}

}  // namespace

std::vector<const llama_continual::Task*> LlamaTasks::in_order(
    std::span<const std::string> names) const {
  std::vector<const llama_continual::Task*> result;
  for (const std::string& name : names) {
    result.push_back(&*std::ranges::find(tasks, name, &llama_continual::Task::name));
  }
  return result;
}

LlamaTasks read_llama_tasks(const LlamaOptions& options) {
  (void)learner_options(options);  // what is wrong there is found before long files are read
  auto [tasks, warnings] = llama_continual::read_tasks(
      options.tasks, {}, {.train = options.train_rows, .test = options.test_rows});
  warn(warnings);
  support::TextTokens tokens(options.model, warn);
  llama_continual::tokenise(tasks, tokens, anyssr::read_llama_config(options.model));
  Benchmark benchmark = benchmark_of(tasks);
  return {std::move(benchmark), std::move(tasks), std::move(tokens)};
}

std::size_t kept_bytes(const llama_continual::Item& item) {
  return bytes_of(item.prompt) + bytes_of(item.answer);
}

}  // namespace cl_benchmark
