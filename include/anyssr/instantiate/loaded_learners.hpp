// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Learners read from disk.

#include "anyssr/backbone/any_backbone.hpp"
#include "anyssr/backbone/text_hashing.hpp"
#include "anyssr/learner/continual_learner.hpp"
#include "anyssr/store/checkpoint_reader.hpp"

#define ANYSSR_INSTANTIATE_LOADED_LEARNERS(EXPLICIT, S)                                         \
  EXPLICIT anyssr::ContinualLearner<anyssr::TextHashingBackbone<S>> anyssr::load(               \
      const std::filesystem::path&, anyssr::TextHashingBackbone<S>, const anyssr::LoadOptions&, \
      anyssr::LoadReport*);                                                                     \
  EXPLICIT anyssr::ContinualLearner<anyssr::AnyBackbone<S>> anyssr::load(                       \
      const std::filesystem::path&, anyssr::AnyBackbone<S>, const anyssr::LoadOptions&,         \
      anyssr::LoadReport*);

#ifdef ANYSSR_COMPILED
ANYSSR_INSTANTIATE_LOADED_LEARNERS(extern template, float)
ANYSSR_INSTANTIATE_LOADED_LEARNERS(extern template, double)
#endif
