// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Which generation of a checkpoint counts, and whether it is whole.
///
///   root/CURRENT              "manifest-000007.json sha256:<64 digits>": its rename is the commit
///   root/manifest-000007.json names every file of the generation with its size and check
///
/// Readers take no lock: where a file has gone while they read, a newer generation was committed,
/// and they begin again.

#include <dirent.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "anyssr/store/stored_file.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// One file of a checkpoint, as a look at it found it.
struct FileReport {
  std::string path;    ///< relative to the folder
  std::string damage;  ///< empty: whole
};

namespace detail {

/// What CURRENT says.
struct CurrentLine {
  std::string manifest;
  std::string check;  // 64 digits
};

[[nodiscard]] inline std::string current_text(const CurrentLine& line) {
  return line.manifest + " sha256:" + line.check + "\n";
}

/// The number of "manifest-000007.json"; nothing where a name is none of that form.
[[nodiscard]] inline std::optional<std::uint64_t> generation_of(std::string_view name) {
  constexpr std::string_view prefix = "manifest-";
  if (!name.starts_with(prefix)) return std::nullopt;
  std::uint64_t number = 0;
  const char* const begin = name.data() + prefix.size();
  const auto [end, error] = std::from_chars(begin, name.data() + name.size(), number);
  const bool fits = error == std::errc() && number < generation_limit;
  return fits && name == manifest_name(number) ? std::optional(number) : std::nullopt;
}

/// Names in a folder, without "." and "..", sorted; none where there is no such folder.
/// @throws FileError
[[nodiscard]] inline std::vector<std::string> names_in(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  const std::unique_ptr<DIR, int (*)(DIR*)> open(::opendir(folder.c_str()), ::closedir);
  if (!open) {
    if (errno == ENOENT) return names;
    raise_file_error(folder, "cannot be read", errno);
  }
  while (true) {
    errno = 0;  // a list cut short by an error would hide the newest generation
    const dirent* const entry = ::readdir(open.get());
    if (entry == nullptr) break;
    const std::string name = static_cast<const char*>(entry->d_name);
    if (name != "." && name != "..") names.push_back(name);
  }
  if (errno != 0) raise_file_error(folder, "cannot be read", errno);
  std::sort(names.begin(), names.end());
  return names;
}

/// Generations that have a manifest, the newest first.
[[nodiscard]] inline std::vector<std::uint64_t> generations_in(const std::filesystem::path& root) {
  std::vector<std::uint64_t> numbers;
  for (const std::string& name : names_in(root)) {
    if (const auto number = generation_of(name)) numbers.push_back(*number);
  }
  std::sort(numbers.rbegin(), numbers.rend());
  return numbers;
}

/// @throws FileError  where there is no CURRENT;  FormatError  where it is no such line
[[nodiscard]] inline CurrentLine read_current(const std::filesystem::path& root) {
  const std::filesystem::path path = resolve_stored(root, "CURRENT");
  const std::string text = RegularFile(path).read_text(256);
  const std::size_t space = text.find(' ');
  CurrentLine line{.manifest = text.substr(0, space), .check = {}};
  if (space != std::string::npos && text.size() == space + 9 + check_digits) {
    line.check = text.substr(space + 8, check_digits);
  }
  const bool holds = generation_of(line.manifest) && is_check("sha256:" + line.check) &&
                     text == current_text(line);
  expect<FormatError>(holds, path.string(), ": is damaged: it says ", in_quotes(text),
                      ", expected \"manifest-<number>.json sha256:<64 digits>\" and a line end");
  return line;
}

/// Which files are read through when a generation is opened; of adapters at least the size is seen.
enum class Verify : std::uint8_t { nothing, all_but_adapters, everything };

/// The manifest of a generation.
/// @param check  SHA-256 of the file, where CURRENT names one; else empty
/// @throws FileError, FormatError  where it is missing or damaged
[[nodiscard]] inline Manifest read_manifest(const std::filesystem::path& root,
                                            const std::string& name, std::string_view check) {
  const std::filesystem::path path = resolve_stored(root, name);
  const std::string text = RegularFile(path).read_text(max_manifest_bytes);
  if (!check.empty()) {
    const std::string found = sha256_hex(text);
    expect<FormatError>(found == check, path.string(), ": is damaged: its SHA-256 is ", found,
                        ", expected ", check, " as in CURRENT");
  }
  expect_own_check(text, path.string());
  Manifest manifest = parse_manifest(parse_json(text, path.string()), path.string());
  expect<FormatError>(manifest_name(manifest.generation) == name, path.string(),
                      ": holds generation ", manifest.generation, ", expected that of its name");
  return manifest;
}

/// The text of a manifest that is whole by its own check; empty where there is none.
[[nodiscard]] inline std::string whole_manifest_text(const std::filesystem::path& root,
                                                     const std::string& name) {
  try {
    std::string text = RegularFile(resolve_stored(root, name)).read_text(max_manifest_bytes);
    expect_own_check(text, name);
    return text;
  } catch (const Error&) {
    return {};
  }
}

/// Refuses a CURRENT that reads well and is damaged: the manifest that it names is whole and has
/// another SHA-256, or is missing, and another one has that SHA-256.
/// @throws FormatError
inline void expect_current_fits(const std::filesystem::path& root, const CurrentLine& line) {
  const std::string place = (root / "CURRENT").string();
  const std::vector<std::uint64_t> known = generations_in(root);
  const auto named = generation_of(line.manifest);
  if (std::find(known.begin(), known.end(), named) != known.end()) {
    const std::string text = whole_manifest_text(root, line.manifest);
    if (text.empty()) return;
    const std::string found = sha256_hex(text);
    expect<FormatError>(found == line.check, place, ": is damaged: it says SHA-256 ", line.check,
                        " of ", line.manifest, ", which is whole and has ", found);
    return;
  }
  for (const std::uint64_t number : known) {
    const std::string name = manifest_name(number);
    expect<FormatError>(sha256_hex(whole_manifest_text(root, name)) != line.check, place,
                        ": is damaged: it names ", line.manifest, ", which is not there, with the ",
                        "SHA-256 of ", name);
  }
}

/// The manifest that CURRENT names.
/// @throws FileError, FormatError  naming the file that is missing or damaged, CURRENT or manifest
[[nodiscard]] inline Manifest read_manifest(const std::filesystem::path& root,
                                            const CurrentLine& line) {
  try {
    return read_manifest(root, line.manifest, line.check);
  } catch (const Error&) {
    expect_current_fits(root, line);
    throw;
  }
}

/// Refuses a generation of which a file is missing or damaged.
inline void expect_whole(const std::filesystem::path& root, const Manifest& manifest,
                         Verify verify) {
  for (const StoredFile& file : manifest.files) {
    const bool is_tensors = file.path.ends_with("/adapter_model.safetensors");
    if (verify == Verify::everything || (verify == Verify::all_but_adapters && !is_tensors)) {
      expect_intact(root, file);
    } else if (verify == Verify::all_but_adapters) {
      (void)open_stored(root, file);
    }
  }
}

/// The newest generation that is whole; CURRENT is not asked.
[[nodiscard]] inline std::optional<Manifest> newest_whole(const std::filesystem::path& root) {
  for (const std::uint64_t number : generations_in(root)) {
    try {
      Manifest manifest = read_manifest(root, manifest_name(number), {});
      expect_whole(root, manifest, Verify::everything);
      return manifest;
    } catch (const Error&) {  // damaged as well: an older one may be whole
    }
  }
  return std::nullopt;
}

[[nodiscard]] inline bool has_current(const std::filesystem::path& root) {
  std::error_code ignored;
  return std::filesystem::exists(std::filesystem::symlink_status(root / "CURRENT", ignored));
}

}  // namespace detail

