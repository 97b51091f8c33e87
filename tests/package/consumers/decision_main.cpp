// SPDX-License-Identifier: MIT
#include "decision.hpp"

int main() {
  anyssr::RoutingDecision decision;
  decision.scores = anyssr::Vector<double>::LinSpaced(3, 0, 1);
  return best_score(decision) == 1 ? 0 : 1;
}
