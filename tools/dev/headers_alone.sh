#!/usr/bin/env bash
# Compiles every header of the tree alone: what it uses, it includes. A header of a library sees that
# library and those below it, and its own src/ if it lies there; one of the tests also that of fiber/.
# headers_alone.sh ROOT    prints the compiler's complaints; exit 1 if there were some
set -euo pipefail

root=$1
jobs=${WEFT_JOBS:-$(nproc)}
export CXX=${CXX:-g++}

# What the build chooses for WEFT_CONTEXT=auto; installed headers must not ask for it.
context=WEFT_CONTEXT_FCONTEXT
[[ $(uname -m) != x86_64 ]] || context=WEFT_CONTEXT_NATIVE
export context

# Headers of tests name strings that CMake hands them, such as WEFT_BIN_DIR.
test_macros=$(find "$root/test" "$root/cmake" \( -name CMakeLists.txt -o -name '*.cmake' \) \
  -exec grep -ohE '\bWEFT_[A-Z_]+="' {} + 2>/dev/null | sort -u | sed 's/.*/-D&"/' | tr '\n' ' ')
export test_macros

# Prints the -I and -D options of a header.
include_path() {
  local file=$1 name
  local -a below=(fiber net dns patch)
  case $file in
    fiber/guest/*) below=(fiber net fiber/guest) ;;
    fiber/*) below=(fiber) ;;
    net/*) below=(fiber net) ;;
    dns/*) below=(fiber net dns) ;;
    patch/*) ;;
    test/*) printf -- '%s -Itools/include -Itest -I%s -Ifiber/src -D%s ' "$test_macros" \
      "$(dirname "$file")" "$context" ;;
    bench/compare/servers/*) printf -- '-Itools/include -Iexample -I%s ' "$(dirname "$file")" ;;
    *) printf -- '-Itools/include -I%s -I%s ' "${file%%/*}" "$(dirname "$file")" ;;
  esac
  for name in "${below[@]}"; do
    [[ ! -d $name/include ]] || printf -- '-I%s/include ' "$name"
  done
  [[ $file != */src/* ]] || printf -- '-I%s -D%s ' "${file%%/src/*}/src" "$context"
}

# Installed headers are included as users do, others by their path.
compile_alone() {
  local file=$1 name=$1
  local -a options
  if [[ $boost == absent ]] && grep -q 'include <boost/' "$file"; then
    echo "$file: not checked, for Boost is not installed"
    return
  fi
  read -ra options <<<"$(include_path "$file")"
  [[ $file != */include/* ]] || name=${file#*/include/}
  printf '#include "%s"\n' "$name" |
    "$CXX" -std=c++20 -fsyntax-only -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror -I. \
      "${options[@]}" -x c++ - || { echo "$file does not compile alone" && return 1; }
}
export -f include_path compile_alone

# Boost is asked for only by the presets that use it.
boost=absent
! "$CXX" -E -x c++ - <<<'#include <boost/version.hpp>' >/dev/null 2>&1 || boost=present
export boost

cd "$root"
folders=()
for folder in fiber net dns patch tools bench example test; do
  [[ ! -d $folder ]] || folders+=("$folder")
done
count=$(find "${folders[@]}" -name '*.hpp' | wc -l)
((count > 0)) || { echo "headers_alone: $root holds no header" >&2 && exit 1; }
# shellcheck disable=SC2016 # the inner shell expands them
find "${folders[@]}" -name '*.hpp' -print0 | sort -z |
  xargs -0 -n 1 -P "$jobs" bash -c 'compile_alone "$1"' headers_alone || exit 1
echo "headers_alone: $count headers compile alone"
