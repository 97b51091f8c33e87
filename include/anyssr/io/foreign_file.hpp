// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// What a file is that is not what its name says. Readers ask here once they have found a file
/// unreadable, so that the message says what the file is by its first bytes, and what to do:
///
///   model.safetensors: is a git-LFS pointer to 4976698672 bytes, expected a safetensors file: run
///   "git lfs pull" in the repository that it comes from
///
/// Nothing is decided by these bytes alone: a safetensors file may begin with any 8 bytes.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "anyssr/core/error.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

enum class FileKind : std::uint8_t { json, safetensors, sentencepiece, word_vectors };

/// What a file is and what to do about it, both as parts of a sentence.
struct ForeignFile {
  std::string is;
  std::string remedy;

  [[nodiscard]] explicit operator bool() const noexcept { return !is.empty(); }
};

/// Enough bytes of a file to know it by.
inline constexpr std::size_t foreign_head_bytes = 512;

inline constexpr const char* download_again = "download or copy the file again";
inline constexpr const char* unpack_first = "unpack it first";
inline constexpr const char* convert_pickle =
    "convert it where it comes from, with save_pretrained(..., safe_serialization=True) or the "
    "convert.py of safetensors; no pickle is read here, since it can run code";
inline constexpr const char* fetch_safetensors =
    "get the model as safetensors, as published for transformers";

struct KnownBytes {
  std::string_view bytes;
  std::string_view is;
  std::string_view remedy;
};

/// By the first bytes of a file.
inline constexpr auto known_bytes = [] {
  using namespace std::string_view_literals;
  return std::to_array<KnownBytes>({
      {"version https://git-lfs"sv, "is a git-LFS pointer",
       "run \"git lfs pull\" in the repository that it comes from"},
      {"# xet version"sv, "is a git-xet pointer",
       "run \"git xet pull\" in the repository that it comes from"},
      {"GGUF"sv, "is a GGUF file (llama.cpp)", fetch_safetensors},
      {"lmgg"sv, "is a GGML file (llama.cpp)", fetch_safetensors},
      {"fmgg"sv, "is a GGML file (llama.cpp)", fetch_safetensors},
      {"tjgg"sv, "is a GGML file (llama.cpp)", fetch_safetensors},
      {"algg"sv, "is a GGML file (llama.cpp)", fetch_safetensors},
      {"\x89HDF\r\n\x1A\n"sv, "is an HDF5 file (Keras)", fetch_safetensors},
      {"\x93NUMPY"sv, "is an array of NumPy", "write it with save_file of safetensors.numpy"},
      {"\x1F\x8B"sv, "is compressed by gzip", unpack_first},
      {"BZh"sv, "is compressed by bzip2", unpack_first},
      {"\xFD\x37zXZ\0"sv, "is compressed by xz", unpack_first},
      {"\x28\xB5\x2F\xFD"sv, "is compressed by zstd", unpack_first},
      {"7z\xBC\xAF\x27\x1C"sv, "is a 7z archive", unpack_first},
      {"Rar!\x1A\x07"sv, "is a RAR archive", unpack_first},
      {"\xFF\xFE"sv, "is UTF-16 text", "save it as UTF-8"},
      {"\xFE\xFF"sv, "is UTF-16 text", "save it as UTF-8"},
  });
}();

[[nodiscard]] inline bool is_readable_text(std::string_view text) {
  return std::ranges::all_of(
      text, [](char c) { return (c >= ' ' && c <= '~') || c == '\n' || c == '\r' || c == '\t'; });
}

/// Without a byte order mark and the white space behind it.
[[nodiscard]] inline std::string_view text_begin(std::string_view text) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  return text.substr(std::min(text.size(), text.find_first_not_of(" \t\r\n")));
}

/// Of an archive by its first entry: PyTorch and NumPy keep their files in zip archives.
[[nodiscard]] inline ForeignFile recognise_zip(std::string_view head) {
  if (!head.starts_with("PK\x03\x04") && !head.starts_with("PK\x05\x06")) return {};
  const std::string_view entry = head.substr(std::min<std::size_t>(head.size(), 30), 128);
  if (entry.find(".pkl") != std::string_view::npos) {
    return {"is a pickle of PyTorch (torch.save)", convert_pickle};
  }
  if (entry.find(".npy") != std::string_view::npos) {
    return {"is an archive of NumPy (.npz)", "write it with save_file of safetensors.numpy"};
  }
  return {"is a zip archive", unpack_first};
}

/// A protocol of 2 to 5 and the operations that picklers begin with.
[[nodiscard]] inline bool is_pickle(std::string_view head) {
  constexpr std::string_view operations = "\x8A\x95}](cXqK";
  return head.size() > 2 && head[0] == '\x80' && head[1] >= 2 && head[1] <= 5 &&
         operations.find(head[2]) != std::string_view::npos;
}