/// Whether a folder holds a checkpoint, whole or damaged: a file CURRENT, or a manifest that a lost
/// one named. False where there is no such folder.
/// @throws FileError  where the folder cannot be read
[[nodiscard]] inline bool has_checkpoint(const std::filesystem::path& root) {
  return detail::has_current(root) || !detail::generations_in(root).empty();
}

namespace detail {

/// @throws FileError
inline void expect_checkpoint(const std::filesystem::path& root) {
  expect<FileError>(has_checkpoint(root), root.string(),
                    ": holds no checkpoint: it has no file CURRENT");
}

/// A generation and how it was found.
struct OpenGeneration {
  Manifest manifest;
  std::string damage = {};  // why an older one was taken; empty: it is the current one
};

/// Whether a newer generation has been committed since CURRENT said `line`.
[[nodiscard]] inline bool has_moved_on(const std::filesystem::path& root, const CurrentLine& line) {
  try {
    return current_text(read_current(root)) != current_text(line);
  } catch (const Error&) {  // it was readable before: what was found first is to be said
    return false;
  }
}

/// The current generation with its files verified, or why there is none.
struct FoundGeneration {
  std::optional<CurrentLine> line;
  std::optional<Manifest> manifest;
  std::string damage;       // where there is no manifest
  bool is_refused = false;  // by the system: a file is missing, or cannot be read
};

/// @throws FileError, FormatError  by what is wrong with the current generation
template <class... Parts>
[[noreturn]] void raise_damage(const FoundGeneration& found, const Parts&... parts) {
  if (found.is_refused) raise<FileError>(found.damage, parts...);
  raise<FormatError>(found.damage, parts...);
}

[[nodiscard]] inline FoundGeneration find_current(const std::filesystem::path& root,
                                                  Verify verify) {
  FoundGeneration found;
  try {
    found.line = read_current(root);
    Manifest manifest = read_manifest(root, *found.line);
    expect_whole(root, manifest, verify);
    found.manifest = std::move(manifest);
  } catch (const FileError& error) {
    found.damage = error.what();
    found.is_refused = true;
  } catch (const FormatError& error) {
    found.damage = error.what();
  }
  return found;
}

/// Gives the current generation to use(manifest, damage), or the newest whole one with what is
/// wrong with the current where `recover` asks for it.
/// @param use  reads what it needs while the files are there
/// @throws FileError    where there is no checkpoint, or a file is missing or cannot be read
/// @throws FormatError  where the current generation is damaged; either message says which one is
///                      whole; what `use` throws
inline void with_generation(const std::filesystem::path& root, bool recover, Verify verify,
                            const std::function<void(const Manifest&, const std::string&)>& use) {
  constexpr int most_attempts = 4;
  for (int attempt = 1;; ++attempt) {
    const FoundGeneration found = find_current(root, verify);
    const bool may_retry = attempt < most_attempts && found.line;
    if (found.manifest) {
      try {
        return use(*found.manifest, {});
      } catch (const FileError&) {
        if (!may_retry || !has_moved_on(root, *found.line)) throw;
      }
      continue;
    }
    if (may_retry && has_moved_on(root, *found.line)) continue;
    expect_checkpoint(root);
    const auto whole = newest_whole(root);
    if (recover && whole) return use(*whole, found.damage);
    raise_damage(found, whole ? concat("; generation ", whole->generation,
                                       " is whole: recover = true takes it")
                              : std::string("; no generation is whole"));
  }
}

}  // namespace detail

