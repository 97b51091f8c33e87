// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Reads safetensors files, one tensor at a time:
///
///   8 bytes        N, little-endian
///   N bytes        header, JSON (safetensors_header.hpp)
///   the rest       the tensors, row-major, little-endian, without gaps
///
/// Opening reads and checks the header alone, by all rules of the format (safetensors_parser.hpp).
/// A tensor is read into memory of its own when it is asked for, so the peak is that tensor and not
/// the file. NaN and infinity are legal in the format: whoever takes a tensor into state checks for
/// them.
///
/// On request the file is mapped (mapped_file.hpp says for which files that is safe), and `view`
/// then hands out the bytes of a tensor where they are.

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "anyssr/core/concepts.hpp"
#include "anyssr/core/error.hpp"
#include "anyssr/core/types.hpp"
#include "anyssr/io/byte_order.hpp"
#include "anyssr/io/dtype.hpp"
#include "anyssr/io/foreign_file.hpp"
#include "anyssr/io/half.hpp"
#include "anyssr/io/mapped_file.hpp"
#include "anyssr/io/path_text.hpp"
#include "anyssr/io/regular_file.hpp"
#include "anyssr/io/safetensors_header.hpp"
#include "anyssr/io/safetensors_parser.hpp"

namespace anyssr::inline ANYSSR_ABI {

struct SafetensorsReaderOptions {
  std::uint64_t max_header_bytes = detail::max_header_bytes;  ///< 16 MiB is ample for adapters
  bool mapped = false;  ///< map the file, which nobody may change then (mapped_file.hpp)
};

/// An open file. It moves and does not copy; const calls may come from several threads.
class SafetensorsReader {
 public:
  /// @throws FileError    where the system refuses to open or read the file
  /// @throws FormatError  where it breaks a rule of the format, or is something else by its first
  ///                      bytes, with what it is (foreign_file.hpp)
  /// Cost: O(n log n) time in the bytes of the header, memory in proportion to them.
  explicit SafetensorsReader(const std::filesystem::path& path,
                             const SafetensorsReaderOptions& options = {})
      : file_(opened(path, options.mapped)) {
    try {
      read_header(options.max_header_bytes);
    } catch (const FormatError&) {
      std::string head(std::min<std::uint64_t>(file_size(), detail::foreign_head_bytes), '\0');
      read(0, std::as_writable_bytes(std::span(head)));
      detail::refuse_foreign(detail::path_text(path), head, file_size(),
                             detail::FileKind::safetensors);
      throw;
    }
  }

  [[nodiscard]] const std::filesystem::path& path() const noexcept {
    return std::visit(
        [](const auto& file) -> const auto& { return file.path(); }, file_);
  }

  /// Bytes of the file, as they were when it was opened.
  [[nodiscard]] std::uint64_t file_size() const noexcept {
    return std::visit([](const auto& file) { return file.size(); }, file_);
  }

  /// In the order of their bytes.
  [[nodiscard]] const std::vector<TensorInfo>& tensors() const noexcept { return header_.tensors; }
  [[nodiscard]] const std::map<std::string, std::string>& metadata() const noexcept {
    return header_.metadata;
  }
  [[nodiscard]] bool has_tensor(std::string_view name) const {
    return header_.find(name) != nullptr;
  }
  /// @throws FormatError  where there is none of that name
  [[nodiscard]] const TensorInfo& tensor(std::string_view name) const {
    const TensorInfo* found = header_.find(name);
    if (found == nullptr) refuse_missing(name);
    return *found;
  }

  /// The tensor of that name, if it has the shape; Eigen::Dynamic stands for any size.
  /// @throws FormatError  no such tensor, another shape, or a dimension too large for an Index
  const TensorInfo& expect_shape(std::string_view name,
                                 std::initializer_list<Index> expected) const {
    const TensorInfo& info = tensor(name);
    const auto fits = [](std::uint64_t dimension, Index wanted) {
      return std::in_range<Index>(dimension) &&
             (wanted == Eigen::Dynamic || static_cast<Index>(dimension) == wanted);
    };
    if (!std::equal(info.shape.begin(), info.shape.end(), expected.begin(), expected.end(), fits)) {
      refuse_shape(info, expected);
    }
    return info;
  }

  /// A tensor of two dimensions, F64 F32 F16 or BF16. A number beyond the range of S becomes
  /// infinity.
  /// @param rows, cols  the shape that is expected; Eigen::Dynamic: any
  /// @throws FormatError  no such tensor, another shape or type; FileError
  template <RealScalar S>
  [[nodiscard]] RowMajorMatrix<S> matrix(std::string_view name, Index rows = Eigen::Dynamic,
                                         Index cols = Eigen::Dynamic) const {
    const TensorInfo& info = expect_shape(name, {rows, cols});
    expect_kind(info, DtypeKind::number);
    RowMajorMatrix<S> result(static_cast<Index>(info.shape[0]), static_cast<Index>(info.shape[1]));
    read_numbers(info, span_of(result));
    return result;
  }

