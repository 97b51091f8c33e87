// SPDX-License-Identifier: MIT
// Ridge regression alone.
#include <anyssr/rls/information_form.hpp>

int main() {
  anyssr::RecursiveLeastSquares<float, anyssr::Information> regression(4);
  const anyssr::Matrix<float> x = anyssr::Matrix<float>::Identity(4, 4);
  const anyssr::Matrix<float> y = anyssr::Matrix<float>::Ones(4, 2);
  regression.update(x, y);
  return regression.predict(x).cols() == 2 ? 0 : 1;
}
