#include "tests/unit/unit.h"

#include "common/keytext.h"
#include "daemon/config_table.h"
#include "tests/unit/seed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define KEY_A "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
#define KEY_B "BAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

#define GENERAL "[general]\nrole = client\nprivate_key_file = /k\n"
#define SERVER  "[server vps]\npublic_key = " KEY_A "\nendpoint = vps.example.net:4433\n"
#define CLIENT  GENERAL SERVER "[uplink lte]\ninterface = wwan0\n"
#define DAEMON \
	"[general]\nrole = server\nprivate_key_file = /k\nlisten = 0.0.0.0:4433\n"
#define LISTEN CLIENT "[listen web]\n"
#define SOCKS  LISTEN "type = socks5\n"
#define PEER   DAEMON "[peer home]\npublic_key = " KEY_A "\n"

static struct config *
parse(const char *text, struct errmsg *why)
{
	why->text[0] = '\0';
	return config_parse("f.conf", text, strlen(text), why);
}

static struct config *
parse_good(const char *text)
{
	struct errmsg why;
	struct config *c = parse(text, &why);

	if (c == NULL)
		fail_msg("%s", why.text);
	return c;
}

static const struct {
	const char *text;
	const char *error;
} bad[] = {
	/* Lines. */
	{"", "f.conf: there is no [general] section"},
	{"# nothing\n\n", "f.conf: there is no [general] section"},
	{"role = client\n", "f.conf:1: role: stands before the first [section]"},
	{"[general]\nrole\n",
	 "f.conf:2: \"role\" is neither [section] nor key = value"},
	{"[general]\n\nrole =\n",
	 "f.conf:3: role has no value; leave the line out for the default"},
	{"[general]\nrole = ; later\n",
	 "f.conf:2: role has no value; leave the line out for the default"},
	{"[general]\nrole = \"\"\n",
	 "f.conf:2: \"\"\"\" is empty; leave the line out for the default"},
	{"[general]\nrole = \"client\n",
	 "f.conf:2: \"\"client\" has a quote that does not end"},
	{"[general]\nrole = \"client\" or so\n",
	 "f.conf:2: \"\"client\" or so\" goes on behind its quote"},
	{"[general]\nrole = \"client\"#\n",
	 "f.conf:2: \"\"client\"#\" goes on behind its quote"},
	{"[general]\nprivate_key_file = /a;b\n",
	 "f.conf:2: \"/a;b\" holds ; or #: put it in quotes, or a blank before the "
	 "comment"},
	{"[general]\nrole = cli\\\nent\n",
	 "f.conf:2: ends with \\, but no line goes on in the next one"},
	{"# a comment \\\n[general]\n",
	 "f.conf:1: ends with \\, but no line goes on in the next one"},
	{"[general]\nrole = cli\001ent\n", "f.conf:2: holds control character \\x01"},
	{"[general]\n = client\n", "f.conf:2: \"\" is not the name of a key"},
	{"[general]\nro:le = client\n", "f.conf:2: \"ro:le\" is not the name of a key"},
	{"\xef\xbb\xbf[general]\n",
	 "f.conf:1: \"\\xef\\xbb\\xbf[general]\" is neither [section] nor key = value"},
	{"x", "f.conf:1: \"x\" is neither [section] nor key = value"},

	/* Sections. */
	{"[general\n", "f.conf:1: \"[general\" does not end with ], as a section must"},
	{"[\n", "f.conf:1: \"[\" does not end with ], as a section must"},
	{"[general] # c\n",
	 "f.conf:1: \"[general] # c\" does not end with ], as a section must"},
	{"[]\n", "f.conf:1: \"[]\" is not a section such as [general]"},
	{"[[general]]\n",
	 "f.conf:1: \"[[general]]\" is not a section such as [general]"},
	{"[genral]\n",
	 "f.conf:1: [genral] is not a known section; did you mean [general]?"},
	{"[uplnk a]\n",
	 "f.conf:1: [uplnk] is not a known section; did you mean [uplinks]?"},
	{"[zebra]\n", "f.conf:1: [zebra] is not a known section"},
	{"[uplink]\n", "f.conf:1: [uplink] needs a name: [uplink NAME]"},
	{"[general x]\n", "f.conf:1: [general] has no name"},
	{"[uplink a:b]\n",
	 "f.conf:1: \"[uplink a:b]\" needs one blank and a name of at most 31 letters, "
	 "digits, '.', '-' or '_'"},
	{"[uplink  a]\n",
	 "f.conf:1: \"[uplink  a]\" needs one blank and a name of at most 31 letters, "
	 "digits, '.', '-' or '_'"},
	{"[uplink aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]\n",
	 "f.conf:1: \"[uplink aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]\" needs one blank and "
	 "a "
	 "name of at most 31 letters, digits, '.', '-' or '_'"},
	{"[uplink lte]\n[uplink LTE]\n",
	 "f.conf:2: [uplink lte] is there twice; first in line 1"},
	{"[general]\n[general]\n",
	 "f.conf:2: [general] is there twice; first in line 1"},
	{CLIENT "[server two]\n",
	 "f.conf:9: there are more than 1 [server NAME] sections"},
	{CLIENT "[peer home]\npublic_key = " KEY_A "\n",
	 "f.conf: [peer home]: does not belong to a client"},
	{DAEMON "[uplinks]\nallow = *\n",
	 "f.conf: [uplinks]: does not belong to a server"},

	/* Keys. */
	{"[uplink lte]\nprioritty = backup\n",
	 "f.conf:2: [uplink lte] prioritty: is not a known key; did you mean "
	 "priority?"},
	{"[uplink lte]\nzebra = backup\n",
	 "f.conf:2: [uplink lte] zebra: is not a known key"},
	{"[uplink lte]\nendpoint = a:1\n",
	 "f.conf:2: [uplink lte] endpoint: is not a key of this section; it belongs in "
	 "[server NAME]"},
	{"[uplink lte]\npriority = backup\n\nPRIORITY = backup\n",
	 "f.conf:4: [uplink lte] priority: is there twice; first in line 2"},
	{"[general]\nlog_level = info\n",
	 "f.conf: [general] role: is missing: which side of the pair this daemon is"},
	{"[general]\nrole = router\n",
	 "f.conf: [general] role: \"router\" is not one of client, server"},
	{"[general]\nrole = server\nprivate_key_file = /k\n",
	 "f.conf: [general] listen: is missing: addresses with ports where clients are "
	 "expected"},
	{GENERAL "listen = 0.0.0.0:1\n",
	 "f.conf: [general] listen: belongs to the other role than client"},

	{GENERAL "advertise = 192.0.2.1:1\n",
	 "f.conf: [general] advertise: belongs to the other role than client"},

	/* Values. */
	{DAEMON "advertise = 192.0.2.1:1, [::]:1\n",
	 "f.conf: [general] advertise: \"[::]:1\" is no address that a client could "
	 "send to"},
	{DAEMON "advertise = 192.0.2.1:1, 192.0.2.1:1\n",
	 "f.conf: [general] advertise: \"192.0.2.1:1\" is there twice"},
	{CLIENT "priority = fast\n",
	 "f.conf: [uplink lte] priority: \"fast\" is not one of always, backup, never"},
	{CLIENT "priority = b\xc3\xa4"
		"ckup\n",
	 "f.conf: [uplink lte] priority: \"b\\xc3\\xa4ckup\" is not one of always, "
	 "backup, never"},
	{GENERAL "max_streams = 0\n", "f.conf: [general] max_streams: \"0\" is not a "
				      "whole number from 1 to 1000000"},
	{GENERAL "max_streams = 1e3\n", "f.conf: [general] max_streams: \"1e3\" is not "
					"a whole number from 1 to 1000000"},
	{GENERAL "max_streams = 010x\n",
	 "f.conf: [general] max_streams: \"010x\" is not a whole number from 1 to "
	 "1000000"},
	{GENERAL "state_directory = var\n",
	 "f.conf: [general] state_directory: \"var\" is not an absolute path, of at "
	 "most "
	 "255 bytes"},
	{GENERAL "control_socket = /"
		 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n",
	 "f.conf: [general] control_socket: "
	 "\"/"
	 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	 "a"
	 "\" is not an absolute path, of at most 104 bytes"},
	{GENERAL "log_level = loud\n", "f.conf: [general] log_level: \"loud\" is not "
				       "one of error, warn, info, debug"},
	{GENERAL "mptcp_pm = mine\n",
	 "f.conf: [general] mptcp_pm: \"mine\" is not one of auto, userspace, kernel"},
	{GENERAL "congestion = ../bbr\n",
	 "f.conf: [general] congestion: \"../bbr\" is not the name of a congestion "
	 "control, such as bbr or cubic, of at most 15 bytes"},
	{GENERAL "scheduler = roundrobin\n",
	 "f.conf: [general] scheduler: \"roundrobin\" is not one of earliest, minrtt, "
	 "lowest-latency, redundant"},
	{CLIENT "[uplink a/b]\n",
	 "f.conf:9: \"[uplink a/b]\" needs one blank and a name of at most 31 letters, "
	 "digits, '.', '-' or '_'"},
	{CLIENT "[uplink two]\ninterface = a/b\n",
	 "f.conf: [uplink two] interface: \"a/b\" is not the name of an interface, of "
	 "at "
	 "most 15 bytes"},
	{CLIENT "[uplink sixteen-letters-]\n",
	 "f.conf: [uplink sixteen-letters-] interface: \"sixteen-letters-\" is not the "
	 "name of an interface, of at most 15 bytes"},
	{GENERAL "[server vps]\npublic_key = AAAA\nendpoint = a:1\n",
	 "f.conf: [server vps] public_key: \"AAAA\" is not a key of 44 characters, as "
	 "mpproxyctl pubkey prints it"},
	{GENERAL "[server vps]\npublic_key = " KEY_A "\n",
	 "f.conf: [server vps] endpoint: is missing: names or addresses of the server, "
	 "with ports"},
	{GENERAL "[server vps]\npublic_key = " KEY_A "\nendpoint = vps\n",
	 "f.conf: [server vps] endpoint: \"vps\" is not a host with a port, such as "
	 "vps.example.net:4433 or [2001:db8::1]:443"},
	{GENERAL "[server vps]\npublic_key = " KEY_A "\nendpoint = a:1, [b]:2\n",
	 "f.conf: [server vps] endpoint: \"[b]:2\" is not a host with a port, such as "
	 "vps.example.net:4433 or [2001:db8::1]:443"},
	{GENERAL "[server vps]\npublic_key = " KEY_A "\nendpoint = a:1,,b:2\n",
	 "f.conf: [server vps] endpoint: there is a comma too many"},
	{GENERAL "[server vps]\npublic_key = " KEY_A "\nendpoint = a:1,\n",
	 "f.conf: [server vps] endpoint: there is a comma too many"},
	{GENERAL "[server vps]\npublic_key = " KEY_A
		 "\nendpoint = a:1,a:2,a:3,a:4,a:5,a:6,a:7,a:8,a:9\n",
	 "f.conf: [server vps] endpoint: more than 8 items"},
	{GENERAL SERVER "[uplinks]\nallow = a b\n",
	 "f.conf: [uplinks] allow: \"a b\" is not a pattern of interface names, such "
	 "as "
	 "wwan*"},
	{SOCKS "address = localhost:1080\n",
	 "f.conf: [listen web] address: \"localhost:1080\" is not an address with a "
	 "port, "
	 "such as 192.0.2.1:443 or [2001:db8::1]:443"},
	{SOCKS "address = 127.0.0.1:1080\ntransport = udp\nprotect = auth\n",
	 "f.conf: [listen web] protect: \"auth\" needs the kernel's splicing; set "
	 "transport = mptcp"},
	{SOCKS "address = 127.0.0.1:1080\ntransport = tcp\n",
	 "f.conf: [listen web] transport: \"tcp\" is not one of auto, mptcp, udp"},
	{SOCKS "address = 127.0.0.1:1080\nprotect = none\n",
	 "f.conf: [listen web] protect: \"none\" is not one of full, auth"},
	{SOCKS "address = 10.0.0.1:1080\npassword_file = /p\nuser = a:b\n",
	 "f.conf: [listen web] user: \"a:b\" is not a user name: printable, without a "
	 "colon, of at most 255 bytes"},
	{PEER "allow = 10.0.0.1/8\n", "f.conf: [peer home] allow: \"10.0.0.1/8\" is "
				      "not a range of addresses without "
				      "host bits, such as 10.0.0.0/8"},
	{PEER "allow_smtp = maybe\n",
	 "f.conf: [peer home] allow_smtp: \"maybe\" is not one of yes, no"},

	/* What must hold between keys. */
	{GENERAL "[uplink lte]\n",
	 "f.conf: there is no [server NAME] section: a client needs one"},
	{GENERAL SERVER, "f.conf: there is no uplink: add an [uplink NAME] section, or "
			 "allow = PATTERN to "
			 "[uplinks]"},
	{CLIENT "[uplink two]\ninterface = wwan0\n",
	 "f.conf: [uplink two] interface: \"wwan0\" is the interface of [uplink lte] "
	 "already"},
	{CLIENT "[uplink two]\ninterface = lte\n",
	 "f.conf: [uplink two] interface: \"lte\" is the name of another uplink"},
	{CLIENT "[uplink wwan0]\ninterface = eth0\n",
	 "f.conf: [uplink lte] interface: \"wwan0\" is the name of another uplink"},
	{LISTEN "type = forward\naddress = 127.0.0.1:80\n",
	 "f.conf: [listen web] target: is missing; type = forward needs target = "
	 "HOST:PORT"},
	{LISTEN "type = forward\naddress = [::]:80\ntarget = a:80\n",
	 "f.conf: [listen web] address: \"[::]:80\" is every address of this machine, "
	 "and "
	 "type = forward cannot ask for a password; name one address"},
	{LISTEN "type = forward\naddress = [::ffff:0.0.0.0]:80\ntarget = a:80\n",
	 "f.conf: [listen web] address: \"0.0.0.0:80\" is every address of this "
	 "machine, "
	 "and type = forward cannot ask for a password; name one address"},
	{LISTEN "type = forward\naddress = 127.0.0.1:80\ntarget = a:80\nuser = u\n",
	 "f.conf: [listen web] user: type = forward cannot ask for a password; leave "
	 "the "
	 "line out"},
	{SOCKS "address = 127.0.0.1:80\ntarget = a:80\n",
	 "f.conf: [listen web] target: only type = forward has one; leave the line "
	 "out"},
	{SOCKS "address = 127.0.0.1:80\nuser = u\n",
	 "f.conf: [listen web] password_file: is missing; user and password_file go "
	 "together"},
	{SOCKS "address = 127.0.0.1:80\npassword_file = /p\n",
	 "f.conf: [listen web] user: is missing; user and password_file go together"},
	{SOCKS "address = 0.0.0.0:1080\n",
	 "f.conf: [listen web] address: \"0.0.0.0:1080\" is not on loopback, so others "
	 "can reach it; add user and password_file"},
	{LISTEN "type = http\naddress = 192.168.1.1:8080\n",
	 "f.conf: [listen web] address: \"192.168.1.1:8080\" is not on loopback, so "
	 "others can reach it; add user and password_file"},
	{SOCKS
	 "address = 127.0.0.1:80\n[listen b]\ntype = http\naddress = 127.0.0.1:80\n",
	 "f.conf: [listen b] address: \"127.0.0.1:80\" is taken by [listen web] "
	 "already"},
	{"[general]\nrole = server\nprivate_key_file = /k\n"
	 "listen = 0.0.0.0:4433, 192.0.2.1:4433\n",
	 "f.conf: [general] listen: \"0.0.0.0:4433\" and \"192.0.2.1:4433\" cannot "
	 "both "
	 "be listened on"},
	{PEER "[peer work]\npublic_key = " KEY_A "\n",
	 "f.conf: [peer work] public_key: is that of [peer home] already; each client "
	 "has "
	 "its own"},
};

