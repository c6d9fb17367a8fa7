#!/bin/bash
# The fastest uplink dies silently under one stream: how long nothing arrives.
#
#   client --- fibre 50@10, dsl 20@20, lte 30@15 --- server --- origin
#
# flow.py sends for 9 s and is cut at 4 s; the receiver writes down when it got
# what. Ours goes through the forward listener to the origin, raw kernel MPTCP to
# the server itself. The emulator's counters say what the survivors carried.
# shellcheck source=tests/bench/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/bench/flow.sh
. tests/bench/flow.sh

minus()
{
	awk -v a="$1" -v b="$2" 'BEGIN { printf "%d\n", (a - b) * 1000 }'
}

# flow WHO RUN up|down NS HOST SERVE-OPTION...
flow()
{
	local who=$1 run=$2 dir=$3 ns=$4 host=$5 raw server client sampler began cut
	shift 5
	raw=$BENCH_RAW-$who-$dir-$run
	LAB_LOG=$raw.server lab_spawn "$ns" timeout 40 $FLOW serve "$@" 7000 "$raw.csv"
	server=$LAB_PID
	wait_until 5 listens "$ns" 7000 || lab_die "flow.py does not listen"
	tests/lab/sample.py "$LAB_SOCKET" 10 >"$raw.lanes" &
	sampler=$!
	wait_until 5 test -s "$raw.lanes"
	began=$(now)
	LAB_LOG=$raw.client lab_spawn client timeout 40 $FLOW "$dir" "$@" \
		"$host" 7000 9 "$raw.csv"
	client=$LAB_PID
	sleep 4
	cut=$(now)
	lab_set fibre state=silent
	wait "$client" "$server"
	kill "$sampler"
	wait "$sampler" 2>/dev/null
	lab_set fibre state=up
	if ! flow_agrees "$raw"; then
		record "who=$who dir=$dir run=$run $(flow_error "$raw")"
		return
	fi
	record "who=$who dir=$dir run=$run $($FLOW stall "$cut" <"$raw.csv")" \
		"lanes_ms=$(tests/lab/sample.py --stall "dsl/$dir,lte/$dir" \
			--from "$(minus "$cut" "$began")" \
			--to "$(($(minus "$cut" "$began") + 4000))" <"$raw.lanes")"
}

lab_start
lab_uplink fibre 50mbit 10ms
lab_uplink dsl 20mbit 20ms
lab_uplink lte 30mbit 15ms
for ((run = 1; run <= BENCH_RUNS; run++)); do
	for dir in down up; do
		pair_again
		flow ours "$run" $dir origin 127.0.0.1
		pair_stop
		kernel_pm
		for cc in cubic bbr; do
			flow kernel-$cc "$run" $dir server $LAB_SERVER4 --mptcp $cc
		done
		no_kernel_pm
	done
done
