// SPDX-License-Identifier: MIT
#include "llama_continual/run.hpp"

namespace llama_continual {

Results run(const std::vector<Task>& tasks, const std::vector<Task>& stripped,
            const support::TextTokens& tokens, const Options& options, Answerer& answer) {
  return Run<float>(tasks, tokens, options).run(stripped, answer);
}

}  // namespace llama_continual
