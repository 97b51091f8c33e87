// SPDX-License-Identifier: MIT
#include "departments/complete/folder_keeper.hpp"

namespace departments {

template <>
std::shared_ptr<Keeper<WordsInFloat>> open_keeper(const Options& options) {
  return std::make_shared<FolderKeeper<WordsInFloat>>(options);
}

}  // namespace departments
