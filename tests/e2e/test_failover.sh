#!/bin/bash
# The fastest uplink dies in silence in mid-stream: delivery stands still for at most
# 500 ms, for downloads and uploads, and the uplink is used again when it returns.
#
#   client: visitor.py      uplinks                      server     origin: origin.py
#   1080 --- fibre 30@10 (dies, returns) dsl 15@20 lte 20@15 --- 5.5.5.5:7005, :7007
#
# Stalls are measured twice: over the emulator's surviving lanes, and between two reads
# of the application that receives.
. "$(dirname "$0")/lib.sh"
. tests/lab/pair.sh

SIZE=32000000
STALL=500
GAP=500

lane()
{
	lab_stat "$1" out_bytes
}

has_carried()
{
	[ "$(lane "$1")" -ge "$2" ]
}

# recording DIRECTION: samples of all lanes from now on
recording()
{
	RECORD=$LAB_DIR/$1.csv
	tests/lab/sample.py "$LAB_SOCKET" 10 >"$RECORD" &
	SAMPLER=$!
	wait_until 3 test -s "$RECORD"
	RECORD_AT=$(lab_now_ms)
}

# recorded FROM_MS: the longest stall of the survivors since then
recorded()
{
	tests/lab/sample.py --stall "dsl/$DIRECTION,lte/$DIRECTION" --from "$1" --to "$2" <"$RECORD"
}

# cut_and_return DIRECTION CMD...: runs it, and cuts fibre once 2 MB have passed there
cut_and_return()
{
	local cut_at back_at before job
	DIRECTION=$1
	shift
	recording "$DIRECTION"
	before=$(lane "fibre/$DIRECTION")
	"$@" &
	job=$!
	wait_until 10 has_carried "fibre/$DIRECTION" $((before + 3000000))
	lab_set fibre state=silent
	cut_at=$(lab_now_ms)
	before=$(lane "lte/$DIRECTION")
	check "$DIRECTION: the others go on" wait_until 3 has_carried "lte/$DIRECTION" $((before + 2000000))
	check_between "$DIRECTION: longest stall on the wire, ms" \
		"$(recorded $((cut_at - RECORD_AT)) $(($(lab_now_ms) - RECORD_AT)))" 0 $STALL
	before=$(lane "fibre/$DIRECTION")
	lab_set fibre state=up
	back_at=$(lab_now_ms)
	check "$DIRECTION: the uplink carries again" \
		wait_until 5 has_carried "fibre/$DIRECTION" $((before + 300000))
	check_between "$DIRECTION: after, ms" $(($(lab_now_ms) - back_at)) 0 3000
	check "$DIRECTION: on the same stream" kill -0 $job
	wait $job
	check "$DIRECTION: the stream ends well" [ $? = 0 ]
	kill $SAMPLER
	wait $SAMPLER
}

download()
{
	visit download $SIZE >"$LAB_DIR/download"
}

upload()
{
	visit upload $SIZE >"$LAB_DIR/upload"
}

test_download()
{
	local n sum gap
	cut_and_return down download
	read -r n sum gap <"$LAB_DIR/download"
	check_between "down: all bytes" "$n" $SIZE $SIZE
	check "down: SHA-256" [ "$sum" = "$(origin_sum)" ]
	check_between "down: longest gap between two reads, ms" "$gap" 0 $GAP
}

# What port 7005 sends.
origin_sum()
{
	/usr/bin/python3 -c "
import hashlib
block = bytes(range(256)) * 256
n = $SIZE
print(hashlib.sha256((block * (n // len(block) + 1))[:n]).hexdigest())"
}

test_upload()
{
	local n sum gap
	cut_and_return up upload
	wait_until 5 origin_said "7007 end"
	read -r n sum gap < <(sed -n 's/^7007 end //p' "$LAB_DIR/origin.log")
	check "up: all bytes, SHA-256" [ "$n $sum" = "$(cat "$LAB_DIR/upload")" ]
	check_between "up: longest gap between two reads, ms" "$gap" 0 $GAP
}

lab_start
lab_uplink fibre 30mbit 10ms
lab_uplink dsl 15mbit 20ms
lab_uplink lte 20mbit 15ms
start_origin
pair_start
test_download
check "every uplink is active again" wait_until 5 pair_ready 3
test_upload
check "both daemons end cleanly" pair_stop
finish