static void
test_refuses_bad_files(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct errmsg why;

		assert_null(parse(bad[i].text, &why));
		assert_string_equal(why.text, bad[i].error);
	}
}

static void
test_refuses_a_nul_byte(void **state)
{
	static const char text[] = "[general]\nrole = cli\0ent\n";
	struct errmsg why;

	(void)state;
	assert_null(config_parse("f.conf", text, sizeof(text) - 1, &why));
	assert_string_equal(why.text, "f.conf:2: holds a NUL byte");
}

static void
test_escapes_the_name_of_the_file(void **state)
{
	struct errmsg why;

	(void)state;
	assert_null(config_parse("\033[2Jf.conf", "", 0, &why));
	assert_string_equal(why.text, "\\x1b[2Jf.conf: there is no [general] section");
	assert_null(config_load("/nowhere/a\nb.conf", &why));
	assert_string_equal(why.text,
			    "/nowhere/a\\x0ab.conf: cannot be read: No such file "
			    "or directory");
}

/* A line one byte over the limit; one byte less is read to its end. */
static void
test_bounds_the_line(void **state)
{
	char text[4096];
	struct errmsg why;
	struct config *c;

	(void)state;
	for (int len = 999; len <= 1001; len++) {
		int n = snprintf(text, sizeof(text), CLIENT "#%*s\npriority = never\n",
				 len - 1, "x");

		c = config_parse("f.conf", text, (size_t)n, &why);
		if (len <= 1000) {
			assert_non_null(c);
			assert_int_equal(c->uplinks[0].priority, PRIORITY_NEVER);
			config_free(c);
		} else {
			assert_null(c);
			assert_string_equal(why.text,
					    "f.conf:9: is longer than 1000 bytes");
		}
	}
	/* A value that fills its line comes through iniparser whole. */
	snprintf(text, sizeof(text), CLIENT "priority =%*s\n", 1000 - 10, "fast");
	assert_null(parse(text, &why));
	assert_string_equal(why.text,
			    "f.conf: [uplink lte] priority: \"fast\" is not one "
			    "of always, backup, never");
}

