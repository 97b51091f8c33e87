// SPDX-License-Identifier: MIT
// Which file of a folder is read, and what a program says that lacks the library for it.
#include <filesystem>
#include <string>

#include "anyssr/text/tokenizer.hpp"
#include "support/catch.hpp"
#include "support/program.hpp"

namespace {

using namespace anyssr;
using namespace anyssr::test;

std::string failure(const std::filesystem::path& path) {
  return message_of<Error>([&] { (void)Tokenizer::read(path); });
}

}  // namespace

TEST_CASE("a folder without a tokenizer says so", "[text][error]") {
  const TemporaryFolder folder;
  CHECK(
      contains(failure(folder.file(".")), ": has neither a tokenizer.json nor a tokenizer.model"));
  folder.write("vocab.txt", "[PAD]\n");
  CHECK(contains(failure(folder.file(".")), "a vocab.txt alone does not say how a text is cut"));
  folder.write("tokenizer.json", "no JSON");
#ifdef ANYSSR_HAS_TOKENIZERS
  CHECK(contains(failure(folder.file(".")), "tokenizer.json: broken JSON at byte 2"));
  CHECK(contains(failure(folder.file("tokenizer.json")), "broken JSON"));
#else
  CHECK(contains(failure(folder.file(".")),
                 "tokenizer.json: this program was built without PCRE2 and utf8proc"));
#endif
}

TEST_CASE("a tokenizer.model needs SentencePiece", "[text][error]") {
  const TemporaryFolder folder;
  folder.write("tokenizer.model", "nothing");
#ifdef ANYSSR_HAS_SENTENCEPIECE
  CHECK(contains(failure(folder.file(".")), "tokenizer.model: is"));
#else
  CHECK(contains(failure(folder.file(".")), "this program was built without SentencePiece"));
#endif
}
