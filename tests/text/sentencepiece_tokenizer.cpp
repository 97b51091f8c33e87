// SPDX-License-Identifier: MIT
#include "anyssr/text/sentencepiece_tokenizer.hpp"

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
  [[nodiscard]] std::string bytes(bool dummy_prefix = true) const {
    const std::string trainer = number(3, 2) + number(35, 1);  // BPE, byte_fallback
    const std::string normalizer =
        text_field(1, "identity") + number(3, dummy_prefix ? 1 : 0) + number(4, 0);
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
constexpr TokenId id_bc = 260;
constexpr TokenId id_space_abc = 261;
constexpr TokenId id_space = 262;
constexpr TokenId id_a = 263;
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

TEST_CASE("a space stands before the first word where the config says so", "[backbone][golden]") {
  const TokenizerFolder folder;
  const auto tokenizer = [&](bool of_model, const std::string& config) {
    folder.write("tokenizer.model", HandmadePieces().bytes(of_model));
    folder.write("tokenizer_config.json", config);
    return folder.tokenizer();
  };
  for (const std::string config :
       {R"({"add_prefix_space": false, "legacy": false})", R"({"add_dummy_prefix": false})",
        R"({"add_prefix_space": false, "add_dummy_prefix": false, "legacy": true})"}) {
    CAPTURE(config);
    const SentencePieceTokenizer without = tokenizer(true, config);
    CHECK(without.encode("abc") == TokenIds{id_a, id_bc});
    CHECK(without.encode(" abc") == TokenIds{id_space_abc});
    CHECK(without.encode_prompt("a") == TokenIds{1, id_a});
    for (const std::string text : {"", "abc", " a", "  abc ", "b\n\tb", "\u6771 \U0001F600"}) {
      CHECK(without.decode(without.encode(text)) == text);
    }
  }
  for (const std::string config : {R"({})", R"({"add_prefix_space": null})",
                                   R"({"add_prefix_space": true, "legacy": null})"}) {
    CHECK(tokenizer(true, config).encode("abc") == TokenIds{id_space_abc});
  }
  CHECK(tokenizer(false, "{}").encode("abc") == TokenIds{id_a, id_bc});
  const SentencePieceTokenizer with = tokenizer(false, R"({"add_prefix_space": true})");
  CHECK(with.encode("abc") == TokenIds{id_space_abc});
  CHECK(with.decode(TokenIds{id_space_abc}) == "abc");
}

TEST_CASE("what stands around a prompt is what the config says", "[backbone][golden]") {
  const TokenizerFolder folder;
  const auto prompt = [&](const std::string& config) {
    folder.write("tokenizer_config.json", config);
    return folder.tokenizer().encode_prompt("abc");
  };
  const TokenIds with_bos{1, id_space_abc};
  const TokenIds alone{id_space_abc};
  CHECK(folder.tokenizer().encode_prompt("abc") == with_bos);
  CHECK(prompt("{}") == with_bos);
  CHECK(prompt(R"({"add_bos_token": true, "add_eos_token": false})") == with_bos);
  CHECK(prompt(R"({"add_bos_token": null, "add_eos_token": null})") == with_bos);
  CHECK(prompt(R"({"add_bos_token": false})") == alone);
  CHECK(prompt(R"({"add_bos_token": false, "bos_token": {"content": "<s>"}})") == alone);
  CHECK(prompt(R"({"bos_token": null})") == alone);
  CHECK(prompt(R"({"add_eos_token": true})") == TokenIds{1, id_space_abc, 2});
  CHECK(prompt(R"({"add_bos_token": false, "add_eos_token": true})") == TokenIds{id_space_abc, 2});
  CHECK(prompt(R"({"bos_token": "</s>"})") == TokenIds{2, id_space_abc});
  CHECK(folder.tokenizer().bos() == 2);
  folder.write("tokenizer_config.json", R"({"add_bos_token": false})");
  CHECK_FALSE(folder.tokenizer().bos().has_value());
  CHECK(folder.tokenizer().eos() == 2);
}

TEST_CASE("the older map of special tokens counts where the config does not say", "[backbone]") {
  const TokenizerFolder folder;
  folder.write("special_tokens_map.json",
               R"({"bos_token": "</s>", "eos_token": {"content": "<unk>", "lstrip": false}})");
  CHECK(folder.tokenizer().bos() == 2);
  CHECK(folder.tokenizer().eos() == 0);
  folder.write("tokenizer_config.json", R"({"bos_token": null, "eos_token": "</s>"})");
  CHECK_FALSE(folder.tokenizer().bos().has_value());
  CHECK(folder.tokenizer().eos() == 2);
}

TEST_CASE("settings that cannot be kept are refused by name", "[backbone][error]") {
  const TokenizerFolder folder;
  const auto refusal = [&](const std::string& config) {
    folder.write("tokenizer_config.json", config);
    return folder.refusal();
  };
  const std::string place = "tokenizer_config.json: ";
  CHECK(refusal(R"({"add_bos_token": true, "bos_token": null})") ==
        place + "add_bos_token is true, expected false, since there is no bos_token");
  CHECK(refusal(R"({"add_eos_token": true, "eos_token": null})") ==
        place + "add_eos_token is true, expected false, since there is no eos_token");
  CHECK(refusal(R"({"add_bos_token": "no"})") ==
        place + "add_bos_token is \"no\", expected true or false");
  CHECK(refusal(R"({"add_prefix_space": 0})") ==
        place + "add_prefix_space is 0, expected true or false");
  CHECK(refusal(R"({"add_prefix_space": true, "add_dummy_prefix": false})") ==
        place + "add_dummy_prefix is false, expected what add_prefix_space is");
  CHECK(refusal(R"({"do_lower_case": true})") ==
        place + "do_lower_case is true, expected false: texts are not put into lower case");
  for (const std::string key : {"enable_sampling", "reverse", "add_bos"}) {
    CHECK(refusal("{\"sp_model_kwargs\": {\"" + key + "\": true}}") ==
          place + "sp_model_kwargs: " + key +
              " is true, expected none: texts are encoded without options of SentencePiece");
  }
  CHECK(refusal(R"({"sp_model_kwargs": {"enable_sampling": false, "nbest_size": -1}})") ==
        "nothing was thrown");
}

TEST_CASE("settings that may be a mistake are warnings", "[backbone]") {
  const TokenizerFolder folder;
  const auto warnings = [&](const std::string& config) {
    folder.write("tokenizer_config.json", config);
    std::vector<std::string> found;
    const SentencePieceTokenizer tokenizer(
        folder.file(""), [&](const std::string& message) { found.push_back(message); });
    return found;
  };
  // as transformers 4 and 5 write them
  CHECK(warnings(R"({"add_bos_token": true, "add_eos_token": false, "add_prefix_space": null,
                     "additional_special_tokens": [], "chat_template": "{{ x }}",
                     "clean_up_tokenization_spaces": false, "legacy": true, "max_length": 8192,
                     "model_max_length": 1000000000000000019884624838656, "pad_token": "</s>",
                     "padding_side": "left", "sp_model_kwargs": {},
                     "spaces_between_special_tokens": false, "tokenizer_class": "LlamaTokenizer",
                     "unk_token": "<unk>", "use_default_system_prompt": false})")
            .empty());
  CHECK(warnings(R"({"backend": "tokenizers", "is_local": true, "image_token": "<image>",
                     "model_input_names": ["input_ids"], "tokenizer_class": "TokenizersBackend"})")
            .empty());
  const std::string place = folder.file("tokenizer_config.json: ");
  CHECK(warnings(R"({"add_eos_token": true})") ==
        std::vector<std::string>{place + "add_eos_token is true: the token that ends a text stands "
                                         "behind every prompt, and models that are to go on from a "
                                         "prompt need false"});
  CHECK(warnings(R"({"tokenizer_class": "XLMRobertaTokenizer"})") ==
        std::vector<std::string>{place + "tokenizer_class is \"XLMRobertaTokenizer\", which may do "
                                         "more to a text than tokenizer.model says: compare some "
                                         "ids"});
  CHECK(warnings(R"({"split_digits": true, "new_idea": false})") ==
        std::vector<std::string>{
            place + "\"split_digits\" is true, and that key is unknown: it is ignored"});
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
  const auto refusal = [&](const std::string& model) {
    folder.write("tokenizer.model", model);
    return folder.refusal();
  };
  const std::string expected = ", expected a model of SentencePiece: ";
  CHECK(refusal("") == "tokenizer.model: is empty" + expected + "download or copy the file again");
  CHECK(refusal("not a model") == "tokenizer.model: is text that begins \"not a model\"" +
                                      expected + "download or copy the file again");
  CHECK(refusal("{\"model\": {}}") ==
        "tokenizer.model: is JSON text" + expected + "download or copy the file again");
  CHECK(refusal("version https://git-lfs.github.com/spec/v1\noid sha256:9e\nsize 499723\n") ==
        "tokenizer.model: is a git-LFS pointer to 499723 bytes" + expected +
            "run \"git lfs pull\" in the repository that it comes from");
  CHECK(test::contains(refusal("<html>"), "tokenizer.model: is an HTML page" + expected));
  for (const std::string& broken : {bytes.substr(0, 99), bytes.substr(0, bytes.size() - 3)}) {
    folder.write("tokenizer.model", broken);
    CHECK(test::contains(folder.refusal(), "tokenizer.model: is no model of SentencePiece ("));
  }
  // cut by as many bytes as the setting takes
  folder.write("tokenizer_config.json", R"({"add_prefix_space": false})");
  CHECK(test::contains(refusal(bytes.substr(0, bytes.size() - 4)),
                       "tokenizer.model: is no model of SentencePiece ("));
  std::filesystem::remove(folder.file("tokenizer_config.json"));
  std::filesystem::remove(folder.file("tokenizer.model"));
  const std::string none = ": has no tokenizer.model, expected one of SentencePiece";
  CHECK(folder.refusal<FileError>() == none);
  folder.write("tokenizer.model.v3", bytes);
  CHECK(folder.refusal<FileError>() == none + "; it holds \"tokenizer.model.v3\": pass that file");
  CHECK(SentencePieceTokenizer(folder.file("tokenizer.model.v3")).vocab_size() == 266);
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

TEST_CASE("a published tokenizer without the space before a text gives the ids of its goldens",
          "[backbone][golden]") {
  const char* extra = std::getenv("ANYSSR_EXTRA_DATA");
  if (extra == nullptr) {
    std::cout << "skipped: ANYSSR_EXTRA_DATA is not set\n";
    return;
  }
  const std::filesystem::path published = std::filesystem::path(extra) / "models/tiny-llama";
  const TemporaryFolder folder;
  std::filesystem::copy_file(published / "tokenizer.model", folder.file("tokenizer.model"));
  folder.write("tokenizer_config.json", R"({"add_prefix_space": false, "add_bos_token": false})");
  const SentencePieceTokenizer tokenizer(folder.file(""));
  const Json golden = read_json(published / "tokenizer_golden.json");
  int changed = 0;
  for (const Json& entry : golden["strings"]) {
    const auto text = entry["text"].get<std::string>();
    if (text.empty()) continue;
    CAPTURE(text);
    const auto ids = entry["ids"].get<TokenIds>();
    CHECK(tokenizer.encode_prompt(" " + text) == ids);
    changed += tokenizer.encode(text) == ids ? 0 : 1;
  }
  CHECK(changed > 20);
}
