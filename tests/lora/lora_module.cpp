// SPDX-License-Identifier: MIT
#include "anyssr/lora/lora_module.hpp"

#include "support/catch.hpp"
#include "support/numeric.hpp"
#include "support/random_module.hpp"

namespace {

using namespace anyssr;
using namespace anyssr::test;

/// Plain matrices: an expression would instantiate every kernel anew.
Matrix<double> zeros(Index rows, Index cols) { return Matrix<double>::Zero(rows, cols); }

/// sum(weights .* (x delta^T)): a scalar loss with dY = weights.
double linear_loss(const LoraModule<double>& m, const Eigen::MatrixXd& x,
                   const Eigen::MatrixXd& weights) {
  return weights.cwiseProduct(x * explicit_delta(m).transpose()).sum();
}

}  // namespace

TEST_CASE("the scale is alpha over r or over its root where rank stabilised", "[lora][property]") {
  CHECK(LoraModule<float>(6, 5, {.rank = 4, .alpha = 8}).scale() == 2.0);
  const LoraModule<float> stable(6, 5, {.rank = 4, .alpha = 8, .rank_stabilised = true});
  CHECK(stable.scale() == 4.0);
  CHECK(stable.rank_stabilised());
  CHECK(stable.alpha() == 8.0);
}

TEMPLATE_TEST_CASE("a new module changes nothing and its A stays inside the Kaiming bound",
                   "[lora][property]", float, double) {
  const LoraModule<TestType> module(100, 7, {.rank = 4}, 3);
  CHECK(module.b().cwiseAbs().maxCoeff() == 0);
  CHECK(module.a().cwiseAbs().maxCoeff() <= TestType(0.1) * (1 + TestType(1e-6)));
  // 400 uniform numbers of variance 0.01 / 3: their mean square is within 4 standard deviations.
  const double square = module.a().template cast<double>().squaredNorm() / 400;
  CHECK(std::abs(square - 0.01 / 3) < 4 * 0.003 / 20);
  CHECK(module == LoraModule<TestType>(100, 7, {.rank = 4}, 3));
  CHECK_FALSE(module == LoraModule<TestType>(100, 7, {.rank = 4}, 4));
  Matrix<TestType> y = random_normal<TestType>(5, 7, 1);
  const Matrix<TestType> before = y;
  module.add_forward(random_normal<TestType>(5, 100, 2), y);
  CHECK(y == before);
}

TEST_CASE("the same seed starts float and double modules at the same numbers", "[lora][property]") {
  const LoraModule<float> single(64, 3, {.rank = 5}, 9);
  const LoraModule<double> wide(64, 3, {.rank = 5}, 9);
  CHECK(single.a().cast<double>() == wide.a());  // 1 / sqrt(64) and the draws are exact in both
}

TEMPLATE_TEST_CASE("the forward pass equals the explicit product", "[lora][property]", float,
                   double) {
  const Index k = GENERATE(0, 6);   // plain, confined
  const Index n = GENERATE(1, 40);  // the basis first, the effective A first
  const Index in = 16;
  const Index out = 9;
  CAPTURE(k, n);
  const LoraModule<TestType> module = random_module<TestType>(in, out, 4, k, 5);
  const SparseRows<TestType> sparse = random_sparse<TestType>(n, in, 0.3, 7);
  const Matrix<TestType> x = random_normal<TestType>(n, in, 8);
  const RowMajorMatrix<TestType> x_rows = x;
  const Matrix<TestType> start = random_normal<TestType>(n, out, 9);
  const Eigen::MatrixXd delta = explicit_delta(module).transpose();
  const Eigen::MatrixXd expected =
      start.template cast<double>() + x.template cast<double>() * delta;
  const double tolerance = round_off<TestType>(200);

  Matrix<TestType> y = start;
  module.add_forward(x, y);
  CHECK(relative_error(y, expected) < tolerance);
  RowMajorMatrix<TestType> y_rows = start;
  module.add_forward(x_rows, y_rows);
  CHECK(relative_error(y_rows, expected) < tolerance);
  Matrix<TestType> wide = Matrix<TestType>::Zero(n, out + 2);
  wide.middleCols(1, out) = start;
  module.add_forward(x, wide.middleCols(1, out));
  CHECK(relative_error(wide.middleCols(1, out), expected) < tolerance);
  CHECK(wide.col(0).isZero(0));
  CHECK(wide.col(out + 1).isZero(0));
  y = start;
  module.add_forward(x, y, -0.5);
  const Eigen::MatrixXd half =
      start.template cast<double>() - 0.5 * x.template cast<double>() * delta;
  CHECK(relative_error(y, half) < tolerance);
  y = start;
  module.add_forward(sparse, y);
  const Eigen::MatrixXd from_sparse =
      start.template cast<double>() + Matrix<TestType>(sparse).template cast<double>() * delta;
  CHECK(relative_error(y, from_sparse) < tolerance);
  CHECK(relative_error(module.delta(), explicit_delta(module)) < tolerance);
}

