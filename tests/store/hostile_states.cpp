// SPDX-License-Identifier: MIT
// Hostile checkpoints of tasks in every state: all checks fit, the content does not.
#include <cstring>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "anyssr/store.hpp"
#include "store/hostile_ground.hpp"
#include "support/catch.hpp"
#include "support/checkpoint_folder.hpp"

using namespace anyssr;
using namespace anyssr::test;

namespace {

/// A checkpoint of a busy learner. Its tasks: 0 frozen, 1 archived, 2 waits to join task-2 and
/// task-3, 3 as learned.
HostileGround busy_ground() { return HostileGround(busy_learner<float>()); }

struct BusyCase {
  std::string message;
  std::function<void(Json&)> change;
};

/// Changes of the manifest that its reader refuses.
void check_busy_manifests(const std::vector<BusyCase>& cases) {
  const HostileGround ground = busy_ground();
  for (const BusyCase& hostile : cases) {
    CAPTURE(hostile.message);
    CHECK(ground.refusal([&](const EditedCheckpoint& c) { c.edit(hostile.change); }) ==
          "M: " + hostile.message + "; no generation is whole");
  }
}

/// Changes that show when the learner is built.
void check_busy_states(const std::vector<BusyCase>& cases) {
  const HostileGround ground = busy_ground();
  for (const BusyCase& hostile : cases) {
    CAPTURE(hostile.message);
    CHECK(ground.refusal([&](const EditedCheckpoint& c) { c.edit(hostile.change); }) ==
          hostile.message);
  }
}

const std::string busy_inspector = "inspector-000001.json";

/// The router file with one tensor changed, or without it, all others as they are.
void change_tensor(const EditedCheckpoint& checkpoint, const std::string& changed,
                   const std::function<void(std::vector<double>&)>& change) {
  const SafetensorsReader reader(checkpoint.path(hostile_router));
  SafetensorsWriter writer;
  for (const TensorInfo& tensor : reader.tensors()) {
    if (tensor.name == changed && !change) continue;
    std::vector<std::byte> bytes = reader.bytes(tensor.name);
    if (tensor.name == changed) {
      std::vector<double> numbers(bytes.size() / sizeof(double));
      std::memcpy(numbers.data(), bytes.data(), bytes.size());
      change(numbers);
      std::memcpy(bytes.data(), numbers.data(), bytes.size());
    }
    writer.add_bytes(tensor.name, tensor.dtype, tensor.shape, bytes);
  }
  checkpoint.replace(hostile_router, file_bytes_of(writer));
}

constexpr double busy_nan = std::numeric_limits<double>::quiet_NaN();

/// The bits of a whole number in the place of a double.
double bits_of(std::int64_t number) {
  double bits = 0;
  std::memcpy(&bits, &number, sizeof(bits));
  return bits;
}

}  // namespace

TEST_CASE("the busy checkpoint that hostile ones are made of loads", "[store]") {
  const HostileGround ground = busy_ground();
  CHECK(ground.refusal([](const EditedCheckpoint& c) {
    change_tensor(c, "parts.row_weight", [](std::vector<double>&) {});
    c.edit([](Json& m) { m["unknown"] = "key"; });
  }) == "nothing was thrown");
}

