// SPDX-License-Identifier: MIT
#include "anyssr/backbone/llama/sentencepiece_tokenizer.hpp"

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include "support/catch.hpp"
#include "support/program.hpp"

namespace {

using namespace anyssr;
using anyssr::test::message_of;
using anyssr::test::TemporaryFolder;

using TokenIds = std::vector<TokenId>;

/// A model of SentencePiece written by hand, field by field (protobuf): 3 reserved pieces, 256
/// bytes and a few merges.
class HandmadePieces {
 public:
  enum Type : unsigned { normal = 1, unknown = 2, control = 3, byte = 6 };

  HandmadePieces() {
    add("<unk>", 0, unknown);
    add("<s>", 0, control);
    add("</s>", 0, control);
    constexpr std::string_view digits = "0123456789ABCDEF";
    for (unsigned i = 0; i < 256; ++i) {
      add(std::string("<0x") + digits[i >> 4U] + digits[i & 15U] + ">", 0, byte);
    }
    float score = 0;
    for (const char* text : {"\u2581a", "bc", "\u2581abc", "\u2581", "a", "b", "c"}) {
      add(text, score -= 1, normal);
    }
  }
  /// The bytes of tokenizer.model.
  [[nodiscard]] std::string bytes() const {
    const std::string trainer = number(3, 2) + number(35, 1);  // BPE, byte_fallback
    const std::string normalizer = text_field(1, "identity") + number(3, 1) + number(4, 0);
    return pieces_ + text_field(2, trainer) + text_field(3, normalizer);
  }

 private:
  static std::string varint(unsigned value) {
    std::string bytes;
    for (; value > 127; value >>= 7U) bytes += static_cast<char>(value | 128U);
    return bytes + static_cast<char>(value);
  }
  static std::string number(unsigned field, unsigned value) {
    return varint(field << 3U) + varint(value);
  }
  static std::string text_field(unsigned field, const std::string& text) {
    return varint(field << 3U | 2U) + varint(static_cast<unsigned>(text.size())) + text;
  }
  void add(const std::string& text, float score, Type type) {
    std::string bits(4, '\0');
    std::memcpy(bits.data(), &score, 4);
    pieces_ += text_field(1, text_field(1, text) + varint(2U << 3U | 5U) + bits + number(3, type));
  }

  std::string pieces_;
};

/// Its ids.
constexpr TokenId id_space_a = 259;
constexpr TokenId id_space_abc = 261;
constexpr TokenId id_space = 262;
constexpr TokenId id_c = 265;
constexpr TokenId id_of_byte(unsigned char byte) { return 3 + byte; }

/// A checkpoint folder with that model.
struct TokenizerFolder : TemporaryFolder {
  TokenizerFolder() { write("tokenizer.model", HandmadePieces().bytes()); }
  [[nodiscard]] SentencePieceTokenizer tokenizer() const {
    return SentencePieceTokenizer(file(""));
  }
  /// The message of a refusal without the folder's name.
  template <class E = FormatError>
  [[nodiscard]] std::string refusal(const std::string& name = "") const {
    std::string message = message_of<E>([&] { SentencePieceTokenizer{file(name)}; });
    const std::string folder = file("");
    for (std::size_t at = 0; (at = message.find(folder)) != std::string::npos;) {
      message.erase(at, folder.size());
    }
    return message;
  }
};

}  // namespace

TEST_CASE("a text becomes pieces and bytes and comes back", "[backbone][property]") {
  const TokenizerFolder folder;
  const SentencePieceTokenizer tokenizer = folder.tokenizer();
  CHECK(tokenizer.encode("").empty());
  CHECK(tokenizer.encode("abc") == TokenIds{id_space_abc});
  CHECK(tokenizer.encode("a a") == TokenIds{id_space_a, id_space_a});
  CHECK(tokenizer.encode(" c") == TokenIds{id_space, id_space, id_c});
  CHECK(tokenizer.encode("\u00e9") == TokenIds{id_space, id_of_byte(0xC3), id_of_byte(0xA9)});
  CHECK(tokenizer.vocab_size() == 266);
  CHECK(tokenizer.bos() == 1);
  CHECK(tokenizer.eos() == 2);
  for (const std::string text :
       {"", "abc", " a", "  abc ", "b\n\tb", "\u6771\u4eac \U0001F600", "</s> <unk> <0x41>"}) {
    CAPTURE(text);
    const TokenIds ids = tokenizer.encode(text);
    CHECK(tokenizer.decode(ids) == text);
    for (const TokenId id : ids) CHECK(id > 2);  // a name in a text is no command
  }
  const std::string with_nul("a\0b", 3);
  CHECK(tokenizer.decode(tokenizer.encode(with_nul)) == with_nul);
  CHECK(SentencePieceTokenizer(folder.file("tokenizer.model")).encode("abc") ==
        tokenizer.encode("abc"));
}

