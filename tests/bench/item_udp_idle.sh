#!/bin/bash
# 10,000 idle streams over the udp transport, as item_idle.sh says; fewer where the
# limit of open files, two a stream and some, does not allow as many.
PAIR_TRANSPORT=udp
limit=$(ulimit -Hn)
[ "$limit" != unlimited ] || limit=30000
IDLE_COUNT=$(((limit - 512) / 2))
[ "$IDLE_COUNT" -le 10000 ] || IDLE_COUNT=10000
# shellcheck source=tests/bench/item_idle.sh
. "$(dirname "$0")/item_idle.sh"
