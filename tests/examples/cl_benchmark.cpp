// SPDX-License-Identifier: MIT
// The comparison of methods as its users run it: figures on tasks with a known answer, orders,
// wrong input.

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/file_bytes.hpp"
#include "support/program.hpp"

using namespace anyssr::test;
using nlohmann::json;

namespace {

const std::string benchmark_program = ANYSSR_CL_BENCHMARK;

/// Tasks that ask the same two questions and want other answers: the first word tells the task.
/// What is learned of one is wrong for the next.
class Toy {
 public:
  Toy() {
    for (const std::string task : {"cards", "post", "travel"}) {
      std::filesystem::create_directory(folder_.file(task));
      write_rows(task, "train", 12);
      write_rows(task, "test", 5);
    }
  }
  [[nodiscard]] std::string file(const std::string& name) const { return folder_.file(name); }
  std::string write(const std::string& name, const std::string& text) const {
    return folder_.write(name, text);
  }
  /// Of the program with these arguments on the folder.
  [[nodiscard]] ProgramResult run(const std::string& arguments) const {
    return run_program(benchmark_program, "--data " + folder_.file("") +
                                              " --dim 256 --threads 1 --seeds 1 " + arguments);
  }

 private:
  void write_rows(const std::string& task, const std::string& split, int count) const {
    std::string lines;
    for (int i = 0; i < count; ++i) {
      const std::string number = " number " + std::to_string(split == "test" ? 100 + i : i);
      for (const std::string way : {"up", "down"}) {
        lines +=
            json{{"text", task + " goes " + way + number}, {"label", task + " " + way}}.dump() +
            "\n";
      }
    }
    folder_.write(task + "/" + split + ".jsonl", lines);
  }

  TemporaryFolder folder_;
};

json figures_of(const Toy& toy, const std::string& arguments) {
  const TemporaryFolder folder;
  const std::string out = folder.file("out.json");
  const ProgramResult result = toy.run("--json " + out + " " + arguments);
  CAPTURE(result.output);
  REQUIRE(result.status == 0);
  return read_figures(out);
}

double mean_of(const json& method, const char* figure) { return method.at(figure).at("mean"); }

}  // namespace

TEST_CASE("methods get the known figures of toy tasks", "[examples]") {
  const Toy toy;
  const json figures = figures_of(toy, "");
  const json& methods = figures["methods"];
  for (const char* name :
       {"anyssr", "anyssr_balanced", "oracle", "joint", "replay_20", "replay_100", "nearest_mean",
        "mahalanobis", "knn_20", "published_rls"}) {
    CAPTURE(name);
    CHECK(mean_of(methods[name], "average_accuracy") == 1);
  }
  CHECK(mean_of(methods["majority"], "average_accuracy") == 0.5);
  CHECK(mean_of(methods["anyssr"], "routing_accuracy") == 1);
  CHECK(mean_of(methods["anyssr"], "forgetting") == 0);
  CHECK(methods["anyssr"]["routing_confusion"] == json({{10, 0, 0}, {0, 10, 0}, {0, 0, 10}}));
  CHECK(methods["seq_lora"]["routing_accuracy"].is_null());  // it asks for no task
  CHECK(mean_of(methods["seq_lora"], "learning_accuracy") == 1);
  CHECK(mean_of(methods["seq_lora"], "average_accuracy") < 0.9);
  CHECK(mean_of(methods["seq_lora"], "forgetting") > 0.1);
  CHECK(mean_of(methods["sgd_softmax"], "routing_accuracy") < 0.7);  // the last task takes all
  for (const char* name : {"ewc", "l2", "o_lora", "arrow", "published_rls_relu"}) {
    CAPTURE(name);
    CHECK(mean_of(methods[name], "learning_accuracy") >= 0.5);
    CHECK(mean_of(methods[name], "average_accuracy") >= 0);
  }
  for (const char* name : {"anyssr", "oracle", "seq_lora", "majority"}) {
    CAPTURE(name);
    CHECK(mean_of(methods[name], "retained_data_bytes") == 0);
  }
  CHECK(mean_of(methods["replay_100"], "retained_data_bytes") > 0);
  CHECK(mean_of(methods["joint"], "retained_data_bytes") ==
        mean_of(methods["replay_100"], "retained_data_bytes"));  // 12 rows per answer are all

  CHECK(mean_of(methods["anyssr"], "changed_decisions") == 0);
  CHECK(mean_of(methods["anyssr"], "forgetting_vs_joint") == 0);
  CHECK(mean_of(methods["anyssr"], "forward_transfer") == 0);
  CHECK(mean_of(methods["seq_lora"], "forgetting_vs_joint") > 0.1);
  CHECK(methods["seq_lora"]["forward_transfer"].is_object());
  CHECK(methods["joint"]["forward_transfer"].is_null());
  CHECK(methods["seq_lora"]["difference_from_anyssr"]["mean"] < 0);

  const json& matrix = methods["anyssr"]["accuracy_matrix"];
  REQUIRE(matrix.size() == 3);
  CHECK(matrix[0][0] == 1);
  CHECK(matrix[0][1].is_null());  // not learned yet
  CHECK(methods["joint"]["accuracy_matrix"][1][0].is_null());
  CHECK(methods["joint"]["forgetting"].is_null());
  CHECK(methods["anyssr"]["average_accuracy"]["half_width"].is_null());
  for (const json& method : methods) {
    CHECK(mean_of(method, "query_microseconds") > 0);
    CHECK(mean_of(method, "stored_bytes") > 0);
    CHECK(method["learn_seconds_by_task"].size() == 3);
  }
}

