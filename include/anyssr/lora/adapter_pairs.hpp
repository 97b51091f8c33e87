// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Which adapters of many do the same: for every pair, over the sites that both have,
///
///   similarity      <dW_1, dW_2> / (|dW_1| |dW_2|)
///   row overlap     sum |V_1^T V_2|^2 / sum min(r_1, r_2)     what they read of their inputs
///   column overlap  sum |U_1^T U_2|^2 / sum min(r_1, r_2)     where they write
///
/// with dW = U diag(s) V^T of each module. The overlaps are mean squared cosines of principal
/// angles. No out x in matrix is formed; the products of all adapters at a site are one Gram.
/// Source: ours.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "anyssr/core/threads.hpp"
#include "anyssr/linalg/product.hpp"
#include "anyssr/linalg/second_moment.hpp"
#include "anyssr/linalg/thin_svd.hpp"
#include "anyssr/linalg/vectors.hpp"
#include "anyssr/lora/adapter_algebra.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// Two adapters by their places in the list, first < second.
struct AdapterPair {
  std::size_t first = 0;
  std::size_t second = 0;
  double similarity = 0;      ///< -1..1, of the changes at common sites; 0 where one is zero
  double row_overlap = 0;     ///< 0..1; 1: one reads only what the other reads
  double column_overlap = 0;  ///< 0..1
  Index common_sites = 0;
};

namespace detail {

/// dW = U diag(s) V^T of one module.
struct ChangeFactors {
  Matrix<double> u;       // out x k
  Matrix<double> v;       // in x k
  Vector<double> values;  // s, k, descending
  Index rank = 0;         // leading values that are more than round-off of the factors

  template <RealScalar S>
  explicit ChangeFactors(const LoraModule<S>& module) {
    const auto [b, a] = factors_in_double(module);
    const ThinQr left(b);
    const ThinQr right(a.transpose());
    const auto core = product_of<Matrix<double>>(left.r(), right.r().transpose());
    const ThinSvd svd = thin_svd(core);
    values = svd.values;
    u = left.q_times(svd.u);
    v = right.q_times(svd.v);
    const double least = 64 * static_cast<double>(std::numeric_limits<S>::epsilon()) * values(0);
    while (rank < values.size() && values(rank) > least) ++rank;
  }
};

/// What the sites add up to for one pair.
struct PairSums {
  double product = 0;
  double first_norm = 0;
  double second_norm = 0;
  double rows = 0;
  double columns = 0;
  Index angles = 0;
  Index sites = 0;
};

/// The lower triangle of [M_1, M_2, ...]^T [M_1, M_2, ...].
[[nodiscard]] inline Matrix<double> gram_of(const std::vector<ChangeFactors>& factors,
                                            Matrix<double> ChangeFactors::*part, Index columns,
                                            int threads) {
  Matrix<double> stacked((factors.front().*part).rows(), columns);
  Index at = 0;
  for (const ChangeFactors& f : factors) {
    stacked.middleCols(at, (f.*part).cols()) = f.*part;
    at += (f.*part).cols();
  }
  Matrix<double> gram = Matrix<double>::Zero(columns, columns);
  accumulate_second_moment(stacked, gram, threads);
  return gram;
}

/// The sums of all pairs, pair (i, j), i < j, at j (j - 1) / 2 + i.
using AllPairSums = std::vector<PairSums>;

/// Adds one site, which `owners` have, in ascending order, with these modules.
template <RealScalar S>
void add_site(const std::vector<std::size_t>& owners,
              const std::vector<const LoraModule<S>*>& modules, int threads, AllPairSums& sums) {
  std::vector<ChangeFactors> factors;
  std::vector<Index> begins;
  Index columns = 0;
  for (const LoraModule<S>* module : modules) {
    begins.push_back(columns);
    columns += factors.emplace_back(*module).values.size();
  }
  const Matrix<double> outer = gram_of(factors, &ChangeFactors::u, columns, threads);
  const Matrix<double> inner = gram_of(factors, &ChangeFactors::v, columns, threads);
  for (std::size_t j = 1; j < owners.size(); ++j) {
    for (std::size_t i = 0; i < j; ++i) {
      const ChangeFactors& f = factors[i];
      const ChangeFactors& g = factors[j];
      const auto u = outer.block(begins[j], begins[i], g.values.size(), f.values.size());
      const auto v = inner.block(begins[j], begins[i], g.values.size(), f.values.size());
      PairSums& pair = sums[owners[j] * (owners[j] - 1) / 2 + owners[i]];
      pair.product += g.values.dot(u.cwiseProduct(v) * f.values);
      pair.first_norm = std::hypot(pair.first_norm, norm(f.values.data(), f.values.size()));
      pair.second_norm = std::hypot(pair.second_norm, norm(g.values.data(), g.values.size()));
      pair.rows += v.topLeftCorner(g.rank, f.rank).squaredNorm();
      pair.columns += u.topLeftCorner(g.rank, f.rank).squaredNorm();
      pair.angles += std::min(f.rank, g.rank);
      ++pair.sites;
    }
  }
}

/// The modules of every site, with the adapters that they are of.
template <RealScalar S>
struct SiteOwners {
  std::vector<std::size_t> owners;
  std::vector<const LoraModule<S>*> modules;
};

template <RealScalar S>
[[nodiscard]] std::map<std::string, SiteOwners<S>> owners_by_site(
    std::span<const Adapter<S>* const> adapters) {
  std::map<std::string, SiteOwners<S>> sites;
  for (std::size_t i = 0; i < adapters.size(); ++i) {
    expect(adapters[i] != nullptr, "adapter ", i, " is null, expected one to compare");
    for (const auto& [site, module] : adapters[i]->modules) {
      expect_finite("a of '" + site + "'", module.a());
      expect_finite("b of '" + site + "'", module.b());
      SiteOwners<S>& entry = sites[site];
      if (!entry.modules.empty()) {
        expect_same_layer(*entry.modules.front(), module, " of '" + site + "'");
      }
      entry.owners.push_back(i);
      entry.modules.push_back(&module);
    }
  }
  return sites;
}

}  // namespace detail

