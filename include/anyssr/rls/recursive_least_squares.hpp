// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Ridge regression that learns in batches and ends where one joint fit would end:
///
///   S = sum_i s_i x_i^T x_i        second moment, d x d; the ridge is never in it
///   C = sum_i s_i x_i^T y_i        cross-correlation, d x T
///   W = (S + lambda I)^-1 C        weights, d x T
///
/// No batch is stored or seen twice, and their order does not matter. Two forms of one class:
///
///   RecursiveLeastSquares<S>              keeps S and C, solves when asked, any lambda at any time
///   RecursiveLeastSquares<S, Covariance>  keeps (S + lambda I)^-1 and W: current after every batch
///
/// Source: Any-SSR, arXiv 2503.13575 (router training), and ACIL, arXiv 2205.14922.

#include "anyssr/rls/covariance_form.hpp"
#include "anyssr/rls/information_form.hpp"
#include "anyssr/rls/rls_options.hpp"

#ifdef ANYSSR_COMPILED
#include "anyssr/instantiate/regressions.hpp"
#endif
