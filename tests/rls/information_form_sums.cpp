// SPDX-License-Identifier: MIT
// merge and downdate of the information form; downdate of both forms is in
// recursive_least_squares.cpp, what they refuse in refusals.cpp.
#include "anyssr/rls/information_form.hpp"
#include "support/catch.hpp"
#include "support/regression.hpp"

using namespace anyssr;
using namespace anyssr::test;

TEMPLATE_TEST_CASE("two regressions merged are one that learned the rows of both",
                   "[rls][property]", float, double) {
  using S = TestType;
  using Rls = RecursiveLeastSquares<S>;
  const unsigned seed = GENERATE(range(50U, 62U));
  const Index size = GENERATE(9, 1000);  // rows wait in both buffers, or in none
  CAPTURE(seed, size);
  const Rows<S> rows = random_shape<S>(600, seed);
  RandomStream random(seed, 22);
  const Index cut = random.below(static_cast<std::uint32_t>(rows.size() + 1));
  Rls left(rows.x.cols(), absolute(0.5));
  Rls right(rows.x.cols(), absolute(3));  // its ridge is not in its sums
  feed(left, rows.middle(0, cut), size);
  feed(right, rows.middle(cut, rows.size() - cut), size);
  (void)left.weights();
  const State<S> right_before(right);
  left.merge(right);
  CHECK((State<S>(right) == right_before));
  CHECK(left.rows() == rows.size());
  CHECK(left.targets() == rows.y.cols());
  const Eigen::MatrixXd joint = rows.joint(0.5);
  CHECK(relative_error(left.weights(), joint) < tolerance<Rls>(rows, 0.5));
  const Eigen::VectorXd energy = rows.scaled(rows.y).colwise().squaredNorm();
  CHECK(relative_error(left.target_energy(), energy) < round_off<S>(100));
  update(left, rows);  // and it goes on learning
  Rows<S> twice = rows;
  twice.weights.resize(static_cast<std::size_t>(rows.size()), 1.0);
  for (double& weight : twice.weights) weight *= 2;
  CHECK(relative_error(left.weights(), twice.joint(0.5)) < tolerance<Rls>(twice, 0.5));
}

TEST_CASE("merged targets go to the columns that the caller names", "[rls]") {
  const auto a = random_rows<double>(30, 8, 2, 60);
  const auto b = random_rows<double>(40, 8, 2, 61);
  InformationDouble left(8, absolute(0.5));
  InformationDouble right(8, absolute(0.5));
  update(left, a);
  update(right, b);
  const std::vector<Index> columns{3, 1};
  left.merge(right, columns);
  REQUIRE(left.targets() == 4);
  Rows<double> both{Eigen::MatrixXd(70, 8), Eigen::MatrixXd::Zero(70, 4)};
  both.x << a.x, b.x;
  both.y.topLeftCorner(30, 2) = a.y;
  both.y.col(3).tail(40) = b.y.col(0);
  both.y.col(1).tail(40) = b.y.col(1);
  CHECK(relative_error(left.weights(), both.joint(0.5)) < 1e-9);
  const Eigen::VectorXd energy = both.y.colwise().squaredNorm();
  CHECK(relative_error(left.target_energy(), energy) < 1e-12);
}

TEST_CASE("a regression merges with itself as with a copy", "[rls][regression]") {
  const std::vector<Index> columns =
      GENERATE(std::vector<Index>{}, std::vector<Index>{1, 0}, std::vector<Index>{3, 2});
  InformationDouble rls(8, absolute(0.5));
  update(rls, random_rows<double>(30, 8, 2, 62));
  InformationDouble expected = rls;
  expected.merge(InformationDouble(rls), columns);
  rls.merge(rls, columns);
  CHECK((State<double>(rls) == State<double>(expected)));
}

