// SPDX-License-Identifier: MIT
// What the router promises on real queries: CLINC150, hashed words.

#include "support/clinc150.hpp"

#include "anyssr/backbone/text_hashing.hpp"
#include "anyssr/metrics/confusion.hpp"
#include "anyssr/router/analytic_router.hpp"
#include "support/catch.hpp"

using namespace anyssr;
using namespace anyssr::test;

namespace {

constexpr Index buckets = 4096;
constexpr RlsOptions real_data_rls{.ridge = 0.3, .ridge_scale = RidgeScale::absolute};

/// A router that learned the rows, and features to measure it on.
class Measured {
 public:
  Measured(const Clinc150& data, const ClincSplit& train, std::uint64_t seed,
           const RouterOptions& options)
      : router_(buckets, options), test_(data.test) {
    const TextHashingBackbone<float> backbone({.dim = buckets, .seed = seed});
    router_.learn_together(std::span<const std::string>(data.names), backbone.features(train.texts),
                           train.tasks, train.labels);
    features_ = backbone.features(test_.texts);
  }
  [[nodiscard]] AnalyticRouter<float>& router() { return router_; }

  /// Mean over tasks of the share routed right; CLINC150 has as many test rows of each.
  [[nodiscard]] double accuracy() const {
    RoutingWorkspace<float> workspace;
    std::vector<RoutingDecision> decisions;
    router_.decide(features_, workspace, decisions);
    ConfusionMatrix confusion(10);
    for (std::size_t i = 0; i < decisions.size(); ++i) {
      confusion.add(test_.tasks[i], decisions[i].task);
    }
    return confusion.accuracy();
  }

 private:
  AnalyticRouter<float> router_;
  const ClincSplit& test_;
  SparseRows<float> features_;
};

}  // namespace

TEST_CASE("label columns route better than task columns alone on CLINC150", "[router]") {
  const auto data = find_clinc150();
  if (!data) return;
  for (const std::uint64_t seed : {0U, 1U, 2U}) {
    CAPTURE(seed);
    Measured with(*data, data->train, seed, {.rls = real_data_rls});
    const Measured without(*data, data->train, seed,
                           {.rls = real_data_rls, .label_columns = false});
    CHECK(with.accuracy() >= without.accuracy() + 0.002);
    CHECK(with.accuracy() > 0.965);
    CHECK(with.router().suggest_label_weight() > 0);
  }
}

TEST_CASE("cross-validation chooses a ridge near the best on CLINC150", "[router]") {
  const auto data = find_clinc150();
  if (!data) return;
  Measured measured(*data, data->train, 0, {.rls = real_data_rls});
  const std::vector<double> grid{0.01, 0.03, 0.1, 0.3, 1, 3, 10};
  const double choice = measured.router().select_ridge(grid).ridge;
  double best = 0;
  for (const double candidate : grid) {
    measured.router().set_ridge(candidate);
    best = std::max(best, measured.accuracy());
  }
  measured.router().set_ridge(choice);
  CAPTURE(choice, best);
  CHECK(measured.accuracy() >= best - 0.003);
}

TEST_CASE("balanced tasks route better where CLINC150 is cut to unequal sizes", "[router]") {
  const auto data = find_clinc150();
  if (!data) return;
  const ClincSplit few = data->train.halved_by_task();
  const Measured plain(*data, few, 0, {.rls = real_data_rls});
  const Measured balanced(*data, few, 0, {.rls = real_data_rls, .balanced = true});
  CHECK(balanced.accuracy() >= plain.accuracy());
}
