// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Everything that one task owns: LoRA modules by site, heads by name, metadata. And the gradient
/// of an adapter, in the shapes of the numbers that training may change:
///
///   logits = temperature * (x W + bias)        a head
///
/// A head made in closed form (trained = false) has no gradient and no optimiser ever touches it.
/// Source: ours, around the modules of LoRA, arXiv 2106.09685.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "anyssr/linalg/product.hpp"
#include "anyssr/lora/lora_module.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// What an adapter is made with.
struct AdapterOptions {
  LoraOptions lora;                     ///< rank 0: no modules, a head only
  std::vector<std::string> sites = {};  ///< where modules go; empty: every site of the backbone
};

/// A task's output layer.
template <RealScalar S>
struct Head {
  Matrix<S> weights;       ///< W, in x out
  RowVector<S> bias{};     ///< 1 x out
  double temperature = 1;  ///< above 0; multiplies the scores
  bool trained = true;     ///< false: made in closed form, never changed by an optimiser

  [[nodiscard]] Index in_dim() const noexcept { return weights.rows(); }
  [[nodiscard]] Index out_dim() const noexcept { return weights.cols(); }

  /// temperature * ([x_1, x_2, ...] W + bias), n x out: several blocks are read as if they stood
  /// side by side, and no block is copied.
  /// @param first, rest  n x D_i, dense or row-major sparse, the D_i adding up to in_dim()
  /// @throws ShapeError
  template <FeatureMatrix<S> X, FeatureMatrix<S>... Rest>
  [[nodiscard]] RowMajorMatrix<S> logits(const X& first, const Rest&... rest) const {
    const Index columns = (first.cols() + ... + rest.cols());
    detail::expect<ShapeError>(columns == in_dim(), "features are n x ", columns, ", expected n x ",
                               in_dim());
    detail::expect<ShapeError>(bias.size() == out_dim(), "bias has ", bias.size(),
                               " entries, expected ", out_dim());
    (detail::expect_rows("features", rest, first.rows()), ...);
    RowMajorMatrix<S> scores = bias.replicate(first.rows(), 1);
    Index row = 0;
    const auto add = [&](const auto& x) {
      detail::add_product(scores, x, weights.middleRows(row, x.cols()));
      row += x.cols();
    };
    add(first);
    (add(rest), ...);
    scores *= static_cast<S>(temperature);
    return scores;
  }

  [[nodiscard]] Index parameter_count() const noexcept { return weights.size() + bias.size(); }
  [[nodiscard]] std::size_t bytes() const noexcept {
    return static_cast<std::size_t>(parameter_count()) * sizeof(S);
  }
  [[nodiscard]] bool is_finite() const {
    return detail::is_finite(weights) && detail::is_finite(bias) && detail::is_finite(temperature);
  }

  /// Equal bit for bit.
  [[nodiscard]] friend bool operator==(const Head& left, const Head& right) {
    return left.temperature == right.temperature && left.trained == right.trained &&
           detail::same_bits(left.weights, right.weights) &&
           detail::same_bits(left.bias, right.bias);
  }
};

namespace detail {

/// A running hash in which every step is a bijection of the state, so two inputs of the same
/// length that differ in one word never end in the same value.
class Digest {
 public:
  void add(std::uint64_t word) noexcept { state_ = mix_bits(state_ ^ word) + 0x9E3779B97F4A7C15U; }
  void add(std::string_view text) noexcept {
    add(static_cast<std::uint64_t>(text.size()));
    state_ = hash_bytes(text, state_);
  }
  void add(double number) noexcept { add(std::bit_cast<std::uint64_t>(number)); }
  void add(float number) noexcept { add(std::uint64_t{std::bit_cast<std::uint32_t>(number)}); }
  template <class M>
  void add(const Eigen::PlainObjectBase<M>& numbers) noexcept {
    add(static_cast<std::uint64_t>(numbers.rows()));
    add(static_cast<std::uint64_t>(numbers.cols()));
    for (Index i = 0; i < numbers.size(); ++i) add(numbers.data()[i]);
  }
  [[nodiscard]] std::uint64_t value() const noexcept { return state_; }

 private:
  std::uint64_t state_ = 0;
};

}  // namespace detail

