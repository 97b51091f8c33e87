// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// A LLaMA-family model as a backbone: published checkpoints read, trained on, answered with. Needs
/// nlohmann/json besides Eigen. Tokenizers have a header of their own (anyssr/text/tokenizer.hpp).

#include "anyssr/backbone/llama/attention.hpp"
#include "anyssr/backbone/llama/key_value_cache.hpp"
#include "anyssr/backbone/llama/llama_backbone.hpp"
#include "anyssr/backbone/llama/llama_config.hpp"
#include "anyssr/backbone/llama/llama_config_keys.hpp"
#include "anyssr/backbone/llama/llama_config_reader.hpp"
#include "anyssr/backbone/llama/llama_families.hpp"
#include "anyssr/backbone/llama/llama_fingerprint.hpp"
#include "anyssr/backbone/llama/llama_form.hpp"
#include "anyssr/backbone/llama/llama_generation.hpp"
#include "anyssr/backbone/llama/llama_gradient.hpp"
#include "anyssr/backbone/llama/llama_kernels.hpp"
#include "anyssr/backbone/llama/llama_model.hpp"
#include "anyssr/backbone/llama/llama_rope_reader.hpp"
#include "anyssr/backbone/llama/llama_rotary.hpp"
#include "anyssr/backbone/llama/llama_shallow_layers.hpp"
#include "anyssr/backbone/llama/llama_sites.hpp"
#include "anyssr/backbone/llama/llama_tensors.hpp"
#include "anyssr/backbone/llama/llama_trunk.hpp"
#include "anyssr/backbone/llama/llama_weights.hpp"
#include "anyssr/backbone/llama/sampler.hpp"
#include "anyssr/backbone/llama/weight_kernels.hpp"
#include "anyssr/backbone/llama/weight_matrix.hpp"
#include "anyssr/backbone/llama/weight_product.hpp"
