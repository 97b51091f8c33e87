// SPDX-License-Identifier: MIT
// The rules that a header can break: 4 to 20. (1 to 3: the reader.)
#include "anyssr/io/safetensors_parser.hpp"

#include <sys/resource.h>

#include <string>
#include <vector>

#include "anyssr/core/random.hpp"
#include "support/catch.hpp"
#include "support/corpus.hpp"
#include "support/file_bytes.hpp"
#include "support/sanitized.hpp"

using namespace anyssr;
using namespace anyssr::test;
using namespace std::string_literals;

namespace {

struct Case {
  int rule;
  std::string header;
  std::uint64_t data_bytes;
  std::string reason;
};

void expect_refused(const std::vector<Case>& cases) {
  for (const Case& c : cases) {
    CAPTURE(c.rule, c.header);
    keep_for_fuzzing(
        "safetensors",
        safetensors_bytes(c.header, std::string(std::min<std::size_t>(c.data_bytes, 64), '\0')));
    CHECK(message_of<FormatError>([&] {
            (void)parse_safetensors_header(c.header, c.data_bytes, "f");
          }) == "f: " + c.reason);
  }
}

/// {"a": {"dtype": "F32", "shape": SHAPE, "data_offsets": OFFSETS}}
std::string with_shape(const std::string& shape, const std::string& offsets = "[0,4]") {
  return R"({"a":{"dtype":"F32","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}}";
}

std::string one(const std::string& dtype, const std::string& shape, std::size_t bytes) {
  return "{" + safetensors_entry("a", dtype, shape, 0, bytes) + "}";
}

/// Two or more entries U8 of the given places.
std::string placed(const std::vector<std::pair<std::size_t, std::size_t>>& places) {
  std::string text;
  char name = 'a';
  for (const auto& [begin, end] : places) {
    text += (text.empty() ? "{" : ",") +
            safetensors_entry({name++}, "U8", "[" + std::to_string(end - begin) + "]", begin, end);
  }
  return text + "}";
}

const std::string entry_keys = "expected dtype, shape and data_offsets";

}  // namespace

TEST_CASE("a header tells tensors and metadata", "[io][golden]") {
  const std::string text =
      " \t\r\n{\"b\":{\"shape\":[2,3],\"dtype\":\"BF16\",\"data_offsets\":[8,20]},"
      "\"__metadata__\":{\"format\":\"pt\",\"\":\"\"},"
      "\"\xC3\xA4\":{\"dtype\":\"F64\",\"shape\":[],\"data_offsets\":[0,8]}} \n ";
  const SafetensorsHeader header = parse_safetensors_header(text, 20, "f");
  REQUIRE(header.tensors.size() == 2);
  CHECK(header.tensors[0].name == "\xC3\xA4");
  CHECK(header.tensors[0].dtype == Dtype::F64);
  CHECK(header.tensors[0].shape.empty());
  CHECK(header.tensors[0].elements() == 1);
  CHECK(header.tensors[1].name == "b");
  CHECK(header.tensors[1].dtype == Dtype::BF16);
  CHECK(header.tensors[1].shape == std::vector<std::uint64_t>{2, 3});
  CHECK(header.tensors[1].begin == 8);
  CHECK(header.tensors[1].bytes() == 12);
  CHECK(header.tensors[1].elements() == 6);
  CHECK(header.metadata == std::map<std::string, std::string>{{"", ""}, {"format", "pt"}});
  CHECK(header.find("b") == &header.tensors[1]);
  CHECK(header.find("\xC3\xA4") == &header.tensors[0]);
  CHECK(header.find("c") == nullptr);
  CHECK(header.find("") == nullptr);
}

