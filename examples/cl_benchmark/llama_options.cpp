// SPDX-License-Identifier: MIT
#include "cl_benchmark/llama_options.hpp"

#include <algorithm>
#include <anyssr/core/error.hpp>
#include <anyssr/train/schedule.hpp>

#include "support/lists.hpp"
#include "support/messages.hpp"
#include "support/shown.hpp"

namespace cl_benchmark {

namespace {

constexpr std::int64_t most = 1000000000;

void declare_data(CLI::App& app, LlamaOptions& options) {
  app.add_option("--llama", options.model,
                 "folder of a language model (config.json, model.safetensors) that learns the "
                 "tasks of --task instead, by anyssr, oracle, joint, seq_lora, replay_20 and "
                 "replay_100, which keep 20 and 100 rows per task. An answer is right where greedy "
                 "decoding gives it to the token");
  app.add_option("--task", options.tasks,
                 "NAME=train.jsonl[,test.jsonl] for --llama, in the order of learning. Lines are "
                 "{\"prompt\", \"answer\"}, texts or lists of token ids. Without a test file every "
                 "tenth line is set aside")
      ->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  app.add_option("--llama-limit-train", options.train_rows, "first rows of each task only; 0: all")
      ->capture_default_str();
  app.add_option("--llama-limit-test", options.test_rows, "first rows of each task only; 0: all")
      ->capture_default_str();
}

void declare_learning(CLI::App& app, LlamaOptions& options) {
  anyssr::LearnerOptions& learner = options.learner;
  app.add_option("--llama-k", options.shallow_layers,
                 "layers that carry no adapter: the router reads their mean hidden state")
      ->capture_default_str();
  app.add_option("--llama-epochs", learner.train.epochs, "of training an adapter, in every method")
      ->capture_default_str();
  app.add_option("--llama-rate", learner.train.rate, "largest rate of AdamW, in every method")
      ->capture_default_str();
  app.add_option("--llama-schedule", options.schedule, "of the rate: constant, linear, cosine")
      ->capture_default_str();
  app.add_option("--llama-batch", learner.train.batch, "rows per mini-batch")
      ->capture_default_str();
  app.add_option("--llama-rank", learner.adapter.lora.rank, "of the LoRA modules")
      ->capture_default_str();
  app.add_option("--llama-alpha", learner.adapter.lora.alpha, "the modules' scale is alpha / rank")
      ->capture_default_str();
  app.add_option("--llama-sites", options.sites,
                 "layers with a module, names with commas; default: q_proj,v_proj");
  app.add_option(
         "--llama-subspace", options.subspace,
         "own: every adapter starts in the subspace of the rows that it is trained on first, "
         "as the library has it; none: at random")
      ->capture_default_str();
  app.add_option("--llama-router-width", learner.router.expansion.dim,
                 "random features that the router sees")
      ->capture_default_str();
  app.add_option("--llama-ridge", learner.router.rls.ridge, "of the router, relative")
      ->capture_default_str();
  app.add_flag("--llama-recompute", options.recompute_activations,
               "train with less memory, in more time");
}

/// What belongs together, and what does not.
void declare_relations(CLI::App& app) {
  CLI::Option* const llama = app.get_option("--llama");
  llama->needs(app.get_option("--task"));
  for (CLI::Option* option : app.get_options()) {
    const std::string name = option->get_name();
    if (name == "--task" || name.starts_with("--llama-")) option->needs(llama);
  }
  for (const char* of_features :
       {"--data", "--clinc", "--synthetic", "--order", "--measure", "--strip-templates", "--cut",
        "--rows", "--label-noise", "--imbalance", "--two-visits", "--merge", "--tune", "--dim",
        "--word-pairs", "--ridge", "--quick"}) {
    llama->excludes(app.get_option(of_features));
  }
}

void expect_valid(const LlamaOptions& options) {
  using support::expect_within;
  const anyssr::LearnerOptions& learner = options.learner;
  expect_within<std::int64_t>("--llama-limit-train", options.train_rows, 0, most);
  expect_within<std::int64_t>("--llama-limit-test", options.test_rows, 0, most);
  expect_within("--llama-epochs", learner.train.epochs, 1, 10000);
  expect_within("--llama-rate", learner.train.rate, 1e-12, 1e6);
  expect_within<std::int64_t>("--llama-batch", learner.train.batch, 1, most);
  expect_within<std::int64_t>("--llama-rank", learner.adapter.lora.rank, 1, 65536);
  expect_within("--llama-alpha", learner.adapter.lora.alpha, 1e-6, 1e6);
  expect_within<std::int64_t>("--llama-router-width", learner.router.expansion.dim, 1, 65536);
  expect_within("--llama-ridge", learner.router.rls.ridge, 1e-12, 1e12);
}

}  // namespace

const std::vector<std::string>& llama_method_names() {
  static const std::vector<std::string> names{"anyssr",   "oracle",    "joint",
                                              "seq_lora", "replay_20", "replay_100"};
  return names;
}

void expect_llama_method(std::string_view name) {
  const std::vector<std::string>& names = llama_method_names();
  if (std::ranges::find(names, name) != names.end()) return;
  std::string known;
  for (const std::string& one : names) known += (known.empty() ? "" : ", ") + one;
  throw anyssr::ArgumentError("--methods names " + support::in_quotes(std::string(name)) +
                              ", which --llama does not run, expected some of " + known);
}

void declare_llama_options(CLI::App& app, LlamaOptions& options) {
  declare_data(app, options);
  declare_learning(app, options);
  declare_relations(app);
}

void name_inputs(const LlamaOptions& options, support::RunFiles& files) {
  files.reads("--llama", options.model);
  for (const std::string& text : options.tasks) {
    const llama_continual::TaskFiles task = llama_continual::parse_task(text);
    files.reads("--task", task.train);
    files.reads("--task", task.test.value_or(""));
  }
}

std::string describe(const LlamaOptions& options) {
  const anyssr::LearnerOptions& learner = options.learner;
  std::string text = "language model " + options.model + ", tasks";
  for (const std::string& task : options.tasks) {
    text += (&task == &options.tasks.front() ? " " : ", ") + llama_continual::parse_task(task).name;
  }
  const auto add = [&](const auto&... parts) { text += ", " + support::concat(parts...); };
  if (options.train_rows > 0) add("at most ", options.train_rows, " training rows per task");
  if (options.test_rows > 0) add("at most ", options.test_rows, " test rows per task");
  add("router after ", options.shallow_layers, " layers");
  add(learner.router.expansion.dim, " random features, ridge ", learner.router.rls.ridge);
  add(learner.train.epochs, " epochs of batches of ", learner.train.batch);
  add("rate ", learner.train.rate, " (", options.schedule, ")");
  add("rank ", learner.adapter.lora.rank, ", alpha ", learner.adapter.lora.alpha);
  add("subspace ", options.subspace);
  add("modules on ", options.sites.empty() ? "q_proj,v_proj" : options.sites);
  return text;
}

anyssr::LearnerOptions learner_options(const LlamaOptions& options) {
  expect_valid(options);
  anyssr::LearnerOptions learner = options.learner;
  learner.train.schedule = anyssr::parse_schedule(options.schedule, "--llama-schedule");
  learner.subspace = anyssr::parse_subspace_choice(options.subspace, "--llama-subspace");
  support::expect(learner.subspace != anyssr::SubspaceChoice::complement,
                  "--llama-subspace is 'complement', expected own or none");
  learner.adapter.sites = support::split_at_commas(options.sites);
  return learner;
}

}  // namespace cl_benchmark
