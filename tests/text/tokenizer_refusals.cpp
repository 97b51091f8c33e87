// SPDX-License-Identifier: MIT
// Files that cannot be followed are refused by place and reason.
#include <string>

#include "support/catch.hpp"
#include "support/small_tokenizer.hpp"

namespace {

using namespace anyssr;
using namespace anyssr::test;

std::string refusal(const std::string& text) {
  return message_of<FormatError>([&] { (void)parse_tokenizer(text); });
}
std::string refusal(const Json& json) { return refusal(json.dump()); }

Json small_json() {
  return tokenizer_json({{"type", "BPE"},
                         {"vocab", {{"a", 0}, {"b", 1}, {"ab", 2}}},
                         {"merges", Json::array({"a b"})}});
}

}  // namespace

TEST_CASE("a file that is no tokenizer is refused", "[text][error]") {
  CHECK(refusal(std::string()) == "tokenizer.json: broken JSON at byte 1");
  CHECK(refusal(std::string("[]")) == "tokenizer.json: is an array, expected an object");
  CHECK(refusal(std::string("{}")) == "tokenizer.json: has no \"model\"");
  CHECK(refusal(small_json().dump().substr(0, 120)).starts_with("tokenizer.json: broken JSON"));
  CHECK(contains(refusal(std::string(R"({"model": {"vocab": {"a": 0}, "vocab": {"a": 0}}})")),
                 "the key \"vocab\" stands there twice"));
  CHECK(contains(refusal(std::string(R"({"model": {}})")), "vocab has no pieces"));
}

TEST_CASE("pieces of the wrong kind are refused", "[text][error]") {
  const auto vocab = [](const std::string& text) {
    return refusal(R"({"model": {"type": "BPE", "vocab": )" + text + R"(, "merges": []}})");
  };
  CHECK(vocab(R"({"a": 0, "b": "x"})") ==
        "tokenizer.json: model.vocab: \"b\" is \"x\", expected a token id");
  CHECK(vocab(R"({"a": -1})") == "tokenizer.json: model.vocab: \"a\" is -1, expected a token id");
  CHECK(contains(vocab(R"({"a": 99999999})"),
                 "\"a\" is 99999999, expected a token id of 0..2097152"));
  CHECK(contains(vocab(R"({"a": [1]})"), "\"a\" is an array, expected a token id"));
  CHECK(contains(vocab(R"({"a": 0, "a": 1})"), "\"a\" with id 1 is there twice"));
  CHECK(contains(vocab(R"({"a": 0, "b": 0})"), "\"b\" with id 0 is there twice"));
  CHECK(contains(vocab("{\"" + std::string(70000, 'a') + "\": 0}"), "has 70000 bytes"));
  CHECK(contains(vocab(R"([["a", 0.5]])"), "vocab is a list, expected an object in BPE"));
  const auto scores = [](const std::string& text) {
    return refusal(R"({"model": {"type": "Unigram", "vocab": )" + text + "}}");
  };
  CHECK(contains(scores(R"([["a", 0.5], ["b"]])"),
                 "model.vocab: [1] is or has shorter, expected [piece, score]"));
  CHECK(contains(scores(R"([["a", 0.5, 1]])"), "[0] is or has"));
  CHECK(contains(scores(R"(["a"])"), "[0] is or has \"a\", expected [piece, score]"));
  CHECK(contains(scores(R"([["a", 1e300]])"), "[0] has no finite score"));
  CHECK(contains(scores(R"({"a": 0})"), "vocab is an object, expected a list in Unigram"));
}

TEST_CASE("merges that fit no pieces are refused", "[text][error]") {
  Json json = small_json();
  json["model"]["merges"] = Json::array({"a b", "b c"});
  CHECK(refusal(json) == "tokenizer.json: model: merges[1] has \"c\", expected a piece of vocab");
  json["model"]["merges"] = Json::array({Json::array({"b", "a"})});
  CHECK(refusal(json) == "tokenizer.json: model: merges[0] has \"ba\", expected a piece of vocab");
  json["model"]["merges"] = Json::array({"ab"});
  CHECK(refusal(json) ==
        "tokenizer.json: model: merges[0] has \"ab\", expected two pieces with a space");
  json["model"]["merges"] = Json::array({Json::array({"a"})});
  CHECK(contains(refusal(json), "model.merges: is or has shorter behind 1 merges"));
  json["model"]["merges"] = Json::array({Json::array({"a", "b", "c"})});
  CHECK(contains(refusal(json), "model.merges: is or has longer"));
  json["model"]["merges"] = Json::array({7});
  CHECK(contains(refusal(json), "model.merges: is or has 7"));
  json["model"].erase("merges");
  CHECK(refusal(json) == "tokenizer.json: model: has no \"merges\"");
}

TEST_CASE("what is not computed is refused by name", "[text][error]") {
  const auto with = [](const std::string& pointer, const Json& value) {
    Json json = small_json();
    json[Json::json_pointer(pointer)] = value;
    return refusal(json);
  };
  CHECK(contains(with("/normalizer", {{"type", "Nmt"}}),
                 "normalizer: type is \"Nmt\", expected one of Sequence, NFC"));
  CHECK(contains(with("/pre_tokenizer", {{"type", "UnicodeScripts"}}),
                 "type is \"UnicodeScripts\", expected one of"));
  CHECK(
      contains(with("/post_processor", {{"type", "Other"}}), "post_processor: type is \"Other\""));
  CHECK(contains(with("/decoder", {{"type", "CTC"}}), "decoder: type is \"CTC\""));
  CHECK(contains(with("/model/type", "WordLevel"),
                 "model: type is \"WordLevel\", expected one of BPE, WordPiece, Unigram"));
  CHECK(contains(with("/model/dropout", 0.1), "dropout is 0.1, expected null"));
  CHECK(contains(with("/model/end_of_word_suffix", "</w>"), "end_of_word_suffix is \"</w>\""));
  CHECK(contains(with("/model/unk_token", "?"), "unk_token is \"?\", expected one of the pieces"));
  CHECK(contains(with("/pre_tokenizer",
                      {{"type", "Split"}, {"pattern", {{"Regex", "("}}}, {"behavior", "Isolated"}}),
                 "the expression \"(\" is not understood"));
  CHECK(contains(with("/pre_tokenizer",
                      {{"type", "Split"}, {"pattern", {{"String", "x"}}}, {"behavior", "Odd"}}),
                 "behavior is \"Odd\""));
  CHECK(contains(with("/normalizer", {{"type", "Precompiled"}, {"precompiled_charsmap", "!"}}),
                 "no base64"));
  CHECK(
      contains(with("/normalizer", {{"type", "Precompiled"}, {"precompiled_charsmap", "/////w=="}}),
               "has a trie of"));
  CHECK(contains(with("/added_tokens", {added_token(5, "x", true), added_token(5, "y", true)}),
                 "id 5 is also \"x\""));
  CHECK(contains(with("/added_tokens", {{{"id", -3}, {"content", "x"}}}), "id is -3"));
  CHECK(contains(
      with("/post_processor",
           {{"type", "TemplateProcessing"}, {"single", Json::array()}, {"pair", Json::array()}}),
      "single does not hold each text once"));
  CHECK(contains(with("/post_processor", {{"type", "BertProcessing"}, {"cls", "x"}}),
                 "expected the name of a token and its id"));
  CHECK(contains(refusal(tokenizer_json({{"type", "WordPiece"}, {"vocab", {{"a", 0}}}})),
                 "has no \"unk_token\""));
}
