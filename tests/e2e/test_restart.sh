#!/bin/bash
# Either daemon may die or be stopped at any time: streams end at once and clearly, new
# ones work soon, and nothing is left behind.
#
#   client: visitor.py, curl       uplinks                server      origin: origin.py
#   1080, 8000 ------------- one 50@10 two 50@20 -------------- 5.5.5.5:7001 to 7007
. "$(dirname "$0")/lib.sh"
. tests/lab/pair.sh

visit()
{
	lab_in client timeout 20 /usr/bin/python3 tests/e2e/visitor.py "$@" 2>/dev/null
}

# Ten streams that wait for what becomes of them.
hold()
{
	HOLD_LOG=$LAB_DIR/hold.$((++HOLDS))
	LAB_LOG=$HOLD_LOG lab_spawn client timeout 60 /usr/bin/python3 \
		tests/e2e/visitor.py hold 10
	check "$1: ten streams are open" wait_until 10 grep -q held "$HOLD_LOG"
}
HOLDS=0

# check_reset WHAT SECONDS: within that, all ten were reset
check_reset()
{
	check "$1: the applications hear of it" wait_until "$2" grep -q over "$HOLD_LOG"
	check "$1: as a reset, all of them" grep -q "over reset=10" "$HOLD_LOG"
}

kill_hard()
{
	kill -KILL "$1"
	wait "$1" 2>/dev/null
}

pm_type()
{
	lab_in "$1" cat /proc/sys/net/mptcp/pm_type
}

path_manager()
{
	pair_value "$1" status .path_manager.in_use
}

check_let_go()
{
	check "client killed: the server lets its streams go" wait_until 8 \
		pair_is server status .streams.open 0
}

test_client_killed()
{
	hold "client killed"
	kill_hard "$PAIR_CLIENT"
	check_reset "client killed" 1
	# Over udp nothing tells the server; the client's next session does.
	[ "$PAIR_TRANSPORT" = udp ] || check_let_go
	check "client killed: it starts again" pair_client
	[ "$PAIR_TRANSPORT" != udp ] || check_let_go
	check "client killed: new streams work" wait_until 5 visit echo
}

test_server_killed()
{
	local at
	hold "server killed"
	kill_hard "$PAIR_SERVER"
	pair_server
	at=$(lab_now_ms)
	check_reset "server killed" 3
	check "server killed: new streams work" wait_until 5 visit echo
	check_between "server killed: after, ms" $(($(lab_now_ms) - at)) 0 5000
}

test_loop()
{
	local i at
	for i in 1 2 3 4 5; do
		kill_hard "$PAIR_CLIENT"
		kill_hard "$PAIR_SERVER"
		pair_server
		pair_client
		at=$(lab_now_ms)
		check "both killed, $i: streams work again" wait_until 5 visit echo
	done
	check_between "the last time after, ms" $(($(lab_now_ms) - at)) 0 5000
}

# What both have in the file system and in their namespaces.
remains()
{
	local role
	for role in client server; do
		find "$LAB_DIR" -type s -name "$role*"
		find "$LAB_DIR/state-$role" -type f
		lab_in $role ss -Hltn
		pm_type $role
	done
}

# Servers that the lab itself has there do not count.
is_clean()
{
	[ "$(remains)" = "$1" ]
}

test_stopped()
{
	hold "stopped"
	check "SIGTERM: both end with status 0" pair_stop
	check_reset "SIGTERM" 2
	check "SIGTERM: no sockets, files or path manager are left" wait_until 3 is_clean "$BEFORE"
}

# second ROLE ARG...: what one more daemon of the same configuration says
second()
{
	local role=$1
	shift
	lab_in "$role" timeout 5 "$B/mpproxyd" -c "$LAB_DIR/$role.conf" "$@" 2>&1
}

# It must not take the path manager from the one that runs.
test_second()
{
	local role
	for role in client server; do
		check "a second $role is told why not" eval \
			'second $role | grep -q "another daemon answers there"'
		check "a second $role restores nothing" eval \
			'second $role --restore-pm | grep -q "a daemon answers at"'
		check "the first $role keeps the path manager" [ "$(pm_type $role)" = 1 ]
	done
	check "streams work on" visit echo
}

# A path manager left behind by a daemon that was killed is given back by the next one.
test_given_back()
{
	pair_server && pair_client
	check "started again" wait_until 5 visit echo
	check "SIGINT ends the client" eval 'kill -INT $PAIR_CLIENT; wait $PAIR_CLIENT'
	check "SIGINT ends the server" eval 'kill -INT $PAIR_SERVER; wait $PAIR_SERVER'
	check "all is as before" wait_until 3 is_clean "$BEFORE"
}

lab_start
lab_uplink one 50mbit 10ms
lab_uplink two 50mbit 20ms
start_origin
mkdir -p "$LAB_DIR/state-client" "$LAB_DIR/state-server"
BEFORE=$(remains)
pair_start
check "the client manages its subflows itself" [ "$(path_manager client)" = userspace ]
check "the server manages its subflows itself" [ "$(path_manager server)" = userspace ]
check "in the client's namespace" [ "$(pm_type client)" = 1 ]
test_second
test_client_killed
test_server_killed
test_loop
test_stopped
test_given_back
finish