TEST_CASE("unusual headers that the format allows are read", "[io][golden]") {
  CHECK(parse_safetensors_header("{}", 0, "f").tensors.empty());
  CHECK(parse_safetensors_header("{}      ", 0, "f").tensors.empty());
  CHECK(parse_safetensors_header("  {}\t\r\n", 0, "f").tensors.empty());
  CHECK(parse_safetensors_header(R"({"__metadata__":{}})", 0, "f").metadata.empty());
  CHECK(parse_safetensors_header(one("F32", "[0,18446744073709551615]", 0), 0, "f")
            .tensors.front()
            .elements() == 0);
  CHECK(parse_safetensors_header(one("F4", "[2]", 1), 1, "f").tensors.front().elements() == 2);
  CHECK(parse_safetensors_header(one("F6_E2M3", "[4]", 3), 3, "f").tensors.front().elements() == 4);
  std::string ones = "[1";
  for (int i = 1; i < 64; ++i) ones += ",1";
  CHECK(parse_safetensors_header(one("U8", ones + "]", 1), 1, "f").tensors.front().shape.size() ==
        64);
  // a dimension 0 between two tensors, and two such tensors at one place
  const SafetensorsHeader header =
      parse_safetensors_header(placed({{4, 8}, {4, 4}, {0, 4}, {4, 4}}), 8, "f");
  std::string order;
  for (const TensorInfo& tensor : header.tensors) order += tensor.name;
  CHECK(order == "cbda");
  // a quote, a brace and a backslash in a name are nothing but letters
  CHECK(parse_safetensors_header(R"({"__metadata__":{"}\"\\":"{"}}  )", 0, "f").metadata.size() ==
        1);
}

TEST_CASE("a header of bytes that are no text is refused at their place", "[io][error]") {
  expect_refused({
      {4, "{\"\xFF\":1}", 0, "byte 0xFF at byte 3 of the header, expected UTF-8"},
      {4, "{\"\xC0\xAF\":1}", 0, "byte 0xC0 at byte 3 of the header, expected UTF-8"},
      {4, "{\"a\xED\xA0\x80\":1}", 0, "byte 0xED at byte 4 of the header, expected UTF-8"},
      {4, "{}  \x80", 0, "byte 0x80 at byte 5 of the header, expected UTF-8"},
      {5, "", 0, "the header has 0 bytes and no JSON in them, expected '{'"},
      {5, "  \n ", 0, "the header has 4 bytes and no JSON in them, expected '{'"},
      {5, "[]", 0, "the header begins with byte 0x5B, expected '{' (0x7B)"},
      {5, "  7", 0, "the header begins with byte 0x37, expected '{' (0x7B)"},
      {5, "\xEF\xBB\xBF{}", 0, "the header begins with byte 0xEF, expected '{' (0x7B)"},
      {5, "\0\0"s, 0, "the header begins with byte 0x00, expected '{' (0x7B)"},
      {5, "\f{}", 0, "the header begins with byte 0x0C, expected '{' (0x7B)"},
      {6, "{}\0anything"s, 0, "a NUL byte at byte 3 of the header"},
      {6, "{}   \0"s, 0, "a NUL byte at byte 6 of the header"},
      {6, "{\"a\0b\":1}"s, 0, "a NUL byte at byte 4 of the header"},
      {6, "{} x", 0,
       "byte 0x78 at byte 4 of the header, after its closing brace, expected white space only"},
      {6, "{}}", 0,
       "byte 0x7D at byte 3 of the header, after its closing brace, expected white space only"},
      {6, R"({"__metadata__":{"}\"\\":"{["}} {})", 0,
       "byte 0x7B at byte 33 of the header, after its closing brace, expected white space only"},
      {6, "{}\f", 0,
       "byte 0x0C at byte 3 of the header, after its closing brace, expected white space only"},
      {6, "{}// x", 0,
       "byte 0x2F at byte 3 of the header, after its closing brace, expected white space only"},
  });
}

