#!/bin/bash
# Processor time per GB with full protection, beside shadowsocks-libev.
#
#   client --- veth --- server --- veth --- origin (nginx)
# shellcheck source=tests/bench/cost.sh
. "$(dirname "$0")/cost.sh"

cost_start
shadowsocks
cost_compare http://127.0.0.1:8000 shadowsocks http://127.0.0.1:9000
