// SPDX-License-Identifier: MIT
#include "anyssr/lora/adapter_budget.hpp"

#include <functional>

#include "support/catch.hpp"
#include "support/numeric.hpp"
#include "support/random_module.hpp"

using namespace anyssr;
using namespace anyssr::test;

namespace {

/// Shape of one module; k above 0: confined to so many directions.
struct BudgetShape {
  Index in;
  Index out;
  Index rank;
  Index k;
};

/// Adapters of sites s0, s1, ..., the numbers of adapter i times 4^-i, each with a head.
template <class S>
std::vector<Adapter<S>> shaped_adapters(const std::vector<std::vector<BudgetShape>>& shapes,
                                        std::uint64_t seed) {
  std::vector<Adapter<S>> adapters;
  for (const auto& sites : shapes) {
    Adapter<S> adapter;
    for (const BudgetShape& s : sites) {
      const double alpha = 3 * std::pow(0.25, static_cast<double>(adapters.size()));
      adapter.modules.emplace("s" + std::to_string(adapter.modules.size()),
                              random_module<S>(s.in, s.out, s.rank, s.k, ++seed, alpha));
    }
    adapter.heads["top"] = {.weights = random_normal<S>(4, 3, seed, 7),
                            .bias = random_normal<S>(1, 3, seed, 8)};
    adapter.metadata["number"] = std::to_string(adapters.size());
    adapters.push_back(std::move(adapter));
  }
  return adapters;
}

template <class S>
std::vector<const Adapter<S>*> pointers_to(const std::vector<Adapter<S>>& adapters) {
  std::vector<const Adapter<S>*> pointers;
  for (const Adapter<S>& adapter : adapters) pointers.push_back(&adapter);
  return pointers;
}

template <class S>
ConsolidationPlan ranks_within(const std::vector<Adapter<S>>& adapters, std::size_t bytes,
                               const BudgetOptions& options = {}) {
  return plan_ranks<S>(pointers_to(adapters), bytes, options);
}

/// The least energy that any choice of ranks within the budget loses, by trying all of them on the
/// singular values of the written out changes.
template <class S>
double least_loss(const std::vector<Adapter<S>>& adapters, std::size_t budget,
                  const BudgetOptions& options) {
  struct Choice {
    std::size_t bytes;
    double loss;
  };
  std::vector<std::vector<Choice>> modules;
  for (const Adapter<S>& adapter : adapters) {
    double norm = 0;
    for (const auto& [site, m] : adapter.modules) norm += explicit_delta(m).squaredNorm();
    for (const auto& [site, m] : adapter.modules) {
      const Eigen::VectorXd values = singular_values_of(explicit_delta(m));
      std::vector<Choice>& choices = modules.emplace_back();
      for (Index r = options.may_drop ? 0 : 1; r <= m.rank(); ++r) {
        const Index numbers = r == 0 ? 0 : r * (m.a().cols() + m.out_dim()) + m.basis().size();
        const double loss = values.tail(values.size() - r).squaredNorm();
        choices.push_back(
            {static_cast<std::size_t>(numbers) * sizeof(S), options.relative ? loss / norm : loss});
      }
    }
  }
  double best = std::numeric_limits<double>::infinity();
  const std::function<void(std::size_t, std::size_t, double)> visit =
      [&](std::size_t m, std::size_t bytes, double loss) {
        if (bytes > budget) return;
        if (m == modules.size()) {
          best = std::min(best, loss);
          return;
        }
        for (const Choice& c : modules[m]) visit(m + 1, bytes + c.bytes, loss + c.loss);
      };
  visit(0, 0, 0);
  return best;
}

/// What a plan loses, in the same measure.
double planned_loss(const ConsolidationPlan& plan, const BudgetOptions& options) {
  double loss = 0;
  for (const AdapterBudget& adapter : plan.adapters) {
    const double unit = options.relative ? adapter.norm * adapter.norm : 1;
    loss += adapter.error * adapter.error / unit;
  }
  return loss;
}

}  // namespace

