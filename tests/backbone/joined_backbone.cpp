// SPDX-License-Identifier: MIT
// Backbones side by side and under an expansion, against their rows computed one by one.
#include "anyssr/backbone/joined_backbone.hpp"

#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "anyssr/backbone/any_backbone.hpp"
#include "anyssr/backbone/expanded_backbone.hpp"
#include "anyssr/backbone/text_hashing.hpp"
#include "support/catch.hpp"
#include "support/numeric.hpp"
#include "support/text_engine.hpp"

namespace {

using namespace anyssr;
using namespace anyssr::test;

const std::vector<std::string> joined_texts{"what is my balance", "cash",
                                            "when does the train leave", "a"};

/// Two numbers of a text; zeros for "a".
template <class S>
AnyBackbone<S> length_backbone(std::string name = "lengths") {
  return AnyBackbone<S>(
      2,
      [](std::span<const std::string> inputs) {
        RowMajorMatrix<S> rows(static_cast<Index>(inputs.size()), 2);
        for (Index i = 0; i < rows.rows(); ++i) {
          const auto size = static_cast<S>(inputs[static_cast<std::size_t>(i)].size() - 1);
          rows.row(i) << size, -3 * size;
        }
        return rows;
      },
      std::move(name));
}

template <class S>
RowMajorMatrix<S> unit_rows(const RowMajorMatrix<S>& rows) {
  RowMajorMatrix<S> result = rows;
  for (Index i = 0; i < rows.rows(); ++i) {
    if (rows.row(i).norm() > 0) result.row(i) /= rows.row(i).norm();
  }
  return result;
}

}  // namespace

TEMPLATE_TEST_CASE("each block of a row has its own length", "[backbone]", float, double) {
  using S = TestType;
  const TextHashingBackbone<S> hashed({.dim = 64});
  const JoinedBackbone joined(JoinedPart(length_backbone<S>(), 3), JoinedPart(hashed, 1));
  using Joined = std::remove_const_t<decltype(joined)>;
  static_assert(Backbone<Joined> && std::same_as<typename Joined::Features, RowMajorMatrix<S>>);
  CHECK(joined.feature_dim() == 66);
  RowMajorMatrix<S> expected(4, 66);
  expected.leftCols(2) =
      std::sqrt(S(0.75)) * unit_rows<S>(length_backbone<S>().features(joined_texts));
  expected.rightCols(64) =
      std::sqrt(S(0.25)) * unit_rows<S>(RowMajorMatrix<S>(hashed.features(joined_texts)));
  const RowMajorMatrix<S> rows = joined.features(joined_texts);
  CHECK((rows - expected).norm() < round_off<S>(10));
  CHECK(rows.row(3).head(2).isZero(0));  // the part knows nothing of it
  CHECK(std::abs(rows.row(0).norm() - 1) < round_off<S>(10));
  CHECK(joined.features({}).rows() == 0);
}

TEMPLATE_TEST_CASE("parts that are all sparse stay sparse", "[backbone]", float, double) {
  using S = TestType;
  const TextHashingBackbone<S> words({.dim = 64, .seed = 1});
  const TextHashingBackbone<S> others({.dim = 32, .seed = 2});
  const JoinedBackbone joined{JoinedPart(words), JoinedPart(others)};
  using Joined = std::remove_const_t<decltype(joined)>;
  static_assert(Backbone<Joined> && std::same_as<typename Joined::Features, SparseRows<S>>);
  RowMajorMatrix<S> expected(4, 96);
  expected.leftCols(64) = unit_rows<S>(RowMajorMatrix<S>(words.features(joined_texts)));
  expected.rightCols(32) = unit_rows<S>(RowMajorMatrix<S>(others.features(joined_texts)));
  expected *= std::sqrt(S(0.5));
  CHECK((RowMajorMatrix<S>(joined.features(joined_texts)) - expected).norm() < round_off<S>(10));
}

TEST_CASE("an expansion stands on top of a backbone", "[backbone]") {
  const ExpansionOptions options{.kind = ExpansionKind::dense, .dim = 40, .seed = 5};
  const ExpandedBackbone expanded(length_backbone<double>(), options);
  CHECK(expanded.feature_dim() == 40);
  const DenseExpansion<double> alone(2, options);
  CHECK(expanded.features(joined_texts) ==
        alone.expand(length_backbone<double>().features(joined_texts)));
  CHECK(expanded.fingerprint() !=
        ExpandedBackbone(length_backbone<double>("others"), options).fingerprint());
  CHECK(expanded.fingerprint() !=
        ExpandedBackbone(length_backbone<double>(), {.dim = 41}).fingerprint());
  CHECK_FALSE(ExpandedBackbone(length_backbone<double>("")).fingerprint().has_value());
}

TEST_CASE("a joined backbone has what its parts have", "[backbone]") {
  const TextHashingBackbone<float> hashed({.dim = 64});
  const auto join = [&](double weight, const std::string& name) {
    return JoinedBackbone(JoinedPart(length_backbone<float>(name), weight), JoinedPart(hashed, 1));
  };
  const auto joined = join(1, "lengths");
  CHECK(joined.fingerprint() != join(2, "lengths").fingerprint());
  CHECK(joined.fingerprint() != join(1, "others").fingerprint());
  CHECK_FALSE(join(1, "").fingerprint().has_value());
  CHECK(joined.probe_input() == probe_input_of(hashed));
  CHECK(joined.part<1>().feature_dim() == 64);

  // the parts that are named make up their share of the row
  const std::string text = "what is my balance";
  const auto parts = joined.feature_parts(text);
  REQUIRE(parts.has_value());
  REQUIRE(!parts->empty());
  RowVector<float> sum = RowVector<float>::Zero(66);
  for (const FeaturePart& part : *parts) sum[part.feature] += static_cast<float>(part.value);
  const RowMajorMatrix<float> row = joined.features(std::span(&text, 1));
  CHECK(sum.head(2).isZero(0));
  CHECK((sum.tail(64) - row.row(0).tail(64)).norm() < 1e-6F);
}

TEST_CASE("parts that do not fit are refused", "[backbone][error]") {
  const auto weight = [](double value) {
    return message_of<ArgumentError>(
        [&] { JoinedBackbone{JoinedPart(length_backbone<float>(), value)}; });
  };
  CHECK(contains(weight(0), "weight of a part is 0"));
  CHECK(contains(weight(std::nan("")), "weight of a part is nan"));
  const AnyBackbone<float> wrong(
      3, [](std::span<const std::string>) { return RowMajorMatrix<float>(1, 2); });
  CHECK_THROWS_AS(JoinedBackbone{JoinedPart(wrong)}.features(joined_texts), ShapeError);
}
