// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Writes safetensors files: the same bytes for the same tensors and metadata, in whatever order
/// they were added:
///
/// - metadata first, its keys sorted;
/// - tensors by the size of their elements, largest first, then by name; no gaps;
/// - the header padded with spaces so that the data begin at a multiple of 8.
///
/// The file is replaced as a whole (atomic_file.hpp): after an error the old one is still there.

#include <algorithm>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <ranges>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "anyssr/core/concepts.hpp"
#include "anyssr/core/error.hpp"
#include "anyssr/core/types.hpp"
#include "anyssr/io/atomic_file.hpp"
#include "anyssr/io/byte_order.hpp"
#include "anyssr/io/dtype.hpp"
#include "anyssr/io/guarded_json.hpp"
#include "anyssr/io/half.hpp"
#include "anyssr/io/safetensors_header.hpp"
#include "anyssr/io/utf8.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// A dense Eigen expression whose elements a file can hold.
template <class X>
concept TensorMatrix = DenseFeatures<X> && TensorScalar<typename std::remove_cvref_t<X>::Scalar>;

/// std::vector, std::array, std::span, ... of such elements.
template <class R>
concept TensorRange = !DenseFeatures<R> && std::ranges::contiguous_range<const R> &&
                      TensorScalar<std::ranges::range_value_t<const R>>;

/// Tensors and metadata to be written. Float kinds may be narrowed on the way (Dtype::F16 and the
/// like: rounded to nearest even, infinity where the number is too large); integers keep their
/// type.
///
/// `add` copies what it is given, and moves it where it is handed over by std::move: what happens
/// to the matrix later does not matter. `add_reference` does not copy, for what is large: the
/// matrix must live, and keep its shape, until `write` has returned. `add_streamed` asks for the
/// elements when the file is written, for what is in no memory as a whole.
class SafetensorsWriter {
 public:
  /// Takes bytes in the order of the file, in pieces of any size, each valid for the call alone.
  using Sink = std::function<void(std::span<const std::byte>)>;

  /// An entry of `__metadata__`; a key that is there already gets the new value.
  /// @throws ArgumentError  where either is not UTF-8
  void set_metadata(std::string key, std::string value) {
    expect_text("metadata key", key);
    expect_text("metadata value", value);
    metadata_.insert_or_assign(std::move(key), std::move(value));
  }

  /// A matrix in either storage order, [rows, cols], or an Eigen vector, [size].
  /// @param name   UTF-8 without NUL, not `__metadata__`, used once
  /// @param dtype  the type in the file
  /// @throws ArgumentError  where name or dtype cannot be
  /// Cost: one copy of x, none where x is a matrix that is moved in.
  template <TensorMatrix X>
  void add(std::string name, X&& x, Dtype dtype) {
    using Plain = typename std::remove_cvref_t<X>::PlainObject;
    Tensor tensor = checked<typename Plain::Scalar>(name, dtype, shape_of(x));
    tensor.send = [plain = Plain(std::forward<X>(x)), dtype](const Sink& sink) {
      send_matrix(plain, dtype, sink);
    };
    tensors_.emplace(std::move(name), std::move(tensor));
  }
  template <TensorMatrix X>
  void add(std::string name, X&& x) {
    add(std::move(name), std::forward<X>(x), dtype_of<typename std::remove_cvref_t<X>::Scalar>());
  }

  /// A list, [size], or the elements of a tensor of any shape, last dimension running fastest.
  /// @throws ArgumentError  also where the shape counts other than values.size() elements
  template <TensorRange R>
  void add(std::string name, const R& values, std::vector<std::uint64_t> shape) {
    using Scalar = std::ranges::range_value_t<const R>;
    const std::span<const Scalar> span(values);
    Tensor tensor = checked<Scalar>(name, dtype_of<Scalar>(), std::move(shape));
    expect_bytes(name, tensor, span.size() * sizeof(Scalar));
    const Eigen::Map<const Vector<Scalar>> column(span.data(), static_cast<Index>(span.size()));
    tensor.send = [copy = Vector<Scalar>(column)](const Sink& sink) {
      send_matrix(copy, dtype_of<Scalar>(), sink);
    };
    tensors_.emplace(std::move(name), std::move(tensor));
  }
  template <TensorRange R>
  void add(std::string name, const R& values) {
    add(std::move(name), values, {static_cast<std::uint64_t>(std::ranges::size(values))});
  }

