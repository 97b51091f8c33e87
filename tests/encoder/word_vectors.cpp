// SPDX-License-Identifier: MIT
// Word vectors: the files, what all words share against a singular value decomposition, the kernel
// that the features stand for against its formula, and files that are refused.
#include "anyssr/backbone/encoder/word_vector_backbone.hpp"

#include <Eigen/SVD>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "anyssr/io/safetensors_writer.hpp"
#include "support/catch.hpp"
#include "support/numeric.hpp"
#include "support/program.hpp"

namespace {

using namespace anyssr;
using namespace anyssr::test;

const std::vector<std::string> listed_words{"the",      "money", "Money",  "cash",
                                            "new_york", "to",    "bank's", "über",
                                            "card",     "train", "plane",  "ticket"};
constexpr Index words_dim = 6;

RowMajorMatrix<float> raw_vectors() {
  RowMajorMatrix<float> rows =
      random_normal<float>(static_cast<Index>(listed_words.size()), words_dim, 7, 1);
  rows.rowwise() += RowVector<float>::LinSpaced(words_dim, 1, 2);
  return rows;
}

std::string lines_of(const RowMajorMatrix<float>& rows) {
  std::ostringstream text;
  text.precision(9);
  for (Index i = 0; i < rows.rows(); ++i) {
    text << listed_words[static_cast<std::size_t>(i)];
    for (Index j = 0; j < rows.cols(); ++j) text << " " << rows(i, j);
    text << "\n";
  }
  return text.str();
}

struct WordFolder : TemporaryFolder {
  std::filesystem::path text(const std::string& content) {
    write("words.vec", content);
    return file("words.vec");
  }
};

WordVectors small_vectors(const WordVectorOptions& options = {.packing = VectorPacking::float32}) {
  WordFolder folder;
  return WordVectors::read(folder.text(lines_of(raw_vectors())), options);
}

Vector<double> vector_of(const WordVectors& vectors, const std::string& word) {
  const auto row = vectors.find(word);
  REQUIRE(row.has_value());
  Vector<double> result(vectors.dim());
  vectors.vector(*row, result.data());
  return result;
}

/// The vectors that are kept, without what they share, by another road.
std::map<std::string, Eigen::VectorXd> cleaned_by_svd(int removed) {
  const std::vector<Index> kept{0, 1, 3,  5, 7,
                                8, 9, 10, 11};  // not what is cut apart or comes twice
  Eigen::MatrixXd rows(static_cast<Index>(kept.size()), words_dim);
  const Eigen::MatrixXd raw = raw_vectors().cast<double>();
  for (std::size_t i = 0; i < kept.size(); ++i) rows.row(static_cast<Index>(i)) = raw.row(kept[i]);
  rows.rowwise() -= rows.colwise().mean().eval();
  const Eigen::JacobiSVD<Eigen::MatrixXd> svd(rows, Eigen::ComputeThinV);
  const Eigen::MatrixXd directions = svd.matrixV().leftCols(removed);
  rows -= (rows * directions * directions.transpose()).eval();
  rows.rowwise().normalize();
  std::map<std::string, Eigen::VectorXd> result;
  for (std::size_t i = 0; i < kept.size(); ++i) {
    result[listed_words[static_cast<std::size_t>(kept[i])]] =
        rows.row(static_cast<Index>(i)).transpose();
  }
  return result;
}

}  // namespace

TEST_CASE("what all words share is taken out of each", "[encoder]") {
  for (const int removed : {0, 2}) {
    const WordVectors vectors =
        small_vectors({.packing = VectorPacking::float32, .removed_directions = removed});
    const auto expected = cleaned_by_svd(removed);
    CHECK(vectors.size() == 9);
    CHECK(vectors.rank_count() == 12);
    for (const auto& [word, vector] : expected) {
      CAPTURE(word);
      CHECK((vector_of(vectors, word) - vector).norm() < 1e-6);
    }
  }
  const WordVectors vectors = small_vectors();
  CHECK_FALSE(vectors.find("new_york").has_value());  // no text asks for it
  CHECK_FALSE(vectors.find("bank's").has_value());
  CHECK_FALSE(vectors.find("Money").has_value());
  CHECK(vectors.rank(*vectors.find("money")) == 1);
  CHECK(vectors.rank(*vectors.find("ticket")) == 11);
  double all = 0;
  for (Index rank = 0; rank < 12; ++rank) all += vectors.frequency(rank);
  CHECK(all == Approx(1));
  CHECK(vectors.frequency(0) == Approx(4 * vectors.frequency(3)));
}

