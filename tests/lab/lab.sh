# shellcheck shell=bash
# lab.sh - the topology of the end-to-end tests, the benchmarks and the demo.
#
#   client            uplinks                  server              origin
#   10.64.N.2   --- linkem NAME --->   10.64.N.1                   5.5.5.5
#   fd64:N::2   <-------------------   fd64:N::1    --- veth ---   2a05:5::5
#   default route by each uplink,      on lo: 192.0.2.1
#   the first is preferred                    2001:db8::1
#
# Namespaces are called mpp-PID-client, -server, -origin. All of it goes when
# the script ends, for whatever reason. Works as root and in `unshare -Urnm`.
#
#   lab_start                         namespaces, emulator, traps
#   lab_uplink NAME RATE DELAY [K=V]  RATE and DELAY of each direction; K=V are
#                                     linkem's, up:K=V and down:K=V of one lane
#   lab_veth NAME                     an uplink without emulator: no limits, no
#                                     counters
#   lab_in NS CMD...                  NS is client, server or origin
#   lab_spawn NS CMD...               in the background; LAB_PID; output in
#                                     $LAB_DIR/CMD.log, or LAB_LOG if it is set
#   lab_kill PID                      ends what lab_spawn started
#   lab_set WHICH K=V...              WHICH is NAME, NAME/up or NAME/down
#   lab_up NAME                       up again after state=down, with routes
#   lab_stat NAME/up|NAME/down KEY    one counter
#   lab_sum LANE KEY                  the same over all links; LANE up or down
#   wait_until SECONDS CMD...         polls; 1 when the time is over
#   at_exit CMD                       to be evaluated before the lab goes

B=${B:-build}
LAB_LINKEM=${LAB_LINKEM:-$B/lab/linkem}
LAB_PROBE=${LAB_PROBE:-$B/lab/probe}
LAB_SEED=${LAB_SEED:-1}
export PYTHONDONTWRITEBYTECODE=1 # in the tree

LAB_SERVER4=192.0.2.1
LAB_SERVER6=2001:db8::1
LAB_ORIGIN4=5.5.5.5
LAB_ORIGIN6=2a05:5::5

LAB_PREFIX=mpp-$$
LAB_UPLINKS=()
LAB_PIDS=()
LAB_AT_EXIT=()
LAB_PID=
LAB_DIR=
LAB_SOCKET=

lab_die()
{
	echo "lab: $*" >&2
	exit 1
}

# What tests/run-check takes for "left out".
lab_skip()
{
	echo "$*"
	exit 77
}

lab_now_ms()
{
	local t=${EPOCHREALTIME/[.,]/}
	echo $((t / 1000))
}

wait_until()
{
	local seconds=$1 end
	shift
	end=$(($(lab_now_ms) + $(awk -v s="$seconds" 'BEGIN { printf "%d", s * 1000 }')))
	until "$@"; do
		(($(lab_now_ms) < end)) || return 1
		sleep 0.02
	done
}

at_exit()
{
	LAB_AT_EXIT+=("$1")
}

lab_ns()
{
	echo "$LAB_PREFIX-$1"
}

# `ip netns` keeps its names in /run/netns, which a user namespace does not own.
lab_private_run()
{
	local inside outside count
	read -r inside outside count </proc/self/uid_map
	[ "$inside $outside $count" = "0 0 4294967295" ] && return
	# by another lab in the same place, whose names must stay in sight
	grep -q ' - tmpfs mpp-lab ' /proc/self/mountinfo && return
	if mkdir -p /run/netns 2>/dev/null; then
		mount -t tmpfs -o mode=755 mpp-lab /run/netns
	else
		mount -t tmpfs -o mode=755 mpp-lab /run && mkdir /run/netns
	fi
}

