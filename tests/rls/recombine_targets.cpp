// SPDX-License-Identifier: MIT
// Linear operations on what a regression has learned: columns that move, join or go, and sums of
// another regression that are taken out again.
#include "anyssr/rls/information_form.hpp"
#include "support/catch.hpp"
#include "support/regression.hpp"

using namespace anyssr;
using namespace anyssr::test;

namespace {

/// Rows of which each has one target other than 0, as tasks have them.
template <class S>
Rows<S> rows_of_tasks(Index n, Index d, Index tasks, std::uint64_t seed) {
  Rows<S> rows = random_rows<S>(n, d, tasks, seed);
  RandomStream random(seed, 41);
  rows.y.setZero();
  for (Index i = 0; i < n; ++i) {
    rows.y(i, static_cast<Index>(random.below(static_cast<std::uint32_t>(tasks)))) =
        static_cast<S>(0.5 + random.uniform());
    rows.weights.push_back(0.25 + 2 * random.uniform());
  }
  return rows;
}

/// The targets that recombine_targets promises.
template <class S>
Matrix<S> recombined(const Matrix<S>& y, const std::vector<Index>& to, Index count) {
  Matrix<S> result = Matrix<S>::Zero(y.rows(), count);
  for (Index j = 0; j < y.cols(); ++j) {
    const Index column = to[static_cast<std::size_t>(j)];
    if (column >= 0) result.col(column) += y.col(j);
  }
  return result;
}

}  // namespace

TEMPLATE_TEST_CASE("recombined targets give the joint fit of the recombined targets",
                   "[rls][property]", float, double) {
  using S = TestType;
  using Rls = RecursiveLeastSquares<S>;
  const unsigned seed = GENERATE(range(80U, 86U));
  const bool sparse = GENERATE(false, true);
  const Index size = GENERATE(7, 1000);  // rows wait in the buffer, or none
  CAPTURE(seed, sparse, size);
  Rows<S> rows = rows_of_tasks<S>(300, 12, 5, seed);
  if (sparse) rows.x = random_sparse<S>(300, 12, 0.3, seed);
  Rls rls(12, absolute(0.5));
  for_each_batch(rows, size, [&](const Rows<S>& batch) {
    if (sparse) {
      rls.update(to_sparse<S>(batch.x), to_sparse<S>(batch.y), batch.options());
    } else {
      update(rls, batch);
    }
  });
  (void)rls.weights();
  const std::vector<Index> to{2, 0, -1, 2, 3};  // two join, one goes, column 1 has no source
  rls.recombine_targets(to, 4);
  rows.y = recombined(rows.y, to, 4);
  CHECK(rls.targets() == 4);
  CHECK(rls.rows() == 300);
  CHECK(relative_error(rls.weights(), rows.joint(0.5)) < tolerance<Rls>(rows, 0.5));
  CHECK(rls.weights().col(1).isZero(0));
  const Eigen::VectorXd energy = rows.scaled(rows.y).colwise().squaredNorm();
  CHECK(relative_error(rls.target_energy(), energy) < round_off<double>(1000));
  update(rls, rows);  // and it goes on learning
  for (double& weight : rows.weights) weight *= 2;
  CHECK(relative_error(rls.weights(), rows.joint(0.5)) < tolerance<Rls>(rows, 0.5));
}

TEST_CASE("recombining targets keeps the second moment and its factor bit for bit", "[rls]") {
  InformationDouble rls(8, absolute(0.5));
  update(rls, rows_of_tasks<double>(40, 8, 3, 87));
  const Matrix<double> weights = rls.weights();
  const Matrix<double> square = rls.lower_second_moment();  // S and, above it, the factor
  rls.recombine_targets(std::vector<Index>{2, 1, 0}, 3);
  CHECK(rls.weights() == weights.rowwise().reverse());
  CHECK(rls.lower_second_moment() == square);
}

