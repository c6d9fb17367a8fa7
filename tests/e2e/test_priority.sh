#!/bin/bash
# Priorities change on running streams, in both directions: the peer is told, traffic
# leaves the uplink within 200 ms without a gap, and comes back.
#
#   client: visitor.py      uplinks                    server          origin: origin.py
#   1080 -------------- fibre 30@10 dsl 15@20 ------ tshark ------ 5.5.5.5:7005, :7007
#                       (the uplink on dsl is called phone)
. "$(dirname "$0")/lib.sh"
. tests/lab/pair.sh

SIZE=400000000

# What tshark sees at the server's end of dsl, one line a packet with MP_PRIO: the
# sender, the backup bit.
start_capture()
{
	[ "$PAIR_TRANSPORT" = mptcp ] || return 0
	LAB_LOG=$LAB_DIR/tshark.log lab_spawn server tshark -l -n -i dsl \
		-Y 'tcp.options.mptcp.subtype == 5' -T fields -e ip.src \
		-e tcp.options.mptcp.backup.flag
	wait_until 10 grep -q "Capturing on" "$LAB_DIR/tshark.log"
}

# prios SOURCE: how many were seen from there
prios()
{
	grep -c "^$1" "$LAB_DIR/tshark.log"
}

more_prios()
{
	[ "$(prios "$1")" -gt "$2" ]
}

# server_says FIELD VALUE: of the udp subflow over dsl
server_says()
{
	pair_is server subflows "[.subflows[] | select(.uplink_id == 2)][0].$1" "$2"
}

# said_to_peer SEEN: that many were seen before; over udp nobody else can read PRIO
said_to_peer()
{
	if [ "$PAIR_TRANSPORT" = udp ]; then
		server_says priority backup
	else
		more_prios 10.64.2.2 "$1"
	fi
}

# Bytes in the last 100 ms.
recent()
{
	lab_ctl recent "$1" 100 | lab_field bytes
}

# A packet or two each RTT are the subflow's and the heartbeat's own.
is_quiet()
{
	[ "$(recent "dsl/$1")" -lt 3000 ]
}

# For a whole second, so that it is past its start.
is_used()
{
	[ "$(lab_ctl recent "dsl/$1" 1000 | lab_field bytes)" -gt 1200000 ]
}

goes_on()
{
	[ "$(recent "fibre/$1")" -gt 100000 ]
}

# leaves WHAT DIRECTION MPPROXYCTL-WORDS: traffic goes from dsl, by the emulator's
# counters each 10 ms, and what was on its way with it. Acknowledgements are small.
leaves()
{
	local what="$2: $1" direction=$2 asked_at
	shift 2
	tests/lab/sample.py "$LAB_SOCKET" 10 >"$LAB_DIR/csv" &
	SAMPLER=$!
	wait_until 3 has_rows 3
	asked_at=$(tail -n 1 "$LAB_DIR/csv" | cut -d, -f1)
	check "$what" pair_ctl client "$@"
	check "$what: traffic goes from the uplink" wait_until 3 is_quiet "$direction"
	check "$what: and goes on over the other" wait_until 1 goes_on "$direction"
	wait_until 3 has_rows 80
	kill $SAMPLER
	wait $SAMPLER
	check_between "$what: the last of it after, ms" \
		"$(last_of "dsl/$direction" "$asked_at")" 0 $LEAVE
	check_between "$what: longest stall of the other, ms" \
		"$(tests/lab/sample.py --stall "fibre/$direction" <"$LAB_DIR/csv")" 0 100
}

has_rows()
{
	[ "$(wc -l <"$LAB_DIR/csv")" -gt "$1" ]
}

# last_of LANE SINCE: when more than a tenth of its rate was delivered for the last time
last_of()
{
	awk -F, -v lane="$1" -v since="$2" '
		NR == 1 { for (i = 1; i <= NF; i++) if ($i == lane) column = i; next }
		$column >= 1875 { last = $1 }
		END { print (last > since ? last - since : 0) }' "$LAB_DIR/csv"
}

check_back()
{
	check "$1: $2: traffic comes back" wait_until 5 is_used "$1"
}

# What may be said of a running stream, by the uplink's name and by its interface.
set_backup()
{
	local direction=$1 seen=0
	check "$direction: both uplinks are used" wait_until 10 is_used "$direction"
	[ "$PAIR_TRANSPORT" = udp ] || seen=$(prios 10.64.2.2)
	leaves "set-backup" "$direction" set-backup phone
	check "$direction: MP_PRIO of the client" wait_until 2 said_to_peer "$seen"
	check "$direction: it is shown" pair_is client uplinks \
		'.uplinks[] | select(.name == "phone") | .priority' backup
	check "$direction: set-priority always" pair_ctl client set-priority phone always
	check_back "$direction" "always"
	[ "$PAIR_TRANSPORT" = mptcp ] || return 0 # names are the same to any
	leaves "set-backup by interface" "$direction" set-backup dsl
	check "$direction: always by interface" pair_ctl client set-priority dsl on
	check_back "$direction" "always by interface"
}

never()
{
	local direction=$1
	check "$direction: both uplinks are used" wait_until 10 is_used "$direction"
	leaves "never" "$direction" set-priority phone never
	[ "$PAIR_TRANSPORT" = mptcp ] ||
		check "$direction: never: the server knows" wait_until 2 server_says state ended
	check "$direction: always after never" pair_ctl client set-priority phone always
	check_back "$direction" "always after never"
}

# down WHAT GAP: a download, while WHAT happens, without a gap of more than GAP ms
down()
{
	local gap
	rm -f "$LAB_DIR/stop"
	visit download $SIZE "$LAB_DIR/stop" >"$LAB_DIR/download" &
	STREAM=$!
	$1 down
	touch "$LAB_DIR/stop"
	wait $STREAM
	check "down: what came is right" [ $? = 0 ]
	read -r _ _ gap <"$LAB_DIR/download"
	check_between "down: $1: longest gap between two reads, ms" "$gap" 0 "$2"
}

up()
{
	local n sum gap
	rm -f "$LAB_DIR/stop"
	: >"$LAB_DIR/origin.log"
	visit upload $SIZE "$LAB_DIR/stop" >"$LAB_DIR/upload" &
	STREAM=$!
	$1 up
	touch "$LAB_DIR/stop"
	wait $STREAM
	wait_until 5 origin_said "7007 end"
	read -r n sum gap < <(sed -n 's/^7007 end //p' "$LAB_DIR/origin.log")
	check "up: SHA-256" [ "$n $sum" = "$(cat "$LAB_DIR/upload")" ]
	check_between "up: $1: longest gap between two reads, ms" "$gap" 0 "$2"
}

lab_start
lab_uplink fibre 30mbit 10ms
lab_uplink dsl 15mbit 20ms
start_origin
pair_start
start_capture || lab_die "tshark does not start: $(cat "$LAB_DIR/tshark.log")"
sed -i 's/^\[uplink dsl\]/[uplink phone]/' "$LAB_DIR/client.conf"
pair_restart_client || lab_die "the client does not start again"
# What the subflow holds already still goes out there: with this link's queue and
# mptcp some 60 to 190 ms of it. The limit leaves room for a busy machine.
LEAVE=300
[ "$PAIR_TRANSPORT" = mptcp ] || LEAVE=200
# What was on its way over an uplink that is taken away must be sent again.
down set_backup 200
down never 500
up set_backup 200
[ "$PAIR_TRANSPORT" = udp ] || up never 500 # over udp as the other direction
check "both daemons end cleanly" pair_stop
finish