TEST_CASE("ids that no text gives decode as documented", "[backbone][property]") {
  const TokenizerFolder folder;
  const SentencePieceTokenizer tokenizer = folder.tokenizer();
  CHECK(tokenizer.decode(TokenIds{1, id_space_abc, 2}) == "abc");
  CHECK(tokenizer.decode(TokenIds{0}) == " \u2047 ");
  CHECK(tokenizer.decode(TokenIds{id_of_byte(0xC3)}) == "\uFFFD");
  CHECK(tokenizer.decode(TokenIds{1, 2}).empty());
}

TEST_CASE("added tokens have ids beyond the pieces", "[backbone][property]") {
  const TokenizerFolder folder;
  const std::string name = GENERATE("decoder", "list", "both");
  CAPTURE(name);
  if (name != "list") {
    folder.write("tokenizer_config.json",
                 R"({"added_tokens_decoder": {"1": {"content": "<s>", "special": true},
                     "266": {"content": "<|end|>"}, "268": {"content": "<tool>"}},
                     "bos_token": null, "eos_token": {"content": "<|end|>"}})");
  } else {
    folder.write("tokenizer_config.json",
                 R"({"added_tokens_decoder": null, "bos_token": null, "eos_token": "<|end|>",
                     "added_tokens": [{"id": 268, "content": "<tool>"},
                                      {"id": 266, "content": "<|end|>"}]})");
  }
  if (name == "both") folder.write("added_tokens.json", R"({"<tool>": 268})");
  const SentencePieceTokenizer tokenizer = folder.tokenizer();
  CHECK(tokenizer.vocab_size() == 269);
  CHECK_FALSE(tokenizer.bos().has_value());
  CHECK(tokenizer.eos() == 266);
  CHECK(tokenizer.find("<tool>") == 268);
  CHECK(tokenizer.find("</s>") == 2);
  CHECK(tokenizer.find("<unk>") == 0);
  CHECK(tokenizer.find("\u2581a") == id_space_a);
  CHECK_FALSE(tokenizer.find("<|start|>").has_value());
  // only the first word of all loses its space
  CHECK(tokenizer.decode(TokenIds{id_space_abc, 266, id_space_a}) == "abc<|end|> a");
  CHECK(tokenizer.decode(TokenIds{266, id_space_a, 268}) == "<|end|> a<tool>");
  CHECK(tokenizer.decode(TokenIds{266, 1, id_space_a, id_space_a}) == "<|end|> a a");
  CHECK(tokenizer.decode(TokenIds{268, 2}) == "<tool>");
  for (const TokenId id : tokenizer.encode("abc<|end|>")) CHECK(id < 266);
  CHECK(message_of<ArgumentError>([&] {
          (void)tokenizer.decode(TokenIds{2, 267});
        }) == "id 267 at position 1 is no token, expected 0..268");
}

TEST_CASE("what a tokenizer cannot take is refused", "[backbone][error]") {
  const TokenizerFolder folder;
  const SentencePieceTokenizer tokenizer = folder.tokenizer();
  CHECK(message_of<ArgumentError>([&] { (void)tokenizer.encode("ab\xFFz"); }) ==
        "text has the byte 0xFF at position 2, expected UTF-8");
  CHECK(message_of<ArgumentError>([&] { (void)tokenizer.encode("\xE2\x82"); }) ==
        "text has the byte 0xE2 at position 0, expected UTF-8");
  CHECK(message_of<ArgumentError>([&] { (void)tokenizer.decode(TokenIds{266}); }) ==
        "id 266 at position 0 is no token, expected 0..265");
  CHECK(message_of<ArgumentError>([&] {
          (void)tokenizer.decode(TokenIds{3, -1});
        }) == "id -1 at position 1 is no token, expected 0..265");
}

TEST_CASE("files that hold no SentencePiece model are refused with what they are",
          "[backbone][error]") {
  TokenizerFolder folder;
  CHECK(test::contains(folder.refusal<FileError>("nothing.model"), "nothing.model: cannot be"));
  const std::string bytes = HandmadePieces().bytes();
  folder.write("tokenizer.model", "IQ== 0\nIg== 1\nIw== 2\n");
  CHECK(folder.refusal() ==
        "tokenizer.model: is a tiktoken vocabulary in base64 (Llama 3), expected a model of "
        "SentencePiece: tokenise with another program and pass ids");
  for (const std::string& broken : {std::string(), std::string("not a model"), bytes.substr(0, 99),
                                    bytes.substr(0, bytes.size() - 3)}) {
    folder.write("tokenizer.model", broken);
    CHECK(test::contains(folder.refusal(), "tokenizer.model: is no model of SentencePiece ("));
  }
  std::filesystem::remove(folder.file("tokenizer.model"));
  CHECK(test::contains(folder.refusal<FileError>(), ": has no tokenizer.model, expected one of"));
  folder.write("tokenizer.json", "{}");
  const std::string reason =
      ": holds a tokenizer.json only (byte-level BPE behind a Unicode pattern), which is not read; "
      "expected a tokenizer.model of SentencePiece: tokenise with another program and pass ids";
  CHECK(folder.refusal() == reason);
  CHECK(test::contains(folder.refusal("tokenizer.json"), reason));
  std::filesystem::create_directory(folder.file("tokenizer.model"));
  CHECK(folder.refusal() == "tokenizer.model: is a folder, expected a regular file");
}

