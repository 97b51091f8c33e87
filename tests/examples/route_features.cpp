// SPDX-License-Identifier: MIT
// The application as its users run it: feature files in, figures and tensors out, against a joint
// fit that the test computes by itself.

#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "anyssr/io/safetensors_reader.hpp"
#include "anyssr/io/safetensors_writer.hpp"
#include "anyssr/subspace/any_expansion.hpp"
#include "support/catch.hpp"
#include "support/numeric.hpp"
#include "support/program.hpp"

using namespace anyssr;
using namespace anyssr::test;
using nlohmann::json;

namespace {

const std::string route_features_program = ANYSSR_ROUTE_FEATURES;
const std::vector<std::int64_t> label_values{-5, 3, 1000000007};

/// Rows around one centre a label, in mixed order; label 0 has most rows.
struct Rows {
  Matrix<double> features;
  std::vector<std::int64_t> labels;

  Rows(Index count, std::uint64_t sample) : features(count, 12) {
    const Matrix<double> centres = random_normal<double>(3, 12, 1);
    const Matrix<double> noise = random_normal<double>(count, 12, 2, sample);
    for (Index i = 0; i < count; ++i) {
      const Index task = i % 6 == 5 ? 2 : i % 3 == 1 ? 1 : 0;
      features.row(i) = centres.row(task) + 0.8 * noise.row(i);
      labels.push_back(label_values[static_cast<std::size_t>(task)]);
    }
  }
  [[nodiscard]] Matrix<double> one_hot() const {
    Matrix<double> y = Matrix<double>::Zero(features.rows(), 3);
    for (Index i = 0; i < y.rows(); ++i) {
      for (Index t = 0; t < 3; ++t) {
        if (labels[static_cast<std::size_t>(i)] == label_values[static_cast<std::size_t>(t)]) {
          y(i, t) = 1;
        }
      }
    }
    return y;
  }
};

template <class S>
std::string write(const TemporaryFolder& folder, const std::string& name, const Matrix<S>& features,
                  const std::vector<std::int64_t>& labels) {
  SafetensorsWriter writer;
  writer.add("features", features);
  writer.add("labels", labels);
  writer.write(folder.file(name));
  return folder.file(name);
}

struct Files {
  TemporaryFolder folder;
  Rows train{300, 3};
  Rows test{120, 4};
  std::string arguments = "--train " + write(folder, "train", train.features, train.labels) +
                          " --test " + write(folder, "test", test.features, test.labels);
  std::string out = folder.file("out.json");
  std::string tensors = folder.file("out.safetensors");

  [[nodiscard]] ProgramResult run(const std::string& more) const {
    return run_program(route_features_program,
                       arguments + " " + more + " --json " + out + " --weights " + tensors);
  }
};

}  // namespace

TEST_CASE("route_features gives the weights of a joint fit in every form and scalar",
          "[examples]") {
  const Files files;
  const std::string form = GENERATE("information", "covariance");
  const std::string scalar = GENERATE("float", "double");
  const std::string batch = GENERATE("1", "7", "4096");
  CAPTURE(form, scalar, batch);
  const ProgramResult result =
      files.run("--ridge 2.5 --form " + form + " --scalar " + scalar + " --batch " + batch);
  CAPTURE(result.output);
  REQUIRE(result.status == 0);
  CHECK(contains(result.output, "routing accuracy"));
  CHECK(contains(result.output, "1000000007"));
  const Eigen::MatrixXd joint = joint_fit(files.train.features, files.train.one_hot(), 2.5);
  const SafetensorsReader reader(files.tensors);
  CHECK(reader.tensor("weights").dtype == (scalar == "float" ? Dtype::F32 : Dtype::F64));
  const Matrix<double> weights = reader.matrix<double>("weights", 12, 3);
  CHECK(relative_error(weights, joint) < (scalar == "float" ? 1e-5 : 1e-11));
  const Matrix<double> scores = reader.matrix<double>("scores", 120, 3);
  CHECK(relative_error(scores, (files.test.features * joint).eval()) < 1e-5);
  const auto predictions = reader.integers<std::int64_t>("predictions");
  Index right = 0;
  for (Index i = 0; i < 120; ++i) {
    Index best = 0;
    scores.row(i).maxCoeff(&best);
    const auto at = static_cast<std::size_t>(i);
    CHECK(predictions[at] == label_values[static_cast<std::size_t>(best)]);
    right += predictions[at] == files.test.labels[at] ? 1 : 0;
  }
  const json figures = read_figures(files.out);
  CHECK(figures["accuracy"].get<double>() == static_cast<double>(right) / 120);
  CHECK(figures["accuracy"].get<double>() > 0.8);
  CHECK(figures["ridge"].get<double>() == 2.5);
  CHECK(figures["rows"] == 300);
  CHECK(figures["tasks"] == 3);
  for (const char* key : {"seconds_learn", "seconds_route", "peak_bytes"}) {
    CAPTURE(key);
    CHECK(figures[key].get<double>() > 0);
  }
  CHECK(figures.contains("status") == (form == "covariance"));
}

