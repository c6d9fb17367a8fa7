#!/bin/bash
# Who has no key gets no byte, however he knocks and however many he is; who sits in the
# middle can end a stream, and never change or shorten it.
#
#   client: visitor.py      uplink                 server               origin
#   1080 ----------------- one 50@10 ---------- :4433 daemon -------- origin.py
#   stranger.py ----------------------------------'---- stranger.py, a crowd of
#                                                       5.5.5.100 to 5.5.5.199
#   client over a relay: 192.0.2.1:4434 relay.py --'   (plain TCP: no MPTCP options)
. "$(dirname "$0")/lib.sh"
. tests/lab/pair.sh

CROWD=5000

# Gets nothing for what is in the file.
gets_nothing()
{
	lab_in client timeout 30 /usr/bin/python3 tests/e2e/stranger.py silent \
		$LAB_SERVER4 4433 "$1" >/dev/null
}

test_garbage()
{
	head -c 3000 /dev/urandom >"$LAB_DIR/random"
	: >"$LAB_DIR/nothing"
	printf 'GET / HTTP/1.0\r\n\r\n' >"$LAB_DIR/http"
	{ printf '\001\0\0\0' && head -c 192 /dev/zero; } >"$LAB_DIR/initiation"
	{ printf '\004\0\0\0' && head -c 4000 /dev/urandom; } >"$LAB_DIR/header"
	local kind jobs=()
	for kind in random nothing http initiation header; do
		gets_nothing "$LAB_DIR/$kind" &
		jobs+=($!)
	done
	for kind in random nothing http initiation header; do
		check "no byte for: $kind" wait "${jobs[0]}"
		jobs=("${jobs[@]:1}")
	done
}

# A client of its own, with a key that the server does not know, counted on the wire:
# what the server sends is TCP's own, and no byte of data.
test_wrong_key()
{
	local dir=$LAB_DIR/wrong before=$PAIR_CLIENT wrong
	mkdir "$dir"
	(umask 077 && "$B/mpproxyctl" genkey >"$dir/client.key")
	sed -e "s|$LAB_DIR/client|$dir/client|; s|$LAB_DIR/state-client|$dir|" \
		-e 's/^address = 127.0.0.1:/&1/' "$LAB_DIR/client.conf" >"$dir/client.conf"
	LAB_LOG=$LAB_DIR/tshark.log lab_spawn server tshark -l -n -i one \
		-Y 'tcp.srcport == 4434 && tcp.len > 0' -T fields -e tcp.len
	wait_until 10 grep -q "Capturing on" "$LAB_DIR/tshark.log"
	sed -i "s/^endpoint = .*/endpoint = $LAB_SERVER4:4434/" "$dir/client.conf"
	LAB_LOG=$dir/log lab_spawn client "$B/mpproxyd" -c "$dir/client.conf"
	wrong=$LAB_PID
	check "a wrong key: the client tries" wait_until 10 [ -e "$LAB_DIR/relay/first" ]
	wait_until 5 test -S "$dir/client.sock"
	check "a wrong key: it says that it has no session" eval \
		'"$B/mpproxyctl" -s "$dir/client.sock" -j status | jq -r .mptcp.state |
		grep -q connecting'
	check "a wrong key, once more: no byte" gets_nothing "$LAB_DIR/relay/first"
	check_between "a wrong key: bytes on the wire" "$(grep -c '^[0-9]' "$LAB_DIR/tshark.log")" 0 0
	lab_kill $wrong
	PAIR_CLIENT=$before
	rm -f "$LAB_DIR/relay"/*
}

# crowd WHERE NS HOST PORT: streams work while they are there
crowd()
{
	local where=$1 ns=$2 job
	shift
	rm -f "$LAB_DIR/go"
	LAB_LOG=$LAB_DIR/crowd.$3 lab_spawn "$ns" timeout 60 /usr/bin/python3 \
		tests/e2e/stranger.py crowd "$2" "$3" $CROWD "$LAB_DIR/go"
	job=$LAB_PID
	check "$where: $CROWD connections that say nothing" \
		wait_until 20 grep -q open "$LAB_DIR/crowd.$3"
	check_between "$where: this many are there" "$(there "$ns" "$3")" "$4" $CROWD
	check "$where: a stream that is there goes on" still_held
	check "$where: new ones work" visit echo
	check "$where: ten more" ten_more
	touch "$LAB_DIR/go"
	wait "$job"
}

there()
{
	lab_in "$1" ss -Htn state established "dport = :$2" | wc -l
}

ten_more()
{
	visit echoes 10
}

still_held()
{
	! grep -q over "$LAB_DIR/hold.log"
}

# The client goes over the relay, which speaks plain TCP.
over_relay()
{
	sed -i "s/^endpoint = .*/endpoint = $LAB_SERVER4:4434/" "$LAB_DIR/client.conf"
	check "over a relay without MPTCP: the client starts" pair_restart_client
	check "over a relay: streams work" visit half_close
	check "over a relay: fallback is counted" eval \
		'[ "$(pair_value client status .streams.fallbacks)" -gt 0 ]'
}

