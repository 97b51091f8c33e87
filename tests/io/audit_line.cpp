// SPDX-License-Identifier: MIT
#include "anyssr/io/audit_line.hpp"

#include <array>
#include <charconv>
#include <chrono>
#include <cstring>
#include <ctime>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "anyssr/core/random.hpp"
#include "support/audit_folder.hpp"
#include "support/catch.hpp"

using namespace anyssr;
using namespace anyssr::test;
using namespace std::string_literals;

namespace {

const std::string audit_zeros(64, '0');

/// 2026-01-31T12:00:00.000123Z
const detail::AuditClock::Time audit_noon{std::chrono::microseconds(1769860800000123)};

template <class Event>
std::string audit_line_of(const Event& event, const std::string& salt = {}, bool inputs = false) {
  detail::AuditLineBuilder builder(salt, inputs);
  builder.build({.seq = 812, .time = audit_noon}, event);
  return std::string(builder.line());
}

nlohmann::json audit_json_of(const std::string& line) {
  REQUIRE(line.ends_with('\n'));
  REQUIRE(line.size() <= 65536);
  return nlohmann::json::parse(line);
}

/// Between the quotes of a JSON string.
std::string json_string_of(std::string_view text, std::size_t most = 1000) {
  std::string line;
  detail::append_json_string(line, text, most);
  REQUIRE(line.size() >= 2);
  CHECK(line.size() <= most + 2);
  CHECK(line.front() == '"');
  CHECK(line.back() == '"');
  return line.substr(1, line.size() - 2);
}

}  // namespace

TEST_CASE("a route is a line with its keys in the order of the format", "[io][golden]") {
  CHECK(audit_line_of(sample_route()) ==
        R"({"v":1,"seq":812,"time":"2026-01-31T12:00:00.000123Z","event":"route","generation":7,)"
        R"("query":"q-17","task":"billing","outcome":"routed","confidence":0.93,"margin":0.41,)"
        R"("novelty":0.07,"top":[["billing",0.88],["cards",0.47]],"policy":"default",)"
        R"("prev":"sha256:)" +
            audit_zeros + "\"}\n");
}

TEST_CASE("a route without query task or novelty says null", "[io][golden]") {
  CHECK(audit_line_of(RouteEvent{.outcome = "review", .policy = "strict"}) ==
        R"({"v":1,"seq":812,"time":"2026-01-31T12:00:00.000123Z","event":"route","generation":0,)"
        R"("query":null,"task":null,"outcome":"review","confidence":0,"margin":0,)"
        R"("novelty":null,"top":[],"policy":"strict","prev":"sha256:)" +
            audit_zeros + "\"}\n");
}

TEST_CASE("a change is a line of the fields that it has", "[io][golden]") {
  const std::string start = R"({"v":1,"seq":812,"time":"2026-01-31T12:00:00.000123Z","event":")";
  const std::string end = R"("prev":"sha256:)" + audit_zeros + "\"}\n";
  CHECK(audit_line_of(ChangeEvent{.event = "learn",
                                  .changes = 8,
                                  .router_digest = 0x00ab'0000'0000'0001,
                                  .task = "cards",
                                  .rows = 120,
                                  .seconds = 1.5,
                                  .adapter_bytes = 4096}) ==
        start +
            R"(learn","generation":8,"task":"cards","rows":120,"seconds":1.5,)"
            R"("adapter_bytes":4096,"router_digest":"0x00ab000000000001",)" +
            end);
  CHECK(audit_line_of(ChangeEvent{.event = "confirm", .query = "q-17", .task = "cards"}) ==
        start + R"(confirm","generation":0,"query":"q-17","task":"cards",)" + end);
  CHECK(audit_line_of(ChangeEvent{.event = "merge_tasks",
                                  .task = "all",
                                  .source = "north",
                                  .second_source = "south",
                                  .rows = 0,
                                  .seconds = 1e-7}) ==
        start +
            R"(merge_tasks","generation":0,"task":"all","source":"north","second_source":"south",)"
            R"("rows":0,"seconds":1e-07,)" +
            end);
}

