# SPDX-License-Identifier: MIT
# Two dependencies of a user bring the library along, by any two of add_subdirectory, FetchContent
# and find_package. Included by consumers.cmake.
set(ways add_subdirectory FetchContent find_package)
run(${CMAKE_COMMAND} --install ${BINARY} --prefix ${dir}/installed)
file(WRITE ${dir}/source/CMakeLists.txt [=[
cmake_minimum_required(VERSION 3.22)
project(user LANGUAGES CXX)
add_subdirectory(first)
add_subdirectory(second)
target_link_libraries(user_of_first INTERFACE user_of_second)
]=])
set(add_subdirectory "add_subdirectory(\${SOURCE} anyssr)")
set(FetchContent "include(FetchContent)\nFetchContent_Declare(anyssr_of_\${part} SOURCE_DIR \${SOURCE})\n"
                 "FetchContent_MakeAvailable(anyssr_of_\${part})")
set(find_package "find_package(anyssr REQUIRED)")
foreach(first IN LISTS ways)
  foreach(second IN LISTS ways)
    foreach(part first second)
      file(WRITE ${dir}/source/${part}/CMakeLists.txt
           "set(part ${part})\n" ${${${part}}}
           "\nadd_library(user_of_\${part} INTERFACE)\n"
           "target_link_libraries(user_of_\${part} INTERFACE anyssr::anyssr)\n"
           "if(NOT TARGET anyssr::anyssr)\n  message(FATAL_ERROR \"no anyssr::anyssr\")\nendif()\n")
    endforeach()
    run(${CMAKE_COMMAND} -S ${dir}/source -B ${dir}/${first}-${second} -G ${GENERATOR}
        -D CMAKE_CXX_COMPILER=${COMPILER} -D Eigen3_DIR=${EIGEN_DIR} -D SOURCE=${SOURCE}
        -D CMAKE_PREFIX_PATH=${dir}/installed)
  endforeach()
endforeach()
