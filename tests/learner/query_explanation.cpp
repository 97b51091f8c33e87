// SPDX-License-Identifier: MIT
// Why a query goes where it goes, in words.

#include "anyssr/learner/query_explanation.hpp"

#include "anyssr/backbone/text_hashing.hpp"
#include "support/catch.hpp"
#include "support/small_learner.hpp"

using namespace anyssr;
using namespace anyssr::test;

namespace {

using WordLearner = ContinualLearner<TextHashingBackbone<double>>;

WordLearner explained_learner(bool expand) {
  LearnerOptions options = small_learner_options();
  if (expand) options.router.expansion = {.kind = ExpansionKind::dense, .dim = 40, .seed = 1};
  WordLearner learner(TextHashingBackbone<double>({.dim = 256}), options);
  const std::vector<std::string> bank{"pay my bill", "what is my balance", "send money now"};
  const std::vector<std::string> post{"where is my parcel", "the parcel is late", "send a letter"};
  const std::vector<std::string> food{"a table for two", "is there any soup", "send the menu"};
  const std::vector<Index> labels{0, 1, 0};
  learner.learn_task("bank", bank, labels);
  learner.learn_task("post", post, labels);
  learner.learn_task("food", food, labels);
  return learner;
}

}  // namespace

TEST_CASE("the pushes of all names add up to the margin", "[learner][property]") {
  const WordLearner learner = explained_learner(false);
  const QueryExplanation found = learner.explain("is my parcel paid", 2, 100000);
  CHECK(found.task == "post");
  REQUIRE(found.rivals.size() == 2);
  for (const Rival& rival : found.rivals) {
    CAPTURE(rival.task);
    double sum = 0;
    for (const NamedPush& push : rival.pushes) sum += push.push;
    CHECK(std::abs(sum - rival.margin) < 1e-10);
  }
  CHECK(found.rivals[0].margin <= found.rivals[1].margin);
}

TEST_CASE("an explanation names at most as many rivals and pushes as it is asked for",
          "[learner]") {
  const WordLearner learner = explained_learner(false);
  const QueryExplanation found = learner.explain("is my parcel paid", 1, 3);
  REQUIRE(found.rivals.size() == 1);
  REQUIRE(found.rivals[0].pushes.size() == 3);
  CHECK(std::abs(found.rivals[0].pushes[0].push) >= std::abs(found.rivals[0].pushes[2].push));
  CHECK_THROWS_AS(learner.explain("is my parcel paid", -1), ArgumentError);
}

TEST_CASE("behind an expansion the numbers of expanded features stand for names", "[learner]") {
  const WordLearner learner = explained_learner(true);
  const QueryExplanation found = learner.explain("is my parcel paid", 1, 2);
  REQUIRE(found.rivals.size() == 1);
  REQUIRE(found.rivals[0].pushes.size() == 2);
  CHECK(found.rivals[0].pushes[0].name.starts_with("expanded feature "));
}
