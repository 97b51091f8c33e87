// SPDX-License-Identifier: MIT
#include "llama_continual/report.hpp"

#include <anyssr/core/version.hpp>
#include <cstdio>
#include <utility>

#include "support/output_file.hpp"
#include "support/shown.hpp"

namespace llama_continual {

using anyssr::Index;
using anyssr::Json;

namespace {

void print_matrix(const std::vector<Task>& tasks, const Results& results) {
  std::printf(
      "\naccuracy (answer and its end right); row: after learning it, column: asked about\n");
  std::printf("%-19s", "");
  for (const Task& task : tasks)
    std::printf(" %s", support::in_columns(task.name, 10, true).c_str());
  std::printf("\n");
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    std::printf("%2zu %s", i + 1, support::in_columns(tasks[i].name, 16).c_str());
    for (const double accuracy : results.accuracy.row(static_cast<Index>(i))) {
      std::printf("      %.3f", accuracy);
    }
    std::printf("\n");
  }
}

void print_tasks(const std::vector<Task>& tasks, const Results& results) {
  std::printf("\n%-19s %9s %9s %9s %12s %14s\n", "", "routed", "own", "ROUGE-L", "bytes",
              "tokens/s train");
  for (std::size_t t = 0; t < tasks.size(); ++t) {
    const TaskFigures& figures = results.tasks[t];
    std::printf("%2zu %s %9.3f %9.3f %9.3f %12zu", t + 1,
                support::in_columns(tasks[t].name, 16).c_str(),
                results.confusion.recall(static_cast<Index>(t)), figures.oracle_accuracy,
                figures.rouge_l, figures.adapter_bytes);
    if (figures.train_per_second > 0) {
      std::printf(" %14.0f\n", figures.train_per_second);
    } else {
      std::printf(" %14s\n", "-");
    }
  }
  std::printf(
      "   routed: share of prompts that its router sends to it; own: accuracy under its own "
      "adapter\n");
}

void print_interference(const std::vector<Task>& tasks, const Results& results) {
  std::printf(
      "\ninterference: change by the row's adapter on the column's prompts, over that on its "
      "own\n");
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    std::printf("%2zu %s", i + 1, support::in_columns(tasks[i].name, 16).c_str());
    for (std::size_t j = 0; j < tasks.size(); ++j) {
      const double bound = results.interference_bound[i][j];
      std::printf("  %.3f", results.interference[i][j]);
      if (bound > 0) std::printf(" (bound %.3f)", bound);
    }
    std::printf("\n");
  }
}

Json counts_of(const anyssr::ConfusionMatrix& confusion) {
  Json rows = Json::array();
  for (Index i = 0; i < confusion.labels(); ++i) {
    Json row = Json::array();
    for (Index j = 0; j < confusion.labels(); ++j) row.push_back(confusion.count(i, j));
    rows.push_back(std::move(row));
  }
  return rows;
}

