// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The folder of one task's adapter in a checkpoint: what PEFT would load, and beside it what PEFT
/// has no place for. Written once, never touched again.
///
///   adapter_config.json, adapter_model.safetensors   modules and heads
///   task.json               names the adapter; metadata; heads' temperature and kind; modules'
///                           own alpha where the scale is alpha / sqrt(r)
///   subspace.safetensors    Q and U of modules that are still confined, where there are any

#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "anyssr/io/path_text.hpp"
#include "anyssr/io/peft_adapter.hpp"
#include "anyssr/lora/adapter_handle.hpp"
#include "anyssr/store/stored_file.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

/// "billing-eu": at most 40 of a-z, 0-9 and '-' made from any name.
[[nodiscard]] inline std::string plain_name(std::string_view name) {
  constexpr std::size_t most = 40;
  std::string plain;
  for (const char c : name) {
    if (plain.size() == most) break;
    const char lower = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    if ((lower >= 'a' && lower <= 'z') || (lower >= '0' && lower <= '9')) {
      plain += lower;
    } else if (!plain.empty() && plain.back() != '-') {
      plain += '-';
    }
  }
  while (!plain.empty() && plain.back() == '-') plain.pop_back();
  return plain.empty() ? "task" : plain;
}

/// Text that JSON can hold.
/// @throws ArgumentError
inline void expect_utf8(std::string_view what, std::string_view text) {
  const std::size_t broken = find_invalid_utf8(text);
  if (broken == std::string_view::npos) return;
  raise<ArgumentError>(what, " ", in_quotes(text), " has byte ", byte_text(text[broken]), " at ",
                       broken, ", expected UTF-8");
}

template <RealScalar S>
[[nodiscard]] constexpr std::string_view scalar_name() noexcept {
  return sizeof(S) == 4 ? "f32" : "f64";
}

template <RealScalar S>
[[nodiscard]] std::string task_text(const Adapter<S>& adapter, const AdapterInfo& info) {
  Json heads = Json::object();
  for (const auto& [name, head] : adapter.heads) {
    heads[name] = {{"temperature", head.temperature}, {"trained", head.trained}};
  }
  Json modules = Json::object();
  for (const auto& [site, module] : adapter.modules) {
    if (!module.rank_stabilised() && !module.is_confined()) continue;
    modules[site] = {{"alpha", module.alpha()},
                     {"rank_stabilised", module.rank_stabilised()},
                     {"confined", module.is_confined()}};
  }
  Json metadata = Json::object();
  for (const auto& [key, value] : adapter.metadata) metadata[key] = value;
  const Json json{{"format", "anyssr-task"},
                  {"library", ANYSSR_VERSION_STRING},
                  {"digest", word_text(info.digest)},
                  {"scalar", scalar_name<S>()},
                  {"parameters", info.parameter_count},
                  {"bytes", info.bytes},
                  {"heads", std::move(heads)},
                  {"modules", std::move(modules)},
                  {"metadata", std::move(metadata)}};
  return json.dump(1) + "\n";
}

/// Refuses an adapter whose texts no file can hold, before anything is written.
template <RealScalar S>
void expect_storable(const std::string& task, const Adapter<S>& adapter) {
  const std::string what = "of task " + in_quotes(task);
  for (const auto& [key, value] : adapter.metadata) {
    expect_utf8("a metadata key " + what, key);
    expect_utf8("metadata " + what, value);
  }
  for (const auto& [site, module] : adapter.modules) expect_utf8("a site " + what, site);
  for (const auto& [name, head] : adapter.heads) expect_utf8("a head " + what, name);
}

/// Writes the confined modules of an adapter.
/// @return whether it has any
template <RealScalar S>
bool write_subspaces(const std::filesystem::path& path, const Adapter<S>& adapter) {
  SafetensorsWriter writer;
  bool any = false;
  for (const auto& [site, module] : adapter.modules) {
    if (!module.is_confined()) continue;
    any = true;
    writer.add_reference("q." + site, module.a());
    writer.add_reference("basis." + site, module.basis());
  }
  if (any) writer.write(path);
  return any;
}

