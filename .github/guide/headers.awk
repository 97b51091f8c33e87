#!/usr/bin/awk -f
# SPDX-License-Identifier: MIT
# What Doxygen is to see of a header: the names that programs write (not the inline namespace), formulas
# as code blocks (Markdown wants four columns more than our comments indent them), and the errors of one
# @throws as one word, which is all that Doxygen takes for a name. No line moves.
{
  sub(/^namespace anyssr::inline ANYSSR_ABI/, "namespace anyssr")
  if (!match($0, /^ *\/\/\//)) {
    blank = 1
    formula = 0
    print
    next
  }
  mark = substr($0, 1, RLENGTH)
  text = substr($0, RLENGTH + 1)
  formula = text ~ /^   +[^ ]/ && (blank || formula)
  blank = text ~ /^ *$/
  if (match(text, /@throws [A-Z][A-Za-z]*(, [A-Z][A-Za-z]*)+/)) {
    names = substr(text, RSTART + 8, RLENGTH - 8)
    rest = substr(text, RSTART + RLENGTH)
    gsub(/, /, ",", names)
    text = substr(text, 1, RSTART + 7) names rest
  }
  print mark (formula ? "    " : "") text
}
