// SPDX-License-Identifier: MIT
// Checkpoints that somebody made to do harm: all checks fit, the content does not.
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <iostream>
#include <limits>
#include <new>
#include <set>
#include <string>
#include <vector>

#include "anyssr/store.hpp"
#include "support/catch.hpp"
#include "support/checkpoint_folder.hpp"
#include "support/sanitized.hpp"

using namespace anyssr;
using namespace anyssr::test;
namespace fs = std::filesystem;

namespace {

const std::string router_path = "router-000001.safetensors";
const std::string spans_path = "spans-000001.safetensors";
const std::string task_path = "adapters/000001-task-0/task.json";
const std::string weights_path = "adapters/000001-task-0/adapter_model.safetensors";
const std::string this_version = ANYSSR_VERSION_STRING;

/// A checkpoint of two tasks to be made hostile again and again.
struct HostileGround {
  HostileGround() {
    PointLearner<float> learner = small_learner<float>(options_of(SubspaceChoice::complement));
    learn_small_tasks(learner, 0, 2);
    save(learner, pristine);
    reset();
  }
  void reset() const { copy_folder(pristine, root); }
  [[nodiscard]] EditedCheckpoint checkpoint() const { return EditedCheckpoint(root); }
  /// What a load says, R for the root and M for the manifest's path.
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

  TemporaryFolder folder{quick_folder()};
  std::string pristine = folder.file("pristine");
  std::string root = folder.file("state");
};

struct HostileManifest {
  std::string reason;  ///< of the refusal
  std::function<void(Json&)> change;
};

void check_manifests(const std::vector<HostileManifest>& cases) {
  const HostileGround ground;
  for (const HostileManifest& hostile : cases) {
    CAPTURE(hostile.reason);
    ground.reset();
    ground.checkpoint().edit(hostile.change);
    CHECK(ground.refusal() == "M: " + hostile.reason + "; no generation is whole");
  }
}

struct HostileContent {
  std::string message;
  std::function<void(const EditedCheckpoint&)> change;
};

void check_contents(const std::vector<HostileContent>& cases) {
  const HostileGround ground;
  for (const HostileContent& hostile : cases) {
    CAPTURE(hostile.message);
    ground.reset();
    hostile.change(ground.checkpoint());
    CHECK(ground.refusal() == hostile.message);
  }
}

/// The tensors of a router file, to be changed.
struct RouterTensors {
  explicit RouterTensors(const fs::path& path) {
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
    std::string all;
    writer.stream([&](std::span<const std::byte> part) {
      all.append(reinterpret_cast<const char*>(part.data()), part.size());
    });
    return all;
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
    RouterTensors tensors(checkpoint.path(router_path));
    change(tensors);
    checkpoint.replace(router_path, tensors.bytes());
  };
}

auto in_manifest(const std::function<void(Json&)>& change) {
  return [change](const EditedCheckpoint& checkpoint) { checkpoint.edit(change); };
}

auto in_task(const std::function<void(Json&)>& change) {
  return [change](const EditedCheckpoint& checkpoint) { checkpoint.edit_file(task_path, change); };
}

/// Another adapter in the place of the first task's.
auto with_adapter(const std::function<void(Adapter<float>&)>& change) {
  return [change](const EditedCheckpoint& checkpoint) {
    const fs::path folder = checkpoint.path("adapters/000001-task-0");
    Adapter<float> adapter = detail::read_adapter_folder<float>(folder);
    change(adapter);
    write_peft_adapter(folder, adapter);
    for (const char* name : {"adapter_config.json", "adapter_model.safetensors"}) {
      checkpoint.replace("adapters/000001-task-0/" + std::string(name),
                         file_bytes((folder / name).string()));
    }
    checkpoint.edit_file(task_path, [&](Json& task) {
      task["heads"] = Json::object();
      for (const auto& [name, head] : adapter.heads) {
        task["heads"][name] = {{"temperature", head.temperature}, {"trained", head.trained}};
      }
    });
  };
}

auto with_spans(const std::string& site, const Matrix<float>& columns) {
  return [site, columns](const EditedCheckpoint& checkpoint) {
    SafetensorsWriter writer;
    writer.add(site, columns);
    writer.write(checkpoint.path(spans_path));
    checkpoint.replace(spans_path, file_bytes(checkpoint.path(spans_path).string()));
  };
}

constexpr float hostile_nan = std::numeric_limits<float>::quiet_NaN();
constexpr float hostile_infinity = std::numeric_limits<float>::infinity();

/// A path that a manifest must not name, as JSON would show it.
const std::vector<std::string> hostile_paths{"../router",
                                             "/etc/passwd",
                                             std::string("a\0b", 3),
                                             "a\\b",
                                             "",
                                             ".",
                                             "..",
                                             ".hidden",
                                             "a/../b",
                                             "a//b",
                                             "a/",
                                             "a/b/c/d",
                                             "Router",
                                             "a b",
                                             "\xC3\xBC",
                                             "C:",
                                             std::string(65, 'a'),
                                             std::string(5000, 'a')};

}  // namespace

