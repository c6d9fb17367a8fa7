#!/bin/bash
# The cases of the kernel's own test simult_flows.sh: 16 MiB over two uplinks, each
# way, on both transports and over raw kernel MPTCP.
#
#   client --- a RATE@DELAY, b RATE@DELAY --- server --- origin
#
# Figure: from connect() to the last byte, or to the word that the last byte came. The
# session is up, and nothing has passed on it. Each has a lab of its own; all of a
# case run at the same time.
BENCH_RESUME=1
# shellcheck source=tests/bench/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/bench/fetch.sh
. tests/bench/fetch.sh

BYTES=$((16 << 20))

# one who=WHO case=A+B run=N
one()
{
	local who=${1#who=} links=${2#case=} mode ms words
	lab_start
	lab_uplink a "$(rate_of "${links%+*}")" "$(delay_of "${links%+*}")"
	lab_uplink b "$(rate_of "${links#*+}")" "$(delay_of "${links#*+}")"
	start_fetch
	case $who in
	udp | mptcp) pair_again ;;
	kernel-*) kernel_pm ;;
	esac
	words=
	for mode in get put; do
		ms=$(fetch_as "$who" $mode $BYTES) || ms=
		words+=" $mode=${ms:-nan}"
	done
	record "$1 $2 $3$words"
}

rate_of()
{
	echo "${1%@*}mbit"
}

# Links without a delay have none in the kernel's test.
delay_of()
{
	[[ $1 != *@* ]] && echo 0ms || echo "${1#*@}ms"
}

if [ -n "${BENCH_IS_PART:-}" ]; then
	one "$@"
	exit
fi

for ((run = 1; run <= BENCH_RUNS; run++)); do
	for links in 10+10 10@1+10@50 30+10 30@1+10@50 30@50+10@1; do
		[[ $links =~ $BENCH_ONLY ]] || continue
		for who in udp mptcp kernel-cubic kernel-bbr; do
			part who=$who case=$links run="$run"
		done
		parts_end case=$links run="$run"
	done
done
