// SPDX-License-Identifier: MIT
#include "anyssr/backbone/llama/weight_matrix.hpp"

#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <memory>
#include <vector>

#include "anyssr/backbone/llama/weight_product.hpp"
#include "support/catch.hpp"
#include "support/numeric.hpp"

namespace {

using namespace anyssr;
using anyssr::test::contains;
using anyssr::test::message_of;

constexpr std::array<Dtype, 4> weight_dtypes{Dtype::F64, Dtype::F32, Dtype::F16, Dtype::BF16};

struct WeightShape {
  Index rows;
  Index cols;
};
constexpr std::array<WeightShape, 8> weight_shapes{
    {{1, 1}, {3, 1}, {1, 7}, {4, 16}, {5, 33}, {17, 64}, {70, 95}, {600, 35}}};

/// X W^T of the numbers as they are, in double.
Eigen::MatrixXd plain_product(const Eigen::MatrixXd& x, const WeightMatrix& w) {
  const RowMajorMatrix<double> numbers = w.dense<double>();
  Eigen::MatrixXd y = Eigen::MatrixXd::Zero(x.rows(), w.rows());
  for (Index n = 0; n < x.rows(); ++n) {
    for (Index i = 0; i < w.rows(); ++i) {
      for (Index c = 0; c < w.cols(); ++c) y(n, i) += x(n, c) * numbers(i, c);
    }
  }
  return y;
}

/// |y - reference| of the largest entry, over the largest size of a sum.
template <class Y>
double product_error(const Y& y, const Eigen::MatrixXd& reference, double size) {
  return (y.template cast<double>() - reference).cwiseAbs().maxCoeff() / size;
}

/// All rows, at an odd distance from each other in memory.
template <class S>
Eigen::Ref<RowMajorMatrix<S>> spaced(RowMajorMatrix<S>& memory, Index rows, Index cols) {
  memory = RowMajorMatrix<S>::Constant(rows, cols + 3, S(7));
  return memory.middleCols(1, cols);
}

/// Bits of a row-major matrix.
template <class S>
bool is_same(const RowMajorMatrix<S>& a, const RowMajorMatrix<S>& b) {
  return a.size() == b.size() &&
         std::memcmp(a.data(), b.data(), sizeof(S) * static_cast<std::size_t>(a.size())) == 0;
}

std::span<const std::byte> bytes_of(const std::vector<std::byte>& bytes, std::size_t from) {
  return std::span(bytes).subspan(from);
}

}  // namespace

TEMPLATE_TEST_CASE("a weight's product with few rows and with many is that of its numbers",
                   "[backbone][property]", float, double) {
  using S = TestType;
  const Dtype dtype = GENERATE(from_range(weight_dtypes));
  for (const auto& [rows, cols] : weight_shapes) {
    const WeightMatrix w =
        WeightMatrix::of(random_normal<S, Eigen::RowMajor>(rows, cols, 1), dtype);
    for (const Index n : {1, 2, 3, 5, 8, 9, 64}) {
      CAPTURE(to_string(dtype), rows, cols, n);
      const RowMajorMatrix<S> x = random_normal<S, Eigen::RowMajor>(n, cols, 2);
      const Eigen::MatrixXd reference = plain_product(x.template cast<double>(), w);
      const double limit = anyssr::test::round_off<S>(8.0 * std::sqrt(static_cast<double>(cols)));
      const double size = 4 * std::sqrt(static_cast<double>(cols));
      RowMajorMatrix<S> memory;
      Eigen::Ref<RowMajorMatrix<S>> y = spaced(memory, n, rows);
      multiply<S>(x, w, y, 1);
      CHECK(product_error(y, reference, size) < limit);
      CHECK((memory.leftCols(1).array() == S(7)).all());
      CHECK((memory.rightCols(2).array() == S(7)).all());
      y.setConstant(S(0.5));
      multiply<S>(x, w, y, 1, true);
      CHECK(product_error(y, reference.array() + 0.5, size) < limit);
    }
  }
}

