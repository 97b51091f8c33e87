// SPDX-License-Identifier: MIT
#include "cl_benchmark/templates.hpp"

#include <algorithm>
#include <compare>
#include <cstddef>
#include <map>
#include <utility>

namespace cl_benchmark {

namespace {

bool is_word_byte(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         static_cast<unsigned char>(c) >= 0x80;  // letters of other languages, in UTF-8
}
bool is_blank_byte(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v'; }

bool is_word(std::string_view token) { return !token.empty() && is_word_byte(token.front()); }

/// The token at byte `begin`: a word, or one other character; line ends count, other blanks do not.
std::string_view token_at(std::string_view text, std::size_t begin) {
  std::size_t end = begin;
  while (end < text.size() && is_word_byte(text[end])) ++end;
  return text.substr(begin, end == begin ? 1 : end - begin);
}

/// The tokens of a text behind an empty one, which stands for its start.
std::vector<std::string_view> tokens_of(std::string_view text) {
  std::vector<std::string_view> tokens{""};
  for (std::size_t at = 0; at < text.size();) {
    if (is_blank_byte(text[at])) {
      ++at;
      continue;
    }
    tokens.push_back(token_at(text, at));
    at += tokens.back().size();
  }
  return tokens;
}

/// Two tokens `distance` apart: 1 for neighbours, 2 with a gap of one token between.
struct Pair {
  std::string_view left;
  std::string_view right;
  std::size_t distance = 1;
  auto operator<=>(const Pair&) const = default;
};

/// Calls use(pair, token in the gap or "") for each pair of a text; gaps stand between words.
template <class Use>
void for_each_pair(const std::vector<std::string_view>& tokens, const Use& use) {
  for (std::size_t i = 0; i + 1 < tokens.size(); ++i) {
    use(Pair{tokens[i], tokens[i + 1], 1}, std::string_view());
    if (i + 2 >= tokens.size() || !is_word(tokens[i]) || !is_word(tokens[i + 2])) continue;
    use(Pair{tokens[i], tokens[i + 2], 2}, tokens[i + 1]);
  }
}

/// All pairs that may stand in all texts but `without`. Such a pair stands in at least one of any
/// without + 1 texts, so the shortest are enough to look at.
std::set<Pair> candidates(std::vector<std::string_view> texts, std::size_t without) {
  std::ranges::stable_sort(texts, {}, &std::string_view::size);
  texts.resize(without + 1);
  std::set<Pair> pairs;
  for (const std::string_view text : texts) {
    for_each_pair(tokens_of(text), [&](const Pair& pair, std::string_view) { pairs.insert(pair); });
  }
  return pairs;
}

/// The pairs that at least nine of ten texts hold equally often.
std::set<Pair> constant_pairs(std::span<const std::string> texts) {
  const std::size_t without = texts.size() / 10;  // texts that need not hold a pair
  const std::set<Pair> possible = candidates({texts.begin(), texts.end()}, without);
  std::map<std::pair<Pair, int>, std::size_t> texts_with;  // by pair and how often a text holds it
  for (const std::string& text : texts) {
    std::map<Pair, int> counts;
    for_each_pair(tokens_of(text), [&](const Pair& pair, std::string_view) {
      if (possible.contains(pair)) ++counts[pair];
    });
    for (const auto& counted : counts) ++texts_with[counted];
  }
  std::set<Pair> constant;
  for (const auto& [counted, count] : texts_with) {
    if (count + without >= texts.size()) constant.insert(counted.first);
  }
  return constant;
}

}  // namespace

std::set<std::string> template_words(std::span<const std::string> texts) {
  std::set<std::string> words;
  if (texts.size() < least_template_texts) return words;
  const std::set<Pair> constant = constant_pairs(texts);
  std::map<std::string_view, std::size_t> fillings;  // texts by a word that fills a constant gap
  for (const std::string& text : texts) {
    std::set<std::string_view> here;
    for_each_pair(tokens_of(text), [&](const Pair& pair, std::string_view gap) {
      if (is_word(gap) && constant.contains(pair)) here.insert(gap);
    });
    for (const std::string_view word : here) ++fillings[word];
  }
  for (const Pair& pair : constant) {
    if (pair.distance > 1) continue;
    if (is_word(pair.left)) words.emplace(pair.left);
    if (is_word(pair.right)) words.emplace(pair.right);
  }
  for (const auto& [word, count] : fillings) {
    if (10 * count >= texts.size()) words.emplace(word);
  }
  return words;
}

std::string without_words(std::string_view text, const std::set<std::string>& words) {
  std::string rest;
  bool has_word = false;
  for (std::size_t at = 0; at < text.size();) {
    const std::string_view token = token_at(text, at);
    at += token.size();
    if (!is_word(token) || !words.contains(std::string(token))) {
      const bool is_leading_blank = rest.empty() && (is_blank_byte(token[0]) || token[0] == '\n');
      if (!is_leading_blank) rest += token;
      has_word = has_word || is_word(token);
      continue;
    }
    if (at < text.size() && text[at] == ':') ++at;
    while (at < text.size() && is_blank_byte(text[at])) ++at;
  }
  return has_word ? rest : std::string(text);
}

void strip_templates(Benchmark& benchmark) {
  std::set<std::string> words;
  for (const Task& task : benchmark.tasks) words.merge(template_words(task.train.texts));
  for (Task& task : benchmark.tasks) {
    for (Rows* rows : {&task.train, &task.test, &task.val}) {
      for (std::string& text : rows->texts) text = without_words(text, words);
    }
  }
  benchmark.stripped_words.assign(words.begin(), words.end());
}

}  // namespace cl_benchmark