TEST_CASE("route_features expands as the library does with the same seed", "[examples]") {
  const Files files;
  const std::string kind = GENERATE("dense", "hadamard");
  const ProgramResult result =
      files.run("--ridge 0.01 --scalar double --seed 9 --activation gelu " +
                std::string("--expansion ") + kind + ":64");
  CAPTURE(kind, result.output);
  REQUIRE(result.status == 0);
  const AnyExpansion<double> expansion(
      12,
      {.kind = parse_expansion_kind(kind), .dim = 64, .activation = Activation::gelu, .seed = 9});
  const Eigen::MatrixXd expanded = expansion.expand(files.train.features);
  const Eigen::MatrixXd joint = joint_fit(expanded, files.train.one_hot(), 0.01);
  const SafetensorsReader reader(files.tensors);
  CHECK(relative_error(reader.matrix<double>("weights", 64, 3), joint) < 1e-8);
  CHECK(read_figures(files.out)["dim"] == 64);
}

TEST_CASE("route_features balances tasks with weights and a scaled ridge", "[examples]") {
  const Files files;
  const std::string form = GENERATE("information", "covariance");
  REQUIRE(files.run("--ridge 3 --balanced --scalar double --form " + form).status == 0);
  Matrix<double> x = files.train.features;
  Matrix<double> y = files.train.one_hot();
  const RowVector<double> counts = y.colwise().sum();
  for (Index i = 0; i < x.rows(); ++i) {
    const double root = 1 / std::sqrt(counts.dot(y.row(i)));
    x.row(i) *= root;
    y.row(i) *= root;
  }
  const double ridge = 3.0 * 3 / 300;
  const Matrix<double> weights = SafetensorsReader(files.tensors).matrix<double>("weights");
  CHECK(relative_error(weights, joint_fit(x, y, ridge)) < 1e-10);
  CHECK(std::abs(read_figures(files.out)["ridge"].get<double>() - ridge) < 1e-12);
}

TEST_CASE("route_features chooses one ridge in both forms", "[examples]") {
  const Files files;
  const std::string balanced = GENERATE("", " --balanced");
  REQUIRE(files.run("--ridge auto --scalar double" + balanced).status == 0);
  const double ridge = read_figures(files.out)["ridge"].get<double>();
  CHECK(ridge > 0);
  const Matrix<double> weights = SafetensorsReader(files.tensors).matrix<double>("weights");
  REQUIRE(files.run("--scalar double --form covariance" + balanced).status == 0);
  CHECK(std::abs(read_figures(files.out)["ridge"].get<double>() - ridge) < 1e-12 * ridge);
  CHECK(relative_error(SafetensorsReader(files.tensors).matrix<double>("weights"), weights) < 1e-9);
}

namespace {

/// Four tasks of 16 features that no linear map can fail on, changed as `change` says.
template <class Change>
void write_clusters(const Files& files, const Change& change) {
  const Matrix<double> centres = random_normal<double>(4, 16, 1);
  for (const std::uint64_t sample : {3U, 4U}) {
    Matrix<double> x = 0.3 * random_normal<double>(400, 16, 2, sample);
    std::vector<std::int64_t> labels;
    for (Index i = 0; i < x.rows(); ++i) {
      x.row(i) += centres.row(i % 4);
      labels.push_back(i % 4);
    }
    change(x);
    write(files.folder, sample == 3 ? "hard_train" : "hard_test", x, labels);
  }
}

struct RoutedClusters {
  double accuracy;
  std::string warnings;
  Index moved;
};

RoutedClusters route_clusters(const Files& files, const std::string& more) {
  const ProgramResult result = run_program(
      route_features_program, "--train " + files.folder.file("hard_train") + " --test " +
                                  files.folder.file("hard_test") + " --json " + files.out +
                                  " --weights " + files.tensors + " --quiet " + more);
  CAPTURE(more, result.output);
  REQUIRE(result.status == 0);
  const json figures = read_figures(files.out);
  for (const json& warning : figures["warnings"]) {
    CHECK(contains(result.output, "warning: " + warning.get<std::string>()));
  }
  return {figures["accuracy"].get<double>(), result.output, figures["moved_columns"].get<Index>()};
}

}  // namespace

