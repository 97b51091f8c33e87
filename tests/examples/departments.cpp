// SPDX-License-Identifier: MIT
// The application as its users run it: small data, every option, wrong input, the JSON it writes.

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "support/background_program.hpp"
#include "support/catch.hpp"
#include "support/file_bytes.hpp"
#include "support/program.hpp"

using namespace anyssr::test;
using nlohmann::json;

namespace {

const std::string departments_program = ANYSSR_DEPARTMENTS;
const std::string small = " --dim 256 --rank 2 --threads 1 ";

std::string line(const std::string& text, const std::string& task, const std::string& label,
                 const std::string& split) {
  return json{{"text", text}, {"task", task}, {"label", label}, {"split", split}}.dump() + "\n";
}

/// Departments with two labels each, three or four of them; words tell them apart.
std::string small_questions(std::size_t count = 3) {
  const std::vector<std::vector<std::string>> words{
      {"invoice", "refund"}, {"parcel", "courier"}, {"laptop", "printer"}, {"holiday", "salary"}};
  const std::vector<std::string> tasks{"money", "post", "tech", "staff"};
  const std::vector<std::string> frames{"where is my %",      "the % is wrong", "i need a % now",
                                        "please check the %", "% again",        "who has my %",
                                        "lost the %",         "% please"};
  std::string lines;
  for (std::size_t t = 0; t < count; ++t) {
    for (const std::string& word : words[t]) {
      for (std::size_t f = 0; f < frames.size(); ++f) {
        std::string text = frames[f];
        text.replace(text.find('%'), 1, word);
        lines += line(text, tasks[t], word, f < 5 ? "train" : "test");
      }
    }
  }
  return lines + R"({"text":"how high is the moon","task":null,"label":null,"split":"test"})" +
         "\n";
}

/// What must be the same whether a run was interrupted or not.
void expect_same_figures(const json& resumed, const json& in_one_go) {
  CHECK(resumed["sums_digest"] == in_one_go["sums_digest"]);
  CHECK(resumed["accuracy_matrix"].back() == in_one_go["accuracy_matrix"].back());
  for (const char* key : {"tasks", "average_accuracy", "forgetting_vs_joint", "routing_accuracy",
                          "routing_confusion", "oracle_accuracy", "decisions_changed_vs_joint",
                          "ablation", "adapter_digests", "adapter_bytes", "outside_auroc"}) {
    CAPTURE(key);
    CHECK(resumed[key] == in_one_go[key]);
  }
  // a load factors anew what learning may have updated: equal sums, weights equal to round-off
  CHECK(std::abs(resumed["ece"].get<double>() - in_one_go["ece"].get<double>()) < 1e-5);
}

}  // namespace

TEST_CASE("departments learns small data and reports every figure", "[examples]") {
  const std::string scalar = GENERATE("float", "double");
  const std::string extra = GENERATE(
      "", "--subspace none --order random", "--subspace complement --order tech,money,post",
      "--expansion dense:128 --activation gelu", "--expansion hadamard:128 --seed 3");
  CAPTURE(scalar, extra);
  const TemporaryFolder folder;
  const std::string data =
      folder.write("questions.jsonl", "\xEF\xBB\xBF" + small_questions() + "\n\n");
  const std::string out = folder.file("out.json");
  const ProgramResult result =
      run_program(departments_program,
                  "--data " + data + small + "--scalar " + scalar + " " + extra + " --json " + out);
  CAPTURE(result.output);
  REQUIRE(result.status == 0);
  CHECK(contains(result.output, "accuracy so far"));
  CHECK(contains(result.output, "most confused departments"));
  const json figures = read_figures(out);
  for (const char* key : {"tasks",
                          "accuracy_matrix",
                          "average_accuracy",
                          "forgetting",
                          "forgetting_vs_joint",
                          "backward_transfer",
                          "routing_accuracy",
                          "routing_confusion",
                          "oracle_accuracy",
                          "decisions_changed_vs_joint",
                          "ece",
                          "ablation",
                          "learn_seconds",
                          "query_microseconds",
                          "adapter_bytes",
                          "router_bytes",
                          "peak_bytes",
                          "seed",
                          "version",
                          "known_before",
                          "sums_digest",
                          "adapter_digests"}) {
    CAPTURE(key);
    CHECK(figures.contains(key));
  }
  REQUIRE(figures["tasks"].size() == 3);
  REQUIRE(figures["accuracy_matrix"].size() == 3);
  CHECK(figures["accuracy_matrix"][0][1].is_null());
  CHECK(figures["accuracy_matrix"][2][0].is_number());
  double mean = 0;
  for (std::size_t j = 0; j < 3; ++j) mean += figures["accuracy_matrix"][2][j].get<double>() / 3;
  CHECK(std::abs(figures["average_accuracy"].get<double>() - mean) < 1e-12);
  int routed = 0;
  int all = 0;
  for (std::size_t i = 0; i < 3; ++i) {
    for (std::size_t j = 0; j < 3; ++j) {
      const int count = figures["routing_confusion"][i][j].get<int>();
      all += count;
      routed += i == j ? count : 0;
    }
  }
  CHECK(all == 18);
  CHECK(std::abs(figures["routing_accuracy"].get<double>() - routed / 18.0) < 1e-12);
  CHECK(figures["average_accuracy"].get<double>() > 0.5);
  CHECK(figures["ablation"]["default"] == figures["average_accuracy"]);
  if (scalar == "double") {
    CHECK(figures["decisions_changed_vs_joint"] == 0);
    CHECK(std::abs(figures["forgetting_vs_joint"].get<double>()) < 1e-12);
  }
}

