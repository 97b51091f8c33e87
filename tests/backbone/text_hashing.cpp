// SPDX-License-Identifier: MIT
#include "anyssr/backbone/text_hashing.hpp"

#include <cmath>
#include <limits>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "anyssr/lora/optional_members.hpp"
#include "support/catch.hpp"
#include "support/numeric.hpp"

namespace {

using namespace anyssr;
using anyssr::test::message_of;
using anyssr::test::round_off;

/// A word as its code points, each in UTF-8 and lower case, so that the reference neither decodes
/// nor changes case.
using Word = std::vector<std::string>;

std::string join(const Word& points, std::size_t first, std::size_t count) {
  std::string text;
  for (std::size_t i = first; i < first + count; ++i) text += points[i];
  return text;
}

/// The words of lower-case ASCII text with single spaces.
std::vector<Word> ascii_words(const std::string& text) {
  std::vector<Word> words(1);
  for (const char c : text) {
    if (c == ' ') {
      words.emplace_back();
    } else {
      words.back().push_back(std::string(1, c));
    }
  }
  return words;
}

std::map<std::string, int> count_ngrams(const std::vector<Word>& words,
                                        const TextHashingOptions& options) {
  std::map<std::string, int> counts;
  std::vector<std::string> plain;
  plain.reserve(words.size());
  for (const Word& word : words) plain.push_back(join(word, 0, word.size()));
  for (std::size_t i = 0; i < plain.size(); ++i) {
    std::string ngram = "w" + plain[i];
    for (int n = 1; n <= options.max_word_ngram; ++n) {
      ++counts[ngram];
      if (i + static_cast<std::size_t>(n) == plain.size()) break;
      ngram += " " + plain[i + static_cast<std::size_t>(n)];
    }
    Word marked{"<"};
    marked.insert(marked.end(), words[i].begin(), words[i].end());
    marked.push_back(">");
    for (int n = options.min_char_ngram; n <= options.max_char_ngram; ++n) {
      const auto size = static_cast<std::size_t>(n);
      for (std::size_t k = 0; k + size <= marked.size(); ++k) ++counts["c" + join(marked, k, size)];
    }
  }
  const std::size_t pairing =
      std::min(plain.size(), static_cast<std::size_t>(options.max_pair_words));
  for (std::size_t i = 0; options.word_pairs && i < pairing; ++i) {
    for (std::size_t j = i + 1; j < pairing; ++j) {
      ++counts["p" + std::min(plain[i], plain[j]) + " " + std::max(plain[i], plain[j])];
    }
  }
  return counts;
}

/// FNV-1a and the finaliser of SplitMix64, written once more.
std::uint64_t reference_hash(const std::string& bytes, std::uint64_t seed) {
  std::uint64_t h = 14695981039346656037U ^ seed;
  for (const char c : bytes) {
    h ^= static_cast<std::uint8_t>(c);
    h *= 1099511628211U;
  }
  h = (h ^ (h >> 30)) * 0xBF58476D1CE4E5B9U;
  h = (h ^ (h >> 27)) * 0x94D049BB133111EBU;
  return h ^ (h >> 31);
}

using SparseReference = std::map<Index, double>;

SparseReference reference_row(const std::vector<Word>& words, const TextHashingOptions& options) {
  SparseReference row;
  for (const auto& [ngram, count] : count_ngrams(words, options)) {
    const std::uint64_t h = reference_hash(ngram, options.seed);
    const std::uint64_t bucket = ((h >> 32) * static_cast<std::uint64_t>(options.dim)) >> 32;
    row[static_cast<Index>(bucket)] +=
        (h % 2 == 1 ? -1 : 1) * (1 + std::log(static_cast<double>(count)));
  }
  double squares = 0;
  for (const auto& [bucket, value] : row) squares += value * value;
  for (auto& [bucket, value] : row) value /= squares > 0 ? std::sqrt(squares) : 1;
  return row;
}

/// Largest difference, over all columns, between row i and the reference.
template <class Scalar>
double largest_difference(const SparseRows<Scalar>& rows, Index i, SparseReference reference) {
  double largest = 0;
  for (typename SparseRows<Scalar>::InnerIterator it(rows, i); it; ++it) {
    const double difference = static_cast<double>(it.value()) - reference[it.col()];
    largest = std::max(largest, std::abs(difference));
    reference.erase(it.col());
  }
  for (const auto& [bucket, value] : reference) largest = std::max(largest, std::abs(value));
  return largest;
}

/// Compressed, columns strictly rising, finite, no stored zeros, each row of length 1 or empty.
template <class Scalar>
void check_well_formed(const SparseRows<Scalar>& rows) {
  REQUIRE(rows.isCompressed());
  std::size_t wrong = 0;
  for (Index i = 0; i < rows.rows(); ++i) {
    Index before = -1;
    double squares = 0;
    for (typename SparseRows<Scalar>::InnerIterator it(rows, i); it; ++it) {
      if (it.col() <= before || it.col() >= rows.cols()) ++wrong;
      if (!std::isfinite(it.value()) || it.value() == 0) ++wrong;
      before = it.col();
      squares += static_cast<double>(it.value()) * static_cast<double>(it.value());
    }
    if (before >= 0 && std::abs(squares - 1) > round_off<Scalar>(16)) ++wrong;
  }
  CHECK(wrong == 0);
}

template <class Scalar>
bool equal(const SparseRows<Scalar>& a, const SparseRows<Scalar>& b) {
  return a.rows() == b.rows() && a.cols() == b.cols() && Matrix<Scalar>(a) == Matrix<Scalar>(b);
}

std::string repeated(const std::string& part, std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) text += part;
  return text;
}

