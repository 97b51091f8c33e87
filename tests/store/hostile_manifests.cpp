// SPDX-License-Identifier: MIT
// Manifests that somebody made to do harm: all checks fit, the content does not.
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "anyssr/store.hpp"
#include "store/hostile_ground.hpp"
#include "support/catch.hpp"
#include "support/checkpoint_folder.hpp"

using namespace anyssr;
using namespace anyssr::test;

namespace {

const std::string this_version = ANYSSR_VERSION_STRING;

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