TEST_CASE("the checkpoint that hostile ones are made of loads", "[store]") {
  const HostileGround ground;
  CHECK(ground.refusal() == "nothing was thrown");
  ground.checkpoint().edit([](Json& m) { m["unknown"] = "key"; });
  ground.checkpoint().replace(router_path, RouterTensors(ground.root + "/" + router_path).bytes());
  with_adapter([](Adapter<float>&) {})(ground.checkpoint());
  CHECK(ground.refusal() == "nothing was thrown");
}

TEST_CASE("a manifest that breaks its form is refused with the reason", "[store][error]") {
  const std::string most = "9007199254740991";
  check_manifests({
      {R"(format is "zip", expected "anyssr-checkpoint")", [](Json& m) { m["format"] = "zip"; }},
      {R"(has no "format")", [](Json& m) { m.erase("format"); }},
      {"has version 2.0, written by anyssr " + this_version + ", expected 1.x: this is anyssr " +
           this_version,
       [](Json& m) {
         m["version"] = {2, 0};
       }},
      {"version is an array, expected two numbers", [](Json& m) { m["version"] = {1}; }},
      {"version[0]: is 1.0, expected a whole number",
       [](Json& m) {
         m["version"] = {1.0, 0};
       }},
      {R"(version is "1.0", expected an array)", [](Json& m) { m["version"] = "1.0"; }},
      {R"(must_understand[0]: is "novelty", which anyssr )" + this_version +
           " does not understand: take the version that wrote it, " + this_version,
       [](Json& m) { m["must_understand"] = {"novelty"}; }},
      {R"(has no "must_understand")", [](Json& m) { m.erase("must_understand"); }},
      {"holds generation 2, expected that of its name", [](Json& m) { m["generation"] = 2; }},
      {"generation is -1, expected a whole number of 0.." + most,
       [](Json& m) { m["generation"] = -1; }},
      {"generation is 1.0, expected a whole number of 0.." + most,
       [](Json& m) { m["generation"] = 1.0; }},
      {"generation is 1.8446744073709552e+19, expected a whole number of 0.." + most,
       [](Json& m) { m["generation"] = 18446744073709551616.0; }},
      {R"(generation is "1", expected a whole number of 0..)" + most,
       [](Json& m) { m["generation"] = "1"; }},
      {"changes is true, expected a whole number of 0..9007199254740992",
       [](Json& m) { m["changes"] = true; }},
      {R"(created is null, expected a string)", [](Json& m) { m["created"] = nullptr; }},
      {R"(scalar is "f16", expected f32 or f64)", [](Json& m) { m["scalar"] = "f16"; }},
      {R"(has no "scalar")", [](Json& m) { m.erase("scalar"); }},
      {"backbone: is an array, expected an object", [](Json& m) { m["backbone"] = Json::array(); }},
      {"backbone: id is 7, expected a string", [](Json& m) { m["backbone"]["id"] = 7; }},
      {"backbone: feature_dim is 4611686018427387904, expected a whole number of 0..268435456",
       [](Json& m) { m["backbone"]["feature_dim"] = std::uint64_t{1} << 62; }},
      {R"(backbone: probe[0]: is "x", expected a finite number)",
       [](Json& m) { m["backbone"]["probe"] = {"x"}; }},
      {R"(expansion: digest is "0x12", expected 0x and 16 digits of 0-9a-f)",
       [](Json& m) { m["expansion"]["digest"] = "0x12"; }},
      {"expansion: probe is null, expected an array",
       [](Json& m) { m["expansion"]["probe"] = nullptr; }},
      {"options: is an array, expected an object", [](Json& m) { m["options"] = Json::array(); }},
  });
}

TEST_CASE("a manifest whose tasks or columns contradict themselves is refused", "[store][error]") {
  check_manifests({
      {R"(tasks[0]: name is "", expected a name that no other task has)",
       [](Json& m) { m["tasks"][0]["name"] = ""; }},
      {R"(tasks[1]: name is "task-0", expected a name that no other task has)",
       [](Json& m) { m["tasks"][1]["name"] = "task-0"; }},
      {R"(tasks[0]: status is "removed", expected "active" or "disabled")",
       [](Json& m) { m["tasks"][0]["status"] = "removed"; }},
      {R"(tasks[1]: has no "status")", [](Json& m) { m["tasks"][1].erase("status"); }},
      {"tasks[1]: digest is 12, expected a string", [](Json& m) { m["tasks"][1]["digest"] = 12; }},
      {R"(tasks[0]: adapter is "a/b", expected the name of a folder)",
       [](Json& m) { m["tasks"][0]["adapter"] = "a/b"; }},
      {"tasks[0]: is 3, expected an object", [](Json& m) { m["tasks"][0] = 3; }},
      {"columns name 2 tasks, expected 3",
       [](Json& m) {
         m["tasks"].push_back(m["tasks"][0]);
         m["tasks"][2]["name"] = "task-2";
       }},
      {R"(columns[0]: task is "nobody", expected the name of a task of the manifest)",
       [](Json& m) { m["columns"][0]["task"] = "nobody"; }},
      {R"(task "task-0" has no column for label 0)", [](Json& m) { m["columns"].erase(1); }},
      {"columns[2]: label is 0, expected each label of a task once",
       [](Json& m) { m["columns"][2]["label"] = 0; }},
      {R"(columns[1]: task is "task-0", expected one task column a task)",
       [](Json& m) { m["columns"][1]["label"] = nullptr; }},
      {"columns name 1 tasks, expected 2", [](Json& m) { m["columns"].erase(0); }},
      {"columns[1]: label is -1, expected a whole number of 0..1000000",
       [](Json& m) { m["columns"][1]["label"] = -1; }},
      {"columns[1]: label is 1000001, expected a whole number of 0..1000000",
       [](Json& m) { m["columns"][1]["label"] = 1000001; }},
      {R"(columns[1]: has no "label")", [](Json& m) { m["columns"][1].erase("label"); }},
      {"columns is an object, expected an array", [](Json& m) { m["columns"] = Json::object(); }},
  });
}

