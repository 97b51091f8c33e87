// SPDX-License-Identifier: MIT
#include "anyssr/io/near_names.hpp"

#include <string>
#include <vector>

#include "support/catch.hpp"

using namespace anyssr;
using namespace anyssr::test;

TEST_CASE("the edit distance counts characters put in or taken out or changed", "[io][golden]") {
  CHECK(detail::edit_distance("", "") == 0);
  CHECK(detail::edit_distance("abc", "") == 3);
  CHECK(detail::edit_distance("", "ab") == 2);
  CHECK(detail::edit_distance("kitten", "sitting") == 3);
  CHECK(detail::edit_distance("flaw", "lawn") == 2);
  CHECK(detail::edit_distance("same", "same") == 0);
}

TEST_CASE("the nearest names come first and equal ones by name", "[io]") {
  const std::vector<std::string> names{"layers.10.q", "lm_head", "layers.1.q", "layers.1.k", "x"};
  CHECK(detail::near_names("layers.1.p", names) == R"("layers.1.k", "layers.1.q", "layers.10.q")");
  CHECK(detail::near_names("a", {}).empty());
}

TEST_CASE("a long list is cut with the count of the rest", "[io]") {
  const std::vector<std::string> names{"a", "b", "c\n"};
  CHECK(detail::some_names(names) == R"("a", "b", "c\n")");
  CHECK(detail::some_names(names, 2) == R"("a", "b" and 1 more)");
  CHECK(detail::some_names({}).empty());
}
