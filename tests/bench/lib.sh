# shellcheck shell=bash
# lib.sh - what every item of the benchmark starts with.
#
# An item is tests/bench/item_NAME.sh; tests/bench/run starts it, each with a lab
# of its own. What was measured goes to $BENCH_OUT as lines of KEY=VALUE words,
# which report.py reads; whatever belongs to it, to files $BENCH_RAW-*.
#
# An item may consist of parts, the same script once more with a lab of its own, so
# that what is compared is measured at the same time. An item that sets BENCH_RESUME
# keeps what was measured before it was interrupted, if the code is still the same.
#
#   say TEXT              a line of progress
#   record K=V...         one measurement
#   have WORDS            a measurement that begins with these is there
#   part WHO ARG...       a part in the background, unless there is "WHO ARG..."
#   parts_end             waits for them; records how busy the processors were
#   pair_again [K = V]    both daemons anew, with this in [general] of both
#   pair_stop             both daemons end, and with them their path manager
#   kernel_pm             the kernel's own path manager, with endpoints
#   no_kernel_pm          and without
#   listens NS PORT       somebody does
#   cpu_ns PID...         what they have used of the processors, in ns
#   softirqs_ns           the same of the kernel's softirq threads
#
# BENCH_RUNS, BENCH_FULL (make bench-full), BENCH_ONLY: only what matches that regular
# expression, where an item says so; for trying it out.

set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
# `auto` may choose: what is measured shall not depend on it
PAIR_TRANSPORT=${PAIR_TRANSPORT:-mptcp}
# shellcheck source=tests/lab/lab.sh
. tests/lab/lab.sh
# shellcheck source=tests/lab/pair.sh
. tests/lab/pair.sh

BENCH_SELF=tests/bench/$(basename "$0")
BENCH_ITEM=$(basename "$0" .sh)
BENCH_ITEM=${BENCH_ITEM#item_}
BENCH_RUNS=${BENCH_RUNS:-3}
BENCH_FULL=${BENCH_FULL:-}
BENCH_ONLY=${BENCH_ONLY:-.}
BENCH_DIR=${BENCH_DIR:-build/bench}
BENCH_OUT=$BENCH_DIR/$BENCH_ITEM.new
BENCH_RAW=$BENCH_DIR/raw/$BENCH_ITEM
BENCH_PARTS=()
PAIR_CLIENT=
PAIR_SERVER=

bench_begin()
{
	local version
	version="version=${BENCH_VERSION:-unknown} runs=$BENCH_RUNS"
	mkdir -p "$BENCH_DIR/raw"
	if [ -n "${BENCH_RESUME:-}" ] && [ -e "$BENCH_OUT" ] &&
		[[ $version != *dirty* && $version != *unknown* ]] &&
		[ "$(head -n 1 "$BENCH_OUT")" = "$version" ]; then
		return
	fi
	rm -f "$BENCH_RAW"-*
	echo "$version" >"$BENCH_OUT"
}

say()
{
	echo "  $BENCH_ITEM: $*"
}

record()
{
	local tidy
	read -ra tidy <<<"$*"
	echo "${tidy[*]}" >>"$BENCH_OUT"
	say "${tidy[*]}"
}

have()
{
	grep -v " error=" "$BENCH_OUT" | grep -qF "$* "
}

# Its words KEY=VALUE tell what it is, and begin the line that it records.
part()
{
	local word words=
	for word; do
		[[ ! $word =~ ^[a-z]+= ]] || words+="$word "
	done
	have "${words% }" && return
	BENCH_IS_PART=1 "$BENCH_SELF" "$@" &
	BENCH_PARTS+=($!)
}

# Of all processors' time, in hundredths of a second: busy, whole
stat_ticks()
{
	awk '/^cpu / {
		for (i = 2; i <= NF; i++)
			all += $i
		print all - $5 - $6, all
		exit
	}' /proc/stat
}

parts_end()
{
	local busy all busy_now all_now failed=0
	[ ${#BENCH_PARTS[@]} -gt 0 ] || return 0
	read -r busy all < <(stat_ticks)
	for part in "${BENCH_PARTS[@]}"; do
		wait "$part" || failed=1
	done
	read -r busy_now all_now < <(stat_ticks)
	BENCH_PARTS=()
	[ $failed = 0 ] || record "who=parts error=failed $*"
	record "who=parts $* busy=$(((busy_now - busy) * 100 / (all_now - all + 1)))"
}

listens()
{
	lab_in "$1" ss -Hltn "sport = :$2" | grep -q .
}

pair_stop()
{
	[ -z "$PAIR_CLIENT" ] || lab_kill "$PAIR_CLIENT"
	[ -z "$PAIR_SERVER" ] || lab_kill "$PAIR_SERVER"
	PAIR_CLIENT=
	PAIR_SERVER=
}

pair_again()
{
	pair_stop
	# shellcheck disable=SC2034 # pair.sh reads them
	PAIR_CLIENT_GENERAL=${1:-} PAIR_SERVER_GENERAL=${1:-}
	pair_start
	# what the pool still makes for itself, and the session its joins
	sleep 1.5
}

pm_type()
{
	local ns
	for ns in client server; do
		lab_in $ns sysctl -qw net.mptcp.pm_type="$1" || lab_die "pm_type in $ns"
	done
}

no_kernel_pm()
{
	ip -n "$(lab_ns client)" mptcp endpoint flush
}

kernel_pm()
{
	pm_type 0
	no_kernel_pm
	lab_kernel_mptcp_endpoints
}

cpu_ns()
{
	local pid
	for pid in "$@"; do
		cat "/proc/$pid"/task/*/schedstat || lab_die "pid $pid is gone"
	done | awk '{ s += $1 } END { printf "%.0f\n", s }'
}

softirqs_ns()
{
	# shellcheck disable=SC2046 # one word a pid
	cpu_ns $(pgrep '^ksoftirqd/')
}

[ -n "${BENCH_IS_PART:-}" ] || bench_begin
