// SPDX-License-Identifier: MIT
#include "anyssr/backbone/llama/llama_kernels.hpp"

#include <vector>

#include "support/catch.hpp"
#include "support/numeric.hpp"
#include "support/tiny_llama.hpp"

using namespace anyssr;
using namespace anyssr::test;

namespace {

/// The slopes of f by every number of x.
template <class F>
RowMajorMatrix<double> slopes_by(RowMajorMatrix<double>& x, const F& f) {
  RowMajorMatrix<double> slopes(x.rows(), x.cols());
  for (Index i = 0; i < x.size(); ++i) slopes.data()[i] = slope_by(x.data()[i], f);
  return slopes;
}

template <class S>
RowMajorMatrix<S> kernel_input(Index rows, Index cols, std::uint64_t seed) {
  return random_normal<S, Eigen::RowMajor>(rows, cols, seed);
}

}  // namespace

TEMPLATE_TEST_CASE("a row after RMSNorm is the formula's", "[backbone][property]", float, double) {
  const Index rows = GENERATE(1, 3, 70);
  const Index cols = GENERATE(1, 7, 64);
  const RowMajorMatrix<TestType> x = kernel_input<TestType>(rows, cols, 1);
  const RowVector<TestType> weight = kernel_input<TestType>(1, cols, 2);
  RowMajorMatrix<TestType> y(rows, cols);
  detail::rms_norm<TestType>(x, weight, 1e-2, y, 1);
  const Eigen::MatrixXd plain =
      plain_rms_norm(x.template cast<double>(), weight.template cast<double>(), 1e-2);
  CHECK(relative_error(y, plain) < round_off<TestType>(16));
}

TEST_CASE("RMSNorm of zeros is zero and of tiny numbers is led by eps", "[backbone][property]") {
  const RowVector<float> weight = RowVector<float>::Ones(8);
  RowMajorMatrix<float> y(1, 8);
  detail::rms_norm<float>(RowMajorMatrix<float>::Zero(1, 8), weight, 1e-5, y, 1);
  CHECK((y.array() == 0).all());
  detail::rms_norm<float>(RowMajorMatrix<float>::Constant(1, 8, 1e-20F), weight, 1e-4, y, 1);
  CHECK((y.array() - 1e-18F).abs().maxCoeff() < 1e-24F);
}

TEST_CASE("the gradient of RMSNorm is that of finite differences and is added",
          "[backbone][property]") {
  RowMajorMatrix<double> x = kernel_input<double>(3, 7, 3);
  const RowVector<double> weight = kernel_input<double>(1, 7, 4);
  const RowMajorMatrix<double> dy = kernel_input<double>(3, 7, 5);
  const RowMajorMatrix<double> before = kernel_input<double>(3, 7, 6);
  RowMajorMatrix<double> dx = before;
  detail::rms_norm_backward<double>(x, weight, 0.1, dy, dx, 1);
  const auto slopes =
      slopes_by(x, [&] { return plain_rms_norm(x, weight, 0.1).cwiseProduct(dy).sum(); });
  CHECK(relative_error(dx - before, slopes) < 1e-10);
}

TEMPLATE_TEST_CASE("a turned head is that of rotate_half", "[backbone][property]", float, double) {
  LlamaConfig config = tiny_llama_config();
  config.head_dim = GENERATE(2, 6, 32);
  config.max_positions = 600;
  config.rope.type = GENERATE(RopeType::standard, RopeType::linear, RopeType::llama3);
  config.rope.factor = 4;
  config.rope.theta = 300;
  config.rope.original_max_positions = 64;
  detail::RotaryTable<TestType> table(rotary_frequencies(config));
  table.grow(5);
  table.grow(600);  // grown in two steps
  table.grow(3);    // and never shrunk
  const Index heads = 3;
  const auto x = kernel_input<TestType>(600, heads * config.head_dim, 7);
  RowMajorMatrix<TestType> turned = x;
  for (Index t = 0; t < 600; ++t) table.turn(turned.row(t).data(), heads, t, false);
  const double angles = round_off<double>(600);  // of their own rounding
  CHECK(relative_error(turned, plain_rotary(config, x.template cast<double>())) <
        round_off<TestType>(4) + angles);
  CHECK(turned.row(0) == x.row(0));
  for (Index t = 0; t < 600; ++t) table.turn(turned.row(t).data(), heads, t, true);
  CHECK(relative_error(turned, x) < round_off<TestType>(4));
}

TEST_CASE("turning back is the gradient of turning", "[backbone][property]") {
  LlamaConfig config = tiny_llama_config();
  detail::RotaryTable<double> table(rotary_frequencies(config));
  table.grow(9);
  RowMajorMatrix<double> x = kernel_input<double>(1, 12, 8);
  const RowMajorMatrix<double> dy = kernel_input<double>(1, 12, 9);
  const auto slopes = slopes_by(x, [&] {
    RowMajorMatrix<double> y = x;
    table.turn(y.data(), 2, 8, false);
    return y.cwiseProduct(dy).sum();
  });
  RowMajorMatrix<double> dx = dy;
  table.turn(dx.data(), 2, 8, true);
  CHECK(relative_error(dx, slopes) < 1e-10);
}

