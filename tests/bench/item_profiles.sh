#!/bin/bash
# One stream over the uplinks of each profile: the udp transport, raw kernel MPTCP,
# and every uplink alone in plain TCP.
#
#   client --- a RATE@DELAY, b RATE@DELAY (, c) --- server --- origin
#
# Each has a lab of its own and an iperf3: through our forward listener to the origin;
# to the server itself under mptcpize, with cubic and with bbr; to the server over
# each uplink, with cubic and with bbr. All of them run at the same time; where that
# would move more than BESIDE_MBIT, ours alone, and the others in groups. Figures: what
# the receiver got after the first 3 s of 12, per second, and in the worst 2 s of it.
# BENCH_APART=1: ours always alone, a quarter of an hour more.
#
# In full: up and down, 1 and 16 streams, and how long 20 MiB take on a new session;
# else downloads, and 16 streams in the profiles named in `many`.
BENCH_RESUME=1
PAIR_TRANSPORT=udp
# shellcheck source=tests/bench/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/bench/iperf.sh
. tests/bench/iperf.sh

BESIDE_MBIT=800 # of the links' rates: the processors have to stay half idle

# Name, seconds, uplinks: rate in Mbit/s @ delay in ms, then linkem's parameters.
PROFILES='
baseline     12 50@20 50@20
rtt_40       12 50@20 50@40
rtt_70       12 50@20 50@70
rtt_120      12 50@20 50@120
rtt_320      20 50@20 50@320
jit_5        12 50@20,jitter=5ms 50@20,jitter=5ms
jit_20       12 50@20,jitter=20ms 50@20,jitter=20ms
loss_05      12 50@20,loss=0.5% 50@20,loss=0.5%
loss_2       12 50@20,loss=2% 50@20,loss=2%
bw_4to1      12 50@20 12@20
bw_10to1     12 100@20 10@20
dual_lte     12 40@30,jitter=5ms,loss=0.5% 25@45,jitter=8ms,loss=0.5%
fiber_lte    12 300@8 30@40,jitter=8ms,loss=0.5%
lte_starlink 12 40@35,jitter=8ms 100@50,jitter=25ms,loss=1%
lte_geo      20 40@35 20@320,jitter=20ms,loss=0.5%
congested    12 20@50,jitter=20ms,loss=2% 15@60,jitter=25ms,loss=2%
unequal      12 50@15 40@30
fast_slow    12 300@10 80@30
two_100      12 100@12 100@12
three_100    12 100@20 100@20 100@20
'
DEVICES=(a b c)

start_links()
{
	local i=0 link fields
	for link; do
		IFS=, read -ra fields <<<"$link"
		lab_uplink "${DEVICES[i]}" "${fields[0]%@*}mbit" "${fields[0]#*@}ms" \
			"${fields[@]:1}"
		i=$((i + 1))
	done
}

skip()
{
	echo $((IPERF_SECONDS > 12 ? 10 : 3))
}

# told JSON: the figures of a finished flow
told()
{
	echo "mbit=$(iperf_mean "$1" "$(skip)") least=$(iperf_least "$1" 3)"
}

# measure WORDS JSON CMD...
measure()
{
	local words=$1 json=$2
	shift 2
	if iperf_run "$json" "$@" -P "$STREAMS" "${WAY[@]}"; then
		record "$words $(told "$json")"
	else
		record "$words error=$IPERF_SAID"
	fi
}

# cold WORDS CMD...: 20 MiB, the first that is asked of it
cold()
{
	local words=$1 json=$BENCH_RAW-cold-$$.json
	shift
	[ -n "$BENCH_FULL" ] && [ "$STREAMS" = 1 ] || return 0
	if lab_in client timeout 120 "$@" -J -n 20M "${WAY[@]}" >"$json"; then
		record "who=cold of=${words#who=} s=$(jq '.end.sum_received.seconds' "$json")"
	else
		record "who=cold of=${words#who=} error=failed"
	fi
	rm -f "$json"
}

singles()
{
	local cc=$1 words=$2 ports=(5202 5204 5203) i jobs=()
	for i in "${!LAB_UPLINKS[@]}"; do
		measure "$words uplink=${LAB_UPLINKS[i]}" \
			"$BENCH_RAW-single-$cc-${LAB_UPLINKS[i]}-$PROFILE-$DIR-$STREAMS-$RUN.json" \
			iperf3 -c $LAB_SERVER4 -p "${ports[i]}" --bind-dev "${LAB_UPLINKS[i]}" \
			-C "$cc" &
		jobs+=($!)
	done
	wait "${jobs[@]}"
}

# one who=WHO profile=NAME dir=DIR streams=N run=N SECONDS LINK...
one()
{
	local who=${1#who=} words="$1 $2 $3 $4 $5" json
	PROFILE=${2#profile=} DIR=${3#dir=} STREAMS=${4#streams=} RUN=${5#run=}
	IPERF_SECONDS=$6
	WAY=()
	[ "$DIR" = up ] || WAY=(-R)
	shift 6
	json=$BENCH_RAW-$who-$PROFILE-$DIR-$STREAMS-$RUN.json
	lab_start
	start_links "$@"
	start_iperfs
	case $who in
	udp)
		pair_again
		cold "$words" iperf3 -c 127.0.0.1
		measure "$words" "$json" iperf3 -c 127.0.0.1
		;;
	kernel-*)
		kernel_pm
		cold "$words" mptcpize run iperf3 -c $LAB_SERVER4 -p 5203 -C "${who#*-}"
		measure "$words" "$json" \
			mptcpize run iperf3 -c $LAB_SERVER4 -p 5203 -C "${who#*-}"
		;;
	single-*)
		cold "$words" iperf3 -c $LAB_SERVER4 -p 5202 --bind-dev a -C "${who#*-}"
		singles "${who#*-}" "$words"
		;;
	esac
}

# all PROFILE SECONDS DIR STREAMS RUN LINK...
all()
{
	local seconds=$2 words="profile=$1 dir=$3 streams=$4 run=$5" who mbit=0 link
	shift 5
	for link; do
		mbit=$((mbit + ${link%%@*}))
	done
	# shellcheck disable=SC2086 # words are words
	{
		part who=udp $words "$seconds" "$@"
		if [ -n "${BENCH_APART:-}" ] || [ $((mbit * 5)) -gt $BESIDE_MBIT ]; then
			parts_end "$words"
		fi
		for who in kernel-cubic kernel-bbr single-cubic single-bbr; do
			part who=$who $words "$seconds" "$@"
			[ $who != kernel-bbr ] || [ $((mbit * 4)) -le $BESIDE_MBIT ] || parts_end "$words"
		done
		parts_end "$words"
	}
}

if [ -n "${BENCH_IS_PART:-}" ]; then
	one "$@"
	exit
fi

many='^(baseline|rtt_120|unequal)$'
dirs=down
[ -z "$BENCH_FULL" ] || dirs='down up' many=.
for ((run = 1; run <= BENCH_RUNS; run++)); do
	for dir in $dirs; do
		for n in 1 16; do
			while read -r name seconds links; do
				if [[ $name =~ $BENCH_ONLY ]] && { [ $n = 1 ] || [[ $name =~ $many ]]; }; then
					# shellcheck disable=SC2086 # a word a link
					all "$name" "$seconds" "$dir" "$n" "$run" $links
				fi
			done < <(grep . <<<"$PROFILES")
		done
	done
done