  /// A tensor of one dimension, likewise.
  template <RealScalar S>
  [[nodiscard]] Vector<S> vector(std::string_view name, Index size = Eigen::Dynamic) const {
    const TensorInfo& info = expect_shape(name, {size});
    expect_kind(info, DtypeKind::number);
    Vector<S> result(static_cast<Index>(info.shape[0]));
    read_numbers(info, span_of(result));
    return result;
  }

  /// A tensor of any shape, likewise, its last dimension running fastest.
  template <RealScalar S>
  [[nodiscard]] std::vector<S> numbers(std::string_view name) const {
    const TensorInfo& info = tensor(name);
    expect_kind(info, DtypeKind::number);
    std::vector<S> result(static_cast<std::size_t>(info.elements()));
    read_numbers(info, std::span(result));
    return result;
  }

  /// `count` of these numbers, from number `first` on: a large tensor in pieces.
  /// @throws ArgumentError  where the tensor does not have them
  template <RealScalar S>
  [[nodiscard]] std::vector<S> numbers_between(std::string_view name, Index first,
                                               Index count) const {
    const TensorInfo& info = tensor(name);
    expect_kind(info, DtypeKind::number);
    const auto most = static_cast<Index>(info.elements());
    detail::expect(first >= 0 && count >= 0 && first <= most && count <= most - first, "numbers ",
                   first, " to ", first, " + ", count, " of tensor ", detail::in_quotes(name),
                   " are wanted, expected a part of its ", most);
    TensorInfo part = info;
    part.begin += static_cast<std::uint64_t>(first) * (bits_of(info.dtype) / 8);
    std::vector<S> result(static_cast<std::size_t>(count));
    read_numbers(part, std::span(result));
    return result;
  }

  /// A tensor of any shape and an integer type, its last dimension running fastest.
  /// @throws FormatError  no such tensor, another type, a value outside the range of T, or a BOOL
  ///                      other than 0 and 1; FileError
  template <IntegerScalar T>
  [[nodiscard]] std::vector<T> integers(std::string_view name) const {
    const TensorInfo& info = tensor(name);
    expect_kind(info, DtypeKind::integer);
    std::vector<T> result(static_cast<std::size_t>(info.elements()));
    read_integers(info, std::span(result));
    return result;
  }

  /// The bytes of a tensor of any type, as they stand in the file.
  [[nodiscard]] std::vector<std::byte> bytes(std::string_view name) const {
    const TensorInfo& info = tensor(name);
    std::vector<std::byte> result(static_cast<std::size_t>(info.bytes()));
    read(data_begin_ + info.begin, result);
    return result;
  }

  /// As bytes, without a copy: aligned for nothing, little-endian, and valid as long as this reader
  /// or the one it was moved to.
  /// @throws ArgumentError  where the file was not opened as mapped
  /// @throws FormatError    where there is none of that name
  [[nodiscard]] std::span<const std::byte> view(std::string_view name) const {
    const TensorInfo& info = tensor(name);
    const MappedFile* const mapped = std::get_if<MappedFile>(&file_);
    if (mapped == nullptr) refuse_view(info);
    return mapped->bytes(data_begin_ + info.begin, info.bytes());
  }

 private:
  using File = std::variant<RegularFile, MappedFile>;

  static constexpr std::size_t block_elements = std::size_t{1} << 15;

  [[nodiscard]] static File opened(const std::filesystem::path& path, bool mapped) {
    if (mapped) return MappedFile(path);
    return RegularFile(path);
  }
  void read(std::uint64_t offset, std::span<std::byte> out) const {
    std::visit([&](const auto& file) { file.read(offset, out); }, file_);
  }

  void read_header(std::uint64_t max_header_bytes) {
    const std::uint64_t header_bytes = read_header_size(max_header_bytes);
    std::string text(static_cast<std::size_t>(header_bytes), '\0');
    read(8, std::as_writable_bytes(std::span(text)));
    data_begin_ = 8 + header_bytes;
    header_ = parse_safetensors_header(text, file_size() - data_begin_, detail::path_text(path()));
  }

  /// Sizes are checked before a byte is allocated, by subtraction, since 8 + N may overflow.
  [[nodiscard]] std::uint64_t read_header_size(std::uint64_t max_header_bytes) const {
    const std::string file = detail::path_text(path());
    detail::expect<FormatError>(file_size() >= 10, file, ": has ", file_size(),
                                " bytes, expected at least 10");
    std::uint64_t size = 0;
    read(0, std::as_writable_bytes(std::span(&size, 1)));
    detail::swap_if_big_endian(std::span(&size, 1));
    if (size > max_header_bytes || size > file_size() - 8) {
      detail::raise<FormatError>(file, ": the header has ", size, " bytes, expected at most ",
                                 max_header_bytes, " and at most ", file_size() - 8,
                                 " in a file of ", file_size());
    }
    return size;
  }

  template <class X>
  [[nodiscard]] static std::span<typename X::Scalar> span_of(X& x) {
    return {x.data(), static_cast<std::size_t>(x.size())};
  }