static void
test_bounds_the_sections(void **state)
{
	char text[CONFIG_PEERS_MAX * 128];
	struct errmsg why;
	struct config *c;
	size_t n = 0, n_full = 0;

	(void)state;
	n += (size_t)snprintf(text, sizeof(text), DAEMON);
	for (unsigned i = 0; i <= CONFIG_PEERS_MAX; i++) {
		uint8_t key[32] = {(uint8_t)i, (uint8_t)(i >> 8)};

		n_full = n;
		n += (size_t)snprintf(text + n, sizeof(text) - n,
				      "[peer p%u]\npublic_key = %s\n", i,
				      keytext_format(key).s);
		assert_true(n < sizeof(text));
	}
	c = config_parse("f.conf", text, n_full, &why);
	assert_non_null(c);
	assert_int_equal(c->n_peers, CONFIG_PEERS_MAX);
	assert_string_equal(c->peers[255].name, "p255");
	assert_int_equal(c->peers[255].public_key[0], 255);
	config_free(c);
	assert_null(config_parse("f.conf", text, n, &why));
	assert_non_null(
		strstr(why.text, "there are more than 256 [peer NAME] sections"));
}

static void
test_fills_in_the_defaults(void **state)
{
	struct config *c = parse_good(CLIENT "[uplink dsl]\n[listen web]\ntype = http\n"
					     "address = [::1]:8080\n");

	(void)state;
	assert_int_equal(c->role, ROLE_CLIENT);
	assert_string_equal(c->private_key_file, "/k");
	assert_string_equal(c->control_socket, "/run/mpproxy/client.sock");
	assert_string_equal(c->state_directory, "/var/lib/mpproxy");
	assert_int_equal(c->log_level, LOG_LEVEL_INFO);
	assert_int_equal(c->mptcp_pm, PM_AUTO);
	assert_string_equal(c->congestion, "bbr");
	assert_int_equal(c->scheduler, SCHEDULER_EARLIEST);
	assert_int_equal(c->max_streams, 4096);
	assert_int_equal(c->n_listen + c->n_uplinks_allow + c->n_uplinks_deny, 0);
	assert_int_equal(c->n_uplinks, 2);
	assert_string_equal(c->uplinks[0].interface, "wwan0");
	assert_string_equal(c->uplinks[1].name, "dsl");
	assert_string_equal(c->uplinks[1].interface, "dsl");
	assert_int_equal(c->uplinks[1].priority, PRIORITY_ALWAYS);
	assert_string_equal(c->server.preshared_key_file, "");
	assert_int_equal(c->listeners[0].transport, TRANSPORT_AUTO);
	assert_int_equal(c->listeners[0].protect, PROTECT_FULL);
	assert_string_equal(c->listeners[0].user, "");
	config_free(c);

	c = parse_good(PEER);
	assert_int_equal(c->role, ROLE_SERVER);
	assert_string_equal(c->control_socket, "/run/mpproxy/server.sock");
	assert_int_equal(c->n_peers, 1);
	assert_int_equal(c->peers[0].max_streams, 4096);
	assert_false(c->peers[0].allow_auth_only);
	assert_false(c->peers[0].allow_smtp);
	config_free(c);
}

