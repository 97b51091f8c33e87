// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Which generation of a checkpoint counts, and whether it is whole.
///
///   root/CURRENT              "manifest-000007.json sha256:<64 digits>": its rename is the commit
///   root/manifest-000007.json names every file of the generation with its size and check
///
/// Readers wait for no lock. Where a file has gone, or is another, and CURRENT was replaced since
/// they began, they begin again with the newer generation: only what is wrong while nobody commits
/// is damage. A pin (generation_pin.hpp) lets a reader finish that is slower than the saves.

#include <dirent.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <exception>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "anyssr/io/path_text.hpp"
#include "anyssr/store/generation_pin.hpp"
#include "anyssr/store/stored_file.hpp"

namespace anyssr::inline ANYSSR_ABI {

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
  expect<FormatError>(holds, path_text(path), ": is damaged: it says ", in_quotes(text),
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
    expect<FormatError>(found == check, path_text(path), ": is damaged: its SHA-256 is ", found,
                        ", expected ", check, " as in CURRENT");
  }
  expect_own_check(text, path_text(path));
  Manifest manifest = parse_manifest(parse_json(text, path_text(path)), path_text(path));
  expect<FormatError>(manifest_name(manifest.generation) == name, path_text(path),
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
  const std::string place = path_text(root / "CURRENT");
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

/// What CURRENT says, with a hold on the generation that it names. The newest manifests are held
/// before CURRENT is opened: until a slow disk has given its line, a fast writer has deleted what
/// it names.
/// @throws FileError, FormatError  as read_current
[[nodiscard]] inline std::pair<CurrentLine, GenerationPin> pin_current(
    const std::filesystem::path& root) {
  constexpr std::size_t most = 4;  // that may have been current a moment ago
  std::vector<std::pair<std::string, GenerationPin>> held;
  for (const std::uint64_t number : generations_in(root)) {
    if (held.size() == most) break;
    const std::string name = manifest_name(number);
    held.emplace_back(name, GenerationPin(root / name));
  }
  CurrentLine line = read_current(root);
  for (auto& [name, pin] : held) {
    if (name == line.manifest) return {std::move(line), std::move(pin)};
  }
  GenerationPin pin(root / line.manifest);
  return {std::move(line), std::move(pin)};
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
  expect<FileError>(has_checkpoint(root), path_text(root),
                    ": holds no checkpoint: it has no file CURRENT");
}

/// Gives a first save the time to commit, up to a second: between its manifest and its CURRENT the
/// folder looks as if somebody had lost CURRENT.
inline void await_first_commit(const std::filesystem::path& root) {
  constexpr int most_looks = 100;
  const auto is_under_way = [&] {
    return !has_current(root) && generations_in(root) == std::vector<std::uint64_t>{1};
  };
  for (int look = 0; look < most_looks && is_under_way(); ++look) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

/// The bytes of CURRENT: other ones after each commit. Empty where it cannot be read.
[[nodiscard]] inline std::string commit_mark(const std::filesystem::path& root) {
  try {
    return RegularFile(resolve_stored(root, "CURRENT")).read_text(256);
  } catch (const Error&) {
    return {};
  }
}

/// Calls look() until what it says is final: nothing is wrong, nothing was committed meanwhile, the
/// same is wrong as in the generation before, or it has looked often enough. So damage shows
/// however fast others save, also where its message names each generation's own files, and a reader
/// that lost a race goes on.
/// @param look  gives what is wrong, empty: nothing; asks is_final(wrong) before it makes do with
///              something older
template <class Look>
void look_until_final(const std::filesystem::path& root, const Look& look) {
  constexpr int most_looks = 32;
  std::string last;
  await_first_commit(root);
  for (int looks = 1;; ++looks) {
    const std::string mark = commit_mark(root);
    const auto is_final = [&](const std::string& wrong) {
      return looks >= most_looks || wrong == last || commit_mark(root) == mark;
    };
    std::string wrong = look(is_final);
    if (wrong.empty() || is_final(wrong)) return;
    last = std::move(wrong);
  }
}

/// The current generation with its files verified, or why there is none.
struct FoundGeneration {
  std::optional<CurrentLine> line;
  std::optional<GenerationPin> pin;  // of its manifest
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
    if (verify == Verify::nothing) {  // its caller holds the checkpoint's lock
      found.line = read_current(root);
    } else {
      std::tie(found.line, found.pin) = pin_current(root);
    }
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
/// @param use  reads what it needs while the files are there; called again where it throws
///             FileError or FormatError and something was committed meanwhile
/// @throws FileError    where there is no checkpoint, or a file is missing or cannot be read
/// @throws FormatError  where the current generation is damaged; either message says which one is
///                      whole; what `use` throws
inline void with_generation(const std::filesystem::path& root, bool recover, Verify verify,
                            const std::function<void(const Manifest&, const std::string&)>& use) {
  std::exception_ptr problem;
  const auto try_to_use = [&](const FoundGeneration& found, const auto& is_final) {
    if (found.manifest) return use(*found.manifest, {});
    expect_checkpoint(root);
    const auto whole = newest_whole(root);
    if (recover && whole && is_final(found.damage)) return use(*whole, found.damage);
    raise_damage(found, whole ? concat("; generation ", whole->generation,
                                       " is whole: recover = true takes it")
                              : std::string("; no generation is whole"));
  };
  look_until_final(root, [&](const auto& is_final) -> std::string {
    problem = nullptr;
    const FoundGeneration found = find_current(root, verify);
    const auto note = [&](const Error& error) {
      problem = std::current_exception();
      return found.manifest ? error.what() : found.damage;
    };
    try {
      try_to_use(found, is_final);
    } catch (const FileError& error) {
      return note(error);
    } catch (const FormatError& error) {
      return note(error);
    }
    return {};
  });
  if (problem) std::rethrow_exception(problem);
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
  std::optional<std::uint64_t> generation;
  detail::look_until_final(root, [&](const auto& /*is_final*/) {
    const auto found = detail::find_current(root, detail::Verify::everything);
    const std::optional<Manifest> whole =
        found.manifest ? found.manifest : detail::newest_whole(root);
    generation = whole ? std::optional(whole->generation) : std::nullopt;
    return found.damage;
  });
  return generation;
}

}  // namespace anyssr::inline ANYSSR_ABI