struct Golden {
  Index bucket;
  double value;
};

// Both tables: a program of its own in Python 3.11 (dictionary of n-grams, integers without limit,
// math.log), from the definition at the head of the header.
// "To be, or not to be", default options: the whole row
constexpr Golden to_be[] = {
    {0, 0.129140220175},     {27, 0.129140220175},    {131, -0.129140220175},
    {295, -0.129140220175},  {396, 0.129140220175},   {399, -0.129140220175},
    {504, -0.129140220175},  {512, 0.129140220175},   {601, -0.129140220175},
    {1040, -0.308166579198}, {1071, 0.218653399687},  {1149, 0.218653399687},
    {1259, -0.218653399687}, {1384, -0.218653399687}, {1495, 0.129140220175},
    {2245, 0.218653399687},  {2436, 0.218653399687},  {2641, -0.218653399687},
    {2741, -0.129140220175}, {2934, 0.129140220175},  {2970, 0.129140220175},
    {3065, 0.218653399687},  {3189, -0.218653399687}, {3225, -0.218653399687},
    {3278, -0.218653399687}, {3430, -0.129140220175}, {3502, 0.129140220175},
    {3638, 0.129140220175},  {3681, 0.129140220175},  {3775, 0.218653399687},
    {3984, 0.218653399687},
};

// "Smörgås ΔΟΣ", dim 2^31, seed 7: the first of 28 entries
constexpr Golden smorgas[] = {
    {28451421, 0.188982236505},   {49315096, 0.188982236505},   {170777772, 0.188982236505},
    {360313324, -0.188982236505}, {468279692, -0.188982236505}, {469364309, 0.188982236505},
};

struct NoBackbone {
  using Scalar = float;
  using Input = std::string;
};

static_assert(Backbone<TextHashingBackbone<float>> && Backbone<TextHashingBackbone<double>>);
static_assert(FingerprintedBackbone<TextHashingBackbone<double>>);
static_assert(NamesFeatures<TextHashingBackbone<float>>);
static_assert(!Backbone<NoBackbone> && !FingerprintedBackbone<NoBackbone>);

}  // namespace

