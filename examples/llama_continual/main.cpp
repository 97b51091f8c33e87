// SPDX-License-Identifier: MIT

/// @file
/// Teaches one frozen LLaMA-family model tasks from JSON lines, one after another, or takes over
/// LoRA adapters trained elsewhere, and shows what is remembered, how well prompts are routed to
/// their adapter, and what comes out.
///
/// Learn from it how a language model goes into ContinualLearner, is measured, saved and asked.

#include <anyssr/backbone/llama/llama_config_reader.hpp>
#include <iostream>
#include <utility>

#include "llama_continual/page.hpp"
#include "llama_continual/report.hpp"
#include "support/application.hpp"
#include "support/command_line.hpp"
#include "support/lists.hpp"
#include "support/messages.hpp"
#include "support/run_files.hpp"

namespace {

using llama_continual::Options;
using llama_continual::Task;

struct Arguments {
  Options options;
  llama_continual::Limits limits;
  std::vector<std::string> tasks;
  std::vector<std::string> adapters;
  std::string subspace = "own";
  std::string schedule = "linear";
  std::string strip;
  std::string sites;
  std::string json;
  std::string report;
  std::string ask;
  bool interactive = false;
};

void declare_data(CLI::App& app, Arguments& arguments) {
  Options& options = arguments.options;
  const auto all = CLI::MultiOptionPolicy::TakeAll;
  app.add_option("MODEL_DIR", options.model, "checkpoint folder: config.json, model.safetensors")
      ->required();
  app.add_option("--task", arguments.tasks,
                 "NAME=train.jsonl[,test.jsonl], in the order of learning. Lines are {\"prompt\", "
                 "\"answer\"}, texts or lists of token ids; BOS is put in front of a text. Without "
                 "a test file every tenth line is set aside")
      ->allow_extra_args(false)
      ->multi_option_policy(all);
  app.add_option("--adapter", arguments.adapters,
                 "NAME=PEFT_DIR: take this adapter for the task; its train prompts teach the "
                 "router alone")
      ->allow_extra_args(false)
      ->multi_option_policy(all);
  app.add_option("--limit-train", arguments.limits.train, "first lines only; 0: all")
      ->capture_default_str();
  app.add_option("--limit-test", arguments.limits.test, "first lines only; 0: all")
      ->capture_default_str();
  app.add_option("--json", arguments.json, "write all figures to this file");
  app.add_option("--report", arguments.report, "write an HTML page to this file");
  app.add_option("--save", options.save, "new folder: a checkpoint, saved after each task");
  CLI::Option* const load =
      app.add_option("--load", options.load,
                     "instead of --task: answer from the checkpoint that --save kept under this "
                     "model and --k");
  app.add_option("--ask", arguments.ask,
                 "at the end, answer this prompt. A line break is one of the shell's or the two "
                 "characters \\n");
  app.add_flag("--interactive", arguments.interactive,
               "at the end, answer the prompts typed in, one per line (end: Ctrl-D)");
  app.add_option("--tokens", options.max_tokens, "at most so many tokens in these answers")
      ->capture_default_str();
  app.add_option("--route-strip", arguments.strip,
                 "a diagnostic: words with commas that a second router neither learns nor sees, "
                 "since the words of a template give its task away; adds "
                 "routing_accuracy_stripped");
  app.add_option("--blend", options.blend_below,
                 "test prompts of a lower confidence are answered once more by their two best "
                 "adapters together; adds blend, right answers of both ways");
  app.add_flag("--quiet", options.quiet, "print no progress and no tables");
  for (const char* learning :
       {"--task", "--adapter", "--json", "--report", "--save", "--route-strip", "--blend"}) {
    load->excludes(app.get_option(learning));
  }
}

void declare_learning(CLI::App& app, Arguments& arguments) {
  Options& options = arguments.options;
  anyssr::LearnerOptions& learner = options.learner;
  anyssr::TrainOptions& train = learner.train;
  app.add_option("--k", options.shallow_layers,
                 "layers that carry no adapter: the router reads their mean hidden state")
      ->capture_default_str();
  app.add_option("--epochs", train.epochs, "of training an adapter")->capture_default_str();
  app.add_option("--rate", train.rate, "largest rate of AdamW")->capture_default_str();
  app.add_option("--schedule", arguments.schedule, "of the rate: constant, linear, cosine")
      ->capture_default_str();
  app.add_option("--warmup", train.warmup, "share of the steps that rise to the rate")
      ->capture_default_str();
  app.add_option("--clip", train.clip_norm, "largest norm of the gradient; 0: any")
      ->capture_default_str();
  app.add_option("--batch", train.batch, "items per mini-batch")->capture_default_str();
  app.add_option("--accumulation", train.accumulation, "mini-batches per step")
      ->capture_default_str();
  app.add_option("--rank", learner.adapter.lora.rank, "of the LoRA modules")->capture_default_str();
  app.add_option("--alpha", learner.adapter.lora.alpha, "the modules' scale is alpha / rank")
      ->capture_default_str();
  app.add_option("--sites", arguments.sites,
                 "layers with a module, names with commas: q_proj, k_proj, v_proj, o_proj, "
                 "gate_proj, up_proj, down_proj; default: q_proj,v_proj");
  app.add_option("--subspace", arguments.subspace, "of the modules: none, own, complement")
      ->capture_default_str();
  app.add_option("--subspace-rank", learner.subspace_fit.rank,
                 "directions of a task's subspace at a site; with complement so few that those of "
                 "all tasks fit beside each other")
      ->capture_default_str();
  app.add_flag("--recompute", options.recompute_activations,
               "train with less memory, in more time");
  app.add_option("--router-width", learner.router.expansion.dim,
                 "random features that the router sees")
      ->capture_default_str();
  app.add_option("--ridge", learner.router.rls.ridge, "of the router, relative")
      ->capture_default_str();
  app.add_option("--seed", learner.seed, "of adapters, training, random features")
      ->capture_default_str();
  app.add_option("--threads", options.threads, "0: the cores that this process may use")
      ->capture_default_str();
}

/// What the words of the command line mean.
Options resolved(const Arguments& arguments) {
  Options options = arguments.options;
  const double blend = options.blend_below;
  support::expect(blend >= 0 && blend <= 1, "--blend is ", blend, ", expected 0 to 1");
  support::expect(options.max_tokens >= 0, "--tokens is ", options.max_tokens,
                  ", expected 0 or more");
  for (const auto& [option, limit] : {std::pair{"--limit-train", arguments.limits.train},
                                      {"--limit-test", arguments.limits.test}}) {
    support::expect(limit >= 0, option, " is ", limit, ", expected 0 or more");
  }
  options.strip = support::split_at_commas(arguments.strip);
  anyssr::LearnerOptions& learner = options.learner;
  learner.subspace = anyssr::parse_subspace_choice(arguments.subspace, "--subspace");
  learner.train.schedule = anyssr::parse_schedule(arguments.schedule, "--schedule");
  learner.adapter.sites = support::split_at_commas(arguments.sites);
  learner.router.expansion.seed = learner.seed;
  learner.router.rls.threads = options.threads;
  return options;
}

void converse(const Arguments& arguments, const llama_continual::Answerer& answer) {
  if (!arguments.ask.empty()) {
    const std::string prompt = support::with_line_breaks(arguments.ask);
    std::cout << "\n" << support::on_one_line(prompt) << "\n" << answer(prompt);
  }
  if (!arguments.interactive) return;
  std::cout << "\nType a prompt (\\n: line break; end with Ctrl-D).\n> " << std::flush;
  support::for_each_input_line([&](const std::string& line) {
    try {
      std::cout << answer(support::with_line_breaks(line));
    } catch (const anyssr::Error& error) {
      std::cout << error.what() << "\n";
    }
    std::cout << "> " << std::flush;
  });
  std::cout << "\n";
}

/// Refuses a run that would write over what it reads.
void expect_files_apart(const Arguments& arguments) {
  support::RunFiles files;
  files.reads("MODEL_DIR", arguments.options.model);
  files.reads("--load", arguments.options.load);
  for (const std::string& text : arguments.tasks) {
    const llama_continual::TaskFiles task = llama_continual::parse_task(text);
    files.reads("--task", task.train);
    files.reads("--task", task.test.value_or(""));
  }
  for (const std::string& adapter : arguments.adapters) {
    files.reads("--adapter", adapter.substr(adapter.find('=') + 1));
  }
  files.keeps("--save", arguments.options.save);
  files.writes("--json", arguments.json);
  files.writes("--report", arguments.report);
  files.expect_apart();
}

/// Learns and measures.
llama_continual::Answerer learn(const Arguments& arguments, const Options& options,
                                const support::TextTokens& tokens) {
  auto [tasks, warnings] =
      llama_continual::read_tasks(arguments.tasks, arguments.adapters, arguments.limits);
  llama_continual::warn(warnings);
  std::vector<Task> stripped;
  if (!options.strip.empty()) stripped = llama_continual::without_words(tasks, options.strip);
  const anyssr::LlamaConfig config = anyssr::read_llama_config(options.model);
  llama_continual::tokenise(tasks, tokens, config);
  llama_continual::tokenise(stripped, tokens, config);
  llama_continual::Answerer answer;
  const llama_continual::Results results =
      llama_continual::run(tasks, stripped, tokens, options, answer);
  if (!options.quiet) llama_continual::print_report(tasks, results);
  if (!arguments.json.empty()) {
    llama_continual::write_figures(arguments.json, tasks, options, results);
  }
  if (!arguments.report.empty()) {
    llama_continual::write_page(arguments.report, tasks, options, results);
  }
  return answer;
}

void run(const Arguments& arguments) {
  const Options options = resolved(arguments);
  if (arguments.tasks.empty() && options.load.empty()) {
    throw anyssr::ArgumentError("there is nothing to learn, expected --task, or --load");
  }
  expect_files_apart(arguments);
  const support::TextTokens tokens(options.model, llama_continual::warn);
  if (!tokens.is_there() && (!arguments.ask.empty() || arguments.interactive)) {
    throw anyssr::ArgumentError(tokens.reason());
  }
  if (!arguments.ask.empty()) {
    llama_continual::expect_prompt(support::with_line_breaks(arguments.ask), tokens,
                                   anyssr::read_llama_config(options.model));
  }
  converse(arguments, options.load.empty() ? learn(arguments, options, tokens)
                                           : llama_continual::load(tokens, options));
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Teaches a frozen language model one task after another, and answers prompts.",
               "llama_continual"};
  Arguments arguments;
  support::prepare(app);
  declare_data(app, arguments);
  declare_learning(app, arguments);
  return support::run_application(app, argc, argv,
                                  "try --recompute, or a smaller --batch, --rank or --router-width",
                                  [&] { run(arguments); },
                                  {{"shallow_layers", "--k"},
                                   {"max_tokens", "--tokens"},
                                   {"clip_norm", "--clip"},
                                   {"dim", "--router-width"}});
}