TEST_CASE("runs by several seeds give a mean and an interval", "[examples]") {
  const Toy toy;
  const json figures = figures_of(toy, "--methods seq_lora,anyssr --seeds 3 --quiet");
  const json& seconds = figures["methods"]["seq_lora"]["learn_seconds"];
  REQUIRE(seconds["values"].size() == 3);
  CHECK(seconds["half_width"] > 0);
  double sum = 0;
  for (const double value : seconds["values"]) sum += value / 3;
  CHECK(seconds["mean"].get<double>() == Approx(sum));
  const json& accuracy = figures["methods"]["anyssr"]["average_accuracy"];
  CHECK(accuracy["half_width"] == 0);
  CHECK(figures["methods"].size() == 2);
}

TEST_CASE("tasks are learned in the order asked for", "[examples]") {
  const Toy toy;
  const auto names = [&](const std::string& order) {
    std::vector<std::string> result;
    const json figures = figures_of(toy, "--methods majority --quiet " + order);
    for (const json& task : figures["tasks"]) result.push_back(task["name"]);
    return result;
  };
  CHECK(names("--order travel,cards") == std::vector<std::string>{"travel", "cards"});
  CHECK(names("--order random").size() == 3);
  toy.write("tasks.json", R"({"tasks": [{"name": "post"}, {"name": "cards"}],
                              "orders": {"back": ["cards", "post"]}})");
  CHECK(names("") == std::vector<std::string>{"post", "cards"});
  CHECK(names("--order back") == std::vector<std::string>{"cards", "post"});
}

TEST_CASE("a run goes on from its state", "[examples]") {
  const Toy toy;
  const TemporaryFolder folder;
  const std::string state = folder.file("state");
  const std::string options = "--seeds 2 --quiet --state " + state + " --methods ";
  const json first = figures_of(toy, options + "seq_lora");
  const json both = figures_of(toy, options + "seq_lora,majority");
  CHECK(both["methods"]["seq_lora"] == first["methods"]["seq_lora"]);  // its seconds too
  CHECK(both["methods"].size() == 2);
  const json again = figures_of(toy, options + "majority,seq_lora,anyssr");
  CHECK(again["methods"]["majority"]["learn_seconds"] ==
        both["methods"]["majority"]["learn_seconds"]);  // they are not measured again
  const ProgramResult other = toy.run(options + "seq_lora --ridge 0.5");
  CHECK(other.status == 2);
  CHECK(contains(other.output, "which holds results of other data or other settings"));
  std::filesystem::create_directory(folder.file("mine"));
  folder.write("mine/letter.txt", "dear");
  const ProgramResult mine = toy.run("--state " + folder.file("mine"));
  CHECK(mine.status == 2);
  CHECK(contains(mine.output, "a folder of something else, expected an empty or a new one"));
  for (const auto& file : std::filesystem::directory_iterator(state)) {
    if (contains(file.path().filename().string(), "seq_lora")) {
      folder.write("state/" + file.path().filename().string(), "{}");
    }
  }
  const ProgramResult broken = toy.run(options + "seq_lora");
  CHECK(broken.status == 2);
  CHECK(contains(broken.output, "is no result of cl_benchmark"));
}

