// SPDX-License-Identifier: MIT

/// @file
/// Runs a LLaMA-family model as it is, with or without one adapter: token ids or text in, the
/// continuation out, and the numbers behind it for a comparison with another implementation.
///
/// Learn from it how LlamaBackbone is loaded and asked without a learner. Nothing is trained.

#include <algorithm>
#include <anyssr/backbone/llama/llama_config_reader.hpp>
#include <anyssr/core/version.hpp>
#include <iostream>

#include "llama_generate/generate.hpp"
#include "support/application.hpp"
#include "support/command_line.hpp"
#include "support/messages.hpp"
#include "support/output_file.hpp"
#include "support/run_files.hpp"

namespace {

using llama_generate::Answer;
using llama_generate::Request;

struct Arguments {
  Request request;
  std::string ids;
  std::string prompt;
  std::string scalar = "float";
  std::string json;
};

void declare(CLI::App& app, Arguments& arguments) {
  Request& request = arguments.request;
  anyssr::SamplingOptions& sampling = request.sampling;
  support::prepare(app);
  app.add_option("MODEL_DIR", request.model, "checkpoint folder: config.json, model.safetensors")
      ->required();
  auto* const ids = app.add_option(
      "--ids", arguments.ids, "token ids of the prompt with commas, taken as they are: 1,45,77");
  app.add_option("--prompt", arguments.prompt,
                 "text of the prompt; BOS is put in front of it where the tokenizer has it so. A "
                 "line break is one of the "
                 "shell's or the two characters \\n")
      ->excludes(ids);
  app.add_option("--adapter", request.adapter, "PEFT folder of a LoRA adapter");
  app.add_option("--tokens", request.max_tokens, "at most so many tokens are written")
      ->capture_default_str();
  app.add_flag("--ignore-eos", request.ignore_eos, "go on past the end of the text");
  app.add_option("--temperature", sampling.temperature, "0: the likeliest token, always")
      ->capture_default_str();
  app.add_option("--top-k", sampling.top_k, "only so many of the likeliest tokens; 0: all")
      ->capture_default_str();
  app.add_option("--top-p", sampling.top_p,
                 "the fewest likeliest tokens with so much of the probability")
      ->capture_default_str();
  app.add_option("--seed", sampling.seed, "of the random choice")->capture_default_str();
  app.add_option("--scalar", arguments.scalar, "float or double")->capture_default_str();
  app.add_option("--logits", request.logits,
                 "write safetensors: logits [T, vocab] of the prompt, hidden [T, H] after the "
                 "first k layers, pooled [H], its mean");
  app.add_option("--k", request.shallow_layers,
                 "layers that carry no adapter; default: 4, fewer in a model of 4 layers or less");
  app.add_option("--threads", request.threads, "0: the cores that this process may use")
      ->capture_default_str();
  app.add_option("--json", arguments.json, "write what came out to this file");
}

void print(const Request& request, const Answer& answer, const std::optional<std::string>& text,
           const std::string& reason) {
  std::cout << "ids        " << support::ids_text(answer.ids)
            << (answer.is_complete ? "   (end of text)" : "") << "\n";
  if (text) {
    std::cout << "text       " << support::on_one_line(*text) << "\n";
  } else {
    std::cout << "text       none: " << (reason.empty() ? "an id is no token" : reason) << "\n";
  }
  std::cout << "prefill    " << request.ids.size() << " tokens, " << answer.prefill_per_second
            << " per second\n";
  if (answer.decode_per_second) {
    std::cout << "decode     " << *answer.decode_per_second << " tokens per second\n";
  }
}

void write(const Arguments& arguments, const Answer& answer,
           const std::optional<std::string>& text) {
  const Request& request = arguments.request;
  using anyssr::Json;
  support::write_json(arguments.json,
                      {{"prompt_ids", request.ids},
                       {"ids", answer.ids},
                       {"text", text ? Json(*text) : Json(nullptr)},
                       {"is_complete", answer.is_complete},
                       {"tokens_per_second_prefill", answer.prefill_per_second},
                       {"tokens_per_second_decode",
                        answer.decode_per_second ? Json(*answer.decode_per_second) : Json(nullptr)},
                       {"scalar", arguments.scalar},
                       {"version", ANYSSR_VERSION_STRING}});
}

void run(Arguments& arguments, const CLI::App& app) {
  Request& request = arguments.request;
  support::expect_scalar(arguments.scalar);
  support::RunFiles files;
  files.reads("MODEL_DIR", request.model);
  files.reads("--adapter", request.adapter);
  files.writes("--json", arguments.json);
  files.writes("--logits", request.logits);
  files.expect_apart();
  support::expect(app.count("--ids") + app.count("--prompt") > 0,
                  "there is no prompt, expected --ids or --prompt");
  const anyssr::LlamaConfig config = anyssr::read_llama_config(request.model);
  if (app.count("--k") == 0) request.shallow_layers = std::min<anyssr::Index>(4, config.layers - 1);
  const support::TextTokens tokens(request.model, llama_generate::warn);
  request.ids = app.count("--ids") > 0
                    ? support::parse_ids(arguments.ids, "--ids")
                    : tokens.encode_prompt(support::with_line_breaks(arguments.prompt));
  const auto generate = arguments.scalar == "float" ? llama_generate::generate_float
                                                    : llama_generate::generate_double;
  const Answer answer = generate(request);
  const std::optional<std::string> text = tokens.decode(answer.ids);
  print(request, answer, text, tokens.reason());
  if (!arguments.json.empty()) write(arguments, answer, text);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Writes on from a prompt with a LLaMA-family model.", "llama_generate"};
  Arguments arguments;
  declare(app, arguments);
  return support::run_application(app, argc, argv, "try --scalar float, or a shorter prompt",
                                  [&] { run(arguments, app); },
                                  {{"shallow_layers", "--k"}, {"max_tokens", "--tokens"}});
}
