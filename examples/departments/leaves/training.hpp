// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The training of an adapter in float, compiled in training.cpp.

#include <anyssr/backbone/text_hashing.hpp>
#include <anyssr/learner/lifted_backbone.hpp>
#include <anyssr/train/ridge_head.hpp>
#include <anyssr/train/train_adapter.hpp>
#include <span>

#include "departments/leaves/linear_algebra.hpp"

namespace departments {

using FloatBackbone = anyssr::LiftedBackbone<anyssr::TextHashingBackbone<float>>;

}  // namespace departments

extern template anyssr::TrainReport anyssr::train_adapter(const departments::FloatBackbone&,
                                                          const departments::FloatBackbone::Trunk&,
                                                          std::span<const anyssr::Index>,
                                                          anyssr::Adapter<float>&,
                                                          const anyssr::TrainOptions&,
                                                          const anyssr::ProgressCallback&);
extern template anyssr::Head<float> anyssr::fit_ridge_head(const anyssr::RowMajorMatrix<float>&,
                                                           const anyssr::SparseRows<float>&,
                                                           std::span<const anyssr::Index>,
                                                           anyssr::Index,
                                                           const anyssr::RidgeHeadOptions&);
extern template void
anyssr::LoraModule<float>::add_forward<anyssr::SparseRows<float>, anyssr::RowMajorMatrix<float>&>(
    const anyssr::SparseRows<float>&, anyssr::RowMajorMatrix<float>&, double) const;
