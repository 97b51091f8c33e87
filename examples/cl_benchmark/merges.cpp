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

/// A copy of a learner in which tasks become one.
class Merger {
 public:
  Merger(const Learner& learner, const Encoded& encoded) : learner_(learner) {
    for (std::size_t t = 0; t < encoded.tasks.size(); ++t) {
      places_[encoded.tasks[t].task->name] = {static_cast<Index>(t)};
    }
  }

  /// Merges what suggest_merges names until it names nothing.
  void merge_suggested() {
    for (auto pairs = suggest_merges(learner_); !pairs.empty(); pairs = suggest_merges(learner_)) {
      for (const Suggestion& pair : pairs) merge(pair.tasks[0], pair.tasks[1]);
    }
  }
  void merge_all(const std::vector<std::string>& names) {
    std::string merged = names.front();
    for (std::size_t i = 1; i < names.size(); ++i) merged = merge(merged, names[i]);
  }

  [[nodiscard]] const Learner& learner() const { return learner_; }
  [[nodiscard]] Groups groups() const {
    Groups groups = places_;
    std::erase_if(groups, [](const auto& group) { return group.second.size() == 1; });
    return groups;
  }

 private:
  std::string merge(const std::string& first, const std::string& second) {
    const std::string name = first + "+" + second;
    learner_.merge_tasks(first, second, name);
    learner_.commit_merge(name);
    std::vector<Index> both = places_.at(first);
    both.insert(both.end(), places_.at(second).begin(), places_.at(second).end());
    places_.erase(first);
    places_.erase(second);
    places_[name] = std::move(both);
    return name;
  }

  Learner learner_;
  Groups places_;  // of all tasks, also those of one
};

/// One task of all rows of a group, learned by a learner of its own.
class MergedTask {
 public:
  MergedTask(const Encoded& encoded, const std::string& name, const std::vector<Index>& places,
             const MethodSettings& settings)
      : task_{.name = name}, learner_(encoded.model, settings) {
    EncodedTask all;
    for (const auto& [place, part] : lessons_of(encoded)) {
      if (std::ranges::count(places, place) > 0) task_.train.append(part->task->train);
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

std::vector<MergeFinding> findings_of(const Merger& merger, const Encoded& encoded,
                                      const RoutedLearner& learner,
                                      const MethodSettings& settings) {
  const Groups groups = merger.groups();
  if (groups.empty()) return {};
  std::map<std::string, MergedTask> merged;
  for (const auto& [name, places] : groups) {
    merged.try_emplace(name, encoded, name, places, settings);
  }
  const std::vector<double> before = accuracies_before(encoded, learner);
  const AfterMerging answering(encoded, learner, merger.learner(), merged);
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

}  // namespace

std::vector<MergeFinding> merge_findings(const Encoded& encoded, const RoutedLearner& learner,
                                         const std::vector<std::string>& wished,
                                         const MethodSettings& settings) {
  Merger suggested(learner.learner(), encoded);
  suggested.merge_suggested();
  std::vector<MergeFinding> findings = findings_of(suggested, encoded, learner, settings);
  for (MergeFinding& finding : findings) finding.is_suggested = true;
  if (!wished.empty()) {
    Merger asked(learner.learner(), encoded);
    asked.merge_all(wished);
    for (MergeFinding& finding : findings_of(asked, encoded, learner, settings)) {
      findings.push_back(std::move(finding));
    }
  }
  return findings;
}

}  // namespace cl_benchmark
