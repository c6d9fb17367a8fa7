#!/bin/bash
# Shell scripts, whatever their name, pass shellcheck.
set -eu
cd "$(dirname "$0")/../.."

if printf '#!/bin/sh\nrm $1\n' | shellcheck - >/dev/null; then
	echo "shellcheck does not see an unquoted variable"
	exit 1
fi
git ls-files -co --exclude-standard | while read -r f; do
	[ -f "$f" ] && head -c 64 "$f" | head -n 1 | grep -Eaq '^#!.*\b(ba)?sh\b' && echo "$f"
done | xargs -r shellcheck -x -S warning