static void
test_reads_every_value(void **state)
{
	struct config *c = parse_good(
		"; comment\r\n  # another\r\n[ General ]\r\n"
		"ROLE = Client ; comment\r\nprivate_key_file = \"/a;b #c\" # "
		"comment\r\n"
		"control_socket = '/run/x'\r\nstate_directory=/s\r\nlog_level=debug\r\n"
		"mptcp_pm = kernel\r\ncongestion = cubic\r\nmax_streams = 7\r\n"
		"[uplinks]\r\nallow = ppp*,wwan?\t, eth[12]\r\ndeny = eth1\r\n"
		"[Uplink LTE.1]\r\ninterface = WWan0\r\npriority = off\r\n"
		"[server VPS]\r\npublic_key = " KEY_B "\r\n"
		"endpoint = vps.example.net:4433, 192.0.2.1:1, [2001:db8::1]:65535\r\n"
		"preshared_key_file = /psk\r\n"
		"[listen f]\r\ntype = forward\r\naddress = 192.168.1.1:22\r\n"
		"target = [2001:db8::2]:22\r\ntransport = mptcp\r\nprotect = auth\r\n"
		"[listen s]\r\ntype = socks5\r\naddress = 0.0.0.0:1080\r\n"
		"user = \"J. Doe\"\r\npassword_file = /p");

	(void)state;
	assert_string_equal(c->private_key_file, "/a;b #c");
	assert_string_equal(c->control_socket, "/run/x");
	assert_string_equal(c->state_directory, "/s");
	assert_int_equal(c->log_level, LOG_LEVEL_DEBUG);
	assert_int_equal(c->mptcp_pm, PM_KERNEL);
	assert_string_equal(c->congestion, "cubic");
	assert_int_equal(c->max_streams, 7);
	assert_int_equal(c->n_uplinks_allow, 3);
	assert_string_equal(c->uplinks_allow[1], "wwan?");
	assert_string_equal(c->uplinks_allow[2], "eth[12]");
	assert_int_equal(c->n_uplinks_deny, 1);
	assert_string_equal(c->uplinks_deny[0], "eth1");
	assert_string_equal(c->uplinks[0].name, "lte.1");
	assert_string_equal(c->uplinks[0].interface, "WWan0");
	assert_int_equal(c->uplinks[0].priority, PRIORITY_NEVER);
	assert_string_equal(c->server.name, "vps");
	assert_string_equal(c->server.preshared_key_file, "/psk");
	assert_int_equal(c->server.public_key[0], 4);
	assert_int_equal(c->server.n_endpoints, 3);
	assert_string_equal(c->server.endpoints[0].host, "vps.example.net");
	assert_int_equal(c->server.endpoints[0].port, 4433);
	assert_string_equal(c->server.endpoints[2].host, "2001:db8::1");
	assert_int_equal(c->server.endpoints[2].port, 65535);
	assert_int_equal(c->n_listeners, 2);
	assert_string_equal(c->listeners[0].target.host, "2001:db8::2");
	assert_int_equal(c->listeners[0].transport, TRANSPORT_MPTCP);
	assert_int_equal(c->listeners[0].protect, PROTECT_AUTH);
	assert_string_equal(addr_format(&c->listeners[0].address).s, "192.168.1.1:22");
	assert_int_equal(c->listeners[1].type, INGRESS_SOCKS5);
	assert_string_equal(c->listeners[1].user, "J. Doe");
	assert_string_equal(c->listeners[1].password_file, "/p");
	config_free(c);

	c = parse_good("[peer A]\nallow = 10.0.0.0/8,2001:db8::/32\ndeny = 192.0.2.1\n"
		       "allow_private = 192.168.0.0/16\nallow_smtp = YES\n"
		       "allow_auth_only = yes\nmax_streams = 5\npublic_key = " KEY_B
		       "\n"
		       "preshared_key_file = /psk\n[general]\nrole = server\n"
		       "listen = 0.0.0.0:4433, [::]:4433\nprivate_key_file = /k\n");
	assert_int_equal(c->n_listen, 2);
	assert_int_equal(c->listen[1].family, AF_INET6);
	assert_string_equal(c->peers[0].name, "a");
	assert_int_equal(c->peers[0].n_allow, 2);
	assert_int_equal(c->peers[0].allow[1].bits, 32);
	assert_int_equal(c->peers[0].n_deny, 1);
	assert_int_equal(c->peers[0].deny[0].bits, 32);
	assert_int_equal(c->peers[0].n_allow_private, 1);
	assert_true(c->peers[0].allow_smtp);
	assert_true(c->peers[0].allow_auth_only);
	assert_int_equal(c->peers[0].max_streams, 5);
	assert_string_equal(c->peers[0].preshared_key_file, "/psk");
	config_free(c);
}

