#!/bin/bash
# 9,000 idle streams: how much memory each daemon keeps resident.
#
#   client --- veth --- server --- veth --- origin
#
# Each stream carries a byte there and back when it is opened, and another at the
# end; in between they are silent.
# shellcheck source=tests/bench/lib.sh
. "$(dirname "$0")/lib.sh"

COUNT=${IDLE_COUNT:-9000}
PAIR_PEER="max_streams = $COUNT"
PAIR_CLIENT_EXTRA="[listen answer]
type = forward
address = 127.0.0.1:7007
transport = $PAIR_TRANSPORT
target = $LAB_ORIGIN4:7007"

# resident PID [KEY]
resident_mb()
{
	awk -v key="${2:-VmRSS}:" '$1 == key { printf "%.1f\n", $2 * 1024e-6 }' "/proc/$1/status"
}

said()
{
	grep -q "^$1" "$out"
}

# both WORD: resident memory of both daemons
both()
{
	echo "client_$1=$(resident_mb "$PAIR_CLIENT") server_$1=$(resident_mb "$PAIR_SERVER")"
}

lab_start
lab_veth wire
lab_spawn origin tests/bench/streams.py answer 7007
wait_until 5 listens origin 7007 || lab_die "streams.py does not listen"
pair_again "max_streams = $COUNT"
empty=$(both empty_mb)
cpu=$(cpu_ns "$PAIR_CLIENT" "$PAIR_SERVER")

out=$BENCH_RAW-streams
mkfifo "$LAB_DIR/go"
lab_in client timeout 120 tests/bench/streams.py idle 127.0.0.1 7007 "$COUNT" \
	<"$LAB_DIR/go" >"$out" 2>&1 &
streams=$!
exec 9>"$LAB_DIR/go"
wait_until 100 said open || record "who=ours error=$(tail -n 1 "$out" | tr ' ' _)"
cpu=$(($(cpu_ns "$PAIR_CLIENT" "$PAIR_SERVER") - cpu))
sleep 3
idle=$(both mb)
before=$(cpu_ns "$PAIR_CLIENT" "$PAIR_SERVER")
sleep 2
turns=$(($(cpu_ns "$PAIR_CLIENT" "$PAIR_SERVER") - before))
echo >&9
wait "$streams"
record "who=ours $(awk -v cpu="$cpu" -v turns="$turns" '
	/^open/ { printf "open=%d seconds=%s per_s=%.0f cpu_ms=%.3f ", $2, $3, $2 / $3, cpu / 1e6 / $2 }
	/^passed/ { printf "passed=%d ", $2 }
	END { printf "idle_cpu=%.1f\n", turns / 2e7 }' "$out") $idle $empty \
	$(both after_mb)"