# What a run left behind that was killed with SIGKILL.
lab_sweep()
{
	local path name pid
	for path in /run/netns/mpp-*-*; do
		[ -e "$path" ] || continue
		name=${path##*/}
		pid=${name#mpp-}
		pid=${pid%%-*}
		if ! [ -d "/proc/$pid" ] && [ -z "$(ip netns pids "$name")" ]; then
			ip netns del "$name"
		fi
	done
}

lab_add_ns()
{
	local ns
	ns=$(lab_ns "$1")
	ip netns add "$ns" || lab_die "cannot make namespace $ns"
	ip -n "$ns" link set lo up
	nsenter --net="/run/netns/$ns" sh -e <<-'SYSCTLS' || lab_die "sysctls of $ns"
		cd /proc/sys/net
		put() { [ ! -e $1 ] || echo "$2" >$1; }
		put mptcp/blackhole_timeout 0
		put ipv4/tcp_wmem "4096 65536 33554432"
		put ipv4/tcp_rmem "4096 131072 33554432"
		put ipv4/tcp_no_metrics_save 1
		put ipv4/conf/all/rp_filter 2
		put ipv4/conf/default/rp_filter 2
		put ipv4/ip_forward 1
		put ipv4/ping_group_range "0 0"
		put ipv6/conf/all/forwarding 1
		put ipv6/conf/default/accept_dad 0
		# nothing is said on a link that the test did not ask for
		put ipv6/conf/default/addr_gen_mode 1
	SYSCTLS
}

# A router asks for its neighbours by link-local address, so this device needs one.
lab_add_origin()
{
	local s o
	s=$(lab_ns server)
	o=$(lab_ns origin)
	ip -n "$s" link add origin type veth peer name server netns "$o"
	ip -n "$s" -batch - <<-END
		address add $LAB_SERVER4/32 dev lo
		address add $LAB_SERVER6/128 dev lo
		address add 5.5.5.1/24 dev origin
		address add 2a05:5::1/64 dev origin nodad
		link set dev origin addrgenmode eui64 up
	END
	ip -n "$o" -batch - <<-END
		address add $LAB_ORIGIN4/24 dev server
		address add $LAB_ORIGIN6/64 dev server nodad
		link set dev server addrgenmode eui64 up
		route add default via 5.5.5.1
		route add default via 2a05:5::1 dev server
	END
}

lab_start()
{
	[ "$(id -u)" = 0 ] || lab_die "needs root: sudo, or unshare -Urnm"
	{ : <>/dev/net/tun; } 2>/dev/null || lab_skip "/dev/net/tun is not to be had"
	[ -x "$LAB_LINKEM" ] || lab_die "no $LAB_LINKEM: make lab"
	trap 'lab_stop $?' EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	LAB_DIR=$(mktemp -d /tmp/mpp-lab.XXXXXX)
	LAB_SOCKET=$LAB_DIR/linkem
	lab_private_run || lab_die "no private /run/netns"
	lab_sweep
	lab_add_ns client
	lab_add_ns server
	lab_add_ns origin
	lab_add_origin || lab_die "cannot join server and origin"
	"$LAB_LINKEM" --seed "$LAB_SEED" "$LAB_SOCKET" &
	LAB_LINKEM_PID=$!
	wait_until 5 test -S "$LAB_SOCKET" || lab_die "the emulator does not start"
}

lab_ctl()
{
	"$LAB_LINKEM" ctl "$LAB_SOCKET" "$@"
}

lab_set()
{
	lab_ctl set "$@"
}

lab_index()
{
	local i
	for i in "${!LAB_UPLINKS[@]}"; do
		[ "${LAB_UPLINKS[i]}" != "$1" ] || echo $((i + 1))
	done
}

# Addresses and routes of both ends; also after they went with the device. A sender
# may hand over a whole window before the emulator's next turn: what is too much
# shall be dropped by the emulated queue, and counted, not by the device's.
lab_address()
{
	local name=$1 n
	n=$(lab_index "$name")
	ip -n "$(lab_ns client)" -batch - <<-END
		link set dev $name txqueuelen 10000
		address replace 10.64.$n.2/24 dev $name
		address replace fd64:$n::2/64 dev $name
		route replace default via 10.64.$n.1 dev $name metric $((100 + n))
		route replace default via fd64:$n::1 dev $name metric $((100 + n))
	END
	ip -n "$(lab_ns server)" -batch - <<-END
		link set dev $name txqueuelen 10000
		address replace 10.64.$n.1/24 dev $name
		address replace fd64:$n::1/64 dev $name
	END
}

lab_uplink()
{
	local name=$1 rate=$2 delay=$3
	shift 3
	lab_ctl link "$name" "$(lab_ns client)" "$name" "$(lab_ns server)" "$name" \
		"rate=$rate" "delay=$delay" "$@" || lab_die "uplink $name"
	LAB_UPLINKS+=("$name")
	lab_address "$name" || lab_die "addresses of $name"
}

lab_veth()
{
	ip -n "$(lab_ns client)" link add "$1" type veth peer name "$1" \
		netns "$(lab_ns server)" || lab_die "uplink $1"
	ip -n "$(lab_ns client)" link set "$1" up
	ip -n "$(lab_ns server)" link set "$1" up
	LAB_UPLINKS+=("$1")
	lab_address "$1" || lab_die "addresses of $1"
}

lab_up()
{
	lab_set "$1" state=up && lab_address "$1"
}

lab_in()
{
	local ns
	ns=$(lab_ns "$1")
	shift
	nsenter --net="/run/netns/$ns" -- "$@"
}

lab_spawn()
{
	local ns=$1 log
	shift
	log=${LAB_LOG:-$LAB_DIR/${1##*/}.log}
	: >>"$log"
	nsenter --net="/run/netns/$(lab_ns "$ns")" -- "$@" >>"$log" 2>&1 </dev/null &
	LAB_PID=$!
	LAB_PIDS+=("$LAB_PID")
}

lab_gone()
{
	! kill -0 "$1" 2>/dev/null
}

lab_kill()
{
	kill "$1" 2>/dev/null || true
	wait_until 3 lab_gone "$1" || kill -KILL "$1" 2>/dev/null || true
	wait "$1" 2>/dev/null || true
}

lab_stat()
{
	lab_ctl stats "$1" | lab_field "$2"
}

lab_sum()
{
	lab_ctl stats | grep "/$1 " | lab_field "$2" | awk '{ s += $1 } END { printf "%d\n", s }'
}

# Of lines of KEY=VALUE words, the values of one key.
lab_field()
{
	awk -v key="$1" '{
		for (i = 1; i <= NF; i++) {
			n = index($i, "=")
			if (substr($i, 1, n - 1) == key)
				print substr($i, n + 1)
		}
	}'
}

# Kernel MPTCP without a daemon: what the benchmarks compare with.
lab_kernel_mptcp_endpoints()
{
	local name n
	ip -n "$(lab_ns client)" mptcp limits set subflow 8 add_addr_accepted 8
	ip -n "$(lab_ns server)" mptcp limits set subflow 8 add_addr_accepted 8
	for name in "${LAB_UPLINKS[@]}"; do
		n=$(lab_index "$name")
		ip -n "$(lab_ns client)" mptcp endpoint add "10.64.$n.2" dev "$name" \
			subflow fullmesh
	done
}

# Whatever runs in the lab's namespaces is the lab's.
lab_kill_all()
{
	local ns pid signal=$1
	for ns in client server origin; do
		[ -e "/run/netns/$(lab_ns $ns)" ] || continue
		for pid in $(ip netns pids "$(lab_ns $ns)"); do
			[ "$pid" = $$ ] || kill "$signal" "$pid" 2>/dev/null || true
		done
	done
}

lab_is_empty()
{
	local ns
	for ns in client server origin; do
		[ -e "/run/netns/$(lab_ns $ns)" ] || continue
		[ -z "$(ip netns pids "$(lab_ns $ns)")" ] || return 1
	done
}

lab_stop()
{
	local status=$1 ns i
	trap '' INT TERM HUP
	trap - EXIT
	set +e
	for ((i = ${#LAB_AT_EXIT[@]} - 1; i >= 0; i--)); do
		eval "${LAB_AT_EXIT[i]}"
	done
	lab_kill_all -TERM
	wait_until 3 lab_is_empty || lab_kill_all -KILL
	if [ -n "${LAB_LINKEM_PID:-}" ]; then
		kill "$LAB_LINKEM_PID" 2>/dev/null
		wait "$LAB_LINKEM_PID" 2>/dev/null
	fi
	for ns in client server origin; do
		ns=$(lab_ns $ns)
		[ ! -e "/run/netns/$ns" ] || ip netns del "$ns"
	done
	if [ -n "${LAB_KEEP:-}" ]; then
		echo "lab: logs are in $LAB_DIR" >&2
	else
		rm -rf "$LAB_DIR"
	fi
	exit "$status"
}
