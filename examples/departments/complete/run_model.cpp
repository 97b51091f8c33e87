// SPDX-License-Identifier: MIT
#include "departments/complete/folder_keeper.hpp"
#include "departments/complete/read_model.hpp"
#include "departments/run.hpp"

namespace departments {

template <>
std::shared_ptr<Keeper<ModelInFloat>> open_keeper(const Options& options) {
  return std::make_shared<FolderKeeper<ModelInFloat>>(options);
}

Results run_with_model(Questions& questions, const Options& options, Answerer& answer) {
  auto model = read_model(options.model, options.dim, options.seed, options.threads, questions);
  return Run<ModelInFloat>(questions, options, std::move(model)).run(answer);
}

}  // namespace departments
