// SPDX-License-Identifier: MIT
// The operator's program as its users run it: every figure, the page, the log, wrong input.

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/file_bytes.hpp"
#include "support/program.hpp"

using namespace anyssr::test;
using nlohmann::json;

namespace {

const std::string operations_program = ANYSSR_OPERATIONS;

void expect_shares(const json& figures) {
  for (const char* key :
       {"ece", "novelty_auroc", "novelty_fpr95", "accuracy_before", "accuracy_after",
        "pair_accuracy_before", "pair_accuracy_after", "others_accuracy_before",
        "others_accuracy_after", "routing_accuracy", "merge_accuracy_after"}) {
    CAPTURE(key);
    REQUIRE(figures.at(key).is_number());
    CHECK(figures[key] >= 0);
    CHECK(figures[key] <= 1);
  }
  for (const char* promise : {"90", "95", "99"}) {
    CAPTURE(promise);
    CHECK(figures["coverage"].at(promise) >= figures["coverage_raw"].at(promise));
    CHECK(figures["set_size"].at(promise) >= 1);
  }
  for (const char* share : {"100", "95", "90", "80"}) {
    CAPTURE(share);
    CHECK(figures["risk_at"].at(share) <= figures["risk_at"]["100"]);
  }
}

}  // namespace

TEST_CASE("operations runs the bundled questions and reports every figure", "[examples]") {
  const TemporaryFolder folder;
  const std::string out = folder.file("out.json");
  const std::string page = folder.file("page.html");
  const std::string log = folder.file("log");
  const std::string arguments =
      "--dim 512 --threads 1 --json " + out + " --report " + page + " --log " + log;
  const ProgramResult result = run_program(operations_program, arguments);
  CAPTURE(result.output);
  REQUIRE(result.status == 0);
  const json figures = read_figures(out);
  expect_shares(figures);
  CHECK(figures["ece_after_each_task"].size() == figures["tasks"].size());
  CHECK(figures["bytes_after"].get<double>() <= figures["bytes_before"].get<double>() / 2);
  CHECK(figures["merge_undone"] == true);
  CHECK(figures["archived_chosen"] == 0);
  CHECK(figures["archive_restored"] == true);
  CHECK(figures["log_verified"] == true);
  CHECK(figures["log_lines"] > 0);
  CHECK(figures["blend"]["questions"] > 0);
  CHECK(figures["blend"]["right_alone"] <= figures["blend"]["questions"]);
  CHECK(figures["blend"]["right_blended"] <= figures["blend"]["questions"]);

  const std::string html = file_bytes(page);
  for (const char* part : {"<svg", "prefers-color-scheme", "</html>"}) {
    CAPTURE(part);
    CHECK(html.find(part) != std::string::npos);
  }
  CHECK(html.find("src=") == std::string::npos);  // all of it stands in the one file
  CHECK(html.find("@import") == std::string::npos);

  // the log of one run is continued by the next
  REQUIRE(run_program(operations_program, arguments + " --quiet").status == 0);
  const json again = read_figures(out);
  CHECK(again["log_verified"] == true);
  CHECK(again["log_lines"] == 2 * figures["log_lines"].get<int>());
}

TEST_CASE("operations refuses wrong options and says which", "[examples][error]") {
  const TemporaryFolder folder;
  const std::string one = folder.write(
      "one.jsonl", R"({"text":"pay a bill","task":"bank","label":"pay","split":"train"})"
                   "\n");
  const std::vector<std::pair<std::string, std::string>> wrong{
      {"--measure train", "--measure is 'train', expected test or val"},
      {"--max-risk 2", "--max-risk is 2, expected 0 to 1"},
      {"--data " + one, "expected at least 2"},
      {"--data /nowhere/questions.jsonl", "/nowhere/questions.jsonl"},
      {"--json /nowhere/out.json", "/nowhere/out.json"},
      {"--json " + folder.file("."), "is no regular file, expected one, or a new name"},
      {"--json /dev/stdout", "is no regular file, expected one, or a new name"},
      {"--json " + folder.file("a") + " --report " + folder.file("./a"), "expected another one"},
      {"--seed -1", "--seed: is -1, expected 0 or more"},
      {"--log /proc/nowhere", "/proc/nowhere"}};
  const auto& [arguments, message] = wrong[GENERATE(range(std::size_t{0}, std::size_t{10}))];
  CAPTURE(arguments);
  const ProgramResult result = run_program(operations_program, arguments);
  CAPTURE(result.output);
  CHECK(result.status == 2);
  CHECK(result.output.find(message) != std::string::npos);
}

TEST_CASE("operations keeps its promises on CLINC150", "[examples]") {
  const char* extra = std::getenv("ANYSSR_EXTRA_DATA");
  if (extra == nullptr) {
    std::cout << "skipped: ANYSSR_EXTRA_DATA is not set\n";
    return;
  }
  const TemporaryFolder folder;
  const std::string out = folder.file("out.json");
  const ProgramResult result = run_program(
      operations_program, "--quiet --clinc " + std::string(extra) + "/data/clinc150 --json " + out);
  CAPTURE(result.output);
  REQUIRE(result.status == 0);
  const json figures = read_figures(out);
  expect_shares(figures);
  CHECK(figures["ece"] <= 0.02);
  for (const json& error : figures["ece_after_each_task"]) CHECK(error <= 0.03);
  CHECK(figures["novelty_auroc"] >= 0.960);
  CHECK(figures["novelty_fpr95"] <= 0.17);
  for (const auto& [promise, size] : {std::pair{"90", 1.02}, {"95", 1.06}, {"99", 1.55}}) {
    CAPTURE(promise);
    const double asked = std::atof(promise) / 100;
    CHECK(figures["coverage"][promise] >= asked - 0.01);
    CHECK(std::abs(figures["coverage_raw"][promise].get<double>() - asked) <= 0.02);
    CHECK(figures["set_size"][promise] <= size);
  }
  CHECK(figures["risk_at"]["90"] <= figures["risk_at"]["100"].get<double>() / 4);
  // 50 rows beside the 3000 of the pair move a question or two of 900, either way
  CHECK(figures["pair_accuracy_after"] >= figures["pair_accuracy_before"].get<double>() - 0.003);
  CHECK(figures["others_accuracy_after"] >=
        figures["others_accuracy_before"].get<double>() - 0.003);
  CHECK(figures["accuracy_after"] >= figures["accuracy_before"].get<double>() - 0.005);
  CHECK(figures["bytes_after"].get<double>() <= figures["bytes_before"].get<double>() / 2);
  CHECK(figures["log_verified"] == true);
}
