// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// What a folder holds in place of the files that a reader looks for, by the names in it: weights
/// of another format, shards without their index, a checkpoint in the middle of training, the
/// folder above the right one. Readers ask once they have not found a file.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "anyssr/core/error.hpp"
#include "anyssr/io/foreign_file.hpp"
#include "anyssr/io/near_names.hpp"
#include "anyssr/io/path_text.hpp"
#include "anyssr/io/safetensors_header.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

enum class FolderKind : std::uint8_t { model, adapter };

struct KnownName {
  std::string_view begin;
  std::string_view end;
  std::string_view is;
  std::string_view remedy;
};

inline constexpr const char* gather_zero3 =
    "gather them where the model was trained: python zero_to_fp32.py, or "
    "stage3_gather_16bit_weights_on_model_save in the config of DeepSpeed, and save again";
inline constexpr const char* convert_meta =
    "convert it with convert_llama_weights_to_hf.py of transformers";

/// The first that matches any name of the folder counts.
inline constexpr auto known_names = std::to_array<KnownName>({
    {"zero_to_fp32", ".py", "a checkpoint of DeepSpeed", gather_zero3},
    {"mp_rank_", ".pt", "a checkpoint of DeepSpeed", gather_zero3},
    {"zero_pp_rank_", ".pt", "a checkpoint of DeepSpeed", gather_zero3},
    {"global_step", "", "a checkpoint of DeepSpeed", gather_zero3},
    {"consolidated.", ".pth", "weights as Meta published them", convert_meta},
    {"consolidated", ".safetensors", "weights as Mistral publishes them",
     "get the model.safetensors of the same repository"},
    {"adapters", ".safetensors", "an adapter of mlx-lm", "convert it to a folder of PEFT"},
    {"adapters", ".npz", "an adapter of mlx-lm", "convert it to a folder of PEFT"},
    {"pytorch_lora_weights", ".safetensors", "an adapter of diffusers",
     "adapters of language models are read, as PEFT saves them"},
    {"adapter_model", ".bin", "a pickle", convert_pickle},
    {"adapter_model", ".pt", "a pickle", convert_pickle},
    {"pytorch_model", ".bin", "a pickle", convert_pickle},
    {"pytorch_model", ".pt", "a pickle", convert_pickle},
    {"", ".gguf", "a GGUF file (llama.cpp)", fetch_safetensors},
    {"", ".h5", "an HDF5 file (Keras)", fetch_safetensors},
    {"", ".msgpack", "weights of Flax", fetch_safetensors},
    {"", ".onnx", "an ONNX model", fetch_safetensors},
    {"", ".npz", "an archive of NumPy", fetch_safetensors},
    {"", ".pth", "a pickle", convert_pickle},
    {"", ".ckpt", "a pickle", convert_pickle},
    {"", ".pt", "a pickle", convert_pickle},
    {"", ".bin", "a pickle", convert_pickle},
});

/// "model-00001-of-00003.safetensors"
[[nodiscard]] inline bool is_shard_name(std::string_view name) {
  constexpr std::string_view end = ".safetensors";
  if (!name.ends_with(end)) return false;
  name.remove_suffix(end.size());
  const std::size_t of = name.rfind("-of-");
  return of != std::string_view::npos && of > 0 && of + 4 < name.size() &&
         name.find_first_not_of("0123456789", of + 4) == std::string_view::npos &&
         name[of - 1] >= '0' && name[of - 1] <= '9';
}

/// The names in a folder, sorted; none where it cannot be looked into.
[[nodiscard]] inline std::vector<std::string> readable_names_in(
    const std::filesystem::path& folder) {
  constexpr std::size_t most = 10000;
  std::vector<std::string> names;
  std::error_code error;
  std::filesystem::directory_iterator entry(folder, error);
  for (; !error && entry != std::filesystem::directory_iterator() && names.size() < most;
       entry.increment(error)) {
    names.push_back(entry->path().filename().string());
  }
  std::ranges::sort(names);
  return names;
}