TEST_CASE("a manifest whose files contradict themselves is refused", "[store][error]") {
  const std::string checks = ", expected sha256: and 64 digits, or crc32c: and 8 digits, of 0-9a-f";
  check_manifests({
      {R"(files[8]: path is "adapters/000001-task-0/adapter_config.json", expected each path once)",
       [](Json& m) { m["files"].push_back(m["files"][0]); }},
      {"files[0]: bytes is -1, expected a whole number of 0..18446744073709551615",
       [](Json& m) { m["files"][0]["bytes"] = -1; }},
      {"files[0]: bytes is 1.5, expected a whole number of 0..18446744073709551615",
       [](Json& m) { m["files"][0]["bytes"] = 1.5; }},
      {R"(files[0]: check is "md5:00")" + checks,
       [](Json& m) { m["files"][0]["check"] = "md5:00"; }},
      {R"(files[0]: check is "crc32c:0000000G")" + checks,
       [](Json& m) { m["files"][0]["check"] = "crc32c:0000000G"; }},
      {R"(files[0]: has no "check")", [](Json& m) { m["files"][0].erase("check"); }},
      {R"(files do not list "router-000001.safetensors", which the manifest names)",
       [](Json& m) { m["files"].erase(6); }},
      {R"(files do not list "adapters/000001-task-0/task.json", which the manifest names)",
       [](Json& m) { m["files"].erase(2); }},
      {R"(files do not list "spans-000009.safetensors", which the manifest names)",
       [](Json& m) { m["spans"][0]["file"] = "spans-000009.safetensors"; }},
      {"spans[0]: columns: lift is -1, expected a whole number of 0..268435456",
       [](Json& m) { m["spans"][0]["columns"]["lift"] = -1; }},
      {R"(has no "spans")", [](Json& m) { m.erase("spans"); }},
  });
}

TEST_CASE("a path that no checkpoint wrote is refused wherever it stands", "[store][error]") {
  std::vector<HostileManifest> cases;
  for (const std::string& path : hostile_paths) {
    const std::string reason = " is " + detail::in_quotes(path) +
                               ", expected a relative path of plain names of a-z, 0-9, '.', '_' "
                               "and '-'";
    cases.push_back({"router" + reason, [path](Json& m) { m["router"] = path; }});
    cases.push_back({"files[0]: path" + reason, [path](Json& m) { m["files"][0]["path"] = path; }});
    cases.push_back(
        {"tasks[0]: adapter" + reason, [path](Json& m) { m["tasks"][0]["adapter"] = path; }});
    cases.push_back({"spans[0]: file" + reason, [path](Json& m) { m["spans"][0]["file"] = path; }});
  }
  CHECK(cases.size() == 72);
  check_manifests(cases);
}

TEST_CASE("a manifest that is no plain JSON object is refused", "[store][error]") {
  const HostileGround ground;
  const std::string text = file_bytes(ground.checkpoint().manifest_path());
  const std::string no_check = "M: is damaged: its text does not have the SHA-256 that it names";
  const std::string check = "\"check\": \"sha256:" + std::string(64, '0') + "\"";
  std::string deep = "{" + check + ", \"a\": ";
  for (int i = 0; i < 70; ++i) deep += "[";
  const std::vector<std::pair<std::string, std::string>> cases{
      {"", no_check},
      {"{}", no_check},
      {"{\"check\":\"sha256:" + std::string(64, '0') + "\"}", no_check},
      {"[{" + check + "}]", "M: is an array, expected an object"},
      {text + "x", "M: broken JSON at byte " + std::to_string(text.size() + 1)},
      {"{" + check + ", \"a\": 1, \"a\": 2}", R"(M: the key "a" stands there twice)"},
      {deep, "M: nested deeper than 64 levels"},
      {text + std::string(1, '\0'),
       "M: a NUL byte at byte " + std::to_string(text.size() + 1) + ", expected JSON text"},
      {"\xEF\xBB\xBF" + text, "M: begins with a byte order mark, expected JSON text without one"},
      {"{" + check + ", \"a\": \"\xFF\"}", "M: byte 0xFF at byte 92, expected UTF-8"}};
  for (const auto& [hostile, message] : cases) {
    CAPTURE(hostile.substr(0, 100), message);
    ground.reset();
    ground.checkpoint().write_manifest(hostile);
    CHECK(ground.refusal() == message + "; no generation is whole");
  }
}