/// All pairs, the most similar first; of equally similar ones those that read and write more of the
/// same, then by place. Pairs without a common site have zeros.
/// @param adapters  none null; fewer than two have no pairs
/// @param threads   0: the cores that this process may use
/// @throws ArgumentError   a null adapter
/// @throws ShapeError      modules of one site of two shapes
/// @throws NonFiniteError  a module with NaN or infinity
/// Cost: O((in + out) r^2) a pair and site, in double; memory for the factors of one site.
template <RealScalar S>
[[nodiscard]] std::vector<AdapterPair> rank_pairs(std::span<const Adapter<S>* const> adapters,
                                                  int threads = 0) {
  const auto sites = detail::owners_by_site<S>(adapters);
  const std::size_t count = adapters.size();
  detail::AllPairSums sums(count < 2 ? 0 : count * (count - 1) / 2);
  for (const auto& [site, entry] : sites) {
    if (entry.owners.size() < 2) continue;
    detail::add_site(entry.owners, entry.modules, resolve_threads(threads), sums);
  }
  std::vector<AdapterPair> pairs;
  pairs.reserve(sums.size());
  for (std::size_t j = 1; j < count; ++j) {
    for (std::size_t i = 0; i < j; ++i) {
      const detail::PairSums& sum = sums[j * (j - 1) / 2 + i];
      const double angles = std::max(1.0, static_cast<double>(sum.angles));
      pairs.push_back({.first = i,
                       .second = j,
                       .similarity = detail::cosine(sum.product, sum.first_norm, sum.second_norm),
                       .row_overlap = std::min(1.0, sum.rows / angles),
                       .column_overlap = std::min(1.0, sum.columns / angles),
                       .common_sites = sum.sites});
    }
  }
  std::sort(pairs.begin(), pairs.end(), [](const AdapterPair& left, const AdapterPair& right) {
    const auto key = [](const AdapterPair& pair) {
      return std::tuple(-pair.similarity, -(pair.row_overlap + pair.column_overlap), pair.first,
                        pair.second);
    };
    return key(left) < key(right);
  });
  return pairs;
}

}  // namespace anyssr::inline ANYSSR_ABI