TEST_CASE("all targets can be dropped and come again", "[rls]") {
  const Rows<double> rows = rows_of_tasks<double>(40, 8, 2, 88);
  InformationDouble rls(8, absolute(0.5));
  update(rls, rows);
  rls.recombine_targets(std::vector<Index>{-1, -1}, 0);
  CHECK(rls.targets() == 0);
  CHECK(rls.weights().cols() == 0);
  update(rls, rows);
  Rows<double> both{Eigen::MatrixXd(80, 8), Eigen::MatrixXd::Zero(80, 2), rows.weights};
  both.x << rows.x, rows.x;
  both.y.bottomRows(40) = rows.y;
  both.weights.insert(both.weights.end(), rows.weights.begin(), rows.weights.end());
  CHECK(relative_error(rls.weights(), both.joint(0.5)) < 1e-9);
}

TEST_CASE("rows can be taken out under their recombined targets", "[rls]") {
  const Rows<double> rows = rows_of_tasks<double>(60, 8, 3, 89);
  InformationDouble rls(8, absolute(0.5));
  update(rls, rows);
  const std::vector<Index> to{1, 0, 1};
  rls.recombine_targets(to, 2);
  Rows<double> joined = rows;
  joined.y = recombined(rows.y, to, 2);
  const Rows<double> gone = joined.middle(0, 20);
  rls.downdate(gone.x, gone.y, gone.options());
  CHECK(relative_error(rls.weights(), joined.middle(20, 40).joint(0.5)) < 1e-9);
}

TEMPLATE_TEST_CASE("what cannot be recombined is refused and changes nothing", "[rls][error]",
                   float, double) {
  using S = TestType;
  RecursiveLeastSquares<S> rls(8, absolute(0.5));
  update(rls, rows_of_tasks<S>(30, 8, 2, 90));
  const State<S> before(rls);
  const auto refused = [&](const std::vector<Index>& to, Index count) {
    const std::string message = message_of<Error>([&] { rls.recombine_targets(to, count); });
    CHECK((State<S>(rls) == before));
    return message;
  };
  CHECK(refused({0}, 2) == "to has 1 entries, expected 2, one per column of the targets");
  CHECK(refused({}, 0) == "to has 0 entries, expected 2, one per column of the targets");
  CHECK(refused({0, 2}, 2) == "to holds 2 for column 1, expected -1 (dropped) or a column below 2");
  CHECK(refused({-2, 0}, 2) ==
        "to holds -2 for column 0, expected -1 (dropped) or a column below 2");
  CHECK(refused({-1, -1}, -1) == "count is -1, expected 0 or more");
}

TEMPLATE_TEST_CASE("columns that would add up to infinity are not recombined", "[rls][error]",
                   float, double) {
  using S = TestType;
  const S most = std::numeric_limits<S>::max();
  RecursiveLeastSquares<S> rls(1, absolute(0.5));
  const S root = std::sqrt(most / S(4.01));
  const Matrix<S> x = Matrix<S>::Constant(1, 1, root);
  const Matrix<S> y = Matrix<S>::Constant(1, 40, root / std::sqrt(S(40)));
  rls.update(x, y);  // each entry of C is max / 25, so 40 of them are too much
  const Matrix<S> cross = rls.cross_correlation();
  CHECK(message_of<NonFiniteError>([&] { rls.recombine_targets(std::vector<Index>(40, 0), 1); }) ==
        "cross-correlations that add up hold NaN or infinity at row 0, column 0, expected finite "
        "numbers");
  CHECK(rls.targets() == 40);
  CHECK(rls.cross_correlation() == cross);
}

