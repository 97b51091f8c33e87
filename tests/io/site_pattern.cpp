// SPDX-License-Identifier: MIT
#include "anyssr/io/site_pattern.hpp"

#include <regex>
#include <string>
#include <vector>

#include "anyssr/core/random.hpp"
#include "support/catch.hpp"
#include "support/sanitized.hpp"

using namespace anyssr;
using namespace anyssr::test;

namespace {

bool matches(const std::string& key, const std::string& site) {
  return SitePattern(key).matches(site);
}

std::string refusal(const std::string& key) {
  return message_of<FormatError>([&] { (void)SitePattern(key); });
}

/// A number below n.
std::size_t draw(RandomStream& random, std::size_t n) {
  return static_cast<std::size_t>(random.uniform() * static_cast<float>(n)) % n;
}

/// One random pattern of the common ground of Python, ECMAScript and this library, without loops in
/// loops, where std::regex would take for ever.
std::string random_pattern(RandomStream& random, int depth) {
  static const std::vector<std::string> atoms{"a",     "b",   ".",   "\\.",    "[ab]", "[^a]",
                                              "[a-c]", "\\d", "\\w", "(?:ab)", "1"};
  static const std::vector<std::string> counts{"",  "",   "",   "?",    "{2}",   "*",
                                               "+", "*?", "+?", "{1,}", "{0,2}", "{1,3}?"};
  std::string pattern;
  for (std::size_t i = 1 + draw(random, 3); i > 0; --i) {
    const std::size_t kind = depth > 0 ? draw(random, 8) : 0;
    const std::string& count = counts[draw(random, kind < 3 ? counts.size() : 5)];
    const auto inner = [&] { return random_pattern(random, depth - 1); };
    if (kind < 3) {
      pattern += atoms[draw(random, atoms.size())] + count;
    } else if (kind < 5) {
      pattern += "(" + inner() + "|" + inner() + ")" + count;
    } else if (kind < 6) {
      pattern += "(?:" + inner() + ")" + count;
    } else {
      pattern += (kind == 6 ? "(?=" : "(?!") + inner() + ")";
    }
  }
  return pattern;
}

}  // namespace

TEST_CASE("a plain key means the site itself or its last parts", "[io]") {
  CHECK(SitePattern("q_proj").is_plain());
  CHECK(matches("q_proj", "q_proj"));
  CHECK(matches("q_proj", "layers.0.q_proj"));
  CHECK(matches("0.q_proj", "layers.0.q_proj"));
  CHECK_FALSE(matches("q_proj", "layers.0.seq_proj"));
  CHECK_FALSE(matches("q_proj", "layers.0.q_proj.inner"));
  CHECK_FALSE(matches("layers", "layers.0.q_proj"));
  CHECK_FALSE(matches("0.q_proj", "layers.10.q_proj"));
  CHECK_FALSE(matches("layers.0.q_proj", "q_proj"));
}

TEST_CASE("a dot in a plain key stands for any character", "[io]") {
  CHECK(matches("a.b", "a.b"));
  CHECK(matches("a.b", "a_b"));
  CHECK(matches("a.b", "x.a_b"));
  CHECK(matches("a..", "x.a.."));
  CHECK_FALSE(matches("a.b", "ab"));
}

