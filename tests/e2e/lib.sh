# shellcheck shell=bash
# lib.sh - what every end-to-end test starts with.
#
# A test is tests/e2e/test_NAME.sh. It draws its topology in its head comment,
# says "ok - WHAT" or "not ok - WHAT: WHY" for each promise, exits 0 if all
# hold, takes the build directory from $B and leaves nothing behind.
#
#   ok WHAT / not_ok WHAT WHY
#   check WHAT CMD...                 ok if the command succeeds
#   check_near WHAT VALUE WANT PART   ok within PART (0.03) of WANT
#   check_between WHAT VALUE MIN MAX
#   start_origin              origin.py in the origin's namespace
#   origin_said REGEX         it has
#   visit SCENARIO ARG...     visitor.py in the client's
#   finish                            last line of the test

set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
# shellcheck source=tests/lab/lab.sh
. tests/lab/lab.sh

FAILED=0

ok()
{
	echo "ok - $1"
}

not_ok()
{
	echo "not ok - $1: $2"
	FAILED=$((FAILED + 1))
}

check()
{
	local what=$1
	shift
	if "$@"; then
		ok "$what"
	else
		not_ok "$what" "\"$*\" failed"
	fi
}

check_between()
{
	if awk -v v="$2" -v min="$3" -v max="$4" 'BEGIN { exit !(v + 0 == v && v >= min && v <= max) }'; then
		ok "$1 ($2)"
	else
		not_ok "$1" "$2 is not within $3 to $4"
	fi
}

check_near()
{
	local min max
	read -r min max < <(awk -v w="$3" -v p="$4" \
		'BEGIN { printf "%.9g %.9g\n", w * (1 - p), w * (1 + p) }')
	check_between "$1" "$2" "$min" "$max"
}

start_origin()
{
	LAB_LOG=$LAB_DIR/origin.log lab_spawn origin /usr/bin/python3 tests/e2e/origin.py
	wait_until 5 origin_said ready || lab_die "origin.py does not start"
}

origin_said()
{
	grep -q "$1" "$LAB_DIR/origin.log"
}

visit()
{
	lab_in client timeout 60 /usr/bin/python3 tests/e2e/visitor.py "$@"
}

finish()
{
	[ "$FAILED" = 0 ]
	exit
}