/// The folder below that has what is wanted: PEFT keeps adapters other than "default" in folders of
/// their own, trainers write checkpoint-500, download caches snapshots/<digest>.
[[nodiscard]] inline std::string folder_below(const std::filesystem::path& folder,
                                              std::span<const std::string> names,
                                              const char* wanted) {
  std::error_code ignored;
  for (const std::string& name : names) {
    const std::filesystem::path below = folder / name;
    if (std::filesystem::exists(below / wanted, ignored)) return path_text(below);
    if (name != "snapshots") continue;
    for (const std::string& snapshot : readable_names_in(below)) {
      if (std::filesystem::exists(below / snapshot / wanted, ignored)) {
        return path_text(below / snapshot);
      }
    }
  }
  return {};
}

/// Of a folder that has not all that is wanted.
[[nodiscard]] inline std::string mistaken_folder(const std::filesystem::path& folder,
                                                 std::span<const std::string> names,
                                                 FolderKind wanted) {
  const auto has = [&](std::string_view name) {
    return std::ranges::binary_search(names, name, {},
                                      [](const std::string& n) { return std::string_view(n); });
  };
  const bool is_model = wanted == FolderKind::model;
  if (is_model && has("adapter_config.json") && !has("config.json")) {
    return "it is the folder of an adapter, expected the one of the model";
  }
  if (!is_model && has("config.json") && !has("adapter_config.json")) {
    return "it is the folder of a model, expected the one of an adapter, as PEFT saves it";
  }
  const auto shard = std::ranges::find_if(names, is_shard_name);
  if (is_model && shard != names.end() && !has("model.safetensors.index.json")) {
    return concat("it holds ", in_quotes(*shard),
                  ", a part of a model, and no model.safetensors.index.json, which says what is in "
                  "which part: get that file too");
  }
  const char* const config = is_model ? "config.json" : "adapter_config.json";
  const std::string below = has(config) ? std::string() : folder_below(folder, names, config);
  return below.empty() ? below : "expected a folder below it: " + below;
}

/// What a folder holds in place of what is wanted; empty where nothing is known.
[[nodiscard]] inline std::string recognise_folder(const std::filesystem::path& folder,
                                                  FolderKind wanted) {
  std::error_code ignored;
  if (std::filesystem::exists(folder, ignored) && !std::filesystem::is_directory(folder, ignored)) {
    return concat(path_text(folder), " is a file, expected the folder of ",
                  wanted == FolderKind::model ? "a model in the layout of transformers"
                                              : "an adapter, as PEFT saves it");
  }
  const std::vector<std::string> names = readable_names_in(folder);
  std::string mistake = mistaken_folder(folder, names, wanted);
  if (!mistake.empty()) return mistake;
  constexpr std::array<std::string_view, 4> beside{"training_args.bin", "optimizer.pt",
                                                   "scheduler.pt", "optimizer.bin"};
  for (const KnownName& known : known_names) {
    for (const std::string& name : names) {
      if (!name.starts_with(known.begin) || !name.ends_with(known.end) ||
          std::ranges::count(beside, name) > 0) {
        continue;
      }
      return concat("it holds ", in_quotes(name), ", ", known.is, ": ", known.remedy);
    }
  }
  return {};
}

/// The same as the end of a message.
[[nodiscard]] inline std::string folder_hint(const std::filesystem::path& folder,
                                             FolderKind wanted) {
  const std::string known = recognise_folder(folder, wanted);
  return known.empty() ? known : "; " + known;
}

/// Refuses what ZeRO-3 of DeepSpeed leaves where a model is saved on one of its processes: tensors
/// of shape [0], whose numbers are spread over all processes.
inline void expect_gathered(std::string_view path, std::span<const TensorInfo> tensors) {
  const auto is_left_over = [](const TensorInfo& tensor) {
    return tensor.shape.size() == 1 && tensor.shape[0] == 0;
  };
  const auto count = std::ranges::count_if(tensors, is_left_over);
  expect<FormatError>(count == 0, path, ": ", count, " of ", tensors.size(),
                      " tensors have shape [0], which is what DeepSpeed ZeRO-3 leaves of "
                      "parameters that are spread over processes: ",
                      gather_zero3);
}

}  // namespace anyssr::inline ANYSSR_ABI::detail
