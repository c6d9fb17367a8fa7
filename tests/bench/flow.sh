# shellcheck shell=bash
# flow.sh - what the items that use flow.py share.
#
#   now               seconds of the clock
#   flow_agrees RAW   both sides, RAW.server and RAW.client, have had the same bytes
#   flow_error RAW    the words that say what they said instead
#
# Below tests/bench/lib.sh. PAIR_CLIENT_EXTRA gets the listener 127.0.0.1:7000.

# shellcheck disable=SC2034 # the items use it
FLOW=tests/bench/flow.py
PAIR_CLIENT_EXTRA+="
[listen flow]
type = forward
address = 127.0.0.1:7000
transport = $PAIR_TRANSPORT
target = $LAB_ORIGIN4:7000"

now()
{
	echo "$EPOCHREALTIME"
}

flow_agrees()
{
	local sent got
	sent=$(sed -n 's/^sent //p' "$1.server" "$1.client")
	got=$(sed -n 's/^got //p' "$1.server" "$1.client")
	[ -n "$sent" ] && [ "$sent" = "$got" ]
}

flow_error()
{
	echo "error=$(tail -qn 1 "$1.server" "$1.client" | tr ' \n' '__')"
}
