#!/bin/bash
# Every C file is as clang-format lays it out.
set -eu
cd "$(dirname "$0")/../.."

if printf 'int  f( void ){return 0;}\n' | clang-format --dry-run -Werror 2>/dev/null; then
	echo "clang-format does not see a badly laid out file"
	exit 1
fi
git ls-files -co --exclude-standard '*.c' '*.h' | while read -r f; do
	[ ! -f "$f" ] || echo "$f"
done | xargs -r clang-format --dry-run -Werror