TEST_CASE("a regular expression means what it does in Python", "[io][golden]") {
  // the right column is bool(re.match(r"(.*\.)?(KEY)$", site)) of Python 3.11
  struct Row {
    const char* key;
    const char* site;
    bool expected;
  };
  const std::vector<Row> rows{
      {"layers\\.[0-3]\\..*q_proj", "model.layers.2.self_attn.q_proj", true},
      {"layers\\.[0-3]\\..*q_proj", "model.layers.4.self_attn.q_proj", false},
      {"^layers\\.0\\.q", "layers.0.q", true},
      {"^layers\\.0\\.q", "model.layers.0.q", false},
      {"q_proj|v_proj", "a.v_proj", true},
      {"q_proj|v_proj", "a.q_projv_proj", false},
      {"(q|k)_proj", "a.k_proj", true},
      {"layers.\\d+.mlp", "layers.17.mlp", true},
      {"layers.\\d{2}.mlp", "layers.1.mlp", false},
      {".*\\.q", "q", false},
      {".*\\.q", "a.q", true},
      {"(?!lm_head).*", "lm_head", false},
      {"(?!lm_head).*", "a.lm_head", true},
      {"^(?!.*head).*$", "a.lm_head", false},
      {"(?=q)\\w+", "x.q_proj", true},
      {"(?=k)\\w+", "x.q_proj", false},
      {"(?!a)(?!b)\\w", "x.c", true},
      {"\\bq\\b", "x.q", true},
      {"x\\bq", "xq", false},
      {"[]a]+", "]a]", true},
      {"[^]a]+", "bc", true},
      {"[a-]", "-", true},
      {"[-a]", "-", true},
      {"[\\w.]+", "a.b.c", true},
      {"[\\d-]+", "1-2", true},
      {"a{2,}", "aaa", true},
      {"a{,2}", "aa", true},
      {"a{,2}b", "aaab", false},
      {"a{,}b", "aaab", true},
      {"a{2}{", "aa{", true},
      {"a{", "a{", true},
      {"a{}", "a{}", true},
      {"a{x}", "a{x}", true},
      {"a{1,x}", "a{1,x}", true},
      {"a}b]", "a}b]", true},
      {"()", "a", false},
      {"(^)*a", "a", true},
      {"(a|)*b", "aab", true},
      {"(){5}a", "a", true},
      {"(a?){3}b", "ab", true},
      {"(?:(?=a)|b){3}a", "bba", true},
      {"(?=a)*b", "b", true},
      {"a||b", "b", true},
      {"|a", "a", true},
      {"a\\-b\\/c", "a-b/c", true},
      {"\\s", " ", true},
      {"$", "x.", true},
      {"(?:a$|b)c", "bc", true},
      {"(?:a$|b)c", "ac", false},
      {"[a-c-e]+", "a-e", true},
      {"[\\]]", "]", true},
      {"[\\b]", "b", false},
  };
  for (const Row& row : rows) {
    CAPTURE(row.key, row.site);
    CHECK(matches(row.key, row.site) == row.expected);
  }
}

TEST_CASE("random patterns match as std::regex does", "[io][property]") {
  RandomStream random(7);
  int matched = 0;
  constexpr int patterns = is_sanitized ? 500 : 3000;
  for (int i = 0; i < patterns; ++i) {
    const std::string key = random_pattern(random, 2);
    const std::regex oracle("^(?:.*\\.)?(?:" + key + ")$");
    const SitePattern pattern(key);
    for (int j = 0; j < 8; ++j) {
      std::string site(draw(random, 7), '.');
      for (char& c : site) c = "ab.1c"[draw(random, 5)];
      const bool expected = std::regex_search(site, oracle);
      matched += expected ? 1 : 0;
      if (pattern.matches(site) != expected) {
        CAPTURE(key, site);
        CHECK(pattern.matches(site) == expected);
      }
    }
  }
  CHECK(matched > patterns);
}

TEST_CASE("what Python and this library read differently is refused", "[io][error]") {
  struct Row {
    const char* key;
    const char* reason;
  };
  const char* const extension =
      "after (? comes no : = or !, and other extensions are not supported";
  const char* const letter = "a backslash before a letter other than d w s b is not supported";
  const char* const digit = "back references and octal numbers are not supported";
  const std::vector<Row> rows{
      {"(?P<n>a)", extension},
      {"(?<n>a)", extension},
      {"(?<=a)b", extension},
      {"(?<!a)b", extension},
      {"(?i)a", extension},
      {"(?i:a)", extension},
      {"(?>a)", extension},
      {"(?#a)", extension},
      {"(?(1)a|b)", extension},
      {"(?", extension},
      {"\\Aa", letter},
      {"a\\Z", letter},
      {"\\Da", letter},
      {"\\na", letter},
      {"[\\S]", letter},
      {"(a)\\1", digit},
      {"[\\0]", digit},
      {"a++", "possessive quantifiers are not supported"},
      {"a*+", "possessive quantifiers are not supported"},
      {"a?+", "possessive quantifiers are not supported"},
      {"a{2}+", "possessive quantifiers are not supported"},
      {"a**", "a second quantifier"},
      {"a*??", "a second quantifier"},
      {"a{2}{3}", "a second quantifier"},
      {"*a", "nothing to repeat"},
      {"(+a)", "nothing to repeat"},
      {"a|?", "nothing to repeat"},
      {"{2}", "nothing to repeat"},
      {"^*", "nothing to repeat"},
      {"$+", "nothing to repeat"},
      {"\\b?", "nothing to repeat"},
      {"(a", "a ( without its )"},
      {"(?:a", "a ( without its )"},
      {"a)", "a ) without its ("},
      {"a)(b", "a ) without its ("},
      {"[a", "a [ without its ]"},
      {"[]", "a [ without its ]"},
      {"[^]", "a [ without its ]"},
      {"[a-", "a [ without its ]"},
      {"a\\", "a backslash at the end"},
      {"[\\", "a backslash at the end"},
      {"[z-a]", "a range whose end is before its start"},
      {"[\\d-z]", "a range that begins or ends in a class"},
      {"[a-\\w]", "a range that begins or ends in a class"},
      {"a{3,2}", "a least count above the most"},
      {"a{3000}", "the counts write out to more than 2048 steps"},
      {"a{99999999999999999999}", "the counts write out to more than 2048 steps"},
      {"(){99999999999}", "the counts write out to more than 2048 steps"},
      {"((((x{9}){9}){9}){9}){9}", "the counts write out to more than 2048 steps"},
      {"(?=a{1500})(?=a{1500})", "the counts write out to more than 2048 steps"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.key);
    const std::string message = refusal(row.key);
    CHECK(contains(message, std::string("pattern ") + detail::in_quotes(row.key)));
    CHECK(contains(message, row.reason));
  }
  CHECK(refusal("ab(?i)") == "pattern \"ab(?i)\" at character 5: " + std::string(extension));
  CHECK(contains(refusal(std::string(65, '(') + std::string(65, ')')),
                 "groups nested deeper than 64 levels"));
}

