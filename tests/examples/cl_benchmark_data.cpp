// SPDX-License-Identifier: MIT
// What cl_benchmark does to its data before it learns: layouts of folders, templates, cuts, few or
// wrong or unequal rows, made-up tasks. `majority` answers in no time.

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/program.hpp"

using namespace anyssr::test;
using nlohmann::json;

namespace {

const std::string data_program = ANYSSR_CL_BENCHMARK;

/// An answer and how many rows have it.
using Counts = std::vector<std::pair<std::string, int>>;

/// A folder of tasks whose texts number their rows behind the words of a template.
class Tasks {
 public:
  [[nodiscard]] std::string path() const { return folder_.file(""); }
  void write(const std::string& file, const std::string& text) const { folder_.write(file, text); }
  /// JSON lines {"text", "label"}.
  void add(const std::string& task, const Counts& train, const Counts& test,
           const std::string& words = "row") const {
    std::filesystem::create_directory(folder_.file(task));
    for (const auto& [name, counts] : {std::pair("train", &train), {"test", &test}}) {
      std::string lines;
      for (const json& row : rows_of(*counts, words, "text", "label")) lines += row.dump() + "\n";
      write(task + "/" + name + ".jsonl", lines);
    }
  }
  /// A JSON list of {"prompt", "answer"}.
  void add_trace(const std::string& task, const std::string& split, const Counts& counts) const {
    std::filesystem::create_directory(folder_.file(task));
    write(task + "/" + split + ".json", rows_of(counts, "row", "prompt", "answer").dump(1));
  }

 private:
  static json rows_of(const Counts& counts, const std::string& words, const char* text,
                      const char* answer) {
    json rows = json::array();
    for (const auto& [name, count] : counts) {
      for (int i = 0; i < count; ++i) {
        // no two texts share a word beyond the template's
        const std::string number = std::to_string(rows.size());
        rows.push_back({{text, words + " a" + number + " b" + number}, {answer, name}});
      }
    }
    return rows;
  }

