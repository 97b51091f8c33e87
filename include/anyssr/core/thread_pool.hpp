// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The helper threads behind parallel_for, shared by the whole process and kept between calls.
///
/// A call opens a region, a numbered list of indices. The caller and the helpers that come take one
/// index at a time until none is left. The caller never waits for a helper to come: it works
/// through the list, and waits at the end only for indices that a helper has begun. So a region
/// ends even where no helper gets a core. Helpers look for the next region for some microseconds
/// and then sleep, since a spinning thread takes cores from others.

#include <algorithm>
#include <array>
#include <atomic>
#include <cfenv>
#include <chrono>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#include <unistd.h>

#include <csignal>
#endif
#ifdef __linux__
#include <sched.h>
#endif

#include "anyssr/core/types.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

/// Tells the processor that this thread only waits.
inline void pause_briefly() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// Whether this thread works in a region: loops inside stay on it.
inline bool& is_in_region() noexcept {
  thread_local bool inside = false;
  return inside;
}

/// Marks this thread as working in a region.
class InRegion {
 public:
  InRegion() noexcept : before_(is_in_region()) { is_in_region() = true; }
  InRegion(const InRegion&) = delete;
  InRegion& operator=(const InRegion&) = delete;
  ~InRegion() { is_in_region() = before_; }

 private:
  bool before_;
};

/// One call of parallel_for. Its memory outlives the call, so that a helper that comes late finds a
/// region without an index left, never a dead one.
class alignas(64) ParallelRegion {
 public:
  using Drain = void (*)(ParallelRegion&, void* body) noexcept;

  /// Takes a free region for a call; false where it is in use.
  [[nodiscard]] bool take() noexcept {
    std::uint32_t expected = 0;
    return state_.load(std::memory_order_relaxed) == 0 &&
           state_.compare_exchange_strong(expected, taken, std::memory_order_acquire);
  }

  void open(Index count, int helpers, Drain drain_body, void* body) noexcept {
    count_ = count;
    seats_ = static_cast<std::uint32_t>(helpers);
    drain_ = drain_body;
    body_ = body;
    failure_ = nullptr;
    std::fegetenv(&mode_);
    next_.store(0, std::memory_order_relaxed);
    done_.store(0, std::memory_order_relaxed);
    finished_.store(0, std::memory_order_relaxed);
    state_.fetch_or(is_open, std::memory_order_release);
  }

  /// A helper's part: false where there was nothing to do.
  [[nodiscard]] bool help() noexcept {
    std::uint32_t state = state_.load(std::memory_order_acquire);
    do {
      if ((state & is_open) == 0 || (state & helpers_mask) >= seats_.load()) return false;
    } while (!state_.compare_exchange_weak(state, state + 1, std::memory_order_acquire));
    const bool has_work = next_.load(std::memory_order_relaxed) < count_;
    if (has_work) {
      std::fesetenv(&mode_);
      drain_(*this, body_);
    }
    state_.fetch_sub(1, std::memory_order_release);
    return has_work;
  }

  /// The caller's part: works, waits for what helpers have begun, throws the first exception.
  void finish() {
    drain_(*this, body_);
    state_.fetch_and(~is_open, std::memory_order_relaxed);
    wait();
    const std::exception_ptr failure = failure_;
    failure_ = nullptr;
    state_.fetch_and(~taken, std::memory_order_release);
    if (failure) std::rethrow_exception(failure);
  }

  /// Calls body for one index after another until none is left.
  template <class Body>
  void drain(Body& body) noexcept {
    for (Index i = next_++; i < count_; i = next_++) {
      Index ended = 1;
      try {
        body(i);
      } catch (...) {
        const Index unclaimed = std::max<Index>(0, count_ - next_.exchange(count_));
        keep_failure();
        ended += unclaimed;
      }
      if (done_.fetch_add(ended, std::memory_order_acq_rel) + ended == count_) {
        finished_.store(1, std::memory_order_release);
        finished_.notify_one();
      }
    }
  }

 private:
  static constexpr std::uint32_t is_open = 1U << 31U;
  static constexpr std::uint32_t taken = 1U << 30U;
  static constexpr std::uint32_t helpers_mask = taken - 1;

  void keep_failure() noexcept {
    const std::scoped_lock lock(mutex_);
    if (!failure_) failure_ = std::current_exception();
  }

  /// Spins for what takes microseconds, then sleeps: the helper may be waiting for this very core.
  void wait() noexcept {
    for (int i = 0; i < 1000; ++i) {
      if (finished_.load(std::memory_order_acquire) != 0) return;
      pause_briefly();
    }
    finished_.wait(0, std::memory_order_acquire);
  }

  std::atomic<std::uint32_t> state_{0};  // open and taken flags, and the number of helpers inside
  std::atomic<std::uint32_t> seats_{0};  // helpers that may come
  std::atomic<Index> next_{0};           // the next index to be begun
  std::atomic<Index> done_{0};           // indices ended, or given up after an exception
  std::atomic<std::uint32_t> finished_{0};
  Index count_ = 0;
  Drain drain_ = nullptr;
  void* body_ = nullptr;
  std::fenv_t mode_{};          // rounding and denormals of the caller, for the same bits
  std::mutex mutex_;            // of failure_
  std::exception_ptr failure_;  // the first
};

