// SPDX-License-Identifier: MIT
#include "cl_benchmark/methods.hpp"

#include <algorithm>
#include <map>

#include "cl_benchmark/method_names.hpp"
#include "cl_benchmark/routed.hpp"
#include "cl_benchmark/single_module.hpp"

namespace cl_benchmark {

using anyssr::Index;

namespace {

class Majority : public Method {
 public:
  void learn(const EncodedTask& task) override {
    std::map<Index, Index> counts;
    for (const Index answer : task.train.answers) ++counts[answer];
    const auto most = std::ranges::max_element(counts, {}, [](const auto& c) { return c.second; });
    answers_.push_back(most->first);
  }
  void learn_more(Index /*place*/, const EncodedTask& /*task*/) override {}  // is half of the same
  [[nodiscard]] std::vector<Answer> answer(const Trunk& questions, Index right_task) override {
    return std::vector<Answer>(static_cast<std::size_t>(questions.features.rows()),
                               ask("", right_task));
  }
  [[nodiscard]] Answer ask(const std::string& /*text*/, Index right_task) override {
    return {.answer = answers_[static_cast<std::size_t>(right_task)], .task = right_task};
  }
  [[nodiscard]] std::size_t stored_bytes() const override {
    return answers_.size() * sizeof(Index);
  }

 private:
  std::vector<Index> answers_;
};

}  // namespace

std::shared_ptr<RoutedLearner> MethodFactory::routed() {
  if (!learner_) learner_ = std::make_shared<RoutedLearner>(encoded_.model, settings_);
  return learner_;
}

std::unique_ptr<Method> MethodFactory::make(std::string_view name) {
  expect_method(name);
  if (name == "majority") return std::make_unique<Majority>();
  if (auto method = make_single_module(name, encoded_, settings_)) return method;
  return make_routed(name, routed(), settings_);
}

}  // namespace cl_benchmark
