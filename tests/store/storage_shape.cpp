// SPDX-License-Identifier: MIT
// Whether a forecast meets what a learner takes in memory and on disk.
#include "anyssr/store/storage_shape.hpp"

#include <cmath>
#include <filesystem>
#include <string>

#include "anyssr/store.hpp"
#include "support/catch.hpp"
#include "support/checkpoint_folder.hpp"
#include "support/program.hpp"

namespace {

using namespace anyssr;
using namespace anyssr::test;

LearnerOptions forecast_learner_options(Index dim) {
  LearnerOptions options = small_learner_options();
  options.router.expansion = {.kind = ExpansionKind::hadamard, .dim = dim, .seed = 3};
  return options;
}

/// Bytes of the files of a folder whose path begins so.
double bytes_below(const std::string& root, const std::string& start) {
  double bytes = 0;
  for (const auto& [path, content] : all_files(root)) {
    if (path.starts_with(start)) bytes += static_cast<double>(content.size());
  }
  return bytes;
}

double off_by(double forecast, double real) { return std::abs(forecast / real - 1); }

}  // namespace

TEMPLATE_TEST_CASE("a forecast of the router meets its file and its memory", "[store]", float,
                   double) {
  using S = TestType;
  const Index dim = 512;
  const TemporaryFolder folder;
  const std::string root = folder.file("state");
  PointLearner<S> learner = small_learner<S>(forecast_learner_options(dim));
  learn_small_tasks(learner, 0, 4);
  save(learner, root);
  const StorageForecast forecast = forecast_storage({.router_dim = dim,
                                                     .router_scalar_bytes = sizeof(S),
                                                     .label_columns = 2,
                                                     .kept_generations = 1,
                                                     .name_bytes = 6},
                                                    4);
  const double files = bytes_below(root, "router-") + bytes_below(root, "manifest-");
  CAPTURE(forecast.router.disk, files);
  CHECK(std::abs(forecast.router.disk - files) < 600);  // of half a megabyte and more
  CHECK(off_by(forecast.router.memory, static_cast<double>(learner.router().bytes())) < 0.01);
}

TEST_CASE("a forecast counts the router files that two saves leave", "[store]") {
  const Index dim = 256;
  const TemporaryFolder folder;
  const std::string root = folder.file("state");
  PointLearner<float> learner = small_learner<float>(forecast_learner_options(dim));
  for (Index t = 0; t < 3; ++t) {
    learn_small_tasks(learner, t, t + 1);
    save(learner, root);
  }
  const StorageForecast forecast =
      forecast_storage({.router_dim = dim, .label_columns = 2, .name_bytes = 6}, 3);
  CHECK(off_by(forecast.router.disk,
               bytes_below(root, "router-") + bytes_below(root, "manifest-")) < 0.01);
}

TEST_CASE("a forecast of adapters meets what more tasks add to a checkpoint", "[store]") {
  LearnerOptions options = forecast_learner_options(64);
  options.lift.dim = 512;
  options.adapter.lora.rank = 8;
  constexpr Index head = 2 * (512 + 1);
  StorageShape shape{.router_dim = 64, .adapter_tensors = 2, .head_parameters = double{head}};
  const TemporaryFolder folder;
  PointLearner<float> learner = small_learner<float>(options);
  double more_on_disk = 0;
  double forecast_of_more = 0;
  for (const Index tasks : {2, 6}) {
    const std::string root = folder.file("state-" + std::to_string(tasks));
    learn_small_tasks(learner, tasks == 2 ? 0 : 2, tasks);
    save(learner, root);
    shape.adapter_parameters = static_cast<double>(learner.tasks()[0].adapter_parameters - head);
    const StorageForecast forecast = forecast_storage(shape, tasks);
    const double sign = tasks == 2 ? -1 : 1;
    more_on_disk += sign * bytes_below(root, "adapters/");
    forecast_of_more += sign * (forecast.adapters.disk + forecast.heads.disk);
    double memory = 0;
    for (const std::size_t bytes : learner.storage().adapter_bytes) {
      memory += static_cast<double>(bytes);
    }
    CHECK(forecast.adapters.memory + forecast.heads.memory == memory);
  }
  CAPTURE(forecast_of_more, more_on_disk);
  CHECK(off_by(forecast_of_more, more_on_disk) < 0.01);
}