TEST_CASE("gradients equal central differences", "[lora][property]") {
  const Index k = GENERATE(0, 5);
  const Index n = GENERATE(2, 30);
  const bool is_sparse = GENERATE(false, true);
  CAPTURE(k, n, is_sparse);
  const Index in = 12;
  const LoraModule<double> module = random_module<double>(in, 7, 3, k, 6);
  const SparseRows<double> sparse = random_sparse<double>(n, in, 0.4, 3);
  const Eigen::MatrixXd x = is_sparse ? Eigen::MatrixXd(sparse) : random_normal<double>(n, in, 4);
  const Eigen::MatrixXd dy = random_normal<double>(n, 7, 5);
  LoraGradient<double> gradient = module.zero_gradient();
  Eigen::MatrixXd dx = Eigen::MatrixXd::Zero(n, in);
  if (is_sparse) {
    module.backward(sparse, dy, gradient, &dx);
  } else {
    module.backward(x, dy, gradient, &dx);
  }
  // The loss is linear in each factor, so a large step has no truncation error.
  const double step = 0.5;
  const auto difference = [&](auto write) {
    LoraModule<double> moved = module;
    write(moved, step);
    const double up = linear_loss(moved, x, dy);
    write(moved, -2 * step);
    return (up - linear_loss(moved, x, dy)) / (2 * step);
  };
  Eigen::MatrixXd da(gradient.a.rows(), gradient.a.cols());
  for (Index i = 0; i < da.size(); ++i) {
    da.data()[i] = difference([&](auto& m, double by) { m.mutable_a().data()[i] += by; });
  }
  Eigen::MatrixXd db(gradient.b.rows(), gradient.b.cols());
  for (Index i = 0; i < db.size(); ++i) {
    db.data()[i] = difference([&](auto& m, double by) { m.mutable_b().data()[i] += by; });
  }
  CHECK(relative_error(gradient.a, da) < 1e-11);
  CHECK(relative_error(gradient.b, db) < 1e-11);
  CHECK(relative_error(dx, Eigen::MatrixXd(dy * explicit_delta(module))) < 1e-13);
}

TEST_CASE("float gradients agree with double ones", "[lora][property]") {
  const Index k = GENERATE(0, 6);
  const Index n = GENERATE(2, 50);
  CAPTURE(k, n);
  const LoraModule<float> module = random_module<float>(20, 8, 4, k, 2);
  const LoraOptions options{4, module.alpha(), module.rank_stabilised()};
  const Matrix<double> a = module.a().cast<double>();
  const Matrix<double> b = module.b().cast<double>();
  const RowMajorMatrix<double> basis = random_basis<double>(20, 6, 2);
  const LoraModule<double> wide =
      k == 0 ? LoraModule<double>(a, b, options) : LoraModule<double>(a, b, basis, options);
  const RowMajorMatrix<float> x = random_normal<float>(n, 20, 3);
  const RowMajorMatrix<float> dy = random_normal<float>(n, 8, 4);
  LoraGradient<float> gradient = module.zero_gradient();
  RowMajorMatrix<float> dx = RowMajorMatrix<float>::Zero(n, 20);
  module.backward(x, dy, gradient, &dx);
  LoraGradient<double> reference = wide.zero_gradient();
  Matrix<double> wide_dx = Matrix<double>::Zero(n, 20);
  const Matrix<double> wide_x = x.cast<double>();
  const Matrix<double> wide_dy = dy.cast<double>();
  wide.backward(wide_x, wide_dy, reference, &wide_dx);
  CHECK(relative_error(gradient.a, reference.a) < round_off<float>(100));
  CHECK(relative_error(gradient.b, reference.b) < round_off<float>(100));
  CHECK(relative_error(dx, wide_dx) < round_off<float>(100));
}

TEST_CASE("a second backward pass adds to the first", "[lora][property]") {
  const LoraModule<double> module = random_module<double>(8, 5, 2, 0, 4);
  const Eigen::MatrixXd x = random_normal<double>(6, 8, 1);
  const Eigen::MatrixXd dy = random_normal<double>(6, 5, 2);
  LoraGradient<double> once = module.zero_gradient();
  module.backward(x, dy, once);
  LoraGradient<double> twice = once;
  module.backward(x, dy, twice);
  CHECK(relative_error(twice.a, Eigen::MatrixXd(2 * once.a)) < round_off<double>(4));
  CHECK(relative_error(twice.b, Eigen::MatrixXd(2 * once.b)) < round_off<double>(4));
  twice.set_zero();
  CHECK(twice.a.isZero(0));
  CHECK(twice.b.isZero(0));
}

