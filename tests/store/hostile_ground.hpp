// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// A checkpoint to be made hostile again and again, the ways to do that while all of its checks
/// still fit, and what a load says of it.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "anyssr/store.hpp"
#include "support/catch.hpp"
#include "support/checkpoint_folder.hpp"

namespace anyssr::test {

inline const std::string hostile_router = "router-000001.safetensors";
inline const std::string hostile_spans = "spans-000001.safetensors";
inline const std::string hostile_task = "adapters/000001-task-0/task.json";
inline const std::string hostile_weights = "adapters/000001-task-0/adapter_model.safetensors";

/// Where a message names the folder or its manifest, R and M stand for them.
struct HostileGround {
  /// A checkpoint of two tasks and their spans.
  HostileGround() : HostileGround(two_tasks()) {}
  explicit HostileGround(const PointLearner<float>& learner) {
    save(learner, pristine);
    reset();
  }

  void reset() const { copy_folder(pristine, root); }
  [[nodiscard]] EditedCheckpoint checkpoint() const { return EditedCheckpoint(root); }

  /// What a load says.
  [[nodiscard]] std::string refusal() const {
    std::string message = message_of<Error>([&] { (void)load_points<float>(root); });
    const auto shorten = [&](const std::string& text, const std::string& letter) {
      for (std::size_t at = 0; (at = message.find(text)) != std::string::npos;) {
        message.replace(at, text.size(), letter);
      }
    };
    shorten(root + "/manifest-000001.json", "M");
    shorten(root, "R");
    return message;
  }
  /// What it says of one change.
  [[nodiscard]] std::string refusal(
      const std::function<void(const EditedCheckpoint&)>& change) const {
    reset();
    change(checkpoint());
    return refusal();
  }

  TemporaryFolder folder{quick_folder()};
  std::string pristine = folder.file("pristine");
  std::string root = folder.file("state");

 private:
  static PointLearner<float> two_tasks() {
    PointLearner<float> learner = small_learner<float>(options_of(SubspaceChoice::complement));
    learn_small_tasks(learner, 0, 2);
    return learner;
  }
};

/// The bytes of a safetensors file that a writer would write.
inline std::string file_bytes_of(const SafetensorsWriter& writer) {
  std::string all;
  writer.stream([&](std::span<const std::byte> part) {
    all.append(reinterpret_cast<const char*>(part.data()), part.size());
  });
  return all;
}

struct HostileContent {
  std::string message;
  std::function<void(const EditedCheckpoint&)> change;
};

inline void check_contents(const std::vector<HostileContent>& cases) {
  const HostileGround ground;
  for (const HostileContent& hostile : cases) {
    CAPTURE(hostile.message);
    CHECK(ground.refusal(hostile.change) == hostile.message);
  }
}

/// The tensors of a router file, to be changed.
struct RouterTensors {
  explicit RouterTensors(const std::filesystem::path& path) {
    const SafetensorsReader reader(path);
    moment = reader.numbers<float>("second_moment");
    cross = reader.matrix<float>("cross_correlation");
    energy = reader.vector<double>("target_energy");
    bounds = reader.vector<double>("bounds");
    rows = reader.integers<std::int64_t>("rows");
    weights = reader.vector<double>("row_weight");
    temperature = reader.vector<double>("calibration.temperature");
    counted = reader.integers<std::int64_t>("calibration.label_weight_rows");
    right = reader.integers<std::int64_t>("calibration.label_weight_right");
    measured = reader.integers<std::int64_t>("calibration.tasks_rows");
    temperatures = reader.vector<double>("calibration.temperature_of_task");
    temperature_weights = reader.vector<double>("calibration.temperature_weight_of_task");
    mean_scores = reader.vector<double>("calibration.mean_score_of_task");
    residuals = reader.matrix<double>("calibration.residuals");
  }
  [[nodiscard]] std::string bytes(const std::string& missing = {}) const {
    SafetensorsWriter writer;
    const auto add = [&](const std::string& name, const auto& value) {
      if (name != missing) writer.add(name, value);
    };
    add("second_moment", moment);
    add("cross_correlation", cross);
    add("target_energy", energy);
    add("bounds", bounds);
    add("rows", rows);
    add("row_weight", weights);
    add("calibration.temperature", temperature);
    add("calibration.label_weight_rows", counted);
    add("calibration.label_weight_right", right);
    add("calibration.tasks_rows", measured);
    add("calibration.temperature_of_task", temperatures);
    add("calibration.temperature_weight_of_task", temperature_weights);
    add("calibration.mean_score_of_task", mean_scores);
    add("calibration.residuals", residuals);
    return file_bytes_of(writer);
  }
  std::vector<float> moment;
  RowMajorMatrix<float> cross;
  Vector<double> energy;
  Vector<double> bounds;
  std::vector<std::int64_t> rows;
  Vector<double> weights;
  Vector<double> temperature;
  std::vector<std::int64_t> counted;
  std::vector<std::int64_t> right;
  std::vector<std::int64_t> measured;
  Vector<double> temperatures;
  Vector<double> temperature_weights;
  Vector<double> mean_scores;
  RowMajorMatrix<double> residuals;
};

/// A change of the router's tensors.
template <class Change>
auto in_router(const Change& change) {
  return [change](const EditedCheckpoint& checkpoint) {
    RouterTensors tensors(checkpoint.path(hostile_router));
    change(tensors);
    checkpoint.replace(hostile_router, tensors.bytes());
  };
}

inline auto in_manifest(const std::function<void(Json&)>& change) {
  return [change](const EditedCheckpoint& checkpoint) { checkpoint.edit(change); };
}

inline auto in_task(const std::function<void(Json&)>& change) {
  return
      [change](const EditedCheckpoint& checkpoint) { checkpoint.edit_file(hostile_task, change); };
}

/// Another adapter in the place of the first task's.
inline auto with_adapter(const std::function<void(Adapter<float>&)>& change) {
  return [change](const EditedCheckpoint& checkpoint) {
    const std::filesystem::path folder = checkpoint.path("adapters/000001-task-0");
    Adapter<float> adapter = detail::read_adapter_folder<float>(folder);
    change(adapter);
    write_peft_adapter(folder, adapter);
    for (const char* name : {"adapter_config.json", "adapter_model.safetensors"}) {
      checkpoint.replace("adapters/000001-task-0/" + std::string(name),
                         file_bytes((folder / name).string()));
    }
    checkpoint.edit_file(hostile_task, [&](Json& task) {
      task["heads"] = Json::object();
      for (const auto& [name, head] : adapter.heads) {
        task["heads"][name] = {{"temperature", head.temperature}, {"trained", head.trained}};
      }
    });
  };
}

inline auto with_spans(const std::string& site, const Matrix<float>& columns) {
  return [site, columns](const EditedCheckpoint& checkpoint) {
    SafetensorsWriter writer;
    writer.add(site, columns);
    writer.write(checkpoint.path(hostile_spans));
    checkpoint.replace(hostile_spans, file_bytes(checkpoint.path(hostile_spans).string()));
  };
}

inline constexpr float hostile_nan = std::numeric_limits<float>::quiet_NaN();
inline constexpr float hostile_infinity = std::numeric_limits<float>::infinity();

}  // namespace anyssr::test
