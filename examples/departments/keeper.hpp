// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// What keeps the learner between runs, as the run sees it: storage is compiled elsewhere.

#include <anyssr/backbone/any_backbone.hpp>
#include <anyssr/backbone/text_hashing.hpp>
#include <anyssr/learner/continual_learner.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "departments/experiment.hpp"
#include "support/messages.hpp"

namespace departments {

struct WordsInFloat {
  using Backbone = anyssr::TextHashingBackbone<float>;
};
struct WordsInDouble {
  using Backbone = anyssr::TextHashingBackbone<double>;
};
struct ModelInFloat {
  using Backbone = anyssr::AnyBackbone<float>;
};

/// The folder of `--state`, locked as long as this lives.
template <class Ground>
class Keeper {
 public:
  using Backbone = typename Ground::Backbone;
  using Learner = anyssr::ContinualLearner<Backbone>;

  virtual ~Keeper() = default;
  /// The learner of the runs before; nothing where there were none.
  [[nodiscard]] virtual std::optional<Learner> load(Backbone backbone) = 0;
  virtual void save(const Learner& learner) = 0;
  /// Refuses questions that are not those that the departments were learned from.
  /// @param questions  their first departments are the tasks
  virtual void expect_same_questions(const std::vector<anyssr::TaskSummary>& tasks,
                                     const Questions& questions) const = 0;
};

/// "refund,invoice": what an adapter's metadata keep of its department.
[[nodiscard]] inline std::string label_list(const Department& department) {
  std::string list;
  for (const std::string& label : department.labels) list += (list.empty() ? "" : ",") + label;
  return list;
}

/// Refuses a run that would learn nothing and knows nothing.
inline void expect_any(bool is_any, const Options& options) {
  support::expect(is_any, "--learn is ", options.learn,
                  " and no department is known yet, expected at least 1");
}

}  // namespace departments