TEMPLATE_TEST_CASE("SwiGLU is the formula's also where it saturates", "[backbone][property]", float,
                   double) {
  RowMajorMatrix<TestType> gate = kernel_input<TestType>(40, 9, 10);
  RowMajorMatrix<TestType> up = kernel_input<TestType>(40, 9, 11);
  RowMajorMatrix<TestType> y;
  detail::swiglu(gate, up, y, 1);
  CHECK(relative_error(y, plain_swiglu(gate.template cast<double>(), up.template cast<double>())) <
        round_off<TestType>(8));
  gate.setConstant(TestType(-1e4));
  gate.leftCols(4).setConstant(TestType(1e4));
  detail::swiglu(gate, up, y, 1);
  CHECK(y.leftCols(4) == (up.leftCols(4) * TestType(1e4)).eval());
  CHECK((y.rightCols(5).array() == 0).all());
  RowMajorMatrix<TestType> d_up = up;
  const RowMajorMatrix<TestType> ones = RowMajorMatrix<TestType>::Ones(40, 9);
  detail::swiglu_backward(ones, gate, d_up, 1);
  CHECK(gate.leftCols(4) == up.leftCols(4));  // slope 1
  CHECK((gate.rightCols(5).array() == 0).all());
  CHECK(d_up.allFinite());
}

TEST_CASE("the gradients of SwiGLU are those of finite differences", "[backbone][property]") {
  RowMajorMatrix<double> gate = kernel_input<double>(4, 5, 12) * 2;
  RowMajorMatrix<double> up = kernel_input<double>(4, 5, 13);
  const RowMajorMatrix<double> dy = kernel_input<double>(4, 5, 14);
  const auto f = [&] { return plain_swiglu(gate, up).cwiseProduct(dy).sum(); };
  const auto by_gate = slopes_by(gate, f);
  const auto by_up = slopes_by(up, f);
  detail::swiglu_backward(dy, gate, up, 1);
  CHECK(relative_error(gate, by_gate) < 1e-10);
  CHECK(relative_error(up, by_up) < 1e-10);
}

TEMPLATE_TEST_CASE("GeGLU is the formula's also where it saturates", "[backbone][property]", float,
                   double) {
  RowMajorMatrix<TestType> gate = kernel_input<TestType>(40, 9, 20);
  RowMajorMatrix<TestType> up = kernel_input<TestType>(40, 9, 21);
  RowMajorMatrix<TestType> y;
  detail::geglu(gate, up, y, 1);
  CHECK(relative_error(y, plain_geglu(gate.template cast<double>(), up.template cast<double>())) <
        round_off<TestType>(8));
  gate.setConstant(TestType(-1e4));
  gate.leftCols(4).setConstant(TestType(1e4));
  detail::geglu(gate, up, y, 1);
  CHECK(y.leftCols(4) == (up.leftCols(4) * TestType(1e4)).eval());
  CHECK((y.rightCols(5).array() == 0).all());
  RowMajorMatrix<TestType> d_up = up;
  const RowMajorMatrix<TestType> ones = RowMajorMatrix<TestType>::Ones(40, 9);
  detail::geglu_backward(ones, gate, d_up, 1);
  CHECK(gate.leftCols(4) == up.leftCols(4));  // slope 1
  CHECK((gate.rightCols(5).array().abs() < TestType(1e-20)).all());
  CHECK(d_up.allFinite());
}

TEST_CASE("the gradients of GeGLU are those of finite differences", "[backbone][property]") {
  RowMajorMatrix<double> gate = kernel_input<double>(4, 5, 22) * 2;
  RowMajorMatrix<double> up = kernel_input<double>(4, 5, 23);
  const RowMajorMatrix<double> dy = kernel_input<double>(4, 5, 24);
  const auto f = [&] { return plain_geglu(gate, up).cwiseProduct(dy).sum(); };
  const auto by_gate = slopes_by(gate, f);
  const auto by_up = slopes_by(up, f);
  detail::geglu_backward(dy, gate, up, 1);
  CHECK(relative_error(gate, by_gate) < 1e-10);
  CHECK(relative_error(up, by_up) < 1e-10);
}

TEST_CASE("an added RMSNorm is the sum with one that is written down", "[backbone][property]") {
  const RowMajorMatrix<double> x = kernel_input<double>(5, 8, 25);
  const RowVector<double> weight = kernel_input<double>(1, 8, 26);
  RowMajorMatrix<double> y = kernel_input<double>(5, 8, 27);
  const Eigen::MatrixXd expected = y + plain_rms_norm(x, weight, 1e-2);
  detail::add_rms_norm<double>(x, weight, 1e-2, y, 1);
  CHECK(relative_error(y, expected) < round_off<double>(8));
}

TEST_CASE("kernels give the same bits for any number of threads", "[backbone][property]") {
  const Index rows = 257;
  const Index cols = 1031;  // more numbers than one thread gets
  const auto x = kernel_input<float>(rows, cols, 15);
  const auto y = kernel_input<float>(rows, cols, 16);
  const RowVector<float> weight = kernel_input<float>(1, cols, 17);
  const auto all = [&](int threads) {
    std::vector<RowMajorMatrix<float>> results(4, x);
    detail::rms_norm<float>(x, weight, 1e-5, results[0], threads);
    detail::rms_norm_backward<float>(x, weight, 1e-5, y, results[1], threads);
    detail::swiglu(x, y, results[2], threads);
    RowMajorMatrix<float> up = y;
    detail::swiglu_backward(y, results[3], up, threads);
    results.push_back(up);
    return results;
  };
  const auto expected = all(1);
  CHECK(all(2) == expected);
  CHECK(all(3) == expected);
}
