// SPDX-License-Identifier: MIT
#include "anyssr/backbone/any_backbone.hpp"

#include <atomic>
#include <concepts>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "anyssr/backbone/text_hashing.hpp"
#include "anyssr/learner/lifted_backbone.hpp"
#include "anyssr/store/probe.hpp"
#include "support/catch.hpp"
#include "support/points.hpp"
#include "support/text_engine.hpp"
#include "support/tiny_llama.hpp"

template class anyssr::AnyBackbone<float>;
template class anyssr::AnyBackbone<double>;

namespace {

using namespace anyssr;
using namespace anyssr::test;

using AnyTexts = AnyBackbone<double>;
static_assert(Backbone<AnyTexts> && Backbone<AnyBackbone<float, RowVector<float>>>);
static_assert(FingerprintedBackbone<AnyTexts> && ProbedBackbone<AnyTexts> &&
              NamesFeatures<AnyTexts>);
static_assert(!FingerprintedBackbone<BareTexts<double>> && !ProbedBackbone<BareTexts<double>> &&
              !NamesFeatures<BareTexts<double>>);
// its own scalar and input only, and nothing that is no backbone
static_assert(std::constructible_from<AnyTexts, DenseTexts<double>>);
static_assert(!std::constructible_from<AnyTexts, DenseTexts<float>>);
static_assert(!std::constructible_from<AnyTexts, PointBackbone<double>>);
static_assert(!std::constructible_from<AnyTexts, AnyBackbone<float>>);
static_assert(!std::constructible_from<AnyTexts, std::string>);
static_assert(!std::convertible_to<DenseTexts<double>, AnyTexts>);
static_assert(std::copyable<AnyTexts> && std::is_nothrow_move_constructible_v<AnyTexts>);
// deduction: a backbone is wrapped, a wrapped one is copied
static_assert(std::same_as<decltype(AnyBackbone(DenseTexts<float>())), AnyBackbone<float>>);
static_assert(std::same_as<decltype(AnyBackbone(std::declval<AnyTexts>())), AnyTexts>);
static_assert(std::same_as<decltype(AnyBackbone(std::declval<PointBackbone<double>>())),
                           AnyBackbone<double, RowVector<double>>>);

}  // namespace

TEMPLATE_TEST_CASE("features in any form become the same dense rows", "[backbone]", float, double) {
  using S = TestType;
  const std::vector<std::string> texts = text_queries();
  const RowMajorMatrix<S> expected = DenseTexts<S>().features(texts);
  const AnyBackbone<S> sparse(TextHashingBackbone<S>({.dim = text_dim}));
  for (const AnyBackbone<S>& any : {AnyBackbone<S>(DenseTexts<S>()), AnyBackbone<S>(BareTexts<S>()),
                                    text_function<S>(), sparse}) {
    CHECK(any.feature_dim() == text_dim);
    CHECK(any.features(texts) == expected);
    const RowMajorMatrix<S> none = any.features({});
    CHECK((none.rows() == 0 && none.cols() == text_dim));
  }
}

namespace {

/// Tells where its features lie.
struct WatchedBackbone {
  using Scalar = float;
  using Input = int;

  WatchedBackbone() = default;
  WatchedBackbone(const WatchedBackbone&) = delete;
  WatchedBackbone& operator=(const WatchedBackbone&) = delete;
  WatchedBackbone(WatchedBackbone&&) = default;
  WatchedBackbone& operator=(WatchedBackbone&&) = default;
  ~WatchedBackbone() = default;

  [[nodiscard]] Index feature_dim() const { return 3; }
  [[nodiscard]] RowMajorMatrix<float> features(std::span<const int> inputs) const {
    RowMajorMatrix<float> x =
        RowMajorMatrix<float>::Constant(static_cast<Index>(inputs.size()), 3, 2);
    *place = x.data();
    return x;
  }

  std::shared_ptr<const float*> place = std::make_shared<const float*>();
};

}  // namespace

TEST_CASE("row-major features are not copied and a model need not be copyable", "[backbone]") {
  WatchedBackbone watched;
  const auto place = watched.place;
  const AnyBackbone any(std::move(watched));
  const std::vector<int> inputs{1, 2};
  const RowMajorMatrix<float> x = any.features(inputs);
  CHECK(x.data() == *place);
}

TEST_CASE("copies share one model and none is ever without it", "[backbone]") {
  WatchedBackbone watched;
  const auto place = watched.place;
  CHECK(place.use_count() == 2);
  AnyBackbone first(std::move(watched));
  AnyBackbone second = first;
  const AnyBackbone third = std::move(second);
  CHECK(place.use_count() == 2);
  CHECK(second.feature_dim() == 3);  // NOLINT(bugprone-use-after-move): a move is a copy
  const std::vector<int> inputs{1};
  CHECK(third.features(inputs) == first.features(inputs));
  second = AnyBackbone(WatchedBackbone());
  first = second;
  CHECK(third.features(inputs).data() == *place);
}

