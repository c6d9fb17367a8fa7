#!/bin/bash
# Random faults under load: every byte arrives, and what they cost goes when they go.
#
#   client ==== three uplinks, one of them always whole ==== server --- origin
#   1080, 8000                                               4433      nginx 80
#
# For SOAK_SECONDS (120) an uplink is cut, taken down, made lossy, or given another
# priority, and mended again, while downloads and uploads run side by side. Then
# both daemons hold no more descriptors than before, and hardly more memory.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/../e2e/lib.sh"
# shellcheck source=tests/lab/pair.sh
. tests/lab/pair.sh

SOAK_SECONDS=${SOAK_SECONDS:-120}
RANDOM=${LAB_SEED:-1}
SIZE=3000000
FETCHED=0

descriptors()
{
	find "/proc/$1/fd" -mindepth 1 | wc -l
}

resident_kb()
{
	awk '/^VmRSS/ { print $2 }' "/proc/$1/status"
}

mend()
{
	case $2 in
	down) lab_up "$1" ;;
	priority) pair_ctl client set-priority "$1" always >/dev/null ;;
	*) lab_set "$1" state=up loss=0% ;;
	esac
}

break_it()
{
	case $2 in
	silent) lab_set "$1" state=silent ;;
	half) lab_set "$1/down" state=silent ;;
	down) lab_set "$1" state=down ;;
	lossy) lab_set "$1" loss=3% ;;
	priority) pair_ctl client set-backup "$1" >/dev/null ;;
	esac
}

faults()
{
	local kinds=(silent half down lossy priority) end uplink kind
	end=$(($(lab_now_ms) + SOAK_SECONDS * 1000))
	while (($(lab_now_ms) < end)); do
		uplink=${LAB_UPLINKS[RANDOM % 2]}
		kind=${kinds[RANDOM % 5]}
		break_it "$uplink" "$kind"
		sleep "$((RANDOM % 3)).$((RANDOM % 10))"
		mend "$uplink" "$kind"
		sleep "$((RANDOM % 2)).$((RANDOM % 10))"
	done
	for uplink in "${LAB_UPLINKS[@]}"; do
		lab_up "$uplink"
		pair_ctl client set-priority "$uplink" always >/dev/null
	done
}

download()
{
	local sum
	sum=$(lab_in client curl -sS --max-time 60 -x socks5h://127.0.0.1:1080 \
		http://5.5.5.5/file | sha256sum | cut -d' ' -f1)
	[ "$sum" = "$FILE_SUM" ]
}

upload()
{
	lab_in client curl -sS --max-time 60 -T "$LAB_DIR/www/file" \
		"http://127.0.0.1:8000/up/$1" >/dev/null &&
		cmp -s "$LAB_DIR/www/file" "$LAB_DIR/www/up/$1"
}

# transfers WHAT CMD...: again and again while the faults go on; prints the failures
transfers()
{
	local what=$1 failed=0 n=0
	shift
	while [ -e "$LAB_DIR/faulty" ]; do
		"$@" || failed=$((failed + 1))
		n=$((n + 1))
	done
	echo "$n $failed" >"$LAB_DIR/$what"
}

back_to()
{
	[ "$(descriptors "$1")" -le "$2" ]
}

lab_start
lab_uplink fibre 30mbit 10ms
lab_uplink dsl 15mbit 20ms
lab_uplink lte 20mbit 15ms
origin_nginx
FILE_SUM=$(origin_file file $SIZE)
pair_start
check "a first download" download
sleep 3 # the pool fills
CLIENT_FDS=$(($(descriptors "$PAIR_CLIENT") + 16))
SERVER_FDS=$(($(descriptors "$PAIR_SERVER") + 16))
CLIENT_KB=$(resident_kb "$PAIR_CLIENT")
SERVER_KB=$(resident_kb "$PAIR_SERVER")

touch "$LAB_DIR/faulty"
transfers downloads download &
DOWNLOADS=$!
transfers uploads upload one &
UPLOADS=$!
faults
rm "$LAB_DIR/faulty"
wait $DOWNLOADS $UPLOADS

for what in downloads uploads; do
	read -r n failed <"$LAB_DIR/$what"
	check_between "$what while an uplink was always whole" "$n" 5 100000
	check_between "$what that failed or had other bytes" "$failed" 0 0
	FETCHED=$((FETCHED + n))
done
check "every uplink is active again" wait_until 15 pair_ready 3
check "client: descriptors back" wait_until 30 back_to "$PAIR_CLIENT" "$CLIENT_FDS"
check "server: descriptors back" wait_until 30 back_to "$PAIR_SERVER" "$SERVER_FDS"
check_between "client: kB more after $FETCHED transfers" \
	"$(($(resident_kb "$PAIR_CLIENT") - CLIENT_KB))" -4096 2048
check_between "server: kB more after $FETCHED transfers" \
	"$(($(resident_kb "$PAIR_SERVER") - SERVER_KB))" -4096 2048
check "both daemons end cleanly" pair_stop
finish
