#!/bin/bash
# The emulator does what the other tests rely on: rate, delay, jitter and loss within
# 3 %, every other parameter, live control, counters that add up, and no remains.
#
#   client                                                          server
#   probe send  --- a: each measurement sets what it needs --->  probe recv
#               --- b: stays as it is, unlike in each direction ---
. "$(dirname "$0")/lib.sh"

PORT=7000

# measure COUNT SIZE MBIT [NS ADDRESS]: one run over link a; the result is in $RESULT
measure()
{
	local from=client
	[ "${4-}" != client ] || from=server
	start_receiver "${4:-server}"
	lab_in $from "$LAB_PROBE" send "${5:-10.64.1.1}" $PORT "$1" "$2" "$3"
	end_receiver
}

start_receiver()
{
	PORT=$((PORT + 1))
	RECV_LOG=$LAB_DIR/recv.$PORT
	LAB_LOG=$RECV_LOG lab_spawn "$1" "$LAB_PROBE" recv $PORT "${2:-300}"
	wait_until 5 grep -q listening "$RECV_LOG" || lab_die "the receiver does not start"
}

end_receiver()
{
	wait_until 20 lab_gone "$LAB_PID" || lab_die "the receiver does not end"
	RESULT=$(tail -n 1 "$RECV_LOG")
}

# The value of the last result's KEY.
got()
{
	lab_field "$1" <<<"$RESULT"
}

calc()
{
	awk "BEGIN { printf \"%.6g\", $1 }"
}