TEMPLATE_TEST_CASE("hashed features equal counting n-grams in a dictionary", "[backbone][property]",
                   float, double) {
  TextHashingOptions options;
  options.dim = GENERATE(Index{1}, Index{2}, Index{63}, Index{4096}, Index{1} << 31);
  options.seed = GENERATE(0U, 7U);
  CAPTURE(options.dim, options.seed);
  const std::vector<std::string> texts{
      "I",
      "How do I freeze my account?",
      "to be or not to be - that is THE question: to be, to be!",
      "Ça coûte 20€… Déjà-vu",
      "Где мой ΛΟΓΟΣ",
  };
  const std::vector<std::vector<Word>> words{
      ascii_words("i"),
      ascii_words("how do i freeze my account"),
      ascii_words("to be or not to be that is the question to be to be"),
      {{"ç", "a"}, {"c", "o", "û", "t", "e"}, {"2", "0", "€"}, {"d", "é", "j", "à"}, {"v", "u"}},
      {{"г", "д", "е"}, {"м", "о", "й"}, {"λ", "ο", "γ", "ο", "σ"}},
  };
  const TextHashingBackbone<TestType> backbone(options);
  const SparseRows<TestType> rows = backbone.features(texts);
  REQUIRE(rows.rows() == 5);
  REQUIRE(rows.cols() == options.dim);
  check_well_formed(rows);
  for (Index i = 0; i < 5; ++i) {
    CAPTURE(i);
    const SparseReference reference = reference_row(words[static_cast<std::size_t>(i)], options);
    CHECK(largest_difference(rows, i, reference) < round_off<TestType>(16));
  }
}

TEST_CASE("each kind of n-gram follows its options", "[backbone][property]") {
  const std::string text = "please move my money to my other account please";
  TextHashingOptions options;
  options.dim = Index{1} << 31;
  SECTION("words alone") {
    options.max_word_ngram = GENERATE(1, 3, 16);
    options.max_char_ngram = 0;
    options.word_pairs = false;
  }
  SECTION("characters alone") {
    options.max_word_ngram = 0;
    options.min_char_ngram = GENERATE(1, 2);
    options.max_char_ngram = GENERATE(2, 32);
    options.word_pairs = false;
  }
  SECTION("pairs alone") {
    options.max_word_ngram = 0;
    options.max_char_ngram = 0;
    options.max_pair_words = GENERATE(Index{2}, Index{4}, Index{9}, Index{4096});
  }
  const TextHashingBackbone<double> backbone(options);
  const SparseReference reference = reference_row(ascii_words(text), options);
  const SparseRows<double> row = backbone.features_of(text);
  CHECK(row.nonZeros() == static_cast<Index>(reference.size()));
  CHECK(largest_difference(row, 0, reference) < round_off<double>(16));
}

TEST_CASE("a fixed text has the features of another program", "[backbone][golden]") {
  const SparseRows<double> row = TextHashingBackbone<double>().features_of("To be, or not to be");
  CHECK(row.nonZeros() == static_cast<Index>(std::size(to_be)));
  for (const Golden& golden : to_be) {
    CAPTURE(golden.bucket);
    CHECK(std::abs(row.coeff(0, golden.bucket) - golden.value) < 1e-12);  // as printed
  }
  const TextHashingBackbone<double> wide({.dim = Index{1} << 31, .seed = 7});
  const SparseRows<double> wide_row = wide.features_of("Smörgås ΔΟΣ");
  CHECK(wide_row.nonZeros() == 28);
  for (const Golden& golden : smorgas) {
    CAPTURE(golden.bucket);
    CHECK(std::abs(wide_row.coeff(0, golden.bucket) - golden.value) < 1e-12);
  }
}

TEST_CASE("pairs ignore the order of words and bigrams do not", "[backbone][property]") {
  const TextHashingBackbone<double> pairs(
      {.max_word_ngram = 1, .max_char_ngram = 5, .word_pairs = true});
  const TextHashingBackbone<double> bigrams(
      {.max_word_ngram = 2, .max_char_ngram = 5, .word_pairs = false});
  CHECK(equal(pairs.features_of("move money to savings"),
              pairs.features_of("savings to money move")));
  CHECK_FALSE(equal(bigrams.features_of("move money to savings"),
                    bigrams.features_of("savings to money move")));
}

