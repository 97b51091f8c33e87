// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Reads a PEFT adapter folder, adapter_config.json and adapter_model.safetensors, into an Adapter:
///
///   y = x W0^T + c (x A^T) B^T     A (r x in) and B (out x r) as the file has them
///   c = alpha / r or alpha / sqrt(r), by the site's r and alpha (peft_config.hpp)
///
/// The tensors decide which sites have a module. A layer of modules_to_save becomes a head; its
/// weight (out x in) is turned, since a Head has in x out. PEFT knows no temperature and no trained
/// flag: both are at their defaults. All checks come before a number is read, and nothing runs code
/// from a file.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "anyssr/core/concepts.hpp"
#include "anyssr/core/error.hpp"
#include "anyssr/core/warning.hpp"
#include "anyssr/io/dtype.hpp"
#include "anyssr/io/foreign_folder.hpp"
#include "anyssr/io/near_names.hpp"
#include "anyssr/io/path_text.hpp"
#include "anyssr/io/peft_config.hpp"
#include "anyssr/io/peft_names.hpp"
#include "anyssr/io/peft_warnings.hpp"
#include "anyssr/io/regular_file.hpp"
#include "anyssr/io/safetensors_reader.hpp"
#include "anyssr/lora/adaptable_backbone.hpp"
#include "anyssr/lora/adapter.hpp"
#include "anyssr/lora/lora_module.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// What the adapter is to fit.
struct PeftReadOptions {
  std::vector<Site> sites = {};         ///< of the backbone; empty: not checked
  std::vector<std::string> heads = {};  ///< modules that may be replaced as a whole
  bool any_head = false;                ///< every one may; heads is not asked
  std::string base_model = {};          ///< another one in the file is a warning; empty: any
  std::uint64_t max_header_bytes = std::uint64_t{16} << 20;
  WarningSink warn = {};  ///< gets what PeftReport::warnings gets, behind the file's path
};

/// A site of the file.
struct PeftSite {
  std::string name = {};
  Index in = 0;
  Index out = 0;
  LoraOptions options = {};  ///< by the config and its patterns
  std::uint64_t bytes = 0;   ///< of A and B in the file
};

/// A head of the file.
struct PeftHead {
  std::string name = {};
  Index in = 0;
  Index out = 0;
  bool has_bias = false;    ///< without: one of zeros is read
  std::uint64_t bytes = 0;  ///< of weight and bias in the file
};

/// What a folder says beside the numbers.
struct PeftReport {
  PeftConfig config = {};
  std::optional<Dtype> dtype = {};         ///< narrowest that holds every number; none: no tensors
  std::vector<PeftSite> sites = {};        ///< by name
  std::vector<PeftHead> heads = {};        ///< by name
  std::uint64_t file_bytes = 0;            ///< of adapter_model.safetensors
  std::vector<std::string> warnings = {};  ///< what may be a mistake and harms no number
};

/// An adapter and what its folder says of it.
template <RealScalar S>
struct PeftAdapter {
  Adapter<S> adapter;
  PeftReport report;
};

namespace detail {

/// One folder's reading: everything is checked by the constructor, numbers are read after it.
class PeftFolder {
 public:
  PeftFolder(const std::filesystem::path& folder, const PeftReadOptions& options)
      : options_(options),
        config_path_(path_text(folder / "adapter_config.json")),
        path_(path_text(folder / "adapter_model.safetensors")),
        report_{.config = read_config(folder)},
        tensors_(folder / "adapter_model.safetensors",
                 {.max_header_bytes = options.max_header_bytes}) {
    sort_tensors();
    check_sites();
    check_heads();
    expect_tensors();
    list_layers();
    warn_of_config();
  }

  [[nodiscard]] PeftReport report() && { return std::move(report_); }

