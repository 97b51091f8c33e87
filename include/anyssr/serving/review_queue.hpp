// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Queries that wait for a human: listed, confirmed or corrected by the number of their request.
/// The queue keeps what it was given until it is resolved or dropped, and nothing else does.
/// Source: ours.

#include <algorithm>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "anyssr/core/error.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// A query that waits.
template <class Input>
struct ReviewItem {
  std::uint64_t request = 0;  ///< names it; grows by one with each
  std::string query = {};     ///< the caller's id
  Input input = {};
  std::string task = {};                     ///< what the router would choose
  std::vector<std::string> candidates = {};  ///< tasks that may be right, best first
  double confidence = 0;                     ///< 0..1
  double margin = 0;
  std::optional<double> novelty = {};
};

/// What a human decided.
template <class Input>
struct ReviewedItem {
  ReviewItem<Input> item;
  std::string task = {};      ///< the right one
  bool is_corrected = false;  ///< whether it is another than the router's
};

/// Any number of threads may use one.
template <class Input>
class ReviewQueue {
 public:
  /// @param capacity  items at most; what would be one more is refused by `add`
  explicit ReviewQueue(std::size_t capacity = 10000) : capacity_(capacity) {
    detail::expect(capacity >= 1, "capacity is 0, expected at least 1");
  }

  /// @return its number; nothing where the queue is full: the oldest ones wait longest, so what is
  ///         new is what goes without review, and is counted
  std::optional<std::uint64_t> add(ReviewItem<Input> item) {
    const std::scoped_lock lock(mutex_);
    if (items_.size() >= capacity_) {
      ++refused_;
      return std::nullopt;
    }
    item.request = next_++;
    items_.push_back(std::move(item));
    return items_.back().request;
  }

  /// All that wait, oldest first.
  [[nodiscard]] std::vector<ReviewItem<Input>> list() const {
    const std::scoped_lock lock(mutex_);
    return {items_.begin(), items_.end()};
  }
  [[nodiscard]] std::size_t size() const {
    const std::scoped_lock lock(mutex_);
    return items_.size();
  }
  /// Items that found no place.
  [[nodiscard]] std::uint64_t refused() const {
    const std::scoped_lock lock(mutex_);
    return refused_;
  }

  /// What waits goes on under the new name of a task.
  void rename_task(std::string_view task, std::string_view new_name) {
    const std::string name(new_name);
    const std::scoped_lock lock(mutex_);
    for (ReviewItem<Input>& item : items_) {
      if (item.task == task) item.task = name;
      const auto own = std::find(item.candidates.begin(), item.candidates.end(), task);
      if (own == item.candidates.end()) continue;
      *own = name;
      // a task that became one with another candidate stands where the better one did
      const auto first = std::find(item.candidates.begin(), item.candidates.end(), name);
      item.candidates.erase(std::remove(first + 1, item.candidates.end(), name),
                            item.candidates.end());
    }
  }

  /// @throws ArgumentError  where no such request waits
  [[nodiscard]] ReviewItem<Input> find(std::uint64_t request) const {
    const std::scoped_lock lock(mutex_);
    return *place(request);
  }

  /// The router was right: the item leaves the queue.
  /// @throws ArgumentError  where no such request waits
  ReviewedItem<Input> confirm(std::uint64_t request) {
    const std::scoped_lock lock(mutex_);
    const auto at = place(request);
    std::string task = at->task;
    return take(at, std::move(task));
  }

  /// The item leaves the queue, whatever is right.
  /// @return false where no such request waits
  bool drop(std::uint64_t request) {
    const std::scoped_lock lock(mutex_);
    return std::erase_if(items_, [&](const auto& item) { return item.request == request; }) > 0;
  }

  /// Another task is the right one: the item leaves the queue. Whoever owns the router teaches it.
  /// @throws ArgumentError  where no such request waits, or the task is empty
  ReviewedItem<Input> correct(std::uint64_t request, std::string task) {
    detail::expect(!task.empty(), "the task of request ", request, " is empty, expected a name");
    const std::scoped_lock lock(mutex_);
    return take(place(request), std::move(task));
  }

 private:
  using Items = std::deque<ReviewItem<Input>>;

  [[nodiscard]] typename Items::const_iterator place(std::uint64_t request) const {
    for (auto at = items_.begin(); at != items_.end(); ++at) {
      if (at->request == request) return at;
    }
    detail::raise<ArgumentError>("request ", request, " does not wait for review: ", items_.size(),
                                 " requests do");
  }

  ReviewedItem<Input> take(typename Items::const_iterator at, std::string task) {
    ReviewedItem<Input> reviewed{.item = *at, .task = std::move(task), .is_corrected = false};
    reviewed.is_corrected = reviewed.task != reviewed.item.task;
    items_.erase(at);
    return reviewed;
  }

  mutable std::mutex mutex_;
  Items items_;  // numbers rise
  std::size_t capacity_;
  std::uint64_t next_ = 1;
  std::uint64_t refused_ = 0;
};

}  // namespace anyssr::inline ANYSSR_ABI
