/*
 * The client's end: when it sends what, and which answers it takes.
 */
#include "tests/unit/unit.h"

#include "tests/unit/heap.h"
#include "tests/unit/seed.h"
#include "tests/unit/udpserver.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define START (1000 * NS_PER_SEC)

enum { NOISE_END = HANDSHAKE_MAC1_AT };

static unsigned seed;

struct fixture {
	struct udpserver *server;
	struct initiator i;
	struct initiator_result result;
	uint8_t msg[HANDSHAKE_LEN], reply[HANDSHAKE_LEN];
	size_t reply_len;
	ns_t now;
};

static int
set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->server = udpserver_new(seed++);
	f->now = START;
	udpserver_initiator(f->server, 0, f->now, &f->i);
	*state = f;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;

	initiator_done(&f->i);
	udpserver_free(f->server);
	free(f);
	return 0;
}

static void
must_send(struct fixture *f, unsigned uplink)
{
	assert_true(initiator_output(&f->i, uplink, f->now, f->msg));
}

static void
assert_quiet(struct fixture *f, unsigned uplink)
{
	assert_false(initiator_output(&f->i, uplink, f->now, f->msg));
}

/* What was sent last reaches the server, from a source for the uplink. */
static void
ask_server(struct fixture *f, unsigned uplink)
{
	struct addr source = udpserver_source(uplink, 1000);

	f->reply_len = udpserver_take(f->server, &source, f->msg, sizeof(f->msg),
				      f->now, f->reply);
}

static int
take_reply(struct fixture *f, unsigned uplink)
{
	return initiator_input(&f->i, uplink, f->reply, f->reply_len, f->now,
			       &f->result);
}

static void
assert_session(struct fixture *f)
{
	struct pending *p =
		responder_find(&f->server->responder, f->result.answer.session_index);

	assert_non_null(p);
	assert_memory_equal(&p->keys, &f->result.keys, sizeof(p->keys));
	assert_int_equal(f->result.answer.max_streams, UDPSERVER_STREAMS);
	assert_int_equal(p->offer.session_index, 0xc11e47);
}

static void
copies_leave_when_they_are_due(void **state)
{
	static const ns_t gaps_ms[] = {250, 500, 1000, 2000, 2000, 2000, 2000, 2000};
	struct fixture *f = *state;

	assert_true(initiator_deadline(&f->i) == NS_NEVER);
	assert_quiet(f, 3);
	initiator_set_uplink(&f->i, 3, true, f->now);
	for (size_t i = 0; i < ARRAY_LEN(gaps_ms); i++) {
		assert_true(initiator_deadline(&f->i) == f->now);
		assert_quiet(f, 2);
		must_send(f, 3);
		assert_quiet(f, 3);
		f->now += gaps_ms[i] * NS_PER_MS - 1;
		assert_quiet(f, 3);
		f->now += 1;
	}
	initiator_set_uplink(&f->i, 3, false, f->now);
	assert_quiet(f, 3);
	assert_true(initiator_deadline(&f->i) == NS_NEVER);
}

static void
an_uplink_that_comes_back_begins_anew(void **state)
{
	struct fixture *f = *state;

	initiator_set_uplink(&f->i, 1, true, f->now);
	for (int n = 0; n < 5; n++) {
		f->now = max_ns(f->now, initiator_deadline(&f->i));
		must_send(f, 1);
	}
	initiator_set_uplink(&f->i, 1, true, f->now);
	must_send(f, 1);
	f->now += INITIATOR_GAP_FIRST;
	must_send(f, 1);
}