  template <RealScalar S>
  [[nodiscard]] PeftAdapter<S> read() && {
    for (const PeftSite& site : report_.sites) expect_scale<S>(site);
    Adapter<S> adapter;
    for (const auto& [site, layer] : sites_) {
      Matrix<S> a = matrix<S>(*layer.a);
      Matrix<S> b = matrix<S>(*layer.b);
      adapter.modules.emplace(site, LoraModule<S>(std::move(a), std::move(b), layer.options));
    }
    for (const auto& [name, layer] : heads_) {
      Head<S> head{.weights = matrix<S>(*layer.weight).transpose()};
      head.bias = RowVector<S>::Zero(head.out_dim());
      if (layer.bias != nullptr)
        head.bias = finite(*layer.bias, tensors_.vector<S>(layer.bias->name));
      adapter.heads.emplace(name, std::move(head));
    }
    if (const std::string_view zero = zero_factor(adapter); !zero.empty()) {
      warn(path_, concat(zero, " is zero at every site: the adapter changes nothing",
                         zero == "lora_B" ? ", as before training" : ""));
    }
    return {std::move(adapter), std::move(report_)};
  }

 private:
  struct SiteLayer {
    const TensorInfo* a = nullptr;
    const TensorInfo* b = nullptr;
    LoraOptions options = {};
  };
  struct HeadLayer {
    const TensorInfo* weight = nullptr;
    const TensorInfo* bias = nullptr;  // null: none
  };

  [[nodiscard]] PeftConfig read_config(const std::filesystem::path& folder) const {
    const std::filesystem::path pickle = folder / "adapter_model.bin";
    std::error_code ignored;
    const std::filesystem::path config = folder / "adapter_config.json";
    const std::filesystem::path tensors = folder / "adapter_model.safetensors";
    if (!std::filesystem::exists(tensors, ignored) && std::filesystem::exists(pickle, ignored)) {
      raise<FormatError>(path_text(pickle),
                         ": is a pickle, expected adapter_model.safetensors: ", convert_pickle);
    }
    for (const std::filesystem::path& file : {config, tensors}) {
      if (!is_missing(file)) continue;
      const std::string hint = folder_hint(folder, FolderKind::adapter);
      expect<FileError>(hint.empty(), path_text(file), ": is not there", hint);
    }
    return read_peft_config(config);
  }

  template <class... Parts>
  [[noreturn]] void refuse(const TensorInfo& tensor, const Parts&... parts) const {
    raise<FormatError>(path_, ": tensor ", in_quotes(tensor.name), " ", parts...);
  }

  /// By module. Shapes are checked as far as they can be without the config.
  void sort_tensors() {
    expect_gathered(path_, tensors_.tensors());
    for (const TensorInfo& tensor : tensors_.tensors()) {
      const PeftName name = parse_peft_name(tensor.name, path_);
      const std::size_t dimensions = name.role == PeftRole::head_bias ? 1 : 2;
      if (tensor.shape.size() == 4 && dimensions == 2) {
        refuse(tensor, "has shape ", shape_text(tensor.shape),
               ", expected 2 dimensions: convolutions are no sites");
      }
      if (tensor.shape.size() != dimensions || std::ranges::count(tensor.shape, 0U) > 0) {
        refuse(tensor, "has shape ", shape_text(tensor.shape), ", expected ", dimensions,
               dimensions == 1 ? " dimension" : " dimensions", " above 0");
      }
      if (kind_of(tensor.dtype) != DtypeKind::number) {
        refuse(tensor, "is ", to_string(tensor.dtype), ", expected one of ",
               dtype_names(DtypeKind::number));
      }
      report_.dtype = common_dtype(report_.dtype.value_or(tensor.dtype), tensor.dtype);
      place_of(name) = &tensor;
    }
  }
  [[nodiscard]] const TensorInfo*& place_of(const PeftName& name) {
    switch (name.role) {
      case PeftRole::lora_a:
        return sites_[name.module].a;
      case PeftRole::lora_b:
        return sites_[name.module].b;
      case PeftRole::head_weight:
        return heads_[name.module].weight;
      default:
        return heads_[name.module].bias;
    }
  }