TEMPLATE_TEST_CASE("a plan loses as little as the best choice where ranks cost the same",
                   "[lora][property]", float, double) {
  const auto seed = GENERATE(range(1u, 5u));
  const bool relative = GENERATE(false, true);
  const bool may_drop = GENERATE(false, true);
  CAPTURE(seed, relative, may_drop);
  const BudgetOptions options{.relative = relative, .may_drop = may_drop};
  const auto adapters =
      shaped_adapters<TestType>({{{7, 6, 3, 0}, {6, 7, 2, 0}}, {{8, 5, 3, 0}, {5, 8, 3, 0}}}, seed);
  const std::size_t rank_bytes = 13 * sizeof(TestType);
  for (std::size_t ranks = 4; ranks <= 11; ++ranks) {
    const std::size_t budget = ranks * rank_bytes + 5;
    const ConsolidationPlan plan = ranks_within(adapters, budget, options);
    const double best = least_loss(adapters, budget, options);
    CHECK(plan.bytes_after == ranks * rank_bytes);
    CHECK(std::abs(planned_loss(plan, options) - best) < round_off<double>(1000) * (1 + best));
  }
}

TEMPLATE_TEST_CASE("no choice is better by more than a step of the budget", "[lora][property]",
                   float, double) {
  const auto seed = GENERATE(range(1u, 5u));
  const bool may_drop = GENERATE(false, true);
  CAPTURE(seed, may_drop);
  const BudgetOptions options{.relative = true, .may_drop = may_drop};
  const auto adapters =
      shaped_adapters<TestType>({{{9, 4, 3, 0}, {6, 12, 4, 5}}, {{20, 5, 3, 6}}}, seed);
  // the largest step: all ranks of the last module with its basis
  const std::size_t step = (20 * 6 + 3 * (6 + 5)) * sizeof(TestType);
  for (std::size_t budget = 800; budget <= 2000; budget += 60) {
    const ConsolidationPlan plan = ranks_within(adapters, budget * sizeof(TestType) / 4, options);
    const double loss = planned_loss(plan, options);
    const std::size_t bytes = budget * sizeof(TestType) / 4;
    const double slack = round_off<TestType>(100);  // what a basis is orthonormal to
    CHECK(plan.bytes_after <= bytes);
    CHECK(loss >= least_loss(adapters, bytes, options) - slack);
    if (bytes > step) CHECK(loss <= least_loss(adapters, bytes - step, options) + slack);
  }
}

TEMPLATE_TEST_CASE("consolidated adapters have the bytes and errors of their plan",
                   "[lora][property]", float, double) {
  const auto seed = GENERATE(range(1u, 6u));
  const bool may_drop = GENERATE(false, true);
  CAPTURE(seed, may_drop);
  const auto adapters =
      shaped_adapters<TestType>({{{9, 4, 3, 0}, {6, 12, 4, 5}}, {{20, 5, 3, 6}}}, seed);
  const ConsolidationPlan plan =
      ranks_within(adapters, 250 * sizeof(TestType), {.relative = true, .may_drop = may_drop});
  const Consolidation<TestType> result = consolidate<TestType>(pointers_to(adapters), plan);
  std::size_t before = 0;
  std::size_t after = 0;
  for (std::size_t i = 0; i < adapters.size(); ++i) {
    const Adapter<TestType>& adapter = result.adapters[i];
    CHECK(adapter.heads == adapters[i].heads);
    CHECK(adapter.metadata == adapters[i].metadata);
    double squares = 0;
    for (const auto& [site, module] : adapters[i].modules) {
      Eigen::MatrixXd lost = explicit_delta(module);
      const ModuleBudget& planned = plan.adapters[i].modules.at(site);
      const ModuleBudget& report = result.report.adapters[i].modules.at(site);
      const double norm = lost.norm();
      before += module.bytes();
      CHECK(planned.bytes_before == module.bytes());
      CHECK(adapter.modules.contains(site) == (planned.rank_after > 0));
      if (planned.rank_after > 0) {
        const LoraModule<TestType>& kept = adapter.modules.at(site);
        lost -= explicit_delta(kept);
        after += kept.bytes();
        CHECK(kept.rank() == planned.rank_after);
        CHECK(kept.bytes() == planned.bytes_after);
        CHECK(kept.is_confined() == module.is_confined());
      }
      squares += lost.squaredNorm();
      CHECK(std::abs(planned.norm / norm - 1) < round_off<double>(100) + round_off<TestType>(10));
      CHECK(std::abs(planned.error - lost.norm()) < round_off<TestType>(20) * norm);
      CHECK(std::abs(report.error - lost.norm()) < round_off<double>(200) * norm);
    }
    CHECK(std::abs(result.report.adapters[i].error - std::sqrt(squares)) <
          round_off<double>(200) * plan.adapters[i].norm);
    CHECK(result.report.adapters[i].head_bytes == 15 * sizeof(TestType));
  }
  CHECK(plan.bytes_before == before);
  CHECK(plan.bytes_after == after);
  CHECK(result.report.bytes_before == before);
  CHECK(result.report.bytes_after == after);
  CHECK(plan.head_bytes == 30 * sizeof(TestType));
}