/* One message everywhere, with a new ephemeral key every INITIATOR_LIFE. */
static void
all_uplinks_race_one_message(void **state)
{
	struct fixture *f = *state;
	uint8_t first[HANDSHAKE_LEN], newest[HANDSHAKE_LEN];
	unsigned changes = 0;
	ns_t changed_at = START;

	for (unsigned u = 1; u <= UPLINKS_MAX; u++)
		initiator_set_uplink(&f->i, u, true, START + u * 100 * NS_PER_MS);
	for (unsigned sent = 0; f->now < START + 60 * NS_PER_SEC; sent++) {
		unsigned due = 0;

		f->now = initiator_deadline(&f->i);
		for (unsigned u = 1; u <= UPLINKS_MAX; u++) {
			if (!initiator_output(&f->i, u, f->now, f->msg))
				continue;
			due++;
			if (sent == 0)
				memcpy(newest, f->msg, sizeof(newest));
			if (memcmp(newest, f->msg, sizeof(newest)) == 0)
				continue;
			assert_true(f->now - changed_at >= INITIATOR_LIFE);
			assert_true(f->now - changed_at <
				    INITIATOR_LIFE + INITIATOR_GAP_LAST);
			changed_at = f->now;
			changes++;
			memcpy(newest, f->msg, sizeof(newest));
		}
		assert_true(due > 0);
		if (sent == 0)
			memcpy(first, newest, sizeof(first));
	}
	assert_in_range(changes, 6, 7);
	assert_memory_not_equal(first + HANDSHAKE_NOISE_AT, newest + HANDSHAKE_NOISE_AT,
				CRYPTO_KEY_LEN);
}

static void
an_answer_makes_the_session_once(void **state)
{
	struct fixture *f = *state;

	initiator_set_uplink(&f->i, 1, true, f->now);
	initiator_set_uplink(&f->i, 2, true, f->now);
	must_send(f, 1);
	must_send(f, 2);
	ask_server(f, 2);
	assert_int_equal(f->reply_len, HANDSHAKE_LEN);
	assert_int_equal(take_reply(f, 3), -EBADMSG); /* it is not up */
	assert_int_equal(take_reply(f, 2), 0);
	assert_session(f);

	assert_int_equal(take_reply(f, 1), -EBADMSG);
	f->now += 100 * NS_PER_SEC;
	assert_quiet(f, 1);
	assert_true(initiator_deadline(&f->i) == NS_NEVER);
}

/* Sends at `ask_at`, and gets the answer at `answer_at`. */
static int
answer_late(struct fixture *f, ns_t ask_at, ns_t answer_at)
{
	uint8_t answer[HANDSHAKE_LEN];

	f->now = ask_at;
	must_send(f, 1);
	ask_server(f, 1);
	assert_int_equal(f->reply_len, HANDSHAKE_LEN);
	memcpy(answer, f->reply, sizeof(answer));
	while (f->now < answer_at) {
		f->now = min_ns(answer_at, initiator_deadline(&f->i));
		(void)initiator_output(&f->i, 1, f->now, f->msg);
	}
	memcpy(f->reply, answer, sizeof(answer));
	return take_reply(f, 1);
}

static void
an_answer_to_the_older_message_counts_for_a_while(void **state)
{
	/* Copies leave until 7.75 s; the next, at 9.75 s, has a new key. */
	const ns_t changed_at = START + 9750 * NS_PER_MS;
	static const struct {
		ns_t after;
		int err;
	} rows[] = {
		{-1, 0},
		{0, 0},
		{INITIATOR_GRACE - 1, 0},
		{INITIATOR_GRACE, -EBADMSG},
		{INITIATOR_LIFE + INITIATOR_GRACE, -EBADMSG},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		initiator_done(&f->i);
		udpserver_initiator(f->server, 0, START, &f->i);
		initiator_set_uplink(&f->i, 1, true, START);
		f->now = START;
		assert_int_equal(answer_late(f, START, changed_at + rows[i].after),
				 rows[i].err);
	}
}

static bool
has_mac2(const struct fixture *f)
{
	static const uint8_t zero[HANDSHAKE_MAC_LEN];

	return memcmp(f->msg + HANDSHAKE_MAC2_AT, zero, sizeof(zero)) != 0;
}

static void
a_cookie_is_shown_at_once_and_on_its_uplink(void **state)
{
	struct fixture *f = *state;
	uint8_t without[HANDSHAKE_LEN];

	initiator_set_uplink(&f->i, 1, true, f->now);
	initiator_set_uplink(&f->i, 2, true, f->now);
	must_send(f, 1);
	must_send(f, 2);
	memcpy(without, f->msg, sizeof(without));
	assert_false(has_mac2(f));
	udpserver_load(f->server, f->now);
	ask_server(f, 1);
	assert_int_equal(f->reply_len, COOKIE_REPLY_LEN);
	f->now += 30 * NS_PER_MS;
	assert_int_equal(take_reply(f, 1), -EAGAIN);
	assert_true(initiator_deadline(&f->i) == f->now);
	must_send(f, 1);
	assert_true(has_mac2(f));
	assert_memory_equal(f->msg, without, HANDSHAKE_MAC2_AT);
	assert_quiet(f, 1);
	ask_server(f, 1);
	assert_int_equal(f->reply_len, HANDSHAKE_LEN);

	f->now = START + INITIATOR_GAP_FIRST;
	must_send(f, 2);
	assert_false(has_mac2(f));
	assert_int_equal(take_reply(f, 1), 0);
	assert_session(f);
}

