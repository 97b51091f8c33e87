// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The words of prompt templates ("Title:", "sentence 1:", "Choose one between A and B."), which
/// give a task away without a look at its content.
///
/// A template says the same in every text, equally often. Two neighbouring words of content do not:
/// where a phrase falls into texts at random, the share of texts that hold it exactly n times is
/// below 0.37 for every n >= 1 (Poisson). So a word belongs to the template of a task if it stands
/// in a pair of neighbouring tokens that at least 90 % of its texts hold equally often. A gap of
/// one word between the same two words in 90 % of the texts ("is the cause of", "is the effect of")
/// belongs to it too, if at least 10 % of the texts fill it with that word.

#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cl_benchmark/tasks.hpp"

namespace cl_benchmark {

/// Texts that a task must have before anything is called its template.
inline constexpr std::size_t least_template_texts = 20;

/// Template words of texts of one task: runs of letters and digits, in the case in which they
/// stand. Empty for fewer than least_template_texts texts.
[[nodiscard]] std::set<std::string> template_words(std::span<const std::string> texts);

/// The text without the words, each with a colon that follows it and the blanks behind. A text of
/// which no word would be left stays as it is.
[[nodiscard]] std::string without_words(std::string_view text, const std::set<std::string>& words);

/// Finds the template words of each task in its training rows and takes those of all tasks out of
/// all texts; Benchmark::stripped_words names them.
void strip_templates(Benchmark& benchmark);

}  // namespace cl_benchmark
