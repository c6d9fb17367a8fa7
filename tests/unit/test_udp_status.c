/*
 * What a session tells of itself: two sessions of the core, joined by two links
 * that are arrays. Time is virtual: each step brings what was sent in the last one.
 */
#include "tests/unit/unit.h"

#include "common/log.h"
#include "daemon/udp_status.h"
#include "tests/unit/addrs.h"

#include <stdlib.h>
#include <string.h>

#define STEP  (5 * NS_PER_MS)
#define LIMIT (5 * NS_PER_SEC)

enum { CLIENT, SERVER, LINKS = 2, FLIGHTS = 256, INDEX_CLIENT = 1, INDEX_SERVER = 2 };

struct flight {
	struct burst b;
	uint8_t data[64 * 1024];
};

struct pair {
	struct session *s[2];
	struct addr at_client[LINKS], at_server;
	bool cut[LINKS];
	ns_t now;
	struct flight *flights[2]; /* on their way to it */
	size_t n[2];
};

/* Two interfaces with all that an uplink wants. */

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
	(void)i;
	return NULL;
}

const struct netmon_interface *
netmon_find(const struct netmon *m, const char *name)
{
	static struct netmon_interface found;

	(void)m;
	found = (struct netmon_interface){
		.index = name[0] - '0' + 1, .up = true, .carrier = true, .n_addrs = 1};
	found.addrs[0] = addrs_of("192.0.2.1:1");
	return &found;
}

static struct session *
begin(enum session_role role)
{
	const struct session_settings cfg = {
		.role = role,
		.aead = AEAD_AES_128_GCM,
		.index = role == SESSION_CLIENT ? INDEX_CLIENT : INDEX_SERVER,
		.index_peer = role == SESSION_CLIENT ? INDEX_SERVER : INDEX_CLIENT,
		.cc = CC_BBR,
		.max_streams = 4,
		.memory = 1 << 22,
	};
	const struct handshake_keys keys = {.key_up = {1}, .key_down = {2}};
	const uint8_t seed[CRYPTO_KEY_LEN] = {(uint8_t)role};
	struct session *s = session_new(&cfg, &keys, seed, 0);

	assert_non_null(s);
	return s;
}

static int
setup(void **state)
{
	struct pair *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	p->at_client[0] = addrs_of("192.0.2.1:1000");
	p->at_client[1] = addrs_of("203.0.113.1:2000");
	p->at_server = addrs_of("198.51.100.1:4433");
	p->s[CLIENT] = begin(SESSION_CLIENT);
	p->s[SERVER] = begin(SESSION_SERVER);
	for (int side = 0; side < 2; side++) {
		p->flights[side] = calloc(FLIGHTS, sizeof(struct flight));
		assert_non_null(p->flights[side]);
	}
	for (uint8_t i = 0; i < LINKS; i++) {
		const struct subflow_way way = {p->at_client[i], p->at_server, i,
						(uint8_t)(i + 1)};

		assert_int_equal(session_add_subflow(p->s[CLIENT], &way, i == 0, 0),
				 i + 1);
	}
	*state = p;
	return 0;
}

static int
teardown(void **state)
{
	struct pair *p = *state;

	for (int side = 0; side < 2; side++) {
		session_free(p->s[side]);
		free(p->flights[side]);
	}
	free(p);
	return 0;
}

/* From one end to the other: addresses change places. */
static void
send_all(struct pair *p, int from)
{
	int to = 1 - from;
	struct burst b;

	while (p->n[to] < FLIGHTS) {
		struct flight *f = &p->flights[to][p->n[to]];

		if (session_output(p->s[from], f->data, sizeof(f->data), &b, p->now) ==
		    0)
			return;
		f->b = b;
		f->b.local = b.remote;
		f->b.remote = b.local;
		f->b.via = addr_equal(from == CLIENT ? &b.local : &b.remote,
				      &p->at_client[1]);
		p->n[to] += p->cut[f->b.via] ? 0 : 1;
	}
}