TEST_CASE("adapters that fit into the budget come back bit for bit", "[lora]") {
  const auto adapters = shaped_adapters<float>({{{9, 4, 6, 0}, {6, 12, 4, 5}}, {{7, 5, 3, 0}}}, 3);
  std::size_t bytes = 0;
  for (const auto& adapter : adapters) {
    for (const auto& [site, module] : adapter.modules) bytes += module.bytes();
  }
  const ConsolidationPlan plan = ranks_within(adapters, bytes);
  CHECK(plan.bytes_after == bytes);
  CHECK(consolidate<float>(pointers_to(adapters), plan).adapters == adapters);
}

TEST_CASE("an adapter with small numbers keeps its ranks unless losses count as they are",
          "[lora]") {
  auto adapters = shaped_adapters<double>({{{8, 8, 4, 0}}}, 5);
  adapters.push_back(adapters[0]);
  adapters[1].modules.at("s0").mutable_b() *= 1e-6;
  const std::size_t five_ranks = 5 * 16 * sizeof(double);
  const auto rank = [&](const BudgetOptions& options, std::size_t adapter) {
    return ranks_within(adapters, five_ranks, options)
        .adapters[adapter]
        .modules.at("s0")
        .rank_after;
  };
  CHECK(rank({.relative = false}, 0) == 4);
  CHECK(rank({.relative = false}, 1) == 1);
  CHECK(rank({}, 0) + rank({}, 1) == 5);
  CHECK(rank({}, 1) >= 2);
}

TEST_CASE("a module without a change is the first to be dropped", "[lora]") {
  auto adapters = shaped_adapters<double>({{{8, 8, 2, 0}, {8, 8, 2, 0}}}, 6);
  adapters[0].modules.at("s0") = LoraModule<double>(8, 8, {.rank = 2}, 1);
  const ConsolidationPlan plan =
      ranks_within(adapters, 2 * 16 * sizeof(double), {.relative = true, .may_drop = true});
  CHECK(plan.adapters[0].modules.at("s0").rank_after == 0);
  CHECK(plan.adapters[0].modules.at("s1").rank_after == 2);
  CHECK(plan.adapters[0].error == 0);
  const auto kept = consolidate<double>(pointers_to(adapters), plan).adapters[0];
  CHECK(kept.modules.size() == 1);
  CHECK(kept.modules.at("s1") == adapters[0].modules.at("s1"));
  const ConsolidationPlan nothing = ranks_within(adapters, 0, {.relative = true, .may_drop = true});
  CHECK(nothing.bytes_after == 0);
}

TEMPLATE_TEST_CASE("a plan for an error keeps to it and one rank less would not",
                   "[lora][property]", float, double) {
  const auto seed = GENERATE(range(1u, 6u));
  const double allowed = GENERATE(0.1, 0.4, 0.8);
  CAPTURE(seed, allowed);
  const auto adapters =
      shaped_adapters<TestType>({{{9, 4, 3, 0}, {6, 12, 4, 5}}, {{20, 5, 3, 6}}}, seed);
  const ConsolidationPlan plan = plan_error<TestType>(pointers_to(adapters), allowed);
  for (std::size_t i = 0; i < adapters.size(); ++i) {
    const AdapterBudget& budget = plan.adapters[i];
    CHECK(budget.error <= allowed * budget.norm * (1 + round_off<double>(10)));
    for (const auto& [site, module] : adapters[i].modules) {
      const Index rank = budget.modules.at(site).rank_after;
      if (rank == 1) continue;
      const Eigen::VectorXd values = singular_values_of(explicit_delta(module));
      CHECK(std::hypot(budget.error, values(rank - 1)) > allowed * budget.norm);
    }
  }
}

TEST_CASE("an error of 0 lets go only of ranks that change nothing", "[lora]") {
  const auto adapters = shaped_adapters<double>({{{12, 10, 3, 0}}}, 8);
  const std::vector<AdapterMix<double>::Entry> twice{{&adapters[0], 1}, {&adapters[0], 0.5}};
  const std::vector<Adapter<double>> merged{merge_adapters<double>(twice)};
  REQUIRE(merged[0].modules.at("s0").rank() == 6);
  const ConsolidationPlan plan = plan_error<double>(pointers_to(merged), 0);
  CHECK(plan.adapters[0].modules.at("s0").rank_after == 3);
  const auto result = consolidate<double>(pointers_to(merged), plan);
  CHECK(result.report.adapters[0].error < round_off<double>(100) * plan.adapters[0].norm);
}