TEST_CASE("departments answers questions by argument and by line", "[examples]") {
  const TemporaryFolder folder;
  const std::string data = folder.write("questions.jsonl", small_questions());
  const std::string typed = folder.write("typed", "my parcel is lost\n\nwhere is the laptop\n");
  const ProgramResult result = run_program(
      departments_program,
      "--data " + data + small + "--quiet --interactive --ask 'the invoice is wrong'", typed);
  CAPTURE(result.output);
  REQUIRE(result.status == 0);
  CHECK_FALSE(contains(result.output, "accuracy"));
  const std::size_t asked = result.output.find(
      "the invoice is wrong\ndepartment  money\nintent      invoice\nconfidence  ");
  const std::size_t first = result.output.find("department  post\nintent      parcel");
  const std::size_t empty = result.output.find("is empty");
  const std::size_t last = result.output.find("department  tech\nintent      laptop");
  CHECK(asked < first);
  CHECK(first < empty);
  CHECK(empty < last);
  CHECK(last < result.output.size());
  CHECK(contains(result.output, "runner-up   "));
}

TEST_CASE("departments explains itself", "[examples]") {
  const ProgramResult help = run_program(departments_program, "--help");
  CHECK(help.status == 0);
  for (const char* option : {"--data", "--clinc", "--ask", "--interactive", "--json", "--seed",
                             "--dim", "--expansion", "--ridge", "--rank", "--subspace", "--order",
                             "--scalar", "--quiet", "--state", "--learn"}) {
    CAPTURE(option);
    CHECK(contains(help.output, option));
  }
  CHECK(contains(help.output, "4096"));
  CHECK(run_program(departments_program, "--version").status == 0);
}

TEST_CASE("departments without the complete program names what builds it", "[examples][error]") {
  const TemporaryFolder folder;
  const std::string alone = folder.file("departments");
  std::filesystem::copy_file(departments_program, alone);
  const std::string state = folder.file("state");
  for (const auto& [option, value] :
       {std::pair<std::string, std::string>{"--scalar double", ""}, {"--state", " " + state}}) {
    const ProgramResult result = run_program(alone, option + value);
    CAPTURE(option, result.output);
    CHECK(result.status == 2);
    CHECK(contains(result.output, option + " needs departments_complete, which is not built: "
                                           "cmake --build build --target departments_complete"));
  }
  CHECK(!std::filesystem::exists(state));
}

