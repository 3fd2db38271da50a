#!/usr/bin/env bash
# Shows that the table of the micro benches has the right figures in the right columns.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
bad=0

# Prints a median as Google Benchmark does. median NAME FAMILY MEMBERS
median() {
  printf '{"name": "%s_median", "run_name": "%s", "family_index": %d, "per_family_instance_index": 0,
    "aggregate_name": "median", "cpu_time": 1, "real_time": 1, "time_unit": "ns", %s},' "$1" "$1" "$2" "$3"
}

# Of a row that has no figure.
error() {
  printf '{"name": "%s", "run_name": "%s", "family_index": %d, "per_family_instance_index": 0,
    "error_occurred": true, "error_message": "%s"},' "$1" "$1" "$2" "$3"
}

# report EXECUTABLE BENCHMARKS
report() { printf '{"context": {"executable": "/a/b/%s"}, "benchmarks": [%s]}\n' "$1" "${2%,}"; }

reports() {
  report peer_bench "$(
    median yield/weft 0 '"cpu_time": 6'
    median task/weft/iterations:1/manual_time 1 '"bytes": 4000'
    median lock/weft 2 '"items_per_second": 5e7, "cpu_time": 80'
    median lock/threads/process_time 3 '"items_per_second": 1e6'
    median yield/asio/repeats:5 4 '"cpu_time": 107.25'
    median yield/boost 5 '"cpu_time": 60'
    median task/asio/iterations:1/manual_time 6 '"bytes": 1000'
    median yield/go/iterations:1/manual_time 7 '"real_time": 66, "cpu_time": 9e6'
    error yield/state-threads 8 'not installed: libst-dev'
    error task/go 9 'no figure from: tasks-go'
  )"
  report sync_bench "$(
    median std_mutex_pair 0 '"cpu_time": 10'
    median mutex_pair_of_a_fiber/min_time:0.100/repeats:25 1 '"cpu_time": 15'
  )"
}

# expect TABLE LINE
expect() {
  grep -qxF -- "$2" <<<"$1" || { printf 'the table lacks this line:\n%s\n' "$2" && bad=1; }
}

table=$(reports | jq --slurp --raw-output --from-file "$here/peer_table.jq")
expect "$table" '| operation | weft | baseline | Boost | Asio | State Threads | Go | threads | weft / best |'
expect "$table" '| yield | 6 ns | – | 60 ns | 107 ns | not installed | 66 ns | – | 0.1 |'
expect "$table" '| task | 4000 B | – | – | 1000 B | – | failed | – | 4 |'
expect "$table" '| lock | 20 ns | – | – | – | – | – | 1000 ns | 0.02 |'
# shellcheck disable=SC2016 # it is Markdown
expect "$table" '| lock and unlock a mutex; `std::mutex` | 15 ns | 10 ns | – | – | – | – | – | 1.5 |'
((bad == 0)) || printf 'it is:\n%s\n' "$table"
exit "$bad"
