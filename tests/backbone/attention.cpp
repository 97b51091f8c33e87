// SPDX-License-Identifier: MIT
#include "anyssr/backbone/llama/attention.hpp"

#include <array>
#include <vector>

#include "support/catch.hpp"
#include "support/numeric.hpp"
#include "support/tiny_llama.hpp"

using namespace anyssr;
using namespace anyssr::test;

namespace {

constexpr std::array<std::array<Index, 2>, 3> head_counts{{{6, 2}, {4, 4}, {4, 1}}};

/// Rows of some sequences, one after another.
template <class S>
struct AttentionRows {
  AttentionRows(const detail::AttentionShape& attention, std::vector<Index> all_lengths,
                std::uint64_t seed)
      : shape(attention), lengths(std::move(all_lengths)) {
    Index rows = 0;
    for (const Index length : lengths) rows += length;
    q = random_normal<S, Eigen::RowMajor>(rows, shape.heads * shape.head_dim, seed, 1);
    k = random_normal<S, Eigen::RowMajor>(rows, shape.kv_heads * shape.head_dim, seed, 2);
    v = random_normal<S, Eigen::RowMajor>(rows, shape.kv_heads * shape.head_dim, seed, 3);
  }

  [[nodiscard]] std::vector<detail::AttentionSpan<S>> spans() const {
    std::vector<detail::AttentionSpan<S>> result;
    Index row = 0;
    for (const Index length : lengths) {
      result.push_back({row, length, 0, k.row(row).data(), v.row(row).data()});
      row += length;
    }
    return result;
  }
  [[nodiscard]] RowMajorMatrix<S> attended(int threads = 1) const {
    RowMajorMatrix<S> out = RowMajorMatrix<S>::Constant(q.rows(), q.cols(), S(7));
    detail::attend<S>(shape, spans(), q, out, threads);
    return out;
  }
  /// dq, dk and dv side by side.
  [[nodiscard]] RowMajorMatrix<S> gradient(const RowMajorMatrix<S>& d_out, int threads = 1) const {
    RowMajorMatrix<S> dq = RowMajorMatrix<S>::Constant(q.rows(), q.cols(), S(7));
    RowMajorMatrix<S> dk = RowMajorMatrix<S>::Constant(k.rows(), k.cols(), S(7));
    RowMajorMatrix<S> dv = dk;
    detail::attend_backward<S>(shape, spans(), q, d_out, dq, dk, dv, threads);
    RowMajorMatrix<S> all(q.rows(), q.cols() + 2 * k.cols());
    all << dq, dk, dv;
    return all;
  }
  [[nodiscard]] Eigen::MatrixXd plain() const {
    Eigen::MatrixXd out(q.rows(), q.cols());
    Index row = 0;
    for (const Index n : lengths) {
      out.middleRows(row, n) = plain_attention(q.middleRows(row, n).template cast<double>(),
                                               k.middleRows(row, n).template cast<double>(),
                                               v.middleRows(row, n).template cast<double>(),
                                               shape.heads, shape.kv_heads, shape.window);
      row += n;
    }
    return out;
  }

  detail::AttentionShape shape;
  std::vector<Index> lengths;
  RowMajorMatrix<S> q, k, v;
};

}  // namespace

TEMPLATE_TEST_CASE("attention in blocks is that of whole matrices of scores",
                   "[backbone][property]", float, double) {
  const Index length = GENERATE(1, 2, 63, 64, 65, 130);
  const auto heads = GENERATE(from_range(head_counts));
  for (const Index window : {0, 1, 5, 64}) {
    CAPTURE(length, heads[0], heads[1], window);
    const AttentionRows<TestType> rows({heads[0], heads[1], 4, window}, {length}, 1);
    CHECK(relative_error(rows.attended(), rows.plain()) < round_off<TestType>(32));
  }
}

TEST_CASE("sequences of one pass do not see each other", "[backbone][property]") {
  const AttentionRows<double> rows({6, 2, 6, 5}, {3, 70, 1, 64}, 2);
  CHECK(relative_error(rows.attended(), rows.plain()) < round_off<double>(32));
}