TEST_CASE("the text forms and safetensors give the same vectors", "[encoder]") {
  WordFolder folder;
  const std::string lines = lines_of(raw_vectors());
  const WordVectors plain = WordVectors::read(folder.text(lines));
  const std::string header = "12 6\n";
  std::string windows = lines;
  for (std::size_t at = 0; (at = windows.find('\n', at)) != std::string::npos; at += 2) {
    windows.insert(at, "\r");
  }
  std::string spaced = lines;  // fastText ends a line with a space
  for (std::size_t at = 0; (at = spaced.find('\n', at)) != std::string::npos; at += 2) {
    spaced.insert(at, " ");
  }
  for (const std::string& form : {header + lines, windows, header + spaced, "\n" + lines}) {
    CHECK(WordVectors::read(folder.text(form)).digest() == plain.digest());
  }
  SafetensorsWriter writer;
  writer.add("vectors", raw_vectors());
  writer.write(folder.file("vectors.safetensors"));
  std::string list;
  for (const std::string& word : listed_words) list += word + "\n";
  folder.write("words.txt", list);
  CHECK(WordVectors::read(folder.file("vectors.safetensors")).digest() == plain.digest());
  const WordVectors first = WordVectors::read(folder.text(lines), {.max_words = 4});
  CHECK(first.rank_count() == 4);
  CHECK(first.size() == 3);
}

TEST_CASE("packed vectors are those of the file to the width of a number", "[encoder]") {
  const WordVectors exact = small_vectors();
  for (const auto packing : {VectorPacking::float16, VectorPacking::int8}) {
    const WordVectors packed = small_vectors({.packing = packing});
    const double tolerance = packing == VectorPacking::float16 ? 1e-3 : 2e-2;
    for (const char* const word : {"the", "money", "über", "ticket"}) {
      CHECK((vector_of(packed, word) - vector_of(exact, word)).norm() < tolerance);
    }
    CHECK(packed.bytes() < exact.bytes());
    CHECK(packed.digest() != exact.digest());
  }
  CHECK(exact.bytes() == 9 * 6 * 4);
}

TEMPLATE_TEST_CASE("the mean is the weighted sum of the words' vectors, of length 1", "[encoder]",
                   float, double) {
  using S = TestType;
  const WordVectors vectors = small_vectors();
  const WordVectorBackbone<S> backbone(
      vectors, {.pooling = WordPooling::mean, .rare = 0.1, .unknown_words = false});
  CHECK(backbone.feature_dim() == words_dim);
  const std::vector<std::string> texts{"The MONEY, the card? unheard", "", "unheard"};
  const auto weight = [&](const std::string& word) {
    return 0.1 / (0.1 + vectors.frequency(vectors.rank(*vectors.find(word))));
  };
  Vector<double> expected = 2 * weight("the") * vector_of(vectors, "the") +
                            weight("money") * vector_of(vectors, "money") +
                            weight("card") * vector_of(vectors, "card");
  expected /= expected.norm();
  const RowMajorMatrix<S> rows = backbone.features(texts);
  CHECK((rows.row(0).transpose().template cast<double>() - expected).norm() < 1e-6);
  CHECK(rows.bottomRows(2).isZero(0));
}

