// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// One module for several tasks that changes each task's own inputs as that task's module does:
///
///   minimise  sum_i w_i |X_i (dW - dW_i)^T|^2 + lambda |dW|^2      X_i the inputs of task i
///   dW^T = G^-1 sum_i w_i S_i dW_i^T      G = sum_i w_i S_i + lambda I      S_i = X_i^T X_i
///
/// Of all changes of rank r the best in the same measure is dW cut in the metric of the data: with
/// G = L L^T, dW L = U diag(s) V^T, it is U_r diag(s_r) V_r^T L^-1. As dW_i = c_i B_i A_i,
///
///   dW L = [B_1 c_1, B_2 c_2, ...] (L^-1 [w_1 S_1 A_1^T, w_2 S_2 A_2^T, ...])^T
///
/// so no out x in matrix is formed; moments in subspaces are solved within the sum of these.
/// Source: RegMean, arXiv 2212.09849, for dW; the cut is that of reduced-rank regression.

#include <algorithm>
#include <cmath>
#include <concepts>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "anyssr/linalg/lower_cholesky.hpp"
#include "anyssr/linalg/product.hpp"
#include "anyssr/linalg/thin_qr.hpp"
#include "anyssr/linalg/thin_svd.hpp"
#include "anyssr/linalg/vectors.hpp"
#include "anyssr/lora/adapter_algebra.hpp"
#include "anyssr/lora/site_moments.hpp"

namespace anyssr::inline ANYSSR_ABI {

struct DataMergeOptions {
  Index rank = 0;       ///< of the result at most; 0: the largest rank among the modules
  double ridge = 1e-6;  ///< above 0: lambda over the mean diagonal entry of sum_i w_i S_i
};

/// One task at one site.
template <RealScalar S>
struct DataMergeTerm {
  const LoraModule<S>* module = nullptr;
  const SiteMoment<S>* moment = nullptr;
  double weight = 1;  ///< w_i, above 0; 1 / rows makes every task count the same
};

/// What was lost: over the inputs of all tasks, sqrt(sum_i w_i |X_i (dW - dW_i)^T|^2).
template <RealScalar S>
struct DataMergedModule {
  LoraModule<S> module;
  double error = 0;
  double relative_error = 0;     ///< error / sqrt(sum_i w_i |X_i dW_i^T|^2), 0 where that is 0
  std::vector<double> errors{};  ///< |X_i (dW - dW_i)^T|, one a task
};

namespace detail {

template <RealScalar S>
void expect_moment(const SiteMoment<S>& site, const LoraModule<S>& module) {
  const Index k = site.is_whole() ? module.in_dim() : site.basis.cols();
  expect<ShapeError>(site.in_dim() == module.in_dim(), "moment is of ", site.in_dim(),
                     " inputs, expected ", module.in_dim());
  expect<ShapeError>(site.moment.rows() == k && site.moment.cols() == k, "moment is ",
                     site.moment.rows(), " x ", site.moment.cols(), ", expected ", k, " x ", k);
  for (Index j = 0; j < k; ++j) {
    const auto column = site.moment.col(j).tail(k - j);
    if (!is_finite(column)) expect_finite("moment", column);
    expect(column(0) >= 0, "moment has ", column(0), " on its diagonal at ", j,
           ", expected 0 or more");
  }
  if (!site.is_whole()) expect_orthonormal("basis", site.basis);
}

/// Checks all that one term points to.
template <RealScalar S>
void expect_term(const DataMergeTerm<S>& term, const LoraModule<S>* first) {
  expect(term.module != nullptr && term.moment != nullptr,
         "a term has no module or no moment, expected both");
  expect_positive("weight", term.weight);
  if (first != nullptr) expect_same_layer(*first, *term.module, "");
  expect_finite("a", term.module->a());
  expect_finite("b", term.module->b());
  expect_moment(*term.moment, *term.module);
}

/// A U, r x k: what a module reads of the inputs that a moment knows.
template <RealScalar S>
[[nodiscard]] Matrix<double> inside(const Matrix<double>& a, const SiteMoment<S>& site) {
  if (site.is_whole()) return a;
  return product_of<Matrix<double>>(a, Matrix<double>(site.basis.template cast<double>()));
}

/// |X (B A)^T| for factors whose A is given inside the moment. B is reduced first: what cancels
/// between the columns of B A cancels there, before anything is squared.
template <RealScalar S>
[[nodiscard]] double data_norm(const Matrix<double>& b, const Matrix<double>& a,
                               const SiteMoment<S>& site) {
  const auto reduced = product_of<Matrix<double>>(ThinQr(b).r(), a);
  const Matrix<double> moment = site.moment.template selfadjointView<Eigen::Lower>();
  const auto weighted = product_of<Matrix<double>>(reduced, moment);
  return std::sqrt(std::max(0.0, weighted.cwiseProduct(reduced).sum()));
}

/// The sum of the terms' subspaces: in x K, or all of the inputs.
class MergeSpace {
 public:
  template <RealScalar S>
  explicit MergeSpace(std::span<const DataMergeTerm<S>> terms)
      : dim_(terms.front().module->in_dim()) {
    Index columns = 0;
    bool is_whole = false;
    for (const DataMergeTerm<S>& term : terms) {
      columns += term.moment->basis.cols();
      is_whole = is_whole || term.moment->is_whole();
    }
    if (is_whole || columns >= dim_) return;
    Matrix<double> stacked(dim_, columns);
    Index at = 0;
    for (const DataMergeTerm<S>& term : terms) {
      stacked.middleCols(at, term.moment->basis.cols()) =
          term.moment->basis.template cast<double>();
      at += term.moment->basis.cols();
    }
    qr_.emplace(stacked);
    coordinates_ = qr_->r();
    dim_ = columns;
  }