static void
test_priorities_have_words(void **state)
{
	enum config_priority p = PRIORITY_BACKUP;

	(void)state;
	assert_int_equal(config_parse_priority("on", &p), 0);
	assert_int_equal(p, PRIORITY_ALWAYS);
	assert_int_equal(config_parse_priority("OFF", &p), 0);
	assert_int_equal(p, PRIORITY_NEVER);
	assert_int_equal(config_parse_priority("nobackup", &p), 0);
	assert_int_equal(p, PRIORITY_ALWAYS);
	assert_int_equal(config_parse_priority("", &p), -EINVAL);
	assert_int_equal(config_parse_priority("secondary", &p), -EINVAL);
	assert_int_equal(p, PRIORITY_ALWAYS);
	for (p = PRIORITY_ALWAYS; p <= PRIORITY_NEVER; p++) {
		enum config_priority back;

		assert_int_equal(config_parse_priority(config_priority_name(p), &back),
				 0);
		assert_int_equal(back, p);
	}
	assert_string_equal(config_ingress_name(INGRESS_FORWARD), "forward");
	assert_string_equal(config_ingress_name(INGRESS_HTTP), "http");
}

/* The words are the core's names, and there is one for each of its schedulers. */
static void
test_schedulers_have_words(void **state)
{
	(void)state;
	for (int k = SCHEDULER_EARLIEST; k <= SCHEDULER_REDUNDANT; k++) {
		char text[512];
		struct config *c;

		snprintf(text, sizeof(text), DAEMON "scheduler = %s\n",
			 scheduler_name((enum scheduler_kind)k));
		c = parse_good(text);
		assert_int_equal(c->scheduler, k);
		config_free(c);
	}
}

