// SPDX-License-Identifier: MIT
// set_ridge and select_ridge: another lambda without data.

#include "anyssr/rls/information_form.hpp"
#include "support/catch.hpp"
#include "support/regression.hpp"

using namespace anyssr;
using namespace anyssr::test;

namespace {

/// What generalised cross-validation says of one lambda, from the rows by SVD in double.
struct Reference {
  template <class S>
  Reference(const Rows<S>& rows, double lambda) {
    const Eigen::MatrixXd x = rows.scaled(rows.x);
    const Eigen::MatrixXd y = rows.scaled(rows.y);
    const SingularVectors svd = singular_vectors_of(x);
    const Eigen::ArrayXd square = svd.values.array().square();
    const Eigen::MatrixXd fitted =
        svd.u * (square / (square + lambda)).matrix().asDiagonal() * (svd.u.transpose() * y);
    df = (square / (square + lambda)).sum();
    residual = (y - fitted).squaredNorm();
    const auto n = static_cast<double>(rows.size());
    gcv = n * residual / ((n - df) * (n - df));
  }
  double df;
  double residual;
  double gcv;
};

}  // namespace

TEMPLATE_TEST_CASE("a ridge set late is as good as one from the start", "[rls][property]", float,
                   double) {
  using S = TestType;
  const RidgeScale scale = GENERATE(RidgeScale::relative, RidgeScale::absolute);
  const double ridge = GENERATE(1e-2, 3.0);
  const auto rows = random_rows<S>(300, 20, 2, 80);
  RecursiveLeastSquares<S> late(20, {.ridge = 0.7, .ridge_scale = scale, .threads = 1});
  RecursiveLeastSquares<S> early(20, {.ridge = ridge, .ridge_scale = scale, .threads = 1});
  feed(late, rows.middle(0, 290), 290);
  (void)late.weights();
  feed(late, rows.middle(290, 10), 3);
  late.set_ridge(ridge);
  feed(early, rows.middle(0, 290), 290);
  feed(early, rows.middle(290, 10), 3);
  CHECK(late.ridge() == early.ridge());
  CHECK((late.weights() == early.weights()));
  CHECK((late.leverage(rows.x) == early.leverage(rows.x)));
  const double lambda =
      scale == RidgeScale::absolute ? ridge : ridge * rows.scaled(rows.x).squaredNorm() / 20;
  CHECK(relative_error(late.weights(), rows.joint(lambda)) < round_off<S>(1e4));
}

TEST_CASE("the scale of the ridge can change with it", "[rls]") {
  const auto rows = random_rows<double>(50, 6, 1, 81);
  InformationDouble rls(6, relative(0.1));
  update(rls, rows);
  (void)rls.weights();
  rls.set_ridge(0.1, RidgeScale::absolute);
  CHECK(rls.ridge() == 0.1);
  CHECK(relative_error(rls.weights(), rows.joint(0.1)) < 1e-9);
  rls.set_ridge(0.1, RidgeScale::relative);
  const double lambda = 0.1 * rows.x.squaredNorm() / 6;
  CHECK(relative_error(rls.weights(), rows.joint(lambda)) < 1e-9);
}

TEST_CASE("a ridge that is no positive number is refused and changes nothing", "[rls][error]") {
  InformationDouble rls(6, absolute(0.1));
  update(rls, random_rows<double>(50, 6, 1, 82));
  const State<double> before(rls);
  CHECK(message_of<ArgumentError>([&] { rls.set_ridge(0); }) ==
        "ridge is 0, expected a finite number above 0");
  CHECK(contains(message_of<ArgumentError>([&] { rls.set_ridge(std::nan("")); }), "ridge is nan"));
  CHECK((State<double>(rls) == before));
}

TEMPLATE_TEST_CASE("cross-validation from the sums is that of the rows", "[rls][property]", float,
                   double) {
  using S = TestType;
  const unsigned seed = GENERATE(range(90U, 106U));
  const bool scaled = GENERATE(false, true);
  CAPTURE(seed, scaled);
  Rows<S> rows = random_shape<S>(260, seed);
  // Noise as strong as the signal, so that the best ridge is one in between.
  rows.y += S(4) * random_normal<S>(rows.size(), rows.y.cols(), seed, 30);
  RecursiveLeastSquares<S> rls(rows.x.cols(), scaled ? relative(0.3) : absolute(0.3));
  feed(rls, rows, 100);
  const Matrix<S> weights = rls.weights();
  const double unit =
      scaled ? rows.scaled(rows.x).squaredNorm() / static_cast<double>(rows.x.cols()) : 1;
  const std::vector<double> ridges{3e-2, 0.3, 3, 30, 300};
  const RidgeSelection selection = rls.select_ridge(ridges);
  REQUIRE(selection.candidates.size() == ridges.size());
  const auto n = static_cast<double>(rows.size());
  const double energy = rows.scaled(rows.y).squaredNorm();
  double best = std::numeric_limits<double>::infinity();
  double chosen = best;
  for (std::size_t i = 0; i < ridges.size(); ++i) {
    CAPTURE(i);
    const RidgeCandidate& candidate = selection.candidates[i];
    const Reference expected(rows, ridges[i] * unit);
    CHECK(candidate.ridge == ridges[i]);
    CHECK(std::abs(candidate.lambda - ridges[i] * unit) <= round_off<S>(20) * candidate.lambda);
    const double error = round_off<S>(20 * rows.condition(candidate.lambda));
    CHECK(std::abs(candidate.degrees_of_freedom - expected.df) <
          error * (1 + static_cast<double>(rls.dim())));
    CHECK(std::abs(candidate.residual - expected.residual) < error * energy);
    if (n - expected.df < 0.0199 * n) CHECK(std::isinf(candidate.gcv));
    if (n - expected.df < 0.0201 * n) continue;
    CHECK(std::abs(candidate.gcv - expected.gcv) <
          n * energy * error / std::pow(n - expected.df, 2) * (1 + n / (n - expected.df)));
    best = std::min(best, expected.gcv);
    if (ridges[i] == selection.ridge) chosen = expected.gcv;
  }
  CHECK(chosen <= best * (1 + 1e-3));  // of two that are as good, round-off may choose
  CHECK(rls.options().ridge == 0.3);
  CHECK((rls.weights() == weights));
  CHECK(relative_error(rls.leverage(rows.x), RecursiveLeastSquares<S>(rls).leverage(rows.x)) == 0);
}

