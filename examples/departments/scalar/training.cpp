// SPDX-License-Identifier: MIT
#include "departments/scalar/training.hpp"

template anyssr::TrainReport anyssr::train_adapter(const departments::Lifted&,
                                                   const departments::Lifted::Trunk&,
                                                   std::span<const anyssr::Index>,
                                                   anyssr::Adapter<departments::Scalar>&,
                                                   const anyssr::TrainOptions&,
                                                   const anyssr::ProgressCallback&);
template anyssr::Head<departments::Scalar> anyssr::fit_ridge_head(
    const anyssr::RowMajorMatrix<departments::Scalar>&,
    const anyssr::SparseRows<departments::Scalar>&, std::span<const anyssr::Index>, anyssr::Index,
    const anyssr::RidgeHeadOptions&);