TEST_CASE("attention goes on from a position of a cache", "[backbone][property]") {
  const Index length = 140;
  const auto heads = GENERATE(from_range(head_counts));
  const Index window = GENERATE(0, 1, 5, 64);
  for (const Index position : {1, 63, 64, 75, 139}) {
    CAPTURE(heads[0], heads[1], window, position);
    const AttentionRows<double> whole({heads[0], heads[1], 4, window}, {length}, 3);
    const RowMajorMatrix<double> q = whole.q.bottomRows(length - position);
    RowMajorMatrix<double> out(q.rows(), q.cols());
    const std::vector<detail::AttentionSpan<double>> spans{
        {0, q.rows(), position, whole.k.data(), whole.v.data()}};
    detail::attend<double>(whole.shape, spans, q, out, 1);
    const Eigen::MatrixXd expected = whole.plain().bottomRows(q.rows());
    CHECK(relative_error(out, expected) < round_off<double>(32));
  }
}

TEST_CASE("scores of any size give finite attention", "[backbone][property]") {
  AttentionRows<float> rows({2, 1, 4, 0}, {70}, 4);
  rows.q *= 1e9F;
  rows.k *= 1e9F;
  const auto out = rows.attended();
  CHECK(out.allFinite());
  CHECK(out.row(0).head(4) == rows.v.row(0));
}

TEST_CASE("the gradient of attention is that of finite differences number by number",
          "[backbone][property]") {
  const auto heads = GENERATE(from_range(head_counts));
  const Index window = GENERATE(0, 1, 3);
  CAPTURE(heads[0], heads[1], window);
  AttentionRows<double> rows({heads[0], heads[1], 2, window}, {4, 1, 5}, 5);
  const auto d_out = random_normal<double, Eigen::RowMajor>(10, rows.q.cols(), 6);
  const RowMajorMatrix<double> gradient = rows.gradient(d_out);
  RowMajorMatrix<double> slopes(gradient.rows(), gradient.cols());
  Index column = 0;
  for (RowMajorMatrix<double>* m : {&rows.q, &rows.k, &rows.v}) {
    for (Index i = 0; i < m->rows(); ++i) {
      for (Index j = 0; j < m->cols(); ++j) {
        slopes(i, column + j) =
            slope_by((*m)(i, j), [&] { return rows.attended().cwiseProduct(d_out).sum(); }, 3e-3);
      }
    }
    column += m->cols();
  }
  CHECK(relative_error(gradient, slopes) < 1e-9);
}

TEST_CASE("the gradient of attention over many blocks agrees along random lines",
          "[backbone][property]") {
  const Index window = GENERATE(0, 5, 64, 100);
  const auto heads = GENERATE(from_range(head_counts));
  CAPTURE(window, heads[0], heads[1]);
  const AttentionRows<double> rows({heads[0], heads[1], 4, window}, {65, 150, 2}, 7);
  const auto d_out = random_normal<double, Eigen::RowMajor>(217, rows.q.cols(), 8);
  const RowMajorMatrix<double> gradient = rows.gradient(d_out);
  const auto line = random_normal<double, Eigen::RowMajor>(217, gradient.cols(), 9);
  const double slope = slope_at_zero([&](double by) {
    AttentionRows<double> moved = rows;
    moved.q += by * line.leftCols(rows.q.cols());
    moved.k += by * line.middleCols(rows.q.cols(), rows.k.cols());
    moved.v += by * line.rightCols(rows.k.cols());
    return moved.attended().cwiseProduct(d_out).sum();
  });
  const double found = gradient.cwiseProduct(line).sum();
  CHECK(std::abs(found - slope) < 1e-8 * gradient.norm());
}

TEST_CASE("attention gives the same bits for any number of threads", "[backbone][property]") {
  const AttentionRows<float> rows({6, 2, 32, 100}, {130, 200, 64}, 10);  // enough work for several
  const auto d_out = random_normal<float, Eigen::RowMajor>(394, 192, 11);
  const RowMajorMatrix<float> expected = rows.attended(1);
  const RowMajorMatrix<float> gradient = rows.gradient(d_out, 1);
  for (const int threads : {2, 3}) {
    CHECK(rows.attended(threads) == expected);
    CHECK(rows.gradient(d_out, threads) == gradient);
  }
}
