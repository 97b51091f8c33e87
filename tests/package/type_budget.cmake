# SPDX-License-Identifier: MIT
# Counts the Eigen types of a translation unit in what g++ wrote of its classes (-fdump-lang-class):
# its compile time hangs on them, about 4 + 0.009 n + 4.5e-5 n^2 seconds for n of them. No clock is
# read, so no load disturbs it.
#   cmake -D BUDGET=number -D DUMP=file -P type_budget.cmake
if(NOT EXISTS ${DUMP})
  message(FATAL_ERROR "${DUMP} is missing: build the target check")
endif()
file(STRINGS ${DUMP} types REGEX "^Class Eigen::DenseBase<")
list(REMOVE_DUPLICATES types)
list(LENGTH types count)
message(STATUS "${count} types, budget ${BUDGET}")
if(count EQUAL 0 OR count GREATER BUDGET)
  message(FATAL_ERROR "${count} Eigen types, expected 1 to ${BUDGET}")
endif()
