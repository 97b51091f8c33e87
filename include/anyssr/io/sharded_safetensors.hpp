// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// A model folder, whether its tensors are in one safetensors file or in several:
///
///   model.safetensors              all of them; wins where both are there
///   model.safetensors.index.json   {"metadata": {...}, "weight_map": {tensor: file, ...}}
///
/// The files that the map names are the shards. Opening reads the map and the header of each shard,
/// and no tensor. What the index says of sizes is often wrong and not looked at.

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <initializer_list>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "anyssr/core/concepts.hpp"
#include "anyssr/core/error.hpp"
#include "anyssr/core/types.hpp"
#include "anyssr/io/dtype.hpp"
#include "anyssr/io/file_descriptor.hpp"
#include "anyssr/io/foreign_folder.hpp"
#include "anyssr/io/guarded_json.hpp"
#include "anyssr/io/near_names.hpp"
#include "anyssr/io/path_text.hpp"
#include "anyssr/io/regular_file.hpp"
#include "anyssr/io/safetensors_header.hpp"
#include "anyssr/io/safetensors_reader.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// A tensor that a shard holds and the map does not list.
struct UnlistedTensor {
  std::string name;
  std::string file;

  friend bool operator==(const UnlistedTensor&, const UnlistedTensor&) = default;
};

/// The open files of a model, with the calls of SafetensorsReader over all of them. It moves and
/// does not copy; const calls may come from several threads.
class ShardedSafetensors {
 public:
  /// @param options  for each of the files
  /// @throws FileError    where the folder holds neither file, with what it holds instead, or
  ///                      lacks shards; where the system refuses to open one
  /// @throws FormatError  where the index or a shard breaks a rule: a file name that leads out of
  ///                      the folder (links in it are followed: caches of downloads keep the files
  ///                      elsewhere); a tensor that is not in the file that the map names, or in
  ///                      two files
  /// Cost: O(n log n) time in the bytes of index and headers, memory in proportion to them; one
  /// open file a shard, none where they are mapped.
  explicit ShardedSafetensors(const std::filesystem::path& folder,
                              const SafetensorsReaderOptions& options = {})
      : folder_(folder.empty() ? std::filesystem::path(".") : folder) {
    if (!detail::is_missing(folder_ / whole_name)) {
      open_whole(options);
    } else if (!detail::is_missing(folder_ / index_name)) {
      open_shards(options);
    } else {
      detail::raise<FileError>(detail::path_text(folder_), ": holds neither ", whole_name, " nor ",
                               index_name, detail::folder_hint(folder_, detail::FolderKind::model));
    }
  }

  // written out, since a std::vector claims to copy whatever it holds
  ShardedSafetensors(ShardedSafetensors&&) = default;
  ShardedSafetensors& operator=(ShardedSafetensors&&) = default;

  [[nodiscard]] const std::filesystem::path& folder() const noexcept { return folder_; }
  /// The files, in the order of their names.
  [[nodiscard]] const std::vector<SafetensorsReader>& shards() const noexcept { return shards_; }
  /// The tensors that can be asked for, sorted.
  [[nodiscard]] const std::vector<std::string>& names() const noexcept { return names_; }
  /// For the load report: tensors that cannot be asked for, since the map lacks them; by name.
  [[nodiscard]] const std::vector<UnlistedTensor>& unlisted() const noexcept { return unlisted_; }

  [[nodiscard]] bool has_tensor(std::string_view name) const { return find(name) != names_.size(); }
  /// The file of a tensor.
  /// @throws FormatError  where there is none of that name
  [[nodiscard]] const SafetensorsReader& shard(std::string_view name) const {
    const std::size_t found = find(name);
    if (found == names_.size()) refuse_missing(name);
    return shards_[shard_of_[found]];
  }

  // As the members of SafetensorsReader of the same name.
  [[nodiscard]] const TensorInfo& tensor(std::string_view name) const {
    return shard(name).tensor(name);
  }
  const TensorInfo& expect_shape(std::string_view name,
                                 std::initializer_list<Index> expected) const {
    return shard(name).expect_shape(name, expected);
  }
  template <RealScalar S>
  [[nodiscard]] RowMajorMatrix<S> matrix(std::string_view name, Index rows = Eigen::Dynamic,
                                         Index cols = Eigen::Dynamic) const {
    return shard(name).matrix<S>(name, rows, cols);
  }
  template <RealScalar S>
  [[nodiscard]] Vector<S> vector(std::string_view name, Index size = Eigen::Dynamic) const {
    return shard(name).vector<S>(name, size);
  }
  template <RealScalar S>
  [[nodiscard]] std::vector<S> numbers(std::string_view name) const {
    return shard(name).numbers<S>(name);
  }
  template <IntegerScalar T>
  [[nodiscard]] std::vector<T> integers(std::string_view name) const {
    return shard(name).integers<T>(name);
  }
  [[nodiscard]] std::vector<std::byte> bytes(std::string_view name) const {
    return shard(name).bytes(name);
  }
  [[nodiscard]] std::span<const std::byte> view(std::string_view name) const {
    return shard(name).view(name);
  }

 private:
  using WeightMap = std::map<std::string, std::string>;  // tensor to file

  static constexpr const char* whole_name = "model.safetensors";
  static constexpr const char* index_name = "model.safetensors.index.json";