static void
test_loads_files_only_and_not_too_large(void **state)
{
	char file[] = "/tmp/mpp-config-XXXXXX";
	int fd = mkstemp(file);
	char expected[128];
	struct errmsg why;
	struct config *c;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, PEER, strlen(PEER)), strlen(PEER));
	c = config_load(file, &why);
	assert_non_null(c);
	config_free(c);

	assert_int_equal(ftruncate(fd, CONFIG_FILE_MAX + 1), 0);
	assert_null(config_load(file, &why));
	snprintf(expected, sizeof(expected),
		 "%s: cannot be read: it is larger than 1 MiB", file);
	assert_string_equal(why.text, expected);
	close(fd);
	unlink(file);

	assert_null(config_load("/tmp", &why));
	assert_string_equal(why.text, "/tmp: cannot be read: it is not a regular file");
}

static char *
read_whole(const char *file)
{
	FILE *f = fopen(file, "r");
	char *text = calloc(1, 1 << 20);

	if (f == NULL) {
		free(text);
		fail_msg("%s: cannot be opened; the test runs in the top folder", file);
		return NULL;
	}
	assert_non_null(text);
	assert_true(fread(text, 1, (1 << 20) - 1, f) > 0);
	fclose(f);
	return text;
}

/* Whether "key = value" is in the section of a sample, commented out or not. */
static bool
sample_has(const char *text, const struct config_key *key)
{
	const char *kind = "";
	size_t kind_len = 0, len = strlen(key->name);

	for (const char *p = text; p != NULL; p = strchr(p, '\n')) {
		p += strspn(p, "\n#");
		if (*p == '[') {
			kind = p + 1;
			kind_len = strcspn(kind, " ]");
		} else if (kind_len == strlen(config_kinds[key->kind].name) &&
			   strncmp(kind, config_kinds[key->kind].name, kind_len) == 0 &&
			   strncmp(p, key->name, len) == 0 &&
			   strncmp(p + len, " = ", 3) == 0) {
			return true;
		}
	}
	return false;
}

