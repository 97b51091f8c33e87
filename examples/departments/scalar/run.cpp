// SPDX-License-Identifier: MIT
#include "departments/run.hpp"

#include "departments/scalar/learner.hpp"

namespace departments {

const char* const program_scalar = std::is_same_v<Scalar, float> ? "float" : "double";

Results learn_and_measure(Questions& questions, const Options& options, Answerer& answer) {
  return Run<Scalar>(questions, options).run(answer);
}

}  // namespace departments
