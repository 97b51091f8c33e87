// SPDX-License-Identifier: MIT
#include "anyssr/lora/adapter_pairs.hpp"

#include "support/catch.hpp"
#include "support/numeric.hpp"
#include "support/random_module.hpp"

using namespace anyssr;
using namespace anyssr::test;

namespace {

/// Sites p (10 to 7, rank 3), q (6 to 8, rank 2 in 4 directions), where `which` has a bit for each.
template <class S>
Adapter<S> pair_adapter(std::uint64_t seed, unsigned which = 3) {
  Adapter<S> adapter;
  if ((which & 1U) != 0) adapter.modules.emplace("p", random_module<S>(10, 7, 3, 0, seed));
  if ((which & 2U) != 0) adapter.modules.emplace("q", random_module<S>(6, 8, 2, 4, seed + 100));
  return adapter;
}

template <class S>
std::vector<AdapterPair> pairs_of(const std::vector<Adapter<S>>& adapters) {
  std::vector<const Adapter<S>*> list;
  for (const Adapter<S>& adapter : adapters) list.push_back(&adapter);
  return rank_pairs<S>(list, 1);
}

/// Sum of squared cosines between the column spaces of two matrices.
double squared_cosines(const Eigen::MatrixXd& x, const Eigen::MatrixXd& y, Index rank) {
  return (span_of(x, rank).transpose() * span_of(y, rank)).squaredNorm();
}

}  // namespace

TEMPLATE_TEST_CASE("every pair has the figures of the written out changes", "[lora][property]",
                   float, double) {
  const auto seed = GENERATE(range(1u, 6u));
  CAPTURE(seed);
  std::vector<Adapter<TestType>> adapters;
  for (std::uint64_t i = 0; i < 5; ++i) {
    adapters.push_back(pair_adapter<TestType>(seed + 10 * i, i == 4 ? 1 : 3));
  }
  const std::vector<AdapterPair> pairs = pairs_of(adapters);
  REQUIRE(pairs.size() == 10);
  for (const AdapterPair& pair : pairs) {
    double product = 0;
    double norms[2] = {0, 0};
    double rows = 0;
    double columns = 0;
    Index angles = 0;
    for (const auto& [site, module] : adapters[pair.first].modules) {
      if (!adapters[pair.second].modules.contains(site)) continue;
      const Eigen::MatrixXd left = explicit_delta(module);
      const Eigen::MatrixXd right = explicit_delta(adapters[pair.second].modules.at(site));
      product += left.cwiseProduct(right).sum();
      norms[0] += left.squaredNorm();
      norms[1] += right.squaredNorm();
      rows += squared_cosines(left.transpose(), right.transpose(), module.rank());
      columns += squared_cosines(left, right, module.rank());
      angles += module.rank();
    }
    const double tolerance = round_off<double>(1000);
    CHECK(pair.first < pair.second);
    CHECK(std::abs(pair.similarity - product / std::sqrt(norms[0] * norms[1])) < tolerance);
    CHECK(std::abs(pair.row_overlap - rows / static_cast<double>(angles)) < tolerance);
    CHECK(std::abs(pair.column_overlap - columns / static_cast<double>(angles)) < tolerance);
    CHECK(pair.common_sites == (pair.second == 4 ? 1 : 2));
  }
  for (std::size_t i = 1; i < pairs.size(); ++i) {
    CHECK(pairs[i].similarity <= pairs[i - 1].similarity);
  }
}

TEST_CASE("the pair that does the same comes first and its opposite last", "[lora]") {
  std::vector<Adapter<double>> adapters;
  for (std::uint64_t seed = 1; seed < 5; ++seed) adapters.push_back(pair_adapter<double>(seed));
  const std::vector<AdapterMix<double>::Entry> scaled{{&adapters[1], 0.25}};
  const std::vector<AdapterMix<double>::Entry> opposite{{&adapters[0], -3}};
  const Adapter<double> more[]{merge_adapters<double>(scaled), merge_adapters<double>(opposite)};
  adapters.insert(adapters.end(), std::begin(more), std::end(more));
  const std::vector<AdapterPair> pairs = pairs_of(adapters);
  CHECK(pairs.front().first == 1);
  CHECK(pairs.front().second == 4);
  CHECK(std::abs(pairs.front().similarity - 1) < round_off<double>(100));
  CHECK(std::abs(pairs.front().row_overlap - 1) < round_off<double>(100));
  CHECK(std::abs(pairs.front().column_overlap - 1) < round_off<double>(100));
  CHECK(pairs.back().first == 0);
  CHECK(pairs.back().second == 5);
  CHECK(std::abs(pairs.back().similarity + 1) < round_off<double>(100));
  CHECK(std::abs(pairs.back().row_overlap - 1) < round_off<double>(100));
}

