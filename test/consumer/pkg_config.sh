#!/usr/bin/env bash
# Builds the consumer with what pkg-config says about an installed weft, and runs it.
# pkg_config.sh COMPILER PREFIX LIBDIR SCRATCH
set -euo pipefail

compiler=$1
prefix=$2
libraries=$prefix/$3
scratch=$4
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

export PKG_CONFIG_PATH=$libraries/pkgconfig
mkdir -p "$scratch"
pkg-config --print-errors --exists weft-fiber weft-net
read -ra flags <<<"$(pkg-config --cflags weft-net)"
read -ra libs <<<"$(pkg-config --libs weft-net)"
echo "cflags: ${flags[*]}"
echo "libs: ${libs[*]}"
"$compiler" -std=c++20 -O1 "${flags[@]}" "$here/consumer.cpp" -o "$scratch/consumer" "${libs[@]}"
LD_LIBRARY_PATH=$libraries "$scratch/consumer"
