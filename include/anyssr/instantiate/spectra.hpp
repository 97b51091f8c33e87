// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Singular values and eigenvalues, which are computed in double for every scalar.

#include "anyssr/linalg/orthonormal.hpp"
#include "anyssr/linalg/thin_svd.hpp"

#define ANYSSR_INSTANTIATE_SPECTRA(EXPLICIT)                                   \
  EXPLICIT anyssr::detail::GramSpectrum anyssr::detail::gram_spectrum<double>( \
      const anyssr::Matrix<double>&);                                          \
  EXPLICIT anyssr::detail::ThinSvd anyssr::detail::thin_svd<double>(           \
      const anyssr::Matrix<double>&);                                          \
  EXPLICIT anyssr::Vector<double> anyssr::detail::singular_values<double>(     \
      const anyssr::Matrix<double>&);

#ifdef ANYSSR_COMPILED
ANYSSR_INSTANTIATE_SPECTRA(extern template)
#endif
