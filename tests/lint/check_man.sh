#!/bin/bash
# The man pages are rendered without a warning.
set -eu
cd "$(dirname "$0")/../.."
shopt -s nullglob

# What is rendered goes aside, so that only the warnings are said.
# shellcheck disable=SC2069
warnings() {
	LC_ALL=C.UTF-8 MANWIDTH=80 man --warnings=w -E UTF-8 -l -Z "$1" 2>&1 >"$out"
}

bad=$(mktemp --suffix=.1)
out=$(mktemp)
trap 'rm -f "$bad" "$out"' EXIT
printf '.TH BAD 1\n.SH NAME\n.NOSUCHMACRO\n' >"$bad"
if [ -z "$(warnings "$bad")" ]; then
	echo "man does not warn of an unknown macro"
	exit 1
fi
status=0
for page in docs/*.[158]; do
	said=$(warnings "$page")
	if [ -n "$said" ]; then
		printf '%s: %s\n' "$page" "$said"
		status=1
	fi
done
exit $status
