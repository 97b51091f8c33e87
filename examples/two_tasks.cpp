// SPDX-License-Identifier: MIT
// Two lessons and two questions: the whole library in fifteen lines.
// expect: banking, intent 1
// expect: travel, intent 0

#include <anyssr/anyssr.hpp>
#include <iostream>

int main() {
  anyssr::ContinualLearner learner(anyssr::TextHashingBackbone<float>{});  // any frozen model

  const std::vector<std::string> banking{"what is my balance", "how much money is in my account",
                                         "send money to my sister", "transfer fifty euros to Ann"};
  const std::vector<std::string> travel{"book a flight to Oslo", "i need a plane ticket",
                                        "find me a hotel room", "book a hotel in Rome"};
  const std::vector<anyssr::Index> intents{0, 0, 1, 1};
  learner.learn_task("banking", banking, intents);
  learner.learn_task("travel", travel, intents);  // changes no bit of what banking learned

  const std::vector<std::string> questions{"please transfer money to my brother",
                                           "a flight to Rome"};
  for (const auto& answer : learner.predict(questions)) {
    anyssr::Index intent = 0;
    answer.output.maxCoeff(&intent);
    std::cout << answer.task << ", intent " << intent << ", confidence "
              << answer.decision.confidence << "\n";
  }
  return std::cout.flush() ? 0 : 1;
}
