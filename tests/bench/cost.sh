# shellcheck shell=bash
# cost.sh - what the items about processor time share.
#
#   cost_start                      the lab, unshaped, and nginx with its files
#   haproxies PORT                  two in a row from 127.0.0.1:9443 to the origin's
#                                   port; their pids are added to RELAYS
#   shadowsocks                     likewise, from 127.0.0.1:9000 to its port 80
#   transfer WHO RUN URL PID...     measures one
#   cost_compare THEIRS URL OUR-URL measures both in turn
#
# curl downloads $COST_GB files of 1 GB over one connection. Counted is what the
# relays used, from their schedstat: that includes softirq work done on their time,
# which may be another's, and leaves out what ksoftirqd did (recorded beside it).

# shellcheck source=tests/bench/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

COST_GB=${COST_GB:-2}
COST_RUNS=$((BENCH_RUNS + 2)) # the machine's noise is large here
RELAYS=

# Whatever the machine's default, everybody's connections use cubic.
use_cubic()
{
	local ns
	for ns in client server origin; do
		ns=$(lab_ns $ns)
		ip -n "$ns" -4 route show | sed 's/^/route change /; s/$/ congctl cubic/' |
			ip -n "$ns" -batch - || lab_die "congestion control of $ns"
	done
}

cost_start()
{
	lab_start
	lab_veth wire
	COST_SUM=$(origin_file sample 50000000)
	truncate -s 1000000000 "$LAB_DIR/www/zeros"
	chmod 644 "$LAB_DIR/www/zeros"
	origin_nginx
	use_cubic
}

# relay NS ADDRESS:PORT NEXT:PORT
relay()
{
	cat >"$LAB_DIR/haproxy-$1.cfg" <<-END
		global
			nbthread 1
			maxconn 100
		defaults
			mode tcp
			# splice-auto alone copies at this rate
			option splice-auto
			option splice-request
			option splice-response
			timeout connect 5s
			timeout client 60s
			timeout server 60s
		listen relay
			bind $2
			server next $3
	END
	lab_spawn "$1" haproxy -db -f "$LAB_DIR/haproxy-$1.cfg"
}

haproxies()
{
	relay server $LAB_SERVER4:9443 $LAB_ORIGIN4:$1
	RELAYS="$RELAYS $LAB_PID"
	relay client 127.0.0.1:9443 $LAB_SERVER4:9443
	RELAYS="$RELAYS $LAB_PID"
	wait_until 5 listens client 9443 || lab_die "haproxy does not start"
}

shadowsocks()
{
	local common=(-s "$LAB_SERVER4" -p 8388 -k bench -m aes-256-gcm -t 60)
	lab_spawn server ss-server "${common[@]}"
	RELAYS="$RELAYS $LAB_PID"
	lab_spawn client ss-tunnel "${common[@]}" -b 127.0.0.1 -l 9000 -L $LAB_ORIGIN4:80
	RELAYS="$RELAYS $LAB_PID"
	wait_until 5 listens client 9000 || lab_die "shadowsocks does not start"
}

fetch()
{
	lab_in client timeout 120 curl -sSk --fail "$@"
}

right_sum()
{
	[ "$(fetch "$1/sample" | sha256sum | cut -d' ' -f1)" = "$COST_SUM" ]
}

# transfer WHO RUN URL PID...
transfer()
{
	local who=$1 run=$2 url=$3 before soft got took
	shift 3
	if ! right_sum "$url"; then
		record "who=$who run=$run error=wrong_sum"
		return
	fi
	before=$(cpu_ns "$@")
	soft=$(softirqs_ns)
	read -r got took < <(fetch "$url/zeros?[1-$COST_GB]" -o /dev/null \
		-w '%{size_download} %{time_total}\n' |
		awk '{ got += $1; took += $2 } END { printf "%.0f %f\n", got, took }')
	if [ "$got" != $((COST_GB * 1000000000)) ]; then
		record "who=$who run=$run error=got_$got"
		return
	fi
	record "who=$who run=$run gb=$COST_GB" "$(awk -v c="$(($(cpu_ns "$@") - before))" \
		-v s="$(($(softirqs_ns) - soft))" -v n="$got" -v t="$took" 'BEGIN {
			printf "s_per_gb=%.3f softirqd=%.3f mbit=%.0f\n", c / n, s / n, n * 8e-6 / t
		}')"
}

cost_compare()
{
	local theirs=$1 their_url=$2 our_url=$3 run cc
	for ((run = 1; run <= COST_RUNS; run++)); do
		# shellcheck disable=SC2086 # one word a pid
		transfer "$theirs" "$run" "$their_url" $RELAYS
		for cc in cubic bbr; do
			pair_again "congestion = $cc"
			transfer "ours-$cc" "$run" "$our_url" "$PAIR_CLIENT" "$PAIR_SERVER"
			pair_stop
		done
	done
}
