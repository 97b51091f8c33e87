// SPDX-License-Identifier: MIT
#include "departments/complete/feature_rows.hpp"

#include <algorithm>
#include <anyssr/core/error.hpp>
#include <anyssr/core/random.hpp>
#include <anyssr/io/safetensors_reader.hpp>
#include <filesystem>
#include <map>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "departments/experiment.hpp"
#include "support/messages.hpp"
#include "support/shown.hpp"

namespace departments {

using namespace anyssr;

namespace {

using Rows = std::vector<const DataRow*>;

/// Of the file's matrix: that of these names, or the only one.
std::string matrix_name(const SafetensorsReader& file) {
  for (const char* const name : {"features", "embeddings"}) {
    if (file.has_tensor(name)) return name;
  }
  std::string found;
  for (const TensorInfo& tensor : file.tensors()) {
    if (tensor.shape.size() != 2) continue;
    support::expect<FormatError>(found.empty(), support::shown(file.path().string()),
                                 ": has several matrices, expected one of the name features");
    found = tensor.name;
  }
  support::expect<FormatError>(!found.empty(), support::shown(file.path().string()),
                               ": has no matrix, expected one row per row of the data");
  return found;
}

/// The rows of the data that are in a file, and of another file the order would show: each label
/// stands for one department.
void expect_same_order(const SafetensorsReader& file, const Rows& rows) {
  if (!file.has_tensor("labels")) return;
  const std::vector<std::int64_t> labels = file.integers<std::int64_t>("labels");
  support::expect<FormatError>(labels.size() == rows.size(), support::shown(file.path().string()),
                               ": has ", labels.size(), " labels, expected one per row, ",
                               rows.size());
  std::map<std::int64_t, std::string> department_of;
  std::map<std::string, std::int64_t> label_of;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::string& department = rows[i]->department;
    const auto& known = department_of.emplace(labels[i], department).first->second;
    const auto label = label_of.emplace(department, labels[i]).first->second;
    support::expect<FormatError>(
        known == department && label == labels[i], support::shown(file.path().string()), ": row ",
        i, " has the label ", labels[i], ", which rows before have otherwise than the data's '",
        support::shown(department), "': expected the rows in the order of the data");
  }
}

/// Rows by text, as a backbone.
class KnownRows {
 public:
  using Scalar = float;
  using Input = std::string;

  void add(const std::string& path, const Rows& rows) {
    const SafetensorsReader file(path);
    const std::string name = matrix_name(file);
    const auto matrix = file.matrix<float>(name, static_cast<Index>(rows.size()));
    support::expect<FormatError>(
        matrix.cols() >= 1 && (blocks_.empty() || matrix.cols() == feature_dim()),
        support::shown(path), ": rows have ", matrix.cols(), " numbers, expected ",
        blocks_.empty() ? 1 : feature_dim());
    support::expect<FormatError>(matrix.array().isFinite().all(), support::shown(path),
                                 ": holds NaN or infinity, expected finite numbers");
    expect_same_order(file, rows);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      rows_.emplace(rows[i]->text, std::pair(blocks_.size(), static_cast<Index>(i)));
    }
    if (blocks_.empty()) probe_ = rows.front()->text;
    const auto* const bytes = reinterpret_cast<const char*>(matrix.data());
    digest_ = hash_bytes({bytes, static_cast<std::size_t>(matrix.size()) * sizeof(float)}, digest_);
    blocks_.push_back(matrix);
  }

  [[nodiscard]] Index feature_dim() const { return blocks_.front().cols(); }
  [[nodiscard]] std::string fingerprint() const {
    return support::concat("rows-1:", feature_dim(), ":", digest_);
  }
  /// One that is known.
  [[nodiscard]] const std::string& probe_input() const noexcept { return probe_; }
  [[nodiscard]] RowMajorMatrix<float> features(std::span<const std::string> texts) const {
    RowMajorMatrix<float> result(static_cast<Index>(texts.size()), feature_dim());
    for (std::size_t i = 0; i < texts.size(); ++i) {
      const auto found = rows_.find(texts[i]);
      support::expect(found != rows_.end(), "--features has no row for '",
                      support::shown(texts[i].substr(0, 80)),
                      "', expected a text of the data: a new one needs a model, --encoder");
      const auto& [block, row] = found->second;
      result.row(static_cast<Index>(i)) = blocks_[block].row(row);
    }
    return result;
  }

 private:
  std::vector<RowMajorMatrix<float>> blocks_;
  std::unordered_map<std::string, std::pair<std::size_t, Index>> rows_;
  std::string probe_;
  std::uint64_t digest_ = 0;
};

/// [NAME_]SPLIT.safetensors with that many rows.
std::string file_of_split(const std::string& folder, const std::string& split, std::size_t rows) {
  std::string found;
  std::string others;
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  for (const auto& file : files) {
    if (file.extension() != ".safetensors") continue;
    const std::string stem = file.stem().string();
    const bool is_outside = split.starts_with("oos_");
    if (stem != split && !stem.ends_with("_" + split)) continue;
    if (!is_outside && (stem.starts_with("oos_") || stem.find("_oos_") != std::string::npos))
      continue;
    const SafetensorsReader reader(file);
    const auto count = reader.tensor(matrix_name(reader)).shape.front();
    if (count == rows) {
      support::expect(found.empty(), "--features: ", support::shown(found), " and ",
                      support::shown(file.string()), " both have ", rows,
                      " rows, expected one file for the split ", split);
      found = file.string();
    }
    others += support::concat(others.empty() ? "" : ", ", support::shown(file.filename().string()),
                              " with ", count, " rows");
  }
  support::expect<FormatError>(!found.empty() || split.starts_with("oos_"), support::shown(folder),
                               ": has ", others.empty() ? "no file" : others, " for the split ",
                               split, ", expected [NAME_]", split,
                               ".safetensors with one row per row of the data, ", rows);
  return found;
}

void read_folder(const std::string& folder, Questions& questions, KnownRows& known) {
  std::map<std::string, Rows> splits;
  for (const DataRow& row : questions.rows) splits[row.split].push_back(&row);
  for (const auto& [split, rows] : splits) {
    const std::string file = file_of_split(folder, split, rows.size());
    if (!file.empty()) {
      known.add(file, rows);
    } else if (split == "oos_test") {
      warn(support::concat("--features: no file [NAME_]oos_test.safetensors with ", rows.size(),
                           " rows: questions of no department are left out"));
      questions.outside.clear();
    }
  }
}

}  // namespace

AnyBackbone<float> read_feature_rows(const std::string& path, Questions& questions) {
  KnownRows known;
  if (std::filesystem::is_directory(path)) {
    read_folder(path, questions, known);
  } else {
    Rows rows;
    for (const DataRow& row : questions.rows) rows.push_back(&row);
    known.add(path, rows);
  }
  return AnyBackbone(std::move(known));
}

}  // namespace departments
