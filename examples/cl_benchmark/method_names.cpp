// SPDX-License-Identifier: MIT
#include "cl_benchmark/method_names.hpp"

#include <algorithm>
#include <anyssr/core/error.hpp>
#include <array>
#include <string>

#include "support/shown.hpp"

namespace cl_benchmark {

namespace {

constexpr std::array all_methods{
    MethodName{"anyssr", "an adapter per task, and the analytic router"},
    MethodName{"anyssr_balanced", "the same, with every task counted alike by the router"},
    MethodName{"oracle", "the adapters of anyssr, and the right task told"},
    MethodName{"joint", "one adapter, all tasks at once"},
    MethodName{"seq_lora", "one adapter, trained on task after task"},
    MethodName{"replay_20", "one adapter, and 20 rows per answer of each task kept for later"},
    MethodName{"replay_100", "one adapter, and 100 rows per answer of each task kept for later"},
    MethodName{"ewc", "one adapter, held near what mattered to earlier tasks"},
    MethodName{"l2", "one adapter, held near what it was after earlier tasks"},
    MethodName{"o_lora", "one adapter with a block of rank per task, apart from the others"},
    MethodName{"nearest_mean", "the adapters of anyssr, routed to the nearest mean feature"},
    MethodName{"mahalanobis", "the adapters of anyssr, routed by a linear discriminant"},
    MethodName{"sgd_softmax",
               "the adapters of anyssr, routed by softmax regression trained on line"},
    MethodName{"knn_20", "the adapters of anyssr, routed by 20 rows per answer that are kept"},
    MethodName{"arrow", "the adapters of anyssr, routed by their leading directions, no data"},
    MethodName{"published_rls",
               "the adapters of anyssr, routed by the published recursion on random projections"},
    MethodName{"published_rls_relu", "the same, with ReLU after the projection"},
    MethodName{"majority", "the most frequent answer of the right task"},
};

}  // namespace

std::span<const MethodName> method_names() { return all_methods; }

void expect_method(std::string_view name) {
  if (std::ranges::find(all_methods, name, &MethodName::name) != all_methods.end()) return;
  std::string known;
  for (const MethodName& method : all_methods) {
    known += (known.empty() ? "" : ", ") + std::string(method.name);
  }
  throw anyssr::ArgumentError("--methods names " + support::in_quotes(std::string(name)) +
                              ", expected some of " + known);
}

}  // namespace cl_benchmark
