/*
 * Two ends of one session's keys, and whatever may happen between them. What one
 * says is handed to the other here, or lost.
 */
#include "tests/unit/unit.h"

#include "daemon/core/rekey.h"

#include <string.h>

#define SEC NS_PER_SEC

enum { LEN = WIRE_HEADER_LEN + 20, GRACE = 3 };

struct side {
	uint8_t priv[CRYPTO_KEY_LEN], pub[CRYPTO_KEY_LEN];
	struct prng rng;
	struct rekey rekey;
	uint64_t counter;
};

struct pair {
	struct side client, server;
	ns_t now;
};

/* A packet, and the keys that it was sealed with. */
struct packet {
	uint8_t generation;
	uint64_t counter;
	uint8_t data[LEN + CRYPTO_TAG_LEN];
};

static const uint8_t psk[CRYPTO_KEY_LEN] = "what only these two know, 32 b.";

static void
side_init(struct side *s, uint8_t number)
{
	uint8_t seed[CRYPTO_KEY_LEN] = {number};

	assert_int_equal(prng_init(&s->rng, seed), 0);
	assert_int_equal(prng_bytes(&s->rng, s->priv, sizeof(s->priv)), 0);
	assert_int_equal(crypto_x25519_public(s->pub, s->priv), 0);
}

static void
side_begin(struct side *s, const struct side *peer, bool is_client, ns_t now)
{
	const struct rekey_settings cfg = {.secrets = {s->priv, peer->pub, psk}};
	struct handshake_keys keys;

	memset(&keys, 7, sizeof(keys));
	memset(keys.key_up, 1, sizeof(keys.key_up));
	assert_int_equal(
		rekey_init(&s->rekey, &cfg, is_client, AEAD_AES_128_GCM, &keys, now),
		0);
}

static void
begin(struct pair *p)
{
	memset(p, 0, sizeof(*p));
	p->now = SEC;
	side_init(&p->client, 1);
	side_init(&p->server, 2);
	side_begin(&p->client, &p->server, true, p->now);
	side_begin(&p->server, &p->client, false, p->now);
}

static void
end(struct pair *p)
{
	static const struct rekey zero;

	rekey_done(&p->client.rekey);
	rekey_done(&p->server.rekey);
	assert_memory_equal(&p->client.rekey, &zero, sizeof(zero));
	assert_memory_equal(&p->server.rekey, &zero, sizeof(zero));
}

/* Packets */

static int
seal(struct side *s, struct packet *ret)
{
	ret->generation = s->rekey.generation;
	ret->counter = s->counter;
	memset(ret->data, 'f', LEN);
	return rekey_seal(&s->rekey, (struct aead_nonce){1, s->counter++}, ret->data,
			  LEN);
}

static int
open_packet(struct pair *p, struct side *s, const struct packet *in)
{
	struct packet copy = *in;
	int err = rekey_open(&s->rekey, in->generation,
			     (struct aead_nonce){1, in->counter}, copy.data,
			     sizeof(copy.data), p->now);

	if (err == 0 && rekey_opened(&s->rekey, in->generation, p->now))
		rekey_settle(&s->rekey, GRACE * SEC, p->now);
	return err;
}

/* A packet from one to the other. */
static int
pass(struct pair *p, struct side *from, struct side *to)
{
	struct packet packet;

	assert_int_equal(seal(from, &packet), 0);
	return open_packet(p, to, &packet);
}

static bool
expire(struct pair *p, struct side *s)
{
	return rekey_expire(&s->rekey, &s->rng, p->now);
}

/* What it says comes; true: there is an answer. */
static bool
tell(struct pair *p, const struct side *from, struct side *to)
{
	struct frame f;

	assert_true(rekey_says(&from->rekey, &f));
	assert_int_equal(f.type, FRAME_REKEY);
	return rekey_on_message(&to->rekey, &to->rng, f.message, from->rekey.generation,
				p->now);
}