TEST_CASE("random orders give other runs of the same tasks", "[examples]") {
  const Toy toy;
  const TemporaryFolder folder;
  const std::string tables = folder.file("tables");
  const json figures =
      figures_of(toy, "--orders 3 --seeds 2 --methods anyssr,majority --quiet --csv " + tables);
  REQUIRE(figures["runs"].size() == 6);
  std::set<json> orders;
  for (const json& run : figures["runs"]) orders.insert(run["order"]);
  CHECK(orders.size() > 1);
  CHECK(figures["methods"]["anyssr"]["average_accuracy"]["values"] == json({1, 1, 1, 1, 1, 1}));
  const std::string accuracy = file_bytes(tables + "/accuracy.csv");
  CHECK(accuracy.starts_with("method,run,after,task,accuracy\nanyssr,0,"));
  CHECK(std::ranges::count(accuracy, '\n') == 1 + 2 * 6 * 6);  // 3 + 2 + 1 entries a run
  const std::string rows = file_bytes(tables + "/figures.csv");
  CHECK(rows.starts_with("method,run,seed,average_accuracy,forgetting,"));
  CHECK(std::ranges::count(rows, '\n') == 1 + 2 * 6);
}

TEST_CASE("a task that comes in two visits is learned as in one", "[examples]") {
  const Toy toy;
  const json once = figures_of(toy, "--quiet");
  const json twice = figures_of(toy, "--quiet --two-visits cards");
  CHECK(twice["tasks"][0]["train"] == 12);  // of 24
  CHECK(twice["tasks"][1]["train"] == 24);
  for (const char* name : {"anyssr", "anyssr_balanced", "oracle", "joint", "nearest_mean",
                           "mahalanobis", "knn_20", "published_rls"}) {
    CAPTURE(name);
    CHECK(mean_of(twice["methods"][name], "average_accuracy") == 1);
    CHECK(twice["methods"][name]["learn_seconds_by_task"].size() == 3);
  }
  const json& anyssr = twice["methods"]["anyssr"];
  CHECK(mean_of(anyssr, "changed_decisions") == 0);
  CHECK(mean_of(anyssr, "forgetting_vs_joint") == 0);
  // the last one learned, of which half the rows came last, is right; what one module says of the
  // others is forgotten as before
  CHECK(mean_of(twice["methods"]["seq_lora"], "average_accuracy") < 0.9);
  CHECK(twice["methods"]["seq_lora"]["accuracy_matrix"][2][0] == 1);
  CHECK(once["methods"]["seq_lora"]["accuracy_matrix"][2][0] < 1);
  for (const char* name : {"joint", "replay_100", "knn_20"}) {
    CAPTURE(name);
    CHECK(mean_of(twice["methods"][name], "retained_data_bytes") ==
          mean_of(once["methods"][name], "retained_data_bytes"));
  }
}

TEST_CASE("what merging tasks gives is shown where it is asked for", "[examples]") {
  const Toy toy;
  const json none = figures_of(toy, "--quiet --methods anyssr");
  CHECK(none["merges"].empty());
  const json asked = figures_of(toy, "--quiet --methods anyssr --merge post,cards");
  REQUIRE(asked["merges"].size() == 1);
  const json& merge = asked["merges"][0];
  CHECK(merge["tasks"] == json({"post", "cards"}));
  CHECK(merge["suggested"] == false);
  CHECK(merge["misrouted"] == 0);
  CHECK(merge["accuracy_before"] == 1);
  CHECK(merge["accuracy_after"] == 1);
  CHECK(merge["average_after"] == 1);
}

TEST_CASE("settings are chosen on training rows that are set aside", "[examples]") {
  const Toy toy;
  const json figures = figures_of(toy, "--methods anyssr --quiet --measure val");
  for (const json& task : figures["tasks"]) {
    CHECK(task["train"] == 20);  // two of each twelve are measured on
    CHECK(task["test"] == 4);
  }
  CHECK(mean_of(figures["methods"]["anyssr"], "average_accuracy") == 1);
}

