// SPDX-License-Identifier: MIT
// Data as people have them: departments of one intent or one question, files with faults.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/program.hpp"

using namespace anyssr::test;
using nlohmann::json;

namespace {

const std::string small_model = " --dim 512 --threads 1 ";

std::string question(const std::string& text, const json& task, const json& label,
                     const std::string& split) {
  return json{{"text", text}, {"task", task}, {"label", label}, {"split", split}}.dump() + "\n";
}

/// 18 tasks, as a published set of commands has them: the first has one label, the second one
/// question, the third two questions of one label; the others have two labels each.
std::string eighteen_tasks() {
  const std::vector<std::string> frames{
      "turn the % on", "i want % now",       "what about %", "is % there today",
      "% please",      "set % for tomorrow", "stop %"};
  std::string lines;
  for (int t = 0; t < 18; ++t) {
    const std::string task = "task" + std::to_string(t);
    const int labels = t < 3 ? 1 : 2;
    for (int l = 0; l < labels; ++l) {
      const std::string word = "w" + std::string(3, static_cast<char>('a' + t)) +
                               std::string(3, static_cast<char>('k' + l));
      for (std::size_t f = 0; f < frames.size(); ++f) {
        if ((t == 1 && f > 0 && f < 5) || (t == 2 && f > 1 && f < 5)) continue;
        std::string text = frames[f];
        text.replace(text.find('%'), 1, word);
        lines += question(text, task, word, f < 5 ? "train" : "test");
      }
    }
  }
  return lines;
}

}  // namespace

TEST_CASE("departments learns 18 tasks of which some have one label or one question",
          "[examples]") {
  const std::string extra = GENERATE("", "--scalar double --subspace complement");
  const TemporaryFolder folder;
  const std::string data = folder.write("tasks.jsonl", eighteen_tasks());
  const std::string out = folder.file("out.json");
  const std::string arguments = "--data " + data + small_model + extra + " --json " + out +
                                " --state " + folder.file("state") + " --ask 'stop waaakkk'";
  const ProgramResult result = run_program(ANYSSR_DEPARTMENTS, arguments);
  CAPTURE(result.output);
  REQUIRE(result.status == 0);
  CHECK(contains(result.output, " 18/18  task17"));
  CHECK(contains(result.output, "department  task0\nintent      waaakkk\n"));
  const json figures = read_figures(out);
  CHECK(figures["tasks"].size() == 18);
  CHECK(figures["average_accuracy"].get<double>() > 0.9);
  CHECK(figures["oracle_accuracy"].get<double>() > 0.9);
  for (const json& accuracy : figures["ablation"]) CHECK(std::isfinite(accuracy.get<double>()));
  CHECK(figures["adapter_bytes"][0] < figures["adapter_bytes"][5]);
  // what was saved is gone on from
  const ProgramResult again = run_program(ANYSSR_DEPARTMENTS, arguments);
  CHECK(again.status == 0);
  CHECK(read_figures(out)["known_before"] == 18);
  CHECK(read_figures(out)["average_accuracy"] == figures["average_accuracy"]);
}

TEST_CASE("operations runs departments of one label and of two questions", "[examples]") {
  const TemporaryFolder folder;
  std::string lines;
  const std::vector<std::string> words{"invoice", "parcel", "laptop", "holiday"};
  for (std::size_t t = 0; t < words.size(); ++t) {
    for (const char* frame : {"where is the ", "give me a ", "no more ", "the best "}) {
      if (t == 0 && std::string(frame) > "o") continue;  // two questions
      lines += question(frame + words[t], "about " + words[t], "all", "train");
    }
    lines += question("what about the " + words[t], "about " + words[t], "all", "test");
  }
  // a department with the name that merging the first two would give
  lines += question("merge them", "about invoice + about parcel", 1, "train") +
           question("merge both", "about invoice + about parcel", 1, "train") +
           question("merge now", "about invoice + about parcel", 1, "test");
  const ProgramResult result =
      run_program(ANYSSR_OPERATIONS, "--data " + folder.write("small.jsonl", lines) + small_model);
  CAPTURE(result.output);
  CHECK(result.status == 0);
  CHECK(contains(result.output, "training questions are kept for validation"));
  CHECK(contains(result.output, "undone, all decisions are as before"));
}

TEST_CASE("operations fits the policy without departments that have no row to spare",
          "[examples]") {
  const TemporaryFolder folder;
  std::string lines = question("just one", "single", "a", "train") +
                      question("this one", "single", "a", "test") +
                      question("left it", "pair", "left", "train") +
                      question("right it", "pair", "right", "train") +
                      question("right that", "pair", "right", "test");
  const std::string few = lines;
  for (const char* word : {"invoice", "parcel"}) {
    for (const char* frame : {"where is the ", "give me a ", "no more ", "the best "}) {
      lines += question(frame + std::string(word), word, "all", "train");
    }
    lines += question("what about the " + std::string(word), word, "all", "test");
  }
  const ProgramResult result =
      run_program(ANYSSR_OPERATIONS, "--data " + folder.write("few.jsonl", lines) + small_model);
  CAPTURE(result.output);
  CHECK(result.status == 0);
  for (const char* place :
       {"few.jsonl:1: department \"single\"", "few.jsonl:3: department \"pair\""}) {
    CHECK(contains(result.output, std::string(place) + " has no question of split val"));
  }
  CHECK(contains(result.output, "operations: warning: "));
  CHECK(contains(result.output, "the policy is fitted without it; add rows of split val"));
  CHECK_FALSE(contains(result.output, "department \"parcel\" has no"));
  const ProgramResult none =
      run_program(ANYSSR_OPERATIONS, "--data " + folder.write("none.jsonl", few) + small_model);
  CHECK(none.status == 2);
  CHECK(contains(none.output, "no department has a question to fit the policy on"));
}

