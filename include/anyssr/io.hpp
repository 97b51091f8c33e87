// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Files: safetensors, guarded JSON, checksums, atomic replacement. Needs nlohmann/json beside
/// Eigen.

#include "anyssr/io/atomic_file.hpp"
#include "anyssr/io/bounded_regex.hpp"
#include "anyssr/io/byte_order.hpp"
#include "anyssr/io/crc32c.hpp"
#include "anyssr/io/dtype.hpp"
#include "anyssr/io/file_descriptor.hpp"
#include "anyssr/io/guarded_json.hpp"
#include "anyssr/io/half.hpp"
#include "anyssr/io/hex.hpp"
#include "anyssr/io/json_fields.hpp"
#include "anyssr/io/mapped_file.hpp"
#include "anyssr/io/near_names.hpp"
#include "anyssr/io/peft_adapter.hpp"
#include "anyssr/io/peft_adapter_reader.hpp"
#include "anyssr/io/peft_adapter_writer.hpp"
#include "anyssr/io/peft_config.hpp"
#include "anyssr/io/peft_names.hpp"
#include "anyssr/io/regex_program.hpp"
#include "anyssr/io/regular_file.hpp"
#include "anyssr/io/safetensors_events.hpp"
#include "anyssr/io/safetensors_header.hpp"
#include "anyssr/io/safetensors_parser.hpp"
#include "anyssr/io/safetensors_reader.hpp"
#include "anyssr/io/safetensors_writer.hpp"
#include "anyssr/io/sha256.hpp"
#include "anyssr/io/sharded_safetensors.hpp"
#include "anyssr/io/site_pattern.hpp"
#include "anyssr/io/utf8.hpp"