TEMPLATE_TEST_CASE("singular values of a change are those of the written out matrix",
                   "[lora][property]", float, double) {
  const auto seed = GENERATE(range(1u, 6u));
  const Index k = GENERATE(0, 9);
  const LoraModule<TestType> module = random_module<TestType>(12, 10, 4, k, seed);
  const Eigen::VectorXd exact = singular_values_of(explicit_delta(module));
  const Vector<double> values = change_singular_values(module);
  REQUIRE(values.size() == 4);
  // a basis in float is orthonormal to round-off of float only
  CHECK((values - exact.head(4)).norm() <
        (round_off<double>(100) + (k > 0 ? round_off<TestType>(4) : 0)) * exact.norm());
}

TEST_CASE("what cannot be planned is refused", "[lora][error]") {
  auto adapters = shaped_adapters<float>({{{9, 4, 3, 0}, {6, 12, 4, 5}}}, 1);
  const auto message = [&](const std::vector<const Adapter<float>*>& list, std::size_t bytes,
                           bool may_drop = false) {
    return message_of<Error>(
        [&] { (void)plan_ranks<float>(list, bytes, {.relative = true, .may_drop = may_drop}); });
  };
  CHECK(message({}, 100) == "there are 0 adapters, expected at least 1");
  CHECK(message({&adapters[0], nullptr}, 100) == "adapter 1 is null, expected one to consolidate");
  CHECK(message({&adapters[0]}, 239) ==
        "budget_bytes is 239, expected at least 240, what rank 1 at each of 2 modules needs");
  CHECK(message({&adapters[0]}, 240) == "nothing was thrown");
  CHECK(message({&adapters[0]}, 0, true) == "nothing was thrown");
  const auto error_message = [&](double error) {
    return message_of<ArgumentError>(
        [&] { (void)plan_error<float>(pointers_to(adapters), error); });
  };
  CHECK(error_message(-0.5) == "relative_error is -0.5, expected 0 or more, below 1");
  CHECK(error_message(1) == "relative_error is 1, expected 0 or more, below 1");
  CHECK(contains(error_message(std::nan("")), "relative_error is nan"));
  CHECK(message_of<ArgumentError>([&] { (void)plan_error<float>({}, 0.5); }) ==
        "there are 0 adapters, expected at least 1");
  adapters[0].modules.at("s1").mutable_a()(1, 2) = std::numeric_limits<float>::infinity();
  CHECK(message({&adapters[0]}, 1000) ==
        "a hold NaN or infinity at row 1, column 2, expected finite numbers");
}

TEST_CASE("a plan of other adapters is refused", "[lora][error]") {
  const auto adapters = shaped_adapters<float>({{{9, 4, 3, 0}, {6, 12, 4, 5}}}, 1);
  const ConsolidationPlan plan = ranks_within(adapters, 300);
  const auto message = [&](const std::vector<Adapter<float>>& list, const ConsolidationPlan& of) {
    return message_of<Error>([&] { (void)consolidate<float>(pointers_to(list), of); });
  };
  CHECK(message({adapters[0], adapters[0]}, plan) == "plan is of 1 adapters, expected 2");
  CHECK(message(shaped_adapters<float>({{{9, 4, 3, 0}}}, 1), plan) ==
        "plan has 2 sites for adapter 0, expected 1");
  CHECK(contains(message(shaped_adapters<float>({{{9, 4, 3, 0}, {6, 12, 5, 5}}}, 1), plan),
                 "plan takes adapter 0 at 's1' from rank 4 to "));
  ConsolidationPlan changed = plan;
  changed.adapters[0].modules.at("s0").rank_after = 4;
  CHECK(message(adapters, changed) ==
        "plan takes adapter 0 at 's0' from rank 3 to 4, expected from 3 to 0..3");
  auto renamed = adapters;
  auto node = renamed[0].modules.extract("s0");
  node.key() = "other";
  renamed[0].modules.insert(std::move(node));
  CHECK(message(renamed, plan) ==
        "plan has no site 'other' for adapter 0, expected one for each module");
}
