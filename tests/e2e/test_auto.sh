#!/bin/bash
# A listener that leaves the transport open gets what works: udp; kernel MPTCP where no
# UDP gets through; and the report says why.
#
#   client: curl          uplinks          server     origin: nginx
#   8000 --- fibre 40@10, lte 20@15 (UDP dropped) --- 5.5.5.5:80
. "$(dirname "$0")/lib.sh"
PAIR_TRANSPORT=auto
. tests/lab/pair.sh

udp_dropped()
{
	lab_in client nft -f - <<-END
		table inet mpp {
			chain out {
				type filter hook output priority 0
				meta l4proto udp drop
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
pair_start
check "both work: udp is chosen" wait_until 5 chosen udp
check "because it fails over faster" reason_says "fails over faster"
check "and carries a stream" fetched_over udp

udp_dropped
check "UDP is dropped: kernel MPTCP is chosen" wait_until 5 chosen mptcp
check "because UDP does not get through" reason_says "UDP does not get through"
check "and carries a stream" fetched_over mptcp
lab_in client nft delete table inet mpp
check "UDP gets through again: udp is chosen" wait_until 5 chosen udp
pair_stop || not_ok "both daemons end well" "see above"
finish
