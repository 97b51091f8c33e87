# SPDX-License-Identifier: MIT
# The component `compiled` is installed, moved, found and linked by a user's project; where it is not
# installed the user is told. Its library is the one of this build (LIBRARY): compiling takes minutes.
set(dir ${BINARY}/package/compiled)
file(REMOVE_RECURSE ${dir})
file(MAKE_DIRECTORY ${dir}/source)

include(${CMAKE_CURRENT_LIST_DIR}/run.cmake)

set(options -G ${GENERATOR} -D CMAKE_CXX_COMPILER=${COMPILER} -D Eigen3_DIR=${EIGEN_DIR}
            -D CMAKE_BUILD_TYPE=Release)
foreach(compiled IN ITEMS OFF ON)
  set(build ${dir}/build-${compiled})
  run(${CMAKE_COMMAND} -S ${SOURCE} -B ${build} ${options} -D ANYSSR_COMPILED=${compiled}
      -D ANYSSR_NATIVE=${NATIVE} -D ANYSSR_BUILD_TESTS=OFF -D ANYSSR_BUILD_EXAMPLES=OFF
      -D ANYSSR_WITH_SENTENCEPIECE=OFF -D ANYSSR_WITH_TOKENIZERS=OFF -D nlohmann_json_DIR=${JSON_DIR})
  if(compiled)
    file(COPY ${LIBRARY} DESTINATION ${build})
  endif()
  run(${CMAKE_COMMAND} --install ${build} --prefix ${dir}/first)
  file(RENAME ${dir}/first ${dir}/prefix-${compiled})
endforeach()

file(COPY ${SOURCE}/examples/two_tasks.cpp DESTINATION ${dir}/source)
file(WRITE ${dir}/source/CMakeLists.txt [=[
cmake_minimum_required(VERSION 3.22)
project(user LANGUAGES CXX)
find_package(anyssr REQUIRED COMPONENTS compiled)
add_executable(two_tasks two_tasks.cpp)
target_link_libraries(two_tasks PRIVATE anyssr::compiled)
]=])
execute_process(
  COMMAND ${CMAKE_COMMAND} -S ${dir}/source -B ${dir}/user ${options}
          -D CMAKE_PREFIX_PATH=${dir}/prefix-OFF
  RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
if(status EQUAL 0 OR NOT output MATCHES "compiled is not[ \n]+installed")
  message(FATAL_ERROR "a component that is not installed is found, or its lack not explained:\n${output}")
endif()
file(REMOVE_RECURSE ${dir}/user)
run(${CMAKE_COMMAND} -S ${dir}/source -B ${dir}/user ${options} -D CMAKE_PREFIX_PATH=${dir}/prefix-ON)
run(${CMAKE_COMMAND} --build ${dir}/user)
run(${dir}/user/two_tasks)
if(NOT output MATCHES "banking, intent 1.*travel, intent 0")
  message(FATAL_ERROR "the user's program printed '${output}'")
endif()
