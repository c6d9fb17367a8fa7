#!/bin/bash
# Every sample configuration loads, and one with an unknown key does not.
set -eu
cd "$(dirname "$0")/../.."
shopt -s nullglob

bad=$(mktemp)
trap 'rm -f "$bad"' EXIT
status=0
for sample in conf/*.conf; do
	build/mpproxyd -c "$sample" --check || status=1
	{ cat "$sample"; printf '\n[general]\nno_such_key = 1\n'; } >"$bad"
	if build/mpproxyd -c "$bad" --check 2>/dev/null; then
		echo "$sample: an unknown key was not refused"
		status=1
	fi
done
exit $status
