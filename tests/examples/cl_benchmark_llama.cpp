// SPDX-License-Identifier: MIT
// The comparison of methods on a language model: a random one of a few numbers on tasks with a
// known answer, and the trained one where the environment names it.

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "support/catch.hpp"
#include "support/file_bytes.hpp"
#include "support/llama_folder.hpp"
#include "support/program.hpp"
#include "support/token_items.hpp"

using namespace anyssr::test;
using nlohmann::json;

namespace {

/// A random model of two layers and eleven tokens, and two tasks of token ids: prompts and answers
/// of one are of other tokens than those of the other.
class BenchmarkedLlama {
 public:
  BenchmarkedLlama() {
    const anyssr::LlamaConfig config = small_llama_config();
    std::filesystem::create_directory(file("model"));
    write_llama_folder(file("model"), config, anyssr::random_llama_weights<float>(config, 7));
    for (const auto& [name, token] : {std::pair("low", 3), {"high", 7}}) {
      folder_.write(std::string(name) + ".jsonl", token_items(token, 130));
      folder_.write(std::string(name) + ".test.jsonl", token_items(token, 9));
    }
  }
  [[nodiscard]] std::string file(const std::string& name) const { return folder_.file(name); }
  [[nodiscard]] std::string task(const std::string& name) const {
    return " --task " + name + "=" + file(name + ".jsonl") + "," + file(name + ".test.jsonl") + " ";
  }
  /// Of the program on the model and both tasks.
  [[nodiscard]] ProgramResult run(const std::string& arguments) const {
    return run_alone(
        "--llama " + file("model") + task("low") + task("high") +
        "--llama-k 1 --llama-rank 4 --llama-epochs 40 --llama-rate 0.05 --llama-batch 16 "
        "--threads 1 --seeds 1 " +
        arguments);
  }
  [[nodiscard]] static ProgramResult run_alone(const std::string& arguments) {
    return run_program(ANYSSR_CL_BENCHMARK, arguments);
  }
  [[nodiscard]] json figures(const std::string& arguments) const {
    const ProgramResult result = run("--json " + file("out.json") + " " + arguments);
    CAPTURE(result.output);
    REQUIRE(result.status == 0);
    return read_figures(file("out.json"));
  }
  /// The message of a run that is refused.
  [[nodiscard]] static std::string refused(const ProgramResult& result) {
    CAPTURE(result.output);
    CHECK(result.status == 2);
    return result.output;
  }

 private:
  TemporaryFolder folder_;
};

double mean_figure(const json& figures, const char* method, const char* figure) {
  return figures.at("methods").at(method).at(figure).at("mean");
}

}  // namespace

TEST_CASE("one adapter forgets a task of a language model and adapters per task do not",
          "[examples]") {
  const BenchmarkedLlama llama;
  const json figures =
      llama.figures("--report " + llama.file("page.html") + " --csv " + llama.file("tables"));
  const json& methods = figures["methods"];
  CHECK(methods.size() == 6);
  CHECK(contains(figures["data"].get<std::string>(), "tasks low, high"));
  CHECK(contains(file_bytes(llama.file("page.html")), "low"));
  for (const char* name : {"anyssr", "oracle", "joint", "replay_100"}) {
    CAPTURE(name);
    CHECK(mean_figure(figures, name, "average_accuracy") > 0.7);
  }
  for (const char* name : {"anyssr", "oracle"}) {
    CAPTURE(name);
    CHECK(mean_figure(figures, name, "routing_accuracy") == 1);
    CHECK(methods[name]["routing_confusion"] == json({{9, 0}, {0, 9}}));
    CHECK(mean_figure(figures, name, "forgetting") == 0);
    CHECK(mean_figure(figures, name, "retained_data_bytes") == 0);
    CHECK(methods[name]["accuracy_matrix"][0][1].is_null());  // not learned yet
  }
  CHECK(methods["anyssr"]["accuracy_matrix"] == methods["oracle"]["accuracy_matrix"]);
  // one adapter answers as the last task wants it, and before the first as the model does
  const json& matrix = methods["seq_lora"]["accuracy_matrix"];
  CHECK(matrix[0][0] > 0.7);
  CHECK(matrix[0][1] == 0);
  CHECK(matrix[1][0] == 0);
  CHECK(matrix[1][1] > 0.7);
  CHECK(mean_figure(figures, "seq_lora", "forgetting") == matrix[0][0]);
  CHECK(mean_figure(figures, "seq_lora", "forward_transfer") == 0);
  CHECK(methods["seq_lora"]["routing_accuracy"].is_null());
  CHECK(mean_figure(figures, "seq_lora", "forgetting_vs_joint") ==
        Approx(mean_figure(figures, "joint", "average_accuracy") -
               mean_figure(figures, "seq_lora", "average_accuracy")));
  CHECK(methods["joint"]["accuracy_matrix"][0][0].is_null());
  CHECK(methods["joint"]["forgetting"].is_null());
  for (const json& method : methods) {
    CHECK(method["learn_seconds_by_task"].size() == 2);
    CHECK(method["learn_seconds"]["mean"] > 0);
    CHECK(method["query_microseconds"]["mean"] > 0);
  }
}