TEMPLATE_TEST_CASE("a confined module reads nothing outside its subspace", "[lora][property]",
                   float, double) {
  const Index in = 24;
  LoraModule<TestType> module(in, 6, {.rank = 3}, 1);
  module.mutable_b() = random_normal<TestType>(6, 3, 2);
  const RowMajorMatrix<TestType> basis = random_basis<TestType>(in, 8, 3);
  module.confine(basis);
  CHECK(module.is_confined());
  CHECK(module.in_dim() == in);
  CHECK(module.a() == Matrix<TestType>::Identity(3, 8));
  CHECK(module.effective_a() == Matrix<TestType>(basis.leftCols(3).transpose()));
  module.mutable_a() = random_normal<TestType>(3, 8, 4);
  const Matrix<TestType> x = random_normal<TestType>(5, in, 5);
  const Matrix<TestType> outside = x - (x * basis) * basis.transpose();
  Matrix<TestType> y = Matrix<TestType>::Zero(5, 6);
  module.add_forward(outside, y);
  const double size = static_cast<double>(module.a().norm() * module.b().norm() * x.norm());
  CHECK(static_cast<double>(y.norm()) <= round_off<TestType>(50) * module.scale() * size);
}

TEMPLATE_TEST_CASE("a confined module gives the same from inside its subspace", "[lora][property]",
                   float, double) {
  const Index n = GENERATE(1, 40);
  const LoraModule<TestType> module = random_module<TestType>(14, 5, 3, 6, 8);
  const Matrix<TestType> x = random_normal<TestType>(n, 14, 1);
  const Matrix<TestType> dy = random_normal<TestType>(n, 5, 2);
  const RowMajorMatrix<TestType> inside = x * module.basis();
  const double tolerance = round_off<TestType>(200);

  Matrix<TestType> y = random_normal<TestType>(n, 5, 3);
  Matrix<TestType> y_inside = y;
  module.add_forward(x, y, 0.7);
  module.add_forward_inside(inside, y_inside, 0.7);
  CHECK(relative_error(y_inside, y.template cast<double>()) < tolerance);

  LoraGradient<TestType> gradient = module.zero_gradient();
  LoraGradient<TestType> gradient_inside = module.zero_gradient();
  module.backward(x, dy, gradient);
  module.backward_inside(inside, dy, gradient_inside);
  CHECK(relative_error(gradient_inside.a, gradient.a.template cast<double>()) < tolerance);
  CHECK(relative_error(gradient_inside.b, gradient.b.template cast<double>()) < tolerance);

  const LoraModule<TestType> plain(14, 5, {.rank = 3}, 1);
  const Matrix<TestType> before = y;
  CHECK(message_of<ArgumentError>([&] { plain.add_forward_inside(inside, y); }) ==
        "the module is confined to no basis, expected one that is");
  const RowMajorMatrix<TestType> narrow = inside.leftCols(5);
  CHECK(message_of<ShapeError>([&] { module.add_forward_inside(narrow, y); }) ==
        detail::concat("z are ", n, " x 5, expected n x 6"));
  CHECK(message_of<ShapeError>([&] { module.backward_inside(narrow, dy, gradient); }) ==
        detail::concat("z are ", n, " x 5, expected n x 6"));
  CHECK(y == before);
}

TEMPLATE_TEST_CASE("materialising keeps the function and drops the basis", "[lora][property]",
                   float, double) {
  LoraModule<TestType> module = random_module<TestType>(14, 5, 3, 6, 8);
  const Matrix<TestType> x = random_normal<TestType>(4, 14, 1);
  Matrix<TestType> before = Matrix<TestType>::Zero(4, 5);
  module.add_forward(x, before);
  CHECK(module.parameter_count() == 3 * 6 + 5 * 3);
  CHECK(module.bytes() == (3 * 6 + 5 * 3 + 14 * 6) * sizeof(TestType));
  module.materialise();
  CHECK_FALSE(module.is_confined());
  CHECK(module.basis().size() == 0);
  CHECK(module.a().cols() == 14);
  CHECK(module.in_dim() == 14);
  CHECK(module.parameter_count() == 3 * 14 + 5 * 3);
  CHECK(module.bytes() == (3 * 14 + 5 * 3) * sizeof(TestType));
  Matrix<TestType> after = Matrix<TestType>::Zero(4, 5);
  module.add_forward(x, after);
  CHECK(relative_error(after, before) < round_off<TestType>(50));
  const LoraModule<TestType> plain = module;
  module.materialise();
  CHECK(module == plain);
}

