// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The learner in the scalar of this program, all of whose templates above are compiled elsewhere.

#include <anyssr/learner/continual_learner.hpp>

#include "departments/scalar/linear_algebra.hpp"
#include "departments/scalar/subspaces.hpp"
#include "departments/scalar/training.hpp"

namespace departments {

using Learner = anyssr::ContinualLearner<anyssr::TextHashingBackbone<Scalar>>;

}  // namespace departments
