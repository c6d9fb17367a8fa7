#!/bin/bash
# Streams end as TCP does: half-close and reset pass in both directions, a slow reader
# holds back its own sender only, and a stream that cannot be opened says why.
#
#   client: visitor.py, curl       uplinks        server          origin: origin.py
#   1080, 8080 ---------------- one@10 two@20 ------------- 5.5.5.5:7001 to 7007
#                                                 \-- 7.7.7.7 unreachable, 8.8.8.8 no route
. "$(dirname "$0")/lib.sh"
. tests/lab/pair.sh

has_no_streams()
{
	pair_is client status .streams.open 0 && pair_is server status .streams.open 0
}

test_half_close()
{
	check "the application ends first and gets its answer" visit half_close
	check "the destination ends first and gets the rest" eval \
		'SENT=$(visit half_closed)'
	check "all of it" wait_until 5 origin_said "7002 end $SENT"
	check "an end is an end" visit ends
	check "at the destination too" wait_until 5 origin_said "7004 end 5\$"
}

test_reset()
{
	check "the destination's reset reaches the application" visit is_reset
	check "the application resets" visit resets
	check "which reaches the destination" wait_until 5 origin_said "7004 reset 5\$"
}

rss_mb()
{
	pair_value "$1" status '.memory.rss_bytes / 1000000 | floor'
}

sent()
{
	grep "7005 sent" "$LAB_DIR/origin.log" | tail -n 1 | cut -d' ' -f3
}

# The slow stream is the only one left that its sender speaks of.
is_held_back()
{
	local before
	before=$(sent)
	sleep 0.4
	[ "$(sent)" = "$before" ]
}

test_slow_reader()
{
	local client server
	client=$(rss_mb client)
	server=$(rss_mb server)
	LAB_LOG=$LAB_DIR/slow.log lab_spawn client timeout 60 \
		/usr/bin/python3 tests/e2e/visitor.py slow_reader "$LAB_DIR/go"
	check "one of 20 does not read, the others get all" \
		wait_until 20 grep -q "others done" "$LAB_DIR/slow.log"
	check "its sender is held back" wait_until 30 is_held_back
	check_between "before it has sent all of 125 MB" "$(sent)" 1 120000000
	check_between "the client's memory grew by, MB" $(($(rss_mb client) - client)) -100 "$GROWTH"
	check_between "the server's memory grew by, MB" $(($(rss_mb server) - server)) -100 "$GROWTH"
	touch "$LAB_DIR/go"
	wait "$LAB_PID"
	check "it reads on, and all of it is right" [ $? = 0 ]
	check "no stream is left" wait_until 5 has_no_streams
}

# ask_http HOST PORT: the status of CONNECT
ask_http()
{
	local host=$1
	[[ $host != *:* ]] || host="[$host]"
	lab_in client curl -s --max-time 20 -p -x http://127.0.0.1:8080 -o /dev/null \
		-w '%{http_connect}' "http://$host:$2/"
}

# answers WHAT HOST PORT SOCKS-CODE HTTP-STATUS MIN_MS MAX_MS
answers()
{
	local what=$1 job code ms
	ask_http "$2" "$3" >"$LAB_DIR/status.$2.$3" &
	job=$!
	read -r code ms < <(visit code "$2" "$3")
	wait $job
	check_between "$what: SOCKS code" "$code" "$4" "$4"
	check_between "$what: after, ms" "$ms" "$6" "$7"
	check_between "$what: HTTP status" "$(cat "$LAB_DIR/status.$2.$3")" "$5" "$5"
}

# Those that wait for a deadline do so at the same time.
start_slow_answers()
{
	lab_in origin nft -f - <<-END
		table inet quiet {
			chain in {
				type filter hook input priority 0
				tcp dport 82 drop
			}
		}
	END
	answers "timed out" 5.5.5.5 82 6 504 8000 13000 >"$LAB_DIR/slow.1" &
	SLOW="$!"
	answers "no name server answers" silent.test 80 1 502 1000 13000 >"$LAB_DIR/slow.2" &
	SLOW="$SLOW $!"
}

end_slow_answers()
{
	# shellcheck disable=SC2086
	wait $SLOW
	cat "$LAB_DIR"/slow.[12]
	FAILED=$((FAILED + $(cat "$LAB_DIR"/slow.[12] | grep -c "^not ok")))
}

test_answers()
{
	ip -n "$(lab_ns server)" route add unreachable 7.7.7.7
	answers "refused" 5.5.5.5 81 5 502 0 1000
	answers "refused, IPv6" 2a05:5::5 81 5 502 0 1000
	answers "refused, by name" both.test 81 5 502 0 1000
	answers "host unreachable" 7.7.7.7 80 4 502 0 1000
	answers "no route" 8.8.8.8 80 3 502 0 1000
	answers "no such name" nowhere.test 80 4 502 0 1000
	answers "a private address" 10.0.0.1 80 2 403 0 1000
	answers "a private address inside of IPv6" ::ffff:10.0.0.1 80 2 403 0 1000
	answers "a private address behind a name" inside.test 80 2 403 0 1000
	answers "loopback" 127.0.0.1 80 2 403 0 1000
	answers "loopback, IPv6" ::1 80 2 403 0 1000
	answers "link-local" 169.254.1.1 80 2 403 0 1000
	answers "the server itself" 5.5.5.1 80 2 403 0 1000
	answers "the server itself, IPv6" 2a05:5::1 80 2 403 0 1000
	answers "mail" 5.5.5.5 25 2 403 0 1000
}

lab_start
lab_uplink one 100mbit 10ms
lab_uplink two 50mbit 20ms
start_origin
pair_start
# Over udp the stream that is not read may fill its window (STREAM_WINDOW_MAX).
GROWTH=8
[ "$PAIR_TRANSPORT" != udp ] || GROWTH=$((8 + 16))
[[ $B != *asan* ]] || GROWTH=100
start_slow_answers
test_half_close
test_reset
test_answers
end_slow_answers
test_slow_reader
check "both daemons end cleanly" pair_stop
finish
