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
# shellcheck source=tests/bench/iperf.sh
. tests/bench/iperf.sh

IPERF_SECONDS=12

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
	if ! iperf_run "$json" "$@" -R; then
		record "who=$who run=$run error=$IPERF_SAID"
		return
	fi
	after=
	for name in "${LAB_UPLINKS[@]}"; do
		before=${lanes[0]}
		lanes=("${lanes[@]:1}")
		after+=" $name=$((($(lab_stat "$name/down" out_bytes) - before) / 1000))"
	done
	record "who=$who run=$run mbit=$(iperf_mean "$json")$after"
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