  void check_sites() {
    std::vector<std::string> names;
    for (const auto& [site, layer] : sites_) {
      if (layer.b == nullptr) refuse(*layer.a, "has no lora_B beside it");
      if (layer.a == nullptr) refuse(*layer.b, "has no lora_A beside it");
      names.push_back(site);
    }
    std::vector<LoraOptions> all;
    try {
      all = lora_options(report_.config, names, &unused_);
    } catch (const FormatError& error) {
      raise<FormatError>(config_path_, ": rank_pattern or alpha_pattern: ", error.what());
    }
    std::map<std::string_view, const Site*> known;
    for (const Site& site : options_.sites) known.emplace(site.name, &site);
    auto options = all.begin();
    for (auto& [site, layer] : sites_) {
      layer.options = *options++;
      check_rank(layer);
      if (known.empty()) continue;
      const auto found = known.find(site);
      if (found == known.end()) {
        refuse(*layer.a, "is of the site ", in_quotes(site),
               ", which the backbone has not; near: ", near_sites(site));
      }
      tensors_.expect_shape(layer.a->name, {layer.options.rank, found->second->in});
      tensors_.expect_shape(layer.b->name, {found->second->out, layer.options.rank});
    }
  }

  [[nodiscard]] std::string near_sites(std::string_view wanted) const {
    std::vector<std::string> names;
    for (const Site& site : options_.sites) names.push_back(site.name);
    return near_names(wanted, names);
  }

  void check_rank(const SiteLayer& layer) const {
    if (layer.a->shape[0] != layer.b->shape[1]) {
      refuse(*layer.a, "has shape ", shape_text(layer.a->shape), " and its lora_B ",
             shape_text(layer.b->shape), ", expected as many rows as that has columns");
    }
    if (std::cmp_not_equal(layer.a->shape[0], layer.options.rank)) {
      refuse(*layer.a, "has shape ", shape_text(layer.a->shape), ", expected ", layer.options.rank,
             " rows, the rank of that site in adapter_config.json");
    }
  }

  void check_heads() {
    for (const auto& [name, layer] : heads_) {
      const TensorInfo& tensor = layer.weight != nullptr ? *layer.weight : *layer.bias;
      if (!is_saved(name)) {
        refuse(tensor, "is used by nothing: modules_to_save does not name ", in_quotes(name));
      }
      if (!options_.any_head && std::ranges::count(options_.heads, name) == 0) {
        refuse(tensor, "is of ", in_quotes(name), ", trained in full, expected ", known_heads());
      }
      if (layer.weight == nullptr) refuse(tensor, "has no weight beside it");
      if (layer.bias != nullptr && layer.bias->shape[0] != layer.weight->shape[0]) {
        refuse(*layer.bias, "has shape ", shape_text(layer.bias->shape), ", expected [",
               layer.weight->shape[0], "], one a row of the weight");
      }
    }
    for (const std::string& saved : report_.config.modules_to_save) check_saved(saved);
  }

  [[nodiscard]] bool is_saved(std::string_view head) const {
    return std::ranges::any_of(report_.config.modules_to_save,
                               [&](const std::string& saved) { return is_tail_of(saved, head); });
  }

  /// An entry of modules_to_save. PEFT lists both "classifier" and "score" for every classifier,
  /// whichever the model has; the other one has no tensors.
  void check_saved(const std::string& saved) {
    const auto is_meant = [&](const auto& head) { return is_tail_of(saved, head.first); };
    if (std::ranges::any_of(heads_, is_meant)) return;
    const bool is_head = std::ranges::any_of(
        options_.heads, [&](const std::string& head) { return is_tail_of(saved, head); });
    if (is_head) {
      raise<FormatError>(path_, ": has no tensor of the head ", in_quotes(saved),
                         " that modules_to_save names");
    }
    const bool is_of_pair = saved == "classifier" || saved == "score";
    if (!is_of_pair || heads_.empty()) {
      raise<FormatError>(config_path_, ": modules_to_save names ", in_quotes(saved), ", expected ",
                         known_heads());
    }
    warn(config_path_,
         "modules_to_save names " + in_quotes(saved) + ", which no tensor belongs to");
  }
  [[nodiscard]] std::string known_heads() const {
    if (options_.any_head) return "a module with tensors";
    return options_.heads.empty() ? "no such module" : "a head: " + some_names(options_.heads);
  }