/* A server that answers each copy with another cookie makes no storm. */
static void
cookies_hurry_one_copy_between_two(void **state)
{
	struct fixture *f = *state;
	unsigned sent = 0;

	initiator_set_uplink(&f->i, 1, true, f->now);
	for (; f->now < START + 20 * NS_PER_SEC; f->now += 10 * NS_PER_MS) {
		if (initiator_output(&f->i, 1, f->now, f->msg))
			sent++;
		udpserver_load(f->server, f->now);
		memset(f->msg + HANDSHAKE_MAC2_AT, 0, HANDSHAKE_MAC_LEN);
		ask_server(f, 1);
		assert_int_equal(take_reply(f, 1), -EAGAIN);
	}
	/* 0, 0.25, 0.75, 1.75 ... s without a cookie: 13 in this time. */
	assert_in_range(sent, 13, 2 * 13);
}

static void
a_cookie_is_forgotten_after_its_life(void **state)
{
	struct fixture *f = *state;
	ns_t given_at;

	initiator_set_uplink(&f->i, 1, true, f->now);
	must_send(f, 1);
	udpserver_load(f->server, f->now);
	ask_server(f, 1);
	given_at = f->now;
	assert_int_equal(take_reply(f, 1), -EAGAIN);
	while (f->now < given_at + 2 * COOKIE_LIFE) {
		f->now = max_ns(f->now, initiator_deadline(&f->i));
		must_send(f, 1);
		assert_int_equal(has_mac2(f), f->now < given_at + COOKIE_LIFE);
	}

	/* And with its address: it was given to that. */
	udpserver_load(f->server, f->now);
	ask_server(f, 1);
	assert_int_equal(take_reply(f, 1), -EAGAIN);
	must_send(f, 1);
	assert_true(has_mac2(f));
	initiator_set_uplink(&f->i, 1, true, f->now);
	must_send(f, 1);
	assert_false(has_mac2(f));
}

static void
assert_refuses(struct fixture *f, const uint8_t *data, size_t len)
{
	struct initiator before = f->i;
	struct initiator_result result = {.answer = {.version = 99}},
				untouched = result;

	assert_int_equal(initiator_input(&f->i, 1, data, len, f->now, &result),
			 -EBADMSG);
	assert_memory_equal(&before, &f->i, sizeof(before));
	assert_memory_equal(&result, &untouched, sizeof(result));
}

