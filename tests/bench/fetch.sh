# shellcheck shell=bash
# fetch.sh - what the items that use fetch.py share.
#
#   start_fetch              servers: origin 7100, server 7100 plain, 7101 and 7102
#                            MPTCP, with cubic and with bbr
#   fetch_as WHO MODE ARG... fetch.py in the client's namespace, as WHO: udp, mptcp,
#                            kernel-CONGESTION or single, plain TCP by $FETCH_DEVICE
#   spread FILE              of a column of numbers, as words: n, median, p95, p99, worst
#
# Below tests/bench/lib.sh. PAIR_CLIENT_EXTRA gets a listener of each transport.

# shellcheck disable=SC2034 # pair.sh reads it
PAIR_CLIENT_EXTRA="[listen fetch]
type = forward
address = 127.0.0.1:7100
transport = udp
target = $LAB_ORIGIN4:7100
[listen fetch-mptcp]
type = forward
address = 127.0.0.1:7101
transport = mptcp
target = $LAB_ORIGIN4:7100"

FETCH=tests/bench/fetch.py
FETCH_DEVICE=a

fetch_server()
{
	local ns=$1 port=${*: -1}
	shift
	LAB_LOG=$LAB_DIR/fetch.log lab_spawn "$ns" $FETCH serve "$@"
	wait_until 5 listens "$ns" "$port" || lab_die "fetch.py does not listen"
}

start_fetch()
{
	fetch_server origin 7100
	fetch_server server 7100
	fetch_server server --mptcp cubic 7101
	fetch_server server --mptcp bbr 7102
}

fetch_as()
{
	local who=$1 mode=$2
	shift 2
	case $who in
	udp) set -- 127.0.0.1 7100 "$@" ;;
	mptcp) set -- 127.0.0.1 7101 "$@" ;;
	kernel-cubic) set -- --mptcp cubic $LAB_SERVER4 7101 "$@" ;;
	kernel-bbr) set -- --mptcp bbr $LAB_SERVER4 7102 "$@" ;;
	single)
		# the address of the uplink's own net: no route but by it
		set -- "10.64.$(lab_index "$FETCH_DEVICE").1" 7100 "$@"
		;;
	esac
	lab_in client timeout "${FETCH_LIMIT:-120}" $FETCH "$mode" "$@"
}

spread()
{
	sort -n "$1" | awk '{ v[NR] = $1 } function at(part) {
		return v[int((NR - 1) * part + 0.999999) + 1]
	} END {
		if (NR > 0)
			printf "n=%d median=%.1f p95=%.1f p99=%.1f worst=%.1f\n", NR,
				(v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2, at(0.95), at(0.99), v[NR]
		else
			print "error=nothing"
	}'
}
