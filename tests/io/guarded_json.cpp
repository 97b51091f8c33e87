// SPDX-License-Identifier: MIT
#include "anyssr/io/guarded_json.hpp"

#include <string>
#include <utility>
#include <vector>

#include "anyssr/core/random.hpp"
#include "support/catch.hpp"
#include "support/program.hpp"

using namespace anyssr;
using namespace anyssr::test;
using namespace std::string_literals;

TEST_CASE("guarded JSON gives the document with its keys in order", "[io]") {
  const std::string text =
      " {\"z\": [1, -2, 2.5, true, null, [], {}], \"a\": {\"b\": \"\\u00e4\\n\"}, \"m\": \"\"}\n\t";
  const Json json = parse_json(text, "here");
  CHECK(json == Json::parse(text));
  CHECK(json.dump() == Json::parse(text).dump());
  CHECK(json.begin().key() == "z");
  CHECK(parse_json("7", "here") == Json(7));
  CHECK(parse_json("\"x\"", "here") == Json("x"));
  CHECK(parse_json("[]", "here").is_array());
  CHECK(parse_json("{}", "here").is_object());
}

TEST_CASE("guarded JSON keeps the kinds of its numbers", "[io]") {
  const Json json =
      parse_json("[0, 18446744073709551615, -0, -1, 1.0, 1e2, 18446744073709551616]", "here");
  CHECK(json[0].is_number_unsigned());
  CHECK(json[1].is_number_unsigned());
  CHECK(json[1].get<std::uint64_t>() == 18446744073709551615U);
  for (std::size_t i = 2; i < 7; ++i) {
    CAPTURE(i);
    CHECK_FALSE(json[i].is_number_unsigned());
  }
}

TEST_CASE("guarded JSON refuses what the parser would pass in silence", "[io][error]") {
  const std::vector<std::pair<std::string, std::string>> cases{
      {"{}\0anything"s, "f.json: a NUL byte at byte 3, expected JSON text"},
      {"\0"s, "f.json: a NUL byte at byte 1, expected JSON text"},
      {"\xEF\xBB\xBF{}", "f.json: begins with a byte order mark, expected JSON text without one"},
      {"[\"\xC0\x80\"]", "f.json: byte 0xC0 at byte 3, expected UTF-8"},
      {"[\"\xED\xA0\x80\"]", "f.json: byte 0xED at byte 3, expected UTF-8"},
      {R"({"a":1,"b":2,"a":3})", "f.json: the key \"a\" stands there twice"},
      {R"({"a":1,"\u0061":3})", "f.json: the key \"a\" stands there twice"},
      {R"([{"x":{"":1,"":2}}])", "f.json: the key \"\" stands there twice"},
      {"", "f.json: broken JSON at byte 1"},
      {"{\"a\":1,}", "f.json: broken JSON at byte 8"},
      {"[1] // one", "f.json: broken JSON at byte 5"},
      {"[1] 2", "f.json: broken JSON at byte 5"},
      {"[NaN]", "f.json: broken JSON at byte 2"},
      {"[1e999]", "f.json: broken JSON at byte 6"},
      {R"(["\ud800"])", "f.json: broken JSON at byte 9"},
      {"[1", "f.json: broken JSON at byte 3"},
  };
  for (const auto& [text, reason] : cases) {
    CAPTURE(text);
    const std::string& bytes = text;  // clang 14: no lambda may capture a structured binding
    CHECK(message_of<FormatError>([&] { (void)parse_json(bytes, "f.json"); }) == reason);
  }
}

TEST_CASE("guarded JSON accepts nothing that the parser refuses or reads otherwise",
          "[io][property]") {
  const std::string whole =
      R"({"r": 8, "alpha": [16.5, -0, {"k": null}], "\u00e4\n": "\ud83d\ude00"})";
  const std::string letters = "{}[]\",:0123456789-.eE \\\0\xFF\xC3\xA4ukr/*"s;
  RandomStream random(8);
  int accepted = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string text = whole;
    for (std::uint32_t changes = 1 + random.below(3); changes > 0; --changes) {
      const std::size_t at = random.below(static_cast<std::uint32_t>(text.size()));
      const char letter = letters[random.below(static_cast<std::uint32_t>(letters.size()))];
      if (random.below(2) == 0) text.erase(at, 1);
      text.insert(at, 1, letter);
    }
    Json json;
    try {
      json = parse_json(text, "f");
    } catch (const FormatError&) {
      continue;
    }
    ++accepted;
    if (json != Json::parse(text)) FAIL(text);
  }
  CHECK(accepted > 100);
  CHECK(accepted < 19'000);
}

TEST_CASE("guarded JSON goes 64 levels deep and no further", "[io][error]") {
  const auto nested = [](std::size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  Json copy = parse_json(nested(64), "f.json");
  CHECK(copy.dump() == nested(64));
  const std::string reason = "f.json: nested deeper than 64 levels";
  CHECK(message_of<FormatError>([&] { (void)parse_json(nested(65), "f.json"); }) == reason);
  const std::string deep(5'000'000, '[');
  CHECK(message_of<FormatError>([&] { (void)parse_json(deep, "f.json"); }) == reason);
  std::string objects;
  for (int i = 0; i < 65; ++i) objects += "{\"a\":";
  CHECK(message_of<FormatError>([&] { (void)parse_json(objects, "f.json"); }) == reason);
}

TEST_CASE("an object of very many keys is read in linear time", "[io][regression]") {
  std::string text = "{";
  for (int i = 0; i < 300'000; ++i) {  // minutes where each key is looked for among all others
    text += (i == 0 ? "\"" : ",\"") + std::to_string(i) + "\":" + std::to_string(i);
  }
  const Json json = parse_json(text + "}", "f.json");
  CHECK(json.size() == 300'000);
  CHECK(json.begin().key() == "0");
  CHECK(json.front() == 0);
  CHECK(json.back() == 299'999);
}

TEST_CASE("a JSON file is refused by its size and its kind", "[io][error]") {
  const TemporaryFolder folder;
  const std::string path = folder.write("a.json", "{\"r\": 8}");
  CHECK(read_json(path)["r"] == 8);
  CHECK(message_of<FormatError>([&] { (void)read_json(path, 7); }) ==
        path + ": has 8 bytes, expected at most 7");
  CHECK(message_of<FormatError>([&] { (void)read_json(folder.write("b.json", "{")); }) ==
        folder.file("b.json") + ": broken JSON at byte 2");
  const std::string missing = folder.file("c.json");
  CHECK(message_of<FileError>([&] { (void)read_json(missing); }) ==
        missing + ": cannot be opened: No such file or directory");
}

TEST_CASE("text from a file is shown escaped and cut", "[io]") {
  CHECK(detail::in_quotes("a\"b\n\0c"s) == R"("a\"b\n\u0000c")");
  CHECK(detail::in_quotes(std::string(81, 'x')) == "\"" + std::string(80, 'x') + "\"...");
  CHECK(detail::in_quotes(std::string(79, 'x') + "\xC3\xA4") ==
        "\"" + std::string(79, 'x') + "\"...");  // no character is cut
  CHECK(detail::in_quotes(std::string(78, 'x') + "\xC3\xA4y") ==
        "\"" + std::string(78, 'x') + "\xC3\xA4\"...");
}
