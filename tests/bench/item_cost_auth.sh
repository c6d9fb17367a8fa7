#!/bin/bash
# Processor time per GB, protect = auth with TLS inside, beside two haproxy relays
# in a row that splice.
#
#   client --- veth --- server --- veth --- origin (nginx, TLS)
# shellcheck source=tests/bench/cost.sh
. "$(dirname "$0")/cost.sh"

PAIR_PEER='allow_auth_only = yes'
PAIR_CLIENT_EXTRA="[listen tls]
type = forward
address = 127.0.0.1:8443
transport = mptcp
target = $LAB_ORIGIN4:443
protect = auth"

cost_start
haproxies 443
cost_compare haproxy https://127.0.0.1:9443 https://127.0.0.1:8443