TEST_CASE("a CURRENT that is no line of a manifest and its check is refused", "[store][error]") {
  const HostileGround ground;
  const std::string digits(64, 'a');
  for (const std::string& line :
       {std::string("../manifest-000001.json sha256:") + digits + "\n",
        "manifest-000001.json sha256:" + digits, "manifest-1.json sha256:" + digits + "\n",
        "manifest-000001.json crc32c:" + digits + "\n",
        "manifest-000001.json sha256:" + std::string(64, 'A') + "\n",
        "manifest-99999999999999999999.json sha256:" + digits + "\n",
        "manifest-9007199254740992.json sha256:" + digits + "\n",
        "manifest-000001.json  sha256:" + digits + "\n",
        "manifest-000001.json sha256:" + digits + "\n\n"}) {
    CAPTURE(line);
    overwrite(ground.root + "/CURRENT", line);
    CHECK(ground.refusal() == "R/CURRENT: is damaged: it says " + detail::in_quotes(line) +
                                  ", expected \"manifest-<number>.json sha256:<64 digits>\" and a "
                                  "line end; generation 1 is whole: recover = true takes it");
  }
  overwrite(ground.root + "/CURRENT", std::string(1000000, 'm'));
  CHECK(ground.refusal() ==
        "R/CURRENT: has 1000000 bytes, expected at most 256; generation 1 is whole: recover = true "
        "takes it");
}

TEST_CASE("options that no learner can have are refused", "[store][error]") {
  const auto option = [](const char* pointer, const Json& value) {
    return in_manifest([pointer = std::string(pointer), value](Json& m) {
      m["options"][Json::json_pointer(pointer)] = value;
    });
  };
  check_contents({
      {R"(M: options: router: expansion: kind is "magic", expected one of identity, dense, hadamard)",
       option("/router/expansion/kind", "magic")},
      {"M: options: router: rls: ridge is null, expected a finite number",
       option("/router/rls/ridge", nullptr)},
      {"R: generation 1: ridge is -1, expected a finite number above 0",
       option("/router/rls/ridge", -1)},
      {"R: generation 1: label_weight is -1, expected a finite number, at least 0",
       option("/router/label_weight", -1)},
      {"M: options: adapter: rank is -1, expected a whole number of 0..9223372036854775807",
       option("/adapter/rank", -1)},
      {"M: options: adapter: sites[0]: is 3, expected a string",
       option("/adapter/sites", Json::array({3}))},
      {"M: options: train: epochs is 1e+300, expected a whole number of 0..1000000000",
       option("/train/epochs", 1e300)},
      {R"(M: options: seed is 7, expected a string)", option("/seed", 7)},
      {"R: generation 1: gain is -1, expected a finite number above 0", option("/lift/gain", -1)},
      {"R: generation 1: dim is 0, expected 1..16777216", option("/lift/dim", 0)},
  });
}

TEST_CASE("sums that no learning leads to are refused", "[store][error]") {
  const std::string state = "R: generation 1: ";
  const std::string router = "R/" + router_path + ": ";
  using T = RouterTensors;
  check_contents({
      {state + "second_moment hold NaN or infinity at row 1, column 0, expected finite numbers",
       in_router([](T& t) { t.moment[1] = hostile_nan; })},
      {state + "second_moment has -1 on its diagonal at 0, expected 0 or more",
       in_router([](T& t) { t.moment[0] = -1; })},
      {state + "cross_correlation hold NaN or infinity at row 2, column 3, expected finite numbers",
       in_router([](T& t) { t.cross(2, 3) = hostile_infinity; })},
      {state + "target_energy hold NaN or infinity at row 1, column 0, expected finite numbers",
       in_router([](T& t) { t.energy(1) = hostile_nan; })},
      {state + "target_energy has -1e-09 at 1, expected 0 or more",
       in_router([](T& t) { t.energy(1) = -1e-9; })},
      {state + "bounds.trace is -1, expected a finite number, 0 or more",
       in_router([](T& t) { t.bounds(0) = -1; })},
      {state + "bounds.largest_energy is nan, expected a finite number, 0 or more",
       in_router([](T& t) { t.bounds(2) = hostile_nan; })},
      {state + "temperature is 0, expected a finite number above 0",
       in_router([](T& t) { t.temperature(0) = 0; })},
      {state + "temperature is nan, expected a finite number above 0",
       in_router([](T& t) { t.temperature(0) = hostile_nan; })},
      {state + "the row weight of task 'task-1' is 0, expected a finite number above 0",
       in_router([](T& t) { t.weights(1) = 0; })},
      {state + "label weight counts have -1 rows, expected 0..9007199254740992",
       in_router([](T& t) { t.counted[0] = -1; })},
      {state + "label weight counts hold 1000, expected 0..24",
       in_router([](T& t) { t.right[2] = 1000; })},
      {state + "the tasks own 6 columns, expected 5", in_router([](T& t) {
         t.cross = t.cross.leftCols(5).eval();
         t.energy = t.energy.head(5).eval();
       })},
      {router + "tensor \"rows\" holds -1, expected 0..9007199254740992",
       in_router([](T& t) { t.rows[0] = -1; })},
      {router + "tensor \"rows\" holds 9007199254740992, expected 0..9007199254740991",
       in_router([](T& t) {
         t.rows = {1, std::int64_t{1} << 53};
       })},
      {router + "tensor \"rows\" has shape [3], expected [2]",
       in_router([](T& t) { t.rows.push_back(1); })},
      {router + "tensor \"row_weight\" has shape [1], expected [2]",
       in_router([](T& t) { t.weights = t.weights.head(1).eval(); })},
      {router + "tensor \"second_moment\" has shape [170], expected [171]",
       in_router([](T& t) { t.moment.pop_back(); })},
      {router + "tensor \"cross_correlation\" has shape [17, 6], expected [18, ?]",
       in_router([](T& t) { t.cross = t.cross.topRows(17).eval(); })},
      {router + "tensor \"target_energy\" has shape [5], expected [6]",
       in_router([](T& t) { t.energy = t.energy.head(5).eval(); })},
      {router + "tensor \"calibration.label_weight_right\" has shape [6], expected [7]",
       in_router([](T& t) { t.right.pop_back(); })},
      {router + "has no tensor \"bounds\", it has \"calibration.label_weight_right\", "
                "\"calibration.label_weight_rows\", \"calibration.mean_score_of_task\", "
                "\"calibration.residuals\", \"calibration.tasks_rows\", "
                "\"calibration.temperature\", \"calibration.temperature_of_task\", "
                "\"calibration.temperature_weight_of_task\", ...",
       [](const EditedCheckpoint& checkpoint) {
         checkpoint.replace(router_path,
                            RouterTensors(checkpoint.path(router_path)).bytes("bounds"));
       }},
      {router + "the header has 9187201950435737471 bytes, expected at most 100000000 and at most "
                "92 in a file of 100",
       [](const EditedCheckpoint& checkpoint) {
         checkpoint.replace(router_path, std::string(100, '\x7F'));
       }},
      {router + "is empty, expected a safetensors file: download or copy the file again",
       [](const EditedCheckpoint& c) { c.replace(router_path, ""); }},
      {router + "the tensors end at byte 2156 of the data, expected 2152, where the file ends",
       [](const EditedCheckpoint& c) {
         const std::string bytes = file_bytes(c.path(router_path).string());
         c.replace(router_path, bytes.substr(0, bytes.size() - 4));
       }},
  });
}

