/*
 * The server's end: who gets an answer, what is kept of it, and for how long.
 */
#include "tests/unit/unit.h"

#include "daemon/core/wire.h"
#include "tests/unit/heap.h"
#include "tests/unit/seed.h"
#include "tests/unit/udpserver.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define START (1000 * NS_PER_SEC)

static unsigned seed;

struct fixture {
	struct udpserver *server;
	struct responder *r;
	struct handshake handshake;
	uint8_t msg[HANDSHAKE_LEN], reply[HANDSHAKE_LEN];
	struct handshake_answer answer;
	struct handshake_keys keys;
	ns_t now;
};

static int
set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->server = udpserver_new(seed++);
	f->r = &f->server->responder;
	f->now = START;
	*state = f;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;

	udpserver_free(f->server);
	free(f);
	return 0;
}

static void
initiate(struct fixture *f, unsigned who)
{
	udpserver_initiate(f->server, who, &f->handshake, f->msg);
}

static size_t
take_from(struct fixture *f, const struct addr *source)
{
	return udpserver_take(f->server, source, f->msg, sizeof(f->msg), f->now,
			      f->reply);
}

static size_t
take(struct fixture *f)
{
	const struct addr source = udpserver_source(1, 1000);

	return take_from(f, &source);
}

/* f->msg must be answered, and the client must take the answer. */
static struct pending *
must_answer(struct fixture *f)
{
	struct pending *p;

	assert_int_equal(take(f), HANDSHAKE_LEN);
	assert_int_equal(
		handshake_finish(&f->handshake, f->reply, &f->answer, &f->keys), 0);
	p = responder_find(f->r, f->answer.session_index);
	assert_non_null(p);
	assert_memory_equal(&p->keys, &f->keys, sizeof(f->keys));
	return p;
}

static void
assert_silence(struct fixture *f)
{
	unsigned n = f->r->n_pending;

	assert_int_equal(take(f), 0);
	assert_int_equal(f->r->n_pending, n);
}

static void
each_copy_is_answered_to_its_own_source(void **state)
{
	struct fixture *f = *state;
	uint8_t first[HANDSHAKE_LEN];

	initiate(f, 0);
	for (unsigned n = 0; n < 16; n++) {
		struct addr source = udpserver_source(n / 2, (uint16_t)n);

		/* What MAC2 says does not matter without load. */
		f->msg[HANDSHAKE_MAC2_AT] = (uint8_t)n;
		assert_int_equal(take_from(f, &source), HANDSHAKE_LEN);
		if (n == 0)
			memcpy(first, f->reply, sizeof(first));
		assert_memory_equal(first, f->reply, sizeof(first));
		f->now += 600 * NS_PER_MS;
	}
	assert_int_equal(f->r->n_pending, 1);
	assert_int_equal(f->r->stats.copies, 15);
	assert_int_equal(f->r->stats.tried, 1);
}

static void
a_pending_session_has_its_time(void **state)
{
	struct fixture *f = *state;
	uint32_t index;
	ns_t made_at = f->now;

	initiate(f, 0);
	(void)must_answer(f);
	index = f->answer.session_index;
	f->now = made_at + SESSION_PENDING_LIFE;
	assert_int_equal(take(f), HANDSHAKE_LEN); /* a copy makes it no younger */
	assert_int_equal(f->r->stats.copies, 1);
	responder_expire(f->r, f->now);
	assert_non_null(responder_find(f->r, index));
	responder_expire(f->r, f->now + 1);
	assert_null(responder_find(f->r, index));
	assert_int_equal(f->r->n_pending, 0);

	/* Nothing has become of it: the same initiation is welcome again. */
	f->now += 1;
	assert_int_equal(take(f), HANDSHAKE_LEN);
	assert_int_equal(f->r->stats.tried, 2);

	/* Nobody has to call responder_expire() for that. */
	f->now += SESSION_PENDING_LIFE + 1;
	assert_int_equal(take(f), HANDSHAKE_LEN);
	assert_int_equal(f->r->stats.tried, 3);
}

