// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The analytic router, its decisions on dense rows in memory and on sparse ones.

#include "anyssr/router/analytic_router.hpp"

#define ANYSSR_INSTANTIATE_ROUTERS(EXPLICIT, S)                                                    \
  EXPLICIT class anyssr::RoutingTable<S>;                                                          \
  EXPLICIT class anyssr::AnalyticRouter<S>;                                                        \
  EXPLICIT std::uint64_t anyssr::AnalyticRouter<S>::commit(                                        \
      anyssr::detail::TaskRows, const anyssr::RowMajorMatrix<S>&, const anyssr::SparseRows<S>&);   \
  EXPLICIT void anyssr::AnalyticRouter<S>::withdraw(                                               \
      anyssr::detail::TaskRows, const anyssr::RowMajorMatrix<S>&, const anyssr::SparseRows<S>&,    \
      std::optional<std::uint64_t>);                                                               \
  EXPLICIT std::uint64_t anyssr::AnalyticRouter<S>::commit(                                        \
      anyssr::detail::TaskRows, const anyssr::SparseRows<S>&, const anyssr::SparseRows<S>&);       \
  EXPLICIT void anyssr::AnalyticRouter<S>::withdraw(                                               \
      anyssr::detail::TaskRows, const anyssr::SparseRows<S>&, const anyssr::SparseRows<S>&,        \
      std::optional<std::uint64_t>);                                                               \
  EXPLICIT std::uint64_t anyssr::AnalyticRouter<S>::absorb(                                        \
      anyssr::detail::TaskRows, const anyssr::detail::ConstMatrixMap<S, Eigen::ColMajor>&,         \
      std::span<const anyssr::Index>);                                                             \
  EXPLICIT void anyssr::AnalyticRouter<S>::release(                                                \
      std::string_view, const anyssr::detail::ConstMatrixMap<S, Eigen::ColMajor>&,                 \
      std::span<const anyssr::Index>, std::optional<std::uint64_t>);                               \
  EXPLICIT void anyssr::RoutingTable<S>::decide_all(                                               \
      const anyssr::detail::ConstMatrixMap<S, Eigen::ColMajor>&, anyssr::RoutingWorkspace<S>&,     \
      std::vector<anyssr::RoutingDecision>&) const;                                                \
  EXPLICIT void anyssr::RoutingTable<S>::decide_one(                                               \
      const anyssr::detail::ConstMatrixMap<S, Eigen::ColMajor>&, anyssr::RoutingWorkspace<S>&,     \
      anyssr::RoutingDecision&) const;                                                             \
  EXPLICIT std::uint64_t anyssr::AnalyticRouter<S>::absorb(                                        \
      anyssr::detail::TaskRows, const anyssr::detail::ConstMatrixMap<S, Eigen::RowMajor>&,         \
      std::span<const anyssr::Index>);                                                             \
  EXPLICIT void anyssr::AnalyticRouter<S>::release(                                                \
      std::string_view, const anyssr::detail::ConstMatrixMap<S, Eigen::RowMajor>&,                 \
      std::span<const anyssr::Index>, std::optional<std::uint64_t>);                               \
  EXPLICIT void anyssr::RoutingTable<S>::decide_all(                                               \
      const anyssr::detail::ConstMatrixMap<S, Eigen::RowMajor>&, anyssr::RoutingWorkspace<S>&,     \
      std::vector<anyssr::RoutingDecision>&) const;                                                \
  EXPLICIT void anyssr::RoutingTable<S>::decide_one(                                               \
      const anyssr::detail::ConstMatrixMap<S, Eigen::RowMajor>&, anyssr::RoutingWorkspace<S>&,     \
      anyssr::RoutingDecision&) const;                                                             \
  EXPLICIT std::uint64_t anyssr::AnalyticRouter<S>::absorb(                                        \
      anyssr::detail::TaskRows, const anyssr::SparseRows<S>&, std::span<const anyssr::Index>);     \
  EXPLICIT void anyssr::AnalyticRouter<S>::release(std::string_view, const anyssr::SparseRows<S>&, \
                                                   std::span<const anyssr::Index>,                 \
                                                   std::optional<std::uint64_t>);                  \
  EXPLICIT void anyssr::RoutingTable<S>::decide_all(const anyssr::SparseRows<S>&,                  \
                                                    anyssr::RoutingWorkspace<S>&,                  \
                                                    std::vector<anyssr::RoutingDecision>&) const;  \
  EXPLICIT void anyssr::RoutingTable<S>::decide_one(                                               \
      const anyssr::SparseRows<S>&, anyssr::RoutingWorkspace<S>&, anyssr::RoutingDecision&) const;

#ifdef ANYSSR_COMPILED
ANYSSR_INSTANTIATE_ROUTERS(extern template, float)
ANYSSR_INSTANTIATE_ROUTERS(extern template, double)
#endif
