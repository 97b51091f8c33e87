// SPDX-License-Identifier: MIT
#include "route_features/run.hpp"

namespace route_features {

Results run_double(const Options& options) { return run<double>(options); }

}  // namespace route_features
