// SPDX-License-Identifier: MIT
#include "llama_continual/data.hpp"

#include <algorithm>
#include <anyssr/core/error.hpp>
#include <string_view>
#include <utility>

#include "support/json_lines.hpp"
#include "support/messages.hpp"

namespace llama_continual {

using anyssr::ArgumentError;
using anyssr::FormatError;
using anyssr::Index;
using support::Json;

namespace {

/// "name=rest".
std::pair<std::string, std::string> split_name(const std::string& text, const std::string& option,
                                               const std::string& form) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0 || equals + 1 == text.size()) {
    throw ArgumentError(option + " is '" + text + "', expected " + form);
  }
  return {text.substr(0, equals), text.substr(equals + 1)};
}

/// Token ids as a file lists them.
Text read_ids(const Json& value, const std::string& place) {
  Text text;
  text.is_ids = true;
  for (const Json& id : value) {
    if (!id.is_number_unsigned() || id.get<std::uint64_t>() > 0x7FFFFFFF) {
      throw FormatError(place + " has " + support::outline(id) + ", expected token ids from 0 on");
    }
    text.ids.push_back(static_cast<anyssr::TokenId>(id.get<std::uint64_t>()));
  }
  if (text.ids.empty()) throw FormatError(place + " is empty, expected at least one token id");
  return text;
}

Text read_text(const Json& line, const char* key, const std::string& place) {
  const std::string at = place + ": \"" + key + "\"";
  const auto found = line.find(key);
  if (found == line.end()) throw FormatError(at + " is missing");
  if (found->is_array()) return read_ids(*found, at);
  Text text;
  if (found->is_number_integer() || found->is_boolean()) {
    text.text = found->dump();  // as answers to questions of yes or no are often kept
    return text;
  }
  if (!found->is_string()) {
    throw FormatError(at + " is " + support::outline(*found) +
                      (found->is_number_float() ? ", a number that is no integer of 64 bits" : "") +
                      ", expected a text, an integer, true, false or a list of token ids");
  }
  text.text = found->get<std::string>();
  if (support::is_blank(text.text)) throw FormatError(at + " is empty, expected a text");
  return text;
}

Item read_item(const Json& line, const std::string& place) {
  if (!line.is_object()) throw FormatError(place + ": expected an object {\"prompt\", \"answer\"}");
  for (const auto& [key, value] : line.items()) {
    if (key == "prompt" || key == "answer") continue;
    throw FormatError(place + ": unknown field " + support::in_quotes(key) +
                      ", expected prompt and answer");
  }
  return {place, read_text(line, "prompt", place), read_text(line, "answer", place)};
}

/// All lines of a file.
std::vector<Item> read_items(const std::string& path, support::Findings& faults) {
  std::vector<Item> items;
  const std::size_t before = faults.count();
  try {
    support::read_json_lines(path, faults, [&](const Json& line, const std::string& place) {
      items.push_back(read_item(line, place));
    });
  } catch (const FormatError& error) {  // it cannot be read: go on with the next file
    faults.add(error.what());
  }
  if (items.empty() && faults.count() == before) {
    faults.add(path + ": has no line, expected {\"prompt\", \"answer\"}");
  }
  return items;
}

/// The first `limit`; 0: all.
void shorten(std::vector<Item>& items, Index limit) {
  const auto most = static_cast<std::size_t>(limit);
  if (limit > 0 && items.size() > most) items.resize(most);
}

void set_aside(Task& task) {
  std::vector<Item> train;
  for (std::size_t i = 0; i < task.train.size(); ++i) {
    const bool is_last = task.test.empty() && i + 1 == task.train.size();
    auto& to = i % 10 == 9 || is_last ? task.test : train;
    to.push_back(std::move(task.train[i]));
  }
  task.train = std::move(train);
}

Task read_task(const TaskFiles& files, const Limits& limits, support::Findings& faults) {
  const std::size_t before = faults.count();
  Task task{.name = files.name, .adapter = {}, .train = {}, .test = {}};
  task.train = read_items(files.train, faults);
  if (files.test) {
    task.test = read_items(*files.test, faults);
  } else {
    set_aside(task);
  }
  if (task.train.empty() && faults.count() == before) {
    faults.add("task '" + support::shown(task.name) +
               "' has one line, expected more: a test file is " +
               "not given, and the last line is set aside for it");
  }
  shorten(task.train, limits.train);
  shorten(task.test, limits.test);
  return task;
}

void expect_ids(const support::Tokens& ids, const std::string& what,
                const anyssr::LlamaConfig& config) {
  for (const anyssr::TokenId id : ids) {
    if (id < config.vocab_size) continue;
    throw ArgumentError(what + " has the token id " + std::to_string(id) + ", expected 0.." +
                        std::to_string(config.vocab_size - 1));
  }
}

void tokenise(Item& item, const support::TextTokens& tokens, const anyssr::LlamaConfig& config) {
  try {
    if (!item.prompt.is_ids) {
      // a prompt may be empty once words are taken out of it
      const auto bos = tokens.bos(config.bos);
      const bool is_bos_alone = item.prompt.text.empty() && bos.has_value();
      item.prompt.ids =
          is_bos_alone ? support::Tokens{*bos} : tokens.encode_prompt(item.prompt.text);
    }
    if (!item.answer.is_ids) item.answer.ids = tokens.encode(item.answer.text);
  } catch (const ArgumentError& error) {
    throw ArgumentError(item.place + ": " + error.what());
  }
  expect_ids(item.prompt.ids, item.place + ": the prompt", config);
  expect_ids(item.answer.ids, item.place + ": the answer", config);
  const auto size = static_cast<Index>(item.prompt.ids.size() + item.answer.ids.size());
  if (size > config.max_positions) {
    throw ArgumentError(item.place + ": prompt and answer have " + std::to_string(size) +
                        " tokens, expected at most max_position_embeddings, " +
                        std::to_string(config.max_positions));
  }
}

