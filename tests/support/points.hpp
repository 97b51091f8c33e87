// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The smallest plain backbone, and tasks for it: queries are points, a task is a region of space,
/// its label the side of a plane through the region.

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "anyssr/core/concepts.hpp"
#include "anyssr/core/random.hpp"

namespace anyssr::test {

template <RealScalar S>
class PointBackbone {
 public:
  using Scalar = S;
  using Input = RowVector<S>;

  explicit PointBackbone(Index dim, std::string name = "points")
      : dim_(dim), name_(std::move(name)) {}
  [[nodiscard]] Index feature_dim() const { return dim_; }
  [[nodiscard]] Matrix<S> features(std::span<const Input> inputs) const {
    Matrix<S> x(static_cast<Index>(inputs.size()), dim_);
    for (Index i = 0; i < x.rows(); ++i) x.row(i) = inputs[static_cast<std::size_t>(i)];
    return x;
  }
  [[nodiscard]] std::string fingerprint() const { return name_; }

 private:
  Index dim_;
  std::string name_;
};

template <RealScalar S>
struct PointTask {
  std::string name;
  std::vector<RowVector<S>> inputs;
  std::vector<Index> labels;
};

/// Task `number` of a seed: rows around one centre, two classes.
template <RealScalar S>
PointTask<S> point_task(Index number, Index rows, Index dim, std::uint64_t seed,
                        std::uint64_t sample = 0) {
  const auto stream = static_cast<std::uint64_t>(100 * number);
  const RowVector<S> centre = S(1.5) * random_normal<S>(1, dim, seed, stream);
  const RowVector<S> plane = random_normal<S>(1, dim, seed, stream + 1);
  const Matrix<S> noise = random_normal<S>(rows, dim, seed, stream + 2 + sample);
  PointTask<S> task{"task-" + std::to_string(number), {}, {}};
  for (Index i = 0; i < rows; ++i) {
    const Index label = i % 2;
    const S side = label == 0 ? S(-0.35) : S(0.35);
    task.inputs.push_back(centre + S(0.5) * noise.row(i) + side * plane);
    task.labels.push_back(label);
  }
  return task;
}

}  // namespace anyssr::test
