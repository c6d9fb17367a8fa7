#!/bin/bash
# mpproxyctl where there is no daemon: keys, usage errors, exit codes.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

B=${B:-build}
ctl=$B/mpproxyctl
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# expect WHAT CODE TEXT CMD...: the exit code, and TEXT in what it says
expect()
{
	local what=$1 code=$2 text=$3 got
	shift 3
	"$@" >"$dir/said" 2>&1 </dev/null
	got=$?
	if [ $got != "$code" ]; then
		not_ok "$what" "exit code $got: $(cat "$dir/said")"
	elif ! grep -qF -- "$text" "$dir/said"; then
		not_ok "$what" "it says: $(cat "$dir/said")"
	else
		ok "$what"
	fi
}

# --- keys ---

umask 077
"$ctl" genkey >"$dir/a" 2>"$dir/warned"
check "genkey prints 44 characters" grep -qxE '[A-Za-z0-9+/]{43}=' "$dir/a"
check "genkey is silent where nobody else can read" test ! -s "$dir/warned"
check "genkey prints nothing else" test "$(wc -c <"$dir/a")" = 45
check "two keys differ" test "$("$ctl" genkey)" != "$("$ctl" genkey)"
check "genpsk prints 44 characters" \
	grep -qxE '[A-Za-z0-9+/]{43}=' <("$ctl" genpsk)

# RFC 7748, 6.1: the keys of Alice
alice_private=dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo=
alice_public=hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=
check "pubkey knows the vector of RFC 7748" \
	test "$(echo $alice_private | "$ctl" pubkey)" = $alice_public
check "pubkey takes a key without its newline" \
	test "$(printf %s $alice_private | "$ctl" pubkey)" = $alice_public
check "pubkey takes a key with CR LF" \
	test "$(printf '%s\r\n' $alice_private | "$ctl" pubkey)" = $alice_public
check "genkey | tee | pubkey gives one public key" \
	test "$("$ctl" genkey | tee "$dir/b" | "$ctl" pubkey)" = "$("$ctl" pubkey <"$dir/b")"

umask 022
"$ctl" genkey >"$dir/open" 2>"$dir/warned"
check "genkey warns where others can read" grep -q 'umask 077' "$dir/warned"

refuse_key()
{
	! printf '%b' "$1" | "$ctl" pubkey >"$dir/said" 2>&1 &&
		grep -q 'not a private key' "$dir/said" &&
		! grep -qF 'dwdtCnMYpX08FsFyUb' "$dir/said"
}
check "pubkey refuses nothing at all" refuse_key ''
check "pubkey refuses a short key" refuse_key 'dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LC=\n'
check "pubkey refuses what is not base64" \
	refuse_key 'dwdtCnMYpX08FsFyUb!mRd9ML4frwJkqsXf7pR25LCo=\n'
check "pubkey refuses a second line" \
	refuse_key 'dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo=\nx\n'
check "pubkey refuses a NUL in the key" \
	refuse_key 'dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR2\0LCo=\n'
check "pubkey refuses a megabyte" \
	refuse_key "$(head -c 1000000 /dev/zero | tr '\0' A)"
expect "genkey into a full file fails" 1 "No space left" \
	bash -c "$ctl genkey >/dev/full"

# --- usage ---

expect "no command" 2 "which command" "$ctl"
expect "an unknown command" 2 '"stauts" is not a command' "$ctl" stauts
expect "an unknown option" 2 "--frm" "$ctl" streams --frm 1
expect "an argument missing" 2 "set-priority UPLINK PRIORITY" "$ctl" set-priority lte
expect "an argument too many" 2 "usage: mpproxyctl status" "$ctl" status now
expect "a page that is no number" 2 '"x" is not a number' "$ctl" streams --from x
expect "a page of what has none" 2 "not for status" "$ctl" status --from 1
expect "--help" 0 "set-priority" "$ctl" --help
expect "COMMAND --help" 0 "always" "$ctl" set-priority --help
expect "--version" 0 "mpproxyctl " "$ctl" --version
expect "--help into a full file fails" 1 "No space left" \
	bash -c "$ctl --help >/dev/full"

every_command_is_explained()
{
	local command
	"$ctl" --help | sed -n '/^Commands/,/^$/s/^  \([a-z-]*\) .*/\1/p' >"$dir/commands"
	[ "$(wc -l <"$dir/commands")" -ge 10 ] || return 1
	while read -r command; do
		"$ctl" "$command" --help | grep -q "^Usage: mpproxyctl $command" || return 1
		sed 's/\\-/-/g' docs/mpproxyctl.1 | grep -q "^\.B[RI]* $command\b" || return 1
		grep -q -- "\b$command\b" contrib/completions/mpproxyctl.bash || return 1
	done <"$dir/commands"
}
check "--help, man page and completion know every command" every_command_is_explained