TEST_CASE("calibrations that no rows lead to are refused with their tensor", "[store][error]") {
  const std::string tensor = "R/" + router_path + ": tensor \"calibration.";
  using T = RouterTensors;
  check_contents({
      {tensor + "tasks_rows\" holds -1 for task \"task-1\", expected 0..9007199254740992",
       in_router([](T& t) { t.measured[1] = -1; })},
      {tensor + "tasks_rows\" has shape [3], expected [2]",
       in_router([](T& t) { t.measured.push_back(1); })},
      {tensor + "temperature_of_task\" holds 0 for task \"task-0\", expected 1e-100..1e+100",
       in_router([](T& t) { t.temperatures(0) = 0; })},
      {tensor + "temperature_of_task\" holds nan for task \"task-0\", expected 1e-100..1e+100",
       in_router([](T& t) { t.temperatures(0) = hostile_nan; })},
      {tensor + "temperature_of_task\" has shape [1], expected [2]",
       in_router([](T& t) { t.temperatures = t.temperatures.head(1).eval(); })},
      {tensor + "temperature_weight_of_task\" holds -1 for task \"task-1\", expected 0..1e+100",
       in_router([](T& t) { t.temperature_weights(1) = -1; })},
      {tensor + "temperature_weight_of_task\" holds inf for task \"task-1\", expected 0..1e+100",
       in_router([](T& t) { t.temperature_weights(1) = hostile_infinity; })},
      {tensor + "mean_score_of_task\" holds nan for task \"task-0\", expected -1e+100..1e+100",
       in_router([](T& t) { t.mean_scores(0) = hostile_nan; })},
      {tensor + "residuals\" holds inf for task \"task-1\", expected -1e+100..1e+100",
       in_router([](T& t) { t.residuals(1, 49) = hostile_infinity; })},
      {tensor + "residuals\" holds -5 for task \"task-1\", expected 2 or more: they rise",
       in_router([](T& t) {
         t.residuals.row(1).setConstant(2);
         t.residuals(1, 7) = -5;
       })},
      {tensor + "residuals\" has shape [2, 49], expected [2, 50]",
       in_router([](T& t) { t.residuals = t.residuals.leftCols(49).eval(); })},
  });
  const HostileGround ground;
  ground.checkpoint().replace(
      router_path, RouterTensors(ground.root + "/" + router_path).bytes("calibration.residuals"));
  CHECK(ground.refusal().starts_with("R/" + router_path +
                                     ": has no tensor \"calibration.residuals\", it has "));
}

