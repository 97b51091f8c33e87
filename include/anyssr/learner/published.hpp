// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// How one thread hands a new state to any number of readers.

#include <memory>
#include <mutex>
#include <utility>

#include "anyssr/core/abi.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

/// A mutex of whoever has it: a copy of its owner gets one of its own.
class OwnMutex : public std::mutex {
 public:
  OwnMutex() = default;
  OwnMutex(const OwnMutex& /*other*/) noexcept {}
  OwnMutex& operator=(const OwnMutex& /*other*/) noexcept { return *this; }
};

/// A cell that one thread writes and any number read. (std::atomic<std::shared_ptr> of libstdc++ 12
/// fails ThreadSanitizer.)
template <class T>
class Published {
 public:
  explicit Published(std::shared_ptr<const T> value) noexcept : value_(std::move(value)) {}
  Published(const Published& other) : value_(other.load()) {}
  Published(Published&& other) noexcept : value_(other.load()) {}
  Published& operator=(const Published& other) noexcept {
    store(other.load());
    return *this;
  }
  Published& operator=(Published&& other) noexcept {
    store(other.load());
    return *this;
  }
  ~Published() = default;

  [[nodiscard]] std::shared_ptr<const T> load() const noexcept {
    const std::scoped_lock lock(mutex_);
    return value_;
  }
  void store(std::shared_ptr<const T> value) noexcept {
    const std::scoped_lock lock(mutex_);
    value_.swap(value);
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const T> value_;
};

}  // namespace anyssr::inline ANYSSR_ABI::detail
