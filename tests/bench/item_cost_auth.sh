#!/bin/bash
# Processor time per GB, protect = auth with TLS inside, beside two haproxy relays
# in a row that splice: over plain TCP, and over MPTCP.
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
cost_compare https://127.0.0.1:8443 haproxy https://127.0.0.1:9443
# over MPTCP haproxy may take 40 s for one: few runs
haproxies 443 mptcp
COST_RUNS=$BENCH_RUNS COST_CC=cubic
cost_compare https://127.0.0.1:8443 haproxy-mptcp https://127.0.0.1:9444