TEST_CASE("adapters and spans that do not fit are refused", "[store][error]") {
  const std::string state = "R: generation 1: ";
  const std::string task = "R/" + task_path + ": ";
  using A = Adapter<float>;
  const Matrix<float> identity = Matrix<float>::Identity(small_dim, 3);
  check_contents({
      {task + R"(format is "anyssr-job", expected "anyssr-task")",
       in_task([](Json& t) { t["format"] = "anyssr-job"; })},
      {task + "digest is 0x0123456789abcdef, expected 0xfedcba9876543210 as in the manifest",
       [](const EditedCheckpoint& c) {
         c.edit_file(task_path, [](Json& t) { t["digest"] = "0x0123456789abcdef"; });
         c.edit([](Json& m) { m["tasks"][0]["digest"] = "0xfedcba9876543210"; });
       }},
      {task + R"(scalar is "f8", expected f32 or f64)",
       in_task([](Json& t) { t["scalar"] = "f8"; })},
      {task + "parameters is -1, expected a whole number of 0..9223372036854775807",
       in_task([](Json& t) { t["parameters"] = -1; })},
      {task + "bytes is 18446744073709551615, expected a whole number of 0..281474976710656",
       in_task([](Json& t) { t["bytes"] = std::numeric_limits<std::uint64_t>::max(); })},
      {task + "metadata: number is 1, expected a string",
       in_task([](Json& t) { t["metadata"]["number"] = 1; })},
      {task + "heads: trained: temperature is 0.0, expected a number above 0",
       in_task([](Json& t) { t["heads"]["trained"]["temperature"] = 0.0; })},
      {task + "heads: trained: trained is 1, expected true or false",
       in_task([](Json& t) { t["heads"]["trained"]["trained"] = 1; })},
      {task + "heads: more is an object, expected none: no such head is there",
       in_task([](Json& t) { t["heads"]["more"] = t["heads"]["trained"]; })},
      {"R/" + weights_path +
           R"(: tensor "base_model.model.trained.weight" is of "trained", trained in full, )" +
           R"(expected a head: "closed_form")",
       in_task([](Json& t) { t["heads"].erase("trained"); })},
      {task + "modules: elsewhere is an object, expected none: no such module is there",
       in_task([](Json& t) { t["modules"]["elsewhere"] = Json::object(); })},
      {task + "modules: lift: alpha is 0, expected a finite number above 0", in_task([](Json& t) {
         t["modules"]["lift"] = {{"alpha", 0}, {"rank_stabilised", true}, {"confined", false}};
       })},
      {"R/adapters/000001-task-0/subspace.safetensors: cannot be read: No such file or directory",
       in_task([](Json& t) {
         t["modules"]["lift"] = {{"alpha", 1}, {"rank_stabilised", true}, {"confined", true}};
       })},
      {state + "the module of site 'lift' maps 17 to 10, expected 18 to 10", with_adapter([](A& a) {
         const LoraModule<float>& old = a.modules.at("lift");
         a.modules.at("lift") =
             LoraModule<float>(Matrix<float>(old.a().leftCols(17)), Matrix<float>(old.b()),
                               {.rank = old.rank(), .alpha = old.alpha()});
       })},
      {state + "the adapter has a module for site 'roof', which the backbone does not have",
       with_adapter([](A& a) {
         a.modules.emplace("roof", a.modules.at("lift"));
         a.modules.erase("lift");
       })},
      {state + "head 'trained' is 9 x 2 with 2 biases, expected 10 x 2 with 2",
       with_adapter([](A& a) {
         a.heads.at("trained").weights = a.heads.at("trained").weights.topRows(9).eval();
       })},
      {state + "the adapter has no head, expected 'trained' or 'closed_form'",
       with_adapter([](A& a) { a.heads.clear(); })},
      {state + "the adapter has a head 'extra', expected 'trained' or 'closed_form'",
       with_adapter([](A& a) { a.heads["extra"] = a.heads.at("trained"); })},
      {"R/" + weights_path +
           R"(: tensor "base_model.model.lift.lora_A.weight" has shape [2, 18], )" +
           "expected 1000000000 rows, the rank of that site in adapter_config.json",
       [](const EditedCheckpoint& c) {
         c.edit_file("adapters/000001-task-0/adapter_config.json",
                     [](Json& config) { config["r"] = 1000000000; });
       }},
      {state + "there is a span for site 'roof', which the backbone does not have",
       with_spans("roof", identity)},
      {state + "the span of site 'lift' has 17 rows, expected 18",
       with_spans("lift", identity.topRows(17))},
      {state + "span of 'lift' is off by 35, expected orthonormal columns",
       with_spans("lift", Matrix<float>::Ones(small_dim, 2))},
      {state + "span of 'lift' hold NaN or infinity at row 0, column 0, expected finite numbers",
       with_spans("lift", hostile_nan * identity)},
  });
}

TEST_CASE("sums of another scalar than the manifest says are refused", "[store][error]") {
  const HostileGround ground;
  ground.checkpoint().edit([](Json& m) { m["scalar"] = "f64"; });
  CHECK(message_of<FormatError>([&] { (void)load_points<float>(ground.root, {.narrow = true}); }) ==
        ground.root + "/" + router_path +
            ": tensor \"second_moment\" is of F32, expected F64 as in the manifest");
}

TEST_CASE("sums that cannot be factored are a numerical error", "[store][error]") {
  const HostileGround ground;
  in_router([](RouterTensors& t) { t.moment[1] = 1e6F; })(ground.checkpoint());
  CHECK_THROWS_AS(load_points<float>(ground.root), NumericalError);
}

