// SPDX-License-Identifier: MIT
// What both forms refuse: the message is read, and the state is bit for bit what it was.
#include <cmath>

#include "anyssr/rls/recursive_least_squares.hpp"
#include "support/catch.hpp"
#include "support/regression.hpp"

using namespace anyssr;
using namespace anyssr::test;

namespace {

template <class S>
constexpr S not_a_number = std::numeric_limits<S>::quiet_NaN();
template <class S>
constexpr S infinity = std::numeric_limits<S>::infinity();

/// A regression that has learned 10 rows of 4 features and 2 targets.
template <class Rls>
struct Learned {
  using S = typename Rls::Scalar;

  Rows<S> rows = random_rows<S>(10, 4, 2, 19);
  Rls rls{4, absolute(0.5, true)};
  std::uint64_t digest = update(rls, rows);
  State<S> before{rls};

  /// The message of a refused update, which must be the same for dense and sparse rows.
  std::string refused(const Matrix<S>& x, const Matrix<S>& y, const BatchOptions& options = {}) {
    const std::string dense = message_of<Error>([&] { rls.update(x, y, options); });
    const std::string sparse =
        message_of<Error>([&] { rls.update(to_sparse<S>(x), to_sparse<S>(y), options); });
    CHECK(dense == sparse);
    CHECK((State<S>(rls) == before));
    return dense;
  }
  /// The same for a refused downdate.
  std::string kept(const Matrix<S>& x, const Matrix<S>& y, const BatchOptions& options = {},
                   std::optional<std::uint64_t> asked = {}) {
    const std::string dense = message_of<Error>([&] { rls.downdate(x, y, options, asked); });
    const std::string sparse =
        message_of<Error>([&] { rls.downdate(to_sparse<S>(x), to_sparse<S>(y), options, asked); });
    CHECK(dense == sparse);
    CHECK((State<S>(rls) == before));
    return dense;
  }
};

/// `matrix` with one entry replaced.
template <class S>
Matrix<S> with(Matrix<S> matrix, Index row, Index column, S value) {
  matrix(row, column) = value;
  return matrix;
}

}  // namespace

TEMPLATE_TEST_CASE("rows of a wrong shape are refused by name and change nothing", "[rls][error]",
                   InformationFloat, CovarianceDouble) {
  Learned<TestType> a;
  using Dense = Matrix<typename TestType::Scalar>;
  CHECK(a.refused(Dense::Ones(10, 3), a.rows.y) == "features are 10 x 3, expected n x 4");
  CHECK(a.refused(Dense(0, 4), Dense(0, 2)) == "features have no rows, expected at least 1");
  CHECK(a.refused(a.rows.x, a.rows.y.topRows(9)) == "targets are 9 x 2, expected 10 rows");
  CHECK(message_of<ShapeError>([&] { (void)a.rls.predict(Dense(2, 5)); }) ==
        "features are 2 x 5, expected n x 4");
  CHECK(message_of<ShapeError>([&] { (void)a.rls.leverage(Dense(2, 5)); }) ==
        "features are 2 x 5, expected n x 4");
}

TEMPLATE_TEST_CASE("numbers that are not finite are refused by place and change nothing",
                   "[rls][error]", InformationFloat, CovarianceDouble) {
  using S = typename TestType::Scalar;
  Learned<TestType> a;
  const Matrix<S>& x = a.rows.x;
  const Matrix<S>& y = a.rows.y;
  const std::string finite = ", expected finite numbers";
  for (const S bad : {not_a_number<S>, infinity<S>, -infinity<S>}) {
    CHECK(a.refused(with<S>(x, 3, 2, bad), y) ==
          "features hold NaN or infinity at row 3, column 2" + finite);
    CHECK(a.refused(with<S>(x, 0, 0, bad), y) ==
          "features hold NaN or infinity at row 0, column 0" + finite);
    CHECK(a.refused(x, with<S>(y, 9, 1, bad)) ==
          "targets hold NaN or infinity at row 9, column 1" + finite);
    CHECK(a.kept(with<S>(x, 3, 2, bad), y) ==
          "features hold NaN or infinity at row 3, column 2" + finite);
  }
  const S most = std::numeric_limits<S>::max();
  const S root = std::sqrt(most);
  const std::string overflow = "features or targets are so large that their sums overflow";
  CHECK(contains(a.refused(with<S>(x, 3, 2, most), y), overflow));
  CHECK(contains(a.refused(with<S>(x, 3, 2, root), y), overflow));
  CHECK(contains(a.refused(x, with<S>(y, 3, 1, -most)), overflow));
  const std::vector<double> heavy(10, static_cast<double>(most) / 8);
  CHECK(contains(a.refused(x, y, {.columns = {}, .row_weights = heavy}), overflow));
}

