#!/bin/bash
# What the udp transport does can be seen at both ends, while it does it.
#
#   client: visitor.py      uplinks                    server     origin: origin.py
#   1080 -------------- fibre 30@10 dsl 15@20 -------------- 5.5.5.5:7005, :7007
PAIR_TRANSPORT=udp
. "$(dirname "$0")/lib.sh"
. tests/lab/pair.sh

SIZE=400000000

# subflow ROLE UPLINK-ID FIELD
subflow()
{
	pair_value "$1" subflows \
		"[.subflows[] | select(.transport == \"udp\" and .uplink_id == $2)][0].$3"
}

is_subflow()
{
	[ "$(subflow "$1" "$2" "$3")" = "$4" ]
}

has_more()
{
	[ "$(subflow "$1" "$2" "$3")" -gt "$4" ]
}

# shows COMMAND REGEX
shows()
{
	# shellcheck disable=SC2086 # a command with its argument
	pair_ctl client $1 | grep -q "$2"
}

# Both uplinks carry the download: the client receives, the server sends.
test_active()
{
	local id
	for id in 1 2; do
		check "$id: active at the client" wait_until 5 is_subflow client $id state active
		check "$id: active at the server" wait_until 5 is_subflow server $id state active
		check "$id: the client receives" wait_until 5 has_more client $id bytes_rx 500000
		check "$id: the server sends" has_more server $id bytes_tx 500000
		check "$id: in packets" has_more server $id pkt_sent 300
		check_between "$id: round trip, ms" "$(subflow client $id srtt_ms)" 15 200
		check_between "$id: what the server counts on, bit/s" \
			"$(subflow server $id rate_tx)" 7000000 60000000
		check_between "$id: MTU" "$(subflow server $id mtu)" 1280 1500
	done
	check "named after the uplinks" [ "$(subflow client 1 uplink) $(subflow client 2 uplink)" = "fibre dsl" ]
	check "the server knows the client" is_subflow server 1 peer home
	check "carried by UDP" is_subflow client 1 carrier udp
	check "the stream has two subflows" wait_until 3 pair_is client streams '.streams[0].subflows' 2
	check "each uplink has one" \
		pair_is client uplinks '[.uplinks[].subflows] | map(. >= 1) | all' true
	check "status: two of one session" wait_until 3 \
		pair_is client status '.udp | "\(.sessions) \(.subflows_active)"' "1 2"
	check "status: the server has sent" pair_is server status '.udp.sent_bytes > 1000000' true
	check "status: buffers are held" wait_until 3 pair_is server status '.udp.held_bytes > 0' true
	check "as a table" wait_until 3 shows subflows "^vps .* fibre  *udp .* active"
	check "status as text" wait_until 3 shows status "^udp sessions *1, 2 subflows active"
}

test_cut()
{
	lab_set dsl state=silent
	check "cut: dead at the server" wait_until 2 is_subflow server 2 state dead
	check "cut: dead at the client" wait_until 3 is_subflow client 2 state dead
	check "cut: it was suspected first" has_more server 2 suspected 0
	check "cut: the other is active" wait_until 3 is_subflow server 1 state active
	check "cut: status: one is left" wait_until 3 pair_is client status .udp.subflows_active 1
	lab_set dsl state=up
	check "back: active at the server" wait_until 3 is_subflow server 2 state active
	check "back: active at the client" wait_until 3 is_subflow client 2 state active
}

uplink()
{
	pair_value client uplinks "[.uplinks[] | select(.name == \"$1\")][0].$2"
}

is_uplink()
{
	[ "$(uplink "$1" "$2")" = "$3" ]
}

is_not_active()
{
	! is_uplink "$1" state active
}

# idle_death WHAT: nothing is sent but what asks whether the other end is there
idle_death()
{
	local at
	lab_set dsl state=silent
	at=$(lab_now_ms)
	check "$1: idle death is noticed" wait_until 3 is_not_active dsl
	check_between "$1: after, ms" $(($(lab_now_ms) - at)) 0 2000
	check "$1: the uplink is dead" wait_until 3 is_uplink dsl state dead
	check "$1: and says why" grep -q "udp: no answer for [0-9.]* m\?s; mptcp: no" <(uplink dsl reason)
	check "$1: why says so" shows "why dsl" "^why  *udp: no answer for .*; mptcp: no"
	check "$1: why, of the other" shows "why fibre" "^vps .* fibre .* active"
	pair_ctl client why nosuch 2>/dev/null
	check "$1: why, of an unknown one" [ $? = 1 ]
	check "$1: why, in JSON" [ "$(pair_ctl client -j why dsl | jq -r .uplink.state)" = dead ]
	check "$1: the other is active" wait_until 3 is_uplink fibre state active
	lab_set dsl state=up
	check "$1: active again" wait_until 5 is_uplink dsl state active
}

# Without MPTCP in the kernel of either end, and without any TCP, udp is enough.
without_mptcp()
{
	pair_stop || lab_die "a daemon does not end"
	lab_in client sysctl -qw net.mptcp.enabled=0
	lab_in server sysctl -qw net.mptcp.enabled=0
	lab_in server nft -f - <<-END
		table inet no_tcp {
			chain in {
				type filter hook input priority 0;
				tcp dport 4433 drop
			}
		}
	END
	sed -i '/^role/a scheduler = redundant' "$LAB_DIR/server.conf"
	pair_server || lab_die "the server does not start: $(tail -n 5 "$LAB_DIR/server.log")"
	pair_client || lab_die "the client does not start: $(tail -n 5 "$LAB_DIR/client.log")"
	check "no MPTCP: both uplinks are active" wait_until 5 pair_ready 2
	check "no MPTCP: by udp alone" is_uplink dsl state active
	check "no MPTCP: mptcp hears nothing" is_uplink dsl mptcp.state probing
	idle_death "no MPTCP"
	visit download 1000000 >"$LAB_DIR/small"
	check "no MPTCP: a download" [ $? = 0 ]
	# As much as the slower of the two takes; 3 % are usual.
	check "scheduler = redundant: it goes out twice" pair_is server status \
		'.udp | .sent_bytes > 900000 and .resent_bytes > .sent_bytes * 0.3' true
}

lab_start
lab_uplink fibre 30mbit 10ms
lab_uplink dsl 15mbit 20ms
start_origin
pair_start
visit download $SIZE "$LAB_DIR/stop" >"$LAB_DIR/download" &
STREAM=$!
test_active
test_cut
touch "$LAB_DIR/stop"
wait $STREAM
check "what came is right" [ $? = 0 ]
check "idle: mptcp hears both as well" wait_until 5 is_uplink dsl mptcp.state active
idle_death "idle"
without_mptcp
check "both daemons end cleanly" pair_stop
finish
