#!/bin/bash
# The installed unit: systemd-analyze verify prints nothing, and the exposure that
# systemd-analyze security finds is at most THRESHOLD tenths.
set -eu
cd "$(dirname "$0")/../.."
THRESHOLD=20

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
make -s install DESTDIR="$root" PREFIX=/usr
unit=$root/usr/lib/systemd/system/mpproxyd@.service

# The program is looked for where the unit says: name the copy that was just installed.
instance=$root/mpproxyd@sample.service
verify() {
	sed "s|=/usr/bin/|=$root/usr/bin/|" "$unit" >"$instance"
	SYSTEMD_LOG_LEVEL=warning systemd-analyze verify --man=no "$instance" 2>&1
}

said=$(verify || echo "exit status $?")
if [ -n "$said" ]; then
	printf '%s\n' "$said"
	exit 1
fi
systemd-analyze security --offline=yes --threshold=$THRESHOLD "$instance" | tail -n 1

echo 'NoSuchKey=1' >>"$unit"
if [ -z "$(verify)" ]; then
	echo "systemd-analyze verify does not see an unknown key"
	exit 1
fi
