// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The options of TextModelOptions on a command line.

#include <CLI/CLI.hpp>
#include <string>

#include "departments/text_model.hpp"
#include "support/messages.hpp"
#include "support/run_files.hpp"

namespace departments {

inline void declare(CLI::App& app, TextModelOptions& model) {
  auto* const encoder = app.add_option(
      "--encoder", model.encoder,
      "folder of a published sentence encoder (BERT family) or of model2vec, beside hashed words");
  auto* const vectors =
      app.add_option("--word-vectors", model.word_vectors,
                     "word vectors, beside hashed words: text as of GloVe or fastText (.vec), or "
                     "safetensors with words.txt beside it")
          ->excludes(encoder);
  app.add_option(
         "--features", model.features,
         "features that another program computed, beside hashed words: safetensors with one "
         "row per row of the data, in its order, or a folder with a file "
         "[NAME_]SPLIT.safetensors for each split (train, val, test, oos_test)")
      ->excludes(encoder)
      ->excludes(vectors);
  app.add_flag("--no-words", model.no_words, "the model alone, without hashed words");
  app.add_option("--model-dim", model.dim,
                 "random features of the model (ReLU; of word vectors Fourier features of each "
                 "word); 0: the model's own numbers, or the mean of word vectors")
      ->capture_default_str();
  app.add_option(
      "--model-weight", model.weight,
      "the model's share of a row's squared length beside hashed words, between 0 and 1; "
      "default: 0.7, with --word-vectors 0.5");
}

inline void name_files(support::RunFiles& files, const TextModelOptions& model) {
  files.reads("--encoder", model.encoder);
  files.reads("--word-vectors", model.word_vectors);
  files.reads("--features", model.features);
}

inline void expect_sound(const TextModelOptions& model, const CLI::App& app,
                         const std::string& scalar) {
  if (!model.is_chosen()) {
    for (const char* const option : {"--no-words", "--model-dim", "--model-weight"}) {
      support::expect(app.count(option) == 0, option,
                      " needs a model, expected --encoder, --word-vectors or --features beside it");
    }
    return;
  }
  support::expect(scalar == "float", "--scalar is ", scalar, ", expected float with ",
                  model.option());
  support::expect(model.dim >= 0 && model.dim <= (std::int64_t{1} << 24), "--model-dim is ",
                  model.dim, ", expected 0 to 2^24");
  if (app.count("--model-weight") == 0) return;
  support::expect(model.weight > 0 && model.weight < 1, "--model-weight is ", model.weight,
                  ", expected a number between 0 and 1");
  support::expect(!model.no_words, "--model-weight and --no-words do not go together");
}

}  // namespace departments
