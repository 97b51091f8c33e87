// SPDX-License-Identifier: MIT
#include "departments/report.hpp"

#include <anyssr/core/error.hpp>
#include <anyssr/core/version.hpp>
#include <array>
#include <cstdio>
#include <numeric>
#include <sstream>

#include "support/output_file.hpp"
#include "support/shown.hpp"
#include "support/strict_json.hpp"

namespace departments {

using anyssr::Index;
using support::Json;

namespace {

void print_matrix(const Questions& questions, const Results& results) {
  std::printf(
      "\naccuracy (department and intent right); row: after learning it, column: asked "
      "about\n%-22s",
      "");
  for (const Department& department : questions.departments)
    std::printf(" %s", support::in_columns(department.name, 8, true).c_str());
  std::printf("\n");
  for (Index i = 0; i < results.accuracy.tasks(); ++i) {
    if (!results.accuracy.has(i, 0)) continue;
    const Department& department = questions.departments[static_cast<std::size_t>(i)];
    std::printf("%2ld %s", static_cast<long>(i + 1),
                support::in_columns(department.name, 19).c_str());
    for (Index j = 0; j <= i; ++j) std::printf("    %.3f", results.accuracy(i, j));
    std::printf("\n");
  }
}

/// Whether no row of the accuracies was left to an earlier run.
bool is_complete(const Results& results) { return results.accuracy.has(0, 0); }

std::string digest_text(std::uint64_t digest) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "0x%016llx", static_cast<unsigned long long>(digest));
  return text.data();
}

Json task_names(const Questions& questions) {
  Json names = Json::array();
  for (const Department& department : questions.departments) names.push_back(department.name);
  return names;
}

}  // namespace

void print_report(const Questions& questions, const Results& results) {
  print_matrix(questions, results);
  const double average = anyssr::average_accuracy(results.accuracy);
  std::printf("\naverage accuracy             %.4f\n", average);
  std::printf("routing accuracy             %.4f\n", results.confusion.accuracy());
  std::printf("accuracy, right task given   %.4f\n", results.oracle_accuracy);
  if (is_complete(results)) {
    std::printf(
        "forgetting                   %.4f   (first or best minus last: more choices, harder "
        "choice)\n",
        anyssr::forgetting(results.accuracy));
  } else {
    std::printf("forgetting                   -        (earlier runs measured the first rows)\n");
  }
  std::printf("forgetting against joint     %.4f   (one router that saw all rows at once: %.4f)\n",
              results.joint_accuracy - average, results.joint_accuracy);
  std::printf("decisions unlike the joint's %ld of %ld\n",
              static_cast<long>(results.decisions_changed), static_cast<long>(results.decisions));
  std::printf("calibration error            %.4f\n", results.calibration_error);
  if (results.outside_auroc >= 0) {
    std::printf("median confidence            %.3f; questions of no department %.3f (AUROC %.3f)\n",
                results.inside_confidence, results.outside_confidence, results.outside_auroc);
  }
  std::printf("\nmost confused departments\n");
  for (const anyssr::ConfusedPair& pair : results.confusion.worst_pairs(5)) {
    const auto name_of = [&](Index task) {
      return support::in_columns(questions.departments[static_cast<std::size_t>(task)].name, 20);
    };
    std::printf("  %s taken for %s %4ld (%.1f %%)\n", name_of(pair.truth).c_str(),
                name_of(pair.predicted).c_str(), static_cast<long>(pair.count), 100 * pair.share);
  }
  std::printf("\nsame routing, other adapters: average accuracy\n");
  for (const char* kind : {"ridge_head", "trained_head", "lora", "default"}) {
    std::printf("  %-20s %.4f\n", kind, results.ablation.at(kind));
  }
  const std::size_t adapters =
      std::accumulate(results.adapter_bytes.begin(), results.adapter_bytes.end(), std::size_t{0});
  std::printf(
      "\nstored per task              %.2f MB (adapters); router %.1f MB for all\n",
      static_cast<double>(adapters) / static_cast<double>(results.adapter_bytes.size()) / 1e6,
      static_cast<double>(results.router_bytes) / 1e6);
  std::printf("a question                   %.0f microseconds, text to answer\n",
              results.query_microseconds);
  std::printf("seconds                      %.1f in all, %.1f learning\n", results.total_seconds,
              std::accumulate(results.learn_seconds.begin(), results.learn_seconds.end(), 0.0));
}

void write_json(const std::string& path, const Questions& questions, const Options& options,
                const Results& results) {
  Json matrix = Json::array();
  Json confusion = Json::array();
  for (Index i = 0; i < results.accuracy.tasks(); ++i) {
    Json row = Json::array();
    Json counts = Json::array();
    for (Index j = 0; j < results.accuracy.tasks(); ++j) {
      const bool is_known = j <= i && results.accuracy.has(i, j);
      row.push_back(is_known ? Json(results.accuracy(i, j)) : Json(nullptr));
      counts.push_back(results.confusion.count(i, j));
    }
    matrix.push_back(std::move(row));
    confusion.push_back(std::move(counts));
  }
  Json adapter_digests = Json::array();
  for (const std::uint64_t digest : results.adapter_digests) {
    adapter_digests.push_back(digest_text(digest));
  }
  const bool complete = is_complete(results);
  const double average = anyssr::average_accuracy(results.accuracy);
  Json json{
      {"tasks", task_names(questions)},
      {"accuracy_matrix", std::move(matrix)},
      {"average_accuracy", average},
      {"forgetting", complete ? Json(anyssr::forgetting(results.accuracy)) : Json(nullptr)},
      {"forgetting_vs_joint", results.joint_accuracy - average},
      {"backward_transfer",
       complete ? Json(anyssr::backward_transfer(results.accuracy)) : Json(nullptr)},
      {"routing_accuracy", results.confusion.accuracy()},
      {"routing_confusion", std::move(confusion)},
      {"oracle_accuracy", results.oracle_accuracy},
      {"decisions_changed_vs_joint", results.decisions_changed},
      {"ece", results.calibration_error},
      {"ablation", results.ablation},
      {"learn_seconds", results.learn_seconds},
      {"total_seconds", results.total_seconds},
      {"query_microseconds", results.query_microseconds},
      {"known_before", results.known_before},
      {"sums_digest", digest_text(results.sums_digest)},
      {"adapter_digests", std::move(adapter_digests)},
      {"adapter_bytes", results.adapter_bytes},
      {"router_bytes", results.router_bytes},
      {"peak_bytes", results.peak_bytes},
      {"outside_auroc", results.outside_auroc < 0 ? Json(nullptr) : Json(results.outside_auroc)},
      {"measured_on", options.measured},
      {"seed", options.seed},
      {"version", ANYSSR_VERSION_STRING}};
  support::write_json(path, json);
}

}  // namespace departments
