// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Learners of texts on disk.

#include "anyssr/backbone/text_hashing.hpp"
#include "anyssr/learner/continual_learner.hpp"
#include "anyssr/store/checkpoint_reader.hpp"
#include "anyssr/store/checkpoint_writer.hpp"

#define ANYSSR_INSTANTIATE_CHECKPOINTS(EXPLICIT, S)                                             \
  EXPLICIT anyssr::ContinualLearner<anyssr::TextHashingBackbone<S>> anyssr::load(               \
      const std::filesystem::path&, anyssr::TextHashingBackbone<S>, const anyssr::LoadOptions&, \
      anyssr::LoadReport*);                                                                     \
  EXPLICIT anyssr::SaveReport anyssr::CheckpointWriter::save(                                   \
      const anyssr::ContinualLearner<anyssr::TextHashingBackbone<S>>&,                          \
      const anyssr::SaveOptions&);                                                              \
  EXPLICIT anyssr::SaveReport anyssr::save(                                                     \
      const anyssr::ContinualLearner<anyssr::TextHashingBackbone<S>>&,                          \
      const std::filesystem::path&, const anyssr::SaveOptions&);

#ifdef ANYSSR_COMPILED
ANYSSR_INSTANTIATE_CHECKPOINTS(extern template, float)
ANYSSR_INSTANTIATE_CHECKPOINTS(extern template, double)
#endif
