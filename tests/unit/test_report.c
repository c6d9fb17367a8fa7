/*
 * What the control socket tells, made by the report from real uplinks and a real
 * tunnel; the transports, the interfaces and the kernel's figures are played here.
 */
#include "tests/unit/unit.h"

#include "common/log.h"
#include "daemon/io/mptcp_info.h"
#include "daemon/proxy.h"
#include "daemon/report.h"
#include "daemon/transport.h"
#include "tests/unit/addrs.h"
#include "tests/unit/legs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- what is played ------------------------------------------------------------- */

static const struct netmon_interface interfaces[] = {
	{.name = "ppp0", .index = 3, .up = true, .carrier = true, .n_addrs = 1},
	{.name = "wwan0", .index = 4, .up = true, .carrier = true, .n_addrs = 1},
};

size_t
netmon_count(const struct netmon *m)
{
	(void)m;
	return 0;
}

const struct netmon_interface *
netmon_at(const struct netmon *m, size_t i)
{
	(void)m;
	return &interfaces[i];
}

const struct netmon_interface *
netmon_find(const struct netmon *m, const char *name)
{
	static struct netmon_interface found;

	(void)m;
	for (size_t i = 0; i < ARRAY_LEN(interfaces); i++) {
		if (strcmp(interfaces[i].name, name) != 0)
			continue;
		found = interfaces[i];
		found.addrs[0] = addrs_of(i == 0 ? "192.0.2.1:1" : "203.0.113.1:1");
		found.addrs[0].port = 0;
		return &found;
	}
	return NULL;
}

/* The kernel knows one more subflow than is up. */
int
mptcp_info_get(int fd, struct mptcp_info_all *ret_info)
{
	return legs_info(fd, ret_info);
}

static const struct config_host dest = {.host = "2001:db8::7", .port = 443};

static void
mptcp_each(struct transport *t, tunnel_each_fn fn, void *arg)
{
	(void)t;
	legs_each(2, 2, fn, arg);
}

static void
udp_each(struct transport *t, tunnel_each_fn fn, void *arg)
{
	const struct tunnel_stream_info info = {
		.id = 3,
		.peer = "vps",
		.listener = "",
		.transport = "udp",
		.chosen = "it fails over faster",
		.dest = &dest,
		.state = "opening",
		.n_active = 2,
		.fd = -1,
	};

	(void)t;
	fn(arg, &info);
}

static void
udp_each_subflow(struct transport *t, subflow_info_fn fn, void *arg)
{
	const struct subflow_info list[] = {
		{.peer = "vps",
		 .carrier = "udp",
		 .state = "active",
		 .priority = "always",
		 .local = addrs_of("192.0.2.1:1000"),
		 .remote = addrs_of("198.51.100.1:4433"),
		 .id = 1,
		 .uplink = 1,
		 .active = true,
		 .state_for = 61 * NS_PER_SEC,
		 .srtt = 31250 * NS_PER_US,
		 .min_rtt = 30 * NS_PER_MS,
		 .rttvar = 2 * NS_PER_MS,
		 .queueing = 0,
		 .cwnd = 100000,
		 .in_flight = 70000,
		 .bytes_tx = 4000000000,
		 .bytes_rx = 5000,
		 .packets_tx = 3000000,
		 .packets_rx = 40,
		 .packets_lost = 12,
		 .packets_spurious = 2,
		 .rate_tx = 48000000,
		 .suspected = 3,
		 .mtu = 1500},
		{.peer = "v\033ps",
		 .carrier = "tcp",
		 .state = "joining",
		 .priority = "backup",
		 .local = addrs_of("203.0.113.1:2000"),
		 .remote = addrs_of("198.51.100.1:4433"),
		 .id = 2,
		 .uplink = 2,
		 .cwnd = 12000,
		 .mtu = 1280},
		/* Of an uplink that is none any more. */
		{.peer = "vps",
		 .carrier = "udp",
		 .state = "dead",
		 .priority = "always",
		 .id = 3,
		 .uplink = 9},
	};

	(void)t;
	for (size_t i = 0; i < ARRAY_LEN(list); i++)
		fn(arg, &list[i]);
}

