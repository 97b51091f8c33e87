# SPDX-License-Identifier: MIT
# Builds small programs of users in the build folder as they would, each in a way that is not ours.
# CASE says which.
set(dir ${BINARY}/package/${CASE})
set(sources ${CMAKE_CURRENT_LIST_DIR}/consumers)
file(REMOVE_RECURSE ${dir})
file(MAKE_DIRECTORY ${dir})

# Runs a command: sets `status` and `output`.
function(try_run)
  execute_process(COMMAND ${ARGV} RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
  set(status "${status}" PARENT_SCOPE)
  set(output "${output}" PARENT_SCOPE)
endfunction()

function(run)
  try_run(${ARGV})
  if(NOT status EQUAL 0)
    list(JOIN ARGV " " command)
    message(FATAL_ERROR "${command}\nended with ${status}:\n${output}")
  endif()
  set(output "${output}" PARENT_SCOPE)
endfunction()

# Runs a command that must fail and say `text`.
function(refuse text)
  try_run(${ARGN})
  string(FIND "${output}" "${text}" position)
  if(status EQUAL 0 OR position EQUAL -1)
    list(JOIN ARGN " " command)
    message(FATAL_ERROR "${command}\nended with ${status}, expected a failure that says '${text}':\n"
                        "${output}")
  endif()
  set(output "${output}" PARENT_SCOPE)
endfunction()

# The compiler's own folder must not be named: its headers are found in a certain order.
list(REMOVE_ITEM EIGEN /usr/include)
list(REMOVE_ITEM JSON /usr/include)
list(TRANSFORM EIGEN PREPEND "-isystem;")
list(TRANSFORM JSON PREPEND "-isystem;")
set(includes -I ${SOURCE}/include ${EIGEN} ${JSON})
set(compile ${COMPILER} -std=c++20 ${includes})

if(CASE STREQUAL "fast_math")
  run(${compile} -O2 -ffast-math ${sources}/fast_math.cpp -o ${dir}/program -pthread)
  run(${dir}/program)

elseif(CASE STREQUAL "openmp")
  file(WRITE ${dir}/omp.cpp "#include <omp.h>\nint main() { return omp_get_max_threads() < 1; }\n")
  try_run(${COMPILER} -fopenmp ${dir}/omp.cpp -o ${dir}/omp)
  if(NOT status EQUAL 0)
    message("skipped: ${COMPILER} has no OpenMP here")
    return()
  endif()
  run(${compile} -O1 -fopenmp ${sources}/openmp.cpp -o ${dir}/program -pthread)
  run(${CMAKE_COMMAND} -E env --unset=OMP_NUM_THREADS ${dir}/program)

elseif(CASE STREQUAL "locale")
  run(${compile} -O0 ${sources}/locale.cpp -o ${dir}/program -pthread)
  run(${dir}/program ${dir})

elseif(CASE STREQUAL "old_language")
  file(WRITE ${dir}/default.cpp "static_assert(__cplusplus >= 202002L);\n")
  try_run(${COMPILER} -fsyntax-only ${dir}/default.cpp)
  set(languages -std=c++17)
  if(NOT status EQUAL 0)
    list(APPEND languages -Wall) # in place of a -std: the compiler's own default
  endif()
  foreach(header anyssr io llama store core/types rls/recursive_least_squares)
    file(WRITE ${dir}/user.cpp "#include \"anyssr/${header}.hpp\"\nint main() {}\n")
    foreach(language IN LISTS languages)
      refuse("anyssr needs C++20" ${COMPILER} ${language} ${includes} -fsyntax-only ${dir}/user.cpp)
      string(REGEX MATCHALL "[^\n]* error: [^\n]*" errors "${output}")
      list(LENGTH errors count)
      list(GET errors 0 first)
      if(count GREATER 2 OR NOT first MATCHES "anyssr needs C\\+\\+20: compile with -std=c\\+\\+20")
        message(FATAL_ERROR "${header}.hpp with ${language}: ${count} errors, expected at most 2, and "
                            "what to do first:\n${output}")
      endif()
    endforeach()
  endforeach()

elseif(CASE STREQUAL "abi")
  file(WRITE ${dir}/empty.cpp "int main() {}\n")
  set(widths "")
  foreach(width -msse2 -mavx "-mavx512f -mfma") # Eigen asks for both
    separate_arguments(options UNIX_COMMAND "${width}")
    try_run(${COMPILER} ${options} -c ${dir}/empty.cpp -o ${dir}/empty.o)
    if(status EQUAL 0)
      list(APPEND widths "${width}")
    endif()
  endforeach()
  set(variants ${widths} -DEIGEN_DEFAULT_DENSE_INDEX_TYPE=int -DEIGEN_DEFAULT_DENSE_INDEX_TYPE=long)
  foreach(variant IN LISTS variants)
    string(MAKE_C_IDENTIFIER "${variant}" name)
    separate_arguments(options UNIX_COMMAND "${variant}")
    run(${compile} ${options} -c ${sources}/decision.cpp -o ${dir}/${name}.o)
    run(${compile} ${options} -c ${sources}/decision_main.cpp -o ${dir}/${name}_main.o)
  endforeach()
  foreach(one IN LISTS variants)
    foreach(other IN LISTS variants)
      string(MAKE_C_IDENTIFIER "${one}" first)
      string(MAKE_C_IDENTIFIER "${other}" second)
      set(link ${COMPILER} ${dir}/${first}.o ${dir}/${second}_main.o -o ${dir}/program)
      if(one STREQUAL other)
        run(${link})
      else()
        refuse("undefined " ${link}) # "reference to", or "symbol" of other linkers
      endif()
    endforeach()
  endforeach()
  refuse("is expected to be int, long or std::ptrdiff_t" ${compile} -fsyntax-only
         -DEIGEN_DEFAULT_DENSE_INDEX_TYPE=std::int32_t ${sources}/decision.cpp)

elseif(CASE STREQUAL "eigen5")
  if(NOT IS_DIRECTORY "${EIGEN5}/Eigen")
    message("skipped: ANYSSR_TEST_EIGEN5_DIR names no folder that holds Eigen 5 (its Eigen/Core)")
    return()
  endif()
  set(compile ${COMPILER} -std=c++20 -I ${SOURCE}/include -isystem ${EIGEN5} ${JSON})
  file(WRITE ${dir}/user.cpp
       "#include \"anyssr/anyssr.hpp\"\n#include \"anyssr/io.hpp\"\n#include \"anyssr/store.hpp\"\n"
       "#include \"anyssr/llama.hpp\"\n"
       "static_assert(EIGEN_MAJOR_VERSION >= 5, \"this is no Eigen 5\");\nint main() {}\n")
  run(${compile} -Wall -Wextra -Werror=deprecated-declarations -fsyntax-only ${dir}/user.cpp)
  run(${compile} -O1 ${sources}/fast_math.cpp -o ${dir}/program -pthread)
  run(${dir}/program)

elseif(CASE STREQUAL "exported")
  include(${CMAKE_CURRENT_LIST_DIR}/exported.cmake)

elseif(CASE STREQUAL "twice")
  include(${CMAKE_CURRENT_LIST_DIR}/twice.cmake)

else()
  message(FATAL_ERROR "CASE is '${CASE}', expected fast_math, openmp, locale, old_language, abi, eigen5, "
                      "exported or twice")
endif()
