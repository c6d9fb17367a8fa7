# shellcheck shell=bash
# pair.sh - a client and a server daemon in the lab, and what they talk to.
#
#   client: socks5 127.0.0.1:1080, http 127.0.0.1:8080, forward 127.0.0.1:8000
#           to the origin's port 80; one uplink per lab_uplink
#   server: 192.0.2.1:4433, [2001:db8::1]:4433
#
#   pair_start                 keys, configurations, both daemons; waits until
#                              every uplink is active
#   pair_client, pair_server   one of them; PAIR_CLIENT and PAIR_SERVER are pids
#   pair_stop                  ends both with SIGTERM; fails unless both say 0
#   pair_restart_client        with the configuration as it is now
#   pair_ctl ROLE CMD...       mpproxyctl of client or server
#   pair_ready N               N uplinks are active, as PAIR_TRANSPORT hears them
#   pair_value ROLE CMD PATH   what jq finds there in the answer
#   pair_is ROLE CMD PATH X    whether that is X
#   origin_nginx               nginx on the origin's port 80 and 443 (TLS), files
#                              from $LAB_DIR/www; PUT to /up/
#   origin_file NAME BYTES     a file of random bytes there; prints its SHA-256
#
# The server's names are those of names.py, which runs beside it: origin.test, six.test
# (IPv6 only), both.test, inside.test (10.0.0.1), and silent.test, which it ignores.
#
# PAIR_CLIENT_GENERAL, PAIR_SERVER_GENERAL, PAIR_PEER, PAIR_CLIENT_EXTRA: lines for
# [general], [general], [peer home] and the end of client.conf. PAIR_ENDPOINT: where
# the client finds the server. PAIR_TRANSPORT: of the client's listeners.
# PAIR_CLIENT_RUN, PAIR_SERVER_RUN: arrays, what the daemons are run by.

PAIR_CLIENT=
PAIR_SERVER=
PAIR_TRANSPORT=${PAIR_TRANSPORT:-mptcp}
PAIR_ENDPOINT=${PAIR_ENDPOINT:-$LAB_SERVER4:4433}
PAIR_CLIENT_GENERAL=${PAIR_CLIENT_GENERAL:-}
PAIR_SERVER_GENERAL=${PAIR_SERVER_GENERAL:-}
PAIR_PEER=${PAIR_PEER:-}
PAIR_CLIENT_EXTRA=${PAIR_CLIENT_EXTRA:-}
PAIR_CLIENT_RUN=()
PAIR_SERVER_RUN=()

pair_key()
{
	(umask 077 && "$B/mpproxyctl" genkey >"$LAB_DIR/$1.key")
	"$B/mpproxyctl" pubkey <"$LAB_DIR/$1.key"
}

pair_uplink_sections()
{
	local name
	for name in "${LAB_UPLINKS[@]}"; do
		printf '[uplink %s]\ninterface = %s\n' "$name" "$name"
	done
}

pair_config()
{
	local server_pub client_pub
	server_pub=$(pair_key server)
	client_pub=$(pair_key client)
	mkdir -p "$LAB_DIR/state-client" "$LAB_DIR/state-server"
	cat >"$LAB_DIR/server.conf" <<-END
		[general]
		role = server
		private_key_file = $LAB_DIR/server.key
		control_socket = $LAB_DIR/server.sock
		state_directory = $LAB_DIR/state-server
		listen = $LAB_SERVER4:4433, [$LAB_SERVER6]:4433
		$PAIR_SERVER_GENERAL
		[peer home]
		public_key = $client_pub
		$PAIR_PEER
	END
	cat >"$LAB_DIR/client.conf" <<-END
		[general]
		role = client
		private_key_file = $LAB_DIR/client.key
		control_socket = $LAB_DIR/client.sock
		state_directory = $LAB_DIR/state-client
		$PAIR_CLIENT_GENERAL
		[server vps]
		public_key = $server_pub
		endpoint = $PAIR_ENDPOINT
		$(pair_uplink_sections)
		[listen web]
		type = socks5
		address = 127.0.0.1:1080
		transport = $PAIR_TRANSPORT
		[listen http]
		type = http
		address = 127.0.0.1:8080
		transport = $PAIR_TRANSPORT
		[listen origin]
		type = forward
		address = 127.0.0.1:8000
		transport = $PAIR_TRANSPORT
		target = $LAB_ORIGIN4:80
		$PAIR_CLIENT_EXTRA
	END
}

# In a mount namespace of its own, where resolv.conf is the lab's.
pair_server()
{
	echo "nameserver 127.0.0.1" >"$LAB_DIR/resolv.conf"
	# shellcheck disable=SC2016 # for the inner shell
	LAB_LOG=$LAB_DIR/server.log lab_spawn server unshare -m sh -c '
		[ ! -e /etc/resolv.conf ] || mount --bind "$0" /etc/resolv.conf || exit 1
		exec "$@"' "$LAB_DIR/resolv.conf" "${PAIR_SERVER_RUN[@]}" "$B/mpproxyd" -c "$LAB_DIR/server.conf"
	PAIR_SERVER=$LAB_PID
	wait_until 5 pair_is server status .role server
}

