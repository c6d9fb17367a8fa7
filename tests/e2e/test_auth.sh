#!/bin/bash
# protect = auth: what is TLS already crosses the wire as it is, everything else and
# every name stays sealed, and only where the server allows it.
#
#   client: curl -k, visitor         uplinks         server, tshark      origin: nginx
#   8443 (auth) 8080 (full) ---- one 50@10 two 30@20 ------------ 5.5.5.5:443, :80
. "$(dirname "$0")/lib.sh"
. tests/lab/pair.sh

PAIR_PEER="allow_auth_only = yes"
PAIR_CLIENT_EXTRA="
	[listen tls]
	type = http
	address = 127.0.0.1:8443
	protect = auth"

fetch()
{
	lab_in client curl -sS --fail -k --max-time 30 "$@"
}

fetches()
{
	local want=$1
	shift
	[ "$(fetch "$@" | sha256sum | cut -d' ' -f1)" = "$want" ]
}

start_capture()
{
	CAPTURE=$LAB_DIR/capture.$1
	LAB_LOG=$CAPTURE.log lab_spawn server tshark -q -n -i any -f 'tcp port 4433' -w "$CAPTURE"
	CAPTURER=$LAB_PID
	wait_until 10 grep -q "Capturing on" "$CAPTURE.log"
}

# The last packets may still be with the kernel: they are there once the file stands still.
end_capture()
{
	local size=-1
	until [ "$(stat -c %s "$CAPTURE")" = "$size" ]; do
		size=$(stat -c %s "$CAPTURE")
		sleep 0.3
	done
	kill -INT "$CAPTURER"
	wait "$CAPTURER"
}

captured()
{
	grep -aq "$1" "$CAPTURE"
}

# What a slow stream's report says while it runs; its rate is curl's.
protect_of()
{
	local job
	lab_spawn client curl -sS -k --limit-rate 400k -o /dev/null "$@"
	job=$LAB_PID
	wait_until 5 pair_is client status .streams.open 1
	wait_until 2 pair_is client streams '.streams[0].protect' "$WANT"
	check "$WHAT: the client shows $WANT" pair_is client streams '.streams[0].protect' "$WANT"
	check "$WHAT: the server shows $WANT" pair_is server streams '.streams[0].protect' "$WANT"
	lab_kill "$job"
	wait_until 5 pair_is client status .streams.open 0
}

# The name goes to the server within TLS as SNI; what would tell it is OPEN or CONNECT.
test_tls()
{
	local up=-x\ http://127.0.0.1:8443
	start_capture tls
	# shellcheck disable=SC2086
	{
		check "TLS through auth" fetches "$SUM" $up --connect-to origin.test:443:both.test:443 \
			https://origin.test/large
		check "TLS upload through auth" fetch $up -T "$LAB_DIR/www/large" \
			-o /dev/null https://origin.test/up/large
	}
	check "all of it" cmp "$LAB_DIR/www/large" "$LAB_DIR/www/up/large"
	end_capture
	check "its ClientHello is on the wire as it is" captured 'origin.test'
	check "the name in OPEN is not" eval '! captured both.test'
	# shellcheck disable=SC2086
	WHAT="TLS" WANT=auth protect_of $up https://origin.test/large
}

test_not_tls()
{
	start_capture clear
	check "what is not TLS passes" fetches "$SUM" -p -x http://127.0.0.1:8443 \
		-A 'word-of-the-application' http://origin.test/large
	end_capture
	check "sealed: its request is not to be seen" eval '! captured word-of-the-application'
	check "nor its name" eval '! captured origin.test'
	WHAT="not TLS" WANT=full protect_of -p -x http://127.0.0.1:8443 http://origin.test/large
}

test_full()
{
	WHAT="protect = full" WANT=full protect_of -x http://127.0.0.1:8080 https://origin.test/large
}

test_not_allowed()
{
	sed -i 's/^\(\s*\)allow_auth_only = yes/\1allow_auth_only = no/' "$LAB_DIR/server.conf"
	check "the server stops" pair_term "$PAIR_SERVER" server
	pair_server
	check "not allowed: TLS works all the same" wait_until 10 \
		fetches "$SUM" -x http://127.0.0.1:8443 https://origin.test/large
	start_capture sealed
	check "not allowed: once more" \
		fetches "$SUM" -x http://127.0.0.1:8443 https://origin.test/large
	end_capture
	check "not allowed: sealed" eval '! captured origin.test'
	WHAT="not allowed" WANT=full protect_of -x http://127.0.0.1:8443 https://origin.test/large
}

lab_start
lab_uplink one 50mbit 10ms
lab_uplink two 30mbit 20ms
origin_nginx
SUM=$(origin_file large 3000000)
pair_start
test_tls
test_not_tls
test_full
test_not_allowed
check "both daemons end cleanly" pair_stop
finish
