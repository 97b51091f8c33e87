// SPDX-License-Identifier: MIT
#include "departments/complete/folder_keeper.hpp"
#include "departments/run.hpp"

namespace departments {

template <>
std::shared_ptr<Keeper<WordsInDouble>> open_keeper(const Options& options) {
  return std::make_shared<FolderKeeper<WordsInDouble>>(options);
}

Results run_double(Questions& questions, const Options& options, Answerer& answer) {
  return Run<WordsInDouble>(questions, options, hashed_words<double>(options)).run(answer);
}

}  // namespace departments
