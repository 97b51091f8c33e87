// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// A learner on disk: save, load, adapters loaded on demand. Needs nlohmann/json besides Eigen.

#include "anyssr/learner/continual_learner.hpp"
#include "anyssr/store/adapter_folder.hpp"
#include "anyssr/store/adapter_store.hpp"
#include "anyssr/store/checkpoint_lock.hpp"
#include "anyssr/store/checkpoint_reader.hpp"
#include "anyssr/store/checkpoint_writer.hpp"
#include "anyssr/store/generation_pin.hpp"
#include "anyssr/store/generations.hpp"
#include "anyssr/store/inspector_json.hpp"
#include "anyssr/store/learner_options_json.hpp"
#include "anyssr/store/manifest.hpp"
#include "anyssr/store/pending_files.hpp"
#include "anyssr/store/probe.hpp"
#include "anyssr/store/router_file.hpp"
#include "anyssr/store/span_files.hpp"
#include "anyssr/store/storage_forecast.hpp"
#include "anyssr/store/storage_shape.hpp"
#include "anyssr/store/stored_file.hpp"
#include "anyssr/store/succession.hpp"
#include "anyssr/store/sweep.hpp"
#include "anyssr/store/verify_checkpoint.hpp"