TEST_CASE("a manifest whose waiting tasks contradict themselves is refused", "[store][error]") {
  check_busy_manifests({
      {"tasks[0]: frozen is 1, expected true or false",
       [](Json& m) { m["tasks"][0]["frozen"] = 1; }},
      {R"(tasks[1]: status is "archived", expected "active" or "disabled")",
       [](Json& m) { m["tasks"][1]["status"] = "archived"; }},
      {"tasks[2]: parts is an array, expected two tasks that a merge joined",
       [](Json& m) { m["tasks"][2]["parts"].erase(1); }},
      {"tasks[2]: parts is an array, expected two tasks that a merge joined",
       [](Json& m) {
         m["tasks"][2]["parts"].push_back(m["tasks"][2]["parts"][1]);
         m["tasks"][2]["parts"][2]["name"] = "more";
       }},
      {"tasks[2]: parts is 2, expected an array", [](Json& m) { m["tasks"][2]["parts"] = 2; }},
      {"tasks[2]: parts[0]: is 7, expected an object",
       [](Json& m) { m["tasks"][2]["parts"][0] = 7; }},
      {R"(tasks[2]: parts[1]: name is "task-2", expected a name that no other task has)",
       [](Json& m) { m["tasks"][2]["parts"][1]["name"] = "task-2"; }},
      {R"(tasks[2]: parts[1]: name is "both", expected a name that no other task has)",
       [](Json& m) {
         m["tasks"][2]["parts"][0]["name"] = "both";
         m["tasks"][2]["parts"][1]["name"] = "both";
       }},
      {R"(tasks[2]: parts[0]: name is "task-0", expected a name that no other task has)",
       [](Json& m) { m["tasks"][2]["parts"][0]["name"] = "task-0"; }},
      {R"(tasks[3]: name is "task-3", expected a name that no other task has)",
       [](Json& m) { m["tasks"][3]["name"] = "task-3"; }},
      {R"(tasks[2]: parts[0]: name is "", expected a name that no other task has)",
       [](Json& m) { m["tasks"][2]["parts"][0]["name"] = ""; }},
      {R"(tasks[2]: parts[1]: has no "digest")",
       [](Json& m) { m["tasks"][2]["parts"][1].erase("digest"); }},
      {R"(tasks[2]: parts[1]: adapter is "../x", expected a relative path of plain names of a-z, )"
       "0-9, '.', '_' and '-'",
       [](Json& m) { m["tasks"][2]["parts"][1]["adapter"] = "../x"; }},
      {"tasks[2]: parts[0]: frozen is true, expected false: a frozen task joins no other",
       [](Json& m) { m["tasks"][2]["parts"][0]["frozen"] = true; }},
      {"tasks[2]: parts[0]: parts is an array, expected none: a waiting task joins no other",
       [](Json& m) { m["tasks"][2]["parts"][0]["parts"] = Json::array(); }},
      {R"(columns[6]: has no "part")", [](Json& m) { m["columns"][6].erase("part"); }},
      {"columns[6]: part is 2, expected a whole number of 0..1",
       [](Json& m) { m["columns"][6]["part"] = 2; }},
      {"columns[0]: part is 0, expected none: the task waits for no merge",
       [](Json& m) { m["columns"][0]["part"] = 0; }},
      {R"(columns[9]: task is "both", expected one task column a task)",
       [](Json& m) { m["columns"][9]["part"] = 0; }},
      {R"(files do not list "adapters/000099-gone/adapter_config.json", which the manifest names)",
       [](Json& m) { m["tasks"][2]["parts"][1]["adapter"] = "000099-gone"; }},
      {"removed_rows is -1, expected a whole number of 0..9007199254740992",
       [](Json& m) { m["removed_rows"] = -1; }},
      {R"(must_understand[1]: is "telepathy", which anyssr )" ANYSSR_VERSION_STRING
       " does not understand: take the version that wrote it, " ANYSSR_VERSION_STRING,
       [](Json& m) {
         m["must_understand"] = {"merge", "telepathy"};
       }},
      {"must_understand[0]: is 1, which anyssr " ANYSSR_VERSION_STRING
       " does not understand: take the version that wrote it, " ANYSSR_VERSION_STRING,
       [](Json& m) { m["must_understand"] = {1}; }},
  });
}