static void
test_reads_advertised_addresses(void **state)
{
	struct config *c =
		parse_good(DAEMON "advertise = 192.0.2.1:443, [2001:db8::1]:443\n");

	(void)state;
	assert_int_equal(c->n_advertise, 2);
	assert_string_equal(addr_format(&c->advertise[0]).s, "192.0.2.1:443");
	assert_string_equal(addr_format(&c->advertise[1]).s, "[2001:db8::1]:443");
	config_free(c);
}

static void
test_samples_load_and_have_every_key(void **state)
{
	static const char *const files[] = {
		[ROLE_CLIENT] = "conf/client.conf", [ROLE_SERVER] = "conf/server.conf"};

	(void)state;
	for (unsigned role = 0; role < ARRAY_LEN(files); role++) {
		char *text = read_whole(files[role]);
		struct errmsg why;
		struct config *c = config_load(files[role], &why);

		if (c == NULL) {
			fail_msg("%s", why.text);
			return;
		}
		assert_int_equal(c->role, role);
		config_free(c);
		for (size_t i = 0; i < config_n_keys; i++) {
			const struct config_key *key = &config_keys[i];

			if ((key->roles & (1 << role)) && !sample_has(text, key))
				fail_msg("%s: [%s] has no %s", files[role],
					 config_kinds[key->kind].name, key->name);
		}
		free(text);
	}
}