/// A new folder of a name that nobody has; what is still there at the end is deleted.
class TemporaryFolder {
 public:
  /// @throws FileError
  explicit TemporaryFolder(const std::filesystem::path& parent) {
    for (int attempt = 0; attempt < 16; ++attempt) {
      path_ = parent / temporary_name(parent);
      if (::mkdir(path_.c_str(), 0777) == 0) return;
      if (errno != EEXIST) break;
    }
    raise_file_error(parent, "no folder can be made in it", errno);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

 private:
  std::filesystem::path path_;
};

/// What task.json says of an adapter that will be loaded as S.
template <RealScalar S>
[[nodiscard]] AdapterInfo read_adapter_info(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / "task.json";
  const Json json = read_json(path);
  const JsonFields fields(json, path_text(path));
  if (fields.text("format") != "anyssr-task") fields.refuse("format", "\"anyssr-task\"");
  AdapterInfo info{.digest = fields.word("digest"),
                   .parameter_count = fields.index("parameters"),
                   .bytes = fields.count("bytes", std::uint64_t{1} << 48)};
  const std::string& scalar = fields.text("scalar");
  if (scalar != "f32" && scalar != "f64") fields.refuse("scalar", "f32 or f64");
  if (scalar != scalar_name<S>()) {
    info.bytes = sizeof(S) == 4 ? info.bytes / 2 : info.bytes * 2;
  }
  const JsonFields metadata = fields.object("metadata");
  for (const auto& [key, value] : metadata.value().items()) {
    info.metadata.emplace(key, metadata.text(key));
  }
  return info;
}

/// Sets what PEFT has no place for in the heads of an adapter.
/// @param heads  of task.json
template <RealScalar S>
void complete_heads(const JsonFields& heads, Adapter<S>& adapter) {
  for (const auto& [name, unused] : heads.value().items()) {
    if (!adapter.heads.contains(name)) heads.refuse(name, "none: no such head is there");
  }
  for (auto& [name, head] : adapter.heads) {
    const JsonFields entry = heads.object(name);
    head.temperature = entry.number("temperature");
    if (!is_finite(head.temperature) || head.temperature <= 0)
      entry.refuse("temperature", "a number above 0");
    head.trained = entry.boolean("trained");
  }
}

/// The module of a site with the scale, and the subspace, that PEFT has no place for.
/// @param entry  of task.json
template <RealScalar S>
[[nodiscard]] LoraModule<S> completed_module(const std::filesystem::path& folder,
                                             const std::string& site, const JsonFields& entry,
                                             const LoraModule<S>& module) {
  const LoraOptions lora{.rank = module.rank(),
                         .alpha = entry.number("alpha"),
                         .rank_stabilised = entry.boolean("rank_stabilised")};
  try {
    if (!entry.boolean("confined")) {
      return LoraModule<S>(Matrix<S>(module.a()), Matrix<S>(module.b()), lora);
    }
    const SafetensorsReader subspaces(resolve_stored(folder, "subspace.safetensors"));
    return LoraModule<S>(Matrix<S>(subspaces.matrix<S>("q." + site)), Matrix<S>(module.b()),
                         subspaces.matrix<S>("basis." + site), lora);
  } catch (const FileError&) {
    throw;
  } catch (const FormatError&) {
    throw;
  } catch (const Error& error) {
    raise<FormatError>(entry.place(), ": ", error.what());
  }
}

/// The adapter of a folder that the checkpoint wrote.
/// @throws FileError, FormatError
template <RealScalar S>
[[nodiscard]] Adapter<S> read_adapter_folder(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / "task.json";
  const Json json = read_json(path);
  const JsonFields fields(json, path_text(path));
  const JsonFields heads = fields.object("heads");
  PeftReadOptions options;
  for (const auto& [name, unused] : heads.value().items()) options.heads.push_back(name);
  Adapter<S> adapter = read_peft_adapter<S>(folder, options).adapter;
  adapter.metadata = read_adapter_info<S>(folder).metadata;
  complete_heads(heads, adapter);
  const JsonFields modules = fields.object("modules");
  for (const auto& [site, unused] : modules.value().items()) {
    const auto module = adapter.modules.find(site);
    if (module == adapter.modules.end()) modules.refuse(site, "none: no such module is there");
    module->second = completed_module(folder, site, modules.object(site), module->second);
  }
  return adapter;
}

/// Refuses an adapter that a load would refuse or change: what cannot be read again is not stored.
/// @param folder  where it was written
template <RealScalar S>
void expect_read_again(const std::filesystem::path& folder, const std::string& task,
                       const Adapter<S>& adapter) {
  bool is_same = false;
  try {
    is_same = read_adapter_folder<S>(folder) == adapter;
  } catch (const FileError&) {
    throw;
  } catch (const Error& error) {
    raise<ArgumentError>("the adapter of task ", in_quotes(task),
                         " cannot be saved, since no load would take it: ", error.what());
  }
  expect(is_same, "the adapter of task ", in_quotes(task),
         " cannot be saved: what is read again from its files is another one");
}

/// Writes root / adapters / folder, reads it again, and gives the entries of its files.
/// @param task  for messages
/// @throws FileError      where the system refuses
/// @throws ArgumentError  where the adapter would not come back as it is; nothing is left then
template <RealScalar S>
std::vector<StoredFile> write_adapter_folder(const std::filesystem::path& root,
                                             const std::string& folder, const std::string& task,
                                             const Adapter<S>& adapter, const AdapterInfo& info) {
  const std::filesystem::path adapters = root / "adapters";
  const TemporaryFolder temporary(adapters);
  const std::filesystem::path& making = temporary.path();
  write_peft_adapter(making, adapter);
  AtomicFile description(making / "task.json");
  description.write(task_text(adapter, info));
  description.commit();
  std::vector<std::string> names{"adapter_config.json", "adapter_model.safetensors", "task.json"};
  if (write_subspaces(making / "subspace.safetensors", adapter)) {
    names.emplace_back("subspace.safetensors");
  }
  expect_read_again(making, task, adapter);
  std::vector<StoredFile> files;
  for (const std::string& name : names) {
    files.push_back(stored_file(making, name));
    files.back().path = concat("adapters/", folder, "/", name);
  }
  if (::rename(making.c_str(), (adapters / folder).c_str()) != 0) {
    raise_file_error(adapters / folder, "cannot be put in place", errno);
  }
  sync_folder(adapters);
  return files;
}

}  // namespace anyssr::inline ANYSSR_ABI::detail