TEST_CASE("route_features routes features that stand a million from zero",
          "[examples][regression]") {
  const Files files;
  write_clusters(files, [](Matrix<double>& x) { x.array() += 1e6; });
  const std::string scalar = GENERATE("float", "double");
  const std::string form = GENERATE("information", "covariance");
  const std::string expansion = GENERATE("none", "dense:256", "hadamard:256");
  const std::string ridge = GENERATE("auto", "1");
  CAPTURE(scalar, form, expansion, ridge);
  const RoutedClusters outcome =
      route_clusters(files, "--scalar " + scalar + " --form " + form + " --expansion " + expansion +
                                " --ridge " + ridge);
  CHECK(outcome.accuracy == 1);
  CHECK(outcome.moved == 16);
  const SafetensorsReader reader(files.tensors);
  CHECK(reader.matrix<double>("weights").rows() == (expansion == "none" ? 17 : 256));
  CHECK(reader.has_tensor("shift"));
}

TEST_CASE("route_features warns of an offset that it is told to keep", "[examples][regression]") {
  const Files files;
  write_clusters(files, [](Matrix<double>& x) { x.array() += 1e6; });
  const RoutedClusters wide = route_clusters(files, "--shift none --scalar double");
  CHECK(wide.accuracy == 1);
  CHECK(contains(wide.warnings, "times as large as what varies around it"));
  const RoutedClusters narrow = route_clusters(files, "--shift none --scalar float");
  CHECK(contains(narrow.warnings, "times as large as what varies around it"));
  CHECK(narrow.moved == 0);
}

TEST_CASE("route_features uses columns of scales from 1e-8 to 1e8", "[examples][regression]") {
  const Files files;
  write_clusters(files, [](Matrix<double>& x) {
    for (Index j = 0; j < 16; ++j) {
      x.col(j) *= std::pow(10, -8 + 16 * static_cast<double>(j) / 15);
    }
  });
  const std::string scalar = GENERATE("float", "double");
  const RoutedClusters outcome = route_clusters(files, "--ridge auto --scalar " + scalar);
  CHECK(outcome.accuracy == 1);
  CHECK(outcome.warnings.empty());
  CHECK(outcome.moved == 0);
  CHECK(contains(route_clusters(files, "--ridge 1e12 --scalar " + scalar).warnings,
                 "of 16 feature columns"));
}

TEST_CASE("route_features warns of features that are all zero or constant",
          "[examples][regression]") {
  const Files files;
  const double value = GENERATE(0.0, 3.0);
  write_clusters(files, [&](Matrix<double>& x) { x.setConstant(value); });
  const std::string scalar = GENERATE("float", "double");
  const std::string form = GENERATE("information", "covariance");
  CAPTURE(value, scalar, form);
  const RoutedClusters outcome = route_clusters(files, "--scalar " + scalar + " --form " + form);
  CHECK(outcome.accuracy == 0.25);
  CHECK(contains(outcome.warnings, value == 0 ? "all features are zero" : "hardly vary"));
  const RoutedClusters stream =
      route_clusters(files, "--form covariance --ridge 1 --scalar " + scalar);
  CHECK(contains(stream.warnings, "all training rows have the same features"));
}

TEST_CASE("route_features reads features in float and prints nothing when quiet", "[examples]") {
  const Files files;
  const Matrix<float> narrow = files.train.features.cast<float>();
  const std::string path = write(files.folder, "narrow", narrow, files.train.labels);
  const ProgramResult result =
      files.run("--train " + path + " --ridge 1 --scalar double --quiet --threads 1");
  CHECK(result.status == 0);
  CHECK(result.output.empty());
  const Matrix<double> weights = SafetensorsReader(files.tensors).matrix<double>("weights");
  CHECK(relative_error(weights, joint_fit(narrow, files.train.one_hot(), 1)) < 1e-11);
}

TEST_CASE("route_features explains itself", "[examples]") {
  const ProgramResult help = run_program(route_features_program, "--help");
  CHECK(help.status == 0);
  for (const char* option : {"--train", "--test", "--expansion", "--activation", "--ridge",
                             "--shift", "--form", "--scalar", "--batch", "--seed", "--balanced",
                             "--json", "--weights", "--threads", "--quiet"}) {
    CAPTURE(option);
    CHECK(contains(help.output, option));
  }
  CHECK(run_program(route_features_program, "--version").status == 0);
}