/* The true reply, cut, lengthened and with each bit flipped, changes nothing. */
static void
assert_only_true(struct fixture *f)
{
	uint8_t data[HANDSHAKE_LEN + 1] = {0};

	memcpy(data, f->reply, f->reply_len);
	for (size_t len = 0; len <= sizeof(data); len++) {
		if (len != f->reply_len)
			assert_refuses(f, data, len);
	}
	for (size_t bit = 0; bit < f->reply_len * 8; bit++) {
		data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_refuses(f, data, f->reply_len);
		data[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

static void
changed_replies_change_nothing(void **state)
{
	struct fixture *f = *state;
	uint8_t cookie[COOKIE_REPLY_LEN];

	initiator_set_uplink(&f->i, 1, true, f->now);
	must_send(f, 1);
	assert_refuses(f, f->msg, sizeof(f->msg)); /* its own, come back */
	ask_server(f, 1);
	assert_only_true(f);

	udpserver_load(f->server, f->now);
	ask_server(f, 1);
	assert_int_equal(f->reply_len, COOKIE_REPLY_LEN);
	assert_only_true(f);
	memcpy(cookie, f->reply, sizeof(cookie));
	assert_int_equal(take_reply(f, 1), -EAGAIN);
	must_send(f, 1);
	ask_server(f, 1);
	assert_int_equal(take_reply(f, 1), 0);
	assert_refuses(f, cookie, sizeof(cookie));
	assert_refuses(f, f->reply, f->reply_len);
}

static void
another_version_is_told_and_the_race_goes_on(void **state)
{
	struct fixture *f = *state;

	f->i.offer.version = 9;
	initiator_set_uplink(&f->i, 1, true, f->now);
	f->now += INITIATOR_LIFE; /* makes a new message, with that version */
	must_send(f, 1);
	ask_server(f, 1);
	assert_int_equal(f->server->answered, -EPROTONOSUPPORT);
	assert_int_equal(f->server->responder.n_pending, 0);
	for (int n = 0; n < 2; n++) {
		memset(&f->result, 0, sizeof(f->result));
		assert_int_equal(take_reply(f, 1), -EPROTONOSUPPORT);
		assert_int_equal(f->result.answer.version, HANDSHAKE_VERSION);
	}

	f->i.offer.version = HANDSHAKE_VERSION; /* upgraded */
	f->now += INITIATOR_LIFE;
	must_send(f, 1);
	ask_server(f, 1);
	assert_int_equal(take_reply(f, 1), 0);
	assert_session(f);
}

static void
a_lack_of_memory_when_it_begins(void **state)
{
	struct fixture *f = *state;
	struct handshake_secrets secrets = udpserver_secrets(f->server, 1);
	const struct handshake_offer offer = f->i.offer;
	struct initiator i, before;
	unsigned failures = 0;
	int err;

	memset(&i, 0x5a, sizeof(i));
	before = i;
	for (unsigned n = 0;; n++) {
		heap_fail(n, UINT_MAX);
		err = initiator_init(&i, &secrets, &offer, secrets.psk, f->now);
		if (!heap_heal())
			break;
		failures += err < 0;
		if (err < 0)
			assert_memory_equal(&i, &before, sizeof(i));
		i = before;
	}
	assert_int_equal(err, 0);
	assert_true(failures > 10);
}

static void
without_memory_the_race_goes_on(void **state)
{
	struct fixture *f = *state;
	struct initiator before;
	uint8_t old[HANDSHAKE_LEN];
	bool is_new = false;

	initiator_set_uplink(&f->i, 1, true, f->now);
	must_send(f, 1);
	memcpy(old, f->msg, sizeof(old));
	f->now += INITIATOR_LIFE;
	before = f->i;
	for (unsigned n = 0; !is_new; n++) {
		f->i = before;
		f->i.rng.left = 0;
		heap_fail(n, UINT_MAX);
		must_send(f, 1);
		is_new = memcmp(f->msg, old, sizeof(old)) != 0;
		if (!heap_heal())
			assert_true(is_new);
		assert_true(initiator_deadline(&f->i) > f->now);
	}

	ask_server(f, 1);
	before = f->i;
	for (unsigned n = 0; f->i.n_tries > 0; n++) {
		int err;

		heap_fail(n, UINT_MAX);
		err = take_reply(f, 1);
		if (!heap_heal())
			assert_int_equal(err, 0);
		if (err < 0)
			assert_memory_equal(&f->i, &before, sizeof(before));
	}
	assert_session(f);
}

int
main(void)
{
#define WITH_INITIATOR(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		WITH_INITIATOR(copies_leave_when_they_are_due),
		WITH_INITIATOR(an_uplink_that_comes_back_begins_anew),
		WITH_INITIATOR(all_uplinks_race_one_message),
		WITH_INITIATOR(an_answer_makes_the_session_once),
		WITH_INITIATOR(an_answer_to_the_older_message_counts_for_a_while),
		WITH_INITIATOR(a_cookie_is_shown_at_once_and_on_its_uplink),
		WITH_INITIATOR(cookies_hurry_one_copy_between_two),
		WITH_INITIATOR(a_cookie_is_forgotten_after_its_life),
		WITH_INITIATOR(changed_replies_change_nothing),
		WITH_INITIATOR(another_version_is_told_and_the_race_goes_on),
		WITH_INITIATOR(a_lack_of_memory_when_it_begins),
		WITH_INITIATOR(without_memory_the_race_goes_on),
	};

	heap_take_crypto();
	seed = seed_choose();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
