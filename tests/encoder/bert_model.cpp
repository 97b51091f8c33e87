// SPDX-License-Identifier: MIT
// The forward pass against its formulas carried out number by number, in every form that a config
// can ask for; what a folder says is followed or refused.
#include <cmath>
#include <numbers>
#include <string>
#include <vector>

#include "anyssr/backbone/encoder/bert_backbone.hpp"
#include "support/catch.hpp"
#include "support/numeric.hpp"
#include "support/small_bert.hpp"

namespace {

using namespace anyssr;
using namespace anyssr::test;
using Matrix64 = Eigen::MatrixXd;

Matrix64 normed(SmallBertFolder& folder, const std::string& name, const Matrix64& x, double eps) {
  Matrix64 y = x;
  for (Index t = 0; t < x.rows(); ++t) {
    const double mean = x.row(t).mean();
    const double variance = (x.row(t).array() - mean).square().mean();
    y.row(t) = (x.row(t).array() - mean) / std::sqrt(variance + eps);
    y.row(t) = y.row(t).cwiseProduct(folder.tensor(name + ".weight").row(0)) +
               folder.tensor(name + ".bias").row(0);
  }
  return y;
}

Matrix64 dense(SmallBertFolder& folder, const std::string& name, const Matrix64& x) {
  Matrix64 y = x * folder.tensor(name + ".weight").transpose();
  y.rowwise() += folder.tensor(name + ".bias").row(0);
  return y;
}

double gelu(double x, GeluForm form) {
  if (form == GeluForm::erf) return x / 2 * (1 + std::erf(x / std::numbers::sqrt2));
  return x / 2 * (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x)));
}

/// The last layer's rows of one input.
Matrix64 hidden_by_definition(SmallBertFolder& folder, const BertConfig& config,
                              const EncoderInput& input) {
  const auto length = static_cast<Index>(input.ids.size());
  Matrix64 x(length, config.hidden_size);
  for (Index t = 0; t < length; ++t) {
    const auto k = static_cast<std::size_t>(t);
    x.row(t) =
        folder.tensor("embeddings.word_embeddings.weight").row(input.ids[k]) +
        folder.tensor("embeddings.position_embeddings.weight").row(config.first_position + t) +
        folder.tensor("embeddings.token_type_embeddings.weight")
            .row(input.types.empty() ? 0 : input.types[k]);
  }
  x = normed(folder, "embeddings.LayerNorm", x, config.layer_norm_eps);
  const Index h = config.head_dim();
  for (Index layer = 0; layer < config.layers; ++layer) {
    const std::string at = "encoder.layer." + std::to_string(layer) + ".";
    const Matrix64 q = dense(folder, at + "attention.self.query", x);
    const Matrix64 k = dense(folder, at + "attention.self.key", x);
    const Matrix64 v = dense(folder, at + "attention.self.value", x);
    Matrix64 attended(length, config.hidden_size);
    for (Index head = 0; head < config.heads; ++head) {
      for (Index t = 0; t < length; ++t) {
        Eigen::VectorXd weights(length);
        for (Index s = 0; s < length; ++s) {
          const double dot = q.row(t).segment(head * h, h).dot(k.row(s).segment(head * h, h));
          weights[s] = std::exp(dot / std::sqrt(static_cast<double>(h)));
        }
        weights /= weights.sum();
        attended.row(t).segment(head * h, h) = weights.transpose() * v.middleCols(head * h, h);
      }
    }
    x = normed(folder, at + "attention.output.LayerNorm",
               x + dense(folder, at + "attention.output.dense", attended), config.layer_norm_eps);
    Matrix64 inner = dense(folder, at + "intermediate.dense", x);
    inner = inner.unaryExpr([&](double number) { return gelu(number, config.activation); });
    x = normed(folder, at + "output.LayerNorm", x + dense(folder, at + "output.dense", inner),
               config.layer_norm_eps);
  }
  return x;
}

template <class S>
void check_model(const BertConfig& config, const std::string& prefix) {
  SmallBertFolder folder(config, prefix);
  const BertBackbone<S> backbone(folder.write());
  const std::vector<EncoderInput> inputs{
      {{3, 1, 4, 1, 5}, {}}, {{9}, {}}, {{2, 6, 5, 3, 5, 8, 9}, {0, 0, 1, 1, 0, 1, 1}}};
  const auto hidden = backbone.model().hidden(inputs);
  const auto embedded = backbone.embed(inputs);
  Index at = 0;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const Matrix64 expected = hidden_by_definition(folder, config, inputs[i]);
    CHECK(relative_error(hidden.middleRows(at, expected.rows()), expected) < round_off<S>(100));
    CHECK(relative_error(embedded.row(static_cast<Index>(i)), expected.colwise().mean()) <
          round_off<S>(100));
    at += expected.rows();
  }
}

std::string refusal(const Json& config) {
  SmallBertFolder folder;
  const std::string path = folder.write(config);
  return message_of<FormatError>([&] { BertBackbone<float>{path}; });
}

}  // namespace

TEMPLATE_TEST_CASE("an encoder follows its formulas", "[encoder][property]", float, double) {
  BertConfig config = small_bert_config();
  check_model<TestType>(config, "");
  config.activation = GeluForm::tanh;
  config.layer_norm_eps = 1e-3;
  check_model<TestType>(config, "bert.");
  config.model_type = "xlm-roberta";
  config.first_position = 2;  // behind the padding's row 1
  check_model<TestType>(config, "roberta.");
}

