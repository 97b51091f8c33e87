// SPDX-License-Identifier: MIT
// The router alone, beside an engine that has the features.
#include <anyssr/router/analytic_router.hpp>

int main() {
  anyssr::AnalyticRouter<float> router(4);
  const anyssr::RowMajorMatrix<float> x = anyssr::RowMajorMatrix<float>::Identity(4, 4);
  router.learn("banking", x.topRows(2));
  router.learn("travel", x.bottomRows(2));
  anyssr::RoutingWorkspace<float> workspace;
  anyssr::RoutingDecision decision;
  router.decide(x.row(0), workspace, decision);
  return decision.task == 0 ? 0 : 1;
}
