# SPDX-License-Identifier: MIT
# anyssr_header_chains(RESULT ROOT HEADERS...): the headers, paths below ROOT, in chains "A|B|C": each
# header includes the one before it, directly or not. Compiled in this order in one file, a header
# finds nothing there that it does not include itself: it compiles as if it were alone, in a fraction
# of the time.
function(anyssr_header_chains result root)
  set(keys "")
  foreach(header IN LISTS ARGN)
    _anyssr_reach(${root} ${header})
    get_property(reached GLOBAL PROPERTY anyssr_reach_${header})
    list(LENGTH reached count)
    math(EXPR count "1000 + ${count}")
    list(APPEND keys "${count}:${header}")
  endforeach()
  list(SORT keys ORDER DESCENDING) # from the widest down
  list(TRANSFORM keys REPLACE "^[0-9]+:" "" OUTPUT_VARIABLE left)
  set(chains "")
  while(left)
    list(POP_FRONT left chain)
    get_property(reached GLOBAL PROPERTY anyssr_reach_${chain})
    foreach(header IN LISTS left)
      if(header IN_LIST reached)
        string(PREPEND chain "${header}|")
        list(REMOVE_ITEM left ${header})
        get_property(reached GLOBAL PROPERTY anyssr_reach_${header})
      endif()
    endforeach()
    list(APPEND chains ${chain})
  endwhile()
  set(${result} ${chains} PARENT_SCOPE)
endfunction()

# What a header includes of this project, directly or not, itself too.
function(_anyssr_reach root header)
  get_property(known GLOBAL PROPERTY anyssr_reach_${header} SET)
  if(known)
    return()
  endif()
  set_property(GLOBAL PROPERTY anyssr_reach_${header} ${header}) # a class and its bodies include each other
  set(reached ${header})
  file(STRINGS ${root}/${header} lines REGEX "^#include \"anyssr/")
  list(FILTER lines EXCLUDE REGEX "/instantiate/") # in programs that link anyssr::compiled alone
  foreach(line IN LISTS lines)
    string(REGEX REPLACE "^#include \"([^\"]+)\".*" "\\1" included "${line}")
    _anyssr_reach(${root} ${included})
    get_property(more GLOBAL PROPERTY anyssr_reach_${included})
    list(APPEND reached ${more})
  endforeach()
  list(REMOVE_DUPLICATES reached)
  set_property(GLOBAL PROPERTY anyssr_reach_${header} ${reached})
endfunction()