TEMPLATE_TEST_CASE("wrong columns and weights are refused by name and change nothing",
                   "[rls][error]", InformationFloat, CovarianceDouble) {
  Learned<TestType> a;
  const auto columns = [&](const std::vector<Index>& list) {
    return a.refused(a.rows.x, a.rows.y, {.columns = list, .row_weights = {}});
  };
  CHECK(columns({1, 1}) == "columns hold 1 twice, expected each once");
  CHECK(columns({7, -1}) == "columns hold -1, expected 0 or more");
  CHECK(columns({0, 1, 2}) == "columns have 3 entries, expected 2, one per column of the targets");
  const auto weights = [&](double bad) {
    std::vector<double> list(10, 1.0);
    list[4] = bad;
    return a.refused(a.rows.x, a.rows.y, {.columns = {}, .row_weights = list});
  };
  CHECK(weights(0) == "row weight is 0, expected a finite number above 0");
  CHECK(contains(weights(-1), "row weight is -1"));
  CHECK(contains(weights(not_a_number<double>), "row weight is nan"));
  CHECK(contains(weights(infinity<double>), "row weight is inf"));
  const std::vector<double> short_list(9, 1.0);
  CHECK(a.refused(a.rows.x, a.rows.y, {.columns = {}, .row_weights = short_list}) ==
        "row weights have 9 entries, expected 10, one a row");
}

TEMPLATE_TEST_CASE("rows that were never learned are not taken out", "[rls][error]",
                   InformationFloat, CovarianceDouble) {
  using S = typename TestType::Scalar;
  Learned<TestType> a;
  const Matrix<S>& x = a.rows.x;
  const Matrix<S>& y = a.rows.y;
  CHECK(a.kept(Matrix<S>::Ones(11, 4), Matrix<S>::Ones(11, 2)) ==
        "the rows to remove are 11, expected at most 10, as many as were learned");
  CHECK(a.kept(x, Matrix<S>::Ones(10, 3)) == "the targets to remove reach column 2, expected 0..1");
  const std::vector<Index> far{0, 6};
  CHECK(a.kept(x, y, {.columns = far, .row_weights = {}}) ==
        "the targets to remove reach column 6, expected 0..1");
  CHECK(a.kept(x.topRows(3), Matrix<S>::Ones(2, 2)) == "targets are 2 x 2, expected 3 rows");
  CHECK(a.kept(x.topRows(9), y.topRows(9), {}, a.digest) ==
        detail::concat(
            "the rows to remove have digest ",
            Learned<TestType>().rls.update(Matrix<S>(x.topRows(9)), Matrix<S>(y.topRows(9))),
            ", expected ", a.digest, ": they are not the rows that were learned"));
  // Twice a row is more than S or the energies hold.
  CHECK(contains(a.kept(S(20) * x.topRows(1), y.topRows(1)), "the rows to remove were never"));
  CHECK(contains(a.kept(x.topRows(1), S(20) * y.topRows(1)), "a negative sum of squared targets"));
}

TEMPLATE_TEST_CASE("options out of range are refused", "[rls][error]", InformationFloat,
                   CovarianceFloat) {
  const auto refused = [](Index dim, const RlsOptions& options) {
    return message_of<ArgumentError>([&] { TestType(dim, options); });
  };
  CHECK(refused(0, absolute(1)) == "dim is 0, expected at least 1");
  CHECK(refused(-3, absolute(1)) == "dim is -3, expected at least 1");
  CHECK(refused(3, absolute(0)) == "ridge is 0, expected a finite number above 0");
  CHECK(contains(refused(3, absolute(-1)), "ridge is -1"));
  CHECK(contains(refused(3, absolute(not_a_number<double>)), "ridge is nan"));
  CHECK(contains(refused(3, absolute(infinity<double>)), "ridge is inf"));
  RlsOptions options = absolute(1);
  options.threads = -1;
  CHECK(refused(3, options) ==
        "threads is -1, expected 0 (the cores that this process may use) or more");
}
