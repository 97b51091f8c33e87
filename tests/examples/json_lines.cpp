// SPDX-License-Identifier: MIT
// The reader of JSON lines that the applications share, and how they show text from files.
#include "support/json_lines.hpp"

#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/program.hpp"

using anyssr::test::contains;
using anyssr::test::TemporaryFolder;

namespace {

/// The objects of a file, and what was wrong with it.
struct LinesRead {
  std::vector<std::string> lines = {};
  std::vector<std::string> places = {};
  std::string faults = {};
};

LinesRead read_lines(const std::string& text) {
  const TemporaryFolder folder;
  const std::string path = folder.write("data.jsonl", text);
  LinesRead result;
  support::Findings faults;
  support::read_json_lines(path, faults, [&](const support::Json& line, const std::string& place) {
    if (!line.is_object()) throw anyssr::FormatError(place + ": expected an object");
    result.lines.push_back(line.dump());
    result.places.push_back(place.substr(path.size()));
  });
  if (!faults.empty()) result.faults = faults.text();
  return result;
}

std::string utf16(const std::string& ascii, bool is_big, bool has_mark) {
  std::string text = has_mark ? (is_big ? "\xFE\xFF" : "\xFF\xFE") : "";
  for (const char c : ascii) {
    text += is_big ? std::string(1, '\0') + c : c + std::string(1, '\0');
  }
  return text;
}

}  // namespace

TEST_CASE("JSON lines are read however their lines end", "[examples]") {
  const std::string text =
      GENERATE("{\"a\":1}\n{\"b\":2}\n", "{\"a\":1}\n{\"b\":2}", "{\"a\":1}\r\n\r\n{\"b\":2}\r\n",
               "  {\"a\":1}\t \n{\"b\":2} \n\n", "\xEF\xBB\xBF{\"a\":1}\n\xEF\xBB\xBF{\"b\":2}\n");
  CAPTURE(text);
  const LinesRead found = read_lines(text);
  CHECK(found.faults.empty());
  CHECK(found.lines == std::vector<std::string>{"{\"a\":1}", "{\"b\":2}"});
  CHECK(found.places.front() == ":1");
}

TEST_CASE("blank lines count in the numbers of lines", "[examples]") {
  const LinesRead found = read_lines("\n\n{\"a\":1}\n\n{\"a\":\n");
  CHECK(found.places == std::vector<std::string>{":3"});
  CHECK(contains(found.faults, "data.jsonl:5: broken JSON"));
}

TEST_CASE("all faults of a file are found and the first 20 are told", "[examples]") {
  std::string text;
  for (int i = 0; i < 30; ++i) text += i % 6 == 0 ? "{\"a\":1}\n" : i % 2 == 0 ? "{\"a\"\n" : "7\n";
  const LinesRead found = read_lines(text);
  CHECK(found.lines.size() == 5);
  CHECK(contains(found.faults, "25 faults:\n"));
  CHECK(contains(found.faults, "data.jsonl:2: expected an object\n"));
  CHECK(contains(found.faults, "data.jsonl:3: broken JSON"));
  CHECK(contains(found.faults, "data.jsonl:24: expected an object\n  and 5 more"));
  CHECK_FALSE(contains(found.faults, "data.jsonl:26"));
  CHECK_FALSE(contains(read_lines("{\"a\":1}\n7\n").faults, "faults"));
}

