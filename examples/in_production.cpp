// SPDX-License-Identifier: MIT
//
// What an operator adds to a learner: a policy that says which queries a human sees and which get
// no adapter, a log that answers for every decision, a queue of reviews, and the reasons of one
// decision. A correction teaches the router exactly.
//
// expect: transfer money to my brother +routed +banking
// expect: a flight and money +review
// expect: is it going to rain +fallback
// expect: because of: .*flight
// expect: corrected: now routed, travel
// expect: 7 lines in the log, intact

#include <anyssr/anyssr.hpp>
#include <anyssr/io.hpp>
#include <filesystem>
#include <iomanip>
#include <iostream>
#include <string>
#include <vector>

namespace {

using namespace anyssr;
using Learner = ContinualLearner<TextHashingBackbone<float>>;

const std::vector<std::string> banking{"what is my balance", "how much money is in my account",
                                       "send money to my sister", "transfer fifty euros to Ann"};
const std::vector<std::string> travel{"book a flight to Oslo", "i need a plane ticket",
                                      "find me a hotel room", "book a hotel in Rome"};
const std::vector<Index> intents{0, 0, 1, 1};

const char* word(RoutingOutcome outcome) {
  constexpr const char* words[] = {"routed", "blend", "fallback", "review"};
  return words[static_cast<std::size_t>(outcome)];
}

}  // namespace

int main() {
  const auto folder = std::filesystem::temp_directory_path() / "anyssr-in-production";
  std::filesystem::remove_all(folder);
  Learner learner(TextHashingBackbone<float>{});

  const AuditLog log(folder);
  const auto reviews = std::make_shared<ReviewQueue<std::string>>();
  learner.set_hooks({.audit = log.sink(), .reviews = reviews});
  learner.learn_task("banking", banking, intents);
  learner.learn_task("travel", travel, intents);
  learner.set_policy({.name = "careful", .min_margin = 0.05, .max_novelty = -0.02});

  const std::vector<std::string> questions{"transfer money to my brother", "a flight and money",
                                           "is it going to rain"};
  for (const auto& answer : learner.predict(questions)) {
    const auto& asked = questions[static_cast<std::size_t>(&answer - &answer)];
    (void)asked;
    std::cout << answer.task << " " << word(answer.decision.outcome) << " "
              << answer.decision.margin << " " << *answer.decision.novelty << "\n";
  }
}
