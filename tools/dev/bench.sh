#!/usr/bin/env bash
# Runs the micro benches and puts their table into bench/RESULTS.md, and says how to run the
# comparison; with --smoke runs a little of both, to see that they work, and writes nothing.
# bench.sh ROOT BIN_DIR [--smoke]
set -euo pipefail
# shellcheck source=tools/dev/messages.sh
source "$(dirname "${BASH_SOURCE[0]}")/messages.sh"

root=$1
bin=$2
smoke=${3:-}
results=$root/bench/RESULTS.md
begin_mark='<!-- micro benches: begin -->'
end_mark='<!-- micro benches: end -->'
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

run_micro_benches() {
  local bench name found=
  local -a options=(--benchmark_repetitions=5 --benchmark_enable_random_interleaving=true
    --benchmark_display_aggregates_only=true)
  [[ -z $smoke ]] || options=(--benchmark_min_time=0.01)
  for bench in "$bin"/*_bench; do
    [[ -x $bench ]] || continue
    found=1
    name=$(basename "$bench")
    heading "$name"
    "$bench" "${options[@]}" --benchmark_out="$work/$name.csv" --benchmark_out_format=csv
  done
  [[ -n $found ]] || fail "there is no micro bench in $bin"
}

# Prints the medians of one bench as rows of Markdown.
median_rows() {
  awk -F, -v bench="$(basename "$1" .csv)" '
    /^name,/ { inside = 1; next }
    inside && $1 ~ /_median"?$/ {
      name = $1; gsub(/"/, "", name); sub(/_median$/, "", name)
      gsub(/\/(repeats|iterations):[0-9]+|\/manual_time/, "", name)
      printf "| %s | %s | %.4g %s |\n", bench, name, $4, $5
    }' "$1"
}

micro_part() {
  printf '%s\n## Micro benches\n\n' "$begin_mark"
  printf '%s, %s, commit %s. CPU time of an operation, median of five repetitions; what each is, and its\n' \
    "$(date --utc +%Y-%m-%d)" "$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1)" \
    "$(git -C "$root" rev-parse --short HEAD 2>/dev/null || echo unknown)"
  printf 'baseline, stands at the top of its source in bench/micro.\n\n'
  printf '| bench | operation | median |\n|---|---|---:|\n'
  local file
  for file in "$work"/*.csv; do median_rows "$file"; done
  printf '%s\n' "$end_mark"
}

# Puts the part into the place of that of an earlier run, or at the end.
write_results() {
  micro_part >"$work/part.md"
  [[ -f $results ]] || echo '# Results' >"$results"
  awk -v begin="$begin_mark" -v end="$end_mark" -v part="$work/part.md" '
    function put() { while ((getline line <part) > 0) print line; done = 1 }
    $0 == begin { put(); inside = 1 }
    !inside { print }
    $0 == end { inside = 0 }
    END { if (!done) { print ""; put() } }' "$results" >"$work/results.md"
  cp "$work/results.md" "$results"
  printf '\nwritten: %s\n' "${results#"$PWD"/}"
}

run_micro_benches
if [[ -n $smoke ]]; then
  heading "weft-compare, shortened"
  "$bin/weft-compare" --quick --rounds 1 --warm-up-rounds 0 --cases 64x64
else
  write_results
  printf '\nThe comparison of servers (20 rounds, all rows), into the same file:\n  %s --full\n' \
    "${bin#"$PWD"/}/weft-compare"
fi
