// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The manifest of a checkpoint: what a generation consists of, and a check of every file of it.
///
///   {"format": "anyssr-checkpoint", "version": [1, 0], "check": "sha256:...", ...}
///
/// `check` is the SHA-256 of the manifest's own text with zeros in its place, so an older manifest
/// can be judged without the line of CURRENT that once named it.
///
/// Versions: another major is refused. A higher minor loads where every name of `must_understand`
/// is known, and is not saved over, since what this version does not know would be lost. Unknown
/// keys are ignored.

#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "anyssr/core/version.hpp"
#include "anyssr/io/json_fields.hpp"
#include "anyssr/io/sha256.hpp"

namespace anyssr::inline v0 {

/// A file of a checkpoint.
struct StoredFile {
  std::string path;  ///< relative to the folder, with /
  std::uint64_t bytes = 0;
  std::string check;  ///< "sha256:" and 64 digits, or "crc32c:" and 8
};

/// A task of a checkpoint, in the order of the router.
struct StoredTask {
  std::string name;
  std::string adapter;                     ///< folder name below adapters/
  std::uint64_t digest = 0;                ///< AdapterInfo::digest
  std::uint64_t column = 0;                ///< of W
  std::vector<std::uint64_t> labels = {};  ///< column of each label
};

/// A file of orthonormal columns by site, which the files before it are continued by.
struct StoredSpans {
  std::string file;
  std::uint64_t digest = 0;                      ///< of all columns up to its last ones
  std::map<std::string, std::uint64_t> columns;  ///< site -> columns up to its last one
};

struct Manifest {
  std::uint64_t generation = 0;  ///< of the checkpoint: grows by one with each save
  std::uint64_t changes = 0;     ///< of the learner: Snapshot::generation
  std::uint64_t minor = 0;       ///< of the version
  std::string library;
  std::string created;   ///< RFC 3339, UTC
  std::string scalar;    ///< "f32" or "f64"
  std::string backbone;  ///< its fingerprint
  std::uint64_t feature_dim = 0;
  std::vector<double> backbone_probe;  ///< empty: the backbone offers none
  std::uint64_t expansion = 0;         ///< its fingerprint
  std::vector<double> expansion_probe;
  Json options;                    ///< of the learner
  std::string router;              ///< file
  std::vector<StoredSpans> spans;  ///< files whose columns stand side by side
  std::vector<StoredTask> tasks;
  std::vector<StoredFile> files;
};

namespace detail {

inline constexpr std::uint64_t manifest_major = 1;
inline constexpr std::uint64_t manifest_minor = 0;
inline constexpr std::uint64_t max_manifest_bytes = std::uint64_t{64} << 20;
inline constexpr std::size_t check_digits = 64;
inline constexpr std::uint64_t generation_limit = std::uint64_t{1} << 53;  // of JSON's numbers

/// "000007"; longer from a million on.
[[nodiscard]] inline std::string numbered(std::uint64_t number) {
  std::string digits = std::to_string(number);
  return std::string(digits.size() < 6 ? 6 - digits.size() : 0, '0') + digits;
}
[[nodiscard]] inline std::string manifest_name(std::uint64_t generation) {
  return "manifest-" + numbered(generation) + ".json";
}

/// Whether a path can be one that a checkpoint wrote: names of a-z, 0-9, '.', '_' and '-' that do
/// not begin with a dot, at most three of them.
[[nodiscard]] inline bool is_stored_path(std::string_view path) {
  constexpr std::size_t longest = 64;
  int parts = 0;
  while (true) {
    const std::string_view name = path.substr(0, path.find('/'));
    const bool plain =
        !name.empty() && name.size() <= longest && name[0] != '.' &&
        name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789._-") == std::string_view::npos;
    if (!plain || ++parts > 3) return false;
    if (name.size() == path.size()) return true;
    path.remove_prefix(name.size() + 1);
  }
}

[[nodiscard]] inline bool is_check(std::string_view text) {
  const bool sha = text.starts_with("sha256:") && text.size() == 7 + check_digits;
  const bool crc = text.starts_with("crc32c:") && text.size() == 7 + 8;
  return (sha || crc) && text.find_first_not_of("0123456789abcdef", 7) == std::string_view::npos;
}

[[nodiscard]] inline std::string stored_path(const JsonFields& fields, std::string_view key) {
  const std::string& path = fields.text(key);
  if (!is_stored_path(path)) {
    fields.refuse(key, "a relative path of plain names of a-z, 0-9, '.', '_' and '-'");
  }
  return path;
}

[[nodiscard]] inline std::vector<double> parse_numbers(const JsonFields& fields,
                                                       std::string_view key) {
  std::vector<double> numbers;
  fields.for_each(key, [&](const Json& value, const std::string& place) {
    expect<FormatError>(value.is_number() && std::isfinite(value.get<double>()), place, ": is ",
                        value.dump(), ", expected a finite number");
    numbers.push_back(value.get<double>());
  });
  return numbers;
}

/// Tasks and columns stand in one list of columns, {"task": name, "label": number or null}.
[[nodiscard]] inline Json columns_json(const std::vector<StoredTask>& tasks) {
  std::vector<Json> columns;
  const auto put = [&](std::uint64_t column, Json value) {
    if (columns.size() <= column) columns.resize(column + 1);
    columns[column] = std::move(value);
  };
  for (const StoredTask& task : tasks) {
    put(task.column, {{"task", task.name}, {"label", nullptr}});
    for (std::size_t label = 0; label < task.labels.size(); ++label) {
      put(task.labels[label], {{"task", task.name}, {"label", label}});
    }
  }
  return columns;
}

inline void parse_columns(const JsonFields& fields, std::vector<StoredTask>& tasks) {
  std::map<std::string_view, StoredTask*> by_name;
  for (StoredTask& task : tasks) by_name.emplace(task.name, &task);
  std::map<const StoredTask*, std::map<std::uint64_t, std::uint64_t>> labels;
  std::set<const StoredTask*> seen;
  std::uint64_t column = 0;
  fields.for_each("columns", [&](const Json& value, const std::string& place) {
    const JsonFields entry(value, place);
    const auto task = by_name.find(entry.text("task"));
    if (task == by_name.end()) entry.refuse("task", "the name of a task of the manifest");
    if (entry.has("label") && value.at("label").is_null()) {
      if (!seen.insert(task->second).second) entry.refuse("task", "one task column a task");
      task->second->column = column;
    } else {
      const std::uint64_t label = entry.count("label", 1000000);
      if (!labels[task->second].emplace(label, column).second) {
        entry.refuse("label", "each label of a task once");
      }
    }
    ++column;
  });
  expect<FormatError>(seen.size() == tasks.size(), fields.place(), ": columns name ", seen.size(),
                      " tasks, expected ", tasks.size());
  for (StoredTask& task : tasks) {
    for (const auto& [label, at] : labels[&task]) {
      expect<FormatError>(label == task.labels.size(), fields.place(), ": task ",
                          in_quotes(task.name), " has no column for label ", task.labels.size());
      task.labels.push_back(at);
    }
  }
}

inline void parse_version(const JsonFields& fields, Manifest& manifest) {
  if (fields.text("format") != "anyssr-checkpoint")
    fields.refuse("format", "\"anyssr-checkpoint\"");
  std::vector<std::uint64_t> version;
  fields.for_each("version", [&](const Json& number, const std::string& place) {
    expect<FormatError>(number.is_number_unsigned(), place, ": is ", number.dump(),
                        ", expected a whole number");
    version.push_back(number.get<std::uint64_t>());
  });
  if (version.size() != 2) fields.refuse("version", "two numbers");
  manifest.library = fields.text("library");
  expect<FormatError>(version[0] == manifest_major, fields.place(), ": has version ", version[0],
                      ".", version[1], ", written by anyssr ", manifest.library, ", expected ",
                      manifest_major, ".x: this is anyssr ", ANYSSR_VERSION_STRING);
  manifest.minor = version[1];
  fields.for_each("must_understand", [&](const Json& name, const std::string& place) {
    raise<FormatError>(place, ": is ", name.dump(), ", which anyssr ", ANYSSR_VERSION_STRING,
                       " does not understand: take the version that wrote it, ", manifest.library);
  });
}

inline void parse_tasks(const JsonFields& fields, Manifest& manifest) {
  std::set<std::string> names;
  fields.for_each("tasks", [&](const Json& value, const std::string& place) {
    const JsonFields entry(value, place);
    StoredTask task{.name = entry.text("name"),
                    .adapter = stored_path(entry, "adapter"),
                    .digest = entry.word("digest")};
    if (task.name.empty() || !names.insert(task.name).second) {
      entry.refuse("name", "a name that no other task has");
    }
    if (entry.text("status") != "active") entry.refuse("status", "\"active\"");
    if (task.adapter.find('/') != std::string::npos)
      entry.refuse("adapter", "the name of a folder");
    manifest.tasks.push_back(std::move(task));
  });
  parse_columns(fields, manifest.tasks);
}

inline void parse_spans(const JsonFields& fields, Manifest& manifest) {
  fields.for_each("spans", [&](const Json& value, const std::string& place) {
    const JsonFields entry(value, place);
    StoredSpans spans{
        .file = stored_path(entry, "file"), .digest = entry.word("digest"), .columns = {}};
    const JsonFields columns = entry.object("columns");
    for (const auto& [site, unused] : columns.value().items()) {
      spans.columns.emplace(site, columns.count(site, std::uint64_t{1} << 28));
    }
    manifest.spans.push_back(std::move(spans));
  });
}

[[nodiscard]] inline Json spans_json(const std::vector<StoredSpans>& files) {
  Json json = Json::array();
  for (const StoredSpans& spans : files) {
    Json columns = Json::object();
    for (const auto& [site, count] : spans.columns) columns[site] = count;
    json.push_back({{"file", spans.file},
                    {"digest", word_text(spans.digest)},
                    {"columns", std::move(columns)}});
  }
  return json;
}

inline void parse_files(const JsonFields& fields, Manifest& manifest) {
  std::set<std::string> paths;
  fields.for_each("files", [&](const Json& value, const std::string& place) {
    const JsonFields entry(value, place);
    StoredFile file{.path = stored_path(entry, "path"),
                    .bytes = entry.count("bytes", std::numeric_limits<std::uint64_t>::max()),
                    .check = entry.text("check")};
    if (!paths.insert(file.path).second) entry.refuse("path", "each path once");
    if (!is_check(file.check)) {
      entry.refuse("check", "sha256: and 64 digits, or crc32c: and 8 digits, of 0-9a-f");
    }
    manifest.files.push_back(std::move(file));
  });
  const auto expect_listed = [&](const std::string& path) {
    expect<FormatError>(paths.contains(path), fields.place(), ": files do not list ",
                        in_quotes(path), ", which the manifest names");
  };
  expect_listed(manifest.router);
  for (const StoredSpans& spans : manifest.spans) expect_listed(spans.file);
  for (const StoredTask& task : manifest.tasks) {
    for (const char* file : {"adapter_config.json", "adapter_model.safetensors", "task.json"}) {
      expect_listed("adapters/" + task.adapter + "/" + file);
    }
  }
}

}  // namespace detail

/// @param place  for messages
/// @throws FormatError  naming the key, what came and what was expected
[[nodiscard]] inline Manifest parse_manifest(const Json& json, const std::string& place) {
  const detail::JsonFields fields(json, place);
  Manifest manifest;
  detail::parse_version(fields, manifest);
  manifest.generation = fields.count("generation", detail::generation_limit - 1);
  manifest.changes = fields.count("changes", std::uint64_t{1} << 53);
  manifest.created = fields.text("created");
  manifest.scalar = fields.text("scalar");
  if (manifest.scalar != "f32" && manifest.scalar != "f64") fields.refuse("scalar", "f32 or f64");
  const detail::JsonFields backbone = fields.object("backbone");
  manifest.backbone = backbone.text("id");
  manifest.feature_dim = backbone.count("feature_dim", std::uint64_t{1} << 28);
  manifest.backbone_probe = detail::parse_numbers(backbone, "probe");
  const detail::JsonFields expansion = fields.object("expansion");
  manifest.expansion = expansion.word("digest");
  manifest.expansion_probe = detail::parse_numbers(expansion, "probe");
  manifest.options = fields.object("options").value();
  manifest.router = detail::stored_path(fields, "router");
  detail::parse_spans(fields, manifest);
  detail::parse_tasks(fields, manifest);
  detail::parse_files(fields, manifest);
  return manifest;
}

/// The manifest as text, its own check in it.
[[nodiscard]] inline std::string manifest_text(const Manifest& manifest) {
  Json tasks = Json::array();
  for (const StoredTask& task : manifest.tasks) {
    tasks.push_back({{"name", task.name},
                     {"status", "active"},
                     {"adapter", task.adapter},
                     {"digest", detail::word_text(task.digest)}});
  }
  Json files = Json::array();
  for (const StoredFile& file : manifest.files) {
    files.push_back({{"path", file.path}, {"bytes", file.bytes}, {"check", file.check}});
  }
  const std::string zeros = "sha256:" + std::string(detail::check_digits, '0');
  const Json json{
      {"format", "anyssr-checkpoint"},
      {"version", {detail::manifest_major, detail::manifest_minor}},
      {"must_understand", Json::array()},
      {"check", zeros},
      {"library", manifest.library},
      {"generation", manifest.generation},
      {"changes", manifest.changes},
      {"created", manifest.created},
      {"scalar", manifest.scalar},
      {"backbone",
       {{"id", manifest.backbone},
        {"feature_dim", manifest.feature_dim},
        {"probe", manifest.backbone_probe}}},
      {"expansion",
       {{"digest", detail::word_text(manifest.expansion)}, {"probe", manifest.expansion_probe}}},
      {"options", manifest.options},
      {"columns", detail::columns_json(manifest.tasks)},
      {"tasks", std::move(tasks)},
      {"router", manifest.router},
      {"spans", detail::spans_json(manifest.spans)},
      {"files", std::move(files)}};
  std::string text = json.dump(1) + "\n";
  const std::size_t place = text.find(zeros) + 7;
  text.replace(place, detail::check_digits, sha256_hex(text));
  return text;
}

/// Refuses a manifest whose text is not the one that was written.
/// @throws FormatError
inline void expect_own_check(std::string_view text, std::string_view place) {
  constexpr std::string_view key = "\"check\": \"sha256:";
  const std::size_t found = text.find(key);
  std::string zeroed(text);
  const bool has_check =
      found != std::string_view::npos && found + key.size() + detail::check_digits <= text.size();
  if (has_check) {
    zeroed.replace(found + key.size(), detail::check_digits,
                   std::string(detail::check_digits, '0'));
  }
  detail::expect<FormatError>(
      has_check && sha256_hex(zeroed) == text.substr(found + key.size(), detail::check_digits),
      place, ": is damaged: its text does not have the SHA-256 that it names");
}

}  // namespace anyssr::inline v0
