// SPDX-License-Identifier: MIT
#include "anyssr/baselines/adapter_arrows.hpp"

#include <limits>
#include <vector>

#include "support/catch.hpp"
#include "support/numeric.hpp"
#include "support/random_module.hpp"

namespace anyssr {
namespace {

using test::message_of;
using test::random_module;
using test::to_sparse;

constexpr Index arrow_dim = 7;

/// A module whose change is 5 u v^T and a rest of length 0.5 at most, u and v being axes.
template <class S>
LoraModule<S> module_along(Index axis, std::uint64_t seed) {
  const Matrix<S> noise_a = random_normal<S>(3, arrow_dim, seed, 1);
  const Matrix<S> noise_b = random_normal<S>(6, 3, seed, 2);
  Matrix<S> a = noise_a / noise_a.norm();
  Matrix<S> b = noise_b * (S(0.5) / noise_b.norm());
  a.row(1) = RowVector<S>::Unit(arrow_dim, axis);
  b.col(1) = S(5) * Vector<S>::Unit(6, 4);
  return LoraModule<S>(a, b, {.rank = 3, .alpha = 2});
}

/// The tasks of the queries by the singular vectors of B A written out, in double.
template <class S>
std::vector<Index> tasks_by_deltas(const std::vector<LoraModule<S>>& modules,
                                   const Matrix<S>& queries) {
  Eigen::MatrixXd directions(queries.cols(), static_cast<Index>(modules.size()));
  for (std::size_t j = 0; j < modules.size(); ++j) {
    const Eigen::MatrixXd delta = test::explicit_delta(modules[j]);
    directions.col(static_cast<Index>(j)) = test::singular_vectors_of(delta).v.col(0);
  }
  const Eigen::MatrixXd products = (queries.template cast<double>() * directions).cwiseAbs();
  std::vector<Index> chosen(static_cast<std::size_t>(queries.rows()));
  for (Index i = 0; i < products.rows(); ++i) {
    products.row(i).maxCoeff(&chosen[static_cast<std::size_t>(i)]);
  }
  return chosen;
}

TEMPLATE_TEST_CASE("an arrow is the leading direction that a module was made of",
                   "[baselines][property]", float, double) {
  using S = TestType;
  AdapterArrows<S> arrows(arrow_dim);
  for (Index task = 0; task < arrow_dim; ++task) {
    arrows.learn(module_along<S>((task + 2) % arrow_dim, static_cast<std::uint64_t>(task)));
  }
  CHECK(arrows.tasks() == arrow_dim);
  CHECK(arrows.bytes() == arrow_dim * arrow_dim * sizeof(S));
  // Axis k is the direction of task k - 2, and so is what has most of it, in either sense.
  const Matrix<S> axes = Matrix<S>::Identity(arrow_dim, arrow_dim);
  const Matrix<S> near = axes + S(0.1) * random_normal<S>(arrow_dim, arrow_dim, 5);
  const std::vector<Index> expected{5, 6, 0, 1, 2, 3, 4};
  CHECK(arrows.route(axes) == expected);
  CHECK(arrows.route(near) == expected);
  CHECK(arrows.route(Matrix<S>(-near)) == expected);
  CHECK(arrows.route(Matrix<S>(S(1e-3) * near)) == expected);
}

TEMPLATE_TEST_CASE("arrows are the singular vectors of the changes written out",
                   "[baselines][property]", float, double) {
  using S = TestType;
  std::vector<LoraModule<S>> modules;
  for (const Index rank : {1, 2, 4}) {
    modules.push_back(random_module<S>(arrow_dim, 6, rank, 0, static_cast<std::uint64_t>(rank)));
  }
  modules.push_back(random_module<S>(arrow_dim, 2, 4, 0, 5));  // wider than its output
  modules.push_back(random_module<S>(arrow_dim, 6, 2, 3, 6));  // confined to 3 directions
  AdapterArrows<S> arrows(arrow_dim);
  for (const LoraModule<S>& module : modules) arrows.learn(module);
  const Matrix<S> queries = random_normal<S>(400, arrow_dim, 9);
  const std::vector<Index> chosen = arrows.route(queries);
  CHECK(chosen == tasks_by_deltas(modules, queries));
  CHECK(arrows.route(RowMajorMatrix<S>(queries)) == chosen);
  CHECK(arrows.route(to_sparse(queries)) == chosen);
  CHECK(arrows.route(Matrix<S>(-queries)) == chosen);
  CHECK(arrows.route(Matrix<S>(0, arrow_dim)).empty());

  // How large a change is does not matter, nor which factors have it as their product.
  AdapterArrows<S> others(arrow_dim);
  Matrix<S> mixing(2, 2);
  mixing << 2, 1, 1, 1;
  Matrix<S> inverse(2, 2);
  inverse << 1, -1, -1, 2;
  for (std::size_t j = 0; j < modules.size(); ++j) {
    const LoraModule<S>& module = modules[j];
    const LoraOptions options{.rank = module.rank(), .alpha = 50};
    if (module.rank() == 2 && !module.is_confined()) {
      others.learn(LoraModule<S>(mixing * module.a(), module.b() * inverse, options));
    } else {
      others.learn(LoraModule<S>(module.effective_a(), S(-20) * module.b(), options));
    }
  }
  CHECK(others.route(queries) == chosen);
}

TEMPLATE_TEST_CASE("what changes nothing is not chosen where another arrow has any product",
                   "[baselines][property]", float, double) {
  using S = TestType;
  AdapterArrows<S> arrows(arrow_dim);
  arrows.learn_nothing();
  arrows.learn(LoraModule<S>(arrow_dim, 6, {.rank = 2}, 3));  // B = 0
  arrows.learn(module_along<S>(2, 4));
  arrows.learn_nothing();
  CHECK(arrows.tasks() == 4);
  Matrix<S> queries = random_normal<S>(50, arrow_dim, 9);
  queries.row(7) = S(1e-6) * RowVector<S>::Unit(arrow_dim, 2);
  CHECK(arrows.route(queries) == std::vector<Index>(50, 2));
  CHECK(arrows.route(Matrix<S>::Zero(1, arrow_dim)).front() == 0);  // none has any
}

TEST_CASE("arrows refuse what they cannot read and stay as they were", "[baselines][error]") {
  CHECK(message_of<ArgumentError>([] { (void)AdapterArrows<float>(0); }) ==
        "dim is 0, expected at least 1");
  CHECK(message_of<ArgumentError>([] { (void)AdapterArrows<float>(-2); }) ==
        "dim is -2, expected at least 1");
  AdapterArrows<double> arrows(3);
  Matrix<double> x = Matrix<double>::Ones(2, 3);
  CHECK(message_of<ArgumentError>([&] { (void)arrows.route(x); }) ==
        "tasks are 0, expected one that was learned");
  CHECK(message_of<ShapeError>([&] { arrows.learn(random_module<double>(4, 3, 1, 0, 1)); }) ==
        "the module reads 4 numbers, expected 3");
  CHECK(arrows.tasks() == 0);
  arrows.learn(random_module<double>(3, 4, 1, 0, 1));
  CHECK(message_of<ShapeError>([&] { (void)arrows.route(x.leftCols(2).eval()); }) ==
        "features are 2 x 2, expected n x 3");
  x(1, 0) = std::numeric_limits<double>::infinity();
  const std::string refused =
      "features hold NaN or infinity at row 1, column 0, expected finite numbers";
  CHECK(message_of<NonFiniteError>([&] { (void)arrows.route(x); }) == refused);
  CHECK(message_of<NonFiniteError>([&] { (void)arrows.route(to_sparse(x)); }) == refused);
}

}  // namespace
}  // namespace anyssr
