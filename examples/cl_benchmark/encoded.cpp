// SPDX-License-Identifier: MIT
#include "cl_benchmark/encoded.hpp"

#include <algorithm>

namespace cl_benchmark {

using namespace anyssr;

TextHashingBackbone<float> hashed_words(const MethodSettings& settings) {
  // pairs of words fill all buckets where texts are long
  return TextHashingBackbone<float>({.dim = static_cast<Index>(settings.dim),
                                     .word_pairs = settings.word_pairs,
                                     .seed = settings.seed});
}

LearnerOptions learner_options(const MethodSettings& settings) {
  LearnerOptions options;
  options.router.rls.ridge = settings.ridge;
  options.router.rls.ridge_scale = RidgeScale::absolute;  // hashed rows have norm 1
  options.router.rls.threads = settings.threads;
  options.lift.seed = settings.seed;
  options.seed = settings.seed;
  return options;
}

Encoded encode(const Benchmark& benchmark, const MethodSettings& settings) {
  Encoded encoded{.model = Model(hashed_words(settings), learner_options(settings).lift)};
  const auto rows_of = [&](const Rows& rows) {
    return EncodedRows{encoded.model.trunk(rows.texts), rows.answers};
  };
  for (const Task& task : benchmark.tasks) {
    encoded.tasks.push_back({&task, rows_of(task.train), rows_of(task.test)});
  }
  if (const auto& more = benchmark.second_visit) {
    encoded.second_visit.emplace(EncodedTask{&*more, rows_of(more->train), {}});
    const Index place = encoded.place_of(more->name);
    encoded.tasks[static_cast<std::size_t>(place)].rows_to_come = more->train.size();
  }
  return encoded;
}

Index Encoded::place_of(const std::string& task) const {
  const auto found =
      std::ranges::find(tasks, task, [](const EncodedTask& known) { return known.task->name; });
  return found - tasks.begin();
}

std::vector<Lesson> lessons_of(const Encoded& encoded) {
  std::vector<Lesson> lessons;
  for (const EncodedTask& task : encoded.tasks) {
    lessons.push_back({.place = static_cast<Index>(lessons.size()), .rows = &task});
  }
  if (const auto& more = encoded.second_visit) {
    lessons.push_back({.place = encoded.place_of(more->task->name), .rows = &*more});
  }
  return lessons;
}

SparseRows<float> joined_features(const SparseRows<float>& first, const SparseRows<float>& second) {
  SparseRows<float> both(first.rows() + second.rows(), first.cols());
  both.reserve(first.nonZeros() + second.nonZeros());
  Index row = 0;
  for (const SparseRows<float>* features : {&first, &second}) {
    for (Index i = 0; i < features->rows(); ++i, ++row) {
      both.startVec(row);
      for (SparseRows<float>::InnerIterator it(*features, i); it; ++it) {
        both.insertBack(row, it.col()) = it.value();
      }
    }
  }
  both.finalize();
  return both;
}

Trunk joined(const Trunk& first, const Trunk& second) {
  Trunk both{joined_features(first.features, second.features), {}};
  both.projected.resize(first.projected.rows() + second.projected.rows(), first.projected.cols());
  both.projected << first.projected, second.projected;
  return both;
}

}  // namespace cl_benchmark
