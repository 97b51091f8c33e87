// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The weights of a LLaMA-family model (llama_tensors.hpp), frozen: read from a checkpoint folder,
/// or random.
///
/// Matrices stay in the type of the file, F64, F32, F16 or BF16, and, where files are mapped, in
/// the file: a BF16 model of N parameters takes 2 N bytes, which processes share. The rows of q and
/// k are in the order of transformers, which turns element j of a head with j + h / 2.

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "anyssr/backbone/llama/llama_config.hpp"
#include "anyssr/backbone/llama/llama_tensors.hpp"
#include "anyssr/backbone/llama/weight_matrix.hpp"
#include "anyssr/core/concepts.hpp"
#include "anyssr/core/error.hpp"
#include "anyssr/core/random.hpp"
#include "anyssr/core/types.hpp"
#include "anyssr/core/warning.hpp"
#include "anyssr/io/dtype.hpp"
#include "anyssr/io/foreign_folder.hpp"
#include "anyssr/io/guarded_json.hpp"
#include "anyssr/io/near_names.hpp"
#include "anyssr/io/path_text.hpp"
#include "anyssr/io/safetensors_header.hpp"
#include "anyssr/io/sharded_safetensors.hpp"

namespace anyssr::inline ANYSSR_ABI {

struct LlamaLoadOptions {
  bool mapped = true;  ///< leave matrices in the files, which nobody may change (mapped_file.hpp)
  bool check_finite = true;  ///< look at all numbers for NaN and infinity, which reads all files
  WarningSink warn = {};     ///< gets what the load report gets, and warnings of config.json
};

/// What was found beside the weights.
struct LlamaLoadReport {
  std::vector<UnlistedTensor> unlisted;  ///< in a shard and not in its index: not read
};

namespace detail {

/// One folder's reading. All names and shapes are checked before a tensor is read.
template <RealScalar S>
class LlamaWeightsReader {
 public:
  LlamaWeightsReader(const std::filesystem::path& folder, const LlamaConfig& config,
                     const LlamaLoadOptions& options)
      : config_(config),
        options_(options),
        files_(std::make_shared<const ShardedSafetensors>(
            folder, SafetensorsReaderOptions{.mapped = options.mapped})) {}

  [[nodiscard]] const ShardedSafetensors& files() const noexcept { return *files_; }

  [[nodiscard]] LlamaWeights<S> read() {
    expect_tensors();
    LlamaWeights<S> weights;
    weights.embedding = matrix(embedding_name);
    weights.output = config_.tied_output ? weights.embedding : matrix(output_name);
    warn_of_other_output();
    weights.norm = norm(norm_name);
    for (Index i = 0; i < config_.layers; ++i) {
      const std::string prefix = layer_prefix(i);
      LlamaLayerWeights<S>& layer = weights.layers.emplace_back();
      for (const LlamaLinear<S>& linear : llama_linears<S>(config_)) {
        const std::string name = prefix + std::string(linear.name);
        layer.*linear.weight = matrix(name + ".weight");
        if (linear.has_bias) layer.*linear.bias = vector(name + ".bias");
      }
      for (const LlamaNorm<S>& norms : llama_norms<S>(config_)) {
        if (norms.size > 0) layer.*norms.weight = norm(norm_name_in(prefix, norms));
      }
    }
    return weights;
  }

 private:
  static constexpr const char* embedding_name = "model.embed_tokens.weight";
  static constexpr const char* output_name = "lm_head.weight";
  static constexpr const char* norm_name = "model.norm.weight";

  [[nodiscard]] static std::string layer_prefix(Index i) {
    return "model.layers." + std::to_string(i) + ".";
  }
  [[nodiscard]] static std::string norm_name_in(const std::string& prefix,
                                                const LlamaNorm<S>& norm) {
    return concat(prefix, norm.name, ".weight");
  }
  void expect_tensors() {
    for (const SafetensorsReader& file : files_->shards()) {
      expect_gathered(path_text(file.path()), file.tensors());
    }
    const Index h = config_.hidden_size;
    expect_tensor(embedding_name, {config_.vocab_size, h});
    if (!config_.tied_output) expect_tensor(output_name, {config_.vocab_size, h});
    expect_tensor(norm_name, {h});
    for (Index i = 0; i < config_.layers; ++i) {
      const std::string prefix = layer_prefix(i);
      for (const LlamaLinear<S>& linear : llama_linears<S>(config_)) {
        const std::string name = prefix + std::string(linear.name);
        expect_tensor(name + ".weight", {linear.rows, linear.cols});
        if (linear.has_bias) expect_tensor(name + ".bias", {linear.rows});
      }
      for (const LlamaNorm<S>& norms : llama_norms<S>(config_)) {
        if (norms.size > 0) expect_tensor(norm_name_in(prefix, norms), {norms.size});
      }
    }
    expect_no_other();
  }

