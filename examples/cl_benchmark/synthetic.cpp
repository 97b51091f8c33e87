// SPDX-License-Identifier: MIT
#include "cl_benchmark/synthetic.hpp"

#include <algorithm>
#include <anyssr/core/error.hpp>
#include <anyssr/core/random.hpp>
#include <optional>
#include <string_view>
#include <unordered_set>

#include "support/messages.hpp"
#include "support/numbers.hpp"

namespace cl_benchmark {

using anyssr::Index;
using anyssr::RandomStream;

namespace {

using Words = std::vector<std::string>;

/// Invents words of two to four syllables, never one twice.
class WordMaker {
 public:
  explicit WordMaker(std::uint64_t seed) : random_(seed, 0) {}

  Words make(std::size_t count) {
    Words words;
    while (words.size() < count) {
      std::string word;
      for (std::uint32_t left = 2 + random_.below(3); left > 0; --left) {
        word += consonants[random_.below(consonants.size())];
        word += vowels[random_.below(vowels.size())];
      }
      if (made_.insert(word).second) words.push_back(std::move(word));
    }
    return words;
  }

 private:
  static constexpr std::string_view consonants = "bdfghjklmnprstvz";
  static constexpr std::string_view vowels = "aeiou";

  RandomStream random_;
  std::unordered_set<std::string> made_;
};

const std::string& any_of(const Words& words, RandomStream& random) {
  return words[random.below(static_cast<std::uint32_t>(words.size()))];
}

std::string make_text(const Words& of_answer, const Words& of_task, const Words& common,
                      RandomStream& random) {
  constexpr std::uint32_t length = 8;
  const std::uint32_t answer_place = random.below(length);
  std::string text;
  for (std::uint32_t i = 0; i < length; ++i) {
    if (i > 0) text += ' ';
    const bool is_of_task = random.below(4) == 0;
    text += any_of(i == answer_place ? of_answer : is_of_task ? of_task : common, random);
  }
  return text;
}

}  // namespace

SyntheticOptions parse_synthetic(const std::string& text) {
  const auto refuse_unless = [&](bool holds) {
    support::expect(holds, "--synthetic is '", text,
                    "', expected TASKS[,ANSWERS[,ROWS]]: 1 to 10000 tasks of 1 to 1000 answers and "
                    "at most 100000 rows per task, at least one per answer; at most 100000 answers "
                    "and 10000000 rows of all tasks");
  };
  SyntheticOptions options;
  std::size_t begin = 0;
  for (Index* number : {&options.tasks, &options.answers, &options.rows}) {
    if (begin > text.size()) break;
    const std::size_t end = std::min(text.find(',', begin), text.size());
    const auto value =
        support::parse_whole<Index>(std::string_view(text).substr(begin, end - begin));
    refuse_unless(value.has_value());
    *number = *value;
    begin = end + 1;
  }
  const auto& [tasks, answers, rows] = options;
  refuse_unless(begin == text.size() + 1 && tasks >= 1 && tasks <= 10000 && answers >= 1 &&
                answers <= 1000 && rows >= answers && rows <= 100000);
  refuse_unless(tasks * answers <= 100000 && tasks * rows <= 10000000);
  return options;
}

Benchmark make_synthetic(const SyntheticOptions& options, std::uint64_t seed) {
  Benchmark benchmark;
  WordMaker maker(seed);
  const Words common = maker.make(200);
  for (Index t = 0; t < options.tasks; ++t) {
    RandomStream random(seed, static_cast<std::uint64_t>(t) + 1);
    Task task{.name = "synthetic" + std::to_string(t + 1)};
    const Words of_task = maker.make(30);
    std::vector<Words> of_answers;
    const auto first = static_cast<Index>(benchmark.answers.size());
    for (Index a = 0; a < options.answers; ++a) {
      of_answers.push_back(maker.make(5));
      benchmark.answers.push_back(task.name + " answer " + std::to_string(a + 1));
    }
    const auto fill = [&](Rows& rows, Index count) {
      for (Index i = 0; i < count; ++i) {
        const Index answer = i % options.answers;
        const Words& of_answer = of_answers[static_cast<std::size_t>(answer)];
        rows.add(make_text(of_answer, of_task, common, random), first + answer);
      }
    };
    fill(task.train, options.rows);
    fill(task.test, std::max(options.rows / 3, options.answers));
    collect_answers(task);
    benchmark.tasks.push_back(std::move(task));
  }
  return benchmark;
}

}  // namespace cl_benchmark
