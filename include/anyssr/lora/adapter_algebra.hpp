// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Sums, norms and angles of low-rank changes, by their factors alone: no out x in matrix is ever
/// formed.
///
///   sum_i w_i c_i B_i A_i  =  c [w_1 c_1 / c B_1, w_2 c_2 / c B_2, ...] [A_1; A_2; ...]
///   |B A|_F                =  |R_B R_A^T|_F          B = Q_B R_B,  A^T = Q_A R_A
///   <B A, D C>_F           =  sum((B^T D) .* (A C^T))
///   nearest of rank k      =  Q_B U_k S_k V_k^T Q_A^T,  R_B R_A^T = U S V^T   (Eckart and Young)
///
/// Everything but the first line is computed in double.
/// Source: ours; the nearest of rank k by Eckart and Young, Psychometrika 1, 211 (1936).

#include <algorithm>
#include <cmath>
#include <concepts>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "anyssr/core/concepts.hpp"
#include "anyssr/core/error.hpp"
#include "anyssr/linalg/product.hpp"
#include "anyssr/linalg/thin_qr.hpp"
#include "anyssr/linalg/thin_svd.hpp"
#include "anyssr/linalg/vectors.hpp"
#include "anyssr/lora/adaptable_backbone.hpp"
#include "anyssr/lora/adapter.hpp"