TEST_CASE("departments refuses wrong options with status 2", "[examples][error]") {
  const TemporaryFolder folder;
  const std::string data = "--data " + folder.write("questions.jsonl", small_questions()) + small;
  const auto refused = [&](const std::string& arguments, const std::string& reason) {
    const ProgramResult result = run_program(departments_program, arguments);
    CAPTURE(arguments, result.output);
    CHECK(result.status == 2);
    CHECK(contains(result.output, reason));
  };
  refused("--nonsense", "--nonsense");
  refused("--data " + folder.file("missing.jsonl"), "missing.jsonl: cannot be opened");
  refused("--data " + folder.file("."), "is a folder, expected a file");
  refused("--clinc " + folder.file("."), "domains.json: cannot be opened");
  refused(data + "--scalar half", "--scalar is 'half', expected float or double");
  refused(data + "--subspace outer",
          "--subspace is 'outer', expected one of none, own, complement");
  refused(data + "--expansion dense", "expected none, dense:D or hadamard:D");
  refused(data + "--expansion sparse:64", "sparse");
  for (const std::string wrong : {"none:3", "dense:0", "hadamard:99999999999"}) {
    refused(data + "--expansion " + wrong, "expected none, dense:D or hadamard:D with D from 1 to");
  }
  refused(data + "--ridge 1e39", "--ridge is 1e+39, expected at most 3.402");
  refused(data + "--dim 0", "departments: --dim is 0");
  const std::string lost = folder.file("lost.json");
  refused(data + "--ask '  ' --json " + lost, "--ask: ");
  CHECK_FALSE(std::filesystem::exists(lost));  // refused before anything was learned
  refused(data + "--activation tanh", "tanh");
  refused(data + "--measure all", "--measure is 'all', expected test or val");
  refused(data + "--measure val", "0 of split val");
  refused(data + "--order money,post", "names 2 departments, expected all 3");
  refused(data + "--order money,post,spies", "'spies'");
  refused(data + "--order money,money,post", "'money', which is unknown or named before");
  refused(data + "--order spies,money,others", "2 faults:\n");
  refused(data + "--ridge 0", "ridge is 0");
  refused(data + "--ridge nan", "--ridge: is nan, expected a decimal number");
  refused(data + "--dim 0", "dim is 0");
  refused(data + "--rank -1", "rank");
  refused(data + "--threads -3", "threads is -3");
  refused(data + "--learn -1", "--learn is -1, expected 0 or more");
  refused(data + "--learn 0", "--learn is 0 and no department is known yet, expected at least 1");
  refused(data + "--learn few", "--learn");
  for (const std::string wrong : {"--learn 0", "--ridge 0", "--rank -1", "--dim 0"}) {
    refused(data + "--state " + folder.file("new") + " " + wrong, wrong.substr(2, 4));
    CHECK(!std::filesystem::exists(folder.file("new")));
  }
  refused(data + "--state " + folder.file("no/such"), "no/such: cannot be made");
  refused(data + "--json " + folder.file("no/such/out.json"), "cannot be written");
}