pair_client()
{
	LAB_LOG=$LAB_DIR/client.log lab_spawn client "${PAIR_CLIENT_RUN[@]}" \
		"$B/mpproxyd" -c "$LAB_DIR/client.conf"
	PAIR_CLIENT=$LAB_PID
	wait_until 5 pair_is client status .role client
}

pair_ctl()
{
	local role=$1
	shift
	"$B/mpproxyctl" -s "$LAB_DIR/$role.sock" "$@"
}

pair_value()
{
	pair_ctl "$1" -j "$2" 2>/dev/null | jq -r "$3"
}

pair_is()
{
	[ "$(pair_value "$1" "$2" "$3")" = "$4" ]
}

# Uplinks over which the transport that is tested hears the server.
pair_active()
{
	local by=mptcp
	[ "$PAIR_TRANSPORT" != udp ] || by=udp
	pair_value client uplinks "[.uplinks[] | select(.$by.state == \"active\")] | length"
}

pair_ready()
{
	local n
	n=$(pair_active)
	[ "${n:-0}" -ge "$1" ]
}

pair_restart_client()
{
	lab_kill "$PAIR_CLIENT"
	pair_client && wait_until 10 pair_ready "${#LAB_UPLINKS[@]}"
}

# pair_term PID NAME: SIGTERM, and exit status 0 within 5 s
pair_term()
{
	local status
	kill "$1" 2>/dev/null
	wait_until 5 lab_gone "$1" || kill -KILL "$1" 2>/dev/null
	wait "$1"
	status=$?
	[ $status = 0 ] || echo "the $2 ended with status $status" >&2
	return $status
}

pair_stop()
{
	local failed=0
	pair_term "$PAIR_CLIENT" client || failed=1
	pair_term "$PAIR_SERVER" server || failed=1
	return $failed
}

# What the daemons said last, where a test has failed.
pair_tell()
{
	[ "${FAILED:-0}" = 0 ] || tail -n 20 "$LAB_DIR/client.log" "$LAB_DIR/server.log"
}

pair_start()
{
	at_exit pair_tell
	pair_config
	LAB_LOG=$LAB_DIR/names.log lab_spawn server /usr/bin/python3 tests/lab/names.py
	pair_server || lab_die "the server does not start: $(tail -n 5 "$LAB_DIR/server.log")"
	pair_client || lab_die "the client does not start: $(tail -n 5 "$LAB_DIR/client.log")"
	wait_until 10 pair_ready "${#LAB_UPLINKS[@]}" ||
		lab_die "not every uplink is active: $(pair_ctl client uplinks)"
}

origin_file()
{
	mkdir -p "$LAB_DIR/www"
	chmod 755 "$LAB_DIR" "$LAB_DIR/www"
	head -c "$2" /dev/urandom >"$LAB_DIR/www/$1"
	chmod 644 "$LAB_DIR/www/$1"
	sha256sum <"$LAB_DIR/www/$1" | cut -d' ' -f1
}

origin_listens()
{
	lab_in origin ss -Hltn "sport = :$1" | grep -q .
}

origin_nginx()
{
	mkdir -p "$LAB_DIR/www" "$LAB_DIR/nginx"
	chmod 755 "$LAB_DIR" "$LAB_DIR/www"
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
		-subj /CN=origin.test -keyout "$LAB_DIR/nginx/key.pem" \
		-out "$LAB_DIR/nginx/cert.pem" 2>/dev/null
	cat >"$LAB_DIR/nginx/nginx.conf" <<-END
		daemon off;
		user root;
		pid $LAB_DIR/nginx/pid;
		error_log $LAB_DIR/nginx/error.log;
		worker_processes 1;
		events { worker_connections 16384; }
		http {
			access_log off;
			sendfile on;
			client_max_body_size 0;
			client_body_temp_path $LAB_DIR/nginx/body;
			proxy_temp_path $LAB_DIR/nginx/proxy;
			fastcgi_temp_path $LAB_DIR/nginx/fastcgi;
			uwsgi_temp_path $LAB_DIR/nginx/uwsgi;
			scgi_temp_path $LAB_DIR/nginx/scgi;
			server {
				listen 80;
				listen [::]:80;
				listen 443 ssl;
				ssl_certificate $LAB_DIR/nginx/cert.pem;
				ssl_certificate_key $LAB_DIR/nginx/key.pem;
				root $LAB_DIR/www;
				location /up/ {
					dav_methods PUT;
					create_full_put_path on;
				}
			}
		}
	END
	LAB_LOG=$LAB_DIR/nginx.log lab_spawn origin nginx -e "$LAB_DIR/nginx/error.log" \
		-c "$LAB_DIR/nginx/nginx.conf"
	wait_until 5 origin_listens 80 || lab_die "nginx does not start: $(cat "$LAB_DIR/nginx.log")"
}
