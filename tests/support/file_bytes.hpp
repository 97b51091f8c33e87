// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Files byte by byte: what is in one, and safetensors files made by hand.

#include <cstdint>
#include <fstream>
#include <iterator>
#include <random>
#include <string>

namespace anyssr::test {

/// The whole file.
inline std::string file_bytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

/// The lowest `count` bytes of a number, lowest first.
inline std::string little_endian(std::uint64_t value, int count) {
  std::string bytes;
  for (int i = 0; i < count; ++i) bytes += static_cast<char>(value >> (8 * i) & 0xFFU);
  return bytes;
}

/// Header length, header, data.
inline std::string safetensors_bytes(const std::string& header, const std::string& data) {
  return little_endian(header.size(), 8) + header + data;
}

/// One entry of a header.
inline std::string safetensors_entry(const std::string& name, const std::string& dtype,
                                     const std::string& shape, std::size_t begin, std::size_t end) {
  return "\"" + name + R"(":{"dtype":")" + dtype + R"(","shape":)" + shape +
         R"(,"data_offsets":[)" + std::to_string(begin) + "," + std::to_string(end) + "]}";
}

/// Bytes of any value, the same for a seed.
inline std::string random_text(std::size_t size, unsigned seed) {
  std::mt19937 random(seed);
  std::string text(size, '\0');
  for (char& letter : text) letter = static_cast<char>(random() & 0xFFU);
  return text;
}

}  // namespace anyssr::test
