// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// A small BERT encoder as a checkpoint folder, whose files a test can change before it is read.

#include <string>
#include <utility>
#include <vector>

#include "anyssr/backbone/encoder/bert_config.hpp"
#include "anyssr/core/random.hpp"
#include "anyssr/io/guarded_json.hpp"
#include "anyssr/io/safetensors_writer.hpp"
#include "support/program.hpp"

namespace anyssr::test {

inline BertConfig small_bert_config() {
  BertConfig config;
  config.vocab_size = 13;
  config.hidden_size = 12;
  config.layers = 2;
  config.heads = 3;
  config.intermediate_size = 20;
  config.max_positions = 10;
  return config;
}

inline Json bert_config_json(const BertConfig& config) {
  return {{"model_type", config.model_type},
          {"vocab_size", config.vocab_size},
          {"hidden_size", config.hidden_size},
          {"num_hidden_layers", config.layers},
          {"num_attention_heads", config.heads},
          {"intermediate_size", config.intermediate_size},
          {"max_position_embeddings", config.max_positions},
          {"type_vocab_size", config.token_types},
          {"layer_norm_eps", config.layer_norm_eps},
          {"hidden_act", config.activation == GeluForm::erf ? "gelu" : "gelu_new"}};
}

/// Random numbers, LayerNorms around 1.
class SmallBertFolder {
 public:
  explicit SmallBertFolder(const BertConfig& config = small_bert_config(),
                           const std::string& prefix = {})
      : config_(config), prefix_(prefix) {
    const Index h = config.hidden_size;
    add("embeddings.word_embeddings.weight", config.vocab_size, h);
    add("embeddings.position_embeddings.weight", config.max_positions, h);
    add("embeddings.token_type_embeddings.weight", config.token_types, h);
    add_norm("embeddings.LayerNorm");
    for (Index k = 0; k < config.layers; ++k) {
      const std::string at = "encoder.layer." + std::to_string(k) + ".";
      for (const char* name : {"attention.self.query", "attention.self.key", "attention.self.value",
                               "attention.output.dense"}) {
        add_dense(at + name, h, h);
      }
      add_norm(at + "attention.output.LayerNorm");
      add_dense(at + "intermediate.dense", config.intermediate_size, h);
      add_dense(at + "output.dense", h, config.intermediate_size);
      add_norm(at + "output.LayerNorm");
    }
  }

  /// A tensor by its name without the prefix, to read or damage; its rows are 1 for a vector.
  [[nodiscard]] Eigen::MatrixXd& tensor(const std::string& name) {
    for (auto& [known, value] : tensors_) {
      if (known == name) return value;
    }
    throw Error("no tensor " + name);
  }
  void rename(const std::string& from, const std::string& to) {
    for (auto& [known, value] : tensors_) {
      if (known == from) known = to;
    }
  }
  /// The folder with its files.
  std::string write() { return write(bert_config_json(config_)); }
  std::string write(const Json& config) {
    SafetensorsWriter writer;
    for (const auto& [name, value] : tensors_) {
      const RowMajorMatrix<double> rows = value;
      if (is_vector(name)) {
        writer.add(prefix_ + name, std::vector<double>(rows.data(), rows.data() + rows.size()));
      } else {
        writer.add(prefix_ + name, rows);
      }
    }
    writer.write(folder_.file("model.safetensors"));
    folder_.write("config.json", config.dump());
    return folder_.file(".");
  }
  [[nodiscard]] const TemporaryFolder& folder() const { return folder_; }

 private:
  static bool is_vector(const std::string& name) {
    return name.ends_with("bias") || name.ends_with("beta") || name.ends_with("gamma") ||
           name.find("LayerNorm") != std::string::npos;
  }
  void add(const std::string& name, Index rows, Index cols, double scale = 0.5, double shift = 0) {
    tensors_.emplace_back(
        name, shift + scale * random_normal<double>(rows, cols, 17, tensors_.size()).array());
  }
  void add_dense(const std::string& name, Index out, Index in) {
    add(name + ".weight", out, in);
    add(name + ".bias", 1, out);
  }
  void add_norm(const std::string& name) {
    add(name + ".weight", 1, config_.hidden_size, 0.3, 1);
    add(name + ".bias", 1, config_.hidden_size, 0.3);
  }

  BertConfig config_;
  std::string prefix_;
  std::vector<std::pair<std::string, Eigen::MatrixXd>> tensors_;
  TemporaryFolder folder_;
};

}  // namespace anyssr::test
