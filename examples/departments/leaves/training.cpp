// SPDX-License-Identifier: MIT
#include "departments/leaves/training.hpp"

template anyssr::TrainReport anyssr::train_adapter(const departments::FloatBackbone&,
                                                   const departments::FloatBackbone::Trunk&,
                                                   std::span<const anyssr::Index>,
                                                   anyssr::Adapter<float>&,
                                                   const anyssr::TrainOptions&,
                                                   const anyssr::ProgressCallback&);
template anyssr::Head<float> anyssr::fit_ridge_head(const anyssr::RowMajorMatrix<float>&,
                                                    const anyssr::SparseRows<float>&,
                                                    std::span<const anyssr::Index>, anyssr::Index,
                                                    const anyssr::RidgeHeadOptions&);
template void
anyssr::LoraModule<float>::add_forward<anyssr::SparseRows<float>, anyssr::RowMajorMatrix<float>&>(
    const anyssr::SparseRows<float>&, anyssr::RowMajorMatrix<float>&, double) const;
