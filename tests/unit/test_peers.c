/*
 * The table of peers: its limits hold for both transports together.
 */
#include "tests/unit/unit.h"

#include "daemon/peers.h"
#include "tests/unit/clients.h"
#include "tests/unit/seed.h"

#include <stdlib.h>
#include <string.h>

struct fixture {
	struct clients clients;
	struct peers *known;
	struct responder responders[2]; /* by enum handshake_transport */
};

static unsigned seed;
static const ns_t now = 1000 * NS_PER_SEC;

static int
set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	clients_init(&f->clients, seed);
	f->known = &f->clients.known;
	for (size_t i = 0; i < ARRAY_LEN(f->responders); i++)
		assert_int_equal(peers_init_responder(f->known,
						      (enum handshake_transport)i,
						      &f->responders[i], now),
				 0);
	*state = f;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(f->responders); i++)
		peers_done_responder(f->known, (enum handshake_transport)i,
				     &f->responders[i]);
	clients_done(&f->clients);
	free(f);
	return 0;
}

/* The client's initiation over this transport; what became of its answer. */
static int
ask(struct fixture *f, unsigned who, enum handshake_transport over, uint32_t index,
    struct handshake_answer *ret_answer)
{
	const struct addr source = {.family = AF_INET, .ip = {192, 0, 2, 1}};
	struct responder *r = &f->responders[over];
	struct responder_question q;
	struct handshake_keys keys;
	struct client_try t;
	int err;

	clients_initiate(&f->clients, who, over, &t);
	assert_int_equal(
		responder_input(r, &source, t.initiation, HANDSHAKE_LEN, now, &q),
		RESPONDER_ASK);
	err = peers_answer(f->known, r, &q, index, now);
	if (err == 0)
		err = handshake_finish(&t.handshake, q.reply, ret_answer, &keys);
	return err;
}

static void
both_transports_give_the_same_answer(void **state)
{
	struct fixture *f = *state;
	struct handshake_answer a[2];

	f->clients.peers[1].max_streams = 17;
	f->clients.peers[1].allow_auth_only = true;
	for (size_t i = 0; i < ARRAY_LEN(a); i++) {
		uint32_t index = 0x123456 + (uint32_t)i;

		assert_int_equal(ask(f, 1, (enum handshake_transport)i, index, &a[i]),
				 0);
		assert_int_equal(a[i].session_index, index);
		assert_int_equal(a[i].max_streams, 17);
		assert_true(a[i].allow_auth_only);
		assert_int_equal(a[i].aead,
				 aead_choose(aead_fast_mask(), aead_fast_mask()));
		assert_ptr_equal(
			peers_of_pending(&f->responders[i],
					 responder_find(&f->responders[i], index)),
			&f->known->all[1]);
	}
	assert_memory_equal(a[0].boot_id, a[1].boot_id, sizeof(a[0].boot_id));
}

/* What a session of this peer, and its own end, make new keys of. */
static void
both_sides_have_the_secrets_of_a_rekey(void **state)
{
	static const uint8_t hash[CRYPTO_HASH_LEN] = "of the keys in use";
	const struct handshake_offer offer = {HANDSHAKE_VERSION, AEAD_CHACHA20_POLY1305,
					      0, 0};
	struct fixture *f = *state;
	struct peer *p = &f->known->all[1];
	struct config config = {0};
	struct identity me = {.config = &config};
	struct handshake_secrets client = identity_secrets(&me),
				 server = peers_secrets(p);
	struct handshake at_client, at_server;
	uint8_t msg[HANDSHAKE_LEN];

	memcpy(config.server.public_key, f->clients.server_pub, CRYPTO_KEY_LEN);
	memcpy(me.private_key, f->clients.priv[1], CRYPTO_KEY_LEN);
	assert_int_equal(handshake_start_rekey(&at_client, hash, &f->clients.prng,
					       &client, &offer, msg),
			 0);
	assert_int_equal(handshake_receive_rekey(&at_server, hash, &server, msg), 0);
	assert_ptr_equal(client.psk, me.psk);
	assert_ptr_equal(server.psk, p->psk);
	server = peers_secrets(&f->known->all[0]);
	assert_int_equal(handshake_receive_rekey(&at_server, hash, &server, msg),
			 -EBADMSG);
}

static void
who_is_unknown_gets_no_answer(void **state)
{
	struct fixture *f = *state;
	struct handshake_answer a;

	for (size_t i = 0; i < ARRAY_LEN(f->responders); i++) {
		assert_int_equal(
			ask(f, CLIENTS_STRANGER, (enum handshake_transport)i, 7, &a),
			-EBADMSG);
		assert_null(responder_find(&f->responders[i], 7));
	}
}

/* One transport's pending sessions are none of the other's. */
static void
a_transport_that_ends_leaves_the_other_alone(void **state)
{
	struct fixture *f = *state;
	struct responder *mptcp = &f->responders[HANDSHAKE_MPTCP];
	struct responder *udp = &f->responders[HANDSHAKE_UDP];
	struct handshake_answer a;

	assert_int_equal(ask(f, 0, HANDSHAKE_MPTCP, 1, &a), 0);
	assert_int_equal(ask(f, 0, HANDSHAKE_UDP, 2, &a), 0);
	peers_done_responder(f->known, HANDSHAKE_UDP, udp);
	assert_non_null(responder_find(mptcp, 1));
	assert_int_equal(mptcp->n_pending, 1);
}

static void
streams_of_a_peer_have_a_limit(void **state)
{
	struct fixture *f = *state;
	struct peer *p = &f->known->all[0], *other = &f->known->all[1];

	f->clients.peers[0].max_streams = 2;
	assert_true(peers_stream_begins(p));
	assert_true(peers_stream_begins(p));
	assert_false(peers_stream_begins(p));
	assert_true(peers_stream_begins(other));
	/* The one that was refused does not count. */
	assert_int_equal(f->known->n_streams, 3);
	peers_stream_ends(p);
	assert_true(peers_stream_begins(p));
	peers_stream_ends(p);
	peers_stream_ends(p);
	peers_stream_ends(other);
	assert_int_equal(f->known->n_streams, 0);
}

static void
streams_of_all_have_a_limit(void **state)
{
	struct fixture *f = *state;
	struct peer *p = &f->known->all[0], *other = &f->known->all[1];

	f->clients.config.max_streams = 2;
	assert_true(peers_stream_begins(p));
	assert_true(peers_stream_begins(other));
	/* Nor does whoever asks for too many take them from others. */
	for (int i = 0; i < 10; i++)
		assert_false(peers_stream_begins(other));
	peers_stream_ends(other);
	assert_true(peers_stream_begins(p));
	peers_stream_ends(p);
	peers_stream_ends(p);
	assert_int_equal(f->known->n_streams, 0);
}

int
main(void)
{
#define WITH_PEERS(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		WITH_PEERS(both_transports_give_the_same_answer),
		WITH_PEERS(both_sides_have_the_secrets_of_a_rekey),
		WITH_PEERS(who_is_unknown_gets_no_answer),
		WITH_PEERS(a_transport_that_ends_leaves_the_other_alone),
		WITH_PEERS(streams_of_a_peer_have_a_limit),
		WITH_PEERS(streams_of_all_have_a_limit),
	};

	seed = seed_choose();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
