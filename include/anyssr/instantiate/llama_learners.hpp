// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Learners whose backbone is a language model of the LLaMA family.

#include "anyssr/backbone/llama/llama_backbone.hpp"
#include "anyssr/learner/continual_learner.hpp"

#define ANYSSR_INSTANTIATE_LLAMA_LEARNERS(EXPLICIT, S)       \
  EXPLICIT class anyssr::Snapshot<anyssr::LlamaBackbone<S>>; \
  EXPLICIT class anyssr::ContinualLearner<anyssr::LlamaBackbone<S>>;

#ifdef ANYSSR_COMPILED
ANYSSR_INSTANTIATE_LLAMA_LEARNERS(extern template, float)
ANYSSR_INSTANTIATE_LLAMA_LEARNERS(extern template, double)
#endif
