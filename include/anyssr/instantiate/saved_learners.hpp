// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Learners written to disk.

#include "anyssr/backbone/any_backbone.hpp"
#include "anyssr/backbone/text_hashing.hpp"
#include "anyssr/learner/continual_learner.hpp"
#include "anyssr/store/checkpoint_writer.hpp"

#define ANYSSR_INSTANTIATE_SAVED_LEARNERS(EXPLICIT, S)                 \
  EXPLICIT anyssr::SaveReport anyssr::CheckpointWriter::save(          \
      const anyssr::ContinualLearner<anyssr::TextHashingBackbone<S>>&, \
      const anyssr::SaveOptions&);                                     \
  EXPLICIT anyssr::SaveReport anyssr::CheckpointWriter::save(          \
      const anyssr::ContinualLearner<anyssr::AnyBackbone<S>>&, const anyssr::SaveOptions&);

#ifdef ANYSSR_COMPILED
ANYSSR_INSTANTIATE_SAVED_LEARNERS(extern template, float)
ANYSSR_INSTANTIATE_SAVED_LEARNERS(extern template, double)
#endif