void tokenise(std::vector<Item>& items, const support::TextTokens& tokens,
              const anyssr::LlamaConfig& config, support::Findings& faults) {
  for (Item& item : items) {
    try {
      tokenise(item, tokens, config);
    } catch (const ArgumentError& error) {
      faults.add(error.what());
    }
  }
}

/// Whether a text must be read and there is nothing to read it with: true of all lines alike.
bool needs_tokenizer(const std::vector<Item>& items) {
  return std::any_of(items.begin(), items.end(),
                     [](const Item& item) { return !item.prompt.is_ids || !item.answer.is_ids; });
}

void take_out(std::vector<Item>& items, const std::vector<std::string>& words,
              support::Findings& faults) {
  for (Item& item : items) {
    if (item.prompt.is_ids) {
      faults.add("--route-strip: " + item.place +
                 ": the prompt is a list of token ids, expected text");
      continue;
    }
    std::string& text = item.prompt.text;
    for (const std::string& word : words) {
      for (std::size_t at = 0; (at = text.find(word, at)) != std::string::npos;) {
        text.erase(at, word.size());
      }
    }
    constexpr const char* white = " \t\r\n\f\v";  // what stood beside a word betrays it as well
    text.erase(0, text.find_first_not_of(white));
    text.erase(text.find_last_not_of(white) + 1);
  }
}

/// A name that a checkpoint cannot hold is refused before anything is learned.
void expect_name(const std::string& name) {
  support::for_each_character(name, [&](const support::Character& character, std::string_view) {
    if (character.is_valid) return;
    throw ArgumentError("--task names '" + support::shown(name) + "', expected UTF-8");
  });
}

}  // namespace

TaskFiles parse_task(const std::string& text) {
  const std::string form = "NAME=train.jsonl[,test.jsonl]";
  const auto [name, files] = split_name(text, "--task", form);
  const std::size_t comma = files.find(',');
  if (comma == std::string::npos) return {.name = name, .train = files, .test = {}};
  TaskFiles result{.name = name, .train = files.substr(0, comma), .test = files.substr(comma + 1)};
  if (result.train.empty() || result.test->empty()) {
    throw ArgumentError("--task is '" + text + "', expected " + form);
  }
  return result;
}

Tasks read_tasks(const std::vector<std::string>& tasks, const std::vector<std::string>& adapters,
                 const Limits& limits) {
  Tasks result;
  support::Findings faults;
  const auto named = [&](const std::string& name) {
    return std::find_if(result.tasks.begin(), result.tasks.end(),
                        [&](const Task& task) { return task.name == name; });
  };
  std::vector<support::PlacedName> names;
  for (const std::string& text : tasks) {
    const TaskFiles files = parse_task(text);
    const std::string& name = files.name;
    expect_name(name);
    if (named(name) != result.tasks.end()) {
      throw ArgumentError("--task names '" + support::shown(name) +
                          "' twice, expected each task once");
    }
    result.tasks.push_back(read_task(files, limits, faults));
    names.push_back({name, "--task"});
  }
  for (const std::string& text : adapters) {
    const auto [name, folder] = split_name(text, "--adapter", "NAME=PEFT_DIR");
    const auto task = named(name);
    if (task == result.tasks.end()) {
      throw ArgumentError("--adapter names '" + support::shown(name) +
                          "', which no --task does: its prompts teach the router");
    }
    if (!task->adapter.empty()) {
      throw ArgumentError("--adapter names '" + support::shown(name) +
                          "' twice, expected each task once");
    }
    task->adapter = folder;
  }
  faults.throw_if_any();
  support::warn_of_twins(names, "name", "", result.warnings);
  return result;
}

void expect_prompt(const std::string& prompt, const support::TextTokens& tokens,
                   const anyssr::LlamaConfig& config) {
  support::Tokens ids;
  try {
    ids = tokens.encode_prompt(prompt);
  } catch (const ArgumentError& error) {
    throw ArgumentError(std::string("--ask: ") + error.what());
  }
  expect_ids(ids, "--ask: the prompt", config);
  const auto size = static_cast<Index>(ids.size());
  support::expect(size <= config.max_positions, "--ask: the prompt has ", size,
                  " tokens, expected at most max_position_embeddings, ", config.max_positions);
}

void tokenise(std::vector<Task>& tasks, const support::TextTokens& tokens,
              const anyssr::LlamaConfig& config) {
  support::Findings faults;
  for (Task& task : tasks) {
    if (!tokens.is_there() && (needs_tokenizer(task.train) || needs_tokenizer(task.test))) {
      throw ArgumentError("task '" + support::shown(task.name) + "' has text: " + tokens.reason());
    }
    tokenise(task.train, tokens, config, faults);
    tokenise(task.test, tokens, config, faults);
  }
  faults.throw_if_any<ArgumentError>();
}

std::vector<Task> without_words(std::vector<Task> tasks, const std::vector<std::string>& words) {
  support::Findings faults;
  for (Task& task : tasks) {
    take_out(task.train, words, faults);
    take_out(task.test, words, faults);
  }
  faults.throw_if_any<ArgumentError>();
  return tasks;
}

std::vector<support::Tokens> prompts_of(const std::vector<Item>& items) {
  std::vector<support::Tokens> result;
  for (const Item& item : items) result.push_back(item.prompt.ids);
  return result;
}

std::vector<support::Tokens> answers_of(const std::vector<Item>& items) {
  std::vector<support::Tokens> result;
  for (const Item& item : items) result.push_back(item.answer.ids);
  return result;
}

}  // namespace llama_continual
