/*
 * Both ends of the handshake over udp, on a wire that loses, doubles, reorders
 * and changes what it carries, and beside a flood.
 *
 *	initiator === uplink 1, 2, 3: delays of their own === responder
 */
#include "tests/unit/unit.h"

#include "tests/unit/seed.h"
#include "tests/unit/udpserver.h"

#include <stdlib.h>
#include <string.h>

#define START (1000 * NS_PER_SEC)

enum { UPLINKS = 3, IN_FLIGHT = 512 };

static unsigned seed;

struct letter {
	ns_t at; /* when it arrives; 0: none */
	unsigned uplink;
	bool to_server;
	size_t len;
	uint8_t data[HANDSHAKE_LEN];
};

struct wire {
	unsigned lost, changed, doubled; /* of 100 */
	struct letter letters[IN_FLIGHT];
};

static bool
happens(unsigned percent)
{
	return (unsigned)rand_r(&seed) % 100 < percent;
}

static void
post_one(struct wire *w, const struct letter *l, ns_t now)
{
	struct letter *slot = w->letters;

	if (happens(w->lost))
		return;
	while (slot->at != 0)
		slot++;
	assert_true(slot < w->letters + IN_FLIGHT);
	*slot = *l;
	/* 10 to 60, 130, 200 ms: what is sent later may arrive sooner. */
	slot->at = now + (10 + rand_r(&seed) % (l->uplink * 70 - 10)) * NS_PER_MS;
	if (happens(w->changed))
		slot->data[(size_t)rand_r(&seed) % l->len] ^= 1 << rand_r(&seed) % 8;
}

static void
post(struct wire *w, const struct letter *l, ns_t now)
{
	post_one(w, l, now);
	if (happens(w->doubled))
		post_one(w, l, now);
}

/* The next to arrive by `until`; false: nothing does. */
static bool
arrive(struct wire *w, ns_t until, struct letter *ret_letter)
{
	struct letter *next = NULL;

	for (size_t i = 0; i < IN_FLIGHT; i++) {
		struct letter *l = &w->letters[i];

		if (l->at != 0 && l->at <= until && (next == NULL || l->at < next->at))
			next = l;
	}
	if (next == NULL)
		return false;
	*ret_letter = *next;
	next->at = 0;
	return true;
}

static struct addr
source_of(unsigned who, unsigned uplink)
{
	return udpserver_source(who * 256 + uplink, (uint16_t)(1000 + uplink));
}

struct party {
	struct udpserver *server;
	struct wire *wire;
	struct initiator i;
	struct initiator_result result;
	unsigned who;
	ns_t up_at; /* 0: not yet */
};

static void
deliver(struct party *p, const struct letter *l)
{
	struct letter back = {.uplink = l->uplink, .to_server = !l->to_server};
	struct addr source = source_of(p->who, l->uplink);

	if (l->to_server) {
		back.len = udpserver_take(p->server, &source, l->data, l->len, l->at,
					  back.data);
		if (back.len > 0)
			post(p->wire, &back, l->at);
	} else if (initiator_input(&p->i, l->uplink, l->data, l->len, l->at,
				   &p->result) == 0) {
		assert_int_equal(p->up_at, 0);
		p->up_at = l->at;
	}
}

static void
send_due(struct party *p, ns_t now)
{
	struct letter l = {.to_server = true, .len = HANDSHAKE_LEN};

	for (l.uplink = 1; l.uplink <= UPLINKS; l.uplink++) {
		if (initiator_output(&p->i, l.uplink, now, l.data))
			post(p->wire, &l, now);
	}
}

static void
party_begin(struct party *p, ns_t now)
{
	udpserver_initiator(p->server, p->who, now, &p->i);
	for (unsigned u = 1; u <= UPLINKS; u++)
		initiator_set_uplink(&p->i, u, true, now);
}

/* One step of 1 ms. */
static void
party_step(struct party *p, ns_t now)
{
	struct letter l;

	if (initiator_deadline(&p->i) <= now)
		send_due(p, now);
	while (arrive(p->wire, now, &l)) {
		deliver(p, &l);
		if (initiator_deadline(&p->i) <= l.at)
			send_due(p, l.at);
	}
}

static void
assert_both_have_it(struct party *p)
{
	struct pending *s =
		responder_find(&p->server->responder, p->result.answer.session_index);

	assert_non_null(s);
	assert_memory_equal(&s->keys, &p->result.keys, sizeof(s->keys));
	assert_ptr_equal(s->peer, &p->server->clients[p->who].peer);
	responder_confirm(&p->server->responder, s);
}

static void
fifty_handshakes(struct wire *w)
{
	struct party p = {.server = udpserver_new(seed), .wire = w};
	ns_t now = START, slowest = 0;

	for (p.who = 0; p.who < 50; p.who++) {
		ns_t began_at = now;

		memset(w->letters, 0, sizeof(w->letters));
		p.up_at = 0;
		party_begin(&p, now);
		for (; p.up_at == 0; now += NS_PER_MS) {
			assert_true(now < began_at + 60 * NS_PER_SEC);
			party_step(&p, now);
		}
		assert_both_have_it(&p);
		slowest = max_ns(slowest, p.up_at - began_at);
		/* Whatever still arrives is of this initiation, or of one other. */
		for (int ms = 0; ms < 500; ms++, now += NS_PER_MS)
			party_step(&p, now);
		assert_true(p.server->clients[p.who].peer.n_pending <= 1);
		now += SESSION_PENDING_LIFE;
		responder_expire(&p.server->responder, now);
		assert_int_equal(p.server->responder.n_pending, 0);
		initiator_done(&p.i);
	}
	print_message("slowest: %lld ms\n", (long long)(slowest / NS_PER_MS));
	udpserver_free(p.server);
}

