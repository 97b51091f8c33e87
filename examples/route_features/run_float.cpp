// SPDX-License-Identifier: MIT
#include "route_features/run.hpp"

namespace route_features {

Results run_float(const Options& options) { return run<float>(options); }

}  // namespace route_features
