# shellcheck shell=bash
# iperf.sh - what the items that measure rates with iperf3 share.
#
#   start_iperfs             servers: origin 5201; server 5202 and 5204 plain,
#                            5203 MPTCP
#   iperf_run JSON CMD...    an iperf3 of the client's in CMD; 1 if it failed, and
#                            IPERF_SAID is why
#   iperf_mean JSON [SKIP]   Mbit/s of the receiver after the first SKIP (3) s
#   iperf_least JSON [SKIP]  the same in the worst 2 s
#
# Below tests/bench/lib.sh. PAIR_CLIENT_EXTRA gets the listener 127.0.0.1:5201.

# shellcheck disable=SC2034 # pair.sh reads it
PAIR_CLIENT_EXTRA="[listen iperf]
type = forward
address = 127.0.0.1:5201
transport = $PAIR_TRANSPORT
target = $LAB_ORIGIN4:5201"

IPERF_SAID=

iperf_server()
{
	local ns=$1 port=$2
	shift 2
	LAB_LOG=$LAB_DIR/iperf-$port.log lab_spawn "$ns" "$@" iperf3 -s -J -i 0.5 -p "$port"
	wait_until 5 listens "$ns" "$port" || lab_die "iperf3 does not start"
}

start_iperfs()
{
	iperf_server origin 5201
	iperf_server server 5202
	iperf_server server 5203 mptcpize run
	iperf_server server 5204
}

iperf_run()
{
	local json=$1
	shift
	if ! lab_in client timeout "$((IPERF_SECONDS + 30))" "$@" -J -i 0.5 \
		-t "$IPERF_SECONDS" --get-server-output >"$json"; then
		IPERF_SAID=$(jq -r '.error // "failed"' "$json" | tr ' ' _)
		return 1
	fi
}

# The receiver's intervals are the server's own in an upload.
iperf_intervals()
{
	jq -c --argjson skip "${2:-3}" '(if .start.test_start.reverse == 1 then .intervals
		else .server_output_json.intervals end)
		| [.[].sum | select(.start > $skip - 0.1)]' "$1"
}

iperf_mean()
{
	iperf_intervals "$@" |
		jq '(map(.bytes) | add) * 8e-4 / (map(.seconds) | add) | round / 100'
}

iperf_least()
{
	iperf_intervals "$@" | jq '. as $all | [range(0; length - 3) | $all[. : . + 4]
		| (map(.bytes) | add) * 8e-4 / (map(.seconds) | add) | round / 100] | min'
}