TEST_CASE("a policy or usage that nothing leads to is refused", "[store][error]") {
  const std::string most = "9007199254740992";
  check_busy_manifests({
      {"policy: is an array, expected an object", [](Json& m) { m["policy"] = Json::array(); }},
      {"policy: name is 1, expected a string", [](Json& m) { m["policy"]["name"] = 1; }},
      {"policy: min_confidence of the policy is 2, expected 0 to 1",
       [](Json& m) { m["policy"]["min_confidence"] = 2; }},
      {R"(policy: min_confidence is "high", expected a finite number)",
       [](Json& m) { m["policy"]["min_confidence"] = "high"; }},
      {"policy: min_margin of the policy is -1, expected a finite number, at least 0",
       [](Json& m) { m["policy"]["min_margin"] = -1; }},
      {"policy: max_novelty is null, expected a finite number",
       [](Json& m) { m["policy"]["max_novelty"] = nullptr; }},
      {"policy: coverage of the policy is 1, expected 0 (none) or above, below 1",
       [](Json& m) { m["policy"]["coverage"] = 1; }},
      {"policy: max_candidates of the policy is 0, expected at least 1",
       [](Json& m) { m["policy"]["max_candidates"] = 0; }},
      {"policy: max_candidates is 1.5, expected a whole number of 0..9223372036854775807",
       [](Json& m) { m["policy"]["max_candidates"] = 1.5; }},
      {"policy: blend is 1, expected true or false", [](Json& m) { m["policy"]["blend"] = 1; }},
      {"policy: blend_confidence of the policy is -0.5, expected 0 to 1",
       [](Json& m) { m["policy"]["blend_confidence"] = -0.5; }},
      {R"(policy: fallback is "oracle", expected one of base_model, default_task, caller)",
       [](Json& m) { m["policy"]["fallback"] = "oracle"; }},
      {"policy: default_task is null, expected a string",
       [](Json& m) { m["policy"]["default_task"] = nullptr; }},
      {"policy: tasks is an object, expected an array",
       [](Json& m) { m["policy"]["tasks"] = Json::object(); }},
      {R"(policy: tasks[0]: has no "task")",
       [](Json& m) { m["policy"]["tasks"][0].erase("task"); }},
      {"policy: min_confidence of task 'task-4' is 3, expected 0 to 1",
       [](Json& m) { m["policy"]["tasks"][0]["min_confidence"] = 3; }},
      {"policy: min_margin of task 'task-4' is -1, expected a finite number, at least 0",
       [](Json& m) { m["policy"]["tasks"][0]["min_margin"] = -1; }},
      {R"(policy: tasks[1]: task is "task-4", expected each task once)",
       [](Json& m) { m["policy"]["tasks"].push_back(m["policy"]["tasks"][0]); }},
      {"usage is an object, expected an array", [](Json& m) { m["usage"] = Json::object(); }},
      {"usage[0]: count is -1, expected a whole number of 0.." + most,
       [](Json& m) { m["usage"][0]["count"] = -1; }},
      {"usage[0]: answered is 9, expected a whole number of 0..1",
       [](Json& m) {
         m["usage"][0]["count"] = 1;
         m["usage"][0]["answered"] = 9;
         m["usage"][0]["confidence_sum"] = 1;
       }},
      {"usage[0]: confidence_sum is 1.5, expected 0 to 1 for each of 1",
       [](Json& m) {
         m["usage"][0]["count"] = 1;
         m["usage"][0]["answered"] = 0;
         m["usage"][0]["confidence_sum"] = 1.5;
       }},
      {"usage[0]: last_use is -1.0, expected 0 or more",
       [](Json& m) { m["usage"][0]["last_use"] = -1.0; }},
      {"usage[0]: last_use is null, expected a finite number",
       [](Json& m) { m["usage"][0]["last_use"] = nullptr; }},
      {R"(usage[0]: has no "task")", [](Json& m) { m["usage"][0].erase("task"); }},
      {R"(audit_head is "sha256:12", expected sha256: and 64 digits of 0-9a-f)",
       [](Json& m) { m["audit_head"] = "sha256:12"; }},
      {R"(inspector is "../x", expected a relative path of plain names of a-z, 0-9, '.', '_' )"
       "and '-'",
       [](Json& m) { m["inspector"] = "../x"; }},
      {R"(files do not list "inspector-000009.json", which the manifest names)",
       [](Json& m) { m["inspector"] = "inspector-000009.json"; }},
  });
}

