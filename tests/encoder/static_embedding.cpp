// SPDX-License-Identifier: MIT
// Static embeddings against vectors of the published formula, and folders that are refused.
#ifdef ANYSSR_HAS_TOKENIZERS
#include "anyssr/backbone/encoder/static_embedding.hpp"

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include "anyssr/io/safetensors_writer.hpp"
#include "support/catch.hpp"
#include "support/numeric.hpp"
#include "support/program.hpp"

namespace {

using namespace anyssr;
using namespace anyssr::test;
using Ids = std::vector<TokenId>;

/// Three words and an unknown one, vectors (id, 1).
struct StaticFolder : TemporaryFolder {
  explicit StaticFolder(Index rows = 4) {
    write("tokenizer.json", R"({"pre_tokenizer": {"type": "WhitespaceSplit"},
        "model": {"type": "WordPiece", "unk_token": "?",
                  "vocab": {"?": 0, "one": 1, "two": 2, "three": 3}}})");
    vectors.resize(rows, 2);
    for (Index i = 0; i < rows; ++i) vectors.row(i) << static_cast<double>(i), 1.0;
  }
  void save() {
    SafetensorsWriter writer;
    writer.add("embeddings", vectors);
    writer.write(file("model.safetensors"));
  }
  RowMajorMatrix<double> vectors;
};

}  // namespace

TEMPLATE_TEST_CASE("published static embeddings give the reference's vectors", "[encoder][golden]",
                   float, double) {
  using S = TestType;
  const char* const extra = std::getenv("ANYSSR_EXTRA_DATA");
  if (extra == nullptr) {
    std::cout << "skipped: ANYSSR_EXTRA_DATA is not set\n";
    return;
  }
  const double tolerance = std::same_as<S, float> ? 1e-6 : 1e-12;
  for (const char* name : {"tiny-model2vec", "tiny-model2vec-quantized"}) {
    CAPTURE(name);
    const std::filesystem::path folder = std::filesystem::path(extra) / "models" / name;
    const StaticEmbeddingBackbone<S> backbone(folder);
    const StaticEmbeddingBackbone<S> all(folder, {.reading = StaticReading::sentence_transformers});
    const SafetensorsReader golden(folder / "golden.safetensors");
    const std::string kind = backbone.normalizes() ? ".normalized" : ".embedding";
    const Json inputs = read_json(folder / "golden.json").at("inputs");  // outlives the loop
    REQUIRE(inputs.size() == 8);
    for (const Json& item : inputs) {
      const auto input = item.at("name").get<std::string>();
      CAPTURE(input);
      const auto text = item.at("text").get<std::string>();
      CHECK(backbone.tokens(text) == item.at("kept").get<Ids>());
      CHECK(all.tokens(text) == item.at("ids").get<Ids>());
      const auto row = backbone.features(std::span(&text, 1)).row(0).template cast<double>().eval();
      CHECK((row.transpose() - golden.vector<double>(input + kind)).norm() < tolerance);
      Vector<double> expected = golden.vector<double>(input + ".embedding_all_ids");
      if (all.normalizes()) expected /= expected.norm() + 1e-32;
      CHECK((all.row_of(all.tokens(text)).transpose().template cast<double>() - expected).norm() <
            tolerance);
    }
  }
}

TEST_CASE("a text's row is the mean of its known words", "[encoder]") {
  StaticFolder folder;
  folder.save();
  const StaticEmbeddingBackbone<double> backbone(folder.file("."), {.max_tokens = 3});
  const std::vector<std::string> texts{"one three", "two four", "four", "", "one one one three"};
  RowMajorMatrix<double> expected(5, 2);
  expected << 2, 1, 2, 1, 0, 0, 0, 0, 1, 1;
  CHECK((backbone.features(texts) == expected));
  folder.write("config.json", R"({"normalize": true})");
  const StaticEmbeddingBackbone<double> unit(folder.file("."));
  CHECK((unit.features(texts).row(0) - RowVector<double>(expected.row(0) / std::sqrt(5.0))).norm() <
        1e-15);
  CHECK(unit.features(texts).row(2).isZero(0));
  CHECK(unit.fingerprint() != backbone.fingerprint());
  CHECK(message_of<ArgumentError>([&] { (void)unit.row_of(Ids{4}); }) ==
        "id 4 is no token, expected 0..3");
}

TEST_CASE("tables that do not fit the tokenizer are refused", "[encoder][error]") {
  const auto refusal = [](StaticFolder& folder) {
    folder.save();
    return message_of<FormatError>([&] { StaticEmbeddingBackbone<float>{folder.file(".")}; });
  };
  StaticFolder short_one(3);
  CHECK(contains(refusal(short_one), "has vectors for 3 tokens, expected the tokenizer's 4"));
  StaticFolder broken;
  broken.vectors(1, 1) = std::numeric_limits<double>::infinity();
  CHECK(contains(refusal(broken), "tensor embeddings holds NaN or infinity"));
}
#endif
