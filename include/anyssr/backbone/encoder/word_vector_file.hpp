// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Reads the files that word vectors are published in (word_vectors.hpp).

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "anyssr/core/error.hpp"
#include "anyssr/core/finite.hpp"
#include "anyssr/core/types.hpp"
#include "anyssr/io/foreign_file.hpp"
#include "anyssr/io/path_text.hpp"
#include "anyssr/io/regular_file.hpp"
#include "anyssr/io/safetensors_reader.hpp"
#include "anyssr/io/utf8.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

/// As the file has them.
struct WordVectorFile {
  Index dim = 0;
  std::vector<std::string> words;
  std::vector<float> numbers;  // word after word
};

inline constexpr Index max_word_dim = 65536;

/// The lines of a file one after another, without their ends. Memory: a block and a line.
class LineReader {
 public:
  explicit LineReader(const std::filesystem::path& path) : file_(path) {}

  /// @return false behind the last line
  /// @throws FileError    where the system refuses
  /// @throws FormatError  a line of more than 4 MiB
  [[nodiscard]] bool next(std::string_view& line) {
    constexpr std::size_t longest = std::size_t{1} << 22;
    std::size_t end = text_.find('\n', begin_);
    while (end == std::string::npos && read_ < file_.size()) {
      expect<FormatError>(text_.size() - begin_ <= longest, path_text(file_.path()), ": line ",
                          number_ + 1, " has more than 4 MiB, expected a word and its numbers");
      const std::size_t searched = text_.size() - begin_;
      read_block();
      end = text_.find('\n', searched);
    }
    if (end == std::string::npos) end = text_.size();
    if (begin_ == end && end == text_.size()) return false;
    line = std::string_view(text_).substr(begin_, end - begin_);
    if (line.ends_with('\r')) line.remove_suffix(1);
    begin_ = std::min(end + 1, text_.size());
    ++number_;
    return true;
  }
  /// "path: line 7", the last one that was handed out.
  [[nodiscard]] std::string place() const {
    return concat(path_text(file_.path()), ": line ", number_);
  }
  [[nodiscard]] const RegularFile& file() const noexcept { return file_; }

 private:
  void read_block() {
    constexpr std::uint64_t block = std::uint64_t{1} << 20;
    text_.erase(0, begin_);
    begin_ = 0;
    const std::size_t old = text_.size();
    text_.resize(old + static_cast<std::size_t>(std::min(block, file_.size() - read_)));
    const std::span<char> fresh(text_.data() + old, text_.size() - old);
    file_.read(read_, std::as_writable_bytes(fresh));
    read_ += fresh.size();
  }

  RegularFile file_;
  std::uint64_t read_ = 0;
  std::uint64_t number_ = 0;
  std::string text_;
  std::size_t begin_ = 0;  // of the next line
};

/// The last field of a line, which is cut off. Empty where there is none.
[[nodiscard]] inline std::string_view take_last_field(std::string_view& line) {
  line = line.substr(0, line.find_last_not_of(" \t") + 1);
  const std::size_t space = line.find_last_of(" \t");
  const std::size_t begin = space == std::string_view::npos ? 0 : space + 1;
  const std::string_view field = line.substr(begin);
  line = line.substr(0, begin);
  return field;
}

template <class Number>
[[nodiscard]] std::optional<Number> parse_number(std::string_view field) {
  Number number{};
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), number);
  if (error != std::errc() || end != field.data() + field.size()) return std::nullopt;
  return number;
}

/// One line per word, perhaps behind a line "count dimension".
class WordVectorText {
 public:
  WordVectorText(const std::filesystem::path& path, Index max_words)
      : lines_(path), most_(static_cast<std::size_t>(max_words)) {}

  [[nodiscard]] WordVectorFile read() {
    std::string_view line;
    while (file_.words.size() < most_ && lines_.next(line)) {
      if (line.find_first_not_of(" \t") == std::string_view::npos) continue;
      if (file_.dim == 0 && !announced_ && take_header(line)) continue;
      if (file_.dim == 0) file_.dim = count_numbers(line);
      take_word(line);
    }
    const std::string place = path_text(lines_.file().path());
    expect<FormatError>(!file_.words.empty(), place, ": holds no line, expected words");
    expect<FormatError>(!announced_ || file_.words.size() >= std::min(*announced_, most_), place,
                        ": ends behind ", file_.words.size(), " words, expected the ",
                        announced_.value_or(0), " of its first line: it is cut");
    return std::move(file_);
  }