  /// As add, without a copy: `x` must outlive the last write and keep its shape.
  template <TensorMatrix X>
  void add_reference(std::string name, const Eigen::PlainObjectBase<X>& x, Dtype dtype) {
    Tensor tensor = checked<typename X::Scalar>(name, dtype, shape_of(x));
    tensor.send = [&x, dtype, name, rows = x.rows(), cols = x.cols()](const Sink& sink) {
      detail::expect(x.rows() == rows && x.cols() == cols, "tensor ", detail::in_quotes(name),
                     " is ", x.rows(), " x ", x.cols(), ", expected ", rows, " x ", cols,
                     ", as it was when its reference was added");
      send_matrix(x.derived(), dtype, sink);
    };
    tensors_.emplace(std::move(name), std::move(tensor));
  }
  template <TensorMatrix X>
  void add_reference(std::string name, const Eigen::PlainObjectBase<X>& x) {
    add_reference(std::move(name), x, dtype_of<typename X::Scalar>());
  }
  template <TensorMatrix X>
  void add_reference(std::string name, const Eigen::PlainObjectBase<X>&& x, Dtype dtype) = delete;
  template <TensorMatrix X>
  void add_reference(std::string name, const Eigen::PlainObjectBase<X>&& x) = delete;

  /// Bytes of any type, as they are to stand in the file: little-endian, last dimension fastest.
  /// @throws ArgumentError  also where shape and dtype make another number of bytes
  void add_bytes(std::string name, Dtype dtype, std::vector<std::uint64_t> shape,
                 std::vector<std::byte> bytes) {
    Tensor tensor = planned(name, dtype, std::move(shape));
    expect_bytes(name, tensor, bytes.size());
    tensor.send = [bytes = std::move(bytes)](const Sink& sink) { sink(bytes); };
    tensors_.emplace(std::move(name), std::move(tensor));
  }

  /// As add_bytes, but `send` hands the bytes to a sink, in any number of calls, whenever the file
  /// is written; what it refers to must live until then. It lets pass what the sink throws.
  /// @throws ArgumentError  where name, shape or send cannot be; from `stream` and `write`, where
  ///                        `send` sends other than the bytes of the shape
  void add_streamed(std::string name, Dtype dtype, std::vector<std::uint64_t> shape,
                    std::function<void(const Sink&)> send) {
    Tensor tensor = planned(name, dtype, std::move(shape));
    detail::expect(send != nullptr, "tensor ", detail::in_quotes(name),
                   " has nothing to send it, expected a function");
    tensor.send = std::move(send);
    tensors_.emplace(std::move(name), std::move(tensor));
  }

  /// Writes the file, or replaces it. The writer stays as it is.
  /// @throws FileError      where the system refuses; the old file is whole then (atomic_file.hpp)
  /// @throws ArgumentError  as stream, likewise
  /// Cost: beyond the tensors themselves a few hundred kB of memory, and one row of a
  /// column-major matrix where that is more.
  void write(const std::filesystem::path& path) const {
    AtomicFile file(path);
    stream([&](std::span<const std::byte> bytes) { file.write(bytes); });
    file.commit();
  }

  /// All bytes of the file in order: for a checksum, a socket, another container.
  /// @throws ArgumentError  no sink, or a header above 100 MB; a matrix that was added by reference
  ///                        has another shape now, or `add_streamed` was promised other bytes: then
  ///                        the sink has seen all that comes before
  void stream(const Sink& sink) const {
    detail::expect(sink != nullptr, "sink is empty, expected a function");
    const std::vector<const Named*> order = canonical_order();
    const std::string header = header_text(order);
    std::uint64_t header_bytes = header.size();
    detail::swap_if_big_endian(std::span(&header_bytes, 1));
    sink(std::as_bytes(std::span(&header_bytes, 1)));
    sink(std::as_bytes(std::span(header)));
    for (const Named* tensor : order) send_counted(*tensor, sink);
  }

