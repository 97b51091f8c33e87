// SPDX-License-Identifier: MIT

/// @file
/// Texts to vectors by a published encoder: a BERT-family folder (all-MiniLM, bge, e5, gte), static
/// embeddings (model2vec) or word vectors (GloVe, word2vec, fastText). The file that it writes can be
/// compared with another program's vectors.
///
/// Learn from it how an encoder is read and asked.

#include <anyssr/core/error.hpp>
#include <anyssr/encoder.hpp>
#include <anyssr/io/safetensors_writer.hpp>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "support/application.hpp"
#include "support/command_line.hpp"
#include "support/encoder_folder.hpp"
#include "support/run_files.hpp"
#include "support/text_lines.hpp"
#include "support/text_tokens.hpp"

namespace {

struct Options {
  std::string model;
  std::string ids;
  std::string texts;  // a file
  std::string prefix;
  std::string scalar = "float";
  std::string out;
};

void declare(CLI::App& app, Options& options) {
  support::prepare(app);
  app.add_option(
         "model", options.model,
         "folder of a BERT-family encoder or of model2vec, or a file of word vectors: text as "
         "of GloVe or fastText (.vec), or safetensors with words.txt beside it")
      ->required();
  app.add_option("--texts", options.texts, R"(JSON lines {"text": ...}, one text each)");
  app.add_option("--ids", options.ids,
                 "token ids with commas, special ones included, instead of texts: 101,2057,102");
  app.add_option("--prefix", options.prefix, R"(put before every text, as e5 wants "query: ")");
  app.add_option("--scalar", options.scalar, "float or double")->capture_default_str();
  app.add_option("--out", options.out,
                 "safetensors file to write: tensor embeddings [texts, dimension]")
      ->required();
}

template <class S>
anyssr::RowMajorMatrix<S> encode(const Options& options) {
  const support::Tokens ids =
      options.ids.empty() ? support::Tokens() : support::parse_ids(options.ids, "--ids");
  const auto texts =
      options.texts.empty() ? std::vector<std::string>() : support::read_text_lines(options.texts);
  std::error_code ignored;
  const bool is_file = std::filesystem::is_regular_file(options.model, ignored);
  const bool is_lookup = is_file || support::is_static_folder(options.model);
  if (is_lookup && !options.prefix.empty()) {
    throw anyssr::ArgumentError(
        "--prefix is for encoders that were trained with one, expected none with static embeddings "
        "or word vectors");
  }
  if (is_file) {
    if (!ids.empty()) {
      throw anyssr::ArgumentError("--ids are for a model with a tokenizer, expected --texts");
    }
    return anyssr::WordVectorBackbone<S>(options.model).features(texts);
  }
  if (is_lookup) {
    const anyssr::StaticEmbeddingBackbone<S> backbone(options.model);
    return ids.empty() ? backbone.features(texts) : anyssr::RowMajorMatrix<S>(backbone.row_of(ids));
  }
  const anyssr::BertBackbone<S> backbone(
      options.model, {.prefix = options.prefix, .warn = [](const std::string& message) {
                        std::fprintf(stderr, "warning: %s\n", support::shown(message).c_str());
                      }});
  if (ids.empty()) return backbone.features(texts);
  const anyssr::EncoderInput input{ids, {}};
  return backbone.embed(std::span(&input, 1));
}

template <class S>
void run_as(const Options& options) {
  const auto embeddings = encode<S>(options);
  anyssr::SafetensorsWriter writer;
  writer.add("embeddings", embeddings);
  writer.write(options.out);
  std::printf("%lld texts, %lld numbers each: %s\n", static_cast<long long>(embeddings.rows()),
              static_cast<long long>(embeddings.cols()), support::shown(options.out).c_str());
}

void run(const Options& options) {
  support::expect_scalar(options.scalar);
  if (options.texts.empty() == options.ids.empty()) {
    throw anyssr::ArgumentError("expected either --texts or --ids");
  }
  support::RunFiles files;
  files.reads("--texts", options.texts);
  files.writes("--out", options.out);
  files.expect_apart();
  if (options.scalar == "float") {
    run_as<float>(options);
  } else {
    run_as<double>(options);
  }
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Texts to vectors by a published encoder.", "encode_text"};
  Options options;
  declare(app, options);
  return support::run_application(app, argc, argv, "pass fewer texts at once",
                                  [&] { run(options); });
}