  void expect_tensors() const {
    const auto& targets = report_.config.target_modules;
    const bool may_be_empty = targets && targets->empty();
    expect<FormatError>(may_be_empty || !tensors_.tensors().empty(), path_,
                        ": has no tensors, expected some where target_modules is not []");
  }

  void list_layers() {
    const auto size = [](std::uint64_t dimension) { return static_cast<Index>(dimension); };
    for (const auto& [name, layer] : sites_) {
      report_.sites.push_back({.name = name,
                               .in = size(layer.a->shape[1]),
                               .out = size(layer.b->shape[0]),
                               .options = layer.options,
                               .bytes = layer.a->bytes() + layer.b->bytes()});
    }
    for (const auto& [name, layer] : heads_) {
      const bool has_bias = layer.bias != nullptr;
      report_.heads.push_back(
          {.name = name,
           .in = size(layer.weight->shape[1]),
           .out = size(layer.weight->shape[0]),
           .has_bias = has_bias,
           .bytes = layer.weight->bytes() + (has_bias ? layer.bias->bytes() : 0)});
    }
    report_.file_bytes = tensors_.file_size();
  }

  void warn(const std::string& place, std::string warning) {
    detail::warn(options_.warn, place, ": ", warning);
    report_.warnings.push_back(std::move(warning));
  }
  void warn_of_config() {
    std::vector<std::string> names;
    for (const PeftSite& site : report_.sites) names.push_back(site.name);
    for (std::string& warning : peft_warnings(report_.config, names, unused_,
                                              !options_.sites.empty(), options_.base_model)) {
      warn(config_path_, std::move(warning));
    }
  }

  /// Refuses a scale that would be infinity in S.
  template <RealScalar S>
  void expect_scale(const PeftSite& site) const {
    constexpr double largest = std::numeric_limits<S>::max();
    const auto r = static_cast<double>(site.options.rank);
    const double scale = site.options.alpha / (site.options.rank_stabilised ? std::sqrt(r) : r);
    expect<FormatError>(scale <= largest, config_path_, ": the scale of site ",
                        in_quotes(site.name), " is ", scale, ", expected at most ", largest);
  }

  /// The numbers of a tensor, if S can hold them.
  template <RealScalar S>
  [[nodiscard]] RowMajorMatrix<S> matrix(const TensorInfo& tensor) const {
    return finite(tensor, tensors_.matrix<S>(tensor.name));
  }
  template <class X>
  [[nodiscard]] X finite(const TensorInfo& tensor, X x) const {
    if (is_finite(x)) return x;
    for (Index i = 0; i < x.size(); ++i) {
      if (is_finite(x.data()[i])) continue;
      refuse(tensor, "holds NaN, infinity or a number too large at element ", i,
             ", expected finite numbers");
    }
    return x;
  }

  const PeftReadOptions& options_;
  std::string config_path_;  // as messages show it
  std::string path_;         // likewise
  PeftReport report_;
  UnusedPatterns unused_ = {};
  SafetensorsReader tensors_;
  std::map<std::string, SiteLayer> sites_;
  std::map<std::string, HeadLayer> heads_;
};

}  // namespace detail

/// What a folder says of its adapter, by its config and the header of its tensors.
/// @throws FileError, FormatError  as read_peft_adapter, but for numbers that are not finite
/// Cost: no number is read; time and memory in proportion to config and header.
[[nodiscard]] inline PeftReport read_peft_report(const std::filesystem::path& folder,
                                                 const PeftReadOptions& options = {}) {
  return detail::PeftFolder(folder, options).report();
}

/// The adapter in a folder, its numbers converted to S.
/// @throws FileError    where the system refuses to read a file
/// @throws FormatError  with file and tensor or key: a rule of either file is broken, the adapter
///                      is not plain LoRA, or it does not fit `options`
/// Cost: one pass over the file; beside the adapter, memory for one tensor.
template <RealScalar S>
[[nodiscard]] PeftAdapter<S> read_peft_adapter(const std::filesystem::path& folder,
                                               const PeftReadOptions& options = {}) {
  return detail::PeftFolder(folder, options).template read<S>();
}

}  // namespace anyssr::inline ANYSSR_ABI
