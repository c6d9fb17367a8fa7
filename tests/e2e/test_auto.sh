#!/bin/bash
# A listener that leaves the transport open gets what works: udp; kernel MPTCP where no
# UDP gets through; and the report says why.
#
#   client: curl          uplinks          server     origin: nginx
#   8000 --- fibre 40@10, lte 20@15 (UDP dropped) --- 5.5.5.5:80
. "$(dirname "$0")/lib.sh"
PAIR_TRANSPORT=auto
. tests/lab/pair.sh

# drop WHAT...: of what the client sends
drop()
{
	lab_in client nft -f - <<-END
		table inet mpp {
			chain out {
				type filter hook output priority 0
				$(printf '%s drop\n' "$@")
			}
		}
	END
}

chosen()
{
	pair_is client status .auto.transport "$1"
}

reason_says()
{
	pair_value client status .auto.reason | grep -q "$1"
}

# fetched_over TRANSPORT: a download, which that transport carries as the report says
fetched_over()
{
	local job sum
	lab_in client curl -sf --limit-rate 2M --max-time 20 http://127.0.0.1:8000/file \
		>"$LAB_DIR/got" &
	job=$!
	wait_until 3 pair_is client streams '.streams[0].transport' "$1" || return 1
	wait $job || return 1
	sum=$(sha256sum <"$LAB_DIR/got" | cut -d' ' -f1)
	[ "$sum" = "$SUM" ]
}

lab_start
lab_uplink fibre 40mbit 10ms
lab_uplink lte 20mbit 15ms
origin_nginx
SUM=$(origin_file file 3000000)
origin_file small 100 >/dev/null
pair_start
check "both work: udp is chosen" wait_until 5 chosen udp
check "because it fails over faster" reason_says "fails over faster"
check "and carries a stream" fetched_over udp

drop "meta l4proto udp"
check "UDP is dropped: kernel MPTCP is chosen" wait_until 5 chosen mptcp
check "because UDP does not get through" reason_says "UDP does not get through"
check "and carries a stream" fetched_over mptcp
lab_in client nft delete table inet mpp
check "UDP gets through again: udp is chosen" wait_until 5 chosen udp

# Nothing gets through, and then UDP does, but no TCP: whoever waits need not wait for TCP.
lab_kill "$PAIR_CLIENT"
drop "meta l4proto udp" "tcp dport 4433"
pair_client
wait_until 5 pair_is client status .auto.reason "no transport has a session yet"
lab_in client curl -sf --max-time 8 http://127.0.0.1:8000/small >"$LAB_DIR/forward" &
FORWARD=$!
lab_in client curl -sf --max-time 8 --socks5-hostname 127.0.0.1:1080 \
	http://origin.test/small >"$LAB_DIR/socks" &
SOCKS=$!
check "without a session two streams wait" wait_until 3 pair_is client streams ".streams | length" 2
lab_in client nft delete table inet mpp
drop "tcp dport 4433"
check "UDP comes: it carries one of a forward" wait $FORWARD
check "and one of SOCKS" wait $SOCKS
check "byte for byte" cmp "$LAB_DIR/forward" "$LAB_DIR/socks"
lab_in client nft delete table inet mpp
pair_stop || not_ok "both daemons end well" "see above"
finish