TEST_CASE("links and pipes and folders in the place of files are refused and nothing waits",
          "[store][error]") {
  const HostileGround ground;
  std::vector<std::string> paths{"CURRENT", "manifest-000001.json"};
  const Json manifest = ground.checkpoint().manifest();
  for (const Json& file : manifest.at("files")) {
    paths.push_back(file.at("path").get<std::string>());
  }
  REQUIRE(paths.size() == 10);
  for (const std::string& path : paths) {
    const std::string full = ground.root + "/" + path;
    const std::string end = path == "CURRENT" ? "; generation 1 is whole: recover = true takes it"
                                              : "; no generation is whole";
    const std::string expected = ", expected a regular file that the checkpoint wrote" + end;
    CAPTURE(path);
    ground.reset();
    fs::rename(full, ground.root + "/real");
    fs::create_symlink(ground.root + "/real", full);
    CHECK(ground.refusal() ==
          (path == "manifest-000001.json" ? "M" : "R/" + path) + ": is a link" + expected);
    for (const char* kind : {"pipe", "folder"}) {
      fs::remove(full);
      if (std::string(kind) == "pipe") {
        REQUIRE(mkfifo(full.c_str(), 0600) == 0);
      } else {
        fs::create_directory(full);
      }
      CHECK(ground.refusal() == (path == "manifest-000001.json" ? "M" : "R/" + path) +
                                    ": is of another kind" + expected);
    }
  }
  for (const char* path : {"adapters", "adapters/000002-task-1"}) {
    const std::string full = ground.root + "/" + path;
    CAPTURE(path);
    ground.reset();
    fs::rename(full, ground.root + "/real");
    fs::create_directory_symlink(ground.root + "/real", full);
    CHECK(ground.refusal() ==
          "R/" + std::string(path) +
              ": is a link, expected a folder that the checkpoint wrote; no generation is whole");
  }
}

TEST_CASE("a save does not follow a link out of its folder", "[store][error]") {
  const TemporaryFolder folder;
  const std::string root = folder.file("state");
  PointLearner<float> learner = small_learner<float>();
  learn_small_tasks(learner, 0, 1);
  fs::create_directory(root);
  fs::create_directory(folder.file("outside"));
  overwrite(folder.file("outside/000001-mine"), "mine");
  fs::create_directory_symlink(folder.file("outside"), root + "/adapters");
  CHECK(message_of<FileError>([&] { save(learner, root); }) ==
        root + "/adapters: is a link, expected a folder: a load would refuse it");
  CHECK(all_files(folder.file("outside")) ==
        std::map<std::string, std::string>{{"000001-mine", "mine"}});
  fs::remove(root + "/adapters");
  fs::create_directory_symlink(root, folder.file("link"));  // the root may be one
  save(learner, folder.file("link"));
  CHECK((Learned<float>(load_points<float>(root)) == Learned<float>(learner)));
  CHECK((Learned<float>(load_points<float>(folder.file("link/"))) == Learned<float>(learner)));
}