  template <RealScalar S>
  void read_numbers(const TensorInfo& info, std::span<S> out) const {
    if (info.dtype == Dtype::F64) {
      read_as<double>(info, out, [](double value) { return static_cast<S>(value); });
    } else if (info.dtype == Dtype::F32) {
      read_as<float>(info, out, [](float value) { return static_cast<S>(value); });
    } else if (info.dtype == Dtype::F16) {
      read_as<std::uint16_t>(info, out, [](auto bits) { return static_cast<S>(from_f16(bits)); });
    } else {
      read_as<std::uint16_t>(info, out, [](auto bits) { return static_cast<S>(from_bf16(bits)); });
    }
  }

  template <IntegerScalar T>
  void read_integers(const TensorInfo& info, std::span<T> out) const {
    const auto narrow = [&](auto value) {
      if (!std::in_range<T>(value)) {
        refuse_value(info, std::to_string(value),
                     std::to_string(std::numeric_limits<T>::min()) + " to " +
                         std::to_string(std::numeric_limits<T>::max()));
      }
      return static_cast<T>(value);
    };
    const auto truth = [&](std::uint8_t value) {
      if (value > 1) refuse_value(info, std::to_string(value), "0 or 1");
      return static_cast<T>(value);
    };
    switch (info.dtype) {
      case Dtype::I64:
        return read_as<std::int64_t>(info, out, narrow);
      case Dtype::U64:
        return read_as<std::uint64_t>(info, out, narrow);
      case Dtype::I32:
        return read_as<std::int32_t>(info, out, narrow);
      case Dtype::U32:
        return read_as<std::uint32_t>(info, out, narrow);
      case Dtype::I16:
        return read_as<std::int16_t>(info, out, narrow);
      case Dtype::U16:
        return read_as<std::uint16_t>(info, out, narrow);
      case Dtype::I8:
        return read_as<std::int8_t>(info, out, narrow);
      case Dtype::U8:
        return read_as<std::uint8_t>(info, out, narrow);
      default:
        return read_as<std::uint8_t>(info, out, truth);
    }
  }

  /// Elements of type Raw in the file, by way of `convert`; straight into place where none is due.
  template <class Raw, class Out, class Convert>
  void read_as(const TensorInfo& info, std::span<Out> out, const Convert& convert) const {
    if constexpr (std::same_as<Raw, Out>) {
      if (info.dtype != Dtype::BOOL) {
        read(data_begin_ + info.begin, std::as_writable_bytes(out));
        return detail::swap_if_big_endian(out);
      }
    }
    std::vector<Raw> block(std::min(out.size(), block_elements));
    for (std::size_t done = 0; done < out.size();) {
      const std::span<Raw> part = std::span(block).first(std::min(block.size(), out.size() - done));
      read(data_begin_ + info.begin + done * sizeof(Raw), std::as_writable_bytes(part));
      detail::swap_if_big_endian(part);
      std::transform(part.begin(), part.end(), out.begin() + static_cast<std::ptrdiff_t>(done),
                     convert);
      done += part.size();
    }
  }

  void expect_kind(const TensorInfo& info, DtypeKind kind) const {
    if (kind_of(info.dtype) == kind) return;
    refuse(info,
           detail::concat("is ", to_string(info.dtype), ", expected one of ", dtype_names(kind)));
  }

  [[noreturn]] void refuse(const TensorInfo& info, std::string_view what) const {
    detail::raise<FormatError>(detail::path_text(path()), ": tensor ", detail::in_quotes(info.name),
                               " ", what);
  }
  [[noreturn]] void refuse_value(const TensorInfo& info, std::string_view found,
                                 std::string_view expected) const {
    refuse(info, detail::concat("holds ", found, ", expected ", expected));
  }
  [[noreturn]] void refuse_view(const TensorInfo& info) const {
    detail::raise<ArgumentError>(detail::path_text(path()), ": tensor ",
                                 detail::in_quotes(info.name),
                                 " has no view, expected a reader with the option mapped");
  }
  [[noreturn]] void refuse_shape(const TensorInfo& info,
                                 std::initializer_list<Index> expected) const {
    std::string wanted;
    for (const Index size : expected) {
      wanted += wanted.empty() ? "" : ", ";
      wanted += size == Eigen::Dynamic ? "?" : std::to_string(size);
    }
    refuse(info, detail::concat("has shape ", detail::shape_text(info.shape), ", expected [",
                                wanted, "]"));
  }
  [[noreturn]] void refuse_missing(std::string_view name) const {
    constexpr std::size_t most = 8;
    std::string known;
    for (const std::size_t i :
         std::span(header_.by_name).first(std::min(most, header_.by_name.size()))) {
      known += (known.empty() ? "" : ", ") + detail::in_quotes(tensors()[i].name);
    }
    if (tensors().size() > most) known += ", ...";
    detail::raise<FormatError>(detail::path_text(path()), ": has no tensor ",
                               detail::in_quotes(name), ", it has ",
                               known.empty() ? "none at all" : known);
  }

  File file_;
  std::uint64_t data_begin_ = 0;  // 8 + N
  SafetensorsHeader header_;
};

}  // namespace anyssr::inline ANYSSR_ABI
