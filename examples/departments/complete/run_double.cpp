// SPDX-License-Identifier: MIT
#include "departments/complete/folder_keeper.hpp"
#include "departments/run.hpp"

namespace departments {

template <>
std::shared_ptr<Keeper<double>> open_keeper(const Options& options) {
  return std::make_shared<FolderKeeper<double>>(options);
}

Results run_double(Questions& questions, const Options& options, Answerer& answer) {
  return Run<double>(questions, options).run(answer);
}

}  // namespace departments
