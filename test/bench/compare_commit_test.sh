#!/usr/bin/env bash
# Shows that the commit in the report is that of the moment of the build.
# compare_commit_test.sh CMAKE GIT SCRIPT SCRATCH
set -euo pipefail

cmake=$1 git=$2 script=$3 scratch=$4
tree=$scratch/checkout
header=$scratch/build_commit.hpp
bad=0

look_up() { "$cmake" -D "SOURCE=${1:-$tree}" -D "HEADER=$header" -D "GIT=$git" -P "$script"; }

# says PATTERN: the header has a commit that matches.
says() {
  grep -qE "^#define WEFT_COMPARE_COMMIT \"$1\"\$" "$header" || {
    echo "expected $1, the header says:" && cat "$header"
    bad=1
  }
}

in_tree() {
  GIT_CONFIG_GLOBAL=/dev/null "$git" -C "$tree" -c user.name=test -c user.email=test@localhost \
    -c commit.gpgsign=false "$@" >/dev/null
}

rm -rf "$scratch"
mkdir -p "$tree/inner"
echo one >"$tree/file"

look_up
says unknown

in_tree init --quiet --initial-branch=main
in_tree add file
in_tree commit -m first
look_up
says '[0-9a-f]{7,40}'
look_up "$tree/inner" # a folder of somebody else's checkout
says unknown

look_up
touch -d '2001-01-01' "$header"
look_up
[[ $(stat -c %Y "$header") == $(date -d '2001-01-01' +%s) ]] ||
  { echo "the header was written again without a change" && bad=1; }

echo two >"$tree/file"
look_up
says '[0-9a-f]{7,40}-dirty'
in_tree commit -a -m second
in_tree tag v1
look_up
says v1
exit "$bad"
