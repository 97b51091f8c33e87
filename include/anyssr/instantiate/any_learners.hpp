// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Learners of texts whose backbone is any feature extractor (AnyBackbone).

#include "anyssr/backbone/any_backbone.hpp"
#include "anyssr/learner/continual_learner.hpp"
#include "anyssr/learner/lifted_backbone.hpp"

#define ANYSSR_INSTANTIATE_ANY_LEARNERS(EXPLICIT, S)                               \
  EXPLICIT class anyssr::LiftedBackbone<anyssr::AnyBackbone<S>>;                   \
  EXPLICIT class anyssr::Snapshot<anyssr::LiftedBackbone<anyssr::AnyBackbone<S>>>; \
  EXPLICIT class anyssr::ContinualLearner<anyssr::AnyBackbone<S>>;

#ifdef ANYSSR_COMPILED
ANYSSR_INSTANTIATE_ANY_LEARNERS(extern template, float)
ANYSSR_INSTANTIATE_ANY_LEARNERS(extern template, double)
#endif
