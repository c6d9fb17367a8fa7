#include "daemon/core/rekey.h"

#include <string.h>

_Static_assert((int)HANDSHAKE_LEN == (int)FRAME_HANDSHAKE_LEN,
	       "a frame takes a message");

/* Keys */

static struct epoch *
epoch_at(struct rekey *r, unsigned steps)
{
	return &r->epochs[(r->generation + steps) % REKEY_GENERATIONS];
}

static struct epoch *
old_of(struct rekey *r)
{
	return epoch_at(r, REKEY_GENERATIONS - 1);
}

static void
epoch_done(struct epoch *e)
{
	if (e->used) {
		aead_done(&e->seal);
		aead_done(&e->open);
	}
	crypto_wipe(e, sizeof(*e));
}

static int
epoch_init(struct epoch *e, const struct rekey *r, const struct handshake_keys *k)
{
	bool up = r->is_client;
	int err;

	assert(!e->used);

	memset(e, 0, sizeof(*e));
	err = aead_init(&e->seal, r->aead, true, up ? k->key_up : k->key_down,
			up ? k->iv_up : k->iv_down);
	if (err < 0)
		return err;
	err = aead_init(&e->open, r->aead, false, up ? k->key_down : k->key_up,
			up ? k->iv_down : k->iv_up);
	if (err < 0) {
		aead_done(&e->seal);
		return err;
	}
	memcpy(e->hash, k->hash, sizeof(e->hash));
	e->until = NS_NEVER;
	e->used = true;
	return 0;
}

int
rekey_init(struct rekey *r, const struct rekey_settings *cfg, bool is_client,
	   enum aead_alg aead, const struct handshake_keys *keys, ns_t now)
{
	int err;

	memset(r, 0, sizeof(*r));
	r->cfg = *cfg;
	if (r->cfg.after_ns == 0)
		r->cfg.after_ns = REKEY_AFTER;
	if (r->cfg.packets == 0)
		r->cfg.packets = REKEY_PACKETS;
	if (r->cfg.packets_max == 0)
		r->cfg.packets_max = REKEY_PACKETS_MAX;
	r->is_client = is_client;
	r->aead = aead;
	err = epoch_init(&r->epochs[0], r, keys);
	r->epochs[0].since = now;
	return err;
}

void
rekey_done(struct rekey *r)
{
	for (size_t i = 0; i < REKEY_GENERATIONS; i++)
		epoch_done(&r->epochs[i]);
	crypto_wipe(r, sizeof(*r));
}

/* Packets */

int
rekey_seal(struct rekey *r, struct aead_nonce nonce, uint8_t *packet, size_t len)
{
	struct epoch *e = epoch_at(r, 0);

	if (e->sealed >= r->cfg.packets_max)
		return -EKEYEXPIRED;
	e->sealed++;
	return aead_seal(&e->seal, nonce, packet, WIRE_HEADER_LEN,
			 packet + WIRE_HEADER_LEN, len - WIRE_HEADER_LEN);
}

int
rekey_open(struct rekey *r, uint8_t generation, struct aead_nonce nonce,
	   uint8_t *packet, size_t len, ns_t now)
{
	struct epoch *e = &r->epochs[generation];
	int err;

	if (!e->used || e->until <= now || e->failed >= REKEY_FAILURES_MAX)
		return -EBADMSG;
	err = aead_open(&e->open, nonce, packet, WIRE_HEADER_LEN,
			packet + WIRE_HEADER_LEN, len - WIRE_HEADER_LEN);
	if (err == 0)
		e->opened++;
	else
		e->failed++;
	return err;
}

/* Old keys go after `grace`, or when they are too old; but not before what is on its
 * way may have come, however long they had to be in use. */
static void
limit_old(struct rekey *r, ns_t grace, ns_t now)
{
	struct epoch *e = old_of(r);

	e->until = max_ns(now + REKEY_OLD_MIN,
			  min_ns(now + grace, e->since + REKEY_AGE_MAX));
}

/* The next keys are those in use. */
static void
turn(struct rekey *r, ns_t now)
{
	r->generation = (r->generation + 1) % REKEY_GENERATIONS;
	epoch_at(r, 0)->since = now;
	limit_old(r, REKEY_AGE_MAX, now);
	r->under_way = false;
	r->asked = false;
	r->unsettled = true;
	r->turns++;
}

bool
rekey_opened(struct rekey *r, uint8_t generation, ns_t now)
{
	if (!r->is_client && r->under_way && generation != r->generation)
		turn(r, now);
	if (!r->unsettled || generation != r->generation)
		return false;
	r->unsettled = false;
	return true;
}

void
rekey_settle(struct rekey *r, ns_t grace, ns_t now)
{
	limit_old(r, grace, now);
}