  void expect_tensor(const std::string& name, std::initializer_list<Index> shape) {
    if (!files_->has_tensor(name)) refuse_missing(name, shape);
    const TensorInfo& info = files_->expect_shape(name, shape);
    expect<FormatError>(kind_of(info.dtype) == DtypeKind::number, place_of(name), " is ",
                        to_string(info.dtype), ", expected one of ",
                        dtype_names(DtypeKind::number));
    used_.push_back(name);
  }

  void expect_no_other() {
    std::ranges::sort(used_);
    std::vector<std::string> others;
    for (const std::string& name : files_->names()) {
      const bool is_known = std::ranges::binary_search(used_, name) ||
                            name.ends_with(".rotary_emb.inv_freq") ||  // of old files, a constant
                            (config_.tied_output && name == output_name);
      if (!is_known) others.push_back(name);
    }
    expect<FormatError>(others.empty(), path_text(files_->folder()), ": has ", some_names(others),
                        ", which a model of type ", config_.model_type, " and ", config_.layers,
                        " layers with this config does not use");
  }

  /// An output that is stored beside a tied one is not read. Where it is no copy of the embedding,
  /// the config may be wrong. Of files that are not mapped this would cost another reading.
  void warn_of_other_output() const {
    if (!config_.tied_output || !options_.mapped || !files_->has_tensor(output_name)) return;
    const std::span<const std::byte> output = files_->view(output_name);
    const std::span<const std::byte> embedding = files_->view(embedding_name);
    const bool is_other_type =
        files_->tensor(output_name).dtype != files_->tensor(embedding_name).dtype;
    const bool is_copy = output.size() == embedding.size() &&
                         std::memcmp(output.data(), embedding.data(), output.size()) == 0;
    if (is_other_type || is_copy) return;
    warn(options_.warn, place_of(output_name),
         " is ignored, since tie_word_embeddings is true in the config, and differs from ",
         in_quotes(embedding_name), ", which is used instead: is the config that of this model?");
  }

  [[nodiscard]] WeightMatrix matrix(const std::string& name) const {
    const TensorInfo& info = files_->tensor(name);
    const auto rows = static_cast<Index>(info.shape[0]);
    const auto cols = static_cast<Index>(info.shape[1]);
    WeightMatrix result;
    if (options_.mapped) {
      result = WeightMatrix(info.dtype, rows, cols, files_->view(name), files_);
    } else {
      const auto own = std::make_shared<const std::vector<std::byte>>(files_->bytes(name));
      result = WeightMatrix(info.dtype, rows, cols, *own, own);
    }
    if (options_.check_finite && !is_finite(result)) refuse_not_finite(name);
    return result;
  }

  [[nodiscard]] RowVector<S> vector(const std::string& name) const {
    const RowVector<S> result = files_->vector<S>(name).transpose();
    if (options_.check_finite && !detail::is_finite(result)) refuse_not_finite(name);
    return result;
  }

  /// What a norm multiplies by. The sum is made in double, so that it is the same in float for any
  /// S.
  [[nodiscard]] RowVector<S> norm(const std::string& name) const {
    if (!config_.form.centred_norms) return vector(name);
    const RowVector<double> stored = files_->vector<double>(name).transpose();
    const RowVector<S> result = (stored.array() + 1.0).matrix().template cast<S>();
    if (options_.check_finite && !detail::is_finite(result)) refuse_not_finite(name);
    return result;
  }

  /// In S: a large number of F64 is infinite in float.
  [[nodiscard]] static bool is_finite(const WeightMatrix& matrix) {
    if (matrix.dtype() != Dtype::F64 || std::same_as<S, double>) return matrix.is_finite();
    RowVector<S> row(matrix.cols());
    for (Index i = 0; i < matrix.rows(); ++i) {
      matrix.template row<S>(i, row.data());
      if (!detail::is_finite(row)) return false;
    }
    return true;
  }

  [[nodiscard]] std::string place_of(const std::string& name) const {
    return path_text(files_->shard(name).path()) + ": tensor " + in_quotes(name);
  }
  [[noreturn]] void refuse_not_finite(const std::string& name) const {
    raise<NonFiniteError>(place_of(name), " holds NaN or infinity, expected finite numbers");
  }
  [[noreturn]] void refuse_missing(const std::string& name,
                                   std::initializer_list<Index> shape) const {
    constexpr std::size_t most = 4096;  // names to measure against
    std::vector<std::uint64_t> sizes;
    for (const Index size : shape) sizes.push_back(static_cast<std::uint64_t>(size));
    const std::vector<std::string>& names = files_->names();
    const std::string why =
        name == output_name ? " where tie_word_embeddings is not true" : std::string();
    raise<FormatError>(path_text(files_->folder()), ": has no tensor ", in_quotes(name),
                       ", expected one of shape ", shape_text(sizes), why, "; it has ",
                       names.empty()         ? "none at all"
                       : names.size() > most ? some_names(names)
                                             : near_names(name, names));
  }

