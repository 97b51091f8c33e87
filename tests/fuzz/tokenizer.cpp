// SPDX-License-Identifier: MIT
// A tokenizer.json, and texts through what was read: encode, decode, both trusted and not.
#include "anyssr/text/json_tokenizer.hpp"
#include "fuzz/fuzz_input.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return anyssr::fuzz::run([&] {
    const std::string_view bytes = anyssr::fuzz::as_text(data, size);
    const anyssr::detail::JsonTokenizer tokenizer(
        anyssr::detail::parse_tokenizer_file(bytes, "tokenizer.json"), "tokenizer.json");
    // the file itself is a text that has its pieces and names in it
    for (const std::string_view text : {bytes, std::string_view("a b\u00E9\u0301 <s></s> 12")}) {
      for (const bool trusted : {false, true}) {
        const auto ids = tokenizer.post_processor().apply(tokenizer.encode(text, trusted));
        auto decoder = tokenizer.decoder();
        for (const anyssr::TokenId id : ids) {
          if (const auto piece = tokenizer.piece(id)) (void)decoder.push(*piece);
        }
        (void)decoder.finish();
      }
    }
  });
}
