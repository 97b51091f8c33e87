// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// One run of `llama_generate`: what is asked of the model, and what it gives.

#include <anyssr/backbone/llama/sampler.hpp>
#include <optional>
#include <string>

#include "support/text_tokens.hpp"
#include "support/warnings.hpp"

namespace llama_generate {

/// Warnings of this program.
inline constexpr support::Warner warn("llama_generate");

struct Request {
  std::string model;
  std::string adapter;  ///< PEFT folder; empty: the base model
  std::string logits;   ///< file for tensors; empty: none
  support::Tokens ids;  ///< of the prompt, BOS included
  anyssr::Index max_tokens = 64;
  anyssr::SamplingOptions sampling;
  bool ignore_eos = false;
  anyssr::Index shallow_layers = 4;
  int threads = 0;
};

struct Answer {
  support::Tokens ids;            ///< of the answer
  bool is_complete = false;       ///< ended by an end-of-text token, which is not among the ids
  double prefill_per_second = 0;  ///< prompt tokens per second, up to the first token picked
  std::optional<double> decode_per_second;  ///< tokens per second after it; none: no such tokens
};

/// @throws anyssr::Error
Answer generate_float(const Request& request);
Answer generate_double(const Request& request);

}  // namespace llama_generate
