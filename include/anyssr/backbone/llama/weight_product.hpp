// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Products of a frozen weight W (out x in) with rows of activations:
///
///   Y = X W^T        dX += dY W
///
/// Each tile of Y has one owner and a fixed order inside, so that the bits do not depend on the
/// number of threads.

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

#include "anyssr/backbone/llama/weight_kernels.hpp"
#include "anyssr/backbone/llama/weight_matrix.hpp"
#include "anyssr/core/concepts.hpp"
#include "anyssr/core/error.hpp"
#include "anyssr/core/threads.hpp"
#include "anyssr/linalg/product.hpp"

namespace anyssr::inline ANYSSR_ABI {

namespace detail {

/// y = or += x W^T, one of several with the same x.
template <RealScalar S>
struct WeightProduct {
  const WeightMatrix* weight;
  Strided<S> y;
};

/// Up to so many rows of X their dot products with W are as fast as blocked matrix products, which
/// would have to pack W.
inline constexpr Index few_rows = 8;

/// Seconds that one thread takes for products that read `bytes` of weights and do `flops`.
[[nodiscard]] inline double product_seconds(double bytes, double flops) noexcept {
  return bytes / 2e10 + flops / 1e11;
}

/// Threads for one of a pass's products, which follow each other within microseconds: the pool's
/// helpers are then awake.
[[nodiscard]] inline int product_team(double bytes, double flops, int threads) noexcept {
  return product_seconds(bytes, flops) < 2e-5 ? 1 : threads;
}

/// Tiles of consecutive rows of several weights.
class RowTiles {
 public:
  struct Tile {
    std::size_t product;
    Index begin;
    Index rows;
  };
  /// @param rows_of  the rows a tile of that weight
  template <RealScalar S, class RowsOf>
  RowTiles(std::span<const WeightProduct<S>> products, const RowsOf& rows_of) {
    for (std::size_t p = 0; p < products.size(); ++p) {
      const Index rows = products[p].weight->rows();
      const Index height = rows_of(*products[p].weight);
      for (Index i = 0; i < rows; i += height) tiles_.push_back({p, i, std::min(height, rows - i)});
    }
  }
  [[nodiscard]] Index count() const noexcept { return static_cast<Index>(tiles_.size()); }
  [[nodiscard]] const Tile& operator[](Index t) const noexcept {
    return tiles_[static_cast<std::size_t>(t)];
  }

 private:
  std::vector<Tile> tiles_;
};

/// X in the order of the steps of each type of weight that occurs.
template <RealScalar S>
class ArrangedRows {
 public:
  explicit ArrangedRows(const Eigen::Ref<const RowMajorMatrix<S>>& x) : x_(x) {}
  template <class T>
  [[nodiscard]] Strided<const S> get() {
    constexpr Index step = step_columns<T, S>;
    RowMajorMatrix<S>& rows = rows_[step_registers<T, S> - 1];
    if (rows.size() == 0) {
      rows.resize(x_.rows(), (x_.cols() + step - 1) / step * step);
      arrange<T, S>({x_.data(), x_.outerStride()}, x_.rows(), x_.cols(),
                    {rows.data(), rows.cols()});
    }
    return {rows.data(), rows.cols()};
  }

