#!/bin/bash
# The server tells of a second address. Each uplink joins there too, and uses it where
# the first one does not answer: in the middle of a stream, and until it does again.
#
#   client: curl       uplinks                  server              origin: nginx
#   8000 ----- fibre 40@10, lte 20@15 ----- 192.0.2.1 endpoint ----- 5.5.5.5:80
#                                           2001:db8::1 advertised
. "$(dirname "$0")/lib.sh"
PAIR_TRANSPORT=udp
PAIR_SERVER_GENERAL="advertise = [$LAB_SERVER6]:4433"
. tests/lab/pair.sh

SIZE=40000000

# first RULE: what becomes of packets to and from the first address
first()
{
	lab_in server nft -f - <<-END
		table ip mpp
		flush table ip mpp
		table ip mpp {
			chain in {
				type filter hook input priority 0
				ip daddr $LAB_SERVER4 $1
			}
			chain out {
				type filter hook output priority 0
				ip saddr $LAB_SERVER4 $1
			}
		}
	END
}

# count FILTER: subflows of the client that match
count()
{
	pair_value client subflows "[.subflows[] | select($1)] | length"
}

is_count()
{
	[ "$(count "$1")" = "$2" ]
}

# received UPLINK ADDRESS: bytes, from this address of the server
received()
{
	pair_value client subflows "[.subflows[] | select(.uplink == \"$1\" and
		(.remote | startswith(\"$2\")))][0].bytes_rx"
}

has_received()
{
	[ "$(received "$1" "$2")" -ge "$3" ]
}

# brings UPLINK ADDRESS BYTES: that many more within 5 s
brings()
{
	wait_until 5 has_received "$1" "$2" $(($(received "$1" "$2") + $3))
}

lab_start
lab_uplink fibre 40mbit 10ms
lab_uplink lte 20mbit 15ms
origin_nginx
LARGE=$(origin_file large $SIZE)
pair_start
check "each uplink joins at both addresses" wait_until 5 is_count '.state == "active"' 4
check "the second one is a spare" wait_until 5 is_count \
	'.priority == "backup" and (.remote | startswith("['"$LAB_SERVER6"']"))' 2
check "at the server as well" wait_until 5 pair_is server subflows \
	'[.subflows[] | select(.priority == "backup")] | length' 2

lab_in client curl -sf --max-time 60 http://127.0.0.1:8000/large | sha256sum |
	cut -d' ' -f1 >"$LAB_DIR/large.hash" &
JOB=$!
check "the first one carries a stream over one uplink" brings fibre "$LAB_SERVER4" 1500000
check "and over the other" brings lte "$LAB_SERVER4" 700000
for uplink in fibre lte; do
	check_between "$uplink: bytes from the spare one" \
		"$(received $uplink "[$LAB_SERVER6]")" 1 100000
done

first drop
check "it falls silent: the second one carries the stream" brings fibre "[$LAB_SERVER6]" 1500000
check "over both uplinks" brings lte "[$LAB_SERVER6]" 700000
check "and no TCP is needed" is_count '.carrier == "tcp"' 0

first accept
check "it answers again, and carries" brings fibre "$LAB_SERVER4" 1500000
check "over both uplinks" brings lte "$LAB_SERVER4" 700000
wait $JOB
check "byte for byte" [ "$(cat "$LAB_DIR/large.hash")" = "$LARGE" ]
check "in one session" [ "$(grep -c "session up: transport=udp" "$LAB_DIR/client.log")" = 1 ]
pair_stop || not_ok "both daemons end well" "see above"
finish
