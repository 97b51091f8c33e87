// SPDX-License-Identifier: MIT
#include "llama_bench/baseline.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

namespace bench {

namespace {

std::size_t count_of(int a, int b = 1, int c = 1) {
  return static_cast<std::size_t>(a) * static_cast<std::size_t>(b) * static_cast<std::size_t>(c);
}

/// y = W x, or y += W x; W is rows x cols.
void multiply(const float* w, const float* x, float* y, int rows, int cols, bool add) {
#pragma omp parallel for
  for (int i = 0; i < rows; ++i) {
    const float* const row = w + count_of(i, cols);
    float sum = 0;
    for (int j = 0; j < cols; ++j) sum += row[j] * x[j];
    y[i] = add ? y[i] + sum : sum;
  }
}

void normalise(const float* x, const float* weight, float eps, int size, float* y) {
  float squares = 0;
  for (int i = 0; i < size; ++i) squares += x[i] * x[i];
  const float scale = 1 / std::sqrt(squares / static_cast<float>(size) + eps);
  for (int i = 0; i < size; ++i) y[i] = weight[i] * (scale * x[i]);
}

/// Scores become shares that sum to 1.
void softmax(float* scores, int size) {
  const float most = *std::max_element(scores, scores + size);
  float sum = 0;
  for (int i = 0; i < size; ++i) {
    scores[i] = std::exp(scores[i] - most);
    sum += scores[i];
  }
  for (int i = 0; i < size; ++i) scores[i] /= sum;
}

}  // namespace

BaselineModel::BaselineModel(BaselineWeights weights) : weights_(std::move(weights)) {
  const BaselineWeights& w = weights_;
  const int layers = static_cast<int>(w.layers.size());
  for (std::vector<float>* of_dim : {&x_, &normed_}) of_dim->resize(count_of(w.dim));
  for (std::vector<float>* of_heads : {&q_, &attended_}) {
    of_heads->resize(count_of(w.heads, w.head_dim));
  }
  for (std::vector<float>* of_hidden : {&gate_, &up_}) of_hidden->resize(count_of(w.hidden));
  scores_.resize(count_of(w.heads, w.max_positions));
  logits_.resize(count_of(w.vocab));
  for (std::vector<float>* cache : {&keys_, &values_}) {
    cache->resize(count_of(layers, w.max_positions, w.kv_heads * w.head_dim));
  }
}

/// Turns the pair (j, j + head_dim / 2) of each head by position theta^(-2 j / head_dim).
void BaselineModel::rotate(float* heads, int count, int position) const {
  const int half = weights_.head_dim / 2;
  for (int j = 0; j < half; ++j) {
    const float share = static_cast<float>(2 * j) / static_cast<float>(weights_.head_dim);
    const float angle = static_cast<float>(position) * std::pow(weights_.theta, -share);
    const float cosine = std::cos(angle);
    const float sine = std::sin(angle);
    for (int h = 0; h < count; ++h) {
      float* const pair = heads + h * weights_.head_dim + j;
      const float low = pair[0];
      const float high = pair[half];
      pair[0] = low * cosine - high * sine;
      pair[half] = high * cosine + low * sine;
    }
  }
}

void BaselineModel::attend(const BaselineLayer& layer, int number, int position) {
  const BaselineWeights& w = weights_;
  const int width = w.kv_heads * w.head_dim;
  float* const keys = keys_.data() + count_of(number, w.max_positions, width);
  float* const values = values_.data() + count_of(number, w.max_positions, width);
  float* const key = keys + count_of(position, width);
  normalise(x_.data(), layer.attention_norm, w.eps, w.dim, normed_.data());
  multiply(layer.q, normed_.data(), q_.data(), w.heads * w.head_dim, w.dim, false);
  multiply(layer.k, normed_.data(), key, width, w.dim, false);
  multiply(layer.v, normed_.data(), values + count_of(position, width), width, w.dim, false);
  rotate(q_.data(), w.heads, position);
  rotate(key, w.kv_heads, position);
  const float scale = 1 / std::sqrt(static_cast<float>(w.head_dim));
#pragma omp parallel for
  for (int h = 0; h < w.heads; ++h) {
    const float* const query = q_.data() + h * w.head_dim;
    const int shared = h / (w.heads / w.kv_heads) * w.head_dim;  // of several query heads
    float* const scores = scores_.data() + count_of(h, w.max_positions);
    for (int t = 0; t <= position; ++t) {
      const float* const other = keys + count_of(t, width) + shared;
      float sum = 0;
      for (int j = 0; j < w.head_dim; ++j) sum += query[j] * other[j];
      scores[t] = sum * scale;
    }
    softmax(scores, position + 1);
    float* const out = attended_.data() + h * w.head_dim;
    std::fill(out, out + w.head_dim, 0.0F);
    for (int t = 0; t <= position; ++t) {
      const float* const value = values + count_of(t, width) + shared;
      for (int j = 0; j < w.head_dim; ++j) out[j] += scores[t] * value[j];
    }
  }
  multiply(layer.o, attended_.data(), x_.data(), w.dim, w.heads * w.head_dim, true);
}

void BaselineModel::feed_forward(const BaselineLayer& layer) {
  const BaselineWeights& w = weights_;
  normalise(x_.data(), layer.feed_forward_norm, w.eps, w.dim, normed_.data());
  multiply(layer.gate, normed_.data(), gate_.data(), w.hidden, w.dim, false);
  multiply(layer.up, normed_.data(), up_.data(), w.hidden, w.dim, false);
  for (std::size_t i = 0; i < gate_.size(); ++i) {
    gate_[i] *= up_[i] / (1 + std::exp(-gate_[i]));
  }
  multiply(layer.down, gate_.data(), x_.data(), w.dim, w.hidden, true);
}

const float* BaselineModel::forward(int token, int position, bool wants_logits) {
  const BaselineWeights& w = weights_;
  const float* const row = w.embedding + count_of(token, w.dim);
  std::copy(row, row + w.dim, x_.begin());
  for (std::size_t l = 0; l < w.layers.size(); ++l) {
    attend(w.layers[l], static_cast<int>(l), position);
    feed_forward(w.layers[l]);
  }
  if (!wants_logits) return nullptr;
  normalise(x_.data(), w.norm, w.eps, w.dim, normed_.data());
  multiply(w.output, normed_.data(), logits_.data(), w.vocab, w.dim, false);
  return logits_.data();
}

}  // namespace bench