TEST_CASE("cl_benchmark refuses wrong input before it learns", "[examples]") {
  const Toy toy;
  const auto expect_refused = [&](const std::string& arguments, const std::string& message) {
    const ProgramResult result = toy.run(arguments);
    CAPTURE(arguments, result.output);
    CHECK(result.status == 2);
    CHECK(result.output.find(message) != std::string::npos);
  };
  expect_refused("--methods anyssr,magic", "--methods names \"magic\", expected some of anyssr");
  expect_refused("--order cards,trains", "--order names \"trains\", which is neither a task nor");
  expect_refused("--order cards,cards", "--order names \"cards\" twice");
  expect_refused("--seeds 0", "--seeds is 0, expected 1 to 1000");
  expect_refused("--methods anyssr,anyssr", "--methods names 'anyssr' twice");
  expect_refused("--orders -1", "--orders is -1, expected 0 to 1000");
  expect_refused("--tune ewc", "--tune is \"ewc\", expected NAME=VALUE with one of epochs, ewc");
  expect_refused("--tune magic=1", "--tune is \"magic=1\", expected NAME=VALUE");
  expect_refused("--tune knn=0", "expected for knn a number from 1 to 1000");
  expect_refused("--tune ewc=much", "expected for ewc a number from 0 to");
  expect_refused("--merge cards", "--merge names one task, expected two or more");
  expect_refused("--merge cards,trains", "--merge names \"trains\", which is none of the tasks");
  expect_refused("--merge cards,cards", "--merge names \"cards\" twice");
  expect_refused("--two-visits trains", "--two-visits is \"trains\", which is none of the tasks");
  expect_refused("--measure train", "--measure is 'train', expected test or val");
  expect_refused("--dim 0", "--dim is 0");
  expect_refused("--ridge -1", "--ridge is -1");
  expect_refused("--json " + toy.file("cards/train.jsonl"), "cards/train.jsonl");
  toy.write("post/test.jsonl",
            "{\"text\": \"a\", \"label\": \"b\"}\n{\"text\": \"\", \"label\": 1}\n[]\n");
  toy.write("travel/train.jsonl", "\n");
  expect_refused("", "post/test.jsonl:2: \"text\" is empty");
  expect_refused("", "post/test.jsonl:3: expected an object {\"text\", \"label\"}");
  expect_refused("", "travel/train.jsonl: holds no row");
  std::filesystem::remove(toy.file("cards/test.jsonl"));
  expect_refused("", "cards/test.jsonl: cannot be opened");
  const TemporaryFolder empty;
  const ProgramResult none = run_program(benchmark_program, "--data " + empty.file(""));
  CHECK(none.status == 2);
  CHECK(none.output.find("holds no folder TASK") != std::string::npos);
  const ProgramResult nothing = run_program(benchmark_program, "");
  CHECK(nothing.status == 2);
  CHECK(nothing.output.find("neither --data nor --clinc is given") != std::string::npos);
}

TEST_CASE("cl_benchmark learns tasks of the CL benchmark and of CLINC150", "[examples]") {
  const char* const extra = std::getenv("ANYSSR_EXTRA_DATA");
  if (extra == nullptr) {
    std::cout << "skipped: ANYSSR_EXTRA_DATA is not set\n";
    return;
  }
  const TemporaryFolder folder;
  const std::string out = folder.file("out.json");
  const std::string data = extra + std::string("/data/");
  const auto figures = [&](const std::string& arguments) {
    const ProgramResult result = run_program(
        benchmark_program,
        arguments + " --dim 1024 --seeds 1 --quiet --methods anyssr,oracle --json " + out);
    CAPTURE(result.output);
    REQUIRE(result.status == 0);
    return read_figures(out)["methods"];
  };
  const json texts = figures("--data " + data + "cl_benchmark --order CB,COPA,agnews");
  CHECK(mean_of(texts["anyssr"], "average_accuracy") >
        0.9 * mean_of(texts["oracle"], "average_accuracy"));
  CHECK(mean_of(texts["anyssr"], "forgetting") < 0.05);
  const json intents = figures("--clinc " + data + "clinc150 --order banking,travel");
  CHECK(mean_of(intents["anyssr"], "routing_accuracy") > 0.95);
  CHECK(mean_of(intents["oracle"], "average_accuracy") > 0.8);
}
