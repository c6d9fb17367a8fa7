/*
 * The server's peers and sessions, in virtual time.
 */
#include "tests/unit/unit.h"

#include "daemon/mptcp_peers.h"
#include "tests/unit/clients.h"
#include "tests/unit/seed.h"

#include <stdlib.h>
#include <string.h>

struct fixture {
	struct clients clients;
	struct peers peers;
	ns_t now;
};

static unsigned seed;
static const uint8_t boot_1[8] = "boot one", boot_2[8] = "boot two";

static int
set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct errmsg why = {""};

	assert_non_null(f);
	clients_init(&f->clients, seed);
	assert_int_equal(peers_init(&f->peers, &f->clients.config, &why), 0);
	f->now = 1000 * NS_PER_SEC;
	*state = f;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;

	peers_done(&f->peers);
	clients_done(&f->clients);
	free(f);
	return 0;
}

/* Sends the initiation; the server must answer, and the client must take it. */
static struct server_session *
must_answer(struct fixture *f, struct client_try *t)
{
	struct handshake_answer answer;
	struct handshake_keys keys;
	struct server_session *s;
	uint8_t msg[HANDSHAKE_LEN];

	assert_int_equal(peers_answer(&f->peers, t->initiation, f->now, msg), 0);
	assert_int_equal(handshake_finish(&t->handshake, msg, &answer, &keys), 0);
	s = peers_session(&f->peers, answer.session_index);
	assert_non_null(s);
	assert_memory_equal(s->stream_secret, keys.stream_secret, CRYPTO_KEY_LEN);
	return s;
}

static struct server_session *
must_connect(struct fixture *f, unsigned who, struct client_try *ret_try)
{
	clients_initiate(&f->clients, who, ret_try);
	return must_answer(f, ret_try);
}

static void
assert_silence(struct fixture *f, const struct client_try *t)
{
	unsigned pending = f->peers.n_pending;
	uint8_t msg[HANDSHAKE_LEN], untouched[HANDSHAKE_LEN];

	memset(msg, 0x5a, sizeof(msg));
	memset(untouched, 0x5a, sizeof(untouched));
	assert_int_equal(peers_answer(&f->peers, t->initiation, f->now, msg), -EBADMSG);
	assert_memory_equal(msg, untouched, sizeof(msg));
	assert_int_equal(f->peers.n_pending, pending);
}

static void
a_copy_gets_the_same_answer(void **state)
{
	struct fixture *f = *state;
	struct client_try t;
	uint8_t first[HANDSHAKE_LEN], again[HANDSHAKE_LEN];

	clients_initiate(&f->clients, 0, &t);
	assert_int_equal(peers_answer(&f->peers, t.initiation, f->now, first), 0);
	f->now += SESSION_PENDING_LIFE;
	assert_int_equal(peers_answer(&f->peers, t.initiation, f->now, again), 0);
	assert_memory_equal(first, again, sizeof(first));
	assert_int_equal(f->peers.n_pending, 1);
}

static void
a_pending_session_expires(void **state)
{
	struct fixture *f = *state;
	struct client_try t;
	uint32_t index = must_connect(f, 0, &t)->index;

	f->now += SESSION_PENDING_LIFE;
	peers_expire(&f->peers, f->now);
	assert_non_null(peers_session(&f->peers, index));
	f->now += 1;
	peers_expire(&f->peers, f->now);
	assert_null(peers_session(&f->peers, index));
	assert_int_equal(f->peers.n_pending, 0);
}

static void
a_session_in_use_does_not_expire(void **state)
{
	struct fixture *f = *state;
	struct client_try t;
	struct server_session *s = must_connect(f, 0, &t);

	assert_false(peers_confirm(&f->peers, s, boot_1));
	assert_int_equal(f->peers.n_pending, 0);
	peers_expire(&f->peers, f->now + 1000 * SESSION_PENDING_LIFE);
	assert_ptr_equal(peers_session(&f->peers, s->index), s);
}

static void
a_completed_handshake_is_refused_later(void **state)
{
	struct fixture *f = *state;
	struct client_try t[HANDSHAKES_REFUSED + 1];

	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		struct server_session *s = must_connect(f, 0, &t[i]);

		assert_false(peers_confirm(&f->peers, s, boot_1));
		assert_silence(f, &t[i]);
	}
	for (size_t i = 1; i < ARRAY_LEN(t); i++)
		assert_silence(f, &t[i]);
}

