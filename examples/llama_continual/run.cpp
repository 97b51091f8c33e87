// SPDX-License-Identifier: MIT
#include "llama_continual/run.hpp"

namespace llama_continual {

Results run(const std::vector<Task>& tasks, const std::vector<Task>& stripped,
            const support::TextTokens& tokens, const Options& options, Answerer& answer) {
  return Run<float>(tasks, tokens, options).run(stripped, answer);
}

Answerer load(const support::TextTokens& tokens, const Options& options) {
  return load_answerer<float>(tokens, options);
}

}  // namespace llama_continual
