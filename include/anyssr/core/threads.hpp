// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// A parallel loop. With OpenMP it is an OpenMP region (Eigen runs serially inside), else a fork
/// and join of std::jthread. Every index has one owner and bodies keep a fixed order inside, so
/// results have the same bits for any number of threads.

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "anyssr/core/error.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// Number of threads that an option means: itself, or the hardware's for 0.
/// @throws ArgumentError  below 0
[[nodiscard]] inline int resolve_threads(int threads) {
  detail::expect(threads >= 0, "threads is ", threads, ", expected 0 (the hardware's) or more");
  if (threads > 0) return threads;
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

namespace detail {

/// The first exception of several threads, kept until they have joined.
class FirstException {
 public:
  void keep() noexcept {
    const std::scoped_lock lock(mutex_);
    if (!first_) first_ = std::current_exception();
  }
  void rethrow() const {
    if (first_) std::rethrow_exception(first_);
  }

 private:
  std::mutex mutex_;
  std::exception_ptr first_;
};

}  // namespace detail

/// Calls body(i) for every i in 0..count-1, in any order, on at most `threads` threads.
/// The first exception of a body is thrown again after all have ended. Regions below about a
/// millisecond should pass threads = 1: starting threads costs more than they bring.
template <class Body>
void parallel_for(int threads, Index count, Body&& body) {
  const int workers = static_cast<int>(std::min<Index>(resolve_threads(threads), count));
  if (workers <= 1) {
    for (Index i = 0; i < count; ++i) body(i);
    return;
  }
  detail::FirstException failure;
  std::atomic<Index> next{0};
  const auto work = [&]() noexcept {
    try {
      for (Index i = next++; i < count; i = next++) body(i);
    } catch (...) {
      failure.keep();
      next = count;
    }
  };
#ifdef _OPENMP
#pragma omp parallel num_threads(workers)
  work();
#else
  {
    std::vector<std::jthread> team;
    team.reserve(static_cast<std::size_t>(workers - 1));
    for (int t = 1; t < workers; ++t) team.emplace_back(work);
    work();
  }
#endif
  failure.rethrow();
}

}  // namespace anyssr::inline ANYSSR_ABI
