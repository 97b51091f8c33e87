// SPDX-License-Identifier: MIT
#include "anyssr/lora/adaptable_backbone.hpp"

#include <cmath>
#include <limits>
#include <list>

#include "anyssr/lora/optional_members.hpp"
#include "support/catch.hpp"
#include "support/linear_backbone.hpp"
#include "support/numeric.hpp"

namespace {

using namespace anyssr;
using namespace anyssr::test;

/// The fewest declarations that satisfy the concept, with sparse features and a list of sites.
struct Smallest {
  using Scalar = float;
  using Input = int;
  using Trunk = std::vector<int>;
  using Target = double;
  using Output = double;
  struct PredictOptions {};
  Index feature_dim() const;
  SparseRows<float> features(std::span<const int>) const;
  SparseRows<float> features(const Trunk&) const;
  const std::list<Site>& sites() const;
  Adapter<float> make_adapter(std::span<const double>, AdapterOptions, std::uint64_t) const;
  Trunk trunk(std::span<const int>) const;
  int rows(const Trunk&) const;
  Trunk select(const Trunk&, std::span<const Index>) const;
  std::vector<double> forward(const Trunk&, std::span<const AdapterMix<float>>,
                              const PredictOptions&) const;
  float loss_and_gradient(const Trunk&, std::span<const double>, const Adapter<float>&,
                          AdapterGradient<float>&) const;
  bool is_correct(double, double) const;
  void visit_site_inputs(const Trunk&, const Adapter<float>&, auto&& visitor) const {
    visitor("s", Matrix<float>(1, 1));
  }
};
static_assert(AdaptableBackbone<Smallest>);
static_assert(!HasTrainingTrunk<Smallest>);
static_assert(!HasLabels<Smallest>);
static_assert(!HasClosedForm<Smallest>);
static_assert(!ChecksTargets<Smallest> && !ChecksAdapter<Smallest>);
static_assert(AdaptableBackbone<LinearBackbone<float>>);
static_assert(HasLabels<LinearBackbone<double>>);
static_assert(HasClosedForm<LinearBackbone<double>>);
static_assert(!HasTrainingTrunk<LinearBackbone<double>>);

/// A plain Backbone is not adaptable.
struct Plain {
  using Scalar = float;
  using Input = int;
  Index feature_dim() const;
  Matrix<float> features(std::span<const int>) const;
};
static_assert(Backbone<Plain>);
static_assert(!AdaptableBackbone<Plain>);

/// Each of these spoils one member.
struct MutableForward : Smallest {
  std::vector<double> forward(const Trunk&, std::span<const AdapterMix<float>>,
                              const PredictOptions&);
};
static_assert(!AdaptableBackbone<MutableForward>);
struct OtherScalar : Smallest {
  Adapter<double> make_adapter(std::span<const double>, AdapterOptions, std::uint64_t) const;
};
static_assert(!AdaptableBackbone<OtherScalar>);
struct NoSites : Smallest {
  int sites() const;
};
static_assert(!AdaptableBackbone<NoSites>);
struct ColumnSparse : Smallest {
  Eigen::SparseMatrix<float> features(std::span<const int>) const;
  Eigen::SparseMatrix<float> features(const Trunk&) const;
};
static_assert(!AdaptableBackbone<ColumnSparse>);

/// A backbone that sees the answers when it trains.
struct Reader : LinearBackbone<double> {
  using LinearBackbone::LinearBackbone;
  Trunk training_trunk(std::span<const Input> inputs, std::span<const Target> targets) const {
    Trunk result = trunk(inputs);
    for (Index i = 0; i < result.x.rows(); ++i) {
      result.x(i, 0) = static_cast<double>(targets[static_cast<std::size_t>(i)]);
    }
    return result;
  }
};
static_assert(HasTrainingTrunk<Reader>);

/// A backbone whose answers are more or less right.
struct Judge : Smallest {
  bool is_correct(double output, double target) const { return output == target; }
  float score(double output, double target) const {
    return static_cast<float>(1 - std::abs(output - target));
  }
  int work(const Trunk& trunk) const;
  int loss_weight(const Trunk&, std::span<const double>) const;
};
static_assert(HasScore<Judge> && HasWork<Judge> && HasLossWeight<Judge>);
static_assert(!HasScore<Smallest> && !HasWork<Smallest> && !HasLossWeight<Smallest>);
struct WordyScore : Smallest {
  const char* score(double, double) const;
};
static_assert(!HasScore<WordyScore>);

}  // namespace

TEST_CASE("the training trunk is the backbone's own where it has one", "[lora][property]") {
  const Blobs<double> data(5, 3, 2, 0.1, 1);
  const LinearBackbone<double> plain(3, 4, 2, 1);
  const auto trunk = make_training_trunk(plain, std::span(data.inputs), std::span(data.labels));
  CHECK(trunk.x == plain.features(data.inputs));
  const Reader reader(3, 4, 2, 1);
  const auto read = make_training_trunk(reader, std::span(data.inputs), std::span(data.labels));
  CHECK(read.x(3, 0) == static_cast<double>(data.labels[3]));
  CHECK(labels_of(plain, std::span(data.labels)) == data.labels);
  CHECK(message_of<ShapeError>([&] {
          (void)make_training_trunk(plain, std::span(data.inputs), std::span(data.labels).first(4));
        }) == "targets have 4 entries, expected 5, one a row");
}

