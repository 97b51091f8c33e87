// SPDX-License-Identifier: MIT
#include "anyssr/lora/site_moments.hpp"

#include "support/catch.hpp"
#include "support/linear_backbone.hpp"
#include "support/numeric.hpp"
#include "support/random_module.hpp"

using namespace anyssr;
using namespace anyssr::test;

namespace {

/// A backbone of 10 features with its one site, an adapter on it, and rows.
template <class S>
struct MomentScene {
  LinearBackbone<S> backbone{10, 7, 3, 1};
  Adapter<S> adapter;
  typename LinearBackbone<S>::Trunk trunk{random_normal<S>(40, 10, 2)};

  explicit MomentScene(Index k = 0) {
    adapter.modules.emplace("layer", test::random_module<S>(10, 7, 2, k, 3));
  }
  [[nodiscard]] SiteMoment<S> moment(const MomentOptions& options = {}) const {
    return site_moments(backbone, trunk, adapter, options).at("layer");
  }
};

}  // namespace

TEMPLATE_TEST_CASE("a whole moment is that of the rows", "[lora]", float, double) {
  const MomentScene<TestType> scene;
  const SiteMoment<TestType> moment = scene.moment();
  const Eigen::MatrixXd x = scene.trunk.x.template cast<double>();
  CHECK(moment.is_whole());
  CHECK(moment.rows == 40);
  CHECK(relative_error(moment.moment, Eigen::MatrixXd(x.transpose() * x)) < round_off<double>(100));
  CHECK(std::abs(moment.energy / x.squaredNorm() - 1) < round_off<double>(100));
  CHECK(std::abs(moment.energy_kept() - 1) < round_off<double>(100));
}

TEMPLATE_TEST_CASE("wide inputs are kept inside the basis of a confined module", "[lora]", float,
                   double) {
  const MomentScene<TestType> scene(4);
  const SiteMoment<TestType> moment = scene.moment({.whole_limit = 9});
  CHECK(moment.basis == scene.adapter.modules.at("layer").basis());
  CHECK(moment.in_dim() == 10);
  const Eigen::MatrixXd z =
      scene.trunk.x.template cast<double>() * moment.basis.template cast<double>();
  CHECK(relative_error(moment.moment, Eigen::MatrixXd(z.transpose() * z)) <
        round_off<TestType>(20));
  const double share = z.squaredNorm() / scene.trunk.x.template cast<double>().squaredNorm();
  CHECK(std::abs(moment.energy_kept() - share) < round_off<TestType>(20));
  CHECK(scene.moment({.whole_limit = 10}).is_whole());
}

TEMPLATE_TEST_CASE("wide inputs of a plain module are kept inside their leading directions",
                   "[lora]", float, double) {
  MomentScene<TestType> scene;
  scene.trunk.x = random_normal<TestType>(40, 3, 5) *
                  random_basis<TestType>(10, 3, 6).transpose();  // three directions are all
  const SiteMoment<TestType> moment = scene.moment({.whole_limit = 9, .directions = 3});
  CHECK(moment.basis.cols() == 3);
  CHECK(std::abs(moment.energy_kept() - 1) < round_off<TestType>(20));
  const Eigen::MatrixXd x = scene.trunk.x.template cast<double>();
  const Eigen::MatrixXd u = moment.basis.template cast<double>();
  CHECK(relative_error(Eigen::MatrixXd(u * moment.moment * u.transpose()),
                       Eigen::MatrixXd(x.transpose() * x)) < round_off<TestType>(50));
}

TEMPLATE_TEST_CASE("the moments of batches add up", "[lora]", float, double) {
  const Index limit = GENERATE(9, 10);
  CAPTURE(limit);
  const MomentScene<TestType> scene(4);
  const MomentOptions options{.whole_limit = limit};
  SiteMoments<TestType> moments;
  for (const Index begin : {0, 25}) {
    const typename LinearBackbone<TestType>::Trunk part{
        scene.trunk.x.middleRows(begin, begin == 0 ? 25 : 15)};
    add_site_moments(scene.backbone, part, scene.adapter, moments, options);
  }
  const SiteMoment<TestType> joint = scene.moment(options);
  const SiteMoment<TestType>& sum = moments.at("layer");
  CHECK(sum.rows == 40);
  CHECK(sum.basis == joint.basis);
  CHECK(relative_error(sum.moment, joint.moment) < round_off<TestType>(20));
  CHECK(std::abs(sum.energy / joint.energy - 1) < round_off<double>(20));
}

TEST_CASE("sites without a module have no moment", "[lora]") {
  const MomentScene<float> scene;
  CHECK(site_moments(scene.backbone, scene.trunk, Adapter<float>()).empty());
}

TEST_CASE("inputs that no moment can hold are refused and change nothing", "[lora][error]") {
  MomentScene<float> scene;
  SiteMoments<float> moments = site_moments(scene.backbone, scene.trunk, scene.adapter);
  const Matrix<double> before = moments.at("layer").moment;
  const auto refused = [&](const MomentOptions& options = {}) {
    const std::string message = message_of<Error>(
        [&] { add_site_moments(scene.backbone, scene.trunk, scene.adapter, moments, options); });
    if (moments.contains("layer")) CHECK(moments.at("layer").moment == before);
    return message;
  };
  CHECK(refused({.directions = 0}) == "directions are 0, expected at least 1");
  scene.trunk.x(3, 4) = std::numeric_limits<float>::quiet_NaN();
  CHECK(refused() == "inputs of 'layer' hold NaN, infinity or numbers too large to square");
  {
    // finite in double, and no longer along a direction in float
    SiteMoments<float> inside = {{"layer",
                                  {.moment = Matrix<double>::Zero(1, 1),
                                   .basis = Matrix<float>::Constant(10, 1, 0.31622776F)}}};
    scene.trunk.x = Matrix<float>::Constant(3, 10, 3e38F);
    CHECK(message_of<NonFiniteError>([&] {
            add_site_moments(scene.backbone, scene.trunk, scene.adapter, inside);
          }) == "the inputs of a site are too large to square in their directions");
    CHECK(inside.at("layer").moment.isZero(0));
  }
  scene.trunk.x = Matrix<float>::Ones(3, 10);
  scene.adapter.modules.at("layer") = test::random_module<float>(9, 7, 2, 0, 1);
  CHECK(refused() == "inputs of 'layer' are 3 x 10, expected n x 9");
  scene.adapter.modules.at("layer") = test::random_module<float>(10, 7, 2, 0, 1);
  moments.at("layer") = {.moment = before.topLeftCorner(9, 9)};
  const Matrix<double> small = moments.at("layer").moment;
  CHECK(message_of<ShapeError>([&] {
          add_site_moments(scene.backbone, scene.trunk, scene.adapter, moments);
        }) == "moments of 'layer' are of 9 inputs, expected 10");
  CHECK(moments.at("layer").moment == small);
  moments.clear();
  scene.trunk.x.setZero();
  CHECK(refused({.whole_limit = 9}) ==
        "the first inputs of a site are all zero, expected rows to find directions of");
  CHECK(moments.empty());
}