  [[nodiscard]] Index dim() const noexcept { return dim_; }

  /// The basis of a moment that is not whole in this space, K x k.
  /// @param begin  columns of the terms before it
  template <RealScalar S>
  [[nodiscard]] Matrix<double> basis_of(const SiteMoment<S>& site, Index begin) const {
    if (qr_) return coordinates_.middleCols(begin, site.basis.cols());
    return site.basis.template cast<double>();
  }

  /// K x r as in x r.
  template <std::same_as<double> R>
  [[nodiscard]] Matrix<R> lift(const Matrix<R>& x) const {
    return qr_ ? qr_->q_times(x) : x;
  }

 private:
  Index dim_;
  std::optional<ThinQr> qr_;
  Matrix<double> coordinates_;
};

/// The sums of the terms.
struct MergeSums {
  Matrix<double> gram;   // G without lambda, K x K, lower
  Matrix<double> right;  // [w_i S_i A_i^T, ...], K x R
  Matrix<double> b;      // [c_i B_i, ...], out x R
  Index most_rank = 0;
};

template <RealScalar S>
[[nodiscard]] MergeSums sums_of(std::span<const DataMergeTerm<S>> terms, const MergeSpace& space) {
  Index rank = 0;
  MergeSums sums;
  for (const DataMergeTerm<S>& term : terms) {
    rank += term.module->rank();
    sums.most_rank = std::max(sums.most_rank, term.module->rank());
  }
  sums.gram.setZero(space.dim(), space.dim());
  sums.right.resize(space.dim(), rank);
  sums.b.resize(terms.front().module->out_dim(), rank);
  Index at = 0;
  Index begin = 0;
  for (const DataMergeTerm<S>& term : terms) {
    const SiteMoment<S>& site = *term.moment;
    const auto [b, a] = factors_in_double(*term.module);
    const Matrix<double> moment =
        term.weight * Matrix<double>(site.moment.template selfadjointView<Eigen::Lower>());
    const auto product = product_of<Matrix<double>>(moment, inside(a, site).transpose());
    sums.b.middleCols(at, b.cols()) = b;
    if (site.is_whole()) {
      sums.gram += moment;
      sums.right.middleCols(at, b.cols()) = product;
    } else {
      const Matrix<double> basis = space.basis_of(site, begin);
      add_product(sums.gram, product_of<Matrix<double>>(basis, moment), basis.transpose());
      set_product(sums.right.middleCols(at, b.cols()), basis, product);
    }
    at += b.cols();
    begin += site.basis.cols();
  }
  return sums;
}

/// The best module of the rank, from the sums.
template <RealScalar S>
[[nodiscard]] LoraModule<S> best_module(MergeSums& sums, const MergeSpace& space, Index in,
                                        const DataMergeOptions& options) {
  const double trace = sums.gram.trace();
  expect(trace > 0, "the moments are zero, expected inputs to merge by");
  sums.gram.diagonal().array() += options.ridge * trace / static_cast<double>(in);
  expect(factor_lower(sums.gram),
         "the moments have a negative eigenvalue, expected second moments of rows: at ridge ",
         options.ridge, " their sum is not positive definite");
  solve_triangle<Eigen::Lower>(sums.gram, sums.right);
  const ThinQr left(sums.b);
  const ThinQr right(sums.right);
  const auto core = product_of<Matrix<double>>(left.r(), right.r().transpose());
  const ThinSvd svd = thin_svd(core);
  const Index asked = options.rank == 0 ? sums.most_rank : options.rank;
  const Index rank = std::min(asked, svd.values.size());
  Matrix<double> b = left.q_times(svd.u.leftCols(rank));
  Matrix<double> a = right.q_times(svd.v.leftCols(rank) * svd.values.head(rank).asDiagonal());
  solve_triangle<Eigen::Upper>(sums.gram.transpose(), a);
  a = space.lift(a);
  const double size = norm(a.data(), a.size());
  if (size > 0) {  // both factors of one norm
    const double root = std::sqrt(size / std::sqrt(static_cast<double>(rank)));
    b *= root;
    a /= root;
  }
  return LoraModule<S>(Matrix<S>(a.transpose().template cast<S>()), b.template cast<S>(),
                       {.rank = rank, .alpha = static_cast<double>(rank)});
}

}  // namespace detail

/// |X_i (dW - dW_i)^T|_F between a module and the one of a term, through the term's moment: exact
/// to round-off of double where that is whole, else what its subspace shows.
/// @throws ShapeError, NonFiniteError, ArgumentError
template <RealScalar S>
[[nodiscard]] double data_error(const LoraModule<S>& module, const DataMergeTerm<S>& term) {
  detail::expect_term(term, &module);
  const auto [b, a] = detail::factors_in_double(module);
  const auto [own_b, own_a] = detail::factors_in_double(*term.module);
  Matrix<double> both_b(b.rows(), b.cols() + own_b.cols());
  Matrix<double> both_a(both_b.cols(), a.cols());
  both_b << b, -own_b;
  both_a << a, own_a;
  return detail::data_norm(both_b, detail::inside(both_a, *term.moment), *term.moment);
}

/// The module of the rank asked for that loses least on the inputs of all terms; it is not
/// confined. Inputs outside every moment's subspace are not changed.
/// @throws ShapeError, NonFiniteError, ArgumentError  no term, an incomplete one, modules or
///         moments of two layers, numbers that are not finite, moments of no rows or of rows that
///         cannot be
/// Cost: K^3 / 3 + K^2 R flops with R the sum of the ranks and K = in, or the sum of the moments'
/// directions; in double.
template <RealScalar S>
[[nodiscard]] DataMergedModule<S> merge_by_data(std::span<const DataMergeTerm<S>> terms,
                                                const DataMergeOptions& options = {}) {
  detail::expect(!terms.empty(), "there are 0 terms, expected at least 1");
  detail::expect(options.rank >= 0, "rank is ", options.rank, ", expected 0 (the largest) or more");
  detail::expect_positive("ridge", options.ridge);
  for (const DataMergeTerm<S>& term : terms) detail::expect_term(term, terms.front().module);
  const detail::MergeSpace space(terms);
  detail::MergeSums sums = detail::sums_of(terms, space);
  DataMergedModule<S> result{
      detail::best_module<S>(sums, space, terms.front().module->in_dim(), options)};
  double norm = 0;
  for (const DataMergeTerm<S>& term : terms) {
    const auto [b, a] = detail::factors_in_double(*term.module);
    const double own = detail::data_norm(b, detail::inside(a, *term.moment), *term.moment);
    result.errors.push_back(data_error(result.module, term));
    result.error = std::hypot(result.error, std::sqrt(term.weight) * result.errors.back());
    norm = std::hypot(norm, std::sqrt(term.weight) * own);
  }
  result.relative_error = norm == 0 ? 0 : result.error / norm;
  return result;
}

/// One task with all its sites.
template <RealScalar S>
struct DataMergeEntry {
  const Adapter<S>* adapter = nullptr;
  const SiteMoments<S>* moments = nullptr;  ///< of every site where it has a module
  double weight = 1;                        ///< above 0, of its inputs and of its heads
};

template <RealScalar S>
struct DataMergedAdapter {
  Adapter<S> adapter;
  std::map<std::string, double> relative_error{};  ///< by site, as in DataMergedModule
};

/// One adapter that does at every site what merge_by_data of the modules there does; a module that
/// is alone at its site and of no higher rank than asked for keeps its bits. Heads and metadata as
/// merge_adapters makes them.
/// @throws as merge_by_data and merge_adapters; ArgumentError for a site without a moment
template <RealScalar S>
[[nodiscard]] DataMergedAdapter<S> merge_by_data(std::span<const DataMergeEntry<S>> entries,
                                                 const DataMergeOptions& options = {}) {
  std::map<std::string, std::vector<DataMergeTerm<S>>> sites;
  std::vector<Adapter<S>> shells;  // heads and metadata
  for (const auto& [adapter, moments, weight] : entries) {
    detail::expect(adapter != nullptr && moments != nullptr,
                   "an entry has no adapter or no moments, expected both");
    detail::expect_positive("weight", weight);
    for (const auto& [site, module] : adapter->modules) {
      const auto moment = moments->find(site);
      detail::expect(moment != moments->end(), "moments have no site '", site,
                     "', expected one for each module");
      sites[site].push_back({&module, &moment->second, weight});
    }
    shells.push_back({.modules = {}, .heads = adapter->heads, .metadata = adapter->metadata});
  }
  std::vector<typename AdapterMix<S>::Entry> mix;
  for (std::size_t i = 0; i < shells.size(); ++i) mix.push_back({&shells[i], entries[i].weight});
  DataMergedAdapter<S> result{merge_adapters<S>(mix)};
  for (const auto& [site, terms] : sites) {
    const LoraModule<S>& first = *terms.front().module;
    if (terms.size() == 1 && (options.rank == 0 || first.rank() <= options.rank)) {
      result.adapter.modules.emplace(site, first);
      result.relative_error[site] = 0;
      continue;
    }
    DataMergedModule<S> merged =
        merge_by_data<S>(std::span<const DataMergeTerm<S>>(terms), options);
    result.adapter.modules.emplace(site, std::move(merged.module));
    result.relative_error[site] = merged.relative_error;
  }
  return result;
}

}  // namespace anyssr::inline ANYSSR_ABI
