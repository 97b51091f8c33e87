// SPDX-License-Identifier: MIT
#include "adapter_tool/adapters.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <system_error>
#include <utility>

#include "support/messages.hpp"

namespace adapter_tool {

using namespace anyssr;
namespace fs = std::filesystem;

namespace {

constexpr const char* config_file = "adapter_config.json";
constexpr const char* tensor_file = "adapter_model.safetensors";

/// Whether one of the files is there that make a folder an adapter's: also those that are refused
/// later, with the reason.
bool is_adapter(const fs::path& folder) {
  std::error_code ignored;
  return std::ranges::any_of(std::array{config_file, tensor_file, "adapter_model.bin"},
                             [&](const char* name) { return fs::exists(folder / name, ignored); });
}

void copy_bytes(const fs::path& from, const fs::path& to) {
  const RegularFile source(from);
  AtomicFile target(to);
  std::vector<std::byte> piece(std::size_t{1} << 20);
  for (std::uint64_t at = 0; at < source.size();) {
    const auto size =
        static_cast<std::size_t>(std::min<std::uint64_t>(piece.size(), source.size() - at));
    source.read(at, std::span(piece).first(size));
    target.write(std::span<const std::byte>(piece).first(size));
    at += size;
  }
  target.commit();
}

}  // namespace

StoredAdapter read_adapter(const fs::path& folder, const WarningSink& warn) {
  std::error_code ignored;
  if (!fs::is_directory(folder, ignored)) {
    throw FileError(folder.string() + ": is no folder, expected one with " + config_file + " and " +
                    tensor_file);
  }
  PeftAdapter<double> read = read_peft_adapter<double>(folder, {.any_head = true, .warn = warn});
  return {.folder = folder,
          .adapter = std::move(read.adapter),
          .report = std::move(read.report),
          .config = RegularFile(folder / config_file).read_text(std::uint64_t{4} << 20)};
}

PeftReport read_report(const fs::path& folder) {
  return read_peft_report(folder, {.any_head = true});
}

std::string name_of_folder(const fs::path& folder) {
  std::error_code ignored;  // of the current folder: what was given names it then
  const fs::path whole = fs::absolute(folder, ignored).lexically_normal();
  const fs::path& path = ignored ? folder : whole;
  return (path.has_filename() ? path : path.parent_path()).filename().string();
}

Dtype dtype_of_report(const PeftReport& report) { return report.dtype.value_or(Dtype::F32); }

Index parameter_count(const PeftReport& report) {
  Index count = 0;
  for (const PeftSite& site : report.sites) count += site.options.rank * (site.in + site.out);
  for (const PeftHead& head : report.heads) {
    count += head.out * (head.in + (head.has_bias ? 1 : 0));
  }
  return count;
}

std::vector<fs::path> find_adapters(const fs::path& path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) {
    throw FileError(path.string() + ": is no folder, expected one that holds adapters");
  }
  std::vector<fs::path> found;
  if (is_adapter(path)) found.push_back(path);
  fs::recursive_directory_iterator entry(path, fs::directory_options::skip_permission_denied,
                                         error);
  for (; !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    std::error_code ignored;
    if (!entry->is_directory(ignored)) continue;
    if (entry->path().filename().string().starts_with('.')) {
      entry.disable_recursion_pending();
    } else if (is_adapter(entry->path())) {
      found.push_back(entry->path());
    }
  }
  if (error) throw FileError(path.string() + ": cannot be searched: " + error.message());
  if (found.empty()) {
    throw FormatError(path.string() + ": holds no adapter: neither it nor a folder below it has " +
                      config_file);
  }
  std::ranges::sort(found);
  return found;
}

void expect_same_shapes(std::span<const StoredAdapter> adapters) {
  std::map<std::string, const StoredAdapter*> first;
  for (const StoredAdapter& stored : adapters) {
    for (const auto& [site, module] : stored.adapter.modules) {
      const StoredAdapter& other = *first.emplace(site, &stored).first->second;
      const LoraModule<double>& expected = other.adapter.modules.at(site);
      support::expect<ShapeError>(
          module.in_dim() == expected.in_dim() && module.out_dim() == expected.out_dim(),
          stored.folder.string(), ": site ", in_quotes(site), " is ", module.out_dim(), " x ",
          module.in_dim(), ", expected ", expected.out_dim(), " x ", expected.in_dim(), " as in ",
          other.folder.string());
    }
  }
}

void expect_new(const fs::path& out, bool force) {
  std::error_code ignored;
  if (force || !fs::exists(fs::symlink_status(out, ignored))) return;
  if (fs::is_directory(out, ignored) && fs::is_empty(out, ignored) && !ignored) return;
  throw ArgumentError("OUT is '" + out.string() +
                      "', which is there already, expected a new folder; --force writes over the "
                      "adapter in it");
}

OutFolder::OutFolder(fs::path folder) : folder_(std::move(folder)) {
  std::error_code ignored;
  is_kept_ = fs::exists(fs::symlink_status(folder_, ignored));
}

OutFolder::~OutFolder() {
  if (is_kept_) return;
  std::error_code ignored;
  for (const char* name : {config_file, tensor_file}) fs::remove(folder_ / name, ignored);
  fs::remove(folder_, ignored);  // which does nothing where anything else is in it
}

void copy_weights(const fs::path& from, const fs::path& out) {
  std::error_code error;
  fs::create_directory(out, error);
  if (error) throw FileError(out.string() + ": cannot be made: " + error.message());
  copy_bytes(from / tensor_file, out / tensor_file);
}

void write_config(const fs::path& out, const std::string& text) {
  AtomicFile file(out / config_file);
  file.write(text);
  file.commit();
}

}  // namespace adapter_tool