TEST_CASE("equality sees the sign of a zero", "[lora][property]") {
  const LoraModule<double> module(4, 3, {.rank = 2}, 1);
  LoraModule<double> other = module;
  CHECK(other == module);
  other.mutable_b()(0, 0) = -0.0;
  CHECK_FALSE(other == module);
}

TEST_CASE("a module refuses bad options and factors", "[lora][error]") {
  const auto message = [](Index in, Index out, LoraOptions options) {
    return message_of<ArgumentError>([&] { LoraModule<float>(in, out, options); });
  };
  CHECK(message(0, 3, {}) == "in is 0, expected at least 1");
  CHECK(message(3, -1, {}) == "out is -1, expected at least 1");
  CHECK(message(3, 3, {.rank = 0}) == "rank is 0, expected at least 1");
  CHECK(message(3, 3, {.alpha = 0}) == "alpha is 0, expected a finite number above 0");
  const auto build = [](const Matrix<double>& a, const Matrix<double>& b) {
    return LoraModule<double>(a, b, {.rank = 2, .alpha = 1});
  };
  CHECK(message_of<ShapeError>([&] { build(zeros(3, 5), zeros(4, 2)); }) ==
        "a is 3 x 5, expected 2 x in");
  CHECK(message_of<ShapeError>([&] { build(zeros(2, 5), zeros(4, 3)); }) ==
        "b is 4 x 3, expected out x 2");
  Matrix<double> bad = zeros(4, 2);
  bad(3, 1) = std::numeric_limits<double>::quiet_NaN();
  CHECK(message_of<NonFiniteError>([&] { build(zeros(2, 5), bad); }) ==
        "b hold NaN or infinity at row 3, column 1, expected finite numbers");
  const RowMajorMatrix<double> basis = random_basis<double>(6, 3, 1);
  CHECK(message_of<ShapeError>([&] {
          LoraModule<double>(zeros(2, 4), zeros(4, 2), basis, {.rank = 2});
        }) == "q is 2 x 4, expected 2 x 3 for a basis of 3 columns");
}

TEST_CASE("a bad basis leaves the module as it was", "[lora][error]") {
  LoraModule<double> module(6, 4, {.rank = 3}, 2);
  const LoraModule<double> before = module;
  const RowMajorMatrix<double> basis = random_basis<double>(6, 4, 1);
  CHECK(message_of<ShapeError>([&] { module.confine(basis.leftCols(2)); }) ==
        "basis is 6 x 2, expected from rank = 3 to 6 columns");
  CHECK(message_of<ShapeError>([&] { module.confine(basis.topRows(5)); }) ==
        "basis is 5 x 4, expected 6 x k");
  CHECK(contains(message_of<ArgumentError>([&] { module.confine(1.01 * basis); }),
                 "basis is not orthonormal: U^T U is off the identity by 0.0201"));
  RowMajorMatrix<double> bad = basis;
  bad(2, 1) = std::numeric_limits<double>::infinity();
  CHECK(contains(message_of<NonFiniteError>([&] { module.confine(bad); }),
                 "basis hold NaN or infinity at row 2, column 1"));
  CHECK(module == before);
}

TEST_CASE("wrong shapes leave outputs and gradients as they were", "[lora][error]") {
  const LoraModule<double> module(6, 4, {.rank = 3}, 2);
  Matrix<double> y = zeros(5, 4);
  CHECK(message_of<ShapeError>([&] { module.add_forward(zeros(5, 7), y); }) ==
        "x are 5 x 7, expected n x 6");
  CHECK(message_of<ShapeError>([&] { module.add_forward(zeros(4, 6), y); }) ==
        "y are 5 x 4, expected 4 rows");
  LoraGradient<double> gradient = module.zero_gradient();
  CHECK(message_of<ShapeError>([&] { module.backward(zeros(5, 6), zeros(5, 3), gradient); }) ==
        "dy are 5 x 3, expected n x 4");
  Matrix<double> dx = zeros(5, 5);
  CHECK(message_of<ShapeError>([&] { module.backward(zeros(5, 6), zeros(5, 4), gradient, &dx); }) ==
        "dx are 5 x 5, expected n x 6");
  CHECK(gradient.a.isZero(0));
  CHECK(gradient.b.isZero(0));
  gradient.b.resize(4, 2);
  CHECK(message_of<ShapeError>([&] { module.backward(zeros(5, 6), zeros(5, 4), gradient); }) ==
        "gradient is 3 x 6 and 4 x 2, expected 3 x 6 and 4 x 3");
}