static void
step(struct pair *p)
{
	p->now += STEP;
	for (int side = 0; side < 2; side++) {
		for (size_t i = 0; i < p->n[side]; i++) {
			struct flight *f = &p->flights[side][i];

			f->b.data = f->data;
			assert_true(session_input(p->s[side], &f->b, p->now) > 0);
		}
		p->n[side] = 0;
	}
	for (int side = 0; side < 2; side++) {
		struct session_event ev;

		if (session_deadline(p->s[side]) <= p->now)
			session_expire(p->s[side], p->now);
		while (session_next_event(p->s[side], &ev))
			continue;
		send_all(p, side);
	}
}

/* --- what is told ---------------------------------------------------------------- */

struct told {
	struct subflow_info at[LINKS];
	size_t n;
};

static void
note(void *arg, const struct subflow_info *info)
{
	struct told *t = arg;

	assert_true(t->n < LINKS);
	t->at[t->n++] = *info;
}

static bool
second_is_tcp(const void *owner, uint32_t via)
{
	(void)owner;
	return via == 1;
}

static struct told
ask(const struct pair *p, int side)
{
	const struct udp_status_names names = {
		.peer = "vps", .is_tcp = side == CLIENT ? second_is_tcp : NULL};
	struct told t = {0};

	udp_status_each(p->s[side], &names, p->now, note, &t);
	return t;
}

static bool
is_state(const struct pair *p, int side, size_t i, const char *state)
{
	struct told t = ask(p, side);

	return i < t.n && strcmp(t.at[i].state, state) == 0;
}

static void
run_until_state(struct pair *p, int side, size_t i, const char *state)
{
	ns_t give_up = p->now + LIMIT;

	while (!is_state(p, side, i, state)) {
		step(p);
		if (p->now > give_up)
			fail_msg("subflow %zu is not %s", i + 1, state);
	}
}

static void
join_both(struct pair *p)
{
	assert_true(is_state(p, CLIENT, 1, "joining"));
	for (size_t i = 0; i < LINKS; i++) {
		run_until_state(p, CLIENT, i, "active");
		run_until_state(p, SERVER, i, "active");
	}
}

static void
test_names_and_addresses(void **state)
{
	struct pair *p = *state;
	struct told at_client, at_server;

	join_both(p);
	at_client = ask(p, CLIENT);
	at_server = ask(p, SERVER);
	assert_int_equal(at_client.n, LINKS);
	assert_int_equal(at_server.n, LINKS);
	for (size_t i = 0; i < LINKS; i++) {
		const struct subflow_info *c = &at_client.at[i], *s = &at_server.at[i];

		assert_string_equal(c->peer, "vps");
		assert_string_equal(c->carrier, i == 1 ? "tcp" : "udp");
		assert_string_equal(s->carrier, "udp");
		assert_int_equal(c->id, i + 1);
		assert_int_equal(s->id, i + 1);
		assert_int_equal(c->uplink, i + 1);
		assert_int_equal(s->uplink, i + 1);
		assert_true(c->active && s->active);
		assert_true(addr_equal(&c->local, &p->at_client[i]));
		assert_true(addr_equal(&c->remote, &p->at_server));
		assert_true(addr_equal(&s->local, &p->at_server));
		assert_true(addr_equal(&s->remote, &p->at_client[i]));
		assert_string_equal(c->priority, "always");
	}
	assert_int_equal(udp_status_active(p->s[CLIENT]), 2);
	assert_int_equal(udp_status_active(NULL), 0);
}