TEST_CASE("methods on a language model say what they store and which data they keep",
          "[examples]") {
  const BenchmarkedLlama llama;
  const json figures = llama.figures(
      "--quiet --llama-epochs 1 --methods "
      "oracle,anyssr,joint,seq_lora,replay_20,replay_100");
  const json& methods = figures["methods"];
  const auto stored = [&](const char* method) { return methods[method]["stored_bytes_by_task"]; };
  CHECK(stored("oracle")[1] == 2 * stored("oracle")[0].get<std::size_t>());
  CHECK(stored("oracle")[0] == stored("seq_lora")[0]);  // adapters of one shape
  CHECK(stored("seq_lora")[0] == stored("seq_lora")[1]);
  CHECK(stored("anyssr")[1] > stored("oracle")[1]);
  // what is learned is shared, in whatever order the methods come
  CHECK(methods["anyssr"]["learn_seconds_by_task"] == methods["oracle"]["learn_seconds_by_task"]);
  CHECK(methods["anyssr"]["accuracy_matrix"] == methods["oracle"]["accuracy_matrix"]);

  // prompts of four to six ids, answers of one, 4 bytes each
  const auto kept = [&](const char* method) {
    return mean_figure(figures, method, "retained_data_bytes");
  };
  CHECK(kept("seq_lora") == 0);
  CHECK(kept("joint") == 2 * (43 * (4 + 5 + 6 + 3) + 4 + 1) * 4);
  CHECK(kept("replay_20") >= 2 * 20 * (4 + 1) * 4);
  CHECK(kept("replay_20") <= 2 * 20 * (6 + 1) * 4);
  CHECK(kept("replay_100") >= 2 * 100 * (4 + 1) * 4);
  CHECK(kept("replay_100") <= 2 * 100 * (6 + 1) * 4);
}

TEST_CASE("methods on a language model run by every seed in every order", "[examples]") {
  const BenchmarkedLlama llama;
  const json figures = llama.figures(
      "--quiet --seeds 2 --orders 2 --seed 3 --llama-epochs 2 --methods anyssr,seq_lora");
  REQUIRE(figures["runs"].size() == 4);
  CHECK(figures["runs"][0]["seed"] == 3);
  CHECK(figures["runs"][1]["seed"] == 4);
  CHECK(figures["runs"][0]["order"] == figures["runs"][1]["order"]);
  const json& values = figures["methods"]["anyssr"]["average_accuracy"]["values"];
  CHECK(values.size() == 4);
  CHECK(mean_figure(figures, "anyssr", "routing_accuracy") == 1);
}

TEST_CASE("a run on a language model goes on from its state", "[examples]") {
  const BenchmarkedLlama llama;
  const std::string options =
      "--quiet --llama-epochs 1 --state " + llama.file("state") + " --methods ";
  const json first = llama.figures(options + "seq_lora");
  const json both = llama.figures(options + "seq_lora,joint");
  CHECK(both["methods"]["seq_lora"]["learn_seconds_by_task"] ==
        first["methods"]["seq_lora"]["learn_seconds_by_task"]);  // not measured again
  CHECK(both["methods"].size() == 2);
  CHECK_FALSE(both.contains("dim"));  // of hashed words
  CHECK(contains(BenchmarkedLlama::refused(llama.run(options + "seq_lora --llama-rank 3")),
                 "which holds results of other data or other settings"));
}

