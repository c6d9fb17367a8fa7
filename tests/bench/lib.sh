# shellcheck shell=bash
# lib.sh - what every item of the benchmark starts with.
#
# An item is tests/bench/item_NAME.sh; tests/bench/run starts it, each with a lab
# of its own. What was measured goes to $BENCH_OUT as lines of KEY=VALUE words,
# which report.py reads; whatever belongs to it, to files $BENCH_RAW-*.
#
#   say TEXT              a line of progress
#   record K=V...         one measurement
#   pair_again [K = V]    both daemons anew, with this in [general] of both
#   pair_stop             both daemons end, and with them their path manager
#   kernel_pm             the kernel's own path manager, with endpoints
#   no_kernel_pm          and without
#   cpu_ns PID...         what they have used of the processors, in ns
#   softirqs_ns           the same of the kernel's softirq threads

set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
# shellcheck source=tests/lab/lab.sh
. tests/lab/lab.sh
# shellcheck source=tests/lab/pair.sh
. tests/lab/pair.sh

BENCH_ITEM=$(basename "$0" .sh)
BENCH_ITEM=${BENCH_ITEM#item_}
BENCH_RUNS=${BENCH_RUNS:-3}
BENCH_DIR=${BENCH_DIR:-build/bench}
BENCH_OUT=$BENCH_DIR/$BENCH_ITEM.new
BENCH_RAW=$BENCH_DIR/raw/$BENCH_ITEM
PAIR_CLIENT=
PAIR_SERVER=

mkdir -p "$BENCH_DIR/raw"
rm -f "$BENCH_RAW"-*
: >"$BENCH_OUT"

say()
{
	echo "  $BENCH_ITEM: $*"
}

record()
{
	echo "$*" >>"$BENCH_OUT"
	say "$*"
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
	# what the pool still makes for itself
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