namespace anyssr::inline ANYSSR_ABI {
namespace detail {

/// B times the scale, out x r, and the effective A, r x in.
template <RealScalar S>
[[nodiscard]] std::pair<Matrix<double>, Matrix<double>> factors_in_double(
    const LoraModule<S>& module) {
  Matrix<double> a = module.a().template cast<double>();
  if (module.is_confined()) {
    const Matrix<double> basis = module.basis().template cast<double>();
    a = product_of<Matrix<double>>(a, basis.transpose());
  }
  return {module.scale() * module.b().template cast<double>(), std::move(a)};
}

/// |B A|_F.
template <std::same_as<double> R = double>
[[nodiscard]] double product_norm(const Matrix<double>& b, const Matrix<double>& a) {
  const auto core =
      product_of<Matrix<double>>(ThinQr(b).r(), ThinQr(a.transpose()).r().transpose());
  return norm(core.data(), core.size());
}

template <RealScalar S>
void expect_same_layer(const LoraModule<S>& left, const LoraModule<S>& right,
                       const std::string& place) {
  expect<ShapeError>(left.in_dim() == right.in_dim() && left.out_dim() == right.out_dim(),
                     "modules", place, " are out ", left.out_dim(), " x in ", left.in_dim(),
                     " and out ", right.out_dim(), " x in ", right.in_dim(),
                     ", expected one shape");
}

/// <c_1 B_1 A_1, c_2 B_2 A_2>_F.
template <RealScalar S>
[[nodiscard]] double change_product(const LoraModule<S>& left, const LoraModule<S>& right) {
  const auto [b, a] = factors_in_double(left);
  const auto [d, c] = factors_in_double(right);
  const auto outer = product_of<Matrix<double>>(b.transpose(), d);
  const auto inner = product_of<Matrix<double>>(a, c.transpose());
  return outer.cwiseProduct(inner).sum();
}

[[nodiscard]] inline double cosine(double product, double left, double right) {
  if (left == 0 || right == 0) return 0;
  return std::clamp(product / left / right, -1.0, 1.0);
}

/// The module with another scale: factors and basis keep their bits, but for the sign of B.
template <RealScalar S>
[[nodiscard]] LoraModule<S> times(const LoraModule<S>& module, double weight) {
  if (weight == 1) return module;
  const LoraOptions options{module.rank(), module.alpha() * std::abs(weight),
                            module.rank_stabilised()};
  Matrix<S> b = module.b();
  if (weight < 0) b = -b;
  if (!module.is_confined()) return LoraModule<S>(module.a(), std::move(b), options);
  return LoraModule<S>(module.a(), std::move(b), module.basis(), options);
}

/// What several adapters have under one name.
template <class T>
using Weighted = std::vector<std::pair<const T*, double>>;

/// One module of the sum of the ranks, whose scale is the largest of |w_i c_i|: the B of that
/// entry keeps its bits, those of the others are rounded once.
template <RealScalar S>
[[nodiscard]] LoraModule<S> sum_of(const Weighted<LoraModule<S>>& terms, const std::string& site) {
  if (terms.size() == 1) return times(*terms.front().first, terms.front().second);
  const LoraModule<S>& first = *terms.front().first;
  Index rank = 0;
  double scale = 0;
  for (const auto& [module, weight] : terms) {
    expect_same_layer(first, *module, " of '" + site + "'");
    rank += module->rank();
    scale = std::max(scale, std::abs(weight * module->scale()));
  }
  const double alpha = scale * static_cast<double>(rank);
  expect<NumericalError>(is_finite(alpha), "the scale ", scale, " of the sum at '", site,
                         "' leaves the range of double");
  Matrix<S> a(rank, first.in_dim());
  Matrix<S> b(first.out_dim(), rank);
  Index at = 0;
  for (const auto& [module, weight] : terms) {
    const double share = weight * module->scale() / scale;  // within -1..1
    a.middleRows(at, module->rank()) = module->effective_a();
    b.middleCols(at, module->rank()) =
        (share * module->b().template cast<double>()).template cast<S>();
    at += module->rank();
  }
  return LoraModule<S>(std::move(a), std::move(b), {rank, alpha});
}

/// The weighted mean of the scores: of W and bias where the temperatures are equal, else of
/// temperature W and temperature bias.
template <RealScalar S>
[[nodiscard]] Head<S> mean_of(const Weighted<Head<S>>& terms, const std::string& name) {
  const Head<S>& first = *terms.front().first;
  if (terms.size() == 1) return first;
  double total = 0;
  bool is_one_temperature = true;
  bool is_trained = true;
  for (const auto& [head, weight] : terms) {
    expect<ShapeError>(head->in_dim() == first.in_dim() && head->out_dim() == first.out_dim() &&
                           head->bias.size() == first.bias.size(),
                       "heads '", name, "' are ", first.in_dim(), " x ", first.out_dim(), " and ",
                       head->in_dim(), " x ", head->out_dim(), ", expected one shape");
    total += weight;
    is_one_temperature = is_one_temperature && head->temperature == first.temperature;
    is_trained = is_trained && head->trained;
  }
  expect(is_finite(total) && is_finite(1 / total), "weights of the head '", name, "' add up to ",
         total, ", expected a finite sum other than 0");
  Matrix<double> weights = Matrix<double>::Zero(first.in_dim(), first.out_dim());
  RowVector<double> bias = RowVector<double>::Zero(first.bias.size());
  for (const auto& [head, weight] : terms) {
    const double share = weight / total * (is_one_temperature ? 1 : head->temperature);
    weights += share * head->weights.template cast<double>();
    bias += share * head->bias.template cast<double>();
  }
  return {.weights = weights.template cast<S>(),
          .bias = bias.template cast<S>(),
          .temperature = is_one_temperature ? first.temperature : 1,
          .trained = is_trained};
}

using Metadata = std::map<std::string, std::string>;

inline void keep_common(Metadata& kept, const Metadata& other) {
  std::erase_if(kept, [&](const Metadata::value_type& entry) {
    const auto found = other.find(entry.first);
    return found == other.end() || found->second != entry.second;
  });
}

}  // namespace detail

/// One adapter whose change at every site is the weighted sum of the changes there:
///   dW = sum_i w_i c_i B_i A_i, the ranks adding up; compress() lowers them again.
/// A site that one adapter has keeps its factors, and a basis, bit for bit, the weight going into
/// alpha. A head that one adapter has is kept as it is; the heads that several have are averaged by
/// weight, and one that is not trained makes the mean so. Metadata are kept where all agree. One
/// adapter of weight 1 comes back bit for bit. An entry of weight 0 counts as absent.
/// @throws ArgumentError   no entry but of weight 0, a null adapter, a weight that is not finite,
///                         or weights of a head that add up to 0 or to infinity
/// @throws ShapeError      modules of one site, or heads of one name, of two shapes
/// @throws NumericalError  a product of weight and scale leaves the range of the numbers
template <RealScalar S>
[[nodiscard]] Adapter<S> merge_adapters(std::span<const typename AdapterMix<S>::Entry> entries) {
  std::map<std::string, detail::Weighted<LoraModule<S>>> modules;
  std::map<std::string, detail::Weighted<Head<S>>> heads;
  bool is_empty = true;
  Adapter<S> merged;
  for (const auto& [adapter, weight] : entries) {
    detail::expect(adapter != nullptr, "adapter is null, expected one to merge");
    detail::expect(detail::is_finite(weight), "weight is ", weight, ", expected a finite number");
    if (weight == 0) continue;
    if (is_empty) merged.metadata = adapter->metadata;
    is_empty = false;
    detail::keep_common(merged.metadata, adapter->metadata);
    for (const auto& [site, module] : adapter->modules) {
      const double scale = weight * module.scale();
      const double alpha = weight * module.alpha();
      detail::expect<NumericalError>(scale != 0 && detail::is_finite(alpha), "weight ", weight,
                                     " times the scale ", module.scale(), " at '", site,
                                     "' leaves the range of double");
      modules[site].emplace_back(&module, weight);
    }
    for (const auto& [name, head] : adapter->heads) heads[name].emplace_back(&head, weight);
  }
  detail::expect(!is_empty, "there are ", entries.size(),
                 " adapters, expected at least 1 with a weight other than 0");
  for (const auto& [site, terms] : modules) {
    merged.modules.emplace(site, detail::sum_of<S>(terms, site));
  }
  for (const auto& [name, terms] : heads) {
    Head<S> head = detail::mean_of<S>(terms, name);
    detail::expect<NumericalError>(head.is_finite(), "the mean of the heads '", name,
                                   "' leaves the range of the numbers");
    merged.heads.emplace(name, std::move(head));
  }
  return merged;
}

/// As above, of what a mix adds up when it answers.
template <RealScalar S>
[[nodiscard]] Adapter<S> merge_adapters(const AdapterMix<S>& mix) {
  return merge_adapters<S>(mix.entries());
}

/// A module of lower rank and what was lost.
template <RealScalar S>
struct CompressedModule {
  LoraModule<S> module;
  double error = 0;           ///< |dW - dW'|_F between both modules, rounding to S included
  double relative_error = 0;  ///< error / |dW|_F, 0 where dW = 0
};

/// The module of lower rank whose change is nearest to that of `module` in the Frobenius norm,
/// with its factors balanced (|A'| = |B'|) and the same scale. A confined module stays confined. A
/// module whose rank is `rank` or less comes back bit for bit, with no error.
/// @param rank  at least 1; the result may have less, where the layer is smaller
/// @throws ArgumentError   rank below 1
/// @throws NonFiniteError  factors with NaN or infinity that are to be compressed
/// Cost: O((in + out) r^2 + r^3) in double.
template <RealScalar S>
[[nodiscard]] CompressedModule<S> compress(const LoraModule<S>& module, Index rank) {
  detail::expect(rank >= 1, "rank is ", rank, ", expected at least 1");
  if (module.rank() <= rank) return {module};
  detail::expect_finite("a", module.a());
  detail::expect_finite("b", module.b());
  const Matrix<double> stored = module.a().template cast<double>();
  const detail::ThinQr left(module.b().template cast<double>());
  const detail::ThinQr right(stored.transpose());
  const auto core = detail::product_of<Matrix<double>>(left.r(), right.r().transpose());
  const detail::ThinSvd svd = detail::thin_svd(core);
  const Index kept = std::min(rank, svd.values.size());
  const Vector<double> roots = svd.values.head(kept).cwiseSqrt();
  Matrix<S> b = left.q_times(svd.u.leftCols(kept) * roots.asDiagonal()).template cast<S>();
  Matrix<S> a =
      right.q_times(svd.v.leftCols(kept) * roots.asDiagonal()).transpose().template cast<S>();
  const LoraOptions options{kept, module.scale() * static_cast<double>(kept)};
  CompressedModule<S> result{
      module.is_confined() ? LoraModule<S>(std::move(a), std::move(b), module.basis(), options)
                           : LoraModule<S>(std::move(a), std::move(b), options)};
  // of [B, -B'] [A; A'], since a difference of squared norms would lose half the digits
  const auto [before_b, before_a] = detail::factors_in_double(module);
  const auto [after_b, after_a] = detail::factors_in_double(result.module);
  Matrix<double> both_b(before_b.rows(), before_b.cols() + kept);
  Matrix<double> both_a(both_b.cols(), before_a.cols());
  both_b << before_b, -after_b;
  both_a << before_a, after_a;
  const double norm = detail::product_norm(before_b, before_a);
  result.error = detail::product_norm(both_b, both_a);
  result.relative_error = norm == 0 ? 0 : result.error / norm;
  return result;
}

/// |c B A|_F.  Cost: O((in + out) r^2) in double.
template <RealScalar S>
[[nodiscard]] double change_norm(const LoraModule<S>& module) {
  const auto [b, a] = detail::factors_in_double(module);
  return detail::product_norm(b, a);
}

/// The norm of all changes of an adapter, as if they stood in one matrix.  Cost: that of its
/// modules.
template <RealScalar S>
[[nodiscard]] double change_norm(const Adapter<S>& adapter) {
  double norm = 0;
  for (const auto& [site, module] : adapter.modules) norm = std::hypot(norm, change_norm(module));
  return norm;
}

/// <dW_1, dW_2>_F / (|dW_1|_F |dW_2|_F), within -1..1: 1 for changes along one line, 0 for
/// orthogonal ones, and where one is zero.
/// @throws ShapeError  modules of two shapes
/// Cost: O((in + out) r^2) in double.
template <RealScalar S>
[[nodiscard]] double similarity(const LoraModule<S>& left, const LoraModule<S>& right) {
  detail::expect_same_layer(left, right, "");
  return detail::cosine(detail::change_product(left, right), change_norm(left), change_norm(right));
}

/// The same over the sites that both adapters have, all changes of one taken as one vector; 0 where
/// they have none in common.
/// @throws ShapeError  modules of one site of two shapes
template <RealScalar S>
[[nodiscard]] double similarity(const Adapter<S>& left, const Adapter<S>& right) {
  double product = 0;
  double left_norm = 0;
  double right_norm = 0;
  for (const auto& [site, module] : left.modules) {
    const auto other = right.modules.find(site);
    if (other == right.modules.end()) continue;
    detail::expect_same_layer(module, other->second, " of '" + site + "'");
    product += detail::change_product(module, other->second);
    left_norm = std::hypot(left_norm, change_norm(module));
    right_norm = std::hypot(right_norm, change_norm(other->second));
  }
  return detail::cosine(product, left_norm, right_norm);
}

}  // namespace anyssr::inline ANYSSR_ABI

#ifdef ANYSSR_COMPILED
#include "anyssr/instantiate/adapter_algebra.hpp"
#endif
