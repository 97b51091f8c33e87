// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// A task's adapter as a learner keeps it: in memory, or on disk until it is needed. Who uses one
/// holds the pointer that get() gives, and the adapter stays in memory as long.
/// Source: ours.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "anyssr/lora/adapter.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// What is known of an adapter without loading it.
struct AdapterInfo {
  std::uint64_t digest = 0;  ///< names the adapter: Adapter::digest() where it was made
  Index parameter_count = 0;
  std::size_t bytes = 0;  ///< in memory
  std::map<std::string, std::string> metadata = {};
};

/// Immutable; any number of threads may call it.
template <RealScalar S>
class AdapterHandle {
 public:
  using Pointer = std::shared_ptr<const Adapter<S>>;

  /// An adapter in memory.  Cost: one pass over its numbers, for the digest.
  explicit AdapterHandle(Adapter<S> adapter)
      : info_{.digest = adapter.digest(),
              .parameter_count = adapter.parameter_count(),
              .bytes = adapter.bytes(),
              .metadata = adapter.metadata},
        resident_(std::make_shared<const Adapter<S>>(std::move(adapter))) {}

  /// An adapter in memory that has a name already.
  AdapterHandle(AdapterInfo info, Pointer adapter) noexcept
      : info_(std::move(info)), resident_(std::move(adapter)) {}

  /// An adapter that `load` brings: from any thread, at any time, never null.
  AdapterHandle(AdapterInfo info, std::function<Pointer()> load) noexcept
      : info_(std::move(info)), load_(std::move(load)) {}

  [[nodiscard]] const AdapterInfo& info() const noexcept { return info_; }
  /// Whether get() only hands out a pointer.
  [[nodiscard]] bool is_resident() const noexcept { return resident_ != nullptr; }

  /// @throws FileError, FormatError  where it has to be loaded and cannot be
  [[nodiscard]] Pointer get() const { return resident_ ? resident_ : load_(); }

 private:
  AdapterInfo info_;
  Pointer resident_;
  std::function<Pointer()> load_;
};

/// Adapters of tasks, one per task.
template <RealScalar S>
using AdapterHandles = std::vector<std::shared_ptr<const AdapterHandle<S>>>;

/// Both adapters of each merge that waits, by the name of the merged task.
template <RealScalar S>
using MergeOriginals = std::map<std::string, AdapterHandles<S>, std::less<>>;

}  // namespace anyssr::inline ANYSSR_ABI
