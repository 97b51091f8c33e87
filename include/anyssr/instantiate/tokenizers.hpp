// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The reading of tokenizers, and with it all that they do. Where programs may have other text
/// libraries than anyssr::compiled was built with, each compiles its own
/// (ANYSSR_COMPILED_TOKENIZERS is then not defined).

#include "anyssr/text/tokenizer.hpp"

#define ANYSSR_INSTANTIATE_TOKENIZERS(EXPLICIT)                                                  \
  EXPLICIT anyssr::Tokenizer anyssr::detail::read_tokenizer<anyssr::detail::with_tokenizers,     \
                                                            anyssr::detail::with_sentencepiece>( \
      const std::filesystem::path&, const anyssr::WarningSink&);

#if defined(ANYSSR_COMPILED) && defined(ANYSSR_COMPILED_TOKENIZERS)
ANYSSR_INSTANTIATE_TOKENIZERS(extern template)
#endif