static void
a_confirmed_handshake_is_refused_later(void **state)
{
	struct fixture *f = *state;
	uint8_t msgs[HANDSHAKES_REFUSED + 1][HANDSHAKE_LEN];

	for (size_t i = 0; i < ARRAY_LEN(msgs); i++) {
		initiate(f, 0);
		memcpy(msgs[i], f->msg, HANDSHAKE_LEN);
		responder_confirm(f->r, must_answer(f));
		assert_int_equal(f->r->n_pending, 0);
		assert_null(responder_find(f->r, f->answer.session_index));
		assert_silence(f);
	}
	for (size_t i = 1; i < ARRAY_LEN(msgs); i++) {
		memcpy(f->msg, msgs[i], HANDSHAKE_LEN);
		f->now += NS_PER_SEC;
		assert_silence(f);
		assert_int_equal(f->server->answered, -EBADMSG);
	}
	/* The oldest is forgotten; it makes a session that nobody can use. */
	memcpy(f->msg, msgs[0], HANDSHAKE_LEN);
	assert_int_equal(take(f), HANDSHAKE_LEN);
}

static void
sessions_of_one_peer_have_a_limit(void **state)
{
	struct fixture *f = *state;
	uint32_t index[SESSIONS_PENDING_MAX + 3], theirs;

	initiate(f, 1);
	(void)must_answer(f);
	theirs = f->answer.session_index;
	for (size_t i = 0; i < ARRAY_LEN(index); i++) {
		initiate(f, 0);
		assert_int_equal(must_answer(f)->serial, i + 1);
		index[i] = f->answer.session_index;
	}
	for (size_t i = 0; i < ARRAY_LEN(index); i++)
		assert_int_equal(responder_find(f->r, index[i]) != NULL, i >= 3);
	assert_non_null(responder_find(f->r, theirs));
	assert_int_equal(f->r->n_pending, SESSIONS_PENDING_MAX + 1);
	assert_int_equal(f->server->clients[0].peer.n_pending, SESSIONS_PENDING_MAX);
}

struct listed {
	uint32_t index;
	unsigned who;
	ns_t made_at;
	bool there;
};

/* Takes the oldest of this client, or of all, away if there are `max`. */
static void
list_make_room(struct listed *list, size_t n, int who, unsigned max)
{
	size_t oldest = n;
	unsigned there = 0;

	for (size_t i = n; i-- > 0;) {
		if (!list[i].there || (who >= 0 && list[i].who != (unsigned)who))
			continue;
		there++;
		oldest = i;
	}
	if (there == max)
		list[oldest].there = false;
}

/* An index may be another one's later. */
static bool
is_pending(const struct fixture *f, uint32_t index, uint64_t serial)
{
	const struct pending *p = responder_find(f->r, index);

	return p != NULL && p->serial == serial;
}

/* Against a plain list of them. */
static void
all_sessions_have_a_limit(void **state)
{
	enum { STEPS = 2600 };
	struct fixture *f = *state;
	static struct listed list[STEPS];
	unsigned full = 0;

	for (size_t step = 0; step < STEPS; step++) {
		struct listed *own = &list[step];
		unsigned there = 0;

		f->now += NS_PER_SEC / (RATELIMIT_LOAD - 2); /* no load */
		own->who = (unsigned)rand_r(&seed) % UDPSERVER_CLIENTS;
		own->made_at = f->now;
		initiate(f, own->who);
		(void)must_answer(f);
		own->index = f->answer.session_index;

		for (size_t i = 0; i < step; i++)
			list[i].there &=
				f->now - list[i].made_at <= SESSION_PENDING_LIFE;
		list_make_room(list, step, (int)own->who, SESSIONS_PENDING_MAX);
		list_make_room(list, step, -1, SESSIONS_PENDING_ALL);
		own->there = true;
		for (size_t i = 0; i <= step; i++)
			there += list[i].there;
		assert_int_equal(f->r->n_pending, there);
		full += there == SESSIONS_PENDING_ALL;
		for (size_t i = 0; i <= step && step % 50 == 0; i++)
			assert_int_equal(is_pending(f, list[i].index, i),
					 list[i].there);
	}
	assert_true(full > 100);
	assert_int_equal(f->r->stats.cookies, 0);
}