Json matrix_of(const anyssr::AccuracyMatrix& accuracy) {
  Json rows = Json::array();
  for (Index i = 0; i < accuracy.tasks(); ++i) {
    Json row = Json::array();
    for (Index j = 0; j < accuracy.tasks(); ++j) {
      row.push_back(accuracy.has(i, j) ? Json(accuracy(i, j)) : Json(nullptr));
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

Json details_of(const Task& task, const TaskFigures& figures, double routed, double accuracy) {
  return {{"name", task.name},
          {"is_adapter_trained", task.adapter.empty()},
          {"train_items", task.train.size()},
          {"test_items", task.test.size()},
          {"accuracy", accuracy},
          {"oracle_accuracy", figures.oracle_accuracy},
          {"routing_accuracy", routed},
          {"rouge_l", figures.rouge_l},
          {"learn_seconds", figures.learn_seconds},
          {"train_tokens_per_second",
           figures.train_per_second > 0 ? Json(figures.train_per_second) : Json(nullptr)},
          {"losses", figures.losses},
          {"adapter_parameters", figures.adapter_parameters},
          {"adapter_bytes", figures.adapter_bytes}};
}

Json blend_json(const std::optional<BlendFigures>& blend) {
  if (!blend) return nullptr;
  return {{"prompts", blend->prompts},
          {"right_alone", blend->right_alone},
          {"right_blended", blend->right_blended}};
}

}  // namespace

void print_report(const std::vector<Task>& tasks, const Results& results) {
  print_matrix(tasks, results);
  print_tasks(tasks, results);
  if (tasks.size() > 1) print_interference(tasks, results);
  std::printf("\naverage accuracy             %.4f\n", anyssr::average_accuracy(results.accuracy));
  std::printf("accuracy, right task given   %.4f\n", results.oracle_accuracy);
  std::printf("forgetting                   %.4f\n", anyssr::forgetting(results.accuracy));
  std::printf("routing accuracy             %.4f\n", results.confusion.accuracy());
  if (results.stripped) {
    std::printf("routing, words taken out     %.4f   (another router, for this figure alone)\n",
                results.stripped->accuracy());
  }
  if (results.blend) {
    std::printf("%ld unsure prompts: right by the best adapter %ld, by the two best blended %ld\n",
                static_cast<long>(results.blend->prompts),
                static_cast<long>(results.blend->right_alone),
                static_cast<long>(results.blend->right_blended));
  }
  std::printf("tokens per second            %.0f   (read and written, routing included)\n",
              results.tokens_per_second);
  std::printf("router                       %.1f MB\n",
              static_cast<double>(results.router_bytes) / 1e6);
  std::printf("seconds                      %.1f\n", results.total_seconds);
}

void write_figures(const std::string& path, const std::vector<Task>& tasks, const Options& options,
                   const Results& results) {
  Json names = Json::array();
  Json details = Json::array();
  Json adapter_bytes = Json::array();
  for (std::size_t t = 0; t < tasks.size(); ++t) {
    const auto row = static_cast<Index>(t);
    names.push_back(tasks[t].name);
    details.push_back(details_of(tasks[t], results.tasks[t], results.confusion.recall(row),
                                 results.accuracy(results.accuracy.tasks() - 1, row)));
    adapter_bytes.push_back(results.tasks[t].adapter_bytes);
  }
  const auto& stripped = results.stripped;
  const anyssr::LearnerOptions& learner = options.learner;
  support::write_json(
      path, {{"tasks", std::move(names)},
             {"accuracy_matrix", matrix_of(results.accuracy)},
             {"average_accuracy", anyssr::average_accuracy(results.accuracy)},
             {"oracle_accuracy", results.oracle_accuracy},
             {"forgetting", anyssr::forgetting(results.accuracy)},
             {"backward_transfer", anyssr::backward_transfer(results.accuracy)},
             {"routing_accuracy", results.confusion.accuracy()},
             {"routing_confusion", counts_of(results.confusion)},
             {"routing_accuracy_stripped", stripped ? Json(stripped->accuracy()) : Json(nullptr)},
             {"routing_confusion_stripped", stripped ? counts_of(*stripped) : Json(nullptr)},
             {"blend", blend_json(results.blend)},
             {"interference", results.interference},
             {"interference_bound", results.interference_bound},
             {"tokens_per_second", results.tokens_per_second},
             {"adapter_bytes", std::move(adapter_bytes)},
             {"router_bytes", results.router_bytes},
             {"peak_bytes", results.peak_bytes},
             {"total_seconds", results.total_seconds},
             {"task_details", std::move(details)},
             {"k", options.shallow_layers},
             {"seed", learner.seed},
             {"router_width", learner.router.expansion.dim},
             {"ridge", learner.router.rls.ridge},
             {"route_strip", options.strip},
             {"version", ANYSSR_VERSION_STRING}});
}

}  // namespace llama_continual
