// SPDX-License-Identifier: MIT
#include "anyssr/store/inspector_json.hpp"

#include <functional>
#include <string>
#include <vector>

#include "support/catch.hpp"

namespace {

using namespace anyssr;
using anyssr::test::contains;
using anyssr::test::message_of;

const InspectorOptions saved_inspector_options{
    .sketch = 5, .seed = 0xFEDCBA9876543210U, .window_seconds = 0.1};

/// Everything that a state can hold, names that need escapes among it.
DataInspector saved_inspector() {
  DataInspector inspector(40, saved_inspector_options);
  const std::vector<Index> labels{0, 7, 7};
  const std::vector<std::string> tasks{"a", "", "say \"hi\"\n"};
  inspector.observe_learned("a", random_normal<float>(3, 40, 1), labels);
  inspector.observe_learned("say \"hi\"\n", random_normal<float>(3, 40, 2));
  inspector.observe_queries(random_normal<float>(3, 40, 3), tasks, 0.35);
  inspector.observe_queries(random_normal<float>(3, 40, 4), tasks, 12.3);
  const std::vector<std::uint8_t> correct{1, 0, 1};
  inspector.observe_outcomes({{"region", {"eu", "\u00fc", "eu"}}}, correct);
  return inspector;
}

void check_same_moments(const FeatureMoments& a, const FeatureMoments& b) {
  CHECK(a.rows == b.rows);
  CHECK(a.mean == b.mean);
  CHECK(a.m2 == b.m2);
}

/// The refusal of a saved state after a change.
std::string state_refusal(const std::function<void(Json&)>& change) {
  Json json = inspector_state_json(saved_inspector().state());
  change(json);
  const Json read = parse_json(json.dump(), "text");
  return message_of<FormatError>([&] { (void)parse_inspector_state(read, "seen.json"); });
}

}  // namespace

TEST_CASE("an inspector's state comes back from its JSON bit for bit", "[store]") {
  const InspectorState state = saved_inspector().state();
  const std::string text = inspector_state_json(state).dump(1);
  const InspectorState read = parse_inspector_state(parse_json(text, "text"), "text");
  CHECK(read.dim == 40);
  CHECK(read.sketch == 5);
  CHECK(read.seed == state.seed);
  CHECK(read.window_seconds == 0.1);
  CHECK(read.groups == state.groups);
  REQUIRE(read.learned.size() == 2);
  for (const auto& [task, sums] : state.learned) {
    check_same_moments(read.learned.at(task).features, sums.features);
    CHECK(read.learned.at(task).labels == sums.labels);
  }
  REQUIRE(read.windows.size() == 2);
  for (std::size_t i = 0; i < 2; ++i) {
    check_same_moments(read.windows[i].features, state.windows[i].features);
    CHECK(read.windows[i].number == state.windows[i].number);
    CHECK(read.windows[i].tasks == state.windows[i].tasks);
  }
  CHECK(inspector_state_json(read).dump() == inspector_state_json(state).dump());
  const DataInspector again(read, saved_inspector_options);
  CHECK(to_text(again.report()) == to_text(saved_inspector().report()));
}

TEST_CASE("an inspector that saw nothing comes back from its JSON", "[store]") {
  const Json json = inspector_state_json(DataInspector(3).state());
  const InspectorState read = parse_inspector_state(json, "text");
  CHECK(read.dim == 3);
  CHECK(read.learned.empty());
  CHECK(read.windows.empty());
  CHECK(read.groups.empty());
}

TEST_CASE("a state of another format is refused", "[store][error]") {
  CHECK(message_of<FormatError>([] { (void)parse_inspector_state(Json::array(), "seen.json"); }) ==
        "seen.json: is an array, expected an object");
  CHECK(state_refusal([](Json& j) { j["format"] = "other"; }) ==
        "seen.json: format is \"other\", expected anyssr-inspector");
  CHECK(state_refusal([](Json& j) { j["version"] = 2; }) == "seen.json: version is 2, expected 1");
  CHECK(state_refusal([](Json& j) { j.erase("windows"); }) == "seen.json: has no \"windows\"");
  CHECK(state_refusal([](Json& j) { j["seed"] = 3; }) == "seen.json: seed is 3, expected a string");
  CHECK(state_refusal([](Json& j) { j["unknown"] = 3; }) == "nothing was thrown");
}