TEST_CASE("a header that is no JSON is refused", "[io][error]") {
  const auto broken = [](int position) {
    return "broken JSON at byte " + std::to_string(position) + " of the header";
  };
  expect_refused({
      {7, "{", 0, broken(2)},
      {7, "{,}", 0, broken(2)},
      {7, R"({"a":)", 0, broken(6)},
      {7, R"({"__metadata__":{"a":"b",}})", 0, broken(26)},
      {7, "{/* comment */}", 0, broken(2)},
      {7, "{'a':1}", 0, broken(2)},
      {7, R"({"a":NaN})", 0, broken(6)},
      {7, with_shape("[NaN]"), 0, broken(30)},
      {7, with_shape("[01]"), 0, broken(31)},
      {7, R"({"\ud800":1})", 0, broken(9)},  // half of a surrogate pair
      {7, R"({"\x":1})", 0, broken(4)},
  });
}

TEST_CASE("a header deeper than its three levels is refused", "[io][error]") {
  const std::string levels = ", expected no more than 3 levels: object, entry, array";
  expect_refused({
      {8, with_shape("[[4]]"), 4, "entry \"a\": shape holds an array" + levels},
      {8, with_shape("[1,{}]"), 4, "entry \"a\": shape holds an object" + levels},
      {8, with_shape("[1]", "[0,[4]]"), 4, "entry \"a\": data_offsets holds an array" + levels},
      {8, R"({"a":{"shape":)" + std::string(5'000'000, '['), 0,
       "entry \"a\": shape holds an array" + levels},
  });
}

TEST_CASE("a header with a key twice is refused", "[io][error]") {
  const std::string entry = safetensors_entry("a", "U8", "[0]", 0, 0);
  const std::string escaped = safetensors_entry("\\u0061", "U8", "[0]", 0, 0);
  const std::string twice = " stands there twice";
  expect_refused({
      {9, "{" + entry + "," + entry + "}", 0, "header: the key \"a\"" + twice},
      {9, "{" + entry + "," + escaped + "}", 0, "header: the key \"a\"" + twice},
      {9, R"({"a":{"dtype":"U8","dtype":"U8"}})", 0, "entry \"a\": the key \"dtype\"" + twice},
      {9, R"({"a":{"shape":[],"sh\u0061pe":[]}})", 0, "entry \"a\": the key \"shape\"" + twice},
      {9, R"({"__metadata__":{"k":"","l":"","k":""}})", 0, "__metadata__: the key \"k\"" + twice},
      {9, R"({"__metadata__":{"k":"","\u006b":""}})", 0, "__metadata__: the key \"k\"" + twice},
      {9, R"({"__metadata__":{},"__metadata__":{}})", 0,
       "header: the key \"__metadata__\"" + twice},
      {9, R"({"__metadata__":{},"__metadata\u005f_":{}})", 0,
       "header: the key \"__metadata__\"" + twice},
  });
}

TEST_CASE("metadata that is no map of strings is refused", "[io][error]") {
  const std::string object = ", expected an object";
  const std::string value = "__metadata__: the value of \"k\" is ";
  const std::string text = ", expected a string";
  expect_refused({
      {10, R"({"__metadata__":null})", 0, "__metadata__ is null" + object},
      {10, R"({"__metadata__":"pt"})", 0, "__metadata__ is \"pt\"" + object},
      {10, R"({"__metadata__":["pt"]})", 0, "__metadata__ is an array" + object},
      {10, R"({"__metadata__":7})", 0, "__metadata__ is 7" + object},
      {10, R"({"__metadata__":{"k":null}})", 0, value + "null" + text},
      {10, R"({"__metadata__":{"k":1}})", 0, value + "1" + text},
      {10, R"({"__metadata__":{"k":-0}})", 0, value + "-0" + text},
      {10, R"({"__metadata__":{"k":1.5}})", 0, value + "1.5" + text},
      {10, R"({"__metadata__":{"k":true}})", 0, value + "true" + text},
      {10, R"({"__metadata__":{"k":{}}})", 0, value + "an object" + text},
      {10, R"({"__metadata__":{"k":["v"]}})", 0, value + "an array" + text},
  });
}