/// As long as one lives, threads that are started inherit nothing of their parent that a helper
/// must not have: they take none of the program's signals, and may run on all cores that the
/// process had at its start.
class QuietBirth {
 public:
#if defined(__unix__) || defined(__APPLE__)
  QuietBirth() noexcept {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &signals_);
#ifdef __linux__
    cpu_set_t process;
    is_pinned_ = sched_getaffinity(0, sizeof(cores_), &cores_) == 0 &&
                 sched_getaffinity(getpid(), sizeof(process), &process) == 0 &&
                 CPU_EQUAL(&cores_, &process) == 0 &&
                 sched_setaffinity(0, sizeof(process), &process) == 0;
#endif
  }
  ~QuietBirth() {
#ifdef __linux__
    if (is_pinned_) sched_setaffinity(0, sizeof(cores_), &cores_);
#endif
    pthread_sigmask(SIG_SETMASK, &signals_, nullptr);
  }
  QuietBirth(const QuietBirth&) = delete;
  QuietBirth& operator=(const QuietBirth&) = delete;

 private:
  sigset_t signals_;
#ifdef __linux__
  cpu_set_t cores_;
  bool is_pinned_ = false;
#endif
#else
  QuietBirth() noexcept {}
#endif
};

class ThreadPool {
 public:
  /// Opens a region for `helpers` helpers and works in it until all indices have ended; the caller
  /// works alone where all regions are taken or no thread can be started.
  void run(Index count, int helpers, ParallelRegion::Drain drain, void* body) {
    ParallelRegion* const region = take();
    if (region == nullptr) {
      ParallelRegion own;
      own.open(count, 0, drain, body);
      return own.finish();
    }
    helpers = grow(helpers);
    region->open(count, helpers, drain, body);
    wake(helpers);
    region->finish();
  }

  /// Ends the helpers; calls that come later are worked off by their callers.
  void stop() noexcept {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
    calls_.fetch_add(1);
    calls_.notify_all();
    for (std::thread& helper : helpers_) {
      if (helper.get_id() == std::this_thread::get_id()) {
        helper.detach();  // a loop's body called std::exit
      } else {
        helper.join();
      }
    }
    helpers_.clear();
    size_ = 0;
  }

 private:
  [[nodiscard]] ParallelRegion* take() noexcept {
    for (ParallelRegion& region : regions_) {
      if (region.take()) return &region;
    }
    return nullptr;
  }

  /// Sees to it that there are `wanted` helpers, as far as the system gives threads.
  [[nodiscard]] int grow(int wanted) noexcept {
    if (size_.load(std::memory_order_relaxed) >= wanted) return wanted;
    const std::scoped_lock lock(mutex_);
    const QuietBirth birth;
    try {
      while (!stopping_ && size_ < wanted) {
        helpers_.emplace_back([this] { serve(); });
        ++size_;
      }
    } catch (...) {  // out of threads or memory: fewer are right, too
    }
    return std::min(wanted, size_.load());
  }

  void wake(int helpers) noexcept {
    calls_.fetch_add(1);
    const int asleep = sleepers_.load();
    for (int i = 0; i < std::min(helpers, asleep); ++i) calls_.notify_one();
  }

  void serve() noexcept {
    is_in_region() = true;
    for (;;) {
      const std::uint32_t seen = calls_.load();
      if (stopping_) return;  // read after `seen`: stop() sets it before it changes calls_
      bool helped = false;
      for (ParallelRegion& region : regions_) helped = region.help() || helped;
      if (helped || spin(seen)) continue;
      ++sleepers_;
      calls_.wait(seen);
      --sleepers_;
    }
  }

  /// Looks for a new call for some microseconds: waking a thread takes fifty.
  [[nodiscard]] bool spin(std::uint32_t seen) const noexcept {
    const auto end = std::chrono::steady_clock::now() + std::chrono::microseconds(50);
    do {
      for (int i = 0; i < 32; ++i) {
        if (calls_.load(std::memory_order_relaxed) != seen) return true;
        pause_briefly();
      }
    } while (std::chrono::steady_clock::now() < end);
    return false;
  }

  std::array<ParallelRegion, 16> regions_;  // one per calling thread
  std::atomic<std::uint32_t> calls_{0};     // what helpers watch
  std::atomic<int> sleepers_{0};
  std::atomic<int> size_{0};
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;  // of helpers_
  std::vector<std::thread> helpers_;
};

/// The pool of this process. It is never destroyed, for threads may use it to the very end; at exit
/// its helpers end. A forked child has none of its parent's threads and makes a pool of its own.
class ProcessPool {
 public:
  [[nodiscard]] static ThreadPool& get() {
    ThreadPool* pool = place().load(std::memory_order_acquire);
    if (pool != nullptr) return *pool;
    static const AtExit at_exit;         // before the pool: a fork in between is told of it
    auto* const fresh = new ThreadPool;  // NOLINT: see above
    if (!place().compare_exchange_strong(pool, fresh)) {
      delete fresh;  // NOLINT: another thread came first
      return *pool;
    }
    return *fresh;
  }

 private:
  struct AtExit {
    AtExit() {
#if defined(__unix__) || defined(__APPLE__)
      pthread_atfork(nullptr, nullptr, [] { parents() = place().exchange(nullptr); });
#endif
    }
    AtExit(const AtExit&) = delete;
    AtExit& operator=(const AtExit&) = delete;
    ~AtExit() {
      if (ThreadPool* const pool = place()) pool->stop();
    }
  };
  static std::atomic<ThreadPool*>& place() noexcept {
    static constinit std::atomic<ThreadPool*> pool{nullptr};
    return pool;
  }
  /// Kept where leak checkers find it.
  static ThreadPool*& parents() noexcept {
    static constinit ThreadPool* pool = nullptr;
    return pool;
  }
};

}  // namespace anyssr::inline ANYSSR_ABI::detail