template <RealScalar S>
struct Adapter {
  using Scalar = S;

  std::map<std::string, LoraModule<S>> modules = {};  ///< by site
  std::map<std::string, Head<S>> heads = {};          ///< by a name that the backbone gives
  std::map<std::string, std::string> metadata = {};

  /// Numbers of modules and heads; a basis is not counted, a closed-form head is.
  [[nodiscard]] Index parameter_count() const noexcept {
    Index count = 0;
    for (const auto& [site, module] : modules) count += module.parameter_count();
    for (const auto& [name, head] : heads) count += head.parameter_count();
    return count;
  }

  /// Memory of all numbers, bases among them.
  [[nodiscard]] std::size_t bytes() const noexcept {
    std::size_t total = 0;
    for (const auto& [site, module] : modules) total += module.bytes();
    for (const auto& [name, head] : heads) total += head.bytes();
    return total;
  }

  [[nodiscard]] bool is_finite() const {
    for (const auto& [site, module] : modules) {
      if (!module.is_finite()) return false;
    }
    for (const auto& [name, head] : heads) {
      if (!head.is_finite()) return false;
    }
    return true;
  }

  /// A hash of all bits of all numbers, names and metadata: the same on every platform, another
  /// one after any change of a single bit.  Cost: one pass, about 1 GB/s.
  [[nodiscard]] std::uint64_t digest() const noexcept;

  /// Equal bit for bit.
  [[nodiscard]] friend bool operator==(const Adapter& left, const Adapter& right) {
    return left.modules == right.modules && left.heads == right.heads &&
           left.metadata == right.metadata;
  }
};

template <RealScalar S>
std::uint64_t Adapter<S>::digest() const noexcept {
  detail::Digest digest;
  digest.add(static_cast<std::uint64_t>(modules.size()));
  for (const auto& [site, module] : modules) {
    digest.add(std::string_view(site));
    digest.add(module.alpha());
    digest.add(std::uint64_t{module.rank_stabilised()});
    digest.add(module.a());
    digest.add(module.b());
    digest.add(module.basis());
  }
  digest.add(static_cast<std::uint64_t>(heads.size()));
  for (const auto& [name, head] : heads) {
    digest.add(std::string_view(name));
    digest.add(head.weights);
    digest.add(head.bias);
    digest.add(head.temperature);
    digest.add(std::uint64_t{head.trained});
  }
  digest.add(static_cast<std::uint64_t>(metadata.size()));
  for (const auto& [key, text] : metadata) {
    digest.add(std::string_view(key));
    digest.add(std::string_view(text));
  }
  return digest.value();
}

/// The gradient of a trained head.
template <RealScalar S>
struct HeadGradient {
  Matrix<S> weights;  ///< in x out
  RowVector<S> bias;  ///< 1 x out
};

/// The gradient of an adapter: its modules and its trained heads, nothing else.
template <RealScalar S>
struct AdapterGradient {
  using Scalar = S;

  std::map<std::string, LoraGradient<S>> modules;
  std::map<std::string, HeadGradient<S>> heads;

  void set_zero() {
    for (auto& [site, module] : modules) module.set_zero();
    for (auto& [name, head] : heads) {
      head.weights.setZero();
      head.bias.setZero();
    }
  }
};

/// A gradient of zeros for what training may change in `adapter`.
template <RealScalar S>
[[nodiscard]] AdapterGradient<S> zero_like(const Adapter<S>& adapter) {
  AdapterGradient<S> gradient;
  for (const auto& [site, module] : adapter.modules) {
    gradient.modules.emplace(site, module.zero_gradient());
  }
  for (const auto& [name, head] : adapter.heads) {
    if (!head.trained) continue;
    gradient.heads.emplace(name, HeadGradient<S>{Matrix<S>::Zero(head.in_dim(), head.out_dim()),
                                                 RowVector<S>::Zero(head.bias.size())});
  }
  return gradient;
}