TEST_CASE("route_features refuses wrong options and files with status 2", "[examples][error]") {
  const Files files;
  const auto refused = [&](const std::string& more, const std::string& reason) {
    const ProgramResult result = run_program(route_features_program, files.arguments + " " + more);
    CAPTURE(more, result.output);
    CHECK(result.status == 2);
    CHECK(contains(result.output, reason));
  };
  CHECK(run_program(route_features_program, "").status == 2);
  refused("--nonsense", "--nonsense");
  refused("--form square", "--form is 'square', expected information or covariance");
  refused("--scalar half", "--scalar is 'half'");
  refused("--shift all", "--shift is 'all', expected auto or none");
  refused("--expansion dense", "expected none, dense:D or hadamard:D");
  refused("--activation tanh", "tanh");
  refused("--ridge 0", "ridge is 0");
  refused("--ridge -1", "ridge is -1");
  refused("--ridge nan", "ridge");
  refused("--ridge much", "--ridge is 'much', expected a number above 0 or auto");
  refused("--batch 0", "--batch is 0");
  refused("--threads -1", "threads is -1");
  refused("--json " + files.folder.file("no/out"), "cannot be written");
  refused("--weights " + files.folder.file("no/out"), "cannot be written");
  refused("--train " + files.folder.file("missing"), "missing");
  refused("--train " + files.folder.write("short", "abc"), "short");
  refused("--train " + files.folder.write("text", std::string("\2\0\0\0\0\0\0\0{}", 10)),
          "has no tensor \"features\"");

  const std::vector<std::int64_t>& labels = files.train.labels;
  Matrix<double> bad = files.train.features;
  bad(7, 3) = std::numeric_limits<double>::quiet_NaN();
  refused("--train " + write(files.folder, "nan", bad, labels),
          "NaN or infinity at row 7, column 3");
  bad(7, 3) = std::numeric_limits<double>::infinity();
  refused(
      "--test " + write(files.folder, "inf", Matrix<double>(bad.topRows(120)), files.test.labels),
      "NaN or infinity at row 7, column 3");
  refused("--train " + write(files.folder, "few", files.train.features,
                             std::vector<std::int64_t>(labels.begin(), labels.end() - 1)),
          "labels");
  refused("--train " + write(files.folder, "none", Matrix<double>(0, 12), {}),
          "expected at least one row");
  refused("--test " + write(files.folder, "narrow", Matrix<double>(files.test.features.leftCols(5)),
                            files.test.labels),
          "is 120 x 5, expected n x 12");
  std::vector<std::int64_t> strange = files.test.labels;
  strange[4] = 77;
  refused("--test " + write(files.folder, "strange", files.test.features, strange),
          "holds 77 at row 4");
  strange[5] = 77;
  strange[6] = -8;
  const std::string all =
      "--test " +
      write(files.folder, "all", Matrix<double>(files.test.features.leftCols(5)), strange);
  refused(all, "3 faults:\n");
  refused(all, "is 120 x 5, expected n x 12");
  refused(all, "holds 77 at row 4, expected a label of the training file\n");
  refused(all, "holds -8 at row 6");
  // both files, whatever is wrong with each
  bad(9, 1) = bad(9, 2) = std::numeric_limits<double>::quiet_NaN();
  const std::string both = "--train " + write(files.folder, "both", bad, labels) + " " + all;
  refused(both, "5 faults:\n");
  refused(both, "both: features hold NaN or infinity at row 7, column 3\n");
  refused(both, "both: features hold NaN or infinity at row 9, column 1\n");
  refused(both, "is 120 x 5, expected n x 12");
  const std::string gone =
      "--train " + files.folder.file("missing") + " --test " + files.folder.write("text2", "abc");
  refused(gone, "2 faults:\n");
  refused(gone, "missing");
  refused(gone, "text2");
  Matrix<double> large = files.train.features;
  large(2, 1) = 1e200;
  const std::string stored = "--train " + write(files.folder, "large", large, labels);
  refused(stored + " --scalar float",
          "hold 1e+200 at row 2, column 1, which float cannot hold: --scalar double can");
  refused("--ridge 1e39 --scalar float", "--ridge is 1e+39, expected at most 3.402");
  refused("--json -", "-: is no name of a file");
  bad.setConstant(std::numeric_limits<double>::infinity());
  refused("--train " + write(files.folder, "endless", bad, labels), "more");
}
