// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// A parallel loop on the threads of the process's pool (thread_pool.hpp). Every index has one
/// owner and bodies keep a fixed order inside, so results have the same bits for any number of
/// threads. In programs compiled with OpenMP Eigen's products stay serial inside our loops.

#include <algorithm>
#include <memory>
#include <type_traits>

#ifdef _OPENMP
#include <omp.h>
#endif

#include "anyssr/core/error.hpp"
#include "anyssr/core/processors.hpp"
#include "anyssr/core/thread_pool.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// Number of threads that an option means: itself, or for 0 the cores that this process may use.
/// @throws ArgumentError  below 0
[[nodiscard]] inline int resolve_threads(int threads) {
  detail::expect(threads >= 0, "threads is ", threads,
                 ", expected 0 (the cores that this process may use) or more");
  return threads > 0 ? threads : usable_processors();
}

namespace detail {

/// As long as one lives, this thread's products by Eigen start no team of OpenMP threads: it would
/// ignore `threads`, and wait for cores that other processes hold.
class SerialEigen {
 public:
#ifdef _OPENMP
  // Not by the number of threads: Eigen::setNbThreads would override it.
  SerialEigen() noexcept : levels_(omp_get_max_active_levels()) {
    if (levels_ != 0) omp_set_max_active_levels(0);
  }
  ~SerialEigen() {
    if (levels_ != 0) omp_set_max_active_levels(levels_);
  }
  SerialEigen(const SerialEigen&) = delete;
  SerialEigen& operator=(const SerialEigen&) = delete;

 private:
  int levels_;
#else
  SerialEigen() noexcept {}  // user-provided, so that a variable of it does not count as unused
#endif
};

/// Whether a loop that takes one thread so many seconds is worth sharing out: below, waking helpers
/// costs more than they bring, and a machine that others use too may not give them a core.
inline constexpr double least_shared_seconds = 2e-3;

}  // namespace detail

/// Calls body(i) for every i in 0..count-1, in any order, on at most `threads` threads.
/// The first exception of a body is thrown again after all have ended. Loops inside a shared
/// loop run on its threads. Work below about two milliseconds should pass threads = 1, unless it
/// follows other regions within microseconds.
template <class Body>
void parallel_for(int threads, Index count, Body&& body) {
  const auto helpers = static_cast<int>(std::min<Index>(resolve_threads(threads), count)) - 1;
  if (helpers <= 0 || detail::is_in_region()) {
    const detail::SerialEigen serial;
    for (Index i = 0; i < count; ++i) body(i);
    return;
  }
  using Loop = std::remove_reference_t<Body>;
  const auto drain = [](detail::ParallelRegion& region, void* loop) noexcept {
    const detail::SerialEigen serial;
    region.drain(*static_cast<Loop*>(loop));
  };
  const detail::InRegion inside;
  void* const loop = const_cast<std::remove_const_t<Loop>*>(std::addressof(body));
  detail::ProcessPool::get().run(count, helpers, drain, loop);
}

}  // namespace anyssr::inline ANYSSR_ABI