namespace detail {

template <class M>
[[nodiscard]] auto as_block(M& matrix) {
  using Plain = Matrix<typename M::Scalar>;
  using Block = Eigen::Map<std::conditional_t<std::is_const_v<M>, const Plain, Plain>>;
  return Block(matrix.data(), matrix.rows(), matrix.cols());
}
template <RealScalar S>
[[nodiscard]] auto block_a(LoraModule<S>& module) {
  return module.mutable_a();
}
template <RealScalar S>
[[nodiscard]] auto block_b(LoraModule<S>& module) {
  return module.mutable_b();
}
template <RealScalar S>
[[nodiscard]] auto block_a(const LoraModule<S>& module) {
  return as_block(module.a());
}
template <RealScalar S>
[[nodiscard]] auto block_b(const LoraModule<S>& module) {
  return as_block(module.b());
}

template <class P, class G>
void expect_same_shape(std::string_view name, const P& parameter, const G& gradient) {
  expect<ShapeError>(parameter.rows() == gradient.rows() && parameter.cols() == gradient.cols(),
                     "gradient of ", name, " is ", gradient.rows(), " x ", gradient.cols(),
                     ", expected ", parameter.rows(), " x ", parameter.cols());
}

/// Refuses a gradient that is not of the adapter's shapes.
template <RealScalar S>
void expect_matching(const Adapter<S>& adapter, const AdapterGradient<S>& gradient) {
  std::size_t trained_heads = 0;
  for (const auto& [site, module] : adapter.modules) {
    const auto found = gradient.modules.find(site);
    expect<ShapeError>(found != gradient.modules.end(), "gradient has no module '", site,
                       "', expected one for every module of the adapter");
    expect_same_shape("a of '" + site + "'", module.a(), found->second.a);
    expect_same_shape("b of '" + site + "'", module.b(), found->second.b);
  }
  for (const auto& [name, head] : adapter.heads) {
    if (!head.trained) continue;
    ++trained_heads;
    const auto found = gradient.heads.find(name);
    expect<ShapeError>(found != gradient.heads.end(), "gradient has no head '", name,
                       "', expected one for every trained head of the adapter");
    expect_same_shape("weights of '" + name + "'", head.weights, found->second.weights);
    expect_same_shape("bias of '" + name + "'", head.bias, found->second.bias);
  }
  expect<ShapeError>(
      gradient.modules.size() == adapter.modules.size() && gradient.heads.size() == trained_heads,
      "gradient has ", gradient.modules.size(), " modules and ", gradient.heads.size(),
      " heads, expected ", adapter.modules.size(), " and ", trained_heads);
}

}  // namespace detail

/// Calls f(parameter, gradient) for every block of numbers that training may change, in a fixed
/// order: modules by site (a, then b), then trained heads by name (weights, then bias). Both
/// arguments are Eigen::Map<Matrix<S>>, or Eigen::Map<const Matrix<S>> of what is const.
/// @throws ShapeError  the gradient is not of the adapter's shapes; f is not called then
template <class A, class G, class F>
requires std::same_as<std::remove_const_t<A>, Adapter<typename A::Scalar>> &&
    std::same_as<std::remove_const_t<G>, AdapterGradient<typename A::Scalar>>
void for_each_parameter(A& adapter, G& gradient, F&& f) {
  detail::expect_matching<typename A::Scalar>(adapter, gradient);
  for (auto& [site, module] : adapter.modules) {
    auto& slope = gradient.modules.find(site)->second;
    f(detail::block_a(module), detail::as_block(slope.a));
    f(detail::block_b(module), detail::as_block(slope.b));
  }
  for (auto& [name, head] : adapter.heads) {
    if (!head.trained) continue;
    auto& slope = gradient.heads.find(name)->second;
    f(detail::as_block(head.weights), detail::as_block(slope.weights));
    f(detail::as_block(head.bias), detail::as_block(slope.bias));
  }
}

/// Calls f(block) for every block of a gradient, in the order of for_each_parameter.
template <class G, class F>
requires std::same_as<std::remove_const_t<G>, AdapterGradient<typename G::Scalar>>
void for_each_block(G& gradient, F&& f) {
  for (auto& [site, module] : gradient.modules) {
    f(detail::as_block(module.a));
    f(detail::as_block(module.b));
  }
  for (auto& [name, head] : gradient.heads) {
    f(detail::as_block(head.weights));
    f(detail::as_block(head.bias));
  }
}

}  // namespace anyssr::inline ANYSSR_ABI
