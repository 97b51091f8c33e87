// SPDX-License-Identifier: MIT
#include "cl_benchmark/settings.hpp"

#include <anyssr/core/error.hpp>
#include <charconv>

#include "support/messages.hpp"
#include "support/shown.hpp"

namespace cl_benchmark {

const std::map<std::string, TunableSetting, std::less<>>& tunable_settings() {
  static const std::map<std::string, TunableSetting, std::less<>> all{
      {"ewc", {100, 0, 1e12, "strength of the penalty of ewc"}},
      {"l2", {0.01, 0, 1e12, "strength of the penalty of l2"}},
      {"o_lora", {0.5, 0, 1e12, "strength of the penalty of o_lora"}},
      {"mahalanobis", {0.6, 1e-6, 1, "shrinkage of its covariance"}},
      {"knn", {5, 1, 1000, "neighbours that vote"}},
      {"softmax_rate", {1, 1e-6, 1e6, "rate of sgd_softmax"}},
      {"softmax_epochs", {5, 1, 1000, "epochs of sgd_softmax"}},
      {"published_width", {2048, 1, 1e5, "random projections that published_rls reads"}},
      {"published_ridge", {0.3, 1e-12, 1e12, "ridge of published_rls"}},
      {"epochs", {20, 1, 1000, "of an adapter, in every method"}},
      {"rate", {0.01, 1e-6, 1, "of an adapter, in every method"}},
  };
  return all;
}

double MethodSettings::operator[](std::string_view name) const {
  const auto found = tuned.find(std::string(name));
  return found != tuned.end() ? found->second : tunable_settings().find(name)->second.value;
}

void tune(MethodSettings& settings, const std::string& text) {
  const std::size_t equals = text.find('=');
  const std::string name = text.substr(0, equals);
  const auto known = tunable_settings().find(name);
  if (equals == std::string::npos || known == tunable_settings().end()) {
    std::string list;
    for (const auto& entry : tunable_settings()) list += (list.empty() ? "" : ", ") + entry.first;
    throw anyssr::ArgumentError("--tune is " + support::in_quotes(text) +
                                ", expected NAME=VALUE with one of " + list);
  }
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data() + equals + 1, end, value);
  const TunableSetting& setting = known->second;
  const bool is_within = value >= setting.least && value <= setting.most;
  support::expect(error == std::errc() && stop == end && is_within, "--tune is ",
                  support::in_quotes(text), ", expected for ", name, " a number from ",
                  setting.least, " to ", setting.most);
  settings.tuned[name] = value;
}

}  // namespace cl_benchmark
