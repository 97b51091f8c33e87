// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Language models of the LLaMA family.

#include "anyssr/backbone/llama/llama_backbone.hpp"

#define ANYSSR_INSTANTIATE_LLAMA_MODELS(EXPLICIT, S) \
  EXPLICIT class anyssr::LlamaBackbone<S>;           \
  EXPLICIT class anyssr::LlamaModel<S>;              \
  EXPLICIT class anyssr::detail::LlamaGradient<S>;

#ifdef ANYSSR_COMPILED
ANYSSR_INSTANTIATE_LLAMA_MODELS(extern template, float)
ANYSSR_INSTANTIATE_LLAMA_MODELS(extern template, double)
#endif