TEST_CASE("departments names the line of a bad question", "[examples][error]") {
  const TemporaryFolder folder;
  const std::string good = line("a good question", "money", "refund", "train");
  const auto refused = [&](const std::string& bad, const std::string& reason) {
    const std::string path = folder.write("bad.jsonl", good + bad + "\n");
    const ProgramResult result = run_program(departments_program, "--data " + path + small);
    CAPTURE(bad.substr(0, 100), result.output.substr(0, 500));
    CHECK(result.status == 2);
    CHECK(contains(result.output, "bad.jsonl:2: " + reason));
  };
  refused(R"({"text":"x","task":)", "broken JSON at byte");
  refused(R"({"text":"x","task":"a","label":"b","split":"test","extra":1})",
          "unknown field \"extra\"");
  refused(R"({"text":"x","task":"a","label":"b"})", "the field \"split\" is missing");
  refused(R"({"text":"x","task":"a","label":"b","split":"dev"})",
          "\"split\" is \"dev\", expected train, val or test");
  refused(R"({"text":"  ","task":"a","label":"b","split":"test"})", "\"text\" is empty");
  refused(R"({"text":7,"task":"a","label":"b","split":"test"})", "\"text\" is not a string");
  refused(R"({"text":"x","task":3.5,"label":"b","split":"test"})",
          "\"task\" is 3.5, a number that is no integer of 64 bits, expected a string");
  refused(R"({"text":"x","task":null,"label":"b","split":"test"})",
          "\"task\" and \"label\" are null together");
  refused(R"({"text":"x","text":"y","task":"a","label":"b","split":"test"})",
          "the key \"text\" stands there twice");
  refused(R"(["x"])", "expected an object");
  refused(std::string(R"({"text":"x)") + '\0' + R"(","task":"a"})", "a NUL byte");
  refused(std::string(100000, '['), "nested deeper than 64 levels");
  refused(line(std::string(1 << 20, 'a'), "money", "refund", "train"),
          "\"text\" has 1048576 bytes, expected at most 65536");
}

TEST_CASE("departments refuses tasks that cannot be learned", "[examples][error]") {
  const TemporaryFolder folder;
  const auto refused = [&](const std::string& lines, const std::string& reason) {
    const ProgramResult result =
        run_program(departments_program, "--data " + folder.write("few.jsonl", lines) + small);
    CAPTURE(result.output);
    CHECK(result.status == 2);
    CHECK(contains(result.output, reason));
  };
  const std::string asked = line("a question", "solo", "one", "test");
  refused("", "no question of any department");
  refused(asked, "0 rows of split train and 1 of split test");
  refused(line("first", "solo", "one", "train") + line("other", "solo", "two", "test"),
          "label 'two'");
}

TEST_CASE("departments goes on from a state as if it had never stopped", "[examples][property]") {
  const std::string options = GENERATE("--scalar float", "--scalar double --subspace complement",
                                       "--expansion hadamard:128 --subspace none --seed 5");
  CAPTURE(options);
  const TemporaryFolder folder;
  const std::string data = "--data " + folder.write("questions.jsonl", small_questions(4)) + small +
                           options + " --json " + folder.file("out.json");
  REQUIRE(run_program(departments_program, data).status == 0);
  const json in_one_go = read_figures(folder.file("out.json"));
  const std::string state = " --state " + folder.file("state") + "/";

  const ProgramResult first = run_program(departments_program, data + state + " --learn 2");
  CAPTURE(first.output);
  REQUIRE(first.status == 0);
  CHECK(contains(first.output, "  2/4  post"));
  CHECK_FALSE(contains(first.output, "3/4"));
  const json half = read_figures(folder.file("out.json"));
  CHECK(half["tasks"] == json{"money", "post"});
  CHECK(half["known_before"] == 0);
  CHECK(half["forgetting"].is_number());

  const ProgramResult second = run_program(departments_program, data + state + " --learn 2");
  CAPTURE(second.output);
  REQUIRE(second.status == 0);
  CHECK(contains(second.output, "  1/4  money                        10 rows, known already\n"));
  CHECK(contains(second.output, "10 rows, known already   accuracy so far "));
  CHECK(contains(second.output, "  4/4  staff"));
  CHECK(contains(second.output, "forgetting                   -  "));
  const json resumed = read_figures(folder.file("out.json"));
  expect_same_figures(resumed, in_one_go);
  CHECK(resumed["known_before"] == 2);
  CHECK(resumed["learn_seconds"].size() == 2);
  CHECK(resumed["accuracy_matrix"][0][0].is_null());
  for (std::size_t row : {1U, 2U}) {
    CHECK(resumed["accuracy_matrix"][row] == in_one_go["accuracy_matrix"][row]);
  }
  CHECK(resumed["forgetting"].is_null());
  CHECK(resumed["backward_transfer"].is_null());

  const ProgramResult third =
      run_program(departments_program, data + state + " --ask 'my parcel is lost' --order random");
  CAPTURE(third.output);
  REQUIRE(third.status == 0);
  CHECK(contains(third.output, "department  post\nintent      parcel"));
  const json known = read_figures(folder.file("out.json"));
  expect_same_figures(known, in_one_go);
  CHECK(known["known_before"] == 4);
  CHECK(known["learn_seconds"].empty());
}

TEST_CASE("departments with one department known has every row of the matrix", "[examples]") {
  const TemporaryFolder folder;
  const std::string data = "--data " + folder.write("questions.jsonl", small_questions()) + small +
                           "--quiet --json " + folder.file("out.json");
  REQUIRE(run_program(departments_program, data).status == 0);
  const json in_one_go = read_figures(folder.file("out.json"));
  const std::string state = " --state " + folder.file("state");
  REQUIRE(run_program(departments_program, data + state + " --learn 1").status == 0);
  const ProgramResult second = run_program(departments_program, data + state + " --learn 100");
  CHECK(second.status == 0);
  CHECK(second.output.empty());
  const json resumed = read_figures(folder.file("out.json"));
  expect_same_figures(resumed, in_one_go);
  CHECK(resumed["accuracy_matrix"] == in_one_go["accuracy_matrix"]);
  CHECK(resumed["forgetting"] == in_one_go["forgetting"]);
}

TEST_CASE("departments lets one process at a time go on from a state", "[examples][error]") {
  const TemporaryFolder folder;
  const std::string arguments = "--data " + folder.write("questions.jsonl", small_questions()) +
                                small + "--state " + folder.file("state");
  BackgroundProgram first(departments_program, arguments + " --interactive");
  REQUIRE(first.wait_for("Ask a question"));
  const ProgramResult second = run_program(departments_program, arguments);
  CAPTURE(second.output);
  CHECK(second.status == 2);
  CHECK(contains(second.output,
                 "is being written by process " + std::to_string(first.pid()) + " on host "));
  first.close_input();
  CHECK(first.exit_status() == 0);
  CHECK(run_program(departments_program, arguments).status == 0);
}

TEST_CASE("departments goes on after it was killed", "[examples]") {
  const TemporaryFolder folder;
  std::string questions = small_questions(4);
  for (int i = 0; i < 3000; ++i) {  // the third department takes a while
    questions += line("where is laptop number " + std::to_string(i), "tech", "laptop", "train");
  }
  const std::string out = folder.file("out.json");
  const std::string data = "--data " + folder.write("questions.jsonl", questions) + small;
  REQUIRE(run_program(departments_program, data + "--json " + out).status == 0);
  const json in_one_go = read_figures(out);
  const std::string state = "--state " + folder.file("state");
  BackgroundProgram killed(departments_program, data + state);
  REQUIRE(killed.wait_for("  2/4  post"));
  REQUIRE(killed.kill());
  const ProgramResult result = run_program(departments_program, data + state + " --json " + out);
  CAPTURE(result.output);
  REQUIRE(result.status == 0);
  const json resumed = read_figures(out);
  expect_same_figures(resumed, in_one_go);
  CHECK(resumed["known_before"] >= 2);
}

TEST_CASE("departments refuses options that contradict a state", "[examples][error]") {
  const TemporaryFolder folder;
  const std::string data = "--data " + folder.write("questions.jsonl", small_questions()) + " ";
  const std::string state = "--state " + folder.file("state") + " ";
  REQUIRE(run_program(departments_program, data + small + state + "--learn 2").status == 0);
  const auto files = [&] {
    std::map<std::string, std::string> bytes;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder.file("state"))) {
      if (!entry.is_regular_file() || entry.path().filename() == "LOCK") continue;
      bytes[entry.path().string()] = file_bytes(entry.path().string());
    }
    return bytes;
  };
  const auto before = files();
  CHECK(before.size() > 10);
  const auto refused = [&](const std::string& arguments, const std::string& reason) {
    const ProgramResult result = run_program(departments_program, state + arguments);
    CAPTURE(arguments, result.output);
    CHECK(result.status == 2);
    CHECK(contains(result.output, reason));
    CHECK(files() == before);
  };
  const std::string learned = ", with which the state in " + folder.file("state") + " was learned";
  const std::string same = data + small;
  refused(same + "--dim 512", "--dim is 512, expected 256" + learned);
  refused(data + "--rank 2", "--dim is 4096, expected 256" + learned);
  refused(same + "--rank 3", "--rank is 3, expected 2" + learned);
  refused(same + "--seed 7", "--seed is 7, expected 0" + learned);
  refused(same + "--scalar double", "--scalar is double, expected float" + learned);
  refused(same + "--expansion dense:64", "--expansion is dense:64, expected none" + learned);
  refused(same + "--activation gelu", "--activation is gelu, expected relu" + learned);
  refused(same + "--ridge 0.5", "--ridge is 0.5, expected 0.3" + learned);
  refused(same + "--subspace none", "--subspace is none, expected own" + learned);

  const auto other = [&](const std::string& questions) {
    return "--data " + folder.write("other.jsonl", questions) + small;
  };
  refused(other(small_questions() + line("one more", "post", "parcel", "train")),
          "department 'post' was learned from 10 questions of split train, expected 11");
  std::string renamed = small_questions();
  for (std::size_t at = 0; (at = renamed.find("\"refund\"", at)) != std::string::npos;) {
    renamed.replace(at, 8, "\"reform\"");
  }
  refused(other(renamed),
          "department 'money' was learned with the labels invoice,refund, expected invoice,reform");
  const auto both = renamed + line("one more", "post", "parcel", "train");
  refused(other(both), "2 faults:\n");
  refused(other(both), "expected invoice,reform as of the questions now\n  ");
  std::string fewer = small_questions(1);
  refused(other(fewer), "--state knows the department 'post', which the questions lack");
}

