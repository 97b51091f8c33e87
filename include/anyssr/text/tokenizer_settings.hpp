// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// What tokenizer_config.json says beside its tokens: which of them stand around a text, and
/// whether a space stands before its first word. A setting that is not kept gives other ids than
/// the model was trained with, and fluent, wrong text. So every key that could change ids is
/// followed or refused; a key that is unknown and says anything is a warning.
///
/// legacy has no effect here: it decides ids behind the name of a token within a text, and such a
/// name is text.

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "anyssr/core/error.hpp"
#include "anyssr/core/warning.hpp"
#include "anyssr/io/guarded_json.hpp"
#include "anyssr/io/json_fields.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

struct TokenizerSettings {
  std::optional<bool> add_bos = std::nullopt;  ///< none: where there is such a token
  bool add_eos = false;
  std::optional<bool> prefix_space = std::nullopt;  ///< none: as tokenizer.model says
};

/// Tokens, which are read elsewhere; how a text is cut, padded, decoded or put into a template; and
/// where files are. Sorted.
inline constexpr auto ignored_tokenizer_keys = std::to_array<std::string_view>({
    "_commit_hash",
    "add_bos_token",
    "add_dummy_prefix",
    "add_eos_token",
    "add_prefix_space",
    "added_tokens",
    "added_tokens_decoder",
    "additional_special_tokens",
    "backend",
    "bos_token",
    "chat_template",
    "clean_up_tokenization_spaces",
    "cls_token",
    "eos_token",
    "errors",
    "extra_special_tokens",
    "fix_mistral_regex",
    "from_slow",
    "is_local",
    "legacy",
    "local_files_only",
    "mask_token",
    "max_length",
    "model_input_names",
    "model_max_length",
    "model_specific_special_tokens",
    "name_or_path",
    "pad_to_multiple_of",
    "pad_token",
    "pad_token_type_id",
    "pad_type_id",
    "padding",
    "padding_side",
    "processor_class",
    "return_token_type_ids",
    "sep_token",
    "sp_model_kwargs",
    "spaces_between_special_tokens",
    "special_tokens_map_file",
    "split_special_tokens",
    "stride",
    "tokenizer_class",
    "tokenizer_file",
    "truncation",
    "truncation_side",
    "truncation_strategy",
    "trust_remote_code",
    "unk_token",
    "use_default_system_prompt",
    "use_fast",
    "verbose",
    "vocab_file",
});
static_assert(std::ranges::is_sorted(ignored_tokenizer_keys));

/// Classes that do to a text what SentencePiece does.
inline constexpr auto sentencepiece_classes = std::to_array<std::string_view>(
    {"CodeLlamaTokenizer", "CodeLlamaTokenizerFast", "GemmaTokenizer", "GemmaTokenizerFast",
     "LLaMATokenizer", "LlamaTokenizer", "LlamaTokenizerFast", "PreTrainedTokenizerFast",
     "SentencePieceBackend", "TokenizersBackend"});

/// One file's reading.
class TokenizerSettingsParser {
 public:
  TokenizerSettingsParser(const JsonFields& fields, const WarningSink& sink)
      : fields_(fields), sink_(sink) {}

  [[nodiscard]] TokenizerSettings parse() const {
    TokenizerSettings settings{.add_bos = flag("add_bos_token"),
                               .add_eos = flag("add_eos_token").value_or(false),
                               .prefix_space = flag("add_prefix_space")};
    const std::optional<bool> dummy = flag("add_dummy_prefix");
    if (dummy && settings.prefix_space.value_or(*dummy) != *dummy) {
      fields_.refuse("add_dummy_prefix", "what add_prefix_space is");
    }
    if (dummy) settings.prefix_space = dummy;
    if (flag("do_lower_case").value_or(false)) {
      fields_.refuse("do_lower_case", "false: texts are not put into lower case");
    }
    expect_plain_model();
    look_at_class();
    look_at_other_keys();
    return settings;
  }

 private:
  [[nodiscard]] std::optional<bool> flag(std::string_view key) const {
    if (!is_given(key)) return std::nullopt;
    return fields_.boolean(key);
  }
  [[nodiscard]] bool is_given(std::string_view key) const {
    return fields_.has(key) && !fields_.value().find(key)->is_null();
  }

  /// Arguments of the SentencePiece library: sampling gives other ids every time.
  void expect_plain_model() const {
    constexpr std::array<std::string_view, 4> harmless{"alpha", "nbest_size", "num_threads",
                                                       "out_type"};
    if (!is_given("sp_model_kwargs")) return;
    const JsonFields arguments = fields_.object("sp_model_kwargs");
    for (const auto& [key, value] : arguments.value().items()) {
      if (is_void(value) || std::ranges::count(harmless, key) > 0) continue;
      arguments.refuse(key, "none: texts are encoded without options of SentencePiece");
    }
  }

  void look_at_class() const {
    if (!is_given("tokenizer_class")) return;
    const std::string& name = fields_.text("tokenizer_class");
    if (std::ranges::count(sentencepiece_classes, name) > 0) return;
    warn(sink_, fields_.place(), ": tokenizer_class is ", in_quotes(name),
         ", which may do more to a text than tokenizer.model says: compare some ids");
  }

  void look_at_other_keys() const {
    for (const auto& [key, value] : fields_.value().items()) {
      const bool is_known =
          std::ranges::binary_search(ignored_tokenizer_keys, std::string_view(key)) ||
          key.ends_with("_token") || key.ends_with("_token_id");
      if (is_known || is_void(value)) continue;
      warn(sink_, fields_.place(), ": ", in_quotes(key), " is ", shown(value),
           ", and that key is unknown: it is ignored");
    }
  }

  const JsonFields& fields_;
  const WarningSink& sink_;
};

/// @throws FormatError  naming the key that cannot be followed
[[nodiscard]] inline TokenizerSettings parse_tokenizer_settings(const JsonFields& fields,
                                                                const WarningSink& sink) {
  return TokenizerSettingsParser(fields, sink).parse();
}

}  // namespace anyssr::inline ANYSSR_ABI::detail