static void
who_is_unknown_gets_silence(void **state)
{
	struct fixture *f = *state;
	struct client_try t;

	clients_initiate(&f->clients, CLIENTS_STRANGER, &t);
	assert_true(peers_mac1_ok(&f->peers, t.initiation));
	assert_silence(f, &t);
}

static void
a_changed_bit_gets_silence(void **state)
{
	struct fixture *f = *state;
	struct client_try t;

	clients_initiate(&f->clients, 0, &t);
	for (size_t i = 0; i < HANDSHAKE_LEN; i++) {
		struct client_try wrong = t;

		wrong.initiation[i] ^= (uint8_t)(1u << i % 8);
		/* MAC1 covers all before it, MAC2 must be zero. */
		if (i < HANDSHAKE_LEN - HANDSHAKE_MAC_LEN)
			assert_false(peers_mac1_ok(&f->peers, wrong.initiation));
		if (i >= 4 && i < 4 + HANDSHAKE_NOISE_LEN)
			assert_silence(f, &wrong);
	}
	(void)must_answer(f, &t);
}

static void
pending_sessions_of_a_peer_have_a_limit(void **state)
{
	struct fixture *f = *state;
	uint32_t index[SESSIONS_PENDING_MAX + 3];
	struct client_try t, other;
	uint32_t theirs = must_connect(f, 1, &other)->index;

	for (size_t i = 0; i < ARRAY_LEN(index); i++) {
		index[i] = must_connect(f, 0, &t)->index;
		assert_true(f->peers.n_pending <= SESSIONS_PENDING_MAX + 1);
	}
	for (size_t i = 0; i < ARRAY_LEN(index); i++) {
		bool there = peers_session(&f->peers, index[i]) != NULL;

		assert_int_equal(there, i >= ARRAY_LEN(index) - SESSIONS_PENDING_MAX);
	}
	assert_non_null(peers_session(&f->peers, theirs));
}

static void
the_session_before_stays_until_the_next(void **state)
{
	struct fixture *f = *state;
	struct client_try t;
	uint32_t index[3];

	for (size_t i = 0; i < ARRAY_LEN(index); i++) {
		struct server_session *s = must_connect(f, 0, &t);

		index[i] = s->index;
		assert_false(peers_confirm(&f->peers, s, boot_1));
		assert_false(peers_confirm(&f->peers, s, boot_1));
	}
	assert_null(peers_session(&f->peers, index[0]));
	assert_int_equal(peers_session(&f->peers, index[1])->state, SESSION_PREVIOUS);
	assert_int_equal(peers_session(&f->peers, index[2])->state, SESSION_CURRENT);
}

static void
a_new_boot_id_is_a_restart(void **state)
{
	struct fixture *f = *state;
	struct client_try t;

	assert_false(peers_confirm(&f->peers, must_connect(f, 0, &t), boot_1));
	assert_false(peers_confirm(&f->peers, must_connect(f, 1, &t), boot_2));
	assert_false(peers_confirm(&f->peers, must_connect(f, 0, &t), boot_1));
	assert_true(peers_confirm(&f->peers, must_connect(f, 0, &t), boot_2));
	assert_false(peers_confirm(&f->peers, must_connect(f, 0, &t), boot_2));
}

static void
a_late_record_of_an_older_session_restarts_nothing(void **state)
{
	struct fixture *f = *state;
	struct client_try before, after;
	struct server_session *old = must_connect(f, 0, &before);
	struct server_session *new = must_connect(f, 0, &after);

	assert_false(peers_confirm(&f->peers, new, boot_2));
	assert_false(peers_confirm(&f->peers, old, boot_1));
	assert_int_equal(new->state, SESSION_CURRENT);
	assert_int_equal(old->state, SESSION_PREVIOUS);
	assert_silence(f, &before);
	assert_false(peers_confirm(&f->peers, must_connect(f, 0, &after), boot_2));
}

int
main(void)
{
#define WITH_PEERS(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		WITH_PEERS(a_copy_gets_the_same_answer),
		WITH_PEERS(a_pending_session_expires),
		WITH_PEERS(a_session_in_use_does_not_expire),
		WITH_PEERS(a_completed_handshake_is_refused_later),
		WITH_PEERS(who_is_unknown_gets_silence),
		WITH_PEERS(a_changed_bit_gets_silence),
		WITH_PEERS(pending_sessions_of_a_peer_have_a_limit),
		WITH_PEERS(the_session_before_stays_until_the_next),
		WITH_PEERS(a_new_boot_id_is_a_restart),
		WITH_PEERS(a_late_record_of_an_older_session_restarts_nothing),
	};

	seed = seed_choose();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