TEST_CASE("departments refuses a state that is damaged or not its own", "[examples][error]") {
  const TemporaryFolder folder;
  const std::string arguments = "--data " + folder.write("questions.jsonl", small_questions()) +
                                small + "--state " + folder.file("state");
  REQUIRE(run_program(departments_program, arguments + " --learn 1").status == 0);
  const auto refused = [&](const std::string& reason) {
    const ProgramResult result = run_program(departments_program, arguments);
    CAPTURE(result.output);
    CHECK(result.status == 2);
    CHECK(contains(result.output, reason));
  };
  const std::string options = file_bytes(folder.file("state/departments.json"));
  for (const char* broken : {"{}", "[]", R"({"format":"other","options":{}})",
                             R"({"format":"anyssr-departments","options":[]})"}) {
    folder.write("state/departments.json", broken);
    refused("departments.json: is not what departments wrote");
  }
  folder.write("state/departments.json", R"({"format":"anyssr-departments","options":{}})");
  refused("departments.json: options have no \"scalar\"");
  std::filesystem::remove(folder.file("state/departments.json"));
  refused("which holds a checkpoint of another program: it has no file departments.json");
  folder.write("state/departments.json", options);
  std::string router = file_bytes(folder.file("state/router-000001.safetensors"));
  router.back() = static_cast<char>(router.back() ^ 1);
  folder.write("state/router-000001.safetensors", router);
  refused("router-000001.safetensors: is damaged");
}

