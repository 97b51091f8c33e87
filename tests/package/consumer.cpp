// SPDX-License-Identifier: MIT

/// @file
/// The program of a user who has the installed or fetched library. It includes all of the library
/// and instantiates one module, which compiles soon; examples/ has programs that learn.

#include <iostream>

#include "anyssr/anyssr.hpp"

int main() {
  const anyssr::Matrix<float> a{{1, 0, 1}};
  const anyssr::Matrix<float> b{{1}, {2}};
  const anyssr::LoraModule<float> module(a, b, {.rank = 1, .alpha = 1});
  const anyssr::RowMajorMatrix<float> x{{1, 5, 2}};
  anyssr::RowMajorMatrix<float> y{{0, 1}};
  module.add_forward(x, y);
  std::cout << "anyssr " << ANYSSR_VERSION_STRING << ": " << y << '\n';
  return y(0, 0) == 3 && y(0, 1) == 7 ? 0 : 1;
}
