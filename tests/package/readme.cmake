# SPDX-License-Identifier: MIT
# README.md shows two commands, marked for those who run them, and only programs that are tested:
# each C++ block stands word for word in an example.
file(READ ${SOURCE}/README.md readme)
string(REGEX MATCHALL "\n```sh\n" blocks "${readme}")
string(REGEX MATCHALL "\n<!-- command: (demo|check) -->\n```sh\n" commands "${readme}")
list(LENGTH blocks block_count)
list(LENGTH commands command_count)
if(NOT block_count EQUAL 2 OR NOT command_count EQUAL 2)
  message(FATAL_ERROR "README.md has ${block_count} sh blocks, ${command_count} of them marked as a "
                      "command, expected 2 and 2")
endif()

# The demo's command installs no package that only tests need, and the other one all that it does.
set(install "apt-get install -y --no-install-recommends ")
string(REGEX MATCHALL "${install}[^&]*" installs "${readme}")
list(TRANSFORM installs REPLACE "^${install}" "")
list(TRANSFORM installs REPLACE " +$" "")
list(GET installs 0 for_demo)
list(GET installs 1 for_check)
string(FIND "${for_check}" "${for_demo} " position)
if(NOT position EQUAL 0 OR for_demo MATCHES "catch2" OR NOT for_check MATCHES "catch2")
  message(FATAL_ERROR "README.md installs '${for_demo}' for the demo and '${for_check}' for the tests, "
                      "expected these and more, catch2 among them")
endif()

file(GLOB_RECURSE examples ${SOURCE}/examples/*.cpp)
set(code "")
foreach(example IN LISTS examples)
  file(READ ${example} text)
  string(APPEND code "${text}")
endforeach()
string(FIND "${readme}" "\n```cpp\n" begin)
while(NOT begin EQUAL -1)
  math(EXPR begin "${begin} + 8")
  string(SUBSTRING "${readme}" ${begin} -1 readme)
  string(FIND "${readme}" "```" length)
  string(SUBSTRING "${readme}" 0 ${length} program)
  string(FIND "${code}" "${program}" position)
  if(position EQUAL -1)
    message(FATAL_ERROR "README.md shows a program that stands in no example:\n${program}")
  endif()
  string(FIND "${readme}" "\n```cpp\n" begin)
endwhile()