TEST_CASE("numbers of a state that cannot be are refused", "[store][error]") {
  CHECK(state_refusal([](Json& j) { j["dim"] = 0; }) == "seen.json: dim is 0, expected at least 1");
  CHECK(state_refusal([](Json& j) { j["sketch"] = 1000000; }) ==
        "seen.json: sketch is 1000000, expected 1 to 65536");
  CHECK(state_refusal([](Json& j) { j["window_seconds"] = 0; }) ==
        "seen.json: window_seconds is 0, expected a finite number above 0");
  CHECK(state_refusal([](Json& j) { j["learned"][0]["mean"][3] = "x"; }) ==
        "seen.json: learned[0]: mean[3]: is \"x\", expected a finite number");
  CHECK(state_refusal([](Json& j) { j["learned"][0]["mean"] = Json::array(); }) ==
        "seen.json: task 'a' has 0 means, expected 6, one a coordinate");
  CHECK(contains(state_refusal([](Json& j) { j["learned"][0]["m2"][1] = 1e300; }),
                 "seen.json: task 'a' holds 1e+300 among squared deviations, expected 0.."));
  CHECK(contains(state_refusal([](Json& j) { j["learned"][0]["rows"] = -1; }),
                 "seen.json: learned[0]: rows is -1, expected a whole number of 0.."));
  CHECK(contains(state_refusal([](Json& j) { j["learned"][0]["labels"][0]["rows"] = 9; }),
                 "seen.json: task 'a' counts 9 rows for '0', expected 1.."));
  CHECK(contains(state_refusal([](Json& j) { j["windows"][0]["number"] = 500; }),
                 "seen.json: window 123 stands after window 500, expected rising numbers"));
  CHECK(contains(state_refusal([](Json& j) { j["windows"][1]["tasks"].erase(0); }),
                 "seen.json: window 123 counts 2 rows, expected 3"));
  CHECK(contains(state_refusal([](Json& j) { j["groups"][0]["values"][0]["right"] = 3; }),
                 "seen.json: group 'eu' of column 'region' has 3 right of 2 answers"));
}

TEST_CASE("what stands twice in a state is refused", "[store][error]") {
  const auto twice = [](Json& list) { list.push_back(list[0]); };
  CHECK(state_refusal([&](Json& j) { twice(j["learned"]); }) ==
        "seen.json: learned[2]: stands there twice, expected once");
  CHECK(state_refusal([&](Json& j) { twice(j["learned"][0]["labels"]); }) ==
        "seen.json: learned[0]: labels[2]: stands there twice, expected once");
  CHECK(state_refusal([&](Json& j) { twice(j["windows"][1]["tasks"]); }) ==
        "seen.json: windows[1]: tasks[3]: stands there twice, expected once");
  CHECK(state_refusal([&](Json& j) { twice(j["groups"]); }) ==
        "seen.json: groups[1]: stands there twice, expected once");
  CHECK(state_refusal([&](Json& j) { twice(j["groups"][0]["values"]); }) ==
        "seen.json: groups[0]: values[2]: stands there twice, expected once");
  CHECK(contains(state_refusal([&](Json& j) { twice(j["windows"]); }), "expected rising numbers"));
}

TEST_CASE("names that are not UTF-8 are not written", "[store][error]") {
  DataInspector inspector(4);
  inspector.observe_learned("a\xff", random_normal<float>(30, 4, 1), std::vector<Index>(30, 0));
  CHECK(message_of<ArgumentError>([&] { (void)inspector_state_json(inspector.state()); }) ==
        "a task name \"a\uFFFD\" is not UTF-8");
  CHECK_THROWS_AS(inspector_report_json(inspector.report()), ArgumentError);
}

TEST_CASE("a report in JSON says what the report says", "[store]") {
  DataInspector inspector(4, {.min_group_rows = 2});
  inspector.observe_learned("a", random_normal<float>(50, 4, 1), std::vector<Index>(50, 2));
  inspector.observe_queries(random_normal<float>(40, 4, 2), std::vector<std::string>(40, "a"), 10);
  const std::vector<std::uint8_t> correct{1, 0, 1};
  inspector.observe_outcomes({{"region", {"eu", "us", "eu"}}, {"one", {"x", "y", "z"}}}, correct);
  const InspectorReport report = inspector.report();
  const Json json = inspector_report_json(report);
  CHECK(json.at("learned_rows") == 50);
  CHECK(json.at("query_rows") == 40);
  CHECK(json.at("tasks")[0].at("task") == "a");
  CHECK(json.at("tasks")[0].at("labels")[0].at("label") == 2);
  CHECK(json.at("tasks")[0].at("features").at("spread") == report.tasks[0].features.spread);
  CHECK(json.at("windows")[0].at("tasks")[0].at("rows") == 40);
  CHECK(json.at("windows")[0].at("end") == 3600);
  const Json& drift = json.at("learned_to_now");
  CHECK(drift.at("tested") == true);
  CHECK(drift.at("alarm") == false);
  CHECK(drift.at("p") == report.learned_to_now.p);
  CHECK(drift.at("features").at("coordinate") == report.learned_coordinate);
  CHECK(json.at("earlier_to_now").at("tested") == false);
  CHECK(json.at("warnings")[0].at("kind") == "label_share");
  CHECK(json.at("warnings")[0].at("text") == report.warnings[0].text);
  CHECK(json.at("groups")[0].at("best").is_null());
  CHECK(json.at("groups")[0].at("left_out").size() == 3);
  CHECK(json.at("groups")[1].at("best") == "eu");
  CHECK_FALSE(contains(json.at("tasks").dump(), "null"));
}