/* Until the client has new keys, and the server has not heard of it. */
static void
client_turns(struct pair *p)
{
	p->now = rekey_deadline(&p->client.rekey);
	assert_true(expire(p, &p->client));
	assert_true(tell(p, &p->client, &p->server));
	assert_false(tell(p, &p->server, &p->client));
}

static void
both_turn(struct pair *p)
{
	client_turns(p);
	assert_int_equal(pass(p, &p->client, &p->server), 0);
	assert_int_equal(pass(p, &p->server, &p->client), 0);
}

/* Tests */

static void
whole_exchange(void **state)
{
	struct packet old_up, old_down, lost_down;
	struct frame f;
	struct pair p;

	(void)state;
	begin(&p);
	assert_int_equal(pass(&p, &p.client, &p.server), 0);
	assert_int_equal(pass(&p, &p.server, &p.client), 0);
	assert_int_equal(rekey_deadline(&p.client.rekey), 121 * SEC);
	assert_int_equal(rekey_deadline(&p.server.rekey), 151 * SEC);
	assert_false(rekey_says(&p.client.rekey, &f));

	assert_int_equal(seal(&p.client, &old_up), 0);
	client_turns(&p);
	assert_int_equal(p.client.rekey.generation, 1);
	assert_int_equal(p.server.rekey.generation, 0);
	/* The server seals with the old ones until it hears the new ones. */
	assert_int_equal(pass(&p, &p.server, &p.client), 0);
	assert_int_equal(open_packet(&p, &p.server, &old_up), 0);
	assert_int_equal(p.server.rekey.generation, 0);
	assert_int_equal(seal(&p.server, &old_down), 0);
	assert_int_equal(seal(&p.server, &lost_down), 0);

	assert_int_equal(pass(&p, &p.client, &p.server), 0);
	assert_int_equal(p.server.rekey.generation, 1);
	assert_int_equal(pass(&p, &p.server, &p.client), 0);
	assert_int_equal(open_packet(&p, &p.client, &old_down), 0);
	assert_int_equal(p.client.rekey.turns, 1);
	assert_int_equal(p.server.rekey.turns, 1);

	p.now += GRACE * SEC - 1;
	assert_int_equal(open_packet(&p, &p.client, &lost_down), 0);
	p.now += 1;
	assert_int_equal(open_packet(&p, &p.client, &lost_down), -EBADMSG);
	assert_int_equal(rekey_deadline(&p.client.rekey), p.now);
	assert_false(expire(&p, &p.client));
	assert_int_equal(open_packet(&p, &p.client, &lost_down), -EBADMSG);
	end(&p);
}

static void
old_keys_are_wiped(void **state)
{
	static const struct epoch nothing;
	static const struct handshake none;
	struct pair p;

	(void)state;
	begin(&p);
	both_turn(&p);
	assert_true(p.client.rekey.epochs[0].used && p.server.rekey.epochs[0].used);
	p.now += GRACE * SEC;
	assert_false(expire(&p, &p.client));
	assert_false(expire(&p, &p.server));
	assert_memory_equal(&p.client.rekey.epochs[0], &nothing, sizeof(nothing));
	assert_memory_equal(&p.server.rekey.epochs[0], &nothing, sizeof(nothing));
	assert_memory_equal(&p.client.rekey.handshake, &none, sizeof(none));
	end(&p);
}

static void
many_generations(void **state)
{
	struct pair p;

	(void)state;
	begin(&p);
	for (unsigned i = 1; i <= 9; i++) {
		both_turn(&p);
		assert_int_equal(p.client.rekey.generation, i % REKEY_GENERATIONS);
		assert_int_equal(p.server.rekey.generation, i % REKEY_GENERATIONS);
		p.now += GRACE * SEC;
		assert_false(expire(&p, &p.client));
		assert_false(expire(&p, &p.server));
	}
	end(&p);
}

/* The old ones of two sides are no key of anything: neither can go on from there. */
static void
keys_are_new(void **state)
{
	struct packet packet;
	struct pair p;

	(void)state;
	begin(&p);
	both_turn(&p);
	assert_int_equal(seal(&p.client, &packet), 0);
	packet.generation = 0;
	assert_int_equal(open_packet(&p, &p.server, &packet), -EBADMSG);
	end(&p);
}

