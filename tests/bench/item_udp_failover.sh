#!/bin/bash
# What one bulk stream over the udp transport sees of uplinks that die and return, and
# what raw kernel MPTCP makes of the same.
#
#   client --- a 50@15, b 40@30 --- server --- origin
#
# "Silent": everything is dropped, and nobody is told. flow.py downloads; its receiver
# writes down when it got what, and both ends must have had the same bytes.
#
#   death     a is silent from second 4 to 8, of 16
#   deaf      only a's way to the client is silent, from second 4 on; mute: the other
#   all       a and b are silent from second 4 to 34
#   flap      a is silent for half of each second
#   new-a     a is silent, and new streams are opened on an idle session; new-b
#   idle-a    a is silent under an idle session: until the client knows; idle-b
#   steady    b alone in plain TCP, undisturbed: the measure for flap
#
# Each has a lab of its own; those of a line of `plan` run at the same time.
BENCH_RESUME=1
PAIR_TRANSPORT=udp
# shellcheck source=tests/bench/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/bench/fetch.sh
. tests/bench/fetch.sh
# shellcheck source=tests/bench/flow.sh
. tests/bench/flow.sh

# Nine tenths of 0.95 of what is left, and of the sum.
LEFT_MBIT=34.2
WHOLE_MBIT=77
FLAP_S=30
[ -z "$BENCH_FULL" ] || FLAP_S=600

# What happens in each case while the flow runs; CUT and BACK are when.
trouble_death()
{
	sleep 4
	CUT=$(now)
	lab_set a state=silent
	sleep 4
	lab_set a state=up
	BACK=$(now)
}

trouble_deaf()
{
	sleep 4
	CUT=$(now)
	lab_set a/down state=silent
}

trouble_mute()
{
	sleep 4
	CUT=$(now)
	lab_set a/up state=silent
}

trouble_all()
{
	sleep 4
	CUT=$(now)
	lab_set a state=silent
	lab_set b state=silent
	sleep 30
	lab_set a state=up
	lab_set b state=up
	BACK=$(now)
}

trouble_flap()
{
	local i
	sleep 2
	CUT=$(now)
	for ((i = 0; i < FLAP_S; i++)); do
		lab_set a state=silent
		sleep 0.5
		lab_set a state=up
		sleep 0.5
	done
	BACK=$(now)
}

trouble_steady()
{
	sleep 2
	CUT=$(now)
	sleep 10
	BACK=$(now)
}

# flow EVENT SECONDS WORDS NS HOST OPTION...: what flow.py's judge says of it
flow()
{
	local event=$1 seconds=$2 words=$3 ns=$4 host=$5 raw server client
	shift 5
	raw=$BENCH_RAW-$event-${words//[ =]/-}
	FLOW_LIMIT=$((seconds + 90))
	LAB_LOG=$raw.server lab_spawn "$ns" timeout $FLOW_LIMIT $FLOW serve "$@" 7000 "$raw.csv"
	server=$LAB_PID
	wait_until 5 listens "$ns" 7000 || lab_die "flow.py does not listen"
	LAB_LOG=$raw.client lab_spawn client timeout $FLOW_LIMIT $FLOW down "$@" \
		"$host" 7000 "$seconds" "$raw.csv"
	client=$LAB_PID
	CUT='' BACK=''
	"trouble_$event"
	wait "$client" "$server"
	if ! flow_agrees "$raw"; then
		record "$words $(flow_error "$raw")"
		return
	fi
	record "$words $($FLOW judge "$CUT" "${BACK:-0}" $LEFT_MBIT $WHOLE_MBIT <"$raw.csv")"
	[[ "$words" != *event=death\ run=1 ]] || record "who=line of=${words#who=}" \
		"mbit=$($FLOW bins "$(awk -v c="$CUT" 'BEGIN { printf "%.3f", c - 1 }')" 9 0.1 <"$raw.csv")"
}

# The first streams after the uplink fell silent under an idle session.
new_streams()
{
	local words=$1 dead=$2 ms=$BENCH_RAW-new-$2-$$.ms
	fetch_as udp pull 2 >/dev/null
	sleep 3
	lab_set "$dead" state=silent
	if fetch_as udp get 100 10 0.2 >"$ms"; then
		record "$words first=$(head -n 1 "$ms") $(spread "$ms")"
	else
		record "$words error=$(wc -l <"$ms")_of_10"
	fi
}

# An idle session: until `mpproxyctl status` counts one uplink less.
idle_death()
{
	local words=$1 dead=$2 began
	fetch_as udp pull 2 >/dev/null
	sleep 3
	if ! pair_is client status .udp.subflows_active 2; then
		record "$words error=not_two_active"
		return
	fi
	lab_set "$dead" state=silent
	began=$(lab_now_ms)
	if wait_until 30 pair_is client status .udp.subflows_active 1; then
		record "$words known_ms=$(($(lab_now_ms) - began))"
	else
		record "$words known_ms=nan"
	fi
}

# one who=WHO event=EVENT run=N
one()
{
	local who=${1#who=} event=${2#event=} words="$1 $2 $3" seconds host=(server "$LAB_SERVER4")
	declare -A lasts=([death]=16 [deaf]=9 [mute]=9 [all]=42 [flap]=$((FLAP_S + 4)) [steady]=13)
	lab_start
	lab_uplink a 50mbit 15ms
	lab_uplink b 40mbit 30ms
	seconds=${lasts[$event]-}
	case $who in
	udp)
		start_fetch
		pair_again
		host=(origin 127.0.0.1)
		;;
	kernel-*)
		kernel_pm
		host+=(--mptcp "${who#*-}")
		;;
	single) host=(server 10.64.2.1) ;;
	esac
	case $event in
	new-*) new_streams "$words" "${event#new-}" ;;
	idle-*) idle_death "$words" "${event#idle-}" ;;
	*) flow "$event" "$seconds" "$words" "${host[@]}" ;;
	esac
}

# plan WHO:EVENT...: all of them at once
plan()
{
	local pair
	for pair; do
		[[ ! $pair =~ $BENCH_ONLY ]] ||
			part "who=${pair%:*}" "event=${pair#*:}" "run=$run"
	done
	parts_end "event=${1#*:} run=$run"
}

if [ -n "${BENCH_IS_PART:-}" ]; then
	one "$@"
	exit
fi

for ((run = 1; run <= BENCH_RUNS; run++)); do
	plan udp:death kernel-cubic:death kernel-bbr:death
	plan udp:deaf udp:mute kernel-bbr:deaf
	plan udp:new-a udp:new-b udp:idle-a udp:idle-b
	plan udp:all kernel-bbr:all udp:flap single:steady
done
