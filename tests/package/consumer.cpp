// SPDX-License-Identifier: MIT

/// @file
/// The program of a user who has the installed or fetched library: two lessons and a question.

#include <iostream>

#include "anyssr/anyssr.hpp"

int main() {
  anyssr::ContinualLearner learner(anyssr::TextHashingBackbone<float>({.dim = 256}));
  const std::vector<std::string> money{"send an invoice", "pay the bill", "my refund", "refund me"};
  const std::vector<std::string> post{"track my parcel", "parcel is late", "new address",
                                      "address is wrong"};
  const std::vector<anyssr::Index> labels{0, 0, 1, 1};
  learner.learn_task("money", money, labels);
  learner.learn_task("post", post, labels);
  const std::vector<std::string> questions{"where is the parcel", "a refund please"};
  const auto answers = learner.predict(questions);
  std::cout << "anyssr " << ANYSSR_VERSION_STRING << ": " << answers[0].task << ", "
            << answers[1].task << '\n';
  return answers[0].task == "post" && answers[1].task == "money" ? 0 : 1;
}