 private:
  struct Tensor {
    Dtype dtype = Dtype::F32;
    std::vector<std::uint64_t> shape;
    std::uint64_t bytes = 0;
    std::function<void(const Sink&)> send;  // all bytes, in any number of calls
  };
  using Named = std::pair<const std::string, Tensor>;

  static constexpr std::size_t block_elements = std::size_t{1} << 15;

  static void expect_text(std::string_view what, std::string_view text) {
    const std::size_t broken = detail::find_invalid_utf8(text);
    if (broken == std::string_view::npos) return;
    detail::raise<ArgumentError>(what, " ", detail::in_quotes(text), " has byte ",
                                 detail::byte_text(text[broken]), ", expected UTF-8");
  }

  /// What stands in the header of a tensor that may be added.
  [[nodiscard]] Tensor planned(const std::string& name, Dtype dtype,
                               std::vector<std::uint64_t> shape) const {
    const std::string what = "tensor " + detail::in_quotes(name);
    expect_text("tensor name", name);
    detail::expect(name.find('\0') == std::string::npos, what, " has a NUL byte in its name");
    detail::expect(name != detail::metadata_key, what, ": the format keeps that name for itself");
    detail::expect(!tensors_.contains(name), what, " was added before");
    detail::expect(shape.size() <= detail::max_dimensions, what, " has ", shape.size(),
                   " dimensions, expected at most ", detail::max_dimensions);
    const auto size = detail::tensor_size(dtype, shape);
    detail::expect(size && size->bits % 8 == 0, what, " has shape ", detail::shape_text(shape),
                   " of ", to_string(dtype), ", expected a whole number of bytes below 2^61");
    return {.dtype = dtype, .shape = std::move(shape), .bytes = size->bits / 8, .send = {}};
  }

  template <TensorScalar S>
  [[nodiscard]] Tensor checked(const std::string& name, Dtype dtype,
                               std::vector<std::uint64_t> shape) const {
    const bool fits = RealScalar<S> ? kind_of(dtype) == DtypeKind::number : dtype == dtype_of<S>();
    detail::expect(
        fits, "tensor ", detail::in_quotes(name), " of ", to_string(dtype_of<S>()),
        " cannot be written as ", to_string(dtype), ", expected ",
        RealScalar<S> ? dtype_names(DtypeKind::number) : std::string(to_string(dtype_of<S>())));
    return planned(name, dtype, std::move(shape));
  }

  static void expect_bytes(std::string_view name, const Tensor& tensor, std::size_t bytes) {
    detail::expect(bytes == tensor.bytes, "tensor ", detail::in_quotes(name), " has ", bytes,
                   " bytes, expected ", tensor.bytes, " for shape ",
                   detail::shape_text(tensor.shape), " of ", to_string(tensor.dtype));
  }

  template <class X>
  [[nodiscard]] static std::vector<std::uint64_t> shape_of(const X& x) {
    if constexpr (std::remove_cvref_t<X>::IsVectorAtCompileTime) {
      return {static_cast<std::uint64_t>(x.size())};
    } else {
      return {static_cast<std::uint64_t>(x.rows()), static_cast<std::uint64_t>(x.cols())};
    }
  }

  [[nodiscard]] std::vector<const Named*> canonical_order() const {
    std::vector<const Named*> order;
    for (const Named& tensor : tensors_) order.push_back(&tensor);  // by name
    std::stable_sort(order.begin(), order.end(), [](const Named* a, const Named* b) {
      return bits_of(a->second.dtype) > bits_of(b->second.dtype);
    });
    return order;
  }

  [[nodiscard]] std::string header_text(const std::vector<const Named*>& order) const {
    std::vector<std::string> members;
    if (!metadata_.empty()) {
      members.push_back(detail::concat("\"", detail::metadata_key, "\":", Json(metadata_).dump()));
    }
    std::uint64_t begin = 0;
    for (const Named* named : order) {
      const auto& [name, tensor] = *named;
      const std::uint64_t end = begin + tensor.bytes;
      // no stream, which would write numbers in the manner of the program's locale
      members.push_back(Json(name).dump() + ":{\"dtype\":\"" +
                        std::string(to_string(tensor.dtype)) +
                        "\",\"shape\":" + Json(tensor.shape).dump() +
                        ",\"data_offsets\":" + Json{begin, end}.dump() + "}");
      begin = end;
    }
    std::string text = "{";
    for (const std::string& member : members) {
      text += text.size() > 1 ? "," : "";
      text += member;
    }
    text += "}";
    text.resize((text.size() + 7) / 8 * 8, ' ');
    detail::expect(text.size() <= detail::max_header_bytes, "header has ", text.size(),
                   " bytes, expected at most ", detail::max_header_bytes, ": fewer tensors");
    return text;
  }