TEST_CASE("states of tasks that do not fit each other are refused", "[store][error]") {
  const std::string state = "R: generation 1: ";
  check_busy_states({
      {state + "the default task of the policy is 'nobody', expected an active task",
       [](Json& m) { m["policy"]["default_task"] = "nobody"; }},
      {state + "the default task of the policy is 'task-1', expected an active task",
       [](Json& m) { m["policy"]["default_task"] = "task-1"; }},
  });
  const HostileGround ground = busy_ground();
  const std::string tensor = "R/" + hostile_router + ": tensor \"parts.";
  const auto refusal = [&](const std::string& name, std::size_t at, double value) {
    return ground.refusal([&](const EditedCheckpoint& c) {
      change_tensor(c, "parts." + name,
                    [&](std::vector<double>& numbers) { numbers.at(at) = value; });
    });
  };
  CHECK(refusal("rows", 0, bits_of(23)) ==
        state + "task 'both' is not the join of 'task-2' and 'task-3'");
  CHECK(refusal("rows", 1, bits_of(-1)) ==
        tensor + "rows\" holds -1 for task \"task-3\", expected 0..9007199254740992");
  CHECK(refusal("row_weight", 1, 0) ==
        tensor + "row_weight\" holds 0 for task \"task-3\", expected 1e-100..1e+100");
  CHECK(refusal("calibration.tasks_rows", 0, bits_of(-7)) ==
        tensor +
            "calibration.tasks_rows\" holds -7 for task \"task-2\", expected "
            "0..9007199254740992");
  CHECK(refusal("calibration.residuals", 99, busy_nan) ==
        tensor +
            "calibration.residuals\" holds nan for task \"task-3\", expected "
            "-1e+100..1e+100");
  for (const char* name : {"parts.rows", "parts.calibration.temperature_of_task"}) {
    CHECK(ground.refusal([&](const EditedCheckpoint& c) { change_tensor(c, name, nullptr); })
              .starts_with("R/" + hostile_router + ": has no tensor \"" + name + "\", it has "));
  }
}

TEST_CASE("options and states of an inspector that do not fit are refused", "[store][error]") {
  const std::string state = "R: generation 1: ";
  check_busy_states({
      {"M: options: inspector: is 3, expected an object",
       [](Json& m) { m["options"]["inspector"] = 3; }},
      {"M: options: inspector: drift: min_rows is -1, expected a whole number of "
       "0..9223372036854775807",
       [](Json& m) { m["options"]["inspector"]["drift"]["min_rows"] = -1; }},
      {state + "sketch is 0, expected 1 to 65536",
       [](Json& m) { m["options"]["inspector"]["sketch"] = 0; }},
      {state + "window_seconds is -1, expected a finite number above 0",
       [](Json& m) { m["options"]["inspector"]["window_seconds"] = -1; }},
      {state + "seed of the state is 17361641481138401520, expected 1",
       [](Json& m) { m["options"]["inspector"]["seed"] = "0x0000000000000001"; }},
      {R"(M: options: router: novelty: mode is "magic", expected one of none, score, diagonal, )"
       "leverage",
       [](Json& m) { m["options"]["router"]["novelty"]["mode"] = "magic"; }},
      {state + "max_novelty of the policy is 1.33333, and RouterOptions::novelty measures none",
       [](Json& m) { m["options"]["router"]["novelty"]["mode"] = "none"; }},
      {"M: options: router: novelty: leverage_weight is null, expected a finite number",
       [](Json& m) { m["options"]["router"]["novelty"]["leverage_weight"] = nullptr; }},
  });
  const HostileGround ground = busy_ground();
  const auto refusal = [&](const std::function<void(Json&)>& change) {
    return ground.refusal([&](const EditedCheckpoint& c) { c.edit_file(busy_inspector, change); });
  };
  const std::string file = "R/" + busy_inspector + ": ";
  CHECK(refusal([](Json&) {}) == "nothing was thrown");
  CHECK(refusal([](Json& i) { i["dim"] = 19; }) ==
        file + "dim is 19, expected 18 features as in the manifest");
  CHECK(refusal([](Json& i) { i["format"] = "notes"; }) ==
        file + R"(format is "notes", expected anyssr-inspector)");
  CHECK(refusal([](Json& i) { i["learned"][0]["rows"] = -1; }) ==
        file + "learned[0]: rows is -1, expected a whole number of 0..9223372036854775807");
  CHECK(refusal([](Json& i) {
          i["learned"][0]["mean"].erase(0);
        }).starts_with(file + "task 'task-0' has 4 means, expected 5"));
  CHECK(refusal([](Json& i) {
          i["groups"][0]["values"][0]["right"] = 100;
        }).starts_with(file + "group 'eu' of column 'region' has 100 right of 2 answers"));
}

