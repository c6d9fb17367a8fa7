#!/bin/bash
# Processor time per GB, protect = auth with TLS inside, beside two haproxy relays
# in a row that splice.
#
#   client --- veth --- server --- veth --- origin (nginx, TLS)
# shellcheck source=tests/bench/cost.sh
. "$(dirname "$0")/cost.sh"

PAIR_PEER='allow_auth_only = yes'
PAIR_CLIENT_EXTRA="[listen tls]
type = forward
address = 127.0.0.1:8443
target = $LAB_ORIGIN4:443
protect = auth"

# relay NS ADDRESS:PORT NEXT:PORT
relay()
{
	cat >"$LAB_DIR/haproxy-$1.cfg" <<-END
		global
			nbthread 1
			maxconn 100
		defaults
			mode tcp
			# splice-auto alone copies at this rate
			option splice-auto
			option splice-request
			option splice-response
			timeout connect 5s
			timeout client 60s
			timeout server 60s
		listen relay
			bind $2
			server next $3
	END
	lab_spawn "$1" haproxy -db -f "$LAB_DIR/haproxy-$1.cfg"
}

cost_start
relay server $LAB_SERVER4:9443 $LAB_ORIGIN4:443
RELAYS=$LAB_PID
relay client 127.0.0.1:9443 $LAB_SERVER4:9443
RELAYS="$RELAYS $LAB_PID"
wait_until 5 listens client 9443 || lab_die "haproxy does not start"
cost_compare haproxy https://127.0.0.1:9443 https://127.0.0.1:8443