TEST_CASE("name and probe and words of the wrapped backbone pass through", "[backbone]") {
  const DenseTexts<double> texts("my engine 7");
  const AnyTexts any(texts);
  CHECK(any.fingerprint() == "my engine 7");
  CHECK(any.probe_input() == texts.probe_input());
  const auto parts = any.feature_parts("pay bills");
  REQUIRE(parts.has_value());
  CHECK(parts->size() == texts.feature_parts("pay bills").size());
  CHECK(parts->front().name == texts.feature_parts("pay bills").front().name);
  // empty is what the model says: a name
  CHECK(AnyTexts(DenseTexts<double>("")).fingerprint() == "");
  CHECK(AnyTexts(
            text_dim, [](auto) { return RowMajorMatrix<double>(); }, "v2")
            .fingerprint() == "v2");
}

TEST_CASE("what the wrapped backbone lacks is empty and counts as missing", "[backbone]") {
  const BareTexts<double> bare;
  for (const AnyTexts& any : {AnyTexts(bare), text_function<double>()}) {
    CHECK_FALSE(any.fingerprint().has_value());
    CHECK_FALSE(any.probe_input().has_value());
    CHECK_FALSE(any.feature_parts("pay bills").has_value());
    const LiftedBackbone lifted(any);
    const LiftedBackbone lifted_bare(bare);
    CHECK(lifted.fingerprint() == lifted_bare.fingerprint());
    CHECK(lifted.fingerprint().starts_with("unnamed|"));
    CHECK(detail::stored_fingerprint(any) == detail::stored_fingerprint(bare));
    CHECK(detail::probe_backbone(lifted).empty());
  }
  const LiftedBackbone named(DenseTexts<double>{});
  const LiftedBackbone any_named(AnyTexts(DenseTexts<double>{}));
  CHECK(any_named.fingerprint() == named.fingerprint());
  CHECK(detail::probe_backbone(any_named) == detail::probe_backbone(named));
  CHECK(detail::probe_backbone(named).size() == detail::probe_numbers);
}

TEST_CASE("features of another shape than the inputs ask for are refused", "[backbone][error]") {
  const std::vector<std::string> texts{"one", "two", "three"};
  const auto refusal = [&](Index rows, Index cols) {
    const AnyTexts backbone(text_dim, [=](std::span<const std::string>) {
      return RowMajorMatrix<double>::Ones(rows, cols).eval();
    });
    return message_of<ShapeError>([&] { (void)backbone.features(texts); });
  };
  CHECK(refusal(3, 63) == "features of the backbone are 3 x 63, expected 3 x 64");
  CHECK(refusal(2, 64) == "features of the backbone are 2 x 64, expected 3 x 64");
  CHECK(refusal(0, 0) == "features of the backbone are 0 x 0, expected 3 x 64");
  CHECK(refusal(3, 64) == "nothing was thrown");
}

TEST_CASE("a function that is empty or gives no features is refused", "[backbone][error]") {
  CHECK(message_of<ArgumentError>([] { (void)AnyTexts(text_dim, nullptr); }) ==
        "features is an empty function, expected one to call");
  const auto none = [](std::span<const std::string>) { return RowMajorMatrix<double>(); };
  for (const Index dim : {0, -1}) {
    CHECK(message_of<ArgumentError>([&] { (void)AnyTexts(dim, none); }) ==
          "feature_dim is " + std::to_string(dim) + ", expected at least 1");
  }
}

TEST_CASE("what the wrapped backbone throws comes through", "[backbone][error]") {
  const AnyTexts any(TextHashingBackbone<double>({.dim = text_dim}));
  const std::vector<std::string> texts{"a text", "  "};
  CHECK(contains(message_of<ArgumentError>([&] { (void)any.features(texts); }),
                 "text 1 is empty, expected at least one character"));
  CHECK_THROWS_AS(any.feature_parts(" "), ArgumentError);
}

TEST_CASE("a backbone with layers of its own lends its features alone", "[backbone]") {
  const TinyBackbone llama = tiny_backbone(tiny_llama_config());
  const AnyBackbone any(llama);
  static_assert(AdaptableBackbone<TinyBackbone> && !AdaptableBackbone<decltype(any)>);
  const std::vector<TinyBackbone::Input> inputs{{1, 5, 6}, {1, 7}};
  CHECK(any.features(inputs) == RowMajorMatrix<float>(llama.features(inputs)));
  CHECK(any.fingerprint() == llama.fingerprint());
  CHECK(LiftedBackbone(any).fingerprint() != llama.fingerprint());
}

TEST_CASE("threads ask one wrapped backbone at once", "[backbone]") {
  const AnyTexts any(DenseTexts<double>{});
  const std::vector<std::string> texts = text_queries();
  const RowMajorMatrix<double> expected = any.features(texts);
  std::atomic<int> right = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, copy = any] {
      for (int i = 0; i < 20; ++i) {
        if (copy.features(texts) == expected && any.fingerprint() == "dense texts") ++right;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(right == 80);
}
