// SPDX-License-Identifier: MIT

/// @file
/// The program of a user who has the installed or fetched library: two lessons and a question. It
/// includes all of the library and instantiates the router alone, which compiles soon; examples/
/// has programs with a learner.

#include <iostream>

#include "anyssr/anyssr.hpp"

int main() {
  const anyssr::TextHashingBackbone<float> backbone({.dim = 256});
  const auto features = [&](const std::vector<std::string>& texts) {
    return backbone.features(texts);
  };
  anyssr::AnalyticRouter<float> router(backbone.feature_dim());
  router.learn("money", features({"send an invoice", "pay the bill", "my refund", "refund me"}));
  router.learn("post",
               features({"track my parcel", "parcel is late", "new address", "address is wrong"}));
  anyssr::RoutingWorkspace<float> workspace;
  std::vector<anyssr::RoutingDecision> decisions;
  router.decide(features({"where is the parcel", "a refund please"}), workspace, decisions);
  const std::string& first = router.tasks()[static_cast<std::size_t>(decisions[0].task)].name;
  const std::string& second = router.tasks()[static_cast<std::size_t>(decisions[1].task)].name;
  std::cout << "anyssr " << ANYSSR_VERSION_STRING << ": " << first << ", " << second << '\n';
  return first == "post" && second == "money" ? 0 : 1;
}