  const LlamaConfig& config_;
  LlamaLoadOptions options_;
  std::shared_ptr<const ShardedSafetensors> files_;  // which mapped matrices keep alive
  std::vector<std::string> used_;
};

/// Random numbers tensor by tensor, a stream each. They are made in float, without a step that a
/// compiler may fuse with another.
class RandomLlamaTensors {
 public:
  RandomLlamaTensors(std::uint64_t seed, Dtype dtype) : seed_(seed), dtype_(dtype) {}

  [[nodiscard]] WeightMatrix matrix(Index rows, Index cols) {
    return WeightMatrix::of<float>(small(rows, cols), dtype_);
  }
  template <RealScalar S>
  [[nodiscard]] RowVector<S> bias(Index size) {
    return small(1, size).template cast<S>();
  }
  template <RealScalar S>
  [[nodiscard]] RowVector<S> norm(Index size) {
    const RowMajorMatrix<float> eighths = normal(1, size) * 0.125F;  // exact, fused or not
    return (eighths.array() + 1.F).matrix().template cast<S>();
  }

 private:
  [[nodiscard]] RowMajorMatrix<float> normal(Index rows, Index cols) {
    return random_normal<float, Eigen::RowMajor>(rows, cols, seed_, stream_++);
  }
  [[nodiscard]] RowMajorMatrix<float> small(Index rows, Index cols) {
    RowMajorMatrix<float> result = normal(rows, cols);
    result *= 0.02F;
    return result;
  }

  std::uint64_t seed_;
  Dtype dtype_;
  std::uint64_t stream_ = 0;
};

}  // namespace detail

/// The weights of a folder that holds model.safetensors, or shards and their index.
/// @param report  filled where it is given
/// @throws ArgumentError   where config.check() throws
/// @throws FileError       where the folder has no such files, with what it holds instead, or the
///                         system refuses to read them
/// @throws FormatError     a tensor that is missing, has another shape or a type that is no number,
///                         or is there and would not be used; a file that is no safetensors file
/// @throws NonFiniteError  naming the tensor that holds NaN or infinity (check_finite)
/// Cost: O(parameters) time with check_finite, else O(tensors) where files are mapped.
template <RealScalar S>
[[nodiscard]] LlamaWeights<S> read_llama_weights(const std::filesystem::path& folder,
                                                 const LlamaConfig& config,
                                                 const LlamaLoadOptions& options = {},
                                                 LlamaLoadReport* report = nullptr) {
  config.check();
  detail::LlamaWeightsReader<S> reader(folder, config, options);
  LlamaWeights<S> weights = reader.read();
  for (const UnlistedTensor& tensor : reader.files().unlisted()) {
    detail::warn(options.warn, detail::path_text(folder), ": tensor ",
                 detail::in_quotes(tensor.name), " is in ", detail::in_quotes(tensor.file),
                 " and not in the index: it is not read");
  }
  if (report != nullptr) report->unlisted = reader.files().unlisted();
  return weights;
}

/// Weights for tests and measurements: matrices and biases normal with deviation 0.02, norms 1 with
/// deviation 1/8; the same bits on every compiler, and, but for their rounding to dtype, for every
/// dtype and S.
/// @throws ArgumentError  where config.check() throws, or dtype is not F64, F32, F16 or BF16
template <RealScalar S>
[[nodiscard]] LlamaWeights<S> random_llama_weights(const LlamaConfig& config, std::uint64_t seed,
                                                   Dtype dtype = Dtype::F32) {
  config.check();
  detail::expect(kind_of(dtype) == DtypeKind::number, "dtype is ", to_string(dtype),
                 ", expected one of ", dtype_names(DtypeKind::number));
  detail::RandomLlamaTensors random(seed, dtype);
  LlamaWeights<S> weights;
  weights.embedding = random.matrix(config.vocab_size, config.hidden_size);
  weights.output =
      config.tied_output ? weights.embedding : random.matrix(config.vocab_size, config.hidden_size);
  weights.norm = random.norm<S>(config.hidden_size);
  for (Index i = 0; i < config.layers; ++i) {
    LlamaLayerWeights<S>& layer = weights.layers.emplace_back();
    for (const detail::LlamaLinear<S>& linear : detail::llama_linears<S>(config)) {
      layer.*linear.weight = random.matrix(linear.rows, linear.cols);
      if (linear.has_bias) layer.*linear.bias = random.bias<S>(linear.rows);
    }
    for (const detail::LlamaNorm<S>& norm : detail::llama_norms<S>(config)) {
      if (norm.size > 0) layer.*norm.weight = random.norm<S>(norm.size);
    }
  }
  return weights;
}

}  // namespace anyssr::inline ANYSSR_ABI