static void
fifty_of_fifty_on_a_wire_that_loses(void **state)
{
	struct wire w = {.lost = 30, .doubled = 20};

	(void)state;
	fifty_handshakes(&w);
}

static void
fifty_of_fifty_on_a_wire_that_changes(void **state)
{
	struct wire w = {.changed = 30, .doubled = 50};

	(void)state;
	fifty_handshakes(&w);
}

static void
fifty_of_fifty_on_a_wire_that_does_both(void **state)
{
	struct wire w = {.lost = 50, .changed = 30, .doubled = 20};

	(void)state;
	fifty_handshakes(&w);
}

/*
 * 50,000 a second: half of them of somebody who knows the server's public key
 * and has as many addresses as it likes, but cannot read what is sent there;
 * some from true addresses, with cookies; replays; others without any sense.
 */
enum { JUNK_PER_MS = 50, JUNK_KINDS = 64, OWN_ADDRESSES = 4 };

struct flood {
	struct udpserver *server;
	uint8_t msgs[JUNK_KINDS][HANDSHAKE_LEN];
	uint8_t cookies[OWN_ADDRESSES][COOKIE_LEN];
	uint64_t sent;
};

static struct addr
own_address(unsigned n)
{
	return udpserver_source(60000 + n, 53);
}

static void
flood_begin(struct flood *f)
{
	struct handshake h;

	for (unsigned i = 0; i < JUNK_KINDS; i++) {
		uint8_t *msg = f->msgs[i];

		if (i % 4 == 0) { /* captured: of clients of the server */
			udpserver_initiate(f->server, i, &h, msg);
			continue;
		}
		assert_int_equal(prng_bytes(&f->server->rng, msg, HANDSHAKE_LEN), 0);
		memcpy(msg, "\1\0\0\0", 4);
		if (i % 4 != 1)
			udpserver_mac1(msg, f->server->pub);
	}
}

/* Shows a cookie that its true address was given, or asks for one. */
static void
flood_from_own_address(struct flood *f, uint8_t msg[HANDSHAKE_LEN], ns_t now)
{
	unsigned n = (unsigned)rand_r(&seed) % OWN_ADDRESSES;
	struct addr source = own_address(n);
	uint8_t reply[HANDSHAKE_LEN];
	size_t len;

	assert_int_equal(cookie_put_mac2(f->cookies[n], msg), 0);
	len = udpserver_take(f->server, &source, msg, HANDSHAKE_LEN, now, reply);
	if (len == COOKIE_REPLY_LEN)
		assert_int_equal(cookie_open(f->server->pub, msg, reply, f->cookies[n]),
				 0);
}

static void
flood_step(struct flood *f, ns_t now)
{
	uint8_t reply[HANDSHAKE_LEN], msg[HANDSHAKE_LEN];

	for (int n = 0; n < JUNK_PER_MS; n++, f->sent++) {
		unsigned kind = (unsigned)rand_r(&seed) % JUNK_KINDS;
		struct addr source = udpserver_source((unsigned)rand_r(&seed), 7);

		memcpy(msg, f->msgs[kind], sizeof(msg));
		if (kind % 4 == 3 || kind % 8 == 0)
			flood_from_own_address(f, msg, now);
		else
			(void)udpserver_take(f->server, &source, msg, sizeof(msg), now,
					     reply);
	}
}

static void
a_client_gets_through_a_flood(void **state)
{
	struct flood f = {.server = udpserver_new(seed)};
	struct wire w = {0};
	struct party p = {.server = f.server, .wire = &w};
	struct responder_stats *stats = &f.server->responder.stats;
	uint64_t allowed;
	ns_t now = START;

	(void)state;
	flood_begin(&f);
	for (int ms = 0; ms < 200; ms++, now += NS_PER_MS)
		flood_step(&f, now);
	memset(stats, 0, sizeof(*stats));
	f.sent = 0;
	for (p.who = 100; p.who < 105; p.who++) {
		ns_t began_at = now;

		memset(w.letters, 0, sizeof(w.letters));
		p.up_at = 0;
		party_begin(&p, now);
		for (; p.up_at == 0; now += NS_PER_MS) {
			assert_true(now < began_at + NS_PER_SEC);
			flood_step(&f, now);
			party_step(&p, now);
		}
		print_message("up after %lld ms\n",
			      (long long)((p.up_at - began_at) / NS_PER_MS));
		assert_both_have_it(&p);
		initiator_done(&p.i);
	}

	/* Each true address as its bucket allows; the spoofed ones nothing. */
	allowed = (uint64_t)((now - START) / NS_PER_MS) * RATELIMIT_PER_SECOND / 1000 +
		  RATELIMIT_BURST + 1;
	assert_true(stats->tried <=
		    allowed * OWN_ADDRESSES + 5 * UPLINKS * RATELIMIT_BURST);
	assert_true(stats->limited > f.sent / 8);
	assert_true(stats->cookies > f.sent / 4);
	assert_true(stats->foreign > f.sent / 8);
	udpserver_free(f.server);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fifty_of_fifty_on_a_wire_that_loses),
		cmocka_unit_test(fifty_of_fifty_on_a_wire_that_changes),
		cmocka_unit_test(fifty_of_fifty_on_a_wire_that_does_both),
		cmocka_unit_test(a_client_gets_through_a_flood),
	};

	seed = seed_choose();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