 private:
  const Eigen::Ref<const RowMajorMatrix<S>>& x_;
  std::array<RowMajorMatrix<S>, 2> rows_;
};

/// Few rows of X: dot products, W read once.
template <RealScalar S>
void multiply_few(const Eigen::Ref<const RowMajorMatrix<S>>& x,
                  std::span<const WeightProduct<S>> products, int team, bool add) {
  ArrangedRows<S> arranged(x);
  for (const WeightProduct<S>& product : products) {
    product.weight->visit([&]<class T>(const T*) { (void)arranged.template get<T>(); });
  }
  double bytes = 0;
  for (const WeightProduct<S>& product : products) {
    bytes += static_cast<double>(product.weight->bytes());
  }
  // Long stretches of memory for each thread, and some to share out: no number depends on the cut.
  const double tile_bytes = std::clamp(bytes / (2 * team) + 1, 65536.0, 1048576.0);
  const RowTiles tiles(products, [&](const WeightMatrix& w) {
    const auto count = static_cast<Index>(static_cast<double>(w.bytes()) / tile_bytes) + 1;
    return std::max<Index>(1, (w.rows() + count - 1) / count);
  });
  parallel_for(team, tiles.count(), [&](Index t) {
    const RowTiles::Tile& tile = tiles[t];
    const WeightMatrix* const weight = products[tile.product].weight;
    const Strided<S> y = products[tile.product].y;
    weight->visit([&]<class T>(const T* numbers) {
      const Index depth = weight->cols();
      dot_rows<S, T>({numbers + tile.begin * depth, depth}, tile.rows, arranged.template get<T>(),
                     x.rows(), depth, {y.data + tile.begin, y.stride}, add);
    });
  });
}

/// Calls body(rows begin..begin + rows of W and columns, as a matrix of S), of S's own in place,
/// else widened into `buffer`.
template <RealScalar S, class Body>
void with_panel(const WeightMatrix& w, Index begin, Index rows, Index column, Index cols,
                RowMajorMatrix<S>& buffer, const Body& body) {
  using Panel = Eigen::Map<const RowMajorMatrix<S>, 0, Eigen::OuterStride<>>;
  w.visit([&]<class T>(const T* numbers) {
    const T* const first = numbers + begin * w.cols() + column;
    if constexpr (std::is_same_v<T, S>) {
      body(Panel(first, rows, cols, Eigen::OuterStride<>(w.cols())));
    } else {
      if (buffer.rows() < rows || buffer.cols() != cols) buffer.resize(rows, cols);
      for (Index i = 0; i < rows; ++i) widen(first + i * w.cols(), cols, buffer.row(i).data());
      body(Panel(buffer.data(), rows, cols, Eigen::OuterStride<>(cols)));
    }
  });
}

/// Calls body(t, buffer) for every t in 0..count-1 with one buffer a thread.
template <RealScalar S, class Body>
void for_each_tile(int threads, Index count, const Body& body) {
  const Index team = std::min<Index>(resolve_threads(threads), count);
  std::atomic<Index> next{0};
  parallel_for(static_cast<int>(std::max<Index>(1, team)), team, [&](Index) {
    RowMajorMatrix<S> buffer;
    for (Index t = next++; t < count; t = next++) body(t, buffer);
  });
}

/// The height of one of the tiles that `size` is cut into: about 256, an even number of tiles.
[[nodiscard]] inline Index tile_height(Index size) noexcept {
  const Index tiles = 2 * std::max<Index>(1, (size + 256) / 512);
  return ((size + tiles - 1) / tiles + 15) / 16 * 16;
}

template <RealScalar S>
void multiply_many(const Eigen::Ref<const RowMajorMatrix<S>>& x,
                   std::span<const WeightProduct<S>> products, int team, bool add) {
  const RowTiles tiles(products, [](const WeightMatrix& w) { return tile_height(w.rows()); });
  for_each_tile<S>(team, tiles.count(), [&](Index t, RowMajorMatrix<S>& buffer) {
    const RowTiles::Tile& tile = tiles[t];
    const WeightMatrix& weight = *products[tile.product].weight;
    const Strided<S> to = products[tile.product].y;
    auto y = Eigen::Map<RowMajorMatrix<S>, 0, Eigen::OuterStride<>>(
        to.data + tile.begin, x.rows(), tile.rows, Eigen::OuterStride<>(to.stride));
    with_panel<S>(weight, tile.begin, tile.rows, 0, weight.cols(), buffer, [&](const auto& panel) {
      if (add) {
        add_product(y, x, panel.transpose());
      } else {
        set_product(y, x, panel.transpose());
      }
    });
  });
}

template <RealScalar S>
void multiply_products(const Eigen::Ref<const RowMajorMatrix<S>>& x,
                       std::span<const WeightProduct<S>> products, int threads, bool add) {
  double bytes = 0;
  double flops = 0;
  for (const WeightProduct<S>& product : products) {
    const WeightMatrix& w = *product.weight;
    bytes += static_cast<double>(w.bytes());
    flops += 2.0 * static_cast<double>(x.rows()) * static_cast<double>(w.rows() * w.cols());
  }
  const bool few = x.rows() <= few_rows;
  const int team = product_team(bytes, flops, threads);
  if (x.size() == 0) {
    for (const WeightProduct<S>& product : products) {
      for (Index j = 0; j < x.rows() && !add; ++j) {
        std::fill_n(product.y.row(j), product.weight->rows(), S(0));
      }
    }
  } else if (few) {
    multiply_few(x, products, team, add);
  } else {
    multiply_many(x, products, team, add);
  }
}

/// dX += dY W: a tile of columns of dX adds up panels of rows of W, first to last.
template <RealScalar S>
void add_back(const Eigen::Ref<const RowMajorMatrix<S>>& dy, const WeightMatrix& w,
              Eigen::Ref<RowMajorMatrix<S>> dx, int team) {
  if (dy.size() == 0 || w.empty()) return;
  const Index width = tile_height(w.cols());
  constexpr Index height = 256;
  for_each_tile<S>(team, (w.cols() + width - 1) / width, [&](Index t, RowMajorMatrix<S>& buffer) {
    const Index column = t * width;
    const Index cols = std::min(width, w.cols() - column);
    for (Index i = 0; i < w.rows(); i += height) {
      const Index rows = std::min(height, w.rows() - i);
      with_panel<S>(w, i, rows, column, cols, buffer, [&](const auto& panel) {
        add_product(dx.middleCols(column, cols), dy.middleCols(i, rows), panel);
      });
    }
  });
}

template <class X, class Y>
void expect_product(std::string_view in_name, const X& in, std::string_view out_name, const Y& out,
                    Index in_cols, Index out_cols) {
  expect_cols(in_name, in, in_cols);
  if (out.rows() != in.rows() || out.cols() != out_cols) {
    raise<ShapeError>(out_name, " are ", out.rows(), " x ", out.cols(), ", expected ", in.rows(),
                      " x ", out_cols);
  }
}

}  // namespace detail

/// Y = X W^T, or Y += X W^T where `add`.
/// @param x  n x w.cols()
/// @param y  n x w.rows(), no part of x
/// @param threads  0: the cores that this process may use
/// @throws ShapeError  before y changes
template <RealScalar S>
void multiply(const Eigen::Ref<const RowMajorMatrix<S>>& x, const WeightMatrix& w,
              Eigen::Ref<RowMajorMatrix<S>> y, int threads, bool add = false) {
  detail::expect_product("x", x, "y", y, w.cols(), w.rows());
  const int team = resolve_threads(threads);
  const detail::WeightProduct<S> product{&w, {y.data(), y.outerStride()}};
  detail::multiply_products<S>(x, std::span(&product, 1), team, add);
}

/// Y_i = X W_i^T for several weights in one parallel region.
/// @param y  one a weight, n x w[i]->rows()
/// @throws ShapeError  before any y changes
template <RealScalar S>
void multiply_all(const Eigen::Ref<const RowMajorMatrix<S>>& x,
                  std::span<const WeightMatrix* const> w,
                  std::span<Eigen::Ref<RowMajorMatrix<S>>> y, int threads) {
  detail::expect<ShapeError>(w.size() == y.size(), "y are ", y.size(), " matrices, expected ",
                             w.size(), ", one a weight");
  const int team = resolve_threads(threads);
  std::vector<detail::WeightProduct<S>> products;
  for (std::size_t i = 0; i < w.size(); ++i) {
    detail::expect_product("x", x, "y", y[i], w[i]->cols(), w[i]->rows());
    products.push_back({w[i], {y[i].data(), y[i].outerStride()}});
  }
  detail::multiply_products<S>(x, products, team, false);
}

/// dX += dY W.
/// @param dy  n x w.rows()
/// @param dx  n x w.cols(), no part of dy
/// @throws ShapeError  before dx changes
template <RealScalar S>
void multiply_back(const Eigen::Ref<const RowMajorMatrix<S>>& dy, const WeightMatrix& w,
                   Eigen::Ref<RowMajorMatrix<S>> dx, int threads) {
  detail::expect_product("dy", dy, "dx", dx, w.rows(), w.cols());
  const double flops =
      2.0 * static_cast<double>(dy.rows()) * static_cast<double>(w.rows() * w.cols());
  const int most = resolve_threads(threads);
  detail::add_back<S>(dy, w, dx, detail::product_team(0, flops, most));
}

}  // namespace anyssr::inline ANYSSR_ABI
