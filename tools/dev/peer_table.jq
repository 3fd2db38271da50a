# Puts medians of the micro benches into one table: what weft takes, and what its baseline and its
# peers take. Input: the reports of Google Benchmark, as an array (--slurp). Prints Markdown.

def peers: ["boost", "asio", "state-threads", "go", "threads"];
def headings: ["Boost", "Asio", "State Threads", "Go", "threads"];

# Rows of which another bench measures both: what they say (weft; baseline), the bench, the names.
def baselines: [
  ["lock and unlock a mutex; `std::mutex`", "sync_bench", "mutex_pair_of_a_fiber", "std_mutex_pair"],
  ["enter and leave a timeout; read the clock", "time_bench", "timeout_scope", "clock_read"],
  ["arm and cancel a timer; `std::multimap`", "timer_wheel_bench", "timer_wheel_arm_cancel", "multimap_arm_cancel"],
  ["a timer fires; `std::multimap`", "timer_wheel_bench", "timer_wheel_fire", "multimap_fire"],
  ["wake a fiber of another worker; a locked exchange", "remote_wake_bench", "wake_busy_worker", "locked_exchange"],
  ["await a coroutine that need not wait; call a function", "coroutine_bench", "await_of_a_ready_child", "call_of_a_function"],
  ["frame of a coroutine; `operator new`", "coroutine_bench", "frame_from_the_cache", "frame_from_the_heap"],
  ["memory of a parked coroutine; of a fiber", "parked_bench", "parked_coroutines", "parked_fibers"],
  ["yield among 2; without wait notes", "aids_bench", "yield_among_2/noted", "yield_among_2/bare"],
  ["yield among 2; the same code once more", "aids_bench", "yield_among_2/noted", "yield_among_2/again"],
  ["yield among 100; without wait notes", "aids_bench", "yield_among_100/noted", "yield_among_100/bare"],
  ["yield among 100; the same code once more", "aids_bench", "yield_among_100/noted", "yield_among_100/again"],
  ["park and wake; without wait notes", "aids_bench", "park_and_wake/noted", "park_and_wake/bare"],
  ["park and wake; the same code once more", "aids_bench", "park_and_wake/noted", "park_and_wake/again"]];

def digits: if . < 1e4 then tostring | .[:4] | rtrimstr(".") else round | tostring end;

# {name, value, unit}, or {name, missing} where it has not been measured.
def measured:
  {bench: .bench, name: (.run_name | gsub("/((repeats|iterations):[0-9]+|min_time:[0-9.]+|manual_time|process_time)"; ""))}
  + if .error_occurred then {missing: (.error_message | if startswith("not installed") then "not installed" else "failed" end)}
    elif .bytes then {value: .bytes, unit: "B"}
    elif .items_per_second then {value: (1e9 / .items_per_second), unit: "ns"}
    elif .run_name | contains("/manual_time") then {value: .real_time, unit: .time_unit}
    else {value: .cpu_time, unit: .time_unit} end;

def cell: if . == null then "–" elif .missing then .missing else "\(.value | digits) \(.unit)" end;

# Of what weft takes to the least of the others.
def ratio($others): [$others[] | .value // empty] as $values
  | if .value and ($values | length) > 0 then (.value / ($values | min) * 1000 | round / 1000 | tostring) else "–" end;

def row_of($text; $weft; $baseline; $others):
  "| \($text) | \($weft | cell) | \($baseline | cell) | \($others | map(cell) | join(" | ")) | \($weft | ratio($others + [$baseline | values])) |";

[.[] | (.context.executable | sub(".*/"; "")) as $bench | .benchmarks[] | . + {$bench}
  | select(.aggregate_name == "median" or .error_occurred)]
| sort_by(.family_index, .per_family_instance_index) | map(measured) as $all
| ($all | map({key: "\(.bench) \(.name)", value: .}) | from_entries) as $by_name
| "| operation | weft | baseline | \(headings | join(" | ")) | weft / best |",
  "|---|---:|---:|\(peers | map("---:|") | add)---:|",
  ($all[] | select(.bench == "peer_bench" and (.name | endswith("/weft"))) | (.name | rtrimstr("/weft")) as $row
   | row_of($row | gsub("_"; " ") | sub("mxcsr"; "MXCSR"); .; null; [peers[] as $peer | $by_name["peer_bench \($row)/\($peer)"]])),
  (baselines[] as [$text, $bench, $weft, $baseline]
   | row_of($text; $by_name["\($bench) \($weft)"]; $by_name["\($bench) \($baseline)"]; [peers[] | null]))