TEST_CASE("the candidate with the smallest value is chosen", "[rls]") {
  Rows<double> rows = random_rows<double>(120, 30, 2, 99);
  rows.y += 10 * random_normal<double>(120, 2, 99, 30);
  InformationDouble rls(30, absolute(1));
  update(rls, rows);
  const std::vector<double> ridges{1e4, 1e-3, 50, 1e7};
  const RidgeSelection selection = rls.select_ridge(ridges);
  double best = std::numeric_limits<double>::infinity();
  for (const double ridge : ridges) best = std::min(best, Reference(rows, ridge).gcv);
  CHECK(Reference(rows, selection.ridge).gcv == best);
  rls.set_ridge(selection.ridge);
  CHECK(relative_error(rls.weights(), rows.joint(selection.ridge)) < 1e-9);
}

TEST_CASE("a candidate that leaves hardly a degree of freedom is refused", "[rls][error]") {
  const auto rows = random_rows<double>(20, 30, 1, 100);  // fewer rows than features
  InformationDouble rls(30, absolute(1));
  update(rls, rows);
  const State<double> before(rls);
  const std::vector<double> ridges{1e-3, 10.0};
  const RidgeSelection selection = rls.select_ridge(ridges);
  CHECK(std::isinf(selection.candidates[0].gcv));
  CHECK(20 - selection.candidates[0].degrees_of_freedom < 0.02 * 20);
  CHECK(selection.ridge == 10.0);
  const std::vector<double> small{1e-4, 1e-3};
  CHECK(message_of<NumericalError>([&] { (void)rls.select_ridge(small); }) ==
        "no candidate ridge can be judged: all of them leave fewer than 2 % of 20 rows as degrees "
        "of freedom, or drown in round-off; add larger ones");
  CHECK((State<double>(rls) == before));
}

TEST_CASE("a candidate too small for float is refused and not fatal", "[rls][error]") {
  Rows<float> rows = random_rows<float>(5, 30, 1, 101);
  rows.x *= 100.0F;
  InformationFloat rls(30, absolute(1e4));
  update(rls, rows);
  const Matrix<float> weights = rls.weights();
  const std::vector<double> ridges{1e-20, 1e4};
  const RidgeSelection selection = rls.select_ridge(ridges);
  CHECK(selection.ridge == 1e4);
  CHECK(std::isinf(selection.candidates[0].gcv));
  CHECK((rls.weights() == weights));
}

TEST_CASE("without noise round-off does not choose the smallest ridge", "[rls]") {
  Rows<float> rows = random_rows<float>(400, 20, 2, 103);
  rows.y = rows.x * random_normal<float>(20, 2, 103, 1);
  InformationFloat rls(20, absolute(1));
  update(rls, rows);
  const std::vector<double> ridges{1e-7, 1e-6, 1e-5};  // below what float tells from 0
  const RidgeSelection selection = rls.select_ridge(ridges);
  for (const RidgeCandidate& candidate : selection.candidates) {
    CHECK(candidate.residual >= std::numeric_limits<float>::epsilon() * rows.y.squaredNorm() / 2);
    CHECK(candidate.gcv > 0);
  }
}

TEST_CASE("candidates out of range are refused", "[rls][error]") {
  InformationDouble rls(6, absolute(0.1));
  const auto refused = [&](const std::vector<double>& ridges) {
    return message_of<ArgumentError>([&] { (void)rls.select_ridge(ridges); });
  };
  CHECK(refused({1.0}) == "no rows are learned yet, expected some to select a ridge by");
  update(rls, random_rows<double>(50, 6, 1, 102));
  CHECK(refused({}) == "ridges are empty, expected at least one candidate");
  CHECK(refused({1.0, -2.0}) == "ridge is -2, expected a finite number above 0");
}
