# SPDX-License-Identifier: MIT
# Every package that may be missing is downloaded instead: here from archives made on the spot, under
# their true hashes, while the installed packages are hidden. Nothing is asked of the network. A
# user's project takes the library with tests, examples and benchmarks and compiles one file that
# includes what came.
# INCLUDE_DIRS: where Eigen, nlohmann/json, CLI11 and Catch2 have their headers; CATCH2_MODULES: where
# Catch.cmake is. A header written here stands for Google Benchmark.
set(dir ${BINARY}/package/downloads)
file(REMOVE_RECURSE ${dir})
string(REPLACE "|" ";" INCLUDE_DIRS "${INCLUDE_DIRS}")

# Copies what stands below one of INCLUDE_DIRS as NAME into the archive of PACKAGE, its folder TO.
function(take package to name)
  foreach(folder IN LISTS INCLUDE_DIRS)
    if(EXISTS ${folder}/${name})
      file(COPY ${folder}/${name} DESTINATION ${dir}/${package}/${to})
      return()
    endif()
  endforeach()
  message(FATAL_ERROR "${name} stands in none of the folders ${INCLUDE_DIRS}")
endfunction()

# Sets `archives` to the settings that name the archive of PACKAGE: one folder, as published ones.
function(pack package)
  execute_process(COMMAND ${CMAKE_COMMAND} -E tar cz ${package}.tar.gz ${package}
                  WORKING_DIRECTORY ${dir} COMMAND_ERROR_IS_FATAL ANY)
  file(SHA256 ${dir}/${package}.tar.gz hash)
  string(TOUPPER ${package} upper)
  set(archives ${archives} -D CMAKE_DISABLE_FIND_PACKAGE_${package}=ON
               -D ANYSSR_${upper}_URL=file://${dir}/${package}.tar.gz
               -D ANYSSR_${upper}_SHA256=${hash} PARENT_SCOPE)
endfunction()

set(not_run "message(FATAL_ERROR \"its own CMake is not to run\")\n")
set(archives "")
foreach(name Eigen unsupported signature_of_eigen3_matrix_library)
  take(Eigen3 . ${name})
endforeach()
file(WRITE ${dir}/Eigen3/CMakeLists.txt ${not_run})
pack(Eigen3)
take(nlohmann_json include nlohmann)
file(WRITE ${dir}/nlohmann_json/CMakeLists.txt ${not_run})
pack(nlohmann_json)
take(CLI11 include CLI)
file(WRITE ${dir}/CLI11/CMakeLists.txt ${not_run})
pack(CLI11)
take(Catch2 src catch2)
file(COPY ${CATCH2_MODULES}/Catch.cmake ${CATCH2_MODULES}/CatchAddTests.cmake
     DESTINATION ${dir}/Catch2/extras)
file(WRITE ${dir}/Catch2/CMakeLists.txt [=[
project(Catch2 LANGUAGES CXX)
add_library(Catch2 INTERFACE)
add_library(Catch2::Catch2 ALIAS Catch2)
target_include_directories(Catch2 INTERFACE src)
]=])
pack(Catch2)
file(WRITE ${dir}/benchmark/include/benchmark/benchmark.h "#define BENCHMARK_HERE 1\n")
file(WRITE ${dir}/benchmark/CMakeLists.txt [=[
project(benchmark LANGUAGES CXX)
if(BENCHMARK_ENABLE_TESTING OR BENCHMARK_ENABLE_INSTALL)
  message(FATAL_ERROR "a download builds its tests and is installed with its user")
endif()
add_library(benchmark_main INTERFACE)
add_library(benchmark::benchmark_main ALIAS benchmark_main)
target_include_directories(benchmark_main INTERFACE include)
]=])
pack(benchmark)

file(WRITE ${dir}/source/CMakeLists.txt [=[
cmake_minimum_required(VERSION 3.22)
project(user LANGUAGES CXX)
add_subdirectory(${SOURCE} anyssr)
add_library(user OBJECT user.cpp)
target_link_libraries(user PRIVATE anyssr::anyssr nlohmann_json::nlohmann_json CLI11::CLI11
                                   Catch2::Catch2 benchmark::benchmark_main)
]=])
file(WRITE ${dir}/source/user.cpp [=[
#include <benchmark/benchmark.h>

#include <CLI/CLI.hpp>
#include <Eigen/Core>
#include <nlohmann/json.hpp>
#if __has_include(<catch2/catch.hpp>)
#include <catch2/catch.hpp>
#else
#include <catch2/catch_all.hpp>
#endif

static_assert(BENCHMARK_HERE == 1);
Eigen::Index rows(const nlohmann::json& json, const CLI::App& app) {
  return Eigen::MatrixXf(json.size(), app.count()).rows();
}
]=])
include(${CMAKE_CURRENT_LIST_DIR}/run.cmake)
run(${CMAKE_COMMAND} -S ${dir}/source -B ${dir}/build -G ${GENERATOR} -D SOURCE=${SOURCE}
    -D CMAKE_CXX_COMPILER=${COMPILER} -D ANYSSR_BUILD_TESTS=ON -D ANYSSR_BUILD_EXAMPLES=ON
    -D ANYSSR_BUILD_BENCH=ON ${archives})
run(${CMAKE_COMMAND} --build ${dir}/build --target user)
