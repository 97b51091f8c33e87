// SPDX-License-Identifier: MIT
// departments with a model beside hashed words: features of another program, word vectors, encoders.

#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "anyssr/io/safetensors_writer.hpp"
#include "support/catch.hpp"
#include "support/program.hpp"

using namespace anyssr;
using namespace anyssr::test;
using nlohmann::json;

namespace {

const std::string riddle_program = ANYSSR_DEPARTMENTS;
const std::string riddle_options = " --dim 256 --rank 2 --threads 1 ";

/// Questions whose words say nothing, so that only a model can tell two departments apart; the
/// features are a number for the department and one for the label.
class RiddleFolder {
 public:
  RiddleFolder() {
    std::string lines;
    for (Index i = 0; i < rows; ++i) {
      const bool is_test = i % 4 == 3;
      const bool is_outside = is_test && i % 16 == 15;
      const std::string department = is_outside ? "" : names[department_of(i)];
      const std::string label = is_outside ? "" : (i / 16 % 2 == 0 ? "yes" : "no");
      lines += json{{"text", "question " + std::to_string(i)},
                    {"task", is_outside ? json(nullptr) : json(department)},
                    {"label", is_outside ? json(nullptr) : json(label)},
                    {"split", is_test ? "test" : "train"}}
                   .dump() +
               "\n";
      place_[is_outside ? "oos_test" : is_test ? "test" : "train"].push_back(i);
    }
    folder_.write("data.jsonl", lines);
    std::vector<Index> all;
    for (Index i = 0; i < rows; ++i) all.push_back(i);
    write("all", all);
  }

  static constexpr Index rows = 64;
  void write_splits() {
    std::filesystem::create_directory(file("splits"));
    for (const auto& [split, places] : place_) write("splits/mine_" + split, places);
  }
  void write(const std::string& name, const std::vector<Index>& places) const {
    RowMajorMatrix<float> features(static_cast<Index>(places.size()), 3);
    std::vector<std::int64_t> labels;
    for (std::size_t i = 0; i < places.size(); ++i) {
      const Index row = places[i];
      const float department = department_of(row) == 0 ? 1.0F : -1.0F;
      features.row(static_cast<Index>(i)) << department, row / 16 % 2 == 0 ? 1.0F : -1.0F,
          static_cast<float>(row) / 100;
      const bool is_outside = row % 16 == 15;
      labels.push_back(is_outside ? -1 : static_cast<std::int64_t>(department_of(row)));
    }
    SafetensorsWriter writer;
    writer.add("features", features);
    writer.add("labels", labels);
    writer.write(folder_.file(name + ".safetensors"));
  }
  [[nodiscard]] std::string file(const std::string& name) const { return folder_.file(name); }
  [[nodiscard]] const TemporaryFolder& folder() const noexcept { return folder_; }
  [[nodiscard]] const std::vector<Index>& places(const std::string& split) { return place_[split]; }

  [[nodiscard]] std::string run(const std::string& arguments) const {
    return run_program(riddle_program,
                       "--data '" + file("data.jsonl") + "'" + riddle_options + arguments)
        .output;
  }
  [[nodiscard]] json figures(const std::string& arguments) const {
    const ProgramResult result =
        run_program(riddle_program, "--data '" + file("data.jsonl") + "'" + riddle_options +
                                        "--quiet --json '" + file("out.json") + "' " + arguments);
    INFO(result.output);
    REQUIRE(result.status == 0);
    return json::parse(std::ifstream(file("out.json")));
  }

 private:
  [[nodiscard]] static std::size_t department_of(Index row) {
    return static_cast<std::size_t>(row / 4 % 2);
  }

  static constexpr const char* names[] = {"left", "right"};
  TemporaryFolder folder_;
  std::map<std::string, std::vector<Index>> place_;
};

}  // namespace

TEST_CASE("features of another program tell what words do not", "[examples]") {
  RiddleFolder riddle;
  const std::string all = "--features '" + riddle.file("all.safetensors") + "' ";
  const json words = riddle.figures("");
  const json alone = riddle.figures(all + "--no-words --model-dim 0 --ridge 0.01");
  CHECK(words["routing_accuracy"].get<double>() < 0.9);
  CHECK(alone["routing_accuracy"] == 1);
  CHECK(alone["decisions_changed_vs_joint"] == 0);
  CHECK(!alone["outside_auroc"].is_null());
  CHECK(riddle.figures(all + "--model-dim 64")["routing_accuracy"] == 1);

  // a file per split gives the same rows
  riddle.write_splits();
  const json folder = riddle.figures("--features '" + riddle.file("splits") +
                                     "' --no-words --model-dim 0 --ridge 0.01");
  CHECK(folder["sums_digest"] == alone["sums_digest"]);
  CHECK(folder["outside_auroc"] == alone["outside_auroc"]);
}