/* Messages */

static int
ask(struct rekey *r, struct prng *rng)
{
	const struct handshake_offer offer = {
		.version = HANDSHAKE_VERSION,
		.aead_mask = (uint8_t)(AEAD_CHACHA20_POLY1305 | r->aead),
	};

	return handshake_start_rekey(&r->handshake, epoch_at(r, 0)->hash, rng,
				     &r->cfg.secrets, &offer, r->question);
}

static void
on_response(struct rekey *r, const uint8_t msg[HANDSHAKE_LEN], ns_t now)
{
	struct handshake work = r->handshake;
	struct handshake_answer answer;
	struct handshake_keys keys;

	if (!r->under_way || now < r->look_at)
		return;
	r->look_at = now + REKEY_AGAIN;
	if (handshake_finish(&work, msg, &answer, &keys) == 0 &&
	    answer.aead == r->aead && epoch_init(epoch_at(r, 1), r, &keys) == 0) {
		handshake_done(&r->handshake);
		turn(r, now);
	}
	crypto_wipe(&keys, sizeof(keys));
	handshake_done(&work);
}

static int
respond(struct rekey *r, struct prng *rng, const uint8_t msg[HANDSHAKE_LEN])
{
	const struct handshake_answer answer = {
		.version = HANDSHAKE_VERSION,
		.aead = (uint8_t)r->aead,
	};
	struct handshake h;
	struct handshake_keys keys;
	int err =
		handshake_receive_rekey(&h, epoch_at(r, 0)->hash, &r->cfg.secrets, msg);

	if (err < 0)
		return err;
	err = handshake_respond(&h, rng, r->cfg.secrets.psk, &answer, r->answer, &keys);
	if (err == 0)
		err = epoch_init(epoch_at(r, 1), r, &keys);
	crypto_wipe(&keys, sizeof(keys));
	handshake_done(&h);
	return err;
}

/* Each copy of it is answered, by the same words. */
static bool
on_initiation(struct rekey *r, struct prng *rng, const uint8_t msg[HANDSHAKE_LEN],
	      ns_t now)
{
	if (r->under_way)
		return memcmp(r->question, msg, HANDSHAKE_LEN) == 0;
	if (old_of(r)->used || now < r->look_at)
		return false;
	r->look_at = now + REKEY_AGAIN;
	if (respond(r, rng, msg) < 0)
		return false;
	memcpy(r->question, msg, HANDSHAKE_LEN);
	r->under_way = true;
	return true;
}

bool
rekey_on_message(struct rekey *r, struct prng *rng, const uint8_t msg[HANDSHAKE_LEN],
		 uint8_t generation, ns_t now)
{
	if (r->cfg.secrets.priv == NULL || generation != r->generation)
		return false;
	if (!r->is_client)
		return on_initiation(r, rng, msg, now);
	on_response(r, msg, now);
	return false;
}

void
rekey_on_ask(struct rekey *r, uint8_t generation)
{
	r->asked |= r->is_client && generation == r->generation;
}

bool
rekey_says(const struct rekey *r, struct frame *ret_frame)
{
	if (r->under_way) {
		ret_frame->type = FRAME_REKEY;
		ret_frame->message = r->is_client ? r->question : r->answer;
		return true;
	}
	ret_frame->type = FRAME_REKEY_ASK;
	return r->asked && !r->is_client;
}

/* Time */

static ns_t
due_at(const struct rekey *r)
{
	const struct epoch *e = &r->epochs[r->generation];

	if (r->cfg.secrets.priv == NULL)
		return NS_NEVER;
	if (r->asked || max_u64(e->sealed, e->opened) >= r->cfg.packets ||
	    e->failed >= REKEY_FAILURES_MAX / 2)
		return 0;
	return e->since + (r->is_client ? r->cfg.after_ns : r->cfg.after_ns / 4 * 5);
}

ns_t
rekey_deadline(const struct rekey *r)
{
	const struct epoch *old =
		&r->epochs[(r->generation + REKEY_GENERATIONS - 1) % REKEY_GENERATIONS];

	if (old->used)
		return old->until;
	if (r->under_way)
		return r->is_client ? r->say_at : NS_NEVER;
	return max_ns(due_at(r), r->say_at);
}

bool
rekey_expire(struct rekey *r, struct prng *rng, ns_t now)
{
	if (old_of(r)->used && old_of(r)->until <= now)
		epoch_done(old_of(r));
	if (rekey_deadline(r) > now)
		return false;
	r->say_at = now + REKEY_AGAIN;
	if (!r->is_client)
		r->asked = true;
	else if (!r->under_way)
		r->under_way = ask(r, rng) == 0;
	return !r->is_client || r->under_way;
}
