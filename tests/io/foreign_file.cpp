// SPDX-License-Identifier: MIT
#include "anyssr/io/foreign_file.hpp"

#include <string>
#include <string_view>
#include <vector>

#include "anyssr/io/guarded_json.hpp"
#include "anyssr/io/safetensors_reader.hpp"
#include "support/catch.hpp"
#include "support/corpus.hpp"
#include "support/file_bytes.hpp"
#include "support/program.hpp"

using namespace anyssr;
using namespace anyssr::test;

namespace {

struct Foreign {
  std::string bytes;
  std::string message;  ///< without what was expected
};

/// The message behind the file's path.
template <class Read>
std::string foreign_refusal(const TemporaryFolder& folder, const std::string& bytes,
                            const Read& read) {
  const std::string path = folder.write("file", bytes);
  const std::string message = message_of<FormatError>([&] { read(path); });
  return message.starts_with(path) ? message.substr(path.size()) : message;
}

std::string as_safetensors(const TemporaryFolder& folder, const std::string& bytes) {
  keep_for_fuzzing("safetensors", bytes);
  std::string plain = foreign_refusal(folder, bytes, [](auto& p) { (void)SafetensorsReader(p); });
  const std::string mapped =
      foreign_refusal(folder, bytes, [](auto& p) { (void)SafetensorsReader(p, {.mapped = true}); });
  return plain == mapped ? plain : plain + " but mapped " + mapped;
}

std::string as_json(const TemporaryFolder& folder, const std::string& bytes) {
  return foreign_refusal(folder, bytes, [](auto& p) { (void)read_json(p); });
}

std::string bytes_of(std::string_view text) { return std::string(text); }

}  // namespace

TEST_CASE("a file of another format is named in the message with what to do", "[io][error]") {
  using namespace std::string_view_literals;
  const std::string zip = "PK\x03\x04" + std::string(26, '\x01');
  const std::string pickle = std::string(": ") + detail::convert_pickle;
  const std::string fetch = std::string(": ") + detail::fetch_safetensors;
  const std::string unpack = std::string(": ") + detail::unpack_first;
  const std::string again = std::string(": ") + detail::download_again;
  const std::string page =
      ": download the file itself: what was saved is a server's answer, such as an error or a "
      "log-in";
  const std::vector<Foreign> cases{
      {"", "is empty" + again},
      {"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 4976698672\n",
       "is a git-LFS pointer to 4976698672 bytes: run \"git lfs pull\" in the repository that it "
       "comes from"},
      {"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n",
       "is a git-LFS pointer: run \"git lfs pull\" in the repository that it comes from"},
      {"/annex/objects/SHA256E-s15--ab.safetensors\n",
       "is a git-annex pointer: run \"git annex get\" in the repository that it comes from"},
      {"<!DOCTYPE html>\n<html>", "is an HTML page" + page},
      {"\xEF\xBB\xBF\r\n <HTML lang=en>", "is an HTML page" + page},
      {"<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code>", "is an XML text" + page},
      {"Entry not found", "is text that begins \"Entry not found\"" + again},
      {bytes_of("\x80\x02}q\x00(X\x06\x00"sv), "is a pickle" + pickle},
      {bytes_of("\x80\x02\x8A\x0Al\xFC\x9C\x46\xF9 j\xA8P\x19."sv), "is a pickle" + pickle},
      {bytes_of("\x80\x04\x95\x10\x00\x00\x00\x00\x00"sv), "is a pickle" + pickle},
      {zip + "archive/data.pkl", "is a pickle of PyTorch (torch.save)" + pickle},
      {zip + "pytorch_model/data.pkl", "is a pickle of PyTorch (torch.save)" + pickle},
      {zip + "a.npy",
       "is an archive of NumPy (.npz): write it with save_file of "
       "safetensors.numpy"},
      {zip + "model/", "is a zip archive" + unpack},
      {"GGUF" + little_endian(3, 4), "is a GGUF file (llama.cpp)" + fetch},
      {"tjgg" + little_endian(3, 4), "is a GGML file (llama.cpp)" + fetch},
      {bytes_of("\x89HDF\r\n\x1A\n\x00"sv), "is an HDF5 file (Keras)" + fetch},
      {bytes_of("\x93NUMPY\x01\x00v\x00"sv),
       "is an array of NumPy: write it with save_file of safetensors.numpy"},
      {bytes_of("\x08\x07\x12\x07pytorch\x1A\x05"sv), "is an ONNX model" + fetch},
      {bytes_of("\x1F\x8B\x08\x00"sv), "is compressed by gzip" + unpack},
      {bytes_of("\x28\xB5\x2F\xFD\x00"sv), "is compressed by zstd" + unpack},
      {bytes_of("\xFD\x37zXZ\x00\x00"sv), "is compressed by xz" + unpack},
      {std::string("model.safetensors") + std::string(240, '\0') + "ustar",
       "is a tar archive" + unpack},
      {bytes_of("\xFF\xFE{\x00"sv), "is UTF-16 text: save it as UTF-8"},
      {std::string(4096, '\0'),
       "begins with zeros: download it again: a transfer did not end, or a disk was full"},
  };
  const TemporaryFolder folder;
  for (const Foreign& foreign : cases) {
    CAPTURE(foreign.message);
    const std::size_t at = foreign.message.find(": ");
    const auto expected = [&](const std::string& what) {
      return ": " + foreign.message.substr(0, at) + ", expected " + what +
             foreign.message.substr(at);
    };
    CHECK(as_safetensors(folder, foreign.bytes) == expected("a safetensors file"));
    CHECK(as_json(folder, foreign.bytes) == expected("JSON text"));
  }
}

TEST_CASE("JSON and safetensors that were swapped are told apart", "[io][error]") {
  const TemporaryFolder folder;
  const std::string safetensors = safetensors_bytes("{}      ", "");
  CHECK(as_json(folder, safetensors) ==
        ": is a safetensors file, expected JSON text: look whether two files were swapped");
  for (const std::string json : {"{\"error\":\"Not Found\"}", "  [1, 2, 3, 4]", "{\n}"}) {
    CHECK(as_safetensors(folder, json) ==
          ": is JSON text, expected a safetensors file: download or copy the file again");
  }
}

TEST_CASE("first bytes alone do not make a sound file foreign", "[io][property]") {
  const TemporaryFolder folder;
  // the length of the header is what a pickle begins with: 0x0280
  std::string header = "{}" + std::string(0x280 - 2, ' ');
  CHECK(as_safetensors(folder, safetensors_bytes(header, "")) == "nothing was thrown");
  CHECK(as_json(folder, "\"<html>\"") == "nothing was thrown");
}

TEST_CASE("what is damaged and of no known format keeps its reason", "[io][error]") {
  const TemporaryFolder folder;
  CHECK(as_json(folder, "{\"a\": 1,}").starts_with(": broken JSON at byte "));
  CHECK(as_json(folder, "true false").starts_with(": broken JSON at byte "));
  CHECK(as_safetensors(folder, safetensors_bytes("{\"a\":1} ", ""))
            .starts_with(": entry \"a\" is 1, expected an object"));
  CHECK(as_safetensors(folder, std::string(40, '\x7F')).starts_with(": the header has"));
}