has_met()
{
	pair_is server status .streams.strangers "$1"
}

test_replay()
{
	local strangers
	check "a handshake was recorded" wait_until 5 test -s "$LAB_DIR/relay/first"
	check "a stream was recorded" wait_until 5 test -s "$LAB_DIR/relay/stream"
	strangers=$(pair_value server status .streams.strangers)
	check "a replayed handshake gets no byte" gets_nothing "$LAB_DIR/relay/first"
	check "a replayed stream gets no byte" gets_nothing "$LAB_DIR/relay/stream"
	check "both are counted as strangers" wait_until 3 has_met $((strangers + 2))
	check "the session is not disturbed" visit echo
}

# spoil HOW DIRECTION SCENARIO: the scenario fails, on every stream
spoil()
{
	echo "$2" >"$LAB_DIR/relay/$1"
	check "$1 $2: the stream is reset" eval "visit $3 10000000 2>&1 |
		tee '$LAB_DIR/said' | grep -q 'ConnectionResetError\|BrokenPipeError'"
	check "$1 $2: it was done" eval "grep -q '$1' '$LAB_DIR/relay.log'"
	check "$1 $2: no wrong byte came" eval "! grep -q 'something else\|end after' '$LAB_DIR/said'"
	: >"$LAB_DIR/relay.log"
	rm "$LAB_DIR/relay/$1"
	check "$1 $2: the next stream is well" visit half_close
}

lab_start
lab_uplink one 50mbit 10ms
start_origin
mkdir "$LAB_DIR/relay"
LAB_LOG=$LAB_DIR/relay.log lab_spawn server /usr/bin/python3 tests/e2e/relay.py \
	$LAB_SERVER4 4434 $LAB_SERVER4 4433 "$LAB_DIR/relay"
wait_until 5 grep -q ready "$LAB_DIR/relay.log" || lab_die "relay.py does not start"
pair_start
LAB_LOG=$LAB_DIR/hold.log lab_spawn client /usr/bin/python3 tests/e2e/visitor.py hold 3
check "streams are open" wait_until 5 grep -q held "$LAB_DIR/hold.log"
test_garbage
test_wrong_key
for i in {100..199}; do
	ip -n "$(lab_ns origin)" address add "5.5.5.$i/24" dev server
done
crowd "at the server" origin $LAB_SERVER4 4433 4000
crowd "at the listener" client 127.0.0.1 1080 500
check "none of it has disturbed the first streams" still_held
over_relay
test_replay
spoil flip down download
spoil flip up upload
spoil cut down download
spoil cut up upload
check "no wrong data at the destination" eval "! grep -q '7007 end' '$LAB_DIR/origin.log'"
check "both daemons end cleanly" pair_stop
finish