TEST_CASE("added tokens that contradict the pieces or each other are refused",
          "[backbone][error]") {
  const TokenizerFolder folder;
  const auto refusal = [&](const std::string& config) {
    folder.write("tokenizer_config.json", config);
    return folder.refusal();
  };
  const auto with_token = [](const std::string& id, const std::string& content) {
    return "{\"added_tokens_decoder\": {\"" + id + "\": {\"content\": " + content + "}}}";
  };
  const std::string place = "tokenizer_config.json: added_tokens_decoder: ";
  CHECK(refusal(with_token("2", "\"<end>\"")) ==
        place + "\"2\": token 2 is \"<end>\", expected \"</s>\" as it is elsewhere");
  for (const std::string id : {"x", "", "-1", "5 ", "16777217", "99999999999999999999"}) {
    CHECK(refusal(with_token(id, "\"a\"")) ==
          place.substr(0, place.size() - 2) + ": has the key \"" + id + "\", expected a token id");
  }
  CHECK(refusal(with_token("300", "5")) == place + "\"300\": content is 5, expected a string");
  CHECK(refusal(R"({"eos_token": "<end>"})") ==
        R"(tokenizer_config.json: eos_token is "<end>", expected the name of a token)");
  CHECK(refusal(R"({"bos_token": {"content": "<begin>"}})") ==
        "tokenizer_config.json: bos_token is an object, expected the name of a token");
  CHECK(refusal(R"({"eos_token": 2})") ==
        "tokenizer_config.json: eos_token is 2, expected a string");
  CHECK(refusal(R"({"added_tokens": [{"id": 300}]})") ==
        "tokenizer_config.json: added_tokens[0]: has no \"content\"");
  CHECK(test::contains(refusal("[]"), "expected an object"));
  CHECK(test::contains(refusal("{"), "broken JSON"));
  folder.write("added_tokens.json", R"({"<pad>": 300})");
  CHECK(refusal(with_token("300", "\"<end>\"")) ==
        place + "\"300\": token 300 is \"<end>\", expected \"<pad>\" as it is elsewhere");
  folder.write("added_tokens.json", R"({"<pad>": "x"})");
  CHECK(refusal("{}") ==
        "added_tokens.json: <pad> is \"x\", expected a whole number of 0..16777216");
}

TEST_CASE("copies of a tokenizer share the model between threads", "[backbone][property]") {
  std::vector<SentencePieceTokenizer> copies;
  {
    const TokenizerFolder folder;
    copies.assign(2, folder.tokenizer());
  }
  std::vector<std::string> texts(2);
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < 2; ++i) {
      threads.emplace_back([&, i] {
        for (int k = 0; k < 200; ++k) texts[i] = copies[i].decode(copies[i].encode("abc a \u00e9"));
      });
    }
  }
  CHECK(texts == std::vector<std::string>(2, "abc a \u00e9"));
}

TEST_CASE("a published tokenizer gives its golden ids and texts", "[backbone][golden]") {
  const char* extra = std::getenv("ANYSSR_EXTRA_DATA");
  if (extra == nullptr) {
    std::cout << "skipped: ANYSSR_EXTRA_DATA is not set\n";
    return;
  }
  const std::filesystem::path folder = std::filesystem::path(extra) / "models/tiny-llama";
  const SentencePieceTokenizer tokenizer(folder);
  CHECK(tokenizer.vocab_size() == 2048);
  CHECK(tokenizer.bos() == 1);
  CHECK(tokenizer.eos() == 2);
  const Json golden = read_json(folder / "tokenizer_golden.json");
  CHECK(golden["strings"].size() == 30);
  for (const Json& entry : golden["strings"]) {
    const auto text = entry["text"].get<std::string>();
    CAPTURE(text);
    const auto ids = entry["ids"].get<TokenIds>();
    CHECK(tokenizer.encode(text) == ids);
    CHECK(tokenizer.decode(ids) == entry["decoded"].get<std::string>());
  }
}