TEST_CASE("an entry without its three keys or with a fourth is refused", "[io][error]") {
  const std::string object = ", expected an object with dtype, shape and data_offsets";
  expect_refused({
      {11, R"({"a":null})", 0, "entry \"a\" is null" + object},
      {11, R"({"a":"F32"})", 0, "entry \"a\" is \"F32\"" + object},
      {11, R"({"a":[1]})", 0, "entry \"a\" is an array" + object},
      {11, R"({"a":3})", 0, "entry \"a\" is 3" + object},
      {11, R"({"a":-3})", 0, "entry \"a\" is -3" + object},
      {11, R"({"a":{}})", 0, "entry \"a\": dtype is missing, " + entry_keys},
      {11, R"({"a":{"shape":[],"data_offsets":[0,4]}})", 4,
       "entry \"a\": dtype is missing, " + entry_keys},
      {11, R"({"a":{"dtype":"F32","data_offsets":[0,4]}})", 4,
       "entry \"a\": shape is missing, " + entry_keys},
      {11, R"({"a":{"dtype":"F32","shape":[]}})", 4,
       "entry \"a\": data_offsets is missing, " + entry_keys},
      {11, R"({"a":{"dtype":"F32","shape":[],"data_offsets":[0,4],"strides":[]}})", 4,
       "entry \"a\": unknown key \"strides\", " + entry_keys},
      {11, R"({"a":{"Dtype":"F32"}})", 4, "entry \"a\": unknown key \"Dtype\", " + entry_keys},
  });
}

TEST_CASE("a dtype that the format does not know is refused", "[io][error]") {
  const std::string known =
      ", expected one of F64, F32, F16, BF16, I64, U64, I32, U32, I16, U16, I8, U8, BOOL, C64, "
      "F8_E4M3, F8_E5M2, F8_E8M0, F8_E4M3FNUZ, F8_E5M2FNUZ, F6_E2M3, F6_E3M2, F4";
  expect_refused({
      {12, one("f32", "[1]", 4), 4, "entry \"a\": dtype is \"f32\"" + known},
      {12, one("F128", "[1]", 16), 16, "entry \"a\": dtype is \"F128\"" + known},
      {12, one("", "[1]", 4), 4, "entry \"a\": dtype is \"\"" + known},
      {12, one("F32\\u0000", "[1]", 4), 4, "entry \"a\": dtype is \"F32\\u0000\"" + known},
      {12, R"({"a":{"dtype":32}})", 4, "entry \"a\": dtype is 32, expected a string"},
      {12, R"({"a":{"dtype":["F32"]}})", 4, "entry \"a\": dtype is an array, expected a string"},
      {12, R"({"a":{"dtype":{}}})", 4, "entry \"a\": dtype is an object, expected a string"},
  });
}

TEST_CASE("a size that is no whole number of 64 bits is refused", "[io][error]") {
  const std::string numbers = ", expected whole numbers from 0 to 18446744073709551615";
  for (const std::string value : {"-1", "-0", "1.0", "1e2", "1E0", "-9223372036854775809",
                                  "18446744073709551616", "1e999", "true", "null", "\"4\""}) {
    expect_refused({
        {13, with_shape("[" + value + "]"), 4, "entry \"a\": shape holds " + value + numbers},
        {13, with_shape("[1]", "[0," + value + "]"), 4,
         "entry \"a\": data_offsets holds " + value + numbers},
        {13, with_shape("[1]", "[" + value + ",4]"), 4,
         "entry \"a\": data_offsets holds " + value + numbers},
    });
  }
  const std::string digits(1000, '9');
  expect_refused({{13, with_shape("[" + digits + "]"), 4,
                   "entry \"a\": shape holds " + digits.substr(0, 80) + numbers}});
}