/* The samples are also right with each line that is commented out put in. */
static void
test_samples_say_what_is_true(void **state)
{
	static const char *const files[] = {"conf/client.conf", "conf/server.conf"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		char *text = read_whole(files[i]);
		struct errmsg why;
		struct config *c;

		for (char *p = text; p != NULL; p = strchr(p, '\n')) {
			p += *p == '\n';
			if (p[0] == '#' && p[1] != ' ' && p[1] != '#' && p[1] != '\n')
				p[0] = ' ';
		}
		c = config_parse(files[i], text, strlen(text), &why);
		if (c == NULL)
			fail_msg("%s", why.text);
		config_free(c);
		free(text);
	}
}

static void
test_man_page_has_every_key(void **state)
{
	char *text = read_whole("docs/mpproxy.conf.5");
	char heading[64], item[64];

	(void)state;
	for (size_t i = 0; i < config_n_keys; i++) {
		const struct config_key *key = &config_keys[i];
		const struct config_kind_info *kind = &config_kinds[key->kind];
		const char *section, *at, *next;

		snprintf(heading, sizeof(heading), ".Ss [%s%s]\n", kind->name,
			 kind->has_name ? " NAME" : "");
		snprintf(item, sizeof(item), ".It Cm %s ", key->name);
		section = strstr(text, heading);
		if (section == NULL) {
			fail_msg("no section %s", heading);
			break;
		}
		next = strstr(section + 1, ".Ss ");
		at = strstr(section, item);
		if (at == NULL || (next != NULL && at > next))
			fail_msg("[%s] has no %s", kind->name, key->name);
	}
	free(text);
}

/* Random edits of a good file: whatever comes, one of two clean outcomes. */
static void
test_survives_random_edits(void **state)
{
	static const char good[] =
		CLIENT "[listen w]\ntype = http\naddress = [::1]:80\n";
	static const char salt[] = "[]=;#\"'\\\n\r\t :,*\0x\xff";
	unsigned seed = seed_choose();
	unsigned n_good = 0;

	(void)state;
	srandom(seed);
	for (int round = 0; round < 3000; round++) {
		char text[sizeof(good)];
		struct errmsg why = {""};
		struct config *c;

		memcpy(text, good, sizeof(good));
		for (long edits = random() % 3; edits >= 0; edits--)
			text[(size_t)random() % (sizeof(text) - 1)] =
				salt[(size_t)random() % (sizeof(salt) - 1)];
		c = config_parse("f.conf", text, sizeof(text) - 1, &why);
		if (c == NULL)
			assert_int_equal(strncmp(why.text, "f.conf:", 7), 0);
		else
			n_good++;
		config_free(c);
	}
	assert_in_range(n_good, 1, 2999);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refuses_bad_files),
		cmocka_unit_test(test_refuses_a_nul_byte),
		cmocka_unit_test(test_escapes_the_name_of_the_file),
		cmocka_unit_test(test_bounds_the_line),
		cmocka_unit_test(test_bounds_the_sections),
		cmocka_unit_test(test_fills_in_the_defaults),
		cmocka_unit_test(test_reads_every_value),
		cmocka_unit_test(test_reads_advertised_addresses),
		cmocka_unit_test(test_priorities_have_words),
		cmocka_unit_test(test_schedulers_have_words),
		cmocka_unit_test(test_loads_files_only_and_not_too_large),
		cmocka_unit_test(test_samples_load_and_have_every_key),
		cmocka_unit_test(test_samples_say_what_is_true),
		cmocka_unit_test(test_man_page_has_every_key),
		cmocka_unit_test(test_survives_random_edits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
