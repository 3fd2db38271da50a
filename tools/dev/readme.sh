#!/usr/bin/env bash
# Checks that the server in README.md is the one that is built: example/basics/first_server.cpp, every
# line of it indented by four.
# readme.sh ROOT
set -euo pipefail

root=$1
shown=$(sed -n '/^## A server$/,/^It is /p' "$root/README.md" | sed -n 's/^    //p; /^$/p')
built=$(<"$root/example/basics/first_server.cpp")
# The section also ends and begins with an empty line, which $() and the pattern drop.
if [[ ${shown#$'\n'} != "$built" ]]; then
  echo "README.md shows another server than example/basics/first_server.cpp; make them equal" >&2
  diff <(printf '%s\n' "${shown#$'\n'}") <(printf '%s\n' "$built") >&2 || true
  exit 1
fi
