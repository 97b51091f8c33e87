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
/// keys are ignored. Version 1.1 is written, with names in `must_understand`, where the state holds
/// what 1.0 would misread: a task that is archived ("disabled") or waits for a merge ("merge"),
/// rows of removed tasks ("removed_rows"), a policy other than the default ("policy"); and without
/// such a name where it holds what 1.0 would lose at its next save: frozen tasks, use, an
/// inspector.

#include <algorithm>
#include <array>
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
#include "anyssr/store/serving_json.hpp"
#include "anyssr/store/stored_tasks.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// A file of a checkpoint.
struct StoredFile {
  std::string path;  ///< relative to the folder, with /
  std::uint64_t bytes = 0;
  std::string check;  ///< "sha256:" and 64 digits, or "crc32c:" and 8
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
  std::uint64_t removed_rows = 0;  ///< of removed tasks, which the router's sums still hold
  RoutingPolicy policy;
  UsageMeter::Counts usage;
  std::string inspector;   ///< file; empty: the learner watches nothing
  std::string audit_head;  ///< "sha256:..." of the audit log's last line (AuditLog::head); or empty
  std::vector<StoredFile> files;
};

namespace detail {

inline constexpr std::uint64_t manifest_major = 1;
inline constexpr std::uint64_t manifest_minor = 1;  // the highest that is written
/// What a reader of version 1.0 would misread, where it is there.
inline constexpr std::array<std::string_view, 4> understood_names{"disabled", "merge",
                                                                  "removed_rows", "policy"};
inline constexpr std::uint64_t max_rows = std::uint64_t{1} << 53;
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

[[nodiscard]] inline std::vector<double> parse_probe(const JsonFields& fields) {
  std::vector<double> numbers;
  fields.for_each("probe", [&](const Json& value, const std::string& place) {
    expect<FormatError>(value.is_number() && is_finite(value.get<double>()), place, ": is ",
                        value.dump(), ", expected a finite number");
    numbers.push_back(value.get<double>());
  });
  return numbers;
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
    const bool is_understood =
        name.is_string() && std::find(understood_names.begin(), understood_names.end(),
                                      name.get<std::string>()) != understood_names.end();
    if (is_understood) return;
    raise<FormatError>(place, ": is ", name.dump(), ", which anyssr ", ANYSSR_VERSION_STRING,
                       " does not understand: take the version that wrote it, ", manifest.library);
  });
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
  if (!manifest.inspector.empty()) expect_listed(manifest.inspector);
  for (const StoredSpans& spans : manifest.spans) expect_listed(spans.file);
  for (const StoredTask* task : with_parts(manifest.tasks)) {
    for (const char* file : {"adapter_config.json", "adapter_model.safetensors", "task.json"}) {
      expect_listed("adapters/" + task->adapter + "/" + file);
    }
  }
}

/// Whether a text can be AuditLog::head of a log with lines.
[[nodiscard]] inline bool is_audit_head(std::string_view text) {
  return text.starts_with("sha256:") && is_check(text);
}

/// What came after version 1.0: each key may be absent.
inline void parse_serving(const JsonFields& fields, Manifest& manifest) {
  if (fields.has("removed_rows")) manifest.removed_rows = fields.count("removed_rows", max_rows);
  if (fields.has("policy")) manifest.policy = parse_policy(fields.object("policy"));
  if (fields.has("usage")) manifest.usage = parse_usage(fields);
  if (fields.has("inspector")) manifest.inspector = stored_path(fields, "inspector");
  if (!fields.has("audit_head")) return;
  manifest.audit_head = fields.text("audit_head");
  if (!is_audit_head(manifest.audit_head)) {
    fields.refuse("audit_head", "sha256: and 64 digits of 0-9a-f");
  }
}

/// Names of `understood_names` that the state asks for.
[[nodiscard]] inline std::vector<std::string> names_to_understand(const Manifest& manifest) {
  const auto any_task = [&](const auto& holds) {
    return std::any_of(manifest.tasks.begin(), manifest.tasks.end(), holds);
  };
  std::vector<std::string> names;
  if (any_task([](const StoredTask& task) { return !task.active; })) names.emplace_back("disabled");
  if (any_task([](const StoredTask& task) { return !task.parts.empty(); })) {
    names.emplace_back("merge");
  }
  if (manifest.removed_rows > 0) names.emplace_back("removed_rows");
  if (policy_json(manifest.policy) != policy_json({})) names.emplace_back("policy");
  return names;
}

/// Whether version 1.0 would lose anything.
[[nodiscard]] inline bool holds_more_than_1_0(const Manifest& manifest) {
  const auto is_frozen = [](const auto* task) { return task->frozen; };
  const auto tasks = with_parts(manifest.tasks);
  return !names_to_understand(manifest).empty() || !manifest.usage.empty() ||
         !manifest.inspector.empty() || std::any_of(tasks.begin(), tasks.end(), is_frozen);
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
  manifest.backbone_probe = detail::parse_probe(backbone);
  const detail::JsonFields expansion = fields.object("expansion");
  manifest.expansion = expansion.word("digest");
  manifest.expansion_probe = detail::parse_probe(expansion);
  manifest.options = fields.object("options").value();
  manifest.router = detail::stored_path(fields, "router");
  detail::parse_spans(fields, manifest);
  manifest.tasks = detail::parse_tasks(fields, detail::stored_path);
  detail::parse_serving(fields, manifest);
  detail::parse_files(fields, manifest);
  return manifest;
}

/// The manifest as text, its own check in it.
[[nodiscard]] inline std::string manifest_text(const Manifest& manifest) {
  const std::vector<std::string> names = detail::names_to_understand(manifest);
  Json files = Json::array();
  for (const StoredFile& file : manifest.files) {
    files.push_back({{"path", file.path}, {"bytes", file.bytes}, {"check", file.check}});
  }
  const std::string zeros = "sha256:" + std::string(detail::check_digits, '0');
  Json json{
      {"format", "anyssr-checkpoint"},
      {"version",
       {detail::manifest_major,
        detail::holds_more_than_1_0(manifest) ? detail::manifest_minor : 0}},
      {"must_understand", names},
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
      {"tasks", detail::tasks_json(manifest.tasks)},
      {"policy", detail::policy_json(manifest.policy)},
      {"usage", detail::usage_json(manifest.usage)},
      {"router", manifest.router},
      {"spans", detail::spans_json(manifest.spans)},
      {"files", std::move(files)}};
  if (manifest.removed_rows > 0) json["removed_rows"] = manifest.removed_rows;
  if (!manifest.inspector.empty()) json["inspector"] = manifest.inspector;
  if (!manifest.audit_head.empty()) json["audit_head"] = manifest.audit_head;
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

}  // namespace anyssr::inline ANYSSR_ABI