TEST_CASE("files of 2019 call a LayerNorm's numbers gamma and beta", "[encoder]") {
  SmallBertFolder plain;
  SmallBertFolder old;
  for (const std::string& norm :
       {std::string("embeddings.LayerNorm"), std::string("encoder.layer.0.output.LayerNorm")}) {
    old.rename(norm + ".weight", norm + ".gamma");
    old.rename(norm + ".bias", norm + ".beta");
  }
  const std::vector<EncoderInput> inputs{{{3, 1, 4}, {}}};
  CHECK((BertBackbone<double>(plain.write()).embed(inputs) ==
         BertBackbone<double>(old.write()).embed(inputs)));
}

TEST_CASE("pooling and normalisation are as the folder says", "[encoder]") {
  SmallBertFolder files;
  const std::string path = files.write();
  const TemporaryFolder& folder = files.folder();
  const std::vector<EncoderInput> inputs{{{3, 1, 4, 7}, {}}};
  const BertBackbone<double> bare(path);
  CHECK(bare.sentence_options().pooling == Pooling::mean);
  CHECK_FALSE(bare.sentence_options().normalizes);
  const auto hidden = bare.model().hidden(inputs);

  folder.write("modules.json", R"([
      {"type": "sentence_transformers.models.Transformer", "path": ""},
      {"type": "sentence_transformers.models.Pooling", "path": "1"},
      {"type": "sentence_transformers.sentence_transformer.modules.Normalize", "path": "2"}])");
  std::filesystem::create_directory(folder.file("1"));
  folder.write("1/config.json", R"({"pooling_mode_cls_token": true,
                                   "pooling_mode_mean_tokens": false, "include_prompt": true})");
  const BertBackbone<double> first(path);
  CHECK(first.sentence_options().pooling == Pooling::cls);
  const RowVector<double> expected = hidden.row(0) / hidden.row(0).norm();
  CHECK((first.embed(inputs).row(0) - expected).norm() < 1e-12);
  CHECK(first.fingerprint() != bare.fingerprint());
  folder.write("1/config.json", R"({"pooling_mode": "mean"})");
  const RowVector<double> mean = hidden.colwise().mean();
  CHECK((BertBackbone<double>(path).embed(inputs).row(0) - mean / mean.norm()).norm() < 1e-12);
  folder.write("sentence_bert_config.json", R"({"max_seq_length": 6})");
  CHECK(BertBackbone<double>(path).sentence_options().max_tokens == 6);

  const auto refused = [&](const std::string& name, const std::string& text) {
    folder.write(name, text);
    return message_of<FormatError>([&] { BertBackbone<double>{path}; });
  };
  CHECK(
      contains(refused("1/config.json", R"({"pooling_mode": "max"})"), "pooling_mode is \"max\""));
  CHECK(contains(refused("1/config.json", R"({"pooling_mode_max_tokens": true})"),
                 "pooling_mode_max_tokens is true, expected false"));
  CHECK(contains(refused("1/config.json",
                         R"({"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": true})"),
                 "2 pooling modes are true"));
  CHECK(contains(refused("1/config.json", R"({"include_prompt": false})"), "include_prompt"));
  folder.write("1/config.json", "{}");
  CHECK(contains(refused("modules.json", R"([{"type": "a.Dense", "path": "1"}])"),
                 "type is \"a.Dense\", expected Transformer, Pooling or Normalize"));
}

TEST_CASE("what an encoder does not compute is refused by name", "[encoder][error]") {
  const auto with = [](const char* key, const Json& value) {
    Json json = bert_config_json(small_bert_config());
    json[key] = value;
    return refusal(json);
  };
  CHECK(contains(with("model_type", "distilbert"),
                 "model_type is \"distilbert\", expected bert, roberta"));
  CHECK(contains(with("hidden_act", "relu"), "hidden_act is \"relu\""));
  CHECK(contains(with("position_embedding_type", "relative_key"), "expected absolute"));
  CHECK(contains(with("is_decoder", true), "is_decoder is true"));
  CHECK(contains(with("num_attention_heads", 5), "expected a divisor of hidden_size, 12"));
  CHECK(contains(with("layer_norm_eps", 0), "layer_norm_eps is 0"));
  CHECK(contains(with("num_hidden_layers", 3), "encoder.layer.2.attention.self.query.weight"));
  CHECK(contains(with("vocab_size", 14), "word_embeddings.weight"));
  SmallBertFolder broken;
  broken.tensor("encoder.layer.1.output.dense.weight")(2, 3) = std::nan("");
  const std::string path = broken.write();
  CHECK(contains(message_of<FormatError>([&] { BertBackbone<float>{path}; }),
                 "tensor \"encoder.layer.1.output.dense.weight\" holds NaN or infinity"));
}

TEST_CASE("inputs that an encoder cannot read are refused", "[encoder][error]") {
  SmallBertFolder folder;
  const BertBackbone<float> backbone(folder.write());
  const auto refused = [&](const EncoderInput& input) {
    return message_of<ArgumentError>([&] { (void)backbone.embed(std::span(&input, 1)); });
  };
  CHECK(refused({{}, {}}) == "input 0 has 0 tokens, expected 1 to 10");
  CHECK(refused({{13}, {}}) == "input 0 has the id 13, expected 0..12");
  CHECK(refused({{1, 2}, {0}}) == "input 0 has 1 types, expected none or 2");
  CHECK(refused({{1}, {2}}) == "input 0 has the type 2, expected 0..1");
  CHECK(refused({std::vector<TokenId>(11, 1), {}}) == "input 0 has 11 tokens, expected 1 to 10");
  const std::string text = "a";
  CHECK(contains(message_of<ArgumentError>([&] { (void)backbone.features(std::span(&text, 1)); }),
                 "the encoder has no tokenizer: "));
}