control_md_is_complete()
{
	local word words
	words=$(sed -n 's/.*\[CTLMSG_[A-Z_]*\] = "\(.*\)",/\1/p' common/ctlmsg.c
		sed -n 's/^\t{"\([a-z.]*\)", \(true\|false\), .*/\1/p' daemon/control_cmds.c)
	[ "$(wc -w <<<"$words")" -ge 19 ] || return 1
	for word in $words; do
		grep -q "^| \`$word\` |" docs/control.md || return 1
	done
}
check "control.md knows every error code and command" control_md_is_complete

completes_to()
{
	local want=$1
	shift
	[ "$(bash -c '. contrib/completions/mpproxyctl.bash
		COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
		_mpproxyctl
		echo ${COMPREPLY[*]}' bash "$@")" = "$want" ]
}
check "completion of a command" completes_to "set-backup set-priority" mpproxyctl set-
check "completion of a priority" completes_to "backup" mpproxyctl set-priority lte b

# --- no daemon ---

expect "no daemon at a path" 3 "no daemon there" "$ctl" -s "$dir/none.sock" status
expect "no daemon behind a file" 3 "no daemon there" "$ctl" -s "$dir/a" status
expect "a path that is too long" 3 "too long" "$ctl" -s "/$(printf %0200d 0)" status
# in_own_run CMD...: with a /run of its own, empty but for run/mpproxy
in_own_run()
{
	unshare -rm bash -c 'mount -t tmpfs none /run && mkdir /run/mpproxy && "$@"' bash "$@"
}

# version_with NAME...: asks for the version while each NAME answers with it as its role
version_with()
{
	local name pids=() code
	for name; do
		echo "{\"ok\":true,\"result\":{\"version\":\"1\",\"role\":\"$name\"}}" >"/run/$name"
		rm -f "/run/mpproxy/$name.sock"
		socat "UNIX-LISTEN:/run/mpproxy/$name.sock" "SYSTEM:read line; cat /run/$name" &
		pids+=($!)
		until [ -S "/run/mpproxy/$name.sock" ]; do
			kill -0 $! || return 99
		done
	done
	"$ctl" version
	code=$?
	kill "${pids[@]}" 2>/dev/null
	wait
	return $code
}

version_beside_a_stale_client()
{
	python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("/run/mpproxy/client.sock")'
	version_with server
}
export -f version_with version_beside_a_stale_client
export ctl

expect "no daemon at the usual places" 3 "/run/mpproxy/server.sock" \
	in_own_run "$ctl" status
expect "the client's socket is found" 0 "(client)" in_own_run bash -c 'version_with client'
expect "the server's socket is found" 0 "(server)" in_own_run bash -c 'version_with server'
expect "with both the client is asked" 0 "(client)" \
	in_own_run bash -c 'version_with client server'
expect "and said to be" 0 "-s /run/mpproxy/server.sock asks the server" \
	in_own_run bash -c 'version_with client server'
expect "a socket that a client left behind is passed over" 0 "(server)" \
	in_own_run bash -c version_beside_a_stale_client

# Without a right to its directory, as anybody but root.
if setpriv --reuid=65534 --clear-groups test -x "$ctl" 2>/dev/null; then
	expect "a socket of others" 3 "group mpproxy" \
		setpriv --reuid=65534 --clear-groups "$ctl" -s "$dir/c.sock" status
fi

# A listener that says $1 to whoever connects, once.
answers_with()
{
	printf '%b' "$1" >"$dir/answer"
	socat "UNIX-LISTEN:$dir/odd.sock" "SYSTEM:read line; cat $dir/answer" &
	local pid=$!
	until [ -S "$dir/odd.sock" ]; do
		kill -0 $pid || return
	done
}
answers_with ''
expect "a daemon that hangs up" 3 "closed the connection" "$ctl" -s "$dir/odd.sock" status
wait
answers_with '220 mail ready\n'
expect "something else than a daemon" 3 "not a reply" "$ctl" -s "$dir/odd.sock" status
wait
answers_with '{"ok":true}\n'
expect "a reply without a result" 3 "not a reply" "$ctl" -s "$dir/odd.sock" status
wait
answers_with '{"ok":false,"error":{"code":"busy","message":"\\u001b[31m"}}\n'
expect "a refusal cannot command the terminal" 1 'refused: \x1b[31m (busy)' \
	"$ctl" -s "$dir/odd.sock" status
wait

finish
