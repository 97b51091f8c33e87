// SPDX-License-Identifier: MIT
// A BERT encoder against an independent forward pass in double.
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include "anyssr/backbone/encoder/bert_backbone.hpp"
#include "anyssr/io/safetensors_reader.hpp"
#include "support/catch.hpp"
#include "support/numeric.hpp"

namespace {

using namespace anyssr;
using namespace anyssr::test;
namespace fs = std::filesystem;

fs::path tiny_bert() {
  const char* const extra = std::getenv("ANYSSR_EXTRA_DATA");
  if (extra == nullptr) {
    std::cout << "skipped: ANYSSR_EXTRA_DATA is not set\n";
    return {};
  }
  return fs::path(extra) / "models" / "tiny-bert";
}

template <class S>
double tolerance() {
  return std::same_as<S, float> ? 1e-5 : 1e-10;
}

template <class S, class X>
double largest_difference(const X& x, const std::vector<double>& expected) {
  REQUIRE(static_cast<std::size_t>(x.size()) == expected.size());
  double largest = 0;
  for (Index i = 0; i < x.rows(); ++i) {
    for (Index j = 0; j < x.cols(); ++j) {
      const auto at = static_cast<std::size_t>(i * x.cols() + j);
      largest = std::max(largest, std::abs(static_cast<double>(x(i, j)) - expected[at]));
    }
  }
  return largest;
}

}  // namespace

TEMPLATE_TEST_CASE("hidden states and pooled vectors are those of the reference",
                   "[encoder][golden]", float, double) {
  using S = TestType;
  const fs::path folder = tiny_bert();
  if (folder.empty()) return;
  const Json golden = read_json(folder / "golden.json");
  const SafetensorsReader tensors(folder / "golden.safetensors");
  const BertBackbone<S> backbone(folder);
  CHECK(backbone.sentence_options().pooling == Pooling::mean);
  CHECK(backbone.sentence_options().normalizes);
  REQUIRE(golden.at("inputs").size() == 7);
  for (const Json& item : golden.at("inputs")) {
    const auto name = item.at("name").get<std::string>();
    CAPTURE(name);
    const EncoderInput input{item.at("ids").get<std::vector<TokenId>>(),
                             item.at("type_ids").get<std::vector<TokenId>>()};
    const auto all = tensors.numbers<double>(name + ".hidden");
    const std::size_t size = input.ids.size() * 64;
    for (Index layer = 0; layer <= 3; ++layer) {
      const auto first = all.begin() + static_cast<std::ptrdiff_t>(size) * layer;
      const std::vector<double> expected(first, first + static_cast<std::ptrdiff_t>(size));
      const auto hidden = backbone.model().hidden(std::span(&input, 1), layer);
      CHECK(largest_difference<S>(hidden, expected) < tolerance<S>());
    }
    const auto embedded = backbone.embed(std::span(&input, 1));
    CHECK(largest_difference<S>(embedded, tensors.numbers<double>(name + ".mean_normalized")) <
          tolerance<S>());
  }
}

#ifdef ANYSSR_HAS_TOKENIZERS
TEMPLATE_TEST_CASE("texts become the reference's ids, and a batch gives the rows of its texts",
                   "[encoder][golden]", float, double) {
  using S = TestType;
  const fs::path folder = tiny_bert();
  if (folder.empty()) return;
  const Json golden = read_json(folder / "golden.json");
  const BertBackbone<S> backbone(folder);
  std::vector<std::string> texts;
  for (const Json& item : golden.at("inputs")) {
    if (item.at("name") == "pair") {
      const TokenPair pair = Tokenizer::read(folder).encode_pair(
          item.at("text").get<std::string>(), item.at("pair").get<std::string>());
      CHECK(pair.ids == item.at("ids").get<std::vector<TokenId>>());
      CHECK(pair.types == item.at("type_ids").get<std::vector<TokenId>>());
      continue;
    }
    texts.push_back(item.at("text").get<std::string>());
    CHECK(backbone.tokens(texts.back()).ids == item.at("ids").get<std::vector<TokenId>>());
  }
  REQUIRE(texts.size() == 6);
  const auto batch = backbone.features(texts);
  const SafetensorsReader tensors(folder / "golden.safetensors");
  CHECK(largest_difference<S>(batch, tensors.numbers<double>("batch.mean_normalized")) <
        tolerance<S>());
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const auto alone = backbone.features(std::span(&texts[i], 1));
    CHECK((alone.row(0) - batch.row(static_cast<Index>(i))).norm() < round_off<S>(50));
  }
}

TEST_CASE("a long text is cut between its special tokens", "[encoder]") {
  const fs::path folder = tiny_bert();
  if (folder.empty()) return;
  const BertBackbone<float> backbone(folder, {.prefix = "query: "});
  std::string text;
  for (int i = 0; i < 200; ++i) text += "what ";
  const std::vector<TokenId> ids = backbone.tokens(text).ids;
  CHECK(ids.size() == 128);
  CHECK(ids.front() == 2);
  CHECK(ids.back() == 3);
  CHECK(ids == backbone.tokens(text + "more").ids);
  CHECK(backbone.tokens("what").ids != BertBackbone<float>(folder).tokens("what").ids);
}
#endif
