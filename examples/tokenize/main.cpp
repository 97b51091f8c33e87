// SPDX-License-Identifier: MIT

/// @file
/// Texts to token ids by the tokenizer of a model's folder, and back: to compare with what another
/// engine feeds the same model, before wondering about its answers.
///
/// Learn from it how a Tokenizer is read and called.

#include <algorithm>
#include <anyssr/core/error.hpp>
#include <anyssr/text/tokenizer.hpp>
#include <cstdio>
#include <string>
#include <vector>

#include "support/application.hpp"
#include "support/command_line.hpp"
#include "support/run_files.hpp"
#include "support/text_lines.hpp"
#include "support/text_tokens.hpp"

namespace {

struct Options {
  std::string model;
  std::string texts;  // a file, or ""
  std::vector<std::string> given;
  bool no_special = false;
  bool trust = false;
  std::string json;
};

void declare(CLI::App& app, Options& options) {
  support::prepare(app);
  app.add_option("model", options.model,
                 "a model's folder with tokenizer.json or tokenizer.model, or such a file")
      ->required();
  app.add_option("--texts", options.texts, R"(JSON lines {"text": ...}, one text each)");
  app.add_option("--text", options.given, "a text; may be given several times")
      ->allow_extra_args(false);
  app.add_flag("--no-special", options.no_special,
               "put no special tokens around a text, such as BOS");
  app.add_flag("--trust-special-text", options.trust,
               "the name of a special token in a text is that token: for text that no user wrote");
  app.add_option("--json", options.json,
                 R"(write a list of {"ids", "text"} to this file; text is)"
                 " what the ids decode to");
}

void run(const Options& options) {
  if (options.texts.empty() == options.given.empty()) {
    throw anyssr::ArgumentError("expected either --text or --texts");
  }
  support::RunFiles files;
  files.reads("--texts", options.texts);
  files.writes("--json", options.json);
  files.expect_apart();
  const auto tokenizer = anyssr::Tokenizer::read(options.model, [](const std::string& message) {
    std::fprintf(stderr, "warning: %s\n", support::shown(message).c_str());
  });
  anyssr::Json results = anyssr::Json::array();
  const auto texts =
      options.texts.empty() ? options.given : support::read_text_lines(options.texts);
  for (const std::string& text : texts) {
    const support::Tokens ids = tokenizer.encode(
        text, {.special = !options.no_special, .trust_special_text = options.trust});
    const std::string decoded = tokenizer.decode(ids);
    if (options.json.empty()) {
      std::printf("%s\n  %s\n", support::ids_text(ids).c_str(),
                  support::on_one_line(decoded).c_str());
    } else {
      results.push_back({{"ids", ids}, {"text", decoded}});
    }
  }
  if (!options.json.empty()) support::write_json(options.json, results);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Texts to token ids by a model's tokenizer, and back.", "tokenize"};
  Options options;
  declare(app, options);
  return support::run_application(app, argc, argv, "pass fewer texts at once",
                                  [&] { run(options); });
}