TEST_CASE("a file that is no JSON lines is named for what it is", "[examples][error]") {
  const std::string line = R"({"text": "hi", "task": "a"})";
  const std::string python = "{'text': 'hi', 'task': None}";
  const std::vector<std::pair<std::string, std::string>> files{
      {utf16(line, false, true), "this is UTF-16 text: iconv -f UTF-16 -t UTF-8"},
      {utf16(line, true, true), "this is UTF-16 text: iconv -f UTF-16 -t UTF-8"},
      {utf16(line, false, false), "this is UTF-16 text: iconv -f UTF-16LE -t UTF-8"},
      {utf16(line, true, false), "this is UTF-16 text: iconv -f UTF-16BE -t UTF-8"},
      {utf16("text,task\n", false, false), "this is UTF-16 text"},
      {std::string("\xFF\xFE\0\0{\0\0\0", 8), "this is UTF-32 text"},
      {"\x1F\x8B\x08 ...", "this is a gzip archive: gunzip"},
      {"PK\x03\x04 ...", "this is a zip archive"},
      {"PAR1 ...", "this is a Parquet file"},
      {"\x28\xB5\x2F\xFD ...", "zstd"},
      {std::string("SQLite format 3\0", 16), "this is an SQLite database"},
      {std::string(64, '\x01'), "this is no text"},
      {"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "git lfs pull"},
      {"<!DOCTYPE html>\n<html>", "this is a page of HTML or XML"},
      {"text,task\nhi,a\n", "this is a table with commas (CSV)"},
      {"\"text\",\"task\"\n\"hi\",\"a\"\n", "this is a table with commas (CSV)"},
      {"text\ttask, or none\nhi\ta\n", "this is a table with tabs (TSV)"},
      {"text;task\nhi;a\n", "delimiter=\";\""},
      {"[" + line + "," + line + "]", "this file is one array: jq -c '.[]' makes lines of it"},
      {"[\n  " + line + ",\n  " + line + "\n]\n", "this file is one array: jq -c '.[]'"},
      {"[\n" + line + "\n", "this file is one array"},  // cut off
      {"{\n  \"text\": \"hi\",\n  \"task\": \"a\"\n}\n", "one object over several lines: jq -c ."},
      {"{\n  \"text\": \"hi\"\n}\n{\n  \"text\": \"ho\"\n}\n", "objects over several lines each"},
      {"{\"data\": [" + line + "]}", "one object around the list \"data\""},
      {"{\"data\": {\"rows\": [" + line + "]}}", "one object around the list \"data.rows\""},
      {R"({"text":{"0":"hi","1":"ho"},"task":{"0":"a","1":"b"}})", "one table by columns"},
      {R"({"columns":["text","task"],"index":[0],"data":[["hi","a"]]})",
       "one table of columns and data"},
      {line + line + "\n" + line + "\n", "objects one after another on a line: jq -c ."},
      {line + " " + line, "objects one after another on a line"},
      {"{\"train\": [\n" + line + "\n]}\n", "one object around the list \"train\""},
      {python + "\n" + python + "\n", "Python wrote this with single quotes"},
      {"[" + python + "]", "Python wrote this with single quotes"},
      {line + "\r" + line + "\r", "carriage returns alone"}};
  for (const auto& [text, meaning] : files) {
    const LinesRead found = read_lines(text);
    CAPTURE(text.substr(0, 40), meaning, found.faults);
    CHECK(found.lines.empty());
    CHECK(contains(found.faults, "data.jsonl: "));
    CHECK(contains(found.faults, meaning));
    CHECK_FALSE(contains(found.faults, "faults:"));
  }
}

TEST_CASE("a file of one JSON value is read or named for what it is", "[examples][error]") {
  const TemporaryFolder folder;
  const auto read = [&](const std::string& text) {
    return support::read_json_text(folder.write("domains.json", text));
  };
  CHECK(read("\xEF\xBB\xBF{\n\"a\": [1]\n}") == support::Json{{"a", {1}}});
  CHECK(read("[\r1]\r").size() == 1);
  const std::vector<std::pair<std::string, std::string>> files{
      {"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "git lfs pull"},
      {"\x1F\x8B\x08 ...", "this is a gzip archive"},
      {"<!DOCTYPE html>\n<html>", "this is a page of HTML or XML, expected JSON: "},
      {utf16("{\"a\": [1]}", false, true), "this is UTF-16 text"},
      {"{'a': 1}", "Python wrote this"},
      {"{\"a\": ", "broken JSON"}};
  for (const auto& [text, meaning] : files) {
    const std::string& bytes = text;
    const std::string message =
        anyssr::test::message_of<anyssr::FormatError>([&] { (void)read(bytes); });
    CAPTURE(message, meaning);
    CHECK(contains(message, "domains.json: "));
    CHECK(contains(message, meaning));
  }
}

TEST_CASE("a line that is no JSON is named for what it is", "[examples][error]") {
  const std::string good = "{\"a\":1}\n";
  CHECK(contains(read_lines(good + "{'a': None}").faults, ":2: broken JSON"));
  CHECK(contains(read_lines(good + "{'a': None}").faults, "Python wrote this"));
  for (const char* first : {"text,task", "oops; {\"a\":0}", "a|b", "a\tb"}) {  // no table
    const LinesRead found = read_lines(std::string(first) + "\n\n" + good + good);
    CHECK(contains(found.faults, "data.jsonl:1: broken JSON"));
    CHECK(found.lines.size() == 2);
  }
  CHECK(contains(read_lines("{\"a\":1},\n{\"a\":2}\n").faults, ":1: broken JSON"));
  CHECK(contains(read_lines("{\"a\":1},\n{\"a\":2}\n").faults, "a comma follows the object"));
  CHECK(
      contains(read_lines(good + "{\"a\":\"caf\xE9\"}").faults, "iconv -f WINDOWS-1252 -t UTF-8"));
  CHECK_FALSE(contains(read_lines(good + "{\"a\":").faults, "iconv"));
  CHECK(read_lines("{\"a\":\"'\"}\n").faults.empty());
  CHECK(read_lines("{\"prompt\":[1,2],\"answer\":[3]}\n").faults.empty());
}

TEST_CASE("a file that cannot be read is refused", "[examples][error]") {
  support::Findings faults;
  const auto use = [](const support::Json&, const std::string&) {};
  CHECK_THROWS_AS(support::read_json_lines("/nowhere/a.jsonl", faults, use), anyssr::FormatError);
  CHECK(faults.empty());
}

TEST_CASE("integers and booleans are names and other values are not", "[examples]") {
  const auto name = [](const std::string& text) {
    return support::name_of(support::parse_json(text, ""), "a:1: \"label\"");
  };
  CHECK(name("\"refund\"") == "refund");
  CHECK(name("1") == "1");
  CHECK(name("-3") == "-3");
  CHECK(name("18446744073709551615") == "18446744073709551615");
  CHECK(name("true") == "true");
  CHECK(name("false") == "false");
  const auto refused = [&](const std::string& text) {
    return anyssr::test::message_of<anyssr::FormatError>([&] { (void)name(text); });
  };
  CHECK(refused("1.0") ==
        "a:1: \"label\" is 1.0, a number that is no integer of 64 bits, expected a string that is "
        "not empty, an integer, true or false");
  CHECK(contains(refused("1e3"), "a number that is no integer of 64 bits"));
  CHECK(contains(refused("18446744073709551616"), "a number that is no integer of 64 bits"));
  CHECK(contains(refused("\"\""), "\"label\" is \"\", expected a string that is not empty"));
  CHECK(contains(refused("[1]"), "is an array"));
  CHECK(contains(refused("{}"), "is an object"));
}

TEST_CASE("names that differ by case or blanks at the ends are warned of", "[examples]") {
  const auto warnings = [](const std::vector<std::string>& names) {
    std::vector<support::PlacedName> placed;
    for (const std::string& name : names) {
      placed.push_back({name, "a:" + std::to_string(placed.size() + 1)});
    }
    support::Findings found;
    support::warn_of_twins(placed, "label", " of task \"post\"", found);
    return found;
  };
  CHECK(warnings({"pay", "pay"}).empty());
  CHECK(warnings({"pay", "pay back", "pays", "p ay", ""}).empty());
  CHECK(warnings({"Pay", "pay ", "late"}).text() ==
        "a:2: the label \"pay \" of task \"post\" differs from \"Pay\" (a:1) only by case or by "
        "blanks at the ends, and counts as another one");
  CHECK(warnings({"\xC3\x84rger", "\xC3\xA4rger"}).count() == 1);          // Latin
  CHECK(warnings({"\xD0\x96\xD0\x81", "\xD0\xB6\xD1\x91"}).count() == 1);  // Cyrillic
  CHECK(warnings({"\xC5\xA0koda", "\xC5\xA1koda", "\xC5\xA2koda"}).count() ==
        1);                                                          // Latin, extended
  CHECK(warnings({"pay", "\xC2\xA0pay\xE3\x80\x80"}).count() == 1);  // blanks of Unicode
  std::vector<std::string> many{"x"};
  for (int i = 1; i < 30; ++i) many.push_back("x" + std::string(static_cast<std::size_t>(i), ' '));
  CHECK(warnings(many).count() == 29);
  CHECK(warnings(many).kept().size() == 20);
}

TEST_CASE("a text of white space alone is blank", "[examples]") {
  for (const char* blank : {"", " \t\r\n", "\xC2\xA0", "\xE3\x80\x80 ", "\xE2\x80\x83"}) {
    CHECK(support::is_blank(blank));
  }
  for (const char* text : {"a", " .", "\xE3\x80\x81", "\xFF", "\xE2\x80\x8B"}) {
    CHECK_FALSE(support::is_blank(text));
  }
}

TEST_CASE("text from files is shown without anything that a terminal obeys", "[examples]") {
  using support::shown;
  CHECK(shown("plain \xC3\xA9 \xE6\x97\xA5\xF0\x9F\x98\x80") ==
        "plain \xC3\xA9 \xE6\x97\xA5\xF0\x9F\x98\x80");
  CHECK(shown("\x1B[31mred\n\t\x7F") == "\\x1B[31mred\\x0A\\x09\\x7F");
  CHECK(shown(std::string("a\0b", 3)) == "a\\x00b");
  CHECK(shown("\xC2\x85\xC2\x9B") == "\\u{85}\\u{9B}");
  CHECK(shown("\xE2\x80\xAEgpj.\xE2\x81\xA6") == "\\u{202E}gpj.\\u{2066}");
  CHECK(shown("\xFF\xC3\xE2\x80") == "\\xFF\\xC3\\xE2\\x80");
  CHECK(shown("\xC0\x80") == "\\xC0\\x80");           // overlong
  CHECK(shown("\xED\xA0\x80") == "\\xED\\xA0\\x80");  // a surrogate
  CHECK(shown("\xF4\x90\x80\x80") == "\\xF4\\x90\\x80\\x80");
}

TEST_CASE("text is cut between characters", "[examples]") {
  using support::cut;
  using support::in_columns;
  CHECK(cut("abc", 5) == "abc");
  CHECK(cut("abc", 2) == "ab");
  CHECK(cut("a\xC3\xA9z", 2) == "a\xC3\xA9");
  CHECK(cut("e\xCC\x81z", 1) == "e\xCC\x81");                   // an accent that combines
  CHECK(cut("\xE6\x97\xA5\xE6\x9C\xAC", 3) == "\xE6\x97\xA5");  // two columns each
  CHECK(in_columns("ab", 4) == "ab  ");
  CHECK(in_columns("ab", 4, true) == "  ab");
  CHECK(in_columns("\xE6\x97\xA5\xE6\x9C\xAC", 3) == "\xE6\x97\xA5 ");
  CHECK(in_columns("a\nb", 9) == "a\\x0Ab   ");
  CHECK(support::in_quotes("a\"b") == "\"a\"b\"");
  CHECK(support::in_quotes(std::string(200, 'x')) == "\"" + std::string(80, 'x') + "...\"");
}
