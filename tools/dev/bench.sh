#!/usr/bin/env bash
# Runs the micro benches and puts their tables into bench/RESULTS.md, that beside baselines and peers
# first, and says how to run the comparison; with --smoke runs a little of both, to see that they work, and writes no file.
# bench.sh ROOT BIN_DIR [--smoke]
set -euo pipefail
# shellcheck source=tools/dev/messages.sh
source "$(dirname "${BASH_SOURCE[0]}")/messages.sh"

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
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
  local -a options=(--benchmark_repetitions=5)
  if [[ -n $smoke ]]; then
    options=(--benchmark_repetitions=2 --benchmark_min_time=0.01
      --benchmark_filter=-/1000000_fibers/)
    export WEFT_BENCH_BRIEF=1 # see bench/micro/micro_bench.hpp
  fi
  options+=(--benchmark_enable_random_interleaving=true --benchmark_display_aggregates_only=true)
  for bench in "$bin"/*_bench; do
    [[ -x $bench ]] || continue
    found=1
    name=$(basename "$bench")
    heading "$name"
    # As JSON: as CSV, a counter that one of the benches lacks ends the program (Google Benchmark
    # 1.7, csv_reporter.cc).
    "$bench" "${options[@]}" --benchmark_out="$work/$name.json" --benchmark_out_format=json
    require_figures "$work/$name.json"
  done
  [[ -n $found ]] || fail "there is no micro bench in $bin"
}

# A row without a figure is right only for a peer that is not installed.
require_figures() {
  local failed
  failed=$(jq --raw-output '.benchmarks[] | select(.error_occurred)
    | select(.error_message | startswith("not installed") | not) | "\(.run_name): \(.error_message)"' "$1")
  [[ -z $failed ]] || fail "no figure of $failed"
}

# Prints the medians of one bench, and what it counts beside the time, as rows of Markdown. Where it
# says how many items a second, the time of an item.
median_rows() {
  jq --raw-output --arg bench "$(basename "$1" .json)" '
    def digits: if . < 1e4 then tostring | .[:5] | rtrimstr(".") else round | tostring end;
    def known: ["name", "label", "family_index", "per_family_instance_index", "run_name", "run_type",
      "repetitions", "threads", "aggregate_name", "aggregate_unit", "iterations", "real_time",
      "cpu_time", "time_unit", "items_per_second"];
    def time: if .items_per_second then "\(1e9 / .items_per_second | digits) ns"
      elif .name | contains("/manual_time") then "\(.real_time | digits) \(.time_unit)"
      else "\(.cpu_time | digits) \(.time_unit)" end;
    def counters: with_entries(select(.key as $key | known | index($key) | not)) | to_entries
      | map(", \(.key) \(.value | digits)") | join("");
    .benchmarks | map(select(.aggregate_name == "median"))
    | sort_by(.family_index, .per_family_instance_index) | .[]
    | (.run_name | gsub("/((repeats|iterations):[0-9]+|min_time:[0-9.]+|manual_time)"; "")) as $name
    | "| \($bench) | \($name) | \(time)\(counters) |"' "$1"
}

micro_part() {
  printf '%s\n## Micro benches\n\n' "$begin_mark"
  printf '%s, %s, commit %s. ns of CPU of an operation, median of the repetitions.\n\n' \
    "$(date --utc +%Y-%m-%d)" "$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1)" \
    "$(git -C "$root" rev-parse --short HEAD 2>/dev/null || echo unknown)"
  printf '### Beside baselines and peers\n\n'
  printf 'What each row does, and what makes it fair: [doc/benches.md](../doc/benches.md). MXCSR as each run began: %s.\n\n' \
    "$(mxcsr_of_runs)"
  jq --slurp --raw-output --from-file "$here/peer_table.jq" "$work"/*.json
  printf '\n### All of weft\n\n'
  printf 'What each is, and its baseline, stands at the top of its source in bench/micro.\n\n'
  printf '| bench | operation | median |\n|---|---|---:|\n'
  local file
  for file in "$work"/*.json; do
    [[ $file == */peer_bench.json ]] || median_rows "$file"
  done
  printf '%s\n' "$end_mark"
}

# Those of the peers' rows: `1fa0`, and where the two sides of a switch differ `1f80 and 1fa0`.
mxcsr_of_runs() {
  [[ -f $work/peer_bench.json ]] || return 0
  jq --raw-output '[.benchmarks[].label // empty | ltrimstr("mxcsr ")] | unique | join(", ")' "$work/peer_bench.json"
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
  micro_part
  heading "weft-compare, shortened"
  "$bin/weft-compare" --quick --rounds 1 --warm-up-rounds 0 --cases 64x64
else
  write_results
  printf '\nThe comparison of servers (20 rounds, all rows), into the same file:\n  %s --full\n' \
    "${bin#"$PWD"/}/weft-compare"
fi
