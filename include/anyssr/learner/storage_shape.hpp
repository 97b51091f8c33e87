// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The sizes of a learner as it is, for a forecast of more tasks like its own.

#include <span>
#include <utility>

#include "anyssr/core/concepts.hpp"
#include "anyssr/learner/storage_forecast.hpp"
#include "anyssr/router/novelty.hpp"

namespace anyssr::inline v0 {

/// Sizes of the router and, on average over its tasks, of labels, adapters and heads. What only the
/// caller knows stays 0: queries and bytes of the log, bytes of the model and of replay.
/// @throws FileError, FormatError  where an adapter must be loaded for it and cannot
template <class Learner>
[[nodiscard]] StorageShape storage_shape(const Learner& learner) {
  using Features =
      decltype(learner.backbone().features(std::span<const typename Learner::Input>{}));
  const auto& router = learner.router();
  const auto& expansion = router.expansion();
  StorageShape shape{.router_dim = expansion.out_dim(),
                     .router_scalar_bytes = sizeof(typename Learner::Scalar),
                     .dense_features = !(SparseFeatures<Features> && expansion.passes_through()),
                     .exact_leverage = router.options().novelty.mode == NoveltyMode::leverage,
                     .adapter_memory_bytes = sizeof(typename Learner::Scalar),
                     .adapter_disk_bytes = sizeof(typename Learner::Scalar)};
  const auto snapshot = learner.snapshot();
  const auto count = static_cast<Index>(snapshot.tasks().size());
  if (count == 0) return shape;
  for (std::size_t t = 0; t < snapshot.tasks().size(); ++t) {
    shape.label_columns += static_cast<Index>(snapshot.tasks()[t].label_columns.size());
    const auto adapter = snapshot.handles()[t]->get();
    for (const auto& [site, module] : adapter->modules) {
      shape.adapter_parameters += module.parameter_count();
      shape.adapter_tensors += 2;
    }
    for (const auto& [key, head] : adapter->heads) shape.head_parameters += head.parameter_count();
  }
  for (Index* const sum : {&shape.label_columns, &shape.adapter_parameters, &shape.adapter_tensors,
                           &shape.head_parameters}) {
    *sum = (*sum + count / 2) / count;
  }
  return shape;
}

}  // namespace anyssr::inline v0