TEST_CASE("a shape or offsets of the wrong length are refused", "[io][error]") {
  const std::string list = ", expected an array of at most 64 numbers";
  std::string ones = "[1";
  for (int i = 1; i < 65; ++i) ones += ",1";
  expect_refused({
      {14, with_shape("4"), 4, "entry \"a\": shape is 4" + list},
      {14, with_shape("null"), 4, "entry \"a\": shape is null" + list},
      {14, with_shape("{}"), 4, "entry \"a\": shape is an object" + list},
      {14, with_shape("\"[1]\""), 4, "entry \"a\": shape is \"[1]\"" + list},
      {14, with_shape(ones + "]"), 4, "entry \"a\": shape has 65 dimensions, expected at most 64"},
      {14, with_shape("[1]", "[]"), 4, "entry \"a\": data_offsets has 0 numbers, expected 2"},
      {14, with_shape("[1]", "[0]"), 4, "entry \"a\": data_offsets has 1 numbers, expected 2"},
      {14, with_shape("[1]", "[0,4,8]"), 4, "entry \"a\": data_offsets has 3 numbers, expected 2"},
      {14, with_shape("[1]", "4"), 4,
       "entry \"a\": data_offsets is 4, expected an array of 2 numbers"},
  });
}

TEST_CASE("a shape whose size overflows or splits a byte is refused", "[io][error]") {
  const std::string overflow = " has more than 2^64 - 1 bits";
  expect_refused({
      {15, one("F32", "[9223372036854775808,2,0]", 0), 0,
       "entry \"a\": shape [9223372036854775808, 2, 0] of F32" + overflow},
      {15, one("U8", "[4294967296,4294967296]", 0), 0,
       "entry \"a\": shape [4294967296, 4294967296] of U8" + overflow},
      {15, one("F64", "[288230376151711744]", 0), 0,  // 2^58, times 64 is 2^64
       "entry \"a\": shape [288230376151711744] of F64" + overflow},
      {16, one("F4", "[3]", 1), 1,
       "entry \"a\": shape [3] of F4 has 12 bits, expected a multiple of 8"},
      {16, one("F6_E3M2", "[1,2]", 1), 1,
       "entry \"a\": shape [1, 2] of F6_E3M2 has 12 bits, expected a multiple of 8"},
      {16, one("F6_E2M3", "[]", 1), 1,
       "entry \"a\": shape [] of F6_E2M3 has 6 bits, expected a multiple of 8"},
  });
}

TEST_CASE("offsets that do not hold the shape are refused", "[io][error]") {
  expect_refused({
      {17, with_shape("[1]", "[4,0]"), 4,
       "entry \"a\": shape [1] of F32 has 4 bytes, data_offsets are [4, 0]"},
      {17, with_shape("[1]", "[0,3]"), 3,
       "entry \"a\": shape [1] of F32 has 4 bytes, data_offsets are [0, 3]"},
      {17, with_shape("[]", "[0,8]"), 8,
       "entry \"a\": shape [] of F32 has 4 bytes, data_offsets are [0, 8]"},
      {17, with_shape("[0]", "[0,4]"), 4,
       "entry \"a\": shape [0] of F32 has 0 bytes, data_offsets are [0, 4]"},
      {17, with_shape("[1]", "[18446744073709551615,3]"), 4,  // the difference wraps to 4
       "entry \"a\": shape [1] of F32 has 4 bytes, data_offsets are [18446744073709551615, 3]"},
  });
}

TEST_CASE("tensors that overlap or leave holes are refused", "[io][error]") {
  expect_refused({
      {18, placed({{1, 2}}), 2, "\"a\" at [1, 2] comes first, expected to begin at 0"},
      {18, placed({{0, 4}, {2, 6}}), 6,
       "\"b\" at [2, 6] comes after \"a\" at [0, 4], expected to begin at 4"},
      {18, placed({{5, 6}, {0, 4}}), 6,
       "\"a\" at [5, 6] comes after \"b\" at [0, 4], expected to begin at 4"},
      {18, placed({{0, 4}, {0, 4}}), 4,
       "\"b\" at [0, 4] comes after \"a\" at [0, 4], expected to begin at 4"},
      {18, placed({{0, 4}, {2, 2}}), 4,  // a dimension 0 inside another tensor
       "\"b\" at [2, 2] comes after \"a\" at [0, 4], expected to begin at 4"},
      {18, placed({{3, 3}}), 3, "\"a\" at [3, 3] comes first, expected to begin at 0"},
  });
}

