// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The `normalizer` of a tokenizer.json: Sequence, NFC, NFD, NFKC, NFKD, Lowercase, StripAccents,
/// Strip, Prepend, Replace, BertNormalizer, Precompiled. Others are refused by name.

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "anyssr/io/json_fields.hpp"
#include "anyssr/text/charsmap.hpp"
#include "anyssr/text/text_pattern.hpp"
#include "anyssr/text/unicode.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

struct Lowercase {
  [[nodiscard]] static std::string apply(std::string_view text) {
    return map_code_points(text, append_lower_case);
  }
};

struct StripAccents {
  [[nodiscard]] static std::string apply(std::string_view text) {
    return map_code_points(text, [](char32_t c, std::string& result) {
      if (!is_mark(c)) append_code_point(result, c);
    });
  }
};

struct Compose {
  NormalForm form;
  [[nodiscard]] std::string apply(std::string_view text) const { return normal_form(text, form); }
};

/// White space at the ends.
struct StripSpaces {
  bool left;
  bool right;
  [[nodiscard]] std::string apply(std::string_view text) const {
    while (left && !text.empty()) {
      std::size_t after = 0;
      if (!is_white_space(next_code_point(text, after))) break;
      text.remove_prefix(after);
    }
    while (right && !text.empty()) {
      std::size_t begin = text.size();
      if (!is_white_space(code_point_before(text, begin))) break;
      text.remove_suffix(text.size() - begin);
    }
    return std::string(text);
  }
};

struct Prepend {
  std::string prefix;
  [[nodiscard]] std::string apply(std::string_view text) const {
    return text.empty() ? std::string() : concat(prefix, text);
  }
};

struct Replace {
  TextPattern pattern;
  std::string content;
  [[nodiscard]] std::string apply(std::string_view text) const {
    std::string result;
    result.reserve(text.size());
    std::size_t at = 0;
    pattern.for_each_match(text, [&](std::size_t begin, std::size_t end) {
      result += text.substr(at, begin - at);
      result += content;
      at = end;
    });
    result += text.substr(at);
    return result;
  }
};

/// What BERT does to a text: control characters go and white space becomes a space, Chinese
/// characters stand alone, accents go, letters become lower case.
struct BertNormalizer {
  bool cleans;
  bool splits_chinese;
  bool strips_accents;
  bool lowers;

  [[nodiscard]] std::string apply(std::string_view text) const {
    std::string result = map_code_points(text, [&](char32_t c, std::string& to) {
      if (cleans && is_dropped(c)) return;
      if (cleans && is_white_space(c)) c = U' ';
      const bool stands_alone = splits_chinese && is_chinese(c);
      if (stands_alone) to += ' ';
      append_code_point(to, c);
      if (stands_alone) to += ' ';
    });
    if (strips_accents) {
      result =
          map_code_points(normal_form(result, NormalForm::nfd), [](char32_t c, std::string& to) {
            if (category_of(c) != UTF8PROC_CATEGORY_MN) append_code_point(to, c);
          });
    }
    return lowers ? Lowercase::apply(result) : result;
  }

 private:
  [[nodiscard]] static bool is_dropped(char32_t c) {
    if (c == U'\t' || c == U'\n' || c == U'\r') return false;
    const utf8proc_category_t category = category_of(c);
    return c == 0 || c == 0xFFFD || category == UTF8PROC_CATEGORY_CC ||
           category == UTF8PROC_CATEGORY_CF || category == UTF8PROC_CATEGORY_CO;
  }
  /// The blocks as the published tokenizers have them: 2B920 stands where BERT's code has 2B820.
  [[nodiscard]] static bool is_chinese(char32_t c) {
    static constexpr std::array<std::pair<char32_t, char32_t>, 8> blocks{{{0x4E00, 0x9FFF},
                                                                          {0x3400, 0x4DBF},
                                                                          {0x20000, 0x2A6DF},
                                                                          {0x2A700, 0x2B73F},
                                                                          {0x2B740, 0x2B81F},
                                                                          {0x2B920, 0x2CEAF},
                                                                          {0xF900, 0xFAFF},
                                                                          {0x2F800, 0x2FA1F}}};
    for (const auto& [first, last] : blocks) {
      if (c >= first && c <= last) return true;
    }
    return false;
  }
};

/// A chain of steps.
class Normalizer {
 public:
  Normalizer() = default;
  /// @throws FormatError  a step that is not known, by name, or one with wrong members
  explicit Normalizer(const JsonFields& fields) { add(fields); }

  /// @param text  well-formed UTF-8
  [[nodiscard]] std::string apply(std::string_view text) const {
    std::string result(text);
    for (const Step& step : steps_) {
      result = std::visit([&](const auto& known) { return known.apply(result); }, step);
    }
    return result;
  }

 private:
  using Step = std::variant<Lowercase, StripAccents, Compose, StripSpaces, Prepend, Replace,
                            BertNormalizer, Charsmap>;

  void add(const JsonFields& fields) {
    const std::string& type = fields.text("type");
    if (type == "Sequence") {
      fields.for_each("normalizers", [&](const Json& step, const std::string& place) {
        add(JsonFields(step, place));
      });
    } else if (type == "Lowercase") {
      steps_.emplace_back(Lowercase{});
    } else if (type == "StripAccents") {
      steps_.emplace_back(StripAccents{});
    } else if (type == "Strip") {
      steps_.emplace_back(StripSpaces{fields.boolean("strip_left"), fields.boolean("strip_right")});
    } else if (type == "Prepend") {
      steps_.emplace_back(Prepend{fields.text("prepend")});
    } else if (type == "Replace") {
      steps_.emplace_back(Replace{TextPattern(fields.object("pattern")), fields.text("content")});
    } else if (type == "Precompiled") {
      steps_.emplace_back(Charsmap(fields.text("precompiled_charsmap"), fields.place()));
    } else if (type == "BertNormalizer") {
      const bool lowers = fields.boolean("lowercase");
      const bool is_silent =
          !fields.has("strip_accents") || fields.value()["strip_accents"].is_null();
      steps_.emplace_back(
          BertNormalizer{fields.boolean("clean_text"), fields.boolean("handle_chinese_chars"),
                         is_silent ? lowers : fields.boolean("strip_accents"), lowers});
    } else {
      steps_.emplace_back(Compose{form_of(fields)});
    }
  }

  [[nodiscard]] static NormalForm form_of(const JsonFields& fields) {
    const auto form = find_enumerator<NormalForm>(fields.text("type"));
    if (form) return *form;
    fields.refuse("type",
                  "one of Sequence, NFC, NFD, NFKC, NFKD, Lowercase, StripAccents, Strip, Prepend, "
                  "Replace, BertNormalizer, Precompiled");
  }

  std::vector<Step> steps_;
};

}  // namespace anyssr::inline ANYSSR_ABI::detail