 private:
  /// Two whole numbers and nothing else.
  [[nodiscard]] bool take_header(std::string_view line) {
    std::string_view rest = line;
    const auto dim = parse_number<std::uint64_t>(take_last_field(rest));
    const auto count = parse_number<std::uint64_t>(take_last_field(rest));
    if (!dim || !count || !rest.empty()) return false;
    expect_dim(*dim);
    file_.dim = static_cast<Index>(*dim);
    announced_ = static_cast<std::size_t>(*count);
    return true;
  }
  /// The numbers that a line ends with, but for a first field, which is a word.
  [[nodiscard]] Index count_numbers(std::string_view line) const {
    std::uint64_t count = 0;
    std::string_view rest = line;
    while (parse_number<float>(take_last_field(rest)) && !rest.empty()) ++count;
    if (count == 0) {
      const std::string head(line.substr(0, foreign_head_bytes));
      refuse_foreign(path_text(lines_.file().path()), head, lines_.file().size(),
                     FileKind::word_vectors);
      raise<FormatError>(lines_.place(), ": is ", in_quotes(line.substr(0, 60)),
                         ", expected a word and its numbers");
    }
    expect_dim(count);
    return static_cast<Index>(count);
  }
  void expect_dim(std::uint64_t dim) const {
    expect<FormatError>(dim >= 1 && dim <= static_cast<std::uint64_t>(max_word_dim), lines_.place(),
                        ": the dimension is ", dim, ", expected 1 to ", max_word_dim);
  }

  void take_word(std::string_view line) {
    const auto dim = static_cast<std::size_t>(file_.dim);
    const std::size_t begin = file_.numbers.size();
    file_.numbers.resize(begin + dim);
    for (std::size_t j = dim; j-- > 0;) {
      const std::string_view field = take_last_field(line);
      const auto number = parse_number<float>(field);
      if (!number && announced_ && find_invalid_utf8(field) != std::string_view::npos) {
        raise<FormatError>(lines_.place(), ": is binary, expected text: word2vec's binary form is ",
                           "not read; gensim writes the other (save_word2vec_format with "
                           "binary=False)");
      }
      expect<FormatError>(number && is_within(*number, -1e15F, 1e15F), lines_.place(), ": number ",
                          j + 1, " is ", in_quotes(field.substr(0, 60)), ", expected ", dim,
                          " numbers of -1e15 to 1e15 behind the word");
      file_.numbers[begin + j] = *number;
    }
    line = line.substr(0, line.find_last_not_of(" \t") + 1);
    expect<FormatError>(!line.empty(), lines_.place(), ": has ", dim,
                        " numbers and no word, expected a word before them");
    file_.words.emplace_back(line);
  }

  LineReader lines_;
  std::size_t most_;
  std::optional<std::size_t> announced_;
  WordVectorFile file_;
};

/// The one matrix of a safetensors file, and its rows' words.
[[nodiscard]] inline WordVectorFile read_word_tensor(const std::filesystem::path& path,
                                                     Index max_words) {
  const SafetensorsReader reader(path);
  const std::string place = path_text(path);
  const TensorInfo* found = nullptr;
  for (const TensorInfo& tensor : reader.tensors()) {
    if (tensor.shape.size() != 2) continue;
    expect<FormatError>(found == nullptr, place, ": has several matrices, ",
                        in_quotes(found == nullptr ? "" : found->name), " and ",
                        in_quotes(tensor.name), ", expected one");
    found = &tensor;
  }
  expect<FormatError>(found != nullptr, place, ": has no matrix, expected one row per word");
  const RowMajorMatrix<float> rows = reader.matrix<float>(found->name);
  expect<FormatError>(rows.cols() >= 1 && rows.cols() <= max_word_dim, place, ": ",
                      in_quotes(found->name), " has ", rows.cols(), " columns, expected 1 to ",
                      max_word_dim);
  expect<FormatError>(is_finite(rows), place, ": ", in_quotes(found->name),
                      " holds NaN or infinity, expected finite numbers");
  const std::filesystem::path list = path.parent_path() / "words.txt";
  LineReader lines(list);
  WordVectorFile file{.dim = rows.cols(), .words = {}, .numbers = {}};
  std::string_view line;
  Index count = 0;
  for (; lines.next(line); ++count) {
    if (count < max_words) file.words.emplace_back(line);
  }
  expect<FormatError>(count == rows.rows(), path_text(list), ": has ", count,
                      " lines, expected one per row of ", place, ", ", rows.rows());
  file.numbers.assign(rows.data(), rows.data() + std::min(count, max_words) * rows.cols());
  return file;
}

[[nodiscard]] inline WordVectorFile read_word_vectors(const std::filesystem::path& path,
                                                      Index max_words) {
  if (path.extension() == ".safetensors") return read_word_tensor(path, max_words);
  return WordVectorText(path, max_words).read();
}

}  // namespace anyssr::inline ANYSSR_ABI::detail
