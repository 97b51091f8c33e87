// SPDX-License-Identifier: MIT
#include "anyssr/core/printable.hpp"

#include "anyssr/core/error.hpp"
#include "support/catch.hpp"

using namespace anyssr;

TEST_CASE("what a terminal obeys is written out", "[core]") {
  using detail::printable;
  CHECK(printable("plain, caf\u00e9, \u4f60 and \U0001f600") ==
        "plain, caf\u00e9, \u4f60 and \U0001f600");
  CHECK(printable("\x1b[31mred\x07\t") == "\\x1B[31mred\\x07\\x09");
  CHECK(printable(std::string_view("a\0b", 3)) == "a\\x00b");
  CHECK(printable("\x7f") == "\\x7F");
  CHECK(printable("\u0085\u009b") == "\\u{85}\\u{9B}");
  CHECK(printable("\u202eevil\u2066\u200f\u061c") == "\\u{202E}evil\\u{2066}\\u{200F}\\u{61C}");
  CHECK(printable("one\ntwo") == "one\ntwo");
  CHECK(printable("\u2028") == "\\u{2028}");
}

TEST_CASE("bytes that are no UTF-8 are written out one by one", "[core]") {
  using detail::printable;
  CHECK(printable("\xff") == "\\xFF");
  CHECK(printable("\xc0\xaf") == "\\xC0\\xAF");           // overlong
  CHECK(printable("\xed\xa0\x80") == "\\xED\\xA0\\x80");  // a surrogate
  CHECK(printable("caf\xc3") == "caf\\xC3");              // cut
  CHECK(printable("\x9b"
                  "1m") ==
        "\\x9B"
        "1m");  // a C1 byte alone
  CHECK(printable(printable("\x1b\xff\u202e")) == printable("\x1b\xff\u202e"));
}

TEST_CASE("a message is printable whatever name it quotes", "[core][error]") {
  CHECK(std::string(TaskError("task '\x1b]0;owned\x07' is unknown").what()) ==
        "task '\\x1B]0;owned\\x07' is unknown");
  CHECK(std::string(FileError("a\xff.json: cannot be read").what()) ==
        "a\\xFF.json: cannot be read");
}
