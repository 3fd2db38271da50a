#!/usr/bin/env bash
# Runs the micro benches, and says how to run the comparison; with --smoke runs a little of both,
# to see that they work.
# bench.sh BIN_DIR [--smoke]
set -euo pipefail
# shellcheck source=tools/dev/messages.sh
source "$(dirname "${BASH_SOURCE[0]}")/messages.sh"

bin=$1
smoke=${2:-}

run_micro_benches() {
  local bench found=
  for bench in "$bin"/*_bench; do
    [[ -x $bench ]] || continue
    found=1
    heading "$(basename "$bench")"
    "$bench" ${smoke:+--benchmark_min_time=0.01}
  done
  [[ -n $found ]] || fail "there is no micro bench in $bin"
}

run_micro_benches
if [[ -n $smoke ]]; then
  heading "weft-compare, shortened"
  "$bin/weft-compare" --quick --rounds 1 --cases 64x64
else
  printf '\nThe comparison of the README (20 rounds, all rows):\n  %s --full\n' \
    "${bin#"$PWD"/}/weft-compare"
fi
