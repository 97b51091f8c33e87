// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Published encoders of text as backbones: BERT-family sentence encoders, static embeddings and word
/// vectors.
/// Needs nlohmann/json besides Eigen, and for texts what their tokenizers need (text/tokenizer.hpp).

#include "anyssr/backbone/encoder/bert_backbone.hpp"
#include "anyssr/backbone/encoder/bert_config.hpp"
#include "anyssr/backbone/encoder/bert_model.hpp"
#include "anyssr/backbone/encoder/bert_weights.hpp"
#include "anyssr/backbone/encoder/sentence_folder.hpp"
#include "anyssr/backbone/encoder/static_embedding.hpp"
#include "anyssr/backbone/encoder/word_vector_backbone.hpp"
#include "anyssr/backbone/encoder/word_vector_file.hpp"
#include "anyssr/backbone/encoder/word_vectors.hpp"
