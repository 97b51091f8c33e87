# SPDX-License-Identifier: MIT
# A user's library on top of ours, which is added by add_subdirectory, and a program that finds the
# user's library where it was installed. Included by consumers.cmake.
file(WRITE ${dir}/source/top.hpp "#pragma once\n#include \"anyssr/core/stopwatch.hpp\"\n"
     "inline bool runs() { return anyssr::Stopwatch().seconds() >= 0; }\nint answer();\n")
file(WRITE ${dir}/source/top.cpp "#include \"top.hpp\"\nint answer() { return runs() ? 42 : 0; }\n")
file(WRITE ${dir}/source/CMakeLists.txt [=[
cmake_minimum_required(VERSION 3.22)
project(top LANGUAGES CXX)
add_subdirectory(${SOURCE} anyssr)
add_library(top STATIC top.cpp)
target_include_directories(top PUBLIC $<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}>
                                      $<INSTALL_INTERFACE:include>)
target_link_libraries(top PUBLIC anyssr::anyssr)
install(TARGETS top EXPORT top-targets)
install(FILES top.hpp DESTINATION include)
install(EXPORT top-targets NAMESPACE top:: DESTINATION share/cmake/top)
export(EXPORT top-targets NAMESPACE top:: FILE ${CMAKE_BINARY_DIR}/top-targets.cmake)
file(WRITE ${CMAKE_BINARY_DIR}/top-config.cmake
     "include(CMakeFindDependencyMacro)\nfind_dependency(anyssr)\n"
     "include(\${CMAKE_CURRENT_LIST_DIR}/top-targets.cmake)\n")
install(FILES ${CMAKE_BINARY_DIR}/top-config.cmake DESTINATION share/cmake/top)
]=])
file(WRITE ${dir}/user/main.cpp "#include \"top.hpp\"\nint main() { return answer() == 42 ? 0 : 1; }\n")
file(WRITE ${dir}/user/CMakeLists.txt [=[
cmake_minimum_required(VERSION 3.22)
project(user LANGUAGES CXX)
find_package(top REQUIRED)
add_executable(user main.cpp)
target_link_libraries(user PRIVATE top::top)
]=])
set(settings -G ${GENERATOR} -D CMAKE_CXX_COMPILER=${COMPILER} -D Eigen3_DIR=${EIGEN_DIR})

# By default the user's package names ours, which is found where it was installed by itself; with
# ANYSSR_INSTALL it is installed along.
foreach(along OFF ON)
  set(prefix ${dir}/installed-${along})
  run(${CMAKE_COMMAND} -S ${dir}/source -B ${dir}/build-${along} ${settings} -D SOURCE=${SOURCE}
      -D ANYSSR_INSTALL=${along})
  run(${CMAKE_COMMAND} --build ${dir}/build-${along})
  run(${CMAKE_COMMAND} --install ${dir}/build-${along} --prefix ${prefix})
  if(NOT along)
    if(EXISTS ${prefix}/include/anyssr)
      message(FATAL_ERROR "the user's install step installs anyssr without ANYSSR_INSTALL")
    endif()
    run(${CMAKE_COMMAND} --install ${BINARY} --prefix ${prefix})
  endif()
  run(${CMAKE_COMMAND} -S ${dir}/user -B ${dir}/user-${along} ${settings}
      -D CMAKE_PREFIX_PATH=${prefix})
  run(${CMAKE_COMMAND} --build ${dir}/user-${along})
  run(${dir}/user-${along}/user)
endforeach()