TEMPLATE_TEST_CASE("what cannot be merged is refused and changes nothing", "[rls][error]", float,
                   double) {
  using S = TestType;
  RecursiveLeastSquares<S> rls(8, absolute(0.5));
  RecursiveLeastSquares<S> other(8, absolute(0.5));
  update(rls, random_rows<S>(30, 8, 2, 63));
  update(other, random_rows<S>(30, 8, 2, 64));
  const State<S> before(rls);
  const auto refused = [&](const RecursiveLeastSquares<S>& what,
                           const std::vector<Index>& columns = {}) {
    const std::string message = message_of<Error>([&] { rls.merge(what, columns); });
    CHECK((State<S>(rls) == before));
    return message;
  };
  CHECK(refused(RecursiveLeastSquares<S>(7)) == "the regression to merge has dim 7, expected 8");
  CHECK(refused(other, {0}) == "columns have 1 entries, expected 2, one per column of the targets");
  CHECK(refused(other, {4, 4}) == "columns hold 4 twice, expected each once");
  CHECK(refused(other, {0, -2}) == "columns hold -2, expected 0 or more");
  RecursiveLeastSquares<S> huge(8, absolute(0.5));
  Matrix<S> x = Matrix<S>::Zero(1, 8);
  x(0, 0) = std::sqrt(std::numeric_limits<S>::max() / S(4.0001));
  huge.update(x, Matrix<S>::Ones(1, 1));
  RecursiveLeastSquares<S> sum = huge;
  const State<S> huge_before(huge);
  CHECK(message_of<NonFiniteError>([&] { huge.merge(sum); }) == "the merged sums would overflow");
  CHECK((State<S>(huge) == huge_before));
}

TEST_CASE("rows that still wait are taken out although few are left", "[rls][regression]") {
  const Index size = GENERATE(1, 10);
  const auto rows = random_rows<double>(10, 50, 2, 65);  // S stays singular
  InformationDouble rls(50, absolute(0.5));
  feed(rls, rows, size);
  rls.downdate(Eigen::MatrixXd(rows.x.topRows(3)), Eigen::MatrixXd(rows.y.topRows(3)));
  CHECK(relative_error(rls.weights(), rows.middle(3, 7).joint(0.5)) < 1e-9);
}

TEMPLATE_TEST_CASE("a stream that learns and unlearns keeps to the joint fit", "[rls][property]",
                   float, double) {
  using S = TestType;
  using Rls = RecursiveLeastSquares<S>;
  const unsigned seed = GENERATE(range(70U, 74U));
  CAPTURE(seed);
  const auto rows = random_rows<S>(400, 16, 2, seed);
  RandomStream random(seed, 23);
  Rls rls(16, absolute(1));
  std::vector<Index> present;
  std::vector<Index> absent = random_permutation(400, random);
  for (int step = 0; step < 30; ++step) {
    const bool learn = present.size() < 40 || random.below(3) > 0;
    std::vector<Index>& from = learn ? absent : present;
    std::vector<Index>& to = learn ? present : absent;
    const std::size_t count = std::min<std::size_t>(from.size(), 1 + random.below(30));
    const std::vector<Index> moved(from.end() - static_cast<std::ptrdiff_t>(count), from.end());
    if (count == 0) continue;
    const Rows<S> batch = rows.select(moved);
    if (learn) {
      update(rls, batch);
    } else {
      rls.downdate(batch.x, batch.y);
    }
    from.resize(from.size() - count);
    to.insert(to.begin(), moved.begin(), moved.end());
    if (step % 5 == 0) {
      const Rows<S> now = rows.select(present);
      CHECK(relative_error(rls.weights(), now.joint(1)) < 10 * tolerance<Rls>(now, 1));
    }
  }
  CHECK(rls.rows() == static_cast<Index>(present.size()));
}

TEMPLATE_TEST_CASE("small rows can go after large ones went", "[rls][regression]", float, double) {
  using S = TestType;
  const Rows<S> small = random_rows<S>(40, 5, 2, 66);
  const S scale = std::is_same_v<S, float> ? S(1e3) : S(1e7);
  RecursiveLeastSquares<S> rls(5, absolute(0.5));
  const Matrix<S> x = scale * small.x;
  const Matrix<S> y = scale * small.y;
  rls.update(x, y);
  update(rls, small);
  rls.downdate(x, y);
  for (Index i = 0; i < 40; i += 8) {
    const Rows<S> some = small.middle(i, 8);
    rls.downdate(some.x, some.y);
  }
  CHECK(rls.rows() == 0);
  CHECK(rls.second_moment().isZero(0));
}

TEMPLATE_TEST_CASE("as many other rows as were learned are not taken out", "[rls][error]", float,
                   double) {
  using S = TestType;
  RecursiveLeastSquares<S> rls(5, absolute(0.5));
  const Rows<S> rows = random_rows<S>(10, 5, 2, 67);
  const Rows<S> foreign = random_rows<S>(10, 5, 2, 68);
  update(rls, rows);
  const State<S> before(rls);
  const std::string message =
      "the rows to remove were never learned: as many rows are left as 0, but not their sums; "
      "nothing was removed";
  CHECK(message_of<ArgumentError>([&] { rls.downdate(foreign.x, foreign.y); }) == message);
  CHECK(message_of<ArgumentError>([&] { rls.downdate(rows.x, foreign.y); }) == message);
  CHECK((State<S>(rls) == before));
}
