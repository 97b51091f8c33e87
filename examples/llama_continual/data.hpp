// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The tasks that `llama_continual` learns and is asked about: prompts with their answers, as text
/// or as token ids.

#include <anyssr/backbone/llama/llama_config.hpp>
#include <optional>
#include <string>
#include <vector>

#include "support/findings.hpp"
#include "support/text_tokens.hpp"

namespace llama_continual {

/// A text with its tokens, or tokens that came without one.
struct Text {
  std::string text;
  support::Tokens ids;
  bool is_ids = false;  ///< the file has ids
};

struct Item {
  std::string place;  ///< "train.jsonl:12", for messages
  Text prompt;
  Text answer;
};

struct Task {
  std::string name;
  std::string adapter;  ///< PEFT folder to take over; empty: an adapter is trained
  std::vector<Item> train;
  std::vector<Item> test;
};

/// "NAME=train.jsonl[,test.jsonl]": the first comma parts the files, so a test file may have one.
struct TaskFiles {
  std::string name;
  std::string train;
  std::optional<std::string> test;
};
/// @throws anyssr::ArgumentError  not of that form
TaskFiles parse_task(const std::string& text);

/// At most so many lines of a file; 0: all.
struct Limits {
  anyssr::Index train = 0;
  anyssr::Index test = 0;
};

/// What the command line asks to learn.
struct Tasks {
  std::vector<Task> tasks;
  support::Findings warnings;  ///< names of which one was most likely meant
};

/// The tasks of `--task NAME=train.jsonl[,test.jsonl]` and `--adapter NAME=PEFT_DIR`. Lines are
/// {"prompt", "answer"}, each a text, an integer, true, false or a list of token ids. Without a
/// test file every tenth line of the training file is set aside.
/// @throws anyssr::ArgumentError  what is not of this form; a name given twice, or of no task
/// @throws anyssr::FormatError  naming every fault of all files with file and line
Tasks read_tasks(const std::vector<std::string>& tasks, const std::vector<std::string>& adapters,
                 const Limits& limits);

/// Refuses a prompt that the model cannot read.
/// @throws anyssr::ArgumentError  naming the option --ask
void expect_prompt(const std::string& prompt, const support::TextTokens& tokens,
                   const anyssr::LlamaConfig& config);

/// Fills in the ids: BOS and the prompt; the answer without an end.
/// @throws anyssr::ArgumentError  text without a tokenizer; all that the model cannot read, by line
void tokenise(std::vector<Task>& tasks, const support::TextTokens& tokens,
              const anyssr::LlamaConfig& config);

/// The tasks with `words` and the white space at the ends taken out of their prompts.
/// @throws anyssr::ArgumentError  a prompt of ids
std::vector<Task> without_words(std::vector<Task> tasks, const std::vector<std::string>& words);

/// Prompts or answers of items as the learner takes them.
std::vector<support::Tokens> prompts_of(const std::vector<Item>& items);
std::vector<support::Tokens> answers_of(const std::vector<Item>& items);

}  // namespace llama_continual
