#!/bin/bash
# Where MPTCP options do not get through, streams still work, over plain TCP; that is
# counted, shown and explained, and over when the options come through again.
#
#   client: visitor.py        uplinks                          server       origin
#   1080 --- one 50@10 two 30@20, nft takes out options --- net.mptcp.enabled --- 5.5.5.5
. "$(dirname "$0")/lib.sh"
. tests/lab/pair.sh

visit()
{
	lab_in client timeout 30 /usr/bin/python3 tests/e2e/visitor.py "$@" >"$LAB_DIR/visitor"
}

# strip DEVICE...: what enters the server there has no MPTCP options
strip()
{
	local device
	lab_in server nft -f - <<-END
		table inet middlebox {
			chain in {
				type filter hook prerouting priority -300
			}
		}
		flush chain inet middlebox in
	END
	for device; do
		lab_in server nft add rule inet middlebox in iifname "$device" \
			reset tcp option mptcp
	done
}

fallbacks()
{
	pair_value "$1" status .streams.fallbacks
}

# One stream in hand, and what is told of it.
hold()
{
	LAB_LOG=$LAB_DIR/hold lab_spawn client /usr/bin/python3 tests/e2e/visitor.py hold 1
	HOLDER=$LAB_PID
	check "$1: a stream" wait_until 12 grep -q held "$LAB_DIR/hold"
}

let_go()
{
	lab_kill "$HOLDER"
	rm "$LAB_DIR/hold"
	wait_until 5 pair_is client status .streams.open 0
}

test_all()
{
	strip one two
	check "none gets through: the client starts" pair_restart_client
	hold "none gets through"
	check "none gets through: explained" pair_is client streams \
		'.streams[0].fallback' "MPTCP options did not get through"
	check "none gets through: explained on the server" pair_is server streams \
		'.streams[0].fallback' "MPTCP options did not get through"
	check "none gets through: shown to people" eval \
		'pair_ctl client streams | grep -q "MPTCP options did not get through"'
	check "none gets through: counted" [ "$(fallbacks client)" -gt 0 ]
	let_go
	check "none gets through: a download" visit download 3000000
	check "none gets through: half-close" visit half_close
}

# The pool is made anew when the client starts again.
test_one()
{
	strip two
	check "one gets through: the client starts" pair_restart_client
	hold "one gets through"
	check "one gets through: MPTCP over it" wait_until 5 pair_is client streams \
		'.streams[0].fallback' null
	check "one gets through: over it alone" pair_is client streams '.streams[0].subflows' 1
	let_go
	check "one gets through: a download" visit download 3000000
}

test_none()
{
	strip
	check "all get through again: the client starts" pair_restart_client
	hold "all get through"
	check "all get through: two subflows" wait_until 5 pair_is client streams \
		'.streams[0].subflows' 2
	check_between "all get through: no fallback is counted" "$(fallbacks client)" 0 0
	let_go
}

mptcp_enabled()
{
	lab_in server sh -c "echo $1 >/proc/sys/net/mptcp/enabled"
}

has_two_subflows()
{
	hold "$1"
	wait_until 2 pair_is client streams '.streams[0].subflows' 2
	local status=$?
	let_go
	return $status
}

# Without MPTCP when the server starts, and with it later: another listener is taken.
test_switched_on()
{
	mptcp_enabled 0
	check "switched off: the server stops" pair_term "$PAIR_SERVER" server
	pair_server
	check "switched off: it says so" wait_until 5 eval \
		"tail -n 3 '$LAB_DIR/server.log' | grep -q 'mptcp=no'"
	check "switched off: streams work" wait_until 10 visit echo
	: >"$LAB_DIR/server.log"
	mptcp_enabled 1
	check "switched on: another listener is taken" wait_until 10 \
		grep -q 'mptcp=yes' "$LAB_DIR/server.log"
	check "switched on: the client starts" pair_restart_client
	check "switched on: two subflows" has_two_subflows "switched on"
}

lab_start
lab_uplink one 50mbit 10ms
lab_uplink two 30mbit 20ms
start_origin
pair_start
test_all
test_one
test_none
test_switched_on
check "both daemons end cleanly" pair_stop
finish