TEST_CASE("the same letters under different kinds are different features", "[backbone][property]") {
  // "a a": word "a" twice, bigram "a a", pair "a a", and "<a>" twice among the characters
  TextHashingOptions options;
  options.dim = Index{1} << 31;
  const SparseRows<double> row = TextHashingBackbone<double>(options).features_of("a a");
  CHECK(row.nonZeros() == 4);
  const double twice = 1 + std::log(2.0);
  const double norm = std::sqrt(2 + 2 * twice * twice);
  double sum = 0;
  for (SparseRows<double>::InnerIterator it(row, 0); it; ++it) sum += std::abs(it.value());
  CHECK(std::abs(sum - (2 + 2 * twice) / norm) < round_off<double>(16));
}

TEMPLATE_TEST_CASE("case spacing and punctuation change nothing", "[backbone][property]", float,
                   double) {
  const TextHashingBackbone<TestType> backbone;
  const auto same = [&](std::string_view a, std::string_view b) {
    return equal(backbone.features_of(a), backbone.features_of(b));
  };
  CHECK(same("What's my PIN?", "  what s\tmy (pin)"));
  CHECK(same("ÉCOLE ÅNGSTRÖM ŽLUŤOUČKÝ", "école ångström žluťoučký"));
  CHECK(same("ΟΔΟΣ ΌΜΟΡΦΗ", "οδος όμορφη"));
  CHECK(same("ЁЛКА ҐАНОК", "ёлка ґанок"));
  CHECK_FALSE(same("ecole", "école"));
}

TEST_CASE("a row does not depend on the rows beside it", "[backbone][property]") {
  const TextHashingBackbone<float> backbone;
  const std::vector<std::string> texts{"first one", "?!", "the second text", "first one"};
  const SparseRows<float> rows = backbone.features(texts);
  check_well_formed(rows);
  for (Index i = 0; i < 4; ++i) {
    const SparseRows<float> row = rows.middleRows(i, 1);
    CHECK(equal(row, backbone.features_of(texts[static_cast<std::size_t>(i)])));
  }
  CHECK(backbone.features(std::vector<std::string>{}).rows() == 0);
  CHECK(backbone.features(std::vector<std::string>{}).cols() == 4096);
}

TEST_CASE("a text without letters and digits gives a row of zeros", "[backbone][property]") {
  const TextHashingBackbone<double> backbone;
  CHECK(backbone.features_of("?! ... -").nonZeros() == 0);
  CHECK(backbone.features_of(std::string_view("\0", 1)).nonZeros() == 0);
  const TextHashingBackbone<double> pairs({.max_word_ngram = 0, .max_char_ngram = 0});
  CHECK(pairs.features_of("alone").nonZeros() == 0);
  CHECK(pairs.features_of("not alone").nonZeros() == 1);
}

TEST_CASE("features that cancel are not stored", "[backbone][property]") {
  // with one bucket every n-gram falls on the same number, and +1 and -1 often meet
  const TextHashingBackbone<double> backbone({.dim = 1});
  Index zeros = 0;
  for (char a = 'a'; a <= 'z'; ++a) {
    const SparseRows<double> row = backbone.features_of(std::string(2, a));
    check_well_formed(row);
    if (row.nonZeros() == 0) ++zeros;
    const SparseReference reference = reference_row({Word(2, std::string(1, a))}, {.dim = 1});
    CHECK((row.nonZeros() == 0) == (reference.at(0) == 0));
  }
  CHECK(zeros > 0);
}