static void
answer_is_lost(void **state)
{
	uint8_t first[HANDSHAKE_LEN];
	struct frame f;
	struct pair p;

	(void)state;
	begin(&p);
	p.now = rekey_deadline(&p.client.rekey);
	assert_true(expire(&p, &p.client));
	assert_true(tell(&p, &p.client, &p.server));
	assert_true(rekey_says(&p.server.rekey, &f));
	memcpy(first, f.message, sizeof(first));
	for (int i = 0; i < 300; i++) {
		assert_int_equal(rekey_deadline(&p.client.rekey), p.now + SEC);
		p.now += SEC;
		assert_true(expire(&p, &p.client));
		assert_true(tell(&p, &p.client, &p.server));
	}
	assert_true(rekey_says(&p.server.rekey, &f));
	assert_memory_equal(first, f.message, sizeof(first));
	assert_false(tell(&p, &p.server, &p.client));
	assert_int_equal(pass(&p, &p.client, &p.server), 0);
	assert_int_equal(p.server.rekey.generation, 1);
	/* A late copy of either is nothing any more. */
	assert_false(rekey_on_message(&p.client.rekey, &p.client.rng, first, 0, p.now));
	assert_int_equal(p.client.rekey.turns, 1);
	end(&p);
}

/* Nothing changes but when the next one is looked at. */
static void
foreign_messages(void **state)
{
	struct side *sides[2];
	struct pair p, other;

	(void)state;
	begin(&p);
	begin(&other);
	sides[0] = &p.client;
	sides[1] = &p.server;
	other.client.rng = other.server.rng;
	client_turns(&other);
	assert_int_equal(pass(&other, &other.client, &other.server), 0);
	other.now = rekey_deadline(&other.client.rekey);
	assert_false(expire(&other, &other.client));
	p.now = rekey_deadline(&p.client.rekey);
	assert_true(expire(&p, &p.client));
	for (size_t i = 0; i < 2; i++) {
		struct rekey before = sides[i]->rekey;
		uint8_t msg[HANDSHAKE_LEN];

		memcpy(msg, other.client.rekey.question, sizeof(msg));
		msg[100] ^= 1;
		p.now += SEC;
		before.look_at = p.now + REKEY_AGAIN;
		assert_false(rekey_on_message(&sides[i]->rekey, &sides[i]->rng, msg, 0,
					      p.now));
		assert_memory_equal(&before, &sides[i]->rekey, sizeof(before));
	}
	end(&p);
	end(&other);
}

static void
messages_under_other_keys(void **state)
{
	struct frame f;
	struct pair p;

	(void)state;
	begin(&p);
	p.now = rekey_deadline(&p.client.rekey);
	assert_true(expire(&p, &p.client));
	assert_true(rekey_says(&p.client.rekey, &f));
	for (uint8_t other = 1; other < REKEY_GENERATIONS; other++)
		assert_false(rekey_on_message(&p.server.rekey, &p.server.rng, f.message,
					      other, p.now));
	assert_true(tell(&p, &p.client, &p.server));
	assert_true(rekey_says(&p.server.rekey, &f));
	for (uint8_t other = 1; other < REKEY_GENERATIONS; other++) {
		assert_false(rekey_on_message(&p.client.rekey, &p.client.rng, f.message,
					      other, p.now));
		assert_int_equal(p.client.rekey.generation, 0);
	}
	assert_false(tell(&p, &p.server, &p.client));
	assert_int_equal(p.client.rekey.generation, 1);
	end(&p);
}