TEST_CASE("what an adapter of a waiting task cannot be is refused", "[store][error]") {
  const HostileGround ground = busy_ground();
  const std::string task = "adapters/000004-task-2/task.json";
  CHECK(ground
            .refusal([&](const EditedCheckpoint& c) {
              c.edit([](Json& m) { m["tasks"][2]["parts"][0]["digest"] = "0xfedcba9876543210"; });
            })
            .starts_with("R/" + task + ": digest is 0x"));
  const std::string folder = "adapters/000004-task-2/";
  const auto with_roof = [&](const EditedCheckpoint& c) {
    Adapter<float> adapter = detail::read_adapter_folder<float>(c.path(folder));
    adapter.modules.emplace("roof", adapter.modules.at("lift"));
    adapter.modules.erase("lift");
    write_peft_adapter(c.path(folder), adapter);
    for (const char* name : {"adapter_config.json", "adapter_model.safetensors"}) {
      c.replace(folder + name, file_bytes(c.path(folder + name).string()));
    }
  };
  const std::string roof =
      "the adapter has a module for site 'roof', which the backbone does not have";
  CHECK(ground.refusal(with_roof) == "R: generation 1: " + roof);
  const PointLearner<float> lean = load_points<float>(ground.root, {.adapter_budget = 1});
  CHECK(message_of<FormatError>([&] { (void)lean.merged().at("both")[0]->get(); }) ==
        ground.root + "/adapters/000004-task-2: " + roof);
}

TEST_CASE("a policy that no file can hold is not saved", "[store][error]") {
  const TemporaryFolder folder;
  const std::string root = folder.file("state");
  PointLearner<float> learner = small_learner<float>();
  learn_small_tasks(learner, 0, 1);
  save(learner, root);
  const auto before = all_files(root);
  const auto refusal = [&](const RoutingPolicy& policy) {
    learner.set_policy(policy);
    const std::string message = message_of<ArgumentError>([&] { save(learner, root); });
    CHECK(all_files(root) == before);
    return message;
  };
  const std::string bad = "caf\xE9";
  const std::string text = " \"caf\xEF\xBF\xBD\" has byte 0xE9 at 3, expected UTF-8";
  CHECK(refusal({.name = bad}) == "the name of the policy" + text);
  CHECK(refusal({.default_task = bad}) == "default_task of the policy" + text);
  CHECK(message_of<ArgumentError>([&] {
          learner.set_policy({.max_novelty = -std::numeric_limits<double>::infinity()});
        }) == "max_novelty of the policy is -inf, expected a number, or infinity for none");
  learner.set_policy({.max_novelty = -std::numeric_limits<double>::max()});
  save(learner, root);
  CHECK((Learned<float>(load_points<float>(root)) == Learned<float>(learner)));
}

TEST_CASE("a name that a waiting task holds is never saved twice", "[store][error]") {
  const TemporaryFolder folder;
  const std::string root = folder.file("state");
  PointLearner<float> learner = small_learner<float>();
  learn_small_tasks(learner, 0, 3);
  learner.merge_tasks("task-0", "task-1", "both");
  save(learner, root);
  const auto before = all_files(root);
  const Learned<float> waiting(learner);
  const PointTask<float> again = small_task<float>(0);
  CHECK(message_of<TaskError>([&] { learner.learn_task("task-0", again.inputs, again.labels); }) ==
        "task 'task-0' waits for its merge to be committed or undone, expected another name");
  CHECK(all_files(root) == before);
  CHECK((Learned<float>(load_points<float>(root)) == waiting));
}
