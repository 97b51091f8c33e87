// SPDX-License-Identifier: MIT
//
// How a learner outlives its process: it is saved, loaded elsewhere, learns on, and is saved again,
// which writes the router and the one new adapter. Each adapter stands in the folder as PEFT would
// write it.
//
// expect: generation 1: 1 adapter written
// expect: generation 2: 1 adapter written
// expect: banking +adapters/000001-banking
// expect: travel +adapters/000002-travel
// expect: a flight to Rome: travel

#include <anyssr/backbone/text_hashing.hpp>
#include <anyssr/store.hpp>
#include <exception>
#include <filesystem>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "support/temporary_folder.hpp"

namespace {

using Backbone = anyssr::TextHashingBackbone<float>;
using Learner = anyssr::ContinualLearner<Backbone>;

const std::vector<std::string> banking{"what is my balance", "how much money is in my account",
                                       "send money to my sister", "transfer fifty euros to Ann"};
const std::vector<std::string> travel{"book a flight to Oslo", "i need a plane ticket",
                                      "find me a hotel room", "book a hotel in Rome"};
const std::vector<anyssr::Index> intents{0, 0, 1, 1};

void print(const anyssr::SaveReport& report) {
  std::cout << "generation " << report.generation << ": " << report.adapters_written
            << " adapter written\n";
}

void run(const std::filesystem::path& folder) {
  {
    //! [save]
    Learner learner(Backbone({.dim = 512}));
    learner.learn_task("banking", banking, intents);
    print(anyssr::save(learner, folder));
    //! [save]
  }
  //! [load]
  Learner learner = anyssr::load<Learner>(folder, Backbone({.dim = 512}));
  learner.learn_task("travel", travel, intents);
  print(anyssr::save(learner, folder));
  //! [load]

  std::map<std::string, std::string> places;  // task -> folder
  for (const auto& entry : std::filesystem::directory_iterator(folder / "adapters")) {
    const std::string name = entry.path().filename().string();
    places[name.substr(name.find('-') + 1)] = "adapters/" + name;
  }
  for (const auto& [task, place] : places) std::cout << task << "  " << place << "\n";
  const std::vector<std::string> question{"a flight to Rome"};
  const Learner reader = anyssr::load<Learner>(folder, Backbone({.dim = 512}));
  std::cout << question[0] << ": " << reader.predict(question)[0].task << "\n";
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
