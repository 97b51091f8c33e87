// SPDX-License-Identifier: MIT
// Checkpoints go from a backbone to AnyBackbone around it and back.

#include <string>

#include "anyssr/backbone/any_backbone.hpp"
#include "anyssr/store.hpp"
#include "support/catch.hpp"
#include "support/checkpoint_folder.hpp"
#include "support/program.hpp"
#include "support/text_learner.hpp"

using namespace anyssr;
using namespace anyssr::test;

namespace {

using AnyTexts = AnyBackbone<double>;

/// A manifest without the time of the save.
Json timeless_manifest(const std::string& root) {
  Json manifest = EditedCheckpoint(root).manifest();
  manifest.erase("created");
  manifest.erase("check");
  return manifest;
}

}  // namespace

TEST_CASE("a checkpoint crosses between a backbone and its wrapper with the same bytes",
          "[store]") {
  using Direct = ContinualLearner<DenseTexts<double>>;
  using Any = ContinualLearner<AnyTexts>;
  const DenseTexts<double> texts;
  const TemporaryFolder folder;
  const std::string of_direct = folder.file("direct");
  const std::string of_any = folder.file("any");
  const Direct direct = text_learner(texts);
  save(direct, of_direct);
  save(text_learner(AnyTexts(texts)), of_any);
  CHECK(timeless_manifest(of_direct) == timeless_manifest(of_any));
  auto direct_files = all_files(of_direct);
  auto any_files = all_files(of_any);
  for (const char* dated : {"CURRENT", "manifest-000001.json"}) {
    CHECK(direct_files.erase(dated) == 1);
    CHECK(any_files.erase(dated) == 1);
  }
  CHECK(direct_files == any_files);

  LoadReport report;
  const Direct loaded = load<Direct>(of_direct, texts);
  const Any any_from_direct = load<Any>(of_direct, AnyTexts(texts), {}, &report);
  CHECK(report.warnings.empty());
  const Direct direct_from_any = load<Direct>(of_any, texts, {}, &report);
  CHECK(report.warnings.empty());
  check_same_predictions(any_from_direct, loaded, text_queries());
  check_same_predictions(direct_from_any, loaded, text_queries());
  // a load factors anew what few rows updated: equal sums, weights equal to round-off
  check_same_predictions(loaded, direct, text_queries(), 1e-9);
}

TEST_CASE("a checkpoint of sparse features is loaded around the same backbone", "[store]") {
  using Direct = ContinualLearner<TextHashingBackbone<double>>;
  const TextHashingBackbone<double> texts({.dim = text_dim});
  const TemporaryFolder folder;
  const Direct direct = text_learner(texts);
  const auto any = text_learner(AnyTexts(texts));
  save(direct, folder.file("direct"));
  save(any, folder.file("any"));
  check_same_predictions(load<ContinualLearner<AnyTexts>>(folder.file("direct"), AnyTexts(texts)),
                         direct, text_queries(), 1e-9);
  check_same_predictions(load<Direct>(folder.file("any"), texts), any, text_queries(), 1e-9);
}

TEST_CASE("a checkpoint is refused around another backbone", "[store][error]") {
  using Any = ContinualLearner<AnyTexts>;
  const TemporaryFolder folder;
  const std::string root = folder.file("state");
  save(text_learner(AnyTexts(DenseTexts<double>("one"))), root);
  const auto refusal = [&](const AnyTexts& backbone) {
    return message_of<ArgumentError>([&] { (void)load<Any>(root, backbone); });
  };
  const std::string lift = "|lift-1:10:relu:3:0";
  CHECK(refusal(AnyTexts(DenseTexts<double>("two"))) == root + ": was saved on the backbone 'one" +
                                                            lift + "', expected 'two" + lift +
                                                            "', which is at hand");
  CHECK(contains(refusal(AnyTexts(BareTexts<double>())), "expected 'unnamed|"));
  CHECK(contains(refusal(text_function<double>()), "expected 'unnamed|"));
  CHECK(contains(refusal(AnyTexts(DenseTexts<double>("one", 2))), "gives other features"));
}

TEST_CASE("a checkpoint of a backbone without a name is loaded with a warning alone", "[store]") {
  using Direct = ContinualLearner<BareTexts<double>>;
  using Any = ContinualLearner<AnyTexts>;
  const TemporaryFolder folder;
  save(text_learner(BareTexts<double>()), folder.file("direct"));
  save(text_learner(AnyTexts(BareTexts<double>())), folder.file("any"));
  for (const char* root : {"direct", "any"}) {
    CAPTURE(root);
    LoadReport direct;
    LoadReport any;
    LoadReport function;
    (void)load<Direct>(folder.file(root), BareTexts<double>(), {}, &direct);
    (void)load<Any>(folder.file(root), AnyTexts(BareTexts<double>()), {}, &any);
    (void)load<Any>(folder.file(root), text_function<double>(), {}, &function);
    REQUIRE(direct.warnings.size() == 1);
    CHECK(contains(direct.warnings[0], "neither fingerprint nor probe"));
    CHECK(any.warnings == direct.warnings);
    CHECK(function.warnings == direct.warnings);
    CHECK(contains(message_of<ArgumentError>(
                       [&] { (void)load<Any>(folder.file(root), AnyTexts(DenseTexts<double>())); }),
                   "was saved on the backbone 'unnamed|"));
  }
}
