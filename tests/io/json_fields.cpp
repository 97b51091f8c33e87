// SPDX-License-Identifier: MIT
#include "anyssr/io/json_fields.hpp"

#include <cstdint>
#include <string>
#include <vector>

#include "support/catch.hpp"

using namespace anyssr;
using namespace anyssr::test;
using detail::JsonFields;

namespace {

const Json json_members = parse_json(
    R"({"text": "a\n", "count": 7, "top": 18446744073709551615, "real": 1.0, "minus": -0,
        "huge": 18446744073709551616, "word": "0x0123456789abcdef", "yes": true,
        "list": [1, "b"], "inner": {"x": 2}})",
    "f");

template <class F>
std::string refused_member(const F& ask) {
  const JsonFields fields(json_members, "f");
  return message_of<FormatError>([&] { (void)ask(fields); });
}

}  // namespace

TEST_CASE("members are given in their kind", "[io]") {
  const JsonFields fields(json_members, "f");
  CHECK(fields.place() == "f");
  CHECK(fields.has("text"));
  CHECK_FALSE(fields.has("none"));
  CHECK(fields.text("text") == "a\n");
  CHECK(fields.count("count", 7) == 7);
  CHECK(fields.count("top", ~std::uint64_t{}) == ~std::uint64_t{});
  CHECK(fields.index("count") == 7);
  CHECK(fields.number("real") == 1);
  CHECK(fields.number("huge") == 0x1p64);
  CHECK(fields.number("count") == 7);
  CHECK(fields.boolean("yes"));
  CHECK(fields.word("word") == 0x0123456789abcdefU);
  CHECK(fields.object("inner").index("x") == 2);
  CHECK(fields.object("inner").place() == "f: inner");
  std::vector<std::string> places;
  fields.for_each("list", [&](const Json&, const std::string& place) { places.push_back(place); });
  CHECK(places == std::vector<std::string>{"f: list[0]", "f: list[1]"});
}

TEST_CASE("members of another kind are refused with what they are", "[io][error]") {
  CHECK(message_of<FormatError>([] { (void)JsonFields(Json(3), "f"); }) ==
        "f: is 3, expected an object");
  using F = const JsonFields&;
  CHECK(refused_member([](F f) { return f.text("none"); }) == "f: has no \"none\"");
  CHECK(refused_member([](F f) { return f.text("count"); }) == "f: count is 7, expected a string");
  CHECK(refused_member([](F f) { return f.count("count", 6); }) ==
        "f: count is 7, expected a whole number of 0..6");
  CHECK(refused_member([](F f) { return f.count("real", 6); }) ==
        "f: real is 1.0, expected a whole number of 0..6");
  CHECK(refused_member([](F f) { return f.count("minus", 6); }) ==
        "f: minus is 0, expected a whole number of 0..6");
  CHECK(refused_member([](F f) { return f.index("top"); }) ==
        "f: top is 18446744073709551615, expected a whole number of 0..9223372036854775807");
  CHECK(refused_member([](F f) { return f.number("text"); }) ==
        "f: text is \"a\\n\", expected a finite number");
  CHECK(refused_member([](F f) { return f.boolean("list"); }) ==
        "f: list is an array, expected true or false");
  CHECK(refused_member([](F f) { return f.word("text"); }) ==
        "f: text is \"a\\n\", expected 0x and 16 digits of 0-9a-f");
  CHECK(refused_member([](F f) { return f.object("list"); }) ==
        "f: list: is an array, expected an object");
  CHECK(refused_member([](F f) { return f.object("inner").text("x"); }) ==
        "f: inner: x is 2, expected a string");
  CHECK(refused_member([](F f) {
          f.for_each("inner", [](const Json&, const std::string&) {});
          return 0;
        }) == "f: inner is an object, expected an array");
}

TEST_CASE("a word comes back from its text", "[io][property]") {
  for (const std::uint64_t word :
       {std::uint64_t{0}, std::uint64_t{1}, ~std::uint64_t{}, std::uint64_t{0x8000000000000001}}) {
    const Json json{{"w", detail::word_text(word)}};
    CHECK(JsonFields(json, "f").word("w") == word);
  }
}