  TemporaryFolder folder_;
};

/// The figures of `majority`.
json figures_of(const std::string& arguments) {
  const TemporaryFolder folder;
  const std::string out = folder.file("out.json");
  const ProgramResult result =
      run_program(data_program, arguments + " --methods majority --quiet --json " + out);
  CAPTURE(arguments, result.output);
  REQUIRE(result.status == 0);
  return read_figures(out);
}

std::vector<std::string> names_of(const json& figures) {
  std::vector<std::string> names;
  for (const json& task : figures["tasks"]) names.push_back(task["name"]);
  return names;
}

/// Of the tasks in their order: "train", "test" or "answers".
std::vector<int> counts_of(const json& figures, const char* what) {
  std::vector<int> counts;
  for (const json& task : figures["tasks"]) counts.push_back(task[what]);
  return counts;
}

double accuracy_of(const json& figures) {
  return figures["methods"]["majority"]["average_accuracy"]["mean"];
}

void expect_refused(const std::string& arguments, const std::string& message) {
  const ProgramResult result = run_program(data_program, arguments + " --methods majority");
  CAPTURE(arguments, result.output);
  CHECK(result.status == 2);
  CHECK(result.output.find(message) != std::string::npos);
}

using Ints = std::vector<int>;
using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("folders of TRACE are read beside those of JSON lines", "[examples]") {
  const Tasks tasks;
  tasks.add_trace("stance", "train", {{"A", 6}, {"B", 2}});
  tasks.add_trace("stance", "test", {{"A", 1}, {"B", 3}});
  tasks.write("stance/test.json", "\n{\"prompt\": \"one\", \"answer\": \"A\"}\n" +
                                      json{{"prompt", "two"}, {"answer", "B"}}.dump());
  tasks.add_trace("stance", "eval", {{"A", 3}});
  tasks.add("post", {{"up", 5}, {"down", 10}}, {{"up", 3}, {"down", 1}});
  const json figures = figures_of("--data " + tasks.path());
  CHECK(names_of(figures) == Names{"post", "stance"});
  CHECK(counts_of(figures, "train") == Ints{15, 8});
  CHECK(counts_of(figures, "test") == Ints{4, 2});
  CHECK(accuracy_of(figures) == Approx((0.25 + 0.5) / 2));

  const json val = figures_of("--measure val --data " + tasks.path());
  CHECK(counts_of(val, "train") == Ints{12, 8});  // stance has rows of its own for this
  CHECK(counts_of(val, "test") == Ints{3, 3});
}

TEST_CASE("a test answer that no training row has is never right", "[examples]") {
  const Tasks tasks;
  tasks.add("post", {{"up", 3}, {"down", 1}}, {{"up", 1}, {"sideways", 3}});
  tasks.add_trace("stance", "train", {{"A", 2}});
  tasks.add_trace("stance", "test", {{"C", 4}});
  const json figures = figures_of("--data " + tasks.path());
  CHECK(counts_of(figures, "answers") == Ints{2, 1});
  CHECK(accuracy_of(figures) == 0.125);
}

TEST_CASE("words of prompt templates are found in the training texts", "[examples]") {
  const Tasks tasks;
  const Counts some{{"up", 20}, {"down", 20}};
  tasks.add("cards", some, {{"up", 2}}, "Title: new card\nBody:");
  tasks.add("post", some, {{"up", 2}}, "Choose one between A and B.");
  tasks.add("few", {{"up", 19}}, {{"up", 2}}, "Question: why");
  tasks.add("plain", some, {{"up", 2}}, "");
  const json figures = figures_of("--strip-templates --data " + tasks.path());
  const Names words = figures["stripped_words"];
  for (const char* word : {"Title", "Body", "Choose", "one", "between", "A", "B", "and"}) {
    CAPTURE(word);
    CHECK(std::count(words.begin(), words.end(), word) == 1);
  }
  for (const char* word : {"Question", "why", "a1", "b3"}) {  // 19 texts are too few to tell
    CAPTURE(word);
    CHECK(std::count(words.begin(), words.end(), word) == 0);
  }
  CHECK(figures_of("--data " + tasks.path())["stripped_words"].empty());
}

TEST_CASE("tasks are cut into tasks of few answers", "[examples]") {
  const Tasks tasks;
  tasks.add("cards", {{"lost", 4}, {"found", 2}, {"new", 3}},
            {{"lost", 2}, {"found", 1}, {"new", 2}, {"unheard of", 1}});
  tasks.add("post", {{"up", 3}, {"down", 1}}, {{"up", 1}});
  const json figures = figures_of("--cut 2 --data " + tasks.path());
  CHECK(names_of(figures) == Names{"cards/1", "cards/2", "post"});
  CHECK(counts_of(figures, "answers") == Ints{2, 1, 2});
  CHECK(counts_of(figures, "train") == Ints{6, 3, 4});
  CHECK(counts_of(figures, "test") == Ints{3, 3, 1});
  CHECK(names_of(figures_of("--cut 2 --order post,cards --data " + tasks.path())) ==
        Names{"post", "cards/1", "cards/2"});
  CHECK(names_of(figures_of("--cut 2 --order random --seed 3 --data " + tasks.path())).size() == 3);
  expect_refused("--cut 1 --data " + tasks.path(),
                 "task \"post/2\" has 1 rows to learn from and 0");
}

TEST_CASE("few rows are shared equally by the answers", "[examples]") {
  const Tasks tasks;
  tasks.add("cards", {{"lost", 90}, {"found", 5}, {"new", 5}}, {{"found", 1}});
  tasks.add("post", {{"up", 2}, {"down", 1}}, {{"up", 1}});
  const auto rows = [&](const std::string& count) {
    return figures_of("--rows " + count + " --data " + tasks.path());
  };
  CHECK(counts_of(rows("6"), "train") == Ints{6, 3});
  CHECK(counts_of(rows("6"), "answers") == Ints{3, 2});
  CHECK(counts_of(rows("3"), "answers") == Ints{3, 2});
  CHECK(counts_of(rows("2"), "answers") == Ints{2, 2});
  CHECK(counts_of(rows("1"), "answers") == Ints{1, 1});
  CHECK(counts_of(rows("99"), "train") == Ints{99, 3});
  CHECK(counts_of(rows("99"), "test") == Ints{1, 1});
}

TEST_CASE("numbers of training rows fall along the order", "[examples]") {
  const Tasks tasks;
  for (const char* name : {"a", "b", "c"}) tasks.add(name, {{"up", 60}, {"down", 40}}, {{"up", 1}});
  const std::string data = " --data " + tasks.path();
  CHECK(counts_of(figures_of("--imbalance 100" + data), "train") == Ints{100, 10, 2});
  CHECK(counts_of(figures_of("--imbalance 100" + data), "answers") == Ints{2, 2, 2});
  const json back = figures_of("--imbalance 4 --order c,b,a" + data);
  CHECK(names_of(back) == Names{"c", "b", "a"});
  CHECK(counts_of(back, "train") == Ints{100, 50, 25});
  CHECK(counts_of(figures_of("--imbalance 1" + data), "train") == Ints{100, 100, 100});
  CHECK(counts_of(figures_of("--imbalance 9 --order a" + data), "train") == Ints{100});
}

TEST_CASE("label noise makes a share of the training answers wrong", "[examples]") {
  const Tasks tasks;
  tasks.add("post", {{"up", 9}, {"down", 1}}, {{"up", 3}, {"down", 1}});
  const auto accuracy = [&](const std::string& share) {
    return accuracy_of(figures_of("--label-noise " + share + " --data " + tasks.path()));
  };
  CHECK(accuracy("0") == 0.75);
  CHECK(accuracy("0.2") == 0.75);  // up keeps at least seven of its nine rows
  CHECK(accuracy("1") == 0.25);    // up keeps no row of its own
  tasks.add("stance", {{"for", 2}}, {{"for", 1}});
  CHECK(accuracy("1") == 0.625);  // one answer cannot be replaced
  expect_refused("--label-noise 0.5 --order stance --data " + tasks.path(),
                 "--label-noise finds one answer in every task");
}

TEST_CASE("tasks are made up in any number", "[examples]") {
  const json figures = figures_of("--synthetic 40");
  REQUIRE(figures["tasks"].size() == 40);
  CHECK(names_of(figures).back() == "synthetic40");
  CHECK(counts_of(figures, "answers") == Ints(40, 3));
  CHECK(counts_of(figures, "train") == Ints(40, 60));
  CHECK(counts_of(figures, "test") == Ints(40, 20));
  CHECK(accuracy_of(figures) == Approx(0.35));  // 7 of 20
  const json other = figures_of("--synthetic 3,5,10 --cut 2");
  CHECK(counts_of(other, "answers") == Ints{2, 2, 1, 2, 2, 1, 2, 2, 1});
  CHECK(counts_of(other, "train") == Ints{4, 4, 2, 4, 4, 2, 4, 4, 2});
  CHECK(figures_of("--synthetic 20 --strip-templates")["stripped_words"].empty());
}

TEST_CASE("cl_benchmark refuses wrong options of its data", "[examples]") {
  const Tasks tasks;
  tasks.add("post", {{"up", 3}, {"down", 1}}, {{"up", 1}});
  const std::string data = "--data " + tasks.path() + " ";
  expect_refused("", "neither --data nor --clinc is given, nor --synthetic");
  expect_refused(data + "--synthetic 5", "--data and --synthetic are both given, expected one of");
  expect_refused(data + "--clinc x", "--data and --clinc are both given, expected one of");
  expect_refused(data + "--measure train", "--measure is 'train', expected test or val");
  expect_refused(data + "--cut 0", "--cut is 0, expected 1 to 1000000");
  expect_refused(data + "--rows -1", "--rows is -1, expected 1 to 1000000");
  expect_refused(data + "--label-noise 1.5", "--label-noise is 1.5, expected 0 to 1");
  expect_refused(data + "--imbalance 0.5", "--imbalance is 0.5, expected 1 to 10000");
  expect_refused(data + "--rows 2 --two-visits post",
                 "--two-visits is \"post\", a task with one row per answer, expected two rows");
  for (const char* form : {"0", "x", "5,", "5,3,2", "5,3,60,1", "10001", "10000,1000,1000"}) {
    expect_refused(std::string("--synthetic ") + form, "--synthetic is '" + std::string(form));
  }
}

TEST_CASE("faults in files of TRACE are named by file and row", "[examples]") {
  const Tasks tasks;
  const auto refused = [&](const std::string& text, const std::string& message) {
    tasks.write("stance/test.json", text);
    expect_refused("--data " + tasks.path(), message);
  };
  tasks.add_trace("stance", "train", {{"A", 2}});
  expect_refused("--data " + tasks.path(), "stance/test.json: cannot be opened");
  refused(R"([{"prompt": "a", "answer": "b"}, {"prompt": " ", "answer": "b"}, 7])",
          "stance/test.json: row 2: \"prompt\" is empty or no string");
  refused(R"([{"prompt": "a", "answer": 1.5}, 7])",
          "stance/test.json: row 2: expected an object {\"prompt\", \"answer\"}");
  refused("{\"prompt\": \"a\"}\n", "stance/test.json:1: expected an object");
  refused("[]", "stance/test.json: holds no row");
  refused("[{\"prompt\": ", "stance/test.json");
}

TEST_CASE("templates of the CL benchmark are found", "[examples]") {
  const char* const extra = std::getenv("ANYSSR_EXTRA_DATA");
  if (extra == nullptr) {
    std::cout << "skipped: ANYSSR_EXTRA_DATA is not set\n";
    return;
  }
  const std::string data = extra + std::string("/data/");
  const json figures = figures_of("--strip-templates --data " + data + "cl_benchmark");
  CHECK(figures["stripped_words"] ==
        json({"1",      "2",        "A",      "B",       "Choose",    "Text",    "Title",
              "Which",  "and",      "answer", "between", "candidate", "cause",   "effect",
              "first",  "is",       "of",     "one",     "paragraph", "passage", "question",
              "second", "sentence", "the",    "word"}));
  const json intents = figures_of("--strip-templates --cut 1 --clinc " + data + "clinc150");
  CHECK(intents["stripped_words"].empty());
  CHECK(intents["tasks"].size() == 150);
}
