// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// What two files of one program share: an object of the library with an Eigen vector inside.

#include "anyssr/router/routing_decision.hpp"

double best_score(const anyssr::RoutingDecision& decision);
