#!/bin/bash
# The demo in a short form: what it says, that it fails when it must, and that nothing
# is left of it, also when it is interrupted in the middle of the download.
#
#   client  --- fibre, dsl, lte --->  server  ---  origin     (tests/demo/run draws it)
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

dir=$(mktemp -d)
demo=
trap 'demo_end KILL; rm -rf "$dir"' EXIT
trap 'exit 143' TERM HUP INT
out=$dir/out

# In a session of its own, so that all of its processes can be named. A shell's
# background commands ignore SIGINT, and what is ignored stays so.
demo_begin()
{
	DEMO_MB=50 DEMO_SECONDS=1 env --default-signal=INT setsid tests/demo/run \
		>"$out" 2>&1 </dev/null &
	demo=$!
}

demo_end()
{
	[ -z "$demo" ] || kill "-$1" -- "-$demo" 2>/dev/null
}

says()
{
	grep -qE -- "$1" "$out"
}

nothing_is_left()
{
	local files
	files=$(sed -n 's/.*private_key_file = \(.*\)\/client.key/\1/p' "$out")
	[ -n "$files" ] && [ ! -e "$files" ] &&
		! ls -d "/run/netns/mpp-$demo-"* >/dev/null 2>&1 &&
		! pgrep -s "$demo" >/dev/null
}

tree()
{
	find . -path './build*' -prune -o -path ./.git -prune -o -print | sort
}

test_whole()
{
	local status
	demo_begin
	wait "$demo"
	status=$?
	check "exit status 0" [ $status = 0 ]
	check "the hash is compared" says '^  ok .* SHA-256 is the same at both ends: [0-9a-f]{64}$'
	check "the lines of the samples are shown" says 'endpoint = 192\.0\.2\.1:4433'
	check "each uplink is measured alone" \
		[ "$(grep -cE '^  (fibre|dsl|lte) alone, plain TCP +[0-9.]+  link: [0-9]+$' "$out")" = 3 ]
	check "their sum" says '^  their sum +[0-9.]+'
	check "all together" says '^  all together, mpproxy +[0-9.]+  [0-9.]+ of the sum'
	check "the longest stalls" \
		[ "$(grep -cE '^  longest stall, (receiver|links) +[0-9]+ ms' "$out")" = 2 ]
	check "the cut is shown, and the uplink's return" says '^-- fibre works again, [0-9]+ ms later$'
	check "the daemon notices the cut" says '^ *fibre +fibre +dead '
	check "plain lines without a terminal" eval '! grep -q "$(printf "\033")" "$out"'
	check "nothing is left" wait_until 3 nothing_is_left
	[ $status = 0 ] || sed 's/^/# /' "$out"
	demo=
}

test_interrupted()
{
	demo_begin
	wait_until 40 says '^-- fibre is cut' || lab_die "no download: $(cat "$out")"
	demo_end INT
	wait "$demo"
	check "interrupted: exit status 130" [ $? = 130 ]
	check "interrupted: says so" says 'interrupted'
	check "interrupted: nothing else on the way out" \
		[ "$(sed '1,/^-- fibre is cut/d' "$out" | grep -cv '^ .* Mbit/s')" = 1 ]
	check "interrupted: nothing is left" wait_until 3 nothing_is_left
	demo=
}

test_without_root()
{
	! setpriv --reuid=65534 --clear-groups tests/demo/run >"$out" 2>&1 &&
		says 'needs root' && [ "$(wc -l <"$out")" = 1 ]
}

before=$(tree)
test_whole
test_interrupted
check "no file in the tree" [ "$(tree)" = "$before" ]
if setpriv --reuid=65534 --clear-groups test -x tests/demo/run 2>/dev/null; then
	check "without root a clear sentence" test_without_root
fi
finish
