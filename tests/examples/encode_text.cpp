// SPDX-License-Identifier: MIT
// The application as its users run it.
#include <cmath>
#include <filesystem>
#include <string>

#include "anyssr/io/safetensors_reader.hpp"
#include "support/catch.hpp"
#include "support/program.hpp"
#include "support/small_bert.hpp"

using namespace anyssr;
using namespace anyssr::test;

namespace {

const std::string encode_text_program = ANYSSR_ENCODE_TEXT;

}  // namespace

TEST_CASE("token ids become the encoder's vector", "[examples]") {
  SmallBertFolder encoder;
  const std::string model = "'" + encoder.write() + "' ";
  const std::string out = encoder.folder().file("out.safetensors");
  const ProgramResult result =
      run_program(encode_text_program, model + "--ids 3,1,4 --scalar double --out '" + out + "'");
  CHECK(result.output.starts_with("1 texts, 12 numbers each: "));
  const RowMajorMatrix<double> row = SafetensorsReader(out).matrix<double>("embeddings", 1, 12);
  const RowMajorMatrix<double> other = [&] {
    (void)run_program(encode_text_program, model + "--ids 4,1,3 --out '" + out + "'");
    return SafetensorsReader(out).matrix<double>("embeddings", 1, 12);
  }();
  CHECK(row.norm() > 0.1);
  CHECK((row - other).norm() > 0.01);
}

#ifdef ANYSSR_TEST_TOKENIZERS
TEST_CASE("texts become the mean of their words' vectors", "[examples]") {
  const TemporaryFolder folder;
  folder.write("tokenizer.json", R"({"pre_tokenizer": {"type": "WhitespaceSplit"},
      "model": {"type": "WordPiece", "unk_token": "?", "vocab": {"?": 0, "one": 1, "two": 2}}})");
  folder.write("config.json", R"({"model_type": "model2vec", "normalize": false})");
  RowMajorMatrix<float> vectors(3, 2);
  vectors << 9, 9, 1, 2, 3, 6;
  SafetensorsWriter writer;
  writer.add("embeddings", vectors);
  writer.write(folder.file("model.safetensors"));
  const std::string texts =
      folder.write("texts.jsonl", "{\"text\": \"one two\"}\n{\"text\": \"two what\"}\n");
  const std::string out = folder.file("out.safetensors");
  const ProgramResult result =
      run_program(encode_text_program,
                  "'" + folder.file(".") + "' --texts '" + texts + "' --out '" + out + "'");
  CHECK(result.status == 0);
  RowMajorMatrix<float> expected(2, 2);
  expected << 2, 4, 3, 6;
  CHECK((SafetensorsReader(out).matrix<float>("embeddings") == expected));
}
#endif

TEST_CASE("texts become the kernel mean of words of a file", "[examples]") {
  const TemporaryFolder folder;
  const std::string words = folder.write(
      "words.vec",
      "6 5\nmoney 1 0 2 0 1\ncash 0.9 0.5 1 1 0\ntrain -1 2 0 1 1\nplane -1 1 0.5 -1 0\n"
      "cat 0 0 -1 1 -1\ndog 2 -1 0 -1 1\n");
  const std::string texts = folder.write(
      "texts.jsonl", "{\"text\": \"money\"}\n{\"text\": \"Money!\"}\n{\"text\": \"train\"}\n");
  const std::string out = folder.file("out.safetensors");
  const std::string arguments = "'" + words + "' --texts '" + texts + "' --out '" + out + "'";
  const ProgramResult result = run_program(encode_text_program, arguments);
  CHECK(result.output.starts_with("3 texts, 2048 numbers each: "));
  const auto rows = SafetensorsReader(out).matrix<float>("embeddings", 3, 2048);
  CHECK(std::abs(rows.row(0).norm() - 1) < 1e-5F);
  CHECK(rows.row(0) == rows.row(1));
  CHECK((rows.row(0) - rows.row(2)).norm() > 0.1F);
  CHECK(contains(run_program(encode_text_program, arguments + " --prefix 'query: '").output,
                 "expected none with static embeddings or word vectors"));
}

TEST_CASE("encode_text says what is wrong", "[examples][error]") {
  SmallBertFolder encoder;
  const std::string model = "'" + encoder.write() + "' ";
  const std::string out = " --out '" + encoder.folder().file("out.safetensors") + "'";
  const auto output = [&](const std::string& arguments) {
    return run_program(encode_text_program, model + arguments + out).output;
  };
  CHECK(contains(output(""), "expected either --texts or --ids"));
  CHECK(contains(output("--ids 3,x"), "--ids has 'x', expected token ids with commas"));
  CHECK(contains(output("--ids 99"), "input 0 has the id 99, expected 0..12"));
  CHECK(contains(output("--ids 3 --scalar half"), "--scalar"));
  const std::string texts = encoder.folder().write("texts.jsonl", "{\"text\": \"a\"}\n");
  CHECK(contains(output("--texts '" + texts + "'"), "the encoder has no tokenizer: "));
  CHECK_FALSE(std::filesystem::exists(encoder.folder().file("out.safetensors")));
}
