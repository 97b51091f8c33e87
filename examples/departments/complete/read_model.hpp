// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The backbone that TextModelOptions stand for.

#include <anyssr/backbone/any_backbone.hpp>
#include <cstdint>

#include "departments/questions.hpp"
#include "departments/text_model.hpp"

namespace departments {

/// @param words_dim  buckets of the hashed words that stand beside the model
/// @param questions  as for read_feature_rows
/// @throws anyssr::Error  what cannot be read
[[nodiscard]] anyssr::AnyBackbone<float> read_model(const TextModelOptions& options,
                                                    std::int64_t words_dim, std::uint64_t seed,
                                                    int threads, Questions& questions);

}  // namespace departments