# Parameters of both lanes of link a, from the same ground.
only()
{
	lab_set a rate=0 delay=0 jitter=0 order=free loss=0 burst=0 reorder=0 duplicate=0 \
		corrupt=0 mtu=65535 queue=50ms state=up
	[ $# = 0 ] || lab_set a "$@"
}

test_rate()
{
	only rate=20mbit delay=5ms
	measure 5000 1200 24
	check_near "rate of 1200-byte packets, Mbit/s" "$(got rate_mbit)" 20 0.03
	check_near "a full queue of 50 ms adds to the delay, us" \
		"$(got delay_p50_us)" 55000 0.03
	only rate=2mbit
	measure 5000 100 2.4
	check_near "rate of 100-byte packets, Mbit/s" "$(got rate_mbit)" 2 0.03
	only up:rate=20mbit down:rate=5mbit
	measure 1200 1200 6 client 10.64.1.2
	check_near "rate of the other direction, Mbit/s" "$(got rate_mbit)" 5 0.03
	# Ten packets of 960 us; the tenth comes when the first is half gone.
	only rate=10mbit queue=12kb
	measure 500 1200 12
	check_between "a full queue of 12 kb, us" "$(got delay_p50_us)" 8500 9800
}

test_delay()
{
	only delay=10ms
	measure 1500 200 1.6
	check_near "delay at 1,000 packets/s, us" "$(got delay_p50_us)" 10000 0.03
	check_between "no packet was lost" "$(got lost)" 0 0
	measure 20000 200 16
	check_near "delay at 10,000 packets/s, us" "$(got delay_p50_us)" 10000 0.03
	only up:delay=30ms
	measure 1000 200 1.6 client 10.64.1.2
	check_between "the other direction is not delayed, us" "$(got delay_p50_us)" 0 1000
	measure 300 200 1.6 server fd64:1::1
	check_near "delay of IPv6, us" "$(got delay_p50_us)" 30000 0.03
}

test_jitter()
{
	only delay=30ms jitter=10ms
	measure 10000 200 5
	# A uniform +-N has a standard deviation of N / sqrt(3); of 10,000
	# packets it is known to 0.45 %.
	check_near "jitter, us" "$(calc "$(got delay_sd_us) * sqrt(3)")" 10000 0.03
	check_near "mean delay with jitter, us" "$(got delay_mean_us)" 30000 0.03
	check_between "packets overtake" "$(got reordered)" 1000 10000
	only delay=30ms jitter=10ms order=keep
	measure 1000 200 2
	check_between "order=keep: none overtakes" "$(got reordered)" 0 0
}

test_loss()
{
	only loss=10%
	# 100,000 packets: 3 % of the loss is 3.2 standard deviations.
	measure 100000 100 16
	check_near "loss, %" "$(calc "($(got lost) - $(got overflown)) / 1000")" 10 0.03
	only loss=5% burst=4
	measure 50000 100 16
	check_near "length of a burst of losses" \
		"$(calc "($(got lost) - $(got overflown)) / $(got lost_runs)")" 4 0.15
	check_near "loss in bursts, %" "$(calc "($(got lost) - $(got overflown)) / 500")" 5 0.2
}

# counted KEY CMD...: how much the command adds to a counter of a/up
counted()
{
	local key=$1 before
	before=$(lab_stat a/up "$key")
	shift
	"$@"
	COUNTED=$(($(lab_stat a/up "$key") - before))
}

test_spoiling()
{
	only duplicate=5%
	counted duplicated measure 10000 100 8
	check_between "duplicates arrive" "$(got duplicates)" \
		$((COUNTED - $(got overflown))) "$COUNTED"
	check_near "duplication, in 10,000" "$COUNTED" 500 0.15
	only delay=2ms reorder=5% reorder_by=3ms
	counted reordered measure 10000 100 8
	check_near "reordered packets arrive late" "$(got reordered)" "$COUNTED" 0.02
	check_near "reordering, in 10,000" "$COUNTED" 500 0.15
	only corrupt=5%
	counted corrupted measure 10000 100 8
	check_near "corrupt packets are refused" "$(got lost)" "$COUNTED" 0.02
	check_near "corruption, in 10,000" "$COUNTED" 500 0.15
	only mtu=1000
	counted dropped_mtu measure 100 1000 4
	check_between "what the MTU allows arrives" $(($(got lost) + COUNTED)) 0 0
	start_receiver server
	lab_in client "$LAB_PROBE" send 10.64.1.1 $PORT 50 1001 4
	lab_in client "$LAB_PROBE" send 10.64.1.1 $PORT 1 100 4
	end_receiver
	check_between "what is larger does not" "$(got received)" 1 1
	check_between "and is counted" "$(lab_stat a/up dropped_mtu)" 50 50
}

flags()
{
	ip -n "$(lab_ns "$1")" -o link show a
}

has_flags()
{
	flags "$1" | grep -q "$2"
}

# passes [NS ADDRESS]
passes()
{
	measure 10 100 1 "$@"
	[ "$(got lost)" = 0 ]
}

has_passed()
{
	(($(lab_now_ms) >= $1))
}

has_received()
{
	[ "$(lab_stat a/up out_packets)" -gt "$1" ]
}

# A stream of 4 s at 24 Mbit/s, while the link is changed.
test_live()
{
	local sender before silent_at
	only rate=20mbit delay=5ms
	start_receiver server 1000
	lab_in client "$LAB_PROBE" send 10.64.1.1 $PORT 10000 1200 24 &
	sender=$!
	before=$(lab_stat a/up out_packets)
	wait_until 3 has_received $((before + 500))
	lab_set a rate=5mbit
	before=$(lab_stat a/up out_packets)
	wait_until 3 has_received $((before + 500))
	check_near "rate after a live change, Mbit/s" \
		"$(calc "$(lab_ctl recent a/up 500 | lab_field bytes) * 16 / 1e6")" 5 0.05
	lab_set a state=silent
	silent_at=$(lab_now_ms)
	before=$(lab_stat a/up out_packets)
	check "silent: the device stays up" has_flags client "LOWER_UP"
	wait_until 3 has_passed $((silent_at + 300))
	check_between "silent: nothing passes" \
		$(($(lab_stat a/up out_packets) - before)) 0 0
	lab_set a state=up
	check "up again: packets pass" wait_until 2 has_received "$before"
	wait "$sender"
	end_receiver
	check_between "silence lasts as long as set, us" "$(got gap_max_us)" 300000 800000
}

test_topology()
{
	only
	check "the server's address is reached" passes server $LAB_SERVER4
	check "the server's IPv6 address is reached" passes server $LAB_SERVER6
	check "the origin is reached" passes origin $LAB_ORIGIN4
	check "the origin is reached over IPv6" passes origin $LAB_ORIGIN6
}

test_states()
{
	only
	check "up" passes
	lab_set a/up state=down
	check "down: the sending end's device is down" has_flags client "state DOWN"
	check "down: the other end's is not" has_flags server "LOWER_UP"
	lab_up a
	check "up again, routes too" passes
	lab_set a/up state=nocarrier
	check "nocarrier: the device loses its carrier" has_flags client "NO-CARRIER"
	lab_up a
	check "carrier again" passes
}

# in + duplicated = out + dropped + waiting, on every lane
adds_up()
{
	lab_ctl stats | awk '{
		split("", c)
		for (i = 2; i <= NF; i++) {
			split($i, kv, "=")
			c[kv[1]] = kv[2]
		}
		dropped = 0
		for (k in c)
			if (k ~ /^dropped_/)
				dropped += c[k]
		waiting = c["queue_packets"] + c["flight_packets"]
		if (c["in_packets"] + c["duplicated"] != c["out_packets"] + dropped + waiting)
			wrong++
		used += c["in_packets"]
	} END { exit wrong || used < 100000 }'
}

