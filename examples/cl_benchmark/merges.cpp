// SPDX-License-Identifier: MIT
#include "cl_benchmark/merges.hpp"

#include <algorithm>
#include <anyssr/learner/refactoring.hpp>
#include <map>
#include <numeric>
#include <utility>

namespace cl_benchmark {

using namespace anyssr;

namespace {

/// Merged tasks, by the name of the merged one: places of what they were.
using Groups = std::map<std::string, std::vector<Index>>;

/// Merges what suggest_merges names until it names nothing.
Groups merge_all(Learner& learner, const Encoded& encoded) {
  std::map<std::string, std::vector<Index>> places;
  for (std::size_t t = 0; t < encoded.tasks.size(); ++t) {
    places[encoded.tasks[t].task->name] = {static_cast<Index>(t)};
  }
  while (true) {
    const std::vector<Suggestion> suggestions = suggest_merges(learner);
    if (suggestions.empty()) break;
    for (const Suggestion& suggestion : suggestions) {
      const std::string& first = suggestion.tasks[0];
      const std::string& second = suggestion.tasks[1];
      const std::string name = first + "+" + second;
      learner.merge_tasks(first, second, name);
      learner.commit_merge(name);
      std::vector<Index> both = places[first];
      both.insert(both.end(), places[second].begin(), places[second].end());
      places.erase(first);
      places.erase(second);
      places[name] = std::move(both);
    }
  }
  std::erase_if(places, [](const auto& group) { return group.second.size() == 1; });
  return places;
}

/// One task of all rows of a group, learned by a learner of its own.
class MergedTask {
 public:
  MergedTask(const Encoded& encoded, const std::string& name, const std::vector<Index>& places,
             const MethodSettings& settings)
      : task_{.name = name}, learner_(encoded.model, settings) {
    EncodedTask all;
    for (const Index place : places) {
      const EncodedTask& part = encoded.tasks[static_cast<std::size_t>(place)];
      task_.train.append(part.task->train);
    }
    collect_answers(task_);
    all.task = &task_;
    learner_.learn(all);
  }
  MergedTask(const MergedTask&) = delete;
  MergedTask& operator=(const MergedTask&) = delete;

  [[nodiscard]] std::vector<Answer> answers(const Trunk& questions) const {
    const std::vector<Index> tasks(static_cast<std::size_t>(questions.features.rows()), 0);
    return learner_.answer_as(questions, tasks);
  }

 private:
  Task task_;
  RoutedLearner learner_;
};

double mean_over(const std::vector<double>& accuracies, const std::vector<Index>& places) {
  double sum = 0;
  for (const Index place : places) sum += accuracies[static_cast<std::size_t>(place)];
  return sum / static_cast<double>(places.size());
}

double mean_of(const std::vector<double>& accuracies) {
  return std::accumulate(accuracies.begin(), accuracies.end(), 0.0) /
         static_cast<double>(accuracies.size());
}

/// Answers every test question; `merged` answers what is taken for one of its tasks.
class AfterMerging {
 public:
  AfterMerging(const Encoded& encoded, const RoutedLearner& before, const Learner& after,
               const std::map<std::string, MergedTask>& merged)
      : before_(before), after_(after), merged_(merged) {
    for (const RoutedTask& task : after.router().tasks()) {
      const auto original = std::ranges::find(
          encoded.tasks, task.name, [](const EncodedTask& known) { return known.task->name; });
      places_.push_back(original == encoded.tasks.end() ? -1 : original - encoded.tasks.begin());
    }
  }

  [[nodiscard]] double accuracy_on(const EncodedTask& task) const {
    const std::vector<Index> taken = tasks_for(after_.router(), task.test.trunk.features);
    std::vector<Index> own(taken.size());
    std::ranges::transform(taken, own.begin(), [&](Index place) {
      return std::max<Index>(0, places_[static_cast<std::size_t>(place)]);
    });
    std::vector<Answer> answers = before_.answer_as(task.test.trunk, own);
    for (const auto& [name, merged] : merged_) {
      const std::vector<Answer> by_merged = merged.answers(task.test.trunk);
      for (std::size_t i = 0; i < taken.size(); ++i) {
        if (after_.router().tasks()[static_cast<std::size_t>(taken[i])].name == name) {
          answers[i] = by_merged[i];
        }
      }
    }
    double right = 0;
    for (std::size_t i = 0; i < answers.size(); ++i) {
      right += answers[i].answer == task.test.answers[i] ? 1 : 0;
    }
    return right / static_cast<double>(answers.size());
  }

 private:
  const RoutedLearner& before_;
  const Learner& after_;
  const std::map<std::string, MergedTask>& merged_;
  std::vector<Index> places_;  // of tasks after the merges among those before; -1: merged
};

/// Share of the questions of a group that are taken for another task of it.
double misrouted_share(const Encoded& encoded, const RoutedLearner& learner,
                       const std::vector<Index>& places) {
  double misrouted = 0;
  double all = 0;
  for (const Index place : places) {
    const EncodedTask& task = encoded.tasks[static_cast<std::size_t>(place)];
    for (const Index taken : learner.route(task.test.trunk)) {
      ++all;
      if (taken != place && std::ranges::count(places, taken) > 0) ++misrouted;
    }
  }
  return misrouted / all;
}

std::vector<double> accuracies_before(const Encoded& encoded, const RoutedLearner& learner) {
  std::vector<double> accuracies;
  for (const EncodedTask& task : encoded.tasks) {
    const std::vector<Answer> answers =
        learner.answer_as(task.test.trunk, learner.route(task.test.trunk));
    double right = 0;
    for (std::size_t i = 0; i < answers.size(); ++i) {
      right += answers[i].answer == task.test.answers[i] ? 1 : 0;
    }
    accuracies.push_back(right / static_cast<double>(answers.size()));
  }
  return accuracies;
}

}  // namespace

std::vector<MergeFinding> merge_findings(const Encoded& encoded, const RoutedLearner& learner,
                                         const MethodSettings& settings) {
  Learner merged_learner(learner.learner());
  const Groups groups = merge_all(merged_learner, encoded);
  if (groups.empty()) return {};
  std::map<std::string, MergedTask> merged;
  for (const auto& [name, places] : groups) {
    merged.try_emplace(name, encoded, name, places, settings);
  }
  const std::vector<double> before = accuracies_before(encoded, learner);
  const AfterMerging answering(encoded, learner, merged_learner, merged);
  std::vector<double> after;
  for (const EncodedTask& task : encoded.tasks) after.push_back(answering.accuracy_on(task));
  std::vector<MergeFinding> findings;
  for (const auto& [name, places] : groups) {
    MergeFinding finding{.tasks = {},
                         .misrouted = misrouted_share(encoded, learner, places),
                         .accuracy_before = mean_over(before, places),
                         .accuracy_after = mean_over(after, places),
                         .average_before = mean_of(before),
                         .average_after = mean_of(after)};
    for (const Index place : places) {
      finding.tasks.push_back(encoded.tasks[static_cast<std::size_t>(place)].task->name);
    }
    findings.push_back(std::move(finding));
  }
  return findings;
}

}  // namespace cl_benchmark
