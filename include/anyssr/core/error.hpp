// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// What the library throws. Everything is an `anyssr::Error`; a subclass stands for what a caller
/// can do about it. Checks come before any state changes, and a message names the argument, what
/// came and what was expected.

#include <locale>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "anyssr/core/finite.hpp"
#include "anyssr/core/printable.hpp"
#include "anyssr/core/types.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// Base of everything that the library throws. Its message may quote names and paths from anywhere,
/// so controls and bytes that are no UTF-8 are written out in it: a terminal may show it.
class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& message) : std::runtime_error(detail::printable(message)) {}
};

/// A matrix or list has another size than expected: pass one of the named shape.
class ShapeError : public Error {
 public:
  using Error::Error;
};

/// NaN or infinity would enter state, where nothing could undo it: clean the data.
class NonFiniteError : public Error {
 public:
  using Error::Error;
};

/// A value or option outside its range: pass another one.
class ArgumentError : public Error {
 public:
  using Error::Error;
};

/// A task name that is unknown, or known already: use another name or another operation.
class TaskError : public Error {
 public:
  using Error::Error;
};

/// A file or text that breaks its format: mend the file.
class FormatError : public Error {
 public:
  using Error::Error;
};

/// The system refused to read or write a file: mend its path, its permissions or the disk.
class FileError : public Error {
 public:
  using Error::Error;
};

/// Arithmetic broke down (a pivot that is not positive): raise the ridge or widen the scalar.
class NumericalError : public Error {
 public:
  using Error::Error;
};

/// The progress callback asked to stop: nothing was changed.
class Cancelled : public Error {
 public:
  using Error::Error;
};

namespace detail {

/// A stream that writes numbers alike under every locale: the program's own may group their digits.
[[nodiscard]] inline std::ostringstream text_stream() {
  std::ostringstream text;
  text.imbue(std::locale::classic());
  return text;
}

template <class... Parts>
[[nodiscard]] std::string concat(const Parts&... parts) {
  std::ostringstream text = text_stream();
  (text << ... << parts);
  return std::move(text).str();
}

template <class E, class... Parts>
[[noreturn]] void raise(const Parts&... parts) {
  throw E(concat(parts...));
}

template <class E = ArgumentError, class... Parts>
void expect(bool holds, const Parts&... parts) {
  if (!holds) raise<E>(parts...);
}

/// "features are 12 x 300, expected n x 512"
template <class X>
void expect_cols(std::string_view name, const X& x, Index cols) {
  if (x.cols() != cols) {
    raise<ShapeError>(name, " are ", x.rows(), " x ", x.cols(), ", expected n x ", cols);
  }
}

/// "targets are 11 x 3, expected 12 rows"
template <class X>
void expect_rows(std::string_view name, const X& x, Index rows) {
  if (x.rows() != rows) {
    raise<ShapeError>(name, " are ", x.rows(), " x ", x.cols(), ", expected ", rows, " rows");
  }
}

/// "features are 12 x 300, expected 12 x 512"
template <class X>
void expect_shape(std::string_view name, const X& x, Index rows, Index cols) {
  if (x.rows() != rows || x.cols() != cols) {
    raise<ShapeError>(name, " are ", x.rows(), " x ", x.cols(), ", expected ", rows, " x ", cols);
  }
}

/// A list of one entry a row.
inline void expect_count(std::string_view name, std::size_t count, Index expected) {
  if (static_cast<Index>(count) != expected) {
    raise<ShapeError>(name, " have ", count, " entries, expected ", expected, ", one a row");
  }
}

[[noreturn]] inline void raise_non_finite(std::string_view name, Index row, Index col) {
  raise<NonFiniteError>(name, " hold NaN or infinity at row ", row, ", column ", col,
                        ", expected finite numbers");
}

/// Refuses NaN and infinity in a dense expression.
template <class X>
void expect_finite(std::string_view name, const Eigen::DenseBase<X>& x) {
  if (is_finite(x)) return;
  for (Index i = 0; i < x.rows(); ++i) {
    for (Index j = 0; j < x.cols(); ++j) {
      if (!is_finite(x.derived().coeff(i, j))) raise_non_finite(name, i, j);
    }
  }
}

/// Refuses NaN and infinity in a sparse expression.
template <class X>
void expect_finite(std::string_view name, const Eigen::SparseMatrixBase<X>& x) {
  if (is_finite(x.derived())) return;
  for (Index k = 0; k < x.outerSize(); ++k) {
    for (Eigen::InnerIterator<X> entry(x.derived(), k); entry; ++entry) {
      if (!is_finite(entry.value())) raise_non_finite(name, entry.row(), entry.col());
    }
  }
}

/// Refuses a number that is not finite and above zero.
inline void expect_positive(std::string_view name, double value) {
  expect(is_finite(value) && value > 0, name, " is ", value, ", expected a finite number above 0");
}

}  // namespace detail

/// Refuses NaN and infinity in a dense or sparse expression, under every compiler option.
/// @param name  what the message calls the numbers, a plural: "features"
/// @throws NonFiniteError  with the place of the first such number
template <class X>
void check_finite(std::string_view name, const Eigen::EigenBase<X>& x) {
  detail::expect_finite(name, x.derived());
}

}  // namespace anyssr::inline ANYSSR_ABI