/* What one end has sent on a subflow is what the other one has received. */
static void
test_figures(void **state)
{
	struct pair *p = *state;
	struct told at_client, at_server;
	struct tunnel_counters now = {0}, ended = {0};
	struct stream *st;
	size_t len;

	join_both(p);
	st = session_open(p->s[CLIENT], (const uint8_t *)"x", 1, NULL);
	assert_non_null(st);
	memset(session_room(p->s[CLIENT], st, &len), 7, 5000);
	assert_true(len >= 5000);
	session_written(p->s[CLIENT], st, 5000, p->now);
	for (int i = 0; i < 100; i++)
		step(p);
	while (p->n[CLIENT] + p->n[SERVER] > 0)
		step(p);
	at_client = ask(p, CLIENT);
	at_server = ask(p, SERVER);
	for (size_t i = 0; i < LINKS; i++) {
		const struct subflow_info *c = &at_client.at[i], *s = &at_server.at[i];

		assert_int_equal(c->packets_tx, s->packets_rx);
		assert_int_equal(s->packets_tx, c->packets_rx);
		assert_int_equal(c->bytes_tx, s->bytes_rx);
		assert_int_equal(s->bytes_tx, c->bytes_rx);
		assert_true(c->packets_tx > 3);
		assert_int_equal(c->in_flight, 0);
		assert_int_equal(c->packets_lost, 0);
		/* There and back takes two steps, and there is no queue. */
		assert_in_range(c->min_rtt, 2 * STEP - NS_PER_MS, 3 * STEP);
		assert_in_range(c->srtt, c->min_rtt, 4 * STEP);
		assert_in_range(c->queueing, 0, STEP);
		assert_true(c->cwnd >= 2 * 1252);
		assert_in_range(c->mtu, 1280, 1500);
		assert_int_equal(c->suspected, 0);
	}
	assert_true(at_client.at[0].bytes_tx + at_client.at[1].bytes_tx > 5000);
	udp_status_add(p->s[CLIENT], false, &now);
	udp_status_add(p->s[CLIENT], true, &ended);
	udp_status_add(NULL, false, &ended);
	assert_int_equal(now.sessions, 1);
	assert_int_equal(now.subflows_active, 2);
	assert_int_equal(now.sent_bytes, 5000);
	assert_int_equal(ended.sent_bytes, 5000);
	assert_int_equal(ended.resent_bytes, now.resent_bytes);
	assert_int_equal(ended.sessions + ended.subflows_active + ended.held_bytes, 0);
}

static void
test_death_and_return(void **state)
{
	struct pair *p = *state;

	join_both(p);
	p->cut[1] = true;
	run_until_state(p, CLIENT, 1, "suspect");
	run_until_state(p, CLIENT, 1, "dead");
	assert_true(is_state(p, CLIENT, 0, "active"));
	assert_int_equal(udp_status_active(p->s[CLIENT]), 1);
	assert_int_equal(ask(p, CLIENT).at[1].suspected, 1);
	assert_false(ask(p, CLIENT).at[1].active);
	p->cut[1] = false;
	run_until_state(p, CLIENT, 1, "active");
}

/* The client says so of one subflow; both ends send less there. */
static void
test_priority(void **state)
{
	struct pair *p = *state;

	join_both(p);
	session_set_tier(p->s[CLIENT], 2, TIER_BACKUP);
	for (int i = 0; i < 20; i++)
		step(p);
	for (int side = 0; side < 2; side++) {
		struct told t = ask(p, side);

		assert_string_equal(t.at[0].priority, "always");
		assert_string_equal(t.at[1].priority, "backup");
	}
}

/* --- what uplinks hear of it ----------------------------------------------------- */

struct listener {
	struct config config;
	struct loop *loop;
	struct uplinks *us;
};

static void
on_change(void *arg, struct uplink *u)
{
	(void)arg;
	(void)u;
}

static struct listener *
listen_to(struct pair *p)
{
	const struct uplinks_handler handler = {.on_change = on_change};
	struct listener *l = calloc(1, sizeof(*l));
	struct errmsg why;

	assert_non_null(l);
	l->loop = loop_new();
	l->config.n_uplinks = LINKS;
	for (unsigned i = 0; i < LINKS; i++) {
		l->config.uplinks[i].name[0] = (char)('0' + i);
		l->config.uplinks[i].interface[0] = (char)('0' + i);
	}
	l->us = uplinks_new(l->loop, &l->config, NULL, &handler, &why);
	assert_non_null(l->us);
	join_both(p);
	return l;
}

static void
stop_listening(struct listener *l)
{
	uplinks_free(l->us);
	loop_free(l->loop);
	free(l);
}