TEMPLATE_TEST_CASE("what is merged and unmerged leaves the weights of before", "[rls][property]",
                   float, double) {
  using S = TestType;
  using Rls = RecursiveLeastSquares<S>;
  const unsigned seed = GENERATE(range(91U, 97U));
  const Index size = GENERATE(7, 1000);
  CAPTURE(seed, size);
  const Rows<S> kept = random_rows<S>(200, 12, 3, seed);
  const Rows<S> more = random_rows<S>(150, 12, 2, seed + 50);
  Rls rls(12, absolute(0.5));
  Rls other(12, absolute(7));
  feed(rls, kept, size);
  feed(other, more, size);
  const Matrix<S> weights = rls.weights();
  const State<S> other_before(other);
  const std::vector<Index> columns{2, 0};
  rls.merge(other, columns);
  CHECK(relative_error(rls.weights(), weights) > 0.01);
  rls.unmerge(other, columns);
  CHECK((State<S>(other) == other_before));
  CHECK(rls.rows() == 200);
  CHECK(rls.targets() == 3);
  CHECK(relative_error(rls.weights(), kept.joint(0.5)) < tolerance<Rls>(kept, 0.5));
  CHECK(relative_error(rls.weights(), weights) < tolerance<Rls>(kept, 0.5));
  const Eigen::VectorXd energy = kept.y.template cast<double>().colwise().squaredNorm();
  CHECK(relative_error(rls.target_energy(), energy) < round_off<double>(1000));
}

TEST_CASE("rows learned here can be taken out by sums that were learned elsewhere", "[rls]") {
  const Rows<double> rows = random_rows<double>(120, 12, 2, 98);
  InformationDouble rls(12, absolute(0.5));
  feed(rls, rows, 11);
  InformationDouble other(12);
  other.update(to_sparse<double>(rows.x.topRows(50)), Eigen::MatrixXd(rows.y.topRows(50)));
  rls.unmerge(other);
  CHECK(relative_error(rls.weights(), rows.middle(50, 70).joint(0.5)) < 1e-9);
}

TEMPLATE_TEST_CASE("a regression unmerged from itself has learned nothing", "[rls]", float,
                   double) {
  using S = TestType;
  RecursiveLeastSquares<S> rls(8, absolute(0.5));
  update(rls, random_rows<S>(30, 8, 2, 99));
  rls.unmerge(rls);
  CHECK(rls.rows() == 0);
  CHECK(rls.second_moment().isZero(0));
  CHECK(rls.weights().isZero(0));
  CHECK(rls.target_energy().isZero(0));
}

TEMPLATE_TEST_CASE("sums that are not among those learned are not unmerged", "[rls][error]", float,
                   double) {
  using S = TestType;
  RecursiveLeastSquares<S> rls(8, absolute(0.5));
  const Rows<S> rows = random_rows<S>(30, 8, 2, 100);
  update(rls, rows);
  const State<S> before(rls);
  const auto refused = [&](const Rows<S>& what, const std::vector<Index>& columns = {}) {
    RecursiveLeastSquares<S> other(what.x.cols(), absolute(0.5));
    update(other, what);
    const std::string message = message_of<Error>([&] { rls.unmerge(other, columns); });
    CHECK((State<S>(rls) == before));
    return message;
  };
  const auto with_y = [&](S factor) {
    return Rows<S>{rows.x.topRows(3), factor * rows.y.topRows(3)};
  };
  CHECK(refused(random_rows<S>(9, 7, 2, 1)) == "the regression to unmerge has dim 7, expected 8");
  CHECK(refused(rows, {0}) == "columns have 1 entries, expected 2, one per column of the targets");
  CHECK(refused(rows, {1, 1}) == "columns hold 1 twice, expected each once");
  CHECK(refused(rows, {0, 2}) == "the targets to remove reach column 2, expected 0..1");
  CHECK(refused(random_rows<S>(9, 8, 3, 1)) ==
        "the targets to remove reach column 2, expected 0..1");
  CHECK(refused(random_rows<S>(31, 8, 2, 1)) ==
        "the rows to remove are 31, expected at most 30, as many as were learned");
  CHECK(contains(refused({S(20) * rows.x.topRows(3), rows.y.topRows(3)}), "negative eigenvalue"));
  CHECK(contains(refused(with_y(S(20))), "a negative sum of squared targets"));
  CHECK(contains(refused(random_rows<S>(30, 8, 2, 101)), "as many rows are left as 0"));
}
