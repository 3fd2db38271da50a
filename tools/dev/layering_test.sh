#!/usr/bin/env bash
# Shows that layering.sh accepts what is allowed and finds each kind of violation.
# layering_test.sh SCRATCH
set -euo pipefail

check=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/layering.sh
tree=$1
bad=0

# A small tree that breaks no rule.
clean_tree() {
  rm -rf "$tree"
  mkdir -p "$tree"/{fiber,net}/{include/weft,src} "$tree"/test/{net,support} "$tree"/{bench/micro,example/echo}
  mkdir -p "$tree"/{fiber/include/weft/fiber,net/include/weft/net}
  echo '#include <weft/fiber/run.hpp>' >"$tree/fiber/include/weft/fiber.hpp"
  echo '#include <weft/fiber.hpp>' >"$tree/fiber/include/weft/co.hpp"
  echo '#include <vector>' >"$tree/fiber/include/weft/fiber/run.hpp"
  echo '#pragma once' >"$tree/fiber/src/slab.hpp"
  printf '#include "slab.hpp"\n' >"$tree/fiber/src/slab.cpp"
  printf '#include <weft/fiber/run.hpp>\n' >"$tree/net/include/weft/net/socket.hpp"
  echo '#pragma once' >"$tree/net/src/poller.hpp"
  printf '#include "poller.hpp"\n#include <weft/fiber.hpp>\n' >"$tree/net/src/poller.cpp"
  echo '#pragma once' >"$tree/test/support/process.hpp"
  echo '#include "slab.hpp"' >"$tree/bench/micro/slab_bench.cpp"
  printf '#include "poller.hpp"\n#include "../support/process.hpp"\n' >"$tree/test/net/poller_test.cpp"
  printf '#include <weft/net/socket.hpp>\n#include <weft/tools/x.hpp>\n' >"$tree/example/echo/echo.cpp"
  echo '#include <weft/co.hpp>' >>"$tree/example/echo/echo.cpp"
}

# finds FILE INCLUDE WORDS: with that line added to the file, the check fails and says the words.
finds() {
  local output
  clean_tree
  echo "#  include $2" >>"$tree/$1"
  if output=$("$check" "$tree"); then
    echo "not found: $2 in $1"
    bad=1
  elif [[ $output != "$1:"[0-9]*": "*"$3"* ]]; then
    echo "said of $2 in $1: $output; expected: $3"
    bad=1
  fi
}

clean_tree
"$check" "$tree" || bad=1
finds fiber/src/slab.cpp '<weft/net/socket.hpp>' 'fiber includes net, which is above it'
finds fiber/src/slab.cpp '"weft/net.hpp"' 'fiber includes net, which is above it'
finds net/src/poller.cpp '<weft/dns.hpp>' 'net includes dns, which is above it'
finds net/src/poller.cpp '<weft/nte/socket.hpp>' "no library 'nte'"
finds net/src/poller.cpp '<weft/tools/x.hpp>' 'includes the command-line tools'
finds net/src/poller.cpp '<weft/guest/algorithm.hpp>' 'net includes fiber/guest'
finds net/src/poller.cpp '"slab.hpp"' 'private to fiber'
finds net/src/poller.cpp '"../../fiber/src/slab.hpp"' 'leaves net/'
finds test/net/poller_test.cpp '"slab.hpp"' 'private to fiber'
finds example/echo/echo.cpp '"poller.hpp"' 'private to net'
finds example/echo/echo.cpp '<net/src/poller.hpp>' 'is private'
finds net/include/weft/net/socket.hpp '"../../../src/poller.hpp"' 'this header is installed'
finds net/include/weft/net/socket.hpp '"poller.hpp"' 'installed headers include <weft/...>'
exit "$bad"