TEST_CASE("a line holds the digest of the line before", "[io][golden]") {
  // python3 -c 'import hashlib; print(hashlib.sha256(LINE).hexdigest())' of the route above
  detail::AuditLineBuilder builder("", false);
  builder.build({.seq = 812, .time = audit_noon}, sample_route());
  const Sha256::Digest digest = builder.digest();
  CHECK(detail::audit_digest_text(digest) ==
        "sha256:594082bcda70594388bc2d98d9a12b6c47184c9ec9c2549edb8bd78a67127050");
  builder.build({.seq = 813, .time = audit_noon, .prev = digest}, sample_route());
  CHECK(builder.line().ends_with(
      ",\"prev\":\"sha256:594082bcda70594388bc2d98d9a12b6c47184c9ec9c2549edb8bd78a67127050\"}\n"));
  CHECK(builder.after_open_line() == "\n" + std::string(builder.line()));
}

TEST_CASE("a query is known by a salted digest and not by its text", "[io]") {
  RouteEvent event = sample_route();
  event.input = "where is my money";
  const std::string line = audit_line_of(event, "pepper");
  const nlohmann::json json = audit_json_of(line);
  // printf 'pepperwhere is my money' | sha256sum
  CHECK(json["input"] == "sha256:432af72320cf101238c4f0e3a8b2acebb29f5143985b1eba7ed471e6bb51f854");
  CHECK_FALSE(json.contains("text"));
  CHECK_FALSE(contains(line, "money"));
  CHECK_FALSE(contains(line, "pepper"));
  CHECK(audit_json_of(audit_line_of(event, "salt"))["input"] != json["input"]);
  CHECK(audit_json_of(audit_line_of(event, "pepper", true))["text"] == "where is my money");
}

TEST_CASE("a number in a line reads back as the same double", "[io][property]") {
  RandomStream random(4, 0);
  for (int i = 0; i < 20000; ++i) {
    const std::uint64_t bits = (std::uint64_t{random.bits()} << 32 | random.bits());
    double number = 0;
    std::memcpy(&number, &bits, sizeof number);
    std::string text;
    detail::append_json_number(text, number);
    CAPTURE(text);
    if (!std::isfinite(number)) {
      CHECK(text == "null");
      continue;
    }
    REQUIRE(nlohmann::json::accept(text));
    CHECK(std::strtod(text.c_str(), nullptr) == number);
  }
}

TEST_CASE("NaN and infinity are null in a line", "[io]") {
  RouteEvent event = sample_route();
  const std::array<ScoredTask, 1> top{
      {{.task = "a", .score = -std::numeric_limits<double>::infinity()}}};
  event.confidence = std::numeric_limits<double>::quiet_NaN();
  event.margin = std::numeric_limits<double>::infinity();
  event.novelty = std::numeric_limits<double>::quiet_NaN();
  event.top = top;
  const nlohmann::json json = audit_json_of(audit_line_of(event));
  CHECK(json["confidence"].is_null());
  CHECK(json["margin"].is_null());
  CHECK(json["novelty"].is_null());
  CHECK(json["top"] == nlohmann::json::parse(R"([["a",null]])"));
}

TEST_CASE("a line names five tasks at most", "[io]") {
  const std::vector<ScoredTask> top(9, {.task = "t", .score = 0.5});
  RouteEvent event = sample_route();
  event.top = top;
  CHECK(audit_json_of(audit_line_of(event))["top"].size() == 5);
}