TEMPLATE_TEST_CASE("products of kernel means are sums of Gaussians over pairs of words",
                   "[encoder]", float, double) {
  using S = TestType;
  const WordVectors vectors = small_vectors();
  const std::vector<std::string> texts{"the money card", "train ticket", "money cash"};
  const std::vector<std::vector<std::string>> words_of{
      {"the", "money", "card"}, {"train", "ticket"}, {"money", "cash"}};
  const double bandwidth = 0.9;
  const auto kernel = [&](std::size_t i, std::size_t j) {
    double sum = 0;
    for (const auto& first : words_of[i]) {
      for (const auto& second : words_of[j]) {
        const auto weight = [&](const std::string& word) {
          return 0.2 / (0.2 + vectors.frequency(vectors.rank(*vectors.find(word))));
        };
        const double distance = (vector_of(vectors, first) - vector_of(vectors, second)).norm();
        sum += weight(first) * weight(second) *
               std::exp(-distance * distance / (2 * bandwidth * bandwidth));
      }
    }
    return sum;
  };
  for (const auto kind : {ExpansionKind::dense, ExpansionKind::hadamard}) {
    // 1 / sqrt(dim) is 0.006; the rows of a Hadamard map have one length where normal ones vary, and
    // in 8 dimensions that shows
    const double tolerance = kind == ExpansionKind::dense ? 0.03 : 0.1;
    const WordVectorBackbone<S> backbone(
        vectors, {.dim = 1 << 15, .kind = kind, .bandwidth = bandwidth, .rare = 0.2, .seed = 3});
    const RowMajorMatrix<S> rows = backbone.features(texts);
    for (std::size_t i = 0; i < texts.size(); ++i) {
      for (std::size_t j = 0; j < texts.size(); ++j) {
        const double expected = kernel(i, j) / std::sqrt(kernel(i, i) * kernel(j, j));
        const auto found = static_cast<double>(
            rows.row(static_cast<Index>(i)).dot(rows.row(static_cast<Index>(j))));
        CHECK(std::abs(found - expected) < tolerance);
      }
    }
  }
}

TEST_CASE("a word without a vector is like one that is spelt alike", "[encoder]") {
  const WordVectorBackbone<double> backbone(small_vectors(), {});
  const std::vector<std::string> texts{"reimbursement", "reimbursements", "zygote", "x",
                                       "\xff\xfe"};
  const RowMajorMatrix<double> rows = backbone.features(texts);
  CHECK(rows.row(0).dot(rows.row(1)) > 0.6);
  CHECK(rows.row(0).dot(rows.row(1)) > rows.row(0).dot(rows.row(2)) + 0.3);
  CHECK(rows.row(0).norm() == Approx(1));
  CHECK(rows.row(3).isZero(0));  // a letter alone says nothing
  CHECK(backbone.features({}).rows() == 0);
}

TEST_CASE("threads and neighbours change no bit of a row, and options the fingerprint",
          "[encoder]") {
  const WordVectors vectors = small_vectors();
  std::vector<std::string> texts;
  for (int i = 0; i < 200; ++i) {
    texts.push_back("the " + listed_words[static_cast<std::size_t>(i) % listed_words.size()] +
                    " cash " + std::to_string(i));
  }
  const WordVectorBackbone<float> one(vectors, {.dim = 64, .threads = 1});
  const WordVectorBackbone<float> three(vectors, {.dim = 64, .threads = 3});
  const RowMajorMatrix<float> rows = one.features(texts);
  CHECK(three.features(texts) == rows);
  for (const std::size_t i : {std::size_t{0}, std::size_t{77}, std::size_t{199}}) {
    CHECK(one.features(std::span(&texts[i], 1)).row(0) == rows.row(static_cast<Index>(i)));
  }
  CHECK(one.fingerprint() == three.fingerprint());
  for (const WordPoolingOptions& other :
       {WordPoolingOptions{.dim = 65}, WordPoolingOptions{.dim = 64, .bandwidth = 1},
        WordPoolingOptions{.dim = 64, .unknown_words = false},
        WordPoolingOptions{.dim = 64, .seed = 1}, WordPoolingOptions{.dim = 64, .rare = 1},
        WordPoolingOptions{.pooling = WordPooling::mean}}) {
    CHECK(WordVectorBackbone<float>(vectors, other).fingerprint() != one.fingerprint());
  }
}