/* Whoever sends them without end has one looked at each second. */
static void
storm(void **state)
{
	uint8_t wrong[HANDSHAKE_LEN] = {HANDSHAKE_INITIATION};
	struct pair p;

	(void)state;
	begin(&p);
	p.now = rekey_deadline(&p.client.rekey);
	assert_true(expire(&p, &p.client));
	assert_false(rekey_on_message(&p.server.rekey, &p.server.rng, wrong, 0, p.now));
	assert_false(tell(&p, &p.client, &p.server));
	p.now += SEC - 1;
	assert_false(tell(&p, &p.client, &p.server));
	p.now += 1;
	assert_true(tell(&p, &p.client, &p.server));
	/* One that is another one is not answered. */
	assert_false(rekey_on_message(&p.server.rekey, &p.server.rng, wrong, 0, p.now));

	assert_false(rekey_on_message(&p.client.rekey, &p.client.rng, wrong, 0, p.now));
	assert_false(tell(&p, &p.server, &p.client));
	assert_int_equal(p.client.rekey.turns, 0);
	p.now += SEC;
	assert_false(tell(&p, &p.server, &p.client));
	assert_int_equal(p.client.rekey.turns, 1);
	end(&p);
}

/* A client that hurries: nothing begins before the old keys are gone. */
static void
not_before_the_old_ones_are_gone(void **state)
{
	struct pair p;

	(void)state;
	begin(&p);
	both_turn(&p);
	rekey_on_ask(&p.client.rekey, 1);
	assert_false(expire(&p, &p.client));
	assert_int_equal(rekey_deadline(&p.client.rekey), p.now + GRACE * SEC);
	p.now += GRACE * SEC;
	p.server.rekey.epochs[0].until += SEC;
	assert_true(expire(&p, &p.client));
	assert_false(tell(&p, &p.client, &p.server));
	p.now += SEC;
	assert_false(expire(&p, &p.server));
	assert_true(tell(&p, &p.client, &p.server));
	end(&p);
}

static void
wrong_secrets(void **state)
{
	static const uint8_t no_psk[CRYPTO_KEY_LEN];
	struct side stranger;
	struct pair p;

	(void)state;
	side_init(&stranger, 3);
	for (int i = 0; i < 3; i++) {
		begin(&p);
		if (i == 0)
			p.client.rekey.cfg.secrets.priv = stranger.priv;
		else if (i == 1)
			p.client.rekey.cfg.secrets.peer_pub = stranger.pub;
		else
			p.client.rekey.cfg.secrets.psk = no_psk;
		p.now = rekey_deadline(&p.client.rekey);
		assert_true(expire(&p, &p.client));
		assert_int_equal(tell(&p, &p.client, &p.server), i == 2);
		if (i == 2)
			assert_false(tell(&p, &p.server, &p.client));
		assert_int_equal(p.client.rekey.turns, 0);
		assert_int_equal(p.client.rekey.generation, 0);
		end(&p);
	}
}

static void
server_asks(void **state)
{
	struct frame f;
	struct pair p;

	(void)state;
	begin(&p);
	p.server.rekey.epochs[0].sealed = REKEY_PACKETS - 1;
	assert_false(expire(&p, &p.server));
	assert_int_equal(pass(&p, &p.server, &p.client), 0);
	assert_true(rekey_deadline(&p.server.rekey) <= p.now);
	assert_true(expire(&p, &p.server));
	assert_int_equal(rekey_deadline(&p.server.rekey), p.now + SEC);
	assert_true(rekey_says(&p.server.rekey, &f));
	assert_int_equal(f.type, FRAME_REKEY_ASK);
	assert_false(expire(&p, &p.client));
	rekey_on_ask(&p.client.rekey, 1); /* about keys of long ago */
	assert_false(expire(&p, &p.client));
	rekey_on_ask(&p.client.rekey, 0);
	both_turn(&p);
	assert_false(rekey_says(&p.server.rekey, &f));
	p.now += GRACE * SEC;
	assert_false(expire(&p, &p.client));
	assert_false(expire(&p, &p.server));
	/* Nobody asks a server. */
	rekey_on_ask(&p.server.rekey, 1);
	assert_false(rekey_says(&p.server.rekey, &f));
	end(&p);
}

