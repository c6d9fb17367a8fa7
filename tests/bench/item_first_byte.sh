#!/bin/bash
# How soon a new stream answers: 40 ms there and back, server beside the origin.
#
#   client --- line 100@20 --- server --- origin
#
# The session has been idle for 5 s. Time is from connect() to the local listener
# to the first byte of the answer. Beside it: the same over plain TCP, no daemon.
# shellcheck source=tests/bench/lib.sh
. "$(dirname "$0")/lib.sh"

PAIR_CLIENT_EXTRA="[listen answer]
type = forward
address = 127.0.0.1:7007
transport = $PAIR_TRANSPORT
target = $LAB_ORIGIN4:7007"

# tries WHO HOST
tries()
{
	local raw=$BENCH_RAW-$1.ms
	if ! lab_in client timeout 120 tests/bench/streams.py first "$2" 7007 30 >"$raw" ||
		[ "$(wc -l <"$raw")" != 30 ]; then
		record "who=$1 error=$(wc -l <"$raw")_of_30"
		return
	fi
	record "who=$1 $(sort -n "$raw" | awk '{ v[NR] = $1 } END {
		printf "median_ms=%.1f p95_ms=%.1f worst_ms=%.1f\n", (v[15] + v[16]) / 2, v[29], v[30]
	}')"
}

lab_start
lab_uplink line 100mbit 20ms
lab_spawn origin tests/bench/streams.py answer 7007
wait_until 5 listens origin 7007 || lab_die "streams.py does not listen"
pair_again
tries ours 127.0.0.1
tries tcp $LAB_ORIGIN4
