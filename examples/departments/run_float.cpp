// SPDX-License-Identifier: MIT
#include "departments/leaves/linear_algebra.hpp"
#include "departments/leaves/subspaces.hpp"
#include "departments/leaves/training.hpp"
#include "departments/run.hpp"

namespace departments {

Results run_float(Questions& questions, const Options& options, Answerer& answer) {
  return Run<WordsInFloat>(questions, options, hashed_words<float>(options)).run(answer);
}

}  // namespace departments
