// SPDX-License-Identifier: MIT
#include "anyssr/core/text.hpp"

#include <locale>

#include "support/catch.hpp"

using namespace anyssr;

namespace {

struct Grouped : std::numpunct<char> {
  [[nodiscard]] char do_thousands_sep() const override { return '.'; }
  [[nodiscard]] char do_decimal_point() const override { return ','; }
  [[nodiscard]] std::string do_grouping() const override { return "\3"; }
};

/// The global locale for as long as it lives.
class GlobalLocale {
 public:
  explicit GlobalLocale(const std::locale& locale) : before_(std::locale::global(locale)) {}
  ~GlobalLocale() { std::locale::global(before_); }
  GlobalLocale(const GlobalLocale&) = delete;
  GlobalLocale& operator=(const GlobalLocale&) = delete;

 private:
  std::locale before_;
};

}  // namespace

TEST_CASE("numbers for people have the digits they are asked for", "[core]") {
  CHECK(number_text(0.01234) == "0.0123");
  CHECK(number_text(4.5e-8) == "4.5e-08");
  CHECK(number_text(1234.5, 6) == "1234.5");
  CHECK(fixed_text(1234.5) == "1234.50");
  CHECK(fixed_text(2.5, 0) == "2");
  CHECK(bytes_text(33.5e6) == "33.5 MB");
}

TEST_CASE("the program's locale does not reach messages and numbers", "[core]") {
  const GlobalLocale locale(std::locale(std::locale::classic(), new Grouped));
  CHECK(detail::concat("dim=", 65536, " x=", 0.5) == "dim=65536 x=0.5");
  CHECK(number_text(1234.5, 6) == "1234.5");
  CHECK(fixed_text(1234567.125) == "1234567.12");
  CHECK(bytes_text(1.25e18) == "1250 PB");
}