TEST_CASE("departments recovers from damage where it is told to", "[examples]") {
  const TemporaryFolder folder;
  const std::string out = folder.file("out.json");
  const std::string data = "--data " + folder.write("questions.jsonl", small_questions(4)) + small +
                           "--json " + out + " ";
  REQUIRE(run_program(departments_program, data).status == 0);
  const json in_one_go = read_figures(out);
  const std::string state = "--state " + folder.file("state");
  REQUIRE(run_program(departments_program, data + state + " --learn 3").status == 0);
  const std::string router = file_bytes(folder.file("state/router-000003.safetensors"));
  folder.write("state/router-000003.safetensors", router.substr(1));
  const ProgramResult refused = run_program(departments_program, data + state);
  CAPTURE(refused.output);
  CHECK(refused.status == 2);
  CHECK(contains(refused.output, "generation 2 is whole: recover = true takes it"));
  const ProgramResult result = run_program(departments_program, data + state + " --recover");
  CAPTURE(result.output);
  REQUIRE(result.status == 0);
  CHECK(contains(result.output, "departments: warning: "));
  CHECK(contains(result.output, "router-000003.safetensors: is damaged: it has "));
  CHECK(contains(result.output, "departments: warning: going on from generation 2 instead"));
  const json recovered = read_figures(out);
  expect_same_figures(recovered, in_one_go);
  CHECK(recovered["known_before"] == 2);
  const ProgramResult after = run_program(departments_program, data + state + " --recover");
  CHECK(after.status == 0);
  CHECK_FALSE(contains(after.output, "warning"));
  CHECK(read_figures(out)["known_before"] == 4);
  CHECK(run_program(departments_program, data + "--recover").status == 2);
}

TEST_CASE("departments learns CLINC150 as promised", "[examples]") {
  const char* extra = std::getenv("ANYSSR_EXTRA_DATA");
  if (extra == nullptr) {
    std::cout << "skipped: ANYSSR_EXTRA_DATA is not set\n";
    return;
  }
  const TemporaryFolder folder;
  const std::string out = folder.file("out.json");
  const ProgramResult result =
      run_program(departments_program,
                  std::string("--clinc '") + extra +
                      "/data/clinc150' --dim 2048 --scalar double --order random --json " + out);
  CAPTURE(result.output);
  REQUIRE(result.status == 0);
  const json figures = read_figures(out);
  CHECK(figures["decisions_changed_vs_joint"] == 0);
  CHECK(std::abs(figures["forgetting_vs_joint"].get<double>()) < 1e-12);
  CHECK(figures["routing_accuracy"].get<double>() > 0.94);
  CHECK(figures["average_accuracy"].get<double>() > 0.88);
  CHECK(figures["oracle_accuracy"].get<double>() > 0.92);
  CHECK(figures["ece"].get<double>() < 0.03);
}
