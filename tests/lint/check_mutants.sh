#!/bin/bash
# Every bug of tests/mutants has its place in the source. Whether a test sees it is
# what `make check-mutants` is for.
set -eu
cd "$(dirname "$0")/../.."

bad=$(mktemp --suffix=.mutant)
trap 'rm -f "$bad"' EXIT

# bad_one WHAT FILE TEST LINE: no mutant, for WHAT
bad_one() {
	printf 'Why.\nfile: %s\ntest: %s\n\n-%s\n+x\n' "$2" "$3" "$4" >"$bad"
	if tests/mutants/run --places "$bad" >/dev/null; then
		echo "mutants may have $1"
		exit 1
	fi
}

file=daemon/core/pacer.c
line='#include "daemon/core/pacer.h"'
bad_one "lines that are not there" $file unit/pacer "${line}x"
bad_one "lines that are there twice" $file unit/pacer '}'
bad_one "no file" daemon/core/nothing.c unit/pacer "$line"
bad_one "a file that is not the core's" daemon/main.c unit/pacer "$line"
bad_one "no test" $file unit/nothing "$line"

tests/mutants/run --places
