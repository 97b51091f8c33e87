# SPDX-License-Identifier: MIT
# For the scripts beside this one: what README.md tells a new user to type.
# shellcheck shell=bash

readme_command() { # the sh block of README.md below <!-- command: NAME -->
  local command
  command=$(awk -v mark="<!-- command: $1 -->" '
    $0 == mark { found = 1 }
    found && $0 == "```" { exit }
    inside { print }
    found && $0 == "```sh" { inside = 1 }' README.md)
  [ -n "$command" ] || { echo "README.md has no command $1" >&2; return 1; }
  printf '%s\n' "$command"
}

# Before a command: its cmake runs without network where the system allows that, so that configuring
# finds what apt-get installed or fails.
# shellcheck disable=SC2016 # the shell that runs the command expands
without_network='
cmake() {
  if unshare --net true 2>/dev/null; then unshare --net cmake "$@"; else command cmake "$@"; fi
}
'
