# SPDX-License-Identifier: MIT
# On a machine without Catch2 the project is configured for its programs all the same: nothing is
# downloaded, and `check` fails with a message that says what to install.
set(dir ${BINARY}/package/bare)
file(REMOVE_RECURSE ${dir})
execute_process(
  COMMAND ${CMAKE_COMMAND} -S ${SOURCE} -B ${dir} -G ${GENERATOR} -D CMAKE_CXX_COMPILER=${COMPILER}
          -D CMAKE_DISABLE_FIND_PACKAGE_Catch2=ON -D Eigen3_DIR=${EIGEN_DIR}
          -D nlohmann_json_DIR=${JSON_DIR} -D CLI11_DIR=${CLI_DIR}
  RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
if(NOT status EQUAL 0 OR NOT output MATCHES "Tests are left out: Catch2 .* is not installed" OR
   output MATCHES "downloading" OR EXISTS ${dir}/_deps)
  message(FATAL_ERROR "configuring without Catch2 ended with ${status}:\n${output}")
endif()
execute_process(COMMAND ${CMAKE_COMMAND} --build ${dir} --target check RESULT_VARIABLE status
                OUTPUT_VARIABLE output ERROR_VARIABLE output)
if(status EQUAL 0 OR NOT output MATCHES "Debian, Ubuntu: catch2")
  message(FATAL_ERROR "check without Catch2 ended with ${status}:\n${output}")
endif()
execute_process(COMMAND ${CMAKE_COMMAND} --build ${dir} --target help OUTPUT_VARIABLE output)
if(NOT output MATCHES "demo")
  message(FATAL_ERROR "there is no target demo, only\n${output}")
endif()