TEST_CASE("strings of a line are escaped and their foreign bytes replaced", "[io]") {
  CHECK(json_string_of("plain ~ text/") == "plain ~ text/");
  CHECK(json_string_of("a\"b\\c\n\t\r\b\f\x01\x1f") == R"(a\"b\\c\n\t\r\b\f\u0001\u001f)");
  CHECK(json_string_of("\0x"s) == "\\u0000x");
  CHECK(json_string_of("\x7f") == "\x7f");
  CHECK(json_string_of("gr\xC3\xBC\xC3\x9F \xF0\x9F\x98\x80") ==
        "gr\xC3\xBC\xC3\x9F \xF0\x9F\x98\x80");
  CHECK(json_string_of("\xC3(\xFF\xED\xA0\x80") ==
        "\xEF\xBF\xBD(\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
}

TEST_CASE("a string of any bytes reads back from a line", "[io][property]") {
  const unsigned seed = GENERATE(range(1U, 41U));
  CAPTURE(seed);
  const std::string text = random_text(200, seed);
  const nlohmann::json whole = nlohmann::json::parse("\"" + json_string_of(text, 10000) + "\"");
  const std::string expected = nlohmann::json::parse(
      nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  // as many characters, but that nlohmann joins some foreign bytes to one
  CHECK(whole.get<std::string>().size() >= expected.size());
  std::string ascii = text;
  for (char& letter : ascii) letter = static_cast<char>(letter & 0x7F);
  CHECK(nlohmann::json::parse("\"" + json_string_of(ascii, 10000) + "\"") == ascii);
}

TEST_CASE("a cut string ends between two characters", "[io]") {
  const std::string text = "ab\n\xC3\xBC\x01z";
  const std::vector<std::string> starts{"", "a", "ab", "ab", "ab\\n", "ab\\n", "ab\\n\xC3\xBC"};
  for (std::size_t most = 0; most < starts.size(); ++most) {
    CAPTURE(most);
    CHECK(json_string_of(text, most) == starts[most]);
  }
  CHECK(json_string_of(text, 11) == "ab\\n\xC3\xBC");
  CHECK(json_string_of(text, 12) == "ab\\n\xC3\xBC\\u0001");
  CHECK(json_string_of(text, 13) == "ab\\n\xC3\xBC\\u0001z");
}

TEST_CASE("a line that would be too long loses the end of the text alone", "[io]") {
  RouteEvent event = sample_route();
  const std::string input(200000, 'x');
  event.input = input;
  const std::string line = audit_line_of(event, "s", true);
  const nlohmann::json json = audit_json_of(line);
  CHECK(json["cut"] == true);
  CHECK(json["query"] == "q-17");
  CHECK(json["policy"] == "default");
  CHECK(line.size() > 65000);
  CHECK(input.starts_with(json["text"].get<std::string>()));
  CHECK(json["prev"] == "sha256:" + audit_zeros);
  event.input = "short";
  CHECK_FALSE(audit_json_of(audit_line_of(event, "s", true)).contains("cut"));
}

TEST_CASE("a line with long names is cut in all of them and stays a line", "[io]") {
  const std::string longest(100000, '\x01');  // six bytes each when escaped
  const std::vector<ScoredTask> top(5, {.task = longest, .score = 1});
  const RouteEvent route{.query = longest,
                         .task = longest,
                         .outcome = longest,
                         .top = top,
                         .policy = longest,
                         .input = longest};
  const nlohmann::json json = audit_json_of(audit_line_of(route, "s", true));
  CHECK(json["cut"] == true);
  CHECK(json["top"].size() == 5);
  CHECK(json["task"].get<std::string>().size() == 4096 / 6);
  CHECK(json["query"].get<std::string>().size() == 8192 / 6);
  CHECK(json["text"].get<std::string>().size() > 1000);
  const ChangeEvent change{
      .event = longest, .task = longest, .source = longest, .second_source = longest};
  CHECK(audit_json_of(audit_line_of(change))["cut"] == true);
}

TEST_CASE("the time of a line is that of the calendar", "[io][property]") {
  RandomStream random(9, 0);
  detail::AuditClock clock;
  for (int i = 0; i < 2000; ++i) {
    const auto microseconds = static_cast<std::int64_t>(
        (std::uint64_t{random.bits()} << 32 | random.bits()) % 4'000'000'000'000'000U);
    const std::time_t second = microseconds / 1'000'000;
    std::tm parts{};
    REQUIRE(::gmtime_r(&second, &parts) != nullptr);
    std::array<char, 64> expected{};
    const std::size_t size =
        std::strftime(expected.data(), expected.size(), "%Y-%m-%dT%H:%M:%S.", &parts);
    std::string fraction = std::to_string(microseconds % 1'000'000);
    fraction.insert(0, 6 - fraction.size(), '0');
    CHECK(clock.text(detail::AuditClock::Time(std::chrono::microseconds(microseconds))) ==
          std::string(expected.data(), size) + fraction + "Z");
  }
}

TEST_CASE("the time of a line is right within a second that was seen before", "[io]") {
  detail::AuditClock clock;
  CHECK(clock.text(audit_noon) == "2026-01-31T12:00:00.000123Z");
  CHECK(clock.text(audit_noon + std::chrono::microseconds(999'876)) ==
        "2026-01-31T12:00:00.999999Z");
  CHECK(clock.text(audit_noon + std::chrono::microseconds(999'877)) ==
        "2026-01-31T12:00:01.000000Z");
  CHECK(clock.text(audit_noon - std::chrono::seconds(1)) == "2026-01-31T11:59:59.000123Z");
}