  /// The sink sees no byte beyond those that the header promised.
  static void send_counted(const Named& named, const Sink& sink) {
    const std::uint64_t planned_bytes = named.second.bytes;
    std::uint64_t sent = 0;
    named.second.send([&](std::span<const std::byte> bytes) {
      if (bytes.size() > planned_bytes - sent) {
        refuse_sent(named, detail::concat("at least ", sent + bytes.size()));
      }
      sink(bytes);
      sent += bytes.size();  // not before: a send that goes on after the sink has failed is short
    });
    if (sent != planned_bytes) refuse_sent(named, std::to_string(sent));
  }
  [[noreturn]] static void refuse_sent(const Named& named, std::string_view sent) {
    const Tensor& tensor = named.second;
    detail::raise<ArgumentError>("tensor ", detail::in_quotes(named.first), " sent ", sent,
                                 " bytes, expected ", tensor.bytes, " for shape ",
                                 detail::shape_text(tensor.shape), " of ", to_string(tensor.dtype));
  }

  /// Row by row, whatever the storage order.
  template <class X>
  static void send_matrix(const X& x, Dtype dtype, const Sink& sink) {
    using S = typename X::Scalar;
    if (X::IsRowMajor || x.rows() == 1 || x.cols() == 1) {
      return send_values(std::span<const S>(x.data(), static_cast<std::size_t>(x.size())), dtype,
                         sink);
    }
    const Index at_once =
        std::max<Index>(1, static_cast<Index>(block_elements) / std::max<Index>(1, x.cols()));
    for (Index row = 0; row < x.rows(); row += at_once) {
      const RowMajorMatrix<S> block = x.middleRows(row, std::min(at_once, x.rows() - row));
      send_values(std::span<const S>(block.data(), static_cast<std::size_t>(block.size())), dtype,
                  sink);
    }
  }

  template <TensorScalar S>
  static void send_values(std::span<const S> values, Dtype dtype, const Sink& sink) {
    if constexpr (std::same_as<S, bool>) {
      send_as<std::uint8_t>(values, sink, [](bool value) { return std::uint8_t{value}; });
    } else if constexpr (!RealScalar<S>) {
      send_as<S>(values, sink, std::identity{});
    } else if (dtype == Dtype::F64) {
      send_as<double>(values, sink, [](S value) { return static_cast<double>(value); });
    } else if (dtype == Dtype::F32) {
      send_as<float>(values, sink, [](S value) { return static_cast<float>(value); });
    } else if (dtype == Dtype::F16) {
      send_as<std::uint16_t>(values, sink, [](S value) { return to_f16(value); });
    } else {
      send_as<std::uint16_t>(values, sink, [](S value) { return to_bf16(value); });
    }
  }

  /// Elements of type Raw, by way of `convert`; straight from their place where none is due.
  template <class Raw, class S, class Convert>
  static void send_as(std::span<const S> values, const Sink& sink, const Convert& convert) {
    if constexpr (std::same_as<Raw, S> && std::endian::native == std::endian::little) {
      sink(std::as_bytes(values));
    } else {
      std::vector<Raw> block(std::min(values.size(), block_elements));
      while (!values.empty()) {
        const std::span<Raw> part = std::span(block).first(std::min(block.size(), values.size()));
        std::transform(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(part.size()),
                       part.begin(), convert);
        detail::swap_if_big_endian(part);
        sink(std::as_bytes(part));
        values = values.subspan(part.size());
      }
    }
  }

  std::map<std::string, Tensor> tensors_;
  std::map<std::string, std::string> metadata_;
};

}  // namespace anyssr::inline ANYSSR_ABI
