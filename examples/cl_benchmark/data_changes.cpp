// SPDX-License-Identifier: MIT
#include "cl_benchmark/data_changes.hpp"

#include <algorithm>
#include <anyssr/core/error.hpp>
#include <anyssr/core/random.hpp>
#include <cmath>
#include <iterator>
#include <limits>
#include <map>
#include <string_view>
#include <utility>

#include "support/findings.hpp"
#include "support/messages.hpp"
#include "support/shown.hpp"

namespace cl_benchmark {

using anyssr::Index;
using anyssr::RandomStream;

namespace {

/// A stream per task and change, so that a task's rows do not depend on the other tasks.
RandomStream stream_of(const Task& task, std::string_view change, std::uint64_t seed) {
  return RandomStream(anyssr::hash_bytes(task.name, seed), anyssr::hash_bytes(change));
}

std::size_t rounded(double value) { return static_cast<std::size_t>(std::lround(value)); }

/// Where an answer stands in Task::answers; their number where it is none of them.
std::size_t place_of(Index answer, const Task& task) {
  const auto found = std::ranges::lower_bound(task.answers, answer);
  if (found == task.answers.end() || *found != answer) return task.answers.size();
  return static_cast<std::size_t>(found - task.answers.begin());
}

/// Keeps `count` training rows in their order. They are drawn in rounds, each of which gives every
/// answer one row; after `rounds` rounds any rows that are left.
void draw_rows(Task& task, Index count, Index rounds, RandomStream random) {
  if (count >= task.train.size()) return;
  std::vector<std::pair<Index, std::size_t>> drawn;  // round, row
  std::map<Index, Index> rows_of;                    // by answer, so far
  for (const Index row : anyssr::random_permutation(task.train.size(), random)) {
    const auto place = static_cast<std::size_t>(row);
    drawn.emplace_back(std::min(rows_of[task.train.answers[place]]++, rounds), place);
  }
  std::ranges::stable_sort(drawn, {}, &std::pair<Index, std::size_t>::first);
  drawn.resize(static_cast<std::size_t>(count));
  std::ranges::sort(drawn, {}, &std::pair<Index, std::size_t>::second);
  Rows kept;
  for (const auto& [round, row] : drawn) {
    kept.add(std::move(task.train.texts[row]), task.train.answers[row]);
  }
  task.train = std::move(kept);
  collect_answers(task);
}

/// The tasks that one task is cut into.
std::vector<Task> pieces_of(const Task& task, std::size_t count) {
  const std::size_t pieces = (task.answers.size() + count - 1) / count;
  if (pieces < 2) return {task};
  std::vector<Task> result;
  for (std::size_t i = 0; i < pieces; ++i) {
    result.push_back({.name = task.name + "/" + std::to_string(i + 1)});
  }
  for (Rows Task::*part : {&Task::train, &Task::test, &Task::val}) {
    const Rows& rows = task.*part;
    for (std::size_t row = 0; row < rows.texts.size(); ++row) {
      const std::size_t place = place_of(rows.answers[row], task);
      Task& to = result[std::min(place / count, pieces - 1)];
      (to.*part).add(rows.texts[row], rows.answers[row]);
    }
  }
  for (Task& piece : result) collect_answers(piece);
  return result;
}

}  // namespace

void cut_tasks(Benchmark& benchmark, Index count) {
  std::vector<Task> tasks;
  for (const Task& task : benchmark.tasks) {
    std::ranges::move(pieces_of(task, static_cast<std::size_t>(count)), std::back_inserter(tasks));
  }
  benchmark.tasks = std::move(tasks);
  benchmark.orders.clear();
}

void keep_rows(Benchmark& benchmark, Index count, std::uint64_t seed) {
  for (Task& task : benchmark.tasks) {
    draw_rows(task, count, std::numeric_limits<Index>::max(), stream_of(task, "rows", seed));
  }
}

void make_unequal(Benchmark& benchmark, double ratio, std::uint64_t seed) {
  const double steps = std::max<double>(1, static_cast<double>(benchmark.tasks.size()) - 1);
  double step = 0;
  for (Task& task : benchmark.tasks) {
    const double share = std::pow(ratio, -step++ / steps);
    const auto count = static_cast<Index>(rounded(share * static_cast<double>(task.train.size())));
    const auto least = static_cast<Index>(task.answers.size());
    draw_rows(task, std::max(count, least), 1, stream_of(task, "imbalance", seed));
  }
}

void add_label_noise(Benchmark& benchmark, double share, std::uint64_t seed) {
  support::Findings certain;
  for (Task& task : benchmark.tasks) {
    if (task.answers.size() < 2) {
      certain.add("task " + support::in_quotes(task.name) +
                  " has one answer, so --label-noise leaves it as it is");
      continue;
    }
    RandomStream random = stream_of(task, "label noise", seed);
    auto rows = anyssr::random_permutation(task.train.size(), random);
    rows.resize(rounded(share * static_cast<double>(rows.size())));
    const auto others = static_cast<std::uint32_t>(task.answers.size() - 1);
    for (const Index row : rows) {
      Index& answer = task.train.answers[static_cast<std::size_t>(row)];
      const std::size_t place = place_of(answer, task);
      const std::size_t other = random.below(others);  // among the answers without this one
      answer = task.answers[other < place ? other : other + 1];
    }
    collect_answers(task);
  }
  support::expect(certain.count() < benchmark.tasks.size(),
                  "--label-noise finds one answer in every task, expected tasks of two or more");
  warn(certain);
}

void split_visits(Benchmark& benchmark, const std::string& task, std::uint64_t seed) {
  const auto split = std::ranges::find(benchmark.tasks, task, &Task::name);
  support::expect(split != benchmark.tasks.end(), "--two-visits is ", support::in_quotes(task),
                  ", which is none of the tasks");
  std::map<Index, Index> counts;
  for (const Index answer : split->train.answers) ++counts[answer];
  for (auto& [answer, count] : counts) count /= 2;  // now those of the second visit
  std::vector<bool> comes_later(split->train.texts.size(), false);
  RandomStream random = stream_of(*split, "two visits", seed);
  for (const Index row : anyssr::random_permutation(split->train.size(), random)) {
    const auto place = static_cast<std::size_t>(row);
    comes_later[place] = counts[split->train.answers[place]]-- > 0;
  }
  Rows first;
  Task second{.name = task, .answers = split->answers};
  for (std::size_t row = 0; row < comes_later.size(); ++row) {
    Rows& rows = comes_later[row] ? second.train : first;
    rows.add(std::move(split->train.texts[row]), split->train.answers[row]);
  }
  support::expect(second.train.size() > 0, "--two-visits is ", support::in_quotes(task),
                  ", a task with one row per answer, expected two rows of an answer");
  split->train = std::move(first);
  benchmark.second_visit = std::move(second);
}

}  // namespace cl_benchmark
