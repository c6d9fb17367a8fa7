#!/bin/bash
# The client's clocks go ahead, by two minutes: keys are renewed, and a stream does not
# notice. Then by a day, and the server's wall clock ten years, forth and back: what
# clocks say is no reason to refuse anything.
#
#   client: visitor.py      uplinks                    server     origin: origin.py
#   1080 -------------- fibre 30@10 dsl 15@20 -------------- 5.5.5.5:7005, :7007
#   clocks of libfaketime                              wall clock of libfaketime
PAIR_TRANSPORT=udp
. "$(dirname "$0")/lib.sh"
. tests/lab/pair.sh

SIZE=400000000
YEARS=$((10 * 365 * 86400))

FAKETIME=$(echo /usr/lib/*/faketime/libfaketime.so.1)
if [ ! -e "$FAKETIME" ]; then
	echo "skip: libfaketime is not there"
	exit 77
fi

stream()
{
	visit download 1000000 >"$LAB_DIR/download"
}

# clock ROLE OFFSET: from now on, in seconds
clock()
{
	echo "$2s" >"$LAB_DIR/clock"
	mv "$LAB_DIR/clock" "$LAB_DIR/$1.clock"
}

is_up_for()
{
	[ "$(pair_value client status .uptime_s)" -ge "$1" ]
}

received()
{
	pair_value client subflows '[.subflows[].bytes_rx] | add'
}

has_received()
{
	[ "$(received)" -gt "$1" ]
}

goes_on()
{
	wait_until 2 has_received $(($(received) + 1000000))
}

test_new_keys()
{
	local s
	visit download $SIZE "$LAB_DIR/stop" >"$LAB_DIR/download" &
	check "a download goes on" goes_on
	# A session that was not heard of for 30 s is given up.
	for s in 20 40 60 80 100 120 140; do
		clock client +$s
		check "$s s ahead" wait_until 2 is_up_for $s
		check "$s s ahead: it goes on" goes_on
	done
	check "the client has new keys" wait_until 2 pair_is client status .udp.rekeys 1
	check "the server has new keys" wait_until 2 pair_is server status .udp.rekeys 1
	check "it goes on with them" goes_on
	check "hardly a packet was refused" pair_is server status '.udp.refused_packets < 10' true
	touch "$LAB_DIR/stop"
	wait $!
	check "what came is right" [ $? = 0 ]
}

test_far_away()
{
	clock client +86400
	check "a day ahead" wait_until 2 is_up_for 86400
	check "a day ahead: a stream within 5 s" wait_until 5 stream
	clock server +$YEARS
	check "years ahead: a stream" stream
	clock server -$YEARS
	check "years back: a stream" stream
}

lab_start
lab_uplink fibre 30mbit 10ms
lab_uplink dsl 15mbit 20ms
start_origin
clock client +0
clock server +0
RUN=(env "LD_PRELOAD=$FAKETIME" FAKETIME_NO_CACHE=1
	"ASAN_OPTIONS=${ASAN_OPTIONS:-}:verify_asan_link_order=0")
PAIR_CLIENT_RUN=("${RUN[@]}" "FAKETIME_TIMESTAMP_FILE=$LAB_DIR/client.clock")
PAIR_SERVER_RUN=("${RUN[@]}" "FAKETIME_TIMESTAMP_FILE=$LAB_DIR/server.clock"
	FAKETIME_DONT_FAKE_MONOTONIC=1)
pair_start
test_new_keys
test_far_away
check "both daemons end cleanly" pair_stop
check "the server's clock was years back" grep -q "^$(($(date +%Y) - 10))-.* stop" "$LAB_DIR/server.log"
finish
