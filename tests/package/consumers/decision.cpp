// SPDX-License-Identifier: MIT
#include "decision.hpp"

double best_score(const anyssr::RoutingDecision& decision) { return decision.scores.maxCoeff(); }