TEST_CASE("cl_benchmark says what is wrong with --llama", "[examples][error]") {
  const BenchmarkedLlama llama;
  const auto refused = [&](const std::string& arguments) {
    return BenchmarkedLlama::refused(llama.run(arguments));
  };
  const auto refused_alone = [](const std::string& arguments) {
    return BenchmarkedLlama::refused(BenchmarkedLlama::run_alone(arguments));
  };
  const std::string model = "--llama " + llama.file("model");
  CHECK(contains(refused("--methods anyssr,ewc"),
                 "--methods names \"ewc\", which --llama does not run, expected some of anyssr, "
                 "oracle, joint, seq_lora, replay_20, replay_100"));
  CHECK(contains(refused_alone(model), "--llama requires --task"));
  CHECK(contains(refused_alone("--synthetic 2" + llama.task("low")), "--task requires --llama"));
  CHECK(contains(refused_alone("--synthetic 2 --llama-rank 3"), "--llama-rank requires --llama"));
  for (const char* other : {"--synthetic", "--data", "--clinc", "--dim", "--rows", "--merge"}) {
    CHECK(contains(refused(std::string(other) + " 2"), std::string(other) + " excludes --llama"));
  }
  CHECK(contains(refused("--llama-k 2"), "--llama-k is 2, expected 1..1"));
  CHECK(contains(refused("--llama-epochs 0"), "--llama-epochs is 0, expected 1 to 10000"));
  CHECK(contains(refused("--llama-rate 0"), "--llama-rate is 0"));
  CHECK(contains(refused("--llama-batch 0"), "--llama-batch is 0"));
  CHECK(contains(refused("--llama-limit-train -1"), "--llama-limit-train is -1"));
  CHECK(contains(refused("--llama-schedule steep"), "--llama-schedule is 'steep'"));
  CHECK(contains(refused("--llama-subspace complement"), "expected own or none"));
  CHECK(contains(refused("--llama-sites q"), "site 'q' is unknown"));
  CHECK(contains(refused(llama.task("low")), "--task names 'low' twice"));
  CHECK(contains(refused("--task other"), "--task is 'other', expected NAME=train.jsonl"));
  CHECK(contains(refused("--json " + llama.file("low.jsonl")), "the same as --task"));
  CHECK(contains(refused("--json " + llama.file("model/out.json")), "inside --llama"));
  CHECK(contains(refused_alone("--llama /nowhere/model" + llama.task("low")), "/nowhere/model"));
}

TEST_CASE("a trained language model keeps its tasks apart by adapters and loses them with one",
          "[examples][golden]") {
  const char* const extra = std::getenv("ANYSSR_EXTRA_DATA");
  if (extra == nullptr) {
    std::cout << "skipped: ANYSSR_EXTRA_DATA is not set\n";
    return;
  }
  const std::string model = std::string(extra) + "/models/tiny-llama";
  const TemporaryFolder folder;
  std::string arguments = "--llama '" + model + "' --methods anyssr,seq_lora --quiet " +
                          "--llama-limit-train 200 --llama-limit-test 50 --llama-epochs 10 " +
                          "--llama-batch 16 --llama-schedule cosine --seeds 1 ";
  for (const std::string task : {"banking", "domain"}) {
    const std::string data = model + "/data/" + task;
    arguments += "--task '" + task + "=" + data + ".train.jsonl," + data + ".test.jsonl' ";
  }
  const ProgramResult result =
      BenchmarkedLlama::run_alone(arguments + "--json " + folder.file("out.json"));
  if (contains(result.output, "built without SentencePiece")) {
    std::cout << "skipped: built without SentencePiece\n";
    return;
  }
  CAPTURE(result.output);
  REQUIRE(result.status == 0);
  const json figures = read_figures(folder.file("out.json"));
  CHECK(mean_figure(figures, "anyssr", "routing_accuracy") >= 0.98);
  CHECK(mean_figure(figures, "anyssr", "forgetting") <= 0.02);
  CHECK(mean_figure(figures, "anyssr", "average_accuracy") >
        mean_figure(figures, "seq_lora", "average_accuracy"));
  CHECK(mean_figure(figures, "seq_lora", "forgetting") >= 0.1);
}
