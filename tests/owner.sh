# shellcheck shell=bash
# owner.sh - whose files builds are. Under sudo they belong to who called it, if that
# user may write here, so that no root-owned file is left in the tree.
#
#   choose_builder          sets builder: "${builder[@]}" COMMAND runs as the owner
#   give_back               hands over what root has written into the builds
#
# Sourced with the tree's root as working directory.

builder=()
build_user=

choose_builder() {
	local as
	[ -n "${SUDO_USER-}" ] && [ "$SUDO_USER" != root ] || return 0
	as=(setpriv "--reuid=$SUDO_USER" "--regid=$(id -g "$SUDO_USER")" --init-groups
		env "HOME=$(getent passwd "$SUDO_USER" | cut -d: -f6)" "USER=$SUDO_USER")
	"${as[@]}" test -w . || return 0
	builder=("${as[@]}")
	build_user=$SUDO_USER
	give_back
}

give_back() {
	local d
	[ -n "$build_user" ] || return 0
	for d in build build-asan build-clang; do
		[ ! -d $d ] || chown -R --from=root "$build_user:" $d
	done
}