TEST_CASE("departments with a model goes on from a state", "[examples]") {
  const RiddleFolder riddle;
  const std::string model = "--features '" + riddle.file("all.safetensors") + "' --model-dim 16 ";
  const json in_one_go = riddle.figures(model);
  const std::string state = "--state '" + riddle.file("state") + "' ";
  (void)riddle.figures(model + state + "--learn 1");
  CHECK(riddle.figures(model + state)["sums_digest"] == in_one_go["sums_digest"]);
  CHECK(contains(riddle.run(model + state + "--model-weight 0.4"),
                 "--model-weight is 0.4, expected 0.7, with which the state in"));
  CHECK(contains(riddle.run(state), "was saved on the backbone 'joined-1|"));
}

TEST_CASE("departments refuses features of other data", "[examples][error]") {
  RiddleFolder riddle;
  const auto refusal = [&](const std::string& name) {
    return riddle.run("--features '" + riddle.file(name) + "'");
  };
  CHECK(contains(refusal("nothing.safetensors"), "nothing.safetensors: cannot be opened"));
  std::vector<Index> places = riddle.places("train");
  riddle.write("short", places);
  CHECK(contains(refusal("short.safetensors"), "has shape [48, 3], expected [64, ?]"));
  places.clear();
  for (Index i = RiddleFolder::rows; i-- > 0;) places.push_back(i);
  riddle.write("turned", places);
  CHECK(contains(refusal("turned.safetensors"), "expected the rows in the order of the data"));
  riddle.write_splits();
  riddle.write("splits/other_train", riddle.places("train"));
  CHECK(contains(riddle.run("--features '" + riddle.file("splits") + "'"),
                 "both have 48 rows, expected one file for the split train"));
  std::filesystem::remove(riddle.file("splits/other_train.safetensors"));
  riddle.write("splits/mine_train", riddle.places("test"));
  CHECK(contains(riddle.run("--features '" + riddle.file("splits") + "'"),
                 "mine_train.safetensors with 12 rows for the split train, expected "));
  CHECK(contains(riddle.run("--features '" + riddle.file("all.safetensors") + "' --ask new"),
                 "--features has no row for 'new'"));
}

TEST_CASE("word vectors stand beside hashed words", "[examples]") {
  const RiddleFolder riddle;
  std::string vectors;
  for (int i = 0; i < 64; ++i) {
    vectors += std::to_string(i) + (i / 4 % 2 == 0 ? " 1 0.2 " : " -1 0.3 ") +
               (i / 16 % 2 == 0 ? "1\n" : "-1\n");
  }
  riddle.folder().write("w.vec", vectors + "question 0.1 0.1 0\n");
  const std::string model = "--word-vectors '" + riddle.file("w.vec") + "' --model-dim 128 ";
  CHECK(riddle.figures(model)["routing_accuracy"].get<double>() >
        riddle.figures("")["routing_accuracy"].get<double>());
  CHECK(contains(riddle.run(model + "--ask 'question 12'"), "department  "));
}

TEST_CASE("departments refuses options of a model that do not fit", "[examples][error]") {
  const RiddleFolder riddle;
  const std::string all = "--features '" + riddle.file("all.safetensors") + "' ";
  const std::vector<std::pair<std::string, std::string>> cases{
      {"--no-words", "--no-words needs a model"},
      {"--model-dim 8", "--model-dim needs a model"},
      {all + "--encoder x", "excludes"},
      {all + "--scalar double", "--scalar is double, expected float with --features"},
      {all + "--model-weight 1", "--model-weight is 1, expected a number between 0 and 1"},
      {all + "--model-dim -1", "--model-dim is -1"},
      {all + "--no-words --model-weight 0.5", "do not go together"},
      {"--encoder '" + riddle.file(".") + "'", "config.json"},
      {"--word-vectors '" + riddle.file("data.jsonl") + "'", "line 1"}};
  for (const auto& [arguments, reason] : cases) {
    CAPTURE(arguments);
    const std::string output = riddle.run(arguments);
    CAPTURE(output);
    CHECK(contains(output, reason));
  }
}
