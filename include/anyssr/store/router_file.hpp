// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The router's sums and calibration as a safetensors file:
///
///   second_moment [d(d+1)/2]   S without the ridge, lower triangle packed row after row
///   cross_correlation [d, T]   target_energy [T]   bounds [3]
///   calibration.temperature [1]
///   calibration.label_weight_rows [1]   calibration.label_weight_right [7]
///   and what there is of each task (calibration_tensors.hpp)
///
/// Sums are in the state's own scalar, everything else in F64 and I64.

#include <array>
#include <filesystem>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "anyssr/io/path_text.hpp"
#include "anyssr/io/safetensors_reader.hpp"
#include "anyssr/io/safetensors_writer.hpp"
#include "anyssr/router/analytic_router.hpp"
#include "anyssr/store/calibration_tensors.hpp"
#include "anyssr/store/stored_file.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

/// Rows of a packed triangle that go to or come from the disk at once: about a megabyte.
[[nodiscard]] inline Index triangle_rows_at_once(Index dim) noexcept {
  return std::max<Index>(1, (Index{1} << 18) / dim);
}

/// Sends the lower triangle row after row.
template <RealScalar S>
void send_lower_triangle(const Matrix<S>& square, const SafetensorsWriter::Sink& sink) {
  const Index d = square.rows();
  std::vector<S> packed;
  for (Index begin = 0; begin < d;) {
    const Index count = std::min(triangle_rows_at_once(d), d - begin);
    const RowMajorMatrix<S> rows = square.middleRows(begin, count);  // whole cache lines of columns
    packed.clear();
    for (Index i = 0; i < count; ++i) {
      packed.insert(packed.end(), rows.row(i).data(), rows.row(i).data() + begin + i + 1);
    }
    swap_if_big_endian(std::span(packed));
    sink(std::as_bytes(std::span(packed)));
    begin += count;
  }
}

/// Writes root / name and gives its entry.
/// @throws FileError  where the system refuses; nothing of the file is left
template <RealScalar S>
StoredFile write_router_file(const std::filesystem::path& root, const std::string& name,
                             const AnalyticRouter<S>& router) {
  const RecursiveLeastSquares<S>& sums = router.regression();
  const Matrix<S>& square = sums.lower_second_moment();
  const RegressionBounds& bounds = sums.bounds();
  const LabelWeightCounts& counts = router.label_weight_counts();
  SafetensorsWriter writer;
  const auto d = static_cast<std::uint64_t>(sums.dim());
  writer.add_streamed(
      "second_moment", dtype_of<S>(), {d * (d + 1) / 2},
      [&](const SafetensorsWriter::Sink& sink) { send_lower_triangle(square, sink); });
  writer.add_reference("cross_correlation", sums.cross_correlation());
  writer.add("target_energy", sums.target_energy());
  writer.add("bounds",
             std::array<double, 3>{bounds.trace, bounds.largest_trace, bounds.largest_energy});
  add_task_tensors(writer, "", pointers_to(router.tasks()));
  if (const auto parts = pointers_to_parts(router.tasks()); !parts.empty()) {
    add_task_tensors(writer, "parts.", parts);
  }
  writer.add("calibration.temperature", std::array<double, 1>{router.table()->temperature()});
  writer.add("calibration.label_weight_rows", std::array<std::int64_t, 1>{counts.rows});
  writer.add("calibration.label_weight_right",
             std::vector<std::int64_t>(counts.right.begin(), counts.right.end()));

  AtomicFile file(root / name);
  Crc32c check;
  std::uint64_t bytes = 0;
  writer.stream([&](std::span<const std::byte> part) {
    check.update(part);
    bytes += part.size();
    file.write(part);
  });
  file.commit();
  return {.path = name, .bytes = bytes, .check = check_text(check)};
}

