// SPDX-License-Identifier: MIT
// What a sentence encoder of all-MiniLM's shape (6 layers, 384 numbers) costs: 32 texts of 16 tokens
// at once and one text, as a share of the rate at which this machine multiplies matrices of the same
// kind. Best of five rounds, both sides in turn, on one thread.
#include <algorithm>
#include <anyssr/core/random.hpp>
#include <anyssr/core/stopwatch.hpp>
#include <anyssr/encoder.hpp>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <span>
#include <utility>
#include <vector>

namespace {

using namespace anyssr;

BertConfig shape() {
  BertConfig config;
  config.hidden_size = 384;
  config.layers = 6;
  config.intermediate_size = 1536;
  return config;
}

BertModel<float> random_model(const BertConfig& config) {
  std::uint64_t stream = 0;
  const auto matrix = [&](Index rows, Index cols) {
    return RowMajorMatrix<float>(0.05F * random_normal<float>(rows, cols, 1, ++stream));
  };
  const auto dense = [&](Index out, Index in) {
    return DenseLayer<float>{matrix(out, in), RowVector<float>::Zero(out)};
  };
  const Index h = config.hidden_size;
  const LayerNormWeights<float> norm{RowVector<float>::Ones(h), RowVector<float>::Zero(h)};
  BertWeights<float> weights{.words = matrix(config.vocab_size, h),
                             .positions = matrix(config.max_positions, h),
                             .types = matrix(config.token_types, h),
                             .norm = norm,
                             .layers = {}};
  for (Index i = 0; i < config.layers; ++i) {
    weights.layers.push_back({dense(h, h), dense(h, h), dense(h, h), dense(h, h),
                              dense(config.intermediate_size, h),
                              dense(h, config.intermediate_size), norm, norm});
  }
  return {config, std::move(weights)};
}

/// Of the products of all dense layers and of attention.
double flops(const BertConfig& config, Index texts, Index tokens) {
  const auto h = static_cast<double>(config.hidden_size);
  const auto i = static_cast<double>(config.intermediate_size);
  const auto t = static_cast<double>(tokens);
  return 2 * static_cast<double>(texts * config.layers) * t * (4 * h * h + 2 * h * i + 2 * t * h);
}

template <class F>
double seconds(const F& f) {
  const Stopwatch watch;
  f();
  return watch.seconds();
}

}  // namespace

int main() {
  const BertConfig config = shape();
  const BertModel<float> model = random_model(config);
  constexpr Index tokens = 16;
  const RowMajorMatrix<float> left = random_normal<float>(32 * tokens, config.hidden_size, 2);
  const RowMajorMatrix<float> right =
      random_normal<float>(config.hidden_size, config.intermediate_size, 3);
  RowMajorMatrix<float> product(left.rows(), right.cols());
  for (const Index texts : {Index{32}, Index{1}}) {
    std::vector<EncoderInput> inputs(static_cast<std::size_t>(texts));
    for (EncoderInput& input : inputs) input.ids.assign(tokens, 7);
    double best = std::numeric_limits<double>::infinity();
    double best_product = best;
    for (int round = 0; round < 5; ++round) {
      best = std::min(best, seconds([&] {
                        // shares of 128 tokens, as BertBackbone has them
                        for (std::size_t begin = 0; begin < inputs.size(); begin += 8) {
                          const std::size_t count = std::min<std::size_t>(8, inputs.size() - begin);
                          if (model.hidden(std::span(inputs).subspan(begin, count)).rows() == 0)
                            std::abort();
                        }
                      }));
      best_product = std::min(best_product, seconds([&] { product.noalias() = left * right; }));
    }
    const double rate = flops(config, texts, tokens) / best / 1e9;
    const double product_rate =
        2 * static_cast<double>(left.rows() * left.cols() * right.cols()) / best_product / 1e9;
    std::printf("%2lld texts of %lld tokens: %.2f ms, %.1f GFLOP/s, %.2f of a product's %.1f\n",
                static_cast<long long>(texts), static_cast<long long>(tokens), 1e3 * best, rate,
                rate / product_rate, product_rate);
  }
  return 0;
}