TEST_CASE("an answer is judged by the score of its backbone else by right or wrong",
          "[lora][property]") {
  const LinearBackbone<double> plain(3, 4, 2, 1);
  const RowVector<double> logits{{0.2, 0.9}};
  CHECK(score_of(plain, logits, 1) == 1);
  CHECK(score_of(plain, logits, 0) == 0);
  CHECK(score_of(Judge(), 0.5, 0.75) == 0.75);
  CHECK(message_of<ArgumentError>([] { (void)score_of(Judge(), 0.5, 2.0); }) ==
        "score of an answer is -0.5, expected 0 to 1 from the backbone");
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK(contains(message_of<ArgumentError>([&] { (void)score_of(Judge(), nan, 0.0); }),
                 "score of an answer is nan"));
}

TEST_CASE("a mix holds up to four adapters and refuses what it cannot use", "[lora][error]") {
  const Adapter<float> adapter;
  AdapterMix<float> mix;
  CHECK(mix.is_base());
  mix.add(&adapter, 0.5);
  CHECK(message_of<ArgumentError>([&] { mix.add(nullptr); }) ==
        "adapter is null, expected one that outlives the mix");
  CHECK(message_of<ArgumentError>([&] {
          mix.add(&adapter, std::numeric_limits<double>::quiet_NaN());
        }) == "weight is nan, expected a finite number");
  CHECK(mix.size() == 1);
  CHECK(mix.entries()[0].adapter == &adapter);
  CHECK(mix.entries()[0].weight == 0.5);
  for (int i = 0; i < 3; ++i) mix.add(&adapter);
  CHECK(message_of<ArgumentError>([&] { mix.add(&adapter); }) ==
        "mix holds 4 adapters, expected at most 4");
  CHECK(mix.size() == 4);
  CHECK(AdapterMix<float>(adapter).size() == 1);
  static_assert(!std::constructible_from<AdapterMix<float>, Adapter<float>>);
}

TEST_CASE("a mixed forward pass adds the weighted changes of its adapters", "[lora][property]") {
  const Blobs<double> data(4, 6, 3, 0.5, 2);
  const LinearBackbone<double> backbone(6, 8, 3, 5);
  Adapter<double> first = backbone.make_adapter(data.labels, {.lora = {.rank = 2}}, 1);
  first.modules.at("layer").mutable_b() = random_normal<double>(8, 2, 3);
  first.heads.at("head").weights = random_normal<double>(8, 3, 4);
  Adapter<double> half = first;  // half the change and half the head twice is the whole
  AdapterMix<double> twice(half, 0.5);
  twice.add(&half, 0.5);
  const std::vector<AdapterMix<double>> mixes{AdapterMix<double>(first), twice,
                                              AdapterMix<double>(), AdapterMix<double>(first)};
  const auto trunk = backbone.trunk(data.inputs);
  const auto outputs = backbone.forward(trunk, mixes, {});
  const std::vector<AdapterMix<double>> whole(4, AdapterMix<double>(first));
  const auto expected = backbone.forward(trunk, whole, {});
  CHECK(outputs[0] == expected[0]);
  CHECK(relative_error(outputs[1], expected[1]) < round_off<double>(20));
  CHECK(outputs[2].isZero(0));
  CHECK(outputs[3] == expected[3]);
  backbone.visit_site_inputs(trunk, first, [&](std::string_view site, const auto& rows) {
    CHECK(site == "layer");
    CHECK(rows.cols() == 6);
  });
}

TEST_CASE("modules are made for the named sites and start by seed and name", "[lora][property]") {
  const std::vector<Site> sites{{"k", 5, 4}, {"q", 5, 4}, {"v", 5, 3}};
  const auto all = make_modules<float>(sites, {.lora = {.rank = 2}}, 7);
  CHECK(all.size() == 3);
  CHECK_FALSE(all.at("k") == all.at("q"));
  const auto two = make_modules<float>(sites, {.lora = {.rank = 2}, .sites = {"v", "q"}}, 7);
  CHECK(two.size() == 2);
  CHECK(two.at("v") == all.at("v"));
  CHECK(two.at("q") == all.at("q"));
  CHECK_FALSE(make_modules<float>(sites, {.lora = {.rank = 2}}, 8).at("v") == all.at("v"));
  CHECK(make_modules<float>(sites, {.lora = {.rank = 0}}, 7).empty());
}

TEST_CASE("an unknown site or a bad rank is refused", "[lora][error]") {
  const std::vector<Site> sites{{"q", 5, 4}};
  CHECK(message_of<ArgumentError>([&] {
          (void)make_modules<float>(sites, {.lora = {}, .sites = {"q", "w"}}, 1);
        }) == "site 'w' is unknown, expected a site of the backbone");
  CHECK(message_of<ArgumentError>([&] {
          (void)make_modules<float>(sites, {.lora = {.rank = -1}}, 1);
        }) == "rank is -1, expected at least 1");
}
