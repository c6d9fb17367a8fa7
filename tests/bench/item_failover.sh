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

FLOW=tests/bench/flow.py
PAIR_CLIENT_EXTRA="[listen flow]
type = forward
address = 127.0.0.1:7000
transport = $PAIR_TRANSPORT
target = $LAB_ORIGIN4:7000"

now()
{
	echo "$EPOCHREALTIME"
}

minus()
{
	awk -v a="$1" -v b="$2" 'BEGIN { printf "%d\n", (a - b) * 1000 }'
}

# What one side of a flow said of itself; both must have seen the same bytes.
agree()
{
	local sent got
	sent=$(sed -n 's/^sent //p' "$1" "$2")
	got=$(sed -n 's/^got //p' "$1" "$2")
	[ -n "$sent" ] && [ "$sent" = "$got" ]
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
	if ! agree "$raw.server" "$raw.client"; then
		record "who=$who dir=$dir run=$run error=$(tail -qn 1 "$raw.server" "$raw.client" | tr ' \n' '__')"
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
