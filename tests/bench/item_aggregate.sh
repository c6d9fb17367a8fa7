#!/bin/bash
# One download over three uplinks: ours, raw kernel MPTCP, the best uplink alone.
#
#   client --- fibre 50@10, dsl 20@20, lte 30@15 --- server --- origin
#
# iperf3 -R every time: through our forward listener to the origin; to the server
# itself under mptcpize; to the server over fibre in plain TCP. Figure: what the
# receiver got after the first 3 s of 12, per second.
# shellcheck source=tests/bench/lib.sh
. "$(dirname "$0")/lib.sh"

PAIR_CLIENT_EXTRA="[listen iperf]
type = forward
address = 127.0.0.1:5201
target = $LAB_ORIGIN4:5201"

answers()
{
	lab_in "$1" ss -Hltn "sport = :$2" | grep -q .
}

start_iperfs()
{
	LAB_LOG=$LAB_DIR/iperf-origin.log lab_spawn origin iperf3 -s
	LAB_LOG=$LAB_DIR/iperf-plain.log lab_spawn server iperf3 -s -p 5202
	LAB_LOG=$LAB_DIR/iperf-mptcp.log lab_spawn server mptcpize run iperf3 -s -p 5203
	wait_until 5 answers origin 5201 && wait_until 5 answers server 5202 &&
		wait_until 5 answers server 5203 || lab_die "iperf3 does not start"
}

# measure WHO RUN CMD...: an iperf3 in the client's namespace
measure()
{
	local who=$1 run=$2 json
	local lanes=() name before after
	shift 2
	json=$BENCH_RAW-$who-$run.json
	for name in "${LAB_UPLINKS[@]}"; do
		lanes+=("$(lab_stat "$name/down" out_bytes)")
	done
	if ! lab_in client timeout 40 "$@" -J -R -t 12 -i 0.5 >"$json"; then
		record "who=$who run=$run error=$(jq -r '.error // "failed"' "$json" | tr ' ' _)"
		return
	fi
	after=
	for name in "${LAB_UPLINKS[@]}"; do
		before=${lanes[0]}
		lanes=("${lanes[@]:1}")
		after+=" $name=$((($(lab_stat "$name/down" out_bytes) - before) / 1000))"
	done
	record "who=$who run=$run mbit=$(jq '[.intervals[].sum | select(.start > 2.9)]
		| (map(.bytes) | add) * 8e-4 / (map(.seconds) | add) | round / 100' "$json")$after"
}

lab_start
lab_uplink fibre 50mbit 10ms
lab_uplink dsl 20mbit 20ms
lab_uplink lte 30mbit 15ms
start_iperfs
for ((run = 1; run <= BENCH_RUNS; run++)); do
	pair_again
	measure ours "$run" iperf3 -c 127.0.0.1 -p 5201
	pair_stop
	kernel_pm
	measure kernel-cubic "$run" mptcpize run iperf3 -c $LAB_SERVER4 -p 5203 -C cubic
	measure kernel-bbr "$run" mptcpize run iperf3 -c $LAB_SERVER4 -p 5203 -C bbr
	no_kernel_pm
	measure single "$run" iperf3 -c $LAB_SERVER4 -p 5202 --bind-dev fibre -C cubic
done
