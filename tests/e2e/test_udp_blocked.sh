#!/bin/bash
# An uplink that lets no UDP through carries the same session over TCP, and UDP again
# once it gets through: UDP is dropped on one uplink, then on both, then on none; and
# in the end its large packets only, on one of them on the way down only.
#
#   client: curl          uplinks                 server     origin: nginx
#   8000 --- fibre 40@10, lte 20@15 (UDP dropped) --- 5.5.5.5:80
. "$(dirname "$0")/lib.sh"
PAIR_TRANSPORT=udp
. tests/lab/pair.sh

SIZE=70000000

names()
{
	local names='"none"' name
	for name; do
		names+=", \"$name\""
	done
	echo "{ $names }"
}

# drop OUT IN: what of UDP is dropped, silently, as by a middlebox
drop()
{
	lab_in client nft -f - <<-END
		table inet mpp
		flush table inet mpp
		table inet mpp {
			chain out {
				type filter hook output priority 0
				oifname $1 counter drop
			}
			chain in {
				type filter hook input priority 0
				iifname $2 counter drop
			}
		}
	END
}

blocked()
{
	drop "$(names "$@") meta l4proto udp" "$(names "$@") meta l4proto udp"
}

# narrow OUT IN: on these uplinks UDP brings small packets only
narrow()
{
	# shellcheck disable=SC2086 # words are names
	drop "$(names $1) meta l4proto udp meta length > 1000" \
		"$(names $2) meta l4proto udp meta length > 1000"
}

has_carried()
{
	[ "$(lab_stat "$1" out_bytes)" -ge "$2" ]
}

# carries NAME BYTES: that many more come down this uplink within 5 s
carries()
{
	wait_until 5 has_carried "$1/down" $(($(lab_stat "$1/down" out_bytes) + $2))
}

# says N TEXT: the client has said it N times
says()
{
	[ "$(grep -c "$2" "$LAB_DIR/client.log")" -ge "$1" ]
}

fetch()
{
	lab_in client curl -sf --max-time "$1" "http://127.0.0.1:8000/$2"
}

fetch_hashed()
{
	fetch 60 "$1" | sha256sum | cut -d' ' -f1
}

small_arrives()
{
	[ "$(fetch 4 small | sha256sum | cut -d' ' -f1)" = "$SMALL" ]
}

lab_start
lab_uplink fibre 40mbit 10ms
lab_uplink lte 20mbit 15ms
origin_nginx
LARGE=$(origin_file large $SIZE)
SMALL=$(origin_file small 100000)
pair_start
check "a stream over UDP" wait_until 5 small_arrives

fetch_hashed large >"$LAB_DIR/large.hash" &
JOB=$!
check "both uplinks carry it" carries fibre 2000000
blocked fibre
check "UDP is dropped on one: it goes over TCP" wait_until 5 says 1 "uplink over TCP: name=fibre"
check "and carries the same stream" carries fibre 3000000
check "the other one stays on UDP" carries lte 1000000

blocked fibre lte
check "UDP is dropped on both: the other one too" wait_until 5 says 1 "uplink over TCP: name=lte"
check "carries the stream" carries lte 1500000
check "a new stream opens" small_arrives

blocked
check "UDP gets through: it is used again on one" wait_until 5 says 1 "uplink over UDP again: name=fibre"
check "and on the other" wait_until 5 says 1 "uplink over UDP again: name=lte"
check "both carry" carries fibre 2000000
wait $JOB
check "byte for byte" [ "$(cat "$LAB_DIR/large.hash")" = "$LARGE" ]
check "in one session" [ "$(grep -c "session up: transport=udp" "$LAB_DIR/client.log")" = 1 ]

blocked fibre lte
lab_kill "$PAIR_CLIENT"
pair_client
check "a session begins without any UDP" wait_until 8 says 1 "session up: transport=udp"
check "and brings a stream" wait_until 5 small_arrives

lab_kill "$PAIR_CLIENT"
narrow "fibre" "fibre lte"
pair_client
check "only small packets of UDP get through: TCP" wait_until 8 says 1 "uplink over TCP: name=fibre reason=\"UDP gets through in part only\""
check "also where that is so on the way down" wait_until 8 says 1 "uplink over TCP: name=lte reason=\"UDP gets through in part only\""
check "and a stream comes" wait_until 5 small_arrives
pair_stop || not_ok "both daemons end well" "see above"
finish
