// SPDX-License-Identifier: MIT
#include "adapter_tool/commands.hpp"

#include <algorithm>
#include <anyssr/lora/adapter_algebra.hpp>
#include <array>
#include <cmath>
#include <limits>
#include <optional>
#include <set>
#include <utility>

#include "support/messages.hpp"
#include "support/option_checks.hpp"

namespace adapter_tool {

using namespace anyssr;
namespace fs = std::filesystem;

namespace {

using Entry = AdapterMix<double>::Entry;

Listed listed(const fs::path& folder) {
  Listed line{.folder = folder, .name = name_of_folder(folder)};
  try {
    const PeftReport report = read_report(folder);
    std::set<Index> ranks;
    for (const PeftSite& site : report.sites) ranks.insert(site.options.rank);
    line.sites = report.sites.size();
    line.heads = report.heads.size();
    line.ranks.assign(ranks.begin(), ranks.end());
    line.parameters = parameter_count(report);
    line.bytes = report.file_bytes;
    line.dtype = to_string(dtype_of_report(report));
    line.base_model = report.config.base_model;
  } catch (const Error& error) {
    line.problem = error.what();
  }
  return line;
}

/// |dW' - dW|_F at one site; exactly 0 where no bit differs.
double change_error(const LoraModule<double>& before, const LoraModule<double>& after) {
  if (before == after) return 0;
  Adapter<double> left;
  Adapter<double> right;
  left.modules.emplace("", before);
  right.modules.emplace("", after);
  return change_norm(merge_adapters<double>(std::array<Entry, 2>{{{&left, 1}, {&right, -1}}}));
}

/// The error of all sites as if they stood in one matrix.
double change_error(const Adapter<double>& before, const Adapter<double>& after) {
  double error = 0;
  for (const auto& [site, module] : before.modules) {
    error = std::hypot(error, change_error(module, after.modules.at(site)));
  }
  return error;
}

double share(double error, double norm) { return norm == 0 ? 0 : error / norm; }

/// What rounding did to the numbers of one tensor.
template <class X>
void add_rounding(const X& before, const X& after, Conversion& result) {
  for (Index i = 0; i < before.size(); ++i) {
    const double x = before.data()[i];
    const double y = after.data()[i];
    ++result.numbers;
    if (x == y) continue;
    ++result.rounded;
    if (y == 0) {
      ++result.became_zero;
    } else {
      result.largest_relative_rounding =
          std::max(result.largest_relative_rounding, std::abs(y - x) / std::abs(x));
    }
  }
}

Dtype parse_dtype(const std::string& name) {
  const std::optional<Dtype> dtype = find_dtype(name);
  if (!dtype || kind_of(*dtype) != DtypeKind::number) {
    throw ArgumentError("--dtype is '" + name + "', expected one of " +
                        dtype_names(DtypeKind::number));
  }
  return *dtype;
}

/// What the adapters of a merge say of their model: the first base model that is named, and task
/// type and revision where all say the same.
PeftWriteOptions common_config(const std::vector<StoredAdapter>& adapters,
                               std::vector<std::string>& warnings) {
  PeftWriteOptions options;
  options.fan_in_fan_out = adapters.front().report.config.fan_in_fan_out;
  options.task_type = adapters.front().report.config.task_type;
  options.revision = adapters.front().report.config.revision;
  for (const StoredAdapter& stored : adapters) {
    const PeftConfig& config = stored.report.config;
    support::expect(config.fan_in_fan_out == options.fan_in_fan_out, stored.folder.string(),
                    ": fan_in_fan_out is ", config.fan_in_fan_out ? "true" : "false",
                    ", expected the same as in ", adapters.front().folder.string());
    if (options.base_model.empty()) options.base_model = config.base_model;
    if (!config.base_model.empty() && config.base_model != options.base_model) {
      warnings.push_back("the base model of " + stored.folder.string() + " is " +
                         in_quotes(config.base_model) + ", expected " +
                         in_quotes(options.base_model) + " as of the adapters before it");
    }
    if (config.task_type != options.task_type) options.task_type.clear();
    if (config.revision != options.revision) options.revision.clear();
    for (const std::string& warning : stored.report.warnings) {
      warnings.push_back(stored.folder.string() + ": " + warning);
    }
  }
  return options;
}

Adapter<double> compressed(const Adapter<double>& sum, Index rank) {
  Adapter<double> result = sum;
  for (auto& [site, module] : result.modules) module = compress(module, rank).module;
  return result;
}

/// Refuses weights that no model can use, since models compute in float.
void expect_range(const Adapter<double>& sum, const std::vector<std::string>& folders) {
  using Float = std::numeric_limits<float>;
  for (const auto& [site, module] : sum.modules) {
    const double scale = module.scale();
    const bool is_usable =
        scale >= Float::min() && scale <= Float::max() && std::isfinite(change_norm(module));
    if (is_usable) continue;
    std::string all;
    for (const std::string& folder : folders) all += (all.empty() ? "" : " ") + folder;
    throw ArgumentError("the weights of " + all + " give the change at " + in_quotes(site) +
                        " the scale " + support::concat(scale) +
                        ", expected weights whose change fits in float");
  }
}

/// Errors of what stands in OUT now, against the exact sum.
void measure_merge(const Adapter<double>& sum, Merge& result) {
  const StoredAdapter written = read_adapter(result.out);
  result.bytes = written.report.file_bytes;
  for (const auto& [site, module] : sum.modules) {
    const LoraModule<double>& after = written.adapter.modules.at(site);
    const MergedSite merged{.name = site,
                            .rank_of_sum = module.rank(),
                            .rank = after.rank(),
                            .norm = change_norm(module),
                            .error = change_error(module, after)};
    result.norm = std::hypot(result.norm, merged.norm);
    result.error = std::hypot(result.error, merged.error);
    result.sites.push_back(merged);
  }
}

}  // namespace

WeightedFolder parse_entry(const std::string& text) {
  std::error_code ignored;
  const std::size_t colon = text.rfind(':');
  if (colon == std::string::npos || fs::exists(text, ignored)) return {text};
  WeightedFolder entry{.folder = text.substr(0, colon)};
  const std::string weight = text.substr(colon + 1);
  const std::optional<double> number = support::parse_decimal(weight);
  if (!number) {
    throw ArgumentError("the weight of '" + text + "' is '" + weight +
                        "', expected a finite number as in FOLDER:0.5");
  }
  entry.weight = *number;
  return entry;
}

bool Listing::is_readable() const {
  return std::ranges::all_of(adapters, [](const Listed& line) { return line.problem.empty(); });
}

Listing list(const std::vector<std::string>& paths) {
  Listing listing;
  for (const std::string& path : paths) {
    for (const fs::path& folder : find_adapters(path)) listing.adapters.push_back(listed(folder));
  }
  return listing;
}

Inspection inspect(const std::string& folder) {
  const StoredAdapter stored = read_adapter(folder);
  const PeftConfig& config = stored.report.config;
  Inspection result{.folder = stored.folder,
                    .name = name_of_folder(stored.folder),
                    .base_model = config.base_model,
                    .task_type = config.task_type,
                    .dtype = std::string(to_string(dtype_of_report(stored.report))),
                    .bytes = stored.report.file_bytes,
                    .parameters = parameter_count(stored.report),
                    .change_norm = change_norm(stored.adapter),
                    .rank_stabilised = config.rank_stabilised,
                    .sites = {},
                    .heads = {},
                    .warnings = stored.report.warnings};
  for (const PeftSite& site : stored.report.sites) {
    const LoraModule<double>& module = stored.adapter.modules.at(site.name);
    result.sites.push_back({.name = site.name,
                            .out = site.out,
                            .in = site.in,
                            .rank = site.options.rank,
                            .alpha = site.options.alpha,
                            .scale = module.scale(),
                            .change_norm = change_norm(module),
                            .bytes = site.bytes});
  }
  for (const PeftHead& head : stored.report.heads) {
    result.heads.push_back(
        {.name = head.name, .out = head.out, .in = head.in, .bytes = head.bytes});
  }
  return result;
}

Conversion convert(const ConvertOptions& options) {
  const Dtype dtype = parse_dtype(options.dtype);
  expect_new(options.out, options.force);
  const StoredAdapter before = read_adapter(options.folder, warn);
  OutFolder out(options.out);
  write_peft_adapter(options.out, before.adapter, {.dtype = dtype});
  write_config(options.out, before.config);
  const StoredAdapter after = read_adapter(options.out);
  Conversion result{.out = options.out,
                    .from = std::string(to_string(dtype_of_report(before.report))),
                    .to = options.dtype,
                    .bytes_before = before.report.file_bytes,
                    .bytes_after = after.report.file_bytes};
  for (const auto& [site, module] : before.adapter.modules) {
    const LoraModule<double>& rounded = after.adapter.modules.at(site);
    add_rounding(module.a(), rounded.a(), result);
    add_rounding(module.b(), rounded.b(), result);
  }
  for (const auto& [name, head] : before.adapter.heads) {
    const Head<double>& rounded = after.adapter.heads.at(name);
    add_rounding(head.weights, rounded.weights, result);
    add_rounding(head.bias, rounded.bias, result);
  }
  result.change_error =
      share(change_error(before.adapter, after.adapter), change_norm(before.adapter));
  out.keep();
  return result;
}

Merge merge(const MergeOptions& options) {
  support::expect(!options.rank || *options.rank >= 1, "--rank is ", options.rank.value_or(0),
                  ", expected at least 1");
  expect_new(options.out, options.force);
  Merge result{.out = options.out};
  std::vector<StoredAdapter> adapters;
  for (const std::string& text : options.folders) {
    const WeightedFolder entry = parse_entry(text);
    StoredAdapter stored = read_adapter(entry.folder);
    if (entry.weight == 0) continue;
    result.names.push_back(name_of_folder(stored.folder));
    result.weights.push_back(entry.weight);
    adapters.push_back(std::move(stored));
  }
  support::expect(!adapters.empty(), "the weights are all 0, expected another one");
  expect_same_shapes(adapters);
  const PeftWriteOptions config = common_config(adapters, result.warnings);
  std::vector<Entry> entries;
  Dtype dtype = dtype_of_report(adapters.front().report);
  for (std::size_t i = 0; i < adapters.size(); ++i) {
    entries.push_back({&adapters[i].adapter, result.weights[i]});
    dtype = common_dtype(dtype, dtype_of_report(adapters[i].report));
  }
  result.dtype = to_string(dtype);
  //! [merge]
  const Adapter<double> sum = merge_adapters<double>(entries);
  expect_range(sum, options.folders);
  const Adapter<double> written =
      options.rank ? compressed(sum, static_cast<Index>(*options.rank)) : sum;
  //! [merge]
  OutFolder out(options.out);
  result.is_copy = adapters.size() == 1 && written == adapters.front().adapter;
  if (result.is_copy) {
    copy_weights(adapters.front().folder, options.out);
    write_config(options.out, adapters.front().config);
  } else {
    PeftWriteOptions write = config;
    write.dtype = dtype;
    write_peft_adapter(options.out, written, write);
  }
  measure_merge(sum, result);
  out.keep();
  return result;
}

Comparison compare(const std::vector<std::string>& folders) {
  support::expect(folders.size() >= 2, "there is ", folders.size(),
                  " folder to compare, expected at least 2");
  std::vector<StoredAdapter> adapters;
  for (const std::string& folder : folders) {
    adapters.push_back(read_adapter(folder, warn));
  }
  expect_same_shapes(adapters);
  const std::size_t count = adapters.size();
  Comparison result{.folders = folders,
                    .similarity = std::vector(count, std::vector<double>(count)),
                    .common_sites = std::vector(count, std::vector<std::size_t>(count))};
  for (std::size_t i = 0; i < count; ++i) {
    const Adapter<double>& left = adapters[i].adapter;
    result.names.push_back(name_of_folder(adapters[i].folder));
    for (std::size_t j = 0; j <= i; ++j) {
      const Adapter<double>& right = adapters[j].adapter;
      result.similarity[i][j] = result.similarity[j][i] = similarity(left, right);
      result.common_sites[i][j] = result.common_sites[j][i] =
          static_cast<std::size_t>(std::ranges::count_if(left.modules, [&](const auto& module) {
            return right.modules.contains(module.first);
          }));
    }
  }
  return result;
}

bool Verification::is_whole() const {
  return std::ranges::all_of(files, [](const FileReport& file) { return file.damage.empty(); });
}

Verification verify(const std::string& checkpoint) {
  std::uint64_t generation = 0;
  Verification result{.checkpoint = checkpoint,
                      .files = verify_checkpoint(checkpoint, &generation)};
  // what is whole is not read a second time
  result.newest_whole =
      result.is_whole() ? std::optional(generation) : newest_whole_generation(checkpoint);
  return result;
}

LogVerification verify_log(const std::string& log, const std::string& head) {
  support::expect(head.empty() || is_audit_digest(head), "--head is ", in_quotes(head),
                  ", expected sha256: and 64 digits of 0-9a-f");
  return {.log = log, .found = verify_audit_log(log, head), .has_head = !head.empty()};
}

}  // namespace adapter_tool
