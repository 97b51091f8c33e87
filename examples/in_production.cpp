// SPDX-License-Identifier: MIT
//
// What an operator adds to a learner: a policy that says which queries a human sees and which get
// no adapter, a log that answers for every decision, a queue of reviews, and the reasons of one
// decision. A correction teaches the router exactly.
//
// expect: transfer money to my brother: routed, banking
// expect: flight and money: review, travel
// expect: is it going to rain: fallback
// expect: not banking, because of: flight
// expect: after the correction: flight and money: routed, travel
// expect: 7 lines in the log, intact

#include <anyssr/anyssr.hpp>
#include <anyssr/io.hpp>
#include <exception>
#include <filesystem>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "support/temporary_folder.hpp"

namespace {

using namespace anyssr;
using Learner = ContinualLearner<TextHashingBackbone<float>>;

const std::vector<std::string> banking{"what is my balance", "how much money is in my account",
                                       "send money to my sister", "transfer fifty euros to Ann"};
const std::vector<std::string> travel{"book a flight to Oslo", "i need a plane ticket",
                                      "find me a hotel room", "book a hotel in Rome"};
const std::vector<Index> intents{0, 0, 1, 1};

void ask(const Learner& learner, const std::string& question) {
  const auto answer = learner.predict(std::span(&question, 1)).front();
  std::cout << question << ": " << to_string(answer.decision.outcome) << ", " << answer.task
            << "\n";
}

void run(const std::filesystem::path& folder) {
  {
    Learner learner(TextHashingBackbone<float>{});
    //! [serve]
    const AuditLog log(folder);
    const auto reviews = std::make_shared<ReviewQueue<std::string>>();
    learner.set_hooks({.audit = log.sink(), .reviews = reviews});
    learner.learn_task("banking", banking, intents);
    learner.learn_task("travel", travel, intents);
    learner.set_policy({.name = "careful", .min_margin = 0.5, .max_novelty = 0.3});
    //! [serve]

    ask(learner, "transfer money to my brother");
    ask(learner, "flight and money");
    ask(learner, "is it going to rain");

    //! [review]
    const auto waiting = reviews->list().front();
    const Rival rival = learner.explain(waiting.input, 1, 100).rivals.front();
    for (const NamedPush& push : rival.pushes) {
      const bool is_part_of_word = push.name.starts_with("...");
      if (push.push <= 0 || is_part_of_word) continue;
      std::cout << "not " << rival.task << ", because of: " << push.name << "\n";
    }
    learner.correct_review(waiting.request, "travel");
    //! [review]
    std::cout << "after the correction: ";
    ask(learner, waiting.input);
  }
  //! [verify]
  const AuditVerification log = verify_audit_log(folder);
  std::cout << log.lines << " lines in the log, " << (log.ok() ? "intact" : "changed") << "\n";
  //! [verify]
}

}  // namespace

int main() {
  try {
    const support::TemporaryFolder folder;
    run(folder.path());
    return std::cout.flush() ? 0 : 1;
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
}