  void open_whole(const SafetensorsReaderOptions& options) {
    const SafetensorsReader& reader = shards_.emplace_back(folder_ / whole_name, options);
    for (const TensorInfo& info : reader.tensors()) names_.push_back(info.name);
    std::ranges::sort(names_);
    shard_of_.assign(names_.size(), 0);
  }

  void open_shards(const SafetensorsReaderOptions& options) {
    const WeightMap weight_map = read_weight_map();
    std::map<std::string, std::size_t> numbers;  // of the shards, by file name
    for (const auto& [tensor, file] : weight_map) numbers.emplace(file, 0);
    expect_shards(numbers);
    for (auto& [file, number] : numbers) {
      number = shards_.size();
      shards_.emplace_back(folder_ / file, options);
    }
    for (const auto& [tensor, file] : weight_map) {
      const std::size_t number = numbers.at(file);
      if (!shards_[number].has_tensor(tensor)) {
        refuse_index("tensor ", detail::in_quotes(tensor), " is not in its file ",
                     detail::in_quotes(file));
      }
      names_.push_back(tensor);
      shard_of_.push_back(number);
    }
    list_the_rest();
  }

  /// Names all missing files at once, not the first alone.
  void expect_shards(const std::map<std::string, std::size_t>& shards) const {
    std::vector<std::string> missing;
    for (const auto& [file, number] : shards) {
      if (detail::is_missing(folder_ / file)) missing.push_back(file);
    }
    detail::expect<FileError>(missing.empty(), detail::path_text(folder_ / index_name), ": names ",
                              shards.size(), " files, and the folder lacks ", missing.size(),
                              " of them: ", detail::some_names(missing),
                              "; download or copy them too");
  }

  /// Refuses a tensor that is in two shards, and fills unlisted_.
  void list_the_rest() {
    std::map<std::string_view, std::string> found;  // tensor to file
    for (const SafetensorsReader& reader : shards_) {
      const std::string file = reader.path().filename().string();
      for (const TensorInfo& info : reader.tensors()) {
        const auto [other, is_new] = found.emplace(info.name, file);
        if (is_new) continue;
        refuse_index("tensor ", detail::in_quotes(info.name), " is in two files, ",
                     detail::in_quotes(other->second), " and ", detail::in_quotes(file));
      }
    }
    for (const auto& [name, file] : found) {
      if (!has_tensor(name)) unlisted_.push_back({std::string(name), file});
    }
  }

  [[nodiscard]] WeightMap read_weight_map() const {
    const Json index = read_json(folder_ / index_name);
    if (!index.is_object()) {
      refuse_index("is ", detail::outline_of(index), ", expected an object with weight_map");
    }
    const auto found = index.find("weight_map");
    if (found == index.end()) refuse_index("has no weight_map");
    if (!found->is_object()) {
      refuse_index("weight_map is ", detail::outline_of(*found),
                   ", expected an object of tensors and files");
    }
    WeightMap weight_map;
    for (const auto& [tensor, file] : found->items()) {
      if (!file.is_string()) {
        refuse_index("weight_map has ", detail::outline_of(file), " for tensor ",
                     detail::in_quotes(tensor), ", expected the name of a file");
      }
      expect_file_name(tensor, file.get_ref<const std::string&>());
      weight_map.emplace(tensor, file.get_ref<const std::string&>());
    }
    return weight_map;
  }

  void expect_file_name(std::string_view tensor, const std::string& file) const {
    using namespace std::string_view_literals;
    const bool is_name = !file.empty() && file != "." && file.find("..") == std::string::npos &&
                         file.find_first_of("/\\\0"sv) == std::string::npos;
    if (is_name) return;
    refuse_index("weight_map has file ", detail::in_quotes(file), " for tensor ",
                 detail::in_quotes(tensor), ", expected a name without / \\ .. and NUL");
  }

  /// The place of a name among names_; their number where there is none.
  [[nodiscard]] std::size_t find(std::string_view name) const {
    const auto found = std::lower_bound(names_.begin(), names_.end(), name);
    if (found == names_.end() || *found != name) return names_.size();
    return static_cast<std::size_t>(found - names_.begin());
  }

  template <class... Parts>
  [[noreturn]] void refuse_index(const Parts&... parts) const {
    detail::raise<FormatError>(detail::path_text(folder_ / index_name), ": ", parts...);
  }
  [[noreturn]] void refuse_missing(std::string_view name) const {
    const auto found = std::ranges::find(unlisted_, name, &UnlistedTensor::name);
    if (found != unlisted_.end()) {
      refuse_index("weight_map does not list tensor ", detail::in_quotes(name), ", which is in ",
                   detail::in_quotes(found->file));
    }
    detail::raise<FormatError>(detail::path_text(folder_), ": has no tensor ",
                               detail::in_quotes(name), ", it has ", names_.size(), " others in ",
                               shards_.size(), " files");
  }

  std::filesystem::path folder_;
  std::vector<SafetensorsReader> shards_;  // by file name
  std::vector<std::string> names_;         // sorted
  std::vector<std::size_t> shard_of_;      // to each of names_ its number among shards_
  std::vector<UnlistedTensor> unlisted_;   // by name
};

}  // namespace anyssr::inline ANYSSR_ABI
