// SPDX-License-Identifier: MIT
#pragma once

#include <anyssr/backbone/text_hashing.hpp>
#include <anyssr/learner/lifted_backbone.hpp>
#include <anyssr/train/ridge_head.hpp>
#include <anyssr/train/train_adapter.hpp>
#include <span>

#include "departments/scalar/scalar.hpp"

namespace departments {

using Lifted = anyssr::LiftedBackbone<anyssr::TextHashingBackbone<Scalar>>;

}  // namespace departments

extern template anyssr::TrainReport anyssr::train_adapter(const departments::Lifted&,
                                                          const departments::Lifted::Trunk&,
                                                          std::span<const anyssr::Index>,
                                                          anyssr::Adapter<departments::Scalar>&,
                                                          const anyssr::TrainOptions&,
                                                          const anyssr::ProgressCallback&);
extern template anyssr::Head<departments::Scalar> anyssr::fit_ridge_head(
    const anyssr::RowMajorMatrix<departments::Scalar>&,
    const anyssr::SparseRows<departments::Scalar>&, std::span<const anyssr::Index>, anyssr::Index,
    const anyssr::RidgeHeadOptions&);
