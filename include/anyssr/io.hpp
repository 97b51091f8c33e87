// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Files: safetensors, guarded JSON, atomic replacement. Needs nlohmann/json beside Eigen.

#include "anyssr/io/atomic_file.hpp"
#include "anyssr/io/byte_order.hpp"
#include "anyssr/io/dtype.hpp"
#include "anyssr/io/file_descriptor.hpp"
#include "anyssr/io/guarded_json.hpp"
#include "anyssr/io/half.hpp"
#include "anyssr/io/regular_file.hpp"
#include "anyssr/io/safetensors_events.hpp"
#include "anyssr/io/safetensors_header.hpp"
#include "anyssr/io/safetensors_parser.hpp"
#include "anyssr/io/safetensors_reader.hpp"
#include "anyssr/io/safetensors_writer.hpp"
#include "anyssr/io/utf8.hpp"
