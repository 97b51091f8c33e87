// SPDX-License-Identifier: MIT

/// @file
/// The program of a user who has the installed or fetched library: it draws numbers and checks
/// their mean and spread.

#include <cmath>
#include <iostream>

#include "anyssr/anyssr.hpp"

int main() {
  const anyssr::Matrix<double> x = anyssr::random_normal<double>(200, 50, 7);
  const double mean = x.mean();
  const double variance = x.squaredNorm() / static_cast<double>(x.size()) - mean * mean;
  std::cout << "anyssr " << ANYSSR_VERSION_STRING << ": mean " << mean << ", variance " << variance
            << '\n';
  return std::abs(mean) < 0.03 && std::abs(variance - 1) < 0.05 ? 0 : 1;
}
