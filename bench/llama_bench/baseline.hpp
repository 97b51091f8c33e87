// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// A LLaMA forward pass in the design of small C programs (llama2.c): float weights as plain
/// arrays, one token at a time, each product a loop over the weight's rows that OpenMP shares out.
/// A baseline for speed, built with -Ofast; never part of the library, and free of its headers,
/// whose templates the linker would take from either source.

#include <vector>

namespace bench {

/// Pointers to row-major arrays that somebody else keeps.
struct BaselineLayer {
  const float* q = nullptr;     // heads head_dim x dim
  const float* k = nullptr;     // kv_heads head_dim x dim
  const float* v = nullptr;     // kv_heads head_dim x dim
  const float* o = nullptr;     // dim x heads head_dim
  const float* gate = nullptr;  // hidden x dim
  const float* up = nullptr;    // hidden x dim
  const float* down = nullptr;  // dim x hidden
  const float* attention_norm = nullptr;
  const float* feed_forward_norm = nullptr;
};

struct BaselineWeights {
  int dim = 0;
  int hidden = 0;
  int heads = 0;
  int kv_heads = 0;
  int head_dim = 0;
  int vocab = 0;
  int max_positions = 0;
  float eps = 1e-6F;
  float theta = 10000;
  const float* embedding = nullptr;  // vocab x dim
  const float* output = nullptr;     // vocab x dim
  const float* norm = nullptr;
  std::vector<BaselineLayer> layers;
};

class BaselineModel {
 public:
  explicit BaselineModel(BaselineWeights weights);

  /// Takes the token at `position`; the positions before it have been taken.
  /// @return its vocab logits, null where they are not wanted
  const float* forward(int token, int position, bool wants_logits);

 private:
  void attend(const BaselineLayer& layer, int number, int position);
  void feed_forward(const BaselineLayer& layer);
  void rotate(float* heads, int count, int position) const;

  BaselineWeights weights_;
  std::vector<float> x_, normed_, q_, attended_, gate_, up_, scores_, logits_;
  std::vector<float> keys_, values_;  // layers x max_positions x kv_heads head_dim
};

}  // namespace bench