static void
client_counts(void **state)
{
	struct pair p;

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct epoch *e = &p.client.rekey.epochs[0];
		uint64_t *const counts[] = {&e->sealed, &e->opened, &e->failed};

		begin(&p);
		*counts[i] = (i < 2 ? REKEY_PACKETS : REKEY_FAILURES_MAX / 2) - 1;
		assert_int_equal(rekey_deadline(&p.client.rekey), 121 * SEC);
		++*counts[i];
		assert_true(expire(&p, &p.client));
		end(&p);
	}
}

static void
sealing_stops(void **state)
{
	struct packet packet;
	struct pair p;

	(void)state;
	begin(&p);
	p.client.rekey.epochs[0].sealed = REKEY_PACKETS_MAX - 1;
	assert_int_equal(pass(&p, &p.client, &p.server), 0);
	assert_int_equal(seal(&p.client, &packet), -EKEYEXPIRED);
	end(&p);
}

/* So many forgeries end a key, and not the next one. */
static void
failures_retire_a_key(void **state)
{
	struct packet good, bad;
	struct pair p;

	(void)state;
	begin(&p);
	p.server.rekey.epochs[0].failed = REKEY_FAILURES_MAX - 2;
	assert_int_equal(seal(&p.client, &good), 0);
	bad = good;
	bad.data[LEN] ^= 1;
	assert_int_equal(open_packet(&p, &p.server, &bad), -EBADMSG);
	assert_int_equal(open_packet(&p, &p.server, &good), 0);
	client_turns(&p);
	assert_int_equal(open_packet(&p, &p.server, &bad), -EBADMSG);
	assert_int_equal(open_packet(&p, &p.server, &good), -EBADMSG);
	assert_int_equal(pass(&p, &p.client, &p.server), 0);
	end(&p);
}

/* The server is not heard under the new keys: 180 s after the old ones began. */
static void
old_age(void **state)
{
	struct packet packet;
	struct pair p;

	(void)state;
	begin(&p);
	assert_int_equal(seal(&p.server, &packet), 0);
	client_turns(&p);
	assert_int_equal(rekey_deadline(&p.client.rekey), 181 * SEC);
	p.now = 181 * SEC - 1;
	assert_int_equal(open_packet(&p, &p.client, &packet), 0);
	p.now = 181 * SEC;
	assert_int_equal(open_packet(&p, &p.client, &packet), -EBADMSG);
	end(&p);

	/* However late it is: what is on its way now has its second. */
	begin(&p);
	p.now = 5000 * SEC;
	assert_true(expire(&p, &p.client));
	assert_true(tell(&p, &p.client, &p.server));
	assert_false(tell(&p, &p.server, &p.client));
	assert_int_equal(rekey_deadline(&p.client.rekey), 5001 * SEC);
	end(&p);
}

static void
without_secrets(void **state)
{
	struct pair p;

	(void)state;
	begin(&p);
	p.client.rekey.cfg.secrets.priv = NULL;
	p.server.rekey.cfg.secrets.priv = NULL;
	assert_int_equal(rekey_deadline(&p.client.rekey), NS_NEVER);
	rekey_on_ask(&p.client.rekey, 0);
	p.now = 1000 * SEC;
	assert_false(expire(&p, &p.client));
	assert_false(expire(&p, &p.server));
	assert_int_equal(pass(&p, &p.client, &p.server), 0);
	end(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_exchange),
		cmocka_unit_test(old_keys_are_wiped),
		cmocka_unit_test(many_generations),
		cmocka_unit_test(keys_are_new),
		cmocka_unit_test(answer_is_lost),
		cmocka_unit_test(foreign_messages),
		cmocka_unit_test(messages_under_other_keys),
		cmocka_unit_test(storm),
		cmocka_unit_test(not_before_the_old_ones_are_gone),
		cmocka_unit_test(wrong_secrets),
		cmocka_unit_test(server_asks),
		cmocka_unit_test(client_counts),
		cmocka_unit_test(sealing_stops),
		cmocka_unit_test(failures_retire_a_key),
		cmocka_unit_test(old_age),
		cmocka_unit_test(without_secrets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
