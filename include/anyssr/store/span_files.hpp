// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The spans of the tasks learned (the choice `complement`) as files of orthonormal columns by
/// site. A task only adds columns, so a generation writes the new ones and names the files before
/// it.

#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "anyssr/io/path_text.hpp"
#include "anyssr/io/safetensors_reader.hpp"
#include "anyssr/io/safetensors_writer.hpp"
#include "anyssr/learner/task_subspaces.hpp"
#include "anyssr/store/adapter_folder.hpp"
#include "anyssr/store/pending_files.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

/// A hash of the first columns of every site; 0 where a site has fewer.
template <RealScalar S>
[[nodiscard]] std::uint64_t span_digest(const std::map<std::string, Matrix<S>>& spans,
                                        const std::map<std::string, std::uint64_t>& columns) {
  Digest digest;
  for (const auto& [site, count] : columns) {
    const auto span = spans.find(site);
    if (span == spans.end() || static_cast<std::uint64_t>(span->second.cols()) < count) return 0;
    digest.add(std::string_view(site));
    const Matrix<S> first = span->second.leftCols(static_cast<Index>(count));
    digest.add(first);
  }
  return digest.value();
}

/// The entries of a generation's span files, if the spans begin with what is in them and they are
/// all there; else none.
/// @param verify  read them through too
template <RealScalar S>
[[nodiscard]] std::vector<StoredFile> files_continued_by(
    const std::map<std::string, Matrix<S>>& spans, const std::filesystem::path& root,
    const Manifest& base, bool verify) {
  if (base.spans.empty() || base.scalar != scalar_name<S>()) return {};
  const StoredSpans& last = base.spans.back();
  if (last.digest != span_digest(spans, last.columns)) return {};
  std::vector<StoredFile> files;
  for (const StoredSpans& stored : base.spans) {
    for (const StoredFile& file : base.files) {
      if (file.path == stored.file) files.push_back(file);
    }
  }
  return reusable_files(root, std::move(files), verify);
}

/// Names the spans' files in `next` and writes the columns that none of the base's holds; all where
/// one of these is missing or damaged.
/// @param verify  read the base's files through
/// @return bytes written
template <RealScalar S>
std::uint64_t write_spans(const std::filesystem::path& root, const TaskSubspaces<S>& subspaces,
                          const Manifest* base, bool verify, Manifest& next,
                          PendingFiles& pending) {
  const std::map<std::string, Matrix<S>>& spans = subspaces.spans();
  if (spans.empty()) return 0;
  std::map<std::string, std::uint64_t> written;
  std::vector<StoredFile> continued;
  if (base != nullptr) continued = files_continued_by(spans, root, *base, verify);
  if (!continued.empty()) {
    next.spans = base->spans;
    written = base->spans.back().columns;
    next.files.insert(next.files.end(), continued.begin(), continued.end());
  }
  StoredSpans fresh{.file = "spans-" + numbered(next.generation) + ".safetensors",
                    .digest = 0,
                    .columns = written};
  SafetensorsWriter writer;
  bool grew = false;
  for (const auto& [site, span] : spans) {
    const auto done = static_cast<Index>(written[site]);
    fresh.columns[site] = static_cast<std::uint64_t>(span.cols());
    if (span.cols() == done) continue;
    expect_utf8("a site", site);
    writer.add(site, Matrix<S>(span.rightCols(span.cols() - done)));
    grew = true;
  }
  if (!grew) return 0;
  fresh.digest = span_digest(spans, fresh.columns);
  pending.add(fresh.file);
  writer.write(root / fresh.file);
  next.files.push_back(stored_file(root, fresh.file));
  next.spans.push_back(std::move(fresh));
  return next.files.back().bytes;
}

/// @throws FileError, FormatError
template <RealScalar S>
[[nodiscard]] std::map<std::string, Matrix<S>> read_spans(const std::filesystem::path& root,
                                                          const Manifest& manifest) {
  std::map<std::string, Matrix<S>> spans;
  for (const StoredSpans& stored : manifest.spans) {
    const SafetensorsReader reader(root / stored.file);
    for (const TensorInfo& tensor : reader.tensors()) {
      const RowMajorMatrix<S> added = reader.matrix<S>(tensor.name);
      Matrix<S>& span = spans[tensor.name];
      expect<FormatError>(span.size() == 0 || span.rows() == added.rows(), path_text(root), "/",
                          stored.file, ": tensor ", in_quotes(tensor.name), " has ", added.rows(),
                          " rows, expected ", span.rows(), " as in the files before it");
      const Index before = span.cols();
      span.conservativeResize(added.rows(), before + added.cols());
      span.rightCols(added.cols()) = added;
    }
  }
  return spans;
}

}  // namespace anyssr::inline ANYSSR_ABI::detail
