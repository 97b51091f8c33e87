// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Encoders of text. They read tokenizers, so that they are compiled once where those are
/// (tokenizers.hpp).

#include "anyssr/backbone/encoder/bert_backbone.hpp"
#include "anyssr/backbone/encoder/static_embedding.hpp"
#include "anyssr/backbone/encoder/word_vector_backbone.hpp"

#define ANYSSR_INSTANTIATE_ENCODER_MODELS(EXPLICIT, S) \
  EXPLICIT class anyssr::BertModel<S>;                 \
  EXPLICIT class anyssr::BertBackbone<S>;              \
  EXPLICIT class anyssr::StaticEmbeddingBackbone<S>;   \
  EXPLICIT class anyssr::WordVectorBackbone<S>;

#if defined(ANYSSR_COMPILED) && defined(ANYSSR_COMPILED_TOKENIZERS)
ANYSSR_INSTANTIATE_ENCODER_MODELS(extern template, float)
ANYSSR_INSTANTIATE_ENCODER_MODELS(extern template, double)
#endif
