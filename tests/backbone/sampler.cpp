// SPDX-License-Identifier: MIT
#include "anyssr/backbone/llama/sampler.hpp"

#include <cmath>
#include <limits>
#include <map>
#include <vector>

#include "support/catch.hpp"

using namespace anyssr;
using anyssr::test::message_of;

namespace {

const RowVector<float> sampled_logits{{0.5F, 2.0F, -1.0F, 1.0F, 1.5F, -30.0F}};

/// p of each token, from the definition.
std::vector<double> exact_shares(double temperature, std::size_t top_k, double top_p) {
  const std::vector<std::size_t> order{1, 4, 3, 0, 2, 5};  // likeliest first
  std::vector<double> p(order.size(), 0);
  double sum = 0;
  for (std::size_t i = 0; i < top_k; ++i) {
    p[order[i]] = std::exp(double{sampled_logits[static_cast<Index>(order[i])]} / temperature);
    sum += p[order[i]];
  }
  double mass = 0;
  double kept = 0;
  for (const std::size_t token : order) {
    if (mass >= top_p) p[token] = 0;
    mass += p[token] / sum;
    kept += p[token];
  }
  for (double& share : p) share /= kept;
  return p;
}

std::vector<TokenId> draws(const SamplingOptions& options, int count, std::uint64_t sequence = 0) {
  Sampler sampler(options, sequence);
  std::vector<TokenId> tokens;
  for (int i = 0; i < count; ++i) tokens.push_back(sampler.pick(sampled_logits));
  return tokens;
}

}  // namespace

TEST_CASE("temperature zero picks the largest logit and the first of equal ones",
          "[backbone][property]") {
  Sampler sampler(SamplingOptions{});
  CHECK(sampler.pick(sampled_logits) == 1);
  CHECK(sampler.pick(RowVector<double>{{-3.0, -2.0, -2.0}}) == 1);
  CHECK(sampler.pick(RowVector<double>::Constant(9, -7)) == 0);
}

TEST_CASE("one candidate is the greedy one at any temperature", "[backbone][property]") {
  CHECK(draws({.temperature = 50, .top_k = 1}, 100) == std::vector<TokenId>(100, 1));
  CHECK(draws({.temperature = 50, .top_p = 1e-9}, 100) == std::vector<TokenId>(100, 1));
  CHECK(draws({.temperature = 1e-300}, 100) == std::vector<TokenId>(100, 1));
}

TEST_CASE("tokens come as often as their probabilities say", "[backbone][property]") {
  const double temperature = GENERATE(0.7, 1.0, 4.0);
  const Index top_k = GENERATE(0, 2, 4, 100);
  const double top_p = GENERATE(0.3, 0.8, 1.0);
  CAPTURE(temperature, top_k, top_p);
  const int count = 20000;
  const auto kept = static_cast<std::size_t>(top_k == 0 ? 6 : std::min<Index>(top_k, 6));
  const std::vector<double> exact = exact_shares(temperature, kept, top_p);
  std::vector<int> counts(6, 0);
  for (const TokenId token :
       draws({.temperature = temperature, .top_k = top_k, .top_p = top_p, .seed = 5}, count)) {
    ++counts[static_cast<std::size_t>(token)];
  }
  for (std::size_t i = 0; i < counts.size(); ++i) {
    CAPTURE(i);
    const double deviation = std::sqrt(exact[i] * (1 - exact[i]) / count);
    CHECK(std::abs(counts[i] / double{count} - exact[i]) <= 5 * deviation + 1e-12);
    if (exact[i] == 0) CHECK(counts[i] == 0);
  }
}

TEST_CASE("equal logits are cut by token id", "[backbone][property]") {
  Sampler sampler({.temperature = 1, .top_k = 2});
  std::map<TokenId, int> counts;
  for (int i = 0; i < 1000; ++i) ++counts[sampler.pick(RowVector<double>{{0.0, 1.0, 1.0, 1.0}})];
  CHECK(counts.size() == 2);
  CHECK(counts[1] > 400);
  CHECK(counts[2] > 400);
}

TEST_CASE("a seed gives the same tokens and each sequence its own", "[backbone][property]") {
  const SamplingOptions options{.temperature = 2, .seed = 9};
  CHECK(draws(options, 200, 3) == draws(options, 200, 3));
  CHECK(draws(options, 200, 3) != draws(options, 200, 4));
  CHECK(draws(options, 200) != draws({.temperature = 2, .seed = 10}, 200));
}

TEST_CASE("logits that are not finite are refused", "[backbone][error]") {
  Sampler sampler(SamplingOptions{.temperature = GENERATE(0.0, 1.0)});
  const double infinity = std::numeric_limits<double>::infinity();
  for (const double bad : {std::nan(""), infinity}) {
    CHECK(message_of<NumericalError>([&] {
            (void)sampler.pick(RowVector<double>{{1.0, bad, 2.0}});
          }) == "logits hold NaN or infinity, expected finite numbers");
  }
  CHECK(sampler.pick(RowVector<double>{{1.0, 900.0, 2.0}}) == 1);
}

TEST_CASE("sampling options out of range are refused", "[backbone][error]") {
  const auto refusal = [](const SamplingOptions& options) {
    return message_of<ArgumentError>([&] { (void)Sampler(options); });
  };
  CHECK(refusal({.temperature = -1}) ==
        "temperature is -1, expected a finite number of at least 0");
  CHECK(refusal({.temperature = std::nan("")}) ==
        "temperature is nan, expected a finite number of at least 0");
  CHECK(refusal({.temperature = std::numeric_limits<double>::infinity()}) ==
        "temperature is inf, expected a finite number of at least 0");
  CHECK(refusal({.top_k = -1}) == "top_k is -1, expected 0 (all) or more");
  CHECK(refusal({.top_p = 0}) == "top_p is 0, expected above 0, at most 1");
  CHECK(refusal({.top_p = 1.5}) == "top_p is 1.5, expected above 0, at most 1");
  CHECK(refusal({.top_p = std::nan("")}) == "top_p is nan, expected above 0, at most 1");
}
