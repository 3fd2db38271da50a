#!/usr/bin/env bash
# Installs a build of weft and moves what was installed: nothing in it may name its first place.
# install_and_move.sh CMAKE BUILD_DIR PREFIX
set -euo pipefail

cmake=$1
build=$2
prefix=$3

rm -rf "$prefix" "$prefix.first"
"$cmake" --install "$build" --prefix "$prefix.first"
mv "$prefix.first" "$prefix"
if grep -rlF "$prefix.first" "$prefix"; then
  echo "these files name the folder they were first installed to" >&2
  exit 1
fi
