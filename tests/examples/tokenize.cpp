// SPDX-License-Identifier: MIT
// The application as its users run it.
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "support/catch.hpp"
#include "support/program.hpp"

using namespace anyssr;
using namespace anyssr::test;
using nlohmann::json;

namespace {

const std::string tokenize_program = ANYSSR_TOKENIZE;

/// Words of letters a and b, with the special tokens <s> and </s> around a text.
const char* const small_tokenizer = R"({
  "added_tokens": [
    {"id": 3, "content": "<s>", "special": true, "normalized": false},
    {"id": 4, "content": "</s>", "special": true, "normalized": false}],
  "normalizer": {"type": "Lowercase"}, "pre_tokenizer": {"type": "WhitespaceSplit"},
  "post_processor": {"type": "BertProcessing", "cls": ["<s>", 3], "sep": ["</s>", 4]},
  "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": false},
  "model": {"type": "WordPiece", "unk_token": "?", "vocab": {"?": 0, "a": 1, "##b": 2}}})";

struct Folder : TemporaryFolder {
  Folder() { write("tokenizer.json", small_tokenizer); }
  [[nodiscard]] std::string argument() const { return "'" + file(".") + "' "; }
};

}  // namespace

#ifdef ANYSSR_TEST_TOKENIZERS
TEST_CASE("texts become ids and text again", "[examples]") {
  const Folder folder;
  ProgramResult result =
      run_program(tokenize_program, folder.argument() + "--text 'AB a' --text '</s>'");
  CHECK(result.status == 0);
  CHECK(result.output == "3,1,2,1,4\n  ab a\n3,0,4\n  ?\n");
  result = run_program(tokenize_program, folder.argument() + "--text '</s>' --no-special");
  CHECK(result.output == "0\n  ?\n");
  result = run_program(tokenize_program,
                       folder.argument() + "--text '</s>' --no-special --trust-special-text");
  CHECK(result.output == "4\n  \n");

  const std::string texts = folder.write("texts.jsonl", "{\"text\": \"ab\"}\n{\"text\": \"\"}\n");
  const std::string out = folder.file("out.json");
  result = run_program(tokenize_program,
                       folder.argument() + "--texts '" + texts + "' --json '" + out + "'");
  CHECK(result.status == 0);
  CHECK(json::parse(std::ifstream(out)) ==
        json::parse(R"([{"ids": [3, 1, 2, 4], "text": "ab"}, {"ids": [3, 4], "text": ""}])"));
}
#else
TEST_CASE("a program without PCRE2 and utf8proc says what it lacks", "[examples][error]") {
  const Folder folder;
  const ProgramResult result = run_program(tokenize_program, folder.argument() + "--text a");
  CHECK(result.status == 1);
  CHECK(contains(result.output, "ANYSSR_WITH_TOKENIZERS"));
}
#endif

TEST_CASE("tokenize says what is wrong", "[examples][error]") {
  const Folder folder;
  CHECK(contains(run_program(tokenize_program, folder.argument()).output,
                 "expected either --text or --texts"));
  CHECK(contains(run_program(tokenize_program, "/nowhere --text a").output, "/nowhere"));
#ifdef ANYSSR_TEST_TOKENIZERS
  const std::string texts = folder.write("texts.jsonl", "{\"text\": \"ab\"}\n{\"txt\": 1}\n7\n");
  const ProgramResult result =
      run_program(tokenize_program, folder.argument() + "--texts '" + texts + "'");
  CHECK(result.status == 2);
  CHECK(contains(result.output, "2 faults:"));
  CHECK(contains(result.output, "texts.jsonl:2: is no object with a string \"text\""));
  CHECK(contains(run_program(tokenize_program, folder.argument() + "--text 'a\xFF'").output,
                 "text has the byte 0xFF at position 1, expected UTF-8"));
#endif
}