/// ONNX is a protobuf: ir_version, and a producer's name.
[[nodiscard]] inline bool is_onnx(std::string_view head) {
  if (head.size() < 8 || head[0] != 8 || head[1] < 1 || head[1] > 32 || head[2] != 0x12) {
    return false;
  }
  const auto length = static_cast<unsigned char>(head[3]);
  return length > 0 && length < 64 && is_readable_text(head.substr(4, length));
}

/// Answers of servers that were saved as the file.
[[nodiscard]] inline ForeignFile recognise_markup(std::string_view text) {
  std::string begin(text.substr(0, 16));
  std::ranges::transform(begin, begin.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  const std::string_view page(begin);
  const bool is_page = page.starts_with("<!doctype") || page.starts_with("<html") ||
                       page.starts_with("<head") || page.starts_with("<body");
  constexpr const char* remedy =
      "download the file itself: what was saved is a server's answer, such as an error or a log-in";
  if (is_page) return {"is an HTML page", remedy};
  if (page.starts_with("<?xml")) return {"is an XML text", remedy};
  return {};
}

/// "Entry not found" and the like, and JSON where other things are wanted.
[[nodiscard]] inline ForeignFile recognise_text(std::string_view head, FileKind wanted) {
  const std::string_view text = text_begin(head);
  if (text.empty() || !is_readable_text(text.substr(0, 64))) return {};
  if (wanted == FileKind::word_vectors) return {};  // they are text
  const bool is_json = text[0] == '{' || text[0] == '[';
  if (wanted == FileKind::json) {
    constexpr std::string_view json_begins = "{[\"-0123456789tfn";
    if (json_begins.find(text[0]) != std::string_view::npos) return {};
  } else if (is_json) {
    return {"is JSON text", download_again};
  }
  const std::string_view line = text.substr(0, text.find_first_of("\r\n\t"));
  return {concat("is text that begins \"", line.substr(0, 60), "\""), download_again};
}

/// " to 123 bytes": what a pointer of git-LFS says of its file.
[[nodiscard]] inline std::string pointer_target(std::string_view head) {
  const std::size_t at = head.find("\nsize ");
  if (at == std::string_view::npos) return {};
  const std::string_view digits = head.substr(at + 6);
  const std::size_t count = std::min(digits.size(), digits.find_first_not_of("0123456789"));
  if (count == 0 || count > 19) return {};
  return concat(" to ", digits.substr(0, count), " bytes");
}

/// N and the header's first byte, as safetensors_reader.hpp has them.
[[nodiscard]] inline bool is_safetensors(std::string_view head, std::uint64_t size) {
  if (head.size() < 10 || head[8] != '{') return false;
  std::uint64_t header = 0;
  for (std::size_t i = 8; i-- > 0;) header = header << 8U | static_cast<unsigned char>(head[i]);
  return header >= 2 && header <= size - 8;
}

/// What a file is that could not be read as what is wanted.
/// @param head  its first foreign_head_bytes, or all of it
/// @param size  bytes of the whole file
[[nodiscard]] inline ForeignFile recognise(std::string_view head, std::uint64_t size,
                                           FileKind wanted) {
  if (size == 0) return {"is empty", download_again};
  for (const KnownBytes& known : known_bytes) {
    if (!head.starts_with(known.bytes)) continue;
    return {std::string(known.is) + pointer_target(head), std::string(known.remedy)};
  }
  if (ForeignFile found = recognise_zip(head)) return found;
  if (is_pickle(head)) return {"is a pickle", convert_pickle};
  if (head.size() >= 262 && head.substr(257, 5) == "ustar")
    return {"is a tar archive", unpack_first};
  if (head.substr(0, 64).find("/annex/objects/") != std::string_view::npos) {
    return {"is a git-annex pointer", "run \"git annex get\" in the repository that it comes from"};
  }
  if (ForeignFile found = recognise_markup(text_begin(head))) return found;
  if (is_onnx(head)) return {"is an ONNX model", fetch_safetensors};
  if (wanted != FileKind::safetensors && is_safetensors(head, size)) {
    return {"is a safetensors file", "look whether two files were swapped"};
  }
  if (head.size() >= 64 && std::ranges::all_of(head, [](char c) { return c == '\0'; })) {
    return {"begins with zeros", "download it again: a transfer did not end, or a disk was full"};
  }
  return recognise_text(head, wanted);
}

/// Says what a file is where it is known; else returns, and the reader's own reason stands.
/// @throws FormatError
inline void refuse_foreign(std::string_view path, std::string_view head, std::uint64_t size,
                           FileKind wanted) {
  constexpr std::array<std::string_view, 4> names{
      "JSON text", "a safetensors file", "a model of SentencePiece", "word vectors as text"};
  const ForeignFile found = recognise(head.substr(0, foreign_head_bytes), size, wanted);
  expect<FormatError>(!found, path, ": ", found.is, ", expected ",
                      names[static_cast<std::size_t>(wanted)], ": ", found.remedy);
}

}  // namespace anyssr::inline ANYSSR_ABI::detail