TEST_CASE("data that no tensor accounts for are refused", "[io][error]") {
  const auto end = [](const char* found, const char* expected) {
    return "the tensors end at byte "s + found + " of the data, expected " + expected +
           ", where the file ends";
  };
  expect_refused({
      {19, placed({{0, 4}}), 5, end("4", "5")},
      {19, placed({{0, 4}}), 3, end("4", "3")},
      {19, placed({{0, 4}, {4, 9}}), 4, end("9", "4")},
      {19, "{}", 1, end("0", "1")},
  });
}

TEST_CASE("a tensor name with a NUL in it is refused", "[io][error]") {
  expect_refused({
      {20, R"({"a\u0000b":{}})", 0, "entry \"a\\u0000b\": a NUL byte in its name"},
      {20, R"({"\u0000":{}})", 0, "entry \"\\u0000\": a NUL byte in its name"},
  });
}

TEST_CASE("a damaged header is refused or describes all data without a gap", "[io][property]") {
  const std::string whole = R"({"__metadata__":{"format":"pt","\u00e4":"\n"},)" +
                            safetensors_entry("a", "F32", "[2,3]", 0, 24) + "," +
                            safetensors_entry("b", "BF16", "[0,7]", 24, 24) + "," +
                            safetensors_entry("c", "I64", "[]", 24, 32) + "} ";
  const std::string letters = "{}[]\",:0123456789-.eE \\\0\xFF\x80uabFI_"s;
  RandomStream random(7);
  int loaded = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string text = whole;
    for (std::uint32_t changes = 1 + random.below(3); changes > 0; --changes) {
      const std::size_t at = random.below(static_cast<std::uint32_t>(text.size()));
      const char letter = letters[random.below(static_cast<std::uint32_t>(letters.size()))];
      const std::uint32_t action = random.below(4);
      if (action == 0) text.erase(at, 1 + random.below(4));
      if (action == 1) text.insert(at, 1, letter);
      if (action >= 2) text[at] = letter;
      if (text.empty()) break;
    }
    try {
      const SafetensorsHeader header = parse_safetensors_header(text, 32, "f");
      ++loaded;
      std::uint64_t end = 0;
      for (const TensorInfo& tensor : header.tensors) {
        if (tensor.begin != end || header.find(tensor.name) != &tensor) FAIL(text);
        end = tensor.end;
      }
      if (end != 32) FAIL(text);
    } catch (const FormatError& error) {
      if (!contains(error.what(), "f: ")) FAIL(text);
    }
  }
  CHECK(loaded > 100);
  CHECK(loaded < 10'000);
}

TEST_CASE("a million entries over the same bytes fail soon and in little memory",
          "[io][error][regression]") {
  constexpr int entries = is_sanitized ? 100'000 : 1'000'000;
  std::string header;
  header.reserve(100 * entries);
  header += "{";
  for (int i = 0; i < entries; ++i) {  // names of 43 letters: 99 bytes each
    const std::string number = std::to_string(1'000'000 + i);
    header +=
        (i == 0 ? "" : ",") +
        safetensors_entry("model.layers.weight.of.tensor.number" + number, "F64", "[2]", 0, 16);
  }
  header += "}";
  CHECK(header.size() > 90 * entries);
  const auto peak_bytes = [] {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return std::uint64_t(usage.ru_maxrss) * 1024;  // Linux counts kilobytes; less on other systems
  };
  const std::uint64_t before = peak_bytes();
  const std::string message =
      message_of<FormatError>([&] { (void)parse_safetensors_header(header, 16, "f"); });
  CHECK(message ==
        "f: \"model.layers.weight.of.tensor.number1000001\" at [0, 16] comes after "
        "\"model.layers.weight.of.tensor.number1000000\" at [0, 16], expected to begin at 16");
  CHECK(peak_bytes() - before < 6 * header.size());  // tried: 2, and 3.5 under a sanitizer
}
