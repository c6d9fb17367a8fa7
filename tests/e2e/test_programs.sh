#!/bin/bash
# Programs as people use them run through the listeners: ssh and scp, iperf3, socat, and
# a conversation of small questions and answers.
#
#   client                       uplinks           server           origin
#   ssh, scp    --- 2222 ---\                                /--- sshd :2200
#   iperf3 -c   --- 5201 ----- fibre 50@10 dsl 20@20 ----------- iperf3 -s :5201
#   socat       --- 7006, 7001 --/                           \--- origin.py :7006, :7001
. "$(dirname "$0")/lib.sh"
. tests/lab/pair.sh

PAIR_CLIENT_EXTRA="
	[listen ssh]
	type = forward
	address = 127.0.0.1:2222
	target = $LAB_ORIGIN4:2200
	[listen iperf]
	type = forward
	address = 127.0.0.1:5201
	target = [$LAB_ORIGIN6]:5201
	[listen echo]
	type = forward
	address = [::1]:7006
	target = origin.test:7006
	[listen digest]
	type = forward
	address = [::1]:7001
	target = origin.test:7001"

# With keys of its own, and what it logs in as is this user itself.
start_sshd()
{
	local dir=$LAB_DIR/ssh
	mkdir -p "$dir"
	chmod 700 "$dir"
	ssh-keygen -q -t ed25519 -N '' -f "$dir/host"
	ssh-keygen -q -t ed25519 -N '' -f "$dir/user"
	cp "$dir/user.pub" "$dir/authorized"
	echo "[127.0.0.1]:2222 $(cat "$dir/host.pub")" >"$dir/known"
	cat >"$dir/config" <<-END
		Port 2200
		ListenAddress $LAB_ORIGIN4
		HostKey $dir/host
		AuthorizedKeysFile $dir/authorized
		PidFile none
		StrictModes no
		PermitRootLogin yes
		UsePAM no
		Subsystem sftp internal-sftp
	END
	# where sshd keeps its children from everything, in a place of the test's own
	LAB_LOG=$LAB_DIR/sshd.log lab_spawn origin unshare -m sh -c '
		[ -d /run/sshd ] || { mount -t tmpfs tmpfs /run && mkdir -m 755 /run/sshd; } || exit 1
		exec /usr/sbin/sshd -D -e -f "$0"' "$dir/config"
	wait_until 5 origin_listens 2200 || lab_die "sshd: $(cat "$LAB_DIR/sshd.log")"
}

SSH_OPTIONS()
{
	echo "-F none -i $LAB_DIR/ssh/user -o UserKnownHostsFile=$LAB_DIR/ssh/known
		-o StrictHostKeyChecking=yes -o BatchMode=yes -o ConnectTimeout=10"
}

in_client()
{
	lab_in client timeout 30 "$@"
}

test_ssh()
{
	local options sum
	options=$(SSH_OPTIONS)
	# shellcheck disable=SC2086
	{
		check "ssh runs a command" [ "$(in_client ssh $options -p 2222 \
			"$(id -un)@127.0.0.1" 'echo $((6 * 7))')" = 42 ]
		check "ssh on a terminal answers line by line" talks_by_ssh
		head -c 5000000 /dev/urandom >"$LAB_DIR/file"
		check "scp there" in_client scp -q $options -P 2222 "$LAB_DIR/file" \
			"$(id -un)@127.0.0.1:$LAB_DIR/file.there"
		check "scp back" in_client scp -q $options -P 2222 \
			"$(id -un)@127.0.0.1:$LAB_DIR/file.there" "$LAB_DIR/file.back"
	}
	sum=$(sha256sum <"$LAB_DIR/file")
	check "scp: SHA-256 there" [ "$(sha256sum <"$LAB_DIR/file.there")" = "$sum" ]
	check "scp: SHA-256 back" [ "$(sha256sum <"$LAB_DIR/file.back")" = "$sum" ]
}

# A shell on a terminal, one line after the answer to the line before.
talks_by_ssh()
{
	local i line
	# shellcheck disable=SC2046
	coproc SHELL_THERE { in_client ssh $(SSH_OPTIONS) -tt -p 2222 "$(id -un)@127.0.0.1" \
		"stty -echo; while read -r n; do echo answer \$((n + n)); done"; } 2>/dev/null
	# shellcheck disable=SC2031
	for i in 1 2 3 4 5; do
		echo "$i" >&"${SHELL_THERE[1]}"
		while read -r -t 10 line <&"${SHELL_THERE[0]}"; do
			[[ ${line%$'\r'} != "answer $((i + i))" ]] || continue 2
		done
		return 1
	done
	kill "$SHELL_THERE_PID"
	wait "$SHELL_THERE_PID" 2>/dev/null
	return 0
}

# iperf KEY ARGUMENTS: a figure of its JSON
iperf()
{
	local key=$1
	shift
	in_client iperf3 -J -c 127.0.0.1 -p 5201 "$@" | jq -r "$key"
}

test_iperf()
{
	lab_spawn origin iperf3 -s -B "$LAB_ORIGIN6"
	wait_until 5 origin_listens 5201
	check_between "iperf3 download, Mbit/s" \
		"$(iperf '.end.sum_received.bits_per_second / 1e6' -R -t 2 -O 1)" "$LEAST" 100
	check_between "iperf3 upload, 4 streams, Mbit/s" \
		"$(iperf '.end.sum_received.bits_per_second / 1e6' -t 2 -O 1 -P 4)" "$LEAST" 100
}

test_socat()
{
	head -c 2000000 /dev/urandom >"$LAB_DIR/bytes"
	# -t: how long the answer may take once all was sent.
	check "socat there and back" eval 'in_client socat -t 20 - "TCP6:[::1]:7006" \
		<"$LAB_DIR/bytes" | cmp - "$LAB_DIR/bytes"'
	check "socat ends its direction and gets the answer" [ \
		"$(in_client socat -t 20 - 'TCP6:[::1]:7001' <"$LAB_DIR/bytes")" = \
		"$(sha256sum <"$LAB_DIR/bytes" | cut -d' ' -f1)" ]
}

lab_start
lab_uplink fibre 50mbit 10ms
lab_uplink dsl 20mbit 20ms
start_origin
pair_start
LEAST=55
[[ $B != *asan* ]] || LEAST=30
# sshd keeps those who have not logged in yet under another user.
if awk '{ n += $3 } END { exit n < 2 }' /proc/self/uid_map; then
	start_sshd
	test_ssh
else
	echo "skip - ssh and scp: a namespace with one user is too small for sshd"
fi
test_iperf
test_socat
# The round trip of the faster uplink is 20 ms.
check_between "a small question and its answer, ms" \
	"$(in_client /usr/bin/python3 tests/e2e/visitor.py talk 50)" 20 27
check "both daemons end cleanly" pair_stop
finish