TEST_CASE("numbers that ask for gigabytes ask in vain", "[store][error]") {
  const auto huge = [](const char* kind, std::uint64_t dim) {
    return in_manifest([kind = std::string(kind), dim](Json& m) {
      m["options"]["router"]["expansion"]["kind"] = kind;
      m["options"]["router"]["expansion"]["dim"] = dim;
    });
  };
  const std::string router = "R/" + router_path + ": ";
  const std::string moment = router + "tensor \"second_moment\" has shape [171], expected [";
  const std::string width = " by the options, expected 1..1073741824";
  const std::uint64_t most = std::uint64_t{1} << 30;
  const std::vector<HostileContent> cases{
      {moment + "36028797153181696]",
       in_manifest([](Json& m) { m["backbone"]["feature_dim"] = 268435456; })},
      {moment + "140737496743936]", huge("dense", std::uint64_t{1} << 24)},
      {moment + "576460752840294400]", huge("hadamard", most)},
      {router + "is to be of width 4611686018427387904" + width,
       huge("dense", std::uint64_t{1} << 62)},
      {router + "is to be of width 1073741825" + width, huge("dense", most + 1)},
      {router + "is to be of width 0" + width, huge("dense", 0)},
      {"R: lift: dim is 16777216, expected a width that the heads of " + weights_path + " fit in",
       in_manifest([](Json& m) { m["options"]["lift"]["dim"] = 16777216; })},
      {"R: lift: dim is 9223372036854775807, expected a width that the heads of " + weights_path +
           " fit in",
       in_manifest([](Json& m) {
         m["options"]["lift"]["dim"] = std::numeric_limits<std::int64_t>::max();
       })},
      {router + "the header has 4611686018427387904 bytes, expected at most 100000000 and at most "
                "92 in a file of 100",
       [](const EditedCheckpoint& c) {
         c.replace(router_path, little_endian(std::uint64_t{1} << 62, 8) + std::string(92, ' '));
       }},
      {router +
           "the tensors end at byte 4000000000000 of the data, expected 4, where the file ends",
       [](const EditedCheckpoint& c) {
         c.replace(router_path,
                   safetensors_bytes("{" +
                                         safetensors_entry("second_moment", "F32",
                                                           "[1000000000000]", 0, 4000000000000) +
                                         "}",
                                     "data"));
       }}};
  check_contents(cases);
  if (is_sanitized) return;  // its own memory does not fit into a limit
  const HostileGround ground;
  for (const HostileContent& hostile : cases) {
    CAPTURE(hostile.message);
    ground.reset();
    hostile.change(ground.checkpoint());
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {  // the limit is the child's alone; no test macros here
      std::ifstream statm("/proc/self/statm");
      rlim_t pages = 0;
      statm >> pages;
      const rlim_t most_bytes = pages * static_cast<rlim_t>(sysconf(_SC_PAGESIZE)) + (64U << 20U);
      const rlimit limit{most_bytes, most_bytes};
      setrlimit(RLIMIT_AS, &limit);
      try {
        (void)load_points<float>(ground.root);
      } catch (const FormatError&) {
        _exit(0);
      } catch (const std::bad_alloc&) {
        _exit(1);
      } catch (const std::exception&) {
        _exit(2);
      }
      _exit(3);
    }
    int status = -1;
    REQUIRE(waitpid(child, &status, 0) == child);
    REQUIRE(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
  }
}

TEST_CASE("a lifted layer that no task bears out is refused above a limit", "[store][error]") {
  const TemporaryFolder folder;
  const std::string root = folder.file("state");
  save(small_learner<float>(), root);
  constexpr std::size_t bytes = std::size_t{10} * small_dim * sizeof(float);
  CHECK(load_points<float>(root, {.unproven_lift_bytes = bytes}).tasks().empty());
  CHECK(message_of<FormatError>([&] {
          (void)load_points<float>(root, {.unproven_lift_bytes = bytes - 1});
        }) == root +
                  ": lift: dim is 10 on 18 features, and no task bears that out, expected at most "
                  "719 bytes: see unproven_lift_bytes");
  EditedCheckpoint(root).edit([](Json& m) { m["options"]["lift"]["dim"] = 16777216; });
  CHECK(message_of<FormatError>([&] { (void)load_points<float>(root); }) ==
        root +
            ": lift: dim is 16777216 on 18 features, and no task bears that out, expected at most "
            "268435456 bytes: see unproven_lift_bytes");
}

TEST_CASE("any name of a task comes back and stays within the folder", "[store]") {
  const TemporaryFolder folder;
  const std::string root = folder.file("state");
  const std::vector<std::string> names{"../../etc/passwd",
                                       "/",
                                       "CON",
                                       ".",
                                       "..",
                                       "\xF0\x9F\xA6\x8A \xE4\xBB\xBB\xE5\x8A\xA1",
                                       std::string(4000, 'x'),
                                       "two\nlines\r\t",
                                       std::string("nul\0inside", 10),
                                       "A B",
                                       "a-b",
                                       "\"quotes\" and \\",
                                       " ",
                                       "\x7F\x01"};
  PointLearner<float> learner = small_learner<float>();
  for (std::size_t t = 0; t < names.size(); ++t) {
    const PointTask<float> task = small_task<float>(static_cast<Index>(t));
    learner.learn_task(names[t], task.inputs, task.labels, {.metadata = {{names[t], names[t]}}});
  }
  save(learner, root);
  const PointLearner<float> loaded = load_points<float>(root);
  CHECK((Learned<float>(loaded) == Learned<float>(learner)));
  const auto tasks = loaded.tasks();
  REQUIRE(tasks.size() == names.size());
  for (std::size_t t = 0; t < names.size(); ++t) {
    CHECK(tasks[t].name == names[t]);
    CHECK(tasks[t].metadata.at(names[t]) == names[t]);
  }
  std::set<std::string> folders;
  for (const auto& entry : fs::directory_iterator(root + "/adapters")) {
    const std::string name = entry.path().filename().string();
    CHECK(detail::is_stored_path(name));
    CHECK(name.size() <= 47);
    CHECK(name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string::npos);
    folders.insert(name);
  }
  CHECK(folders.size() == names.size());
  CHECK(folders.contains("000001-etc-passwd"));
  CHECK(folders.contains("000003-con"));
  CHECK(folders.contains("000006-task"));
  CHECK(folders.contains("000010-a-b"));
  CHECK(folders.contains("000011-a-b"));
  CHECK(std::distance(fs::directory_iterator(folder.file("")), fs::directory_iterator()) == 1);
}

TEST_CASE("texts that are no UTF-8 are refused before anything is written", "[store][error]") {
  const TemporaryFolder folder;
  const std::string root = folder.file("state");
  PointLearner<float> learner = small_learner<float>();
  learn_small_tasks(learner, 0, 1);
  save(learner, root);
  const auto before = all_files(root);
  const PointTask<float> task = small_task<float>(1);
  const std::string bad = "caf\xE9";
  const auto check = [&](const std::string& name, const TaskOptions& options,
                         const std::string& message) {
    PointLearner<float> changed = learner;
    changed.learn_task("good", task.inputs, task.labels);
    const PointTask<float> last = small_task<float>(2);
    changed.learn_task(name, last.inputs, last.labels, options);
    CHECK(message_of<ArgumentError>([&] { save(changed, root); }) == message);
    CHECK(all_files(root) == before);
    CHECK(changed.tasks().size() == 3);
  };
  check(bad, {}, "the task name \"caf\xEF\xBF\xBD\" has byte 0xE9 at 3, expected UTF-8");
  check("third", {.metadata = {{"place", bad}}},
        "metadata of task \"third\" \"caf\xEF\xBF\xBD\" has byte 0xE9 at 3, expected UTF-8");
  check("third", {.metadata = {{bad, "x"}}},
        "a metadata key of task \"third\" \"caf\xEF\xBF\xBD\" has byte 0xE9 at 3, expected UTF-8");
}