TEST_CASE("files of word vectors are refused by line and reason", "[encoder][error]") {
  WordFolder folder;
  const auto refusal = [&](const std::string& content) {
    return message_of<FormatError>([&] { (void)WordVectors::read(folder.text(content)); });
  };
  const std::vector<std::pair<std::string, std::string>> cases{
      {"", "holds no line, expected words"},
      {"\n \n", "holds no line, expected words"},
      {"only words here\n", "line 1: is \"only words here\", expected a word and its numbers"},
      {"a 1 2\nb 1\n", "line 2: number 1 is \"b\", expected 2 numbers"},
      {"a 1 2\nb 1 nan\n", "line 2: number 2 is \"nan\", expected 2 numbers"},
      {"a 1 2\nb 1 1e30\n", "line 2: number 2 is \"1e30\""},
      {"a 1 2\n1 2\n", "line 2: has 2 numbers and no word"},
      {"3 2\na 1 2\nb 1 2\n", "ends behind 2 words, expected the 3 of its first line: it is cut"},
      {"3 99999999\na 1 2\n", "line 1: the dimension is 99999999, expected 1 to 65536"},
      {"2 2\n\xff\xfe\x80\x81\n", "line 2: is binary, expected text"},
      {"<html> 1 2 3 4\n", "holds no word of letters and digits"}};
  for (const auto& [content, reason] : cases) {
    CAPTURE(content);
    const std::string message = refusal(content);
    CAPTURE(message);
    CHECK(contains(message, reason));
    CHECK(contains(message, "words.vec"));
  }
  CHECK(contains(refusal("a " + std::string(std::size_t{5} << 20, 'x') + "\n"),
                 "has more than 4 MiB"));
  const std::string good = lines_of(raw_vectors());
  const auto option = [&](const WordVectorOptions& options) {
    return message_of<ArgumentError>([&] { (void)WordVectors::read(folder.text(good), options); });
  };
  CHECK(contains(option({.max_words = 0}), "max_words is 0, expected 1 to"));
  CHECK(contains(option({.removed_directions = 6}), "expected less than the dimension, 6"));
  CHECK(contains(option({.removed_directions = -1}), "removed_directions is -1"));
  CHECK(contains(message_of<ArgumentError>([&] {
                   WordVectorBackbone<float>(small_vectors(), {.kind = ExpansionKind::identity});
                 }),
                 "kind is identity, expected hadamard or dense"));
  CHECK_THROWS_AS(WordVectors::read(folder.file("nothing.vec")), FileError);
}

TEST_CASE("a table in safetensors that does not fit its words is refused", "[encoder][error]") {
  TemporaryFolder folder;
  const auto refusal = [&](const SafetensorsWriter& writer, const std::string& list) {
    SafetensorsWriter copy = writer;
    copy.write(folder.file("v.safetensors"));
    folder.write("words.txt", list);
    return message_of<FormatError>([&] { (void)WordVectors::read(folder.file("v.safetensors")); });
  };
  const RowMajorMatrix<float> rows = random_normal<float>(3, 4, 1, 1);
  SafetensorsWriter one;
  one.add("vectors", rows);
  CHECK(contains(refusal(one, "a\nb\n"), "has 2 lines, expected one per row of"));
  CHECK(contains(refusal(one, "_\n-\n.\n"), "holds no word of letters and digits"));
  SafetensorsWriter two;
  two.add("vectors", rows);
  two.add("others", rows);
  CHECK(contains(refusal(two, "a\nb\nc\n"), "has several matrices"));
  SafetensorsWriter none;
  none.add("numbers", Vector<float>(Vector<float>::Ones(3)));
  CHECK(contains(refusal(none, "a\nb\nc\n"), "has no matrix, expected one row per word"));
}

TEST_CASE("published word vectors know what words mean", "[encoder][golden]") {
  const char* const extra = std::getenv("ANYSSR_EXTRA_DATA");
  if (extra == nullptr) {
    std::cout << "skipped: ANYSSR_EXTRA_DATA is not set\n";
    return;
  }
  const std::filesystem::path folder = std::filesystem::path(extra) / "data" / "word_vectors";
  const WordVectors all = WordVectors::read(folder / "vectors.safetensors");
  CHECK(all.dim() == 100);
  CHECK(all.rank_count() == 50000);
  CHECK(WordVectors::read(folder / "glove-2000.txt").digest() ==
        WordVectors::read(folder / "word2vec-2000.txt").digest());
  const auto likeness = [&](const char* first, const char* second) {
    return vector_of(all, first).dot(vector_of(all, second));
  };
  CHECK(likeness("flight", "airline") > likeness("flight", "salary") + 0.2);
  CHECK(likeness("refund", "payment") > likeness("refund", "airport") + 0.2);
  const WordVectorBackbone<float> backbone(all);
  const std::vector<std::string> texts{"please refund my payment", "give the money back",
                                       "when does the train leave"};
  const RowMajorMatrix<float> rows = backbone.features(texts);
  CHECK(rows.row(0).dot(rows.row(1)) > rows.row(0).dot(rows.row(2)));
}