refuses()
{
	local before
	before=$(lab_ctl show)
	! lab_ctl "$@" 2>/dev/null && [ "$(lab_ctl show)" = "$before" ]
}

test_control()
{
	check "refuses a rate that is none" refuses set a rate=fast
	check "refuses a part over 100 %" refuses set a loss=101%
	check "refuses a negative delay" refuses set a delay=-1ms
	check "refuses a word of which only the first half is good" refuses set a loss=1% x=1
	check "refuses an unknown link" refuses set nowhere loss=1%
	check "refuses an unknown lane" refuses set a/sideways loss=1%
	check "refuses a link that is there" refuses link a x a y a
	check "refuses a namespace that is not there" refuses link c mpp-none c mpp-none c
	check "refuses an unknown command" refuses dance
	check "unlink" lab_ctl unlink b
	check "the devices go with the link" eval \
		'! ip -n "$(lab_ns client)" link show b >/dev/null 2>&1'
}

# A lab in a process of its own, which is then ended by a signal.
test_remains()
{
	local signal=$1 lab out=$LAB_DIR/inner.$1
	# A shell's background commands ignore SIGINT, and what is ignored stays so.
	env --default-signal=INT bash -c '. tests/lab/lab.sh
		lab_start
		lab_uplink x 10mbit 1ms
		lab_spawn client sleep 60
		echo "$LAB_PREFIX $LAB_LINKEM_PID $LAB_PID $LAB_DIR"
		while :; do sleep 0.05; done' >"$out" 2>&1 &
	lab=$!
	wait_until 2 test -e "$out"
	wait_until 10 grep -q "^mpp" "$out" || lab_die "the inner lab does not start"
	read -r prefix linkem sleeper dir <"$out"
	kill "-$signal" $lab
	wait $lab 2>/dev/null
	check "SIG$signal: the emulator ends" wait_until 3 lab_gone "$linkem"
	if [ "$signal" = KILL ]; then
		kill "$sleeper"
		wait_until 3 lab_gone "$sleeper"
		rm -r "$dir"
		lab_sweep
	else
		check "SIG$signal: its processes end" lab_gone "$sleeper"
		check "SIG$signal: its files go" [ ! -e "$dir" ]
	fi
	check "SIG$signal: its namespaces go" eval \
		"! ls -d /run/netns/$prefix-* >/dev/null 2>&1"
	check "SIG$signal: another lab's do not" [ -e "/run/netns/$(lab_ns server)" ]
}

lab_start
lab_uplink a 0 0
lab_uplink b 0 0 up:rate=10mbit down:delay=3ms
test_topology
test_rate
test_delay
test_jitter
test_loss
test_spoiling
test_live
test_states
check "counters add up" adds_up
test_control
test_remains TERM
test_remains INT
test_remains KILL
finish
