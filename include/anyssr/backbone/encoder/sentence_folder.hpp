// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// How the folder of a sentence encoder makes one vector of a text's tokens: modules.json with its
/// steps (Transformer, Pooling, Normalize), as sentence-transformers writes them. A folder without
/// modules.json is a bare model: mean pooling, no normalisation.

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "anyssr/core/enum_names.hpp"
#include "anyssr/core/error.hpp"
#include "anyssr/core/types.hpp"
#include "anyssr/io/json_fields.hpp"
#include "anyssr/io/path_text.hpp"
#include "anyssr/io/regular_file.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// What becomes of the last layer's rows.
enum class Pooling : std::uint8_t {
  mean,  ///< of all tokens, the special ones included
  cls    ///< the first token's row
};

namespace detail {
template <>
inline constexpr Pooling last_enumerator<Pooling> = Pooling::cls;
}  // namespace detail

/// @throws ArgumentError  for a value that is no enumerator
[[nodiscard]] constexpr std::string_view to_string(Pooling pooling) {
  switch (pooling) {
    case Pooling::mean:
      return "mean";
    case Pooling::cls:
      return "cls";
  }
  detail::raise_no_enumerator("pooling", pooling);
}

struct SentenceOptions {
  Pooling pooling = Pooling::mean;
  bool normalizes = false;  ///< rows of length 1
  Index max_tokens = 0;     ///< longer inputs are cut, special tokens included; 0: by the model
};

namespace detail {

class SentenceFolderReader {
 public:
  explicit SentenceFolderReader(std::filesystem::path folder) : folder_(std::move(folder)) {}

  /// @throws FormatError  a step that is not computed, by its name
  [[nodiscard]] SentenceOptions read() {
    const std::filesystem::path modules = folder_ / "modules.json";
    if (!is_missing(modules)) {
      const Json json = read_json(modules);
      expect<FormatError>(json.is_array(), path_text(modules), ": is ", outline_of(json),
                          ", expected an array");
      for (std::size_t i = 0; i < json.size(); ++i) {
        add(JsonFields(json[i], concat(path_text(modules), ": [", i, "]")));
      }
    }
    const std::filesystem::path limits = folder_ / "sentence_bert_config.json";
    if (!is_missing(limits)) {
      const Json json = read_json(limits);
      const JsonFields fields(json, path_text(limits));
      if (is_given(fields, "max_seq_length")) {
        constexpr std::uint64_t most = 1U << 20U;
        options_.max_tokens = static_cast<Index>(fields.count("max_seq_length", most));
        if (options_.max_tokens < 3) fields.refuse("max_seq_length", "at least 3");
      }
    }
    return options_;
  }

 private:
  [[nodiscard]] static bool is_given(const JsonFields& fields, std::string_view key) {
    return fields.has(key) && !fields.value().find(key)->is_null();
  }

  /// A step is known by the last name of its type.
  void add(const JsonFields& step) {
    const std::string& type = step.text("type");
    const std::string name = type.substr(type.rfind('.') + 1);
    if (name == "Pooling") {
      read_pooling(folder_ / step.text("path") / "config.json");
    } else if (name == "Normalize") {
      options_.normalizes = true;
    } else if (name != "Transformer") {
      step.refuse("type", "Transformer, Pooling or Normalize");
    }
  }

  void read_pooling(const std::filesystem::path& path) {
    const Json json = read_json(path);
    const JsonFields fields(json, path_text(path));
    if (is_given(fields, "include_prompt") && !fields.boolean("include_prompt")) {
      fields.refuse("include_prompt", "true");
    }
    if (is_given(fields, "pooling_mode")) {  // the newer form
      const Json& mode = *fields.value().find("pooling_mode");
      if (mode != "mean" && mode != "cls") fields.refuse("pooling_mode", "mean or cls");
      options_.pooling = mode == "mean" ? Pooling::mean : Pooling::cls;
      return;
    }
    std::vector<std::string> modes;
    for (const auto& [key, value] : fields.value().items()) {
      if (key.starts_with("pooling_mode_") && fields.boolean(key)) modes.push_back(key);
    }
    expect<FormatError>(modes.size() <= 1, fields.place(), ": ", modes.size(),
                        " pooling modes are true, expected one");
    if (modes.empty() || modes.front() == "pooling_mode_mean_tokens") {
      options_.pooling = Pooling::mean;
    } else if (modes.front() == "pooling_mode_cls_token") {
      options_.pooling = Pooling::cls;
    } else {
      fields.refuse(modes.front(), "false: mean and cls are computed");
    }
  }

  std::filesystem::path folder_;
  SentenceOptions options_;
};

}  // namespace detail

/// The steps behind an encoder of a folder.
/// @throws FileError, FormatError  what a file says cannot be followed, by its place and reason
[[nodiscard]] inline SentenceOptions read_sentence_options(const std::filesystem::path& folder) {
  return detail::SentenceFolderReader(folder).read();
}

}  // namespace anyssr::inline ANYSSR_ABI
