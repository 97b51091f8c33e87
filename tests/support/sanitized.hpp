// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Whether a sanitizer watches: then memory is not what the program asks for, and time is many
/// times as long.

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define ANYSSR_SANITIZED 1
#endif
#endif
#if !defined(ANYSSR_SANITIZED) && (defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__))
#define ANYSSR_SANITIZED 1
#endif
#if !defined(ANYSSR_SANITIZED)
#define ANYSSR_SANITIZED 0
#endif

namespace anyssr::test {

inline constexpr bool is_sanitized = ANYSSR_SANITIZED == 1;

}  // namespace anyssr::test