/// Fills the lower triangle of `square` from its packed rows.
template <RealScalar S>
void read_lower_triangle(const SafetensorsReader& reader, Index dim, Matrix<S>& square) {
  reader.expect_shape("second_moment", {dim * (dim + 1) / 2});
  square.resize(dim, dim);
  Index packed = 0;
  for (Index begin = 0; begin < dim;) {
    const Index count = std::min(triangle_rows_at_once(dim), dim - begin);
    Index size = 0;
    for (Index i = begin; i < begin + count; ++i) size += i + 1;
    const std::vector<S> part = reader.numbers_between<S>("second_moment", packed, size);
    RowMajorMatrix<S> rows = RowMajorMatrix<S>::Zero(count, begin + count);
    const S* from = part.data();
    for (Index i = 0; i < count; ++i) {
      std::copy(from, from + begin + i + 1, rows.row(i).data());
      from += begin + i + 1;
    }
    square.block(begin, 0, count, begin + count) = rows;
    packed += size;
    begin += count;
  }
}

/// Rows and weights of the tasks.
/// @param others  rows that are not theirs
/// @return the sum of their rows
inline Index read_task_rows(const SafetensorsReader& reader, std::vector<RoutedTask>& tasks,
                            Index others) {
  const auto count = static_cast<Index>(tasks.size());
  reader.expect_shape("rows", {count});
  const std::vector<Index> rows = reader.integers<Index>("rows");
  const Vector<double> row_weights = reader.vector<double>("row_weight", count);
  Index sum = 0;
  for (std::size_t t = 0; t < tasks.size(); ++t) {
    tasks[t].rows = rows[t];
    tasks[t].row_weight = row_weights(static_cast<Index>(t));
    const Index most = (Index{1} << 53) - others - sum;
    expect<FormatError>(rows[t] >= 0 && rows[t] <= most, path_text(reader.path()),
                        ": tensor \"rows\" holds ", rows[t], ", expected 0..", most);
    sum += rows[t];
  }
  return sum;
}

[[nodiscard]] inline LabelWeightCounts read_label_weight_counts(const SafetensorsReader& reader) {
  LabelWeightCounts counts;
  reader.expect_shape("calibration.label_weight_rows", {1});
  reader.expect_shape("calibration.label_weight_right", {static_cast<Index>(counts.right.size())});
  counts.rows = reader.integers<Index>("calibration.label_weight_rows").front();
  const std::vector<Index> right = reader.integers<Index>("calibration.label_weight_right");
  std::copy(right.begin(), right.end(), counts.right.begin());
  return counts;
}

/// @param dim           d that the expansion gives; the file proves it before memory is taken
/// @param dtype         of the sums
/// @param tasks         names and columns, in the order of the file's rows
/// @param removed_rows  of removed tasks, within 0..2^53
/// @throws FileError; FormatError  for another shape than dim and tasks ask for
template <RealScalar S>
[[nodiscard]] RouterState<S> read_router_file(const std::filesystem::path& path, Index dim,
                                              Dtype dtype, std::vector<RoutedTask> tasks,
                                              Index removed_rows) {
  constexpr Index largest_dim = Index{1} << 30;
  expect<FormatError>(dim >= 1 && dim <= largest_dim, path_text(path), ": is to be of width ", dim,
                      " by the options, expected 1..", largest_dim);
  const SafetensorsReader reader(path);
  for (const char* name : {"second_moment", "cross_correlation"}) {
    expect<FormatError>(reader.tensor(name).dtype == dtype, path_text(path), ": tensor \"", name,
                        "\" is of ", to_string(reader.tensor(name).dtype), ", expected ",
                        to_string(dtype), " as in the manifest");
  }
  RouterState<S> state;
  read_lower_triangle(reader, dim, state.regression.second_moment);
  state.regression.cross_correlation = reader.matrix<S>("cross_correlation", dim, Eigen::Dynamic);
  state.regression.target_energy =
      reader.vector<double>("target_energy", state.regression.cross_correlation.cols());
  const Vector<double> bounds = reader.vector<double>("bounds", 3);
  state.regression.bounds = {
      .trace = bounds(0), .largest_trace = bounds(1), .largest_energy = bounds(2)};
  state.removed_rows = removed_rows;
  state.regression.rows = removed_rows + read_task_rows(reader, tasks, removed_rows);
  if (has_calibrations(reader)) read_calibrations(reader, "", pointers_to(tasks));
  read_parts(reader, tasks);
  state.tasks = std::move(tasks);
  state.temperature = reader.vector<double>("calibration.temperature", 1)(0);
  state.label_weight_counts = read_label_weight_counts(reader);
  return state;
}

}  // namespace anyssr::inline ANYSSR_ABI::detail
