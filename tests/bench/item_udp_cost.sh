#!/bin/bash
# What the udp transport costs: one stream, unshaped, beside two haproxy relays in a
# row (plain TCP) and shadowsocks; send calls; what of the bytes on the wire is payload.
#
#   client --- veth --- server --- veth --- origin (nginx)      transfers, send calls
#   client --- a 100@15 (, b 100@15) --- server --- origin      bytes: 100 MB
#
# Calls are counted by the kernel's tracepoints, by perf, on the server, which sends.
PAIR_TRANSPORT=udp
COST_GB=2
# shellcheck source=tests/bench/cost.sh
. "$(dirname "$0")/cost.sh"
# shellcheck source=tests/bench/fetch.sh
. tests/bench/fetch.sh

BYTES=100000000

# bytes who=WHO uplinks=N: what the lanes carried for so many bytes of a stream
bytes()
{
	local who=${1#who=} uplinks=${2#uplinks=} name before
	lab_start
	# no queue that overflows: nothing has to be repeated
	for name in a b; do
		[ ${#LAB_UPLINKS[@]} -ge "$uplinks" ] ||
			lab_uplink $name 100mbit 15ms queue=1000ms
	done
	start_fetch
	case $who in
	udp) pair_again ;;
	kernel-*) kernel_pm ;;
	esac
	before=$(lab_sum down out_bytes)
	if fetch_as "$who" get $BYTES >/dev/null; then
		record "$* payload=$BYTES wire=$(($(lab_sum down out_bytes) - before))" \
			"dropped=$(lab_sum down dropped_queue)" \
			"$([ "$who" != udp ] || echo "resent=$(pair_value server status .udp.resent_bytes)")"
	else
		record "$* error=failed"
	fi
}

if [ -n "${BENCH_IS_PART:-}" ]; then
	bytes "$@"
	exit
fi

# send_calls RUN: the same transfer once more, counted, and not timed
send_calls()
{
	local counts=$BENCH_RAW-calls-$1 perf got took
	perf stat -x, -o "$counts" -p "$PAIR_SERVER" -e syscalls:sys_enter_sendmmsg \
		-e syscalls:sys_enter_sendmsg -e syscalls:sys_enter_sendto &
	perf=$!
	sleep 0.5
	read -r got took < <(fetch http://127.0.0.1:8000/zeros -o /dev/null \
		-w '%{size_download} %{time_total}\n')
	kill -INT "$perf"
	wait "$perf"
	if [ "$got" = 1000000000 ]; then
		record "who=calls run=$1 $(awk -F, -v took="$took" '$1 ~ /^[0-9]+$/ { n += $1 }
			END {
				if (n == 0)
					print "error=perf_counts_nothing"
				else
					printf "per_mb=%.2f mbit=%.0f", n / 1000, 8000 / took
			}' "$counts")"
	else
		record "who=calls run=$1 error=got_$got"
	fi
}

part who=udp uplinks=1
part who=udp uplinks=2
part who=kernel-cubic uplinks=1
parts_end bytes=$BYTES
cost_start
haproxies 80
haproxy_pids=$RELAYS
shadowsocks
for ((run = 1; run <= BENCH_RUNS + 2; run++)); do
	# shellcheck disable=SC2086 # one word a pid
	transfer "who=haproxy run=$run" http://127.0.0.1:9443 $haproxy_pids
	# shellcheck disable=SC2086
	transfer "who=shadowsocks run=$run" http://127.0.0.1:9000 $RELAYS
	pair_again
	transfer "who=udp run=$run" http://127.0.0.1:8000 "$PAIR_CLIENT" "$PAIR_SERVER"
	send_calls "$run"
	pair_stop
done
