#!/usr/bin/env bash
# Checks that README.md shows what it says it shows: the server is example/basics/first_server.cpp,
# every line of it indented by four, and the table of numbers the overview in bench/RESULTS.md.
# readme.sh ROOT [--take]: with --take puts the overview into README.md instead of checking it.
set -euo pipefail

root=$1
readme=$root/README.md
results=$root/bench/RESULTS.md
begin_mark='<!-- overview: begin -->'
end_mark='<!-- overview: end -->'

# Prints what stands between the marks in a file.
overview_of() { awk -v begin="$begin_mark" -v end="$end_mark" '
  $0 == end { inside = 0 } inside { print } $0 == begin { inside = 1 }' "$1"; }

check_server() {
  local shown built
  shown=$(sed -n '/^## A server$/,/^It is /p' "$readme" | sed -n 's/^    //p; /^$/p')
  built=$(<"$root/example/basics/first_server.cpp")
  # The section also ends and begins with an empty line, which $() and the pattern drop.
  [[ ${shown#$'\n'} != "$built" ]] || return 0
  echo "README.md shows another server than example/basics/first_server.cpp; make them equal" >&2
  diff <(printf '%s\n' "${shown#$'\n'}") <(printf '%s\n' "$built") >&2 || true
  return 1
}

check_numbers() {
  [[ -n $(overview_of "$results") ]] || {
    echo "bench/RESULTS.md has no overview; weft-compare --full writes it" >&2
    return 1
  }
  diff <(overview_of "$readme") <(overview_of "$results") >&2 && return 0
  echo "README.md shows other numbers than bench/RESULTS.md; tools/dev/readme.sh . --take takes them over" >&2
  return 1
}

take_numbers() {
  local taken
  taken=$(mktemp)
  awk -v begin="$begin_mark" -v end="$end_mark" -v part=<(overview_of "$results") '
    $0 == end { inside = 0 }
    !inside { print }
    $0 == begin { inside = 1; while ((getline line <part) > 0) print line }' "$readme" >"$taken"
  cat "$taken" >"$readme"
  rm "$taken"
}

if [[ ${2:-} == --take ]]; then
  take_numbers
else
  check_server
  check_numbers
fi