TEST_CASE("CLINC150 files tell all their faults and warn of twins", "[examples][error]") {
  const TemporaryFolder folder;
  const auto run = [&](const std::string& domains, const std::string& data) {
    folder.write("domains.json", domains);
    folder.write("data_full.json", data);
    return run_program(ANYSSR_DEPARTMENTS, "--clinc " + folder.file(".") + small_model + "--quiet");
  };
  const auto refused = [&](const ProgramResult& result, const std::vector<std::string>& reasons) {
    CAPTURE(result.output);
    CHECK(result.status == 2);
    for (const std::string& reason : reasons) {
      CAPTURE(reason);
      CHECK(contains(result.output, reason));
    }
  };
  refused(run("version https://git-lfs.github.com/spec/v1\n", "\x1F\x8B\x08"),
          {"2 faults:\n", "domains.json: this is a pointer of git-lfs",
           "data_full.json: this is a gzip"});
  refused(run("{\"money\": [1]}", "{\"train\": [[\" \", \"pay\"]]}"),
          {"5 faults:\n", "holds 1, expected names of intents", "train[0]: \"text\" is empty",
           "\"oos_test\" is missing"});
  const std::string rows = R"([["pay it", "pay"], ["do pay", "Pay"], ["post it", "send"]])";
  const ProgramResult twins = run(R"({"money": ["pay", "Pay"], "post": ["send"]})",
                                  R"({"train": )" + rows + R"(, "val": )" + rows + R"(, "test": )" +
                                      rows + R"(, "oos_test": []})");
  CAPTURE(twins.output);
  CHECK(twins.status == 0);
  CHECK(contains(twins.output, "the label \"Pay\" of task \"money\" differs from \"pay\""));
}

TEST_CASE("departments tells every fault before it learns anything", "[examples][error]") {
  const std::string program = GENERATE(std::string(ANYSSR_DEPARTMENTS), ANYSSR_OPERATIONS);
  const TemporaryFolder folder;
  const auto refused = [&](const std::string& lines, const std::vector<std::string>& reasons) {
    const ProgramResult result =
        run_program(program, "--data " + folder.write("bad.jsonl", lines) + small_model);
    CAPTURE(program, result.output);
    CHECK(result.status == 2);
    for (const std::string& reason : reasons) {
      CAPTURE(reason);
      CHECK(contains(result.output, reason));
    }
    CHECK_FALSE(contains(result.output, "rows"));
  };
  const std::string good = eighteen_tasks();
  refused(good + "{\n" + question(" ", "a", "b", "train") + question("x", 1.5, "b", "train") +
              question("\xE3\x80\x80", "a", "b", "test"),
          {"4 faults:\n", "broken JSON", "\"text\" is empty", "\"task\" is 1.5"});
  std::string many;
  for (int i = 0; i < 50; ++i) many += "{}\n";
  refused(good + many, {"50 faults:\n", "and 30 more"});
  refused("text,task\nhi,a\n", {"bad.jsonl: this is a table with commas (CSV)"});
}

TEST_CASE("departments names every department that cannot be learned or measured",
          "[examples][error]") {
  const TemporaryFolder folder;
  const std::string lines = eighteen_tasks() + question("a", "untaught", "x", "test") +
                            question("b", "unmeasured", "x", "train") +
                            question("c", "task5", "late", "test");
  const auto rows = static_cast<std::size_t>(std::count(lines.begin(), lines.end(), '\n'));
  const ProgramResult result =
      run_program(ANYSSR_DEPARTMENTS, "--data " + folder.write("bad.jsonl", lines) + small_model);
  CAPTURE(result.output);
  CHECK(result.status == 2);
  const auto at = [&](std::size_t back) { return "bad.jsonl:" + std::to_string(rows - back); };
  CHECK(contains(result.output, "3 faults:\n"));
  CHECK(contains(result.output, at(2) + ": department 'untaught' has 0 rows of split train and 1"));
  CHECK(contains(result.output, at(1) + ": department 'unmeasured' has 1 rows of split train"));
  CHECK(contains(result.output, at(0) + ": label 'late' of department 'task5' has no row"));
}

TEST_CASE("departments takes integers and booleans for labels and warns of twins", "[examples]") {
  const TemporaryFolder folder;
  std::string lines = "\xEF\xBB\xBF";
  for (const char* split : {"train", "test"}) {
    lines += question("is it right", "check", true, split) +
             question("is it wrong", "check", false, split);
    lines += question("number one", 7, 1, split) + question("number two", 7, "2", split);
    lines += question("refund me", "Money", "Refund", split) +
             question("pay me", "Money", "refund ", split);
    lines += question("my purse", "money", "x\x1B[31m", split);
  }
  const std::string arguments = "--data " + folder.write("kinds.jsonl", lines) + small_model +
                                "--rank 2 --quiet --ask 'number one'";
  const ProgramResult result = run_program(ANYSSR_DEPARTMENTS, arguments);
  CAPTURE(result.output);
  CHECK(result.status == 0);
  CHECK(contains(result.output, "department  7\nintent      1\n"));
  CHECK(contains(result.output,
                 "kinds.jsonl:6: the label \"refund \" of task \"Money\" differs from \"Refund\""));
  CHECK(contains(result.output, "kinds.jsonl:7: the task \"money\" differs from \"Money\""));
  const ProgramResult printed = run_program(
      "sh", "-c '" + std::string(ANYSSR_DEPARTMENTS) + " --data " + folder.file("kinds.jsonl") +
                small_model + "--rank 2 --quiet 2>/dev/null'");
  CHECK(printed.status == 0);
  CHECK(printed.output.empty());  // warnings are no output
}
