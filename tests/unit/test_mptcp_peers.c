/*
 * The server's sessions over MPTCP, in virtual time.
 */
#include "tests/unit/unit.h"

#include "daemon/mptcp_peers.h"
#include "tests/unit/clients.h"
#include "tests/unit/heap.h"
#include "tests/unit/seed.h"

#include <stdlib.h>
#include <string.h>

struct fixture {
	struct clients clients;
	struct mptcp_peers peers;
	ns_t now;
};

static unsigned seed;
static const uint8_t boot_1[8] = "boot one", boot_2[8] = "boot two";

static int
set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	clients_init(&f->clients, seed);
	assert_int_equal(mptcp_peers_init(&f->peers, &f->clients.known), 0);
	f->now = 1000 * NS_PER_SEC;
	*state = f;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;

	mptcp_peers_done(&f->peers);
	clients_done(&f->clients);
	free(f);
	return 0;
}

static int
answer(struct fixture *f, const struct client_try *t, uint8_t ret_msg[HANDSHAKE_LEN])
{
	const struct addr source = {.family = AF_INET, .ip = {192, 0, 2, 1}};

	return mptcp_peers_answer(&f->peers, &source, t->initiation, HANDSHAKE_LEN,
				  f->now, ret_msg);
}

/* Sends the initiation; the server must answer, and the client must take it. */
static struct pending *
must_answer(struct fixture *f, struct client_try *t)
{
	struct handshake_answer a;
	struct handshake_keys keys;
	struct mptcp_peers_keys found;
	uint8_t msg[HANDSHAKE_LEN];

	assert_int_equal(answer(f, t, msg), 0);
	assert_int_equal(handshake_finish(&t->handshake, msg, &a, &keys), 0);
	assert_int_equal(mptcp_peers_find_keys(&f->peers, a.session_index, 0, &found),
			 0);
	assert_null(found.session);
	assert_int_equal(found.alg, a.aead);
	assert_memory_equal(found.stream_secret, keys.stream_secret, CRYPTO_KEY_LEN);
	return found.pending;
}

/* A record has opened; whether the client was restarted. */
static bool
confirm(struct fixture *f, struct pending *p, const uint8_t boot_id[8],
	struct server_session **ret_session)
{
	uint8_t secret[CRYPTO_KEY_LEN];
	uint32_t index = p->answer.session_index;
	struct mptcp_peers_keys found;
	int restarted;

	memcpy(secret, p->keys.stream_secret, sizeof(secret));
	restarted = mptcp_peers_confirm(&f->peers, p, boot_id, ret_session);
	assert_true(restarted >= 0);
	assert_int_equal(mptcp_peers_find_keys(&f->peers, index, 0, &found), 0);
	assert_ptr_equal(found.session, *ret_session);
	assert_null(found.pending);
	assert_memory_equal(found.stream_secret, secret, sizeof(secret));
	return restarted == 1;
}

static bool
is_there(struct fixture *f, uint32_t index)
{
	struct mptcp_peers_keys found;

	return mptcp_peers_find_keys(&f->peers, index, 0, &found) == 0;
}

static struct pending *
must_connect(struct fixture *f, unsigned who, struct client_try *ret_try)
{
	clients_initiate(&f->clients, who, HANDSHAKE_MPTCP, ret_try);
	return must_answer(f, ret_try);
}

static void
assert_silence(struct fixture *f, const struct client_try *t)
{
	unsigned pending = f->peers.responder.n_pending;
	uint8_t msg[HANDSHAKE_LEN], untouched[HANDSHAKE_LEN];

	memset(msg, 0x5a, sizeof(msg));
	memset(untouched, 0x5a, sizeof(untouched));
	assert_int_equal(answer(f, t, msg), -EBADMSG);
	assert_memory_equal(msg, untouched, sizeof(msg));
	assert_int_equal(f->peers.responder.n_pending, pending);
}

static void
a_copy_gets_the_same_answer(void **state)
{
	struct fixture *f = *state;
	struct client_try t;
	uint8_t first[HANDSHAKE_LEN], again[HANDSHAKE_LEN];

	clients_initiate(&f->clients, 0, HANDSHAKE_MPTCP, &t);
	assert_int_equal(answer(f, &t, first), 0);
	f->now += SESSION_PENDING_LIFE;
	assert_int_equal(answer(f, &t, again), 0);
	assert_memory_equal(first, again, sizeof(first));
	assert_int_equal(f->peers.responder.n_pending, 1);
}

static void
a_pending_session_expires(void **state)
{
	struct fixture *f = *state;
	struct client_try t;
	uint32_t index = must_connect(f, 0, &t)->answer.session_index;

	f->now += SESSION_PENDING_LIFE;
	responder_expire(&f->peers.responder, f->now);
	assert_true(is_there(f, index));
	f->now += 1;
	responder_expire(&f->peers.responder, f->now);
	assert_false(is_there(f, index));
	assert_int_equal(f->peers.responder.n_pending, 0);
}

static void
a_session_in_use_does_not_expire(void **state)
{
	struct fixture *f = *state;
	struct client_try t;
	struct server_session *s;

	assert_false(confirm(f, must_connect(f, 0, &t), boot_1, &s));
	assert_int_equal(f->peers.responder.n_pending, 0);
	responder_expire(&f->peers.responder, f->now + 1000 * SESSION_PENDING_LIFE);
	assert_true(is_there(f, s->index));
}

