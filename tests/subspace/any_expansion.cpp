// SPDX-License-Identifier: MIT

#include "anyssr/subspace/any_expansion.hpp"

#include <type_traits>

#include "support/catch.hpp"
#include "support/numeric.hpp"

namespace anyssr {
namespace {

using test::message_of;

static_assert(Expansion<AnyExpansion<float>> && Expansion<AnyExpansion<double>>);
static_assert(Expansion<IdentityExpansion<float>>);

/// Has everything but expand.
struct Incomplete {
  using Scalar = float;
  static Index in_dim() { return 1; }
  static Index out_dim() { return 1; }
  static bool passes_through() { return true; }
  static std::uint64_t fingerprint() { return 0; }
};
static_assert(!Expansion<Incomplete>);

TEST_CASE("names of expansion kinds go both ways", "[subspace][property]") {
  for (const ExpansionKind kind :
       {ExpansionKind::identity, ExpansionKind::dense, ExpansionKind::hadamard}) {
    CHECK(parse_expansion_kind(to_string(kind)) == kind);
  }
  CHECK(message_of<ArgumentError>([] { (void)parse_expansion_kind("random"); }) ==
        "expansion is 'random', expected one of identity, dense, hadamard");
}

TEMPLATE_TEST_CASE("the identity hands rows through and makes sparse rows dense",
                   "[subspace][property]", float, double) {
  const IdentityExpansion<TestType> expansion(12);
  const SparseRows<TestType> sparse = test::random_sparse<TestType>(5, 12, 0.4, 1);
  const Matrix<TestType> dense = sparse;
  CHECK((expansion.expand(sparse).array() == dense.array()).all());
  CHECK((expansion.expand(dense).array() == dense.array()).all());
  RowMajorMatrix<TestType> out(5, 12);
  ExpansionWorkspace<TestType> workspace;
  expansion.expand_into(sparse, out, workspace);
  CHECK((out.array() == dense.array()).all());
}

TEMPLATE_TEST_CASE("the kind chosen at run time expands as the class does", "[subspace][property]",
                   float, double) {
  const Matrix<TestType> x = random_normal<TestType>(4, 10, 2);
  const SparseRows<TestType> sparse = test::to_sparse(x);
  ExpansionOptions options{.kind = ExpansionKind::dense, .dim = 24, .seed = 5};

  const AnyExpansion<TestType> dense(10, options);
  const DenseExpansion<TestType> dense_itself(10, options);
  CHECK((dense.expand(x).array() == dense_itself.expand(x).array()).all());
  CHECK(dense.fingerprint() == dense_itself.fingerprint());
  CHECK_FALSE(dense.passes_through());

  options.kind = ExpansionKind::hadamard;
  const AnyExpansion<TestType> hadamard(10, options);
  const HadamardExpansion<TestType> hadamard_itself(10, options);
  CHECK((hadamard.expand(sparse).array() == hadamard_itself.expand(sparse).array()).all());
  CHECK(hadamard.fingerprint() == hadamard_itself.fingerprint());
  CHECK(hadamard.out_dim() == 24);

  options.kind = ExpansionKind::identity;
  const AnyExpansion<TestType> identity(10, options);
  CHECK((identity.expand(sparse).array() == x.array()).all());
  CHECK(identity.passes_through());
  CHECK(identity.out_dim() == 10);
  CHECK(identity.options().dim == 10);

  CHECK(dense.fingerprint() != hadamard.fingerprint());
  CHECK(dense.fingerprint() != identity.fingerprint());
}

TEST_CASE("the identity is the same whatever the other options say", "[subspace][property]") {
  const AnyExpansion<float> plain(10, {.kind = ExpansionKind::identity});
  const AnyExpansion<float> odd(
      10, {.kind = ExpansionKind::identity, .dim = -3, .bandwidth = 0, .seed = 9});
  CHECK(plain.fingerprint() == odd.fingerprint());
  CHECK(plain.fingerprint() !=
        AnyExpansion<float>(11, {.kind = ExpansionKind::identity}).fingerprint());
}

TEST_CASE("a visitor of the identity sees the features themselves", "[subspace][property]") {
  const AnyExpansion<float> expansion(12, {.kind = ExpansionKind::identity});
  const SparseRows<float> sparse = test::random_sparse<float>(5, 12, 0.4, 1);
  const bool same = expansion.visit_expanded(sparse, [&](const auto& seen) {
    if constexpr (std::is_same_v<std::remove_cvref_t<decltype(seen)>, SparseRows<float>>) {
      return &seen == &sparse;
    } else {
      return false;
    }
  });
  CHECK(same);
}

TEST_CASE("a visitor of other kinds sees the expanded features", "[subspace][property]") {
  const auto kind = GENERATE(ExpansionKind::dense, ExpansionKind::hadamard);
  const AnyExpansion<float> expansion(12, {.kind = kind, .dim = 9, .seed = 2});
  const SparseRows<float> sparse = test::random_sparse<float>(5, 12, 0.4, 1);
  const RowMajorMatrix<float> expected = expansion.expand(sparse);
  ExpansionWorkspace<float> workspace;
  const auto is_expected = [&](const auto& seen) {
    return seen.rows() == 5 && seen.cols() == 9 && RowMajorMatrix<float>(seen) == expected;
  };
  CHECK(expansion.visit_expanded(sparse, is_expected));
  CHECK(expansion.visit_expanded(sparse, workspace, is_expected));
  const float* const place = workspace.expanded.data();
  CHECK(expansion.visit_expanded(sparse, workspace, is_expected));
  CHECK(workspace.expanded.data() == place);
}

TEST_CASE("a visitor is not called with features of another width", "[subspace][error]") {
  const auto kind =
      GENERATE(ExpansionKind::identity, ExpansionKind::dense, ExpansionKind::hadamard);
  const AnyExpansion<float> expansion(12, {.kind = kind, .dim = 9, .seed = 2});
  const SparseRows<float> sparse(5, 13);
  bool called = false;
  CHECK(message_of<ShapeError>([&] {
          expansion.visit_expanded(sparse, [&](const auto&) { called = true; });
        }) == "features are 5 x 13, expected n x 12");
  CHECK_FALSE(called);
}

TEST_CASE("an unknown kind is refused", "[subspace][error]") {
  CHECK(message_of<ArgumentError>([] {
          (void)AnyExpansion<float>(3, {.kind = static_cast<ExpansionKind>(5)});
        }) == "expansion is '5', expected one of identity, dense, hadamard");
  CHECK(message_of<ArgumentError>([] {
          (void)AnyExpansion<float>(0, {.kind = ExpansionKind::identity});
        }) == "in_dim is 0, expected at least 1");
}

}  // namespace
}  // namespace anyssr
