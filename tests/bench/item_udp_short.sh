#!/bin/bash
# Short streams, and what a bulk stream costs others, over the udp transport; beside
# it plain TCP over one uplink, and raw kernel MPTCP.
#
#   client --- a, b --- server --- origin
#
#   short   a, b 50@15: 10 KB, 100 KB, 1 MB, each on a session that was idle for 5 s
#           after a bulk transfer; connect() to the last byte
#   lossy   the same links with 1 % loss: 100 KB, a hundred times
#   lte     a 20@25 with a buffer of 1 s: ICMP echoes, alone and beside a bulk stream
#   dsl     a 20@8 with a buffer of 300 ms: likewise
#   beside  a, b 50@15: 1 KB asked and answered, alone and beside 8 bulk streams
#
# Each has a lab of its own; those who are compared run at the same time.
BENCH_RESUME=1
PAIR_TRANSPORT=udp
# shellcheck source=tests/bench/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/bench/fetch.sh
. tests/bench/fetch.sh

TRIES=3

two_links()
{
	lab_uplink a 50mbit 15ms "$@"
	lab_uplink b 50mbit 15ms "$@"
}

# column FILE: its lines as one word
column()
{
	paste -sd, "$1"
}

case_short()
{
	local words=$1 who=$2 size i
	for size in 10000 100000 1000000; do
		for ((i = 0; i < TRIES; i++)); do
			fetch_as "$who" pull 1.5 >/dev/null
			sleep 5
			fetch_as "$who" get $size
		done >"$OUT"
		record "$words size=$size ms=$(column "$OUT")"
	done
}

case_lossy()
{
	fetch_as "$2" get 100000 100 0.05 >"$OUT"
	record "$1 ms=$(column "$OUT")"
}

# echoes COUNT: their ms
echoes()
{
	lab_in client ping -n -i 0.1 -c "$1" 10.64.1.1 |
		sed -n 's/.*time=\([0-9.]*\) ms.*/\1/p'
}

case_lte()
{
	local base
	base=$(echoes 20 | sort -n | sed -n 10p)
	fetch_as "$2" pull 12 >/dev/null &
	sleep 4
	echoes 75 >"$OUT"
	wait $!
	record "$1 base=$base $(spread "$OUT")"
}

case_dsl()
{
	case_lte "$@"
}

case_beside()
{
	local words=$1 who=$2 i jobs=() base
	fetch_as "$who" ask 1000 40 0.02 >"$OUT"
	base=$(spread "$OUT")
	for i in 1 2 3 4 5 6 7 8; do
		fetch_as "$who" pull 13 >/dev/null &
		jobs+=($!)
	done
	sleep 3
	fetch_as "$who" ask 1000 100 0.02 >"$OUT"
	wait "${jobs[@]}"
	record "$words $(sed 's/\([a-z0-9]*\)=/base_\1=/g' <<<"$base") $(spread "$OUT")"
}

# Of the plain TCP from server to client, whose sender is the server.
congestion()
{
	ip -n "$(lab_ns server)" -4 route show | sed "s/^/route change /; s/\$/ congctl $1/" |
		ip -n "$(lab_ns server)" -batch - || lab_die "congestion control $1"
}

# one who=WHO case=CASE run=N
one()
{
	local who=${1#who=} case=${2#case=}
	OUT=$BENCH_RAW-$who-$case-${3#run=}.ms
	lab_start
	case $case in
	lossy) two_links loss=1% ;;
	lte) lab_uplink a 20mbit 25ms queue=1000ms ;;
	dsl) lab_uplink a 20mbit 8ms queue=300ms ;;
	*) two_links ;;
	esac
	start_fetch
	case $who in
	udp) pair_again ;;
	kernel-*) kernel_pm ;;
	single-*)
		congestion "${who#*-}"
		who=single
		;;
	esac
	"case_$case" "$*" "$who"
}

# plan CASE WHO...: all of them at once
plan()
{
	local case=$1 who
	shift
	for who; do
		[[ ! $case =~ $BENCH_ONLY ]] || part who="$who" case="$case" run="$run"
	done
}

if [ -n "${BENCH_IS_PART:-}" ]; then
	one "$@"
	exit
fi

for ((run = 1; run <= BENCH_RUNS; run++)); do
	plan short udp kernel-cubic kernel-bbr single-cubic
	parts_end case=short run="$run"
	plan lossy udp kernel-cubic kernel-bbr single-cubic single-bbr
	parts_end case=lossy run="$run"
	plan lte udp single-cubic single-bbr
	plan dsl udp single-cubic single-bbr
	parts_end case=delay run="$run"
	plan beside udp kernel-bbr single-bbr
	parts_end case=beside run="$run"
done
