// SPDX-License-Identifier: MIT

/// @file
/// Routes features that a real model has written to files: learns one task per label from a
/// training file, in sequence, and says how well the rows of a test file are routed.
///
/// Learn from it how an expansion and RecursiveLeastSquares are fed without a learner, and how
/// tensors are read and written.

#include <algorithm>
#include <cstdio>

#include "route_features/experiment.hpp"
#include "support/application.hpp"
#include "support/command_line.hpp"
#include "support/run_files.hpp"

namespace {

using route_features::Options;
using route_features::Results;

void declare(CLI::App& app, Options& options, std::string& json) {
  support::prepare(app);
  app.add_option("--train", options.train,
                 "safetensors file: features n x D (F32 or F64), labels n (I64)")
      ->required();
  app.add_option("--test", options.test, "the same, of rows to route")->required();
  app.add_option("--expansion", options.expansion, "none, dense:D or hadamard:D")
      ->capture_default_str();
  app.add_option("--activation", options.activation,
                 "of the expansion: identity, relu, gelu, cosine")
      ->capture_default_str();
  app.add_option("--ridge", options.ridge,
                 "lambda > 0, absolute; auto: by generalised cross-validation from the sums")
      ->capture_default_str();
  app.add_option("--shift", options.shift,
                 "auto: where the mean of a feature in the first rows is more than 128 times its "
                 "spread, the mean is subtracted. none: features are taken as they are")
      ->capture_default_str();
  app.add_option("--form", options.form, "information or covariance")->capture_default_str();
  app.add_option("--scalar", options.scalar, "float or double")->capture_default_str();
  app.add_option("--batch", options.batch, "rows that arrive at once")->capture_default_str();
  app.add_option("--seed", options.seed, "of the expansion")->capture_default_str();
  app.add_flag("--balanced", options.balanced,
               "every task counts the same: rows weigh 1 / n_t, lambda is scaled by tasks / rows");
  app.add_option("--json", json, "write the figures to this file");
  app.add_option("--weights", options.weights,
                 "write weights, scores and predictions of the test rows to this safetensors file");
  app.add_option("--threads", options.threads, "0: the cores that this process may use")
      ->capture_default_str();
  app.add_flag("--quiet", options.quiet, "print no progress and no table");
}

void print_report(const Options& options, const Results& results) {
  std::printf("%-18s %10s %10s\n", "task (label)", "rows", "accuracy");
  constexpr std::size_t most = 20;
  for (std::size_t t = 0; t < std::min(most, results.labels.size()); ++t) {
    std::printf("%-18lld %10lld %10.4f\n", static_cast<long long>(results.labels[t]),
                static_cast<long long>(results.task_rows[t]), results.task_accuracy[t]);
  }
  if (results.labels.size() > most) {
    std::printf("... and %zu more tasks\n", results.labels.size() - most);
  }
  std::printf("\nrouting accuracy   %.4f   (%lld rows; mean over tasks %.4f)\n", results.accuracy,
              static_cast<long long>(results.test_rows), results.macro_accuracy);
  std::printf("ridge              %.6g%s\n", results.ridge,
              options.ridge == "auto" ? "   (by cross-validation)" : "");
  std::printf("features           %lld, expanded to %lld\n",
              static_cast<long long>(results.feature_dim), static_cast<long long>(results.dim));
  if (results.moved > 0) {
    std::printf(
        "shift              %lld feature columns were far from zero; their mean was subtracted\n",
        static_cast<long long>(results.moved));
  }
  if (!results.status.empty()) {
    std::printf("covariance form    %s, condition at most %.2g\n", results.status.c_str(),
                results.condition);
  }
  std::printf("seconds            %.3f learning, %.3f routing\n", results.seconds_learn,
              results.seconds_route);
}

void write_json(const std::string& path, const Options& options, const Results& results) {
  anyssr::Json json{{"accuracy", results.accuracy},
                    {"macro_accuracy", results.macro_accuracy},
                    {"seconds_learn", results.seconds_learn},
                    {"seconds_route", results.seconds_route},
                    {"ridge", results.ridge},
                    {"rows", results.rows},
                    {"test_rows", results.test_rows},
                    {"tasks", results.tasks},
                    {"feature_dim", results.feature_dim},
                    {"dim", results.dim},
                    {"router_bytes", results.router_bytes},
                    {"peak_bytes", results.peak_bytes},
                    {"form", options.form},
                    {"scalar", options.scalar},
                    {"expansion", options.expansion},
                    {"moved_columns", results.moved},
                    {"warnings", results.warnings},
                    {"seed", options.seed},
                    {"balanced", options.balanced}};
  if (!results.status.empty()) {
    json["status"] = results.status;
    json["condition"] = results.condition;
  }
  support::write_json(path, json);
}

void run(const Options& options, const std::string& json) {
  support::expect_scalar(options.scalar);
  if (options.form != "information" && options.form != "covariance") {
    throw anyssr::ArgumentError("--form is '" + options.form +
                                "', expected information or covariance");
  }
  if (options.shift != "auto" && options.shift != "none") {
    throw anyssr::ArgumentError("--shift is '" + options.shift + "', expected auto or none");
  }
  if (options.batch < 1) {
    throw anyssr::ArgumentError("--batch is " + std::to_string(options.batch) +
                                ", expected at least 1");
  }
  support::RunFiles files;
  files.reads("--train", options.train);
  files.reads("--test", options.test);
  files.writes("--json", json);
  files.writes("--weights", options.weights);
  files.expect_apart();
  const Results results = options.scalar == "float" ? route_features::run_float(options)
                                                    : route_features::run_double(options);
  route_features::warn(results.warnings);
  if (!options.quiet) print_report(options, results);
  if (!json.empty()) write_json(json, options, results);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Learns a router from features in files, one task per label, and measures it.",
               "route_features"};
  Options options;
  std::string json;
  declare(app, options, json);
  return support::run_application(app, argc, argv, "try a narrower expansion, or --scalar float",
                                  [&] { run(options, json); });
}