static enum uplink_state
told_state(const struct pair *p, struct listener *l, size_t i)
{
	const struct udp_status_names names = {.is_tcp = second_is_tcp};

	udp_status_tell(p->s[CLIENT], &names, l->us);
	return uplinks_at(l->us, i)->state;
}

/* How long until uplink 2 is told to be in that state. */
static ns_t
until(struct pair *p, struct listener *l, enum uplink_state state)
{
	ns_t since = p->now;

	while (told_state(p, l, 1) != state) {
		step(p);
		assert_int_equal(told_state(p, l, 0), UPLINK_ACTIVE);
		if (p->now - since > LIMIT)
			fail_msg("never %s", uplink_state_name(state));
	}
	return p->now - since;
}

/* Nothing is sent, and still it is known: a ping a second, and a probe timeout. */
static void
test_idle_death_is_heard(void **state)
{
	struct pair *p = *state;
	struct listener *l = listen_to(p);
	ns_t found = 0;

	assert_int_equal(told_state(p, l, 1), UPLINK_ACTIVE);
	assert_non_null(strstr(uplink_reason(uplinks_at(l->us, 1), p->now).s,
			       "udp: answers over TCP, "));
	assert_null(strstr(uplink_reason(uplinks_at(l->us, 0), p->now).s, "TCP"));
	/* Whenever in that second it dies. */
	for (int i = 0; i < 100; i++) {
		for (int k = 0; k < 600 + 2 * i; k++)
			step(p);
		p->cut[1] = true;
		found = max_ns(found, until(p, l, UPLINK_SUSPECT));
		until(p, l, UPLINK_DEAD);
		p->cut[1] = false;
		until(p, l, UPLINK_ACTIVE);
	}
	print_message("suspect after %lld ms at most\n",
		      (long long)(found / NS_PER_MS));
	assert_in_range(found, NS_PER_SEC, 1200 * NS_PER_MS);
	stop_listening(l);
}

static bool
is_over_tcp(const struct pair *p, struct listener *l)
{
	assert_int_equal(told_state(p, l, 0), UPLINK_ACTIVE);
	return strstr(uplink_reason(uplinks_at(l->us, 0), p->now).s, "over TCP") !=
	       NULL;
}

/* Both carriers are heard: that there is TCP too is worth no word. */
static void
test_udp_before_tcp(void **state)
{
	struct pair *p = *state;
	struct listener *l = listen_to(p);
	const struct subflow_way over_tcp = {p->at_client[1], p->at_server, 1, 1};
	ns_t give_up = p->now + LIMIT;

	assert_int_equal(session_add_subflow(p->s[CLIENT], &over_tcp, false, p->now),
			 3);
	while (udp_status_active(p->s[CLIENT]) < 3 && p->now < give_up)
		step(p);
	assert_int_equal(udp_status_active(p->s[CLIENT]), 3);
	assert_false(is_over_tcp(p, l));
	p->cut[0] = true;
	give_up = p->now + LIMIT;
	while (!is_over_tcp(p, l) && p->now < give_up)
		step(p);
	assert_true(is_over_tcp(p, l));
	stop_listening(l);
}

static void
test_lost_session_is_silent(void **state)
{
	struct pair *p = *state;
	struct listener *l = listen_to(p);

	assert_int_equal(told_state(p, l, 0), UPLINK_ACTIVE);
	udp_status_lost(l->us, p->now);
	assert_int_equal(uplinks_at(l->us, 0)->state, UPLINK_DEAD);
	assert_non_null(strstr(uplink_reason(uplinks_at(l->us, 0), p->now).s,
			       "udp: no session with the server"));
	/* The next one. */
	assert_int_equal(told_state(p, l, 0), UPLINK_ACTIVE);
	stop_listening(l);
}

#define WITH_PAIR(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_PAIR(test_names_and_addresses),    WITH_PAIR(test_figures),
		WITH_PAIR(test_death_and_return),       WITH_PAIR(test_priority),
		WITH_PAIR(test_idle_death_is_heard),    WITH_PAIR(test_udp_before_tcp),
		WITH_PAIR(test_lost_session_is_silent),
	};

	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
