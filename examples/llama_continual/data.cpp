// SPDX-License-Identifier: MIT
#include "llama_continual/data.hpp"

#include <algorithm>
#include <anyssr/core/error.hpp>
#include <string_view>
#include <utility>

#include "support/strict_json.hpp"

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

Text read_ids(const Json& value, const std::string& place) {
  Text text;
  text.is_ids = true;
  for (const Json& id : value) {
    if (!id.is_number_unsigned() || id.get<std::uint64_t>() > 0x7FFFFFFF) {
      throw FormatError(place + " has " + anyssr::detail::outline_of(id) +
                        ", expected token ids from 0 on");
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
  if (!found->is_string()) {
    throw FormatError(at + " is " + anyssr::detail::outline_of(*found) +
                      ", expected a text or a list of token ids");
  }
  Text text;
  text.text = found->get<std::string>();
  if (text.text.find_first_not_of(" \t\r\n\f\v") == std::string::npos) {
    throw FormatError(at + " is empty, expected a text");
  }
  return text;
}

Item read_item(const Json& line, const std::string& place) {
  if (!line.is_object()) throw FormatError(place + ": expected an object {\"prompt\", \"answer\"}");
  for (const auto& [key, value] : line.items()) {
    if (key == "prompt" || key == "answer") continue;
    throw FormatError(place + ": unknown field " + anyssr::detail::in_quotes(key) +
                      ", expected prompt and answer");
  }
  return {place, read_text(line, "prompt", place), read_text(line, "answer", place)};
}

/// The first `limit` lines of a file; 0: all. Those after them are read through, too.
std::vector<Item> read_items(const std::string& path, Index limit) {
  std::string text = support::read_file(path);
  if (text.starts_with("\xEF\xBB\xBF")) text.erase(0, 3);  // spreadsheets write a byte order mark
  std::vector<Item> items;
  std::size_t number = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line(text.data() + begin, end - begin);
    const std::string place = path + ":" + std::to_string(++number);
    begin = end + 1;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    items.push_back(read_item(support::parse_json(line, place), place));
  }
  if (items.empty()) throw FormatError(path + ": has no line, expected {\"prompt\", \"answer\"}");
  if (limit > 0 && static_cast<Index>(items.size()) > limit) {
    items.resize(static_cast<std::size_t>(limit));
  }
  return items;
}

void set_aside(Task& task) {
  std::vector<Item> train;
  for (std::size_t i = 0; i < task.train.size(); ++i) {
    const bool is_last = task.test.empty() && i + 1 == task.train.size();
    auto& to = i % 10 == 9 || is_last ? task.test : train;
    to.push_back(std::move(task.train[i]));
  }
  task.train = std::move(train);
  if (task.train.empty()) {
    throw FormatError("task '" + task.name + "' has one line, expected more: a test file is not " +
                      "given, and the last line is set aside for it");
  }
}

Task read_task(const std::string& text, const Limits& limits) {
  const auto [name, files] = split_name(text, "--task", "NAME=train.jsonl[,test.jsonl]");
  const std::size_t comma = files.find(',');
  Task task{.name = name, .adapter = {}, .train = {}, .test = {}};
  if (comma != std::string::npos) {
    task.train = read_items(files.substr(0, comma), limits.train);
    task.test = read_items(files.substr(comma + 1), limits.test);
    return task;
  }
  task.train = read_items(files, 0);
  set_aside(task);
  const auto shorten = [](std::vector<Item>& items, Index limit) {
    const auto most = static_cast<std::size_t>(limit);
    if (limit > 0 && items.size() > most) items.resize(most);
  };
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

void tokenise(std::vector<Item>& items, const support::TextTokens& tokens,
              const anyssr::LlamaConfig& config) {
  for (Item& item : items) {
    if (!item.prompt.is_ids) {
      // a prompt may be empty once words are taken out of it
      const auto bos = tokens.bos(config.bos);
      const bool is_bos_alone = item.prompt.text.empty() && bos.has_value();
      item.prompt.ids =
          is_bos_alone ? support::Tokens{*bos} : tokens.encode_prompt(item.prompt.text);
    }
    if (!item.answer.is_ids) item.answer.ids = tokens.encode(item.answer.text);
    expect_ids(item.prompt.ids, item.place + ": the prompt", config);
    expect_ids(item.answer.ids, item.place + ": the answer", config);
    const auto size = static_cast<Index>(item.prompt.ids.size() + item.answer.ids.size());
    if (size > config.max_positions) {
      throw ArgumentError(item.place + ": prompt and answer have " + std::to_string(size) +
                          " tokens, expected at most max_position_embeddings, " +
                          std::to_string(config.max_positions));
    }
  }
}

void take_out(std::vector<Item>& items, const std::vector<std::string>& words) {
  for (Item& item : items) {
    if (item.prompt.is_ids) {
      throw ArgumentError("--route-strip: " + item.place +
                          ": the prompt is a list of token ids, expected text");
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

}  // namespace

std::vector<Task> read_tasks(const std::vector<std::string>& tasks,
                             const std::vector<std::string>& adapters, const Limits& limits) {
  std::vector<Task> result;
  const auto named = [&](const std::string& name) {
    return std::find_if(result.begin(), result.end(),
                        [&](const Task& task) { return task.name == name; });
  };
  for (const std::string& text : tasks) {
    Task task = read_task(text, limits);
    if (named(task.name) != result.end()) {
      throw ArgumentError("--task names '" + task.name + "' twice, expected each task once");
    }
    result.push_back(std::move(task));
  }
  for (const std::string& text : adapters) {
    const auto [name, folder] = split_name(text, "--adapter", "NAME=PEFT_DIR");
    const auto task = named(name);
    if (task == result.end()) {
      throw ArgumentError("--adapter names '" + name +
                          "', which no --task does: its prompts teach the router");
    }
    if (!task->adapter.empty()) {
      throw ArgumentError("--adapter names '" + name + "' twice, expected each task once");
    }
    task->adapter = folder;
  }
  for (const Task& task : result) {
    if (task.adapter.empty() && task.train.size() < 2) {
      throw FormatError("task '" + task.name + "' has 1 item to learn from, expected at least 2");
    }
  }
  return result;
}

void tokenise(std::vector<Task>& tasks, const support::TextTokens& tokens,
              const anyssr::LlamaConfig& config) {
  for (Task& task : tasks) {
    tokenise(task.train, tokens, config);
    tokenise(task.test, tokens, config);
  }
}

std::vector<Task> without_words(std::vector<Task> tasks, const std::vector<std::string>& words) {
  for (Task& task : tasks) {
    take_out(task.train, words);
    take_out(task.test, words);
  }
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
