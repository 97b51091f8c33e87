// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The charts of the page, as inline SVG.

#include <string>

#include "operations/experiment.hpp"

namespace operations {

[[nodiscard]] std::string outcomes_chart(const Results& results);
[[nodiscard]] std::string reliability_chart(const Results& results);
/// How many questions the bars of the reliability diagram stand for.
[[nodiscard]] std::string counts_chart(const Results& results);
[[nodiscard]] std::string risk_chart(const Options& options, const Results& results);
/// The figures at the marks of the risk chart.
[[nodiscard]] std::string risk_table(const Results& results);
[[nodiscard]] std::string novelty_chart(const Results& results);
[[nodiscard]] std::string similarity_chart(const Results& results);
[[nodiscard]] std::string calibration_chart(const Results& results);
[[nodiscard]] std::string storage_chart(const Results& results);

}  // namespace operations
