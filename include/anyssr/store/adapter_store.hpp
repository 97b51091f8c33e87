// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Adapters that are loaded when they are first needed, under a budget of bytes: where it is full,
/// those go that were used longest ago. What somebody holds stays, so many adapters in use at once
/// may pass the budget for that time, and until the next call of `get`.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <future>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>

#include "anyssr/lora/adapter_handle.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// What a store has done so far, and what it holds now.
struct AdapterStoreCounts {
  std::uint64_t hits = 0;
  std::uint64_t misses = 0;
  std::uint64_t evictions = 0;
  std::size_t adapters = 0;  ///< in memory
  std::size_t bytes = 0;     ///< of these
};

/// Safe from any number of threads; two that need the same adapter load it once.
template <RealScalar S>
class AdapterStore {
 public:
  using Pointer = typename AdapterHandle<S>::Pointer;
  using Load = std::function<Adapter<S>(const std::string& key)>;

  /// @param budget  bytes of adapters to keep in memory
  /// @param load    reads an adapter; may be called from several threads at once
  AdapterStore(std::size_t budget, Load load) : budget_(budget), load_(std::move(load)) {}

  /// @param bytes  of the adapter in memory: room is made before it is loaded
  /// @throws what load throws; the next call tries again
  [[nodiscard]] Pointer get(const std::string& key, std::size_t bytes) {
    std::unique_lock lock(mutex_);
    const auto found = entries_.find(key);
    if (found != entries_.end()) {
      ++counts_.hits;
      order_.splice(order_.begin(), order_, found->second.place);
      if (const Pointer adapter = found->second.adapter) {
        trim();  // others may have been let go of since
        return adapter;
      }
      const std::shared_future<Pointer> loading = found->second.loading;
      lock.unlock();
      return loading.get();
    }
    std::promise<Pointer> promise;
    std::list<std::string> place{key};
    entries_.emplace(key, Entry{.place = place.begin(),
                                .adapter = nullptr,
                                .loading = promise.get_future().share(),
                                .bytes = bytes});
    order_.splice(order_.begin(), place);  // nothing throws from here on
    ++counts_.misses;
    counts_.bytes += bytes;
    trim();
    lock.unlock();
    return load(key, std::move(promise));
  }

  [[nodiscard]] AdapterStoreCounts counts() const {
    const std::scoped_lock lock(mutex_);
    AdapterStoreCounts counts = counts_;
    counts.adapters = entries_.size();
    return counts;
  }
  [[nodiscard]] std::size_t budget() const noexcept { return budget_; }

 private:
  struct Entry {
    std::list<std::string>::iterator place;  // in order_
    Pointer adapter;                         // null while it is loaded
    std::shared_future<Pointer> loading;     // holds the adapter too: none once it is loaded
    std::size_t bytes = 0;
  };

  [[nodiscard]] Pointer load(const std::string& key, std::promise<Pointer> promise) {
    Pointer adapter;
    try {
      adapter = std::make_shared<const Adapter<S>>(load_(key));
    } catch (...) {
      {
        const std::scoped_lock lock(mutex_);
        forget(entries_.find(key));
      }
      promise.set_exception(std::current_exception());
      throw;
    }
    {
      const std::scoped_lock lock(mutex_);
      Entry& entry = entries_.find(key)->second;  // what is being loaded is never evicted
      counts_.bytes += adapter->bytes() - entry.bytes;
      entry.bytes = adapter->bytes();
      entry.adapter = adapter;
      entry.loading = {};
      trim();
    }
    promise.set_value(adapter);
    return adapter;
  }

  /// Lets go of what nobody holds, the longest unused first, until the budget is kept.
  void trim() {
    auto place = order_.end();
    while (counts_.bytes > budget_ && place != order_.begin()) {
      --place;
      const auto entry = entries_.find(*place);
      // Copies are only made under the lock: a count of 1 stays 1.
      if (!entry->second.adapter || entry->second.adapter.use_count() > 1) continue;
      ++place;
      ++counts_.evictions;
      forget(entry);
    }
  }

  void forget(typename std::unordered_map<std::string, Entry>::iterator entry) {
    counts_.bytes -= entry->second.bytes;
    order_.erase(entry->second.place);
    entries_.erase(entry);
  }

  std::size_t budget_;
  Load load_;
  mutable std::mutex mutex_;
  std::list<std::string> order_;  // used last first
  std::unordered_map<std::string, Entry> entries_;
  AdapterStoreCounts counts_;
};

}  // namespace anyssr::inline ANYSSR_ABI