static void
mptcp_counters(const struct transport *t, struct tunnel_counters *ret_counters)
{
	(void)t;
	*ret_counters = (struct tunnel_counters){.streams = 2, .legs_waiting = 8};
}

static void
udp_counters(const struct transport *t, struct tunnel_counters *ret_counters)
{
	(void)t;
	*ret_counters = (struct tunnel_counters){.streams = 1,
						 .sessions = 1,
						 .subflows_active = 2,
						 .sent_bytes = 4000,
						 .resent_bytes = 30,
						 .refused_packets = 7,
						 .rekeys = 8,
						 .held_bytes = 65536};
}

static const char *
connected(const struct transport *t)
{
	(void)t;
	return "connected to vps with aes-128-gcm";
}

static struct transport_health
sound(const struct transport *t)
{
	(void)t;
	return (struct transport_health){true, NULL};
}

static void
free_nothing(struct transport *t)
{
	(void)t;
}

static const struct transport_ops mptcp_ops = {.each = mptcp_each,
					       .counters = mptcp_counters,
					       .state_text = connected,
					       .health = sound,
					       .free = free_nothing};
static const struct transport_ops udp_ops = {.each = udp_each,
					     .each_subflow = udp_each_subflow,
					     .counters = udp_counters,
					     .state_text = connected,
					     .health = sound,
					     .free = free_nothing};

/* --- the proxy ------------------------------------------------------------------ */

struct fixture {
	struct config config;
	struct transport mptcp, udp;
	struct proxy proxy;
};

static void
on_change(void *arg, struct uplink *u)
{
	(void)arg;
	(void)u;
}

static int
setup(void **state)
{
	const struct uplinks_handler handler = {.on_change = on_change};
	struct fixture *f = calloc(1, sizeof(*f));
	struct errmsg why;

	assert_non_null(f);
	f->config.role = ROLE_CLIENT;
	f->config.n_uplinks = 2;
	strcpy(f->config.uplinks[0].name, "dsl");
	strcpy(f->config.uplinks[0].interface, "ppp0");
	strcpy(f->config.uplinks[1].name, "lte");
	strcpy(f->config.uplinks[1].interface, "wwan0");
	f->proxy.config = &f->config;
	f->proxy.loop = loop_new();
	f->proxy.tunnel = tunnel_new(1);
	f->proxy.uplinks = uplinks_new(f->proxy.loop, &f->config, NULL, &handler, &why);
	assert_non_null(f->proxy.uplinks);
	f->mptcp.ops = &mptcp_ops;
	f->udp.ops = &udp_ops;
	tunnel_add(f->proxy.tunnel, TRANSPORT_MPTCP, &f->mptcp);
	tunnel_add(f->proxy.tunnel, TRANSPORT_UDP, &f->udp);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	uplinks_free(f->proxy.uplinks);
	tunnel_free(f->proxy.tunnel);
	loop_free(f->proxy.loop);
	free(f);
	return 0;
}

static void
expect_text(const json_t *object, const char *field, const char *want)
{
	const char *got = json_string_value(json_object_get(object, field));

	if (got == NULL || strcmp(got, want) != 0)
		fail_msg("%s: wanted %s, got %s", field, want, got);
}

static void
expect_number(const json_t *object, const char *field, double want)
{
	json_t *got = json_object_get(object, field);

	if (!json_is_number(got) || json_number_value(got) != want)
		fail_msg("%s: wanted %g, got %g", field, want, json_number_value(got));
}

static void
expect_null(const json_t *object, const char *field)
{
	if (!json_is_null(json_object_get(object, field)))
		fail_msg("%s is not null", field);
}

/* --- tests ---------------------------------------------------------------------- */