static void
a_removed_peer_leaves_nothing(void **state)
{
	struct fixture *f = *state;
	uint32_t theirs;

	for (int n = 0; n < 5; n++) {
		initiate(f, 0);
		(void)must_answer(f);
		theirs = f->answer.session_index;
		initiate(f, 1);
		(void)must_answer(f);
	}
	responder_peer_done(f->r, &f->server->clients[0].peer);
	assert_null(responder_find(f->r, theirs));
	assert_int_equal(f->r->n_pending, 5);
	responder_peer_init(&f->server->clients[0].peer);
}

static void
a_stranger_gets_silence(void **state)
{
	struct fixture *f = *state;

	initiate(f, UDPSERVER_STRANGER);
	assert_silence(f);
	assert_int_equal(f->server->answered, -ENOENT);

	/* The same prologue, another transport. */
	struct handshake_secrets secrets = udpserver_secrets(f->server, 0);
	const struct handshake_offer offer = {HANDSHAKE_VERSION, 3, 0, 0};

	assert_int_equal(handshake_start(&f->handshake, HANDSHAKE_MPTCP,
					 &f->server->rng, &secrets, &offer, f->msg),
			 0);
	assert_silence(f);
}

static void
a_wrong_pre_shared_key_is_the_clients_to_notice(void **state)
{
	struct fixture *f = *state;

	initiate(f, 0);
	f->server->clients[0].psk[0] ^= 1;
	assert_int_equal(take(f), HANDSHAKE_LEN);
	assert_int_equal(
		handshake_finish(&f->handshake, f->reply, &f->answer, &f->keys),
		-EBADMSG);
}