TEST_CASE("adapters that read the same and write elsewhere overlap in rows alone", "[lora]") {
  const Matrix<double> a = random_normal<double>(2, 6, 1);
  const RowMajorMatrix<double> outputs = random_basis<double>(8, 4, 2);
  std::vector<Adapter<double>> adapters(2);
  for (std::size_t i = 0; i < 2; ++i) {
    const Matrix<double> b = outputs.middleCols(static_cast<Index>(2 * i), 2);
    adapters[i].modules.emplace("p", LoraModule<double>(a, b, {.rank = 2}));
  }
  const AdapterPair pair = pairs_of(adapters).front();
  CHECK(std::abs(pair.similarity) < round_off<double>(10));
  CHECK(std::abs(pair.row_overlap - 1) < round_off<double>(10));
  CHECK(pair.column_overlap < round_off<double>(10));
}

TEST_CASE("a rank that changes nothing counts for no angle", "[lora]") {
  std::vector<Adapter<float>> adapters{pair_adapter<float>(1, 1), pair_adapter<float>(2, 1)};
  const std::vector<AdapterMix<float>::Entry> twice{{&adapters[0], 1}, {&adapters[0], 0.5}};
  const AdapterPair expected = pairs_of(adapters).front();
  adapters[0] = merge_adapters<float>(twice);  // rank 6, of which 3 are round-off
  const AdapterPair pair = pairs_of(adapters).front();
  CHECK(std::abs(pair.row_overlap - expected.row_overlap) < round_off<float>(20));
  CHECK(std::abs(pair.column_overlap - expected.column_overlap) < round_off<float>(20));
}

TEST_CASE("pairs without a common site or without a change have zeros", "[lora]") {
  std::vector<Adapter<float>> adapters{pair_adapter<float>(1, 1), pair_adapter<float>(2, 2)};
  AdapterPair pair = pairs_of(adapters).front();
  CHECK(pair.common_sites == 0);
  CHECK(pair.similarity == 0);
  CHECK(pair.row_overlap == 0);
  CHECK(pair.column_overlap == 0);
  adapters[1] = Adapter<float>();
  adapters[1].modules.emplace("p", LoraModule<float>(10, 7, {.rank = 2}, 1));
  pair = pairs_of(adapters).front();
  CHECK(pair.common_sites == 1);
  CHECK(pair.similarity == 0);
  CHECK(pair.row_overlap == 0);
  CHECK(pairs_of<float>({}).empty());
  CHECK(pairs_of<float>({adapters[0]}).empty());
}

TEST_CASE("what cannot be compared is refused", "[lora][error]") {
  std::vector<Adapter<float>> adapters{pair_adapter<float>(1), pair_adapter<float>(2)};
  CHECK(message_of<ArgumentError>([&] {
          (void)rank_pairs<float>(std::vector<const Adapter<float>*>{&adapters[0], nullptr});
        }) == "adapter 1 is null, expected one to compare");
  adapters[1].modules.at("q").mutable_b()(3, 1) = std::numeric_limits<float>::quiet_NaN();
  CHECK(message_of<NonFiniteError>([&] { (void)pairs_of(adapters); }) ==
        "b of 'q' hold NaN or infinity at row 3, column 1, expected finite numbers");
  adapters[1].modules.at("q") = random_module<float>(6, 9, 2, 0, 1);
  CHECK(message_of<ShapeError>([&] { (void)pairs_of(adapters); }) ==
        "modules of 'q' are out 8 x in 6 and out 9 x in 6, expected one shape");
}