TEMPLATE_TEST_CASE("any bytes at all give finite rows", "[backbone][property]", float, double) {
  const TextHashingBackbone<TestType> backbone({.dim = 512, .max_pair_words = 8});
  RandomStream random(5);
  std::vector<std::string> texts;
  for (int i = 0; i < 2000; ++i) {
    std::string text(1, 'x');
    const std::uint32_t size = random.below(40);
    for (std::uint32_t k = 0; k < size; ++k) {  // half of them leads and continuations of UTF-8
      const std::uint32_t high = random.below(2) * 128;
      text += static_cast<char>(high + random.below(256 - high));
    }
    texts.push_back(text);
  }
  for (const char* cut : {"\xC3", "\xE2\x82", "\xF0\x9F\x9A", "\xED\xA0\x80", "\xF5\x80\x80\x80"}) {
    texts.emplace_back(cut);
  }
  texts.emplace_back("nul\0inside\0", 11);
  const SparseRows<TestType> rows = backbone.features(texts);
  check_well_formed(rows);
  const SparseRows<TestType> last = rows.bottomRows(1);
  CHECK(equal(last, backbone.features_of("nul inside")));
}

TEST_CASE("a long text costs no more than its length", "[backbone][property]") {
  // 30000 words: all their pairs would be 450 million n-grams
  const TextHashingBackbone<float> backbone;
  check_well_formed(backbone.features_of(repeated("a ", 30000)));
  check_well_formed(backbone.features_of(repeated("abcdefghij", 6000)));
  std::string numbers;
  for (int i = 0; numbers.size() < 60000; ++i) numbers += std::to_string(i) + " ";
  check_well_formed(backbone.features_of(numbers));
  TextHashingOptions options;  // and the pairs are exactly those of the first words
  options.dim = Index{1} << 31;
  options.max_word_ngram = 0;
  options.max_char_ngram = 0;
  options.max_pair_words = 20;
  CHECK(TextHashingBackbone<float>(options).features_of(numbers).nonZeros() == 190);
}

TEST_CASE("another seed gives other buckets and signs", "[backbone][property]") {
  const std::string text = "transfer ten dollars";
  const SparseRows<double> zero = TextHashingBackbone<double>().features_of(text);
  const SparseRows<double> one = TextHashingBackbone<double>({.seed = 1}).features_of(text);
  CHECK(equal(zero, TextHashingBackbone<double>().features_of(text)));
  // about 40 of 4096 buckets each: chance makes few of them meet
  CHECK(std::abs(zero.row(0).dot(one.row(0))) < 0.25);
}

TEST_CASE("threads that share a backbone get the same bits", "[backbone][property]") {
  const TextHashingBackbone<float> backbone;
  const std::vector<std::string> texts(50, "which of my cards has the lowest fee");
  const SparseRows<float> expected = backbone.features(texts);
  std::vector<int> same(4, 0);
  {
    std::vector<std::jthread> team;
    team.reserve(same.size());
    for (int& flag : same) {
      team.emplace_back([&] { flag = equal(backbone.features(texts), expected) ? 1 : 0; });
    }
  }
  CHECK(same == std::vector<int>(4, 1));
}

TEST_CASE("the fingerprint names every option", "[backbone][property]") {
  CHECK(TextHashingBackbone<float>().fingerprint() ==
        "anyssr-text-hashing/1 dim=4096 words=2 chars=3-5 pairs=128 max_bytes=65536 seed=0");
  const std::vector<TextHashingOptions> options{
      {},
      {.dim = 8192},
      {.max_word_ngram = 1},
      {.min_char_ngram = 2},
      {.max_char_ngram = 4},
      {.word_pairs = false},
      {.max_pair_words = 64},
      {.max_bytes = 1000},
      {.seed = 1},
  };
  std::map<std::string, int> seen;
  for (const TextHashingOptions& o : options) ++seen[TextHashingBackbone<float>(o).fingerprint()];
  CHECK(seen.size() == options.size());
  CHECK(TextHashingBackbone<float>().fingerprint() == TextHashingBackbone<double>().fingerprint());
}

TEMPLATE_TEST_CASE("a text that is empty or too long is refused by its index", "[backbone][error]",
                   float, double) {
  const TextHashingBackbone<TestType> backbone({.max_bytes = 10});
  const auto error = [&](const std::string& text) {
    const std::vector<std::string> texts{"one", "two", "three", text};
    return message_of<ArgumentError>([&] { (void)backbone.features(texts); });
  };
  const std::string empty =
      "text 3 is empty, expected at least one character that is not white space";
  CHECK(error("") == empty);
  CHECK(error(" \t\r\n") == empty);
  CHECK(error("\u00A0\u2003\u3000") == empty);
  CHECK(error("12345678901") ==
        "text 3 has 11 bytes, expected at most 10: shorten it or raise "
        "TextHashingOptions::max_bytes");
  CHECK(error("1234567890") == "nothing was thrown");
  CHECK(message_of<ArgumentError>([&] { (void)backbone.features_of(""); }) ==
        "text 0 is empty, expected at least one character that is not white space");
}