TEMPLATE_TEST_CASE("multiply_back adds the product with the untransposed weight",
                   "[backbone][property]", float, double) {
  using S = TestType;
  const Dtype dtype = GENERATE(from_range(weight_dtypes));
  for (const auto& [rows, cols] : weight_shapes) {
    const WeightMatrix w =
        WeightMatrix::of(random_normal<S, Eigen::RowMajor>(rows, cols, 1), dtype);
    const WeightMatrix transposed =
        WeightMatrix::of(RowMajorMatrix<double>(w.dense<double>().transpose()), Dtype::F64);
    for (const Index n : {1, 5, 64}) {
      CAPTURE(to_string(dtype), rows, cols, n);
      const RowMajorMatrix<S> dy = random_normal<S, Eigen::RowMajor>(n, rows, 2);
      const Eigen::MatrixXd reference = plain_product(dy.template cast<double>(), transposed);
      RowMajorMatrix<S> memory;
      Eigen::Ref<RowMajorMatrix<S>> dx = spaced(memory, n, cols);
      multiply_back<S>(dy, w, dx, 1);
      const double size = 4 * std::sqrt(static_cast<double>(rows)) + 7;
      CHECK(product_error(dx, reference.array() + 7, size) <
            anyssr::test::round_off<S>(8.0 * std::sqrt(static_cast<double>(rows))));
      CHECK((memory.leftCols(1).array() == S(7)).all());
      CHECK((memory.rightCols(2).array() == S(7)).all());
    }
  }
}

TEMPLATE_TEST_CASE("multiply_all gives each weight what it gets alone", "[backbone][property]",
                   float, double) {
  using S = TestType;
  constexpr Index cols = 45;
  std::vector<WeightMatrix> weights;
  Index rows = 3;
  for (const Dtype dtype : weight_dtypes) {
    weights.push_back(WeightMatrix::of(random_normal<S, Eigen::RowMajor>(rows, cols, 1), dtype));
    rows += 5;
  }
  std::vector<const WeightMatrix*> pointers;
  for (const WeightMatrix& w : weights) pointers.push_back(&w);
  for (const Index n : {1, 6, 20}) {
    CAPTURE(n);
    const RowMajorMatrix<S> x = random_normal<S, Eigen::RowMajor>(n, cols, 2);
    std::vector<RowMajorMatrix<S>> results;
    for (const WeightMatrix& w : weights) results.emplace_back(n, w.rows());
    std::vector<Eigen::Ref<RowMajorMatrix<S>>> y(results.begin(), results.end());
    multiply_all<S>(x, pointers, y, 2);
    for (std::size_t i = 0; i < weights.size(); ++i) {
      RowMajorMatrix<S> alone(n, weights[i].rows());
      multiply<S>(x, weights[i], alone, 1);
      CHECK(is_same(results[i], alone));
    }
  }
}

TEMPLATE_TEST_CASE("products of a weight have the same bits for any number of threads",
                   "[backbone][property]", float, double) {
  using S = TestType;
  const Dtype dtype = GENERATE(from_range(weight_dtypes));
  CAPTURE(to_string(dtype));
  const RowMajorMatrix<S> numbers = random_normal<S, Eigen::RowMajor>(531, 517, 1);
  const WeightMatrix w = WeightMatrix::of(numbers, dtype);
  for (const Index n : {1, 6, 20}) {
    const RowMajorMatrix<S> x = random_normal<S, Eigen::RowMajor>(n, 517, 2);
    const RowMajorMatrix<S> dy = random_normal<S, Eigen::RowMajor>(n, 531, 3);
    std::array<RowMajorMatrix<S>, 4> few, many, back;
    for (std::size_t threads = 1; threads < 4; ++threads) {
      const int team = static_cast<int>(threads);  // below multiply(), which leaves this serial
      few[threads].resize(n, 531);
      many[threads].resize(n, 531);
      back[threads] = x;
      const auto product = [&](RowMajorMatrix<S>& y) {
        return detail::WeightProduct<S>{&w, {y.data(), y.cols()}};
      };
      const auto to_few = product(few[threads]);
      const auto to_many = product(many[threads]);
      detail::multiply_few<S>(x, std::span(&to_few, 1), team, false);
      detail::multiply_many<S>(x, std::span(&to_many, 1), team, false);
      detail::add_back<S>(dy, w, back[threads], team);
      CAPTURE(n, threads);
      CHECK(is_same(few[1], few[threads]));
      CHECK(is_same(many[1], many[threads]));
      CHECK(is_same(back[1], back[threads]));
    }
  }
}

TEMPLATE_TEST_CASE("few rows have the bits that each has alone", "[backbone][property]", float,
                   double) {
  using S = TestType;
  const Dtype dtype = GENERATE(from_range(weight_dtypes));
  CAPTURE(to_string(dtype));
  const WeightMatrix w = WeightMatrix::of(random_normal<S, Eigen::RowMajor>(21, 77, 1), dtype);
  const RowMajorMatrix<S> x = random_normal<S, Eigen::RowMajor>(detail::few_rows, 77, 2);
  RowMajorMatrix<S> together(x.rows(), 21);
  multiply<S>(x, w, together, 1);
  for (Index n = 0; n < x.rows(); ++n) {
    RowMajorMatrix<S> alone(1, 21);
    multiply<S>(x.row(n), w, alone, 1);
    CHECK(is_same<S>(alone, together.row(n)));
  }
}

