// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// PEFT adapter folders, read and written.

#include "anyssr/io/peft_adapter_reader.hpp"
#include "anyssr/io/peft_adapter_writer.hpp"