static void
a_completed_handshake_is_refused_later(void **state)
{
	struct fixture *f = *state;
	struct client_try t[HANDSHAKES_REFUSED + 1];

	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		struct server_session *s;

		assert_false(confirm(f, must_connect(f, 0, &t[i]), boot_1, &s));
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

	clients_initiate(&f->clients, CLIENTS_STRANGER, HANDSHAKE_MPTCP, &t);
	assert_silence(f, &t);
	assert_int_equal(f->peers.responder.stats.opened, 1);
}

static void
a_changed_bit_gets_silence(void **state)
{
	struct fixture *f = *state;
	struct client_try t;

	clients_initiate(&f->clients, 0, HANDSHAKE_MPTCP, &t);
	for (size_t i = 0; i < HANDSHAKE_LEN; i++) {
		struct client_try wrong = t;

		wrong.initiation[i] ^= (uint8_t)(1u << i % 8);
		/* MAC1 covers all before it, MAC2 must be zero. */
		assert_silence(f, &wrong);
		assert_int_equal(f->peers.responder.stats.foreign,
				 min_size(i + 1, HANDSHAKE_MAC2_AT));
	}
	(void)must_answer(f, &t);
}

static void
pending_sessions_of_a_peer_have_a_limit(void **state)
{
	struct fixture *f = *state;
	uint32_t index[SESSIONS_PENDING_MAX + 3];
	struct client_try t, other;
	uint32_t theirs = must_connect(f, 1, &other)->answer.session_index;

	for (size_t i = 0; i < ARRAY_LEN(index); i++) {
		index[i] = must_connect(f, 0, &t)->answer.session_index;
		assert_true(f->peers.responder.n_pending <= SESSIONS_PENDING_MAX + 1);
	}
	for (size_t i = 0; i < ARRAY_LEN(index); i++) {
		assert_int_equal(is_there(f, index[i]),
				 i >= ARRAY_LEN(index) - SESSIONS_PENDING_MAX);
	}
	assert_true(is_there(f, theirs));
}

static void
the_session_before_stays_until_the_next(void **state)
{
	struct fixture *f = *state;
	struct client_try t;
	struct server_session *s[3];
	uint32_t first = 0;

	for (size_t i = 0; i < ARRAY_LEN(s); i++) {
		assert_false(confirm(f, must_connect(f, 0, &t), boot_1, &s[i]));
		first = i == 0 ? s[i]->index : first;
	}
	assert_false(is_there(f, first));
	assert_true(is_there(f, s[1]->index));
	assert_int_equal(s[1]->state, SESSION_PREVIOUS);
	assert_true(is_there(f, s[2]->index));
	assert_int_equal(s[2]->state, SESSION_CURRENT);
}

static void
a_used_number_has_no_keys(void **state)
{
	struct fixture *f = *state;
	struct client_try t;
	struct pending *p = must_connect(f, 0, &t);
	uint32_t index = p->answer.session_index;
	struct server_session *s;
	struct mptcp_peers_keys found;

	assert_int_equal(mptcp_peers_find_keys(&f->peers, index, UINT64_MAX, &found),
			 -EBADMSG);
	assert_false(confirm(f, p, boot_1, &s));
	assert_true(numbers_mark(&s->numbers, 7));
	assert_int_equal(mptcp_peers_find_keys(&f->peers, index, 7, &found), -EBADMSG);
	assert_int_equal(mptcp_peers_find_keys(&f->peers, index, 8, &found), 0);
	assert_int_equal(mptcp_peers_find_keys(&f->peers, index ^ 1, 8, &found),
			 -EBADMSG);
}

static void
without_memory_it_stays_pending(void **state)
{
	struct fixture *f = *state;
	struct client_try t;
	struct pending *p = must_connect(f, 0, &t);
	struct server_session *s = NULL;

	heap_fail(0, 1);
	assert_int_equal(mptcp_peers_confirm(&f->peers, p, boot_1, &s), -ENOMEM);
	assert_true(heap_heal());
	assert_null(s);
	assert_int_equal(f->peers.responder.n_pending, 1);
	assert_false(confirm(f, p, boot_1, &s));
}

static void
a_new_boot_id_is_a_restart(void **state)
{
	struct fixture *f = *state;
	struct client_try t;

	struct server_session *s;

	assert_false(confirm(f, must_connect(f, 0, &t), boot_1, &s));
	assert_false(confirm(f, must_connect(f, 1, &t), boot_2, &s));
	assert_false(confirm(f, must_connect(f, 0, &t), boot_1, &s));
	assert_true(confirm(f, must_connect(f, 0, &t), boot_2, &s));
	assert_false(confirm(f, must_connect(f, 0, &t), boot_2, &s));
}

static void
a_late_record_of_an_older_session_restarts_nothing(void **state)
{
	struct fixture *f = *state;
	struct client_try before, after;
	struct pending *first = must_connect(f, 0, &before);
	struct server_session *old, *new, *newest;

	assert_false(confirm(f, must_connect(f, 0, &after), boot_2, &new));
	assert_false(confirm(f, first, boot_1, &old));
	assert_int_equal(new->state, SESSION_CURRENT);
	assert_int_equal(old->state, SESSION_PREVIOUS);
	assert_silence(f, &before);
	assert_false(confirm(f, must_connect(f, 0, &after), boot_2, &newest));
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
		WITH_PEERS(a_used_number_has_no_keys),
		WITH_PEERS(without_memory_it_stays_pending),
		WITH_PEERS(a_new_boot_id_is_a_restart),
		WITH_PEERS(a_late_record_of_an_older_session_restarts_nothing),
	};

	seed = seed_choose();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