TEMPLATE_TEST_CASE("every pattern of 16 bits is widened to its number", "[backbone][property]",
                   float, double) {
  using S = TestType;
  const Dtype dtype = GENERATE(Dtype::F16, Dtype::BF16);
  CAPTURE(to_string(dtype));
  constexpr std::size_t count = 65536;
  std::vector<std::uint16_t> patterns(count);
  for (std::size_t i = 0; i < count; ++i) patterns[i] = static_cast<std::uint16_t>(i);
  const WeightMatrix one_row(dtype, 1, count, std::as_bytes(std::span(patterns)), nullptr);
  RowMajorMatrix<S> row(1, count);
  one_row.row(0, row.data());
  // by the kernel's steps: a unit vector takes one column of many out of a row
  constexpr Index width = 64;
  RowMajorMatrix<S> by_kernel(1, count);
  const WeightMatrix blocks(dtype, count / width, width, one_row.data(), nullptr);
  for (Index c = 0; c < width; ++c) {
    RowMajorMatrix<S> unit = RowMajorMatrix<S>::Zero(1, width);
    unit(0, c) = 1;
    RowMajorMatrix<S> y(1, count / width);
    multiply<S>(unit, blocks, y, 1);
    for (Index i = 0; i < y.cols(); ++i) by_kernel(0, i * width + c) = y(0, i);
  }
  const RowMajorMatrix<S> dense = blocks.dense<S>();
  Index wrong = 0;
  for (Index i = 0; i < dense.rows(); ++i) {
    const bool is_finite = dense.row(i).allFinite();  // if not, products with zeros are NaN
    for (Index at = i * width; at < (i + 1) * width; ++at) {
      const std::uint16_t bits = patterns[static_cast<std::size_t>(at)];
      const S value = static_cast<S>(dtype == Dtype::F16 ? from_f16(bits) : from_bf16(bits));
      const bool same = std::isnan(value) ? std::isnan(row(0, at)) : row(0, at) == value;
      const S computed = by_kernel(0, at);
      wrong += same && (is_finite ? computed == value : !std::isfinite(computed)) ? 0 : 1;
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE("unaligned bytes of a weight are copied and aligned ones stay where they are",
          "[backbone]") {
  const Dtype dtype = GENERATE(from_range(weight_dtypes));
  CAPTURE(to_string(dtype));
  const WeightMatrix made =
      WeightMatrix::of(random_normal<double, Eigen::RowMajor>(6, 9, 1), dtype);
  const auto owner = std::make_shared<std::vector<std::byte>>(made.bytes() + 1);
  std::copy(made.data().begin(), made.data().end(), owner->begin() + 1);
  const WeightMatrix copied(dtype, 6, 9, bytes_of(*owner, 1), owner);
  CHECK(owner.use_count() == 1);
  std::copy(made.data().begin(), made.data().end(), owner->begin());
  const WeightMatrix mapped(dtype, 6, 9, std::span(*owner).first(made.bytes()), owner);
  CHECK(owner.use_count() == 2);
  CHECK(mapped.data().data() == owner->data());
  CHECK(copied.dense<double>() == made.dense<double>());
  CHECK(mapped.dense<double>() == made.dense<double>());
  CHECK(made.bytes() == 54 * bits_of(dtype) / 8);
}

TEST_CASE("a weight is finite where no number is NaN or infinite", "[backbone]") {
  const Dtype dtype = GENERATE(from_range(weight_dtypes));
  CAPTURE(to_string(dtype));
  RowMajorMatrix<double> numbers = random_normal<double, Eigen::RowMajor>(7, 11, 1);
  numbers(0, 0) = 0;
  numbers(0, 1) = 60000;
  CHECK(WeightMatrix::of(numbers, dtype).is_finite());
  for (const double bad : {std::numeric_limits<double>::infinity(),
                           -std::numeric_limits<double>::infinity(), std::nan("")}) {
    for (const Index at : {0, 40, 76}) {
      RowMajorMatrix<double> broken = numbers;
      broken.data()[at] = bad;
      CHECK(!WeightMatrix::of(broken, dtype).is_finite());
    }
  }
}

TEST_CASE("an empty weight gives products of zeros", "[backbone]") {
  const WeightMatrix none;
  CHECK(none.empty());
  CHECK(none.is_finite());
  const WeightMatrix narrow = WeightMatrix::of(RowMajorMatrix<float>(3, 0), Dtype::BF16);
  RowMajorMatrix<float> y = RowMajorMatrix<float>::Ones(2, 3);
  multiply<float>(RowMajorMatrix<float>(2, 0), narrow, y, 1, true);
  CHECK(y == RowMajorMatrix<float>::Ones(2, 3));
  multiply<float>(RowMajorMatrix<float>(2, 0), narrow, y, 1);
  CHECK(y == RowMajorMatrix<float>::Zero(2, 3));
  RowMajorMatrix<float> no_rows(0, 3);
  multiply<float>(RowMajorMatrix<float>(0, 0), narrow, no_rows, 1);
  const WeightMatrix flat = WeightMatrix::of(RowMajorMatrix<float>(0, 4), Dtype::F32);
  RowMajorMatrix<float> no_columns(2, 0);
  multiply<float>(RowMajorMatrix<float>::Ones(2, 4), flat, no_columns, 1);
  RowMajorMatrix<float> dx = RowMajorMatrix<float>::Ones(2, 4);
  multiply_back<float>(no_columns, flat, dx, 1);
  CHECK(dx == RowMajorMatrix<float>::Ones(2, 4));
}

TEST_CASE("a weight refuses other numbers and sizes than it can hold", "[backbone][error]") {
  const std::vector<std::byte> bytes(24);
  const auto made = [&](Dtype dtype, Index rows, Index cols) {
    return [&bytes, dtype, rows, cols] { WeightMatrix(dtype, rows, cols, bytes, nullptr); };
  };
  CHECK(message_of<ArgumentError>(made(Dtype::I32, 2, 3)) ==
        "weight is of type I32, expected F64, F32, F16, BF16");
  CHECK(message_of<ArgumentError>(made(Dtype::F32, -2, 3)) ==
        "weight is -2 x 3, expected no negative size");
  CHECK(message_of<ShapeError>(made(Dtype::F32, 2, 4)) ==
        "weight has 24 bytes, expected 2 x 4 F32");
  const Index huge = Index{1} << 40;
  CHECK(contains(message_of<ShapeError>(made(Dtype::F32, huge, huge)), "weight has 24 bytes"));
  const WeightMatrix w(Dtype::F32, 2, 3, bytes, nullptr);
  std::array<float, 3> out{};
  CHECK(message_of<ArgumentError>([&] { w.row(2, out.data()); }) == "row is 2, expected 0..1");
  CHECK(message_of<ArgumentError>([&] { w.row(-1, out.data()); }) == "row is -1, expected 0..1");
}

TEST_CASE("products of a weight refuse other shapes and change nothing", "[backbone][error]") {
  const WeightMatrix w =
      WeightMatrix::of(random_normal<float, Eigen::RowMajor>(2, 3, 1), Dtype::F32);
  const RowMajorMatrix<float> x = RowMajorMatrix<float>::Ones(4, 3);
  const RowMajorMatrix<float> ones = RowMajorMatrix<float>::Ones(4, 2);
  RowMajorMatrix<float> y = ones;
  RowMajorMatrix<float> narrow = RowMajorMatrix<float>::Ones(4, 1);
  RowMajorMatrix<float> low = RowMajorMatrix<float>::Ones(3, 2);
  CHECK(message_of<ShapeError>([&] { multiply<float>(ones, w, y, 1); }) ==
        "x are 4 x 2, expected n x 3");
  CHECK(message_of<ShapeError>([&] { multiply<float>(x, w, narrow, 1); }) ==
        "y are 4 x 1, expected 4 x 2");
  CHECK(message_of<ShapeError>([&] { multiply<float>(x, w, low, 1); }) ==
        "y are 3 x 2, expected 4 x 2");
  CHECK(message_of<ArgumentError>([&] { multiply<float>(x, w, y, -1); }) ==
        "threads is -1, expected 0 (the cores that this process may use) or more");
  const std::array<const WeightMatrix*, 2> weights{&w, &w};
  std::array<Eigen::Ref<RowMajorMatrix<float>>, 2> results{y, narrow};
  CHECK(message_of<ShapeError>([&] { multiply_all<float>(x, weights, results, 1); }) ==
        "y are 4 x 1, expected 4 x 2");
  CHECK(message_of<ShapeError>([&] {
          multiply_all<float>(x, weights, std::span(results).first(1), 1);
        }) == "y are 1 matrices, expected 2, one a weight");
  RowMajorMatrix<float> dx = x;
  CHECK(message_of<ShapeError>([&] { multiply_back<float>(x, w, dx, 1); }) ==
        "dy are 4 x 3, expected n x 2");
  CHECK(message_of<ShapeError>([&] { multiply_back<float>(y, w, y, 1); }) ==
        "dx are 4 x 2, expected 4 x 3");
  CHECK(y == ones);
  CHECK(dx == x);
  CHECK((narrow.array() == 1).all());
}