static void
test_uplinks(void **state)
{
	struct fixture *f = *state;
	json_t *result, *dsl, *lte, *ago;

	uplinks_heard(f->proxy.uplinks, uplinks_at(f->proxy.uplinks, 0), TRANSPORT_UDP,
		      &(struct hearing_answer){.at = loop_now(f->proxy.loop),
					       .srtt = 20 * NS_PER_MS});
	result = report_uplinks(&f->proxy);
	dsl = json_array_get(json_object_get(result, "uplinks"), 0);
	lte = json_array_get(json_object_get(result, "uplinks"), 1);
	assert_int_equal(json_array_size(json_object_get(result, "uplinks")), 2);
	expect_text(dsl, "name", "dsl");
	expect_text(dsl, "ifname", "ppp0");
	expect_text(dsl, "state", "active");
	expect_text(dsl, "reason", "udp: answers, 20 ms; mptcp: no answer yet");
	expect_number(dsl, "srtt_ms", 20);
	expect_text(json_object_get(dsl, "udp"), "state", "active");
	expect_number(json_object_get(dsl, "udp"), "srtt_ms", 20);
	ago = json_object_get(json_object_get(dsl, "udp"), "heard_ms_ago");
	assert_true(json_is_real(ago) && json_real_value(ago) < 10000);
	expect_text(json_object_get(dsl, "mptcp"), "state", "probing");
	expect_null(json_object_get(dsl, "mptcp"), "srtt_ms");
	expect_null(json_object_get(dsl, "mptcp"), "heard_ms_ago");
	/* One of stream 1, one of the session. */
	expect_number(dsl, "subflows", 2);
	assert_string_equal(
		json_string_value(json_array_get(json_object_get(dsl, "addresses"), 0)),
		"192.0.2.1");
	expect_text(lte, "state", "probing");
	expect_null(lte, "srtt_ms");
	expect_number(lte, "subflows", 0);
	json_decref(result);
}

static void
test_streams(void **state)
{
	struct fixture *f = *state;
	const struct report_page page = {.from = 1, .limit = 200};
	json_t *result = report_streams(&f->proxy, &page);
	json_t *second = json_array_get(json_object_get(result, "streams"), 0);
	json_t *third = json_array_get(json_object_get(result, "streams"), 1);

	expect_number(result, "total", 3);
	expect_number(second, "id", 2);
	expect_text(second, "listener", "web\\xff\\x1b[31m");
	expect_text(second, "transport", "mptcp");
	expect_text(second, "destination", "[2001:db8::7]:443");
	expect_text(second, "fallback", "the \"peer\" has none");
	expect_text(second, "protect", "full");
	expect_number(second, "bytes_up", 5e9);
	expect_number(second, "age_s", 90);
	expect_number(second, "subflows", 0);
	expect_text(third, "transport", "udp");
	expect_text(third, "chosen", "it fails over faster");
	expect_number(third, "subflows", 2);
	json_decref(result);
}

static void
test_subflows_of_streams(void **state)
{
	struct fixture *f = *state;
	const struct report_page page = {.from = 3, .limit = 1};
	json_t *result = report_subflows(&f->proxy, &page);
	json_t *rows = json_object_get(result, "subflows");
	json_t *known = json_array_get(rows, 0), *waiting = json_array_get(rows, 1);
	json_t *unasked = json_array_get(rows, 2);

	/* Three of the session and two legs; not the stream over the session. */
	expect_number(result, "total", 5);
	assert_int_equal(json_array_size(rows), 3);
	expect_text(known, "transport", "mptcp");
	expect_number(known, "stream", 1);
	expect_text(known, "uplink", "dsl");
	expect_text(known, "ifname", "ppp0");
	expect_text(known, "local", "192.0.2.1:1000");
	expect_text(known, "state", "up");
	expect_number(known, "srtt_ms", 43.21);
	expect_number(known, "in_flight", 7);
	expect_number(known, "bytes_tx", 123456789);
	expect_number(known, "rate_tx", 48300000);
	expect_text(waiting, "uplink", "lte");
	expect_text(waiting, "state", "waiting");
	assert_null(json_object_get(waiting, "srtt_ms"));
	expect_text(unasked, "local", "203.0.113.1:2000");
	expect_text(unasked, "state", "up");
	expect_null(unasked, "uplink");
	json_decref(result);
}

