// SPDX-License-Identifier: MIT
#include "anyssr/metrics/text_score.hpp"

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "anyssr/core/random.hpp"
#include "support/catch.hpp"

namespace {

using namespace anyssr;
using namespace anyssr::test;

/// Length of the longest common subsequence by trying every subset of the shorter list.
std::size_t longest_by_trial(const std::vector<int>& a, const std::vector<int>& b) {
  std::size_t longest = 0;
  for (unsigned subset = 0; subset < 1U << a.size(); ++subset) {
    std::size_t picked = 0;
    std::size_t at = 0;  // in b, behind the last entry that was found
    bool is_found = true;
    for (std::size_t i = 0; i < a.size() && is_found; ++i) {
      if ((subset >> i & 1U) == 0) continue;
      while (at < b.size() && b[at] != a[i]) ++at;
      is_found = at < b.size();
      ++at;
      ++picked;
    }
    if (is_found) longest = std::max(longest, picked);
  }
  return longest;
}

std::vector<int> random_list(RandomStream& random, std::uint32_t most, std::uint32_t values) {
  std::vector<int> list(random.below(most + 1));
  for (int& entry : list) entry = static_cast<int>(random.below(values));
  return list;
}

bool is_score(const RougeScore& score, double precision, double recall, double f1) {
  const auto is_near = [](double a, double b) { return std::abs(a - b) < 1e-15; };
  return is_near(score.precision, precision) && is_near(score.recall, recall) &&
         is_near(score.f1, f1);
}

}  // namespace

TEST_CASE("an exact match ignores white space at the ends and nothing else",
          "[metrics][property]") {
  CHECK(exact_match("pay bill", "pay bill"));
  CHECK(exact_match("  pay bill\r\n", "\tpay bill"));
  CHECK(exact_match("", " \n"));
  CHECK_FALSE(exact_match("pay  bill", "pay bill"));
  CHECK_FALSE(exact_match("Pay bill", "pay bill"));
  CHECK_FALSE(exact_match("pay", "pay bill"));
  CHECK_FALSE(exact_match("", "pay"));
  const std::vector<int> ids{3, 1, 2};
  std::vector<int> other = ids;
  CHECK(exact_match(std::span(other), std::span(ids)));
  other.pop_back();
  CHECK_FALSE(exact_match(std::span(other), std::span(ids)));
}

TEST_CASE("scores of short texts are those worked out by hand", "[metrics][golden]") {
  // the, quick, brown, jumps, the: 5 of 8 and of 9
  CHECK(is_score(rouge_l("The quick brown dog jumps on the log.",
                         "The quick brown fox jumps over the lazy dog"),
                 5.0 / 8, 5.0 / 9, 10.0 / 17));
  // from the paper (section 3.1, example 1): police the gunman -> 3 of 4, the gunman -> 2 of 4
  CHECK(is_score(rouge_l("police kill the gunman", "police killed the gunman"), 0.75, 0.75, 0.75));
  CHECK(is_score(rouge_l("the gunman kill police", "police killed the gunman"), 0.5, 0.5, 0.5));
  CHECK(is_score(rouge_l("the gunman police killed", "police killed the gunman"), 0.5, 0.5, 0.5));
  CHECK(is_score(rouge_l("a a a b", "a b a"), 0.5, 2.0 / 3, 4.0 / 7));
  CHECK(is_score(rouge_l("same words", "same words"), 1, 1, 1));
  CHECK(is_score(rouge_l("one", "two"), 0, 0, 0));
}

TEST_CASE("words are runs of lowered ASCII letters and digits", "[metrics][property]") {
  CHECK(is_score(rouge_l("DON'T pay_me 3.5!", "don t pay me 3 5"), 1, 1, 1));
  CHECK(is_score(rouge_l("caf\u00e9", "caf"), 1, 1, 1));
  CHECK(is_score(rouge_l("\u6771\u4eac", "\u6771\u4eac"), 0, 0, 0));
}

TEST_CASE("what is empty scores zero", "[metrics][property]") {
  CHECK(is_score(rouge_l("", ""), 0, 0, 0));
  CHECK(is_score(rouge_l("word", " ... "), 0, 0, 0));
  CHECK(is_score(rouge_l("", "word"), 0, 0, 0));
  const std::vector<int> ids{1};
  CHECK(is_score(rouge_l(std::span(ids), std::span(ids).first(0)), 0, 0, 0));
}

TEST_CASE("the common subsequence is as long as trying every subset finds", "[metrics][property]") {
  RandomStream random(4, 1);
  for (int trial = 0; trial < 400; ++trial) {
    const std::vector<int> a = random_list(random, 9, 1 + static_cast<std::uint32_t>(trial % 5));
    const std::vector<int> b = random_list(random, 14, 1 + static_cast<std::uint32_t>(trial % 5));
    CAPTURE(trial);
    const auto length = static_cast<double>(longest_by_trial(a, b));
    const RougeScore score = rouge_l(std::span(a), std::span(b));
    const RougeScore turned = rouge_l(std::span(b), std::span(a));
    CHECK(turned.precision == score.recall);
    CHECK(turned.f1 == score.f1);
    if (a.empty() || b.empty()) {
      CHECK(is_score(score, 0, 0, 0));
      continue;
    }
    const auto m = static_cast<double>(a.size());
    const auto n = static_cast<double>(b.size());
    const double p = length / m;
    const double r = length / n;
    CHECK(is_score(score, p, r, length == 0 ? 0 : 2 * p * r / (p + r)));
    std::string text_a;
    std::string text_b;
    for (const int entry : a) text_a += "W" + std::to_string(entry) + ", ";
    for (const int entry : b) text_b += "w" + std::to_string(entry) + "\n";
    CHECK(rouge_l(text_a, text_b).f1 == score.f1);
  }
}