/* Cut, lengthened, each bit flipped, also by who can make MAC1. */
static void
changed_initiations_get_silence(void **state)
{
	const struct addr source = udpserver_source(1, 1000);
	struct fixture *f = *state;
	uint8_t data[HANDSHAKE_LEN + 1] = {0};

	initiate(f, 0);
	memcpy(data, f->msg, sizeof(f->msg));
	for (size_t len = 0; len <= sizeof(data); len++) {
		uint8_t *exact = malloc(len); /* its end is seen by the sanitizer */

		memcpy(exact, data, len);
		if (len != HANDSHAKE_LEN)
			assert_int_equal(udpserver_take(f->server, &source, exact, len,
							f->now, f->reply),
					 0);
		free(exact);
	}
	for (size_t bit = 0; bit < HANDSHAKE_MAC2_AT * 8; bit++) {
		f->now += 10 * NS_PER_MS; /* never load */
		f->msg[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_silence(f);
		if (bit / 8 < HANDSHAKE_MAC1_AT) {
			udpserver_mac1(f->msg, f->server->pub);
			assert_silence(f);
		}
		memcpy(f->msg, data, sizeof(f->msg));
	}
	assert_int_equal(f->r->n_pending, 0);
	f->now += NS_PER_SEC;
	(void)must_answer(f);
}

static void
the_index_is_nobodys(void **state)
{
	struct fixture *f = *state;
	uint32_t index;

	for (int n = 0; n < 200; n++) {
		initiate(f, (unsigned)n / 8);
		(void)must_answer(f);
		assert_true(f->answer.session_index <= 0xffffff);
		f->now += 10 * NS_PER_MS;
	}
	for (int n = 0; n < 20000; n++) {
		assert_int_equal(responder_draw_index(f->r, &index), 0);
		assert_true(index <= 0xffffff);
		assert_null(responder_find(f->r, index));
	}
}

/* A packet of the session's first, as its client makes it. */
static size_t
seal(const struct fixture *f, const struct packet_header *h, size_t len,
     uint8_t ret_packet[4096])
{
	struct aead a;

	packet_header_put(ret_packet, h);
	memset(ret_packet + WIRE_HEADER_LEN, 1, len);
	assert_int_equal(aead_init(&a, (enum aead_alg)f->answer.aead, true,
				   f->keys.key_up, f->keys.iv_up),
			 0);
	assert_int_equal(aead_seal(&a, (struct aead_nonce){h->subflow, h->counter},
				   ret_packet, WIRE_HEADER_LEN,
				   ret_packet + WIRE_HEADER_LEN, len),
			 0);
	aead_done(&a);
	return len + WIRE_OVERHEAD;
}

static void
only_a_packet_under_its_keys_opens(void **state)
{
	struct fixture *f = *state;
	struct packet_header h = {.subflow = 7, .counter = 3};
	uint8_t packet[4096];
	struct pending *p, *other;
	size_t len;

	initiate(f, 1);
	other = must_answer(f);
	initiate(f, 0);
	p = must_answer(f);
	h.session = f->answer.session_index;
	len = seal(f, &h, 40, packet);
	assert_true(pending_opens(p, packet, len));
	assert_true(pending_opens(p, packet, len)); /* it has changed nothing */
	assert_false(pending_opens(other, packet, len));
	for (size_t n = 0; n < len; n++)
		assert_false(pending_opens(p, packet, n));
	for (size_t bit = 0; bit < len * 8; bit++) {
		packet[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_false(pending_opens(p, packet, len));
		packet[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	len = seal(f, &h, 1400, packet);
	assert_true(pending_opens(p, packet, len));
	len = seal(f, &h, 3000, packet); /* larger than any first packet */
	assert_false(pending_opens(p, packet, len));
	h.generation = 1;
	len = seal(f, &h, 40, packet);
	assert_false(pending_opens(p, packet, len));
}

static void
under_load_a_cookie_is_wanted_first(void **state)
{
	struct fixture *f = *state;
	struct addr source = udpserver_source(1, 1000), other = source;
	uint8_t cookie[COOKIE_LEN];

	udpserver_load(f->server, f->now);
	memset(&f->r->stats, 0, sizeof(f->r->stats));
	initiate(f, 0);
	assert_int_equal(take(f), COOKIE_REPLY_LEN);
	f->msg[0] ^= 1;
	assert_int_equal(take(f), 0); /* MAC1 comes before */
	f->msg[0] ^= 1;
	assert_int_equal(f->r->stats.tried, 0);
	assert_int_equal(f->r->stats.foreign, 1);
	assert_int_equal(cookie_open(f->server->pub, f->msg, f->reply, cookie), 0);
	assert_int_equal(cookie_put_mac2(cookie, f->msg), 0);
	other.port++;
	assert_int_equal(take_from(f, &other), COOKIE_REPLY_LEN);
	assert_int_equal(f->r->stats.tried, 0);
	(void)must_answer(f);

	/* A copy from where no cookie was given to is not answered from the cache. */
	assert_int_equal(take_from(f, &other), COOKIE_REPLY_LEN);
	assert_int_equal(take(f), HANDSHAKE_LEN);
	assert_int_equal(f->r->stats.copies, 1);

	/* Without load, nobody asks. */
	f->now += 3 * NS_PER_SEC;
	assert_int_equal(take_from(f, &other), HANDSHAKE_LEN);
}

static void
under_load_each_source_has_its_rate(void **state)
{
	struct fixture *f = *state;
	struct addr source = udpserver_source(1, 1000), neighbour = source;
	uint8_t cookie[2][COOKIE_LEN];
	unsigned answers = 0;

	neighbour.port = 2000; /* the same source, with a cookie of its own */
	udpserver_load(f->server, f->now);
	initiate(f, 0);
	assert_int_equal(take_from(f, &source), COOKIE_REPLY_LEN);
	assert_int_equal(cookie_open(f->server->pub, f->msg, f->reply, cookie[0]), 0);
	assert_int_equal(take_from(f, &neighbour), COOKIE_REPLY_LEN);
	assert_int_equal(cookie_open(f->server->pub, f->msg, f->reply, cookie[1]), 0);
	f->r->stats.tried = 0;
	for (int ms = 0; ms < 10000; ms++) {
		if (ms % 200 == 0)
			udpserver_load(f->server, f->now);
		initiate(f, (unsigned)ms % 20);
		assert_int_equal(cookie_put_mac2(cookie[ms % 2], f->msg), 0);
		answers += take_from(f, ms % 2 ? &neighbour : &source) > 0;
		f->now += NS_PER_MS;
	}
	assert_in_range(answers, 10 * RATELIMIT_PER_SECOND,
			10 * RATELIMIT_PER_SECOND + RATELIMIT_BURST);
	assert_int_equal(f->r->stats.tried, answers);
	assert_true(f->r->stats.limited > 9000);
}

/* Whatever fails in between, a copy makes it good later. */
static void
a_lack_of_memory_gives_silence(void **state)
{
	struct fixture *f = *state;
	unsigned failures = 0;
	bool answered = false;

	initiate(f, 0);
	for (unsigned n = 0; !answered; n++) {
		f->now += 100 * NS_PER_MS;
		f->r->rng.left = 0;
		heap_fail(n, UINT_MAX);
		answered = take(f) > 0;
		if (heap_heal())
			failures += !answered && f->server->answered == -ENOMEM;
		else
			assert_true(answered);
		assert_int_equal(f->r->n_pending, answered);
	}
	assert_true(failures > 10);
	assert_int_equal(
		handshake_finish(&f->handshake, f->reply, &f->answer, &f->keys), 0);

	udpserver_load(f->server, f->now);
	failures = 0;
	for (unsigned n = 0;; n++) {
		size_t len;

		f->r->rng.left = 0;
		heap_fail(n, UINT_MAX);
		len = take(f);
		if (!heap_heal()) {
			assert_int_equal(len, COOKIE_REPLY_LEN);
			break;
		}
		assert_true(len == 0 || len == COOKIE_REPLY_LEN);
		failures += len == 0;
	}
	assert_true(failures > 2);
}

static void
a_lack_of_memory_when_it_begins(void **state)
{
	struct fixture *f = *state;
	static struct responder r, before;
	unsigned failures = 0;
	int err;

	memset(&before, 0x5a, sizeof(before));
	for (unsigned n = 0;; n++) {
		r = before;
		heap_fail(n, UINT_MAX);
		err = responder_init(&r, HANDSHAKE_UDP, f->server->priv, f->server->pub,
				     f->now);
		if (!heap_heal())
			break;
		failures += err < 0;
		if (err < 0)
			assert_memory_equal(&r, &before, sizeof(r));
	}
	assert_int_equal(err, 0);
	assert_true(failures > 3);
	responder_done(&r);
}

int
main(void)
{
#define WITH_SERVER(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		WITH_SERVER(each_copy_is_answered_to_its_own_source),
		WITH_SERVER(a_pending_session_has_its_time),
		WITH_SERVER(a_confirmed_handshake_is_refused_later),
		WITH_SERVER(sessions_of_one_peer_have_a_limit),
		WITH_SERVER(all_sessions_have_a_limit),
		WITH_SERVER(a_removed_peer_leaves_nothing),
		WITH_SERVER(a_stranger_gets_silence),
		WITH_SERVER(a_wrong_pre_shared_key_is_the_clients_to_notice),
		WITH_SERVER(changed_initiations_get_silence),
		WITH_SERVER(the_index_is_nobodys),
		WITH_SERVER(only_a_packet_under_its_keys_opens),
		WITH_SERVER(under_load_a_cookie_is_wanted_first),
		WITH_SERVER(under_load_each_source_has_its_rate),
		WITH_SERVER(a_lack_of_memory_gives_silence),
		WITH_SERVER(a_lack_of_memory_when_it_begins),
	};

	heap_take_crypto();
	seed = seed_choose();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
