# shellcheck shell=bash
# cost.sh - what the items about processor time share.
#
#   cost_start                      the lab, unshaped, and nginx with its files
#   haproxies PORT [mptcp]          two in a row from 127.0.0.1:9443 to the origin's
#                                   port, or from 9444, with MPTCP between them; their
#                                   pids are RELAYS
#   shadowsocks                     likewise, from 127.0.0.1:9000 to its port 80
#   transfer WORDS URL PID...       measures one; WORDS begin the line
#   cost_apart                      each side on one processor, as two machines are
#   cost_compare OUR-URL NAME URL   measures us and RELAYS in turn, COST_RUNS times for
#                                   each of the congestion controls $COST_CC
#
# curl downloads $COST_GB files of 1 GB over one connection. Counted is what the
# relays used, from their schedstat: that includes softirq work done on their time,
# which may be another's, and leaves out what ksoftirqd did (recorded beside it).

# shellcheck source=tests/bench/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

COST_GB=${COST_GB:-1}
COST_RUNS=$((BENCH_RUNS * 4)) # many short ones: the machine's noise is large here
COST_CC=${COST_CC:-cubic bbr}
RELAYS=
FETCH_BY=()

# Whatever the machine's default, everybody's connections use cubic.
use_cubic()
{
	local ns table
	for ns in client server origin; do
		ns=$(lab_ns $ns)
		for table in main local; do
			ip -n "$ns" -4 route show table $table |
				sed "s/^/route change table $table /; s/\$/ congctl cubic/" |
				ip -n "$ns" -batch - || lab_die "congestion control of $ns"
		done
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

# relay NS BIND NEXT:PORT [CMD...]: CMD runs it
relay()
{
	local ns=$1 bind=$2 next=$3 conf
	shift 3
	conf=$(mktemp "$LAB_DIR/haproxy-$ns.XXXXXX")
	cat >"$conf" <<-END
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
			bind $bind
			server next $next
	END
	LAB_LOG=$conf.log lab_spawn "$ns" "$@" haproxy -db -f "$conf"
	RELAYS="$RELAYS $LAB_PID"
}

# Only the sockets between the two are MPTCP's: what mptcpize makes of a listener
# accepts plain TCP as plain TCP, and the server's connections are not touched.
haproxies()
{
	local port=9443
	RELAYS=
	if [ "${2-}" = mptcp ]; then
		port=9444
		relay server fd@9 "$LAB_ORIGIN4:$1" \
			tests/bench/mptcp_listen.py $LAB_SERVER4 $port 9
		relay client 127.0.0.1:$port $LAB_SERVER4:$port mptcpize run
	else
		relay server $LAB_SERVER4:$port "$LAB_ORIGIN4:$1"
		relay client 127.0.0.1:$port $LAB_SERVER4:$port
	fi
	wait_until 5 listens client $port || lab_die "haproxy does not start"
	wait_until 5 listens server $port || lab_die "haproxy does not start"
}

shadowsocks()
{
	local common=(-s "$LAB_SERVER4" -p 8388 -k bench -m aes-256-gcm -t 60)
	lab_spawn server ss-server "${common[@]}"
	RELAYS=$LAB_PID
	lab_spawn client ss-tunnel "${common[@]}" -b 127.0.0.1 -l 9000 -L $LAB_ORIGIN4:80
	RELAYS="$RELAYS $LAB_PID"
	wait_until 5 listens client 9000 || lab_die "shadowsocks does not start"
}

fetch()
{
	lab_in client "${FETCH_BY[@]}" timeout 120 curl -sSk --fail "$@"
}

right_sum()
{
	[ "$(fetch "$1/sample" | sha256sum | cut -d' ' -f1)" = "$COST_SUM" ]
}

# transfer WORDS URL PID...
transfer()
{
	local words=$1 url=$2 before soft got took
	shift 2
	if ! right_sum "$url"; then
		record "$words error=wrong_sum"
		return
	fi
	before=$(cpu_ns "$@")
	soft=$(softirqs_ns)
	read -r got took < <(fetch "$url/zeros?[1-$COST_GB]" -o /dev/null \
		-w '%{size_download} %{time_total}\n' |
		awk '{ got += $1; took += $2 } END { printf "%.0f %f\n", got, took }')
	if [ "$got" != $((COST_GB * 1000000000)) ]; then
		record "$words error=got_$got"
		return
	fi
	record "$words gb=$COST_GB" "$(awk -v c="$(($(cpu_ns "$@") - before))" \
		-v s="$(($(softirqs_ns) - soft))" -v n="$got" -v t="$took" 'BEGIN {
			printf "s_per_gb=%.3f softirqd=%.3f mbit=%.0f\n", c / n, s / n, n * 8e-6 / t
		}')"
}

# What runs in the lab now, and curl. Which program waits for which, and so how many
# bytes a wake-up finds, is then not up to where the kernel happens to put them.
cost_apart()
{
	local ns cpu pid
	[ "$(nproc)" -ge 2 ] || return 0
	for ns in client server origin; do
		cpu=1
		[ $ns != client ] || cpu=0
		for pid in $(ip netns pids "$(lab_ns $ns)"); do
			taskset -acp $cpu "$pid" >/dev/null || lab_die "taskset of $pid"
		done
	done
	FETCH_BY=(taskset -c 0)
}

cost_compare()
{
	local our_url=$1 name=$2 url=$3 run cc
	for cc in $COST_CC; do
		pair_again "congestion = $cc"
		cost_apart
		for ((run = 1; run <= COST_RUNS; run++)); do
			# shellcheck disable=SC2086 # one word a pid
			transfer "who=$name cc=$cc run=$run" "$url" $RELAYS
			transfer "who=ours beside=$name cc=$cc run=$run" "$our_url" \
				"$PAIR_CLIENT" "$PAIR_SERVER"
		done
		pair_stop
	done
}
