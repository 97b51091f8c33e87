// SPDX-License-Identifier: MIT
#include <string>

#include "anyssr/learner/merge_adapters.hpp"
#include "anyssr/learner/refactoring.hpp"
#include "anyssr/learner/task_subspaces.hpp"
#include "anyssr/metrics/data_balance.hpp"
#include "anyssr/rls/rls_options.hpp"
#include "anyssr/router/novelty.hpp"
#include "anyssr/router/routing_decision.hpp"
#include "anyssr/router/routing_policy.hpp"
#include "anyssr/subspace/expansion.hpp"
#include "anyssr/subspace/leading_directions.hpp"
#include "anyssr/train/schedule.hpp"
#include "support/catch.hpp"

using namespace anyssr;
using namespace anyssr::test;

namespace {

template <class Enum>
std::string names() {
  return detail::enumerator_list<Enum>();
}

}  // namespace

TEST_CASE("every enumerator has the word of files and command lines", "[learner]") {
  CHECK(names<RidgeScale>() == "relative, absolute");
  CHECK(names<RidgeEnd>() == "none, lowest, highest, flat");
  CHECK(names<RlsStatus>() == "accurate, doubtful, broken");
  CHECK(names<ExpansionKind>() == "identity, dense, hadamard");
  CHECK(names<Activation>() == "identity, relu, gelu, cosine");
  CHECK(names<SubspaceMethod>() == "automatic, exact, randomised");
  CHECK(names<BalanceKind>() == "label_share, label_rows, large_task, small_task");
  CHECK(names<MergeRule>() == "sum, data_aware");
  CHECK(names<SubspaceChoice>() == "none, own, complement");
  CHECK(names<SuggestionKind>() == "merge, archive, discard, replace_adapter");
  CHECK(names<RoutingOutcome>() == "routed, blend, fallback, review");
  CHECK(names<NoveltyMode>() == "none, score, diagonal, leverage");
  CHECK(names<FallbackKind>() == "base_model, default_task, caller");
  CHECK(names<Schedule>() == "constant, linear, cosine");
  CHECK(to_string(ExpansionStream::bias) == "bias");
  CHECK(message_of<ArgumentError>([] { (void)to_string(ExpansionStream{7}); }) ==
        "expansion stream is 7, expected one of projection, bias, signs");
  CHECK(to_string(Sign::subtract) == "subtract");
}

TEST_CASE("words that programs read go both ways and others are refused", "[learner][error]") {
  for (const char* word : {"none", "own", "complement"}) {
    CHECK(to_string(parse_subspace_choice(word)) == word);
  }
  for (const char* word : {"constant", "linear", "cosine"}) {
    CHECK(to_string(parse_schedule(word)) == word);
  }
  CHECK(message_of<ArgumentError>([] { (void)parse_subspace_choice("outer", "--subspace"); }) ==
        "--subspace is 'outer', expected one of none, own, complement");
  CHECK(message_of<ArgumentError>([] { (void)parse_schedule("step"); }) ==
        "schedule is 'step', expected one of constant, linear, cosine");
  CHECK(message_of<ArgumentError>([] { (void)to_string(static_cast<Schedule>(3)); }) ==
        "schedule is '3', expected one of constant, linear, cosine");
}
