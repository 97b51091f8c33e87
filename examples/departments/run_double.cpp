// SPDX-License-Identifier: MIT
#include "departments/run.hpp"

namespace departments {

Results run_double(Questions& questions, const Options& options, Answerer& answer) {
  return Run<double>(questions, options).run(answer);
}

}  // namespace departments