TEMPLATE_TEST_CASE("the shape of a learner forecasts its own checkpoint", "[store]", float,
                   double) {
  LearnerOptions options = forecast_learner_options(256);
  options.lift.dim = 512;
  options.adapter.lora.rank = 8;
  options.router.novelty.mode = NoveltyMode::leverage;
  const TemporaryFolder folder;
  const std::string root = folder.file("state");
  PointLearner<TestType> learner = small_learner<TestType>(options);
  CHECK(storage_shape(learner).adapter_parameters == 0);
  for (Index t = 0; t < 4; ++t) {
    learn_small_tasks(learner, t, t + 1);
    save(learner, root);
  }
  const StorageShape shape = storage_shape(learner);
  CHECK(shape.label_columns == 2);
  CHECK(shape.adapter_tensors == 2);
  CHECK(shape.adapter_parameters + shape.head_parameters ==
        static_cast<double>(learner.tasks()[0].adapter_parameters));
  CHECK(shape.exact_leverage);
  const StorageForecast forecast = forecast_storage(shape, 4);
  CAPTURE(forecast.total().disk, bytes_below(root, ""));
  CHECK(off_by(forecast.total().disk, bytes_below(root, "")) < 0.01);
  CHECK(off_by(forecast.router.memory, static_cast<double>(learner.router().bytes())) < 0.01);
}

namespace {

/// Learns a task of so many labels, in turn.
void learn_labelled(PointLearner<float>& learner, Index number, Index labels) {
  PointTask<float> task = small_task<float>(number, 8 * labels);
  for (std::size_t i = 0; i < task.labels.size(); ++i) {
    task.labels[i] = static_cast<Index>(i) % labels;
  }
  learner.learn_task(task.name, task.inputs, task.labels);
}

/// How far the forecast of a saved learner is off its folder and its memory.
std::pair<double, double> forecast_errors(const PointLearner<float>& learner,
                                          const std::string& root) {
  const auto count = static_cast<Index>(learner.tasks().size());
  const StorageForecast forecast = forecast_storage(storage_shape(learner), count);
  return {off_by(forecast.total().disk, bytes_below(root, "")),
          off_by(forecast.total().memory, static_cast<double>(learner.storage().total()))};
}

}  // namespace

TEST_CASE("the forecast of tasks of unequal labels meets their checkpoint", "[store]") {
  const TemporaryFolder folder;
  const std::string root = folder.file("state");
  PointLearner<float> learner = small_learner<float>(forecast_learner_options(256));
  const auto [even, odd, error] =
      GENERATE(table<Index, Index, double>({{2, 3, 0.01}, {40, 40, 0.01}, {2, 12, 0.01}}));
  CAPTURE(even, odd);
  for (Index t = 0; t < 10; ++t) learn_labelled(learner, t, t % 2 == 0 ? even : odd);
  save(learner, root);
  save(learner, root);  // both generations know all tasks
  const auto [disk, memory] = forecast_errors(learner, root);
  CHECK(memory < error);
  StorageShape shape = storage_shape(learner);
  shape.kept_generations = 1;
  const double files = bytes_below(root, "router-000002") + bytes_below(root, "manifest-000002");
  CHECK(off_by(forecast_storage(shape, 10).router.disk, files) < error);
}

TEST_CASE("a forecast counts spans and inspector and waiting merges", "[store]") {
  LearnerOptions options = forecast_learner_options(128);
  options.lift.dim = 256;
  options.adapter.lora.rank = 8;
  const bool complement = GENERATE(true, false);
  const bool inspected = GENERATE(true, false);
  const bool merged = GENERATE(true, false);
  CAPTURE(complement, inspected, merged);
  if (complement) options.subspace = SubspaceChoice::complement;
  if (inspected) options.inspector = InspectorOptions{.sketch = 12};
  const TemporaryFolder folder;
  const std::string root = folder.file("state");
  PointLearner<float> learner = small_learner<float>(options);
  for (Index t = 0; t < 5; ++t) {
    learn_small_tasks(learner, t, t + 1);
    (void)learner.predict(small_task<float>(t).inputs);
    if (merged && t == 3) learner.merge_tasks("task-1", "task-2", "both");
    save(learner, root);
  }
  const auto [disk, memory] = forecast_errors(learner, root);
  CHECK(disk < 0.01);
  CHECK(memory < 0.01);
}
