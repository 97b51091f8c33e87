// SPDX-License-Identifier: MIT
// A learner of AnyBackbone is the learner of the backbone that it wraps.

#include <algorithm>
#include <atomic>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "anyssr/backbone/any_backbone.hpp"
#include "anyssr/learner/continual_learner.hpp"
#include "support/catch.hpp"
#include "support/clinc150.hpp"
#include "support/text_learner.hpp"

using namespace anyssr;
using namespace anyssr::test;

namespace {

bool is_same_explanation(const QueryExplanation& a, const QueryExplanation& b) {
  const auto same_push = [](const NamedPush& x, const NamedPush& y) {
    return x.name == y.name && x.push == y.push;
  };
  const auto same_rival = [&](const Rival& x, const Rival& y) {
    return x.task == y.task && x.margin == y.margin &&
           std::equal(x.pushes.begin(), x.pushes.end(), y.pushes.begin(), y.pushes.end(),
                      same_push);
  };
  return a.task == b.task &&
         std::equal(a.rivals.begin(), a.rivals.end(), b.rivals.begin(), b.rivals.end(), same_rival);
}

}  // namespace

TEMPLATE_TEST_CASE("a learner of any backbone decides and answers with the bits of the wrapped one",
                   "[learner][property]", float, double) {
  using S = TestType;
  auto direct = text_learner(DenseTexts<S>());
  auto any = text_learner(AnyBackbone<S>(DenseTexts<S>()));
  auto function = text_learner(text_function<S>());
  const std::vector<std::string> queries = text_queries();
  check_same_predictions(any, direct, queries);
  check_same_predictions(function, direct, queries);
  const TextLesson more{
      .task = "post", .texts = {"a stamp for my letter", "lost parcel"}, .labels = {1, 0}};
  direct.extend_task(more.task, more.texts, more.labels);
  any.extend_task(more.task, more.texts, more.labels);
  direct.correct("pay for the soup", "food", 1);
  any.correct("pay for the soup", "food", 1);
  direct.remove_task("bank");
  any.remove_task("bank");
  check_same_predictions(any, direct, queries);
}

TEST_CASE("sparse features as dense ones change predictions by round-off only",
          "[learner][property]") {
  const TextHashingBackbone<double> texts({.dim = text_dim});
  check_same_predictions(text_learner(AnyBackbone(texts)), text_learner(texts), text_queries(),
                         1e-9);
}

TEST_CASE("real questions are routed and answered as by the wrapped backbone", "[learner]") {
  const auto data = find_clinc150();
  if (!data) return;
  const TextHashingBackbone<double> texts({.dim = 256});
  LearnerOptions options = small_learner_options();
  options.lift.dim = 32;
  ContinualLearner direct(texts, options);
  ContinualLearner any(AnyBackbone{texts}, options);  // g++ 12 takes (texts) for a declaration
  std::vector<std::string> queries;
  for (Index task = 0; task < 4; ++task) {
    ClincSplit rows = data->train.of_task(task);
    rows.texts.resize(90);
    rows.labels.resize(90);
    const std::string& name = data->names[static_cast<std::size_t>(task)];
    direct.learn_task(name, rows.texts, rows.labels);
    any.learn_task(name, rows.texts, rows.labels);
    const ClincSplit test = data->test.of_task(task);
    queries.insert(queries.end(), test.texts.begin(), test.texts.begin() + 40);
  }
  queries.insert(queries.end(), data->oos_test.begin(), data->oos_test.begin() + 40);
  check_same_predictions(any, direct, queries, 1e-9);
}

TEST_CASE("explanations speak in the words of the wrapped backbone", "[learner]") {
  const auto direct = text_learner(DenseTexts<double>());
  const auto any = text_learner(AnyBackbone<double>(DenseTexts<double>()));
  for (const std::string& query : text_queries()) {
    CHECK(is_same_explanation(any.explain(query), direct.explain(query)));
  }
  CHECK(any.explain("is my parcel paid", 1, 1).rivals[0].pushes[0].name.find("feature ") ==
        std::string::npos);
}

TEST_CASE("explanations without words name features as those of a backbone without them do",
          "[learner]") {
  const auto direct = text_learner(BareTexts<double>());
  const auto any = text_learner(AnyBackbone<double>(BareTexts<double>()));
  for (const Index pushes : {0, 3, 1000}) {
    const QueryExplanation expected = direct.explain("is my parcel paid", 2, pushes);
    const QueryExplanation found = any.explain("is my parcel paid", 2, pushes);
    REQUIRE(found.rivals.size() == 2);
    CHECK(found.task == expected.task);
    for (std::size_t i = 0; i < 2; ++i) {
      const auto& names = found.rivals[i].pushes;
      REQUIRE(names.size() == expected.rivals[i].pushes.size());
      for (const NamedPush& push : names) CHECK(push.name.starts_with("feature "));
    }
  }
}

TEST_CASE("a learner without classes is made of a function", "[learner]") {
  //! [function]
  // Your engine: embed(texts) gives one row of 64 numbers per text.
  const auto embed = [](std::span<const std::string> texts) -> RowMajorMatrix<float> {
    return DenseTexts<float>().features(texts);
  };
  ContinualLearner learner(AnyBackbone<float>(64, embed, "my engine 1.0"));
  //! [function]
  CHECK(learner.backbone().fingerprint().starts_with("my engine 1.0|"));
  for (const TextLesson& lesson : text_lessons()) {
    learner.learn_task(lesson.task, lesson.texts, lesson.labels);
  }
  const std::vector<std::string> queries{"my parcel is late"};
  CHECK(learner.predict(queries)[0].task == "post");
}

TEST_CASE("nothing is learned of features of another shape", "[learner][error]") {
  ContinualLearner learner(
      AnyBackbone<double>(text_dim,
                          [](auto) { return RowMajorMatrix<double>::Ones(4, 64).eval(); }),
      small_learner_options());
  const TextLesson bank = text_lessons()[0];
  CHECK(message_of<ShapeError>([&] { learner.learn_task(bank.task, bank.texts, bank.labels); }) ==
        "features of the backbone are 4 x 64, expected 3 x 64");
  CHECK(learner.tasks().empty());
}

TEST_CASE("a learner refuses NaN and infinity from any backbone", "[learner][error]") {
  const double bad =
      GENERATE(std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity());
  const auto broken = std::make_shared<std::atomic<bool>>(false);
  const AnyBackbone<double> backbone(text_dim, [=](std::span<const std::string> texts) {
    RowMajorMatrix<double> x = DenseTexts<double>().features(texts);
    if (*broken) x(0, 5) = bad;
    return x;
  });
  auto learner = text_learner(backbone);
  const auto before = numbers_of_predictions(learner.predict(text_queries()));
  *broken = true;
  const std::vector<std::string> texts{"one", "two"};
  const std::vector<Index> labels{0, 1};
  CHECK(message_of<NonFiniteError>([&] { learner.learn_task("new", texts, labels); }) ==
        "features of the backbone hold NaN or infinity at row 0, column 5, expected finite "
        "numbers");
  CHECK_THROWS_AS(learner.predict(texts), NonFiniteError);
  *broken = false;
  CHECK(learner.tasks().size() == 3);
  CHECK(numbers_of_predictions(learner.predict(text_queries())) == before);
}