TEST_CASE("text hashing options outside their range are refused", "[backbone][error]") {
  const auto error = [](const TextHashingOptions& options) {
    return message_of<ArgumentError>([&] { TextHashingBackbone<float>{options}; });
  };
  CHECK(error({.dim = 0}) == "dim is 0, expected 1 to 2147483648");
  CHECK(error({.dim = (Index{1} << 31) + 1}) == "dim is 2147483649, expected 1 to 2147483648");
  CHECK(error({.max_word_ngram = -1}) == "max_word_ngram is -1, expected 0 to 16");
  CHECK(error({.max_word_ngram = 17}) == "max_word_ngram is 17, expected 0 to 16");
  CHECK(error({.min_char_ngram = 0}) == "min_char_ngram is 0, expected 1 to max_char_ngram = 5");
  CHECK(error({.min_char_ngram = 6}) == "min_char_ngram is 6, expected 1 to max_char_ngram = 5");
  CHECK(error({.max_char_ngram = -1}) == "max_char_ngram is -1, expected 0 to 32");
  CHECK(error({.max_char_ngram = 33}) == "max_char_ngram is 33, expected 0 to 32");
  CHECK(error({.max_pair_words = 1}) == "max_pair_words is 1, expected 2 to 4096");
  CHECK(error({.max_pair_words = 4097}) == "max_pair_words is 4097, expected 2 to 4096");
  CHECK(error({.max_bytes = 0}) == "max_bytes is 0, expected at least 1");
  CHECK(error({.max_word_ngram = 0, .max_char_ngram = 0, .word_pairs = false}) ==
        "words, characters and word_pairs are all off, expected at least one of them");
  CHECK(error({.min_char_ngram = 0, .max_char_ngram = 0}) == "nothing was thrown");
  CHECK(error({.word_pairs = false, .max_pair_words = 0}) == "nothing was thrown");
}

TEST_CASE("more entries than Eigen can count are refused", "[backbone][error]") {
  CHECK(message_of<ArgumentError>([] { detail::expect_storable(2147483647); }) ==
        "nothing was thrown");
  CHECK(message_of<ArgumentError>([] { detail::expect_storable(2147483648); }) ==
        "the features of these texts have 2147483648 entries, expected at most 2147483647: pass "
        "the texts in several batches");
}

TEST_CASE("the parts of a text's features add up to them", "[backbone]") {
  const std::string text = "pay the bill, pay the whole bill of 2024 now";
  const TextHashingBackbone<double> backbone({.dim = 61, .seed = 5});  // buckets are shared
  Eigen::VectorXd sum = Eigen::VectorXd::Zero(61);
  for (const FeaturePart& part : backbone.feature_parts(text)) sum(part.feature) += part.value;
  const Eigen::VectorXd expected = Eigen::MatrixXd(backbone.features_of(text)).transpose();
  CHECK((sum - expected).cwiseAbs().maxCoeff() < 1e-14);
}

TEST_CASE("the parts of a text's features name words pairs and characters", "[backbone]") {
  const TextHashingBackbone<float> backbone;
  std::vector<std::string> names;
  for (const FeaturePart& part : backbone.feature_parts("pay bills")) names.push_back(part.name);
  for (const char* expected : {"pay", "pay bills", "bills + pay", "...<pa...", "...lls..."}) {
    CAPTURE(expected);
    CHECK(std::count(names.begin(), names.end(), expected) == 1);
  }
  CHECK_THROWS_AS(backbone.feature_parts(" "), ArgumentError);
  CHECK(backbone.feature_parts("?!").empty());
}