/// The number of the generation that CURRENT names: what the last save committed. Its files are
/// not looked at.
/// @throws FileError    where there is no CURRENT, or it cannot be read
/// @throws FormatError  where it is damaged
[[nodiscard]] inline std::uint64_t current_generation(const std::filesystem::path& root) {
  return detail::generation_of(detail::read_current(root).manifest).value();
}

/// The generation that a load with `recover` takes: the current one where all its files are whole,
/// else the newest that is whole.
/// @return nothing where none is, also where there is no checkpoint
/// @throws FileError  where the folder cannot be read
/// Cost: reading every file of that generation, and of those after it up to their damage.
[[nodiscard]] inline std::optional<std::uint64_t> newest_whole_generation(
    const std::filesystem::path& root) {
  if (const auto found = detail::find_current(root, detail::Verify::everything); found.manifest) {
    return found.manifest->generation;
  }
  const std::optional<Manifest> whole = detail::newest_whole(root);
  return whole ? std::optional(whole->generation) : std::nullopt;
}

/// Looks at CURRENT, at the current manifest and at every file that it names.
/// @return one entry a file, CURRENT first; where CURRENT or the manifest is damaged nothing after
///         it can be judged
/// @throws FileError  where there is no checkpoint at all
[[nodiscard]] inline std::vector<FileReport> verify_checkpoint(const std::filesystem::path& root) {
  std::vector<FileReport> reports;
  const auto look = [&](const std::string& path, const auto& action) {
    reports.push_back({path, {}});
    try {
      action();
    } catch (const Error& error) {
      reports.back().damage = error.what();
    }
    return reports.back().damage.empty();
  };
  detail::expect_checkpoint(root);
  detail::CurrentLine line;
  const bool has_line = look("CURRENT", [&] {
    line = detail::read_current(root);
    detail::expect_current_fits(root, line);
  });
  if (!has_line) return reports;
  Manifest manifest;
  const bool readable = look(
      line.manifest, [&] { manifest = detail::read_manifest(root, line.manifest, line.check); });
  if (!readable) return reports;
  for (const StoredFile& file : manifest.files) {
    look(file.path, [&] { detail::expect_intact(root, file); });
  }
  return reports;
}

}  // namespace anyssr::inline ANYSSR_ABI
