// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Files that an application leaves behind: whole, or as they were.

#include <anyssr/io/atomic_file.hpp>
#include <anyssr/io/guarded_json.hpp>
#include <string>
#include <string_view>

namespace support {

/// @throws anyssr::FileError  where the system refuses
inline void write_file(const std::string& path, std::string_view text) {
  anyssr::AtomicFile file(path);
  file.write(text);
  file.commit();
}

inline void write_json(const std::string& path, const anyssr::Json& json) {
  write_file(path,
             json.dump(2, ' ', false, anyssr::Json::error_handler_t::replace) + "\n");  // any bytes
}

}  // namespace support