static void
test_subflows_of_sessions(void **state)
{
	struct fixture *f = *state;
	const struct report_page page = {.from = 0, .limit = 3};
	json_t *result = report_subflows(&f->proxy, &page);
	json_t *rows = json_object_get(result, "subflows");
	json_t *first = json_array_get(rows, 0), *second = json_array_get(rows, 1);
	json_t *third = json_array_get(rows, 2);

	assert_int_equal(json_array_size(rows), 3);
	expect_text(first, "transport", "udp");
	expect_text(first, "peer", "vps");
	expect_number(first, "id", 1);
	expect_text(first, "uplink", "dsl");
	expect_text(first, "ifname", "ppp0");
	expect_number(first, "uplink_id", 1);
	expect_text(first, "carrier", "udp");
	expect_text(first, "local", "192.0.2.1:1000");
	expect_text(first, "remote", "198.51.100.1:4433");
	expect_text(first, "state", "active");
	expect_number(first, "state_s", 61);
	expect_text(first, "priority", "always");
	assert_true(json_is_false(json_object_get(first, "backup")));
	expect_number(first, "srtt_ms", 31.25);
	expect_number(first, "min_rtt_ms", 30);
	expect_number(first, "rttvar_ms", 2);
	expect_number(first, "queueing_ms", 0);
	expect_number(first, "cwnd_bytes", 100000);
	expect_number(first, "in_flight_bytes", 70000);
	expect_number(first, "bytes_tx", 4e9);
	expect_number(first, "bytes_rx", 5000);
	expect_number(first, "pkt_sent", 3000000);
	expect_number(first, "pkt_received", 40);
	expect_number(first, "pkt_lost", 12);
	expect_number(first, "pkt_spurious", 2);
	expect_number(first, "rate_tx", 48000000);
	expect_number(first, "suspected", 3);
	expect_number(first, "mtu", 1500);
	expect_text(second, "peer", "v\\x1bps");
	expect_text(second, "carrier", "tcp");
	expect_text(second, "priority", "backup");
	assert_true(json_is_true(json_object_get(second, "backup")));
	expect_null(second, "srtt_ms");
	expect_null(second, "min_rtt_ms");
	expect_null(second, "queueing_ms");
	expect_null(second, "rate_tx");
	expect_null(third, "uplink");
	expect_null(third, "local");
	json_decref(result);
}

static void
test_status(void **state)
{
	struct fixture *f = *state;
	json_t *result = report_status(&f->proxy);
	json_t *udp = json_object_get(result, "udp");

	expect_text(udp, "state", "connected to vps with aes-128-gcm");
	expect_number(udp, "sessions", 1);
	expect_number(udp, "subflows_active", 2);
	expect_number(udp, "sent_bytes", 4000);
	expect_number(udp, "resent_bytes", 30);
	expect_number(udp, "refused_packets", 7);
	expect_number(udp, "rekeys", 8);
	expect_number(udp, "held_bytes", 65536);
	expect_text(json_object_get(result, "auto"), "transport", "udp");
	expect_number(json_object_get(result, "streams"), "open", 3);
	expect_number(json_object_get(result, "streams"), "legs_waiting", 8);
	json_decref(result);
}

#define WITH_FIXTURE(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_FIXTURE(test_uplinks),
		WITH_FIXTURE(test_streams),
		WITH_FIXTURE(test_subflows_of_streams),
		WITH_FIXTURE(test_subflows_of_sessions),
		WITH_FIXTURE(test_status),
	};

	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