TEST_CASE("long and foreign text is refused", "[io][error]") {
  CHECK(refusal(std::string(1024, 'a')) == "nothing was thrown");
  CHECK(contains(refusal(std::string(1025, 'a')), "has 1025 characters, expected at most 1024"));
  CHECK(contains(refusal(std::string(1024, 'a') + "*"), "has 1025 characters"));
  CHECK(refusal("\xC3\xA4") ==
        "pattern \"\xC3\xA4\" has byte 0xC3 at character 1, expected printable ASCII");
  CHECK(contains(refusal("a*\n"), "has byte 0x0A at character 3, expected printable ASCII"));
  const auto site_message = [](const std::string& key, const std::string& site) {
    return message_of<FormatError>([&] { (void)SitePattern(key).matches(site); });
  };
  for (const std::string key : {"a", "a*"}) {
    CHECK(site_message(key, std::string(512, 'a')) == "nothing was thrown");
    CHECK(contains(site_message(key, std::string(513, 'a')),
                   "has 513 characters, expected at most 512 where patterns are matched"));
    CHECK(site_message(key, "a\x7F") ==
          "site \"a\\x7F\" has byte 0x7F at character 2, expected printable ASCII");
  }
}

TEST_CASE("patterns that hang or crash backtracking matchers stay within the budget of steps",
          "[io][regression]") {
  const std::string site = std::string(511, 'a') + "!";
  std::string nested = "a";
  for (int i = 0; i < 60; ++i) nested = "(" + nested + ")*";
  for (const std::string& key :
       {std::string("(a+)+"), std::string("(a*)*b"), std::string("(a|a)*b"),
        std::string("(a|aa)+b"), std::string("(.*)*(.*)*(.*)*b"), std::string("(a?){500}a{500}b"),
        std::string("(?=(a+)+b)a*"), std::string("(?!(?!(?!(a|a)*b)))a*"), nested + "b"}) {
    CAPTURE(key);
    CHECK_FALSE(matches(key, site));
  }
  CHECK(matches("(a|aa)+!", site));
  CHECK(matches("(a?){500}a{11}!", site));
}

TEST_CASE("the first key that matches a site counts", "[io]") {
  const std::vector<std::string> keys{"0.q", "layers\\.[0-9]\\.q", "q", "k"};
  const std::vector<std::string> sites{"layers.0.q", "layers.1.q", "layers.10.q", "layers.0.v",
                                       "layers.0.k"};
  const auto found = first_matches(keys, sites);
  CHECK(found == std::vector<std::optional<std::size_t>>{0, 1, 2, std::nullopt, 3});
  CHECK(first_matches({}, sites) == std::vector<std::optional<std::size_t>>(5));
  CHECK(first_matches(keys, {}).empty());
}

TEST_CASE("many hostile keys and sites together are refused", "[io][error]") {
  const std::vector<std::string> keys(1000, "(((a*)*)*|[ab]{1500})*b");
  const std::vector<std::string> sites(100, std::string(512, 'a'));
  CHECK(contains(message_of<FormatError>([&] { (void)first_matches(keys, sites); }),
                 "matching takes too many steps"));
  const std::vector<std::string> small(100'000, "(x{45}){45}");
  CHECK(contains(message_of<FormatError>([&] { (void)first_matches(small, sites); }),
                 "matching takes too many steps"));
}
