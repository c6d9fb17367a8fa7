#!/bin/bash
# Processor time per GB with full protection, beside shadowsocks-libev.
#
#   client --- veth --- server --- veth --- origin (nginx)
# shellcheck source=tests/bench/cost.sh
. "$(dirname "$0")/cost.sh"

cost_start
common=(-s "$LAB_SERVER4" -p 8388 -k bench -m aes-256-gcm -t 60)
lab_spawn server ss-server "${common[@]}"
RELAYS=$LAB_PID
lab_spawn client ss-tunnel "${common[@]}" -b 127.0.0.1 -l 9000 -L $LAB_ORIGIN4:80
RELAYS="$RELAYS $LAB_PID"
wait_until 5 listens client 9000 || lab_die "shadowsocks does not start"
cost_compare shadowsocks http://127.0.0.1:9000 http://127.0.0.1:8000
