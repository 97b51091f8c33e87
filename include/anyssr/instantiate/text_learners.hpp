// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Learners of texts by hashed n-grams.

#include "anyssr/backbone/text_hashing.hpp"
#include "anyssr/learner/continual_learner.hpp"
#include "anyssr/learner/lifted_backbone.hpp"

#define ANYSSR_INSTANTIATE_TEXT_LEARNERS(EXPLICIT, S)                                      \
  EXPLICIT class anyssr::LiftedBackbone<anyssr::TextHashingBackbone<S>>;                   \
  EXPLICIT class anyssr::Snapshot<anyssr::LiftedBackbone<anyssr::TextHashingBackbone<S>>>; \
  EXPLICIT class anyssr::ContinualLearner<anyssr::TextHashingBackbone<S>>;

#ifdef ANYSSR_COMPILED
ANYSSR_INSTANTIATE_TEXT_LEARNERS(extern template, float)
ANYSSR_INSTANTIATE_TEXT_LEARNERS(extern template, double)
#endif
