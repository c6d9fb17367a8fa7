#!/bin/bash
# make install DESTDIR= PREFIX=: the programs run from there, a user's configuration is
# left alone, and make uninstall takes back all that was written.
#
#   DESTDIR/  usr/{bin,lib,share}  etc/mpproxy/*.conf.sample
set -eu
cd "$(dirname "$0")/../.."
B=${B:-build}

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
fail() {
	echo "FAIL: $*"
	exit 1
}
quiet_make() {
	make -s --no-print-directory B="$B" DESTDIR="$root" PREFIX=/usr "$@"
}

quiet_make install
for program in mpproxyd mpproxyctl; do
	[ -x "$root/usr/bin/$program" ] || fail "$program was not installed"
	"$root/usr/bin/$program" --version | grep -Eq '[0-9]+\.[0-9]+\.[0-9]+' ||
		fail "$program --version says no version"
	"$root/usr/bin/$program" --help | grep -q "$program" || fail "$program --help"
done
unit=$root/usr/lib/systemd/system/mpproxyd@.service
grep -qx 'ExecStart=/usr/bin/mpproxyd .*' "$unit" || fail "the unit names another program"
! grep -q '@[A-Z]*@' "$unit" || fail "the unit was not filled in"
shopt -s nullglob
for sample in conf/*.conf; do
	cmp "$sample" "$root/etc/mpproxy/${sample##*/}.sample"
done
for page in docs/*.[158]; do
	[ -f "$root/usr/share/man/man${page##*.}/${page##*/}" ] || fail "$page not installed"
done

echo "the user's own" >"$root/etc/mpproxy/client.conf"
quiet_make install
quiet_make uninstall
[ "$(cat "$root/etc/mpproxy/client.conf")" = "the user's own" ] ||
	fail "the user's configuration was touched"
rm "$root/etc/mpproxy/client.conf"
quiet_make install
quiet_make uninstall
left=$(find "$root" ! -type d)
[ -z "$left" ] || fail "left behind: $left"
[ ! -d "$root/etc/mpproxy" ] || fail "left behind: /etc/mpproxy"
